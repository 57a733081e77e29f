//! The OpenWFP filter engine over gRPC: one wire, its [server](Server) and its [client](RemoteEngine).
//!
//! ```text
//!  program ─ Session ─ RemoteSession ══ HTTP/2 over a Unix socket or TLS ══ Service ─ Session ─ engine
//!                      └ one connection a session: when it is gone, the session ends ┘
//! ```
//!
//! `proto/openwfp/v1` describes the wire, for clients in any language. This crate knows neither an engine nor a kernel:
//! it serves whatever implements [`FilterEngine`](openwfp_api::FilterEngine), and is one itself at the other end.
#![forbid(unsafe_code)]

mod client;
pub mod codec;
mod convert;
mod server;
mod status;
pub mod tls;

pub use client::ClientOptions;
pub use client::RemoteEngine;
pub use client::Target;
pub use server::Limits;
pub use server::Peer;
pub use server::Server;
pub use server::ServerOptions;
pub use server::UnixSocket;

/// The highest version of the protocol that this crate speaks, and the lowest.
pub const PROTOCOL: u32 = 1;

/// The TCP port where nothing else is said.
pub const DEFAULT_PORT: u16 = 8320;

/// The messages and services that `proto/openwfp/v1` describes.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    rustdoc::all,
    reason = "generated"
)]
pub mod proto {
    tonic::include_proto!("openwfp.v1");

    /// All descriptions in binary form, a `google.protobuf.FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openwfp.v1.bin"));

    impl std::fmt::Debug for Key {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Key({} bytes)", self.value.len())
        }
    }

    impl std::fmt::Debug for KeyMaterial {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "KeyMaterial({} bytes)", self.key.len())
        }
    }

    impl std::fmt::Debug for KeyModuleState {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "KeyModuleState({} bytes)", self.state_blob.len())
        }
    }
}
