//! One commit: a batch becomes changes of the tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use redb::WriteTransaction;

use super::{
    batch::{Batch, Place, QueueTask},
    buried::Gathered,
    dead_letters::DeadLetters,
    envelope::{self, Kind},
    fault::{During as _, Fault},
    history::History,
    keys::Keys,
    names::Names,
    queue::{Moved, Queues},
    records::{
        Name, Totals, write_alert_record, write_group, write_name, write_silence, write_told,
        write_totals,
    },
    set_aside,
    tables::{ALERTS, GROUPS, META, NAMES, Operations, SILENCES, TOLD, TOTALS_KEY},
};
use crate::{
    dispatch::{AlertId, AlertRecord, GroupId, GroupRecord, ToldRecord},
    publish::{Silence, SilenceId},
};

/// What the committer knows of the file without reading it. After a failed commit it is wrong, and
/// nobody asks any more.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) names: Names,
    pub(super) queues: Queues,
    pub(super) letters: DeadLetters,
    pub(super) history: History,
    pub(super) keys: Keys,
    /// Alerts on disk.
    pub(super) alerts: u64,
    /// Bytes of alerts, of what was told, and of silences.
    pub(super) fact_bytes: u64,
    /// Records set aside.
    pub(super) set_aside: u64,
    /// Operations on trees, of all commits together.
    pub(super) operations: Operations,
    written: Totals,
}

/// What a commit changed of what others may see.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// New names.
    pub(super) names: Vec<(u32, Name)>,
    /// Targets whose queue has another size.
    pub(super) queues: BTreeSet<u32>,
    /// What was given up without anybody having sent a dead letter.
    pub(super) buried: Gathered,
}

// === impl Writer ===

impl Writer {
    /// Writes a batch into a transaction. The order of the steps is that in which records move from
    /// table to table.
    pub(super) fn write(
        &mut self,
        txn: &WriteTransaction,
        batch: Batch,
        now: Timestamp,
    ) -> Result<Changed, Fault> {
        let Batch { alerts, told, groups, silences, queue, drop_letters, attempts, keys, .. } =
            batch;
        let (mut letters, mut aside) = (batch.letters, batch.aside);
        let mut new = self.name_targets(&queue);
        let operations = &mut self.operations;
        let moved = self.queues.apply(txn, queue, (&self.names, now), operations)?;
        let buried = self.gather(&moved);
        let operations = &mut self.operations;
        letters.extend(moved.letters);
        aside.extend(moved.aside);
        if !letters.is_empty() || !drop_letters.is_empty() {
            self.letters.apply(txn, (drop_letters, letters), now, operations)?;
        }
        if !attempts.is_empty() {
            self.history.apply(txn, &attempts, operations)?;
        }
        if !keys.is_empty() {
            self.keys.apply(txn, keys, now, operations)?;
        }
        self.write_alerts(txn, alerts)?;
        self.write_told(txn, told, &mut new)?;
        self.write_groups(txn, groups, &mut new)?;
        self.write_silences(txn, silences)?;
        self.write_names(txn, &new)?;
        self.set_aside += set_aside::apply(
            txn,
            aside,
            (&mut self.letters, &mut self.history, &mut self.keys),
            &mut self.operations,
        )?;
        self.write_totals(txn)?;
        Ok(Changed { names: new, queues: moved.touched, buried })
    }

    /// Who is to hear of what was given up.
    fn gather(&self, moved: &Moved) -> Gathered {
        let mut buried = Gathered::default();
        moved.letters.iter().for_each(|letter| buried.letter(letter));
        for aside in &moved.aside {
            if let Place::Queue(number, _) = aside.place
                && let Some(Name::Target(target, _)) = self.names.name(number)
            {
                buried.set_aside(target);
            }
        }
        buried
    }

    fn name_targets(&mut self, queue: &[QueueTask]) -> Vec<(u32, Name)> {
        let mut new = Vec::new();
        for task in queue {
            if let QueueTask::Add(queued) = task {
                let name = Name::Target(queued.target.clone(), queued.uid.clone());
                if let (number, true) = self.names.intern(name.clone()) {
                    new.push((number, name));
                }
            }
        }
        new
    }

    fn write_alerts(
        &mut self,
        txn: &WriteTransaction,
        alerts: impl IntoIterator<Item = (AlertId, Option<AlertRecord>)>,
    ) -> Result<(), Fault> {
        let mut alerts = alerts.into_iter().peekable();
        if alerts.peek().is_none() {
            return Ok(());
        }
        let mut table = txn.open_table(ALERTS).during("open the alerts")?;
        let mut place = Vec::new();
        for (id, record) in alerts {
            if let Some(record) = record {
                let mut row = envelope::begin_in(place, Kind::Alert);
                write_alert_record(&mut row, &record);
                let row = envelope::seal(&id.0.to_be_bytes(), row);
                let before = self.operations.put(&mut table, id.0, &row)?;
                self.alerts += u64::from(before.is_none());
                self.grow(row.len() as u64, before);
                place = row;
            } else if let Some(before) = self.operations.remove(&mut table, id.0)? {
                self.alerts = self.alerts.saturating_sub(1);
                self.grow(0, Some(before.len() as u64));
            }
        }
        Ok(())
    }

    fn write_told(
        &mut self,
        txn: &WriteTransaction,
        told: impl IntoIterator<Item = (AlertId, Option<ToldRecord>)>,
        new: &mut Vec<(u32, Name)>,
    ) -> Result<(), Fault> {
        let mut told = told.into_iter().peekable();
        if told.peek().is_none() {
            return Ok(());
        }
        let mut table = txn.open_table(TOLD).during("open what was told")?;
        let mut place = Vec::new();
        for (id, record) in told {
            if let Some(record) = record {
                let mut row = envelope::begin_in(place, Kind::Told);
                write_told(&mut row, &record, &mut |name| {
                    let (number, is_new) = self.names.intern(name.clone());
                    if is_new {
                        new.push((number, name));
                    }
                    number
                });
                let row = envelope::seal(&id.0.to_be_bytes(), row);
                let before = self.operations.put(&mut table, id.0, &row)?;
                self.grow(row.len() as u64, before);
                place = row;
            } else if let Some(before) = self.operations.remove(&mut table, id.0)? {
                self.grow(0, Some(before.len() as u64));
            }
        }
        Ok(())
    }

    fn write_groups(
        &mut self,
        txn: &WriteTransaction,
        groups: BTreeMap<GroupId, Option<GroupRecord>>,
        new: &mut Vec<(u32, Name)>,
    ) -> Result<(), Fault> {
        if groups.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(GROUPS).during("open the groups")?;
        for (id, record) in groups {
            if let Some(record) = record {
                let mut row = envelope::begin(Kind::Group);
                write_group(&mut row, &record, &mut |name| {
                    let (number, is_new) = self.names.intern(name.clone());
                    if is_new {
                        new.push((number, name));
                    }
                    number
                });
                let row = envelope::seal(&id.0.to_be_bytes(), row);
                let before = self.operations.put(&mut table, id.0, &row)?;
                self.grow(row.len() as u64, before);
            } else if let Some(before) = self.operations.remove(&mut table, id.0)? {
                self.grow(0, Some(before.len() as u64));
            }
        }
        Ok(())
    }

    fn write_silences(
        &mut self,
        txn: &WriteTransaction,
        silences: impl IntoIterator<Item = (SilenceId, Option<Arc<Silence>>)>,
    ) -> Result<(), Fault> {
        let mut silences = silences.into_iter().peekable();
        if silences.peek().is_none() {
            return Ok(());
        }
        let mut table = txn.open_table(SILENCES).during("open the silences")?;
        for (id, silence) in silences {
            if let Some(silence) = silence {
                let mut row = envelope::begin(Kind::Silence);
                write_silence(&mut row, &silence);
                let row = envelope::seal(id.0.as_bytes(), row);
                let before = self.operations.put(&mut table, id.0.as_u128(), &row)?;
                self.grow(row.len() as u64, before);
            } else if let Some(before) = self.operations.remove(&mut table, id.0.as_u128())? {
                self.grow(0, Some(before.len() as u64));
            }
        }
        Ok(())
    }

    fn write_names(&mut self, txn: &WriteTransaction, new: &[(u32, Name)]) -> Result<(), Fault> {
        if new.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(NAMES).during("open the names")?;
        for (number, name) in new {
            let mut row = envelope::begin(Kind::Name);
            write_name(&mut row, name);
            let row = envelope::seal(&number.to_be_bytes(), row);
            self.operations.put(&mut table, *number, &row)?;
        }
        Ok(())
    }

    /// Writes the sums if they changed.
    pub(super) fn write_totals(&mut self, txn: &WriteTransaction) -> Result<(), Fault> {
        let totals = Totals {
            dead_letters: self.letters.bytes,
            history: self.history.bytes,
            keys: self.keys.bytes,
        };
        if totals == self.written {
            return Ok(());
        }
        let mut table = txn.open_table(META).during("open the sums")?;
        let mut row = envelope::begin(Kind::Totals);
        write_totals(&mut row, totals);
        let row = envelope::seal(TOTALS_KEY.as_bytes(), row);
        self.operations.put(&mut table, TOTALS_KEY, &row)?;
        self.written = totals;
        Ok(())
    }

    /// These sums stand in the file.
    pub(super) fn loaded_totals(&mut self, totals: Totals) {
        self.letters.bytes = totals.dead_letters;
        self.history.bytes = totals.history;
        self.keys.bytes = totals.keys;
        self.written = totals;
    }

    /// Bytes of everything that is kept.
    pub(super) fn stored_bytes(&self) -> u64 {
        let kept = self.letters.bytes + self.history.bytes + self.keys.bytes;
        self.fact_bytes + self.queued_bytes() + kept
    }

    /// Bytes of all queues.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.queues.sizes.values().map(|size| size.bytes).sum()
    }

    fn grow(&mut self, by: u64, before: Option<u64>) {
        self.fact_bytes = (self.fact_bytes + by).saturating_sub(before.unwrap_or(0));
    }
}
