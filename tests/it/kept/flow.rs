//! Suspended and resumed: the latest state, at the rate that the target allows.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{EAGER, House, SEND, firing, resolved, route, told, wait_count, wait_told, webhook};
use crate::support::{sink::Sink, wait::wait_for};

#[tokio::test]
async fn resumed_target_is_told_the_latest_state_at_its_rate() {
    let (held, other) = (Sink::start().await, Sink::start().await);
    let rate = "  flow: {rateLimit: {requests: 5, unit: Second, burst: 1}}\n";
    let rest = webhook("other", &other.url("/"), EAGER) + &route("all", &["held", "other"], SEND);
    let manifests = |suspend: &str| {
        webhook("held", &held.url("/"), &(EAGER.to_owned() + rate + suspend)) + &rest
    };
    let house = House::start(&manifests("")).await;
    house.fire(&json!([firing("Known")])).await;
    wait_told(&held, "Known firing").await;
    house.write(&manifests("  suspend: true\n"));
    house.shows("held", "Delivering", "Suspended").await;
    let lasting: Vec<_> = (0..10).map(|number| firing(&format!("Lasting{number}"))).collect();
    house.fire(&json!(lasting)).await;
    house.fire(&json!([firing("Passing")])).await;
    wait_told(&other, "Passing firing").await;
    house.fire(&json!([resolved("Passing"), resolved("Known")])).await;
    for what in ["Passing resolved", "Known resolved"] {
        wait_told(&other, what).await;
    }
    let mut newest = firing("Lasting0");
    newest["annotations"]["summary"] = json!("newest");
    house.fire(&json!([newest])).await;
    house.waits("other", 0, 0).await;
    assert_eq!(told(&held).len(), 1, "nothing while it is suspended: {:?}", told(&held));

    held.clear();
    house.write(&manifests(""));
    wait_count(&held, 11).await;
    house.waits("held", 0, 0).await;
    let all = told(&held);
    let different: BTreeSet<_> = all.iter().map(|one| one.what.as_str()).collect();
    assert_eq!((all.len(), different.len()), (11, 11), "each once: {all:?}");
    assert!(different.contains("Known resolved") && !different.contains("Passing firing"));
    let took = all[10].at - all[0].at;
    assert!(took >= Duration::from_secs(1), "11 at 5 a second within {took:?}");
    let posts = held.received().into_iter().filter(|one| one.method == "POST");
    let newest = posts.map(|one| one.text()).find(|text| text.contains("Lasting0")).unwrap();
    assert!(newest.contains("newest"), "{newest}");
    wait_for("what it missed for good is in the history", super::SOON, || async {
        let history = house.deliveries("target=default/held").await;
        history.iter().any(|one| one["outcome"] == "superseded")
    })
    .await;
}
