//! Tables of states and policies, the input of pairing.
//!
//! Each message is parsed completely once, so that errors are found here. It is then kept as a record:
//! the few fields that pairing needs, and a reference to its bytes.

use crate::inventory::is_listed;
use crate::map;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Policy;
use crate::wire::PolicyDirection;
use crate::wire::Problem;
use crate::wire::RawSelector;
use crate::wire::SaId;
use crate::wire::State;
use crate::wire::Templates;
use crate::wire::WireError;
use foldhash::fast::FixedState;
use openwfp_api::Direction;
use openwfp_api::IpNet;
use openwfp_api::Protocol;
use openwfp_api::Selector;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// The states and policies of a kernel, as input of pairing.
#[derive(Debug, Default)]
pub struct Tables<'a> {
    pub(crate) states: Vec<StateRecord<'a>>,
    pub(crate) policies: Vec<PolicyRecord<'a>>,
    /// The bytes of all policies but those of sockets, in the order of the dump.
    pub(crate) all_policies: Vec<&'a [u8]>,
}

/// A state's bytes and the fields that pairing needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateRecord<'a> {
    payload: &'a [u8],
    facts: Facts,
}

/// The fields of a state that pairing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) destination: IpAddr,
    pub(crate) source: IpAddr,
    pub(crate) spi: u32,
    pub(crate) protocol: Protocol,
    pub(crate) mode: u8,
    pub(crate) reqid: u32,
    pub(crate) if_id: u32,
    pub(crate) mark: (u32, u32),
    pub(crate) added: u64,
    pub(crate) sequence: u32,
    pub(crate) cpu: Option<u32>,
    pub(crate) larval: bool,
    /// The direction, if the kernel states it or the engine installed the state.
    pub(crate) direction: Option<Direction>,
    /// Nonzero number shared by states that were installed together; otherwise 0.
    pub(crate) tie: u64,
    /// Nonzero number that a state whose reqid is its SPI, so that it ties nothing, shares with states for the same ports in
    /// either direction (3GPP TS 33.203); otherwise 0.
    pub(crate) mirror: u64,
}

/// A policy's bytes and the fields that pairing needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyRecord<'a> {
    payload: &'a [u8],
    templates: Templates<'a>,
    pub(crate) index: u32,
    pub(crate) if_id: u32,
    pub(crate) mark: (u32, u32),
    priority: u32,
    is_forward: bool,
    pub(crate) direction: Direction,
}

/// Identity of a state: destination, protocol, SPI, mark, and sequence number. The sequence number is
/// that of an acquire, which has no SPI yet; otherwise 0. The same SPI can exist once per mark.
pub(crate) type StateIdentity = (IpAddr, u8, u32, (u32, u32), u32);

/// Returns the sequence number for an identity, which only acquires have.
fn acquire_sequence(spi: u32, sequence: u32) -> u32 {
    if spi == 0 { sequence } else { 0 }
}

impl<'a> Tables<'a> {
    /// Adds the messages of a complete dump of states, up to its end mark.
    ///
    /// Returns whether the kernel flagged the dump as interrupted.
    ///
    /// # Errors
    /// Returns a [`WireError`] if a message is malformed or foreign, if the kernel reports an error, or if
    /// the end mark is missing or not last.
    pub fn add_state_dump(
        &mut self,
        messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
    ) -> Dumped {
        self.add_dump(messages, MessageKind::NewSa, Tables::add_state)
    }

    /// Adds the messages of a complete dump of policies, up to its end mark.
    ///
    /// Returns whether the kernel flagged the dump as interrupted.
    ///
    /// # Errors
    /// Returns a [`WireError`] if a message is malformed or foreign, if the kernel reports an error, or if
    /// the end mark is missing or not last.
    pub fn add_policy_dump(
        &mut self,
        messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
    ) -> Dumped {
        self.add_dump(messages, MessageKind::NewPolicy, Tables::add_policy)
    }

    fn add_dump(
        &mut self,
        mut messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
        wanted: MessageKind,
        add: impl Fn(&mut Self, &Message<'a>) -> Result<(), WireError>,
    ) -> Dumped {
        let (mut interrupted, mut end) = (false, 0);
        for message in &mut messages {
            let message = message?;
            interrupted |= message.flags & Message::FLAG_DUMP_INTERRUPTED != 0;
            let problem = match message.kind {
                kind if kind == wanted => {
                    add(self, &message)?;
                    end = message.offset + Message::HEADER_LEN + message.payload.len();
                    continue;
                }
                MessageKind::Noop => continue,
                MessageKind::Done | MessageKind::Error if message.errno() != 0 => {
                    Problem::KernelError { errno: message.errno() }
                }
                MessageKind::Done => match messages.next() {
                    None => return Ok(interrupted),
                    Some(next) => {
                        return Err(WireError { offset: next?.offset, problem: Problem::AfterEnd });
                    }
                },
                kind => Problem::ForeignMessage { kind: kind.number() },
            };
            return Err(WireError { offset: message.offset, problem });
        }
        Err(WireError { offset: end, problem: Problem::NoEnd })
    }

    /// Adds one state. Skips states that are not IPsec SAs (Mobile IPv6, the kernel's own IPIP tunnels
    /// beneath IPCOMP).
    fn add_state(&mut self, message: &Message<'a>) -> Result<(), WireError> {
        let facts = Facts::of(&State::parse(message)?);
        self.states.extend(facts.map(|facts| StateRecord { payload: message.payload, facts }));
        Ok(())
    }

    /// Adds one policy. Skips policies of sockets; those without templates take no part in pairing.
    pub(crate) fn add_policy(&mut self, message: &Message<'a>) -> Result<(), WireError> {
        let policy = Policy::parse(message)?;
        if is_listed(&policy) {
            self.all_policies.push(message.payload);
        }
        self.policies.extend(PolicyRecord::new(message.payload, &policy));
        Ok(())
    }

    /// Replaces the policies with those of `other`.
    pub(crate) fn take_policies(&mut self, other: Tables<'a>) {
        self.policies = other.policies;
        self.all_policies = other.all_policies;
    }
}

/// Whether the kernel flagged a dump as interrupted, or the error that was found in it.
pub type Dumped = Result<bool, WireError>;

/// Returns the identity of the state that `id` names; `sequence` matters only for acquires.
pub(crate) fn identity(id: &SaId, sequence: u32) -> StateIdentity {
    (id.destination, id.protocol, id.spi, id.mark, acquire_sequence(id.spi, sequence))
}

impl std::ops::Deref for StateRecord<'_> {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Facts {
    /// Returns the facts of a state; none if it is not an IPsec SA, larval or not.
    pub(crate) fn of(state: &State<'_>) -> Option<Facts> {
        let protocol = match state.protocol {
            50 => Protocol::Esp,
            51 => Protocol::Ah,
            108 => Protocol::Ipcomp,
            _ => return None,
        };
        let larval = map::is_larval(state);
        if !larval && !map::is_sa(state) {
            return None;
        }
        Some(Facts {
            destination: state.destination,
            source: state.source,
            spi: state.spi,
            protocol,
            mode: state.mode,
            reqid: state.reqid,
            if_id: state.if_id.unwrap_or(0),
            mark: state.mark.unwrap_or((0, 0)),
            added: state.added,
            sequence: state.sequence,
            cpu: state.cpu,
            larval,
            direction: match state.direction {
                Some(1) => Some(Direction::Inbound),
                Some(2) => Some(Direction::Outbound),
                _ => None,
            },
            tie: 0,
            mirror: mirror(state),
        })
    }

    /// Returns the state's identity, by which events and repeated entries of a dump refer to it.
    pub(crate) fn identity(&self) -> StateIdentity {
        let sequence = acquire_sequence(self.spi, self.sequence);
        (self.destination, self.protocol.number(), self.spi, self.mark, sequence)
    }

    /// Returns whether this is the larval state of an acquire that a new SA replaces; the kernel then
    /// removes it without an event. It has the SA's sequence number or, if that is 0, the same traffic.
    pub(crate) fn is_answered_by(&self, new: &State<'_>) -> bool {
        let same_traffic = (self.source, self.destination) == (new.source, new.destination)
            && (self.mode, self.reqid) == (new.mode, new.reqid)
            && self.if_id == new.if_id.unwrap_or(0);
        self.larval
            && self.spi == 0
            && self.protocol.number() == new.protocol
            && new.spi != 0
            && if new.sequence != 0 { self.sequence == new.sequence } else { same_traffic }
    }
}

impl<'a> StateRecord<'a> {
    /// Creates a record for a payload that was parsed before.
    pub(crate) fn new(payload: &'a [u8], facts: Facts) -> StateRecord<'a> {
        StateRecord { payload, facts }
    }

    /// Parses the whole state. Never none, because the payload was parsed before.
    pub(crate) fn state(&self) -> Option<State<'a>> {
        State::of(self.payload)
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    pub(crate) fn identity(&self) -> StateIdentity {
        self.facts.identity()
    }

    /// Returns the state's own selector.
    pub(crate) fn selector(&self) -> Option<RawSelector> {
        RawSelector::of(self.payload)
    }

    /// Returns value and mask of the mark that the state gives its packets.
    pub(crate) fn output_mark(&self) -> (u32, u32) {
        let state = self.state();
        let set = state.and_then(|state| {
            // Without a mask the kernel sets the whole mark.
            state.output_mark.map(|value| (value, state.output_mark_mask.unwrap_or(u32::MAX)))
        });
        set.unwrap_or_default()
    }
}

/// Returns the number for [`Facts::mirror`].
fn mirror(state: &State<'_>) -> u64 {
    let selector = &state.selector;
    let has_ports = selector.source_port.1 != 0 || selector.destination_port.1 != 0;
    if state.spi == 0
        || state.reqid != state.spi
        || !has_ports
        || !Selector::ends_have_ports(selector.protocol)
    {
        return 0;
    }
    let end = |address: [u8; 16], prefix: u8, port: (u16, u16)| {
        FixedState::default().hash_one((selector.protocol, address, prefix, port))
    };
    let source = end(selector.source, selector.source_prefix, selector.source_port);
    let destination = end(selector.destination, selector.destination_prefix, selector.destination_port);
    // The sum is the same for both directions.
    source.wrapping_add(destination).max(1)
}

impl<'a> PolicyRecord<'a> {
    /// Creates a record of a policy; none if it belongs to a socket or has no templates.
    pub(crate) fn new(payload: &'a [u8], policy: &Policy<'a>) -> Option<PolicyRecord<'a>> {
        let direction = match policy.direction {
            PolicyDirection::In | PolicyDirection::Forward => Direction::Inbound,
            PolicyDirection::Out => Direction::Outbound,
            PolicyDirection::Other(_) => return None,
        };
        policy.templates.iter().next()?;
        Some(PolicyRecord {
            payload,
            templates: policy.templates,
            index: policy.index,
            if_id: policy.if_id.unwrap_or(0),
            mark: policy.mark.unwrap_or((0, 0)),
            priority: policy.priority,
            is_forward: policy.direction == PolicyDirection::Forward,
            direction,
        })
    }

    /// Returns the policy's selector. Never none, because the policy was parsed before.
    pub(crate) fn selector(&self) -> Option<RawSelector> {
        RawSelector::of(self.payload)
    }

    /// Returns source and destination of the packets that the policy selects; none if it selects any family.
    pub(crate) fn networks(&self) -> Option<(IpNet, IpNet)> {
        self.selector()?.networks()
    }

    pub(crate) fn templates(&self) -> Templates<'a> {
        self.templates
    }

    /// Returns the position among the policies of a direction, except for age: the kernel tries lower priorities first, and
    /// of one daemon's policies the inbound one speaks for the forward one, too.
    pub(crate) fn rank(&self) -> (bool, u32) {
        (self.is_forward, self.priority)
    }
}
