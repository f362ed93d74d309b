//! What it costs to render a notification for each target type, with one alert and with a hundred.
//!
//! Bytes and allocations of one rendering are printed first. The allocator that counts them stays in place for
//! the timing, where it costs each allocation a lock. Time is that of the processor, so that other programs on the
//! machine change little.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it stops if the input is wrong")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{
    BenchmarkId, Criterion, Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use fanfare::{
    alert::{
        Alert, Labels, Member, Notification, NotificationReason, Status, group_key, incident_key,
    },
    api::{ConfigMapKeyRef, SecretKeyRef, TargetKey},
    clock::Moment,
    delivery::{Credentials, Missing, Object, bodies, compile},
    registry::Target,
};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Processor time of the measuring thread.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// The same text for every key: a routing key is the pickiest of them.
struct Same(&'static [u8]);

impl Credentials for Same {
    fn secret(&self, _: &SecretKeyRef) -> Result<&[u8], Missing> {
        Ok(self.0)
    }

    fn config_map(&self, _: &ConfigMapKeyRef) -> Result<&[u8], Missing> {
        Err(Missing::NotFound)
    }
}

fn target(spec: Value, secret: &'static str) -> Target {
    let object = Object {
        key: TargetKey::new("monitoring", "oncall"),
        uid: "0f2d3c1e-8a4b-4a7e-9f63-2f1f5f0c9f11".into(),
        generation: 1,
        labels: Arc::default(),
        spec: Arc::new(serde_json::from_value(spec).unwrap()),
    };
    compile(object, &Same(secret.as_bytes()), Moment::now()).map_err(|why| why.message).unwrap()
}

fn targets() -> Vec<(&'static str, Target)> {
    let from = json!({"name": "s", "key": "k"});
    let address = "https://hooks.example.com/services/T0/B0/x";
    let webhook = |format: &str| {
        let webhook = json!({"url": "http://receiver.example.com/"});
        target(json!({"type": "Webhook", "webhook": webhook, "payload": {"format": format}}), "")
    };
    let key = "0123456789abcdef0123456789abcdef";
    vec![
        ("PrometheusV4", webhook("PrometheusV4")),
        ("Native", webhook("Native")),
        (
            "Slack",
            target(json!({"type": "Slack", "slack": {"webhookURLSecretRef": from}}), address),
        ),
        (
            "PagerDuty",
            target(json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": from}}), key),
        ),
        (
            "Rootly",
            target(json!({"type": "Rootly", "rootly": {"webhookURLSecretRef": from}}), address),
        ),
        (
            "Alertmanager",
            target(
                json!({"type": "Alertmanager", "alertmanager": {"urls": ["http://am:9093"]}}),
                "",
            ),
        ),
    ]
}

/// An alert as Prometheus in Kubernetes has them: eight labels, two annotations.
fn alert(number: usize, now: Timestamp) -> Alert {
    let pod = format!("checkout-7d9f8b6c5d-{number:05}");
    let instance = format!("10.42.{}.{}:8080", number / 200, number % 200);
    let labels = [
        ("alertname", "KubePodCrashLooping"),
        ("cluster", "prod-eu-central-1"),
        ("container", "checkout"),
        ("instance", &instance),
        ("job", "kube-state-metrics"),
        ("namespace", "shop"),
        ("pod", &pod),
        ("severity", "warning"),
    ];
    let description = format!(
        "Pod shop/{pod} (checkout) is in waiting state (reason: \"CrashLoopBackOff\") on cluster prod-eu-central-1."
    );
    Alert {
        labels: labels.into_iter().collect(),
        annotations: [("summary", "Pod is crash looping."), ("description", &description)]
            .into_iter()
            .collect(),
        starts_at: now - Duration::from_millis(61_234),
        ends_at: now + Duration::from_hours(1),
        timeout: true,
        generator_url: "http://prometheus.example.com/graph?g0.expr=max_over_time%28kube_pod_container_status_waiting_reason%7Breason%3D%22CrashLoopBackOff%22%7D%5B5m%5D%29+%3E%3D+1&g0.tab=1".into(),
        updated_at: now,
    }
}

fn notification(alerts: usize) -> Notification {
    let now = Timestamp::from_millisecond(1_772_360_100_123).unwrap();
    let members = (0..alerts).map(|number| Member {
        alert: Arc::new(alert(number, now)),
        status: if number % 4 == 3 { Status::Resolved } else { Status::Firing },
    });
    let group_labels =
        Labels::from_iter([("alertname", "KubePodCrashLooping"), ("namespace", "shop")]);
    let key = group_key("monitoring/shop", &group_labels);
    Notification {
        id: "5f1d7a1f3b0c4f0aa1b2c3d4e5f60718".into(),
        incident_key: incident_key(&key).into(),
        group_key: key.into(),
        receiver: "monitoring/oncall".into(),
        status: Status::Firing,
        members: members.collect(),
        group_labels,
        reason: NotificationReason::First,
        external_url: "https://fanfare.example.com".into(),
        at: now,
        fallback: false,
        digest: false,
    }
}

fn main() {
    let targets = targets();
    let inputs = [1, 100].map(|alerts| (alerts, notification(alerts)));
    let now = inputs[0].1.at;
    println!("{:<14}{:>8}{:>10}{:>14}", "format", "alerts", "bytes", "allocations");
    let mut cases = Vec::new();
    for (name, target) in &targets {
        for (alerts, notification) in &inputs {
            let profiler = dhat::Profiler::builder().testing().build();
            let before = dhat::HeapStats::get().total_blocks;
            let rendered = bodies(target, notification, now);
            let allocations = dhat::HeapStats::get().total_blocks - before;
            drop(profiler);
            let bytes: usize = rendered.iter().map(bytes::Bytes::len).sum();
            println!("{name:<14}{alerts:>8}{bytes:>10}{allocations:>14}");
            cases.push((*name, target, *alerts, notification, bytes));
        }
    }
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    let mut group = criterion.benchmark_group("render");
    for (name, target, alerts, notification, bytes) in cases {
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(name, alerts), |bencher| {
            bencher.iter(|| black_box(bodies(target, black_box(notification), now)));
        });
    }
    group.finish();
    criterion.final_summary();
}
