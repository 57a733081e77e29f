//! The tables of states and policies, as messages fill and change them.
//!
//! Each message is read whole once, so that what is wrong is found here, and then kept as a record of the
//! few fields that pairing looks at with a reference to its bytes.

use crate::map;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Policy;
use crate::wire::PolicyDirection;
use crate::wire::PolicyTemplate;
use crate::wire::Problem;
use crate::wire::RawSelector;
use crate::wire::State;
use crate::wire::Templates;
use crate::wire::WireError;
use openwfp_api::Direction;
use openwfp_api::Protocol;
use std::collections::HashMap;
use std::net::IpAddr;

/// All states and policies of a kernel at one moment.
#[derive(Debug, Default)]
pub struct Tables<'a> {
    pub(crate) states: Vec<StateRecord<'a>>,
    pub(crate) policies: Vec<PolicyRecord<'a>>,
}

/// What pairing looks at in a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateRecord<'a> {
    payload: &'a [u8],
    pub(crate) destination: IpAddr,
    pub(crate) source: IpAddr,
    pub(crate) spi: u32,
    pub(crate) protocol: Protocol,
    pub(crate) mode: u8,
    pub(crate) reqid: u32,
    pub(crate) if_id: u32,
    pub(crate) mark: (u32, u32),
    pub(crate) added: u64,
    sequence: u32,
    pub(crate) larval: bool,
    /// What the kernel itself says.
    pub(crate) direction: Option<Direction>,
}

/// What pairing looks at in a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyRecord<'a> {
    payload: &'a [u8],
    templates: Templates<'a>,
    pub(crate) index: u32,
    if_id: u32,
    mark: (u32, u32),
    pub(crate) direction: Direction,
}

/// Which state a message means: destination, protocol, SPI, mark, and of an acquire, which has no SPI yet, its
/// sequence number. One destination and protocol can have an SPI once for each mark.
pub(crate) type StateIdentity = (IpAddr, u8, u32, (u32, u32), u32);

/// The part of a state's identity that only acquires have.
fn acquire_sequence(spi: u32, sequence: u32) -> u32 {
    if spi == 0 { sequence } else { 0 }
}

impl<'a> Tables<'a> {
    /// Adds the messages of a whole dump of states, up to its end mark.
    ///
    /// # Errors
    /// What is wrong with the bytes; a dump without its end mark is not whole.
    pub fn add_state_dump(
        &mut self,
        messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
    ) -> Dumped {
        self.add_dump(messages, MessageKind::NewSa, Tables::add_state)
    }

    /// Adds the messages of a whole dump of policies, up to its end mark.
    ///
    /// # Errors
    /// What is wrong with the bytes; a dump without its end mark is not whole.
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

    /// Adds one state. States that are no IPsec SAs (Mobile IPv6, the kernel's own IPIP tunnels beneath
    /// IPCOMP) have no place in the table and are passed over.
    fn add_state(&mut self, message: &Message<'a>) -> Result<(), WireError> {
        let state = State::parse(message)?;
        let protocol = match state.protocol {
            50 => Protocol::Esp,
            51 => Protocol::Ah,
            108 => Protocol::Ipcomp,
            _ => return Ok(()),
        };
        self.states.push(StateRecord {
            payload: message.payload,
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
            larval: map::is_larval(&state),
            direction: match state.direction {
                Some(1) => Some(Direction::Inbound),
                Some(2) => Some(Direction::Outbound),
                _ => None,
            },
        });
        Ok(())
    }

    /// Adds one policy; those of sockets name no SA and are passed over.
    fn add_policy(&mut self, message: &Message<'a>) -> Result<(), WireError> {
        let policy = Policy::parse(message)?;
        let direction = match policy.direction {
            PolicyDirection::In | PolicyDirection::Forward => Direction::Inbound,
            PolicyDirection::Out => Direction::Outbound,
            PolicyDirection::Other(_) => return Ok(()),
        };
        if policy.templates.iter().next().is_some() {
            self.policies.push(PolicyRecord {
                payload: message.payload,
                templates: policy.templates,
                index: policy.index,
                if_id: policy.if_id.unwrap_or(0),
                mark: policy.mark.unwrap_or((0, 0)),
                direction,
            });
        }
        Ok(())
    }

    /// Takes over the policies of other tables.
    pub(crate) fn take_policies(&mut self, other: Tables<'a>) {
        self.policies = other.policies;
    }

    /// Applies what changed while the tables were dumped, in the order in which it happened.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn apply_events(&mut self, events: &[Message<'a>]) -> Result<(), WireError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut states = Places::new(self.states.iter().map(StateRecord::identity));
        let mut policies = Places::new(self.policies.iter().map(|record| record.index));
        for event in events {
            match event.kind {
                MessageKind::NewSa | MessageKind::UpdSa => {
                    self.add_state(event)?;
                    states.extend(self.states[states.len()..].iter().map(StateRecord::identity));
                }
                MessageKind::DelSa | MessageKind::Expire => {
                    if let Some(identity) = removed_state(event)? {
                        states.remove(&identity);
                    }
                }
                MessageKind::FlushSa => {
                    let protocol = event.payload.first().copied().unwrap_or(0);
                    let every = matches!(protocol, 0 | 255);
                    states.remove_all(|(_, of, ..)| every || *of == protocol);
                }
                MessageKind::NewPolicy | MessageKind::UpdPolicy => {
                    policies.remove(&Policy::parse(event)?.index);
                    self.add_policy(event)?;
                    policies.extend(self.policies[policies.len()..].iter().map(|record| record.index));
                }
                MessageKind::DelPolicy => {
                    if let Some(index) = removed_policy(event)? {
                        policies.remove(&index);
                    }
                }
                MessageKind::FlushPolicy => policies.remove_all(|_| true),
                _ => {}
            }
        }
        states.sweep(&mut self.states);
        policies.sweep(&mut self.policies);
        Ok(())
    }
}

/// Where in a vector the record of each key stands, and which records are gone.
struct Places<K> {
    at: HashMap<K, usize>,
    gone: Vec<bool>,
}

impl<K: std::hash::Hash + Eq> Places<K> {
    fn new(keys: impl Iterator<Item = K>) -> Places<K> {
        let mut places = Places { at: HashMap::new(), gone: Vec::new() };
        places.extend(keys);
        places
    }

    /// How many records it knows.
    fn len(&self) -> usize {
        self.gone.len()
    }

    /// Takes note of the next records; an older one of the same key is gone.
    fn extend(&mut self, keys: impl Iterator<Item = K>) {
        for key in keys {
            if let Some(old) = self.at.insert(key, self.gone.len()) {
                self.gone[old] = true;
            }
            self.gone.push(false);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(old) = self.at.remove(key) {
            self.gone[old] = true;
        }
    }

    fn remove_all(&mut self, condition: impl Fn(&K) -> bool) {
        self.at.retain(|key, index| {
            self.gone[*index] |= condition(key);
            !self.gone[*index]
        });
    }

    fn sweep<T>(self, records: &mut Vec<T>) {
        let mut gone = self.gone.into_iter();
        records.retain(|_| !gone.next().unwrap_or(false));
    }
}

/// Whether the kernel said that what it dumped changed meanwhile, or why the bytes are no dump.
pub type Dumped = Result<bool, WireError>;

impl<'a> StateRecord<'a> {
    /// All of the state; always there, since it was parsed once.
    pub(crate) fn state(&self) -> Option<State<'a>> {
        let kind = MessageKind::NewSa;
        let message = Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload: self.payload };
        State::parse(&message).ok()
    }

    /// Which state it is: a dump may return one twice, and events name one.
    pub(crate) fn identity(&self) -> StateIdentity {
        let sequence = acquire_sequence(self.spi, self.sequence);
        (self.destination, self.protocol.number(), self.spi, self.mark, sequence)
    }

    /// Whether the template asks for this state, the policy having this interface id.
    pub(crate) fn is_wanted_by(&self, template: &PolicyTemplate, policy: &PolicyRecord<'_>) -> bool {
        let addresses = if template.is_wildcard() {
            policy.selects(self.source, self.destination)
        } else {
            template.source == self.source && template.destination == self.destination
        };
        let mark = policy.mark.0 & policy.mark.1;
        let mark_agrees = policy.direction == Direction::Inbound || mark & self.mark.1 == self.mark.0;
        // A nonzero reqid says it all: the SPI in a policy is only the newest generation's.
        let spi_agrees = template.spi == 0 || template.spi == self.spi || self.reqid != 0;
        addresses
            && spi_agrees
            && mark_agrees
            && template.protocol == self.protocol.number()
            && template.reqid == self.reqid
            && policy.if_id == self.if_id
    }
}

impl<'a> PolicyRecord<'a> {
    /// The packets that the policy is for; always there, since the policy was parsed once.
    pub(crate) fn selector(&self) -> Option<RawSelector> {
        RawSelector::of(self.payload)
    }

    /// What is to be done to the packets.
    pub(crate) fn templates(&self) -> Templates<'a> {
        self.templates
    }

    /// Whether the policy's selector holds packets between these two addresses.
    fn selects(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.selector()
            .and_then(|selector| selector.networks())
            .is_some_and(|(from, to)| from.contains(&source) && to.contains(&destination))
    }
}

/// Which state an event says is gone: `xfrm_usersa_id` of a deletion, or `xfrm_user_expire` with its
/// hard flag set.
fn removed_state(event: &Message<'_>) -> Result<Option<StateIdentity>, WireError> {
    /// Where `xfrm_user_expire` has its flag `hard`: after `xfrm_usersa_info`.
    const HARD: usize = 224;
    if event.kind == MessageKind::Expire {
        if event.payload.get(HARD).copied().unwrap_or(0) == 0 {
            return Ok(None);
        }
        let state =
            State::parse(&Message { payload: event.payload.get(..HARD).unwrap_or_default(), ..*event })?;
        // The mark, if any, is an attribute behind the structure of 232 bytes.
        let mark = mark_attribute(event, HARD + 8);
        let sequence = acquire_sequence(state.spi, state.sequence);
        return Ok(Some((state.destination, state.protocol, state.spi, mark, sequence)));
    }
    // xfrm_usersa_id: destination 16, SPI 4, family 2, protocol 1, pad 1.
    let Some(id) = event.payload.first_chunk::<24>() else {
        let problem =
            Problem::CutStructure { structure: "xfrm_usersa_id", needed: 24, found: event.payload.len() };
        return Err(WireError { offset: event.offset, problem });
    };
    let destination = match u16::from_ne_bytes([id[20], id[21]]) {
        2 => IpAddr::from([id[0], id[1], id[2], id[3]]),
        10 => IpAddr::from(*id.first_chunk::<16>().unwrap_or(&[0; 16])),
        family => return Err(WireError { offset: event.offset, problem: Problem::Family(family) }),
    };
    let spi = u32::from_be_bytes([id[16], id[17], id[18], id[19]]);
    // An acquire has no SPI by which it could be deleted.
    Ok(Some((destination, id[22], spi, mark_attribute(event, 24), 0)))
}

fn mark_attribute(event: &Message<'_>, start: usize) -> (u32, u32) {
    const XFRMA_MARK: u16 = 21;
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    crate::wire::Attributes::new(event.payload, start)
        .flatten()
        .find(|(kind, _, _)| *kind == XFRMA_MARK)
        .map_or((0, 0), |(_, bytes, _)| (number(bytes), number(bytes.get(4..).unwrap_or_default())))
}

/// The index of the policy that an event says is gone: it comes whole in `XFRMA_POLICY`, after
/// `xfrm_userpolicy_id` of 64 bytes.
fn removed_policy(event: &Message<'_>) -> Result<Option<u32>, WireError> {
    const XFRMA_POLICY: u16 = 7;
    const ID_LEN: usize = 64;
    for attribute in crate::wire::Attributes::new(event.payload, ID_LEN) {
        let (kind, payload, _) = attribute.map_err(|(at, problem)| event.error(at, problem))?;
        if kind == XFRMA_POLICY {
            return Ok(Some(Policy::parse(&Message { payload, ..*event })?.index));
        }
    }
    Ok(None)
}
