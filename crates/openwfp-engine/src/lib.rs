//! The OpenWFP filter engine as a library, for keying daemons, gateway tools and tests.
//!
//! ```text
//!                        ┌───────── Session (rights, transaction, handles) ─────────┐
//!   a keying daemon ──▶  steps: create · SPI · inbound · outbound · update · expire · delete
//!   a lister        ──▶  enumerators: a snapshot in O(1), in pages that can be given back
//!   a watcher       ──▶  subscriptions: events in commit order, pushed to a callback or pulled
//!                        └──────────────────────────┬────────────────────────────────┘
//!                                                Engine ◀── Mirror: SAs and counters from a provider
//!                                                   ▼
//!                                               Dataplane: installs and removes the SAs
//! ```
//!
//! # Example
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
//! let local_spi = session.sa_context_get_spi(id, &InboundRequest::new(traffic))?;
//! # let peer_spi = Spi::new(0xC0FFEE00).unwrap();
//! # let bundle = |spi| {
//! #     let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
//! #     SaBundle::new(SaList::one(Sa { spi, transform: Transform::EspAead(aead), linux: None }))
//! # };
//! session.sa_context_add_inbound(id, bundle(local_spi))?;
//! session.sa_context_add_outbound(id, bundle(peer_spi))?;
//! assert_eq!(session.sa_context_by_id(id)?.state, SaState::Complete);
//! # Ok::<(), Error>(())
//! ```
//!
//! See also the crate's examples: `keying_daemon`, `watcher` and `paging`.
//!
//! # Guarantees
//!
//! - **Rules**: [`Operation`](openwfp_api::Operation) lists the rules of every call in one table
//!   (rights, transactions, dynamic sessions). A call that fails changes nothing; its error text says
//!   which argument or rule was violated.
//! - **Transactions**: an explicit transaction works on its session's own version of the database. The
//!   dataplane is called at commit and applies all of the transaction or nothing. Only one read/write
//!   transaction is open at a time; writes of other sessions wait for it. Changes by the engine itself
//!   (expiry, changes reported by a provider) do not wait, and take precedence at commit.
//! - **Lifetimes**: the engine enforces lifetimes unless its dataplane does. It announces a soft expiry
//!   at nine tenths of a limit and deletes the SA context at the limit. Idle SA pairs expire in either
//!   case. A million contexts with lifetimes cost nothing while no timer is due.
//! - **Old versions**: [`EngineBuilder::old_versions_max`] limits the memory of old database versions
//!   that enumerators hold; [`Engine::gauges`] reports it.
//! - **Audit**: changes by sessions, contexts that the engine ends itself and refused calls are logged
//!   as `tracing` events with target `openwfp::audit` and the fields `operation`, `session`, `user`,
//!   `user_name`, `process_id`, `sa_context`, `object`, `local`, `remote`, `reason`, `outcome` and
//!   `error`, where they apply.
//! - **Tests**: programs that use an engine can advance its clock in tests ([`ManualClock`]) and inject
//!   failures ([`Faults`]).
//!
//! The crate does no I/O, except that it reads the system's clock and random number generator unless
//! the builder is given others. It depends on neither the kernel nor a wire format.
#![forbid(unsafe_code)]

mod access;
mod admit;
mod audit;
mod change;
mod classify;
mod commit;
mod core;
mod database;
mod effects;
mod engine;
mod enumerator;
mod events;
mod faults;
mod follow;
mod housekeeper;
mod kernel_policies;
mod lifetime;
mod net_events;
mod objects;
mod packet_filters;
mod policy;
mod reconcile;
mod record;
mod registry;
mod selection;
mod session;
mod shared;
mod snapshots;
mod spd;
mod spi;
mod statistics;
mod sync;
mod system;
mod transaction;
mod transition;

pub use effects::Unenforced;
pub use engine::{Engine, EngineBuilder, Gauges, OLD_VERSIONS_MAX};
pub use faults::Faults;
pub use lifetime::IdleTimeout;
pub use openwfp_api::SessionOptions;
pub use system::{ManualClock, SystemClock, SystemRandom};
