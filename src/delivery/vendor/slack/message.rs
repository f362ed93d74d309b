//! The message itself: header, text, fields, links, footer, within Slack's limits.
//!
//! Everything that comes from an alert is escaped and `verbatim`: it can't mention anybody, and no text of it
//! becomes a link.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    alert::{Member, Notification, Status, common},
    delivery::text,
};

/// Longest notification text; Slack advises to stay under 4,000.
const MAX_TEXT: usize = 1_000;
/// Longest header.
const MAX_HEADER: usize = 150;
/// Longest section. All blocks together stay under the undocumented limit near 13,200.
const MAX_SECTION: usize = 3_000;
/// Longest field of ours; Slack allows 2,000.
const MAX_FIELD: usize = 200;
/// Longest list of members.
const MAX_LIST: usize = 2_500;
/// Longest line of that list.
const MAX_LINE: usize = 240;
/// Members listed; the others are counted.
const MAX_LISTED: usize = 10;

/// Sections that list the alerts of a digest.
const LISTS: usize = 3;
/// Longest of these sections: with the census they stay under the limit of all blocks.
const MAX_DIGEST: usize = 2_900;
/// Longest line of a digest.
const MAX_ENTRY: usize = 140;
/// Names in the census of a digest.
const MAX_CENSUS: usize = 25;

/// The body of the request. The fields of each object are in the order of their names.
#[derive(Serialize)]
pub(super) struct Message {
    blocks: Vec<Block>,
    text: String,
}

#[derive(Default, Serialize)]
struct Block {
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<Vec<Element>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    r#type: &'static str,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are Slack's")]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<bool>,
    text: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbatim: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Element {
    Text(Text),
    Button { action_id: String, text: Text, r#type: &'static str, url: String },
}

/// The message about `notification`.
pub(super) fn render(notification: &Notification) -> Message {
    if notification.digest {
        return render_digest(notification);
    }
    let (emoji, state) = match notification.status {
        Status::Firing => (":rotating_light:", "firing"),
        Status::Resolved => (":white_check_mark:", "resolved"),
    };
    let name = text::one_line(&text::name(notification));
    let room = MAX_HEADER - emoji.len() - state.len() - 2;
    let header = format!("{emoji} {} {state}", escape(&name, room));
    let mut blocks = vec![Block::header(header)];
    if notification.fallback {
        blocks.push(Block::section(text::FALLBACK.to_owned()));
    }
    add_details(&mut blocks, notification, state);
    Message { blocks, text: escape(&text::headline(notification), MAX_TEXT) }
}

/// Several groups in one message: how many alerts of which names, and each one in a line as far as there is
/// room; the others are counted.
fn render_digest(notification: &Notification) -> Message {
    let emoji = match notification.status {
        Status::Firing => ":rotating_light:",
        Status::Resolved => ":white_check_mark:",
    };
    let header = format!("{emoji} {}", text::counts(notification));
    let mut blocks = vec![Block::header(header)];
    if notification.fallback {
        blocks.push(Block::section(text::FALLBACK.to_owned()));
    }
    let note = "More than the rate limit of this target lets through one by one: all of it in one message.";
    blocks.push(Block::context(note.to_owned()));
    let census = text::census(notification);
    if census.len() < notification.members.len() {
        blocks.push(Block::section(names(&census)));
    }
    let mut lines = notification.members.iter().map(entry).peekable();
    let mut left = notification.members.len();
    for at in 0..LISTS {
        let (mut list, mut units) = (String::new(), 0);
        while let Some(line) = lines.next_if(|line| {
            units += line.encode_utf16().count();
            units <= MAX_DIGEST
        }) {
            list.push_str(&line);
            left -= 1;
        }
        if at + 1 == LISTS && left > 0 {
            let _ = write!(list, "… and {left} more");
        }
        if list.is_empty() {
            break;
        }
        blocks.push(Block::section(list.trim_end().to_owned()));
    }
    Message { blocks, text: escape(&text::headline(notification), MAX_TEXT) }
}

/// `*DiskFull* ×3, *HighLoad*`; what does not fit is counted.
fn names(census: &[(&str, usize)]) -> String {
    let name = |(name, count): &(&str, usize)| {
        let name = escape(&text::one_line(name).replace('*', "∗"), 60);
        if *count > 1 { format!("*{name}* ×{count}") } else { format!("*{name}*") }
    };
    let mut line = census.iter().take(MAX_CENSUS).map(name).collect::<Vec<_>>().join(", ");
    let others = census.len().saturating_sub(MAX_CENSUS);
    if others > 0 {
        let _ = write!(line, " and {others} other names");
    }
    line
}

/// One alert of a digest in one line.
fn entry(member: &Member) -> String {
    let alert = &member.alert;
    let name = alert.label("alertname");
    let name = if name.is_empty() { "alert" } else { name };
    let summary = text::summary(alert);
    let what = if summary.is_empty() {
        let own = alert.labels.iter().filter(|(label, _)| *label != "alertname");
        own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    } else {
        summary.to_owned()
    };
    let text = text::one_line(&format!("{name}: {what}"));
    format!("• {}: {}\n", member.status.as_str(), escape(&text, MAX_ENTRY))
}

fn add_details(blocks: &mut Vec<Block>, notification: &Notification, state: &str) {
    let Some(began) = began(notification) else { return };
    let several = notification.members.len() > 1;
    if let Some(words) = words(notification) {
        blocks.push(Block::section(words));
    }
    let mut fields: Vec<Text> =
        [("Cluster", "cluster"), ("Namespace", "namespace"), ("Severity", "severity")]
            .into_iter()
            .map(|(title, label)| (title, text::label(notification, label)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(title, value)| field(title, value))
            .collect();
    let counts = || counts(notification);
    fields.push(if several { field("Status", &counts()) } else { field("Status", state) });
    blocks.push(Block { fields: Some(fields), r#type: "section", ..Block::default() });
    if several {
        blocks.push(Block::section(list(notification)));
    }
    let buttons: Vec<_> =
        text::links(notification).into_iter().map(|(name, url)| button(name, url)).collect();
    if !buttons.is_empty() {
        blocks.push(Block { elements: Some(buttons), r#type: "actions", ..Block::default() });
    }
    let what = match &*notification.members {
        [only] => format!("fingerprint `{}`", only.alert.labels.fingerprint()),
        several => format!("{} alerts", several.len()),
    };
    let footer = format!(
        "{what} · started <!date^{}^{{date_num}} {{time_secs}}|{}>",
        began.as_second(),
        text::Time(began),
    );
    blocks.push(Block::context(footer));
}

/// When the first of those began that fire, or of all.
fn began(notification: &Notification) -> Option<Timestamp> {
    let firing = notification.firing().map(|member| member.alert.starts_at).min();
    firing.or_else(|| notification.resolved().map(|member| member.alert.starts_at).min())
}

/// `2 firing, 1 resolved`.
fn counts(notification: &Notification) -> String {
    let counts = [Status::Firing, Status::Resolved].map(|status| {
        let count = notification.members.iter().filter(|member| member.status == status).count();
        (count > 0).then(|| format!("{count} {}", status.as_str()))
    });
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Summary in bold and description under it, as far as all members share them; `None`: neither.
fn words(notification: &Notification) -> Option<String> {
    let summary = text::one_line(text::shared(notification, text::summary));
    let description = text::shared(notification, text::description);
    let bold = |room| {
        // An asterisk inside would end the bold face early.
        format!("*{}*", escape(&summary.replace('*', "∗"), room))
    };
    match (summary.is_empty(), description.is_empty()) {
        (true, true) => None,
        (false, true) => Some(bold(MAX_SECTION - 2)),
        (true, false) => Some(escape(description, MAX_SECTION)),
        (false, false) => {
            let head = bold(500);
            let room = MAX_SECTION - head.encode_utf16().count() - 1;
            Some(format!("{head}\n{}", escape(description, room)))
        }
    }
}

/// The members, firing first, each with what tells it apart; what does not fit is counted.
fn list(notification: &Notification) -> String {
    let shared = common(&notification.members, |alert| &alert.labels);
    let summaries = text::shared(notification, text::summary).is_empty();
    let total = notification.members.len();
    let mut lines = String::new();
    let mut units = 0;
    let mut listed = 0;
    for member in notification.firing().chain(notification.resolved()).take(MAX_LISTED) {
        let own = member.alert.labels.iter().filter(|pair| !shared.contains(pair));
        let own: Vec<_> = own.map(|(name, value)| format!("{name}={value}")).collect();
        let summary = text::summary(&member.alert);
        let own = match (own.is_empty(), summaries && !summary.is_empty()) {
            (true, _) => summary.to_owned(),
            (false, true) => format!("{}: {summary}", own.join(", ")),
            (false, false) => own.join(", "),
        };
        let line =
            format!("• {}: {}\n", member.status.as_str(), escape(&text::one_line(&own), MAX_LINE));
        units += line.encode_utf16().count();
        if units > MAX_LIST {
            break;
        }
        lines.push_str(&line);
        listed += 1;
    }
    if listed < total {
        let _ = write!(lines, "… and {} more", total - listed);
    }
    lines.trim_end().to_owned()
}

fn field(title: &str, value: &str) -> Text {
    mrkdwn(format!("*{title}*\n{}", escape(&text::one_line(value), MAX_FIELD)))
}

fn mrkdwn(text: String) -> Text {
    Text { emoji: None, text, r#type: "mrkdwn", verbatim: Some(true) }
}

fn plain(text: String, emoji: bool) -> Text {
    Text { emoji: Some(emoji), text, r#type: "plain_text", verbatim: None }
}

fn button(name: &str, url: String) -> Element {
    let text = plain(name.to_owned(), false);
    Element::Button { action_id: name.to_lowercase(), text, r#type: "button", url }
}

/// Escapes Slack's three control characters and breaks group mentions, within `max` UTF-16 units. The cut is
/// marked and never falls inside an entity.
fn escape(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = 0;
    // Where the text must end if it turns out not to fit.
    let mut fits = 0;
    let mut buffer = [0; 4];
    for (at, c) in text.char_indices() {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '@' if mentions(&text[at + 1..]) => "@\u{200b}",
            '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' => " ",
            c => c.encode_utf8(&mut buffer),
        };
        units += piece.encode_utf16().count();
        if units > max {
            out.truncate(fits);
            out.push('…');
            return out;
        }
        out.push_str(piece);
        if units < max {
            fits = out.len();
        }
    }
    out
}

/// The text after an `@` that Slack clients can turn into a mention of everybody.
fn mentions(rest: &str) -> bool {
    ["channel", "here", "everyone", "group"]
        .into_iter()
        .any(|word| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

// === impl Block ===

impl Block {
    fn header(text: String) -> Self {
        Self { text: Some(plain(text, true)), r#type: "header", ..Self::default() }
    }

    fn section(text: String) -> Self {
        Self { text: Some(mrkdwn(text)), r#type: "section", ..Self::default() }
    }

    fn context(text: String) -> Self {
        let elements = Some(vec![Element::Text(mrkdwn(text))]);
        Self { elements, r#type: "context", ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_leaves_no_control_character() {
        assert_eq!(escape("<!here> & <@U1>", 100), "&lt;!here&gt; &amp; &lt;@U1&gt;");
        assert_eq!(escape("@here @Channel a@b.c", 100), "@\u{200b}here @\u{200b}Channel a@b.c");
    }

    #[test]
    fn a_cut_is_marked_and_never_falls_inside_an_entity() {
        assert_eq!(escape("<<<", 12), "&lt;&lt;&lt;");
        assert_eq!(escape("<<<", 11), "&lt;&lt;…");
        assert_eq!(escape("<<<", 8), "&lt;…");
        assert_eq!(escape("ab😀", 4), "ab😀");
        assert_eq!(escape("ab😀", 3), "ab…");
        for max in 1..40 {
            let cut = escape("a<b>c&d😀e@here<!channel>", max);
            assert!(cut.encode_utf16().count() <= max, "{max}: {cut}");
        }
    }
}
