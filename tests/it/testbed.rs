//! The fixtures themselves: a test bed that lies makes every test above it worthless.

mod plane;
mod program;
mod receiver;
