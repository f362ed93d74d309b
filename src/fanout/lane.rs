//! One target's lane at work: looks at the gates, takes what waits, sends, settles.
//!
//! A lane is a task that lives while something waits or runs for its target. It makes as many
//! attempts at a time as the target's own limit has permits, which it shares with publishes. What is
//! sent is taken from the state only when the gates are open: a target that was slow or away gets the
//! latest, not what was news when it queued. While they are closed, the lane has one timer, whatever
//! waits.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::Notify,
    task::consume_budget,
    time::{Instant, sleep_until},
};

use super::{
    desk::Shared,
    gate::{self, Gates, Pass, Permit},
    job::{Ended, Job, Work},
    policy::decide,
    queue::unreadable,
    window::{Record, Window},
};
use crate::{
    alert::Notification,
    api::TargetKey,
    clock::Moment,
    delivery::Transport,
    dispatch::{Next, Ticket, Verdict},
    registry::{Live, Snapshot, Target},
    store::Seq,
};

/// How long what is owed waits before it looks again whether something of its group is still queued.
const BEHIND: Duration = Duration::from_secs(1);
/// Held notifications looked at for one trial.
const LOOKS: usize = 64;

/// One target's lane.
pub(super) struct Lane<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) key: TargetKey,
    news: Arc<Notify>,
    permit: Option<Permit>,
    /// Set while a permit is waited for; kept over other events, or the place in line would be lost.
    asking: Option<BoxFuture<'static, Permit>>,
    /// What the lane has in hand of the target's queue on disk.
    pub(super) window: Window,
    /// Something may be held back because of the target's health.
    pub(super) holding: bool,
    /// Whose turn it is: the queue's, or that of what is owed.
    queue_first: bool,
}

/// What a lane can do next.
pub(super) enum Step<T> {
    /// Make this attempt.
    Start(Job<T>),
    /// Something was dealt with; look again.
    Again,
    /// Every permit of the target is in use.
    Busy(Arc<Live>),
    /// Nothing can be sent before then; `None`: before something changes.
    Closed(Option<Instant>),
    /// Nothing is to be sent before then; `None`: before there is news.
    Idle(Option<Instant>),
}

/// What was found to send.
pub(super) enum Found {
    /// What is owed, and what must be on disk before it may go out.
    Slot(Arc<Notification>, Vec<Ticket>, Option<Seq>),
    Record(Record),
    /// Nothing yet: others have their turn, then look again.
    Again,
    Nothing,
}

/// The target as a lane sees it in one step.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) target: &'a Arc<Target>,
    pub(super) now: Moment,
    /// One notification may be tried although health holds it back.
    pub(super) trial: bool,
}

// === impl Lane ===

impl<T: Transport> Lane<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, key: TargetKey, news: Arc<Notify>) -> Self {
        Self {
            shared,
            key,
            news,
            permit: None,
            asking: None,
            window: Window::default(),
            holding: true,
            queue_first: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut jobs = FuturesUnordered::new();
        let stopping = self.shared.stopping.clone();
        loop {
            if self.shared.lanes.look(&self.key) {
                self.window.look_again();
            }
            let (until, closed) = loop {
                match self.step() {
                    Step::Start(job) => jobs.push(job.run()),
                    Step::Again => {}
                    Step::Busy(live) => {
                        self.ask(live);
                        break (None, false);
                    }
                    Step::Closed(until) => break (until, true),
                    Step::Idle(until) => break (until, false),
                }
                consume_budget().await;
            };
            let mut unwritten = self.window.blocked();
            if self.asking.is_none() {
                // Not needed now: others may.
                self.permit = None;
                if jobs.is_empty() {
                    let durable = self.shared.backlog().store().durable_seq();
                    let released = !closed || self.window.let_go(durable);
                    unwritten = unwritten.or(self.window.unwritten(durable));
                    let waits = until.is_some() && !stopping.is_cancelled();
                    if !waits
                        && released
                        && unwritten.is_none()
                        && self.shared.lanes.close(&self.key)
                    {
                        return;
                    }
                }
            }
            let store = self.shared.backlog().store().clone();
            tokio::select! {
                Some(ended) = jobs.next() => self.note(&ended),
                permit = async { self.asking.as_mut().expect("guarded").await },
                    if self.asking.is_some() => {
                    self.asking = None;
                    self.permit = Some(permit);
                }
                () = self.news.notified() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                failed = store.durable(unwritten.unwrap_or_default()), if unwritten.is_some() => {
                    if failed.is_err() {
                        return;
                    }
                }
                () = stopping.cancelled(), if !stopping.is_cancelled() => {}
            }
        }
    }

    fn ask(&mut self, live: Arc<Live>) {
        self.asking = Some(Box::pin(async move {
            let permit = live.limit().clone().acquire_owned().await;
            (live, permit.expect("a target's limit is never closed"))
        }));
    }

    fn note(&mut self, ended: &Ended) {
        if let Ended::Record(id, fate, written) = *ended {
            self.window.settle(id, fate, written);
        }
    }

    /// Looks at the gates, then at what waits.
    fn step(&mut self) -> Step<T> {
        if self.asking.is_some() {
            return Step::Idle(None);
        }
        let (snapshot, trial_at) = {
            let desk = self.shared.desk();
            (desk.snapshot.clone(), desk.trials.get(&self.key).copied())
        };
        let now = Moment::now();
        let Some(target) = snapshot.target(&self.key) else { return Step::Closed(None) };
        let pass = match gate::pass(target, self.permit.take(), now) {
            Gates::Open(pass) => pass,
            Gates::Busy => return Step::Busy(target.live.clone()),
            Gates::Closed(until) => return Step::Closed(until),
        };
        if let Err(until) = gate::token(target, now.mono) {
            return Step::Idle(Some(until));
        }
        let due = trial_at.is_none_or(|at| at <= now.mono);
        let view = View { snapshot: &snapshot, target, now, trial: due || pass.trial.is_some() };
        match self.find(view) {
            Found::Slot(notification, tickets, needed) => {
                self.start(view, pass, notification, Work::Slot(tickets, needed))
            }
            Found::Record(record) => {
                let notification = record.queued.notification.clone();
                self.start(view, pass, notification, Work::Record(record))
            }
            found => {
                gate::return_token(target);
                self.permit = Some((target.live.clone(), pass.permit));
                if matches!(found, Found::Again) {
                    return Step::Again;
                }
                let trial = self.holding.then(|| trial_at.unwrap_or(now.mono).max(now.mono));
                Step::Idle(trial.into_iter().chain(self.window.next_due()).min())
            }
        }
    }

    /// What is to be sent next: by turns what is owed and what is queued on disk.
    fn find(&mut self, view: View<'_>) -> Found {
        let queue_first = std::mem::replace(&mut self.queue_first, false);
        if queue_first {
            let found = self.record(view);
            if !matches!(found, Found::Nothing) {
                return found;
            }
        }
        let found = self.slot(view);
        if !matches!(found, Found::Nothing) {
            self.queue_first = matches!(found, Found::Slot(..));
            return found;
        }
        if queue_first { Found::Nothing } else { self.record(view) }
    }

    /// The next of what is owed. Configuration and state are looked at under one lock: a change of
    /// either is never overlooked.
    fn slot(&mut self, view: View<'_>) -> Found {
        let View { snapshot, target, now, trial } = view;
        let shared = self.shared.clone();
        let mut desk = shared.desk();
        if !std::ptr::eq(&raw const *desk.snapshot, snapshot) {
            return Found::Again;
        }
        let mut behind = false;
        for _ in 0..LOOKS {
            let (mut tried, mut held) = (false, false);
            let next = desk.state.next(&self.key, now, &mut |route, _| {
                let Some(route) = snapshot.route(route) else { return Verdict::Hold };
                match decide(route, target) {
                    Verdict::Hold if trial => {
                        tried = true;
                        Verdict::Send
                    }
                    Verdict::Hold => {
                        held = true;
                        Verdict::Hold
                    }
                    verdict => verdict,
                }
            });
            self.holding |= held | tried;
            shared.touch();
            match next {
                Next::Send(notification, ticket) => {
                    let waits = shared.backlog().goes_first(&self.key, &notification.group_key);
                    match waits {
                        Some(false) => {}
                        Some(true) => {
                            desk.state.put_off(ticket, now.mono + BEHIND, now);
                            behind = true;
                            continue;
                        }
                        None => {
                            desk.state.put_back(ticket, now);
                            drop(desk);
                            if let Err(failed) = shared.backlog().learn(&self.key) {
                                unreadable(&self.key, &failed);
                                return Found::Nothing;
                            }
                            return Found::Again;
                        }
                    }
                    if tried {
                        let next = now.mono + target.health.unhealthy_interval;
                        desk.trials.insert(self.key.clone(), next);
                    }
                    let alone = tried || shared.backlog().has_transitions(&self.key);
                    let (notification, tickets) = if alone {
                        (notification, vec![ticket])
                    } else {
                        desk.sum_up((notification, ticket), view)
                    };
                    let needed = shared.must_be_durable(&mut desk, &tickets);
                    return Found::Slot(notification, tickets, needed);
                }
                Next::More => return Found::Again,
                Next::Nothing if !(trial && self.holding) => return Found::Nothing,
                Next::Nothing if desk.state.release(&self.key, 1, now) == 0 => {
                    self.holding = false;
                    return Found::Nothing;
                }
                Next::Nothing => {}
            }
        }
        if behind {
            return Found::Again;
        }
        // What is held is not for a trial (a resolve on a route that skips): later again.
        desk.trials.insert(self.key.clone(), now.mono + target.health.unhealthy_interval);
        Found::Nothing
    }

    fn start(
        &mut self,
        view: View<'_>,
        pass: Pass,
        notification: Arc<Notification>,
        work: Work,
    ) -> Step<T> {
        let (shared, target) = (self.shared.clone(), view.target.clone());
        Step::Start(Job { shared, target, notification, pass, work })
    }
}
