//! What waits follows the configuration: deleted, taken off, pointed elsewhere.

use serde_json::{Value, json};

use super::{
    EAGER, House, SEND, SOON, firing, resolved, route, told, wait_count, wait_told, webhook, whats,
};
use crate::support::{
    http::get,
    sink::{Answer, Sink},
    wait::wait_for,
};

/// An edit must show within five seconds: while another target is tried no oftener than this, at about 30
/// tries a second.
const EFFECTIVE: usize = 150;

/// Waits until another target that fails all the time was tried this many times more: whatever was to
/// be tried as often elsewhere, was.
async fn meanwhile(clock: &Sink) {
    let tried = told(clock).len();
    wait_count(clock, tried + 15).await;
}

/// A target that was told `Told`, is owed `Owed` and the end of `Over`, and refuses everything now; a
/// second one that fails all the time.
struct Scene {
    house: House,
    sink: Sink,
    clock: Sink,
}

// === impl Scene ===

impl Scene {
    async fn set(routes: &str) -> Self {
        let (sink, clock) = (Sink::start().await, Sink::start().await);
        clock.answer(Answer::status(500));
        let manifests = Self::clockwork(&clock) + &webhook("hook", &sink.url("/"), EAGER) + routes;
        let house = House::start(&manifests).await;
        house.fire(&json!([firing("Told"), firing("Over")])).await;
        for what in ["Told firing", "Over firing"] {
            wait_told(&sink, what).await;
        }
        house.waits("hook", 0, 0).await;
        sink.answer(Answer::status(503));
        house.fire(&json!([firing("Owed"), resolved("Over")])).await;
        for what in ["Owed firing", "Over resolved"] {
            wait_told(&sink, what).await;
        }
        house.waits("hook", 2, 0).await;
        Self { house, sink, clock }
    }

    fn clockwork(clock: &Sink) -> String {
        webhook("clock", &clock.url("/"), EAGER) + &route("clock", &["clock"], SEND)
    }

    /// Changes the manifests and waits for the dead letters; afterwards nothing is sent any more.
    async fn ends(&self, manifests: &str, reason: &str) {
        let tried = told(&self.clock).len();
        self.house.write(&(Self::clockwork(&self.clock) + manifests));
        // What stays open there. `Owed` was not told, unless an attempt was under way: its end is in the history.
        let mut buried = self.house.buried("hook", 2).await;
        assert!(told(&self.clock).len() < tried + EFFECTIVE);
        buried.retain(|words| !words.ends_with("Owed firing"));
        let wanted = ["Over resolved", "Told firing"];
        assert_eq!(buried, wanted.map(|what| format!("{reason} {what}")));
        wait_for("the end of what was owed is in the history", SOON, || async {
            let history = self.house.deliveries("target=default/hook").await;
            let owed = told(&self.sink).into_iter().find(|one| one.what == "Owed firing").unwrap();
            history.iter().any(|one| {
                one["outcome"] == "cancelled" && one["notification_id"] == owed.id.as_str()
            })
        })
        .await;
        self.sink.answer(Answer::status(200));
        let so_far = told(&self.sink).len();
        meanwhile(&self.clock).await;
        self.house.fire(&json!([firing("Owed"), firing("New"), resolved("Told")])).await;
        meanwhile(&self.clock).await;
        assert_eq!(whats(&self.sink)[so_far..], [] as [&str; 0]);
    }
}

#[tokio::test]
async fn what_is_owed_to_a_deleted_target_ends_in_the_dead_letters() {
    let route = route("all", &["hook"], SEND);
    Scene::set(&route).await.ends(&route, "target_deleted").await;
}

#[tokio::test]
async fn what_is_owed_over_a_deleted_route_ends_in_the_dead_letters() {
    let scene = Scene::set(&route("all", &["hook"], SEND)).await;
    scene.ends(&webhook("hook", &scene.sink.url("/"), EAGER), "route_deleted").await;
}

#[tokio::test]
async fn what_is_owed_to_a_target_taken_off_the_route_ends_in_the_dead_letters() {
    let scene = Scene::set(&route("all", &["hook"], SEND)).await;
    let hook = webhook("hook", &scene.sink.url("/"), EAGER);
    scene.ends(&(hook + &route("all", &["clock"], SEND)), "target_removed").await;
}

#[tokio::test]
async fn what_is_owed_goes_to_the_new_url_and_what_was_told_is_not_told_again() {
    let scene = Scene::set(&route("all", &["hook"], SEND)).await;
    let new = Sink::start().await;
    let before = told(&scene.sink);
    let id = |what: &str| before.iter().find(|one| one.what == what).unwrap().id.clone();
    let tried = told(&scene.clock).len();
    scene.house.write(
        &(Scene::clockwork(&scene.clock)
            + &webhook("hook", &new.url("/"), EAGER)
            + &route("all", &["hook"], SEND)),
    );
    for what in ["Owed firing", "Over resolved"] {
        assert_eq!(wait_told(&new, what).await.id, id(what), "the same notification");
    }
    assert!(told(&scene.clock).len() < tried + EFFECTIVE);
    let old = told(&scene.sink).len();
    scene.house.fire(&json!([resolved("Told"), firing("Over"), firing("Owed")])).await;
    wait_told(&new, "Told resolved").await;
    meanwhile(&scene.clock).await;
    let mut all = whats(&new);
    all.sort_unstable();
    all.retain(|what| what != "Over firing");
    assert_eq!(all, ["Over resolved", "Owed firing", "Told resolved"]);
    assert_eq!(told(&scene.sink).len(), old, "nothing more at the old URL");
    assert_eq!(scene.house.letters("hook").await, [] as [Value; 0]);
}

#[tokio::test]
async fn records_that_wait_for_a_deleted_target_end_in_the_dead_letters() {
    let (sink, clock) = (Sink::start().await, Sink::start().await);
    for one in [&sink, &clock] {
        one.answer(Answer::status(500));
    }
    let every = EAGER.replace("timeout: 1m", "timeout: 1m, semantics: Every");
    let rest = Scene::clockwork(&clock) + &route("all", &["audit"], SEND);
    let house = House::start(&(webhook("audit", &sink.url("/"), &every) + &rest)).await;
    house.fire(&json!([firing("Twice")])).await;
    house.fire(&json!([resolved("Twice")])).await;
    let published = house.publish("audit", "Asked", &json!({"retry": true}), None).await;
    assert_eq!(published.status, 202, "{}", published.text());
    house.waits("audit", 0, 3).await;
    wait_told(&sink, "Twice firing").await;
    let tried = told(&clock).len();
    house.write(&rest);
    let buried = house.buried("audit", 3).await;
    assert!(told(&clock).len() < tried + EFFECTIVE);
    let wanted = ["Asked firing", "Twice firing", "Twice resolved"];
    assert_eq!(buried, wanted.map(|what| format!("target_deleted {what}")));
    sink.answer(Answer::status(200));
    let so_far = told(&sink).len();
    house.fire(&json!([firing("Ticking")])).await;
    meanwhile(&clock).await;
    assert_eq!(told(&sink).len(), so_far);
    let gone = house.operator.api_url("/api/v1/targets/default/audit");
    wait_for("the target is gone", SOON, || async { get(&gone).await.status == 404 }).await;
}
