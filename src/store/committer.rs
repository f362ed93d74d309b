//! The one thread that writes. What arrives during one commit goes into the next.

use std::{sync::Arc, thread};

use jiff::Timestamp;

use super::{
    batch::Batch,
    fault::{During as _, Fault},
    inbox::{Next, Work},
    panics::guarded,
    shared::{Shared, now},
    space::Reserve,
    writer::{Changed, Writer},
};

/// The one who writes.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Writer,
    pub(super) reserve: Option<Arc<Reserve>>,
}

// === impl Committer ===

impl Committer {
    /// Writes until the store is closed or the disk fails.
    pub(super) fn run(mut self) {
        loop {
            if self.shared.gauge.look_due(false)
                && let Err(fault) = self.look()
            {
                return self.fail(fault);
            }
            let next = self.shared.inbox().next(now());
            match next {
                Next::Wait(None) => thread::park(),
                Next::Wait(Some(time)) => thread::park_timeout(time),
                // A reader met what ends all writing.
                Next::End if self.shared.has_failed() => return drop(self.take_database()),
                Next::End => return self.close(),
                Next::Commit(work) => {
                    if let Err(fault) = self.commit(work) {
                        return self.fail(fault);
                    }
                    if self.shared.gauge.look_due(true)
                        && let Err(fault) = self.look()
                    {
                        return self.fail(fault);
                    }
                }
            }
        }
    }

    fn commit(&mut self, Work { tasks, upto, bytes }: Work) -> Result<(), Fault> {
        let start = now();
        let (tasks_count, operations) = (tasks.len(), self.writer.operations.0);
        let written = guarded("write", || self.write(Batch::of(tasks)));
        let took = now().duration_since(start);
        let operations = self.writer.operations.0 - operations;
        self.shared.figures.operations.inc_by(operations);
        self.shared.figures.commit(written.is_ok(), took);
        let changed = written?;
        self.shared.gauge.wrote(self.writer.stored_bytes(), self.writer.queued_bytes());
        self.shared.committed(&self.writer, changed, upto, bytes);
        tracing::trace!(
            facts = tasks_count,
            operations,
            bytes,
            took = ?took,
            "Committed"
        );
        Ok(())
    }

    fn write(&mut self, batch: Batch) -> Result<Changed, Fault> {
        let txn = {
            let database = self.shared.database.read();
            let database = database.unwrap_or_else(std::sync::PoisonError::into_inner);
            let closed = || Fault::damaged("begin a commit", "the file is closed");
            database.as_ref().ok_or_else(closed)?.begin_write().during("begin a commit")?
        };
        let mut txn = txn;
        txn.set_quick_repair(true);
        let changed = self.writer.write(&txn, batch, Timestamp::now())?;
        txn.commit().during("commit")?;
        Ok(changed)
    }

    /// Looks at the space.
    pub(super) fn look(&mut self) -> Result<(), Fault> {
        if let (Some(system), Some(reserve)) = (self.shared.gauge.look()?, &self.reserve) {
            reserve.adjust(system.free, self.shared.gauge.low_water(system));
        }
        Ok(())
    }

    /// Nothing is written any more.
    fn fail(self, fault: Fault) {
        self.shared.fail(fault);
        drop(self.take_database());
    }

    fn close(self) {
        let closed = self.take_database().map(redb::Database::close);
        if let Some(Err(error)) = closed {
            tracing::warn!(%error, "The store was not closed cleanly; the next start repairs it");
        }
        self.shared.closed();
    }

    fn take_database(&self) -> Option<redb::Database> {
        let database = self.shared.database.write();
        database.unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}
