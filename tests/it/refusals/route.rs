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

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("label{n}")).collect()
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
    field_of_a_later_issue: {"escalation": {"after": "1h"}, "targets": [{"name": "t"}]}
        => "unknown field \"spec.escalation\"";

    // Grouping.
    grouping_without_by: {"grouping": {"wait": "1s"}, "targets": [{"name": "t"}]}
        => "spec.grouping.by: Required value";
    grouping_by_everything_and_a_label: {"grouping": {"by": ["...", "alertname"]}, "targets": [{"name": "t"}]}
        => "\"...\" stands for all labels: write it alone";
    grouping_by_an_empty_name: {"grouping": {"by": [""]}, "targets": [{"name": "t"}]}
        => "every entry must be the name of a label, for example alertname";
    grouping_by_a_label_twice: {"grouping": {"by": ["team", "team"]}, "targets": [{"name": "t"}]}
        => "Duplicate value: \"team\"";
    grouping_by_too_many_labels: {"grouping": {"by": (names(17))}, "targets": [{"name": "t"}]}
        => "must have at most 16 items";
    grouping_by_a_long_name: {"grouping": {"by": [(x(1025))]}, "targets": [{"name": "t"}]}
        => "may not be more than 1024 bytes";
    no_group_interval: {"grouping": {"by": [], "interval": "0s"}, "targets": [{"name": "t"}]}
        => "must be a duration from 1s to 720h";
    long_group_wait: {"grouping": {"by": [], "wait": "25h"}, "targets": [{"name": "t"}]}
        => "must be a duration from 0s to 24h";
    group_wait_without_unit: {"grouping": {"by": [], "wait": "30"}, "targets": [{"name": "t"}]}
        => "must be a duration from 0s to 24h";

    // Fallback.
    fallback_without_targets: {"fallback": {"after": "1m"}, "targets": [{"name": "t"}]}
        => "spec.fallback.targets: Required value";
    fallback_to_nobody: {"fallback": {"targets": []}, "targets": [{"name": "t"}]}
        => "should have at least 1 items";
    fallback_to_too_many: {"fallback": {"targets": (targets(17))}, "targets": [{"name": "t"}]}
        => "must have at most 16 items";
    fallback_twice: {"fallback": {"targets": [{"name": "f"}, {"name": "f", "namespace": ""}]}, "targets": [{"name": "t"}]}
        => "Duplicate value";
    fallback_with_a_bad_name: {"fallback": {"targets": [{"name": "Backup"}]}, "targets": [{"name": "t"}]}
        => "must be the name of a PublishTarget";
    late_fallback: {"fallback": {"targets": [{"name": "f"}], "after": "24h1ms"}, "targets": [{"name": "t"}]}
        => "must be a duration from 0s to 24h";
    unknown_fallback_mode: {"fallback": {"targets": [{"name": "f"}], "mode": "instead"}, "targets": [{"name": "t"}]}
        => "Unsupported value: \"instead\": supported values: \"Instead\", \"Also\"";
    only_a_fallback: {"fallback": {"targets": [{"name": "f"}]}}
        => "the route leads nowhere";

    // Time intervals.
    interval_of_nothing: {"muteTimeIntervals": [{}], "targets": [{"name": "t"}]}
        => "the interval names no time";
    interval_of_a_place_only: {"activeTimeIntervals": [{"location": "UTC"}], "targets": [{"name": "t"}]}
        => "the interval names no time";
    interval_by_name: {"muteTimeIntervals": ["weekends"], "targets": [{"name": "t"}]}
        => "must be of type object";
    too_many_intervals: {"activeTimeIntervals": (vec![serde_json::json!({"years": ["2026"]}); 33]), "targets": [{"name": "t"}]}
        => "must have at most 32 items";
    no_times: {"activeTimeIntervals": [{"times": []}], "targets": [{"name": "t"}]}
        => "should have at least 1 items";
    too_many_times: {"activeTimeIntervals": [{"times": (vec![serde_json::json!({"startTime": "09:00", "endTime": "17:00"}); 33])}], "targets": [{"name": "t"}]}
        => "must have at most 32 items";
    alertmanagers_field_names: {"activeTimeIntervals": [{"times": [{"startTime": "09:00", "endTime": "17:00", "end_time": "18:00"}]}], "targets": [{"name": "t"}]}
        => "unknown field \"spec.activeTimeIntervals[0].times[0].end_time\"";
    no_end_time: {"activeTimeIntervals": [{"times": [{"startTime": "09:00"}]}], "targets": [{"name": "t"}]}
        => "spec.activeTimeIntervals[0].times[0].endTime: Required value";
    short_start_time: {"activeTimeIntervals": [{"times": [{"startTime": "9:00", "endTime": "17:00"}]}], "targets": [{"name": "t"}]}
        => "must be a time of the day as HH:MM, from 00:00 to 23:59";
    start_at_the_end_of_the_day: {"activeTimeIntervals": [{"times": [{"startTime": "24:00", "endTime": "24:00"}]}], "targets": [{"name": "t"}]}
        => "must be a time of the day as HH:MM, from 00:00 to 23:59";
    end_after_the_day: {"muteTimeIntervals": [{"times": [{"startTime": "09:00", "endTime": "24:01"}]}], "targets": [{"name": "t"}]}
        => "must be a time of the day as HH:MM, from 00:01 to 24:00";
    a_night_in_one: {"muteTimeIntervals": [{"times": [{"startTime": "22:00", "endTime": "06:00"}]}], "targets": [{"name": "t"}]}
        => "startTime must be before endTime: write a night as two entries";
    no_time_at_all: {"muteTimeIntervals": [{"times": [{"startTime": "22:00", "endTime": "22:00"}]}], "targets": [{"name": "t"}]}
        => "startTime must be before endTime";
    weekdays_backwards: {"muteTimeIntervals": [{"weekdays": ["saturday:monday"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the week";
    weekday_by_number: {"muteTimeIntervals": [{"weekdays": ["1:5"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the week";
    weekdays_as_text: {"muteTimeIntervals": [{"weekdays": "monday"}], "targets": [{"name": "t"}]}
        => "must be of type array";
    day_zero: {"muteTimeIntervals": [{"daysOfMonth": ["0"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the month";
    day_32: {"muteTimeIntervals": [{"daysOfMonth": ["1:32"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the month";
    days_from_the_end_to_the_start: {"muteTimeIntervals": [{"daysOfMonth": ["-15:5"]}], "targets": [{"name": "t"}]}
        => "a range that begins with a negative day must end with one";
    days_backwards: {"muteTimeIntervals": [{"daysOfMonth": ["10:-25"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the month";
    days_as_a_number: {"muteTimeIntervals": [{"daysOfMonth": [1]}], "targets": [{"name": "t"}]}
        => "must be of type string";
    days_in_three_parts: {"muteTimeIntervals": [{"daysOfMonth": ["1:2:3"]}], "targets": [{"name": "t"}]}
        => "every entry must be a day of the month";
    months_backwards: {"muteTimeIntervals": [{"months": ["november:february"]}], "targets": [{"name": "t"}]}
        => "write november to february as two entries";
    month_13: {"muteTimeIntervals": [{"months": ["13"]}], "targets": [{"name": "t"}]}
        => "every entry must be a month";
    short_month: {"muteTimeIntervals": [{"months": ["jan"]}], "targets": [{"name": "t"}]}
        => "every entry must be a month";
    years_backwards: {"muteTimeIntervals": [{"years": ["2026:2024"]}], "targets": [{"name": "t"}]}
        => "every entry must be a year of four digits";
    short_year: {"muteTimeIntervals": [{"years": ["26"]}], "targets": [{"name": "t"}]}
        => "every entry must be a year of four digits";
    location_with_blanks: {"muteTimeIntervals": [{"years": ["2026"], "location": "Europe / Berlin"}], "targets": [{"name": "t"}]}
        => "must be the IANA name of a time zone";
    empty_location: {"muteTimeIntervals": [{"years": ["2026"], "location": ""}], "targets": [{"name": "t"}]}
        => "must be the IANA name of a time zone";

    // Inhibition.
    inhibit_without_source: {"inhibit": [{"target": [{"name": "a", "value": "b"}]}], "targets": [{"name": "t"}]}
        => "spec.inhibit[0].source: Required value";
    inhibit_everything: {"inhibit": [{"source": [{"name": "a", "value": "b"}], "target": []}], "targets": [{"name": "t"}]}
        => "should have at least 1 items";
    inhibit_with_alertmanagers_syntax: {"inhibit": [{"source": ["a=b"], "target": [{"name": "a", "value": "b"}]}], "targets": [{"name": "t"}]}
        => "must be of type object";
    inhibit_by_a_bad_source: {"inhibit": [{"source": [{"name": "a", "matchType": "=~", "value": "(b"}], "target": [{"name": "a", "value": "b"}]}], "targets": [{"name": "t"}]}
        => "value must be a regular expression in RE2 syntax";
    inhibit_of_a_bad_target: {"inhibit": [{"source": [{"name": "a", "value": "b"}], "target": [{"name": "a", "matchType": "!~", "value": "(?!b)"}]}], "targets": [{"name": "t"}]}
        => "value must be a regular expression in RE2 syntax";
    inhibit_equal_in_nothing: {"inhibit": [{"source": [{"name": "a", "value": "b"}], "target": [{"name": "a", "value": "c"}], "equal": [""]}], "targets": [{"name": "t"}]}
        => "every entry must be the name of a label, for example cluster";
    inhibit_equal_twice: {"inhibit": [{"source": [{"name": "a", "value": "b"}], "target": [{"name": "a", "value": "c"}], "equal": ["d", "d"]}], "targets": [{"name": "t"}]}
        => "Duplicate value: \"d\"";
    inhibit_equal_in_too_much: {"inhibit": [{"source": [{"name": "a", "value": "b"}], "target": [{"name": "a", "value": "c"}], "equal": (names(17))}], "targets": [{"name": "t"}]}
        => "must have at most 16 items";
    too_many_inhibit_rules: {"inhibit": (vec![serde_json::json!({"source": matchers(1), "target": matchers(1)}); 17]), "targets": [{"name": "t"}]}
        => "must have at most 16 items";
    too_many_inhibit_matchers: {"inhibit": [{"source": (matchers(33)), "target": (matchers(1))}], "targets": [{"name": "t"}]}
        => "must have at most 32 items";
}
