//! The controller against a real API server.

mod circuit;
mod crd;
mod health;
mod idle;
mod lease;
mod life;
mod malformed;
mod outage;
mod rbac;
mod rig;
mod secret;
mod silence;
mod status;
