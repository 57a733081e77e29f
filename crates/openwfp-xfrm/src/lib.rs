//! The Linux kernel's IPsec state (XFRM) as SA contexts of OpenWFP.
//!
//! ```text
//! capture (files) ──┐
//!                   ├─▶ Dumps ── wire ──▶ states, policies, events ── table ──▶ Tables ── pair, map ──▶ Listing
//! live (netlink) ───┘
//! ```
//!
//! This is the only room that knows the kernel's structures; it does not know the engine.
#![forbid(unsafe_code)]

mod addresses;
pub mod capture;
mod dumps;
mod error;
#[cfg(target_os = "linux")]
pub mod live;
mod map;
mod pair;
mod table;
pub mod wire;

pub use dumps::{Dumps, Part};
pub use pair::Listing;
pub use table::{Dumped, Tables};
