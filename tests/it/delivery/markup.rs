//! Alert texts that try to be more than text, in every field, against every type.

use fanfare::alert::Status;
use serde_json::Value;

use super::{
    fixture::{about, alert_of, client},
    pagerduty, slack, v4, webhook,
};

/// Mentions, links, markup of several kinds, control characters, directions, JSON and template ends.
const PAYLOADS: [&str; 52] = [
    "<!channel>",
    "<!here>",
    "<!everyone>",
    "<!here|here>",
    "@channel",
    "@here",
    "@everyone",
    "@HERE",
    "@Channel now",
    "<@U024BE7LH>",
    "<@U024BE7LH|bob>",
    "<#C024BE7LR>",
    "<!subteam^SAZ94GDB8>",
    "<!subteam^SAZ94GDB8|@ops>",
    "<https://evil.example|Click>",
    "<https://evil.example>",
    "<javascript:alert(1)|x>",
    "<mailto:a@evil.example|a>",
    "https://evil.example",
    "[text](https://evil.example)",
    "![img](https://evil.example/x.png)",
    "<!date^1^{date}^https://evil.example|x>",
    "&lt;!channel&gt;",
    "&amp;lt;!here&amp;gt;",
    "&#60;!here&#62;",
    "*bold* _italic_ ~strike~",
    "`code` ```block```",
    "> quote",
    ">>> quote",
    "• list",
    ":tada: :warning:",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='https://evil.example'>x</a>",
    "</b></i>",
    "\"},\"event_action\":\"resolve\",\"x\":{\"",
    "\\\"}]}",
    "{{ .Labels.secret }}",
    "${jndi:ldap://evil.example/a}",
    "%s%n%x",
    "\u{202e}txt.exe",
    "\u{200b}\u{feff}",
    "\u{0}\u{1}\u{7}\u{1b}[31m",
    "a\r\nInjected: header",
    "a\nb\tc",
    "\u{2028}\u{2029}",
    "line\u{85}sep",
    "🏳\u{fe0f}\u{200d}🌈",
    "e\u{301}\u{301}\u{301}",
    "\u{10ffff}",
    " ",
    "<",
];

#[tokio::test]
async fn hostile_texts_stay_text_at_slack() {
    let client = client();
    for payload in PAYLOADS {
        let body =
            slack::posted(&client, about(vec![(alert_of(payload, 1), Status::Firing)])).await;
        let two =
            vec![(alert_of(payload, 1), Status::Firing), (alert_of(payload, 2), Status::Resolved)];
        slack::posted(&client, about(two)).await;
        let buttons =
            body["blocks"].as_array().unwrap().iter().filter(|it| it["type"] == "actions");
        let links = buttons.flat_map(|it| it["elements"].as_array().unwrap());
        for link in links {
            assert_eq!(payload, "https://evil.example", "only a real link is a button: {link}");
        }
    }
}

#[tokio::test]
async fn hostile_texts_stay_text_in_json() {
    let client = client();
    for payload in PAYLOADS {
        let what = || about(vec![(alert_of(payload, 1), Status::Firing)]);
        let expected = Value::from(payload);
        let event = pagerduty::posted(&client, what()).await;
        let details = &event["payload"]["custom_details"];
        assert_eq!(details["annotations"]["summary"], expected, "{payload:?}");
        assert_eq!(event["event_action"], "trigger", "{payload:?}");
        let native = webhook::posted(&client, what(), "Native").await.json();
        assert_eq!(native["data"]["alerts"][0]["labels"]["alertname"], expected, "{payload:?}");
        let v4 = webhook::posted(&client, what(), "PrometheusV4").await.json();
        assert_eq!(v4["alerts"][0]["annotations"]["summary"], expected, "{payload:?}");
        let posted = v4::alertmanager(&client, what()).await;
        assert_eq!(posted[0]["labels"]["alertname"], expected, "{payload:?}");
    }
}
