//! The OpenWFP filter engine over gRPC: the protocol, its [server](Server) and its
//! [client](RemoteEngine).
//!
//! ```text
//!  program ─ Session ─ RemoteSession ══ HTTP/2 over a Unix socket or TLS ══ Service ─ Session ─ engine
//!                      └ one connection per session: if it breaks, the session ends ┘
//! ```
//!
//! The `.proto` files in `proto/openwfp/v1` define the protocol, for clients in any language. This
//! crate depends on neither an engine nor a kernel: the server serves any
//! [`FilterEngine`](openwfp_api::FilterEngine), and the client implements that trait.
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
pub use server::PeerGroups;
pub use server::Server;
pub use server::ServerOptions;
pub use server::UnixSocket;

/// The only protocol version that this crate supports.
pub const PROTOCOL: u32 = 1;

/// Default TCP port of a daemon.
pub const DEFAULT_PORT: u16 = 8320;

/// Messages and services generated from `proto/openwfp/v1`.
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

    /// The descriptors of all `.proto` files, as an encoded `google.protobuf.FileDescriptorSet`.
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
