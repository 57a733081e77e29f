//! Keys of the address indexes: small and ordered, with the context's id at the end.

use openwfp_api::SaContextId;
use std::net::IpAddr;

/// Returns an address as 16 bytes that sort like addresses; IPv4 in its mapped form, `::ffff:a.b.c.d`.
/// An IPv6 template may therefore find IPv4 entries, which its predicate then rejects.
fn sortable(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// An address and the id of a context that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressKey {
    address: [u8; 16],
    id: SaContextId,
}

impl AddressKey {
    pub(crate) fn new(address: IpAddr, id: SaContextId) -> AddressKey {
        AddressKey { address: sortable(address), id }
    }

    pub(crate) fn id(&self) -> SaContextId {
        self.id
    }

    /// Returns whether both keys have the same address.
    pub(crate) fn is_at(&self, other: &AddressKey) -> bool {
        self.address == other.address
    }
}
