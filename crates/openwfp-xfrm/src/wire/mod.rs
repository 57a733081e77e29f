//! XFRM netlink messages as bytes: views that borrow from a buffer, and the inverse.
//!
//! Parsing never panics and never reads past its input, whatever the bytes; every error has its offset.
//! Emitting a parsed message yields the bytes that the kernel writes.
//!
//! Source: `linux/netlink.h`, `linux/xfrm.h`. Numbers are in host order, except SPIs, ports and
//! addresses, which are in network order.
//!
//! ```text
//! nlmsghdr 16 │ len u32 │ type u16 │ flags u16 │ seq u32 │ port u32 │
//! payload     │ xfrm_usersa_info 224 or xfrm_userpolicy_info 168     │
//! attributes  │ len u16 │ type u16 │ bytes … padded to 4 │ …
//! ```

mod bytes;
mod event;
mod message;
mod policy;
mod state;

pub use bytes::{Problem, WireError};
pub use event::{Acquire, Event, Last, Move, PolicyId, SaId};
pub use message::{Attributes, Message, MessageKind, Messages};
pub use policy::{Policy, PolicyDirection, PolicyTemplate, Templates};
pub use state::{
    Algorithm, Encapsulation, LIMIT_INFINITE, Limits, Offload, RawSelector, ReplayEsn, State, TruncatedAuth,
};
