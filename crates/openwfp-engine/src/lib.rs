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

mod access;
mod admit;
mod audit;
mod change;
mod core;
mod database;
mod engine;
mod enumerator;
mod events;
mod faults;
mod housekeeper;
mod lifetime;
mod reconcile;
mod record;
mod selection;
mod session;
mod snapshots;
mod spi;
mod statistics;
mod sync;
mod system;
mod transition;

pub use engine::{Engine, EngineBuilder, Gauges};
pub use faults::Faults;
pub use lifetime::IdleTimeout;
pub use session::{ENUMERATORS_PER_SESSION_MAX, SUBSCRIPTIONS_PER_SESSION_MAX, SessionOptions};
pub use system::{ManualClock, SystemClock, SystemRandom};
