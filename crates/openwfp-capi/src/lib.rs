//! The C ABI: WFP's IPsec calls over OpenWFP's engine, for C and C++ programs.
//!
//! The two libraries that programs link with, `libfwpuclnt.so` and `libfwpkclnt.so`, are shells: each hands the list of
//! exports ([`export_calls`]) its [`Flavour`], which is all that they differ in. A call goes
//!
//! ```text
//! export ─ doors/… ─ boundary ─ handle ─ read/… ─ dyn Session ─ write/… ─ memory
//!          checks     panics,     who      C → api               api → C    one block a
//!          pointers   codes                                                 page, freed
//!                                                                           and wiped
//! ```
//!
//! Structures are `windows-sys`'s, whose layout is the ABI's truth. `unsafe` is nowhere else in the project.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

mod arena;
mod boundary;
pub mod doors;
mod engines;
mod exports;
mod flavour;
mod handle;
mod memory;
mod read;
mod wide;
mod write;

pub use boundary::last_error_text;
pub use flavour::{Flavour, Kernel, User};
pub use memory::free;

/// The types of the exports' signatures.
pub mod abi {
    pub use core::ffi::{c_char, c_void};
    pub use windows_sys::Win32::Foundation::HANDLE;
    pub use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform::*;
    pub use windows_sys::Win32::Security::{ACL, PSECURITY_DESCRIPTOR, PSID, SID};
    pub use windows_sys::core::GUID;
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the C ABI is that of 64-bit machines");
