//! Conditions on labels, with Alertmanager's semantics.

use std::{fmt, slice, sync::Arc};

use super::{parse_classic, parse_utf8, pattern::Pattern, regex::PatternError};
use crate::{
    alert::{Labels, push_quoted},
    api::MatchType,
};

/// A condition on one label; a missing label is an empty one. Clones share the compiled pattern.
#[derive(Clone)]
pub struct Matcher {
    /// Name of the label.
    pub name: Box<str>,
    /// Comparison.
    pub kind: MatchType,
    /// Value, or regular expression that must match the whole value.
    pub value: Box<str>,
    pattern: Option<Arc<Pattern>>,
}

/// Conditions that must all hold; none at all always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers(Box<[Matcher]>);

/// Why a text is not a list of matchers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// Not the grammar.
    #[error("{problem} (at character {position})")]
    Syntax {
        /// The character, counted from 1.
        position: usize,
        /// What is wrong.
        problem: String,
    },
    /// A regular expression that does not compile.
    #[error("regular expression of label {name:?}: {source}")]
    Pattern {
        /// Name of the label.
        name: Box<str>,
        /// What is wrong.
        source: PatternError,
    },
}

/// A matcher as written: its regular expression is not compiled.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) kind: MatchType,
    pub(super) value: String,
}

/// Whether a character must be quoted in the UTF-8 syntax.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
}

// === impl Matcher ===

impl Matcher {
    /// A matcher; compiles its regular expression.
    ///
    /// # Errors
    /// [`PatternError`] if the regular expression is not one.
    pub fn new(kind: MatchType, name: &str, value: &str) -> Result<Self, PatternError> {
        let pattern = match kind {
            MatchType::Equal | MatchType::NotEqual => None,
            MatchType::Regex | MatchType::NotRegex => Some(Pattern::compile(value)?),
        };
        Ok(Self { name: name.into(), kind, value: value.into(), pattern })
    }

    /// Reads one condition the way Alertmanager reads `filter=`: no braces, and all of the text is one
    /// condition, so that `team=a,b` is about the value `a,b`.
    ///
    /// # Errors
    /// [`MatcherError`] of the classic grammar if neither can read it.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        if text.starts_with('{') || text.ends_with('}') {
            let problem = format!("unexpected open or close brace: {text}");
            return Err(MatcherError::Syntax { position: 1, problem });
        }
        let compiled = |one: Written| {
            Self::new(one.kind, &one.name, &one.value)
                .map_err(|source| MatcherError::Pattern { name: one.name.into(), source })
        };
        let classic = parse_classic::matcher(text).and_then(compiled);
        classic.or_else(|error| {
            let mut utf8 = parse_utf8::parse(text).unwrap_or_default();
            match (utf8.pop(), utf8.is_empty()) {
                (Some(one), true) => compiled(one).map_err(|_| error),
                _ => Err(error),
            }
        })
    }

    /// Whether the alert's label meets the condition.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name))
    }

    /// Whether a label of this value meets the condition.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match (self.kind, &self.pattern) {
            (MatchType::Equal, _) => *self.value == *value,
            (MatchType::NotEqual, _) => *self.value != *value,
            (MatchType::Regex, pattern) => {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(value))
            }
            (MatchType::NotRegex, pattern) => {
                !pattern.as_ref().is_some_and(|pattern| pattern.is_match(value))
            }
        }
    }

    /// Bytes that its compiled pattern may take, erring upwards; patterns that are used elsewhere too count as
    /// if they were not.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.pattern.as_ref().map_or(0, |pattern| pattern.weight())
    }

    /// The values of which an alert's label must have one, if the condition names them.
    pub(super) fn demanded(&self) -> Option<&[Box<str>]> {
        match self.kind {
            MatchType::Equal if !self.value.is_empty() => Some(slice::from_ref(&self.value)),
            MatchType::Regex => self.pattern.as_ref()?.values(),
            _ => None,
        }
    }

    /// The value that an alert's label must have, if it is only one.
    pub(super) fn equality(&self) -> Option<&str> {
        (self.kind == MatchType::Equal && !self.value.is_empty()).then_some(&*self.value)
    }

    /// `=`, `!=`, `=~` or `!~`.
    #[must_use]
    pub const fn operator(&self) -> &'static str {
        match self.kind {
            MatchType::Equal => "=",
            MatchType::NotEqual => "!=",
            MatchType::Regex => "=~",
            MatchType::NotRegex => "!~",
        }
    }

    fn key(&self) -> (&str, &str, u8) {
        let kind = match self.kind {
            MatchType::Equal => 0,
            MatchType::NotEqual => 1,
            MatchType::Regex => 2,
            MatchType::NotRegex => 3,
        };
        (&self.name, &self.value, kind)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As Alertmanager prints it.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        if self.name.contains(is_reserved) {
            push_quoted(&mut out, &self.name);
            out.push_str(self.operator());
            push_quoted(&mut out, &self.value);
        } else {
            out.push_str(&self.name);
            out.push_str(self.operator());
            out.push('"');
            for c in self.value.chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    '"' => out.push_str("\\\""),
                    '\n' => out.push_str("\\n"),
                    c => out.push(c),
                }
            }
            out.push('"');
        }
        f.write_str(&out)
    }
}

// === impl Matchers ===

impl Matchers {
    /// Reads Alertmanager's compact syntax the way Alertmanager does by default: by the UTF-8
    /// grammar, by the classic one if that fails; where both give something else, the classic wins.
    ///
    /// # Errors
    /// [`MatcherError`] of the UTF-8 grammar if neither can read it.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let utf8 = parse_utf8::parse(text).and_then(Self::build);
        let classic = parse_classic::parse(text).and_then(Self::build);
        match (utf8, classic) {
            (_, Ok(classic)) => Ok(classic),
            (Ok(utf8), Err(_)) => Ok(utf8),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// The matchers in Alertmanager's order: by name, value, comparison.
    #[must_use]
    pub fn sorted(mut matchers: Vec<Matcher>) -> Self {
        matchers.sort_by(|a, b| a.key().cmp(&b.key()));
        Self(matchers.into())
    }

    /// Whether all conditions hold.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// The single conditions.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    fn build(written: Vec<Written>) -> Result<Self, MatcherError> {
        written
            .into_iter()
            .map(|one| {
                Matcher::new(one.kind, &one.name, &one.value)
                    .map_err(|source| MatcherError::Pattern { name: one.name.into(), source })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl IntoIterator for Matchers {
    type Item = Matcher;
    type IntoIter = std::vec::IntoIter<Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a> IntoIterator for &'a Matchers {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As Alertmanager prints it: `{a="b",c=~"d"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, matcher) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            matcher.fmt(f)?;
        }
        f.write_str("}")
    }
}
