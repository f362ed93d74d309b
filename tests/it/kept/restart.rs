//! Over an end in order: what was under way is finished, the rest comes once, from the next process.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{EAGER, House, SEND, firing, resolved, route, told, wait_count, webhook};
use crate::support::sink::{Answer, Sink};

/// Alerts that are sent and ended: two notifications each.
const ALERTS: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing_and_the_next_process_tells_the_rest_once() {
    let (slow, sick) = (Sink::start().await, Sink::start().await);
    slow.answer(Answer::status(200).after(Duration::from_millis(20)));
    sick.answer(Answer::status(503));
    let manifests =
        webhook("slow", &slow.url("/"), &(EAGER.to_owned() + "  flow: {maxInFlight: 2}\n"))
            + &webhook("sick", &sick.url("/"), EAGER)
            + &route("all", &["slow", "sick"], SEND);
    let mut house = House::start(&manifests).await;
    let names: Vec<_> = (0..ALERTS).map(|number| format!("Alert{number}")).collect();
    for part in names.chunks(20) {
        house.fire(&part.iter().map(|name| firing(name)).collect()).await;
    }
    wait_count(&slow, 10).await;
    let status = house.operator.terminate().await;
    assert!(status.success(), "{status}: {}", house.operator.log_text());
    sick.answer(Answer::status(200));
    sick.clear();
    house.start_again().await;
    for name in ["slow", "sick"] {
        house.waits(name, 0, 0).await;
    }
    house.fire(&names.iter().map(|name| resolved(name)).collect()).await;
    for sink in [&slow, &sick] {
        wait_count(sink, 2 * ALERTS).await;
    }
    for name in ["slow", "sick"] {
        house.waits(name, 0, 0).await;
    }
    for sink in [&slow, &sick] {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for one in told(sink) {
            *times.entry(one.what).or_default() += 1;
        }
        assert_eq!(times.len(), 2 * ALERTS, "firing and resolved of each");
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

#[tokio::test]
async fn what_a_kill_left_unknown_is_told_again_with_the_same_id() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(200).after(Duration::from_mins(5)));
    let slow = EAGER.replace("timeout: 1m", "timeout: 5m");
    let manifests = webhook("hook", &sink.url("/"), &slow) + &route("all", &["hook"], SEND);
    let mut house = House::start(&manifests).await;
    house.fire(&json!([firing("Unknown")])).await;
    let first = wait_count(&sink, 1).await[0].clone();
    house.operator.kill();
    sink.answer(Answer::status(200));
    house.start_again().await;
    let all = wait_count(&sink, 2).await;
    assert_eq!((&all[1].what, &all[1].id), (&first.what, &first.id));
    house.waits("hook", 0, 0).await;
    assert_eq!(told(&sink).len(), 2);
}
