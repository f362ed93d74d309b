//! Bearer tokens, read from a file and read again when the file changes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::time::Instant;

use super::{Metrics, error::ApiError, intake, metrics::Outcome};

/// How often the file is looked at, at most.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Shortest token taken: shorter ones can be guessed.
const MIN_LENGTH: usize = 16;
/// Most tokens in a file.
const MAX_TOKENS: usize = 1024;

/// Who may come in: hashes of the tokens of a file.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    path: PathBuf,
    state: Mutex<Loaded>,
}

struct Loaded {
    hashes: Arc<[[u8; 32]]>,
    modified: Option<SystemTime>,
    checked: Instant,
}

/// The token file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can't be read.
    #[error("read token file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no token.
    #[error("token file {0} holds no token: write one a line, each of at least 16 characters")]
    Empty(PathBuf),
    /// A token is too short.
    #[error("token file {path}, line {line}: the token is shorter than 16 characters")]
    Short {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// Too many tokens.
    #[error("token file {0} holds more than 1024 tokens")]
    TooMany(PathBuf),
}

/// Lets only requests with a known bearer token reach `router`; `None` lets everyone.
/// Refused senders of alerts are counted.
pub(super) fn protect(router: Router, tokens: Option<Tokens>, metrics: &Arc<Metrics>) -> Router {
    match tokens {
        Some(tokens) => {
            let state = (tokens, Arc::clone(metrics));
            router.layer(middleware::from_fn_with_state(state, check))
        }
        None => router,
    }
}

/// Runs before the body is read.
async fn check(
    State((tokens, metrics)): State<(Tokens, Arc<Metrics>)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    if presented.is_some_and(|token| tokens.admits(token)) {
        return next.run(request).await;
    }
    if let Some(source) = intake::source(request.uri().path()) {
        metrics.request(source, Outcome::Unauthorized, started.elapsed());
    }
    let message = "send Authorization: Bearer with a token of the token file";
    let mut response =
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

// === impl Tokens ===

impl Tokens {
    /// Reads the tokens of a file: one a line, blank lines and lines that start with `#` left out.
    ///
    /// # Errors
    /// The file is unreadable, empty, or holds a token that can be guessed.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let modified = modified(path);
        let hashes = load(path)?;
        let state = Loaded { hashes, modified, checked: Instant::now() };
        Ok(Self(Arc::new(Inner { path: path.to_owned(), state: Mutex::new(state) })))
    }

    /// Whether the token is one of the file's. Compares hashes in constant time, all of them.
    fn admits(&self, token: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let hit =
            self.current().iter().fold(Choice::from(0), |hit, known| hit | known.ct_eq(&presented));
        hit.into()
    }

    /// The hashes now. A changed file that can't be used keeps the last good ones.
    fn current(&self) -> Arc<[[u8; 32]]> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.checked.elapsed() >= CHECK_EVERY {
            state.checked = Instant::now();
            let modified = modified(&self.0.path);
            if modified != state.modified {
                state.modified = modified;
                match load(&self.0.path) {
                    Ok(hashes) => {
                        state.hashes = hashes;
                        tracing::info!(file = %self.0.path.display(), "Token file read again");
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            "Changed token file is not usable; the last one stays"
                        );
                    }
                }
            }
        }
        Arc::clone(&state.hashes)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn load(path: &Path) -> Result<Arc<[[u8; 32]]>, TokenError> {
    let text = fs::read_to_string(path)
        .map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    let mut hashes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let token = line.trim();
        if token.is_empty() || token.starts_with('#') {
            continue;
        }
        if token.len() < MIN_LENGTH {
            return Err(TokenError::Short { path: path.to_owned(), line: at + 1 });
        }
        if hashes.len() == MAX_TOKENS {
            return Err(TokenError::TooMany(path.to_owned()));
        }
        hashes.push(Sha256::digest(token.as_bytes()).into());
    }
    if hashes.is_empty() { Err(TokenError::Empty(path.to_owned())) } else { Ok(hashes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn only_tokens_of_the_file_come_in() {
        let file = file(&format!("# comment\n\n{GOOD}\n"));
        let tokens = Tokens::open(file.path()).unwrap();
        assert!(tokens.admits(GOOD));
        assert!(!tokens.admits("0123456789abcdeX"));
        assert!(!tokens.admits(""));
    }

    #[test]
    fn unusable_files_are_refused() {
        assert!(matches!(Tokens::open(file("").path()), Err(TokenError::Empty(_))));
        assert!(matches!(
            Tokens::open(file("short").path()),
            Err(TokenError::Short { line: 1, .. })
        ));
        assert!(matches!(Tokens::open(Path::new("/nonexistent")), Err(TokenError::Read { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn changed_file_is_read_again_and_a_bad_one_is_not() {
        let file = file(GOOD);
        let tokens = Tokens::open(file.path()).unwrap();
        let set = |text: &str, second| {
            fs::write(file.path(), text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::open(file.path()).unwrap().set_modified(time).unwrap();
        };
        set("fedcba9876543210", 1);
        tokio::time::advance(CHECK_EVERY).await;
        assert!(tokens.admits("fedcba9876543210") && !tokens.admits(GOOD));
        set("", 2);
        tokio::time::advance(CHECK_EVERY).await;
        assert!(tokens.admits("fedcba9876543210"));
    }
}
