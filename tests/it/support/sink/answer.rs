//! What a receiver answers, and how it misbehaves while doing so.

use std::time::Duration;

use serde_json::Value;

/// One answer. The default is an empty 200 at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
    pub(crate) fault: Fault,
}

/// A way to misbehave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Answers only after `Sink::release`.
    Held,
    /// Never answers; the connection stays open.
    Hang,
    /// The headers come, the body does not.
    HangInBody,
    /// The headers come, the body after this time.
    DelayBody(Duration),
    /// One byte of the body, then this pause, and so on.
    Drip(Duration),
    /// Closes without a word.
    Close,
    /// Closes in the middle of the body.
    CloseInBody,
    /// Resets the connection (RST) without a word.
    Reset,
    /// A body without end, until the client gives up.
    Endless,
    /// These bytes instead of an answer, then close.
    Raw(Vec<u8>),
    /// These bytes instead of an answer; the connection stays open for the next request.
    Keep(Vec<u8>),
    /// These bytes one by one, with this pause after each; then the connection stays open.
    DripRaw(Vec<u8>, Duration),
    /// These bytes over and over, until the client gives up.
    Flood(Vec<u8>),
}

// === impl Fault ===

impl Fault {
    /// Whether the answer gets out whole all the same.
    pub(super) fn gets_out(&self) -> bool {
        matches!(self, Self::None | Self::Held | Self::DelayBody(_) | Self::Drip(_))
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn fault(fault: Fault) -> Self {
        Self { fault, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Waits this long before the first byte.
    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Adds a fault to an answer that has a status, headers or a body.
    pub(crate) fn with(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            fault: Fault::None,
        }
    }
}
