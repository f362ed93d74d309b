//! A block of the delivery history: all attempts of one commit. Names and times that repeat stand there
//! once.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    alert::{status, status_code},
    name::{read_route, read_target, write_route, write_target},
};
use crate::{
    alert::Fingerprint,
    api::{RouteKey, TargetKey},
    publish::ErrorType,
    store::{
        AttemptRecord, Outcome,
        codec::{Decoder, Encoder, Malformed, codes},
    },
};

codes!(outcome_code, outcome, Outcome {
    Delivered = 1,
    Failed = 2,
    Rejected = 3,
    Expired = 4,
    Superseded = 5,
    Cancelled = 6,
    Skipped = 7,
});
codes!(error_code, error_type, ErrorType {
    Timeout = 1,
    Dns = 2,
    Connect = 3,
    Tls = 4,
    Auth = 5,
    RateLimited = 6,
    ClientError = 7,
    ServerError = 8,
    Blocked = 9,
    Unexpected = 10,
    Cancelled = 11,
    NotAttempted = 12,
});

/// Bytes that an attempt takes at least.
const ATTEMPT: usize = 12;
/// The first format whose blocks have the names of alerts, and all alerts of a notification.
const NAMED: u32 = 2;
/// The first format whose blocks have the names of all alerts of a group.
const ALL_NAMED: u32 = 3;

/// A block whose head was read.
#[derive(Debug)]
pub(in crate::store) struct Block<'a> {
    /// When its newest attempt ended.
    pub(in crate::store) newest: Timestamp,
    targets: Vec<TargetKey>,
    routes: Vec<RouteKey>,
    /// `None` in blocks of earlier formats.
    alerts: Option<Alerts>,
    attempts: Decoder<'a>,
}

/// What alerts the attempts are about.
#[derive(Debug)]
struct Alerts {
    names: Vec<Arc<str>>,
    /// Those of one notification together.
    fingerprints: Vec<Arc<[Fingerprint]>>,
    /// Names of one notification together; `None` in blocks of earlier formats.
    together: Option<Vec<Arc<[Arc<str>]>>>,
}

/// Numbers in the order of first use.
struct Numbers<'a, K: ?Sized>(Vec<&'a K>, HashMap<&'a K, usize>);

pub(in crate::store) fn write_block(to: &mut Encoder, attempts: &[AttemptRecord]) {
    let mut targets = Numbers(Vec::new(), HashMap::new());
    let mut routes = Numbers(Vec::new(), HashMap::new());
    let mut alerts = Numbers::<str>(Vec::new(), HashMap::new());
    let mut fingerprints = Numbers::<[Fingerprint]>(Vec::new(), HashMap::new());
    let mut together = Numbers::<[Arc<str>]>(Vec::new(), HashMap::new());
    let mut body = Encoder::default();
    for attempt in attempts {
        body.length(fingerprints.of(&attempt.fingerprints));
        body.number(attempt.alerts);
        body.length(targets.of(&attempt.target));
        body.option(attempt.route.as_ref().map(|route| routes.of(route)), Encoder::length);
        body.option(attempt.alert.as_deref().map(|alert| alerts.of(alert)), Encoder::length);
        body.length(together.of(&attempt.names));
        body.time(attempt.at);
        body.text(&attempt.notification);
        body.byte(status_code(attempt.status));
        body.number(attempt.attempt);
        body.byte(outcome_code(attempt.outcome));
        body.option(attempt.error_type.map(error_code), Encoder::byte);
        body.option(attempt.status_code, Encoder::number);
        body.duration(attempt.duration);
    }
    let together: Vec<Vec<usize>> =
        together.0.iter().map(|names| names.iter().map(|name| alerts.of(name)).collect()).collect();
    to.time(attempts.iter().map(|attempt| attempt.at).max().unwrap_or_default());
    to.length(targets.0.len());
    targets.0.iter().for_each(|target| write_target(to, target));
    to.length(routes.0.len());
    routes.0.iter().for_each(|route| write_route(to, route));
    to.length(alerts.0.len());
    alerts.0.iter().for_each(|alert| to.text(alert));
    to.length(fingerprints.0.len());
    for together in fingerprints.0 {
        to.length(together.len());
        for one in together {
            to.0.extend_from_slice(&one.0.to_le_bytes());
        }
    }
    to.length(together.len());
    for names in together {
        to.length(names.len());
        for name in names {
            to.length(name);
        }
    }
    to.length(attempts.len());
    to.0.append(&mut body.0);
}

fn read_fingerprints(from: &mut Decoder<'_>) -> Result<Arc<[Fingerprint]>, Malformed> {
    let count = from.count(size_of::<Fingerprint>())?;
    (0..count).map(|_| read_fingerprint(from)).collect()
}

/// Names of one notification, of those in the block.
fn read_together(from: &mut Decoder<'_>, names: &[Arc<str>]) -> Result<Arc<[Arc<str>]>, Malformed> {
    let unknown = Malformed("names what is not in the block");
    let count = from.count(1)?;
    (0..count).map(|_| names.get(from.small::<usize>()?).cloned().ok_or(unknown)).collect()
}

fn read_fingerprint(from: &mut Decoder<'_>) -> Result<Fingerprint, Malformed> {
    from.array().map(|bytes| Fingerprint(u64::from_le_bytes(bytes)))
}

// === impl Numbers ===

impl<'a, K: Eq + std::hash::Hash + ?Sized> Numbers<'a, K> {
    fn of(&mut self, key: &'a K) -> usize {
        *self.1.entry(key).or_insert_with(|| {
            self.0.push(key);
            self.0.len() - 1
        })
    }
}

// === impl Block ===

impl<'a> Block<'a> {
    pub(in crate::store) fn read((format, body): (u32, &'a [u8])) -> Result<Self, Malformed> {
        let mut from = Decoder(body);
        let newest = from.time()?;
        let targets = (0..from.count(2)?).map(|_| read_target(&mut from));
        let targets = targets.collect::<Result<_, _>>()?;
        let routes = (0..from.count(2)?).map(|_| read_route(&mut from));
        let routes = routes.collect::<Result<_, _>>()?;
        let alerts = if format >= NAMED {
            let names = (0..from.count(1)?).map(|_| from.shared());
            let names = names.collect::<Result<Vec<_>, _>>()?;
            let fingerprints = (0..from.count(1)?).map(|_| read_fingerprints(&mut from));
            let fingerprints = fingerprints.collect::<Result<_, _>>()?;
            let together = if format >= ALL_NAMED {
                let together = (0..from.count(1)?).map(|_| read_together(&mut from, &names));
                Some(together.collect::<Result<_, _>>()?)
            } else {
                None
            };
            Some(Alerts { names, fingerprints, together })
        } else {
            None
        };
        Ok(Self { newest, targets, routes, alerts, attempts: from })
    }

    /// Whether an attempt at this target may be in it.
    pub(in crate::store) fn knows(&self, target: &TargetKey) -> bool {
        self.targets.contains(target)
    }

    /// Whether an alert of this name may be in it.
    pub(in crate::store) fn names(&self, alert: &str) -> bool {
        self.alerts.as_ref().is_some_and(|alerts| alerts.names.iter().any(|name| **name == *alert))
    }

    /// Whether an attempt about this alert may be in it.
    pub(in crate::store) fn tells(&self, fingerprint: Fingerprint) -> bool {
        self.alerts.as_ref().is_none_or(|alerts| {
            alerts.fingerprints.iter().any(|together| together.contains(&fingerprint))
        })
    }

    /// All attempts, in the order in which they were handed over.
    pub(in crate::store) fn attempts(mut self) -> Result<Vec<AttemptRecord>, Malformed> {
        let count = self.attempts.count(ATTEMPT)?;
        let mut attempts = Vec::with_capacity(count);
        for _ in 0..count {
            attempts.push(self.attempt()?);
        }
        self.attempts.end()?;
        Ok(attempts)
    }

    fn attempt(&mut self) -> Result<AttemptRecord, Malformed> {
        let from = &mut self.attempts;
        let unknown = Malformed("names what is not in the block");
        let (fingerprints, count) = match &self.alerts {
            Some(alerts) => {
                let together = alerts.fingerprints.get(from.small::<usize>()?).ok_or(unknown)?;
                (together.clone(), from.small()?)
            }
            None => ([read_fingerprint(from)?].into(), 1),
        };
        let target = self.targets.get(from.small::<usize>()?).ok_or(unknown)?.clone();
        let route = from.option(Decoder::small::<usize>)?;
        let route = route.map(|at| self.routes.get(at).cloned().ok_or(unknown)).transpose()?;
        let alert = match &self.alerts {
            Some(alerts) => {
                let alert = from.option(Decoder::small::<usize>)?;
                alert.map(|at| alerts.names.get(at).cloned().ok_or(unknown)).transpose()?
            }
            None => None,
        };
        let names = match self.alerts.as_ref().and_then(|alerts| alerts.together.as_ref()) {
            Some(together) => together.get(from.small::<usize>()?).ok_or(unknown)?.clone(),
            None => Arc::default(),
        };
        Ok(AttemptRecord {
            fingerprints,
            alerts: count,
            alert,
            names,
            target,
            route,
            at: from.time()?,
            notification: Arc::from(from.text()?),
            status: status(from.byte()?)?,
            attempt: from.small()?,
            outcome: outcome(from.byte()?)?,
            error_type: from.option(|from| error_type(from.byte()?))?,
            status_code: from.option(Decoder::small)?,
            duration: from.duration()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{attempt, hostile};

    proptest! {
        #[test]
        fn block_comes_back(attempts in prop::collection::vec(attempt(), 0..20)) {
            let mut to = Encoder::default();
            write_block(&mut to, &attempts);
            let block = Block::read((ALL_NAMED, &to.0)).unwrap();
            prop_assert!(attempts.iter().all(|attempt| block.knows(&attempt.target)));
            prop_assert!(attempts.iter().all(|attempt| attempt.at <= block.newest));
            let named = |attempt: &AttemptRecord| {
                let mut names = attempt.alert.iter().chain(&*attempt.names);
                names.all(|alert| block.names(alert))
            };
            prop_assert!(attempts.iter().all(named));
            let mut told = attempts.iter().flat_map(|attempt| attempt.fingerprints.iter());
            prop_assert!(told.all(|fingerprint| block.tells(*fingerprint)));
            prop_assert_eq!(block.attempts(), Ok(attempts));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            for format in 1..=ALL_NAMED {
                let _ = Block::read((format, &bytes)).map(Block::attempts);
            }
        }
    }

    #[test]
    fn error_types_and_outcomes_come_back() {
        for value in ErrorType::ALL {
            assert_eq!(error_type(error_code(value)), Ok(value));
        }
        for value in Outcome::ALL {
            assert_eq!(outcome(outcome_code(value)), Ok(value));
        }
    }
}
