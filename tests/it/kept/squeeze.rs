//! A disk that somebody else fills to its last byte while alerts come in and deliveries run.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{EAGER, SEND, SOON, firing, resolved, route, told, wait_told, webhook};
use crate::support::{
    http::{Reply, get, post, try_send},
    operator::{Launch, Operator},
    sink::Sink,
    small_disk::SmallDisk,
    wait::wait_for,
};

/// Longest time for an answer, of whatever kind.
const PATIENCE: Duration = Duration::from_secs(15);
const SENDERS: u32 = 3;

/// A program on a small disk, its receiver and its senders.
struct Squeeze {
    disk: SmallDisk,
    sink: Sink,
    manifests: tempfile::TempDir,
    data: tempfile::TempDir,
}

/// Senders under way.
struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<BTreeSet<String>>>,
}

// === impl Squeeze ===

impl Squeeze {
    async fn new() -> Option<Self> {
        let (manifests, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = SmallDisk::mount(data.path(), "128m")?;
        let sink = Sink::start().await;
        let text = webhook("hook", &sink.url("/"), EAGER) + &route("all", &["hook"], SEND);
        std::fs::write(manifests.path().join("all.yaml"), text).unwrap();
        Some(Self { disk, sink, manifests, data })
    }

    fn launch(&self) -> Launch {
        Launch::on_data(self.manifests.path(), Some(self.data.path())).on_disk(&self.disk)
    }

    /// Waits until everything that was acknowledged was told.
    async fn all_told(&self, acknowledged: &BTreeSet<String>) {
        let missing = || {
            let told: BTreeSet<_> = told(&self.sink).into_iter().map(|one| one.what).collect();
            let firing = acknowledged.iter().map(|name| format!("{name} firing"));
            firing.filter(|what| !told.contains(what)).collect::<Vec<_>>()
        };
        let settled = wait_for("all is told", 3 * SOON, || async { missing().is_empty() });
        let settled = timeout(2 * SOON, settled).await.is_ok();
        assert!(settled, "acknowledged and lost: {:?}", missing());
    }
}

// === impl Load ===

impl Load {
    /// Sends new alerts, large enough that the file must grow. `name` tells runs apart.
    fn start(operator: &Operator, name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let senders = (0..SENDERS).map(|sender| {
            let (stop, url) = (Arc::clone(&stop), operator.intake_url("/api/v2/alerts"));
            tokio::spawn(async move {
                let mut acknowledged = BTreeSet::new();
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let names: Vec<_> =
                        (0..5).map(|n| format!("{name}{sender}x{round}x{n}")).collect();
                    let body: Value = names.iter().map(|name| large(name)).collect();
                    match answer(&url, &body).await {
                        Some(200) => acknowledged.extend(names),
                        Some(503) => tokio::time::sleep(Duration::from_millis(20)).await,
                        Some(other) => panic!("{other}"),
                        // It has ended.
                        None => break,
                    }
                }
                acknowledged
            })
        });
        Self { senders: senders.collect(), stop }
    }

    /// Everything that was acknowledged.
    async fn end(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = BTreeSet::new();
        for sender in self.senders {
            acknowledged.extend(sender.await.unwrap());
        }
        acknowledged
    }
}

fn large(name: &str) -> Value {
    let mut alert = firing(name);
    alert["annotations"]["description"] = json!("x".repeat(4_000));
    alert
}

/// The status of the answer; nothing if the program has ended. Panics if it says nothing.
async fn answer(url: &str, body: &Value) -> Option<u16> {
    let json = [("content-type", "application/json")];
    let asked = try_send(Method::POST, url, &json, Bytes::from(body.to_string()));
    let answered = timeout(PATIENCE, asked).await.expect("every request is answered");
    answered.ok().map(|reply| reply.status.as_u16())
}

async fn say(operator: &Operator, alert: Value) -> Reply {
    post(&operator.intake_url("/api/v2/alerts"), &json!([alert])).await
}

/// Control: a program that does not give up its reserve when a write finds no space ends here.
#[tokio::test(flavor = "multi_thread")]
async fn disk_filled_to_the_last_byte_stops_new_alerts_and_nothing_else() {
    let Some(squeeze) = Squeeze::new().await else { return };
    let (disk, sink) = (&squeeze.disk, &squeeze.sink);
    let mut operator = squeeze.launch().start_ready().await;
    assert_eq!(say(&operator, firing("Known")).await.status, 200);
    wait_told(sink, "Known firing").await;
    let load = Load::start(&operator, "First");
    wait_for("the load runs", SOON, || async { told(sink).len() > 100 }).await;
    disk.fill();
    let refused = Instant::now();
    wait_for("new alerts are refused", SOON, || async {
        say(&operator, firing(&format!("New{:?}", refused.elapsed()))).await.status == 503
    })
    .await;
    let acknowledged = load.end().await;
    assert!(!acknowledged.is_empty());

    let reply = say(&operator, firing("Another")).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.headers.contains_key("retry-after"), "{:?}", reply.headers);
    assert_eq!(say(&operator, firing("Known")).await.status, 200, "a re-send");
    assert_eq!(say(&operator, resolved("Known")).await.status, 200, "an end");
    wait_told(sink, "Known resolved").await;
    squeeze.all_told(&acknowledged).await;
    assert_eq!(get(&operator.admin_url("/livez")).await.status, 200);

    disk.empty();
    let reply = say(&operator, firing("After")).await;
    assert_eq!(reply.status, 200, "the first post after the disk recovered: {}", reply.text());
    wait_told(sink, "After firing").await;
    assert!(operator.terminate().await.success());
    sink.clear();
    let operator = squeeze.launch().start_ready().await;
    assert_eq!(say(&operator, resolved("After")).await.status, 200);
    wait_told(sink, "After resolved").await;
}

/// Whoever takes the space takes what is given up as well.
#[tokio::test(flavor = "multi_thread")]
async fn disk_that_takes_the_reserve_too_never_hangs_the_program_and_loses_nothing() {
    let Some(squeeze) = Squeeze::new().await else { return };
    let (disk, sink) = (Arc::new(&squeeze.disk), &squeeze.sink);
    let mut operator = squeeze.launch().start_ready().await;
    let load = Load::start(&operator, "First");
    wait_for("the load runs", SOON, || async { told(sink).len() > 100 }).await;
    let mut ended = None;
    let until = Instant::now() + Duration::from_secs(4);
    while ended.is_none() && Instant::now() < until {
        disk.fill();
        ended = operator.has_ended();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if ended.is_none() {
        assert_eq!(get(&operator.admin_url("/livez")).await.status, 200);
        operator.signal("TERM");
        ended = Some(operator.wait_exit().await);
    }
    let mut acknowledged = load.end().await;
    let status = ended.expect("it was waited for");
    let log = operator.log_text();
    eprintln!("{status}, {} acknowledged", acknowledged.len());
    assert!(status.success() || status.code() == Some(1) && log.contains("No space left"), "{log}");

    // On the full disk it either serves or says why not and ends.
    let mut full = squeeze.launch().start().await;
    let url = full.intake_url("/api/v2/alerts");
    let new = answer(&url, &json!([firing("New")])).await;
    assert!(new.is_none_or(|status| status == 503), "{new:?}");
    answer(&url, &json!([resolved("New")])).await;
    if full.has_ended().is_none() {
        full.signal("TERM");
    }
    let status = full.wait_exit().await;
    let log = full.log_text();
    assert!(status.success() || status.code() == Some(1) && log.contains("No space left"), "{log}");

    disk.empty();
    let operator = squeeze.launch().start_ready().await;
    assert_eq!(say(&operator, firing("After")).await.status, 200);
    acknowledged.insert("After".to_owned());
    squeeze.all_told(&acknowledged).await;
}
