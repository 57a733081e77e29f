//! The OpenWFP filter engine: sessions, the versioned database of SA contexts, enumerators.
//!
//! ```text
//! Session::sa_context_create_enum ── Database::clone (O(1)) + Selection ──▶ Enumerator
//! Session::sa_context_enum        ── Enumerator::claim ──▶ Claim: shared contexts, nothing copied
//! Mirror::replace                 ── a private next version ── swap ──▶ seen by new enumerators only
//! ```
//!
//! It does no I/O, reads no clock of its own and knows neither the kernel nor any wire.
#![forbid(unsafe_code)]

mod admit;
mod database;
mod engine;
mod enumerator;
mod lock;
mod reconcile;
mod selection;
mod session;
mod transition;

pub use engine::Engine;
pub use session::{ENUMERATORS_PER_SESSION_MAX, SessionOptions};
