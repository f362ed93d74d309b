//! The tables of the file, and writing to them with every operation counted.

use std::borrow::Borrow;

use redb::{
    Key, ReadTransaction, ReadableTable as _, ReadableTableMetadata, Table, TableDefinition,
    TableHandle as _, WriteTransaction,
};

use super::fault::{During as _, Fault};

type Bytes = &'static [u8];

/// Format of the file, sums.
pub(super) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
/// Number → route, or target and UID.
pub(super) const NAMES: TableDefinition<'_, u32, Bytes> = TableDefinition::new("names");
/// Alert id → alert.
pub(super) const ALERTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("alerts");
/// Alert id → what everyone was told about it.
pub(super) const TOLD: TableDefinition<'_, u64, Bytes> = TableDefinition::new("told");
/// Group id → what everyone was told about it. Files of earlier versions may lack it.
pub(super) const GROUPS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("groups");
/// Silence id → silence. Files of earlier versions may lack it.
pub(super) const SILENCES: TableDefinition<'_, u128, Bytes> = TableDefinition::new("silences");
/// Number of the target, id → queued notification.
pub(super) const QUEUE: TableDefinition<'_, (u32, u64), Bytes> = TableDefinition::new("queue");
/// Number of the target → how much waits for it.
pub(super) const SIZES: TableDefinition<'_, u32, Bytes> = TableDefinition::new("queue_sizes");
/// Id → dead letter.
pub(super) const DEAD_LETTERS: TableDefinition<'_, u64, Bytes> =
    TableDefinition::new("dead_letters");
/// Number → block of attempts.
pub(super) const HISTORY: TableDefinition<'_, u64, Bytes> = TableDefinition::new("history");
/// `Idempotency-Key` → what it was used for.
pub(super) const KEYS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("keys");
/// Moment in µs → the key used then.
pub(super) const KEY_TIMES: TableDefinition<'_, u64, &str> = TableDefinition::new("key_times");
/// Number → record that can't be used.
pub(super) const SET_ASIDE: TableDefinition<'_, u64, Bytes> = TableDefinition::new("set_aside");

/// In [`META`]: format of the file, four bytes, lowest first.
pub(super) const FORMAT_KEY: &str = "format";
/// In [`META`]: sums.
pub(super) const TOTALS_KEY: &str = "totals";

/// What a checksum covers of the key of [`QUEUE`].
pub(super) fn queue_key((target, id): (u32, u64)) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&target.to_be_bytes());
    key[4..].copy_from_slice(&id.to_be_bytes());
    key
}

/// Changes tables and counts the operations on their trees.
#[derive(Debug, Default)]
pub(super) struct Operations(pub(super) u64);

// === impl Operations ===

impl Operations {
    /// Writes a record; returns the bytes of the one it replaces.
    pub(super) fn put<'k, K: Key + 'static>(
        &mut self,
        table: &mut Table<'_, K, Bytes>,
        key: impl Borrow<K::SelfType<'k>>,
        value: &[u8],
    ) -> Result<Option<u64>, Fault> {
        self.0 += 1;
        let before = table.insert(key, value).during("write a record")?;
        Ok(before.map(|before| before.value().len() as u64))
    }

    /// Removes a record; returns its bytes.
    pub(super) fn remove<'k, K: Key + 'static>(
        &mut self,
        table: &mut Table<'_, K, Bytes>,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<Vec<u8>>, Fault> {
        self.0 += 1;
        let before = table.remove(key).during("remove a record")?;
        Ok(before.map(|before| before.value().to_vec()))
    }

    /// Removes the first record of a table; returns its bytes.
    pub(super) fn pop(&mut self, table: &mut Table<'_, u64, Bytes>) -> Result<Option<u64>, Fault> {
        self.0 += 1;
        let first = table.pop_first().during("remove a record")?;
        Ok(first.map(|(_, value)| value.value().len() as u64))
    }
}

/// Key of the first record.
pub(super) fn first(table: &Table<'_, u64, Bytes>) -> Result<Option<u64>, Fault> {
    let first = table.first().during("read a record")?;
    Ok(first.map(|(key, _)| key.value()))
}

/// Watches that the keys of a walk come in order. A damaged page can lead to the pages of other keys, each of
/// which is intact: their records must not be taken for those that were asked for. Counts them too: a damaged
/// page can hide some.
#[derive(Debug)]
pub(super) struct Ascending<K> {
    last: Option<K>,
    count: u64,
}

impl<K: PartialOrd + Copy> Ascending<K> {
    /// Keys greater than `after`.
    pub(super) fn after(after: Option<K>) -> Self {
        Self { last: after, count: 0 }
    }

    /// The next key.
    pub(super) fn check(&mut self, step: &'static str, key: K) -> Result<(), Fault> {
        if self.last.is_some_and(|before| before >= key) {
            return Err(Fault::damaged(step, "the keys of a table are out of order"));
        }
        self.last = Some(key);
        self.count += 1;
        Ok(())
    }

    /// The walk went through the whole table.
    pub(super) fn end(
        self,
        step: &'static str,
        table: &impl ReadableTableMetadata,
    ) -> Result<(), Fault> {
        if table.len().during(step)? == self.count {
            Ok(())
        } else {
            Err(Fault::damaged(step, "a table does not hold as many records as were written"))
        }
    }
}

/// The id in the key of a record that must be in the queue of that number: what a damaged page leads to
/// may be another target's.
pub(super) fn of_queue(
    step: &'static str,
    number: u32,
    (found, id): (u32, u64),
) -> Result<u64, Fault> {
    if found == number {
        Ok(id)
    } else {
        Err(Fault::damaged(step, "a record stands in the queue of another target"))
    }
}

/// Whether a table is missing because the program that made the file did not know it yet.
pub(super) fn incomplete(txn: &ReadTransaction) -> Result<bool, Fault> {
    let mut names = txn.list_tables().during("list the tables")?;
    Ok(!names.any(|table| table.name() == GROUPS.name()))
}

/// Makes every table that is not there, so that readers find them all.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    const STEP: &str = "create the tables";
    txn.open_table(META).during(STEP)?;
    txn.open_table(NAMES).during(STEP)?;
    txn.open_table(ALERTS).during(STEP)?;
    txn.open_table(TOLD).during(STEP)?;
    txn.open_table(GROUPS).during(STEP)?;
    txn.open_table(SILENCES).during(STEP)?;
    txn.open_table(QUEUE).during(STEP)?;
    txn.open_table(SIZES).during(STEP)?;
    txn.open_table(DEAD_LETTERS).during(STEP)?;
    txn.open_table(HISTORY).during(STEP)?;
    txn.open_table(KEYS).during(STEP)?;
    txn.open_table(KEY_TIMES).during(STEP)?;
    txn.open_table(SET_ASIDE).during(STEP)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::{Builder, ReadableDatabase as _, TableDefinition, backends::InMemoryBackend};

    use super::*;

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");

    #[test]
    fn walk_that_met_fewer_records_than_the_table_says_met_damage() {
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(TABLE).unwrap().insert(1, 1).unwrap();
        write.open_table(TABLE).unwrap().insert(2, 2).unwrap();
        write.commit().unwrap();
        let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
        let walk = |keys: &[u64]| {
            let mut keys_met = Ascending::after(None);
            keys.iter().try_for_each(|key| keys_met.check("walk", *key))?;
            keys_met.end("walk", &table)
        };
        assert!(walk(&[1, 2]).is_ok());
        assert!(walk(&[1]).unwrap_err().damage, "one is hidden");
        assert!(walk(&[2, 1]).unwrap_err().damage, "out of order");
    }
}
