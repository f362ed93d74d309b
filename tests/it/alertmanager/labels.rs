//! Fingerprints and the form in which label sets are part of a group key.

use fanfare::alert::{Labels, group_key};
use serde_json::{Value, json};

use super::{
    generate::{self, CASES},
    oracle::{ask, none_of},
};

#[test]
fn fingerprints_and_group_keys_are_alertmanagers() {
    let mut rng = generate::rng();
    let sets: Vec<_> = (0..CASES)
        .map(|at| {
            let mut set = generate::labels(&mut rng);
            if at % 3 == 0 {
                set.insert(format!("n{}", generate::text(&mut rng)), generate::text(&mut rng));
            }
            // Alertmanager drops empty values when an alert comes in.
            set.retain(|_, value| !value.is_empty());
            set
        })
        .collect();
    let questions: Vec<Value> = sets.iter().map(|set| json!({"labels": set})).collect();
    let Some(answers) = ask(&questions) else { return };
    let mut differences = Vec::new();
    for (set, answer) in sets.iter().zip(&answers) {
        let ours: Labels =
            set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let fingerprint = format!("{:016x}", ours.fingerprint().0);
        let key = group_key("r", &ours);
        let text = answer["text"].as_str().unwrap();
        if answer["fingerprint"] != fingerprint || key != format!("r:{text}") {
            differences.push(format!("{set:?}: {fingerprint} {key}, Alertmanager: {answer}"));
        }
    }
    none_of(&differences);
}
