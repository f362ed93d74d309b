//! Values that the chart refuses, and what it says to the person who set them.

use super::{Bed, values_file};

/// Settings, and words that the message must hold.
const REFUSED: [(&[&str], &[&str]); 17] = [
    (&["replicas=2"], &["/replicas", "1 is the most", "every alert again"]),
    (&["replicas=-1"], &["/replicas", "minimum"]),
    (&["api.expose=true"], &["/api/existingTokenSecret", "api.expose needs a token"]),
    (&["api.expose=yes"], &["/api/expose", "want boolean"]),
    (&["replica=1"], &["'replica' not allowed"]),
    (&["api.exposed=true"], &["/api", "'exposed' not allowed"]),
    (&["image.digest=latest"], &["/image/digest"]),
    (&["image.pullPolicy=Sometimes"], &["/image/pullPolicy", "IfNotPresent"]),
    (&["rbac.mode=none"], &["/rbac/mode", "namespaced"]),
    (&["watchNamespaces={Team_A}"], &["/watchNamespaces/0"]),
    (&["rbac.secretNamespaces={*}"], &["/rbac/secretNamespaces/0"]),
    (&["persistence.size=big"], &["/persistence/size"]),
    (&["persistence.accessMode=ReadWriteMany"], &["/persistence/accessMode"]),
    (&["resolveTimeout=5 minutes"], &["/resolveTimeout"]),
    (&["allowCidrs={10.0.0.1}"], &["/allowCidrs/0"]),
    (&["prometheusRule.severities.TargetUnhealthy=fatal"], &["/prometheusRule/severities"]),
    (
        &["prometheusRule.mode=always", "prometheusRule.disabled={TargetSick}"],
        &["there is no alert \"TargetSick\"", "TargetUnhealthy"],
    ),
];

#[test]
fn wrong_values_are_refused_with_their_path_and_reason() {
    let Some(bed) = Bed::programs() else { return };
    for (settings, words) in REFUSED {
        let mut args = vec!["template", "fanfare", "charts/fanfare"];
        for setting in settings {
            args.extend(["--set", setting]);
        }
        let output = bed.helm(&args);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{settings:?} was taken");
        for word in words {
            assert!(message.contains(word), "{settings:?}: no {word:?} in: {message}");
        }
    }
}

#[test]
fn token_text_of_the_reason_is_no_way_around_it() {
    let Some(bed) = Bed::programs() else { return };
    let reason = "api.existingTokenSecret=api.expose needs a token: put one into a Secret of the \
                  release namespace and name it in api.existingTokenSecret";
    let args = ["--set", "api.expose=true", "--set", reason];
    let output = bed.helm(&[&["template", "fanfare", "charts/fanfare"], &args[..]].concat());
    assert!(!output.status.success());
}

#[test]
fn umbrella_chart_may_pass_global_and_enabled() {
    let Some(bed) = Bed::programs() else { return };
    for set in ["default", "everything"] {
        let file = values_file(set);
        let args = ["template", "fanfare", "charts/fanfare", "-f", &file];
        let foreign = ["--set-json", "global={\"a\":{\"b\":\"c\"}}", "--set", "enabled=true"];
        let output = bed.helm(&[&args[..], &foreign[..]].concat());
        assert!(output.status.success(), "{output:?}");
    }
}
