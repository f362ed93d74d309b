//! What a silence must be like, and what becomes of one that somebody wants.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::Silences;
use crate::{
    alert::push_quoted,
    api::MatchType,
    publish::{Silence, SilenceDraft, SilenceError, SilenceId, SilenceMatcher, SilenceState},
    routing::{Matcher, Matchers},
};

/// Silences held, expired ones included.
const MOST: usize = 10_000;
/// Bytes of one silence.
const LARGEST: usize = 64 * 1024;
/// Regular expressions of one silence: each may take far more memory and time than its text.
const REGEXES: usize = 64;
/// Bytes that the compiled regular expressions of one silence may take.
const PROGRAMS: usize = 4 * 1024 * 1024;
/// What a silence takes beside its texts.
const FIXED: usize = 96;
/// What a condition or an annotation takes beside its texts.
const PAIR: usize = 8;
/// `0001-01-01T00:00:00Z`, Go's way to say that there is no time, in seconds since 1970.
const NO_TIME: i64 = -62_135_596_800;

/// What is to be written.
#[derive(Debug)]
pub(in crate::dispatch) struct Written {
    /// The silence that ends because another one takes its place.
    pub(in crate::dispatch) ended: Option<(Arc<Silence>, Arc<Matchers>)>,
    pub(in crate::dispatch) silence: Arc<Silence>,
    pub(in crate::dispatch) matchers: Arc<Matchers>,
}

// === impl Silences ===

impl Silences {
    /// What becomes of a draft. `fresh`: the id of a new silence.
    pub(in crate::dispatch) fn plan(
        &self,
        draft: SilenceDraft,
        fresh: SilenceId,
        now: Timestamp,
    ) -> Result<Written, SilenceError> {
        let SilenceDraft { id, matchers, mut starts_at, ends_at, .. } = draft;
        if starts_at >= ends_at {
            return Err(SilenceError::StartNotBeforeEnd);
        }
        if ends_at < now {
            return Err(SilenceError::EndInPast);
        }
        if starts_at.as_second() == NO_TIME {
            starts_at = now;
        }
        check_count(&matchers).map_err(SilenceError::Invalid)?;
        let compiled = compile(&matchers).map_err(SilenceError::Invalid)?;
        check_programs(&compiled).map_err(SilenceError::Invalid)?;
        let before = match id {
            Some(id) => Some(self.get(id).ok_or(SilenceError::NotFound)?),
            None => None,
        };
        let kept = before.and_then(|old| old.edited(&matchers, (starts_at, ends_at), now));
        let (id, starts_at) = kept.unwrap_or((fresh, starts_at.max(now)));
        let SilenceDraft { created_by, comment, annotations, .. } = draft;
        let updated_at = now;
        let silence = Silence {
            id,
            matchers,
            starts_at,
            ends_at,
            updated_at,
            created_by,
            comment,
            annotations,
        };
        if kept.is_none() && self.len() >= MOST {
            return Err(SilenceError::TooMany { held: self.len(), limit: MOST });
        }
        let size = size(&silence);
        if size > LARGEST {
            return Err(SilenceError::TooLarge { size, limit: LARGEST });
        }
        let ended = before.filter(|_| kept.is_none()).and_then(|old| self.ended(old, now));
        Ok(Written { ended, silence: Arc::new(silence), matchers: Arc::new(compiled) })
    }

    /// The silence as it is when it ends now; `None`: it is over.
    pub(in crate::dispatch) fn ended(
        &self,
        old: &Silence,
        now: Timestamp,
    ) -> Option<(Arc<Silence>, Arc<Matchers>)> {
        let starts_at = match old.state(now) {
            SilenceState::Expired => return None,
            SilenceState::Active => old.starts_at,
            SilenceState::Pending => now,
        };
        let ended = Silence { starts_at, ends_at: now, updated_at: now, ..old.clone() };
        Some((Arc::new(ended), self.matchers(old.id)?))
    }
}

// === impl Silence ===

impl Silence {
    /// Id and start of the silence if it may be edited in place: nothing that it did so far is
    /// said to have been otherwise.
    fn edited(
        &self,
        matchers: &[SilenceMatcher],
        (starts_at, ends_at): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Option<(SilenceId, Timestamp)> {
        let starts_at = match self.state(now) {
            SilenceState::Active
                if self.starts_at.as_second() == starts_at.as_second() && ends_at >= now =>
            {
                self.starts_at
            }
            SilenceState::Pending if starts_at >= now => starts_at,
            _ => return None,
        };
        (*self.matchers == *matchers).then_some((self.id, starts_at))
    }
}

/// The conditions, if they are fit for a silence; or what is wrong, in Alertmanager's words.
pub(in crate::dispatch) fn compile(matchers: &[SilenceMatcher]) -> Result<Matchers, String> {
    if matchers.is_empty() {
        return Err("matcher set 0 is empty".to_owned());
    }
    let mut compiled = Vec::with_capacity(matchers.len());
    for (at, SilenceMatcher { name, kind, value }) in matchers.iter().enumerate() {
        let place = format!("invalid label matcher {at} in set 0");
        if name.is_empty() {
            return Err(format!("{place}: invalid label name \"\""));
        }
        let matcher = Matcher::new(*kind, name, value).map_err(|error| {
            let mut quoted = String::new();
            push_quoted(&mut quoted, value);
            format!("{place}: invalid regular expression {quoted}: {error}")
        })?;
        compiled.push(matcher);
    }
    if !compiled.iter().any(demands_something) {
        return Err(
            "matcher set 0: at least one matcher must not match the empty string".to_owned()
        );
    }
    Ok(Matchers::sorted(compiled))
}

/// Bytes that compiled conditions may take beside their texts.
pub(in crate::dispatch) fn programs(matchers: &Matchers) -> usize {
    matchers.iter().map(Matcher::weight).sum()
}

fn check_programs(matchers: &Matchers) -> Result<(), String> {
    let bytes = programs(matchers);
    if bytes <= PROGRAMS {
        return Ok(());
    }
    Err(format!(
        "the regular expressions of matcher set 0 take up to {bytes} bytes of memory, more than {PROGRAMS}: use smaller repetitions and fewer of them"
    ))
}

/// The conditions of a draft. While they are held, to compile them again takes next to no time: what takes long
/// happens before the state is asked. `None`: they are not fit for a silence.
#[must_use]
pub fn conditions(draft: &SilenceDraft) -> Option<Matchers> {
    check_count(&draft.matchers).ok()?;
    compile(&draft.matchers).ok()
}

fn check_count(matchers: &[SilenceMatcher]) -> Result<(), String> {
    let regexes = matchers.iter().filter(|matcher| is_regex(matcher.kind)).count();
    if regexes <= REGEXES {
        return Ok(());
    }
    Err(format!(
        "matcher set 0 has {regexes} regular expressions, more than {REGEXES}: join values with |"
    ))
}

fn is_regex(kind: MatchType) -> bool {
    matches!(kind, MatchType::Regex | MatchType::NotRegex)
}

/// Alertmanager's notion: a negative condition demands something, whatever it is.
fn demands_something(matcher: &Matcher) -> bool {
    matches!(matcher.operator(), "!=" | "!~") || !matcher.accepts("")
}

/// Bytes that a silence takes, roughly.
pub(in crate::dispatch) fn size(silence: &Silence) -> usize {
    let Silence { matchers, created_by, comment, annotations, .. } = silence;
    weigh(matchers, created_by.len() + comment.len(), annotations)
}

/// Bytes that the silence of a draft takes, roughly; no more than one may.
#[must_use]
pub fn draft_size(draft: &SilenceDraft) -> usize {
    let SilenceDraft { matchers, created_by, comment, annotations, .. } = draft;
    weigh(matchers, created_by.len() + comment.len(), annotations).min(LARGEST)
}

fn weigh(
    matchers: &[SilenceMatcher],
    texts: usize,
    annotations: &BTreeMap<Box<str>, Box<str>>,
) -> usize {
    let matchers = matchers.iter().map(|one| PAIR + one.name.len() + one.value.len());
    let annotations = annotations.iter().map(|(name, text)| PAIR + name.len() + text.len());
    FIXED + texts + matchers.sum::<usize>() + annotations.sum::<usize>()
}
