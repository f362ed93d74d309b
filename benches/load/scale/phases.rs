//! What is done, in order, and what is read off.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{
    it::support::{http, operator::Operator},
    objects::{self, Plural},
    rig::{Rig, cpu, forget_peak, memory, metrics, sum, wait},
    user::Ask,
    written::Written,
};
use crate::{
    machine::now,
    report::{Goal, Report},
};

/// One run.
pub(crate) struct Phases<'a> {
    pub(crate) rig: &'a mut Rig,
    pub(crate) report: &'a mut Report,
    pub(crate) objects: usize,
    /// Seconds of idleness to look at.
    pub(crate) idle: usize,
    /// Secrets, and `ConfigMaps`, of others.
    pub(crate) foreign: usize,
}

// === impl Phases ===

impl Phases<'_> {
    pub(crate) async fn run(mut self) {
        let only = std::env::var("FANFARE_PHASES").unwrap_or_default();
        let wanted = |name: &str| only.is_empty() || only.contains(name);
        let mut program = self.rig.launch("one").await;
        wait("the first lists", &program, |text| sum(text, "fanfare_leader") > 0.0).await;
        let (empty, _) = memory(&program);
        self.add(("empty", "memory", "MiB"), empty, None, "");
        self.created(&program, empty).await;
        if wanted("idle") {
            self.idled(&program).await;
        }
        if wanted("single") {
            self.single(&program).await;
        }
        if wanted("foreign") {
            self.foreigners(&program).await;
        }
        if wanted("update") {
            self.changed(&program).await;
        }
        if wanted("restart") {
            program = self.restarted(program).await;
        }
        if wanted("lease") {
            program = self.taken_over(program).await;
        }
        if wanted("delete") {
            self.deleted(&program).await;
        }
    }

    pub(super) fn add(
        &mut self,
        what: (&str, &str, &str),
        value: f64,
        goal: Option<Goal>,
        note: &str,
    ) {
        let case = format!("{} x2: {}", self.objects, what.0);
        self.report.add((&case, what.1, what.2), value, goal, note);
    }

    pub(super) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.objects).unwrap())
    }

    /// The objects of these kinds, each by an ask of its own.
    async fn each(&self, kinds: &[Plural], ask: impl Fn(Plural, usize) -> Option<Ask>) -> Duration {
        let all = (0..self.objects).flat_map(|index| kinds.iter().map(move |kind| (*kind, index)));
        self.rig.user.send(all.filter_map(|(kind, index)| ask(kind, index))).await
    }

    async fn created(&mut self, program: &Operator, empty: f64) {
        let written = Written::since_now(&self.rig.plane.dir);
        let ports = self.rig.ports.clone();
        let kinds = [Plural::Secrets, Plural::Routes, Plural::Targets];
        let before = cpu(program);
        let took = self
            .each(&kinds, |kind, index| {
                let object = match kind {
                    Plural::Targets => objects::target(&ports, index),
                    Plural::Routes => objects::route(index),
                    _ if objects::has_secret(index) => objects::secret(&ports, index),
                    _ => return None,
                };
                Some(Ask::create(kind.path(&objects::namespace(index)), object))
            })
            .await;
        let done = now();
        let count = self.count();
        let lag = wait("all are compiled", program, |text| {
            sum(text, "fanfare_targets{") >= count
                && sum(text, "fanfare_targets{") - rejected(text) >= count
                && sum(text, "fanfare_routes{state=\"accepted\"}") >= count
        })
        .await;
        let note = format!("the API server took {:.1} s to create them", took.as_secs_f64());
        self.converged("create", lag, &note);
        self.statuses("create", &written, done, 1).await;
        let spent = cpu(program) - before;
        self.add(("create", "CPU", "s"), spent, None, "until all statuses were written");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (settled, peak) = memory(program);
        let each = (settled - empty) * 1024.0 / count;
        let goal = Some(Goal::AtMost(200.0));
        self.add(
            ("create", "memory, settled", "MiB"),
            settled,
            goal,
            &format!("{each:.1} KiB for a target and its route"),
        );
        self.add(("create", "memory, peak", "MiB"), peak, goal, "");
        forget_peak(program);
    }

    fn converged(&mut self, case: &str, lag: Duration, note: &str) {
        self.add(
            (case, "registry converged after", "s"),
            lag.as_secs_f64(),
            Some(Goal::AtMost(5.0)),
            note,
        );
    }

    /// Waits for every status and reads off who wrote what.
    async fn statuses(&mut self, case: &str, written: &Written, from: u64, once: u32) {
        let began = Instant::now();
        while self.rig.stale().await > 0 {
            assert!(began.elapsed() < Duration::from_mins(20), "{} stale", self.rig.stale().await);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let counts = written.counts();
        let last = Duration::from_nanos(counts.last.saturating_sub(from));
        self.add(
            (case, "every status written after", "s"),
            last.as_secs_f64(),
            Some(Goal::AtMost(120.0)),
            "",
        );
        let objects = 2.0 * self.count();
        let note = format!(
            "objects by number of writes: {:?}, not stored: {:?}",
            counts.spread(),
            counts.refused
        );
        let each = f64::from(counts.total()) / objects;
        self.add(
            (case, "status writes per object", "writes"),
            each,
            Some(Goal::AtMost(f64::from(once))),
            &note,
        );
    }

    async fn idled(&mut self, program: &Operator) {
        self.rig.sink.ask(&json!({"clear": true}));
        let (before, seconds) = (cpu(program), u64::try_from(self.idle).unwrap());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let spent = cpu(program) - before;
        let seen = self.rig.sink.ask(&json!({}));
        let checks: BTreeMap<u64, u64> = serde_json::from_value(seen["checks"].clone()).unwrap();
        let mut each: Vec<u64> = checks.into_values().collect();
        // The first and the last second were cut.
        each.pop();
        if !each.is_empty() {
            each.remove(0);
        }
        each.sort_unstable();
        let total: u64 = each.iter().sum();
        let share = spent / self.idle as f64 * 100.0;
        let note = format!("{total} probes, {} connections", seen["connections"]);
        self.add(("idle", "CPU of a core", "%"), share, Some(Goal::AtMost(5.0)), &note);
        let mean = total as f64 / each.len().max(1) as f64;
        let most = each.last().copied().unwrap_or_default() as f64;
        let note = format!("least {:?}, mean {mean:.1}, most {most}", each.first());
        self.add(("idle", "probes: busiest second to mean", "x"), most / mean, None, &note);
    }

    /// One object at a time, among all the others.
    async fn single(&mut self, program: &Operator) {
        let (mut first, mut edit, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let ports = self.rig.ports.clone();
        for index in 0..10 {
            let name = format!("single-{index}");
            let mut object = objects::target(&ports, 1);
            object["metadata"]["name"] = name.clone().into();
            let began = Instant::now();
            self.rig.create(Plural::Targets, "scale-0", object).await;
            let answered = Instant::now();
            let url = program.api_url(&format!("/api/v1/targets/scale-0/{name}"));
            until(|| async { http::get(&url).await.status.is_success() }).await;
            seen.push(answered.elapsed());
            until(|| async { self.shows(&name, 1).await }).await;
            first.push(began.elapsed());
            let path = format!("{}/{name}", Plural::Targets.path("scale-0"));
            let began = Instant::now();
            self.rig.user.ask(Ask::patch(path.clone(), objects::target_edit())).await;
            until(|| async { self.shows(&name, 2).await }).await;
            edit.push(began.elapsed());
            self.rig.user.ask(Ask::delete(path)).await;
        }
        for (figure, mut times, goal) in [
            ("a new target is seen", seen, 1.0),
            ("a first status", first, 2.0),
            ("an edit shows", edit, 5.0),
        ] {
            times.sort();
            let note = format!("slowest of 10; median {:.3}", times[5].as_secs_f64());
            self.add(
                ("one change", figure, "s"),
                times[9].as_secs_f64(),
                Some(Goal::AtMost(goal)),
                &note,
            );
        }
    }

    async fn shows(&self, name: &str, generation: i64) -> bool {
        let object = self.rig.read(Plural::Targets, "scale-0", name).await;
        object["status"]["observedGeneration"] == generation
    }

    async fn foreigners(&mut self, program: &Operator) {
        let (before, _) = memory(program);
        let kinds = [Plural::Secrets, Plural::ConfigMaps];
        let all = (0..self.foreign).flat_map(|index| kinds.map(|kind| (kind, index)));
        let asks = all
            .map(|(kind, index)| Ask::create(kind.path("foreign"), objects::foreign(kind, index)));
        let took = self.rig.user.send(asks).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (after, _) = memory(program);
        let note = format!(
            "{} Secrets and as many ConfigMaps of others, created in {:.1} s",
            self.foreign,
            took.as_secs_f64()
        );
        self.add(
            ("foreign", "memory grows by", "MiB"),
            after - before,
            Some(Goal::AtMost(5.0)),
            &note,
        );
    }

    async fn changed(&mut self, program: &Operator) {
        let written = Written::since_now(&self.rig.plane.dir);
        let text = metrics(program).await;
        let before = Plural::OURS.map(|kind| accepted(&text, kind));
        let spent = cpu(program);
        let took = self
            .each(&Plural::OURS, |kind, index| {
                let change = if kind == Plural::Targets {
                    objects::target_edit()
                } else {
                    objects::route_edit(index)
                };
                let path = kind.path(&objects::namespace(index));
                Some(Ask::patch(format!("{path}/{}", objects::name(index)), change))
            })
            .await;
        let done = now();
        let count = self.count();
        let lag = wait("all changes are compiled", program, |text| {
            Plural::OURS
                .iter()
                .zip(before)
                .all(|(kind, before)| accepted(text, *kind) - before >= count)
        })
        .await;
        self.converged("update", lag, &format!("the API server took {:.1} s", took.as_secs_f64()));
        self.statuses("update", &written, done, 1).await;
        let spent = cpu(program) - spent;
        self.add(("update", "CPU", "s"), spent, None, "until all statuses were written");
        let (settled, peak) = memory(program);
        self.add(
            ("update", "memory, peak", "MiB"),
            peak,
            Some(Goal::AtMost(200.0)),
            &format!("settled {settled:.1}"),
        );
    }

    async fn deleted(&mut self, program: &Operator) {
        let spent = cpu(program);
        let took = self
            .each(&Plural::OURS, |kind, index| {
                let path = kind.path(&objects::namespace(index));
                Some(Ask::delete(format!("{path}/{}", objects::name(index))))
            })
            .await;
        let lag = wait("none is left", program, |text| {
            sum(text, "fanfare_targets{") + sum(text, "fanfare_routes{") == 0.0
        })
        .await;
        self.converged("delete", lag, &format!("the API server took {:.1} s", took.as_secs_f64()));
        let spent = cpu(program) - spent;
        self.add(("delete", "CPU", "s"), spent, None, "");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (settled, _) = memory(program);
        self.add(("delete", "memory, settled", "MiB"), settled, None, "");
    }
}

/// Targets that can't be used.
pub(super) fn rejected(text: &str) -> f64 {
    let rejected =
        text.lines().filter(|line| line.contains("state=\"rejected\"")).collect::<Vec<_>>();
    sum(&rejected.join("\n"), "fanfare_targets{")
}

fn accepted(text: &str, kind: Plural) -> f64 {
    sum(text, &format!("fanfare_reconcile_total{{kind=\"{}\",result=\"accepted\"}}", kind.kind()))
}

async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_mins(1), "not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
