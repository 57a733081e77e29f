//! Templates that select the SA contexts of an enumeration or subscription.

use crate::Code;
use crate::Error;
use crate::Result;
use crate::SaContext;
use ipnet::IpNet;
use std::net::IpAddr;

/// A template that selects SA contexts. WFP: `IPSEC_SA_CONTEXT_ENUM_TEMPLATE0`.
///
/// It is compared with the addresses of the context's traffic: in tunnel mode, the tunnel endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextTemplate {
    /// The condition on this machine's address, `localSubNet`.
    pub local: AddressMatch,
    /// The condition on the peer's address, `remoteSubNet`.
    pub remote: AddressMatch,
}

/// A condition on one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AddressMatch {
    /// No restriction, `FWP_EMPTY`.
    #[default]
    Any,
    /// One address: `FWP_UINT32`, `FWP_BYTE_ARRAY16_TYPE`.
    Address(IpAddr),
    /// A network: `FWP_V4_ADDR_MASK`, `FWP_V6_ADDR_MASK`.
    Subnet(IpNet),
    /// A range of addresses: `FWP_RANGE_TYPE`. Use [`AddressMatch::range`] to create one.
    Range(AddressRange),
}

/// An inclusive range of addresses of one IP version. The lower bound does not exceed the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    low: IpAddr,
    high: IpAddr,
}

impl ContextTemplate {
    /// Returns whether the template selects a context.
    pub fn matches(&self, context: &SaContext) -> bool {
        let endpoints = &context.traffic.endpoints;
        self.local.contains(endpoints.local()) && self.remote.contains(endpoints.remote())
    }
}

impl AddressMatch {
    /// Returns a match for an inclusive range of addresses.
    ///
    /// # Errors
    /// `FWP_E_INVALID_RANGE` if the bounds differ in IP version or `low` exceeds `high`.
    pub fn range(low: IpAddr, high: IpAddr) -> Result<AddressMatch> {
        if low.is_ipv4() != high.is_ipv4() || low > high {
            return Err(Error::new(
                Code::FWP_E_INVALID_RANGE,
                format!(
                    "invalid range {low}-{high}: its end must not be below its start, and both must have the same IP version"
                ),
            ));
        }
        Ok(AddressMatch::Range(AddressRange { low, high }))
    }

    /// Returns whether the condition matches an address. Addresses of different IP versions never match.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            AddressMatch::Any => true,
            AddressMatch::Address(wanted) => *wanted == address,
            AddressMatch::Subnet(network) => network.contains(&address),
            AddressMatch::Range(AddressRange { low, high }) => {
                low.is_ipv4() == address.is_ipv4() && (*low..=*high).contains(&address)
            }
        }
    }

    /// Returns the lowest and highest matching addresses, or `None` for [`AddressMatch::Any`].
    pub fn bounds(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            AddressMatch::Any => None,
            AddressMatch::Address(address) => Some((*address, *address)),
            AddressMatch::Subnet(network) => Some((network.network(), network.broadcast())),
            AddressMatch::Range(AddressRange { low, high }) => Some((*low, *high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_contains_what_lies_between_its_bounds_and_no_other_ip_version() {
        let matches = [
            AddressMatch::Address("10.0.0.7".parse().unwrap()),
            AddressMatch::Subnet("10.0.0.0/29".parse().unwrap()),
            AddressMatch::range("10.0.0.3".parse().unwrap(), "10.0.0.9".parse().unwrap()).unwrap(),
        ];
        for address_match in matches {
            let (low, high) = address_match.bounds().unwrap();
            for last in 0..=20 {
                let address: IpAddr = [10, 0, 0, last].into();
                assert_eq!(address_match.contains(address), low <= address && address <= high);
            }
            assert!(!address_match.contains("::ffff:10.0.0.7".parse().unwrap()));
        }
        assert!(AddressMatch::Any.contains("::1".parse().unwrap()));
    }

    #[test]
    fn a_range_that_runs_downwards_or_mixes_versions_is_refused() {
        for (low, high) in [("10.0.0.9", "10.0.0.3"), ("10.0.0.1", "fe80::1"), ("fe80::2", "fe80::1")] {
            let error = AddressMatch::range(low.parse().unwrap(), high.parse().unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::FWP_E_INVALID_RANGE);
        }
    }
}
