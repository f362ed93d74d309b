//! What a start reads: names, alerts, what was told, sizes of the queues. Bodies of queues, dead letters
//! and history stay where they are.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};

use super::{
    Restored,
    batch::{Place, SetAside},
    envelope::{self, FORMAT, Kind, Unusable},
    facts::{self, Fact, GroupFact},
    fault::{During as _, Fault},
    queue,
    records::{read_name, read_size, read_totals},
    set_aside, silences,
    tables::{
        self, Ascending, DEAD_LETTERS, FORMAT_KEY, HISTORY, META, NAMES, SET_ASIDE, SIZES,
        TOTALS_KEY,
    },
    writer::Writer,
};
use crate::{
    dispatch::{GroupId, GroupRecord},
    publish::Silence,
};

const STEP: &str = "load the store";

/// Why a file is not loaded.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Below the records.
    Fault(Fault),
    /// Another version wrote it.
    Version { what: &'static str, found: u32 },
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) writer: Writer,
    pub(super) alerts: Vec<Restored>,
    pub(super) groups: Vec<(GroupId, GroupRecord)>,
    pub(super) silences: Vec<Arc<Silence>>,
    aside: Vec<SetAside>,
    /// Names that nothing refers to.
    unused: Vec<u32>,
    /// Targets whose queue was counted, because its size could not be read.
    counted: Vec<u32>,
}

/// What is to be done about the format of a file before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The file is empty.
    New,
    /// An earlier version wrote it: it is read, and no earlier version must read it from now on.
    Earlier,
    Present,
}

/// Makes an empty file one of ours.
pub(super) fn initialize(txn: &WriteTransaction) -> Result<(), Fault> {
    tables::create(txn)?;
    write_format(txn)
}

/// Says that the file is of the present format.
pub(super) fn write_format(txn: &WriteTransaction) -> Result<(), Fault> {
    let mut meta = txn.open_table(META).during("write the format")?;
    meta.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice()).during("write the format")?;
    Ok(())
}

/// Looks for the format of the file; refuses one that a later version wrote.
pub(super) fn check_format(txn: &ReadTransaction) -> Result<Format, Refusal> {
    if txn.list_tables().during(STEP)?.next().is_none() {
        return Ok(Format::New);
    }
    let meta = txn.open_table(META).during("look for the format of the file")?;
    let format = meta.get(FORMAT_KEY).during(STEP)?;
    let format = format.and_then(|format| format.value().try_into().ok().map(u32::from_le_bytes));
    match format {
        Some(FORMAT) => Ok(Format::Present),
        Some(1..FORMAT) => Ok(Format::Earlier),
        Some(found) => Err(Refusal::Version { what: "a file format", found }),
        None => Err(Fault::damaged(STEP, "it does not say its format").into()),
    }
}

/// Reads what a start needs, alerts too if they are to be kept.
pub(super) fn load(txn: &ReadTransaction, keep: bool) -> Result<Found, Refusal> {
    let mut found = Found::default();
    found.names(txn)?;
    let used = found.facts(txn, keep)?;
    found.silences(txn, keep)?;
    found.queues(txn)?;
    found.sums(txn)?;
    let sizes = &found.writer.queues.sizes;
    let wanted = |number: u32| used.contains(&number) || sizes.contains_key(&number);
    found.unused = found.writer.names.retain(wanted);
    Ok(found)
}

// === impl Found ===

impl Found {
    /// Records that will be set aside.
    pub(super) fn bad(&self) -> usize {
        self.aside.len()
    }

    /// Whether the file needs a change before it is used.
    pub(super) fn untidy(&self) -> bool {
        let bad = !self.aside.is_empty() || !self.counted.is_empty();
        bad || !self.unused.is_empty() || self.writer.letters.records > 0
    }

    /// Sets aside what can't be used, removes what nobody needs.
    pub(super) fn tidy(&mut self, txn: &WriteTransaction, now: Timestamp) -> Result<(), Fault> {
        let writer = &mut self.writer;
        {
            let mut names = txn.open_table(NAMES).during("remove names")?;
            for number in self.unused.drain(..) {
                writer.operations.remove(&mut names, number)?;
            }
        }
        {
            let mut letters = txn.open_table(DEAD_LETTERS).during("open the dead letters")?;
            writer.letters.trim(&mut letters, now, &mut writer.operations)?;
        }
        let aside = std::mem::take(&mut self.aside);
        writer.set_aside += set_aside::apply(
            txn,
            aside,
            (&mut writer.letters, &mut writer.history, &mut writer.keys),
            &mut writer.operations,
        )?;
        let mut sizes = txn.open_table(SIZES).during("open the sizes of the queues")?;
        for number in self.counted.drain(..) {
            writer.queues.write_size(&mut sizes, number, &mut writer.operations)?;
        }
        drop(sizes);
        writer.write_totals(txn)
    }

    fn names(&mut self, txn: &ReadTransaction) -> Result<(), Refusal> {
        let table = txn.open_table(NAMES).during(STEP)?;
        let mut order = Ascending::after(None);
        for entry in table.iter().during(STEP)? {
            let (number, record) = entry.during(STEP)?;
            let number = number.value();
            order.check(STEP, number)?;
            // Also if the name can't be used: what refers to it must not become another's.
            self.writer.names.reserve(number);
            let name = envelope::open(&number.to_be_bytes(), Kind::Name, record.value())
                .and_then(|body| Ok(read_name(body)?));
            if let Some(name) = self.usable(Place::Name(number), name)? {
                self.writer.names.insert(number, name);
            }
        }
        order.end(STEP, &table)?;
        Ok(())
    }

    /// Alerts with what was told about them, kept if so wanted; returns the numbers of the names used.
    fn facts(&mut self, txn: &ReadTransaction, keep: bool) -> Result<HashSet<u32>, Refusal> {
        let used = RefCell::new(HashSet::new());
        let names = std::mem::take(&mut self.writer.names);
        let name = |number| {
            used.borrow_mut().insert(number);
            names.name(number)
        };
        facts::walk(txn, &name, &mut |fact| {
            match fact {
                Fact::Alert(restored, bytes) => {
                    self.writer.alerts += 1;
                    self.writer.fact_bytes += bytes;
                    if keep {
                        self.alerts.push(restored);
                    }
                }
                Fact::Unusable(place, error) => {
                    self.usable::<()>(place, Err(error))?;
                }
                Fact::Orphan(place) => {
                    let reason = "its alert is missing or can't be used".to_owned();
                    self.aside.push(SetAside { place, reason, record: None });
                }
            }
            Ok::<_, Refusal>(())
        })?;
        facts::walk_groups(txn, &name, &mut |fact| {
            match fact {
                GroupFact::Group(id, group, bytes) => {
                    self.writer.fact_bytes += bytes;
                    if keep {
                        self.groups.push((id, group));
                    }
                }
                GroupFact::Unusable(place, error) => {
                    self.usable::<()>(place, Err(error))?;
                }
            }
            Ok::<_, Refusal>(())
        })?;
        self.writer.names = names;
        Ok(used.into_inner())
    }

    fn silences(&mut self, txn: &ReadTransaction, keep: bool) -> Result<(), Refusal> {
        silences::walk(txn, &mut |id, silence, bytes| {
            if let Some(silence) = self.usable(Place::Silence(id), silence)? {
                self.writer.fact_bytes += bytes;
                if keep {
                    self.silences.push(Arc::new(silence));
                }
            }
            Ok(())
        })
    }

    fn queues(&mut self, txn: &ReadTransaction) -> Result<(), Refusal> {
        let table = txn.open_table(SIZES).during(STEP)?;
        let mut order = Ascending::after(None);
        for entry in table.iter().during(STEP)? {
            let (number, record) = entry.during(STEP)?;
            let number = number.value();
            order.check(STEP, number)?;
            let size = envelope::open(&number.to_be_bytes(), Kind::QueueSize, record.value())
                .and_then(|body| Ok(read_size(body)?));
            let known = self.writer.names.name(number).is_some();
            if let Some(size) = self.usable(Place::Size(number), size)?
                && known
                && size.records > 0
            {
                self.writer.queues.sizes.insert(number, size);
            }
        }
        order.end(STEP, &table)?;
        // The records are the truth; a size that is missing or unusable costs a count, not a queue.
        let numbers = queue::numbers(txn)?;
        for number in &numbers {
            self.writer.names.reserve(*number);
            if self.writer.queues.sizes.contains_key(number) {
                continue;
            }
            let size = queue::recount(txn, *number)?;
            if self.writer.names.name(*number).is_some() {
                self.writer.queues.sizes.insert(*number, size);
                self.counted.push(*number);
            } else {
                let records = size.records;
                tracing::error!(number, records, "A queue is left alone: its target is not known");
            }
        }
        self.writer.queues.next = queue::next_id(txn, numbers)?;
        Ok(())
    }

    fn sums(&mut self, txn: &ReadTransaction) -> Result<(), Refusal> {
        let meta = txn.open_table(META).during(STEP)?;
        if let Some(row) = meta.get(TOTALS_KEY).during(STEP)? {
            let totals = envelope::open(TOTALS_KEY.as_bytes(), Kind::Totals, row.value())
                .and_then(|body| Ok(read_totals(body)?));
            // Unusable sums start at zero again: the budgets then hold for what comes.
            self.writer.loaded_totals(totals.unwrap_or_default());
        }
        let letters = txn.open_table(DEAD_LETTERS).during(STEP)?;
        self.writer.letters.records = letters.len().during(STEP)?;
        self.writer.letters.last = letters.last().during(STEP)?.map_or(0, |(id, _)| id.value());
        let history = txn.open_table(HISTORY).during(STEP)?;
        self.writer.history.last = history.last().during(STEP)?.map_or(0, |(id, _)| id.value());
        let aside = txn.open_table(SET_ASIDE).during(STEP)?;
        self.writer.set_aside = aside.len().during(STEP)?;
        Ok(())
    }

    /// Notes a record that can't be used; one of another format is a reason to refuse the file.
    fn usable<T>(&mut self, place: Place, read: Result<T, Unusable>) -> Result<Option<T>, Refusal> {
        match read {
            Ok(record) => Ok(Some(record)),
            Err(Unusable::Version(found)) => {
                Err(Refusal::Version { what: "a record of format", found: found.into() })
            }
            Err(error) => {
                self.aside.push(SetAside { place, reason: error.to_string(), record: None });
                Ok(None)
            }
        }
    }
}

// === impl Refusal ===

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
