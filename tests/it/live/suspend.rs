//! A suspended target is sent nothing; resumed, it is told what is true then.

use serde_json::json;

use super::rig::{Rig, firing, resolved, route, told, wait_told, webhook};
use crate::support::sink::Sink;

#[tokio::test(flavor = "multi_thread")]
async fn suspended_target_is_told_the_latest_state_when_it_is_resumed() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("suspend");
    let (held, other) = (Sink::start().await, Sink::start().await);
    let targets = webhook("held", &held.url("/"), "") + &webhook("other", &other.url("/"), "");
    cluster.apply(&namespace, &(targets + &route("all")));
    cluster.shows(&namespace, "aroute/all", ("Healthy", "True", "AllTargetsHealthy"));
    rig.fire(&[firing("Before", &namespace)]).await;
    wait_told(&held, "Before", "firing").await;

    cluster.patch(&namespace, "ptgt/held", &json!({"spec": {"suspend": true}}));
    let delivering = cluster.shows(&namespace, "ptgt/held", ("Delivering", "False", "Suspended"));
    cluster.shows(&namespace, "ptgt/held", ("Ready", "True", "Registered"));
    cluster.shows(&namespace, "ptgt/held", ("Healthy", "Unknown", "Suspended"));
    cluster.event(&namespace, "held", "Suspended").await;
    rig.fire(&[firing("Passing", &namespace), firing("Lasting", &namespace)]).await;
    wait_told(&other, "Lasting", "firing").await;
    wait_told(&other, "Passing", "firing").await;
    let mut lasting = firing("Lasting", &namespace);
    lasting["annotations"]["summary"] = json!("newest");
    rig.fire(&[lasting, resolved("Passing", &namespace), resolved("Before", &namespace)]).await;
    wait_told(&other, "Passing", "resolved").await;
    wait_told(&other, "Before", "resolved").await;
    assert_eq!(told(&held).len(), 1, "nothing since it is suspended: {:?}", told(&held));

    // The message has the command that ends it.
    let message = delivering["message"].as_str().unwrap();
    let command = message.split_once("Resume: ").unwrap().1;
    super::examples::run(cluster, command);
    cluster.shows(&namespace, "ptgt/held", ("Delivering", "True", "NothingHeld"));
    wait_told(&held, "Lasting", "firing").await;
    wait_told(&held, "Before", "resolved").await;
    cluster.event(&namespace, "held", "Resumed").await;
    rig.fire(&[firing("Fence", &namespace)]).await;
    wait_told(&held, "Fence", "firing").await;
    let (mut names, before) = (told(&held), ("Before".to_owned(), "firing".to_owned()));
    assert_eq!(names.remove(0), before);
    names.sort_unstable();
    let names: Vec<_> = names.iter().map(|(name, status)| format!("{name} {status}")).collect();
    assert_eq!(names, ["Before resolved", "Fence firing", "Lasting firing"]);
    let posts = held.received().into_iter().filter(|one| one.method == "POST");
    let lasting = posts.map(|one| one.json()).find(|one| one.to_string().contains("Lasting"));
    assert_eq!(lasting.unwrap()["data"]["alerts"][0]["annotations"]["summary"], "newest");
}
