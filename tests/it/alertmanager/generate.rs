//! Random labels, values and matchers: the usual ones, and those meant to hurt. The same seed gives the same.

use std::{collections::BTreeMap, env};

use fastrand::Rng;

/// How many cases are generated for each question.
pub(super) const CASES: usize = 10_000;

const NAMES: [&str; 10] =
    ["alertname", "severity", "team", "a", "b", "instance", "__x__", "über", "with space", "x.y"];
const VALUES: [&str; 14] = [
    "",
    "a",
    "b",
    "critical",
    "warning",
    "é☃",
    "a b",
    "\"q\"",
    "back\\slash",
    "line\nend",
    "{x}",
    "a,b",
    "~",
    "10.0.0.1:80",
];
const PATTERNS: [&str; 22] = [
    "a|b",
    ".*",
    ".+",
    "[a-c]+",
    "^a$",
    "(a)(b)?",
    "a{1,3}",
    "\\d+",
    "\\w+",
    "\\s",
    "(?i)CRITICAL",
    "[[:alpha:]]+",
    "\\pL+",
    "a{,5}",
    "[a&&b]",
    "(?P<x>a)",
    "(?<x>a)",
    "\\x61",
    "crit.*",
    "(",
    "a**",
    "[^\\n]*",
];
/// Pieces of the grammar, and what does not belong there.
const PIECES: [&str; 30] = [
    "{",
    "}",
    "=",
    "!=",
    "=~",
    "!~",
    ",",
    "\"",
    "a",
    "b",
    "team",
    "severity",
    " ",
    "\t",
    "\\",
    "\\n",
    "'",
    "`",
    "é",
    "☃",
    "~",
    "!",
    "{a=b}",
    "a=\"b\"",
    "\"a\"=b",
    "c!=d",
    "e=~\"f|g\"",
    "\\\"",
    "\n",
    "1",
];

/// The seed of this run: `FANFARE_SEED`, or always the same.
pub(super) fn rng() -> Rng {
    let seed =
        env::var("FANFARE_SEED").ok().map(|seed| seed.parse().expect("FANFARE_SEED is a number"));
    Rng::with_seed(seed.unwrap_or(5))
}

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// A label set of up to six labels, some of them with an empty value.
pub(super) fn labels(rng: &mut Rng) -> BTreeMap<String, String> {
    let count = rng.usize(..=6);
    let one = |rng: &mut Rng| (pick(rng, &NAMES).to_owned(), pick(rng, &VALUES).to_owned());
    (0..count).map(|_| one(rng)).collect()
}

/// Characters that every version of Unicode since 15 knows as it does now: whether others are printed depends
/// on the version that Go has.
const CHARACTERS: [std::ops::RangeInclusive<char>; 5] = [
    '\0'..='\u{7f}',
    '\u{80}'..='\u{5ff}',
    '\u{2010}'..='\u{2070}',
    '一'..='龠',
    '\u{e000}'..='\u{e0ff}',
];

/// Any text of a few characters.
pub(super) fn text(rng: &mut Rng) -> String {
    let one = |rng: &mut Rng| {
        let range = rng.choice(CHARACTERS).expect("there are some");
        rng.char(range)
    };
    (0..rng.usize(..8)).map(|_| one(rng)).collect()
}

/// A list of matchers: written well in most cases, otherwise of random pieces.
pub(super) fn matchers(rng: &mut Rng) -> String {
    if rng.u8(..4) == 0 {
        return (0..rng.usize(1..9)).map(|_| pick(rng, &PIECES)).collect();
    }
    let count = rng.usize(..4);
    let list: Vec<String> = (0..count).map(|_| matcher(rng)).collect();
    let comma = if rng.u8(..5) == 0 { "," } else { "" };
    let list = list.join(if rng.bool() { "," } else { " , " }) + comma;
    if rng.u8(..4) == 0 { list } else { format!("{{{list}}}") }
}

fn matcher(rng: &mut Rng) -> String {
    let name = pick(rng, &NAMES);
    let name = if rng.u8(..3) == 0 { format!("{name:?}") } else { name.to_owned() };
    let kind = pick(rng, &["=", "!=", "=~", "!~"]);
    let value = if kind.ends_with('~') { pick(rng, &PATTERNS) } else { pick(rng, &VALUES) };
    let value = if rng.u8(..4) == 0 {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    let space = if rng.u8(..6) == 0 { " " } else { "" };
    format!("{name}{space}{kind}{space}{value}")
}
