//! Alerts and groups and what was told about them, read one after the other: never more than one in
//! memory.

use redb::{ReadTransaction, ReadableTable as _};

use super::{
    Restored,
    batch::Place,
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    records::{Name, read_alert_record, read_group, read_told},
    tables::{ALERTS, Ascending, GROUPS, TOLD},
};
use crate::dispatch::{AlertId, GroupId, GroupRecord};

/// What stands in the file.
pub(super) enum Fact {
    /// An alert with what was told about it, and the bytes of both.
    Alert(Restored, u64),
    /// A record that can't be used.
    Unusable(Place, Unusable),
    /// What was told about an alert that is missing or can't be used.
    Orphan(Place),
}

/// Calls `each` for everything in the order of ids. `name` finds the name of a number.
pub(super) fn walk<'n, E: From<Fault>>(
    txn: &ReadTransaction,
    name: &dyn Fn(u32) -> Option<&'n Name>,
    each: &mut dyn FnMut(Fact) -> Result<(), E>,
) -> Result<(), E> {
    const STEP: &str = "read the alerts";
    let alerts = txn.open_table(ALERTS).during(STEP)?;
    let told_table = txn.open_table(TOLD).during(STEP)?;
    let mut told = told_table.iter().during(STEP)?.peekable();
    let (mut alerts_order, mut told_order) = (Ascending::after(None), Ascending::after(None));
    for entry in alerts.iter().during(STEP)? {
        let (id, record) = entry.during(STEP)?;
        let (id, record) = (id.value(), record.value());
        alerts_order.check(STEP, id)?;
        let mut bytes = record.len() as u64;
        let alert = envelope::open(&id.to_be_bytes(), Kind::Alert, record)
            .and_then(|body| Ok(read_alert_record(body)?));
        let mut mine = None;
        while let Some(next) =
            told.next_if(|next| next.as_ref().map_or(true, |(other, _)| other.value() <= id))
        {
            let (other, record) = next.during(STEP)?;
            let other = other.value();
            told_order.check(STEP, other)?;
            if other != id || alert.is_err() {
                each(Fact::Orphan(Place::Told(other)))?;
                continue;
            }
            bytes += record.value().len() as u64;
            let told = envelope::open(&id.to_be_bytes(), Kind::Told, record.value())
                .and_then(|body| Ok(read_told(body, name)?));
            match told {
                Ok(told) => mine = Some(told),
                Err(error) => each(Fact::Unusable(Place::Told(id), error))?,
            }
        }
        each(match alert {
            Ok(alert) => Fact::Alert(Restored { id: AlertId(id), alert, told: mine }, bytes),
            Err(error) => Fact::Unusable(Place::Alert(id), error),
        })?;
    }
    for entry in told {
        let id = entry.during(STEP)?.0.value();
        told_order.check(STEP, id)?;
        each(Fact::Orphan(Place::Told(id)))?;
    }
    alerts_order.end(STEP, &alerts)?;
    told_order.end(STEP, &told_table)?;
    Ok(())
}

/// A group in the file.
pub(super) enum GroupFact {
    /// What everyone was told about it, and its bytes.
    Group(GroupId, GroupRecord, u64),
    /// A record that can't be used.
    Unusable(Place, Unusable),
}

/// Calls `each` for every group in the order of ids. `name` finds the name of a number.
pub(super) fn walk_groups<'n, E: From<Fault>>(
    txn: &ReadTransaction,
    name: &dyn Fn(u32) -> Option<&'n Name>,
    each: &mut dyn FnMut(GroupFact) -> Result<(), E>,
) -> Result<(), E> {
    const STEP: &str = "read the groups";
    let groups = txn.open_table(GROUPS).during(STEP)?;
    let mut order = Ascending::after(None);
    for entry in groups.iter().during(STEP)? {
        let (id, record) = entry.during(STEP)?;
        let (id, record) = (id.value(), record.value());
        order.check(STEP, id)?;
        let group = envelope::open(&id.to_be_bytes(), Kind::Group, record)
            .and_then(|body| Ok(read_group(body, name)?));
        each(match group {
            Ok(group) => GroupFact::Group(GroupId(id), group, record.len() as u64),
            Err(error) => GroupFact::Unusable(Place::Group(id), error),
        })?;
    }
    order.end(STEP, &groups)?;
    Ok(())
}
