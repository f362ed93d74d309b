//! One notification to one target, against real receivers: strict ones that check the vendor's rules, and
//! ones that misbehave.

mod addresses;
mod answers;
mod compile;
mod fixture;
mod http2;
mod incidents;
mod markup;
mod pagerduty;
mod probes;
mod receiver;
mod reuse;
mod secrets;
mod slack;
mod v4;
mod webhook;
mod zoo;
