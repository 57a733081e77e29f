//! Converts the API's types to the C structures that calls return, each result in one block.

mod context;
mod filter;
mod net_event;
pub(crate) mod object;
mod policy;
mod security;
mod session;
mod statistics;
mod subscription;

pub(crate) use context::{Contexts, Entries, One, Version, Version0, Version1};
pub(crate) use net_event::{NetEventShape, NetEvents};
pub(crate) use security::Descriptor;
pub(crate) use session::Sessions;
pub(crate) use statistics::{statistics0, statistics1};
pub(crate) use subscription::Subscriptions;

use crate::abi::FWP_BYTE_BLOB;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_V4_ADDR_AND_MASK;
use crate::abi::FWP_V4_ADDR_MASK;
use crate::abi::FWP_V6_ADDR_AND_MASK;
use crate::abi::FWP_V6_ADDR_MASK;
use crate::abi::FWPM_DISPLAY_DATA0;
use crate::arena::Sink;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use windows_sys::core::GUID;

pub(crate) fn guid(guid: Guid) -> GUID {
    GUID { data1: guid.data1, data2: guid.data2, data3: guid.data3, data4: guid.data4 }
}

/// Writes a page: an array of pointers, then the entries. `entry` creates each entry and writes what it
/// points to.
fn page<S: Sink, T, C: Copy>(sink: &mut S, items: &[T], mut entry: impl FnMut(&mut S, &T) -> C) {
    let pointers = sink.reserve::<*mut C>(items.len());
    let entries = sink.reserve::<C>(items.len());
    for (index, item) in items.iter().enumerate() {
        let value = entry(sink, item);
        sink.set(&entries, index, value);
        sink.set(&pointers, index, entries.at(index));
    }
}

/// Writes an array of values; returns its address, null if it is empty, and its length.
fn array<T: Copy>(sink: &mut impl Sink, items: &[T]) -> (*mut T, u32) {
    let places = sink.reserve::<T>(items.len());
    for (index, item) in items.iter().enumerate() {
        sink.set(&places, index, *item);
    }
    let start = if items.is_empty() { std::ptr::null_mut() } else { places.start() };
    (start, u32::try_from(items.len()).unwrap_or(0))
}

/// Writes bytes and returns them as a blob.
fn blob(sink: &mut impl Sink, bytes: &[u8]) -> FWP_BYTE_BLOB {
    FWP_BYTE_BLOB { size: u32::try_from(bytes.len()).unwrap_or(0), data: sink.bytes(bytes) }
}

/// Writes a name and a description; an empty description becomes null.
fn display(sink: &mut impl Sink, name: &str, description: &str) -> FWPM_DISPLAY_DATA0 {
    let description = match description.is_empty() {
        true => std::ptr::null_mut(),
        false => crate::wide::put(sink, description),
    };
    FWPM_DISPLAY_DATA0 { name: crate::wide::put(sink, name), description }
}

/// Writes a GUID and returns its address; null for `None`.
fn optional_guid(sink: &mut impl Sink, key: Option<Guid>) -> *mut GUID {
    key.map_or(std::ptr::null_mut(), |key| sink.put(guid(key)))
}

/// Writes a network as the value of a condition.
#[inline(always)]
fn network(sink: &mut impl Sink, network: IpNet) -> FWP_CONDITION_VALUE0 {
    let mut c = FWP_CONDITION_VALUE0::default();
    match network {
        IpNet::V4(network) => {
            c.r#type = FWP_V4_ADDR_MASK;
            c.Anonymous.v4AddrMask = sink
                .put(FWP_V4_ADDR_AND_MASK { addr: network.network().into(), mask: network.netmask().into() });
        }
        IpNet::V6(network) => {
            c.r#type = FWP_V6_ADDR_MASK;
            c.Anonymous.v6AddrMask = sink.put(FWP_V6_ADDR_AND_MASK {
                addr: network.network().octets(),
                prefixLength: network.prefix_len(),
            });
        }
    }
    c
}
