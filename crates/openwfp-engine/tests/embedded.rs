//! The suite against the engine in this process.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod connect;
mod suite;
