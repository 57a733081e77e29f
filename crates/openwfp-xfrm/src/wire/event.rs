//! The kernel's events, and the ids of states and policies.

use super::bytes::Fixed;
use super::bytes::Problem;
use super::bytes::WireError;
use super::bytes::emit_attribute;
use super::bytes::ip;
use super::message::Attributes;
use super::message::Message;
use super::message::MessageKind;
use super::policy::Policy;
use super::policy::PolicyTemplate;
use super::policy::Templates;
use super::state::RawSelector;
use super::state::State;
use super::state::emit_address;
use std::net::IpAddr;

const XFRMA_TMPL: u16 = 5;
const XFRMA_SA: u16 = 6;
const XFRMA_POLICY: u16 = 7;
const XFRMA_LTIME_VAL: u16 = 9;
const XFRMA_LASTUSED: u16 = 15;
const XFRMA_MIGRATE: u16 = 17;
const XFRMA_MARK: u16 = 21;
const XFRMA_IF_ID: u16 = 31;

/// Lengths of `xfrm_usersa_info` and `xfrm_userpolicy_info`, in bytes.
const STATE_LEN: usize = 224;
const POLICY_LEN: usize = 168;

/// Id of a state: `xfrm_usersa_id` and the mark.
///
/// ```text
///   0 destination 16 │ 16 SPI │ 20 family │ 22 protocol, pad
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SaId {
    /// Destination address of its packets.
    pub destination: IpAddr,
    /// SPI, in host order.
    pub spi: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// Mark and mask; zeros if there is no mark.
    pub mark: (u32, u32),
}

impl SaId {
    /// Length of `xfrm_usersa_id` in bytes.
    const LEN: usize = 24;

    /// Parses the payload of a deletion (`XFRM_MSG_DELSA`).
    ///
    /// # Errors
    /// Returns a [`WireError`], with the offset in the buffer, if the payload is malformed.
    pub fn parse(message: &Message<'_>) -> Result<SaId, WireError> {
        let (id, _) = structure::<{ SaId::LEN }>(message, "xfrm_usersa_id")?;
        let destination = address(message, id.address(0), id.u16(20), 20)?;
        let mark = mark(message, SaId::LEN)?;
        Ok(SaId { destination, spi: id.be32(16), protocol: id.u8(22), mark })
    }

    /// Writes the payload of a lookup or deletion of this state.
    pub fn emit(&self, out: &mut Vec<u8>) {
        emit_address(out, self.destination);
        out.extend_from_slice(&self.spi.to_be_bytes());
        let family = if self.destination.is_ipv4() { super::bytes::AF_INET } else { super::bytes::AF_INET6 };
        out.extend_from_slice(&family.to_ne_bytes());
        out.extend_from_slice(&[self.protocol, 0]);
        emit_mark(out, self.mark);
    }
}

/// Id of a policy: `xfrm_userpolicy_id`, which names it by its index or by its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyId {
    /// The policy's selector; used only if the index is 0.
    pub selector: RawSelector,
    /// The policy's index; 0 to name it by its selector.
    pub index: u32,
    /// Direction: 0 in, 1 out, 2 forward.
    pub direction: u8,
    /// Mark and mask; zeros if there is no mark.
    pub mark: (u32, u32),
    /// Interface id; 0 if there is none.
    pub if_id: u32,
}

impl PolicyId {
    /// Length of `xfrm_userpolicy_id` in bytes.
    const LEN: usize = 64;

    /// Writes the payload of a lookup or deletion of this policy.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.selector.emit(out);
        out.extend_from_slice(&self.index.to_ne_bytes());
        out.extend_from_slice(&[self.direction, 0, 0, 0]);
        emit_mark(out, self.mark);
        if self.if_id != 0 {
            emit_attribute(out, XFRMA_IF_ID, |out| out.extend_from_slice(&self.if_id.to_ne_bytes()));
        }
    }

    /// Returns the id of a policy, by its selector.
    pub fn of(policy: &Policy<'_>) -> PolicyId {
        PolicyId {
            selector: policy.selector,
            index: 0,
            direction: policy.direction.number(),
            mark: policy.mark.unwrap_or((0, 0)),
            if_id: policy.if_id.unwrap_or(0),
        }
    }

    /// Parses what [`PolicyId::emit`] wrote.
    ///
    /// # Errors
    /// Returns a [`WireError`], with the offset in the buffer, if the payload is malformed.
    pub fn parse(message: &Message<'_>) -> Result<PolicyId, WireError> {
        let (id, _) = structure::<{ PolicyId::LEN }>(message, "xfrm_userpolicy_id")?;
        let if_id = number(message, PolicyId::LEN, XFRMA_IF_ID)?;
        Ok(PolicyId {
            selector: RawSelector::parse(id),
            index: id.u32(56),
            direction: id.u8(60),
            mark: mark(message, PolicyId::LEN)?,
            if_id,
        })
    }
}

/// An event of the kernel about its states and policies.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A state was added or changed.
    State(Box<State<'a>>),
    /// A state was deleted, with its last counters if the kernel sent them.
    StateGone(SaId, Option<Last>),
    /// A state reached a soft limit, or a hard limit and was deleted.
    StateExpired {
        /// Id of the state.
        id: SaId,
        /// Sequence number of the acquire; it identifies an acquire that timed out.
        sequence: u32,
        /// Whether a hard limit was reached and the state deleted.
        hard: bool,
        /// Counters at that moment.
        last: Last,
    },
    /// All states of an IP protocol were deleted; 0 stands for every protocol.
    StatesFlushed(u8),
    /// A policy was added or changed.
    Policy(Box<Policy<'a>>),
    /// The policy with this index was deleted.
    PolicyGone(u32),
    /// All policies were deleted.
    PoliciesFlushed,
    /// The kernel requests an SA for traffic that a policy protects.
    Acquire(Box<Acquire<'a>>),
    /// States and policies were moved to other addresses.
    Migrated(Vec<Move>),
    /// New counters of a state.
    Counted(SaId, Last),
    /// Any other event; it changes nothing.
    Other,
}

/// Counters of a state at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Bytes processed.
    pub bytes: u64,
    /// Packets processed.
    pub packets: u64,
    /// Time of last use, in seconds since 1970; 0 if unknown.
    pub last_used: u64,
    /// Dropped packets: outside the replay window, replayed, failed integrity check. None if unknown.
    pub drops: Option<[u32; 3]>,
}

/// An acquire: the kernel's request for an SA (`xfrm_user_acquire`).
///
/// ```text
///   0 destination 16, SPI 4, protocol, pad 4 │ 24 source 16 │ 40 selector 56 │ 96 policy 168 │
/// 264 algorithms 12 │ 276 sequence
/// ```
#[derive(Clone, Debug)]
pub struct Acquire<'a> {
    /// The larval state: addresses, protocol, selector, sequence number, reqid, mode, mark and interface
    /// id.
    pub state: State<'a>,
    /// Index of the policy that needs the SA.
    pub policy: u32,
}

/// A move of states from one pair of addresses to another (`xfrm_user_migrate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Source and destination before the move.
    pub from: (IpAddr, IpAddr),
    /// Source and destination after the move.
    pub to: (IpAddr, IpAddr),
    /// IP protocol number.
    pub protocol: u8,
    /// Mode (`XFRM_MODE_*`).
    pub mode: u8,
    /// The reqid, which ties states to policies; 0 for any.
    pub reqid: u32,
}

impl<'a> Event<'a> {
    /// Parses an event.
    ///
    /// # Errors
    /// Returns a [`WireError`], with the offset in the buffer, if the message is malformed.
    pub fn parse(message: &Message<'a>) -> Result<Event<'a>, WireError> {
        Ok(match message.kind {
            MessageKind::NewSa | MessageKind::UpdSa => Event::State(Box::new(State::parse(message)?)),
            MessageKind::DelSa => Event::StateGone(SaId::parse(message)?, last_of_deleted(message)?),
            MessageKind::Expire => expired(message)?,
            MessageKind::FlushSa => {
                let protocol = message.payload.first().copied().unwrap_or(0);
                Event::StatesFlushed(if protocol == 255 { 0 } else { protocol })
            }
            MessageKind::NewPolicy | MessageKind::UpdPolicy => {
                Event::Policy(Box::new(Policy::parse(message)?))
            }
            MessageKind::DelPolicy => match whole_policy(message)? {
                Some(index) => Event::PolicyGone(index),
                None => Event::Other,
            },
            MessageKind::PolicyExpire => {
                let (_, hard) = structure::<POLICY_LEN>(message, "xfrm_user_polexpire")?;
                let payload = message.payload.get(..POLICY_LEN).unwrap_or_default();
                match hard.first() {
                    Some(1..) => Event::PolicyGone(Policy::parse(&Message { payload, ..*message })?.index),
                    _ => Event::Other,
                }
            }
            MessageKind::FlushPolicy => Event::PoliciesFlushed,
            MessageKind::Acquire => Event::Acquire(Box::new(Acquire::parse(message)?)),
            MessageKind::Migrate => Event::Migrated(moves(message)?),
            MessageKind::NewAe => counted(message)?,
            _ => Event::Other,
        })
    }
}

impl Last {
    /// Returns the counters of a state.
    pub fn of(state: &State<'_>) -> Last {
        Last {
            bytes: state.bytes,
            packets: state.packets,
            last_used: state.last_used.unwrap_or(0),
            drops: Some([state.replay_window_drops, state.replay_drops, state.integrity_failures]),
        }
    }
}

impl<'a> Acquire<'a> {
    fn parse(message: &Message<'a>) -> Result<Acquire<'a>, WireError> {
        const LEN: usize = 280;
        let (fixed, _) = structure::<LEN>(message, "xfrm_user_acquire")?;
        let inner = |at: usize, length: usize| Message {
            payload: message.payload.get(at..at + length).unwrap_or_default(),
            ..*message
        };
        let policy = Policy::parse(&inner(96, POLICY_LEN))?;
        let selector =
            RawSelector::of(message.payload.get(40..).unwrap_or_default()).unwrap_or(RawSelector::ANY);
        selector.check().map_err(|problem| message.error(80, problem))?;
        let mut template: Option<PolicyTemplate> = None;
        for attribute in Attributes::new(message.payload, LEN) {
            let (kind, bytes, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
            if kind == XFRMA_TMPL {
                let templates = Templates::parse(bytes).map_err(|problem| message.error(at, problem))?;
                let protocol = fixed.u8(20);
                template = templates.iter().find(|template| template.protocol == protocol);
            }
        }
        // The addresses are of the template's family; in tunnel mode the selector's may differ.
        let family = match &template {
            Some(template) if template.destination.is_ipv6() => super::bytes::AF_INET6,
            Some(_) => super::bytes::AF_INET,
            None => selector.family,
        };
        let destination = address(message, fixed.address(0), family, 80)?;
        let source = address(message, fixed.address(24), family, 80)?;
        let mark = mark(message, LEN)?;
        let if_id = number(message, LEN, XFRMA_IF_ID)?;
        let state = State {
            selector,
            sequence: fixed.u32(276),
            reqid: template.map_or(0, |template| template.reqid),
            mode: template.map_or(0, |template| template.mode),
            mark: (mark != (0, 0)).then_some(mark),
            if_id: (if_id != 0).then_some(if_id),
            ..State::new(source, destination, fixed.u8(20), fixed.be32(16))
        };
        Ok(Acquire { state, policy: policy.index })
    }
}

fn expired<'a>(message: &Message<'a>) -> Result<Event<'a>, WireError> {
    let (_, rest) = structure::<STATE_LEN>(message, "xfrm_user_expire")?;
    let hard = rest.first().copied().unwrap_or(0) != 0;
    let payload = message.payload.get(..STATE_LEN).unwrap_or_default();
    let state = State::parse(&Message { payload, ..*message })?;
    // Attributes follow `xfrm_user_expire`, which is 232 bytes.
    let mark = mark(message, STATE_LEN + 8)?;
    let id = SaId { destination: state.destination, spi: state.spi, protocol: state.protocol, mark };
    Ok(Event::StateExpired { id, sequence: state.sequence, hard, last: Last::of(&state) })
}

/// Returns the last counters of a deleted state, from `XFRMA_SA`.
fn last_of_deleted(message: &Message<'_>) -> Result<Option<Last>, WireError> {
    let (mut last, mut last_used) = (None, 0);
    for attribute in Attributes::new(message.payload, SaId::LEN) {
        let (kind, payload, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        match kind {
            XFRMA_SA => {
                let offset = message.offset + at;
                last = Some(Last::of(&State::parse(&Message { payload, offset, ..*message })?));
            }
            XFRMA_LASTUSED => last_used = Fixed::<8>::split(payload).map_or(0, |(fixed, _)| fixed.u64(0)),
            _ => {}
        }
    }
    Ok(last.map(|last| Last { last_used, ..last }))
}

/// Returns the index of a deleted policy, which the event contains in `XFRMA_POLICY`.
fn whole_policy(message: &Message<'_>) -> Result<Option<u32>, WireError> {
    for attribute in Attributes::new(message.payload, PolicyId::LEN) {
        let (kind, payload, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        if kind == XFRMA_POLICY {
            let offset = message.offset + at;
            return Ok(Some(Policy::parse(&Message { payload, offset, ..*message })?.index));
        }
    }
    Ok(None)
}

/// Parses `xfrm_userpolicy_id`, followed by an array of `xfrm_user_migrate`.
///
/// ```text
///   0 old destination 16 │ 16 old source 16 │ 32 new destination 16 │ 48 new source 16 │
///  64 protocol, mode, pad 2 │ 68 reqid │ 72 old family │ 74 new family
/// ```
fn moves(message: &Message<'_>) -> Result<Vec<Move>, WireError> {
    const LEN: usize = 76;
    let mut moves = Vec::new();
    for attribute in Attributes::new(message.payload, PolicyId::LEN) {
        let (kind, bytes, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        if kind != XFRMA_MIGRATE {
            continue;
        }
        // Newer kernels send each element of the array as an attribute of its own, also of this length.
        for (number, bytes) in bytes.as_chunks::<LEN>().0.iter().enumerate() {
            let Some((fixed, _)) = Fixed::<LEN>::split(bytes) else { continue };
            let at = at + number * LEN;
            let (old, new) = (fixed.u16(72), fixed.u16(74));
            moves.push(Move {
                from: (
                    address(message, fixed.address(16), old, at)?,
                    address(message, fixed.address(0), old, at)?,
                ),
                to: (
                    address(message, fixed.address(48), new, at)?,
                    address(message, fixed.address(32), new, at)?,
                ),
                protocol: fixed.u8(64),
                mode: fixed.u8(65),
                reqid: fixed.u32(68),
            });
        }
    }
    Ok(moves)
}

/// Parses `xfrm_aevent_id` (the state's id 24, source 16, flags 4, reqid 4) and the counters after it.
fn counted<'a>(message: &Message<'a>) -> Result<Event<'a>, WireError> {
    const LEN: usize = 48;
    let (fixed, _) = structure::<LEN>(message, "xfrm_aevent_id")?;
    let destination = address(message, fixed.address(0), fixed.u16(20), 20)?;
    let id = SaId { destination, spi: fixed.be32(16), protocol: fixed.u8(22), mark: mark(message, LEN)? };
    for attribute in Attributes::new(message.payload, LEN) {
        let (kind, bytes, _) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        if kind == XFRMA_LTIME_VAL
            && let Some((fixed, _)) = Fixed::<16>::split(bytes)
        {
            let last = Last { bytes: fixed.u64(0), packets: fixed.u64(8), last_used: 0, drops: None };
            return Ok(Event::Counted(id, last));
        }
    }
    Ok(Event::Other)
}

fn structure<'a, const N: usize>(
    message: &Message<'a>,
    structure: &'static str,
) -> Result<(Fixed<'a, N>, &'a [u8]), WireError> {
    let cut = Problem::CutStructure { structure, needed: N, found: message.payload.len() };
    Fixed::split(message.payload).ok_or_else(|| message.error(0, cut))
}

fn address(message: &Message<'_>, bytes: [u8; 16], family: u16, at: usize) -> Result<IpAddr, WireError> {
    ip(bytes, family).ok_or_else(|| message.error(at, Problem::Family(family)))
}

fn mark(message: &Message<'_>, start: usize) -> Result<(u32, u32), WireError> {
    let found = find(message, start, XFRMA_MARK)?.and_then(Fixed::<8>::split);
    Ok(found.map_or((0, 0), |(fixed, _)| (fixed.u32(0), fixed.u32(4))))
}

fn number(message: &Message<'_>, start: usize, kind: u16) -> Result<u32, WireError> {
    let found = find(message, start, kind)?.and_then(Fixed::<4>::split);
    Ok(found.map_or(0, |(fixed, _)| fixed.u32(0)))
}

fn find<'a>(message: &Message<'a>, start: usize, wanted: u16) -> Result<Option<&'a [u8]>, WireError> {
    for attribute in Attributes::new(message.payload, start) {
        let (kind, bytes, _) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        if kind == wanted {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn emit_mark(out: &mut Vec<u8>, mark: (u32, u32)) {
    if mark != (0, 0) {
        emit_attribute(out, XFRMA_MARK, |out| {
            out.extend_from_slice(&mark.0.to_ne_bytes());
            out.extend_from_slice(&mark.1.to_ne_bytes());
        });
    }
}
