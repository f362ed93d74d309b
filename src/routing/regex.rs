//! Regular expressions as Alertmanager understands them (Go's RE2), on Rust's engine.
//!
//! A pattern is read by Go's grammar and written anew in Rust's: what Go takes as text (`a{,5}`,
//! `[a&&b]`) stays text, `\d \w \s \b` are ASCII, and what Go refuses (`a**`, `a{1001}`, `(?x)`,
//! `\u00e9`, a look-around) is refused. Two things that Go takes are refused here: a pattern that
//! closes a group it did not open, and so would break out of its anchors, and `a*(?i)*`.

use super::class;

/// What is wrong with a pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {position} of the regular expression)")]
pub struct PatternError {
    /// The character, counted from 1.
    pub position: usize,
    /// What is wrong.
    pub problem: String,
}

/// What stands around every translated pattern.
pub(super) const PREFIX: &str = "^(?:";
pub(super) const SUFFIX: &str = ")$";
/// Largest number of nested groups.
const MAX_DEPTH: usize = 200;
/// Largest number of copies that repetitions, nested ones multiplied, may make; Go's limit.
const MAX_REPEAT: u32 = 1_000;

/// What a repetition would repeat.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Atom,
    Repeat,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Flags {
    on: [bool; 4],
}

/// One open group, or the whole pattern.
struct Level {
    flags: Flags,
    last: Last,
    /// Copies that the last atom makes of its parts, and the most of all atoms so far.
    weight: u32,
    heaviest: u32,
    /// The flags are new and not written yet.
    pending: bool,
}

pub(super) struct Translator<'a> {
    pattern: &'a str,
    pub(super) at: usize,
    pub(super) out: String,
    levels: Vec<Level>,
}

/// The pattern in Rust's syntax, anchored at both ends.
///
/// # Errors
/// [`PatternError`] for what Go refuses.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        pattern,
        at: 0,
        out: String::with_capacity(pattern.len() + 16),
        levels: vec![Level::new(Flags::default())],
    };
    translator.out.push_str(PREFIX);
    while let Some(c) = translator.peek() {
        translator.step(c)?;
    }
    if translator.levels.len() > 1 {
        return Err(translator.error("a group is not closed: ) is missing"));
    }
    translator.out.push_str(SUFFIX);
    Ok(translator.out)
}

// === impl Level ===

impl Level {
    fn new(flags: Flags) -> Self {
        Self { flags, last: Last::Nothing, weight: 1, heaviest: 1, pending: false }
    }
}

// === impl Flags ===

impl Flags {
    const NAMES: [char; 4] = ['i', 'm', 's', 'U'];

    /// Writes all four, so that nothing depends on what was set before.
    fn push(self, out: &mut String) {
        let write = |out: &mut String, wanted: bool| {
            out.extend(
                Self::NAMES.iter().zip(self.on).filter(|(_, on)| *on == wanted).map(|(c, _)| c),
            );
        };
        write(out, true);
        if self.on.contains(&false) {
            out.push('-');
            write(out, false);
        }
    }
}

// === impl Translator ===

impl<'a> Translator<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// An error at the character that was read last.
    pub(super) fn error(&self, problem: impl Into<String>) -> PatternError {
        let position = self.pattern[..self.at].chars().count().max(1);
        PatternError { position, problem: problem.into() }
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never closed")
    }

    fn atom(&mut self, weight: u32) {
        let level = self.level();
        level.last = Last::Atom;
        level.weight = weight;
        level.heaviest = level.heaviest.max(weight);
    }

    pub(super) fn literal(&mut self, c: char) {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$'
        ) {
            self.out.push('\\');
        }
        self.out.push(c);
        self.atom(1);
    }

    /// Writes new flags, but never between an atom and its repetition.
    fn flush(&mut self) {
        let level = self.level();
        if std::mem::take(&mut level.pending) {
            let flags = level.flags;
            self.out.push_str("(?");
            flags.push(&mut self.out);
            self.out.push(')');
        }
    }

    fn step(&mut self, c: char) -> Result<(), PatternError> {
        let start = self.at;
        self.at += c.len_utf8();
        if !matches!(c, '*' | '+' | '?' | '{' | '(' | ')') {
            self.flush();
        }
        match c {
            '(' => self.open(),
            ')' => self.close(),
            '|' => {
                self.out.push('|');
                self.level().last = Last::Nothing;
                Ok(())
            }
            '*' | '+' | '?' => self.repeat(start, 1),
            '{' => match self.counts() {
                None => {
                    self.at = start + 1;
                    self.flush();
                    self.literal('{');
                    Ok(())
                }
                Some((min, max)) => {
                    let most = max.unwrap_or(min);
                    if min > MAX_REPEAT || most > MAX_REPEAT || most < min {
                        return Err(
                            self.error("a repetition is over 1000 or its limits are swapped")
                        );
                    }
                    self.repeat(start, most)
                }
            },
            '[' => {
                class::bracketed(self)?;
                self.atom(1);
                Ok(())
            }
            '^' | '$' | '.' => {
                self.out.push(c);
                self.atom(1);
                Ok(())
            }
            '\\' => self.escape(),
            _ => {
                self.literal(c);
                Ok(())
            }
        }
    }

    /// Writes the repetition that stands between `start` and here, `copies` of what is before it.
    fn repeat(&mut self, start: usize, copies: u32) -> Result<(), PatternError> {
        match self.level().last {
            Last::Nothing => return Err(self.error("nothing stands before the repetition")),
            Last::Repeat => {
                return Err(self.error("a repetition of a repetition; put the first in (?:…)"));
            }
            Last::Atom => {}
        }
        self.eat("?");
        let text = &self.pattern[start..self.at];
        self.out.push_str(text);
        let weight = self.level().weight * copies.max(1);
        if weight > MAX_REPEAT {
            return Err(self.error("nested repetitions make more than 1000 copies"));
        }
        self.atom(weight);
        self.level().last = Last::Repeat;
        Ok(())
    }

    /// `n}`, `n,}` or `n,m}`; `None` if it is not of that form and therefore text.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let min = self.number()?;
        let max = if self.eat(",") {
            if self.peek()? == '}' { None } else { Some(self.number()?) }
        } else {
            Some(min)
        };
        self.eat("}").then_some((min, max))
    }

    fn number(&mut self) -> Option<u32> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let text = &self.rest()[..digits];
        if digits == 0 || (digits > 1 && text.starts_with('0')) {
            return None;
        }
        self.at += digits;
        Some(text.parse().unwrap_or(u32::MAX))
    }

    fn open(&mut self) -> Result<(), PatternError> {
        let flags = self.level().flags;
        if !self.eat("?") {
            return self.push_group(flags);
        }
        if self.eat("P<") || self.eat("<") {
            let length = self.rest().find('>').unwrap_or(0);
            let name = &self.rest()[..length];
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(word) {
                return Err(self.error("a group has no proper name; look-behind does not exist"));
            }
            self.at += length + 1;
            return self.push_group(flags);
        }
        let (mut new, mut sign, mut seen) = (flags, true, false);
        loop {
            match self.bump() {
                Some(c) if Flags::NAMES.contains(&c) => {
                    let flag = Flags::NAMES.iter().position(|name| *name == c).unwrap_or(0);
                    new.on[flag] = sign;
                    seen = true;
                }
                Some('-') if sign => (sign, seen) = (false, false),
                Some(end @ (':' | ')')) if sign || seen => {
                    if end == ':' {
                        return self.push_group(new);
                    }
                    let level = self.level();
                    level.flags = new;
                    level.pending = true;
                    return Ok(());
                }
                _ => return Err(self.error("after (? only : P< < and the flags i m s U may stand")),
            }
        }
    }

    fn push_group(&mut self, flags: Flags) -> Result<(), PatternError> {
        if self.levels.len() > MAX_DEPTH {
            return Err(self.error("groups are nested too deeply"));
        }
        self.flush();
        self.out.push_str("(?");
        if flags != self.level().flags {
            flags.push(&mut self.out);
        }
        self.out.push(':');
        self.levels.push(Level::new(flags));
        Ok(())
    }

    fn close(&mut self) -> Result<(), PatternError> {
        if self.levels.len() == 1 {
            return Err(self.error("a ) closes no group; write \\) for the character"));
        }
        let weight = self.levels.pop().map_or(1, |level| level.heaviest);
        self.out.push(')');
        self.atom(weight);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.peek() {
            Some('Q') => {
                let text = &self.rest()[1..];
                let Some((text, _)) = text.split_once("\\E") else {
                    return Err(self.error("a \\Q has no \\E"));
                };
                text.chars().for_each(|c| self.literal(c));
                self.at += 1 + text.len() + 2;
                return Ok(());
            }
            Some(c @ ('A' | 'z')) => {
                self.bump();
                self.out.extend(['\\', c]);
            }
            Some(c @ ('b' | 'B')) => {
                self.bump();
                self.out.push_str(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
            }
            _ => {
                if let Some(class) = class::perl(self) {
                    self.out.push_str(class);
                } else if !class::unicode(self)? {
                    let c = class::character(self)?;
                    self.literal(c);
                }
            }
        }
        self.atom(1);
        Ok(())
    }
}
