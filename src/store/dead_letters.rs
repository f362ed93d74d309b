//! Dead letters: kept for a while and within a budget, the oldest go first.

use std::{cmp::Reverse, time::Duration};

use jiff::{SignedDuration, Timestamp};
use redb::{ReadTransaction, Table, WriteTransaction};

use super::{
    DeadLetter, DeadLetterFilter, DeadLetterId, Page,
    batch::{Place, SetAside},
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    records::{read_dead_letter, write_dead_letter},
    tables::{Ascending, DEAD_LETTERS, Operations, first},
};

/// How long a dead letter is kept.
pub(super) const KEPT: Duration = Duration::from_hours(7 * 24);

/// What is known of the table without reading it.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    /// Id of the newest.
    pub(super) last: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Bytes that may be kept.
    pub(super) budget: u64,
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Removes what was dropped, adds what came, lets go of what is too old or too much.
    pub(super) fn apply(
        &mut self,
        txn: &WriteTransaction,
        (dropped, letters): (Vec<DeadLetterId>, Vec<DeadLetter>),
        now: Timestamp,
        operations: &mut Operations,
    ) -> Result<(), Fault> {
        let mut table = txn.open_table(DEAD_LETTERS).during("open the dead letters")?;
        for id in dropped {
            if let Some(record) = operations.remove(&mut table, id.0)? {
                self.less(record.len() as u64);
            }
        }
        for letter in letters {
            // Made from the time, so that an id is not used again after a start.
            let at = u64::try_from(letter.at.as_microsecond()).unwrap_or(0);
            self.last = at.max(self.last + 1);
            let mut record = envelope::begin(Kind::DeadLetter);
            write_dead_letter(&mut record, &letter);
            let record = envelope::seal(&self.last.to_be_bytes(), record);
            operations.put(&mut table, self.last, &record)?;
            self.records += 1;
            self.bytes += record.len() as u64;
        }
        self.trim(&mut table, now, operations)
    }

    /// Lets go of what is too old or too much.
    pub(super) fn trim(
        &mut self,
        table: &mut Table<'_, u64, &'static [u8]>,
        now: Timestamp,
        operations: &mut Operations,
    ) -> Result<(), Fault> {
        let oldest = oldest_kept(now);
        while let Some(id) = first(table)?
            && (self.bytes > self.budget || id < oldest)
            && let Some(bytes) = operations.pop(table)?
        {
            self.less(bytes);
        }
        Ok(())
    }

    /// A record of so many bytes is gone.
    pub(super) fn less(&mut self, bytes: u64) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The smallest id that is not too old.
fn oldest_kept(now: Timestamp) -> u64 {
    let oldest = now.checked_sub(SignedDuration::try_from(KEPT).unwrap_or_default());
    u64::try_from(oldest.unwrap_or(Timestamp::MIN).as_microsecond()).unwrap_or(0)
}

/// What a reader found, and what it could not use.
type Found<T> = Result<(T, Vec<SetAside>), Fault>;

/// Newest first.
pub(super) fn list(
    txn: &ReadTransaction,
    filter: &DeadLetterFilter,
    now: Timestamp,
) -> Found<Page<(DeadLetterId, DeadLetter)>> {
    const STEP: &str = "read the dead letters";
    let table = txn.open_table(DEAD_LETTERS).during(STEP)?;
    let end = filter.before.map_or(u64::MAX, |id| id.0);
    let (mut items, mut aside) = (Vec::new(), Vec::new());
    let mut order = Ascending::after(Some(Reverse(end)));
    for entry in table.range(oldest_kept(now)..end).during(STEP)?.rev() {
        let (id, record) = entry.during(STEP)?;
        let id = id.value();
        order.check(STEP, Reverse(id))?;
        match read(id, record.value()) {
            Ok(letter) if wanted(&letter, filter) => {
                if items.len() >= filter.limit {
                    let next = items.last().map(|(id, _): &(DeadLetterId, _)| id.0);
                    return Ok((Page { items, next }, aside));
                }
                items.push((DeadLetterId(id), letter));
            }
            Ok(_) => {}
            Err(error) => aside.push(unusable(id, &error)),
        }
    }
    Ok((Page { items, next: None }, aside))
}

pub(super) fn by_id(
    txn: &ReadTransaction,
    ids: &[DeadLetterId],
) -> Found<Vec<(DeadLetterId, DeadLetter)>> {
    const STEP: &str = "read dead letters";
    let table = txn.open_table(DEAD_LETTERS).during(STEP)?;
    let (mut found, mut aside) = (Vec::new(), Vec::new());
    for id in ids {
        if let Some(record) = table.get(id.0).during(STEP)? {
            match read(id.0, record.value()) {
                Ok(letter) => found.push((*id, letter)),
                Err(error) => aside.push(unusable(id.0, &error)),
            }
        }
    }
    Ok((found, aside))
}

fn wanted(letter: &DeadLetter, filter: &DeadLetterFilter) -> bool {
    filter.target.as_ref().is_none_or(|target| *target == letter.target)
        && filter.reason.is_none_or(|reason| reason == letter.reason)
        && filter.since.is_none_or(|since| since <= letter.at)
}

fn read(id: u64, record: &[u8]) -> Result<DeadLetter, Unusable> {
    Ok(read_dead_letter(envelope::open(&id.to_be_bytes(), Kind::DeadLetter, record)?)?)
}

fn unusable(id: u64, error: &Unusable) -> SetAside {
    SetAside { place: Place::DeadLetter(id), reason: error.to_string(), record: None }
}
