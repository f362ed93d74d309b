//! Alertmanager's classic matcher syntax: `{name="value",other=~value}`.
//!
//! Source: Alertmanager 0.34 `pkg/labels/parse.go`, quirks included.

use super::matcher::{MatcherError, Written};
use crate::api::MatchType;

pub(super) fn parse(text: &str) -> Result<Vec<Written>, MatcherError> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut matchers = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            ',' if quoted => {}
            ',' => {
                matchers.push(matcher(&text[start..at])?);
                start = at + 1;
            }
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        matchers.push(matcher(last)?);
    }
    Ok(matchers)
}

pub(super) fn matcher(text: &str) -> Result<Written, MatcherError> {
    // Go's \s.
    let space = |c: char| matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ');
    let text = text.trim_matches(space);
    let name_length = text
        .bytes()
        .enumerate()
        .take_while(|&(at, byte)| {
            byte.is_ascii_alphabetic() || b"_:".contains(&byte) || (at > 0 && byte.is_ascii_digit())
        })
        .count();
    let (name, rest) = text.split_at(name_length);
    let rest = rest.trim_start_matches(space);
    let operators = [
        ("=~", MatchType::Regex),
        ("=", MatchType::Equal),
        ("!=", MatchType::NotEqual),
        ("!~", MatchType::NotRegex),
    ];
    let found = operators.iter().find_map(|(text, kind)| Some((rest.strip_prefix(text)?, *kind)));
    match found {
        Some((raw, kind)) if !name.is_empty() => {
            let value = unescaped(raw.trim_start_matches(space))?;
            Ok(Written { name: name.to_owned(), kind, value })
        }
        _ => Err(error(format!("bad matcher format: {text}"))),
    }
}

fn unescaped(raw: &str) -> Result<String, MatcherError> {
    let (text, mut open) = match raw.strip_prefix('"') {
        Some(text) => (text, true),
        None => (raw, false),
    };
    let mut value = String::with_capacity(text.len());
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        let last = at + 1 >= text.len();
        match c {
            'n' if escaped => value.push('\n'),
            '"' | '\\' if escaped => value.push(c),
            _ if escaped => value.extend(['\\', c]),
            '\\' if !last => {
                escaped = true;
                continue;
            }
            '"' if open && last => open = false,
            '"' => {
                return Err(error(format!("matcher value contains unescaped double quote: {raw}")));
            }
            c => value.push(c),
        }
        escaped = false;
    }
    if open {
        return Err(error(format!("matcher value contains unescaped double quote: {raw}")));
    }
    Ok(value)
}

/// The UTF-8 grammar's error is the one that is shown: it knows the place.
fn error(problem: String) -> MatcherError {
    MatcherError::Syntax { position: 1, problem }
}
