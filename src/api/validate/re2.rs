//! Does the API server's engine compile this regular expression?
//!
//! The server compiles the regular expressions of matchers with Go's `regexp` (RE2). The `regex` crate, which
//! `kube-cel` uses, knows another dialect: it refuses `a{,5}` and `\Qa.b\E` and accepts `(?x)a`, `a**` and
//! `\u{61}`. This is the grammar of Go's `regexp/syntax` in its Perl mode, without building anything. Not
//! checked: names of properties that only the crate knows (`\p{Alphabetic}`).

mod class;
mod escape;

/// The deepest nesting that Go accepts.
const MAX_DEPTH: usize = 1000;
/// The largest repeat count, also of nested repetitions together.
const MAX_REPEAT: u32 = 1000;

/// What is wrong with a pattern, in Go's words.
pub(super) type Fault = &'static str;

/// Position in a pattern.
struct Scanner<'a> {
    rest: &'a str,
}

/// What has been read of the group that is open.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Largest product of nested repeat counts among the operands before the last.
    others: u32,
    /// The same of the last operand; `None` when there is nothing that could be repeated.
    last: Option<u32>,
}

/// Checks a pattern.
pub(super) fn check(pattern: &str) -> Result<(), Fault> {
    let mut scanner = Scanner { rest: pattern };
    let mut groups: Vec<Group> = Vec::new();
    let mut group = Group::default();
    let mut after_repeat = false;
    while let Some(c) = scanner.peek() {
        let is_nested = std::mem::take(&mut after_repeat);
        match c {
            '(' => {
                if scanner.open()? {
                    groups.push(std::mem::take(&mut group));
                    if groups.len() > MAX_DEPTH {
                        return Err("expression nests too deeply");
                    }
                }
            }
            ')' => {
                scanner.next();
                let inner = group;
                group = groups.pop().ok_or("unexpected )")?;
                group.push(inner.heaviest());
            }
            '|' => {
                scanner.next();
                group.others = group.heaviest();
                group.last = None;
            }
            '[' => {
                scanner.class()?;
                group.push(1);
            }
            '\\' => {
                if scanner.escaped()? {
                    group.push(1);
                }
            }
            '*' | '+' | '?' => {
                scanner.next();
                group.repeat(1, scanner.ends_repeat(is_nested)?)?;
                after_repeat = true;
            }
            '{' => {
                if let Some((min, max)) = scanner.counts() {
                    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || min > max) {
                        return Err("invalid repeat count");
                    }
                    let ended = scanner.ends_repeat(is_nested)?;
                    group.repeat(max.unwrap_or(min.max(1)), ended)?;
                    after_repeat = true;
                } else {
                    scanner.next();
                    group.push(1);
                }
            }
            _ => {
                scanner.next();
                group.push(1);
            }
        }
    }
    if groups.is_empty() { Ok(()) } else { Err("missing closing )") }
}

/// A repetition operator has been read to its end.
struct Ended;

// === impl Group ===

impl Group {
    /// An operand was read.
    fn push(&mut self, weight: u32) {
        self.others = self.heaviest();
        self.last = Some(weight);
    }

    fn heaviest(&self) -> u32 {
        self.others.max(self.last.unwrap_or(1)).max(1)
    }

    /// The last operand is repeated at most `count` times.
    fn repeat(&mut self, count: u32, _: Ended) -> Result<(), Fault> {
        let weight = self.last.ok_or("missing argument to repetition operator")?;
        let weight = weight * count;
        if count >= 2 && weight > MAX_REPEAT {
            return Err("invalid repeat count");
        }
        self.last = Some(weight.max(1));
        Ok(())
    }
}

// === impl Scanner ===

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads the `?` that makes a repetition lazy. A repetition of a repetition is refused.
    fn ends_repeat(&mut self, is_nested: bool) -> Result<Ended, Fault> {
        self.skip("?");
        if is_nested { Err("invalid nested repetition operator") } else { Ok(Ended) }
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; reads nothing if it is anything else, which stands for itself.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let mut ahead = Scanner { rest: self.rest };
        ahead.skip("{");
        let min = ahead.count()?;
        let max = if !ahead.skip(",") {
            Some(min)
        } else if ahead.peek() == Some('}') {
            None
        } else {
            Some(ahead.count()?)
        };
        if !ahead.skip("}") {
            return None;
        }
        self.rest = ahead.rest;
        Some((min, max))
    }

    /// A number without leading zeros; one that is too large is as large as can be.
    fn count(&mut self) -> Option<u32> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        if number.is_empty() || (digits > 1 && number.starts_with('0')) {
            return None;
        }
        self.rest = rest;
        Some(number.parse().unwrap_or(u32::MAX))
    }

    /// Reads the begin of a group; false if it only sets flags.
    fn open(&mut self) -> Result<bool, Fault> {
        self.skip("(");
        if !self.skip("?") {
            return Ok(true);
        }
        if self.skip("P<") || self.skip("<") {
            let (name, rest) = self.rest.split_once('>').ok_or("invalid named capture")?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err("invalid named capture");
            }
            self.rest = rest;
            return Ok(true);
        }
        let (mut is_negated, mut has_flag) = (false, false);
        loop {
            match self.next() {
                Some('i' | 'm' | 's' | 'U') => has_flag = true,
                Some('-') if !is_negated => (is_negated, has_flag) = (true, false),
                Some(end @ (':' | ')')) if has_flag || !is_negated => return Ok(end == ':'),
                None => return Err("missing closing )"),
                Some(_) => return Err("invalid or unsupported Perl syntax"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The verdicts below are those of Go 1.26.

    #[test]
    fn what_go_compiles_is_accepted() {
        for pattern in [
            "",
            "a{,5}",
            "a{5",
            "{",
            "}",
            "]",
            "a-]",
            r"\Qa.b\E",
            r"\Q(",
            r"\_\-\/\ ",
            "[]a]",
            "[^]]",
            "[a-]",
            "[--a]",
            "[[:^digit:]-]",
            "[a[:b]",
            r"\pL\p{Greek}\P{^Lu}",
            r"\x41\x{1F600}\x{d800}",
            r"\0\12\777",
            r"[\d-z]",
            "(?i)a",
            "a(?i)*",
            "(?i-s:a)(?-s)",
            "(?P<n>a)(?<n>b)",
            "()*",
            "(|a)+",
            "^*$?",
            "a*?",
            "a{1000}",
            "(a{20}){50}",
            "((a{1000}){0}){9}",
            "a|b",
            "é日.*",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn what_go_does_not_compile_is_refused() {
        for (pattern, fault) in [
            ("(", "missing closing )"),
            ("a)", "unexpected )"),
            ("(?i", "missing closing )"),
            ("[a", "missing closing ]"),
            ("[]", "missing closing ]"),
            ("[z-a]", "invalid character class range"),
            ("[[:foo:]]", "invalid character class range"),
            (r"\p{Foo}", "invalid character class range"),
            (r"\p{gc=L}", "invalid character class range"),
            (r"\p{L", "invalid character class range"),
            ("*", "missing argument"),
            ("a|*", "missing argument"),
            ("(?i)+", "missing argument"),
            ("{2}", "missing argument"),
            ("a**", "invalid nested repetition operator"),
            ("a*??", "invalid nested repetition operator"),
            ("a{2}{3}", "invalid nested repetition operator"),
            ("a{1001}", "invalid repeat count"),
            ("a{1001,}", "invalid repeat count"),
            ("a{3,2}", "invalid repeat count"),
            ("a{99999999999}", "invalid repeat count"),
            ("(a{20}){51}", "invalid repeat count"),
            ("(?x)a", "invalid or unsupported Perl syntax"),
            ("(?=a)", "invalid or unsupported Perl syntax"),
            ("(?i-)", "invalid or unsupported Perl syntax"),
            ("(?P=n)", "invalid or unsupported Perl syntax"),
            ("(?<=a)b", "invalid named capture"),
            ("(?P<é>a)", "invalid named capture"),
            (r"\", "trailing backslash"),
            (r"(a)\1", "invalid escape"),
            (r"\8", "invalid escape"),
            (r"\u0041", "invalid escape"),
            (r"\C", "invalid escape"),
            (r"\Z", "invalid escape"),
            (r"\é", "invalid escape"),
            (r"\x4", "invalid escape"),
            (r"\x{}", "invalid escape"),
            (r"\x{110000}", "invalid escape"),
            (r"[\b]", "invalid escape"),
        ] {
            let found = check(pattern);
            assert!(found.is_err_and(|found| found.starts_with(fault)), "{pattern}: {found:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_deep_stack() {
        assert_eq!(check(&"(".repeat(1001)), Err("expression nests too deeply"));
    }
}
