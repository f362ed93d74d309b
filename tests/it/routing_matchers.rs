//! Matchers against what Alertmanager and Go's regular expressions make of the same texts.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use fanfare::{
    api::MatchType,
    routing::{Matcher, Matchers},
};
use serde_json::Value;

fn json(name: &str) -> Value {
    let path = format!("{}/tests/it/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn texts_are_read_and_printed_as_alertmanager_does() {
    let file = json("vectors-matchers.json");
    let mut differences = Vec::new();
    for vector in file["vectors"].as_array().unwrap() {
        let input = vector["input"].as_str().unwrap();
        let ours = Matchers::parse(input).ok().map(|matchers| matchers.to_string());
        let theirs = vector["printed"].as_str().map(str::to_owned);
        if ours != theirs {
            differences.push(format!("{input:?}: ours {ours:?}, Alertmanager's {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn printed_matchers_are_read_back() {
    for vector in json("vectors-matchers.json")["vectors"].as_array().unwrap() {
        let Ok(matchers) = Matchers::parse(vector["input"].as_str().unwrap()) else { continue };
        // A matcher on the empty name is printed, and not read back, by Alertmanager too.
        if matchers.iter().all(|matcher| !matcher.name.is_empty()) {
            let printed = matchers.to_string();
            assert_eq!(Matchers::parse(&printed).unwrap().to_string(), printed);
        }
    }
}

#[test]
fn patterns_match_what_go_matches() {
    let file = json("vectors-patterns.json");
    let probes: Vec<&str> =
        file["probes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let mut differences = Vec::new();
    for vector in file["patterns"].as_array().unwrap() {
        let pattern = vector["pattern"].as_str().unwrap();
        let matcher = Matcher::new(MatchType::Regex, "a", pattern);
        let refused = vector["refused"].as_bool().unwrap_or(false);
        match matcher {
            Err(error) if !refused => differences.push(format!("{pattern:?} is refused: {error}")),
            Ok(_) if refused => differences.push(format!("{pattern:?} is taken")),
            Err(_) => {}
            Ok(matcher) => {
                let theirs = vector["matches"].as_array().unwrap();
                for probe in &probes {
                    if matcher.accepts(probe) != theirs.iter().any(|one| one == probe) {
                        differences.push(format!("{pattern:?} on {probe:?}"));
                    }
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn patterns_that_break_out_of_their_anchors_are_refused() {
    for pattern in ["a)|(?:b", "a)(?:b", ")", "a\\Q"] {
        assert!(Matcher::new(MatchType::Regex, "a", pattern).is_err(), "{pattern}");
    }
}

#[test]
fn hostile_patterns_end_soon() {
    let nested = format!("{}a{}", "(".repeat(400), ")".repeat(400));
    let wide = format!("[{}]", "\\pL".repeat(300));
    let huge = r"(\pL{30}){33}".repeat(20);
    let long = "(a|b|ab)*c".repeat(100);
    let texts = ["a".repeat(4096), "ab".repeat(2048), "é".repeat(2000)];
    for pattern in [nested, wide, huge, long, r"(a*)*b".into(), r"(\w|\d|[^x])*z".into()] {
        if let Ok(matcher) = Matcher::new(MatchType::Regex, "a", &pattern) {
            for text in &texts {
                assert!(!matcher.accepts(text) || pattern.contains("pL"));
            }
        }
    }
}

#[test]
fn a_missing_label_is_an_empty_one() {
    let labels = fanfare::alert::Labels::from_iter([("a", "b")]);
    for (text, expected) in [
        ("x=\"\"", true),
        ("x!=\"y\"", true),
        ("x=~\".*\"", true),
        ("x=~\".+\"", false),
        ("x!~\"y\"", true),
        ("a=b", true),
        ("a=~\"b\"", true),
        ("a=~\"B\"", false),
        ("a!=b", false),
        ("", true),
    ] {
        assert_eq!(Matchers::parse(text).unwrap().matches(&labels), expected, "{text}");
    }
}

#[test]
fn errors_name_the_place() {
    for (text, message) in [
        ("a=b,,c=d", "expected label name (at character 5)"),
        ("{a=\"b\" c=d", "expected a comma or close brace (at character 8)"),
        (
            "a=~\"b(\"",
            "regular expression of label \"a\": a group is not closed: ) is missing (at character 2 of the regular expression)",
        ),
        (
            "a=\"\\q\u{e9}",
            "the escape or character is not allowed in a quoted string (at character 4)",
        ),
    ] {
        assert_eq!(Matchers::parse(text).unwrap_err().to_string(), message);
    }
}
