//! Timelines of grouped alerts: the same notifications, to the millisecond.

use std::{env, fmt::Write as _};

use fastrand::Rng;

use super::{
    generate,
    life::{Life, MINUTE, SECOND},
    oracle::none_of,
    player::play,
    timeline::{Grouped, Post, Sent, Step, Timeline},
};

/// Timelines of one run unless `FANFARE_TIMELINES` says otherwise.
const TIMELINES: usize = 400;

#[test]
fn grouped_alerts_are_told_as_by_alertmanager() {
    let count = count(TIMELINES);
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

/// How many timelines this run has.
pub(super) fn count(usual: usize) -> usize {
    let count = env::var("FANFARE_TIMELINES").ok();
    count.map_or(usual, |count| count.parse().expect("FANFARE_TIMELINES is a number"))
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
    for rule in &timeline.inhibit {
        writeln!(text, "{rule:?}").unwrap();
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
        active: None,
        mute: None,
    };
    let routes: Vec<_> = (0..rng.usize(1..=3)).map(|_| route(rng)).collect();
    let mut alerts: Vec<Life> = (0..rng.usize(1..=6)).map(|_| Life::new(rng, false)).collect();
    // Named differences: a resolve that is sent again (also of what expired) is told again by Alertmanager if
    // something else was told meanwhile; an alert that resolved without being told and fires again is not told.
    Life::distinct(&mut alerts);
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
