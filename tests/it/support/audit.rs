//! The API server's audit log: every request that a client made.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;

/// One finished request (or one watch that began, or ended).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `admin`, `system:serviceaccount:NAMESPACE:NAME`, …
    pub(crate) user: String,
    /// The client's own name for itself.
    pub(crate) user_agent: String,
    /// `get`, `list`, `watch`, `patch`, …
    pub(crate) verb: String,
    /// Empty for the core group and for requests without a resource.
    pub(crate) group: String,
    /// `publishtargets`; empty for requests without a resource.
    pub(crate) resource: String,
    /// `status`, `token`; empty without one.
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uri: String,
    /// `ResponseStarted` (watches), `ResponseComplete` or `Panic`.
    pub(crate) stage: String,
    pub(crate) code: u64,
}

/// How long the log is now: what is written later comes after it.
pub(crate) fn position(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// The requests recorded after `position`, without the half line at the end.
pub(crate) fn since(path: &Path, position: u64) -> Vec<Request> {
    let mut text = String::new();
    let mut file = std::fs::File::open(path).expect("the API server writes its audit log");
    file.seek(SeekFrom::Start(position)).expect("files can seek");
    file.read_to_string(&mut text).expect("the audit log is text");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Request {
    let event: Value = serde_json::from_str(line).expect("an audit line is JSON");
    let text = |pointer: &str| {
        let found = event.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    Request {
        user: text("/user/username"),
        user_agent: text("/userAgent"),
        verb: text("/verb"),
        group: text("/objectRef/apiGroup"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        uri: text("/requestURI"),
        stage: text("/stage"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
    }
}
