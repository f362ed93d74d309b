//! What is told otherwise than by Alertmanager on purpose, foretold to the millisecond.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::{
    generate,
    grouped::count,
    life::{MINUTE, SECOND},
    oracle::none_of,
    player::play,
    timeline::{Grouped, Post, Sent, Silencing, Step, Timeline},
};

/// Timelines of each test unless `FANFARE_TIMELINES` says otherwise.
const TIMELINES: usize = 200;
const HOUR: i64 = 60 * MINUTE;
/// When the first alert comes.
const BEGIN: i64 = 1;

/// A timeline, and when its group is flushed.
struct Case {
    timeline: Timeline,
    flushes: Vec<i64>,
    /// From and until when it is quiet.
    quiet: (i64, i64),
}

#[test]
fn end_of_a_muted_alert_is_told_when_muting_ends() {
    check(|rng| {
        let mut case = Case::new(rng, 14_400);
        let (from, to) = case.quiet;
        let over = rng.i64(from / SECOND + 1..to / SECOND) * SECOND + 500;
        case.post("1", over, Some(over));
        let extra = case.flushes.iter().find(|at| **at > to).unwrap();
        let extra = Sent {
            at: *extra,
            receiver: "r0".to_owned(),
            group: group(),
            reason: "all alerts resolved".to_owned(),
            firing: Vec::new(),
            resolved: vec![name("1")],
        };
        let first = case.sent(BEGIN + 10 * SECOND, "first notification", &["1"]);
        let both = vec![first, extra];
        // Alertmanager forgets it at the first flush after its end, if it is quiet then.
        let forgotten = case.flushes.iter().any(|at| (over..to).contains(at));
        let theirs = both[..2 - usize::from(forgotten)].to_vec();
        (case, both, theirs)
    });
}

#[test]
fn alert_that_was_told_before_it_was_muted_is_not_new_afterwards() {
    check(|rng| {
        let repeat = rng.choice([600, 1_200]).unwrap();
        let mut case = Case::new(rng, repeat);
        case.post("2", BEGIN + 1, Some(9 * HOUR));
        let told = |is_new: bool| {
            let (mut all, mut last, mut known) = (Vec::new(), i64::MIN / 2, 0);
            for &at in &case.flushes {
                let quiet = (case.quiet.0..case.quiet.1).contains(&at);
                let there: &[&str] = if quiet { &["2"] } else { &["1", "2"] };
                let reason = if all.is_empty() {
                    "first notification"
                } else if is_new && there.len() > known {
                    "new alerts added"
                } else if last + i64::try_from(repeat).unwrap() * SECOND < at {
                    "repeat interval elapsed"
                } else {
                    continue;
                };
                (last, known) = (at, there.len());
                all.push(case.sent(at, reason, there));
            }
            all
        };
        let (ours, theirs) = (told(false), told(true));
        (case, ours, theirs)
    });
}

#[test]
fn end_of_what_nobody_heard_of_is_not_told_while_the_rest_is_muted() {
    check(|rng| {
        let mut case = Case::new(rng, 14_400);
        let (from, to) = case.quiet;
        let fires = rng.i64(from / SECOND + 1..to / SECOND - 1) * SECOND + 500;
        case.post("2", fires, Some(9 * HOUR));
        case.post("2", fires + 1, Some(fires + 1));
        let flush = *case.flushes.iter().find(|at| **at > fires).unwrap();
        let first = case.sent(BEGIN + 10 * SECOND, "first notification", &["1"]);
        let ended = |at, reason, firing: &[&'static str]| Sent {
            resolved: vec![name("2")],
            ..case.sent(at, reason, firing)
        };
        if flush > to {
            // Alert 1 is there again.
            let both = vec![first, ended(flush, "some alerts resolved", &["1"])];
            return (case, both.clone(), both);
        }
        if case.timeline.routes[0].mute.is_some() {
            // Off hours nobody is there: Alertmanager tells nothing either.
            return (case, vec![first.clone()], vec![first]);
        }
        let back = *case.flushes.iter().find(|at| **at > to).unwrap();
        let theirs = vec![
            first.clone(),
            ended(flush, "all alerts resolved", &[]),
            case.sent(back, "first notification", &["1"]),
        ];
        (case, vec![first], theirs)
    });
}

#[test]
fn alert_that_is_not_known_any_more_may_end_once_more() {
    check(|rng| {
        let mut case = Case::new(rng, 14_400).loud();
        case.post("2", BEGIN + 1, Some(9 * HOUR));
        case.post("2", BEGIN + 60 * SECOND, Some(BEGIN + 60 * SECOND));
        // It is remembered for a quarter of an hour and a bit.
        let minutes = rng.choice([3, 10, 20, 40]).unwrap();
        let fires = minutes * MINUTE + 500;
        case.post("2", fires, Some(9 * HOUR));
        case.post("2", fires + 1, Some(fires + 1));
        let next = |moment: i64| *case.flushes.iter().find(|at| **at > moment).unwrap();
        let ended = |at| {
            let told = case.sent(at, "some alerts resolved", &["1"]);
            Sent { resolved: vec![name("2")], ..told }
        };
        let theirs = vec![
            case.sent(BEGIN + 10 * SECOND, "first notification", &["1", "2"]),
            ended(next(BEGIN + 60 * SECOND)),
        ];
        let mut ours = theirs.clone();
        ours.extend((minutes >= 20).then(|| ended(next(fires))));
        if next(fires) == theirs[1].at {
            ours.truncate(2);
        }
        (case, ours, theirs)
    });
}

/// Plays timelines to both. `make` gives what Fanfare and what Alertmanager should send.
fn check(make: impl Fn(&mut Rng) -> (Case, Vec<Sent>, Vec<Sent>)) {
    let mut rng = generate::rng();
    let cases: Vec<_> = (0..count(TIMELINES)).map(|_| make(&mut rng)).collect();
    let timelines: Vec<Timeline> = cases.iter().map(|(case, ..)| case.timeline.clone()).collect();
    let Some(said) = Timeline::play_to_alertmanager(&timelines) else { return };
    let mut differences = Vec::new();
    let mut apart = 0;
    for ((case, ours, theirs), said) in cases.iter().zip(&said) {
        let played = play(&case.timeline);
        apart += usize::from(played != *said);
        for (who, expected, sent) in [("ours", ours, &played), ("theirs", theirs, said)] {
            if expected != sent {
                let show =
                    |all: &[Sent]| -> Vec<String> { all.iter().map(Sent::to_string).collect() };
                differences.push(format!(
                    "{who}: expected {:?}, sent {:?}: {:?}",
                    show(expected),
                    show(sent),
                    case.timeline
                ));
            }
        }
    }
    eprintln!("{} timelines, {apart} of them told otherwise, as foretold", cases.len());
    none_of(&differences);
    assert!(4 * apart > cases.len(), "it makes no difference: {apart}");
}

fn group() -> BTreeMap<String, String> {
    [("g".to_owned(), "1".to_owned())].into()
}

fn labels(a: &'static str) -> BTreeMap<&'static str, &'static str> {
    [("g", "1"), ("a", a)].into()
}

fn name(a: &'static str) -> String {
    fanfare::alert::Labels::from_iter(labels(a)).fingerprint().to_string()
}

// === impl Case ===

impl Case {
    /// Alert 1 fires from the beginning and is quiet for a time: by a silence, another alert, or the hours.
    fn new(rng: &mut Rng, repeat: u64) -> Self {
        let interval = rng.choice([60, 300]).unwrap();
        let mut route = Grouped {
            matchers: "a!=9".to_owned(),
            by: vec!["g"],
            wait: 10,
            interval,
            repeat,
            send_resolved: true,
            active: None,
            mute: None,
        };
        let (mut inhibit, mut steps) = (Vec::new(), Vec::new());
        let from = rng.i64(1..20) * MINUTE + 300;
        let mut quiet = (from, from + rng.i64(2..60) * MINUTE + 137);
        match rng.u8(..if repeat > 3_600 { 3 } else { 2 }) {
            0 => {
                let (starts, ends) = quiet;
                let matchers = "a=1".to_owned();
                let silence = Silencing { name: "n".to_owned(), matchers, starts, ends };
                steps.push(Step { at: 20 * SECOND + 5, silence: Some(silence), ..Step::default() });
            }
            1 => {
                inhibit.push(("a=9".to_owned(), "a=1".to_owned(), vec!["g"]));
                for (at, ends) in [(quiet.0, 9 * HOUR), (quiet.1, quiet.1)] {
                    let post =
                        Post { labels: labels("9"), starts: Some(quiet.0), ends: Some(ends) };
                    steps.push(Step { at, alerts: vec![post], ..Step::default() });
                }
            }
            _ => {
                let times = r#"{"times": [{"start_time": "00:10", "end_time": "00:40"}]}"#;
                route.mute = Some(("part", times));
                quiet = (10 * MINUTE, 40 * MINUTE);
            }
        }
        let end = 2 * HOUR;
        let step = i64::try_from(interval).unwrap() * SECOND;
        let first = BEGIN + 10 * SECOND;
        let flushes = (0..=(end - first) / step).map(|n| first + n * step).collect();
        let mut case = Self {
            timeline: Timeline { routes: vec![route], inhibit, steps, end },
            flushes,
            quiet,
        };
        case.post("1", BEGIN, Some(9 * HOUR));
        case
    }

    /// Nothing is quiet.
    fn loud(mut self) -> Self {
        self.timeline = Timeline { inhibit: Vec::new(), ..self.timeline.without_mutes() };
        self
    }

    fn post(&mut self, a: &'static str, at: i64, ends: Option<i64>) {
        let post = Post { labels: labels(a), starts: Some(BEGIN), ends };
        self.timeline.steps.push(Step { at, alerts: vec![post], ..Step::default() });
        self.timeline.steps.sort_by_key(|step| step.at);
    }

    fn sent(&self, at: i64, reason: &str, firing: &[&'static str]) -> Sent {
        let mut firing: Vec<String> = firing.iter().map(|a| name(a)).collect();
        firing.sort();
        Sent {
            at,
            receiver: format!("r{}", self.timeline.routes.len() - 1),
            group: group(),
            reason: reason.to_owned(),
            firing,
            resolved: Vec::new(),
        }
    }
}
