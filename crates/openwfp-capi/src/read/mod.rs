//! Converts the C structures that callers pass to the API's types.
//!
//! Invalid structures are rejected here or by the checks of these types, before anything changes.

mod bundle;
mod context;
pub(crate) mod object;
mod policy;
mod security;
mod session;
mod template;
mod traffic;
pub(crate) mod value;

pub(crate) use bundle::{bundle0, bundle1};
pub(crate) use context::update_values;
pub(crate) use security::descriptor;
pub(crate) use session::session;
pub(crate) use template::{context_template, direction, subscription};
pub(crate) use traffic::{create, get_spi0, get_spi1, traffic0, traffic1};

use openwfp_api::Guid;
use windows_sys::core::GUID;

pub(crate) fn guid(guid: &GUID) -> Guid {
    Guid::new(guid.data1, guid.data2, guid.data3, guid.data4)
}

/// Returns the number of an enumerator; `windows-sys` declares them signed.
fn number(enumerator: i32) -> u32 {
    enumerator.cast_unsigned()
}
