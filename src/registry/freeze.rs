//! Is it them, or is it us? Pure; told the time.
//!
//! When most targets turn unreachable at once, our own network is the likelier cause. What counts is
//! the latest word of each target within the window; known-dead targets (already Unhealthy) don't
//! count, and neither do refused connections: somebody refused them.
//!
//! A success from before the wave of failures began says nothing about it, so with checks a minute
//! apart the third failing target is enough when no other was heard of since. An attempt that failed
//! by timeout began earlier than it ended: successes since then do count.
//!
//! A freeze ends when too few fail or enough succeed. One that lasts although some targets do answer
//! is theirs, not ours: it ends after [`MAX_MIXED`] and does not start again before the share of
//! failures has fallen once.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::api::TargetKey;

const WINDOW: Duration = Duration::from_secs(30);
const MIN_FAILING: usize = 3;
/// Failing targets of each hundred heard of.
const SHARE: usize = 80;
/// Longest freeze while some targets answer.
const MAX_MIXED: Duration = Duration::from_mins(10);

/// Watches all targets at once.
#[derive(Debug, Default)]
pub(super) struct Freeze {
    latest: HashMap<TargetKey, Heard>,
    order: VecDeque<(Instant, TargetKey)>,
    failing: usize,
    /// Targets that answered since the wave of failures began.
    answering: usize,
    /// Number of the wave; a new one begins when the first target fails.
    wave: u64,
    since: Option<Instant>,
    disarmed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    failing: bool,
    /// The wave in which a success counts.
    wave: u64,
}

// === impl Freeze ===

impl Freeze {
    /// Verdicts are frozen.
    pub(super) fn frozen(&self) -> bool {
        self.since.is_some()
    }

    /// Hears of one target: `failing` is a failure, of an attempt that took `latency`, for which our
    /// network may be at fault. Answers whether verdicts are frozen now.
    pub(super) fn note(
        &mut self,
        key: &TargetKey,
        failing: bool,
        latency: Duration,
        now: Instant,
    ) -> bool {
        self.forget_old(now);
        if let Some(old) = self.latest.remove(key) {
            self.uncount(old);
        }
        if failing {
            if self.failing == 0 {
                self.begin_wave(now.checked_sub(latency).unwrap_or(now));
            }
            self.failing += 1;
        } else {
            self.answering += 1;
        }
        self.latest.insert(key.clone(), Heard { at: now, failing, wave: self.wave });
        self.order.push_back((now, key.clone()));

        let heard = self.failing + self.answering;
        let most = self.failing >= MIN_FAILING && self.failing * 100 >= heard * SHARE;
        let mixed = self.answering > 0;
        match self.since {
            _ if !most => {
                self.since = None;
                self.disarmed = false;
            }
            None if !self.disarmed => self.since = Some(now),
            Some(since) if mixed && now.saturating_duration_since(since) >= MAX_MIXED => {
                self.since = None;
                self.disarmed = true;
            }
            _ => {}
        }
        self.frozen()
    }

    fn begin_wave(&mut self, started: Instant) {
        self.wave += 1;
        self.answering = 0;
        for (at, key) in self.order.iter().rev().take_while(|(at, _)| *at >= started) {
            if let Some(heard) = self.latest.get_mut(key).filter(|heard| heard.at == *at) {
                self.answering += usize::from(heard.wave != self.wave);
                heard.wave = self.wave;
            }
        }
    }

    fn uncount(&mut self, heard: Heard) {
        if heard.failing {
            self.failing -= 1;
        } else if heard.wave == self.wave {
            self.answering -= 1;
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let old = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        while let Some((at, key)) = self.order.pop_front_if(|(at, _)| old(at)) {
            if let Some(heard) = self.latest.get(&key).copied()
                && heard.at == at
            {
                self.latest.remove(&key);
                self.uncount(heard);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn key(index: usize) -> TargetKey {
        TargetKey::new("a", &index.to_string())
    }

    fn hear(freeze: &mut Freeze, failing: std::ops::Range<usize>, of: usize, now: Instant) -> bool {
        for index in 0..of {
            freeze.note(&key(index), failing.contains(&index), MOMENT, now);
        }
        freeze.frozen()
    }

    #[test]
    fn freezes_when_eighty_percent_fail_and_three_at_least() {
        let now = Instant::now();
        assert!(!hear(&mut Freeze::default(), 0..2, 2, now));
        assert!(hear(&mut Freeze::default(), 0..3, 3, now));
        assert!(!hear(&mut Freeze::default(), 0..7, 10, now));
        assert!(hear(&mut Freeze::default(), 0..8, 10, now));
    }

    #[test]
    fn failures_spread_over_more_than_the_window_do_not_freeze() {
        let mut freeze = Freeze::default();
        let start = Instant::now();
        for index in 0..20 {
            let now = start + WINDOW / 2 * u32::try_from(index).unwrap();
            assert!(!freeze.note(&key(index), true, MOMENT, now));
        }
    }

    #[test]
    fn successes_from_before_the_wave_do_not_count() {
        let mut freeze = Freeze::default();
        let start = Instant::now();
        assert!(!hear(&mut freeze, 0..0, 50, start));
        let wave = start + Duration::from_secs(5);
        assert!(hear(&mut freeze, 0..3, 3, wave));
        let mut freeze = Freeze::default();
        assert!(!hear(&mut freeze, 0..0, 50, start));
        for index in 0..3 {
            let timeout = Duration::from_secs(10);
            assert!(
                !freeze.note(&key(index), true, timeout, wave),
                "the others answered meanwhile"
            );
        }
    }

    #[test]
    fn thaws_when_targets_answer_again() {
        let mut freeze = Freeze::default();
        let now = Instant::now();
        assert!(hear(&mut freeze, 0..10, 10, now));
        let later = now + Duration::from_secs(5);
        for index in 0..2 {
            assert!(freeze.note(&key(index), false, MOMENT, later));
        }
        assert!(!freeze.note(&key(2), false, MOMENT, later));
    }

    #[test]
    fn lasts_while_nobody_answers() {
        let mut freeze = Freeze::default();
        let start = Instant::now();
        for minute in 0..60_u32 {
            let now = start + Duration::from_secs(10) * minute * 6;
            for index in 0..10 {
                freeze.note(&key(index), true, MOMENT, now);
            }
            assert!(freeze.frozen());
        }
    }

    #[test]
    fn ends_for_good_when_a_few_answered_all_along() {
        let mut freeze = Freeze::default();
        let start = Instant::now();
        let round = Duration::from_secs(10);
        let mut now = start;
        while now < start + MAX_MIXED {
            hear(&mut freeze, 0..9, 10, now);
            now += round;
        }
        assert!(!hear(&mut freeze, 0..9, 10, now), "too long to be ours");
        assert!(!hear(&mut freeze, 0..9, 10, now + round), "does not start again");
        assert!(!hear(&mut freeze, 0..2, 10, now + round * 2));
        assert!(hear(&mut freeze, 0..9, 10, now + round * 3), "armed again");
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let mut freeze = Freeze::default();
        let start = Instant::now();
        for index in 0..1_000 {
            freeze.note(
                &key(index),
                true,
                MOMENT,
                start + Duration::from_secs(1) * u32::try_from(index).unwrap(),
            );
        }
        assert!(freeze.latest.len() <= 30 && freeze.order.len() <= 30);
    }
}
