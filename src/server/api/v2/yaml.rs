//! Texts in YAML that every reader takes for the same text.

use std::fmt::Write as _;

/// A double-quoted scalar. What a reader might refuse, fold or take for something else is escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            '\u{a0}'..='\u{d7ff}' if !matches!(c, '\u{2028}' | '\u{2029}') => out.push(c),
            '\u{e000}'..='\u{fffd}' if c != '\u{feff}' => out.push(c),
            _ => {
                // Writing to a String can't fail.
                let _ = match u32::from(c) {
                    code @ 0..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// A flow sequence of texts.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_from_a_reader() {
        for text in [
            "",
            "a=\"b\"",
            "\\d+\n\t\0\u{7f}\u{85}",
            "é☃\u{2028}\u{feff}\u{fffe}😀",
            "# no: comment",
            "{x}, [y]",
            "1",
        ] {
            let read: String = serde_saphyr::from_str(&quoted(text)).unwrap();
            assert_eq!(read, text);
            let read: Vec<String> = serde_saphyr::from_str(&list([text, "b"])).unwrap();
            assert_eq!(read, [text, "b"]);
        }
        assert_eq!(quoted("a\u{1}b\u{10ffff}"), r#""a\u0001b\U0010ffff""#);
    }
}
