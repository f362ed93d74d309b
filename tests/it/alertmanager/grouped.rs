//! Timelines of grouped alerts: the same notifications, to the millisecond.

use std::{collections::BTreeMap, env};

use fastrand::Rng;

use super::{
    generate,
    oracle::none_of,
    player::play,
    timeline::{Grouped, Post, Sent, Step, Timeline},
};

/// Timelines of one run unless `FANFARE_TIMELINES` says otherwise.
const TIMELINES: usize = 400;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

#[test]
fn grouped_alerts_are_told_as_by_alertmanager() {
    let count = env::var("FANFARE_TIMELINES").ok();
    let count =
        count.map_or(TIMELINES, |count| count.parse().expect("FANFARE_TIMELINES is a number"));
    let mut rng = generate::rng();
    let timelines: Vec<Timeline> = (0..count).map(|_| generate(&mut rng)).collect();
    let Some(theirs) = Timeline::play_to_alertmanager(&timelines) else { return };
    let mut differences = Vec::new();
    let mut sent = 0;
    for (at, (timeline, theirs)) in timelines.iter().zip(&theirs).enumerate() {
        let ours = play(timeline);
        sent += theirs.len();
        if ours != *theirs {
            differences
                .push(format!("timeline {at}: {timeline:#?}\n{}", first_difference(&ours, theirs)));
        }
    }
    eprintln!("{count} timelines, {sent} notifications");
    none_of(&differences);
    assert!(sent > 3 * count, "too little happens: {sent}");
}

pub(super) fn first_difference(ours: &[Sent], theirs: &[Sent]) -> String {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    let at = at.unwrap_or_else(|| ours.len().min(theirs.len()));
    let same = &theirs[..at];
    format!("the same: {same:#?}\nours: {:#?}\nAlertmanager's: {:#?}", ours.get(at), theirs.get(at))
}

fn generate(rng: &mut Rng) -> Timeline {
    let route = |rng: &mut Rng| Grouped {
        matchers: rng.choice(["s=~\".*\"", "s=x", "a!=4", "g=1"]).unwrap().to_owned(),
        by: rng.choice([vec!["g"], vec![], vec!["..."], vec!["g", "s"], vec!["missing"]]).unwrap(),
        wait: rng.choice([0, 10, 30]).unwrap(),
        interval: rng.choice([60, 300]).unwrap(),
        repeat: rng.choice([60, 600, 3_600]).unwrap(),
        send_resolved: rng.u8(..4) > 0,
    };
    let routes: Vec<_> = (0..rng.usize(1..=3)).map(|_| route(rng)).collect();
    let mut alerts: Vec<Life> = (0..rng.usize(1..=6)).map(|_| Life::new(rng)).collect();
    let mut steps = Vec::new();
    let mut now = 0;
    for at in 0..rng.i64(4..30) {
        now += rng.choice([SECOND, 20 * SECOND, MINUTE, 3 * MINUTE, 10 * MINUTE]).unwrap();
        // No two steps, and no step and no timer, at the same moment.
        let moment = now + 1 + at;
        let posts = (0..rng.usize(1..=3)).map(|_| {
            let life = rng.usize(..alerts.len());
            alerts[life].post(moment, rng)
        });
        let mut posts: Vec<Post> = posts.collect();
        posts.sort_by(|a, b| a.labels.cmp(&b.labels));
        posts.dedup_by(|a, b| a.labels == b.labels);
        steps.push(Step { at: moment, alerts: posts, ..Step::default() });
    }
    Timeline { routes, inhibit: Vec::new(), steps, end: now + 30 * MINUTE }
}

/// One alert and what its sender believes.
struct Life {
    labels: BTreeMap<&'static str, &'static str>,
    starts: Option<i64>,
}

// === impl Life ===

impl Life {
    fn new(rng: &mut Rng) -> Self {
        let labels = [
            ("g", rng.choice(["1", "2"]).unwrap()),
            ("s", rng.choice(["x", "y"]).unwrap()),
            ("a", rng.choice(["1", "2", "3", "4"]).unwrap()),
        ];
        Self { labels: labels.into(), starts: None }
    }

    fn post(&mut self, now: i64, rng: &mut Rng) -> Post {
        let resolves = self.starts.is_some() && rng.u8(..3) == 0;
        if resolves {
            let starts = self.starts.take();
            let ends = now - rng.choice([0, 0, SECOND / 2]).unwrap();
            return Post { labels: self.labels.clone(), starts, ends: Some(ends) };
        }
        let starts = *self
            .starts
            .get_or_insert_with(|| now - rng.choice([0, 0, 0, SECOND, 40 * SECOND]).unwrap());
        let ends = match rng.u8(..4) {
            0 => None,
            1 => Some(now + MINUTE),
            _ => Some(now + 4 * MINUTE),
        };
        let unsaid = rng.u8(..6) == 0;
        Post { labels: self.labels.clone(), starts: (!unsaid).then_some(starts), ends }
    }
}
