//! Fanfare delivers every alert to every healthy target.

pub mod alert;
pub mod api;
pub mod publish;
