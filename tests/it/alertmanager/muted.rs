//! Timelines with silences, inhibition and hours: the same notifications, to the millisecond, until something
//! happens that Fanfare tells otherwise on purpose.

use fastrand::Rng;

use super::{
    generate,
    grouped::{count, first_difference},
    life::{Life, MINUTE, SECOND},
    oracle::none_of,
    player::play,
    quiet::{Quiet, Span},
    timeline::{Grouped, Interval, Sent, Silencing, Step, Timeline},
};

/// Timelines of each test unless `FANFARE_TIMELINES` says otherwise.
const TIMELINES: usize = 400;

const INTERVALS: [Interval; 8] = [
    ("early", r#"{"times": [{"start_time": "00:05", "end_time": "00:25"}]}"#),
    (
        "halves",
        r#"{"times": [{"start_time": "00:00", "end_time": "00:30"}, {"start_time": "01:00", "end_time": "01:30"}, {"start_time": "02:00", "end_time": "24:00"}]}"#,
    ),
    ("saturday", r#"{"weekdays": ["saturday"]}"#),
    ("workdays", r#"{"weekdays": ["monday:friday"]}"#),
    (
        "india",
        r#"{"times": [{"start_time": "05:50", "end_time": "06:40"}], "location": "Asia/Kolkata"}"#,
    ),
    (
        "brisbane",
        r#"{"times": [{"start_time": "10:20", "end_time": "11:10"}], "location": "Australia/Brisbane", "years": ["2000:2010"]}"#,
    ),
    ("first", r#"{"days_of_month": ["1", "-31"], "months": ["january"]}"#),
    (
        "last",
        r#"{"days_of_month": ["-1"], "times": [{"start_time": "19:30", "end_time": "20:30"}], "location": "America/New_York"}"#,
    ),
];

const RULES: [(&str, &str, &[&str]); 6] = [
    ("s=x", "s=y", &["g"]),
    ("a=1", "a=~\"2|3\"", &[]),
    ("s=~\"x|y\"", "a=~\"1|2\"", &["g"]),
    ("a=~\"1|2\"", "s=y", &["g", "missing"]),
    ("a!=4", "a!=4", &["g", "s"]),
    ("a=~\"1|2|3\"", "s=y", &["s"]),
];

const SILENCED: [&str; 6] =
    ["a=1", "s=x", "g=1", "a=~\"1|2\"", "a!=3,s=y", "g=2,missing=\"\",s!~\"x\""];

/// What mutes in a timeline.
#[derive(Clone, Copy, Debug, Default)]
struct Mutes {
    silences: bool,
    inhibition: bool,
    hours: bool,
}

/// A timeline, and what the comparison has to know of it.
struct Generated {
    timeline: Timeline,
    lives: Vec<Life>,
    silences: Vec<Span>,
}

#[test]
fn silenced_alerts_are_absent_as_in_alertmanager() {
    compare(Mutes { silences: true, ..Mutes::default() });
}

#[test]
fn inhibited_alerts_are_absent_as_in_alertmanager() {
    compare(Mutes { inhibition: true, ..Mutes::default() });
}

#[test]
fn routes_off_hours_are_quiet_as_in_alertmanager() {
    compare(Mutes { hours: true, ..Mutes::default() });
}

#[test]
fn everything_that_mutes_goes_together_as_in_alertmanager() {
    compare(Mutes { silences: true, inhibition: true, hours: true });
}

fn compare(mutes: Mutes) {
    let count = count(TIMELINES);
    let mut rng = generate::rng();
    let all: Vec<Generated> = (0..count).map(|_| generate(&mut rng, mutes)).collect();
    let timelines: Vec<Timeline> = all.iter().map(|one| one.timeline.clone()).collect();
    let Some(theirs) = Timeline::play_to_alertmanager(&timelines) else { return };
    let mut differences = Vec::new();
    let (mut sent, mut compared, mut whole, mut quieted) = (0, 0, 0, 0);
    for (at, (one, theirs)) in all.iter().zip(&theirs).enumerate() {
        let ours = play(&one.timeline);
        let partings = Quiet::new(&one.timeline, &one.lives, &one.silences).partings(theirs);
        let until_parting = |all: &[Sent]| -> Vec<Sent> {
            let counts = |sent: &&Sent| {
                let group = (sent.receiver.clone(), sent.group.clone());
                partings.get(&group).is_none_or(|last| sent.at <= *last)
            };
            all.iter().filter(counts).cloned().collect()
        };
        let (ours, both) = (until_parting(&ours), until_parting(theirs));
        sent += theirs.len();
        compared += both.len();
        whole += usize::from(partings.is_empty());
        let loud = Timeline { inhibit: Vec::new(), ..one.timeline.clone() }.without_mutes();
        quieted += usize::from(play(&loud) != play(&one.timeline));
        if ours != both {
            let part = first_difference(&one.timeline, &ours, &both);
            differences.push(format!("timeline {at}: {part}"));
        }
    }
    eprintln!(
        "{mutes:?}: {count} timelines ({quieted} in which something is muted, {whole} compared to their end), \
         {compared} of {sent} notifications compared"
    );
    none_of(&differences);
    assert!(2 * compared > sent, "too much is left out: {compared} of {sent}");
    assert!(3 * quieted > count, "too little is muted: {quieted} of {count}");
}

fn generate(rng: &mut Rng, mutes: Mutes) -> Generated {
    let interval = |rng: &mut Rng| rng.choice(INTERVALS).filter(|_| mutes.hours && rng.u8(..4) > 0);
    let route = |rng: &mut Rng| Grouped {
        matchers: rng.choice(["s=~\".*\"", "s=x", "a!=4", "g=1"]).unwrap().to_owned(),
        by: rng.choice([vec!["g"], vec![], vec!["..."], vec!["g", "s"], vec!["missing"]]).unwrap(),
        wait: rng.choice([0, 10, 30]).unwrap(),
        interval: rng.choice([60, 300]).unwrap(),
        repeat: rng.choice([600, 3_600, 14_400]).unwrap(),
        send_resolved: rng.u8(..8) > 0,
        active: interval(rng).filter(|_| rng.bool()),
        mute: interval(rng),
    };
    let routes: Vec<_> = (0..rng.usize(1..=3)).map(|_| route(rng)).collect();
    let mut lives: Vec<Life> = (0..rng.usize(2..=6)).map(|_| Life::new(rng, true)).collect();
    Life::distinct(&mut lives);
    let rules = if mutes.inhibition { rng.usize(1..=2) } else { 0 };
    let rule = |rng: &mut Rng| {
        let (source, target, equal) = rng.choice(RULES).unwrap();
        (source.to_owned(), target.to_owned(), equal.to_vec())
    };
    let inhibit = (0..rules).map(|_| rule(rng)).collect();
    let once = routes.iter().any(|route| !route.send_resolved);
    let mut silences = Silences::default();
    let (mut steps, mut now) = (Vec::new(), 0);
    for at in 0..rng.i64(4..60) {
        now += rng.choice([0, 0, SECOND, 20 * SECOND, MINUTE, 3 * MINUTE, 10 * MINUTE]).unwrap();
        let mut step = Step { at: now + 1 + at, ..Step::default() };
        if mutes.silences && rng.u8(..6) == 0 {
            silences.next(&mut step, rng);
        } else {
            let life = rng.usize(..lives.len());
            step.alerts = lives[life].post(step.at, rng, once).into_iter().collect();
        }
        steps.push(step);
    }
    let timeline = Timeline { routes, inhibit, steps, end: now + 30 * MINUTE };
    Generated { timeline, lives, silences: silences.spans }
}

/// What somebody does with silences.
#[derive(Default)]
struct Silences {
    spans: Vec<Span>,
    /// The present span of each name.
    named: Vec<usize>,
}

// === impl Silences ===

impl Silences {
    fn next(&mut self, step: &mut Step, rng: &mut Rng) {
        let now = step.at;
        if self.named.is_empty() || rng.u8(..3) == 0 {
            let matchers = rng.choice(SILENCED).unwrap().to_owned();
            let (from, to) = times(now, rng);
            self.named.push(self.spans.len());
            self.spans.push(Span { matchers: matchers.clone(), from, to });
            let name = format!("n{}", self.named.len() - 1);
            step.silence = Some(Silencing { name, matchers, starts: from, ends: to });
            return;
        }
        let which = rng.usize(..self.named.len());
        let name = format!("n{which}");
        let span = &mut self.spans[self.named[which]];
        if rng.bool() {
            step.expire = Some(name);
            span.end(now);
            return;
        }
        let (mut starts, ends) = times(now, rng);
        let matchers =
            if rng.u8(..3) == 0 { rng.choice(SILENCED).unwrap() } else { &span.matchers };
        let same = matchers == span.matchers;
        let matchers = matchers.to_owned();
        step.silence = Some(Silencing { name, matchers: matchers.clone(), starts, ends });
        if same && span.from > now {
            (span.from, span.to) = (starts, ends);
            return;
        }
        if same && span.to > now {
            // Only its end may be another one, or it is another silence.
            starts = if rng.bool() { span.from } else { starts };
            step.silence = Some(Silencing { starts, ..step.silence.take().unwrap() });
            if starts.div_euclid(SECOND) == span.from.div_euclid(SECOND) {
                span.to = ends;
                return;
            }
        }
        span.end(now);
        self.named[which] = self.spans.len();
        self.spans.push(Span { matchers, from: starts.max(now), to: ends });
    }
}

/// From and until when, never at a moment at which something else happens.
fn times(now: i64, rng: &mut Rng) -> (i64, i64) {
    let later = rng.choice([0, 0, MINUTE + 300, 5 * MINUTE + 300]).unwrap();
    let long = rng.choice([2, 6, 20, 60]).unwrap() * MINUTE + 137;
    (now + later, now + later + long)
}

// === impl Span ===

impl Span {
    /// It is over at that moment.
    fn end(&mut self, now: i64) {
        if self.from > now {
            self.from = i64::MAX;
        }
        self.to = self.to.min(now);
    }
}
