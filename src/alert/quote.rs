//! Texts exactly as Go's standard library and Alertmanager quote them.

use std::fmt::Write as _;

use super::{Fingerprint, Labels};

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Bytes that are judged at once.
const BLOCK: usize = 16;

/// Appends `text` as Go's `strconv.Quote` writes it: double quotes, escapes for what can't be printed.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            _ if printable(c) => out.push(c),
            _ => {
                let code = u32::from(c);
                // Writing to a String can't fail.
                let _ = match code {
                    0..=0x1f | 0x7f => write!(out, "\\x{code:02x}"),
                    0..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
}

/// Appends a label set as Prometheus prints it: `{a="b", c="d"}`.
pub fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push('=');
        push_quoted(out, value);
    }
    out.push('}');
}

/// Escapes what has a meaning in a regular expression, as Go's `regexp.QuoteMeta` does.
#[must_use]
pub fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Appends a JSON string as Go's encoder writes it: `<`, `>` and `&` escaped too.
pub fn push_json(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, odd) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some(&byte) = odd.first() else { break };
        let (escape, skipped): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            0x08 => (b"\\b", 1),
            0x0c => (b"\\f", 1),
            0xe2 if odd.starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            0xe2 if odd.starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            0xe2 => (b"\xe2", 1),
            _ => {
                out.extend_from_slice(b"\\u00");
                (&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]], 1)
            }
        };
        out.extend_from_slice(escape);
        rest = &odd[skipped..];
    }
    out.push(b'"');
}

/// Appends pairs as a JSON object.
pub(super) fn push_pairs<'a>(
    out: &mut Vec<u8>,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    out.push(b'{');
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_json(out, name);
        out.push(b':');
        push_json(out, value);
    }
    out.push(b'}');
}

/// Appends a fingerprint as it prints.
pub(super) fn push_fingerprint(out: &mut Vec<u8>, Fingerprint(number): Fingerprint) {
    out.extend(
        number
            .to_be_bytes()
            .iter()
            .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    );
}

/// How many bytes at the beginning need no escape. Blocks are judged without a branch in them, which becomes vector
/// instructions.
fn plain(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks_exact(BLOCK);
    let whole =
        blocks.take_while(|block| !block.iter().fold(false, |odd, byte| odd | is_odd(*byte)));
    let begin = BLOCK * whole.count();
    let rest = &bytes[begin..];
    begin + rest.iter().position(|byte| is_odd(*byte)).unwrap_or(rest.len())
}

/// Whether an escape may begin here.
#[expect(clippy::needless_bitwise_bool, reason = "without branches it becomes vector instructions")]
fn is_odd(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
        | (byte == 0xe2)
}

/// Go's `unicode.IsPrint`. The standard library has the table but shows it only through
/// `escape_debug`, which leaves combining characters alone after a first character.
fn printable(c: char) -> bool {
    let mut buffer = [b'a', 0, 0, 0, 0];
    let length = 1 + c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        push_quoted(&mut out, text);
        out
    }

    #[test]
    fn quoting_is_that_of_go() {
        // Right-hand sides printed by Go 1.26's strconv.Quote.
        for (text, go) in [
            ("", r#""""#),
            ("T\"q\\", r#""T\"q\\""#),
            ("é日本☃", r#""é日本☃""#),
            ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            ("\0\x1b\x7f", r#""\x00\x1b\x7f""#),
            ("a\u{a0}b\u{200b}\u{2028}", r#""a\u00a0b\u200b\u2028""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{301}", "\"\u{301}\""),
            ("\u{feff}\u{fffd}", "\"\\ufeff\u{fffd}\""),
            ("😀\u{e000}\u{10ffff}", r#""😀\ue000\U0010ffff""#),
            ("it's `x`", r#""it's `x`""#),
        ] {
            assert_eq!(quoted(text), go);
        }
    }

    #[test]
    fn label_sets_print_like_prometheus() {
        let mut out = String::new();
        push_labels(&mut out, &Labels::from_iter([("z", "é"), ("alertname", "T\"q\\")]));
        assert_eq!(out, r#"{alertname="T\"q\\", z="é"}"#);
    }

    #[test]
    fn json_strings_are_those_of_go() {
        let mut out = Vec::new();
        push_json(&mut out, "a<b>&\"\\\n\x01\u{2028}é\x7f");
        let json = String::from_utf8(out).unwrap();
        assert_eq!(json, "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\\u2028é\x7f\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a<b>&\"\\\n\x01\u{2028}é\x7f");
    }

    #[test]
    fn an_escape_is_found_wherever_it_stands() {
        for length in 0..70 {
            for at in 0..length {
                for odd in ["<", "\n", "\u{2028}", "\u{2013}"] {
                    let text = format!("{}{odd}{}", "x".repeat(at), "y".repeat(length - at));
                    let mut out = Vec::new();
                    push_json(&mut out, &text);
                    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                    let escaped = odd != "\u{2013}";
                    assert_eq!(out.contains(&b'\\'), escaped, "{text}");
                }
            }
        }
    }

    #[test]
    fn fingerprints_are_pushed_as_they_print() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let mut out = Vec::new();
            push_fingerprint(&mut out, Fingerprint(number));
            assert_eq!(out, Fingerprint(number).to_string().as_bytes());
        }
    }

    #[test]
    fn receivers_are_regex_quoted() {
        assert_eq!(quote_meta("team.a/1"), r"team\.a/1");
    }
}
