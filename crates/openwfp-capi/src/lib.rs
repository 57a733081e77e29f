//! The C ABI of WFP's IPsec API over OpenWFP's engine, for C and C++ programs.
//!
//! Programs link with `libfwpuclnt.so` or `libfwpkclnt.so`. Both are shells that expand the list of
//! exports ([`export_calls`]) for their [`Flavour`]; the former also expands
//! [`export_undocumented_calls`]. A call takes this path:
//!
//! ```text
//! export ─ doors/… ─ boundary ─ handle ─ read/… ─ dyn Session ─ write/… ─ memory
//!          checks     panics,     lookup   C → api               api → C    one block per
//!          pointers   codes                                                 page, freed
//!                                                                           and wiped
//! ```
//!
//! The structures are those of `windows-sys`, whose layout is authoritative for the ABI. In the whole
//! project, only this crate, and the shells through its macros, contain `unsafe` code.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

mod arena;
mod boundary;
pub mod doors;
mod engines;
mod exports;
mod flavour;
mod fork;
mod handle;
mod memory;
mod peer;
mod read;
mod wide;
mod write;

pub use boundary::last_error_text;
pub use flavour::{Flavour, Kernel, User};
pub use memory::free;
pub use peer::peer_groups;

/// The types in the exports' signatures.
pub mod abi {
    pub use core::ffi::{c_char, c_void};
    pub use windows_sys::Win32::Foundation::HANDLE;
    pub use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform::*;
    pub use windows_sys::Win32::Security::{ACL, PSECURITY_DESCRIPTOR, PSID, SID};
    pub use windows_sys::core::GUID;
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the C ABI is that of 64-bit machines");
