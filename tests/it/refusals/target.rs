//! Refusals of `PublishTarget`s.

use crate::refusals::refusals;

fn x(length: usize) -> String {
    "x".repeat(length)
}

fn urls(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("http://am-{n}:9093")).collect()
}

fn headers(count: usize) -> Vec<serde_json::Value> {
    (0..count).map(|n| serde_json::json!({"name": format!("X-{n}"), "value": "v"})).collect()
}

fn map(count: usize, value: &str) -> serde_json::Value {
    (0..count).map(|n| (format!("k{n}"), value.into())).collect::<serde_json::Map<_, _>>().into()
}

refusals! { "PublishTarget",
    // The union.
    two_union_members: {"type": "Webhook", "webhook": {"url": "http://a/"}, "slack": {"webhookURLSecretRef": {"name": "s", "key": "k"}}}
        => "set slack exactly when type is Slack";
    wrong_union_member: {"type": "Log", "webhook": {"url": "http://a/"}}
        => "set webhook exactly when type is Webhook";
    missing_union_member: {"type": "PagerDuty"}
        => "set pagerDuty exactly when type is PagerDuty";
    log_with_another_type: {"type": "Rootly", "rootly": {"webhookURLSecretRef": {"name": "s", "key": "k"}}, "log": {}}
        => "set log only when type is Log";
    unknown_type: {"type": "Pager"}
        => "Unsupported value: \"Pager\": supported values: \"Webhook\", \"Slack\"";
    no_type: {"log": {}}
        => "spec.type: Required value";
    changed_type: {"type": "Webhook", "webhook": {"url": "http://a/"}} replaces {"type": "Log"}
        => "type cannot be changed: delete this PublishTarget and create it anew";
    unknown_field: {"type": "Log", "colour": "red"}
        => "unknown field \"spec.colour\"";
    unknown_nested_field: {"type": "Webhook", "webhook": {"url": "http://a/", "methud": "PUT"}}
        => "unknown field \"spec.webhook.methud\"";
    suspend_is_text: {"type": "Log", "suspend": "yes"}
        => "must be of type boolean";

    // Addresses.
    url_and_url_secret_ref: {"type": "Webhook", "webhook": {"url": "http://a/", "urlSecretRef": {"name": "s", "key": "k"}}}
        => "set exactly one of url and urlSecretRef";
    neither_url_nor_url_secret_ref: {"type": "Webhook", "webhook": {"method": "PUT"}}
        => "set exactly one of url and urlSecretRef";
    url_of_another_scheme: {"type": "Webhook", "webhook": {"url": "ftp://example.com/"}}
        => "must be an http:// or https:// address with a host";
    url_without_scheme: {"type": "Webhook", "webhook": {"url": "example.com/hook"}}
        => "must be an http:// or https:// address with a host";
    url_without_host: {"type": "Webhook", "webhook": {"url": "https:///hook"}}
        => "must be an http:// or https:// address with a host";
    url_with_credentials: {"type": "Webhook", "webhook": {"url": "https://user:password@example.com/"}}
        => "must not carry user:password@: put the credentials into a Secret";
    url_with_user_only: {"type": "Webhook", "webhook": {"url": "https://user@example.com/"}}
        => "must not carry user:password@";
    url_with_blank: {"type": "Webhook", "webhook": {"url": "https://example.com/a b"}}
        => "no blanks";
    url_with_line_end: {"type": "Webhook", "webhook": {"url": "https://example.com/a\n"}}
        => "no blanks";
    url_with_backslash: {"type": "Webhook", "webhook": {"url": "https://example.com\\@evil.example/"}}
        => "must not carry user:password@";
    url_with_backslash_in_path: {"type": "Webhook", "webhook": {"url": "https://example.com/a\\b"}}
        => "no backslashes";
    url_with_percent_in_host: {"type": "Webhook", "webhook": {"url": "https://hooks.sl%61ck.com/x"}}
        => "host in ASCII";
    url_with_other_letters_in_host: {"type": "Webhook", "webhook": {"url": "https://ｈooks.slack.com/x"}}
        => "host in ASCII";
    url_with_huge_port: {"type": "Webhook", "webhook": {"url": "http://example.com:65536/"}}
        => "must be an http:// or https:// address with a host";
    url_with_port_zero: {"type": "Webhook", "webhook": {"url": "http://example.com:0/"}}
        => "must be an http:// or https:// address with a host";
    url_of_slack: {"type": "Webhook", "webhook": {"url": "https://hooks.slack.com/services/T0/B0/x"}}
        => "this host's URLs are credentials: store the URL in a Secret and name it in urlSecretRef";
    url_of_slack_in_capitals: {"type": "Webhook", "webhook": {"url": "https://HOOKS.Slack.com./services/T0/B0/x"}}
        => "this host's URLs are credentials";
    url_of_slack_with_port: {"type": "Webhook", "webhook": {"url": "https://hooks.slack.com:443/services/T0/B0/x"}}
        => "this host's URLs are credentials";
    url_of_discord: {"type": "Webhook", "webhook": {"url": "https://canary.discord.com/api/webhooks/1/x"}}
        => "this host's URLs are credentials";
    url_of_rootly: {"type": "Webhook", "webhook": {"url": "https://webhooks.rootly.com/webhooks/incoming/alertmanager_webhooks?secret=x"}}
        => "this host's URLs are credentials";
    url_of_teams: {"type": "Webhook", "webhook": {"url": "https://contoso.webhook.office.com/webhookb2/x"}}
        => "this host's URLs are credentials";
    url_of_power_automate: {"type": "Webhook", "webhook": {"url": "https://prod-07.westeurope.logic.azure.com:443/workflows/x?sig=y"}}
        => "this host's URLs are credentials";
    url_of_google_chat: {"type": "Webhook", "webhook": {"url": "https://chat.googleapis.com/v1/spaces/x/messages?key=y"}}
        => "this host's URLs are credentials";
    url_of_telegram: {"type": "Webhook", "webhook": {"url": "https://api.telegram.org/bot1:x/sendMessage"}}
        => "this host's URLs are credentials";
    empty_url: {"type": "Webhook", "webhook": {"url": ""}}
        => "should be at least 1 chars long";
    long_url: {"type": "Webhook", "webhook": {"url": (format!("http://{}/", x(1024)))}}
        => "may not be more than 1024 bytes";
    unknown_method: {"type": "Webhook", "webhook": {"url": "http://a/", "method": "GET"}}
        => "Unsupported value: \"GET\": supported values: \"POST\", \"PUT\"";
    no_alertmanager_address: {"type": "Alertmanager", "alertmanager": {"urls": []}}
        => "should have at least 1 items";
    too_many_alertmanager_addresses: {"type": "Alertmanager", "alertmanager": {"urls": (urls(17))}}
        => "must have at most 16 items";
    alertmanager_address_twice: {"type": "Alertmanager", "alertmanager": {"urls": ["http://a:9093", "http://a:9093"]}}
        => "Duplicate value";
    alertmanager_address_of_another_scheme: {"type": "Alertmanager", "alertmanager": {"urls": ["http://a:9093", "tcp://b:9093"]}}
        => "every address must be an http:// or https:// base address";
    alertmanager_address_with_query: {"type": "Alertmanager", "alertmanager": {"urls": ["http://a:9093/?x=1"]}}
        => "every address must be an http:// or https:// base address";
    alertmanager_address_with_credentials: {"type": "Alertmanager", "alertmanager": {"urls": ["http://u:p@a:9093"]}}
        => "an address must not carry user:password@";
    pagerduty_endpoint_with_query: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "endpoint": "https://events.pagerduty.com/?a=b"}}
        => "must be a base address without query and fragment";
    pagerduty_endpoint_is_a_host: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "endpoint": "events.pagerduty.com"}}
        => "must be an http:// or https:// address with a host";
    pagerduty_endpoint_with_credentials: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "endpoint": "https://u:p@events.pagerduty.com"}}
        => "must not carry user:password@";

    // Vendors and Secrets.
    no_routing_key: {"type": "PagerDuty", "pagerDuty": {}}
        => "spec.pagerDuty.routingKeySecretRef: Required value";
    unknown_severity: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "severityMap": {"page": "fatal"}}}
        => "Unsupported value: \"fatal\"";
    empty_severity_key: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "severityMap": {"": "info"}}}
        => "keys must be values of the severity label";
    too_many_severities: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}, "severityMap": (map(33, "info"))}}
        => "must have at most 32 items";
    no_secret_key: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s"}}}
        => "spec.slack.webhookURLSecretRef.key: Required value";
    empty_secret_name: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "", "key": "k"}}}
        => "must be the name of a Secret";
    secret_of_another_namespace: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s", "key": "k", "namespace": "other"}}}
        => "unknown field \"spec.slack.webhookURLSecretRef.namespace\"";
    secret_name_with_slash: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "other/s", "key": "k"}}}
        => "must be the name of a Secret";
    secret_key_with_blank: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s", "key": "my key"}}}
        => "must be a key of the object's data";
    long_secret_name: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": (x(254)), "key": "k"}}}
        => "may not be more than 253 bytes";
    unknown_rootly_party: {"type": "Rootly", "rootly": {"webhookURLSecretRef": {"name": "s", "key": "k"}, "notify": {"type": "Team", "id": "x"}}}
        => "Unsupported value: \"Team\"";
    rootly_id_with_slash: {"type": "Rootly", "rootly": {"webhookURLSecretRef": {"name": "s", "key": "k"}, "notify": {"type": "User", "id": "../x"}}}
        => "must be the id that Rootly shows";
    rootly_token_and_auth: {"type": "Rootly", "rootly": {"webhookURLSecretRef": {"name": "s", "key": "k"}, "tokenSecretRef": {"name": "s", "key": "k"}},
        "connection": {"auth": {"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "s", "key": "k"}}}}}
        => "set either rootly.tokenSecretRef or connection.auth";

    // Connection.
    connection_of_log: {"type": "Log", "connection": {}}
        => "a Log target makes no connection";
    header_host: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Host", "value": "b"}]}}
        => "is set by Fanfare itself and cannot be overridden";
    header_content_length: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "content-length", "value": "1"}]}}
        => "is set by Fanfare itself";
    header_transfer_encoding: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "TRANSFER-ENCODING", "value": "chunked"}]}}
        => "is set by Fanfare itself";
    header_connection: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Connection", "value": "close"}]}}
        => "is set by Fanfare itself";
    header_expect: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Expect", "value": "100-continue"}]}}
        => "is set by Fanfare itself";
    header_content_type: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Content-Type", "value": "text/plain"}]}}
        => "is set by Fanfare itself";
    header_accept_encoding: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Accept-Encoding", "value": "gzip"}]}}
        => "is set by Fanfare itself";
    header_webhook_id: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "Webhook-Id", "value": "1"}]}}
        => "is set by Fanfare itself";
    header_name_with_blank: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X Team", "value": "1"}]}}
        => "must be a header name";
    empty_header_name: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "", "value": "1"}]}}
        => "must be a header name";
    header_with_line_end: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X-Team", "value": "a\r\nX-Other: b"}]}}
        => "must be one line of printable ASCII characters";
    header_with_two_sources: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X-Team", "value": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}}
        => "set exactly one of value and valueFrom";
    header_without_source: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X-Team"}]}}
        => "set exactly one of value and valueFrom";
    header_twice: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X-Team", "value": "a"}, {"name": "x-team", "value": "b"}]}}
        => "must not name a header twice";
    header_with_inline_credential: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "authorization", "value": "Bearer x"}]}}
        => "this header carries a credential";
    too_many_headers: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": (headers(17))}}
        => "must have at most 16 items";
    long_header_value: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"headers": [{"name": "X-Team", "value": (x(1025))}]}}
        => "may not be more than 1024 bytes";
    bearer_without_token: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"auth": {"type": "Bearer"}}}
        => "set bearer exactly when type is Bearer";
    basic_beside_none: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"auth": {"type": "None", "basic": {"usernameSecretRef": {"name": "s", "key": "u"}, "passwordSecretRef": {"name": "s", "key": "p"}}}}}
        => "set basic exactly when type is Basic";
    unknown_auth: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"auth": {"type": "Digest"}}}
        => "Unsupported value: \"Digest\"";
    auth_and_authorization_header: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {
        "headers": [{"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "auth": {"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "s", "key": "k"}}}}}
        => "set either auth or a header named Authorization";
    two_authorities: {"type": "Webhook", "webhook": {"url": "http://a/"}, "connection": {"tls": {"caSecretRef": {"name": "s", "key": "k"}, "caConfigMapRef": {"name": "s", "key": "k"}}}}
        => "set at most one of caSecretRef and caConfigMapRef";
    payload_of_slack: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s", "key": "k"}}, "payload": {"format": "Native"}}
        => "payload only has an effect on type Webhook";
    unknown_payload: {"type": "Webhook", "webhook": {"url": "http://a/"}, "payload": {"format": "Xml"}}
        => "Unsupported value: \"Xml\"";

    // Permission.
    selector_without_labels: {"type": "Log", "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {}}}}}
        => "should have at least 1 properties";
    selector_missing: {"type": "Log", "allowedRoutes": {"namespaces": {"from": "Selector"}}}
        => "set selector exactly when from is Selector";
    selector_beside_all: {"type": "Log", "allowedRoutes": {"namespaces": {"from": "All", "selector": {"matchLabels": {"a": "b"}}}}}
        => "set selector exactly when from is Selector";
    unknown_from: {"type": "Log", "allowedRoutes": {"namespaces": {"from": "Any"}}}
        => "Unsupported value: \"Any\"";
    selector_with_bad_label: {"type": "Log", "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a b": "c"}}}}}
        => "must hold Kubernetes labels";

    // Numbers and durations.
    bad_duration: {"type": "Log", "delivery": {"timeout": "10 seconds"}}
        => "must be a duration from 100ms to 5m";
    duration_without_unit: {"type": "Log", "delivery": {"timeout": "10"}}
        => "must be a duration from 100ms to 5m";
    duration_with_fraction: {"type": "Log", "delivery": {"timeout": "1.5s"}}
        => "must be a duration from 100ms to 5m";
    negative_duration: {"type": "Log", "delivery": {"timeout": "-1s"}}
        => "must be a duration from 100ms to 5m";
    zero_duration: {"type": "Log", "delivery": {"timeout": "0s"}}
        => "must be a duration from 100ms to 5m";
    huge_duration: {"type": "Log", "delivery": {"timeout": "99999h"}}
        => "must be a duration from 100ms to 5m";
    overlong_duration: {"type": "Log", "delivery": {"timeout": "1111111111111111111111111s"}}
        => "may not be more than 24 bytes";
    duration_is_a_number: {"type": "Log", "delivery": {"timeout": 10}}
        => "must be of type string";
    short_backoff: {"type": "Log", "delivery": {"backoffDelay": "99ms"}}
        => "must be a duration from 100ms to 1h";
    long_backoff_max: {"type": "Log", "delivery": {"backoffMax": "24h1ms"}}
        => "must be a duration from 100ms to 24h";
    backoff_max_below_the_delay: {"type": "Log", "delivery": {"backoffDelay": "2s", "backoffMax": "1999ms"}}
        => "backoffMax (5m unless set) must not be shorter than backoffDelay (500ms unless set)";
    backoff_max_below_the_default_delay: {"type": "Log", "delivery": {"backoffMax": "499ms"}}
        => "raise backoffMax or lower backoffDelay";
    backoff_delay_above_the_default_max: {"type": "Log", "delivery": {"backoffDelay": "5m1ms"}}
        => "raise backoffMax or lower backoffDelay";
    unknown_backoff: {"type": "Log", "delivery": {"backoffPolicy": "exponential"}}
        => "Unsupported value: \"exponential\": supported values: \"Exponential\", \"Linear\"";
    unknown_jitter: {"type": "Log", "delivery": {"jitter": "Half"}}
        => "Unsupported value: \"Half\": supported values: \"Full\", \"None\"";
    zero_attempts: {"type": "Log", "delivery": {"maxAttempts": 0}}
        => "should be greater than or equal to 1";
    huge_attempts: {"type": "Log", "delivery": {"maxAttempts": 1001}}
        => "should be less than or equal to 1000";
    long_retry_after: {"type": "Log", "delivery": {"retryAfterMax": "25h"}}
        => "must be a duration from 0s to 24h";
    zero_max_age: {"type": "Log", "delivery": {"maxAge": "0s"}}
        => "must be a duration from 1s to 720h";
    long_max_age: {"type": "Log", "delivery": {"maxAge": "721h"}}
        => "must be a duration from 1s to 720h";
    unknown_semantics: {"type": "Log", "delivery": {"semantics": "All"}}
        => "Unsupported value: \"All\": supported values: \"Latest\", \"Every\"";
    zero_in_flight: {"type": "Log", "flow": {"maxInFlight": 0}}
        => "should be greater than or equal to 1";
    negative_in_flight: {"type": "Log", "flow": {"maxInFlight": -1}}
        => "should be greater than or equal to 1";
    huge_in_flight: {"type": "Log", "flow": {"maxInFlight": 1001}}
        => "should be less than or equal to 1000";
    in_flight_is_text: {"type": "Log", "flow": {"maxInFlight": "8"}}
        => "must be of type integer";
    in_flight_is_a_fraction: {"type": "Log", "flow": {"maxInFlight": 1.5}}
        => "must be of type integer";
    rate_limit_without_unit: {"type": "Log", "flow": {"rateLimit": {"requests": 1}}}
        => "spec.flow.rateLimit.unit: Required value";
    rate_limit_without_requests: {"type": "Log", "flow": {"rateLimit": {"unit": "Second"}}}
        => "spec.flow.rateLimit.requests: Required value";
    unknown_unit: {"type": "Log", "flow": {"rateLimit": {"requests": 1, "unit": "Day"}}}
        => "Unsupported value: \"Day\": supported values: \"Second\", \"Minute\", \"Hour\"";
    zero_requests: {"type": "Log", "flow": {"rateLimit": {"requests": 0, "unit": "Second"}}}
        => "should be greater than or equal to 1";
    huge_requests: {"type": "Log", "flow": {"rateLimit": {"requests": 100_001, "unit": "Second"}}}
        => "should be less than or equal to 100000";
    zero_burst: {"type": "Log", "flow": {"rateLimit": {"requests": 1, "unit": "Second", "burst": 0}}}
        => "should be greater than or equal to 1";
    huge_burst: {"type": "Log", "flow": {"rateLimit": {"requests": 1, "unit": "Second", "burst": 100_001}}}
        => "should be less than or equal to 100000";
    zero_queue: {"type": "Log", "flow": {"queue": {"maxNotifications": 0}}}
        => "should be greater than or equal to 1";
    huge_queue: {"type": "Log", "flow": {"queue": {"maxNotifications": 1_000_001}}}
        => "should be less than or equal to 1000000";
    unknown_when_full: {"type": "Log", "flow": {"queue": {"whenFull": "Drop"}}}
        => "Unsupported value: \"Drop\": supported values: \"DeadLetterOldest\", \"DeadLetterNewest\"";

    // Circuit breaker.
    zero_consecutive_failures: {"type": "Log", "circuitBreaker": {"consecutiveFailures": 0}}
        => "should be greater than or equal to 1";
    huge_consecutive_failures: {"type": "Log", "circuitBreaker": {"consecutiveFailures": 1001}}
        => "should be less than or equal to 1000";
    zero_failure_rate: {"type": "Log", "circuitBreaker": {"failureRateThreshold": 0}}
        => "should be greater than or equal to 1";
    failure_rate_above_all: {"type": "Log", "circuitBreaker": {"failureRateThreshold": 101}}
        => "should be less than or equal to 100";
    zero_calls: {"type": "Log", "circuitBreaker": {"minimumNumberOfCalls": 0}}
        => "should be greater than or equal to 1";
    huge_calls: {"type": "Log", "circuitBreaker": {"minimumNumberOfCalls": 10_001}}
        => "should be less than or equal to 10000";
    short_window: {"type": "Log", "circuitBreaker": {"window": "999ms"}}
        => "must be a duration from 1s to 1h";
    short_ejection: {"type": "Log", "circuitBreaker": {"baseEjectionTime": "0s"}}
        => "must be a duration from 1s to 1h";
    long_max_ejection: {"type": "Log", "circuitBreaker": {"maxEjectionTime": "25h"}}
        => "must be a duration from 1s to 24h";
    max_ejection_below_the_base: {"type": "Log", "circuitBreaker": {"baseEjectionTime": "20s", "maxEjectionTime": "19s"}}
        => "maxEjectionTime (5m unless set) must not be shorter than baseEjectionTime (30s unless set)";
    max_ejection_below_the_default_base: {"type": "Log", "circuitBreaker": {"maxEjectionTime": "29s"}}
        => "raise maxEjectionTime or lower baseEjectionTime";
    base_ejection_above_the_default_max: {"type": "Log", "circuitBreaker": {"baseEjectionTime": "1h"}}
        => "raise maxEjectionTime or lower baseEjectionTime";
    zero_successes: {"type": "Log", "circuitBreaker": {"successThreshold": 0}}
        => "should be greater than or equal to 1";
    huge_successes: {"type": "Log", "circuitBreaker": {"successThreshold": 101}}
        => "should be less than or equal to 100";

    // Overflow.
    unknown_overflow: {"type": "Log", "flow": {"overflow": "Drop"}}
        => "Unsupported value: \"Drop\"";
    digest_for_a_pager: {"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}}, "flow": {"overflow": "Digest"}}
        => "flow.overflow Digest sums alerts up in one message, which this type cannot take";
    digest_of_every_change: {"type": "Log", "flow": {"overflow": "Digest"}, "delivery": {"semantics": "Every"}}
        => "use overflow Hold, or semantics Latest";

    // Health check.
    short_interval: {"type": "Log", "healthCheck": {"interval": "999ms"}}
        => "must be a duration from 1s to 1h";
    long_unhealthy_interval: {"type": "Log", "healthCheck": {"unhealthyInterval": "1h1ms"}}
        => "must be a duration from 1s to 1h";
    long_check_timeout: {"type": "Log", "healthCheck": {"timeout": "61s"}}
        => "must be a duration from 100ms to 60s";
    long_skip: {"type": "Log", "healthCheck": {"skipIfDeliveredWithin": "2h"}}
        => "must be a duration from 0s to 1h";
    zero_threshold: {"type": "Log", "healthCheck": {"unhealthyThreshold": 0}}
        => "should be greater than or equal to 1";
    huge_threshold: {"type": "Log", "healthCheck": {"healthyThreshold": 101}}
        => "should be less than or equal to 100";
    huge_beyond_32_bits: {"type": "Log", "healthCheck": {"healthyThreshold": 99_999_999_999_i64}}
        => "should be less than or equal to 100";
    degraded_latency_of_the_timeout: {"type": "Log", "healthCheck": {"timeout": "2s", "degradedLatency": "2000ms"}}
        => "degradedLatency must be shorter than timeout";
    degraded_latency_of_the_default_timeout: {"type": "Log", "healthCheck": {"degradedLatency": "10s"}}
        => "degradedLatency must be shorter than timeout (10s unless set)";
    zero_degraded_latency: {"type": "Log", "healthCheck": {"degradedLatency": "0s"}}
        => "must be a duration from 1ms to 60s";
    http_details_of_tcp_check: {"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s", "key": "k"}}, "healthCheck": {"type": "TCP", "http": {"path": "/"}}}
        => "http only has an effect with type HTTP";
    unknown_check: {"type": "Log", "healthCheck": {"type": "ICMP"}}
        => "Unsupported value: \"ICMP\"";
    tcp_check_of_log: {"type": "Log", "healthCheck": {"type": "TCP"}}
        => "a Log target makes no connection that could be checked";
    check_path_without_slash: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"path": "healthz"}}}
        => "must begin with /";
    unknown_check_method: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"method": "POST"}}}
        => "Unsupported value: \"POST\"";
    status_that_is_no_code: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"expectedStatuses": ["2xx"]}}}
        => "every entry must be a status code or a rising range";
    falling_status_range: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"expectedStatuses": ["299-200"]}}}
        => "every entry must be a status code or a rising range";
    long_status: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"expectedStatuses": ["200 - 299"]}}}
        => "may not be more than 7 bytes";
    too_many_statuses: {"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP", "http": {"expectedStatuses": ((100..117).map(|n| n.to_string()).collect::<Vec<_>>())}}}
        => "must have at most 16 items";
}
