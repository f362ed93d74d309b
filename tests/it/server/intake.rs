//! Alertmanager's behaviour at the intake.

use bytes::Bytes;
use fanfare::publish::{Accepted, Refused, Source};
use http::Method;
use serde_json::{Value, json};

use super::Bed;
use crate::support::http::{Reply, post, send};

async fn v2(bed: &Bed, body: &Value) -> Reply {
    post(&format!("{}/api/v2/alerts", bed.intake), body).await
}

#[tokio::test]
async fn alerts_are_taken_and_answered_with_an_empty_200() {
    let bed = Bed::start().await;
    let reply =
        v2(&bed, &json!([{"labels": {"alertname": "A"}}, {"labels": {"alertname": "B"}}])).await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, ""));
    let accepted = bed.script.accepted.lock().unwrap();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].1, Source::V2);
    let names: Vec<_> =
        accepted[0].0.iter().map(|alert| alert.label("alertname").to_owned()).collect();
    assert_eq!(names, ["A", "B"]);
}

#[tokio::test]
async fn good_alerts_are_taken_although_others_are_bad() {
    let bed = Bed::start().await;
    let reply = v2(&bed, &json!([{"labels": {}}, {"labels": {"alertname": "B"}}])).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.text(), "\"at least one label pair required\"\n");
    assert_eq!(bed.script.accepted.lock().unwrap()[0].0.len(), 1);
    assert!(bed.metric(r#"fanfare_intake_requests_total{source="v2",outcome="partial"} 1"#).await);
    assert!(bed.metric(r#"fanfare_alerts_received_total{source="v2",outcome="invalid"} 1"#).await);
}

#[tokio::test]
async fn empty_list_is_fine_and_reaches_nobody() {
    let bed = Bed::start().await;
    assert_eq!(v2(&bed, &json!([])).await.status, 200);
    assert!(bed.script.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn other_media_types_are_415() {
    let bed = Bed::start().await;
    let url = format!("{}/api/v2/alerts", bed.intake);
    for headers in [&[][..], &[("content-type", "text/plain")][..]] {
        let reply = send(Method::POST, &url, headers, Bytes::from_static(b"[]")).await;
        assert_eq!(reply.status, 415, "{headers:?}");
        assert_eq!(reply.json()["code"], 415);
    }
    let utf8 = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(send(Method::POST, &url, &utf8, Bytes::from_static(b"[]")).await.status, 200);
}

#[tokio::test]
async fn broken_bodies_are_refused_as_alertmanager_does() {
    let bed = Bed::start().await;
    let url = format!("{}/api/v2/alerts", bed.intake);
    let json = [("content-type", "application/json")];
    for (body, status, code) in [
        (&b"{"[..], 400, 400),
        (b"", 422, 602),
        (b"[{}]", 422, 602),
        (b"[null]", 400, 400),
        (br#"[{"labels":{"a":"b"},"generatorURL":"::"}]"#, 422, 601),
    ] {
        let reply = send(Method::POST, &url, &json, Bytes::from_static(body)).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(reply.status, status, "{shown}: {}", reply.text());
        assert_eq!(reply.json()["code"], code, "{shown}: {}", reply.text());
    }
    assert!(bed.script.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn webhook_v4_members_are_taken() {
    let bed = Bed::start().await;
    let body = json!({"version": "4", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-03-01T10:15:00Z"},
        {"status": "resolved", "labels": {"alertname": "B"}, "startsAt": "2026-03-01T10:15:00Z",
         "endsAt": "2026-03-01T10:20:00Z"}]});
    let reply = post(&format!("{}/api/v1/webhook", bed.intake), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let accepted = bed.script.accepted.lock().unwrap();
    assert_eq!((accepted[0].0.len(), accepted[0].1), (2, Source::Webhook));
}

#[tokio::test]
async fn overload_is_503_with_retry_after() {
    let bed = Bed::start().await;
    let alert = json!([{"labels": {"alertname": "A"}}]);
    for refused in [Refused::NotReady, Refused::TooManyAlerts, Refused::ShuttingDown] {
        *bed.script.accept.lock().unwrap() = Some(Err(refused));
        let reply = v2(&bed, &alert).await;
        assert_eq!(reply.status, 503, "{refused}");
        assert_eq!(reply.headers["retry-after"], "5");
        assert_eq!(reply.json(), refused.to_string().as_str());
    }
    for (refused, after) in [
        (Refused::Behind, "5"),
        (Refused::StoreFailed, "15"),
        (Refused::StoreFull, "30"),
        (Refused::DiskFull, "60"),
    ] {
        *bed.script.accept.lock().unwrap() = Some(Err(refused));
        let reply = v2(&bed, &alert).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["retry-after"]),
            (503, &after.parse().unwrap())
        );
        assert_eq!(reply.json(), refused.to_string().as_str());
    }
    assert!(bed.metric(r#"fanfare_intake_requests_total{source="v2",outcome="store"} 4"#).await);
    assert!(
        bed.metric(r#"fanfare_intake_requests_total{source="v2",outcome="overloaded"} 3"#).await
    );
    let some = Accepted { alerts: 1, refused: 1, ..Accepted::default() };
    *bed.script.accept.lock().unwrap() = Some(Ok(some));
    assert_eq!(v2(&bed, &alert).await.status, 503, "a refused alert is not silently dropped");
    assert!(bed.metric(r#"fanfare_alerts_received_total{source="v2",outcome="refused"} 8"#).await);
}

#[tokio::test]
async fn too_many_alerts_of_one_name_are_503_and_counted_apart() {
    let bed = Bed::start().await;
    let alert = json!([{"labels": {"alertname": "A"}}]);
    let some = Accepted { alerts: 3, refused: 2, crowded: 2, ..Accepted::default() };
    for answer in [Ok(some), Err(Refused::TooManyOfName)] {
        *bed.script.accept.lock().unwrap() = Some(answer);
        let reply = v2(&bed, &alert).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["retry-after"]),
            (503, &"5".parse().unwrap())
        );
        assert!(reply.json().as_str().unwrap().contains("--alerts-per-alertname-limit"));
    }
    let line = r#"fanfare_alerts_received_total{source="v2",outcome="over_alertname_limit"} 3"#;
    assert!(bed.metric(line).await);
    let both = Accepted { refused: 2, crowded: 1, ..Accepted::default() };
    *bed.script.accept.lock().unwrap() = Some(Ok(both));
    assert_eq!(v2(&bed, &alert).await.json(), Refused::TooManyAlerts.to_string().as_str());
}
