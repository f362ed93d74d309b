//! Alertmanager's own packages, asked over a pipe.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::support::controlplane::{built, say_skip};

/// Asks all questions and gives the answers in the same order. `None`, said loudly, if the tools are not built.
pub(super) fn ask(questions: &[Value]) -> Option<Vec<Value>> {
    let Some(bin) = built() else {
        say_skip();
        return None;
    };
    let mut child = Command::new(bin.join("amoracle"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("amoracle: {error}: run make controlplane"));
    let mut ask = child.stdin.take().unwrap();
    let lines: Vec<String> = questions.iter().map(Value::to_string).collect();
    let asking = thread::spawn(move || {
        for line in lines {
            writeln!(ask, "{line}").unwrap();
        }
    });
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let answers: Vec<Value> =
        answers.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    asking.join().unwrap();
    assert!(child.wait().unwrap().success(), "amoracle failed");
    assert_eq!(answers.len(), questions.len());
    for (question, answer) in questions.iter().zip(&answers) {
        let problem = answer["error"].as_str().unwrap_or_default();
        assert!(!problem.starts_with("question:"), "{question}: {problem}");
    }
    Some(answers)
}

/// Fails with the first differences, if there are any.
pub(super) fn none_of(differences: &[String]) {
    let first = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{first}", differences.len());
}
