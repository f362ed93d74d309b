//! The validation rules of the custom resources, in CEL, each with a message that says what to write instead.
//!
//! The API server evaluates them, and so does [`super::validate`] for manifests. Every rule here is
//! therefore written so that both evaluate it alike; the table of refusals in the tests holds them to that.
//!
//! A regular expression inside a rule is RE2 on the server and the `regex` crate here: only syntax that both
//! share is used.

pub(super) mod interval;

use kube::core::Rule;

/// GEP-2257: one to four groups of up to five digits and a unit.
const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// `http` or `https`, an ASCII host or a bracketed IPv6 address, a port below 65536, and then no blanks and no
/// backslashes: an address that two URL parsers cannot read differently.
const URL: &str = concat!(
    r"^https?://([A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])",
    "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?",
    r"([/?#][^\s\\]*)?$"
);

/// A DNS-1123 subdomain: the name of a Kubernetes object.
const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Hosts whose URLs carry the credential in path or query: whoever reads such a URL can post.
/// A leading dot stands for the host and everything below it.
pub(super) const CREDENTIAL_HOSTS: &[&str] = &[
    // Slack and GovSlack incoming webhooks and workflow triggers.
    "hooks.slack.com",
    "hooks.slack-gov.com",
    // Discord, with its canary and ptb clients.
    ".discord.com",
    ".discordapp.com",
    // Rootly: `?secret=`.
    "webhooks.rootly.com",
    // PagerDuty: the integration key is a path segment of its webhook endpoints.
    "events.pagerduty.com",
    "events.eu.pagerduty.com",
    // Microsoft Teams: connectors and Power Automate (`sig=`).
    ".webhook.office.com",
    "outlook.office.com",
    "outlook.office365.com",
    ".logic.azure.com",
    ".api.powerplatform.com",
    // Google Chat: `key` and `token`.
    "chat.googleapis.com",
    // Telegram: the bot's token is a path segment.
    "api.telegram.org",
    // VictorOps (Splunk On-Call): key in the path.
    "alert.victorops.com",
    // incident.io: `?token=`.
    "api.incident.io",
    // Webex, Feishu, Lark, DingTalk, WeCom: id, key or token in the URL.
    "webexapis.com",
    "open.feishu.cn",
    "open.larksuite.com",
    "oapi.dingtalk.com",
    "qyapi.weixin.qq.com",
    // Automation services: the URL is the only secret.
    "hooks.zapier.com",
    "maker.ifttt.com",
    ".make.com",
    // Dead man's switches: the check's id is the credential.
    "hc-ping.com",
    "nosnch.in",
];

/// Headers that Fanfare or the connection itself sets, in lower case, besides `webhook-*`.
const RESERVED_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "expect",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "accept-encoding",
];

/// Whether Fanfare or the connection itself sets this header; `name` is in lower case.
pub(super) fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.contains(&name) || name.starts_with("webhook-")
}

/// Headers that carry a credential, in lower case: never inline.
const CREDENTIAL_HEADERS: &str =
    "^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token|private-token)$";

/// A pattern as a CEL string literal.
fn literal(pattern: &str) -> String {
    format!("'{}'", pattern.replace('\\', r"\\").replace('\'', r"\'"))
}

/// A rule and its message.
pub(super) fn rule(rule: impl Into<String>, message: impl Into<String>) -> Rule {
    let message: String = message.into();
    Rule::new(rule).message(message.as_str())
}

/// A member of the target union is there exactly when the type names it.
pub(super) fn member(kind: &str, field: &str) -> Rule {
    rule(
        format!("(self.type == '{kind}') == has(self.{field})"),
        format!(
            "set {field} exactly when type is {kind}: add the object {field}, or remove it or change the type"
        ),
    )
}

/// The type of a target stays what it is.
pub(super) fn immutable_type() -> Rule {
    rule(
        "self == oldSelf",
        "type cannot be changed: delete this PublishTarget and create it anew, or create another one beside it",
    )
}

const DIGEST: &str =
    "!has(self.flow) || !has(self.flow.overflow) || self.flow.overflow != 'Digest'";

/// A digest needs a receiver that can read several alerts in one message.
pub(super) fn digest_type() -> Rule {
    rule(
        format!("{DIGEST} || self.type in ['Slack', 'Webhook', 'Log']"),
        "flow.overflow Digest sums alerts up in one message, which this type cannot take, because it opens and closes alerts one by one: use Hold, or remove overflow",
    )
}

/// A digest leaves changes out.
pub(super) fn digest_semantics() -> Rule {
    rule(
        format!(
            "{DIGEST} || !has(self.delivery) || !has(self.delivery.semantics) || self.delivery.semantics != 'Every'"
        ),
        "flow.overflow Digest sums changes up, delivery.semantics Every promises each of them: use overflow Hold, or semantics Latest",
    )
}

/// The text matches a pattern.
fn matches(pattern: &str, message: &str) -> Rule {
    rule(format!("self.matches({})", literal(pattern)), message)
}

/// A duration within limits.
pub(super) fn duration_between(min: &str, max: &str) -> Rule {
    rule(
        format!(
            "self.matches({}) && duration(self) >= duration('{min}') && duration(self) <= duration('{max}')",
            literal(DURATION)
        ),
        format!(
            "must be a duration from {min} to {max}: whole numbers with a unit (h, m, s, ms) and nothing between them, for example 500ms, 10s or 1m30s"
        ),
    )
}

/// `degradedLatency` lies below the effective `timeout`. Silent about values that are no durations: they have
/// their own message.
pub(super) fn degraded_below_timeout(default_timeout: &str) -> Rule {
    let duration = literal(DURATION);
    let timeout = format!("(has(self.timeout) ? self.timeout : '{default_timeout}')");
    rule(
        format!(
            "!has(self.degradedLatency) || !self.degradedLatency.matches({duration}) || !{timeout}.matches({duration}) || duration(self.degradedLatency) < duration({timeout})"
        ),
        format!(
            "degradedLatency must be shorter than timeout ({default_timeout} unless set): an answer that late counts as a failure; lower degradedLatency or raise timeout"
        ),
    )
}

/// One duration of an object is not shorter than another, each with the default that holds without it. Silent
/// about values that are no durations: they have their own message.
pub(super) fn not_shorter(long: (&str, &str), short: (&str, &str), why: &str) -> Rule {
    let duration = literal(DURATION);
    let value = |(field, default): (&str, &str)| {
        format!("(has(self.{field}) ? self.{field} : '{default}')")
    };
    let (high, low) = (value(long), value(short));
    rule(
        format!(
            "!{high}.matches({duration}) || !{low}.matches({duration}) || duration({high}) >= duration({low})"
        ),
        format!(
            "{} ({} unless set) must not be shorter than {} ({} unless set), because {why}: raise {} or lower {}",
            long.0, long.1, short.0, short.1, long.0, short.0
        ),
    )
}

/// A URL without user name and password.
pub(super) fn no_user_info() -> Rule {
    rule(
        format!("!self.matches({})", literal("^[^/?#]*//[^/?#]*@")),
        "must not carry user:password@: put the credentials into a Secret and name it in spec.connection.auth",
    )
}

const URL_MESSAGE: &str = "must be an http:// or https:// address with a host, for example https://alerts.example.com/hook: no blanks, no backslashes, host in ASCII";

/// An absolute `http` or `https` URL.
pub(super) fn http_url() -> Rule {
    rule(
        format!(
            "self.matches({}) || self.matches({})",
            literal(URL),
            literal("^[^/?#]*//[^/?#]*@")
        ),
        URL_MESSAGE,
    )
}

/// A URL to which a path can be appended.
pub(super) fn base_url() -> Rule {
    rule(
        "!self.contains('?') && !self.contains('#')",
        "must be a base address without query and fragment: Fanfare appends the path; remove everything from the ? or # on",
    )
}

/// [`no_user_info`] for a list of URLs.
pub(super) fn all_no_user_info() -> Rule {
    rule(
        format!("self.all(u, !u.matches({}))", literal("^[^/?#]*//[^/?#]*@")),
        "an address must not carry user:password@: put the credentials into a Secret and name it in spec.connection.auth",
    )
}

/// [`http_url`] and [`base_url`] for a list of URLs.
pub(super) fn all_base_urls() -> Rule {
    rule(
        format!(
            "self.all(u, (u.matches({}) && !u.contains('?') && !u.contains('#')) || u.matches({}))",
            literal(URL),
            literal("^[^/?#]*//[^/?#]*@")
        ),
        "every address must be an http:// or https:// base address with a host, for example http://alertmanager-0.alertmanager:9093: no query, no fragment, no blanks",
    )
}

/// The URL's host is not one whose URLs are credentials.
pub(super) fn no_credential_host() -> Rule {
    let mut hosts = String::new();
    for host in CREDENTIAL_HOSTS {
        if !hosts.is_empty() {
            hosts.push('|');
        }
        let (prefix, name) = match host.strip_prefix('.') {
            Some(name) => ("([a-z0-9-]+[.])*", name),
            None => ("", *host),
        };
        hosts.push_str(prefix);
        hosts.push_str(&name.replace('.', "[.]"));
    }
    rule(
        format!(
            "!self.lowerAscii().matches({})",
            literal(&format!("^https?://({hosts})[.]?(:[0-9]*)?([/?#].*)?$"))
        ),
        "this host's URLs are credentials: store the URL in a Secret and name it in urlSecretRef (or use the target type made for this service)",
    )
}

/// The name of a Kubernetes object.
pub(super) fn object_name(kind: &str) -> Rule {
    matches(
        OBJECT_NAME,
        &format!(
            "must be the name of a {kind}: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
        ),
    )
}

/// The name of a namespace, or nothing.
pub(super) fn namespace_or_empty() -> Rule {
    matches(
        "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
        "must be the name of a namespace (lower case letters, digits and '-'), or empty for the route's own",
    )
}

/// A key of a Secret's or `ConfigMap`'s data.
pub(super) fn data_key() -> Rule {
    matches(
        "^[-._a-zA-Z0-9]+$",
        "must be a key of the object's data: letters, digits, '-', '_' and '.'",
    )
}

/// Keys and values that labels can have.
pub(super) fn label_map() -> Rule {
    rule(
        format!(
            "self.all(k, k.size() <= 317 && k.matches({}) && self[k].matches({}))",
            literal("^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
            literal("^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
        ),
        "must hold Kubernetes labels: keys such as tier or example.com/tier, values of at most 63 letters, digits, '-', '_' and '.'",
    )
}

/// A header name that users may set.
pub(super) fn header_name() -> Rule {
    matches(
        "^[-A-Za-z0-9!#$%&*+.^_|~]+$",
        "must be a header name: letters, digits and '-', for example X-Team",
    )
}

/// A header that neither Fanfare nor HTTP itself owns.
pub(super) fn header_allowed() -> Rule {
    rule(
        format!(
            "!self.lowerAscii().matches({})",
            literal(&format!("^({}|webhook-.*)$", RESERVED_HEADERS.join("|")))
        ),
        "is set by Fanfare itself and cannot be overridden: remove Host, Content-Length, Content-Type, Transfer-Encoding, Connection, Expect, TE, Trailer, Upgrade, Keep-Alive, Proxy-Connection, Accept-Encoding and webhook-* from headers",
    )
}

/// Exactly one source of a header's value.
pub(super) fn header_one_source() -> Rule {
    rule("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom")
}

/// No credential in the spec.
pub(super) fn header_no_inline_credential() -> Rule {
    rule(
        format!(
            "!has(self.value) || !self.name.lowerAscii().matches({})",
            literal(CREDENTIAL_HEADERS)
        ),
        "this header carries a credential: use valueFrom.secretKeyRef (or connection.auth) instead of value",
    )
}

/// A header value of one line.
pub(super) fn header_value() -> Rule {
    matches(r"^[\x20-\x7e\t]*$", "must be one line of printable ASCII characters")
}

/// Names of headers are unique without regard to case.
pub(super) fn headers_unique() -> Rule {
    rule(
        "self.all(a, self.exists_one(b, a.name.lowerAscii() == b.name.lowerAscii()))",
        "must not name a header twice (upper and lower case are the same): merge the entries",
    )
}

/// A value that is not empty, with a message of its own.
pub(super) fn not_empty(message: &str) -> Rule {
    rule("self.size() > 0", message)
}

/// The path of a health check.
pub(super) fn check_path() -> Rule {
    matches(
        r"^/[^\s#\\]*$",
        "must begin with / and hold no blanks, for example /healthz or /status?full=1",
    )
}

/// Status codes and ranges.
pub(super) fn statuses() -> Rule {
    rule(
        "self.all(s, s.matches('^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$') && (s.size() == 3 || s.substring(0, 3) <= s.substring(4, 7)))",
        "every entry must be a status code or a rising range of codes between 100 and 599, for example \"204\" or \"200-299\"",
    )
}

/// An id that is one segment of a path.
pub(super) fn path_segment(what: &str) -> Rule {
    matches("^[-_A-Za-z0-9]+$", &format!("must be {what}: letters, digits, '-' and '_'"))
}

/// The message of [`regex_compiles`].
pub(super) const REGEX_MESSAGE: &str = "value must be a regular expression in RE2 syntax, because matchType is =~ or !~: close every ( and [, escape literal characters with \\ or use matchType = for a plain comparison";

/// Any regular expression compiles. A pattern that does not makes the rule itself fail, which refuses the
/// object: `||` would swallow the error of its other side, `in` does not.
pub(super) fn regex_compiles() -> Rule {
    rule(
        "!has(self.matchType) || !(self.matchType in ['=~', '!~']) || ''.matches(self.value) in [true, false]",
        REGEX_MESSAGE,
    )
}
