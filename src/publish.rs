//! The vocabulary of publishing: requests, options, results, errors, and the handles that the
//! HTTP server calls. A leaf: no I/O, no knowledge of how publishing is done.

mod error_type;
mod handle;
mod request;
mod result;
mod silence;

pub use error_type::ErrorType;
pub use handle::{
    Accepted, BoxFuture, Intake, MAX_REPLAY, Publisher, Refused, Replay, ReplayError,
    ReplayOutcome, Replayed, Silences, Source, Waiting,
};
pub use request::{
    Idempotency, MAX_CONCURRENT, MAX_KEY_LENGTH, MAX_TIMEOUT, Options, PublishError,
    PublishRequest, Selection, Strategy, TargetFilter,
};
pub use result::{Counts, FanOutStats, PublishResult, SkipReason, TargetResult, TargetStats};
pub use silence::{Silence, SilenceDraft, SilenceError, SilenceId, SilenceMatcher, SilenceState};
