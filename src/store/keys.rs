//! What `Idempotency-Key`s were used for, for an hour.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use redb::{
    ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction,
};

use super::{
    IdempotencyRecord,
    batch::{Place, SetAside},
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    records::{read_key, write_key},
    tables::{KEY_TIMES, KEYS, Operations},
};

/// How long a key is remembered.
pub(super) const KEPT: Duration = Duration::from_hours(1);
/// Keys remembered; the oldest are forgotten first.
const MOST: u64 = 100_000;

const STEP: &str = "write idempotency keys";

/// What is known of the tables without reading them.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) bytes: u64,
    /// Bytes that may be kept.
    pub(super) budget: u64,
}

// === impl Keys ===

impl Keys {
    /// Adds keys, forgets those that are too old or too many.
    pub(super) fn apply(
        &mut self,
        txn: &WriteTransaction,
        records: Vec<IdempotencyRecord>,
        now: Timestamp,
        operations: &mut Operations,
    ) -> Result<(), Fault> {
        let mut table = txn.open_table(KEYS).during(STEP)?;
        let mut times = txn.open_table(KEY_TIMES).during(STEP)?;
        for record in records {
            let last = times.last().during(STEP)?.map_or(0, |(time, _)| time.value());
            let at = micros(record.at).max(last + 1);
            let mut row = envelope::begin(Kind::Key);
            write_key(&mut row, &record);
            let row = envelope::seal(record.key.as_bytes(), row);
            let before = operations.put(&mut table, &*record.key, &row)?;
            self.bytes += row.len() as u64;
            self.less(before.unwrap_or(0));
            operations.0 += 1;
            times.insert(at, &*record.key).during(STEP)?;
        }
        let kept = SignedDuration::try_from(KEPT).unwrap_or_default();
        let oldest = now.checked_sub(kept).map_or(0, micros);
        while let Some((at, key)) = first(&times)?
            && (at < oldest || times.len().during(STEP)? > MOST || self.bytes > self.budget)
        {
            operations.0 += 1;
            // It would be met again and again.
            let lost = || Fault::damaged(STEP, "the time of a key is met but can't be found");
            times.remove(at).during(STEP)?.map(drop).ok_or_else(lost)?;
            // The key may have been used again since: then a younger row of times ends it.
            let found = table.get(&*key).during(STEP)?.map(|found| found.value().to_vec());
            let used = found.and_then(|found| open(&key, &found).ok());
            if used.is_none_or(|used| micros(used.at) <= at)
                && let Some(record) = operations.remove(&mut table, &*key)?
            {
                self.less(record.len() as u64);
            }
        }
        Ok(())
    }

    /// A record of so many bytes is gone.
    pub(super) fn less(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn first(times: &Table<'_, u64, &'static str>) -> Result<Option<(u64, String)>, Fault> {
    let first = times.first().during(STEP)?;
    Ok(first.map(|(at, key)| (at.value(), key.value().to_owned())))
}

fn micros(time: Timestamp) -> u64 {
    u64::try_from(time.as_microsecond()).unwrap_or(0)
}

/// What a key was used for within the hour before `now`; or that its record can't be used.
pub(super) fn find(
    txn: &ReadTransaction,
    key: &str,
    now: Timestamp,
) -> Result<(Option<IdempotencyRecord>, Vec<SetAside>), Fault> {
    const STEP: &str = "read an idempotency key";
    let table = txn.open_table(KEYS).during(STEP)?;
    let Some(found) = table.get(key).during(STEP)? else { return Ok((None, Vec::new())) };
    match open(key, found.value()) {
        // One from the future was written before the clock was set back.
        Ok(record) => {
            let age = Duration::try_from(now.duration_since(record.at)).unwrap_or_default();
            Ok(((age < KEPT).then_some(record), Vec::new()))
        }
        Err(error) => {
            let (place, reason) = (Place::Key(key.into()), error.to_string());
            Ok((None, vec![SetAside { place, reason, record: None }]))
        }
    }
}

fn open(key: &str, record: &[u8]) -> Result<IdempotencyRecord, Unusable> {
    Ok(read_key(envelope::open(key.as_bytes(), Kind::Key, record)?, key.into())?)
}
