//! What a sender was told is safe survives `kill -9`: the real program, killed over and over under load, with
//! receivers that fail in turns.
//!
//! Among the receivers are two that are told of groups; some alerts are silenced now and then. The sender keeps a
//! record of its own of what was acknowledged, the receivers of what came. Control:
//! [`without_a_data_directory_the_same_run_finds_losses`].

mod judge;
mod receivers;
mod sender;
mod silencer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{
    http::get,
    operator::{Launch, Operator},
};

use tokio::time::{sleep, timeout};

use receivers::Receivers;
use sender::Senders;
use silencer::Silencer;

const SETTLE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);

/// One run: a program that is killed, its senders and its receivers.
struct Run {
    manifests: tempfile::TempDir,
    data: Option<PathBuf>,
    receivers: Receivers,
    senders: Senders,
    silencer: Silencer,
    rng: fastrand::Rng,
    /// Longest wait for everything owed to be told after the last start.
    patience: Duration,
}

// === impl Run ===

impl Run {
    async fn new(data: Option<&Path>, seed: u64) -> Self {
        let manifests = tempfile::tempdir().unwrap();
        let receivers = Receivers::start().await;
        std::fs::write(manifests.path().join("all.yaml"), receivers.manifests()).unwrap();
        Self {
            manifests,
            data: data.map(Path::to_owned),
            receivers,
            senders: Senders::default(),
            silencer: Silencer::default(),
            rng: fastrand::Rng::with_seed(seed),
            patience: SETTLE,
        }
    }

    async fn start(&self) -> Operator {
        let launch = Launch::on_data(self.manifests.path(), self.data.as_deref());
        launch.arg("--resolve-timeout").arg("1h").start_ready().await
    }

    /// Starts, lets it work under load for a moment, kills; `times` over.
    async fn kill_over_and_over(&mut self, times: u32) {
        for _ in 0..times {
            let mut operator = self.start().await;
            let load = Duration::from_millis(self.rng.u64(30..600));
            self.receivers.change_the_weather(&mut self.rng);
            let url = operator.intake_url("/api/v2/alerts");
            let silencing = self.silencer.act(&operator, &mut self.rng);
            tokio::join!(self.senders.post_for(&url, load), silencing);
            operator.kill();
        }
    }

    /// Starts a last time, lets everybody acknowledge and everything be told, and judges.
    async fn judge(&mut self) -> Vec<String> {
        let mut operator = self.start().await;
        self.receivers.clear_the_weather();
        let silences = self.silencer.finish(&operator).await;
        self.senders.finish(&operator.intake_url("/api/v2/alerts")).await;
        let settled = async {
            while !is_idle(&operator).await
                || !judge::faults(&self.senders, &self.receivers).is_empty()
            {
                sleep(PAUSE).await;
            }
        };
        // If it never comes to that, the judge says what is missing.
        let _ = timeout(self.patience, settled).await;
        assert!(operator.terminate().await.success());
        let told = judge::faults(&self.senders, &self.receivers);
        [silences, self.silencer.faults(&self.receivers), told].concat()
    }
}

/// Whether nothing waits for any target.
async fn is_idle(operator: &Operator) -> bool {
    let targets = get(&operator.api_url("/api/v1/targets")).await.json();
    let targets = targets["items"].as_array().cloned().unwrap_or_default();
    assert_eq!(targets.len(), receivers::KINDS.len());
    targets.iter().all(|target| target["waiting"]["owed"] == 0 && target["waiting"]["queued"] == 0)
}

fn times(default: u32) -> u32 {
    std::env::var("FANFARE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_it_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let seed = fastrand::u64(..);
    let mut run = Run::new(Some(data.path()), seed).await;
    let kills = times(20);
    run.kill_over_and_over(kills).await;
    let faults = run.judge().await;
    let (acknowledged, received) = (run.senders.acknowledged(), run.receivers.count());
    let tried = format!(
        "{kills} kills, {acknowledged} changes acknowledged, {} silences, {received} notifications",
        run.silencer.times()
    );
    eprintln!("{tried}");
    assert!(faults.is_empty(), "seed {seed}, {tried}:\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_data_directory_the_same_run_finds_losses() {
    let mut run = Run::new(None, 1).await;
    run.patience = Duration::from_secs(3);
    run.kill_over_and_over(3).await;
    let faults = run.judge().await;
    assert!(
        !faults.is_empty(),
        "the judge finds nothing wrong with a program that forgets everything"
    );
}
