//! Character classes: `[a-z]`.

use super::{Fault, Scanner};

/// The names in `[[:name:]]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

// === impl Scanner ===

impl Scanner<'_> {
    /// Reads a class from its bracket to its bracket.
    pub(super) fn class(&mut self) -> Result<(), Fault> {
        self.skip("[");
        self.skip("^");
        let mut is_first = true;
        while is_first || self.peek() != Some(']') {
            is_first = false;
            if self.named_class()? || self.class_escape()? {
                continue;
            }
            let low = self.class_character()?;
            let is_range =
                self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if is_range {
                self.skip("-");
                if self.class_character()? < low {
                    return Err("invalid character class range");
                }
            }
        }
        self.skip("]");
        Ok(())
    }

    /// Reads `[:alpha:]`; reads nothing if no `:]` follows.
    fn named_class(&mut self) -> Result<bool, Fault> {
        let Some(inner) = self.rest.strip_prefix("[:") else {
            return Ok(false);
        };
        let Some((name, rest)) = inner.split_once(":]") else {
            return Ok(false);
        };
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err("invalid character class range");
        }
        self.rest = rest;
        Ok(true)
    }

    fn class_character(&mut self) -> Result<u32, Fault> {
        match self.peek() {
            None => Err("missing closing ]"),
            Some('\\') => self.character(),
            Some(c) => {
                self.next();
                Ok(c.into())
            }
        }
    }
}
