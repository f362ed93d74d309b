//! What stands behind a backslash.

use super::{Fault, Scanner};

// === impl Scanner ===

impl Scanner<'_> {
    /// Reads a backslash and what it escapes, outside a class; false if that is nothing (`\Q\E`).
    pub(super) fn escaped(&mut self) -> Result<bool, Fault> {
        for anchor in ["\\A", "\\b", "\\B", "\\z"] {
            if self.skip(anchor) {
                return Ok(true);
            }
        }
        if self.skip("\\Q") {
            let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            return Ok(!quoted.is_empty());
        }
        if !self.class_escape()? {
            self.character()?;
        }
        Ok(true)
    }

    /// Reads a backslash and a letter that stand for many characters, inside a class too.
    pub(super) fn class_escape(&mut self) -> Result<bool, Fault> {
        for class in ["\\d", "\\D", "\\s", "\\S", "\\w", "\\W"] {
            if self.skip(class) {
                return Ok(true);
            }
        }
        if !self.skip("\\p") && !self.skip("\\P") {
            return Ok(false);
        }
        let invalid = "invalid character class range";
        let name = if self.skip("{") {
            let (name, rest) = self.rest.split_once('}').ok_or(invalid)?;
            self.rest = rest;
            name.strip_prefix('^').unwrap_or(name).to_owned()
        } else {
            self.next().ok_or(invalid)?.to_string()
        };
        // Both engines look names up without regard to case, blanks, '_' and '-'.
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || " _-".contains(c));
        let is_known = is_name && regex::Regex::new(&format!("\\p{{{name}}}")).is_ok();
        if is_known { Ok(true) } else { Err(invalid) }
    }

    /// Reads a backslash and the one character that it stands for, as its code point.
    pub(super) fn character(&mut self) -> Result<u32, Fault> {
        let invalid = "invalid escape sequence";
        self.skip("\\");
        match self.next().ok_or("trailing backslash at end of expression")? {
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c.into()),
            'a' => Ok(7),
            't' => Ok(9),
            'n' => Ok(10),
            'v' => Ok(11),
            'f' => Ok(12),
            'r' => Ok(13),
            'x' => self.hexadecimal().ok_or(invalid),
            first @ '0'..='7' => self.octal(first).ok_or(invalid),
            _ => Err(invalid),
        }
    }

    /// The digits after `\x`: two, or any number in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = if self.skip("{") {
            let (digits, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2)?;
            self.rest = rest;
            digits
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        digits.chars().try_fold(0_u32, |value, digit| {
            let value = value.checked_mul(16)?.checked_add(digit.to_digit(16)?)?;
            (value <= u32::from(char::MAX)).then_some(value)
        })
    }

    /// Up to three octal digits. One digit alone would be a back reference, unless it is 0.
    fn octal(&mut self, first: char) -> Option<u32> {
        let mut value = first.to_digit(8)?;
        let mut length = 1;
        while length < 3
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(8))
        {
            self.next();
            value = value * 8 + digit;
            length += 1;
        }
        (length > 1 || first == '0').then_some(value)
    }
}
