//! The program ends without a word: it comes back, or another takes over.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{
    it::support::{http, operator::Operator},
    objects,
    phases::{Phases, rejected},
    rig::{memory, metrics, sum, wait},
    written::Written,
};
use crate::{machine::now, report::Goal};

impl Phases<'_> {
    /// Kills the program while one target, whose Secret is the last in order, is owed an alert.
    pub(super) async fn restarted(&mut self, mut program: Operator) -> Operator {
        let last = (self.objects - 1) / objects::WITH_SECRET * objects::WITH_SECRET;
        self.rig.sink.ask(&json!({"refuse": true}));
        let (team, namespace) = (objects::name(last), objects::namespace(last));
        let alert =
            json!([{"labels": {"alertname": "Owed", "team": team, "namespace": namespace}}]);
        let answer = http::post(&program.intake_url("/api/v2/alerts"), &alert).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        let written = Written::since_now(&self.rig.plane.dir);
        program.kill();
        drop(program);
        self.rig.sink.ask(&json!({"clear": true}));
        let (began, at) = (Instant::now(), now());
        let program = self.rig.launch("one").await;
        let (count, mut routing, mut read) = (self.count(), None, 0.0);
        let path = format!("/hook/{}", objects::name(last));
        let mut owed = None;
        while owed.is_none() || routing.is_none() || read < count {
            assert!(
                began.elapsed() < Duration::from_mins(5),
                "owed {owed:?}, routing {routing:?}, {read} usable"
            );
            let ready = http::get(&program.admin_url("/readyz")).await.text();
            if ready.contains("[+]first-lists ok") {
                routing.get_or_insert(began.elapsed());
            }
            let text = metrics(&program).await;
            read = sum(&text, "fanfare_targets{") - rejected(&text);
            if owed.is_none() {
                let delivered = self.rig.sink.ask(&json!({"delivered": path})).as_u64();
                owed = delivered.map(|moment| (Duration::from_nanos(moment - at), read));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let all = began.elapsed();
        let (routing, (owed, usable)) = (routing.unwrap(), owed.unwrap());
        self.add(
            ("restart", "routing after", "s"),
            routing.as_secs_f64(),
            Some(Goal::AtMost(5.0)),
            "from the start of the process after kill -9",
        );
        let note = format!("its Secret is the last in order; {usable} targets were usable by then");
        self.add(
            ("restart", "what was owed is delivered after", "s"),
            owed.as_secs_f64(),
            None,
            &note,
        );
        self.add(("restart", "every credential is read after", "s"), all.as_secs_f64(), None, "");
        wait("it leads", &program, |text| sum(text, "fanfare_leader") > 0.0).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let counts = written.counts();
        let note = format!("by objects: {:?}", counts.spread());
        self.add(
            ("restart", "status writes", "writes"),
            f64::from(counts.total()),
            Some(Goal::AtMost(0.0)),
            &note,
        );
        let (settled, peak) = memory(&program);
        self.add(
            ("restart", "memory, peak", "MiB"),
            peak,
            Some(Goal::AtMost(200.0)),
            &format!("settled {settled:.1}"),
        );
        program
    }

    /// Kills the leader: the other replica takes over.
    pub(super) async fn taken_over(&mut self, mut program: Operator) -> Operator {
        let other = self.rig.launch("two").await;
        let count = self.count();
        wait("the other has all", &other, |text| {
            sum(text, "fanfare_routes{state=\"accepted\"}") >= count
        })
        .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        program.kill();
        drop(program);
        let took = wait("the other leads", &other, |text| sum(text, "fanfare_leader") > 0.0).await;
        self.add(
            ("take-over", "leads after kill -9", "s"),
            took.as_secs_f64(),
            Some(Goal::AtMost(20.0)),
            "",
        );
        other
    }
}
