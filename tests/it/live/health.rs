//! What people see of a receiver's health.

use super::{
    door::Door,
    rig::{Rig, TIMEOUT, firing, route, webhook},
};
use crate::support::sink::Sink;

/// Failed checks, a second apart, after which a target is Unhealthy.
const CHECKS: u32 = 3;

/// The words of the line about `name` in what kubectl printed.
fn line<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.into_iter().find(|words| words.contains(&name)).unwrap_or_else(|| panic!("{table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_tells_the_truth_after_three_failed_checks_and_one_good_one() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("health");
    let (well, mortal) = (Sink::start().await, Sink::start().await);
    let mut door = Door::open_to(&mortal);
    let manifests = webhook("well", &well.url("/"), "") + &webhook("mortal", &door.url(), "");
    cluster.apply(&namespace, &(manifests + &route("both")));
    let ready = ["wait", "--for=condition=Ready", TIMEOUT, "ptgt", "--all"];
    cluster.kubectl(&namespace, &ready);
    cluster.kubectl(&namespace, &["wait", "--for=condition=Ready", TIMEOUT, "aroute/both"]);
    cluster.shows(&namespace, "ptgt/well", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "ptgt/mortal", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "aroute/both", ("Healthy", "True", "AllTargetsHealthy"));
    for name in ["One", "Two", "Three"] {
        rig.fire(&[firing(name, &namespace)]).await;
    }
    // Nothing is under way when the receiver dies: what fails then is checks alone.
    for target in ["well", "mortal"] {
        rig.delivered(&namespace, target, 3).await;
    }

    door.close().await;
    let sick = cluster.shows(&namespace, "ptgt/mortal", ("Healthy", "False", "ConnectFailed"));
    let message = sick["message"].as_str().unwrap();
    let run = format!("{CHECKS} failures in a row");
    assert!(message.contains("127.0.0.1") && message.contains(&run), "{message}");
    cluster.shows(&namespace, "aroute/both", ("Healthy", "False", "SomeTargetsUnhealthy"));

    let targets = cluster.plane.kubectl_ok(&["get", "ptgt", "-A"]);
    let columns = targets.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        columns,
        ["NAMESPACE", "NAME", "TYPE", "READY", "HEALTHY", "REASON", "SINCE", "AGE"]
    );
    let of_namespace: Vec<_> =
        targets.lines().filter(|line| line.starts_with(&format!("{namespace} "))).collect();
    let of_namespace = of_namespace.join("\n");
    let told = |name: &str| line(&of_namespace, name)[1..6].join(" ");
    assert_eq!(told("mortal"), "mortal Webhook True False ConnectFailed");
    assert_eq!(told("well"), "well Webhook True True Reachable");
    let routes = cluster.kubectl(&namespace, &["get", "aroute"]);
    let columns = routes.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(columns, ["NAME", "SCOPE", "READY", "TARGETS", "HEALTHY", "REASON", "AGE"]);
    let shown = line(&routes, "both")[..6].join(" ");
    assert_eq!(shown, "both Namespace True 1/2 False SomeTargetsUnhealthy");
    let wide = cluster.kubectl(&namespace, &["get", "ptgt", "mortal", "-o", "wide"]);
    for part in ["STATE", "ENDPOINT", "SUSPENDED", "MESSAGE", "Unhealthy", "127.0.0.1"] {
        assert!(wide.contains(part), "{part}: {wide}");
    }

    door.open();
    cluster.shows(&namespace, "ptgt/mortal", ("Healthy", "True", "Reachable"));
    let routes = cluster.shows(&namespace, "aroute/both", ("Healthy", "True", "AllTargetsHealthy"));
    assert_eq!(routes["message"], "2 of 2 targets healthy");

    let note = cluster.event(&namespace, "mortal", "Recovered").await;
    assert!(note.starts_with("healthy again after "), "{note}");
    let reasons = |name: &str| {
        let events = cluster.events(&namespace, name);
        let mut reasons: Vec<_> = events.into_iter().map(|(reason, _)| reason).collect();
        reasons.sort_unstable();
        reasons
    };
    assert_eq!(reasons("mortal"), ["Recovered", "Registered", "Unhealthy"], "none for deliveries");
    assert_eq!(reasons("well"), ["Registered"], "none for deliveries");
    let described = cluster.kubectl(&namespace, &["describe", "ptgt", "mortal"]);
    assert!(described.contains("Unhealthy") && described.contains("Recovered"), "{described}");
}
