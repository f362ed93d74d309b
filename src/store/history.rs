//! The delivery history: one block per commit, within a budget, the oldest go first.

use std::cmp::Reverse;

use redb::{ReadTransaction, WriteTransaction};

use super::{
    AttemptRecord, DeliveryFilter, Page,
    batch::{Place, SetAside},
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    records::{Block, write_block},
    tables::{Ascending, HISTORY, Operations},
};

/// Attempts in one block: their place in it takes the low bits of a cursor.
const BLOCK: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 12;

/// What is known of the table without reading it.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Number of the newest block.
    pub(super) last: u64,
    pub(super) bytes: u64,
    /// Bytes that may be kept.
    pub(super) budget: u64,
}

// === impl History ===

impl History {
    pub(super) fn apply(
        &mut self,
        txn: &WriteTransaction,
        attempts: &[AttemptRecord],
        operations: &mut Operations,
    ) -> Result<(), Fault> {
        let mut table = txn.open_table(HISTORY).during("open the history")?;
        for attempts in attempts.chunks(BLOCK) {
            self.last += 1;
            let mut block = envelope::begin(Kind::History);
            write_block(&mut block, attempts);
            let block = envelope::seal(&self.last.to_be_bytes(), block);
            operations.put(&mut table, self.last, &block)?;
            self.bytes += block.len() as u64;
        }
        while self.bytes > self.budget
            && let Some(bytes) = operations.pop(&mut table)?
        {
            self.less(bytes);
        }
        Ok(())
    }

    /// A block of so many bytes is gone.
    pub(super) fn less(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Newest first, and the blocks that could not be used.
pub(super) fn list(
    txn: &ReadTransaction,
    filter: &DeliveryFilter,
) -> Result<(Page<AttemptRecord>, Vec<SetAside>), Fault> {
    const STEP: &str = "read the delivery history";
    let table = txn.open_table(HISTORY).during(STEP)?;
    let before = filter.before.unwrap_or(u64::MAX);
    let (mut items, mut last, mut aside) = (Vec::new(), 0, Vec::new());
    let mut order = Ascending::after(Some(Reverse((before >> PLACE_BITS) + 1)));
    for entry in table.range(..=before >> PLACE_BITS).during(STEP)?.rev() {
        let (number, record) = entry.during(STEP)?;
        let number = number.value();
        order.check(STEP, Reverse(number))?;
        let attempts = match read(number, record.value(), filter) {
            Ok(attempts) => attempts,
            Err(error) => {
                let (place, reason) = (Place::History(number), error.to_string());
                aside.push(SetAside { place, reason, record: None });
                continue;
            }
        };
        for (place, attempt) in attempts.into_iter().enumerate().rev() {
            let cursor = number << PLACE_BITS | place as u64;
            if cursor >= before || !wanted(&attempt, filter) {
                continue;
            }
            if items.len() >= filter.limit {
                return Ok((Page { items, next: Some(last) }, aside));
            }
            items.push(attempt);
            last = cursor;
        }
    }
    Ok((Page { items, next: None }, aside))
}

/// The attempts of a block in which there may be wanted ones.
fn read(
    number: u64,
    record: &[u8],
    filter: &DeliveryFilter,
) -> Result<Vec<AttemptRecord>, Unusable> {
    let body = envelope::open_of_format(&number.to_be_bytes(), Kind::History, record)?;
    let block = Block::read(body)?;
    let old = filter.since.is_some_and(|since| block.newest < since);
    let strange = filter.target.as_ref().is_some_and(|target| !block.knows(target))
        || filter.fingerprint.is_some_and(|fingerprint| !block.tells(fingerprint))
        || filter.alert.as_ref().is_some_and(|alert| !block.names(alert));
    if old || strange {
        return Ok(Vec::new());
    }
    Ok(block.attempts()?)
}

fn wanted(attempt: &AttemptRecord, filter: &DeliveryFilter) -> bool {
    filter.target.as_ref().is_none_or(|target| *target == attempt.target)
        && filter.fingerprint.is_none_or(|fingerprint| attempt.fingerprints.contains(&fingerprint))
        && filter.alert.as_ref().is_none_or(|alert| attempt.names(alert))
        && filter.since.is_none_or(|since| since <= attempt.at)
}
