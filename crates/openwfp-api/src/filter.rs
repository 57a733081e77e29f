//! GUIDs, filter IDs, and the filters of SA contexts with the conditions under which their SAs apply.

use crate::Direction;
use crate::IpVersion;
use crate::SaContext;
use crate::Selector;
use crate::SelectorPorts;
use crate::guids::condition;
use crate::guids::layer;
use crate::object::Action;
use crate::object::Filter;
use crate::object::FilterCondition;
use crate::object::MatchType;
use crate::object::kernel;
use crate::object::value::Value;
use std::borrow::Cow;
use std::fmt;

/// A GUID, with the fields of Windows' `GUID` structure.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid {
    /// The first 32 bits.
    pub data1: u32,
    /// The next 16 bits.
    pub data2: u16,
    /// The 16 bits after `data2`.
    pub data3: u16,
    /// The last 64 bits, as bytes.
    pub data4: [u8; 8],
}

impl Guid {
    /// Returns a GUID with these fields.
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

/// The ID of a filter or tunnel policy; 0 for none.
/// WFP: `filterId`, `ipsecFilterId`, `tunnelPolicyId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(pub u64);

/// The filter of one direction of an SA context. WFP: `FWPM_FILTER0` in `transportFilter`.
#[derive(Clone, Copy, Debug)]
pub struct TransportFilter<'a> {
    filter_id: FilterId,
    direction: Direction,
    context: &'a SaContext,
}

impl<'a> TransportFilter<'a> {
    pub(crate) fn new(
        filter_id: FilterId,
        direction: Direction,
        context: &'a SaContext,
    ) -> TransportFilter<'a> {
        TransportFilter { filter_id, direction, context }
    }

    /// Returns the filter's ID, or 0 if no policy refers to the SA.
    pub fn filter_id(&self) -> FilterId {
        self.object().map_or(self.filter_id, |filter| FilterId(filter.id))
    }

    /// Returns the key of the filter's layer. Without a filter object, the layer is
    /// `FWPM_LAYER_{INBOUND,OUTBOUND}_TRANSPORT_{V4,V6}`, by direction and IP version.
    pub fn layer_key(&self) -> Guid {
        if let Some(filter) = self.object() {
            return filter.layer;
        }
        // The inner packets determine the layer; their IP version may differ from the tunnel's.
        let version = match self.context.selectors.first() {
            Some(selector) if selector.local.addr().is_ipv6() => IpVersion::V6,
            Some(_) => IpVersion::V4,
            None => self.context.traffic.endpoints.ip_version(),
        };
        match (self.direction, version) {
            (Direction::Inbound, IpVersion::V4) => layer::INBOUND_TRANSPORT_V4,
            (Direction::Inbound, IpVersion::V6) => layer::INBOUND_TRANSPORT_V6,
            (Direction::Outbound, IpVersion::V4) => layer::OUTBOUND_TRANSPORT_V4,
            (Direction::Outbound, IpVersion::V6) => layer::OUTBOUND_TRANSPORT_V6,
        }
    }

    /// Returns the filter's key; without a filter object, the one that [`Session::object_get`] uses for the kernel's policy.
    ///
    /// [`Session::object_get`]: crate::Session::object_get
    pub fn key(&self) -> Guid {
        self.object().map_or_else(|| kernel::filter_key(self.filter_id), |filter| filter.key)
    }

    /// Returns the filter's display name; without a filter object, a name for the kernel's policy.
    pub fn name(&self) -> Cow<'a, str> {
        match (self.object(), self.filter_id) {
            (Some(filter), _) => Cow::Borrowed(&filter.name),
            (None, FilterId(0)) => Cow::Borrowed("no policy"),
            (None, id) => Cow::Owned(kernel::filter_name(id)),
        }
    }

    /// Returns the filter's action. Without a filter object it calls the built-in IPsec callout of the layer and the mode.
    pub fn action(&self) -> Action {
        if let Some(filter) = self.object() {
            return filter.action.clone();
        }
        kernel::protecting_action(self.layer_key(), self.context.traffic.mode)
    }

    /// Returns the key of the filter's sublayer. Without a filter object it is that of IPsec tunnels, or the universal one in
    /// transport mode.
    pub fn sublayer_key(&self) -> Guid {
        self.object().map_or_else(|| kernel::sublayer(self.context.traffic.mode), |filter| filter.sublayer)
    }

    /// Returns the filter object, if the SA context was created for one of the engine's filters.
    #[inline]
    pub fn object(&self) -> Option<&'a Filter> {
        self.context.selectors.filter(self.direction)
    }

    /// Returns the selectors from which the conditions are derived. If the context has none, the result is
    /// one selector with the addresses, protocol and ports of its traffic.
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

    /// Returns the filter's conditions, `filterCondition`. Without a filter object, they are the addresses,
    /// then the protocol and ports if set.
    ///
    /// As in WFP, conditions on the same field are alternatives; conditions on different fields must all
    /// match.
    pub fn conditions(&self) -> Vec<FilterCondition> {
        let mut conditions = Vec::new();
        self.visit_conditions(|condition| conditions.push(condition));
        conditions
    }

    /// Calls `visit` for each condition, in the order of [`TransportFilter::conditions`]. This is for code
    /// that visits many filters: it allocates no memory for an SA context with a single selector.
    #[inline(always)]
    pub fn visit_conditions(&self, visit: impl FnMut(FilterCondition)) {
        if let Some(filter) = self.object() {
            return filter.conditions.iter().cloned().for_each(visit);
        }
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

/// Returns the conditions that select the packets of one selector.
pub(crate) fn conditions_of(selector: &Selector) -> Vec<FilterCondition> {
    let mut conditions = Vec::new();
    of_one_selector(selector, |condition| conditions.push(condition));
    conditions
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
fn ports(selector: &Selector) -> [(Guid, SelectorPorts); 2] {
    [(condition::IP_LOCAL_PORT, selector.local_port), (condition::IP_REMOTE_PORT, selector.remote_port)]
}

#[inline(always)]
fn equal(field: Guid, value: Value) -> FilterCondition {
    FilterCondition { field, match_type: MatchType::Equal, value }
}

#[inline(always)]
fn local_address(selector: &Selector) -> FilterCondition {
    equal(condition::IP_LOCAL_ADDRESS, Value::network(selector.local))
}

#[inline(always)]
fn remote_address(selector: &Selector) -> FilterCondition {
    equal(condition::IP_REMOTE_ADDRESS, Value::network(selector.remote))
}

#[inline(always)]
fn protocol(selector: &Selector) -> Option<FilterCondition> {
    let protocol = selector.protocol;
    (protocol != 0).then(|| equal(condition::IP_PROTOCOL, Value::Uint8(protocol)))
}

#[inline(always)]
fn port(field: Guid, ports: SelectorPorts) -> Option<FilterCondition> {
    match ports.range() {
        _ if ports.is_any() => None,
        (low, high) if low == high => Some(equal(field, Value::Uint16(low))),
        (low, high) => {
            let value = Value::range(Value::Uint16(low), Value::Uint16(high));
            Some(FilterCondition { field, match_type: MatchType::Range, value })
        }
    }
}
