//! Templates: which SA contexts an enumeration shows.

use crate::Code;
use crate::Error;
use crate::Result;
use crate::SaContext;
use ipnet::IpNet;
use std::net::IpAddr;

/// Which SA contexts an enumeration shows. WFP: `IPSEC_SA_CONTEXT_ENUM_TEMPLATE0`.
///
/// The addresses compared are those of the context's traffic: in tunnel mode the tunnel's ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextTemplate {
    /// This machine's address, `localSubNet`.
    pub local: AddressMatch,
    /// The peer's address, `remoteSubNet`.
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
    /// A range of addresses: `FWP_RANGE_TYPE`. [`AddressMatch::range`] makes one.
    Range(AddressRange),
}

/// A range of addresses of one IP version, both ends included, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    low: IpAddr,
    high: IpAddr,
}

impl ContextTemplate {
    /// Whether the context is one that the template selects.
    pub fn matches(&self, context: &SaContext) -> bool {
        let endpoints = &context.traffic.endpoints;
        self.local.contains(endpoints.local()) && self.remote.contains(endpoints.remote())
    }
}

impl AddressMatch {
    /// A range of addresses, both ends included.
    ///
    /// # Errors
    /// `FWP_E_INVALID_RANGE` if the ends differ in IP version or the low one is above the high one.
    pub fn range(low: IpAddr, high: IpAddr) -> Result<AddressMatch> {
        if low.is_ipv4() != high.is_ipv4() || low > high {
            return Err(Error::new(
                Code::FWP_E_INVALID_RANGE,
                format!("the range of addresses {low} to {high} runs downwards or mixes IP versions"),
            ));
        }
        Ok(AddressMatch::Range(AddressRange { low, high }))
    }

    /// Whether the address is one that this selects; the IP versions must agree.
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

    /// The lowest and the highest address that this selects; none for `Any`.
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
