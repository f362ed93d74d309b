//! Compiled regular expressions, and what can be known of a value without running them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use ::regex::{Error, Regex, RegexBuilder};
use regex_syntax::hir::literal::{Extractor, Literal};

use super::regex::{PREFIX, PatternError, SUFFIX, translate};

/// Largest compiled pattern in bytes; the pattern itself is at most 1,024 characters.
const SIZE_LIMIT: usize = 2 << 20;
/// What a pattern may take is tried in these steps: nothing else tells how large it is.
const SIZES: [usize; 6] = [2 << 10, 8 << 10, 32 << 10, 128 << 10, 512 << 10, SIZE_LIMIT];
/// Programs that are made of a pattern: forwards, backwards, in one pass.
const PROGRAMS: usize = 3;
/// Least bytes for what is learnt of a pattern while it is used.
const LEAST_CACHE: usize = 16 << 10;
/// What a value of a list takes beside its text.
const VALUE: usize = 32;
/// Most values of a pattern that is kept as their list.
const MAX_VALUES: usize = 32;
/// Most ways to begin that are compared before the expression itself is run: more are not cheaper.
const FEW_STARTS: usize = 8;

/// Patterns in use, so that routes with the same pattern share one compiled form.
static POOL: LazyLock<Mutex<HashMap<Box<str>, Weak<Pattern>>>> = LazyLock::new(Mutex::default);

/// A regular expression that must match the whole value.
#[derive(Debug)]
pub(super) enum Pattern {
    /// No more and no less than these values; sorted.
    Values(Box<[Box<str>]>),
    /// Whatever the expression matches.
    Regex {
        regex: Regex,
        /// All that matches begins with one of these; none: nothing is known.
        starts: Box<[Box<[u8]>]>,
        /// Bytes that it may take.
        weight: usize,
    },
}

/// What is learnt of a pattern of that size while it is used takes at most so much.
const fn cache(size: usize) -> usize {
    match 4 * size {
        0..LEAST_CACHE => LEAST_CACHE,
        SIZE_LIMIT.. => SIZE_LIMIT,
        bytes => bytes,
    }
}

/// The expression, and the bytes that it may take.
fn build(translated: &str) -> Result<(Regex, usize), Error> {
    let mut last = Err(Error::CompiledTooBig(SIZE_LIMIT));
    for size in SIZES {
        let mut builder = RegexBuilder::new(translated);
        last = builder.size_limit(size).dfa_size_limit(cache(size)).build();
        if !matches!(last, Err(Error::CompiledTooBig(_))) {
            return last.map(|regex| (regex, PROGRAMS * size + cache(size)));
        }
    }
    last.map(|regex| (regex, PROGRAMS * SIZE_LIMIT + SIZE_LIMIT))
}

// === impl Pattern ===

impl Pattern {
    /// Compiles a pattern that must match the whole value.
    ///
    /// # Errors
    /// [`PatternError`] for what Go refuses, and for what gets too big.
    pub(super) fn compile(pattern: &str) -> Result<Arc<Self>, PatternError> {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = pool.get(pattern).and_then(Weak::upgrade) {
            return Ok(compiled);
        }
        let translated = translate(pattern)?;
        let (regex, weight) = build(&translated).map_err(|error| {
            let problem = match error {
                Error::CompiledTooBig(_) => {
                    "it needs too much memory; use smaller repetitions".to_owned()
                }
                _ => "it is not supported".to_owned(),
            };
            PatternError { position: 1, problem }
        })?;
        let compiled = Arc::new(Self::simplified(&translated, (regex, weight)));
        if pool.len() == pool.capacity() {
            pool.retain(|_, held| held.strong_count() > 0);
        }
        pool.insert(pattern.into(), Arc::downgrade(&compiled));
        Ok(compiled)
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Values(values) => values.iter().any(|one| **one == *value),
            Self::Regex { regex, starts, .. } => {
                let may = starts.is_empty()
                    || starts.iter().any(|start| value.as_bytes().starts_with(start));
                may && regex.is_match(value)
            }
        }
    }

    /// All values that match, if they are few and the empty one is not among them.
    pub(super) fn values(&self) -> Option<&[Box<str>]> {
        match self {
            Self::Values(values) if values.iter().all(|value| !value.is_empty()) => Some(values),
            _ => None,
        }
    }

    /// Bytes that it may take, erring upwards.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Values(values) => values.iter().map(|value| VALUE + value.len()).sum(),
            Self::Regex { weight, .. } => *weight,
        }
    }

    fn simplified(translated: &str, (regex, weight): (Regex, usize)) -> Self {
        let none = || Self::Regex { regex: regex.clone(), starts: [].into(), weight };
        let inner = &translated[PREFIX.len()..translated.len() - SUFFIX.len()];
        let Ok(parsed) = regex_syntax::parse(inner) else { return none() };
        let found = Extractor::new().limit_total(MAX_VALUES).extract(&parsed);
        let Some(literals) = found.literals().filter(|all| !all.is_empty()) else { return none() };
        // A condition inside (`^`, `\b`) makes matches fewer than the literals.
        if parsed.properties().look_set().is_empty() && literals.iter().all(Literal::is_exact) {
            let text = |one: &Literal| std::str::from_utf8(one.as_bytes()).ok().map(Box::from);
            if let Some(mut values) = literals.iter().map(text).collect::<Option<Vec<Box<str>>>>() {
                values.sort_unstable();
                values.dedup();
                return Self::Values(values.into());
            }
        }
        let mut starts: Vec<Box<[u8]>> = literals.iter().map(|one| one.as_bytes().into()).collect();
        starts.sort_unstable();
        starts.dedup();
        if starts.len() > FEW_STARTS || starts.iter().any(|start| start.is_empty()) {
            return none();
        }
        Self::Regex { regex, starts: starts.into(), weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_lists_of_values_are_known_as_such() {
        for (pattern, expected) in [
            ("a|b|a", Some(vec!["a", "b"])),
            ("(?:api|web)-[12]", Some(vec!["api-1", "api-2", "web-1", "web-2"])),
            ("x?y", Some(vec!["xy", "y"])),
            (r"a\.b", Some(vec!["a.b"])),
            ("(?i)ab", Some(vec!["AB", "Ab", "aB", "ab"])),
            ("^a$", None),
            ("a|", None),
            ("a*", None),
            ("a.+", None),
            (".*", None),
            ("[a-z]", None),
            ("", None),
        ] {
            let compiled = Pattern::compile(pattern).unwrap();
            let values = compiled.values().map(|all| all.iter().map(|one| &**one).collect());
            assert_eq!(values, expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_weighs_what_it_may_take() {
        let weight = |pattern: &str| Pattern::compile(pattern).unwrap().weight();
        assert_eq!(weight("a|bc"), 2 * VALUE + 3);
        assert_eq!(weight("node-[0-9]+"), PROGRAMS * SIZES[0] + LEAST_CACHE);
        let large = weight("(?:[a-zé-ü]{1,40}x){1,20}");
        assert!(large > 256 << 10, "{large}");
        let all = SIZES.map(|size| PROGRAMS * size + cache(size));
        assert!(all.is_sorted() && all.contains(&large));
    }

    #[test]
    fn what_is_known_of_a_pattern_changes_no_answer() {
        let patterns = [
            "a|b",
            "a.*",
            "(?i)ab.*",
            "a|b.+",
            "|a",
            ".*a",
            "(?:ab|ac)+",
            "a{2,3}",
            "é.*",
            "[^a]b",
            "(?m)^a\n^b",
            r"a\b.*",
            "(?i)k",
            "(?:a|b)?c",
            "a.c|b",
            "\\Qa|b\\E",
            "()",
            "a$|b^",
        ];
        let mut values = vec![String::new()];
        for length in 0..3 {
            let longer: Vec<String> = values
                .iter()
                .filter(|value| value.chars().count() == length)
                .flat_map(|value| "abcABk\u{212a}é|\n".chars().map(move |c| format!("{value}{c}")))
                .collect();
            values.extend(longer);
        }
        for pattern in patterns {
            let compiled = Pattern::compile(pattern).unwrap();
            let regex = Regex::new(&translate(pattern).unwrap()).unwrap();
            for value in &values {
                assert_eq!(compiled.is_match(value), regex.is_match(value), "{pattern} {value:?}");
            }
        }
    }
}
