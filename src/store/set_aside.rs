//! Records that can't be used: taken out of their place, kept with the reason, counted. Nothing deletes
//! them: a later version may know what to do with them.

use redb::{ReadableTable as _, WriteTransaction};

use super::{
    batch::{Place, SetAside},
    dead_letters::DeadLetters,
    envelope::{self, Kind},
    fault::{During as _, Fault},
    history::History,
    keys::Keys,
    tables::{
        ALERTS, DEAD_LETTERS, GROUPS, HISTORY, KEYS, NAMES, Operations, QUEUE, SET_ASIDE, SILENCES,
        SIZES, TOLD,
    },
};

/// Moves records; returns how many there were.
pub(super) fn apply(
    txn: &WriteTransaction,
    records: Vec<SetAside>,
    (letters, history, keys): (&mut DeadLetters, &mut History, &mut Keys),
    operations: &mut Operations,
) -> Result<u64, Fault> {
    const STEP: &str = "set a record aside";
    let mut moved = 0;
    for SetAside { place, reason, record } in records {
        let record = match record {
            Some(record) => Some(record),
            None => take(txn, &place, operations)?,
        };
        // Readers may have met it more than once before it was gone.
        let Some(record) = record else { continue };
        match place {
            Place::DeadLetter(_) => letters.less(record.len() as u64),
            Place::History(_) => history.less(record.len() as u64),
            Place::Key(_) => keys.less(record.len() as u64),
            _ => {}
        }
        let mut table = txn.open_table(SET_ASIDE).during(STEP)?;
        let number = table.last().during(STEP)?.map_or(1, |(number, _)| number.value() + 1);
        let mut row = envelope::begin(Kind::SetAside);
        row.text(place.table());
        row.bytes(&place.key());
        row.text(&reason);
        row.bytes(&record);
        let row = envelope::seal(&number.to_be_bytes(), row);
        operations.put(&mut table, number, &row)?;
        moved += 1;
        tracing::error!(
            table = place.table(),
            record = ?place,
            reason,
            "A record of the store can't be used; it was set aside, all others are in use"
        );
    }
    Ok(moved)
}

fn take(
    txn: &WriteTransaction,
    place: &Place,
    operations: &mut Operations,
) -> Result<Option<Vec<u8>>, Fault> {
    const STEP: &str = "take out a record";
    match place {
        Place::Name(number) => operations.remove(&mut txn.open_table(NAMES).during(STEP)?, *number),
        Place::Alert(id) => operations.remove(&mut txn.open_table(ALERTS).during(STEP)?, *id),
        Place::Told(id) => operations.remove(&mut txn.open_table(TOLD).during(STEP)?, *id),
        Place::Group(id) => operations.remove(&mut txn.open_table(GROUPS).during(STEP)?, *id),
        Place::Silence(id) => {
            operations.remove(&mut txn.open_table(SILENCES).during(STEP)?, id.0.as_u128())
        }
        Place::Size(number) => operations.remove(&mut txn.open_table(SIZES).during(STEP)?, *number),
        Place::Queue(number, id) => {
            operations.remove(&mut txn.open_table(QUEUE).during(STEP)?, (*number, *id))
        }
        Place::DeadLetter(id) => {
            operations.remove(&mut txn.open_table(DEAD_LETTERS).during(STEP)?, *id)
        }
        Place::History(number) => {
            operations.remove(&mut txn.open_table(HISTORY).during(STEP)?, *number)
        }
        Place::Key(key) => operations.remove(&mut txn.open_table(KEYS).during(STEP)?, &**key),
    }
}
