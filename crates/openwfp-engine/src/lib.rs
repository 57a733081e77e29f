//! The OpenWFP filter engine, as a library for keying daemons, gateways' tools and tests.
//!
//! ```text
//!                        ┌───────── Session (rights, transaction, handles) ─────────┐
//!   a keying daemon ──▶  steps: create · SPI · inbound · outbound · update · expire · delete
//!   a lister        ──▶  enumerators: a snapshot in O(1), pages that go back if they are not delivered
//!   a watcher       ──▶  subscriptions: events in the order of commits, by callback or pulled
//!                        └──────────────────────────┬────────────────────────────────┘
//!                                                Engine ◀── Mirror: what a provider lists and counts
//!                                                   ▼
//!                                               Dataplane: what carries the SAs out
//! ```
//!
//! # A life
//!
//! ```
//! use openwfp_api::*;
//! use openwfp_engine::{Engine, SessionOptions};
//!
//! let engine = Engine::new();
//! let session = engine.open_session(SessionOptions::new().name("my daemon"))?;
//! let endpoints = Endpoints::new([192, 0, 2, 1].into(), [198, 51, 100, 7].into()).unwrap();
//! let traffic = Traffic::new(endpoints, Mode::Tunnel);
//!
//! let id = session.sa_context_create(&NewSaContext::new(traffic.clone()))?;
//! let ours = session.sa_context_get_spi(id, &InboundRequest::new(traffic))?;
//! # let theirs = Spi::new(0xC0FFEE00).unwrap();
//! # let bundle = |spi| {
//! #     let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
//! #     SaBundle::new(SaList::one(Sa { spi, transform: Transform::EspAead(aead), linux: None }))
//! # };
//! session.sa_context_add_inbound(id, bundle(ours))?;
//! session.sa_context_add_outbound(id, bundle(theirs))?;
//! assert_eq!(session.sa_context_by_id(id)?.state, SaState::Complete);
//! # Ok::<(), Error>(())
//! ```
//!
//! The crate's examples have more: `keying_daemon`, `watcher`, `paging`.
//!
//! # What holds
//!
//! - **Rules** of a call (rights, transactions, dynamic sessions) stand in one table,
//!   [`Operation`](openwfp_api::Operation). A call that fails has changed nothing, and its error says in words which
//!   argument or rule was broken.
//! - **Transactions**: a session's explicit one sees its own version; the dataplane is called at its commit, for all of it
//!   or nothing. One writes at a time; other sessions' writes wait for it, the engine's own (what expires, what a
//!   provider lists) do not, and win.
//! - **Lifetimes** are the engine's unless its dataplane enforces them: softly at nine tenths, then deleted; idle pairs
//!   expire. A million contexts with lifetimes cost nothing while nothing is due.
//! - **Old versions** that enumerators hold are bounded by [`EngineBuilder::old_versions_max`] and gauged by
//!   [`Engine::gauges`].
//! - **Audit**: every change and refusal is a `tracing` event of the target `openwfp::audit` with the fields `operation`,
//!   `session`, `user`, `user_name`, `process_id`, `sa_context`, `local`, `remote`, `reason`, `outcome`, `error`.
//! - **Tests** of what is built on an engine turn its clock ([`ManualClock`]) and have calls fail on demand ([`Faults`]).
//!
//! It does no I/O but asking the system's clock and generator where it is given no others, and knows neither the kernel
//! nor any wire.
#![forbid(unsafe_code)]

mod access;
mod admit;
mod audit;
mod change;
mod classify;
mod commit;
mod core;
mod database;
mod engine;
mod enumerator;
mod events;
mod faults;
mod follow;
mod housekeeper;
mod lifetime;
mod net_events;
mod objects;
mod policy;
mod reconcile;
mod record;
mod registry;
mod selection;
mod session;
mod shared;
mod snapshots;
mod spi;
mod statistics;
mod sync;
mod system;
mod transaction;
mod transition;

pub use engine::{Engine, EngineBuilder, Gauges, OLD_VERSIONS_MAX};
pub use faults::Faults;
pub use lifetime::IdleTimeout;
pub use openwfp_api::SessionOptions;
pub use system::{ManualClock, SystemClock, SystemRandom};
