//! Looking at the queues without changing them.

use std::{ops::Bound, sync::Arc};

use redb::ReadTransaction;

use crate::{
    api::TargetKey,
    dispatch::Queued,
    store::{
        QueueId, QueueSize,
        batch::{Place, SetAside},
        envelope::{self, Kind, Unusable},
        fault::{During as _, Fault},
        records::{peek_accepted, read_queued},
        tables::{Ascending, QUEUE, of_queue, queue_key},
    },
};

/// What a reader found, and what it could not use.
type Found = (Vec<(QueueId, Queued)>, Vec<SetAside>);

/// The next records that wait for target `number`, and those among them that can't be used.
pub(in crate::store) fn queued(
    txn: &ReadTransaction,
    (number, target, uid): (u32, &TargetKey, &Arc<str>),
    after: Option<QueueId>,
    limit: usize,
) -> Result<Found, Fault> {
    const STEP: &str = "read a queue";
    let table = txn.open_table(QUEUE).during(STEP)?;
    let from = after.map_or(Bound::Included((number, 0)), |id| Bound::Excluded((number, id.0)));
    let range = table.range::<(u32, u64)>((from, Bound::Included((number, u64::MAX))));
    let (mut found, mut aside) = (Vec::new(), Vec::new());
    let mut order = Ascending::after(after.map(|id| (number, id.0)));
    for entry in range.during(STEP)? {
        if found.len() >= limit {
            break;
        }
        let (key, value) = entry.during(STEP)?;
        let key = key.value();
        order.check(STEP, key)?;
        of_queue(STEP, number, key)?;
        match read(key, value.value(), target, uid) {
            Ok(queued) => found.push((QueueId(key.1), queued)),
            Err(error) => {
                let (place, reason) = (Place::Queue(key.0, key.1), error.to_string());
                aside.push(SetAside { place, reason, record: None });
            }
        }
    }
    Ok((found, aside))
}

/// Whether a record is there.
pub(in crate::store) fn waits(txn: &ReadTransaction, key: (u32, u64)) -> Result<bool, Fault> {
    const STEP: &str = "look for a queued record";
    let table = txn.open_table(QUEUE).during(STEP)?;
    Ok(table.get(key).during(STEP)?.is_some())
}

/// The id after the last one of each of these targets.
pub(in crate::store) fn next_id(
    txn: &ReadTransaction,
    numbers: impl IntoIterator<Item = u32>,
) -> Result<u64, Fault> {
    const STEP: &str = "read the ends of the queues";
    let table = txn.open_table(QUEUE).during(STEP)?;
    let mut next = 1;
    for number in numbers {
        let last = table.range(all(number)).during(STEP)?.next_back();
        if let Some((key, _)) = last.transpose().during(STEP)? {
            next = next.max(of_queue(STEP, number, key.value())? + 1);
        }
    }
    Ok(next)
}

/// The numbers of all targets for which something waits, whatever the sizes say.
pub(in crate::store) fn numbers(txn: &ReadTransaction) -> Result<Vec<u32>, Fault> {
    const STEP: &str = "read the beginnings of the queues";
    let table = txn.open_table(QUEUE).during(STEP)?;
    let (mut found, mut from) = (Vec::new(), Some(0));
    let mut order = Ascending::after(None);
    while let Some(number) = from {
        let first = table.range((number, 0)..).during(STEP)?.next().transpose().during(STEP)?;
        let Some((key, _)) = first else { break };
        order.check(STEP, key.value().0)?;
        found.push(key.value().0);
        from = key.value().0.checked_add(1);
    }
    Ok(found)
}

pub(super) fn all(number: u32) -> std::ops::RangeInclusive<(u32, u64)> {
    (number, 0)..=(number, u64::MAX)
}

pub(super) fn read(
    key: (u32, u64),
    record: &[u8],
    target: &TargetKey,
    uid: &Arc<str>,
) -> Result<Queued, Unusable> {
    let body = envelope::open(&queue_key(key), Kind::Queued, record)?;
    Ok(read_queued(body, target, uid)?)
}

/// Counts what waits for target `number`; reads all of it.
pub(in crate::store) fn recount(txn: &ReadTransaction, number: u32) -> Result<QueueSize, Fault> {
    const STEP: &str = "count a queue";
    let table = txn.open_table(QUEUE).during(STEP)?;
    let mut size = QueueSize::default();
    let mut order = Ascending::after(None);
    for entry in table.range(all(number)).during(STEP)? {
        let (key, value) = entry.during(STEP)?;
        order.check(STEP, key.value())?;
        of_queue(STEP, number, key.value())?;
        size.records += 1;
        size.bytes += value.value().len() as u64;
        if size.oldest.is_none() {
            let body = envelope::open(&queue_key(key.value()), Kind::Queued, value.value());
            size.oldest = body.ok().and_then(|body| peek_accepted(body).ok());
        }
    }
    Ok(size)
}
