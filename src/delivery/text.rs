//! Words about a notification that several vendors share, and cutting to a limit.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use url::Url;

use crate::alert::{Alert, Fingerprint, Labels, Member, Notification, Status};

/// Marks that a text was cut.
const CUT: char = '…';
/// Longest link that is passed on; longer ones are left out, since a cut link leads nowhere.
const MAX_LINK: usize = 2_000;
/// Names of alerts in one line of a digest.
const NAMED: usize = 10;

/// Cuts `text` to `max` UTF-16 units, which are never fewer than code points, and marks the cut.
pub(super) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max || text.encode_utf16().count() <= max {
        return Cow::Borrowed(text);
    }
    let mut units = 0;
    let fits = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units + CUT.len_utf16() > max
    });
    let end = fits.map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

/// The member that speaks for the notification: the first that fires, or the first.
pub(super) fn lead(notification: &Notification) -> Option<&Member> {
    notification.firing().next().or_else(|| notification.members.first())
}

/// Name of the alert, as people know it; of alerts with different names, what they have in common.
pub(super) fn name(notification: &Notification) -> Cow<'_, str> {
    let own = label(notification, "alertname");
    if !own.is_empty() {
        return own.into();
    }
    let count = notification.members.len();
    let pairs = notification.group_labels.iter().map(|(name, value)| format!("{name}={value}"));
    match (count, pairs.collect::<Vec<_>>()) {
        (0 | 1, _) => "alert".into(),
        (_, pairs) if pairs.is_empty() => format!("{count} alerts").into(),
        (_, pairs) => pairs.join(", ").into(),
    }
}

/// What all members say; empty if they differ: one of several alerts does not speak for the others.
pub(super) fn shared<'a>(
    notification: &'a Notification,
    of: impl Fn(&'a Alert) -> &'a str,
) -> &'a str {
    let Some((first, rest)) = notification.members.split_first() else { return "" };
    let text = of(&first.alert);
    if rest.iter().all(|member| of(&member.alert) == text) { text } else { "" }
}

/// The label, if all members share it.
pub(super) fn label<'a>(notification: &'a Notification, name: &str) -> &'a str {
    shared(notification, |alert| alert.label(name))
}

/// The first of these labels that has a value that all members share.
pub(super) fn first_label<'a>(notification: &'a Notification, names: &[&str]) -> &'a str {
    let shared = names.iter().map(|name| label(notification, name));
    shared.into_iter().find(|value| !value.is_empty()).unwrap_or("")
}

/// One sentence on what is wrong; empty if the alert says nothing.
pub(super) fn summary(alert: &Alert) -> &str {
    first(&alert.annotations, &["summary", "title", "message", "description"])
}

/// The longer text, if it is not the summary already.
pub(super) fn description(alert: &Alert) -> &str {
    let text = first(&alert.annotations, &["description", "message"]);
    if text == summary(alert) { "" } else { text }
}

/// The first of these labels or annotations that has a value.
pub(super) fn first<'a>(from: &'a Labels, names: &[&str]) -> &'a str {
    names.iter().map(|name| from.get(name)).find(|value| !value.is_empty()).unwrap_or("")
}

/// What a fallback reads beside the alert.
pub(super) const FALLBACK: &str =
    "Sent to this fallback because none of the route's own targets could be told.";

/// How many alerts a digest is about: `12 alerts: 10 firing, 2 resolved`.
pub(super) fn counts(notification: &Notification) -> String {
    let (firing, resolved) = (notification.firing().count(), notification.resolved().count());
    let all = match firing + resolved {
        1 => "1 alert".to_owned(),
        count => format!("{count} alerts"),
    };
    match (firing, resolved) {
        (_, 0) => format!("{all} firing"),
        (0, _) => format!("{all} resolved"),
        _ => format!("{all}: {firing} firing, {resolved} resolved"),
    }
}

/// The names of a digest's alerts and how often each one occurs, most frequent first.
pub(super) fn census(notification: &Notification) -> Vec<(&str, usize)> {
    let mut census = BTreeMap::<&str, usize>::new();
    for member in &notification.members {
        let name = member.alert.label("alertname");
        *census.entry(if name.is_empty() { "alert" } else { name }).or_default() += 1;
    }
    let mut census: Vec<_> = census.into_iter().collect();
    census.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    census
}

/// `[FIRING] Name: summary (cluster/namespace)` on one line, with counts for more than one member, and of what
/// they say only what they share. A digest names its alerts and counts them; what goes to a fallback says so.
pub(super) fn headline(notification: &Notification) -> String {
    let line = if notification.digest { digest_line(notification) } else { line(notification) };
    let mark = if notification.fallback { "[FALLBACK] " } else { "" };
    one_line(&format!("{mark}{line}"))
}

fn digest_line(notification: &Notification) -> String {
    let mut line = format!("{} in one message:", counts(notification));
    let census = census(notification);
    for (at, (name, count)) in census.iter().take(NAMED).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(line, "{comma} {name}");
        if *count > 1 {
            let _ = write!(line, " ×{count}");
        }
    }
    let others: usize = census.iter().skip(NAMED).map(|(_, count)| count).sum();
    if others > 0 {
        let _ = write!(line, " and {others} more");
    }
    line
}

fn line(notification: &Notification) -> String {
    let status = match notification.status {
        Status::Firing => "FIRING",
        Status::Resolved => "RESOLVED",
    };
    let count = notification.members.iter().filter(|it| it.status == notification.status).count();
    let mut line = match notification.members.len() {
        0 | 1 => format!("[{status}] {}", name(notification)),
        _ => format!("[{status}:{count}] {}", name(notification)),
    };
    let summary = shared(notification, summary);
    if !summary.is_empty() {
        line.push_str(": ");
        line.push_str(summary);
    }
    let place = ["cluster", "namespace"].map(|name| label(notification, name));
    let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
    if !place.is_empty() {
        let _ = write!(line, " ({})", place.join("/"));
    }
    line
}

/// White space and control characters become single spaces.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_whitespace() || c.is_control() { ' ' } else { c };
        if c != ' ' || !line.ends_with(' ') {
            line.push(c);
        }
    }
    line.trim().to_owned()
}

/// A link that is http or https and not too long to be passed on.
pub(super) fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = String::from(url);
    (text.len() <= MAX_LINK).then_some(text)
}

/// Runbook and source that all members share, as far as they are links: `(name, address)`.
pub(super) fn links(notification: &Notification) -> Vec<(&'static str, String)> {
    let runbook = shared(notification, |alert| alert.annotations.get("runbook_url"));
    let source = shared(notification, |alert| &*alert.generator_url);
    let candidates = [("Runbook", runbook), ("Source", source)];
    candidates.into_iter().filter_map(|(name, text)| Some((name, link(text)?))).collect()
}

/// Labels as a JSON object.
pub(super) struct Object<'a>(pub(super) &'a Labels);

/// Pairs as a JSON object.
pub(super) struct Pairs<'a>(pub(super) Vec<(&'a str, &'a str)>);

/// A fingerprint as it prints.
pub(super) struct Hex(pub(super) Fingerprint);

/// RFC 3339 with milliseconds, as Prometheus writes it.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

// === impl Object ===

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

// === impl Pairs ===

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

// === impl Hex ===

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

// === impl Time ===

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("ééééééé", 6), "ééééé…");
        assert_eq!(cut("😀😀😀😀", 8), "😀😀😀😀");
        assert_eq!(cut("😀😀😀😀", 7), "😀😀😀…");
        assert_eq!(cut("😀😀😀😀", 6), "😀😀…");
        assert_eq!(cut("ab", 1), "…");
    }

    #[test]
    fn only_links_that_lead_to_the_web_are_passed_on() {
        assert_eq!(link("https://a.example/x y"), Some("https://a.example/x%20y".to_owned()));
        for bad in ["javascript:alert(1)", "data:text/html,x", "/x", "", "slack://open"] {
            assert_eq!(link(bad), None, "{bad}");
        }
        assert_eq!(link(&format!("https://a.example/{}", "x".repeat(2_000))), None);
    }

    #[test]
    fn one_line_holds_no_control_characters() {
        assert_eq!(one_line(" a\r\n\tb\u{0}c\u{2028}d "), "a b c d");
    }
}
