//! Converts SA contexts into the states and policies to install, as messages. The inverse of `map`.

use super::spd::Chain;
use super::spd::REQID_MIN;
use super::spd::unspecified;
use crate::wire::Algorithm;
use crate::wire::Encapsulation;
use crate::wire::LIMIT_INFINITE;
use crate::wire::Limits;
use crate::wire::Offload;
use crate::wire::Policy;
use crate::wire::PolicyDirection;
use crate::wire::PolicyId;
use crate::wire::RawSelector;
use crate::wire::ReplayEsn;
use crate::wire::SaId;
use crate::wire::State;
use crate::wire::Templates;
use crate::wire::TruncatedAuth;
use openwfp_api::AeadAlgorithm;
use openwfp_api::Auth;
use openwfp_api::AuthAlgorithm;
use openwfp_api::Cipher;
use openwfp_api::CipherAlgorithm;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::IpNet;
use openwfp_api::KeyAccess;
use openwfp_api::LinuxExtras;
use openwfp_api::LinuxSa;
use openwfp_api::Mark;
use openwfp_api::Mode;
use openwfp_api::Protocol;
use openwfp_api::Result;
use openwfp_api::Sa;
use openwfp_api::SaContext;
use openwfp_api::SaDetails;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::Transform;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Replay window of SAs that do not specify one, in packets.
const REPLAY_WINDOW: u32 = 32;
/// Largest replay window of the kernel, in packets.
const REPLAY_WINDOW_MAX: u32 = 4096;
/// `XFRM_STATE_AF_UNSPEC`: a tunnel accepts packets of both IP versions.
const STATE_AF_UNSPEC: u8 = 32;
const STATE_ESN: u8 = 128;
const UDP_ENCAP_ESPINUDP: u16 = 2;
/// Smallest id of the engine's own filters and tunnel policies; smaller ids are indices of the kernel's
/// policies.
const OWN_FILTERS_MIN: u64 = 1 << 32;

/// The states and policies of one direction of a context, ready to install.
pub(super) struct Plan {
    /// The states, innermost first.
    pub(super) states: Vec<PlannedState>,
    pub(super) policies: Vec<PlannedPolicy>,
    /// What the templates of a policy that uses the states have to be.
    pub(super) chain: Chain,
}

/// A state and the payload that adds or updates it.
pub(super) struct PlannedState {
    pub(super) id: SaId,
    pub(super) payload: Zeroizing<Vec<u8>>,
}

/// A policy and the payload that adds or updates it.
pub(super) struct PlannedPolicy {
    pub(super) id: PolicyId,
    pub(super) payload: Vec<u8>,
}

/// The policies that use the states of a context.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// Policies that come and go with the states.
    Own,
    /// The policy of a filter, with this reqid.
    Filter(u32),
    /// The policy whose packets the kernel asked an SA for.
    Acquire(AskedFor),
}

/// The numbers of the kernel's acquire, which tie the states to its policy.
#[derive(Clone, Copy)]
pub(super) struct AskedFor {
    pub(super) reqid: u32,
    pub(super) sequence: u32,
    pub(super) if_id: u32,
    pub(super) mark: (u32, u32),
}

/// Returns the ids of a direction's states, innermost first; empty if it has no SA.
pub(super) fn ids(context: &SaContext, direction: Direction) -> Vec<SaId> {
    let destination = ends(context, direction).1;
    let id = |sa: &Sa| SaId {
        destination,
        spi: sa.spi.get(),
        protocol: sa.transform.protocol().number(),
        mark: sa.linux.as_ref().and_then(|linux| linux.mark()).map_or((0, 0), |mark| (mark.value, mark.mask)),
    };
    context.details(direction).map(|details| details.bundle.sas.iter().map(id).collect()).unwrap_or_default()
}

/// Returns source and destination of a direction's packets.
fn ends(context: &SaContext, direction: Direction) -> (IpAddr, IpAddr) {
    let (local, remote) = (context.traffic.endpoints.local(), context.traffic.endpoints.remote());
    match direction {
        Direction::Inbound => (remote, local),
        Direction::Outbound => (local, remote),
    }
}

impl Plan {
    /// Plans the states and policies of a direction.
    ///
    /// # Errors
    /// - `ERROR_NOT_SUPPORTED` if Linux has no name for an algorithm, or for IPCOMP
    /// - `FWP_E_OUT_OF_BOUNDS` if the replay window is too large
    /// - `FWP_E_INVALID_PARAMETER` if keys are withheld
    pub(super) fn new(
        context: &SaContext,
        direction: Direction,
        bound: Bound,
        keys: &KeyAccess,
    ) -> Result<Plan> {
        let Some(details) = context.details(direction) else {
            return Err(Error::unreachable("the direction to install has no SAs"));
        };
        let frame = Frame::new(context, direction, details, bound);
        let mut states = Vec::new();
        for (place, sa) in details.bundle.sas.iter().enumerate() {
            states.push(frame.state(sa, place == 0, keys)?);
        }
        Ok(Plan { states, policies: frame.policies()?, chain: frame.chain() })
    }
}

/// Properties that the states and policies of a direction share.
struct Frame<'c> {
    context: &'c SaContext,
    details: &'c SaDetails,
    direction: Direction,
    source: IpAddr,
    destination: IpAddr,
    reqid: u32,
    sequence: u32,
    if_id: u32,
    mark: Option<Mark>,
    bound: Bound,
}

impl<'c> Frame<'c> {
    fn new(context: &'c SaContext, direction: Direction, details: &'c SaDetails, bound: Bound) -> Frame<'c> {
        let (source, destination) = ends(context, direction);
        let linux = details.bundle.sas.first().linux.as_deref();
        let said =
            |of: fn(&LinuxExtras) -> u32| linux.and_then(|linux| linux.extras.as_deref()).map_or(0, of);
        let mut frame = Frame {
            context,
            details,
            direction,
            source,
            destination,
            reqid: linux.map_or(0, |linux| linux.reqid),
            sequence: said(|extras| extras.acquire_sequence),
            if_id: said(|extras| extras.if_id),
            mark: linux.and_then(LinuxSa::mark),
            bound,
        };
        match bound {
            Bound::Acquire(asked) => {
                frame.reqid = asked.reqid;
                frame.if_id = asked.if_id;
                frame.mark =
                    (asked.mark != (0, 0)).then_some(Mark { value: asked.mark.0, mask: asked.mark.1 });
                if direction == Direction::Outbound {
                    frame.sequence = asked.sequence;
                }
            }
            Bound::Filter(reqid) => frame.reqid = reqid,
            Bound::Own if frame.reqid == 0 => frame.reqid = frame.own_reqid(),
            Bound::Own => {}
        }
        frame
    }

    /// Returns a reqid to tie SAs to policies: a hash of the traffic, so that it is the same for every
    /// rekey and after every restart of the engine.
    fn own_reqid(&self) -> u32 {
        let mut hash = Fnv::default();
        let endpoints = &self.context.traffic.endpoints;
        for address in [endpoints.local(), endpoints.remote()] {
            match address {
                IpAddr::V4(address) => hash.add(&address.octets()),
                IpAddr::V6(address) => hash.add(&address.octets()),
            }
        }
        hash.add(&self.if_id.to_le_bytes());
        for selector in self.selectors() {
            let mut bytes = Vec::new();
            raw(&selector, Direction::Outbound).emit(&mut bytes);
            hash.add(&bytes);
        }
        REQID_MIN | hash.folded()
    }

    fn state(&self, sa: &Sa, innermost: bool, keys: &KeyAccess) -> Result<PlannedState> {
        let none = LinuxSa { replay_window: REPLAY_WINDOW, ..LinuxSa::default() };
        let linux = sa.linux.as_deref().unwrap_or(&none);
        let no_extras = LinuxExtras::default();
        let extras = linux.extras.as_deref().unwrap_or(&no_extras);
        let protocol = sa.transform.protocol();
        let mark = self.mark.map(|mark| (mark.value, mark.mask));
        let mut state = State {
            sequence: self.sequence,
            reqid: self.reqid,
            // The innermost SA of a bundle makes the tunnel; the others protect its packets.
            mode: if innermost { self.context.traffic.mode.number() } else { 0 },
            flags: linux.flags | if linux.esn { STATE_ESN } else { 0 },
            mark,
            if_id: (self.if_id != 0).then_some(self.if_id),
            limits: self.limits(linux, extras),
            output_mark: extras.output_mark.map(|mark| mark.value),
            output_mark_mask: extras.output_mark.map(|mark| mark.mask),
            tfc_padding: (extras.tfc_padding != 0).then_some(extras.tfc_padding),
            extra_flags: (linux.extra_flags != 0).then_some(linux.extra_flags),
            nat_keepalive_interval: (extras.nat_keepalive_interval != 0)
                .then_some(extras.nat_keepalive_interval),
            cpu: extras.cpu,
            offload: extras
                .offload
                .map(|offload| Offload { interface: offload.interface, flags: offload.flags }),
            encapsulation: self.encapsulation(extras, protocol),
            ..State::new(self.source, self.destination, protocol.number(), sa.spi.get())
        };
        if let Some(selector) = &extras.selector {
            // An SA's own selector follows its packets in both directions: `local` is their source.
            state.selector = raw(selector, Direction::Outbound);
        } else if innermost && self.context.traffic.mode == Mode::Tunnel {
            state.flags |= STATE_AF_UNSPEC;
        }
        let window = linux.replay_window;
        if window > REPLAY_WINDOW_MAX {
            let what = format!(
                "a replay window of {window} packets exceeds the kernel's maximum of {REPLAY_WINDOW_MAX}"
            );
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
        }
        // ESN and windows of more than 32 packets need `XFRMA_REPLAY_ESN_VAL`.
        let bitmap = vec![0; usize::try_from(window.max(1).div_ceil(32)).unwrap_or(1) * 4];
        if linux.esn || window > 32 {
            // The kernel does not support ESN without a window.
            let window = window.max(u32::from(linux.esn) * REPLAY_WINDOW);
            state.replay_esn = Some(ReplayEsn { outbound: 0, inbound: 0, window, bitmap: &bitmap });
        } else {
            state.replay_window = u8::try_from(window).unwrap_or(0);
        }
        let mut names = extras.algorithm_names.iter().map(|name| &**name);
        self.algorithms(&mut state, &sa.transform, &mut names, keys)?;
        let mut payload = Zeroizing::new(Vec::with_capacity(1024));
        state.emit(&mut payload);
        let id = SaId {
            destination: self.destination,
            spi: sa.spi.get(),
            protocol: protocol.number(),
            mark: mark.unwrap_or((0, 0)),
        };
        Ok(PlannedState { id, payload })
    }

    fn algorithms<'a>(
        &self,
        state: &mut State<'a>,
        transform: &'a Transform,
        names: &mut dyn Iterator<Item = &'a str>,
        keys: &'a KeyAccess,
    ) -> Result {
        let named = |name: Option<&'a str>, of: &str| {
            name.ok_or_else(|| {
                Error::new(Code::ERROR_NOT_SUPPORTED, format!("Linux does not support this {of}"))
            })
        };
        let algorithm = |name: &'a str, key: &'a openwfp_api::Key| -> Result<Algorithm<'a>> {
            if key.is_withheld() {
                let what = "the SA contains a key without its bytes";
                return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
            }
            let bits = u32::try_from(key.len() * 8).unwrap_or(u32::MAX);
            Ok(Algorithm { name, key_bits: bits, key: key.bytes(keys) })
        };
        let auth = |auth: &'a Auth, names: &mut dyn Iterator<Item = &'a str>| -> Result<TruncatedAuth<'a>> {
            let name = named(auth_name(auth.algorithm).or_else(|| names.next()), "integrity algorithm")?;
            Ok(TruncatedAuth { algorithm: algorithm(name, &auth.key)?, icv_bits: auth.icv_bits.into() })
        };
        let cipher =
            |cipher: &'a Cipher, names: &mut dyn Iterator<Item = &'a str>| -> Result<Algorithm<'a>> {
                let name = named(cipher_name(cipher.algorithm).or_else(|| names.next()), "cipher")?;
                algorithm(name, &cipher.key)
            };
        match transform {
            Transform::Ah(integrity) => state.auth_truncated = Some(auth(integrity, names)?),
            Transform::EspAuth(gmac) if gmac.algorithm == AuthAlgorithm::AesGmac => {
                let algorithm = algorithm("rfc4543(gcm(aes))", &gmac.key)?;
                state.aead = Some(TruncatedAuth { algorithm, icv_bits: gmac.icv_bits.into() });
            }
            Transform::EspAuth(integrity) => {
                state.auth_truncated = Some(auth(integrity, names)?);
                state.crypt = Some(Algorithm { name: "ecb(cipher_null)", key_bits: 0, key: &[] });
            }
            Transform::EspCipher(confidentiality) => state.crypt = Some(cipher(confidentiality, names)?),
            Transform::EspAuthAndCipher(both) => {
                state.auth_truncated = Some(auth(&both.auth, names)?);
                state.crypt = Some(cipher(&both.cipher, names)?);
            }
            Transform::EspAead(aead) => {
                let known = match aead.algorithm {
                    AeadAlgorithm::AesGcm => Some("rfc4106(gcm(aes))"),
                    AeadAlgorithm::AesCcm => Some("rfc4309(ccm(aes))"),
                    AeadAlgorithm::ChaCha20Poly1305 => Some("rfc7539esp(chacha20,poly1305)"),
                    _ => None,
                };
                let name = named(known.or_else(|| names.next()), "combined-mode algorithm")?;
                let algorithm = algorithm(name, &aead.key)?;
                state.aead = Some(TruncatedAuth { algorithm, icv_bits: aead.icv_bits.into() });
            }
            _ => {
                let what = "OpenWFP lists compression SAs but cannot install them";
                return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what));
            }
        }
        Ok(())
    }

    fn encapsulation(&self, extras: &LinuxExtras, protocol: Protocol) -> Option<Encapsulation> {
        let udp = self.details.udp_encapsulation.filter(|_| protocol == Protocol::Esp)?;
        let (source_port, destination_port) = match self.direction {
            Direction::Outbound => (udp.local_port, udp.remote_port),
            Direction::Inbound => (udp.remote_port, udp.local_port),
        };
        let kind = match extras.encapsulation_type {
            0 => UDP_ENCAP_ESPINUDP,
            other => other,
        };
        let mut original = [0; 16];
        match extras.encapsulation_original {
            Some(IpAddr::V4(address)) => original[..4].copy_from_slice(&address.octets()),
            Some(IpAddr::V6(address)) => original = address.octets(),
            None => {}
        }
        Some(Encapsulation { kind, source_port, destination_port, original })
    }

    /// Returns the limits. Hard limits are Linux's exact ones, or else the bundle's; soft limits default to
    /// nine tenths of the hard ones.
    fn limits(&self, linux: &LinuxSa, extras: &LinuxExtras) -> Limits {
        let lifetime = self.details.bundle.lifetime;
        let pick = |exact: u64, coarse: u64| if exact != 0 { exact } else { coarse };
        let soft = |soft: u64, hard: u64| if soft != 0 { soft } else { hard - hard / 10 };
        let finite = |limit: u64| if limit == 0 { LIMIT_INFINITE } else { limit };
        let bytes = pick(extras.limits.hard_bytes, u64::from(lifetime.kilobytes) * 1024);
        let packets = pick(extras.limits.hard_packets, lifetime.packets.into());
        let seconds = pick(linux.hard_add_seconds, lifetime.seconds.into());
        let used = extras.limits.hard_use_seconds;
        Limits {
            bytes: (finite(soft(extras.limits.soft_bytes, bytes)), finite(bytes)),
            packets: (finite(soft(extras.limits.soft_packets, packets)), finite(packets)),
            add_seconds: (soft(linux.soft_add_seconds, seconds), seconds),
            use_seconds: (soft(extras.limits.soft_use_seconds, used), used),
        }
    }

    /// Returns the selectors of the packets that the SAs protect: those of the context (from its filter or
    /// tunnel policy), or else the traffic between the two hosts. A tunnel without selectors protects all
    /// packets of its interface; without an interface it gets no policy.
    fn selectors(&self) -> Vec<Selector> {
        let traffic = &self.context.traffic;
        let transport = traffic.mode == Mode::Transport;
        let port = |port| if port == 0 { SelectorPorts::default() } else { SelectorPorts::one(port) };
        let overridden = |selector: &Selector| {
            let mut selector = *selector;
            if transport && traffic.ip_protocol != 0 {
                selector.protocol = traffic.ip_protocol;
            }
            if transport && traffic.local_port != 0 {
                selector.local_port = port(traffic.local_port);
            }
            if transport && traffic.remote_port != 0 {
                selector.remote_port = port(traffic.remote_port);
            }
            if transport {
                // The filter may match many hosts, but these SAs connect two.
                selector.local = host(traffic.endpoints.local());
                selector.remote = host(traffic.endpoints.remote());
            }
            selector
        };
        if !self.context.selectors.is_empty() {
            let mut selectors: Vec<Selector> = self.context.selectors.iter().map(overridden).collect();
            selectors.sort_unstable();
            selectors.dedup();
            return selectors;
        }
        let all = |v6: bool| {
            let any = if v6 { IpNet::V6(Default::default()) } else { IpNet::V4(Default::default()) };
            let ports = SelectorPorts::default();
            Selector { local: any, remote: any, protocol: 0, local_port: ports, remote_port: ports }
        };
        if transport {
            vec![overridden(&all(self.source.is_ipv6()))]
        } else if self.if_id != 0 {
            vec![all(false), all(true)]
        } else {
            Vec::new()
        }
    }

    fn policies(&self) -> Result<Vec<PlannedPolicy>> {
        // The kernel already has the policy: it is a filter's, it sent the acquire, or the filter id is its index.
        let has_policy = !matches!(self.bound, Bound::Own);
        if has_policy || (1..OWN_FILTERS_MIN).contains(&self.details.filter_id.0) {
            return Ok(Vec::new());
        }
        let directions: &[PolicyDirection] = match (self.direction, self.context.traffic.mode) {
            (Direction::Outbound, _) => &[PolicyDirection::Out],
            (Direction::Inbound, Mode::Transport) => &[PolicyDirection::In],
            (Direction::Inbound, _) => &[PolicyDirection::In, PolicyDirection::Forward],
        };
        let templates = self.templates();
        let templates = Templates::parse(&templates)
            .map_err(|problem| Error::unreachable(format!("cannot parse a template: {problem}")))?;
        let mut planned = Vec::new();
        for selector in self.selectors() {
            for direction in directions {
                let selector_of = raw(&selector, self.direction);
                let policy = Policy {
                    priority: priority(&selector),
                    mark: self.mark.map(|mark| (mark.value, mark.mask)),
                    if_id: (self.if_id != 0).then_some(self.if_id),
                    ..Policy::new(selector_of, *direction, 0, templates)
                };
                let mut payload = Vec::new();
                policy.emit(&mut payload);
                let id = PolicyId {
                    selector: selector_of,
                    index: 0,
                    direction: direction.number(),
                    mark: policy.mark.unwrap_or((0, 0)),
                    if_id: self.if_id,
                };
                planned.push(PlannedPolicy { id, payload });
            }
        }
        Ok(planned)
    }

    /// Returns the transformations, in the order in which outbound packets undergo them.
    fn chain(&self) -> Chain {
        let mode = self.context.traffic.mode.number();
        let sas = self.details.bundle.sas.iter().enumerate();
        let protocols =
            sas.map(|(place, sa)| (sa.transform.protocol().number(), if place == 0 { mode } else { 0 }));
        let (source, destination) = match mode {
            0 => (unspecified(self.source), unspecified(self.source)),
            _ => (self.source, self.destination),
        };
        Chain { source, destination, protocols: protocols.collect() }
    }

    fn templates(&self) -> Vec<u8> {
        self.chain().templates(self.reqid, false)
    }
}

/// Returns the policy's priority. More specific selectors get smaller numbers, which the kernel tries
/// first.
fn priority(selector: &Selector) -> u32 {
    let bits = u32::from(selector.local.prefix_len()) + u32::from(selector.remote.prefix_len());
    let ports = selector.local_port.mask.count_ones() + selector.remote_port.mask.count_ones();
    let protocol = u32::from(selector.protocol != 0) * 32;
    400_000 - 1000 * bits - 10 * protocol - ports
}

fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

pub(super) fn raw(selector: &Selector, direction: Direction) -> RawSelector {
    let outbound = if direction == Direction::Outbound { *selector } else { selector.reversed() };
    let Selector { local: from, remote: to, protocol, local_port: from_port, remote_port: to_port } =
        outbound;
    let bytes = |network: IpNet| match network.addr() {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    };
    RawSelector {
        destination: bytes(to),
        source: bytes(from),
        destination_port: (to_port.port, to_port.mask),
        source_port: (from_port.port, from_port.mask),
        family: if to.addr().is_ipv4() { 2 } else { 10 },
        destination_prefix: to.prefix_len(),
        source_prefix: from.prefix_len(),
        protocol,
        ..RawSelector::ANY
    }
}

fn auth_name(algorithm: AuthAlgorithm) -> Option<&'static str> {
    Some(match algorithm {
        AuthAlgorithm::HmacMd5 => "hmac(md5)",
        AuthAlgorithm::HmacSha1 => "hmac(sha1)",
        AuthAlgorithm::HmacSha256 => "hmac(sha256)",
        AuthAlgorithm::HmacSha384 => "hmac(sha384)",
        AuthAlgorithm::HmacSha512 => "hmac(sha512)",
        AuthAlgorithm::HmacRipemd160 => "hmac(rmd160)",
        AuthAlgorithm::HmacSm3 => "hmac(sm3)",
        AuthAlgorithm::AesCmac => "cmac(aes)",
        AuthAlgorithm::AesXcbc => "xcbc(aes)",
        AuthAlgorithm::Null => "digest_null",
        _ => return None,
    })
}

fn cipher_name(algorithm: CipherAlgorithm) -> Option<&'static str> {
    Some(match algorithm {
        CipherAlgorithm::DesCbc => "cbc(des)",
        CipherAlgorithm::TripleDesCbc => "cbc(des3_ede)",
        CipherAlgorithm::AesCbc => "cbc(aes)",
        CipherAlgorithm::AesCtr => "rfc3686(ctr(aes))",
        CipherAlgorithm::CamelliaCbc => "cbc(camellia)",
        CipherAlgorithm::BlowfishCbc => "cbc(blowfish)",
        CipherAlgorithm::Cast128Cbc => "cbc(cast5)",
        CipherAlgorithm::SerpentCbc => "cbc(serpent)",
        CipherAlgorithm::TwofishCbc => "cbc(twofish)",
        CipherAlgorithm::Sm4Cbc => "cbc(sm4)",
        CipherAlgorithm::Null => "ecb(cipher_null)",
        _ => return None,
    })
}

/// The FNV-1a hash. Unlike the standard library's hash it is guaranteed to be the same in every build.
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Returns the hash as 30 bits.
    pub(super) fn folded(&self) -> u32 {
        u32::try_from((self.0 ^ self.0 >> 32) & 0x3FFF_FFFF).unwrap_or(0)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;
    use openwfp_api::LinuxSa;
    use std::path::Path;

    /// Returns Linux's part of an SA without what only an installed state has.
    fn without_life(linux: &LinuxSa) -> LinuxSa {
        let mut linux = LinuxSa { added: 0, first_used: 0, guessed_direction: false, ..linux.clone() };
        linux.flags &= !STATE_AF_UNSPEC;
        linux.soft_add_seconds = 0;
        if let Some(extras) = &mut linux.extras {
            extras.replay = None;
            extras.unknown = Box::default();
            extras.care_of = None;
            extras.security_context = None;
            extras.limits.soft_bytes = 0;
            extras.limits.soft_packets = 0;
            extras.limits.soft_use_seconds = 0;
            if **extras == LinuxExtras::default() {
                linux.extras = None;
            }
        }
        linux
    }

    /// Contexts from a kernel are planned as the states that they were read from: `install` and `map` are
    /// inverse.
    #[test]
    fn what_a_kernel_held_is_planned_as_it_was() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
        let (mut states, mut skipped) = (0, 0);
        for directory in std::fs::read_dir(samples).unwrap() {
            let Ok(capture) = crate::capture::read(&directory.unwrap().path()) else { continue };
            for context in capture.listing().unwrap().contexts {
                for (direction, details) in context.directions() {
                    let plan = match Plan::new(&context, direction, Bound::Own, &KeyAccess::grant()) {
                        Ok(plan) => plan,
                        Err(error) => {
                            assert_eq!(error.code(), Code::ERROR_NOT_SUPPORTED, "{error}");
                            skipped += 1;
                            continue;
                        }
                    };
                    for (sa, planned) in details.bundle.sas.iter().zip(&plan.states) {
                        let state = State::of(&planned.payload).unwrap();
                        let again = map::sa(&state).unwrap();
                        assert_eq!((again.spi, &again.transform), (sa.spi, &sa.transform));
                        let (linux, was) = (again.linux.unwrap(), sa.linux.as_ref().unwrap());
                        let mut expected = without_life(was);
                        if expected.esn {
                            expected.replay_window =
                                expected.replay_window.max(REPLAY_WINDOW.min(linux.replay_window));
                        }
                        if expected.reqid == 0 {
                            expected.reqid = linux.reqid;
                        }
                        let mut found = without_life(&linux);
                        // A plan gives all states of a bundle the acquire sequence number of its first SA.
                        for linux in [&mut found, &mut expected] {
                            if let Some(extras) = &mut linux.extras {
                                extras.acquire_sequence = 0;
                            }
                        }
                        assert_eq!(found, expected, "{direction:?} of {:?}", context.traffic);
                        let udp = map::udp_encapsulation(&state, direction);
                        assert_eq!(udp, details.udp_encapsulation);
                        assert_eq!(map::lifetime(&state), details.bundle.lifetime);
                        states += 1;
                    }
                    let ids: Vec<SaId> = plan.states.iter().map(|state| state.id).collect();
                    assert_eq!(ids, super::ids(&context, direction));
                }
            }
        }
        assert!(states > 100 && skipped < 20, "{states} states, {skipped} skipped");
    }
}
