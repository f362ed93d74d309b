//! The receiver that load and crash runs judge by: it must fail as planned and tell what it was told.

use std::{sync::Arc, time::Duration};

use fanfare::{alert::Notification, delivery::Class};

use super::fixture::{client, firing, resolved, send, webhook};
use crate::support::sink::{Answer, Fault, Sink, When};

fn of(group: &str, id: &str, notification: Notification) -> Notification {
    Notification { group_key: group.into(), id: id.into(), ..notification }
}

async fn deliver(sink: &Sink, what: Vec<Notification>) -> Vec<bool> {
    let (client, target) = (client(), webhook(&sink.url("/")));
    let mut accepted = Vec::new();
    for notification in what {
        accepted.push(send(&client, &target, notification).await.result.is_ok());
    }
    accepted
}

fn many(count: usize) -> Vec<Notification> {
    (0..count).map(|nth| of("a", &nth.to_string(), firing())).collect()
}

#[tokio::test]
async fn it_fails_by_number_by_share_and_by_group_and_heals() {
    let sink = Sink::start().await;
    sink.plan(When::First(2), Answer::status(503));
    assert_eq!(deliver(&sink, many(4)).await, [false, false, true, true]);
    sink.heal();
    sink.plan(When::Every(3), Answer::status(503));
    assert_eq!(deliver(&sink, many(6)).await, [true, true, false, true, true, false]);
    sink.heal();
    sink.plan(When::Share { percent: 50, seed: 1 }, Answer::status(500));
    let failed = deliver(&sink, many(100)).await.iter().filter(|accepted| !**accepted).count();
    assert!((30..=70).contains(&failed), "{failed}");
    sink.heal();
    sink.plan(When::Group(Arc::new(|group| group == "b")), Answer::status(500));
    let both = vec![of("a", "1", firing()), of("b", "2", firing())];
    assert_eq!(deliver(&sink, both).await, [true, false]);
    sink.heal();
    sink.plan(When::Always, Answer::status(410));
    let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
    assert_eq!(attempt.result.unwrap_err().class, Class::Gone);
}

#[tokio::test]
async fn its_ledger_shows_duplicates_inversions_and_what_is_open() {
    let sink = Sink::start().await;
    sink.keep_ledger_only();
    sink.answer_once(Answer::status(500));
    let what = vec![
        of("a", "a1", firing()),
        of("a", "a1", firing()),
        of("a", "a1", firing()),
        of("b", "b1", firing()),
        of("a", "a2", resolved()),
        of("b", "b2", resolved()),
        of("b", "b1", firing()),
    ];
    deliver(&sink, what).await;
    let ledger = sink.ledger();
    assert_eq!(ledger.0.len(), 7);
    assert!(!ledger.0[0].accepted && ledger.0[1].accepted);
    assert!(ledger.0.iter().all(|entry| entry.connection == 1));
    assert!(ledger.0.is_sorted_by_key(|entry| entry.at));
    assert_eq!(ledger.duplicates().into_iter().collect::<Vec<_>>(), ["a1", "b1"]);
    let inverted: Vec<_> = ledger.inversions().iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(inverted, ["b1"]);
    assert_eq!(ledger.open().into_iter().collect::<Vec<_>>(), ["b"]);
    assert_eq!(ledger.told()["a"].len(), 3);
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_get_out_is_not_accepted() {
    let sink = Sink::start().await;
    for fault in [Fault::Close, Fault::Reset, Fault::Raw(b"HTTP/1.1 2".to_vec())] {
        sink.answer(Answer::fault(fault));
        assert_eq!(deliver(&sink, many(1)).await, [false]);
    }
    sink.answer(Answer::status(200).after(Duration::from_millis(10)));
    assert_eq!(deliver(&sink, many(1)).await, [true]);
    let accepted: Vec<_> = sink.ledger().0.iter().map(|entry| entry.accepted).collect();
    assert_eq!(accepted, [false, false, false, true]);
}
