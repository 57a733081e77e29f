//! Encodes and decodes SA contexts, the messages of `sa.proto`.

use super::bytes::Reader;
use super::bytes::Value;
use super::bytes::Writer;
use super::bytes::malformed;
use super::linux::get_linux;
use super::linux::put_linux;
use openwfp_api::Aead;
use openwfp_api::AeadAlgorithm;
use openwfp_api::Auth;
use openwfp_api::AuthAlgorithm;
use openwfp_api::Cipher;
use openwfp_api::CipherAlgorithm;
use openwfp_api::Code;
use openwfp_api::Compression;
use openwfp_api::CompressionAlgorithm;
use openwfp_api::Counters;
use openwfp_api::DirectionCounters;
use openwfp_api::Endpoints;
use openwfp_api::Error;
use openwfp_api::EspAuthAndCipher;
use openwfp_api::FilterId;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::IpsecId;
use openwfp_api::Key;
use openwfp_api::KeyModuleState;
use openwfp_api::KeyingExtras;
use openwfp_api::Lifetime;
use openwfp_api::Mode;
use openwfp_api::PfsGroup;
use openwfp_api::Reservation;
use openwfp_api::Result;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaList;
use openwfp_api::SaState;
use openwfp_api::Selector;
use openwfp_api::SelectorPorts;
use openwfp_api::Selectors;
use openwfp_api::Spi;
use openwfp_api::Timestamp;
use openwfp_api::Token;
use openwfp_api::Totals;
use openwfp_api::Traffic;
use openwfp_api::TrafficTotals;
use openwfp_api::Transform;
use openwfp_api::UdpEncapsulation;
use openwfp_api::VirtualIfTunnel;
use openwfp_api::bounds;
use openwfp_api::object::Filter;
use openwfp_api::record::Record;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Defines an enumeration of the wire by its Rust values, numbered from 1.
macro_rules! enumeration {
    ($all:ident, $get:ident, $put:ident: $type:ident { $($name:ident),* $(,)? }) => {
        pub(crate) const $all: &[$type] = &[$($type::$name),*];

        fn $get(value: Value<'_>) -> Result<$type> {
            let number: usize = value.uint()?;
            number.checked_sub(1).and_then(|place| $all.get(place)).copied().ok_or_else(|| {
                let what = format!("unknown {} {number}", stringify!($type));
                Error::new(Code::FWP_E_INVALID_ENUMERATOR, what)
            })
        }

        #[inline]
        fn $put(value: $type) -> u32 {
            // The Rust enumerations count from 0 in the same order. A test checks this.
            value as u32 + 1
        }
    };
}

enumeration!(MODES, get_mode, mode_number: Mode { Transport, Tunnel, Beet, Iptfs });
enumeration!(AUTHS, get_auth_algorithm, auth_number: AuthAlgorithm {
    HmacMd5, HmacSha1, HmacSha256, HmacSha384, HmacSha512, HmacRipemd160, HmacSm3, AesCmac, AesXcbc, AesGmac, Null, Other,
});
enumeration!(CIPHERS, get_cipher_algorithm, cipher_number: CipherAlgorithm {
    DesCbc, TripleDesCbc, AesCbc, AesCtr, CamelliaCbc, BlowfishCbc, Cast128Cbc, SerpentCbc, TwofishCbc, Sm4Cbc, Null, Other,
});
enumeration!(AEADS, get_aead_algorithm, aead_number: AeadAlgorithm { AesGcm, AesCcm, ChaCha20Poly1305, Other });
enumeration!(COMPRESSIONS, get_compression_algorithm, compression_number: CompressionAlgorithm {
    Deflate, Lzs, Lzjh, Other,
});

const PFS_GROUPS: [PfsGroup; 8] = [
    PfsGroup::None,
    PfsGroup::Group1,
    PfsGroup::Group2,
    PfsGroup::Group14,
    PfsGroup::Ecp256,
    PfsGroup::Ecp384,
    PfsGroup::MainMode,
    PfsGroup::Group24,
];

fn missing(what: &str) -> Error {
    malformed(&format!("{what} is missing"))
}

pub(crate) fn put_context(writer: &mut Writer<'_>, context: &SaContext) {
    writer.uint(1, context.id.0);
    let (state, inbound_spi, since) = match context.state {
        SaState::Created => (1_u32, 0, 0),
        SaState::HasSpi { inbound_spi } => (2, inbound_spi.get(), 0),
        SaState::Inbound => (3, 0, 0),
        SaState::Outbound => (4, 0, 0),
        SaState::Complete => (5, 0, 0),
        SaState::Expiring { since } => (6, 0, since.0),
        // The enum is non-exhaustive, but all current variants are listed above.
        _ => (0, 0, 0),
    };
    writer.uint(2, state);
    writer.uint(3, inbound_spi);
    writer.uint(4, since);
    writer.message(5, |writer| put_traffic(writer, &context.traffic));
    for selector in context.selectors.iter() {
        writer.message(6, |writer| put_selector(writer, selector));
    }
    if let Some(details) = &context.inbound {
        writer.message(7, |writer| put_details(writer, details));
    }
    if let Some(details) = &context.outbound {
        writer.message(8, |writer| put_details(writer, details));
    }
    if let Some(reservation) = &context.reservation {
        writer.message(9, |writer| put_reservation(writer, reservation));
    }
    let totals = context.counters.totals.get();
    let counted = [
        (10, &context.counters.inbound, totals.map(|totals| &totals.inbound)),
        (11, &context.counters.outbound, totals.map(|totals| &totals.outbound)),
    ];
    for (field, counters, totals) in counted {
        put_counters(writer, field, counters, totals);
    }
    for (field, direction) in [(12, openwfp_api::Direction::Inbound), (13, openwfp_api::Direction::Outbound)]
    {
        if let Some(filter) = context.selectors.filter(direction) {
            writer.message(field, |writer| Record::put(filter, writer));
        }
    }
}

pub(crate) fn get_context(reader: Reader<'_>) -> Result<SaContext> {
    let (mut id, mut state, mut larval, mut since) = (0, 0_u32, 0, 0);
    let (mut traffic, mut first, mut further) = (None, None, Vec::new());
    let (mut inbound, mut outbound, mut reservation) = (None, None, None);
    let (mut counters, mut totals) = (Counters::default(), Totals::default());
    let mut filters: [Option<Arc<Filter>>; 2] = [None, None];
    reader.fields(|field, value| {
        match field {
            1 => id = value.u64()?,
            2 => state = value.uint()?,
            3 => larval = value.uint()?,
            4 => since = value.u64()?,
            5 => traffic = Some(get_traffic(value.message()?)?),
            6 if first.is_none() => first = Some(get_selector(value.message()?)?),
            6 => {
                bounds::check_room("SaContext.selectors", further.len(), bounds::SHORT_LIST)?;
                further.push(get_selector(value.message()?)?);
            }
            7 => inbound = Some(get_details(value.message()?)?),
            8 => outbound = Some(get_details(value.message()?)?),
            9 => reservation = Some(Arc::new(get_reservation(value.message()?)?)),
            10 => (counters.inbound, totals.inbound) = get_counters(value.message()?)?,
            11 => (counters.outbound, totals.outbound) = get_counters(value.message()?)?,
            12 => filters[0] = Some(Arc::new(Filter::read(value.message()?)?)),
            13 => filters[1] = Some(Arc::new(Filter::read(value.message()?)?)),
            _ => {}
        }
        Ok(())
    })?;
    if [&totals.inbound, &totals.outbound].into_iter().any(|totals| totals.traffic() != (0, 0)) {
        counters.totals = Arc::new(totals).into();
    }
    let state = match state {
        1 => SaState::Created,
        2 => SaState::HasSpi { inbound_spi: spi(larval)? },
        3 => SaState::Inbound,
        4 => SaState::Outbound,
        5 => SaState::Complete,
        6 => SaState::Expiring { since: Timestamp(since) },
        other => {
            let what = format!("unknown state {other} of an SA context");
            return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
        }
    };
    let selectors = match (first, further.is_empty()) {
        _ if filters.iter().any(Option::is_some) => {
            let [inbound, outbound] = filters;
            Selectors::of_filters(first.into_iter().chain(further).collect(), inbound, outbound)
        }
        (None, _) => Selectors::NONE,
        (Some(selector), true) => Selectors::from(selector),
        (Some(selector), false) => {
            further.insert(0, selector);
            Selectors::from(further)
        }
    };
    Ok(SaContext {
        id: SaContextId(id),
        state,
        traffic: traffic.ok_or_else(|| missing("an SA context's traffic"))?,
        selectors,
        inbound,
        outbound,
        reservation,
        counters: Arc::new(counters),
    })
}

pub(crate) fn spi(value: u32) -> Result<Spi> {
    Spi::new(value).ok_or_else(|| {
        Error::new(Code::FWP_E_OUT_OF_BOUNDS, "an SPI is 0 or missing (0 is not valid, RFC 4303)")
    })
}

pub(crate) fn put_address(writer: &mut Writer<'_>, field: u32, address: IpAddr) {
    match address {
        IpAddr::V4(address) => writer.bytes(field, &address.octets()),
        IpAddr::V6(address) => writer.bytes(field, &address.octets()),
    }
}

pub(crate) fn get_address(bytes: &[u8]) -> Result<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(octets).into());
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(octets) => Ok(Ipv6Addr::from(octets).into()),
        Err(_) => Err(malformed(&format!("an address must have 4 or 16 bytes, not {}", bytes.len()))),
    }
}

pub(crate) fn put_traffic(writer: &mut Writer<'_>, traffic: &Traffic) {
    match &traffic.endpoints {
        Endpoints::V4 { local, remote } => {
            writer.bytes(1, &local.octets());
            writer.bytes(2, &remote.octets());
        }
        Endpoints::V6 { local, remote } => {
            writer.bytes(1, &local.octets());
            writer.bytes(2, &remote.octets());
        }
    }
    writer.uint(3, mode_number(traffic.mode));
    writer.uint(4, traffic.ip_protocol);
    writer.uint(5, traffic.local_port);
    writer.uint(6, traffic.remote_port);
    writer.uint(7, traffic.local_if_luid);
    writer.uint(8, traffic.real_if_profile_id);
}

pub(crate) fn get_traffic(reader: Reader<'_>) -> Result<Traffic> {
    let (mut local, mut remote) = (None, None);
    let unspecified = Endpoints::V4 { local: Ipv4Addr::UNSPECIFIED, remote: Ipv4Addr::UNSPECIFIED };
    let mut traffic = Traffic::new(unspecified, Mode::Transport);
    let mut mode = None;
    reader.fields(|field, value| {
        match field {
            1 => local = Some(get_address(value.bytes()?)?),
            2 => remote = Some(get_address(value.bytes()?)?),
            3 => mode = Some(get_mode(value)?),
            4 => traffic.ip_protocol = value.uint()?,
            5 => traffic.local_port = value.uint()?,
            6 => traffic.remote_port = value.uint()?,
            7 => traffic.local_if_luid = value.u64()?,
            8 => traffic.real_if_profile_id = value.uint()?,
            _ => {}
        }
        Ok(())
    })?;
    let (Some(local), Some(remote), Some(mode)) = (local, remote, mode) else {
        return Err(missing("a traffic's address or mode"));
    };
    traffic.endpoints = Endpoints::new(local, remote).ok_or_else(|| {
        let what = format!("the traffic's addresses {local} and {remote} differ in IP version");
        Error::new(Code::FWP_E_TRAFFIC_MISMATCH, what)
    })?;
    traffic.mode = mode;
    Ok(traffic)
}

pub(crate) fn put_selector(writer: &mut Writer<'_>, selector: &Selector) {
    put_address(writer, 1, selector.local.addr());
    writer.uint(2, selector.local.prefix_len());
    put_address(writer, 3, selector.remote.addr());
    writer.uint(4, selector.remote.prefix_len());
    writer.uint(5, selector.protocol);
    writer.uint(6, selector.local_port.port);
    writer.uint(7, selector.local_port.mask);
    writer.uint(8, selector.remote_port.port);
    writer.uint(9, selector.remote_port.mask);
}

pub(crate) fn network(address: IpAddr, prefix: u8) -> Result<IpNet> {
    IpNet::new(address, prefix).map_err(|_| {
        Error::new(
            Code::FWP_E_INVALID_NET_MASK,
            format!("a prefix of {prefix} bits is too long for {address}"),
        )
    })
}

pub(crate) fn get_selector(reader: Reader<'_>) -> Result<Selector> {
    let (mut local, mut remote) = (None, None);
    let (mut local_prefix, mut remote_prefix, mut protocol) = (0, 0, 0);
    let (mut local_port, mut remote_port) = (SelectorPorts::default(), SelectorPorts::default());
    reader.fields(|field, value| {
        match field {
            1 => local = Some(get_address(value.bytes()?)?),
            2 => local_prefix = value.uint()?,
            3 => remote = Some(get_address(value.bytes()?)?),
            4 => remote_prefix = value.uint()?,
            5 => protocol = value.uint()?,
            6 => local_port.port = value.uint()?,
            7 => local_port.mask = value.uint()?,
            8 => remote_port.port = value.uint()?,
            9 => remote_port.mask = value.uint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Selector {
        local: network(local.ok_or_else(|| missing("a selector's local address"))?, local_prefix)?,
        remote: network(remote.ok_or_else(|| missing("a selector's remote address"))?, remote_prefix)?,
        protocol,
        local_port,
        remote_port,
    })
}

fn put_details(writer: &mut Writer<'_>, details: &SaDetails) {
    writer.uint(1, details.filter_id.0);
    writer.message(2, |writer| put_bundle(writer, &details.bundle));
    put_udp(writer, 3, details.udp_encapsulation);
    put_virtual_if(writer, 4, details.virtual_if_tunnel.as_deref());
}

fn get_details(reader: Reader<'_>) -> Result<SaDetails> {
    let (mut filter_id, mut bundle, mut udp_encapsulation, mut virtual_if_tunnel) = (0, None, None, None);
    reader.fields(|field, value| {
        match field {
            1 => filter_id = value.u64()?,
            2 => bundle = Some(get_bundle(value.message()?)?),
            3 => udp_encapsulation = Some(get_udp(value.message()?)?),
            4 => virtual_if_tunnel = Some(Box::new(get_virtual_if(value.message()?)?)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(SaDetails {
        filter_id: FilterId(filter_id),
        bundle: bundle.ok_or_else(|| missing("a direction's bundle"))?,
        udp_encapsulation,
        virtual_if_tunnel,
    })
}

pub(crate) fn put_udp(writer: &mut Writer<'_>, field: u32, udp: Option<UdpEncapsulation>) {
    if let Some(udp) = udp {
        writer.message(field, |writer| {
            writer.uint(1, udp.local_port);
            writer.uint(2, udp.remote_port);
        });
    }
}

pub(crate) fn get_udp(reader: Reader<'_>) -> Result<UdpEncapsulation> {
    let mut udp = UdpEncapsulation { local_port: 0, remote_port: 0 };
    reader.fields(|field, value| {
        match field {
            1 => udp.local_port = value.uint()?,
            2 => udp.remote_port = value.uint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(udp)
}

pub(crate) fn put_virtual_if(writer: &mut Writer<'_>, field: u32, tunnel: Option<&VirtualIfTunnel>) {
    if let Some(tunnel) = tunnel {
        writer.message(field, |writer| {
            writer.uint(1, tunnel.virtual_if_tunnel_id);
            writer.uint(2, tunnel.traffic_selector_id);
        });
    }
}

pub(crate) fn get_virtual_if(reader: Reader<'_>) -> Result<VirtualIfTunnel> {
    let mut tunnel = VirtualIfTunnel { virtual_if_tunnel_id: 0, traffic_selector_id: 0 };
    reader.fields(|field, value| {
        match field {
            1 => tunnel.virtual_if_tunnel_id = value.u64()?,
            2 => tunnel.traffic_selector_id = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(tunnel)
}

fn put_reservation(writer: &mut Writer<'_>, reservation: &Reservation) {
    writer.uint(1, reservation.outbound_filter_id.0);
    writer.uint(2, reservation.inbound_filter_id.0);
    put_udp(writer, 3, reservation.udp_encapsulation);
    put_virtual_if(writer, 4, reservation.virtual_if_tunnel.as_ref());
    if let Some(packet) = &reservation.packet {
        writer.message(5, |writer| put_selector(writer, packet));
    }
}

fn get_reservation(reader: Reader<'_>) -> Result<Reservation> {
    let mut reservation = Reservation::default();
    reader.fields(|field, value| {
        match field {
            1 => reservation.outbound_filter_id = FilterId(value.u64()?),
            2 => reservation.inbound_filter_id = FilterId(value.u64()?),
            3 => reservation.udp_encapsulation = Some(get_udp(value.message()?)?),
            4 => reservation.virtual_if_tunnel = Some(get_virtual_if(value.message()?)?),
            5 => reservation.packet = Some(get_selector(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(reservation)
}

/// Writes counters, or nothing if all are zero.
fn put_counters(
    writer: &mut Writer<'_>,
    field: u32,
    counters: &DirectionCounters,
    totals: Option<&TrafficTotals>,
) {
    let wide = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let narrow = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let before = writer.len();
    let mut empty = false;
    writer.message(field, |writer| {
        let start = writer.len();
        writer.uint(1, wide(&counters.bytes));
        writer.uint(2, wide(&counters.packets));
        writer.uint(3, wide(&counters.last_used));
        writer.uint(4, narrow(&counters.replay_window_drops));
        writer.uint(5, narrow(&counters.replay_drops));
        writer.uint(6, narrow(&counters.integrity_failures));
        if let Some(totals) = totals {
            writer.uint(7, wide(&totals.bytes));
            writer.uint(8, wide(&totals.packets));
        }
        empty = writer.len() == start;
    });
    if empty {
        writer.truncate(before);
    }
}

fn get_counters(reader: Reader<'_>) -> Result<(DirectionCounters, TrafficTotals)> {
    let mut counters = DirectionCounters::default();
    let mut totals = TrafficTotals::default();
    reader.fields(|field, value| {
        match field {
            1 => *counters.bytes.get_mut() = value.u64()?,
            2 => *counters.packets.get_mut() = value.u64()?,
            3 => *counters.last_used.get_mut() = value.u64()?,
            4 => *counters.replay_window_drops.get_mut() = value.uint()?,
            5 => *counters.replay_drops.get_mut() = value.uint()?,
            6 => *counters.integrity_failures.get_mut() = value.uint()?,
            7 => *totals.bytes.get_mut() = value.u64()?,
            8 => *totals.packets.get_mut() = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((counters, totals))
}

pub(crate) fn put_bundle(writer: &mut Writer<'_>, bundle: &SaBundle) {
    writer.uint(1, bundle.flags);
    writer.uint(2, bundle.lifetime.seconds);
    writer.uint(3, bundle.lifetime.kilobytes);
    writer.uint(4, bundle.lifetime.packets);
    writer.uint(5, bundle.idle_timeout_seconds);
    writer.uint(6, bundle.qm_sa_id);
    writer.uint(7, bundle.mm_sa_id);
    for sa in bundle.sas.iter() {
        writer.message(8, |writer| put_sa(writer, sa));
    }
    if let Some(keying) = &bundle.keying {
        writer.message(9, |writer| put_keying(writer, keying));
    }
}

pub(crate) fn get_bundle(reader: Reader<'_>) -> Result<SaBundle> {
    let (mut flags, mut lifetime, mut idle_timeout_seconds) = (0, Lifetime::UNLIMITED, 0);
    let (mut qm_sa_id, mut mm_sa_id, mut keying) = (0, 0, None);
    let (mut first, mut further) = (None, Vec::new());
    reader.fields(|field, value| {
        match field {
            1 => flags = value.uint()?,
            2 => lifetime.seconds = value.uint()?,
            3 => lifetime.kilobytes = value.uint()?,
            4 => lifetime.packets = value.uint()?,
            5 => idle_timeout_seconds = value.uint()?,
            6 => qm_sa_id = value.uint()?,
            7 => mm_sa_id = value.u64()?,
            8 if first.is_none() => first = Some(get_sa(value.message()?)?),
            8 => {
                bounds::check_room("SaBundle.sas", further.len(), bounds::SHORT_LIST)?;
                further.push(get_sa(value.message()?)?);
            }
            9 => keying = Some(Box::new(get_keying(value.message()?)?)),
            _ => {}
        }
        Ok(())
    })?;
    let sas = match first {
        Some(sa) if further.is_empty() => SaList::one(sa),
        first => SaList::new(first.into_iter().chain(further))?,
    };
    Ok(SaBundle { flags, lifetime, idle_timeout_seconds, qm_sa_id, mm_sa_id, sas, keying })
}

fn put_sa(writer: &mut Writer<'_>, sa: &Sa) {
    writer.fixed32(1, sa.spi.get());
    match &sa.transform {
        Transform::Ah(auth) => writer.message(2, |writer| put_auth(writer, auth)),
        Transform::EspAuth(auth) => writer.message(3, |writer| put_auth(writer, auth)),
        Transform::EspCipher(cipher) => writer.message(4, |writer| put_cipher(writer, cipher)),
        Transform::EspAuthAndCipher(both) => writer.message(5, |writer| {
            writer.message(1, |writer| put_auth(writer, &both.auth));
            writer.message(2, |writer| put_cipher(writer, &both.cipher));
        }),
        Transform::EspAead(aead) => writer.message(6, |writer| {
            writer.uint(1, aead_number(aead.algorithm));
            writer.uint(2, aead.icv_bits);
            put_key(writer, 3, &aead.key);
        }),
        Transform::Ipcomp(compression) => writer.message(7, |writer| {
            writer.uint(1, compression_number(compression.algorithm));
        }),
        // The enum is non-exhaustive, but all current variants are listed above.
        _ => {}
    }
    if let Some(linux) = &sa.linux {
        writer.message(8, |writer| put_linux(writer, linux));
    }
}

fn get_sa(reader: Reader<'_>) -> Result<Sa> {
    let (mut number, mut transform, mut linux) = (0, None, None);
    reader.fields(|field, value| {
        match field {
            1 => number = value.uint()?,
            2 => transform = Some(Transform::Ah(get_auth(value.message()?)?)),
            3 => transform = Some(Transform::EspAuth(get_auth(value.message()?)?)),
            4 => transform = Some(Transform::EspCipher(get_cipher(value.message()?)?)),
            5 => transform = Some(get_auth_and_cipher(value.message()?)?),
            6 => transform = Some(Transform::EspAead(get_aead(value.message()?)?)),
            7 => transform = Some(get_compression(value.message()?)?),
            8 => linux = Some(Box::new(get_linux(value.message()?)?)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Sa { spi: spi(number)?, transform: transform.ok_or_else(|| missing("an SA's transform"))?, linux })
}

fn put_auth(writer: &mut Writer<'_>, auth: &Auth) {
    writer.uint(1, auth_number(auth.algorithm));
    writer.uint(2, auth.icv_bits);
    put_key(writer, 3, &auth.key);
}

fn get_auth(reader: Reader<'_>) -> Result<Auth> {
    let (mut algorithm, mut icv_bits, mut key) = (None, 0, None);
    reader.fields(|field, value| {
        match field {
            1 => algorithm = Some(get_auth_algorithm(value)?),
            2 => icv_bits = value.uint()?,
            3 => key = Some(get_key(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let algorithm = algorithm.ok_or_else(|| missing("an integrity algorithm"))?;
    Ok(Auth { algorithm, icv_bits, key: key.unwrap_or_else(no_key) })
}

fn put_cipher(writer: &mut Writer<'_>, cipher: &Cipher) {
    writer.uint(1, cipher_number(cipher.algorithm));
    put_key(writer, 2, &cipher.key);
}

fn get_cipher(reader: Reader<'_>) -> Result<Cipher> {
    let (mut algorithm, mut key) = (None, None);
    reader.fields(|field, value| {
        match field {
            1 => algorithm = Some(get_cipher_algorithm(value)?),
            2 => key = Some(get_key(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let algorithm = algorithm.ok_or_else(|| missing("a cipher"))?;
    Ok(Cipher { algorithm, key: key.unwrap_or_else(no_key) })
}

fn get_auth_and_cipher(reader: Reader<'_>) -> Result<Transform> {
    let (mut auth, mut cipher) = (None, None);
    reader.fields(|field, value| {
        match field {
            1 => auth = Some(get_auth(value.message()?)?),
            2 => cipher = Some(get_cipher(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let auth = auth.ok_or_else(|| missing("an integrity algorithm"))?;
    let cipher = cipher.ok_or_else(|| missing("a cipher"))?;
    Ok(Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher { auth, cipher })))
}

fn get_aead(reader: Reader<'_>) -> Result<Aead> {
    let (mut algorithm, mut icv_bits, mut key) = (None, 0, None);
    reader.fields(|field, value| {
        match field {
            1 => algorithm = Some(get_aead_algorithm(value)?),
            2 => icv_bits = value.uint()?,
            3 => key = Some(get_key(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let algorithm = algorithm.ok_or_else(|| missing("a combined-mode algorithm"))?;
    Ok(Aead { algorithm, icv_bits, key: key.unwrap_or_else(no_key) })
}

fn get_compression(reader: Reader<'_>) -> Result<Transform> {
    let mut algorithm = None;
    reader.fields(|field, value| {
        if field == 1 {
            algorithm = Some(get_compression_algorithm(value)?);
        }
        Ok(())
    })?;
    let algorithm = algorithm.ok_or_else(|| missing("a compression algorithm"))?;
    Ok(Transform::Ipcomp(Compression { algorithm }))
}

fn put_key(writer: &mut Writer<'_>, field: u32, key: &Key) {
    writer.message(field, |writer| match writer.keys() {
        Some(keys) if !key.is_withheld() => writer.bytes(1, key.bytes(keys)),
        _ => writer.uint(2, key.len() as u64),
    });
}

fn no_key() -> Key {
    Key::new(&[])
}

fn get_key(reader: Reader<'_>) -> Result<Key> {
    let mut key = no_key();
    reader.fields(|field, value| {
        match field {
            1 => key = Key::new(value.bytes()?),
            2 => key = Key::withheld(value.uint()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(key)
}

/// Returns a GUID as bytes with all fields in network byte order (RFC 9562).
pub(crate) fn guid_bytes(guid: Guid) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&guid.data1.to_be_bytes());
    bytes[4..6].copy_from_slice(&guid.data2.to_be_bytes());
    bytes[6..8].copy_from_slice(&guid.data3.to_be_bytes());
    bytes[8..].copy_from_slice(&guid.data4);
    bytes
}

/// Decodes a GUID. Empty bytes mean the zero GUID.
pub(crate) fn get_guid(bytes: &[u8]) -> Result<Guid> {
    if bytes.is_empty() {
        return Ok(Guid::default());
    }
    let Ok([a, b, c, d, e, f, g, h, data4 @ ..]) = <[u8; 16]>::try_from(bytes) else {
        return Err(malformed(&format!("a GUID must have 16 bytes, not {}", bytes.len())));
    };
    let data1 = u32::from_be_bytes([a, b, c, d]);
    Ok(Guid::new(data1, u16::from_be_bytes([e, f]), u16::from_be_bytes([g, h]), data4))
}

fn put_guid(writer: &mut Writer<'_>, field: u32, guid: Guid) {
    if guid != Guid::default() {
        writer.bytes(field, &guid_bytes(guid));
    }
}

fn put_keying(writer: &mut Writer<'_>, keying: &KeyingExtras) {
    writer.uint(1, keying.nd_allow_clear_timeout_seconds);
    if let Some(id) = &keying.ipsec_id {
        writer.message(2, |writer| put_ipsec_id(writer, id));
    }
    writer.uint(3, keying.nap_context);
    if let (Some(state), Some(keys)) = (&keying.key_module_state, writer.keys()) {
        writer.message(4, |writer| {
            put_guid(writer, 1, state.key_module_key);
            writer.bytes(2, state.state_blob.bytes(keys));
        });
    }
    if let Some(address) = keying.peer_v4_private_address {
        writer.bytes(5, &address.octets());
    }
    put_guid(writer, 6, keying.sa_lookup_context);
    writer.uint(7, keying.qm_filter_id);
    writer.uint(8, keying.pfs_group as u32);
}

fn get_keying(reader: Reader<'_>) -> Result<KeyingExtras> {
    let mut keying = KeyingExtras::default();
    reader.fields(|field, value| {
        match field {
            1 => keying.nd_allow_clear_timeout_seconds = value.uint()?,
            2 => keying.ipsec_id = Some(get_ipsec_id(value.message()?)?),
            3 => keying.nap_context = value.uint()?,
            4 => keying.key_module_state = Some(get_module_state(value.message()?)?),
            5 => match get_address(value.bytes()?)? {
                IpAddr::V4(address) => keying.peer_v4_private_address = Some(address),
                IpAddr::V6(_) => return Err(malformed("the peer's private address must be IPv4")),
            },
            6 => keying.sa_lookup_context = get_guid(value.bytes()?)?,
            7 => keying.qm_filter_id = value.u64()?,
            8 => {
                let number: usize = value.uint()?;
                keying.pfs_group = *PFS_GROUPS.get(number).ok_or_else(|| {
                    let what = format!("unknown PFS group {number}");
                    Error::new(Code::FWP_E_INVALID_ENUMERATOR, what)
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(keying)
}

fn get_module_state(reader: Reader<'_>) -> Result<KeyModuleState> {
    let mut state = KeyModuleState { key_module_key: Guid::default(), state_blob: Key::default() };
    reader.fields(|field, value| {
        match field {
            1 => state.key_module_key = get_guid(value.bytes()?)?,
            2 => state.state_blob = Key::new(value.bytes()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(state)
}

fn put_ipsec_id(writer: &mut Writer<'_>, id: &IpsecId) {
    writer.bytes(1, id.mm_target_name.as_bytes());
    writer.bytes(2, id.em_target_name.as_bytes());
    for token in &id.tokens {
        writer.message(3, |writer| {
            writer.uint(1, token.token_type);
            writer.uint(2, token.principal);
            writer.uint(3, token.mode);
            writer.uint(4, token.token);
        });
    }
    writer.uint(4, id.explicit_credentials);
    writer.uint(5, id.logon_id);
}

fn get_ipsec_id(reader: Reader<'_>) -> Result<IpsecId> {
    let mut id = IpsecId::default();
    reader.fields(|field, value| {
        match field {
            1 => id.mm_target_name = bounded("Identity.mm_target_name", value.text()?)?,
            2 => id.em_target_name = bounded("Identity.em_target_name", value.text()?)?,
            3 => {
                bounds::check_room("Identity.tokens", id.tokens.len(), bounds::SHORT_LIST)?;
                id.tokens.push(get_token(value.message()?)?);
            }
            4 => id.explicit_credentials = value.u64()?,
            5 => id.logon_id = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(id)
}

fn get_token(reader: Reader<'_>) -> Result<Token> {
    let mut token = Token { token_type: 0, principal: 0, mode: 0, token: 0 };
    reader.fields(|field, value| {
        match field {
            1 => token.token_type = value.uint()?,
            2 => token.principal = value.uint()?,
            3 => token.mode = value.uint()?,
            4 => token.token = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(token)
}

/// Returns a text that is not too long.
pub(crate) fn bounded<T: for<'t> From<&'t str>>(field: &str, text: &str) -> Result<T> {
    bounds::check(field, text.len(), bounds::TEXT)?;
    Ok(text.into())
}
