//! Which states the kernel uses for a policy: its rules, in one place.
//!
//! Outbound, `xfrm_tmpl_resolve_one` works a policy's templates off from the inside to the outside. A template in tunnel mode
//! names the outer addresses. One in transport mode takes the addresses of the packet as it is then: those of the tunnel before
//! it, or the inner ones. `xfrm_state_find` wants a state with these addresses and with the template's protocol, mode, reqid
//! and, unless it is 0, SPI; the policy's interface id; and a mark that the policy's mark satisfies. A template without a source
//! takes the one that routes give, and a state without a source serves any.
//!
//! Inbound, `xfrm_policy_ok` compares the states that a packet came through with the templates: protocol, mode, and SPI and
//! reqid unless the template's are 0 (`xfrm_state_ok`); the policy's interface id unless it is 0. In tunnel mode it also compares
//! the source, unless the template has none. It does not compare the destination, which is this machine's. Here it has to agree
//! if the template has one, because that tells inbound states from outbound ones.
//!
//! In both directions, the state's own selector has to accept the packet, and so has to overlap the policy's.
//!
//! Source: `net/xfrm/xfrm_policy.c`, `net/xfrm/xfrm_state.c`.

use crate::table::Facts;
use crate::table::PolicyRecord;
use crate::table::StateRecord;
use crate::wire::PolicyTemplate;
use openwfp_api::Direction;
use openwfp_api::IpNet;
use openwfp_api::Mark;
use openwfp_api::Mode;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::IpAddr;

/// What a template of a policy wants of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) direction: Direction,
    /// Where the state's source and destination have to be.
    pub(crate) source: IpNet,
    pub(crate) destination: IpNet,
    /// The reqid; 0 inbound is any.
    pub(crate) reqid: u32,
    protocol: u8,
    mode: u8,
    spi: u32,
}

/// Returns what the templates of a policy want, the innermost first.
pub(crate) fn wants(policy: &PolicyRecord<'_>) -> impl Iterator<Item = Want> {
    let direction = policy.direction;
    let mut outer = None;
    let inner = policy.networks();
    policy.templates().iter().map(move |template| {
        let (source, destination) = match (is_tunnel(&template), outer) {
            (true, _) => *outer.insert((end(template.source), end(template.destination))),
            (false, Some(outer)) => outer,
            (false, None) => innermost(&template, inner),
        };
        Want {
            direction,
            source,
            destination,
            reqid: template.reqid,
            protocol: template.protocol,
            mode: template.mode,
            spi: template.spi,
        }
    })
}

fn is_tunnel(template: &PolicyTemplate) -> bool {
    Mode::from_number(template.mode).is_some_and(|mode| mode != Mode::Transport)
}

/// Returns an address as a network; all addresses if it is unspecified.
fn end(address: IpAddr) -> IpNet {
    let length = match (address.is_unspecified(), address) {
        (true, _) => 0,
        (false, IpAddr::V4(_)) => 32,
        (false, IpAddr::V6(_)) => 128,
    };
    IpNet::new(address, length).unwrap_or_default()
}

/// Returns the ends of a template in transport mode without a tunnel before it: those of the packets that the policy selects.
/// Of these, the template's addresses name the hosts that the policy is meant for.
fn innermost(template: &PolicyTemplate, selected: Option<(IpNet, IpNet)>) -> (IpNet, IpNet) {
    let named = (end(template.source), end(template.destination));
    let Some(selected) = selected else { return named };
    let narrower = |named: IpNet, selected: IpNet| if selected.contains(&named) { named } else { selected };
    (narrower(named.0, selected.0), narrower(named.1, selected.1))
}

impl Want {
    /// Returns whether the addresses tell the direction of a state.
    pub(crate) fn tells_direction(&self) -> bool {
        self.source.prefix_len() > 0 || self.destination.prefix_len() > 0
    }

    /// Returns the two hosts that the state has to be between; none if the template leaves one open.
    pub(crate) fn hosts(&self) -> Option<(IpAddr, IpAddr)> {
        let host = |net: IpNet| (net.prefix_len() == net.max_prefix_len()).then_some(net.addr());
        host(self.source).zip(host(self.destination))
    }

    /// Returns whether states between two hosts may have this want's addresses, in one direction or the other.
    pub(crate) fn is_between(&self, one: IpAddr, other: IpAddr) -> bool {
        let may_be = |net: IpNet, address: IpAddr| address.is_unspecified() || net.contains(&address);
        may_be(self.source, one) && may_be(self.destination, other)
            || may_be(self.source, other) && may_be(self.destination, one)
    }

    /// Returns whether a state may have this want's addresses and reqid.
    pub(crate) fn is_near(&self, state: &Facts) -> bool {
        let outbound = self.direction == Direction::Outbound;
        let source = self.source.contains(&state.source)
            || state.source.is_unspecified() && (outbound || self.mode == Mode::Transport.number());
        source
            && self.destination.contains(&state.destination)
            && (self.reqid == state.reqid || self.reqid == 0 && !outbound)
    }

    /// Returns whether the kernel uses a state for this template of a policy.
    ///
    /// With a reqid, a state of an earlier generation counts, too: keying daemons write the newest SPI into the template.
    pub(crate) fn takes(&self, state: &StateRecord<'_>, policy: &PolicyRecord<'_>) -> bool {
        let if_id = match self.direction {
            Direction::Outbound => policy.if_id == state.if_id,
            Direction::Inbound => policy.if_id == 0 || policy.if_id == state.if_id,
        };
        self.is_near(state)
            && self.protocol == state.protocol.number()
            && self.mode == state.mode
            && (self.spi == 0 || self.spi == state.spi || self.reqid != 0)
            && if_id
            && mark_agrees(state, policy)
            && selectors_overlap(state, policy)
    }
}

/// Returns whether the mark of a policy's packets and that of a state go together.
fn mark_agrees(state: &StateRecord<'_>, policy: &PolicyRecord<'_>) -> bool {
    let mark = |(value, mask)| Mark { value, mask };
    let (wanted, of_policy) = (mark(state.mark), mark(policy.mark));
    match policy.direction {
        Direction::Outbound => wanted.serves_policy(of_policy),
        // To know the mark that a state sets, it has to be read again.
        Direction::Inbound => {
            of_policy.mask == 0 || wanted.is_accepted_by(mark(state.output_mark()), of_policy)
        }
    }
}

/// Returns whether some packet can match the selectors of both, because the kernel compares the packet with either.
fn selectors_overlap(state: &StateRecord<'_>, policy: &PolicyRecord<'_>) -> bool {
    // That of an acquire is the packet which asked; the SA will be for all that its policies select.
    if state.larval && state.spi == 0 {
        return true;
    }
    let Some(own) = state.selector().filter(|own| !own.is_any() && own.family != 0) else { return true };
    let Some(of_policy) = policy.selector() else { return true };
    let (Some((source, destination)), Some((from, to))) = (own.networks(), of_policy.networks()) else {
        return true;
    };
    let overlap = |one: IpNet, other: IpNet| one.contains(&other) || other.contains(&one);
    let ports = |one: (u16, u16), other: (u16, u16)| (one.0 ^ other.0) & one.1 & other.1 == 0;
    let protocols = |one: u8, other: u8| one == 0 || other == 0 || one == other;
    overlap(source, from)
        && overlap(destination, to)
        && protocols(own.protocol, of_policy.protocol)
        && ports(own.source_port, of_policy.source_port)
        && ports(own.destination_port, of_policy.destination_port)
}

/// Reqids that the templates of a policy tie together: a daemon may give each protocol of one connection its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    pub(crate) reqid: u32,
    /// The smallest of the reqids, which stands for all of them.
    pub(crate) first: u32,
    /// The two hosts, the smaller address first.
    pub(crate) hosts: (IpAddr, IpAddr),
}

/// Returns the reqids that a policy ties to another one between the same two hosts.
pub(crate) fn ties(policy: &PolicyRecord<'_>) -> Vec<Tie> {
    // Most policies have one template.
    if policy.templates().iter().nth(1).is_none() {
        return Vec::new();
    }
    let wants: Vec<Want> = wants(policy).filter(|want| want.reqid != 0).collect();
    let same = |one: &Want, other: &Want| (one.source, one.destination) == (other.source, other.destination);
    let mut ties = Vec::new();
    for chain in wants.chunk_by(same) {
        let first = chain.iter().map(|want| want.reqid).min().unwrap_or(0);
        for want in chain.iter().filter(|want| want.reqid != first) {
            if let Some((one, other)) = want.hosts() {
                ties.push(Tie { reqid: want.reqid, first, hosts: (one.min(other), one.max(other)) });
            }
        }
    }
    ties
}

/// A place in an index of wants: direction, ends as networks of a few lengths, and reqid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shape: Shape,
    source: IpAddr,
    destination: IpAddr,
    reqid: u32,
}

impl Hash for Place {
    /// Hashes few words: there are several places for each of millions of states.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Shape { direction, is_v6, source, destination, has_reqid } = self.shape;
        let shape = [direction | u8::from(is_v6) << 1 | u8::from(has_reqid) << 2, source, destination, 0];
        hasher.write_u64(u64::from(u32::from_ne_bytes(shape)) << 32 | u64::from(self.reqid));
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                hasher.write_u64(u64::from(u32::from(source)) << 32 | u64::from(u32::from(destination)));
            }
            (source, destination) => {
                for address in [source, destination] {
                    match address {
                        IpAddr::V4(address) => hasher.write_u32(address.into()),
                        IpAddr::V6(address) => hasher.write_u128(address.into()),
                    }
                }
            }
        }
    }
}

/// What the places of similar wants have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shape {
    direction: u8,
    is_v6: bool,
    source: u8,
    destination: u8,
    has_reqid: bool,
}

impl Want {
    /// Returns the place of the want in an index.
    pub(crate) fn place(&self) -> Place {
        let shape = Shape {
            direction: if self.hosts().is_some() { EITHER } else { number(self.direction) },
            is_v6: self.destination.addr().is_ipv6(),
            source: coarse(self.source),
            destination: coarse(self.destination),
            has_reqid: self.reqid != 0,
        };
        shape.place(self.source.addr(), self.destination.addr(), self.reqid)
    }
}

/// The direction of shapes for two hosts: which of them is the source tells it well enough, and one look finds all.
const EITHER: u8 = 2;

fn number(direction: Direction) -> u8 {
    (direction == Direction::Outbound).into()
}

/// Returns a network's length, rounded down so that there are few different ones.
fn coarse(net: IpNet) -> u8 {
    let step = if net.max_prefix_len() == 32 { 8 } else { 32 };
    net.prefix_len() / step * step
}

impl Shape {
    fn place(self, source: IpAddr, destination: IpAddr, reqid: u32) -> Place {
        let cut = |address: IpAddr, length| match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        };
        let (source, destination) = (cut(source, self.source), cut(destination, self.destination));
        Place { shape: self, source, destination, reqid }
    }

    /// Returns the place of the wants of this shape for exactly these two hosts; none if it is for networks.
    pub(crate) fn place_between(self, source: IpAddr, destination: IpAddr, reqid: u32) -> Option<Place> {
        let host = if self.is_v6 { 128 } else { 32 };
        let is_it = (self.source, self.destination) == (host, host)
            && self.has_reqid == (reqid != 0)
            && self.is_v6 == destination.is_ipv6();
        is_it.then(|| self.place(source, destination, reqid))
    }

    /// Returns whether there may be wants of a direction.
    pub(crate) fn may_be(self, direction: Direction) -> bool {
        self.direction == EITHER || self.direction == number(direction)
    }

    /// Returns whether there may be wants of both directions.
    pub(crate) fn is_of_either(self) -> bool {
        self.direction == EITHER
    }

    /// Returns the place of the wants of this shape that a state may serve; none if there is no such want.
    pub(crate) fn place_of(self, state: &Facts) -> Option<Place> {
        let is_possible = self.is_v6 == state.destination.is_ipv6()
            && match self.has_reqid {
                true => state.reqid != 0,
                false => state.reqid == 0 || self.may_be(Direction::Inbound),
            };
        let reqid = if self.has_reqid { state.reqid } else { 0 };
        is_possible.then(|| self.place(state.source, state.destination, reqid))
    }
}
