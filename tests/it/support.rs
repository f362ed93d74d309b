//! What the tests share: a real control plane, real receivers, the real program.

pub(crate) mod amtool;
pub(crate) mod audit;
pub(crate) mod controlplane;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod operator;
pub(crate) mod program;
pub(crate) mod sink;
pub(crate) mod small_disk;
pub(crate) mod wait;
