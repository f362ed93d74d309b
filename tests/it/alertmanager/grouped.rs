//! Timelines of grouped alerts: the same notifications, to the millisecond.

use std::{collections::BTreeMap, env, fmt::Write as _};

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
            let part = first_difference(timeline, &ours, theirs);
            differences.push(format!("timeline {at}: {part}"));
        }
    }
    eprintln!("{count} timelines, {sent} notifications");
    none_of(&differences);
    assert!(sent > 3 * count, "too little happens: {sent}");
}

/// Where both part, and what happened until then.
pub(super) fn first_difference(timeline: &Timeline, ours: &[Sent], theirs: &[Sent]) -> String {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    let at = at.unwrap_or_else(|| ours.len().min(theirs.len()));
    let part = [ours.get(at), theirs.get(at)];
    let until = part.iter().flatten().map(|sent| sent.at).max().unwrap_or(timeline.end);
    let mut text = String::new();
    for route in &timeline.routes {
        writeln!(text, "{route:?}").unwrap();
    }
    for Step { at, alerts, silence, expire } in &timeline.steps {
        if *at <= until {
            let posts = alerts.iter().map(Post::to_string).collect::<Vec<_>>().join(" ");
            writeln!(text, "  {at}: {posts} {silence:?} {expire:?}").unwrap();
        }
    }
    for sent in &theirs[..at] {
        writeln!(text, "  both {sent}").unwrap();
    }
    let [ours, theirs] =
        part.map(|sent| sent.map_or_else(|| "nothing".to_owned(), Sent::to_string));
    text + "  ours " + &ours + "\n  Alertmanager's " + &theirs
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
    // Named differences: a resolve that is sent again (also of what expired) is told again by Alertmanager if
    // something else was told meanwhile; an alert that resolved without being told and fires again is not told.
    alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
    alerts.dedup_by(|a, b| a.labels == b.labels);
    let once = routes.iter().any(|route| !route.send_resolved);
    let mut steps = Vec::new();
    let mut now = 0;
    for at in 0..rng.i64(4..60) {
        now += rng.choice([0, 0, SECOND, 20 * SECOND, MINUTE, 3 * MINUTE, 10 * MINUTE]).unwrap();
        // Alertmanager takes the alerts of one post in at once and in any order: one alert a step, no two steps
        // at the same moment, no step and timer either.
        let moment = now + 1 + at;
        let life = rng.usize(..alerts.len());
        let alerts = alerts[life].post(moment, rng, once).into_iter().collect();
        steps.push(Step { at: moment, alerts, ..Step::default() });
    }
    Timeline { routes, inhibit: Vec::new(), steps, end: now + 30 * MINUTE }
}

/// One alert, what its sender believes, and until when Alertmanager believes it.
struct Life {
    labels: BTreeMap<&'static str, &'static str>,
    starts: Option<i64>,
    until: i64,
    /// The sender did not say until when.
    timeout: bool,
    over: bool,
}

// === impl Life ===

impl Life {
    fn new(rng: &mut Rng) -> Self {
        let labels = [
            ("g", rng.choice(["1", "2"]).unwrap()),
            ("s", rng.choice(["x", "y"]).unwrap()),
            ("a", rng.choice(["1", "2", "3", "4"]).unwrap()),
        ];
        Self { labels: labels.into(), starts: None, until: i64::MIN, timeout: true, over: false }
    }

    /// The next thing that its sender says. `once`: it does not fire again once it is over.
    fn post(&mut self, now: i64, rng: &mut Rng, once: bool) -> Option<Post> {
        let fires = self.until > now;
        self.over |= self.starts.is_some() && !fires;
        if self.over && once {
            return None;
        }
        let labels = self.labels.clone();
        if fires && rng.u8(..3) == 0 {
            let starts = self.starts.take();
            let ends = now - rng.choice([0, 0, SECOND / 2]).unwrap();
            (self.until, self.over) = (ends, true);
            return Some(Post { labels, starts, ends: Some(ends) });
        }
        if !fires && rng.bool() {
            self.starts = None;
        }
        let before = rng.choice([0, 0, 0, SECOND, 40 * SECOND]).unwrap();
        let starts = *self.starts.get_or_insert(now - before);
        let ends = match rng.u8(..4) {
            0 => None,
            1 => Some(now + MINUTE),
            _ => Some(now + 4 * MINUTE),
        };
        let until = ends.unwrap_or(now + 5 * MINUTE);
        // A time that a sender named holds if it is the latest.
        (self.until, self.timeout) = if self.until > until && !self.timeout {
            (self.until, false)
        } else {
            (until, ends.is_none())
        };
        let unsaid = ends.is_none() && rng.u8(..3) == 0;
        Some(Post { labels, starts: (!unsaid).then_some(starts), ends })
    }
}
