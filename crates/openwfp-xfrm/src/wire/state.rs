//! States (`XFRM_MSG_NEWSA`): `xfrm_usersa_info` and its attributes.

use super::bytes::AF_INET;
use super::bytes::AF_INET6;
use super::bytes::Fixed;
use super::bytes::Problem;
use super::bytes::WireError;
use super::bytes::emit_attribute;
use super::bytes::ip;
use super::message::Attributes;
use super::message::Message;
use std::net::IpAddr;

/// Length of `xfrm_usersa_info`, which attributes follow.
///
/// ```text
///   0 selector 56 │ 56 destination 16 │ 72 SPI │ 76 protocol, pad 3 │ 80 source 16 │
///  96 limits 64 │ 160 bytes, packets, added, used 32 │ 192 replay window, replay, integrity 12 │
/// 204 sequence │ 208 reqid │ 212 family │ 214 mode │ 215 replay window │ 216 flags, pad 7
/// ```
const INFO_LEN: usize = 224;

/// The value that means no limit in bytes or packets (`XFRM_INF`).
pub const LIMIT_INFINITE: u64 = u64::MAX;

mod attribute {
    pub(super) const ALG_AUTH: u16 = 1;
    pub(super) const ALG_CRYPT: u16 = 2;
    pub(super) const ALG_COMP: u16 = 3;
    pub(super) const ENCAP: u16 = 4;
    pub(super) const SEC_CTX: u16 = 8;
    pub(super) const REPLAY_VAL: u16 = 10;
    pub(super) const COADDR: u16 = 14;
    pub(super) const LASTUSED: u16 = 15;
    pub(super) const ALG_AEAD: u16 = 18;
    pub(super) const ALG_AUTH_TRUNC: u16 = 20;
    pub(super) const MARK: u16 = 21;
    pub(super) const TFCPAD: u16 = 22;
    pub(super) const REPLAY_ESN_VAL: u16 = 23;
    pub(super) const SA_EXTRA_FLAGS: u16 = 24;
    pub(super) const PAD: u16 = 27;
    pub(super) const OFFLOAD_DEV: u16 = 28;
    pub(super) const SET_MARK: u16 = 29;
    pub(super) const SET_MARK_MASK: u16 = 30;
    pub(super) const IF_ID: u16 = 31;
    pub(super) const SA_DIR: u16 = 33;
    pub(super) const NAT_KEEPALIVE_INTERVAL: u16 = 34;
    pub(super) const SA_PCPU: u16 = 35;
}

/// A state in the kernel's form, borrowing names and keys from the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// Destination address of its packets.
    pub destination: IpAddr,
    /// Source address of its packets.
    pub source: IpAddr,
    /// SPI, in host order; 0 for an acquire.
    pub spi: u32,
    /// IP protocol number: 50 ESP, 51 AH, 108 IPCOMP, and others.
    pub protocol: u8,
    /// Selects the packets that the state is restricted to.
    pub selector: RawSelector,
    /// Lifetime limits.
    pub limits: Limits,
    /// Bytes processed so far.
    pub bytes: u64,
    /// Packets processed so far.
    pub packets: u64,
    /// Time of addition, in seconds since 1970; 0 if never added.
    pub added: u64,
    /// Time of first use, in seconds since 1970; 0 if never used.
    pub first_used: u64,
    /// Packets dropped because they were outside the replay window.
    pub replay_window_drops: u32,
    /// Packets dropped because they were replayed.
    pub replay_drops: u32,
    /// Packets dropped because their integrity check failed.
    pub integrity_failures: u32,
    /// Sequence number of the acquire that requested the state.
    pub sequence: u32,
    /// The reqid, which ties the state to policies.
    pub reqid: u32,
    /// Mode (`XFRM_MODE_*`): 0 transport, 1 tunnel, 2 route optimisation, 3 trigger, 4 BEET, 5 IPTFS.
    pub mode: u8,
    /// Replay window in packets, at most 255; for ESN see [`State::replay_esn`].
    pub replay_window: u8,
    /// `XFRM_STATE_*` flags.
    pub flags: u8,
    /// Integrity algorithm with the kernel's default ICV length (`XFRMA_ALG_AUTH`).
    pub auth: Option<Algorithm<'a>>,
    /// Integrity algorithm with an explicit ICV length (`XFRMA_ALG_AUTH_TRUNC`).
    pub auth_truncated: Option<TruncatedAuth<'a>>,
    /// Encryption algorithm (`XFRMA_ALG_CRYPT`).
    pub crypt: Option<Algorithm<'a>>,
    /// Compression algorithm (`XFRMA_ALG_COMP`).
    pub comp: Option<Algorithm<'a>>,
    /// Combined-mode algorithm with its ICV length (`XFRMA_ALG_AEAD`).
    pub aead: Option<TruncatedAuth<'a>>,
    /// UDP or TCP encapsulation.
    pub encapsulation: Option<Encapsulation>,
    /// Security context: all bytes of `xfrm_sec_ctx`.
    pub security_context: Option<&'a [u8]>,
    /// Outbound and inbound sequence number and bitmap of a replay window without ESN.
    pub replay: Option<[u32; 3]>,
    /// Replay window with ESN or of more than 32 packets.
    pub replay_esn: Option<ReplayEsn<'a>>,
    /// Care-of address of Mobile IPv6, 16 bytes.
    pub care_of: Option<[u8; 16]>,
    /// Time of last use, in seconds since 1970.
    pub last_used: Option<u64>,
    /// Mark and mask that packets must match.
    pub mark: Option<(u32, u32)>,
    /// Mark that the state sets on packets.
    pub output_mark: Option<u32>,
    /// Mask of the mark that the state sets on packets.
    pub output_mark_mask: Option<u32>,
    /// Padding for traffic-flow confidentiality (`XFRMA_TFCPAD`).
    pub tfc_padding: Option<u32>,
    /// `XFRM_SA_XFLAG_*` flags.
    pub extra_flags: Option<u32>,
    /// Hardware offload.
    pub offload: Option<Offload>,
    /// Interface id.
    pub if_id: Option<u32>,
    /// Direction, if the kernel states it: 1 in, 2 out.
    pub direction: Option<u8>,
    /// Interval between NAT keepalives, in seconds.
    pub nat_keepalive_interval: Option<u32>,
    /// CPU that the state is bound to.
    pub cpu: Option<u32>,
    /// Unknown attributes (type and payload), in order.
    pub unknown: Vec<(u16, &'a [u8])>,
}

/// An algorithm with its key (`xfrm_algo`). Its `Debug` output does not show the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithm<'a> {
    /// The kernel's name, such as `cbc(aes)`.
    pub name: &'a str,
    /// Length of the key in bits.
    pub key_bits: u32,
    /// The key.
    pub key: &'a [u8],
}

/// An algorithm with its ICV length (`xfrm_algo_auth`, `xfrm_algo_aead`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedAuth<'a> {
    /// Name and key.
    pub algorithm: Algorithm<'a>,
    /// Length of the ICV (integrity check value), in bits.
    pub icv_bits: u32,
}

/// A selector with the kernel's fields (`xfrm_selector`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawSelector {
    /// Destination address; IPv4 uses the first 4 bytes.
    pub destination: [u8; 16],
    /// Source address; IPv4 uses the first 4 bytes.
    pub source: [u8; 16],
    /// Destination port and mask, in host order.
    pub destination_port: (u16, u16),
    /// Source port and mask, in host order.
    pub source_port: (u16, u16),
    /// Address family: 2 IPv4, 10 IPv6, 0 unspecified.
    pub family: u16,
    /// Prefix length of the destination, in bits.
    pub destination_prefix: u8,
    /// Prefix length of the source, in bits.
    pub source_prefix: u8,
    /// IP protocol number; 0 for any.
    pub protocol: u8,
    /// Interface index; 0 for any.
    pub interface: i32,
    /// User id; 0 for any.
    pub user: u32,
}

/// Lifetime limits of a state or policy (`xfrm_lifetime_cfg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Soft and hard limit in bytes; [`LIMIT_INFINITE`] if there is none.
    pub bytes: (u64, u64),
    /// Soft and hard limit in packets; [`LIMIT_INFINITE`] if there is none.
    pub packets: (u64, u64),
    /// Soft and hard limit in seconds since addition; 0 if there is none.
    pub add_seconds: (u64, u64),
    /// Soft and hard limit in seconds since first use; 0 if there is none.
    pub use_seconds: (u64, u64),
}

/// UDP or TCP encapsulation (`xfrm_encap_tmpl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    /// Type: 1 ESP in UDP of the early draft, 2 ESP in UDP, 7 ESP in TCP.
    pub kind: u16,
    /// Source port, in host order.
    pub source_port: u16,
    /// Destination port, in host order.
    pub destination_port: u16,
    /// Original address, 16 bytes.
    pub original: [u8; 16],
}

/// Replay window with 64-bit sequence numbers (`xfrm_replay_state_esn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayEsn<'a> {
    /// Outbound sequence number, 64 bits.
    pub outbound: u64,
    /// Inbound sequence number, 64 bits.
    pub inbound: u64,
    /// Size of the window in packets.
    pub window: u32,
    /// Bitmap of received packets, in words of 32 bits.
    pub bitmap: &'a [u8],
}

/// Hardware offload (`xfrm_user_offload`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Interface index.
    pub interface: u32,
    /// `XFRM_OFFLOAD_*` flags.
    pub flags: u8,
}

impl std::fmt::Debug for Algorithm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({} bits)", self.name, self.key_bits)
    }
}

impl RawSelector {
    /// Selects every packet of every family.
    pub const ANY: RawSelector = RawSelector {
        destination: [0; 16],
        source: [0; 16],
        destination_port: (0, 0),
        source_port: (0, 0),
        family: 0,
        destination_prefix: 0,
        source_prefix: 0,
        protocol: 0,
        interface: 0,
        user: 0,
    };
    /// Length of `xfrm_selector` in bytes.
    pub(super) const LEN: usize = 56;

    pub(super) fn parse<const N: usize>(info: Fixed<'_, N>) -> RawSelector {
        RawSelector {
            destination: info.address(0),
            source: info.address(16),
            destination_port: (info.be16(32), info.be16(34)),
            source_port: (info.be16(36), info.be16(38)),
            family: info.u16(40),
            destination_prefix: info.u8(42),
            source_prefix: info.u8(43),
            protocol: info.u8(44),
            interface: info.u32(48).cast_signed(),
            user: info.u32(52),
        }
    }

    /// Returns the selector at the start of a state's or policy's payload; none if the payload is too
    /// short.
    pub(crate) fn of(payload: &[u8]) -> Option<RawSelector> {
        Fixed::<{ RawSelector::LEN }>::split(payload).map(|(fixed, _)| RawSelector::parse(fixed))
    }

    /// Checks that the prefixes fit the address family; a selector without a family always passes.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let max = match self.family {
            0 => return Ok(()),
            AF_INET => 32,
            AF_INET6 => 128,
            other => return Err(Problem::Family(other)),
        };
        match self.destination_prefix.max(self.source_prefix) {
            longest if longest > max => Err(Problem::Prefix(longest)),
            _ => Ok(()),
        }
    }

    /// Returns source and destination as networks; none if there is no family or a prefix is too long.
    pub fn networks(&self) -> Option<(ipnet::IpNet, ipnet::IpNet)> {
        let source = ip(self.source, self.family)?;
        let destination = ip(self.destination, self.family)?;
        Some((
            ipnet::IpNet::new(source, self.source_prefix).ok()?.trunc(),
            ipnet::IpNet::new(destination, self.destination_prefix).ok()?.trunc(),
        ))
    }

    /// Returns whether the selector accepts all addresses, protocols and ports. Ignores interface and user.
    pub fn is_any(&self) -> bool {
        self.destination_prefix == 0
            && self.source_prefix == 0
            && self.protocol == 0
            && self.destination_port.1 == 0
            && self.source_port.1 == 0
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.destination);
        out.extend_from_slice(&self.source);
        for (port, mask) in [self.destination_port, self.source_port] {
            out.extend_from_slice(&port.to_be_bytes());
            out.extend_from_slice(&mask.to_be_bytes());
        }
        out.extend_from_slice(&self.family.to_ne_bytes());
        out.extend_from_slice(&[self.destination_prefix, self.source_prefix, self.protocol, 0, 0, 0]);
        out.extend_from_slice(&self.interface.to_ne_bytes());
        out.extend_from_slice(&self.user.to_ne_bytes());
    }
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits {
        bytes: (LIMIT_INFINITE, LIMIT_INFINITE),
        packets: (LIMIT_INFINITE, LIMIT_INFINITE),
        add_seconds: (0, 0),
        use_seconds: (0, 0),
    };

    pub(super) fn parse<const N: usize>(info: Fixed<'_, N>, at: usize) -> Limits {
        let pair = |n: usize| (info.u64(at + 16 * n), info.u64(at + 16 * n + 8));
        Limits { bytes: pair(0), packets: pair(1), add_seconds: pair(2), use_seconds: pair(3) }
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        for (soft, hard) in [self.bytes, self.packets, self.add_seconds, self.use_seconds] {
            out.extend_from_slice(&soft.to_ne_bytes());
            out.extend_from_slice(&hard.to_ne_bytes());
        }
    }
}

impl<'a> State<'a> {
    /// Creates a state in transport mode with defaults for everything else: no algorithms, no limits.
    pub fn new(source: IpAddr, destination: IpAddr, protocol: u8, spi: u32) -> State<'a> {
        State {
            destination,
            source,
            spi,
            protocol,
            selector: RawSelector::ANY,
            limits: Limits::NONE,
            bytes: 0,
            packets: 0,
            added: 0,
            first_used: 0,
            replay_window_drops: 0,
            replay_drops: 0,
            integrity_failures: 0,
            sequence: 0,
            reqid: 0,
            mode: 0,
            replay_window: 0,
            flags: 0,
            auth: None,
            auth_truncated: None,
            crypt: None,
            comp: None,
            aead: None,
            encapsulation: None,
            security_context: None,
            replay: None,
            replay_esn: None,
            care_of: None,
            last_used: None,
            mark: None,
            output_mark: None,
            output_mark_mask: None,
            tfc_padding: None,
            extra_flags: None,
            offload: None,
            if_id: None,
            direction: None,
            nat_keepalive_interval: None,
            cpu: None,
            unknown: Vec::new(),
        }
    }

    /// Parses a message whose payload starts with `xfrm_usersa_info`.
    ///
    /// # Errors
    /// Returns a [`WireError`], with the offset in the buffer, if the message is malformed.
    pub fn parse(message: &Message<'a>) -> Result<State<'a>, WireError> {
        let mut state = State::parse_info(message)?;
        for attribute in Attributes::new(message.payload, INFO_LEN) {
            let (kind, bytes, at) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
            state.take_attribute(kind, bytes).map_err(|problem| message.error(at, problem))?;
        }
        Ok(state)
    }

    /// Parses a payload that was parsed successfully before; returns none otherwise.
    pub(crate) fn of(payload: &'a [u8]) -> Option<State<'a>> {
        let kind = super::message::MessageKind::NewSa;
        State::parse(&Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }).ok()
    }

    fn parse_info(message: &Message<'a>) -> Result<State<'a>, WireError> {
        let found = message.payload.len();
        let cut = Problem::CutStructure { structure: "xfrm_usersa_info", needed: INFO_LEN, found };
        let (info, _) = Fixed::<INFO_LEN>::split(message.payload).ok_or_else(|| message.error(0, cut))?;
        let family = info.u16(212);
        let address =
            |at| ip(info.address(at), family).ok_or_else(|| message.error(212, Problem::Family(family)));
        let selector = RawSelector::parse(info);
        selector.check().map_err(|problem| message.error(40, problem))?;
        Ok(State {
            selector,
            limits: Limits::parse(info, 96),
            bytes: info.u64(160),
            packets: info.u64(168),
            added: info.u64(176),
            first_used: info.u64(184),
            replay_window_drops: info.u32(192),
            replay_drops: info.u32(196),
            integrity_failures: info.u32(200),
            sequence: info.u32(204),
            reqid: info.u32(208),
            mode: info.u8(214),
            replay_window: info.u8(215),
            flags: info.u8(216),
            ..State::new(address(80)?, address(56)?, info.u8(76), info.be32(72))
        })
    }

    fn take_attribute(&mut self, kind: u16, bytes: &'a [u8]) -> Result<(), Problem> {
        let number = |name| fixed::<4>(name, bytes).map(|fixed| Some(fixed.u32(0)));
        match kind {
            attribute::ALG_AUTH => self.auth = Some(algorithm("XFRMA_ALG_AUTH", bytes)?),
            attribute::ALG_CRYPT => self.crypt = Some(algorithm("XFRMA_ALG_CRYPT", bytes)?),
            attribute::ALG_COMP => self.comp = Some(algorithm("XFRMA_ALG_COMP", bytes)?),
            attribute::ALG_AUTH_TRUNC => {
                self.auth_truncated = Some(truncated("XFRMA_ALG_AUTH_TRUNC", bytes)?);
            }
            attribute::ALG_AEAD => self.aead = Some(truncated("XFRMA_ALG_AEAD", bytes)?),
            attribute::ENCAP => {
                let fixed = fixed::<24>("XFRMA_ENCAP", bytes)?;
                self.encapsulation = Some(Encapsulation {
                    kind: fixed.u16(0),
                    source_port: fixed.be16(2),
                    destination_port: fixed.be16(4),
                    original: fixed.address(8),
                });
            }
            attribute::SEC_CTX => {
                fixed::<8>("XFRMA_SEC_CTX", bytes)?;
                self.security_context = Some(bytes);
            }
            attribute::REPLAY_VAL => {
                let fixed = fixed::<12>("XFRMA_REPLAY_VAL", bytes)?;
                self.replay = Some([fixed.u32(0), fixed.u32(4), fixed.u32(8)]);
            }
            attribute::REPLAY_ESN_VAL => self.replay_esn = Some(ReplayEsn::parse(bytes)?),
            attribute::COADDR => self.care_of = Some(fixed::<16>("XFRMA_COADDR", bytes)?.address(0)),
            attribute::LASTUSED => self.last_used = Some(fixed::<8>("XFRMA_LASTUSED", bytes)?.u64(0)),
            attribute::MARK => {
                let fixed = fixed::<8>("XFRMA_MARK", bytes)?;
                self.mark = Some((fixed.u32(0), fixed.u32(4)));
            }
            attribute::TFCPAD => self.tfc_padding = number("XFRMA_TFCPAD")?,
            attribute::SA_EXTRA_FLAGS => self.extra_flags = number("XFRMA_SA_EXTRA_FLAGS")?,
            attribute::SET_MARK => self.output_mark = number("XFRMA_SET_MARK")?,
            attribute::SET_MARK_MASK => self.output_mark_mask = number("XFRMA_SET_MARK_MASK")?,
            attribute::IF_ID => self.if_id = number("XFRMA_IF_ID")?,
            attribute::NAT_KEEPALIVE_INTERVAL => {
                self.nat_keepalive_interval = number("XFRMA_NAT_KEEPALIVE_INTERVAL")?;
            }
            attribute::SA_PCPU => self.cpu = number("XFRMA_SA_PCPU")?,
            attribute::SA_DIR => self.direction = Some(fixed::<1>("XFRMA_SA_DIR", bytes)?.u8(0)),
            attribute::OFFLOAD_DEV => {
                let fixed = fixed::<8>("XFRMA_OFFLOAD_DEV", bytes)?;
                self.offload = Some(Offload { interface: fixed.u32(0), flags: fixed.u8(4) });
            }
            attribute::PAD => {}
            _ => self.unknown.push((kind, bytes)),
        }
        Ok(())
    }

    /// Writes the payload of a message: the fixed structure, then the attributes in the kernel's order.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.emit_info(out);
        let number = |out: &mut Vec<u8>, kind, value: Option<u32>| {
            if let Some(value) = value {
                emit_attribute(out, kind, |out| out.extend_from_slice(&value.to_ne_bytes()));
            }
        };
        number(out, attribute::SA_EXTRA_FLAGS, self.extra_flags);
        if let Some(address) = self.care_of {
            emit_attribute(out, attribute::COADDR, |out| out.extend_from_slice(&address));
        }
        if let Some(time) = self.last_used {
            emit_attribute(out, attribute::LASTUSED, |out| out.extend_from_slice(&time.to_ne_bytes()));
        }
        if let Some(aead) = &self.aead {
            emit_attribute(out, attribute::ALG_AEAD, |out| aead.emit(out));
        }
        if let Some(auth) = &self.auth {
            emit_attribute(out, attribute::ALG_AUTH, |out| auth.emit(out, None));
        }
        if let Some(auth) = &self.auth_truncated {
            emit_attribute(out, attribute::ALG_AUTH_TRUNC, |out| auth.emit(out));
        }
        if let Some(crypt) = &self.crypt {
            emit_attribute(out, attribute::ALG_CRYPT, |out| crypt.emit(out, None));
        }
        if let Some(comp) = &self.comp {
            emit_attribute(out, attribute::ALG_COMP, |out| comp.emit(out, None));
        }
        if let Some(encapsulation) = &self.encapsulation {
            emit_attribute(out, attribute::ENCAP, |out| encapsulation.emit(out));
        }
        number(out, attribute::TFCPAD, self.tfc_padding);
        if let Some((value, mask)) = self.mark {
            emit_attribute(out, attribute::MARK, |out| {
                out.extend_from_slice(&value.to_ne_bytes());
                out.extend_from_slice(&mask.to_ne_bytes());
            });
        }
        number(out, attribute::SET_MARK, self.output_mark);
        number(out, attribute::SET_MARK_MASK, self.output_mark_mask);
        if let Some(replay) = &self.replay_esn {
            emit_attribute(out, attribute::REPLAY_ESN_VAL, |out| replay.emit(out));
        }
        if let Some(numbers) = self.replay {
            emit_attribute(out, attribute::REPLAY_VAL, |out| {
                out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
            });
        }
        if let Some(offload) = &self.offload {
            emit_attribute(out, attribute::OFFLOAD_DEV, |out| {
                out.extend_from_slice(&offload.interface.to_ne_bytes());
                out.extend_from_slice(&[offload.flags, 0, 0, 0]);
            });
        }
        number(out, attribute::IF_ID, self.if_id);
        if let Some(context) = self.security_context {
            emit_attribute(out, attribute::SEC_CTX, |out| out.extend_from_slice(context));
        }
        number(out, attribute::SA_PCPU, self.cpu);
        if let Some(direction) = self.direction {
            emit_attribute(out, attribute::SA_DIR, |out| out.push(direction));
        }
        number(out, attribute::NAT_KEEPALIVE_INTERVAL, self.nat_keepalive_interval);
        for (kind, bytes) in &self.unknown {
            emit_attribute(out, *kind, |out| out.extend_from_slice(bytes));
        }
    }

    fn emit_info(&self, out: &mut Vec<u8>) {
        self.selector.emit(out);
        emit_address(out, self.destination);
        out.extend_from_slice(&self.spi.to_be_bytes());
        out.extend_from_slice(&[self.protocol, 0, 0, 0]);
        emit_address(out, self.source);
        self.limits.emit(out);
        for number in [self.bytes, self.packets, self.added, self.first_used] {
            out.extend_from_slice(&number.to_ne_bytes());
        }
        for number in
            [self.replay_window_drops, self.replay_drops, self.integrity_failures, self.sequence, self.reqid]
        {
            out.extend_from_slice(&number.to_ne_bytes());
        }
        let family = if self.destination.is_ipv4() { AF_INET } else { AF_INET6 };
        out.extend_from_slice(&family.to_ne_bytes());
        out.extend_from_slice(&[self.mode, self.replay_window, self.flags, 0, 0, 0, 0, 0, 0, 0]);
    }
}

impl<'a> ReplayEsn<'a> {
    fn parse(bytes: &'a [u8]) -> Result<ReplayEsn<'a>, Problem> {
        let fixed = fixed::<24>("XFRMA_REPLAY_ESN_VAL", bytes)?;
        let wide = |low: u32, high: u32| (u64::from(high) << 32) | u64::from(low);
        let words = usize::try_from(fixed.u32(0)).unwrap_or(usize::MAX);
        let needed = words.saturating_mul(4).saturating_add(24);
        let bitmap = bytes.get(24..needed).ok_or(Problem::CutAttribute {
            attribute: "XFRMA_REPLAY_ESN_VAL",
            needed,
            found: bytes.len(),
        })?;
        Ok(ReplayEsn {
            outbound: wide(fixed.u32(4), fixed.u32(12)),
            inbound: wide(fixed.u32(8), fixed.u32(16)),
            window: fixed.u32(20),
            bitmap,
        })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        let words = u32::try_from(self.bitmap.len() / 4).unwrap_or(u32::MAX);
        let halves = |number: u64| (number & 0xFFFF_FFFF, number >> 32);
        let ((out_low, out_high), (in_low, in_high)) = (halves(self.outbound), halves(self.inbound));
        out.extend_from_slice(&words.to_ne_bytes());
        for half in [out_low, in_low, out_high, in_high] {
            out.extend_from_slice(&u32::try_from(half).unwrap_or(u32::MAX).to_ne_bytes());
        }
        out.extend_from_slice(&self.window.to_ne_bytes());
        out.extend_from_slice(self.bitmap);
    }
}

impl Algorithm<'_> {
    fn emit(&self, out: &mut Vec<u8>, icv_bits: Option<u32>) {
        let start = out.len();
        out.extend_from_slice(self.name.as_bytes());
        out.resize(start + NAME_LEN, 0);
        out.extend_from_slice(&self.key_bits.to_ne_bytes());
        if let Some(bits) = icv_bits {
            out.extend_from_slice(&bits.to_ne_bytes());
        }
        out.extend_from_slice(self.key);
    }
}

impl TruncatedAuth<'_> {
    fn emit(&self, out: &mut Vec<u8>) {
        self.algorithm.emit(out, Some(self.icv_bits));
    }
}

impl Encapsulation {
    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&self.source_port.to_be_bytes());
        out.extend_from_slice(&self.destination_port.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.original);
    }
}

/// Length of an algorithm's name field in bytes.
const NAME_LEN: usize = 64;

pub(super) fn emit_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.extend_from_slice(&address.octets());
            out.extend_from_slice(&[0; 12]);
        }
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

fn fixed<'a, const N: usize>(attribute: &'static str, bytes: &'a [u8]) -> Result<Fixed<'a, N>, Problem> {
    match Fixed::split(bytes) {
        Some((fixed, _)) => Ok(fixed),
        None => Err(Problem::CutAttribute { attribute, needed: N, found: bytes.len() }),
    }
}

fn algorithm<'a>(attribute: &'static str, bytes: &'a [u8]) -> Result<Algorithm<'a>, Problem> {
    let key_bits = fixed::<{ NAME_LEN + 4 }>(attribute, bytes)?.u32(NAME_LEN);
    named_key(attribute, bytes, key_bits, NAME_LEN + 4)
}

fn truncated<'a>(attribute: &'static str, bytes: &'a [u8]) -> Result<TruncatedAuth<'a>, Problem> {
    let fixed = fixed::<{ NAME_LEN + 8 }>(attribute, bytes)?;
    let algorithm = named_key(attribute, bytes, fixed.u32(NAME_LEN), NAME_LEN + 8)?;
    Ok(TruncatedAuth { algorithm, icv_bits: fixed.u32(NAME_LEN + 4) })
}

fn named_key<'a>(
    attribute: &'static str,
    bytes: &'a [u8],
    key_bits: u32,
    key_at: usize,
) -> Result<Algorithm<'a>, Problem> {
    let name = bytes.get(..NAME_LEN).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0).ok_or(Problem::AlgorithmName)?;
    let name = std::str::from_utf8(&name[..end]).map_err(|_| Problem::AlgorithmName)?;
    let needed = key_at.saturating_add(usize::try_from(key_bits.div_ceil(8)).unwrap_or(usize::MAX));
    let key =
        bytes.get(key_at..needed).ok_or(Problem::CutAttribute { attribute, needed, found: bytes.len() })?;
    Ok(Algorithm { name, key_bits, key })
}
