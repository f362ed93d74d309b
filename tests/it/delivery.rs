//! One notification to one target, against real receivers: strict ones that check the vendor's rules, and
//! ones that misbehave.

mod addresses;
mod answers;
mod compile;
mod faults;
mod fixture;
mod http2;
mod markup;
mod pagerduty;
mod probes;
mod secrets;
mod slack;
mod stale;
mod tls;
mod v4;
mod webhook;
