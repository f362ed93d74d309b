//! What the API accepts: values at their limits, and the forms that a rule written too strictly would refuse.

use serde_json::{Value, json};

use super::object;

/// Objects that both validators accept, by name.
pub(crate) fn accepted() -> Vec<Value> {
    let reference = || json!({"name": "secret.with-dots", "key": "some_key.pem"});
    let webhook = |url: &str| json!({"type": "Webhook", "webhook": {"url": url}});
    let mut specs: Vec<(&str, Value)> = [
        "http://a",
        "https://alerts.example.com/hook?x=1&y=@user",
        "http://127.0.0.1:18081/",
        "http://[::1]:65535/a/b#c",
        "https://my_host.example.com.:1/",
        "https://nothooks.slack.com.example.com/services",
        "https://example.com/https://hooks.slack.com/services",
    ]
    .map(|url| ("PublishTarget", webhook(url)))
    .to_vec();
    let labels = json!({"tier": "", "example.com/Tier.1": "A-b_c.9", "x": "x".repeat(63)});
    specs.extend([
        ("PublishTarget", json!({"type": "Log"})),
        ("PublishTarget", json!({"type": "Log", "log": {}, "suspend": true, "healthCheck": {"type": "None"}})),
        ("PublishTarget", json!({"type": "Webhook", "webhook": {"urlSecretRef": reference(), "method": "PUT"}, "payload": {"format": "PrometheusV4"}})),
        ("PublishTarget", json!({"type": "Rootly", "rootly": {"webhookURLSecretRef": reference(), "tokenSecretRef": reference(), "notify": {"type": "EscalationPolicy", "id": "8e1f-0_A"}}, "connection": {"auth": {"type": "None"}}})),
        ("PublishTarget", json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": reference(), "endpoint": "http://127.0.0.1:8080/pd", "severityMap": {"page": "critical", "Ü": "info"}}})),
        ("PublishTarget", json!({"type": "Alertmanager", "alertmanager": {"urls": ["http://am-0:9093/prefix", "https://am-1"]}})),
        ("PublishTarget", json!({
            "type": "Webhook", "webhook": {"url": "http://a/"},
            "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": labels}}},
            "connection": {
                "headers": [
                    {"name": "X-Team", "value": ""},
                    {"name": "X-Scope-OrgID", "value": "a\tb ~"},
                    {"name": "Authorization", "valueFrom": {"secretKeyRef": reference()}},
                    {"name": "X-Webhook-Id", "value": "1"}
                ],
                "tls": {"caConfigMapRef": reference()}
            },
            "delivery": {"timeout": "4m59s999ms"},
            "flow": {"maxInFlight": 1000},
            "healthCheck": {
                "type": "HTTP", "interval": "1s", "unhealthyInterval": "3600s", "timeout": "100ms",
                "unhealthyThreshold": 100, "healthyThreshold": 1, "degradedLatency": "99ms", "skipIfDeliveredWithin": "0s",
                "http": {"path": "/healthz?x=1", "method": "HEAD", "expectedStatuses": ["204", "200-299", "401-401"]}
            }
        })),
        ("PublishTarget", json!({"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"auth": {"type": "Basic", "basic": {"usernameSecretRef": reference(), "passwordSecretRef": reference()}}, "tls": {}}})),
        ("PublishTarget", json!({"type": "Log", "delivery": {"timeout": "5m"}, "healthCheck": {"degradedLatency": "9s", "timeout": "60s"}})),
        ("PublishTarget", json!({
            "type": "Log",
            "delivery": {
                "maxAttempts": 1000, "backoffPolicy": "Linear", "backoffDelay": "3600s", "backoffMax": "60m",
                "jitter": "None", "retryAfterMax": "0s", "maxAge": "720h", "semantics": "Every"
            },
            "flow": {
                "rateLimit": {"requests": 100_000, "unit": "Hour", "burst": 1},
                "queue": {"maxNotifications": 1_000_000, "whenFull": "DeadLetterNewest"}
            },
            "circuitBreaker": {
                "consecutiveFailures": 1000, "failureRateThreshold": 100, "minimumNumberOfCalls": 10_000,
                "window": "1h", "baseEjectionTime": "1s", "maxEjectionTime": "1000ms", "successThreshold": 100
            }
        })),
        ("PublishTarget", json!({"type": "Log", "delivery": {"backoffDelay": "5m"}, "flow": {"queue": {}}, "circuitBreaker": {"baseEjectionTime": "300s"}})),
        ("PublishTarget", json!({"type": "Log", "flow": {"overflow": "Digest"}})),
        ("PublishTarget", json!({"type": "Slack", "slack": {"webhookURLSecretRef": reference()}, "flow": {"overflow": "Hold"}, "delivery": {"semantics": "Every"}})),
    ]);
    specs.extend(routes(&labels).map(|spec| ("AlertRoute", spec)));
    let mut objects = Vec::new();
    for (index, (kind, spec)) in specs.into_iter().enumerate() {
        objects.push(object(kind, &format!("accepted-{index}"), &spec));
    }
    objects
}

/// Specs of routes.
fn routes(labels: &Value) -> [Value; 8] {
    [
        json!({"targetSelector": {"matchLabels": {}}, "whenUnhealthy": "Hold", "whenDegraded": "Hold", "repeatInterval": "1m"}),
        json!({"targetSelector": {"matchLabels": {}}, "repeatInterval": "720h"}),
        json!({
            "targets": [{"name": "t"}],
            "grouping": {"by": ["..."], "wait": "0s", "interval": "1s"},
            "fallback": {"targets": [{"name": "t"}, {"name": "f", "namespace": "other", "sendResolved": false}], "after": "0s", "mode": "Also"}
        }),
        json!({
            "targets": [{"name": "t"}],
            "grouping": {"by": [], "wait": "24h", "interval": "720h"},
            "fallback": {"targets": [{"name": "f"}]},
            "activeTimeIntervals": [], "muteTimeIntervals": [], "inhibit": []
        }),
        json!({
            "targets": [{"name": "t"}],
            "grouping": {"by": ["alertname", "Größe 1"]},
            "activeTimeIntervals": [
                {
                    "times": [{"startTime": "00:00", "endTime": "24:00"}, {"startTime": "23:59", "endTime": "24:00"}],
                    "weekdays": ["monday:friday", "sunday", "Saturday:SATURDAY", "wednesday:wednesday"],
                    "daysOfMonth": ["1:-1", "-31:-1", "31", "-3:-1", "01:05", "-31:-31"],
                    "months": ["january:march", "11:12", "03:december", "september:september"],
                    "years": ["2024:2026", "2026"],
                    "location": "America/Argentina/ComodRivadavia"
                },
                {"years": ["0000:9999"], "location": "Etc/GMT+5"}
            ],
            "muteTimeIntervals": [{"weekdays": ["sunday:saturday"], "location": "No/Such-Zone_1"}],
            "inhibit": [
                {
                    "source": [{"name": "severity", "matchType": "=~", "value": "critical|page"}],
                    "target": [{"name": "severity", "value": "warning"}],
                    "equal": ["cluster", "namespace"]
                },
                {"source": [{"name": "a", "value": ""}], "target": [{"name": "a", "matchType": "!=", "value": ""}], "equal": []}
            ]
        }),
        json!({"targets": [], "targetSelector": {"matchLabels": labels}}),
        json!({"targets": [{"name": "t"}, {"name": "t", "namespace": "other", "sendResolved": false}]}),
        json!({
            "suspend": true, "scope": "Cluster", "priority": -10000, "final": true,
            "matchers": [
                {"name": "severity", "value": "(not a regex"},
                {"name": "severity", "matchType": "=", "value": ""},
                {"name": "Größe 1", "matchType": "!=", "value": "x"},
                {"name": "team", "matchType": "=~", "value": "a|b.*[0-9]{1,3}\\.(?i:x)\\pL"},
                {"name": "team", "matchType": "!~", "value": ""},
                {"name": "team", "matchType": "=~", "value": "a{,5}|b{5|{|]|\\Qa.b\\E|(?P<n>a)(?<m>b)|[--a]"}
            ],
            "matcherExpr": "{severity=\"critical\",team=~\"a|b\"}",
            "targets": [{"name": "pagerduty-sre", "namespace": ""}],
            "whenUnhealthy": "Skip", "whenDegraded": "Send"
        }),
    ]
}

#[test]
fn what_lies_within_the_limits_is_accepted_offline() {
    for object in accepted() {
        assert_eq!(super::offline(&object, None), Ok(()), "{object}");
    }
}
