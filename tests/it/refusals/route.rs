//! Refusals of `AlertRoute`s.

use crate::refusals::refusals;

fn x(length: usize) -> String {
    "x".repeat(length)
}

fn targets(count: usize) -> Vec<serde_json::Value> {
    (0..count).map(|n| serde_json::json!({"name": format!("t{n}")})).collect()
}

fn matchers(count: usize) -> Vec<serde_json::Value> {
    (0..count).map(|n| serde_json::json!({"name": format!("l{n}"), "value": "v"})).collect()
}

refusals! { "AlertRoute",
    no_target_and_no_selector: {}
        => "the route leads nowhere: name at least one target in targets, or pick targets by label with targetSelector";
    empty_targets: {"targets": []}
        => "the route leads nowhere";
    empty_matcher_name: {"targets": [{"name": "t"}], "matchers": [{"name": "", "value": "x"}]}
        => "must be the name of a label, for example severity";
    no_matcher_value: {"targets": [{"name": "t"}], "matchers": [{"name": "severity"}]}
        => "spec.matchers[0].value: Required value";
    unknown_match_type: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "==", "value": "x"}]}
        => "Unsupported value: \"==\"";
    unclosed_group: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "(bad"}]}
        => "value must be a regular expression in RE2 syntax";
    negated_unclosed_class: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "!~", "value": "[a-"}]}
        => "value must be a regular expression in RE2 syntax";
    nothing_to_repeat: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "*"}]}
        => "value must be a regular expression in RE2 syntax";
    look_ahead: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "(?!a)b"}]}
        => "value must be a regular expression in RE2 syntax";
    back_reference: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "(a)\\1"}]}
        => "value must be a regular expression in RE2 syntax";
    repeated_repetition: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "a**"}]}
        => "invalid nested repetition operator";
    huge_repetition: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "a{1001}"}]}
        => "invalid repeat count";
    free_spacing: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "(?x) a"}]}
        => "invalid or unsupported Perl syntax";
    unicode_escape: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "matchType": "=~", "value": "\\u0041"}]}
        => "invalid escape sequence";
    too_many_matchers: {"targets": [{"name": "t"}], "matchers": (matchers(33))}
        => "must have at most 32 items";
    long_matcher_value: {"targets": [{"name": "t"}], "matchers": [{"name": "a", "value": (x(1025))}]}
        => "may not be more than 1024 bytes";
    long_matcher_name: {"targets": [{"name": "t"}], "matchers": [{"name": (x(1025)), "value": "v"}]}
        => "may not be more than 1024 bytes";
    empty_matcher_expr: {"targets": [{"name": "t"}], "matcherExpr": ""}
        => "must not be empty: write matchers such as {severity=\"critical\"}";
    long_matcher_expr: {"targets": [{"name": "t"}], "matcherExpr": (x(1025))}
        => "may not be more than 1024 bytes";
    too_many_targets: {"targets": (targets(257))}
        => "must have at most 256 items";
    target_twice: {"targets": [{"name": "t"}, {"name": "t", "sendResolved": false}]}
        => "Duplicate value";
    target_with_slash: {"targets": [{"name": "other/t"}]}
        => "must be the name of a PublishTarget";
    empty_target_name: {"targets": [{"name": ""}]}
        => "must be the name of a PublishTarget";
    no_target_name: {"targets": [{"namespace": "other"}]}
        => "spec.targets[0].name: Required value";
    bad_target_namespace: {"targets": [{"name": "t", "namespace": "Other"}]}
        => "must be the name of a namespace";
    long_target_name: {"targets": [{"name": (x(254))}]}
        => "may not be more than 253 bytes";
    selector_without_match_labels: {"targetSelector": {}}
        => "spec.targetSelector.matchLabels: Required value";
    selector_with_expressions: {"targetSelector": {"matchLabels": {"a": "b"}, "matchExpressions": []}}
        => "unknown field \"spec.targetSelector.matchExpressions\"";
    selector_with_bad_label: {"targetSelector": {"matchLabels": {"tier": "a b"}}}
        => "must hold Kubernetes labels";
    selector_with_long_label: {"targetSelector": {"matchLabels": {"tier": (x(64))}}}
        => "may not be more than 63 bytes";
    unknown_scope: {"scope": "All", "targets": [{"name": "t"}]}
        => "Unsupported value: \"All\": supported values: \"Namespace\", \"Cluster\"";
    huge_priority: {"priority": 10001, "targets": [{"name": "t"}]}
        => "should be less than or equal to 10000";
    low_priority: {"priority": (-10001), "targets": [{"name": "t"}]}
        => "should be greater than or equal to -10000";
    final_is_text: {"final": "true", "targets": [{"name": "t"}]}
        => "must be of type boolean";
    unknown_when_unhealthy: {"whenUnhealthy": "hold", "targets": [{"name": "t"}]}
        => "Unsupported value: \"hold\": supported values: \"Hold\", \"Skip\", \"Send\"";
    unknown_when_degraded: {"whenDegraded": "Wait", "targets": [{"name": "t"}]}
        => "Unsupported value: \"Wait\": supported values: \"Hold\", \"Skip\", \"Send\"";
    short_repeat_interval: {"repeatInterval": "59s", "targets": [{"name": "t"}]}
        => "must be a duration from 1m to 720h";
    long_repeat_interval: {"repeatInterval": "720h1ms", "targets": [{"name": "t"}]}
        => "must be a duration from 1m to 720h";
    field_of_a_later_issue: {"grouping": {"by": ["alertname"]}, "targets": [{"name": "t"}]}
        => "unknown field \"spec.grouping\"";
}
