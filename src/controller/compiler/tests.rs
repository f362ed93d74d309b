use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{Watched, ledger::Status},
    registry::{Changes, Registry, Snapshot, TargetEntry},
};

/// A compiler of all namespaces, and the clock of its test.
struct Bench {
    compiler: Compiler,
    reader: tokio::sync::watch::Receiver<Arc<Snapshot>>,
    now: Moment,
}

fn bench(scopes: &[&str]) -> Bench {
    let publisher = Publisher::new(Registry::new(Arc::new(Changes::default())));
    let reader = publisher.subscribe();
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let scopes = scopes.iter().map(|scope| (*scope).into()).collect();
    let now = Moment { mono: Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH };
    let compiler = Compiler::new(publisher, settings, scopes, Default::default(), now.mono);
    Bench { compiler, reader, now }
}

fn object<S: Watched>(name: &str, version: u32, spec: &Value) -> Object<S> {
    let meta = Meta {
        uid: "uid-1".into(),
        generation: version.into(),
        resource_version: version.to_string(),
        ..Meta::default()
    };
    let (key, spec) = (S::key("sre", name), super::super::parse_spec(spec));
    Object { key, meta, spec, status: Arc::new(Status::read(S::KIND, &Value::Null)) }
}

fn hook(version: u32, secret: &str) -> Object<PublishTargetSpec> {
    let webhook = json!({"urlSecretRef": {"name": secret, "key": "url"}});
    object("hook", version, &json!({"type": "Webhook", "webhook": webhook}))
}

fn url(text: &str) -> Material {
    [("url".to_owned(), text.as_bytes().to_vec())].into_iter().collect()
}

impl Bench {
    fn wait(&mut self, time: Duration) {
        self.now.mono += time;
        self.compiler.overdue(self.now);
    }

    fn apply(&mut self, object: Object<PublishTargetSpec>) {
        self.compiler.take(Change::Target(Delta::Applied(object.into())), self.now);
    }

    fn list(&mut self, scope: Option<&str>, objects: Vec<Object<PublishTargetSpec>>) {
        let scope = scope.map(Into::into);
        self.compiler.take(Change::Target(Delta::Listed(scope, objects)), self.now);
    }

    fn list_routes(&mut self, scope: Option<&str>) {
        let scope = scope.map(Into::into);
        self.compiler.take(Change::Route(Delta::Listed(scope, Vec::new())), self.now);
    }

    /// Answers the next read.
    fn answer(&mut self, result: Result<Material, ReadError>) {
        let id = self.compiler.next_read(self.now.mono).unwrap();
        self.compiler.arrived(&id, result, self.now, 0.5);
    }

    fn shown(&mut self) -> Option<Result<String, Reason>> {
        self.compiler.publish();
        let snapshot = Arc::clone(&self.reader.borrow());
        Some(match snapshot.targets.get(&TargetKey::new("sre", "hook"))? {
            TargetEntry::Accepted(target) => Ok(target.endpoints[0].uri().path().to_owned()),
            TargetEntry::Rejected(rejected) => Err(rejected.reason),
        })
    }

    fn complete(&mut self) -> bool {
        self.compiler.publish();
        self.reader.borrow().complete
    }
}

#[test]
fn a_new_target_is_shown_when_its_secret_was_read() {
    let mut bench = bench(&[]);
    bench.apply(hook(1, "a"));
    assert_eq!(bench.shown(), None);
    bench.answer(Ok(url("http://x.example/one")));
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
}

#[test]
fn a_new_target_is_shown_as_pending_when_nobody_answers() {
    let mut bench = bench(&[]);
    bench.apply(hook(1, "a"));
    bench.answer(Err(ReadError::Unavailable));
    assert_eq!(bench.shown(), None);
    bench.wait(PATIENCE);
    assert_eq!(bench.shown(), Some(Err(Reason::Pending)));
    bench.answer(Ok(url("http://x.example/one")));
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
}

#[test]
fn a_target_in_use_goes_on_until_what_it_names_anew_was_read() {
    let mut bench = bench(&[]);
    bench.apply(hook(1, "a"));
    bench.answer(Ok(url("http://x.example/one")));
    bench.apply(hook(2, "b"));
    bench.answer(Err(ReadError::Unavailable));
    for _ in 0..10 {
        bench.wait(PATIENCE);
    }
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
    bench.answer(Ok(url("http://x.example/two")));
    assert_eq!(bench.shown(), Some(Ok("/two".to_owned())));
}

#[test]
fn an_older_version_of_an_object_is_ignored() {
    let mut bench = bench(&[]);
    bench.apply(hook(10, "a"));
    bench.answer(Ok(url("http://x.example/one")));
    bench.list(None, vec![hook(9, "b")]);
    assert!(matches!(bench.compiler.next_read(bench.now.mono), Err(Some(_))), "nothing new");
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
}

#[test]
fn an_unreadable_spec_is_rejected_and_mended() {
    let mut bench = bench(&[]);
    bench.apply(object("hook", 1, &json!({"type": "Fax"})));
    assert_eq!(bench.shown(), Some(Err(Reason::InvalidSpec)));
    bench.apply(hook(2, "a"));
    bench.answer(Ok(url("http://x.example/one")));
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
}

#[test]
fn a_list_replaces_only_its_own_namespace() {
    let mut bench = bench(&["sre", "ops"]);
    bench.list(Some("sre"), vec![hook(1, "a")]);
    bench.answer(Ok(url("http://x.example/one")));
    bench.list(Some("ops"), Vec::new());
    assert!(bench.shown().is_some());
    bench.list(Some("sre"), Vec::new());
    assert_eq!(bench.shown(), None);
}

#[test]
fn complete_means_every_scope_of_both_kinds_and_every_first_secret() {
    let mut bench = bench(&["sre", "ops"]);
    bench.list(Some("sre"), vec![hook(1, "a")]);
    bench.list(Some("ops"), Vec::new());
    bench.list_routes(Some("sre"));
    assert!(!bench.complete());
    bench.list_routes(Some("ops"));
    assert!(!bench.complete(), "a Secret is missing");
    bench.answer(Err(ReadError::NotFound));
    assert!(bench.complete());
    assert_eq!(bench.shown(), Some(Err(Reason::SecretNotFound)));
}

#[test]
fn routing_begins_before_slow_first_secrets_are_read() {
    let mut bench = bench(&[]);
    let key = TargetKey::new("sre", "hook");
    bench.list(None, vec![hook(1, "a")]);
    bench.list_routes(None);
    assert_eq!(bench.compiler.next_deadline(), Some(bench.now.mono + FIRST_READS));
    assert!(!bench.complete());
    bench.wait(FIRST_READS);
    assert!(bench.complete());
    assert_eq!(bench.shown(), Some(Err(Reason::Pending)));
    assert!(bench.compiler.ledger.any_unsettled([&key]), "its status waits");
    bench.answer(Ok(url("http://x.example/one")));
    assert_eq!(bench.shown(), Some(Ok("/one".to_owned())));
    assert!(!bench.compiler.ledger.any_unsettled([&key]));
}

#[test]
fn what_a_list_does_not_name_is_gone() {
    let mut bench = bench(&[]);
    bench.apply(hook(1, "a"));
    bench.answer(Ok(url("http://x.example/one")));
    let key = TargetKey::new("sre", "hook");
    let complete = |keys: &[&TargetKey]| {
        Change::Target(Delta::Complete(None, keys.iter().copied().cloned().collect()))
    };
    bench.compiler.take(complete(&[&key]), bench.now);
    assert!(bench.shown().is_some());
    bench.compiler.take(complete(&[]), bench.now);
    assert_eq!(bench.shown(), None);
}

#[test]
fn rotation_is_told_once() {
    let mut bench = bench(&[]);
    bench.apply(hook(1, "a"));
    bench.answer(Ok(url("http://x.example/one")));
    assert!(bench.compiler.publish().is_empty());
    bench.wait(Duration::from_mins(1));
    bench.answer(Ok(url("http://x.example/two")));
    let notes = bench.compiler.publish();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].1.reason, Reason::SecretRotated);
    assert!(!notes[0].1.text.contains("example"), "{}", notes[0].1.text);
}
