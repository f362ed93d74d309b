//! What an answer means, by status code. Pure; a vendor may know better and looks at the body first.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header::LOCATION};
use jiff::Timestamp;

use super::{Class, Failure, Told, retry_after};
use crate::{api::Reason, publish::ErrorType, registry::Depth};

/// An answer of the far end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// Host it came from: safe to show.
    pub(super) host: &'a str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// The first 64 KiB; empty for a 2xx whose body nobody reads.
    pub(super) body: &'a Bytes,
    /// When it came.
    pub(super) now: Timestamp,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) result: Result<(), Failure>,
    pub(super) evidence: Evidence,
}

/// What an answer or a fault says about the target's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing.
    None,
    /// It is well, proven this deep.
    Well(Depth),
    /// It is not, and only a success this deep clears it.
    Ill(Depth),
}

/// The meaning of a status code where no vendor knows better (`reference` table of the design, section 9).
pub(super) fn by_status(answer: &Answer<'_>) -> Verdict {
    let code = answer.status.as_u16();
    match code {
        200..=299 => Verdict::accepted(),
        300..=399 => answer.redirect(),
        401 | 403 => answer.credential_refused(""),
        404 => answer.not_found(""),
        410 => answer.gone(""),
        408 | 409 | 425 => answer.failure(
            (ErrorType::ClientError, Class::Retry, Reason::ClientError),
            "it is tried again",
            Evidence::None,
        ),
        429 => answer.rate_limited(""),
        400..=499 => answer.refused(""),
        501 | 505 => answer.failure(
            (ErrorType::ServerError, Class::Rejected, Reason::ServerError),
            "the receiver does not support the request; check its address",
            Evidence::Ill(Depth::Answer),
        ),
        500..=599 => answer.server_error(""),
        _ => answer.unexpected("which is not an answer to a request; check the address"),
    }
}

// === impl Verdict ===

impl Verdict {
    /// The target took the notification, and so accepted the credential too.
    pub(super) fn accepted() -> Self {
        Self { result: Ok(()), evidence: Evidence::Well(Depth::Credential) }
    }
}

// === impl Answer ===

impl Answer<'_> {
    /// The credential was refused; `code` is the vendor's own word for it, if known.
    pub(super) fn credential_refused(&self, code: &str) -> Verdict {
        self.failure(
            (ErrorType::Auth, Class::RetrySlowly, Reason::AuthenticationFailed),
            &join(code, "the credential was refused; check the Secret that the target names"),
            Evidence::Ill(Depth::Credential),
        )
    }

    /// Nothing is there (yet).
    pub(super) fn not_found(&self, code: &str) -> Verdict {
        self.failure(
            (ErrorType::ClientError, Class::RetrySlowly, Reason::ClientError),
            &join(code, "nothing is at this address; check the path of the URL"),
            Evidence::Ill(Depth::Credential),
        )
    }

    /// The target is gone for good.
    pub(super) fn gone(&self, code: &str) -> Verdict {
        self.failure(
            (ErrorType::ClientError, Class::Gone, Reason::Gone),
            &join(
                code,
                "the receiver is gone for good; give the target a new address or delete it",
            ),
            Evidence::Ill(Depth::Credential),
        )
    }

    /// This notification is refused; the target is well.
    pub(super) fn refused(&self, code: &str) -> Verdict {
        self.failure(
            (ErrorType::ClientError, Class::Rejected, Reason::ClientError),
            &join(code, "the receiver refuses this notification"),
            Evidence::Well(Depth::Answer),
        )
    }

    /// A pause is asked for.
    pub(super) fn rate_limited(&self, code: &str) -> Verdict {
        self.failure(
            (ErrorType::RateLimited, Class::RetryAfter, Reason::RateLimited),
            &join(code, "the receiver asks for a pause"),
            Evidence::None,
        )
    }

    /// The far end failed; later may work.
    pub(super) fn server_error(&self, code: &str) -> Verdict {
        let told = retry_after::by_header(self.headers, self.now);
        let class = if told.is_some() { Class::RetryAfter } else { Class::Retry };
        self.failure(
            (ErrorType::ServerError, class, Reason::ServerError),
            &join(code, "the receiver failed; it is tried again"),
            Evidence::Ill(Depth::Answer),
        )
    }

    /// Something that the protocol or the check does not allow.
    pub(super) fn unexpected(&self, what: &str) -> Verdict {
        self.failure(
            (ErrorType::Unexpected, Class::Retry, Reason::UnexpectedAnswer),
            what,
            Evidence::Ill(Depth::Answer),
        )
    }

    fn redirect(&self) -> Verdict {
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let uri = location.and_then(|value| value.parse::<Uri>().ok());
        let to = match uri.as_ref().and_then(|uri| uri.host()).filter(|host| host.len() <= 253) {
            Some(host) => format!("a redirect to {host}"),
            None => "a redirect".to_owned(),
        };
        self.failure(
            (ErrorType::Unexpected, Class::Rejected, Reason::Redirect),
            &format!("{to}, which is never followed; give the target the final address"),
            Evidence::Ill(Depth::Credential),
        )
    }

    /// A failure with everything that follows from the status code.
    pub(super) fn failure(
        &self,
        (error_type, class, reason): (ErrorType, Class, Reason),
        what: &str,
        evidence: Evidence,
    ) -> Verdict {
        let code = self.status.as_u16();
        let told = match code {
            400..=499 | 500 | 503 => Told::No,
            _ => Told::Maybe,
        };
        let retry_after = match error_type {
            ErrorType::RateLimited => retry_after::of_limit(self.headers, self.body, self.now),
            ErrorType::ServerError => retry_after::by_header(self.headers, self.now),
            _ => None,
        };
        let failure = Failure {
            error_type,
            class,
            reason,
            message: format!("{} answered {code}: {what}", self.host),
            retry_after,
            told,
            local: false,
        };
        Verdict { result: Err(failure), evidence }
    }
}

fn join(code: &str, what: &str) -> String {
    if code.is_empty() { what.to_owned() } else { format!("{code}; {what}") }
}
