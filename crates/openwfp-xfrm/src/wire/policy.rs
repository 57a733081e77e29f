//! Policies (`XFRM_MSG_NEWPOLICY`): `xfrm_userpolicy_info` and the attributes that matter to SAs.

use super::bytes::Fixed;
use super::bytes::Problem;
use super::bytes::WireError;
use super::bytes::emit_attribute;
use super::bytes::ip;
use super::message::Attributes;
use super::message::Message;
use super::state::Limits;
use super::state::RawSelector;
use super::state::emit_address;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Length of `xfrm_userpolicy_info`, which attributes follow.
///
/// ```text
///   0 selector 56 │ 56 limits 64 │ 120 bytes, packets, added, used 32 │
/// 152 priority │ 156 index │ 160 direction │ 161 action │ 162 flags │ 163 share, pad 4
/// ```
const INFO_LEN: usize = 168;
/// Length of `xfrm_user_tmpl`.
///
/// ```text
///   0 destination 16 │ 16 SPI │ 20 protocol, pad 3 │ 24 family, pad 2 │ 28 source 16 │
///  44 reqid │ 48 mode │ 49 share │ 50 optional, pad 1 │ 52 auth, cipher, compression 12
/// ```
const TEMPLATE_LEN: usize = 64;

const XFRMA_TMPL: u16 = 5;
const XFRMA_MARK: u16 = 21;
const XFRMA_IF_ID: u16 = 31;

/// A policy in the kernel's form, borrowing from the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy<'a> {
    /// Selects the packets that the policy applies to.
    pub selector: RawSelector,
    /// Lifetime limits.
    pub limits: Limits,
    /// Bytes, packets, time of addition, time of first use. The kernel maintains only the times.
    pub current: [u64; 4],
    /// Priority; the kernel tries lower numbers first.
    pub priority: u32,
    /// Index, unique in the network namespace.
    pub index: u32,
    /// Direction of the packets.
    pub direction: PolicyDirection,
    /// Action: 0 allow, 1 block.
    pub action: u8,
    /// `XFRM_POLICY_*` flags.
    pub flags: u8,
    /// Sharing of SAs (`XFRM_SHARE_*`).
    pub share: u8,
    /// Transformations to apply to the packets, in order.
    pub templates: Templates<'a>,
    /// Mark and mask that packets must match.
    pub mark: Option<(u32, u32)>,
    /// Interface id.
    pub if_id: Option<u32>,
    /// Unknown attributes (type and payload), in order.
    pub unknown: Vec<(u16, &'a [u8])>,
}

/// The templates of a policy, in order (`XFRMA_TMPL`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Templates<'a>(&'a [u8]);

/// The direction of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyDirection {
    /// 0: packets to this machine.
    In,
    /// 1: packets from this machine.
    Out,
    /// 2: forwarded packets.
    Forward,
    /// A socket's policy (3 in, 4 out) or an unknown direction.
    Other(u8),
}

/// One transformation that a policy requires (`xfrm_user_tmpl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyTemplate {
    /// Destination of the SA (of the outer packet in a tunnel); unspecified for the packet's own.
    pub destination: IpAddr,
    /// Source of the SA (of the outer packet in a tunnel); unspecified for the packet's own.
    pub source: IpAddr,
    /// SPI, in host order; 0 for any.
    pub spi: u32,
    /// IP protocol number of the SA.
    pub protocol: u8,
    /// The reqid, which ties the policy to states.
    pub reqid: u32,
    /// Mode (`XFRM_MODE_*`).
    pub mode: u8,
    /// Whether the transformation is left out while there is no SA (`level use`).
    pub optional: bool,
}

impl PolicyDirection {
    pub(crate) fn number(self) -> u8 {
        match self {
            PolicyDirection::In => 0,
            PolicyDirection::Out => 1,
            PolicyDirection::Forward => 2,
            PolicyDirection::Other(number) => number,
        }
    }
}

impl<'a> Policy<'a> {
    /// Creates a policy that allows the selected packets, without limits, mark or interface id.
    pub fn new(
        selector: RawSelector,
        direction: PolicyDirection,
        index: u32,
        templates: Templates<'a>,
    ) -> Policy<'a> {
        Policy {
            selector,
            limits: Limits::NONE,
            current: [0; 4],
            priority: 0,
            index,
            direction,
            action: 0,
            flags: 0,
            share: 0,
            templates,
            mark: None,
            if_id: None,
            unknown: Vec::new(),
        }
    }

    /// Parses a message whose payload starts with `xfrm_userpolicy_info`.
    ///
    /// # Errors
    /// Returns a [`WireError`], with the offset in the buffer, if the message is malformed.
    pub fn parse(message: &Message<'a>) -> Result<Policy<'a>, WireError> {
        let found = message.payload.len();
        let cut = Problem::CutStructure { structure: "xfrm_userpolicy_info", needed: INFO_LEN, found };
        let (info, _) = Fixed::<INFO_LEN>::split(message.payload).ok_or_else(|| message.error(0, cut))?;
        let selector = RawSelector::parse(info);
        selector.check().map_err(|problem| message.error(40, problem))?;
        let direction = match info.u8(160) {
            0 => PolicyDirection::In,
            1 => PolicyDirection::Out,
            2 => PolicyDirection::Forward,
            other => PolicyDirection::Other(other),
        };
        let mut policy = Policy {
            limits: Limits::parse(info, RawSelector::LEN),
            current: [info.u64(120), info.u64(128), info.u64(136), info.u64(144)],
            priority: info.u32(152),
            action: info.u8(161),
            flags: info.u8(162),
            share: info.u8(163),
            ..Policy::new(selector, direction, info.u32(156), Templates::default())
        };
        for attribute in Attributes::new(message.payload, INFO_LEN) {
            let (kind, bytes, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
            policy.take_attribute(kind, bytes).map_err(|problem| message.error(at, problem))?;
        }
        Ok(policy)
    }

    /// Parses a payload that was parsed successfully before; returns none otherwise.
    pub(crate) fn of(payload: &'a [u8]) -> Option<Policy<'a>> {
        let kind = super::message::MessageKind::NewPolicy;
        Policy::parse(&Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }).ok()
    }

    fn take_attribute(&mut self, kind: u16, bytes: &'a [u8]) -> Result<(), Problem> {
        let cut = |attribute, needed| Problem::CutAttribute { attribute, needed, found: bytes.len() };
        match kind {
            XFRMA_TMPL => {
                self.templates = Templates::parse(bytes)?;
            }
            XFRMA_MARK => {
                let (fixed, _) = Fixed::<8>::split(bytes).ok_or_else(|| cut("XFRMA_MARK", 8))?;
                self.mark = Some((fixed.u32(0), fixed.u32(4)));
            }
            XFRMA_IF_ID => {
                let (fixed, _) = Fixed::<4>::split(bytes).ok_or_else(|| cut("XFRMA_IF_ID", 4))?;
                self.if_id = Some(fixed.u32(0));
            }
            _ => self.unknown.push((kind, bytes)),
        }
        Ok(())
    }

    /// Writes the payload of a message: the fixed structure, then the attributes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.selector.emit(out);
        self.limits.emit(out);
        out.extend(self.current.iter().flat_map(|number| number.to_ne_bytes()));
        out.extend_from_slice(&self.priority.to_ne_bytes());
        out.extend_from_slice(&self.index.to_ne_bytes());
        out.extend_from_slice(&[self.direction.number(), self.action, self.flags, self.share, 0, 0, 0, 0]);
        if !self.templates.0.is_empty() {
            emit_attribute(out, XFRMA_TMPL, |out| out.extend_from_slice(self.templates.0));
        }
        for (kind, bytes) in &self.unknown {
            emit_attribute(out, *kind, |out| out.extend_from_slice(bytes));
        }
        if let Some((value, mask)) = self.mark {
            emit_attribute(out, XFRMA_MARK, |out| {
                out.extend_from_slice(&value.to_ne_bytes());
                out.extend_from_slice(&mask.to_ne_bytes());
            });
        }
        if let Some(if_id) = self.if_id {
            emit_attribute(out, XFRMA_IF_ID, |out| out.extend_from_slice(&if_id.to_ne_bytes()));
        }
    }
}

impl<'a> Templates<'a> {
    /// Parses templates of 64 bytes each, as written by [`PolicyTemplate::emit`].
    ///
    /// # Errors
    /// [`Problem::CutAttribute`] if the last template is incomplete, [`Problem::Family`] if an address
    /// family is unknown.
    pub fn parse(bytes: &'a [u8]) -> Result<Templates<'a>, Problem> {
        let (templates, rest) = bytes.as_chunks::<TEMPLATE_LEN>();
        if !rest.is_empty() {
            let needed = (templates.len() + 1) * TEMPLATE_LEN;
            return Err(Problem::CutAttribute { attribute: "XFRMA_TMPL", needed, found: bytes.len() });
        }
        match templates.iter().find(|bytes| PolicyTemplate::parse(bytes).is_none()) {
            Some(bad) => Err(Problem::Family(u16::from_ne_bytes([bad[24], bad[25]]))),
            None => Ok(Templates(bytes)),
        }
    }

    /// Returns an iterator over the templates.
    pub fn iter(&self) -> impl Iterator<Item = PolicyTemplate> + use<'a> {
        self.0.as_chunks::<TEMPLATE_LEN>().0.iter().filter_map(PolicyTemplate::parse)
    }
}

impl PolicyTemplate {
    fn parse(bytes: &[u8; TEMPLATE_LEN]) -> Option<PolicyTemplate> {
        let (fixed, _) = Fixed::<TEMPLATE_LEN>::split(bytes)?;
        let family = fixed.u16(24);
        Some(PolicyTemplate {
            destination: ip(fixed.address(0), family)?,
            source: ip(fixed.address(28), family)?,
            spi: fixed.be32(16),
            protocol: fixed.u8(20),
            reqid: fixed.u32(44),
            mode: fixed.u8(48),
            optional: fixed.u8(50) != 0,
        })
    }

    /// Writes the template's 64 bytes; it allows all algorithms.
    pub fn emit(&self, out: &mut Vec<u8>) {
        emit_address(out, self.destination);
        out.extend_from_slice(&self.spi.to_be_bytes());
        out.extend_from_slice(&[self.protocol, 0, 0, 0]);
        let family = if self.destination.is_ipv4() { super::bytes::AF_INET } else { super::bytes::AF_INET6 };
        out.extend_from_slice(&family.to_ne_bytes());
        out.extend_from_slice(&[0; 2]);
        emit_address(out, self.source);
        out.extend_from_slice(&self.reqid.to_ne_bytes());
        out.extend_from_slice(&[self.mode, 0, self.optional.into(), 0]);
        out.extend_from_slice(&[0xFF; 12]);
    }

    /// Returns whether both addresses are unspecified and so stand for the packet's own.
    pub fn is_wildcard(&self) -> bool {
        let unspecified = |address| match address {
            IpAddr::V4(address) => address == Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(address) => address == Ipv6Addr::UNSPECIFIED,
        };
        unspecified(self.source) && unspecified(self.destination)
    }
}
