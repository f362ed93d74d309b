//! What was handed over and is not yet being written: who may wait for company, and for how long.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{LAZY, batch::Task};

/// One commit takes no more than this if it can be cut.
const BATCH: usize = 8 * 1024 * 1024;

/// What the committer does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write this.
    Commit(Work),
    /// Wait for a call, or for so long.
    Wait(Option<Duration>),
    /// All is written and nothing more will come.
    End,
}

/// Some submissions, in order.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) tasks: Vec<Task>,
    /// Sequence number of the last one.
    pub(super) upto: u64,
    /// Their weight.
    pub(super) bytes: usize,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<Submission>,
    /// Sequence number of the newest submission.
    last: u64,
    /// Sequence number of the newest one that somebody waits for.
    urgent: u64,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
struct Submission {
    tasks: Vec<Task>,
    bytes: usize,
    at: Instant,
}

// === impl Inbox ===

impl Inbox {
    /// Takes a submission; returns its sequence number and whether the committer must be called. A closed
    /// inbox takes nothing: what it returns never becomes durable.
    pub(super) fn submit(
        &mut self,
        tasks: Vec<Task>,
        (bytes, lazy): (usize, bool),
        now: Instant,
    ) -> (u64, bool) {
        if self.closed {
            return (self.last + 1, false);
        }
        let empty = self.waiting.is_empty();
        let had_hurry = self.hurry();
        if !tasks.is_empty() {
            self.last += 1;
            self.bytes += bytes;
            self.waiting.push_back(Submission { tasks, bytes, at: now });
        }
        if !lazy {
            self.urgent = self.last;
        }
        let call = !self.waiting.is_empty() && (empty || self.hurry() && !had_hurry);
        (self.last, call)
    }

    /// What to do at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Some(oldest) = self.waiting.front() else {
            return if self.closed { Next::End } else { Next::Wait(None) };
        };
        let age = now.saturating_duration_since(oldest.at);
        if !self.closed && !self.hurry() && age < LAZY {
            return Next::Wait(Some(LAZY.saturating_sub(age)));
        }
        let mut work = Work { tasks: Vec::new(), upto: self.first() - 1, bytes: 0 };
        while let Some(submission) = self.waiting.front()
            && (work.bytes == 0 || work.bytes + submission.bytes <= BATCH)
            && let Some(submission) = self.waiting.pop_front()
        {
            work.tasks.extend(submission.tasks);
            work.upto += 1;
            work.bytes += submission.bytes;
        }
        self.bytes -= work.bytes;
        Next::Commit(work)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing more is taken; what waits is written.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Nothing more is taken and what waits is lost.
    pub(super) fn fail(&mut self) {
        self.closed = true;
        self.bytes = 0;
        self.waiting.clear();
    }

    fn first(&self) -> u64 {
        self.last + 1 - self.waiting.len() as u64
    }

    fn hurry(&self) -> bool {
        !self.waiting.is_empty() && (self.urgent >= self.first() || self.bytes >= BATCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{clock, task};

    fn upto(next: Next) -> u64 {
        match next {
            Next::Commit(work) => work.upto,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_to_do_is_no_reason_to_wake_up() {
        let mut inbox = Inbox::default();
        assert!(matches!(inbox.next(clock()), Next::Wait(None)));
        assert_eq!(inbox.submit(Vec::new(), (0, false), clock()), (0, false));
        assert!(matches!(inbox.next(clock()), Next::Wait(None)));
    }

    #[test]
    fn what_is_waited_for_is_written_at_once() {
        let mut inbox = Inbox::default();
        let now = clock();
        assert_eq!(inbox.submit(vec![task()], (1, false), now), (1, true));
        assert_eq!(inbox.submit(vec![task()], (1, false), now), (2, false), "called already");
        assert_eq!(upto(inbox.next(now)), 2);
        assert!(matches!(inbox.next(now), Next::Wait(None)));
        assert_eq!(inbox.submit(vec![task()], (1, false), now), (3, true));
    }

    #[test]
    fn lazy_waits_for_company_and_no_longer_than_its_time() {
        let mut inbox = Inbox::default();
        let now = clock();
        assert_eq!(inbox.submit(vec![task()], (1, true), now), (1, true), "starts the timer");
        let later = now + LAZY / 2;
        assert_eq!(inbox.submit(vec![task()], (1, true), later), (2, false));
        let Next::Wait(Some(rest)) = inbox.next(later) else { panic!("not due") };
        assert_eq!(rest, LAZY / 2);
        assert_eq!(upto(inbox.next(now + LAZY)), 2);
    }

    #[test]
    fn lazy_rides_along_with_what_is_waited_for() {
        let mut inbox = Inbox::default();
        let now = clock();
        inbox.submit(vec![task()], (1, true), now);
        assert_eq!(inbox.submit(vec![task()], (1, false), now), (2, true), "hurry is news");
        inbox.submit(vec![task()], (1, true), now);
        assert_eq!(upto(inbox.next(now)), 3);
    }

    #[test]
    fn waiting_for_what_is_there_makes_it_urgent() {
        let mut inbox = Inbox::default();
        inbox.submit(vec![task()], (1, true), clock());
        assert_eq!(inbox.submit(Vec::new(), (0, false), clock()), (1, true));
        assert_eq!(upto(inbox.next(clock())), 1);
    }

    #[test]
    fn large_work_is_cut_between_submissions_and_goes_on_at_once() {
        let mut inbox = Inbox::default();
        let now = clock();
        for _ in 0..3 {
            inbox.submit(vec![task()], (BATCH / 2, true), now);
        }
        inbox.submit(vec![task()], (2 * BATCH, false), now);
        assert_eq!(upto(inbox.next(now)), 2);
        assert_eq!(upto(inbox.next(now)), 3);
        assert_eq!(upto(inbox.next(now)), 4, "what can't be cut is taken whole");
    }

    #[test]
    fn closing_writes_what_waits_and_takes_no_more() {
        let mut inbox = Inbox::default();
        inbox.submit(vec![task()], (1, true), clock());
        inbox.close();
        assert_eq!(inbox.submit(vec![task()], (1, false), clock()), (2, false));
        assert_eq!(upto(inbox.next(clock())), 1);
        assert!(matches!(inbox.next(clock()), Next::End));
    }
}
