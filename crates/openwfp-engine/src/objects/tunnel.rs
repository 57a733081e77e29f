//! Tunnel policies: the objects that one add call creates.
//!
//! Source: `FwpmIPsecTunnelAdd0` to `3`. The policies become provider contexts; filters with the
//! conditions are added at the layers where tunnels are looked up. WFP does not document which filters
//! it adds. This engine adds those that real callers add themselves.

use super::conditions::ip_version;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::IpVersion;
use openwfp_api::Result;
use openwfp_api::guids::callout;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::guids::sublayer;
use openwfp_api::object::Action;
use openwfp_api::object::ActionType;
use openwfp_api::object::FILTER_HAS_PROVIDER_CONTEXT;
use openwfp_api::object::FLAG_PERSISTENT;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::FilterContext;
use openwfp_api::object::MatchType;
use openwfp_api::object::Object;
use openwfp_api::object::ProviderContext;
use openwfp_api::object::policy::KeyingPolicy;
use openwfp_api::object::policy::Policy;
use openwfp_api::object::step::TUNNEL_ENABLE_VIRTUAL_IF;
use openwfp_api::object::step::TUNNEL_POINT_TO_POINT;
use openwfp_api::object::step::TunnelAdd;
use openwfp_api::object::value::Value;

/// Returns the objects to add, each after the objects that it refers to. `key` is the key of the tunnel
/// policy.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS` for unknown flags, `FWP_E_INVALID_PARAMETER` for a provider context of the
/// wrong type, `FWP_E_TRAFFIC_MISMATCH` if the endpoints differ in IP version, or all local networks
/// from all remote ones.
pub(super) fn objects(add: TunnelAdd, key: Guid) -> Result<Vec<Object>> {
    let known = TUNNEL_POINT_TO_POINT | TUNNEL_ENABLE_VIRTUAL_IF;
    if add.flags & !known != 0 {
        let what = format!("unknown tunnel flags {:#x}", add.flags & !known);
        return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
    }
    let mut tunnel = add.tunnel;
    tunnel.key = key;
    let Some(policy) = tunnel.policy.tunnel() else {
        let what = "the tunnel policy is not a quick-mode tunnel context";
        return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
    };
    let (local, remote) = (policy.endpoints.local.0, policy.endpoints.remote.0);
    if local.is_ipv4() != remote.is_ipv4() {
        let what = "the tunnel's endpoints differ in IP version";
        return Err(Error::new(Code::FWP_E_TRAFFIC_MISMATCH, what));
    }
    if add.main_mode.as_ref().is_some_and(|main| !main.policy.is_main_mode()) {
        let what = "the main-mode policy is not a main-mode provider context";
        return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
    }
    let mut filters = Vec::new();
    if let Some(main) = &add.main_mode {
        let ends = [(condition::IP_LOCAL_ADDRESS, local), (condition::IP_REMOTE_ADDRESS, remote)];
        let ends = ends.map(|(field, address)| FilterCondition {
            field,
            match_type: MatchType::Equal,
            value: Value::address(address),
        });
        let at = if local.is_ipv6() { layer::IKEEXT_V6 } else { layer::IKEEXT_V4 };
        let maker = Maker { model: &tunnel, conditions: Vec::new() };
        filters.push(maker.permit(at, &ends, main.key));
    }
    let families = families(&add.conditions);
    if families.is_empty() {
        let what = "the local addresses of the tunnel policy differ in IP version from all remote ones";
        return Err(Error::new(Code::FWP_E_TRAFFIC_MISMATCH, what));
    }
    for (v6, conditions) in families {
        let maker = Maker { model: &tunnel, conditions };
        filters.extend(maker.of_family(v6, add.flags, key, add.key_module));
    }
    let mut objects = Vec::new();
    objects.extend(add.main_mode.clone().map(Object::ProviderContext));
    if let Some(module) = add.key_module {
        objects.push(Object::ProviderContext(ProviderContext {
            key: module_context(key, module),
            name: format!("{} (keying)", tunnel.name),
            flags: tunnel.flags,
            provider: tunnel.provider,
            policy: Policy::Keying(KeyingPolicy { modules: vec![module], flags: 0 }),
            ..ProviderContext::default()
        }));
        for filter in &mut filters {
            if filter.context == FilterContext::ProviderContext(module) {
                filter.context = FilterContext::ProviderContext(module_context(key, module));
            }
        }
    }
    objects.push(Object::ProviderContext(tunnel));
    objects.extend(filters.into_iter().map(Object::Filter));
    Ok(objects)
}

/// Returns the key of the keying policy. It is derived from the keys of the tunnel and the module, so
/// that nobody needs to store it.
fn module_context(key: Guid, module: Guid) -> Guid {
    Guid { data1: key.data1 ^ module.data1, data2: key.data2 ^ module.data2, ..key }
}

/// Returns the conditions that apply to packets of each IP version. A version is missing if its packets can meet no
/// condition on one of the addresses. Conditions without addresses are for IPv4.
fn families(conditions: &[FilterCondition]) -> Vec<(bool, Vec<FilterCondition>)> {
    let fields = [condition::IP_LOCAL_ADDRESS, condition::IP_REMOTE_ADDRESS];
    let is_v6 = |condition: &FilterCondition| ip_version(&condition.value) == Some(IpVersion::V6);
    let versions = fields.map(|field| {
        let conditions = conditions.iter().filter(|condition| condition.field == field);
        conditions.map(is_v6).collect::<Vec<_>>()
    });
    let can_meet = |v6: &bool| versions.iter().all(|of| of.is_empty() || of.contains(v6));
    let without_addresses = versions.iter().all(Vec::is_empty);
    let fits = |condition: &FilterCondition, v6| !fields.contains(&condition.field) || is_v6(condition) == v6;
    [false, true]
        .into_iter()
        .filter(|v6| if without_addresses { !v6 } else { can_meet(v6) })
        .map(|v6| (v6, conditions.iter().filter(|condition| fits(condition, v6)).cloned().collect()))
        .collect()
}

struct Maker<'a> {
    model: &'a ProviderContext,
    /// The conditions on packets of one IP version.
    conditions: Vec<FilterCondition>,
}

impl Maker<'_> {
    /// Returns the filters for inner packets of one IP version.
    fn of_family(&self, v6: bool, flags: u32, key: Guid, key_module: Option<Guid>) -> Vec<Filter> {
        let of = |v4, of_v6| if v6 { of_v6 } else { v4 };
        let mut filters = vec![self.permit(of(layer::IPSEC_V4, layer::IPSEC_V6), &self.conditions, key)];
        if let Some(module) = key_module {
            let at = of(layer::IPSEC_KM_DEMUX_V4, layer::IPSEC_KM_DEMUX_V6);
            filters.push(self.permit(at, &self.addresses(), module));
        }
        for (at, callout) in [
            (
                of(layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6),
                of(callout::IPSEC_OUTBOUND_TUNNEL_V4, callout::IPSEC_OUTBOUND_TUNNEL_V6),
            ),
            (
                of(layer::INBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V6),
                of(callout::IPSEC_INBOUND_TUNNEL_V4, callout::IPSEC_INBOUND_TUNNEL_V6),
            ),
        ] {
            filters.push(self.callout(at, callout, sublayer::IPSEC_TUNNEL, &self.conditions, key));
        }
        if flags & TUNNEL_POINT_TO_POINT == 0 {
            let forward = of(layer::IPFORWARD_V4, layer::IPFORWARD_V6);
            let names = [
                (
                    [condition::IP_SOURCE_ADDRESS, condition::IP_DESTINATION_ADDRESS],
                    sublayer::IPSEC_FORWARD_OUTBOUND_TUNNEL,
                    of(callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V4, callout::IPSEC_FORWARD_OUTBOUND_TUNNEL_V6),
                ),
                (
                    [condition::IP_DESTINATION_ADDRESS, condition::IP_SOURCE_ADDRESS],
                    sublayer::IPSEC_TUNNEL,
                    of(callout::IPSEC_FORWARD_INBOUND_TUNNEL_V4, callout::IPSEC_FORWARD_INBOUND_TUNNEL_V6),
                ),
            ];
            for ([local_as, remote_as], sublayer, callout) in names {
                let conditions = self.renamed(local_as, remote_as);
                filters.push(self.callout(forward, callout, sublayer, &conditions, key));
            }
        }
        filters
    }

    fn filter(&self, layer: Guid, conditions: &[FilterCondition], context: Guid) -> Filter {
        Filter {
            name: self.model.name.clone(),
            description: self.model.description.clone(),
            flags: FILTER_HAS_PROVIDER_CONTEXT | (self.model.flags & FLAG_PERSISTENT),
            provider: self.model.provider,
            layer,
            conditions: conditions.to_vec(),
            context: FilterContext::ProviderContext(context),
            ..Filter::default()
        }
    }

    fn permit(&self, layer: Guid, conditions: &[FilterCondition], context: Guid) -> Filter {
        let action = Action { kind: ActionType::Permit, callout: Guid::default() };
        Filter { action, ..self.filter(layer, conditions, context) }
    }

    fn callout(
        &self,
        layer: Guid,
        callout: Guid,
        sublayer: Guid,
        conditions: &[FilterCondition],
        context: Guid,
    ) -> Filter {
        let action = Action { kind: ActionType::CalloutTerminating, callout };
        Filter { action, sublayer, ..self.filter(layer, conditions, context) }
    }

    fn addresses(&self) -> Vec<FilterCondition> {
        let is_address =
            |field| field == condition::IP_LOCAL_ADDRESS || field == condition::IP_REMOTE_ADDRESS;
        self.conditions.iter().filter(|condition| is_address(condition.field)).cloned().collect()
    }

    /// Returns the address conditions with the fields of forwarded packets. Layers for forwarded packets
    /// have no fields for the other conditions.
    fn renamed(&self, local_as: Guid, remote_as: Guid) -> Vec<FilterCondition> {
        let mut conditions = self.addresses();
        for condition in &mut conditions {
            condition.field =
                if condition.field == condition::IP_LOCAL_ADDRESS { local_as } else { remote_as };
        }
        conditions
    }
}
