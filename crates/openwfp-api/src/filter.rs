//! Filters as an SA context shows them: the conditions under which its SAs apply.

use crate::Direction;
use crate::IpVersion;
use crate::SaContext;
use crate::Selector;
use crate::SelectorPorts;
use ipnet::IpNet;
use std::fmt;

/// A GUID, with the fields of Windows' structure.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid {
    /// The first 32 bits.
    pub data1: u32,
    /// The next 16.
    pub data2: u16,
    /// The next 16.
    pub data3: u16,
    /// The last 64, byte by byte.
    pub data4: [u8; 8],
}

impl Guid {
    /// A GUID from its fields.
    pub const fn new(data1: u32, data2: u16, data3: u16, data4: [u8; 8]) -> Guid {
        Guid { data1, data2, data3, data4 }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, tail @ ..] = self.data4;
        write!(f, "{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-", self.data1, self.data2, self.data3)?;
        tail.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a filter or of a tunnel policy; 0: none. WFP: `filterId`, `ipsecFilterId`, `tunnelPolicyId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(pub u64);

/// The filter of one direction of an SA context. WFP: `FWPM_FILTER0` in `transportFilter`.
#[derive(Clone, Copy, Debug)]
pub struct TransportFilter<'a> {
    filter_id: FilterId,
    direction: Direction,
    context: &'a SaContext,
}

/// A condition of a filter. WFP: `FWPM_FILTER_CONDITION0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterCondition {
    /// What is looked at, `fieldKey`.
    pub field: ConditionField,
    /// How it is compared.
    pub match_type: MatchType,
    /// With what.
    pub value: ConditionValue,
}

/// A field that conditions look at; each has its GUID in WFP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConditionField {
    /// `FWPM_CONDITION_IP_LOCAL_ADDRESS`.
    IpLocalAddress,
    /// `FWPM_CONDITION_IP_REMOTE_ADDRESS`.
    IpRemoteAddress,
    /// `FWPM_CONDITION_IP_PROTOCOL`.
    IpProtocol,
    /// `FWPM_CONDITION_IP_LOCAL_PORT`.
    IpLocalPort,
    /// `FWPM_CONDITION_IP_REMOTE_PORT`.
    IpRemotePort,
}

/// How a condition compares. WFP: `FWP_MATCH_TYPE`; the two that SA contexts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatchType {
    /// `FWP_MATCH_EQUAL` 0; for a network: lies within it.
    Equal = 0,
    /// `FWP_MATCH_RANGE` 5, both ends included.
    Range = 5,
}

/// The value of a condition. WFP: `FWP_CONDITION_VALUE0`; the types that SA contexts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConditionValue {
    /// `FWP_UINT8`.
    Uint8(u8),
    /// `FWP_UINT16`.
    Uint16(u16),
    /// `FWP_RANGE_TYPE` of two `FWP_UINT16`, both included.
    Uint16Range(u16, u16),
    /// `FWP_V4_ADDR_MASK` or `FWP_V6_ADDR_MASK`.
    Network(IpNet),
}

impl ConditionField {
    /// The field's GUID, `fieldKey`.
    #[inline]
    pub const fn guid(self) -> Guid {
        match self {
            ConditionField::IpLocalAddress => {
                Guid::new(0xd9ee_00de, 0xc1ef, 0x4617, [0xbf, 0xe3, 0xff, 0xd8, 0xf5, 0xa0, 0x89, 0x57])
            }
            ConditionField::IpRemoteAddress => {
                Guid::new(0xb235_ae9a, 0x1d64, 0x49b8, [0xa4, 0x4c, 0x5f, 0xf3, 0xd9, 0x09, 0x50, 0x45])
            }
            ConditionField::IpProtocol => {
                Guid::new(0x3971_ef2b, 0x623e, 0x4f9a, [0x8c, 0xb1, 0x6e, 0x79, 0xb8, 0x06, 0xb9, 0xa7])
            }
            ConditionField::IpLocalPort => {
                Guid::new(0x0c1b_a1af, 0x5765, 0x453f, [0xaf, 0x22, 0xa8, 0xf7, 0x91, 0xac, 0x77, 0x5b])
            }
            ConditionField::IpRemotePort => {
                Guid::new(0xc35a_604d, 0xd22b, 0x4e1a, [0x91, 0xb4, 0x68, 0xf6, 0x74, 0xee, 0x67, 0x4b])
            }
        }
    }
}

impl<'a> TransportFilter<'a> {
    pub(crate) fn new(
        filter_id: FilterId,
        direction: Direction,
        context: &'a SaContext,
    ) -> TransportFilter<'a> {
        TransportFilter { filter_id, direction, context }
    }

    /// The filter's id; 0 where no policy names the SA.
    pub fn filter_id(&self) -> FilterId {
        self.filter_id
    }

    /// The layer at which it stands: `FWPM_LAYER_{INBOUND,OUTBOUND}_TRANSPORT_{V4,V6}`.
    pub fn layer_key(&self) -> Guid {
        // The inner packets decide, and they may be of another IP version than the tunnel.
        let version = match self.context.selectors.first() {
            Some(selector) if selector.local.addr().is_ipv6() => IpVersion::V6,
            Some(_) => IpVersion::V4,
            None => self.context.traffic.endpoints.ip_version(),
        };
        match (self.direction, version) {
            (Direction::Inbound, IpVersion::V4) => {
                Guid::new(0x5926_dfc8, 0xe3cf, 0x4426, [0xa2, 0x83, 0xdc, 0x39, 0x3f, 0x5d, 0x0f, 0x9d])
            }
            (Direction::Inbound, IpVersion::V6) => {
                Guid::new(0x634a_869f, 0xfc23, 0x4b90, [0xb0, 0xc1, 0xbf, 0x62, 0x0a, 0x36, 0xae, 0x6f])
            }
            (Direction::Outbound, IpVersion::V4) => {
                Guid::new(0x09e6_1aea, 0xd214, 0x46e2, [0x9b, 0x21, 0xb2, 0x6b, 0x0b, 0x2f, 0x28, 0xc8])
            }
            (Direction::Outbound, IpVersion::V6) => {
                Guid::new(0xe173_5bde, 0x013f, 0x4655, [0xb3, 0x51, 0xa4, 0x9e, 0x15, 0x76, 0x2d, 0xf0])
            }
        }
    }

    /// The selectors behind the conditions; where the context has none, its traffic's own addresses,
    /// protocol and ports.
    pub fn selectors(&self) -> Vec<Selector> {
        match self.context.selectors.is_empty() {
            true => vec![self.own_selector()],
            false => self.context.selectors.to_vec(),
        }
    }

    #[inline(always)]
    fn own_selector(&self) -> Selector {
        let traffic = &self.context.traffic;
        let port = |port| if port == 0 { SelectorPorts::default() } else { SelectorPorts::one(port) };
        Selector {
            local: traffic.endpoints.local().into(),
            remote: traffic.endpoints.remote().into(),
            protocol: traffic.ip_protocol,
            local_port: port(traffic.local_port),
            remote_port: port(traffic.remote_port),
        }
    }

    /// The conditions, `filterCondition`: addresses, then protocol and ports where they are set.
    ///
    /// Conditions on one field are alternatives, those on different fields must all be met, as in WFP.
    pub fn conditions(&self) -> Vec<FilterCondition> {
        let mut conditions = Vec::new();
        self.visit_conditions(|condition| conditions.push(condition));
        conditions
    }

    /// Visits the conditions in their order, for those who go through many filters: those of one selector take no
    /// memory.
    #[inline(always)]
    pub fn visit_conditions(&self, visit: impl FnMut(FilterCondition)) {
        match &*self.context.selectors {
            [] => of_one_selector(&self.own_selector(), visit),
            [one] => of_one_selector(one, visit),
            many => of_many_selectors(many).into_iter().for_each(visit),
        }
    }
}

#[inline(always)]
fn of_one_selector(selector: &Selector, mut visit: impl FnMut(FilterCondition)) {
    visit(local_address(selector));
    visit(remote_address(selector));
    if let Some(condition) = protocol(selector) {
        visit(condition);
    }
    for (field, ports) in ports(selector) {
        if let Some(condition) = port(field, ports) {
            visit(condition);
        }
    }
}

fn of_many_selectors(selectors: &[Selector]) -> Vec<FilterCondition> {
    let mut conditions = Vec::with_capacity(2 * selectors.len());
    let mut add = |condition: FilterCondition| {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    };
    selectors.iter().map(local_address).for_each(&mut add);
    selectors.iter().map(remote_address).for_each(&mut add);
    for selector in selectors {
        protocol(selector).into_iter().for_each(&mut add);
        ports(selector).into_iter().filter_map(|(field, ports)| port(field, ports)).for_each(&mut add);
    }
    conditions
}

#[inline]
fn ports(selector: &Selector) -> [(ConditionField, SelectorPorts); 2] {
    [(ConditionField::IpLocalPort, selector.local_port), (ConditionField::IpRemotePort, selector.remote_port)]
}

#[inline(always)]
fn equal(field: ConditionField, value: ConditionValue) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

#[inline(always)]
fn local_address(selector: &Selector) -> FilterCondition {
    equal(ConditionField::IpLocalAddress, ConditionValue::Network(selector.local))
}

#[inline(always)]
fn remote_address(selector: &Selector) -> FilterCondition {
    equal(ConditionField::IpRemoteAddress, ConditionValue::Network(selector.remote))
}

#[inline(always)]
fn protocol(selector: &Selector) -> Option<FilterCondition> {
    let protocol = selector.protocol;
    (protocol != 0).then(|| equal(ConditionField::IpProtocol, ConditionValue::Uint8(protocol)))
}

#[inline(always)]
fn port(field: ConditionField, ports: SelectorPorts) -> Option<FilterCondition> {
    match ports.range() {
        _ if ports.is_any() => None,
        (low, high) if low == high => Some(equal(field, ConditionValue::Uint16(low))),
        (low, high) => {
            let value = ConditionValue::Uint16Range(low, high);
            Some(FilterCondition { field, match_type: MatchType::Range, value })
        }
    }
}
