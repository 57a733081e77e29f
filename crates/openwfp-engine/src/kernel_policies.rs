//! The kernel's IPsec policies, whoever installed them: listing them, and what they mean for a packet.
//!
//! They are not part of a version of the database: they are the kernel's, follow it at once and take part in no
//! transaction.

use crate::database::Database;
use crate::database::Side;
use crate::record::SessionRecord;
use crate::shared::Shared;
use crate::spd::Spd;
use crate::sync::lock;
use crate::sync::read;
use imbl::HashMap;
use imbl::OrdMap;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::HeldKernelPolicy;
use openwfp_api::KernelPolicyChange;
use openwfp_api::LinuxSa;
use openwfp_api::Mark;
use openwfp_api::PolicyDirection;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::Selector;
use openwfp_api::guids::layer;
use openwfp_api::object::ActionType;
use openwfp_api::object::kernel::Explanation;
use openwfp_api::object::kernel::KernelPolicy;
use openwfp_api::object::kernel::KernelPolicyAction;
use openwfp_api::object::kernel::KernelPolicyDirection;
use openwfp_api::object::kernel::KernelPolicyPlace;
use openwfp_api::object::kernel::KernelTemplate;
use openwfp_api::object::kernel::Outcome;
use openwfp_api::object::kernel::PolicyDecision;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::PacketPath;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

/// Maximum number of SA contexts to name for a policy.
const CONTEXTS_MAX: usize = 64;
/// Maximum number of contexts to look at for the policies of one page. Beyond it, policies name no more contexts.
const LOOKED_AT_MAX: usize = 1_000_000;

/// Maximum number of policies to return at a time.
const PAGE_MAX: u32 = 4096;

/// Order of the kernel: direction, priority, age.
type Place = (u32, u32, u64);

/// The kernel's policies. A clone is a snapshot in O(1).
#[derive(Clone, Default)]
pub(crate) struct KernelPolicies {
    by_place: OrdMap<Place, Arc<dyn HeldKernelPolicy>>,
    places: HashMap<u32, Place>,
    /// Whether a provider has reported its policies, if only that there are none.
    known: bool,
}

fn key(place: &KernelPolicyPlace) -> Place {
    (place.direction.wfp(), place.priority, place.age)
}

impl KernelPolicies {
    fn change(&mut self, changes: Vec<KernelPolicyChange>) {
        self.known = true;
        // Those that go first: one that comes may take the place of one that goes.
        for KernelPolicyChange { index, .. } in &changes {
            if let Some(old) = self.places.remove(index) {
                self.by_place.remove(&old);
            }
        }
        for KernelPolicyChange { index, policy } in changes {
            if let Some((place, policy)) = policy {
                self.places.insert(index, key(&place));
                self.by_place.insert(key(&place), policy);
            }
        }
    }

    fn of(&self, direction: KernelPolicyDirection) -> impl Iterator<Item = KernelPolicy> {
        let number = direction.wfp();
        self.by_place.range((number, 0, 0)..=(number, u32::MAX, u64::MAX)).map(|(_, policy)| policy.read())
    }

    /// Returns what the policies of a direction decide about a packet. Adds to `unknown` which policies might decide
    /// otherwise.
    fn decide(
        &self,
        direction: KernelPolicyDirection,
        packet: &Packet,
        unknown: &mut Vec<String>,
    ) -> PolicyDecision {
        let mut decision = PolicyDecision { direction, ..PolicyDecision::default() };
        for policy in self.of(direction) {
            if policy.selects(packet) {
                match policy.condition() {
                    None => {
                        decision.policy = Some(policy);
                        decision.near = None;
                        return decision;
                    }
                    Some(condition) => unknown.push(format!(
                        "policy {} ({}) decides about packets with {condition}",
                        policy.index,
                        direction.word()
                    )),
                }
            } else if decision.near.is_none() && is_near(&policy, packet) {
                decision.near = Some(policy);
            }
            decision.tried += 1;
        }
        decision
    }
}

/// Returns whether a policy protects packets with the same source or destination.
fn is_near(policy: &KernelPolicy, packet: &Packet) -> bool {
    let shares = policy.source.0.contains(&packet.source.0) && policy.source.0.prefix_len() > 0
        || policy.destination.0.contains(&packet.destination.0) && policy.destination.0.prefix_len() > 0;
    policy.action == KernelPolicyAction::Protect && shares
}

/// Adds to policies what the engine knows: the filter that each carries out, and the SA contexts that satisfy it.
struct Finder<'d> {
    database: &'d Database,
    spd: Spd,
    /// Number of contexts to look at yet, which bounds the work.
    left: usize,
}

impl Finder<'_> {
    /// Completes a policy, for a packet or in general.
    fn complete(&mut self, policy: &mut KernelPolicy, packet: Option<&Packet>) {
        policy.sa_contexts = self.find(policy, packet);
        if policy.own {
            policy.filter_id = self.spd.filter_of(policy).unwrap_or(0);
        }
    }

    /// Returns the contexts whose SAs satisfy a policy, for a packet or in general.
    fn find(&mut self, policy: &KernelPolicy, packet: Option<&Packet>) -> Vec<u64> {
        let Some(first) = policy.templates.first() else { return Vec::new() };
        let outbound = policy.direction == KernelPolicyDirection::Out;
        let host = |network: openwfp_api::IpNet| {
            (network.prefix_len() == network.max_prefix_len()).then_some(network.addr())
        };
        // A template without addresses is for those of the packet.
        let source = first.source.map(|it| it.0).or(packet.map(|it| it.source.0)).or(host(policy.source.0));
        let destination = first
            .destination
            .map(|it| it.0)
            .or(packet.map(|it| it.destination.0))
            .or(host(policy.destination.0));
        let (local, remote) = if outbound { (source, destination) } else { (destination, source) };
        let wanted = Wanted { policy, packet, local, remote, outbound };
        let database = self.database;
        match (remote, local) {
            (Some(remote), _) => {
                self.among(database.ids_between(Side::Remote, (remote, remote), None), &wanted)
            }
            (None, Some(local)) => {
                self.among(database.ids_between(Side::Local, (local, local), None), &wanted)
            }
            (None, None) => self.among(database.after(None).map(|context| context.id), &wanted),
        }
    }

    fn among(&mut self, ids: impl Iterator<Item = SaContextId>, wanted: &Wanted<'_>) -> Vec<u64> {
        let mut found = Vec::new();
        for id in ids {
            if self.left == 0 || found.len() == CONTEXTS_MAX {
                break;
            }
            self.left -= 1;
            if self.database.get(id).is_some_and(|context| wanted.is_satisfied_by(context)) {
                found.push(id.0);
            }
        }
        found
    }
}

/// What an SA context has to have to satisfy a policy. The rules are the kernel's, which the provider's pairing follows, too.
struct Wanted<'p> {
    policy: &'p KernelPolicy,
    packet: Option<&'p Packet>,
    local: Option<IpAddr>,
    remote: Option<IpAddr>,
    outbound: bool,
}

impl Wanted<'_> {
    fn is_satisfied_by(&self, context: &SaContext) -> bool {
        let direction = if self.outbound { Direction::Outbound } else { Direction::Inbound };
        let Some(details) = context.details(direction) else { return false };
        let ends = context.traffic.endpoints;
        let sas = &details.bundle.sas;
        let of = |protocol: u8| sas.iter().find(|sa| sa.transform.protocol().number() == protocol);
        self.local.is_none_or(|local| local == ends.local())
            && self.remote.is_none_or(|remote| remote == ends.remote())
            && context.traffic.mode.number()
                == self.policy.templates.iter().map(|template| template.mode).max().unwrap_or(0)
            && self.policy.templates.iter().all(|template| match of(template.protocol) {
                Some(sa) => sa.linux.as_deref().is_none_or(|linux| self.serves(linux, template, direction)),
                // IPCOMP is optional by its nature.
                None => template.protocol == 108,
            })
    }

    /// Returns whether an SA of a template's protocol serves the template: `xfrm_state_look_at` outbound, `xfrm_state_ok` inbound.
    fn serves(&self, sa: &LinuxSa, template: &KernelTemplate, direction: Direction) -> bool {
        let policy = self.policy;
        let wanted = sa.mark().unwrap_or_default();
        let mark = Mark { value: policy.mark, mask: policy.mark_mask };
        let (any, marks_agree) = match direction {
            Direction::Outbound => (false, wanted.serves_policy(mark)),
            Direction::Inbound => {
                let output = sa.extras.as_ref().and_then(|extras| extras.output_mark).unwrap_or_default();
                (true, wanted.is_accepted_by(output, mark))
            }
        };
        let own = sa.extras.as_ref().and_then(|extras| extras.selector.as_ref());
        (template.reqid == sa.reqid || any && template.reqid == 0)
            && (policy.if_id == sa.if_id() || any && policy.if_id == 0)
            && marks_agree
            && own.zip(self.packet).is_none_or(|(own, packet)| selects(own, packet, direction))
    }
}

/// Returns whether an SA's own selector selects a packet.
fn selects(own: &Selector, packet: &Packet, direction: Direction) -> bool {
    let source = (packet.source.0, packet.source_port);
    let destination = (packet.destination.0, packet.destination_port);
    let (mut local, mut remote) = match direction {
        Direction::Outbound => (source, destination),
        Direction::Inbound => (destination, source),
    };
    if !Selector::ends_have_ports(packet.protocol) {
        // Type and code, for example, belong to no end.
        (local.1, remote.1) = (packet.source_port, packet.destination_port);
    }
    own.selects(local, remote, packet.protocol)
}

impl Shared {
    pub(crate) fn change_kernel_policies(&self, changes: Vec<KernelPolicyChange>) {
        lock(&self.kernel_policies).change(changes);
    }

    pub(crate) fn kernel_policies(
        &self,
        record: &SessionRecord,
        after: Option<&KernelPolicyPlace>,
        limit: u32,
    ) -> Vec<KernelPolicy> {
        let all = lock(&self.kernel_policies).clone();
        let start = after.map_or(Bound::Unbounded, |place| Bound::Excluded(key(place)));
        let held = all.by_place.range((start, Bound::Unbounded)).map(|(_, policy)| policy.read());
        let policies: Vec<KernelPolicy> = held.take(limit.min(PAGE_MAX) as usize).collect();
        self.complete_policies(record, policies)
    }

    pub(crate) fn kernel_policy(&self, record: &SessionRecord, index: u32) -> Result<KernelPolicy> {
        let held = {
            let all = lock(&self.kernel_policies);
            all.places.get(&index).and_then(|place| all.by_place.get(place)).cloned()
        };
        let policy = held
            .map(|held| held.read())
            .and_then(|policy| self.complete_policies(record, vec![policy]).pop());
        policy.ok_or_else(|| {
            Error::new(Code::FWP_E_NOT_FOUND, format!("the kernel has no policy with the index {index}"))
                .with_remedy("List them: `wfp policy list`.")
        })
    }

    /// Returns the indices of the kernel's policies that carry out a filter.
    pub(crate) fn policies_of(&self, spd: &Spd, filter: u64) -> Vec<u32> {
        let all = lock(&self.kernel_policies).clone();
        let mut indices = Vec::new();
        for entry in spd.entries_of(filter) {
            let number = KernelPolicyDirection::from(entry.direction).wfp();
            // Priorities of filters differ, so these are few.
            let held = all.by_place.range((number, entry.priority, 0)..=(number, entry.priority, u64::MAX));
            let read = held.map(|(_, policy)| policy.read());
            let is_it = |policy: &KernelPolicy| policy.own && policy.selector() == entry.selector;
            indices.extend(read.filter(is_it).map(|policy| policy.index));
        }
        indices
    }

    fn complete_policies(
        &self,
        record: &SessionRecord,
        mut policies: Vec<KernelPolicy>,
    ) -> Vec<KernelPolicy> {
        let database = self.read(record, Database::clone);
        let mut finder = self.finder(&database);
        policies.iter_mut().for_each(|policy| finder.complete(policy, None));
        policies
    }

    fn finder<'d>(&self, database: &'d Database) -> Finder<'d> {
        Finder { database, spd: lock(&self.enforced).spd.clone(), left: LOOKED_AT_MAX }
    }

    pub(crate) fn explain(&self, record: &SessionRecord, packet: &Packet) -> Result<Explanation> {
        let filters = self.classify(packet)?;
        let policies = lock(&self.kernel_policies).clone();
        if !policies.known {
            let unknown = vec!["this engine has no kernel: only its own filters were evaluated".to_owned()];
            return Ok(Explanation { filters, unknown, ..Explanation::default() });
        }
        let database = self.read(record, Database::clone);
        let mut unknown = Vec::new();
        let mut decisions = Vec::new();
        for direction in KernelPolicyDirection::of(packet.path) {
            let mut decision = policies.decide(*direction, packet, &mut unknown);
            let mut finder = self.finder(&database);
            decision.policy.iter_mut().for_each(|policy| finder.complete(policy, Some(packet)));
            decision.near.iter_mut().for_each(|policy| finder.complete(policy, None));
            decisions.push(decision);
        }
        if packet.protocol == 0 {
            unknown.push(
                "the packet has no protocol, so that policies for one protocol do not apply to it".to_owned(),
            );
        }
        unknown
            .push("policies of sockets, which precede all others, and firewall rules of others".to_owned());
        let packet_filters = lock(&self.enforced).packet_filters.clone();
        let mut explanation = Explanation {
            outcome: outcome(&decisions),
            decisions,
            filters,
            unknown,
            has_table: packet_filters.is_in_use(),
            ..Explanation::default()
        };
        for at in layers_of(packet) {
            let verdict = read(&self.classifier).classify_at(at, packet)?;
            if verdict.action == ActionType::Block && packet_filters.blocks(verdict.filter_id) {
                explanation.outcome = Outcome::Blocked;
                explanation.dropped_by = verdict.filter_id;
                explanation.dropped_at = at;
                return Ok(explanation);
            }
        }
        // The policies for outbound packets do not tell forwarded packets from local ones, and a block lets them pass there.
        let out = explanation.decisions.iter().find(|it| it.direction == KernelPolicyDirection::Out);
        if let Some(policy) = out.and_then(|decision| decision.policy.as_ref())
            && packet.path == PacketPath::Forward
            && policy.action == KernelPolicyAction::Bypass
            && packet_filters.blocks(policy.filter_id)
        {
            explanation.outcome = Outcome::Blocked;
            explanation.dropped_by = policy.filter_id;
            explanation.dropped_at = match packet.source.0.is_ipv6() {
                true => layer::OUTBOUND_TRANSPORT_V6,
                false => layer::OUTBOUND_TRANSPORT_V4,
            };
        }
        Ok(explanation)
    }
}

/// Returns the layers whose filters nftables carries out that see a packet, as the first one of a connection.
fn layers_of(packet: &Packet) -> Vec<Guid> {
    let v6 = packet.source.0.is_ipv6();
    let of = |v4, six| if v6 { six } else { v4 };
    match packet.path {
        PacketPath::Inbound => {
            vec![packet.layer(), of(layer::ALE_AUTH_RECV_ACCEPT_V4, layer::ALE_AUTH_RECV_ACCEPT_V6)]
        }
        PacketPath::Forward => vec![packet.layer()],
        _ => vec![of(layer::ALE_AUTH_CONNECT_V4, layer::ALE_AUTH_CONNECT_V6), packet.layer()],
    }
}

/// Returns what the decisions of all directions that a packet passes mean for it.
fn outcome(decisions: &[PolicyDecision]) -> Outcome {
    let mut outcome = Outcome::Clear;
    for decision in decisions {
        let Some(policy) = &decision.policy else { continue };
        let leaves = decision.direction == KernelPolicyDirection::Out;
        let has_sa = !policy.sa_contexts.is_empty();
        let next = match policy.action {
            KernelPolicyAction::Block => return Outcome::Blocked,
            KernelPolicyAction::Bypass => Outcome::Bypassed,
            _ if has_sa => Outcome::Protected,
            _ if policy.is_optional() => Outcome::Clear,
            _ if leaves => Outcome::Waits,
            // Nothing can have protected what comes in.
            _ => return Outcome::Blocked,
        };
        // What came in through one tunnel may leave through another one, or unprotected to its receiver.
        if outcome == Outcome::Clear || next == Outcome::Waits {
            outcome = next;
        }
    }
    outcome
}

impl Spd {
    /// Returns the id of the filter that a policy of the kernel carries out.
    fn filter_of(&self, policy: &KernelPolicy) -> Option<u64> {
        let direction = match policy.direction {
            KernelPolicyDirection::Out => PolicyDirection::Out,
            KernelPolicyDirection::Forward => PolicyDirection::Forward,
            _ => PolicyDirection::In,
        };
        self.entry(&(direction, policy.selector())).map(|entry| entry.filter_id.0)
    }
}
