//! Silences, read one after the other.

use redb::{ReadTransaction, ReadableTable as _, TableError};
use uuid::Uuid;

use super::{
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    records::read_silence,
    tables::{Ascending, SILENCES},
};
use crate::publish::{Silence, SilenceId};

/// Calls `each` for every silence, with its bytes.
pub(super) fn walk<E: From<Fault>>(
    txn: &ReadTransaction,
    each: &mut dyn FnMut(SilenceId, Result<Silence, Unusable>, u64) -> Result<(), E>,
) -> Result<(), E> {
    const STEP: &str = "read the silences";
    let table = match txn.open_table(SILENCES) {
        // The file is older than silences, and none was written since.
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        table => table.during(STEP)?,
    };
    let mut order = Ascending::after(None);
    for entry in table.iter().during(STEP)? {
        let (id, record) = entry.during(STEP)?;
        order.check(STEP, id.value())?;
        let id = SilenceId(Uuid::from_u128(id.value()));
        let silence = envelope::open(id.0.as_bytes(), Kind::Silence, record.value())
            .and_then(|body| Ok(read_silence(body, id)?));
        each(id, silence, record.value().len() as u64)?;
    }
    order.end(STEP, &table)?;
    Ok(())
}
