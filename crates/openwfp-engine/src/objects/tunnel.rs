//! Tunnel policies: the objects that one add call creates.
//!
//! Source: `FwpmIPsecTunnelAdd0` to `3`. The policies become provider contexts; filters with the
//! conditions are added at the layers where tunnels are looked up. WFP does not document which filters
//! it adds. This engine adds those that real callers add themselves.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::IpNet;
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
use openwfp_api::record::Network;

/// Returns the objects to add, each after the objects that it refers to. `key` is the key of the tunnel
/// policy.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS` for unknown flags, `FWP_E_INVALID_PARAMETER` for a provider context of the
/// wrong type, `FWP_E_TRAFFIC_MISMATCH` if the endpoints differ in IP version.
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
    let inner_v6 = add.conditions.iter().any(|condition| is_v6(&condition.value));
    let maker = Maker { model: &tunnel, conditions: &add.conditions };
    let mut filters = Vec::new();
    if let Some(main) = &add.main_mode {
        let ends = [(condition::IP_LOCAL_ADDRESS, local), (condition::IP_REMOTE_ADDRESS, remote)];
        let ends = ends.map(|(field, address)| FilterCondition {
            field,
            match_type: MatchType::Equal,
            value: Value::address(address),
        });
        let at = if local.is_ipv6() { layer::IKEEXT_V6 } else { layer::IKEEXT_V4 };
        filters.push(maker.permit(at, &ends, main.key));
    }
    let of = |v4, v6| if inner_v6 { v6 } else { v4 };
    filters.push(maker.permit(of(layer::IPSEC_V4, layer::IPSEC_V6), &add.conditions, key));
    if let Some(module) = add.key_module {
        filters.push(maker.permit(
            of(layer::IPSEC_KM_DEMUX_V4, layer::IPSEC_KM_DEMUX_V6),
            &maker.addresses(),
            module,
        ));
    }
    filters.push(maker.callout(
        of(layer::OUTBOUND_TRANSPORT_V4, layer::OUTBOUND_TRANSPORT_V6),
        of(callout::IPSEC_OUTBOUND_TUNNEL_V4, callout::IPSEC_OUTBOUND_TUNNEL_V6),
        sublayer::IPSEC_TUNNEL,
        &add.conditions,
        key,
    ));
    filters.push(maker.callout(
        of(layer::INBOUND_TRANSPORT_V4, layer::INBOUND_TRANSPORT_V6),
        of(callout::IPSEC_INBOUND_TUNNEL_V4, callout::IPSEC_INBOUND_TUNNEL_V6),
        sublayer::IPSEC_TUNNEL,
        &add.conditions,
        key,
    ));
    if add.flags & TUNNEL_POINT_TO_POINT == 0 {
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
            let conditions = maker.renamed(local_as, remote_as);
            filters.push(maker.callout(forward, callout, sublayer, &conditions, key));
        }
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

struct Maker<'a> {
    model: &'a ProviderContext,
    conditions: &'a [FilterCondition],
}

impl Maker<'_> {
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

fn is_v6(value: &Value) -> bool {
    match value {
        Value::Network(Network(IpNet::V6(_))) | Value::ByteArray16(_) => true,
        Value::Range(range) => matches!(range.low, Value::ByteArray16(_)),
        _ => false,
    }
}
