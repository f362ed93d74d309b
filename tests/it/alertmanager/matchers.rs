//! Matchers: what is one, how it is printed, which labels it takes.

use fanfare::{alert::Labels, routing::Matchers};
use serde_json::{Value, json};

use super::{
    generate::{self, CASES},
    oracle::{ask, none_of},
};

#[test]
fn matchers_are_read_printed_and_hold_as_in_alertmanager() {
    let mut rng = generate::rng();
    let cases: Vec<_> = (0..CASES)
        .map(|_| {
            let sets: Vec<_> = (0..4).map(|_| generate::labels(&mut rng)).collect();
            (generate::matchers(&mut rng), sets)
        })
        .collect();
    let questions: Vec<Value> =
        cases.iter().map(|(text, sets)| json!({"matchers": text, "sets": sets})).collect();
    let Some(answers) = ask(&questions) else { return };
    let mut differences = Vec::new();
    let (mut read, mut held) = (0, 0);
    for ((text, sets), answer) in cases.iter().zip(&answers) {
        let theirs = answer["error"].is_null();
        let ours = Matchers::parse(text);
        let (Ok(matchers), true) = (&ours, theirs) else {
            if ours.is_ok() == theirs {
                continue;
            }
            differences.push(format!("{text:?}: {ours:?}, Alertmanager: {answer}"));
            continue;
        };
        read += 1;
        let holds: Vec<bool> = sets
            .iter()
            .map(|set| {
                matchers
                    .matches(&set.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Labels>())
            })
            .collect();
        held += holds.iter().filter(|holds| **holds).count();
        if answer["text"] != matchers.to_string() || answer["holds"] != json!(holds) {
            differences
                .push(format!("{text:?} {sets:?}: {matchers} {holds:?}, Alertmanager: {answer}"));
        }
    }
    none_of(&differences);
    assert!(
        read > CASES / 3 && held > CASES / 3,
        "the cases are one-sided: {read} read, {held} held"
    );
}
