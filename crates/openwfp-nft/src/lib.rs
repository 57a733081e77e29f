//! Filters of OpenWFP as rules of nftables, and what the rules drop as net events.
//!
//! ```text
//! filters ─▶ rules (a chain for each layer and sublayer) ─▶ nft -j: one table, replaced as a whole     compile, run
//! what the rules drop ─▶ nflog ─▶ net events ─▶ Mirror (the engine)                                     log
//! what other programs do to the table ─▶ it is put back                                                 watch
//! ```
#![forbid(unsafe_code)]

mod compile;
#[cfg(target_os = "linux")]
mod log;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod run;
#[cfg(test)]
mod tests;
#[cfg(target_os = "linux")]
mod watch;

pub use compile::check;
pub use compile::ruleset;
#[cfg(target_os = "linux")]
pub use run::Nftables;
