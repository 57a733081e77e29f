//! Converts one kernel state into the API's types: algorithms, limits, selectors and counters.

use crate::wire::Algorithm;
use crate::wire::LIMIT_INFINITE;
use crate::wire::Policy;
use crate::wire::PolicyDirection;
use crate::wire::PolicyTemplate;
use crate::wire::RawSelector;
use crate::wire::ReplayEsn;
use crate::wire::State;
use openwfp_api::Aead;
use openwfp_api::AeadAlgorithm;
use openwfp_api::Auth;
use openwfp_api::AuthAlgorithm;
use openwfp_api::Cipher;
use openwfp_api::CipherAlgorithm;
use openwfp_api::Compression;
use openwfp_api::CompressionAlgorithm;
use openwfp_api::Direction;
use openwfp_api::DirectionCounters;
use openwfp_api::EspAuthAndCipher;
use openwfp_api::HardwareOffload;
use openwfp_api::IpNet;
use openwfp_api::Key;
use openwfp_api::Lifetime;
use openwfp_api::Limits;
use openwfp_api::LinuxExtras;
use openwfp_api::LinuxSa;
use openwfp_api::Mark;
use openwfp_api::Mode;
use openwfp_api::Replay;
use openwfp_api::Sa;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::Spi;
use openwfp_api::Timestamp;
use openwfp_api::Transform;
use openwfp_api::UdpEncapsulation;
use openwfp_api::UnknownAttribute;
use openwfp_api::object::kernel::KernelPolicy;
use openwfp_api::object::kernel::KernelPolicyAction;
use openwfp_api::object::kernel::KernelPolicyDirection;
use openwfp_api::object::kernel::KernelPolicyPlace;
use openwfp_api::object::kernel::KernelTemplate;
use openwfp_api::record::Address;
use openwfp_api::record::Network;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

const STATE_ESN: u8 = 128;
const UDP_ENCAP_ESPINUDP: u16 = 2;

/// Returns whether the state has no keys yet: it is an acquire or an allocated SPI.
pub(crate) fn is_larval(state: &State<'_>) -> bool {
    state.aead.is_none()
        && state.auth.is_none()
        && state.auth_truncated.is_none()
        && state.crypt.is_none()
        && state.comp.is_none()
}

/// Returns whether a state with keys is an SA. The kernel admits others, but sends nothing with them: those without an SPI, and
/// AH without an authentication algorithm.
pub(crate) fn is_sa(state: &State<'_>) -> bool {
    let is_ah = state.protocol == openwfp_api::Protocol::Ah.number();
    let authenticates = state.auth.is_some() || state.auth_truncated.is_some() || state.aead.is_some();
    state.spi != 0 && (!is_ah || state.comp.is_some() || authenticates)
}

/// Returns the mode of an `XFRM_MODE_*` number. Mobile IPv6's two modes have no packets of their own
/// and count as transport mode.
pub(crate) fn mode(number: u8) -> Mode {
    Mode::from_number(number).unwrap_or(Mode::Transport)
}

/// Returns the SA of a state; none if the state is larval.
pub(crate) fn sa(state: &State<'_>) -> Option<Sa> {
    let mut names = Vec::new();
    let transform = transform(state, &mut names)?;
    let linux = Some(Box::new(linux(state, names)));
    Some(Sa { spi: Spi::new(state.spi)?, transform, linux })
}

fn transform(state: &State<'_>, names: &mut Vec<Box<str>>) -> Option<Transform> {
    if let Some(comp) = &state.comp {
        return Some(Transform::Ipcomp(compression(comp, names)));
    }
    if let Some(combined) = &state.aead {
        let icv_bits = bits(combined.icv_bits);
        let key = Key::new(combined.algorithm.key);
        let algorithm = match combined.algorithm.name {
            "rfc4106(gcm(aes))" => AeadAlgorithm::AesGcm,
            "rfc4309(ccm(aes))" => AeadAlgorithm::AesCcm,
            "rfc7539esp(chacha20,poly1305)" => AeadAlgorithm::ChaCha20Poly1305,
            "rfc4543(gcm(aes))" => {
                return Some(Transform::EspAuth(Auth { algorithm: AuthAlgorithm::AesGmac, icv_bits, key }));
            }
            other => {
                names.push(other.into());
                AeadAlgorithm::Other
            }
        };
        return Some(Transform::EspAead(Aead { algorithm, icv_bits, key }));
    }
    let auth = auth(state, names);
    if state.protocol == openwfp_api::Protocol::Ah.number() {
        return auth.map(Transform::Ah);
    }
    let cipher = state.crypt.as_ref().map(|crypt| cipher(crypt, names));
    Some(match (cipher, auth) {
        (Some(cipher), Some(auth)) if cipher.algorithm == CipherAlgorithm::Null => {
            // ESP without encryption: the null cipher has an empty key.
            drop(cipher);
            Transform::EspAuth(auth)
        }
        (Some(cipher), Some(auth)) => {
            Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher { auth, cipher }))
        }
        (Some(cipher), None) => Transform::EspCipher(cipher),
        (None, Some(auth)) => Transform::EspAuth(auth),
        (None, None) => return None,
    })
}

fn auth(state: &State<'_>, names: &mut Vec<Box<str>>) -> Option<Auth> {
    let (found, stated) = match (&state.auth_truncated, &state.auth) {
        (Some(truncated), _) => (&truncated.algorithm, Some(truncated.icv_bits)),
        (None, Some(auth)) => (auth, None),
        (None, None) => return None,
    };
    // The second value is the ICV length in bits if the kernel states none.
    let (algorithm, default_bits) = match found.name {
        "hmac(md5)" => (AuthAlgorithm::HmacMd5, 96),
        "hmac(sha1)" => (AuthAlgorithm::HmacSha1, 96),
        "hmac(sha256)" => (AuthAlgorithm::HmacSha256, 96),
        "hmac(sha384)" => (AuthAlgorithm::HmacSha384, 192),
        "hmac(sha512)" => (AuthAlgorithm::HmacSha512, 256),
        "hmac(rmd160)" => (AuthAlgorithm::HmacRipemd160, 96),
        "hmac(sm3)" => (AuthAlgorithm::HmacSm3, 256),
        "cmac(aes)" => (AuthAlgorithm::AesCmac, 96),
        "xcbc(aes)" => (AuthAlgorithm::AesXcbc, 96),
        "digest_null" => (AuthAlgorithm::Null, 0),
        other => {
            names.push(other.into());
            (AuthAlgorithm::Other, 0)
        }
    };
    if algorithm == AuthAlgorithm::Null && state.crypt.is_some() {
        return None;
    }
    Some(Auth { algorithm, icv_bits: bits(stated.unwrap_or(default_bits)), key: Key::new(found.key) })
}

fn cipher(crypt: &Algorithm<'_>, names: &mut Vec<Box<str>>) -> Cipher {
    let algorithm = match crypt.name {
        "ecb(cipher_null)" => CipherAlgorithm::Null,
        "cbc(des)" => CipherAlgorithm::DesCbc,
        "cbc(des3_ede)" => CipherAlgorithm::TripleDesCbc,
        "cbc(aes)" => CipherAlgorithm::AesCbc,
        "rfc3686(ctr(aes))" => CipherAlgorithm::AesCtr,
        "cbc(camellia)" => CipherAlgorithm::CamelliaCbc,
        "cbc(blowfish)" => CipherAlgorithm::BlowfishCbc,
        "cbc(cast5)" => CipherAlgorithm::Cast128Cbc,
        "cbc(serpent)" => CipherAlgorithm::SerpentCbc,
        "cbc(twofish)" => CipherAlgorithm::TwofishCbc,
        "cbc(sm4)" => CipherAlgorithm::Sm4Cbc,
        other => {
            names.push(other.into());
            CipherAlgorithm::Other
        }
    };
    Cipher { algorithm, key: Key::new(crypt.key) }
}

fn compression(comp: &Algorithm<'_>, names: &mut Vec<Box<str>>) -> Compression {
    let algorithm = match comp.name {
        "deflate" => CompressionAlgorithm::Deflate,
        "lzs" => CompressionAlgorithm::Lzs,
        "lzjh" => CompressionAlgorithm::Lzjh,
        other => {
            names.push(other.into());
            CompressionAlgorithm::Other
        }
    };
    Compression { algorithm }
}

fn bits(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(u16::MAX)
}

fn linux(state: &State<'_>, names: Vec<Box<str>>) -> LinuxSa {
    LinuxSa {
        reqid: state.reqid,
        flags: state.flags,
        esn: state.flags & STATE_ESN != 0,
        guessed_direction: false,
        extra_flags: state.extra_flags.unwrap_or(0),
        replay_window: state.replay_esn.as_ref().map_or(state.replay_window.into(), |esn| esn.window),
        added: state.added,
        first_used: state.first_used,
        soft_add_seconds: state.limits.add_seconds.0,
        hard_add_seconds: state.limits.add_seconds.1,
        extras: extras(state, names),
    }
}

fn extras(state: &State<'_>, names: Vec<Box<str>>) -> Option<Box<LinuxExtras>> {
    let address = |bytes: [u8; 16]| -> Option<IpAddr> {
        if bytes == [0; 16] {
            return None;
        }
        match state.destination {
            IpAddr::V4(_) => bytes.first_chunk::<4>().map(|bytes| (*bytes).into()),
            IpAddr::V6(_) => Some(bytes.into()),
        }
    };
    let encapsulation_type = match &state.encapsulation {
        Some(encapsulation) if encapsulation.kind != UDP_ENCAP_ESPINUDP => encapsulation.kind,
        _ => 0,
    };
    let output_mark = state.output_mark.map(|value| Mark {
        value,
        // Without a mask the kernel sets the whole mark.
        mask: state.output_mark_mask.unwrap_or(u32::MAX),
    });
    let extras = LinuxExtras {
        limits: limits(state),
        selector: has_own_selector(state).then(|| selector(&state.selector, Direction::Outbound)).flatten(),
        mark: state.mark.map(|(value, mask)| Mark { value, mask }),
        output_mark,
        if_id: state.if_id.unwrap_or(0),
        tfc_padding: state.tfc_padding.unwrap_or(0),
        nat_keepalive_interval: state.nat_keepalive_interval.unwrap_or(0),
        cpu: state.cpu,
        acquire_sequence: state.sequence,
        offload: state
            .offload
            .map(|offload| HardwareOffload { interface: offload.interface, flags: offload.flags }),
        encapsulation_original: state.encapsulation.as_ref().and_then(|e| address(e.original)),
        encapsulation_type,
        care_of: state.care_of.and_then(address),
        // `xfrm_sec_ctx` is 8 bytes, followed by the NUL-terminated text.
        security_context: state.security_context.map(|bytes| {
            let text = String::from_utf8_lossy(bytes.get(8..).unwrap_or_default());
            text.trim_end_matches('\0').into()
        }),
        replay: replay(state).map(Box::new),
        algorithm_names: names.into(),
        unknown: state
            .unknown
            .iter()
            .map(|(kind, bytes)| UnknownAttribute { kind: *kind, bytes: (*bytes).into() })
            .collect(),
    };
    (extras != LinuxExtras::default()).then(|| Box::new(extras))
}

/// Returns whether the state's selector says more than that the state is for all packets of its own family.
fn has_own_selector(state: &State<'_>) -> bool {
    let is_v6 = state.destination.is_ipv6();
    !state.selector.is_any() || state.selector.family == if is_v6 { 2 } else { 10 }
}

fn limits(state: &State<'_>) -> Limits {
    let finite = |limit| if limit == LIMIT_INFINITE { 0 } else { limit };
    let limits = &state.limits;
    Limits {
        soft_bytes: finite(limits.bytes.0),
        hard_bytes: finite(limits.bytes.1),
        soft_packets: finite(limits.packets.0),
        hard_packets: finite(limits.packets.1),
        soft_use_seconds: limits.use_seconds.0,
        hard_use_seconds: limits.use_seconds.1,
    }
}

/// Returns the replay state; none while sequence numbers and bitmap are all zero.
fn replay(state: &State<'_>) -> Option<Replay> {
    let words = |esn: &ReplayEsn<'_>| -> Box<[u32]> {
        esn.bitmap.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
    };
    let replay = match (&state.replay_esn, state.replay) {
        (Some(esn), _) => {
            Replay { inbound_sequence: esn.inbound, outbound_sequence: esn.outbound, bitmap: words(esn) }
        }
        (None, Some([outbound, inbound, bitmap])) => Replay {
            inbound_sequence: inbound.into(),
            outbound_sequence: outbound.into(),
            bitmap: Box::new([bitmap]),
        },
        (None, None) => return None,
    };
    let started = replay.inbound_sequence != 0 || replay.outbound_sequence != 0;
    (started || replay.bitmap.iter().any(|word| *word != 0)).then_some(replay)
}

/// Returns the hard limits in WFP's units: seconds, kilobytes (rounded up) and packets.
pub(crate) fn lifetime(state: &State<'_>) -> Lifetime {
    let narrow = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
    let limits = limits(state);
    Lifetime {
        seconds: narrow(state.limits.add_seconds.1),
        kilobytes: narrow(limits.hard_bytes.div_ceil(1024)),
        packets: narrow(limits.hard_packets),
    }
}

/// Returns the UDP encapsulation from this machine's point of view.
pub(crate) fn udp_encapsulation(state: &State<'_>, direction: Direction) -> Option<UdpEncapsulation> {
    let encapsulation = state.encapsulation.as_ref()?;
    let (source, destination) = (encapsulation.source_port, encapsulation.destination_port);
    Some(match direction {
        Direction::Outbound => UdpEncapsulation { local_port: source, remote_port: destination },
        Direction::Inbound => UdpEncapsulation { local_port: destination, remote_port: source },
    })
}

/// Converts a selector to this machine's point of view: the source of outbound packets is local.
pub(crate) fn selector(raw: &RawSelector, direction: Direction) -> Option<Selector> {
    let (source, destination) = raw.networks()?;
    let ports = |(port, mask)| SelectorPorts { port, mask };
    let outbound = Selector {
        local: source,
        remote: destination,
        protocol: raw.protocol,
        local_port: ports(raw.source_port),
        remote_port: ports(raw.destination_port),
    };
    Some(if direction == Direction::Outbound { outbound } else { outbound.reversed() })
}

/// Returns a policy's place in the kernel's order.
pub(crate) fn place(policy: &Policy<'_>, age: u64) -> KernelPolicyPlace {
    let direction = match policy.direction {
        PolicyDirection::Out => KernelPolicyDirection::Out,
        PolicyDirection::Forward => KernelPolicyDirection::Forward,
        _ => KernelPolicyDirection::In,
    };
    KernelPolicyPlace { direction, priority: policy.priority, age }
}

/// Returns a policy in the API's terms. `age` orders policies of equal priority.
pub(crate) fn policy(policy: &Policy<'_>, age: u64, own: bool) -> KernelPolicy {
    let any = || {
        if policy.selector.family == 10 {
            IpNet::V6(Default::default())
        } else {
            IpNet::V4(Default::default())
        }
    };
    let (source, destination) = policy.selector.networks().unwrap_or_else(|| (any(), any()));
    let templates: Vec<KernelTemplate> = policy.templates.iter().map(template).collect();
    let (mark, mark_mask) = policy.mark.unwrap_or_default();
    KernelPolicy {
        index: policy.index,
        direction: place(policy, age).direction,
        action: match (policy.action, templates.is_empty()) {
            (1, _) => KernelPolicyAction::Block,
            (_, true) => KernelPolicyAction::Bypass,
            (_, false) => KernelPolicyAction::Protect,
        },
        priority: policy.priority,
        source: Network(source),
        destination: Network(destination),
        protocol: policy.selector.protocol,
        source_port: policy.selector.source_port.0,
        source_port_mask: policy.selector.source_port.1,
        destination_port: policy.selector.destination_port.0,
        destination_port_mask: policy.selector.destination_port.1,
        interface: policy.selector.interface.cast_unsigned(),
        templates,
        mark,
        mark_mask,
        if_id: policy.if_id.unwrap_or(0),
        added: Timestamp(policy.current[2]),
        lifetime_seconds: policy.limits.add_seconds.1,
        idle_seconds: policy.limits.use_seconds.1,
        own,
        age,
        ..KernelPolicy::default()
    }
}

fn template(template: PolicyTemplate) -> KernelTemplate {
    let end = |address: IpAddr| (!address.is_unspecified()).then_some(Address(address));
    KernelTemplate {
        source: end(template.source),
        destination: end(template.destination),
        protocol: template.protocol,
        mode: template.mode,
        reqid: template.reqid,
        spi: template.spi,
        optional: template.optional,
    }
}

/// Stores the state's counters in `counters`.
pub(crate) fn count(state: &State<'_>, counters: &DirectionCounters) {
    counters.bytes.store(state.bytes, Ordering::Relaxed);
    counters.packets.store(state.packets, Ordering::Relaxed);
    counters.last_used.store(state.last_used.unwrap_or(0), Ordering::Relaxed);
    counters.replay_window_drops.store(state.replay_window_drops, Ordering::Relaxed);
    counters.replay_drops.store(state.replay_drops, Ordering::Relaxed);
    counters.integrity_failures.store(state.integrity_failures, Ordering::Relaxed);
}
