//! Opens the store: in the data directory, or in memory where there is none.

use std::sync::Arc;

use super::{Error, memory};
use crate::{
    clock::Moment,
    config::Config,
    dispatch::{self, Restoring, State},
    store::{self, Redb, Settings},
};

/// The store.
///
/// # Errors
/// [`Error::Store`] if the file can't be used; nothing was changed then.
pub(super) fn open(config: &Config) -> Result<Arc<Redb>, Error> {
    let settings = Settings { stream_alerts: true, ..Settings::for_memory(memory::limit()) };
    let Some(directory) = &config.data_dir else {
        tracing::warn!(
            "No --data-dir: what is accepted is kept in memory and lost when this process ends"
        );
        return Ok(store::in_memory(settings)?);
    };
    let (store, loaded) = store::open(directory, settings)?;
    if let Some(damaged) = &loaded.damaged {
        tracing::error!(
            moved_to = %damaged.display(),
            "The store was damaged: it was moved aside and a new one was begun. What it held is not \
             delivered; senders send what still fires again"
        );
    }
    Ok(store)
}

/// What was held at the last stop.
///
/// # Errors
/// [`Error::Disk`] if it can't be read.
pub(super) fn restore(store: &Redb, settings: dispatch::Settings) -> Result<State, Error> {
    let mut restoring = Restoring::new(settings, Moment::now());
    let silences = store.silences()?;
    for silence in &silences {
        if let Err(error) = restoring.silence(Arc::clone(silence)) {
            tracing::error!(silence = %silence.id, %error, "A silence is left out");
        }
    }
    let alerts = store.restore(&mut |found| restoring.add(found.id, found.alert, found.told))?;
    store.restore_groups(&mut |id, group| restoring.add_group(id, group))?;
    let silences = silences.len();
    tracing::info!(
        alerts,
        silences,
        set_aside = store::Store::stats(store).set_aside,
        "Store opened"
    );
    Ok(restoring.finish())
}
