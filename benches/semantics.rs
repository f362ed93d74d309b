//! What alert semantics cost, without disk and network: routing and dispatch of a new alert at 100 routes, a
//! re-sent alert, 100,000 alerts in as many groups, a flush of them all, a silence of them all.
//!
//! Prints the best of several rounds, and resident memory. `FANFARE_ALERTS` changes how many alerts there are.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints figures and stops if it can't"
)]

use std::{env, fs, sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Labels},
    api::{AlertRouteSpec, MatchType, TargetKey},
    clock::Moment,
    dispatch::{
        Limits, Mute, Next, Plan, Recipient, Role, RouteTerms, Settings, Settled, State, Verdict,
    },
    publish::{SilenceDraft, SilenceId, SilenceMatcher, Source},
    routing::{GroupBy, Grouping, Route, RouteSettings, RouteTable},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

const BATCH: usize = 256;

fn main() {
    let count = env::var("FANFARE_ALERTS").map_or(100_000, |count| count.parse().unwrap());
    let routes = plan(100, None);
    let (mut new, mut again) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let mut state = started(&routes);
        new = new.min(accept(&mut state, 20_000, 0));
        again = again.min(accept(&mut state, 20_000, 60));
        assert!(state.take_facts().is_empty(), "a re-sent alert is written");
    }
    println!("100 routes: new alert {new:?}, re-sent unchanged alert {again:?}");

    let grouping = Grouping {
        by: GroupBy::Labels(["alertname".into(), "instance".into()].into()),
        wait: Duration::from_secs(30),
        interval: Duration::from_mins(5),
    };
    let before = resident();
    let mut state = started(&plan(1, Some(&Arc::new(grouping))));
    let each = accept(&mut state, count, 0);
    println!("{count} groups: {each:?} an alert, {} MiB", (resident() - before) >> 20);
    let started = Instant::now();
    let told = deliver(&mut state, at(31));
    let took = started.elapsed();
    assert_eq!(told, count);
    println!(
        "{count} groups flushed and told in {took:?} ({:?} each), {} MiB",
        took / u32::try_from(count).unwrap(),
        (resident() - before) >> 20
    );
    let started = Instant::now();
    assert_eq!(deliver(&mut state, at(31 + 300)), 0);
    println!("{count} groups looked at again without news in {:?}", started.elapsed());
    silence(&mut state, (count, at(400)));
}

/// A silence of everything begins; nobody else has the state during one of its steps.
fn silence(state: &mut State, (count, now): (usize, Moment)) {
    let matcher =
        SilenceMatcher { name: "namespace".into(), kind: MatchType::Equal, value: "prod".into() };
    let draft = SilenceDraft {
        id: None,
        matchers: vec![matcher],
        starts_at: now.wall,
        ends_at: now.wall + Duration::from_hours(1),
        created_by: "bench".into(),
        comment: "quiet".into(),
        annotations: [].into(),
    };
    let mut started = Instant::now();
    let (mut steps, mut longest, mut together) = (0, Duration::ZERO, Duration::ZERO);
    state.set_silence(draft, SilenceId(uuid::Uuid::from_u128(1)), 0, now).unwrap();
    while state.is_turning() {
        let _ = state.turn(now);
        state.take_facts();
        let took = started.elapsed();
        (steps, longest, together) = (steps + 1, longest.max(took), together + took);
        started = Instant::now();
    }
    assert_eq!(state.muted_alerts()[Mute::Silenced as usize], count);
    println!("{count} alerts silenced in {together:?}: {steps} steps, the longest {longest:?}");
}

fn at(second: i64) -> Moment {
    let wall = Timestamp::from_second(1_800_000_000 + second).unwrap();
    Moment { mono: Instant::now() + Duration::from_secs(second.unsigned_abs()), wall }
}

fn alert(number: usize, second: i64) -> Alert {
    let starts_at = at(0).wall;
    Alert {
        labels: Labels::from_iter([
            ("alertname", format!("DiskNearlyFull{}", number % 50)),
            ("instance", format!("host-{number}.example.com:9100")),
            ("job", format!("job-{}", number % 100)),
            ("namespace", "prod".to_owned()),
            ("severity", "warning".to_owned()),
        ]),
        annotations: Labels::from_iter([("summary", "The disk of this host is nearly full")]),
        starts_at,
        ends_at: at(second + 3_600).wall,
        timeout: false,
        generator_url: "http://prometheus.example.com/graph".into(),
        updated_at: at(second).wall,
    }
}

/// `count` routes, each of which wants the alerts of one job, with one target.
fn plan(count: usize, grouping: Option<&Arc<Grouping>>) -> Arc<Plan> {
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let compile = |number: usize| {
        let matchers = if count == 1 { String::new() } else { format!("job=job-{number}") };
        let spec = json!({"matcherExpr": format!("{{{matchers}}}"), "targets": [{"name": "t"}]});
        let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
        let key = format!("prod/r{number}").parse().unwrap();
        Arc::new(Route::compile(key, "u".into(), 1, Arc::new(spec), &settings).unwrap())
    };
    let routes: Vec<_> = (0..count).map(compile).collect();
    let mut plan = Plan::new(Arc::new(RouteTable::new(routes.clone())));
    for route in routes {
        let recipient = Recipient {
            target: target(),
            uid: "t".into(),
            send_resolved: true,
            suspended: false,
            limits: Limits::default(),
            role: Role::Regular,
        };
        let grouping = grouping.cloned();
        let terms = RouteTerms { grouping, ..RouteTerms::default() };
        plan.add(route.key.clone(), terms, vec![recipient]);
    }
    Arc::new(plan)
}

fn target() -> TargetKey {
    TargetKey::new("prod", "t")
}

fn started(plan: &Arc<Plan>) -> State {
    let settings = Settings {
        resolve_timeout: Duration::from_mins(5),
        webhook_max_age: Duration::from_hours(24),
        max_alerts: 1_000_000,
        max_per_name: 0,
        max_bytes: 4 << 30,
        external_url: "".into(),
    };
    let mut state = State::new(settings, at(-3_600));
    let owed = state.reconfigure(plan.clone(), at(0));
    let _ = state.enqueue(owed, at(0));
    state
}

/// Takes `count` alerts in; answers how long one takes, its making left out.
fn accept(state: &mut State, count: usize, second: i64) -> Duration {
    let (mut spent, now) = (Duration::ZERO, at(second));
    for from in (0..count).step_by(BATCH) {
        let alerts = (from..count.min(from + BATCH)).map(|number| alert(number, second)).collect();
        let started = Instant::now();
        let (accepted, owed) = state.accept(alerts, Source::V2, now);
        spent += started.elapsed();
        assert_eq!(accepted.refused, 0);
        if second == 0 {
            state.take_facts();
        }
        let _ = state.enqueue(owed, now);
    }
    spent / u32::try_from(count).unwrap()
}

/// Lets time pass until `now` and delivers everything that is owed then; answers how much that was.
fn deliver(state: &mut State, now: Moment) -> usize {
    let mut told = 0;
    loop {
        let (owed, _) = state.tick(now);
        let more = !owed.is_empty();
        state.take_facts();
        let _ = state.enqueue(owed, now);
        loop {
            match state.next(&target(), now, &mut |_, _| Verdict::Send) {
                Next::Send(_, ticket) => {
                    let settlement = state.settle(ticket, Settled::Delivered, now);
                    told += usize::from(settlement.ended.is_empty());
                }
                Next::More => {}
                Next::Nothing => break,
            }
        }
        state.take_facts();
        if !more && state.next_due(now).is_none_or(|due| !due.is_zero()) {
            return told;
        }
    }
}

/// Resident memory in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
