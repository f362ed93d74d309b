//! How the records look in bytes. Each file holds one record with its reader.

mod alert;
mod attempt;
mod dead_letter;
mod group;
mod key;
mod name;
mod notification;
mod queued;
mod silence;
mod size;
mod told;

pub(super) use alert::{read_alert_record, write_alert_record};
pub(super) use attempt::{Block, write_block};
pub(super) use dead_letter::{read_dead_letter, write_dead_letter};
pub(super) use group::{read_group, write_group};
pub(super) use key::{read_key, write_key};
pub(super) use name::{Name, read_name, write_name};
pub(super) use queued::{peek_accepted, read_queued, set_attempts, write_queued};
pub(super) use silence::{read_silence, write_silence};
pub(super) use size::{Totals, read_size, read_totals, write_size, write_totals};
pub(super) use told::{read_told, write_told};

#[cfg(test)]
mod tests;
