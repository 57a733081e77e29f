//! Keys of the indexes: small, ordered, with the context's id at the end.

use openwfp_api::Protocol;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// An address as 16 bytes that sort as addresses do; IPv4 in its mapped form, `::ffff:a.b.c.d`. A template
/// on IPv6 may so find IPv4 entries, which its predicate then refuses.
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
}

/// An SA's SPI, protocol and destination, and the id of the context that holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpiKey {
    spi: u32,
    protocol: u8,
    destination: [u8; 16],
    id: SaContextId,
}

impl SpiKey {
    pub(crate) fn new(spi: Spi, protocol: Protocol, destination: IpAddr, id: SaContextId) -> SpiKey {
        SpiKey { spi: spi.get(), protocol: protocol.number(), destination: sortable(destination), id }
    }

    pub(crate) fn id(&self) -> SaContextId {
        self.id
    }

    /// The keys of all that has this SPI.
    pub(crate) fn all_of(spi: Spi) -> RangeInclusive<SpiKey> {
        let spi = spi.get();
        SpiKey { spi, protocol: 0, destination: [0; 16], id: SaContextId(0) }..=SpiKey {
            spi,
            protocol: u8::MAX,
            destination: [u8::MAX; 16],
            id: SaContextId(u64::MAX),
        }
    }

    /// The keys of one SA.
    pub(crate) fn all_of_sa(spi: Spi, protocol: Protocol, destination: IpAddr) -> RangeInclusive<SpiKey> {
        let key = |id| SpiKey::new(spi, protocol, destination, SaContextId(id));
        key(0)..=key(u64::MAX)
    }
}
