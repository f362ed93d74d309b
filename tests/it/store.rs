//! The store on a disk that forgets, tears and fails, and in processes that are killed.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod apart;
mod bounds;
mod branch;
mod checked;
mod damage;
mod disk;
mod disk_facts;
mod errors;
mod formats;
mod load;
mod machine;
mod model;
mod pages;
mod power;
mod process;
mod sequences;
mod slow;
mod suspect;
