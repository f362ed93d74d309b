//! The whole operator on a real API server, as a user meets it: installed by the chart, run with the
//! token of the chart's `ServiceAccount`, asked by kubectl, amtool and HTTP.
//!
//! No pods run on the test's control plane: the operator is a process beside it, started with the
//! arguments of the chart's own `StatefulSet`.

mod alerts;
mod audit;
mod canary;
mod circuit;
mod consent;
mod door;
mod edits;
mod examples;
mod health;
mod lease;
mod metrics;
mod outage;
mod publish;
mod quickstart;
mod release;
mod rig;
mod suspend;
mod unread;
