//! Whether a text is a URI as Go's `url.ParseRequestURI` accepts it: what Alertmanager's API
//! demands of `generatorURL`.

/// Whether `text` is an absolute URI or an absolute path.
pub(super) fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = split_scheme(text) else { return false };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        return scheme;
    }
    match rest.strip_prefix("//").filter(|_| scheme) {
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(at);
            authority_ok(authority) && escapes_ok(path)
        }
        None => escapes_ok(rest),
    }
}

/// Whether there is a scheme, and what follows it. `None`: starts with the colon of one.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Some((true, &text[at + 1..])),
            b':' => return None,
            _ => break,
        }
    }
    Some((false, text))
}

fn authority_ok(authority: &str) -> bool {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
            if !user.bytes().all(plain) || !escapes_ok(user) {
                return false;
            }
            host
        }
        None => authority,
    };
    if host.starts_with('[') {
        return match host.rfind(']') {
            Some(end) => port_ok(&host[end + 1..]) && host_text_ok(&host[1..end]),
            None => false,
        };
    }
    match host.rfind(':') {
        Some(colon) => port_ok(&host[colon..]) && host_text_ok(&host[..colon]),
        None => host_text_ok(host),
    }
}

fn port_ok(port: &str) -> bool {
    match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    }
}

fn host_text_ok(host: &str) -> bool {
    let allowed = |byte: u8| {
        !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    };
    // A host may escape only what is not ASCII, and the zone of an IPv6 address.
    host.bytes().all(allowed)
        && escapes_ok(host)
        && host.match_indices('%').all(|(at, _)| {
            host[at..].starts_with("%25") || host.as_bytes()[at + 1].to_ascii_lowercase() >= b'8'
        })
}

fn escapes_ok(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices('%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_those_of_go() {
        for good in [
            "http://prometheus.example.com/graph?g0.expr=up%20%3D&g0.tab=1",
            "/graph",
            "mailto:a@b",
            "http:///x",
            "http://[::1]:9090/",
            "http://[fe80::1%25en0]/",
            "http://user:pass@host/",
            "//host",
            "*",
            "http://é.example/",
            "http://host:/",
            "x:",
            "http://a/b c",
            "http://a?%zz",
            "http://h%C3%A9/",
            "http://a/#f",
        ] {
            assert!(is_request_uri(good), "{good}");
        }
        for bad in [
            "",
            "not a uri",
            "graph",
            ":x",
            "http://a b/",
            "http://host:port/",
            "http://a/%zz",
            "http://[::1/",
            "1http://x",
            "http://h%41/",
            "http://a\n",
            "http://us er@host/",
            "http://a^b/",
            "#x",
            "?x",
        ] {
            assert!(!is_request_uri(bad), "{bad}");
        }
    }
}
