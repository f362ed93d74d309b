//! Character classes and escapes of Go's regular expressions, written in Rust's syntax.

use std::fmt::Write as _;

use super::regex::{PatternError, Translator};

/// A class in brackets; the opening one has been read.
pub(super) fn bracketed(t: &mut Translator<'_>) -> Result<(), PatternError> {
    t.out.push('[');
    if t.eat("^") {
        t.out.push('^');
    }
    let mut first = true;
    loop {
        if !first && t.eat("]") {
            t.out.push(']');
            return Ok(());
        }
        first = false;
        if t.peek().is_none() {
            return Err(t.error("a [ is not closed: ] is missing"));
        }
        item(t)?;
    }
}

fn item(t: &mut Translator<'_>) -> Result<(), PatternError> {
    if let Some(end) = t.rest().strip_prefix("[:").and_then(|rest| rest.find(":]")) {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let class = &t.rest()[..end + 4];
        let name = &class[2..end + 2];
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(t.error("a class [:…:] has an unknown name"));
        }
        t.out.push_str(class);
        t.at += class.len();
        return Ok(());
    }
    let start = t.at;
    if t.eat("\\") {
        if let Some(class) = perl(t) {
            t.out.push_str(class);
            return Ok(());
        }
        if unicode(t)? {
            return Ok(());
        }
        t.at = start;
    }
    let low = member(t)?;
    let rest = t.rest();
    let high = if rest.starts_with('-') && rest.len() > 1 && !rest.starts_with("-]") {
        t.bump();
        member(t)?
    } else {
        low
    };
    if high < low {
        return Err(t.error("a range of characters is backwards"));
    }
    // Writing to a String can't fail. Escaped, so that no character has a meaning of its own.
    let _ = write!(t.out, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high));
    Ok(())
}

fn member(t: &mut Translator<'_>) -> Result<char, PatternError> {
    if t.eat("\\") {
        return character(t);
    }
    t.bump().ok_or_else(|| t.error("a [ is not closed: ] is missing"))
}

/// `\d \D \s \S \w \W`, all ASCII; the backslash has been read.
pub(super) fn perl(t: &mut Translator<'_>) -> Option<&'static str> {
    let class = match t.peek()? {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0c\r\x20]",
        'S' => r"[^\t\n\x0c\r\x20]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    };
    t.bump();
    Some(class)
}

/// `\pN`, `\p{Greek}`, `\P{^Greek}`; the backslash has been read. False if it is none of them.
pub(super) fn unicode(t: &mut Translator<'_>) -> Result<bool, PatternError> {
    let Some(sign @ ('p' | 'P')) = t.peek() else { return Ok(false) };
    t.bump();
    let Some(mut name) = t.peek().map(|c| &t.rest()[..c.len_utf8()]) else {
        return Err(t.error("\\p has no class"));
    };
    t.bump();
    let mut negated = sign == 'P';
    if name == "{" {
        let Some(end) = t.rest().find('}') else { return Err(t.error("\\p{ has no }")) };
        name = &t.rest()[..end];
        t.at += end + 1;
        if let Some(inner) = name.strip_prefix('^') {
            (name, negated) = (inner, !negated);
        }
    }
    let sign = if negated { 'P' } else { 'p' };
    let class = format!("\\{sign}{{{name}}}");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || ::regex::Regex::new(&class).is_err() {
        return Err(t.error("\\p names no category or script of Unicode"));
    }
    t.out.push_str(&class);
    Ok(true)
}

/// An escape that stands for one character; the backslash has been read.
pub(super) fn character(t: &mut Translator<'_>) -> Result<char, PatternError> {
    let code = match t.bump() {
        None => return Err(t.error("a \\ stands at the end; write \\\\ for the character")),
        Some('a') => 0x07,
        Some('f') => 0x0c,
        Some('n') => 0x0a,
        Some('r') => 0x0d,
        Some('t') => 0x09,
        Some('v') => 0x0b,
        Some('x') => hex(t)?,
        Some(c @ '0'..='7') => {
            let more =
                t.rest().bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            if c != '0' && more == 0 {
                return Err(t.error("references to groups do not exist"));
            }
            let digits = &t.rest()[..more];
            t.at += more;
            digits.bytes().fold(u32::from(c) - 48, |code, digit| 8 * code + u32::from(digit) - 48)
        }
        Some(c) if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        Some(c) => return Err(t.error(format!("the escape \\{} does not exist", c.escape_debug()))),
    };
    char::from_u32(code).ok_or_else(|| t.error("an escape stands for no character"))
}

fn hex(t: &mut Translator<'_>) -> Result<u32, PatternError> {
    let rest = t.rest();
    let (digits, length) = match rest.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find('}').unwrap_or(0);
            (&inner[..end], end + 2)
        }
        None => (rest.get(..2).unwrap_or_default(), 2),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(t.error("\\x needs two hex digits, or any number of them in {}"));
    }
    t.at += length;
    Ok(u32::from_str_radix(digits, 16).unwrap_or(u32::MAX))
}
