//! Alertmanager's UTF-8 matcher syntax: names and values are words, or strings in Go's quoting.
//!
//! Source: Alertmanager 0.34 `matcher/parse`.

use super::matcher::{MatcherError, Written, is_reserved};
use crate::api::MatchType;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

pub(super) fn parse(text: &str) -> Result<Vec<Written>, MatcherError> {
    let mut parser = Parser { text, at: 0 };
    let braced = parser.eat("{");
    let mut matchers = Vec::new();
    let mut separated = true;
    loop {
        parser.skip_space();
        let end = parser.rest().is_empty();
        if end && braced {
            return Err(parser.error("expected close brace"));
        }
        if end || (braced && parser.rest().starts_with('}')) {
            break;
        }
        if !separated {
            return Err(parser.error("expected a comma or close brace"));
        }
        matchers.push(parser.matcher()?);
        separated = parser.eat(",");
    }
    if braced {
        parser.eat("}");
    }
    parser.skip_space();
    if parser.rest().is_empty() { Ok(matchers) } else { Err(parser.error("expected end of input")) }
}

// === impl Parser ===

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Skips white space, then `token` if it is there.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn error(&self, problem: &str) -> MatcherError {
        let position = self.text[..self.at].chars().count() + 1;
        MatcherError::Syntax { position, problem: problem.to_owned() }
    }

    fn matcher(&mut self) -> Result<Written, MatcherError> {
        let name = self.word("expected label name")?;
        let kind = if self.eat("=~") {
            MatchType::Regex
        } else if self.eat("=") {
            MatchType::Equal
        } else if self.eat("!=") {
            MatchType::NotEqual
        } else if self.eat("!~") {
            MatchType::NotRegex
        } else {
            return Err(self.error("expected an operator such as '=', '!=', '=~' or '!~'"));
        };
        let value = self.word("expected label value")?;
        Ok(Written { name, kind, value })
    }

    fn word(&mut self, expected: &str) -> Result<String, MatcherError> {
        self.skip_space();
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let length = rest.find(is_reserved).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.error(expected));
        }
        let word = rest[..length].to_owned();
        self.at += length;
        Ok(word)
    }

    /// A string as `strconv.Unquote` reads it; the cursor is at its opening quote.
    fn quoted(&mut self) -> Result<String, MatcherError> {
        let mut out = Vec::new();
        let mut chars = self.rest()[1..].char_indices();
        let bad = |parser: &Self, at: usize| {
            let position = parser.text[..parser.at + 1 + at].chars().count() + 1;
            let problem = "the escape or character is not allowed in a quoted string".to_owned();
            Err(MatcherError::Syntax { position, problem })
        };
        while let Some((at, c)) = chars.next() {
            let code = match c {
                '"' => {
                    let Ok(text) = String::from_utf8(out) else {
                        return Err(self.error("a quoted string is not UTF-8"));
                    };
                    self.at += at + 2;
                    return Ok(text);
                }
                '\n' => return bad(self, at),
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('a') => 0x07,
                    Some('b') => 0x08,
                    Some('f') => 0x0c,
                    Some('n') => 0x0a,
                    Some('r') => 0x0d,
                    Some('t') => 0x09,
                    Some('v') => 0x0b,
                    Some(c @ ('\\' | '"')) => u32::from(c),
                    // These two stand for bytes, not for characters.
                    Some(first @ ('x' | '0'..='7')) => {
                        let byte = if first == 'x' {
                            number(chars.as_str(), 2, 16)
                        } else {
                            let rest = number(chars.as_str(), 2, 8);
                            rest.map(|rest| 64 * (u32::from(first) - 48) + rest)
                        };
                        let Some(byte) = byte.and_then(|byte| u8::try_from(byte).ok()) else {
                            return bad(self, at);
                        };
                        out.push(byte);
                        chars.nth(1);
                        continue;
                    }
                    Some(c @ ('u' | 'U')) => {
                        let digits = if c == 'u' { 4 } else { 8 };
                        let Some(code) = number(chars.as_str(), digits, 16) else {
                            return bad(self, at);
                        };
                        chars.nth(digits - 1);
                        code
                    }
                    _ => return bad(self, at),
                },
                c => u32::from(c),
            };
            let Some(c) = char::from_u32(code) else { return bad(self, at) };
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Err(self.error("a quoted string has no end: \" is missing"))
    }
}

/// The number that the first `count` digits of `text` make.
fn number(text: &str, count: usize, radix: u32) -> Option<u32> {
    let digits = text.get(..count)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
