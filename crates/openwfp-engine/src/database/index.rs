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

/// An SPI, its protocol and the id of a context that holds it. The destination is in the context: few SPIs are
/// held twice, and 16 bytes less in each key are 45 bytes less a context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpiKey {
    spi: u32,
    protocol: u8,
    id: SaContextId,
}

impl SpiKey {
    pub(crate) fn new(spi: Spi, protocol: Protocol, id: SaContextId) -> SpiKey {
        SpiKey { spi: spi.get(), protocol: protocol.number(), id }
    }

    pub(crate) fn spi(&self) -> u32 {
        self.spi
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(crate) fn id(&self) -> SaContextId {
        self.id
    }

    /// The keys of all that has an SPI of the range.
    pub(crate) fn all_of(spis: RangeInclusive<u32>) -> RangeInclusive<SpiKey> {
        SpiKey { spi: *spis.start(), protocol: 0, id: SaContextId(0) }..=SpiKey {
            spi: *spis.end(),
            protocol: u8::MAX,
            id: SaContextId(u64::MAX),
        }
    }

    /// The keys of one SPI and protocol.
    pub(crate) fn all_of_sa(spi: Spi, protocol: Protocol) -> RangeInclusive<SpiKey> {
        SpiKey::new(spi, protocol, SaContextId(0))..=SpiKey::new(spi, protocol, SaContextId(u64::MAX))
    }
}
