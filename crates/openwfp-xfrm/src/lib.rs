//! The Linux kernel's IPsec state (XFRM) as SA contexts of OpenWFP.
//!
//! ```text
//! capture (files) ──┐                        ┌── Tables (borrowed) ────────┐
//!                   ├─▶ Dumps ── wire ──▶ ───┤                             ├── pair, map ──▶ contexts
//! live (netlink) ───┘                        └── Inventory ◀── events ─────┘
//! live ◀── install ◀── ownership ◀── Dataplane ◀── the engine
//! ```
//!
//! This is the only crate that knows the kernel's structures; it does not depend on the engine.
#![forbid(unsafe_code)]

mod addresses;
pub mod capture;
mod dumps;
mod error;
mod inventory;
#[cfg(target_os = "linux")]
pub mod live;
mod map;
mod matching;
mod ownership;
mod pair;
mod snapshot;
mod table;
pub mod wire;

pub use dumps::{Dumps, Part};
pub use inventory::Inventory;
pub use pair::{Contexts, Listing};
pub use snapshot::Snapshot;
pub use table::{Dumped, Tables};
