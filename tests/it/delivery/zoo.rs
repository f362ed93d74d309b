//! The delivery faults D1 to D35, each reproduced by a receiver that really does it: what class the fault gets,
//! how many requests are on the wire, how long it takes, and whether the connection is used again. What each
//! fault comes to inside is the table of `src/delivery/zoo.rs`; `list.rs` checks that none is missing.

mod answers;
mod bed;
mod connect;
mod http2;
mod list;
mod order;
mod stages;
mod stale;
mod tls;
