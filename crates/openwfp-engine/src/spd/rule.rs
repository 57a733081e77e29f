//! Compiles filters into rules of the SPD.

use crate::objects::Entry;
use crate::objects::Objects;
use crate::objects::selectors;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::Guid;
use openwfp_api::Mode;
use openwfp_api::PolicyDirection;
use openwfp_api::Protection;
use openwfp_api::Protocol;
use openwfp_api::Result;
use openwfp_api::Selector;
use openwfp_api::SpdAction;
use openwfp_api::guids;
use openwfp_api::guids::condition;
use openwfp_api::guids::layer;
use openwfp_api::object::ActionType;
use openwfp_api::object::FILTER_BOOTTIME;
use openwfp_api::object::FILTER_DISABLED;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterContext;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::policy::IpsecProposal;
use openwfp_api::object::policy::Policy;
use std::sync::Arc;

/// A filter that describes SPD entries.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) sublayer: Guid,
    pub(super) sublayer_weight: u16,
    pub(super) weight: u64,
    /// The direction of the packets that the filter's layer sees.
    pub(super) direction: PolicyDirection,
    pub(super) v6: bool,
    pub(super) selectors: Vec<Selector>,
    pub(super) does: Does,
    /// Whether the packet filter drops what the rule blocks.
    is_dropped_later: bool,
}

/// What a rule does with the packets that it selects.
#[derive(Debug)]
pub(super) enum Does {
    Protect(Protect),
    Bypass,
    Block,
}

/// Protection by a rule.
#[derive(Debug)]
pub(super) struct Protect {
    pub(super) mode: Mode,
    pub(super) policy: Guid,
    /// Whether the filter sees forwarded packets.
    pub(super) is_forward: bool,
    /// Whether the filter was added with a tunnel policy (`FwpmIPsecTunnelAdd0`), so that the policy already has all
    /// directions that it is to have.
    pub(super) is_part: bool,
    outbound: Arc<Protection>,
    inbound: Arc<Protection>,
}

/// `IPSEC_POLICY_FLAG_ND_SECURE`: outbound packets pass unprotected if the peer does not negotiate.
const ND_SECURE: u32 = 2;
/// `IPSEC_POLICY_FLAG_ND_BOUNDARY`: as above, and unprotected inbound packets are accepted.
const ND_BOUNDARY: u32 = 4;
/// `IPSEC_POLICY_FLAG_TUNNEL_ALLOW_OUTBOUND_CLEAR_CONNECTION`: outbound packets pass unprotected without a tunnel.
const TUNNEL_ALLOW_OUTBOUND_CLEAR: u32 = 0x400;

impl Rule {
    /// Compiles a filter; `None` if it does not concern the SPD.
    ///
    /// # Errors
    /// - `ERROR_NOT_SUPPORTED` for a condition that selectors cannot express
    /// - `FWP_E_OUT_OF_BOUNDS` if the filter has too many combinations of alternatives
    pub(super) fn new(entry: &Entry, objects: &Objects, drops: &dyn Fn(u64) -> bool) -> Result<Option<Rule>> {
        let Some(filter) = entry.object.as_filter() else { return Ok(None) };
        let Some((direction, v6)) = place(filter) else { return Ok(None) };
        if filter.flags & (FILTER_BOOTTIME | FILTER_DISABLED) != 0 {
            return Ok(None);
        }
        let does = match (filter.ipsec_mode(), filter.action.kind) {
            (Some(mode), _) => Does::Protect(Protect::new(filter, entry, mode, objects)),
            (None, ActionType::Permit) => Does::Bypass,
            (None, ActionType::Block) => Does::Block,
            _ => return Ok(None),
        };
        check_fields(filter)?;
        let selectors = selectors::of_filter(filter, v6)?;
        Ok(Some(Rule {
            id: filter.id,
            sublayer: filter.sublayer,
            sublayer_weight: objects.sublayer_weight(filter.sublayer),
            weight: filter.effective_weight,
            direction,
            v6,
            selectors,
            does,
            is_dropped_later: drops(filter.id),
        }))
    }

    pub(super) fn protects(&self) -> bool {
        matches!(self.does, Does::Protect(_))
    }

    /// Returns whether the filter is in one of WFP's own sublayers for IPsec, in which every filter concerns the SPD. In
    /// other sublayers permits and blocks do only beside filters that protect.
    pub(super) fn is_in_ipsec_sublayer(&self) -> bool {
        guids::is_for_ipsec(self.sublayer)
    }

    /// Returns the action for packets of a direction.
    pub(super) fn action(&self, direction: PolicyDirection) -> SpdAction {
        match &self.does {
            Does::Protect(protect) => SpdAction::Protect(Arc::clone(match direction.of_sas() {
                Direction::Outbound => &protect.outbound,
                Direction::Inbound => &protect.inbound,
            })),
            Does::Bypass => SpdAction::Bypass,
            // The packet filter comes after the SPD, and reports what it drops.
            Does::Block if self.is_dropped_later => SpdAction::Bypass,
            Does::Block => SpdAction::Block,
        }
    }
}

impl Protect {
    fn new(filter: &Filter, entry: &Entry, mode: Mode, objects: &Objects) -> Protect {
        let context = match filter.context {
            FilterContext::ProviderContext(key) => objects.by_key(ObjectKind::ProviderContext, key),
            _ => None,
        };
        let policy_id = FilterId(context.map_or(filter.id, |entry| entry.serial));
        let policy = match context.map(|entry| &*entry.object) {
            Some(Object::ProviderContext(context)) => Some(&context.policy),
            _ => None,
        };
        let tunnel = policy.and_then(Policy::tunnel);
        let endpoints = tunnel.filter(|_| mode == Mode::Tunnel).and_then(|tunnel| {
            let (local, remote) = (tunnel.endpoints.local.0, tunnel.endpoints.remote.0);
            Endpoints::new(local, remote).filter(|_| !remote.is_unspecified())
        });
        let (flags, proposals) = match (tunnel, policy) {
            (Some(tunnel), _) => (tunnel.flags, &tunnel.proposals[..]),
            (
                None,
                Some(
                    Policy::IkeQmTransport(policy)
                    | Policy::AuthipQmTransport(policy)
                    | Policy::Ikev2QmTransport(policy),
                ),
            ) => (policy.flags, &policy.proposals[..]),
            _ => (0, &[][..]),
        };
        let optional_out = match mode {
            Mode::Transport => ND_SECURE | ND_BOUNDARY,
            _ => TUNNEL_ALLOW_OUTBOUND_CLEAR,
        };
        let optional_in = if mode == Mode::Transport { ND_BOUNDARY } else { 0 };
        let protection = |optional: u32| {
            Arc::new(Protection {
                policy_id,
                policy: filter.policy_key(),
                mode,
                endpoints,
                protocols: protocols(proposals),
                optional: flags & optional != 0,
            })
        };
        Protect {
            mode,
            policy: filter.policy_key(),
            is_forward: is_forward(filter.layer),
            is_part: entry.part_of.is_some(),
            outbound: protection(optional_out),
            inbound: protection(optional_in),
        }
    }
}

/// Returns the protocols of the first proposal, innermost first; ESP if there is none.
fn protocols(proposals: &[IpsecProposal]) -> Vec<Protocol> {
    /// `IPSEC_TRANSFORM_AH`; the other transforms are ESP.
    const AH: u32 = 1;
    let transforms = proposals.first().map_or(&[][..], |proposal| &proposal.transforms[..]);
    let has = |ah: bool| transforms.iter().any(|transform| (transform.transform_type == AH) == ah);
    match (has(false), has(true)) {
        (_, false) => vec![Protocol::Esp],
        (false, true) => vec![Protocol::Ah],
        (true, true) => vec![Protocol::Esp, Protocol::Ah],
    }
}

/// Returns the direction and IP version of the packets at a filter's layer; `None` if the SPD does not apply there.
fn place(filter: &Filter) -> Option<(PolicyDirection, bool)> {
    let forward = match selectors::is_for_outbound_forward(filter) {
        true => PolicyDirection::Out,
        false => PolicyDirection::Forward,
    };
    match filter.layer {
        layer::OUTBOUND_TRANSPORT_V4 => Some((PolicyDirection::Out, false)),
        layer::OUTBOUND_TRANSPORT_V6 => Some((PolicyDirection::Out, true)),
        layer::INBOUND_TRANSPORT_V4 => Some((PolicyDirection::In, false)),
        layer::INBOUND_TRANSPORT_V6 => Some((PolicyDirection::In, true)),
        layer::IPFORWARD_V4 => Some((forward, false)),
        layer::IPFORWARD_V6 => Some((forward, true)),
        _ => None,
    }
}

fn is_forward(layer: Guid) -> bool {
    layer == layer::IPFORWARD_V4 || layer == layer::IPFORWARD_V6
}

/// Returns whether the SPD applies to the packets of a layer.
pub(crate) fn has_layer(at: Guid) -> bool {
    place(&Filter { layer: at, ..Filter::default() }).is_some()
}

/// Checks that selectors can test every field that the filter names.
fn check_fields(filter: &Filter) -> Result {
    const TESTED: [Guid; 7] = [
        condition::IP_LOCAL_ADDRESS,
        condition::IP_REMOTE_ADDRESS,
        condition::IP_SOURCE_ADDRESS,
        condition::IP_DESTINATION_ADDRESS,
        condition::IP_PROTOCOL,
        condition::IP_LOCAL_PORT,
        condition::IP_REMOTE_PORT,
    ];
    match filter.conditions.iter().find(|condition| !TESTED.contains(&condition.field)) {
        None => Ok(()),
        Some(other) => {
            let name = guids::name(other.field).map_or_else(|| other.field.to_string(), str::to_owned);
            let what = format!("IPsec policies of the kernel cannot test {name}");
            Err(Error::new(Code::ERROR_NOT_SUPPORTED, what))
        }
    }
}
