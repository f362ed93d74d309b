use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{task::JoinHandle, time::sleep};

use super::*;
use crate::{
    api::TargetKey,
    registry::{
        self, Changes, Publisher, Registry,
        fixture::{TargetBuilder, ill, target, well},
    },
};

/// Answers as it is told and notes who was asked when.
#[derive(Debug, Default)]
struct Fake {
    asked: Mutex<Vec<(TargetKey, Instant)>>,
    failing: Mutex<HashMap<TargetKey, Reason>>,
    takes: Mutex<Duration>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

struct Bed {
    fake: Arc<Fake>,
    publisher: Publisher,
    monitor: Arc<Monitor>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    start: Instant,
}

impl Prober for Fake {
    async fn probe(&self, target: &Arc<Target>) -> Sample {
        self.asked.lock().unwrap().push((target.key.clone(), Instant::now()));
        self.most_open.fetch_max(self.open.fetch_add(1, SeqCst) + 1, SeqCst);
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        self.open.fetch_sub(1, SeqCst);
        match self.failing.lock().unwrap().get(&target.key) {
            Some(reason) => ill(*reason),
            None => well(Depth::Answer),
        }
    }
}

impl Bed {
    fn new(max_concurrent: usize) -> Self {
        let fake = Arc::new(Fake::default());
        let publisher = Publisher::new(Registry::default());
        let monitor = Monitor::new(Arc::new(Changes::default()), registry::Metrics::default());
        let stop = CancellationToken::new();
        let probe = Probe {
            settings: Settings { max_concurrent },
            snapshots: publisher.subscribe(),
            prober: Arc::clone(&fake),
            monitor: Arc::clone(&monitor),
            metrics: Metrics::default(),
        };
        let task = tokio::spawn(probe.run(stop.clone()));
        Self { fake, publisher, monitor, stop, task, start: Instant::now() }
    }

    fn apply(&mut self, targets: impl IntoIterator<Item = TargetBuilder>) {
        for one in targets {
            self.publisher.registry().apply_target(Ok(one.build()));
        }
        self.publisher.publish();
    }

    fn fails(&self, name: &str, reason: Option<Reason>) {
        let mut failing = self.fake.failing.lock().unwrap();
        match reason {
            Some(reason) => failing.insert(name.parse().unwrap(), reason),
            None => failing.remove(&name.parse().unwrap()),
        };
    }

    fn all_fail(&self, names: &[String], reason: Option<Reason>) {
        for name in names {
            self.fails(name, reason);
        }
    }

    /// Seconds since the start at which `name` was asked.
    fn asked(&self, name: &str) -> Vec<f64> {
        let key: TargetKey = name.parse().unwrap();
        let asked = self.fake.asked.lock().unwrap();
        let of_key = asked.iter().filter(|(asked, _)| *asked == key);
        of_key.map(|(_, at)| (*at - self.start).as_secs_f64()).collect()
    }

    fn count(&self) -> usize {
        self.fake.asked.lock().unwrap().len()
    }

    fn target(&self, name: &str) -> Arc<Target> {
        let snapshot = self.publisher.subscribe().borrow().clone();
        Arc::clone(snapshot.target(&name.parse().unwrap()).unwrap())
    }

    fn health(&self, name: &str) -> HealthState {
        self.target(name).live.health()
    }
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_target_has_a_verdict_at_once_and_is_asked_every_interval() {
    let mut bed = Bed::new(64);
    bed.apply([target("a/x")]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bed.health("a/x"), HealthState::Healthy);
    seconds(3_600).await;
    let gaps = gaps(&bed.asked("a/x"));
    assert!((5.9..=66.1).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps[1..].iter().all(|gap| (54.0..=66.1).contains(gap)), "{gaps:?}");
    assert!((54..=68).contains(&gaps.len()));
    let second = gaps[1];
    assert!(gaps[1..].iter().any(|gap| (gap - second).abs() > 1.0), "jittered");
}

#[tokio::test(start_paused = true)]
async fn a_dead_target_is_unhealthy_within_seconds_and_recovers_soon() {
    let mut bed = Bed::new(64);
    bed.fails("a/x", Some(Reason::ConnectFailed));
    bed.apply([target("a/x")]);
    seconds(5).await;
    assert_eq!(bed.health("a/x"), HealthState::Unhealthy);
    seconds(300).await;
    let asked = bed.asked("a/x");
    assert!(gaps(&asked[..3]).iter().all(|gap| (1.8..=2.21).contains(gap)), "{asked:?}");
    assert!(gaps(&asked[2..]).iter().all(|gap| (13.5..=16.6).contains(gap)), "{asked:?}");
    bed.fails("a/x", None);
    seconds(17).await;
    assert_eq!(bed.health("a/x"), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_are_asked_at_once_and_nobody_is_left_out() {
    let mut bed = Bed::new(8);
    *bed.fake.takes.lock().unwrap() = Duration::from_secs(1);
    bed.apply((0..100).map(|index| target(&format!("a/{index}"))));
    seconds(20).await;
    assert_eq!(bed.fake.most_open.load(SeqCst), 8);
    for index in 0..100 {
        assert_eq!(bed.health(&format!("a/{index}")), HealthState::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn many_new_targets_are_no_burst() {
    let mut bed = Bed::new(10_000);
    bed.apply((0..1_000).map(|index| target(&format!("a/{index}"))));
    seconds(1).await;
    assert!((50..200).contains(&bed.count()), "{}", bed.count());
    seconds(6).await;
    assert!((500..1_100).contains(&bed.count()), "{}", bed.count());
}

#[tokio::test(start_paused = true)]
async fn targets_that_came_together_are_asked_evenly_spread() {
    let mut bed = Bed::new(10_000);
    bed.apply((0..6_000).map(|index| target(&format!("a/{index}"))));
    seconds(80).await;
    for _ in 0..60 {
        let before = bed.count();
        seconds(1).await;
        let asked = bed.count() - before;
        assert!(
            (50..=150).contains(&asked),
            "a hundred a second on average, and {asked} in this one"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn another_endpoint_or_credential_or_check_is_asked_at_once() {
    let mut bed = Bed::new(64);
    bed.apply([target("a/x")]);
    seconds(1).await;
    bed.apply([target("a/x").with(|target| target.generation = 2)]);
    seconds(1).await;
    assert_eq!(bed.count(), 1, "an edit of something else is no reason");
    bed.apply([target("a/x").credential("new")]);
    seconds(1).await;
    assert_eq!(bed.count(), 2);
    let always = |target: &mut Target| target.probe = Some(crate::registry::ProbePlan::Always);
    bed.apply([target("a/x").credential("new").with(always)]);
    seconds(1).await;
    assert_eq!(bed.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_interval_counts_at_once() {
    let mut bed = Bed::new(64);
    bed.apply([target("a/x")]);
    seconds(1).await;
    bed.apply([target("a/x").with(|target| target.health.interval = Duration::from_secs(5))]);
    seconds(6).await;
    assert_eq!(bed.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_removed_the_suspended_and_the_unchecked_are_not_asked() {
    let mut bed = Bed::new(64);
    bed.apply([
        target("a/gone"),
        target("a/off").suspended(),
        target("a/never").with(|target| target.probe = None),
    ]);
    seconds(1).await;
    bed.publisher.registry().remove_target(&"a/gone".parse().unwrap());
    bed.publisher.publish();
    seconds(600).await;
    assert_eq!(bed.count(), 1);
    bed.apply([target("a/off")]);
    seconds(1).await;
    assert_eq!(bed.asked("a/off").len(), 1, "resumed, so asked at once");
}

#[tokio::test(start_paused = true)]
async fn a_recent_delivery_makes_a_question_needless() {
    let mut bed = Bed::new(64);
    bed.apply([target("a/x")]);
    seconds(1).await;
    let live = Arc::clone(&bed.target("a/x").live);
    for _ in 0..60 {
        let now = Moment { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        live.delivered(Duration::from_millis(5), now);
        seconds(10).await;
    }
    assert_eq!(bed.count(), 1);
    seconds(140).await;
    assert!(bed.count() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_delivery_makes_a_question_soon() {
    let mut bed = Bed::new(64);
    let names: Vec<_> = (0..20).map(|index| format!("a/{index}")).collect();
    bed.apply(names.iter().map(|name| target(name)));
    seconds(100).await;
    let now = Moment { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH };
    let failed = Sample { source: SampleSource::Delivery, ..ill(Reason::ConnectFailed) };
    for name in &names {
        bed.monitor.record(&bed.target(name), &failed, now);
    }
    seconds(16).await;
    for name in &names {
        assert!(bed.asked(name).iter().any(|at| *at > 100.0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_overruns_is_a_timeout_and_frees_its_place() {
    let mut bed = Bed::new(1);
    *bed.fake.takes.lock().unwrap() = Duration::from_secs(100_000);
    bed.apply([target("a/x"), target("a/y")]);
    seconds(120).await;
    assert_eq!(bed.health("a/x"), HealthState::Unhealthy);
    assert_eq!(bed.health("a/y"), HealthState::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_former_self_counts_nothing() {
    let mut bed = Bed::new(64);
    *bed.fake.takes.lock().unwrap() = Duration::from_secs(5);
    bed.apply([target("a/x")]);
    seconds(1).await;
    let former = bed.target("a/x");
    bed.fails("a/x", Some(Reason::ConnectFailed));
    bed.apply([target("a/x").credential("new")]);
    seconds(5).await;
    assert_eq!(former.live.health(), HealthState::Unknown);
    assert!(!former.live.last_failed());
    assert_eq!(bed.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn verdicts_freeze_when_our_own_network_fails_and_thaw_after_it() {
    let mut bed = Bed::new(64);
    let names: Vec<String> = (0..50).map(|index| format!("a/{index}")).collect();
    bed.apply(names.iter().map(|name| target(name)));
    seconds(120).await;
    bed.all_fail(&names, Some(Reason::DNSFailed));
    seconds(600).await;
    assert!(bed.monitor.frozen());
    for name in &names {
        assert_eq!(bed.health(name), HealthState::Healthy, "{name}");
    }
    bed.all_fail(&names, None);
    seconds(60).await;
    assert!(!bed.monitor.frozen());
}

#[tokio::test(start_paused = true)]
async fn ends_when_told_to() {
    let bed = Bed::new(64);
    bed.stop.cancel();
    bed.task.await.unwrap();
}
