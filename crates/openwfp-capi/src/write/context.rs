//! Writes SA contexts and single SAs, the hot path.

use super::filter::transport_filter;
use super::guid;
use super::page;
use crate::abi::FWP_BYTE_BLOB;
use crate::abi::FWPM_FILTER0;
use crate::abi::IPSEC_AUTH_TRANSFORM_ID0;
use crate::abi::IPSEC_AUTH_TRANSFORM0;
use crate::abi::IPSEC_CIPHER_TRANSFORM_ID0;
use crate::abi::IPSEC_CIPHER_TRANSFORM0;
use crate::abi::IPSEC_ID0;
use crate::abi::IPSEC_KEYMODULE_STATE0;
use crate::abi::IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0;
use crate::abi::IPSEC_SA_AUTH_INFORMATION0;
use crate::abi::IPSEC_SA_BUNDLE0;
use crate::abi::IPSEC_SA_BUNDLE1;
use crate::abi::IPSEC_SA_CIPHER_INFORMATION0;
use crate::abi::IPSEC_SA_CONTEXT0;
use crate::abi::IPSEC_SA_CONTEXT1;
use crate::abi::IPSEC_SA_DETAILS0;
use crate::abi::IPSEC_SA_DETAILS1;
use crate::abi::IPSEC_SA0;
use crate::abi::IPSEC_TOKEN0;
use crate::abi::IPSEC_TRAFFIC0;
use crate::abi::IPSEC_TRAFFIC1;
use crate::abi::IPSEC_V4_UDP_ENCAPSULATION0;
use crate::abi::c_void;
use crate::arena::Layout;
use crate::arena::Places;
use crate::arena::Sink;
use crate::arena::Zeroed;
use crate::wide;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::FilterId;
use openwfp_api::IpsecId;
use openwfp_api::KeyAccess;
use openwfp_api::KeyModuleState;
use openwfp_api::Protocol;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaDetails;
use openwfp_api::SaEntry;
use openwfp_api::Traffic;
use openwfp_api::TrafficType;
use openwfp_api::Transform;
use openwfp_api::WfpAuth;
use openwfp_api::WfpCipher;
use std::marker::PhantomData;
use std::sync::Arc;

/// A version of the structures. Version 0 lacks the fields that version 1 added.
pub(crate) trait Version {
    /// `IPSEC_SA_CONTEXT0/1`.
    type Context: Copy;
    /// `IPSEC_SA_DETAILS0/1`.
    type Details: Zeroed;

    fn context(id: u64, inbound: *mut Self::Details, outbound: *mut Self::Details) -> Self::Context;

    /// Fills in details that are all zeros.
    fn details(c: &mut Self::Details, parts: &Parts<'_>);
}

/// The parts of one direction's details; the pointers point into the block.
pub(crate) struct Parts<'a> {
    context: &'a SaContext,
    direction: Direction,
    details: &'a SaDetails,
    sa_count: u32,
    sa_list: *mut IPSEC_SA0,
    ipsec_id: *mut IPSEC_ID0,
    key_module_state: *mut IPSEC_KEYMODULE_STATE0,
    udp_encapsulation: *mut IPSEC_V4_UDP_ENCAPSULATION0,
    transport_filter: *mut FWPM_FILTER0,
}

/// The structures of Windows Vista.
pub(crate) enum Version0 {}

/// The structures of Windows 7 and later.
pub(crate) enum Version1 {}

impl Version for Version1 {
    type Context = IPSEC_SA_CONTEXT1;
    type Details = IPSEC_SA_DETAILS1;

    #[inline]
    fn context(
        id: u64,
        inbound: *mut IPSEC_SA_DETAILS1,
        outbound: *mut IPSEC_SA_DETAILS1,
    ) -> IPSEC_SA_CONTEXT1 {
        IPSEC_SA_CONTEXT1 { saContextId: id, inboundSa: inbound, outboundSa: outbound }
    }

    #[inline]
    fn details(c: &mut IPSEC_SA_DETAILS1, parts: &Parts<'_>) {
        c.ipVersion = parts.context.traffic.endpoints.ip_version() as i32;
        c.saDirection = parts.direction as i32;
        traffic(&mut c.traffic, &parts.context.traffic, parts.details.filter_id);
        bundle(&mut c.saBundle, parts);
        c.Anonymous.udpEncapsulation = parts.udp_encapsulation;
        c.transportFilter = parts.transport_filter;
        if let Some(tunnel) = &parts.details.virtual_if_tunnel {
            c.virtualIfTunnelInfo.virtualIfTunnelId = tunnel.virtual_if_tunnel_id;
            c.virtualIfTunnelInfo.trafficSelectorId = tunnel.traffic_selector_id;
        }
    }
}

impl Version for Version0 {
    type Context = IPSEC_SA_CONTEXT0;
    type Details = IPSEC_SA_DETAILS0;

    fn context(
        id: u64,
        inbound: *mut IPSEC_SA_DETAILS0,
        outbound: *mut IPSEC_SA_DETAILS0,
    ) -> IPSEC_SA_CONTEXT0 {
        IPSEC_SA_CONTEXT0 { saContextId: id, inboundSa: inbound, outboundSa: outbound }
    }

    fn details(c: &mut IPSEC_SA_DETAILS0, parts: &Parts<'_>) {
        let mut newer = IPSEC_SA_DETAILS1::default();
        Version1::details(&mut newer, parts);
        c.ipVersion = newer.ipVersion;
        c.saDirection = newer.saDirection;
        c.traffic = traffic0(&newer.traffic);
        c.saBundle = bundle0(&newer.saBundle);
        c.Anonymous.udpEncapsulation = parts.udp_encapsulation;
        c.transportFilter = newer.transportFilter;
    }
}

fn traffic0(traffic: &IPSEC_TRAFFIC1) -> IPSEC_TRAFFIC0 {
    let mut older = IPSEC_TRAFFIC0 {
        ipVersion: traffic.ipVersion,
        trafficType: traffic.trafficType,
        remotePort: traffic.remotePort,
        ..Default::default()
    };
    // SAFETY: the unions of both versions have the same members; all bytes are copied unchanged.
    unsafe {
        older.Anonymous1.localV6Address = traffic.Anonymous1.localV6Address;
        older.Anonymous2.remoteV6Address = traffic.Anonymous2.remoteV6Address;
        older.Anonymous3.ipsecFilterId = traffic.Anonymous3.ipsecFilterId;
    }
    older
}

fn bundle0(bundle: &IPSEC_SA_BUNDLE1) -> IPSEC_SA_BUNDLE0 {
    let mut older = IPSEC_SA_BUNDLE0 {
        flags: bundle.flags,
        lifetime: bundle.lifetime,
        idleTimeoutSeconds: bundle.idleTimeoutSeconds,
        ndAllowClearTimeoutSeconds: bundle.ndAllowClearTimeoutSeconds,
        ipsecId: bundle.ipsecId,
        napContext: bundle.napContext,
        qmSaId: bundle.qmSaId,
        numSAs: bundle.numSAs,
        saList: bundle.saList,
        keyModuleState: bundle.keyModuleState,
        ipVersion: bundle.ipVersion,
        mmSaId: bundle.mmSaId,
        pfsGroup: bundle.pfsGroup,
        ..Default::default()
    };
    // SAFETY: the union's only member is a number.
    older.Anonymous.peerV4PrivateAddress = unsafe { bundle.Anonymous.peerV4PrivateAddress };
    older
}

/// A page of contexts, with their keys if the caller may read them.
pub(crate) struct Contexts<'a, V> {
    contexts: &'a [Arc<SaContext>],
    encoder: Encoder<'a>,
    version: PhantomData<V>,
}

/// A page of single SAs.
pub(crate) struct Entries<'a, V> {
    entries: &'a [SaEntry],
    encoder: Encoder<'a>,
    version: PhantomData<V>,
}

/// One context.
pub(crate) struct One<'a, V> {
    context: &'a SaContext,
    encoder: Encoder<'a>,
    version: PhantomData<V>,
}

impl<'a, V> Contexts<'a, V> {
    pub(crate) fn new(contexts: &'a [Arc<SaContext>], keys: Option<&'a KeyAccess>) -> Contexts<'a, V> {
        Contexts { contexts, encoder: Encoder::new(keys), version: PhantomData }
    }
}

impl<'a, V> Entries<'a, V> {
    pub(crate) fn new(entries: &'a [SaEntry], keys: Option<&'a KeyAccess>) -> Entries<'a, V> {
        Entries { entries, encoder: Encoder::new(keys), version: PhantomData }
    }
}

impl<'a, V> One<'a, V> {
    pub(crate) fn new(context: &'a SaContext, keys: Option<&'a KeyAccess>) -> One<'a, V> {
        One { context, encoder: Encoder::new(keys), version: PhantomData }
    }
}

/// How many contexts ahead to prefetch; about as long as memory takes to arrive.
const AHEAD: usize = 4;

impl<V: Version> Layout for Contexts<'_, V> {
    fn write(&self, sink: &mut impl Sink) {
        let mut ahead = self.contexts.iter().skip(AHEAD);
        page(sink, self.contexts, |sink, context| {
            if let Some(soon) = ahead.next() {
                sink.announce(&**soon);
            }
            self.encoder.context::<V, _>(sink, context)
        });
    }
}

impl<V: Version> Layout for Entries<'_, V> {
    fn write(&self, sink: &mut impl Sink) {
        let pointers = sink.reserve::<*mut V::Details>(self.entries.len());
        let places = sink.reserve::<V::Details>(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            self.encoder.details_at::<V, _>(sink, entry.context(), entry.direction(), &places, index);
            sink.set(&pointers, index, places.at(index));
        }
    }
}

impl<V: Version> Layout for One<'_, V> {
    fn write(&self, sink: &mut impl Sink) {
        let place = sink.reserve::<V::Context>(1);
        let context = self.encoder.context::<V, _>(sink, self.context);
        sink.set(&place, 0, context);
    }
}

struct Encoder<'a> {
    keys: Option<&'a KeyAccess>,
}

impl<'a> Encoder<'a> {
    fn new(keys: Option<&'a KeyAccess>) -> Encoder<'a> {
        Encoder { keys }
    }

    #[inline]
    fn context<V: Version, S: Sink>(&self, sink: &mut S, context: &SaContext) -> V::Context {
        let inbound = self.details::<V, _>(sink, context, Direction::Inbound);
        let outbound = self.details::<V, _>(sink, context, Direction::Outbound);
        V::context(context.id.0, inbound, outbound)
    }

    /// Writes the details of a direction; null if it has no SA.
    #[inline]
    fn details<V: Version, S: Sink>(
        &self,
        sink: &mut S,
        context: &SaContext,
        direction: Direction,
    ) -> *mut V::Details {
        if context.details(direction).is_none() {
            return std::ptr::null_mut();
        }
        let place = sink.reserve::<V::Details>(1);
        self.details_at::<V, _>(sink, context, direction, &place, 0);
        place.start()
    }

    /// Writes the details of a direction to a reserved place; all zeros if it has no SA.
    #[inline]
    fn details_at<V: Version, S: Sink>(
        &self,
        sink: &mut S,
        context: &SaContext,
        direction: Direction,
        places: &Places<V::Details>,
        index: usize,
    ) {
        let (Some(details), Some(filter)) = (context.details(direction), context.transport_filter(direction))
        else {
            sink.fill(places, index, |_| ());
            return;
        };
        let (sa_count, sa_list) = self.sa_list(sink, &details.bundle);
        let keying = details.bundle.keying.as_deref();
        let parts = Parts {
            context,
            direction,
            details,
            sa_count,
            sa_list,
            ipsec_id: keying
                .and_then(|keying| keying.ipsec_id.as_ref())
                .map_or(std::ptr::null_mut(), |id| ipsec_id(sink, id)),
            // As on the wire, a caller that may not read keys does not get the state either.
            key_module_state: keying
                .and_then(|keying| keying.key_module_state.as_ref())
                .zip(self.keys)
                .map_or(std::ptr::null_mut(), |(state, keys)| key_module_state(sink, state, keys)),
            udp_encapsulation: details.udp_encapsulation.map_or(std::ptr::null_mut(), |ports| {
                sink.put(IPSEC_V4_UDP_ENCAPSULATION0 {
                    localUdpEncapPort: ports.local_port,
                    remoteUdpEncapPort: ports.remote_port,
                })
            }),
            transport_filter: transport_filter(sink, &filter),
        };
        sink.fill(places, index, |c| V::details(c, &parts));
    }

    /// Writes WFP's view of the SAs: one SA, or ESP and AH. Compression, which WFP does not know, is shown
    /// only if it is the bundle's only SA.
    #[inline]
    fn sa_list<S: Sink>(&self, sink: &mut S, bundle: &SaBundle) -> (u32, *mut IPSEC_SA0) {
        let shown = |sa: &&Sa| {
            sa.transform.protocol() != Protocol::Ipcomp
                || bundle.sas.first().transform.protocol() == Protocol::Ipcomp
        };
        let count = bundle.sas.iter().filter(shown).count();
        let list = sink.reserve::<IPSEC_SA0>(count);
        for (index, sa) in bundle.sas.iter().filter(shown).enumerate() {
            self.sa(sink, sa, &list, index);
        }
        // A bundle has at most three SAs, one per protocol.
        (u32::try_from(count).unwrap_or(0), list.start())
    }

    #[inline]
    fn sa<S: Sink>(&self, sink: &mut S, sa: &Sa, list: &Places<IPSEC_SA0>, index: usize) {
        let view = sa.transform.wfp();
        let (auth_key, cipher_key) = self.keys_of(sink, &sa.transform);
        let auth = view.auth.map(|auth| IPSEC_SA_AUTH_INFORMATION0 {
            authTransform: auth_transform(sink, auth),
            authKey: auth_key,
        });
        let cipher = view.cipher.map(|cipher| IPSEC_SA_CIPHER_INFORMATION0 {
            cipherTransform: cipher_transform(sink, cipher),
            cipherKey: cipher_key,
        });
        // All members of the union are pointers.
        let information: *mut c_void = match (auth, cipher) {
            (Some(auth), Some(cipher)) => {
                let both = sink.reserve::<IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0>(1);
                sink.fill(&both, 0, |c| {
                    c.saCipherInformation = cipher;
                    c.saAuthInformation = auth;
                });
                both.start().cast()
            }
            (Some(auth), None) => sink.put(auth).cast(),
            (None, Some(cipher)) => sink.put(cipher).cast(),
            (None, None) => std::ptr::null_mut(),
        };
        sink.fill(list, index, |c| {
            c.spi = sa.spi.get();
            c.saTransformType = view.transform_type as i32;
            c.Anonymous.espAuthInformation = information.cast();
        });
    }

    /// Returns the blobs of the integrity key and of the cipher key; an AEAD key is in both.
    #[inline]
    fn keys_of<S: Sink>(&self, sink: &mut S, transform: &Transform) -> (FWP_BYTE_BLOB, FWP_BYTE_BLOB) {
        let none = FWP_BYTE_BLOB::default();
        let Some(access) = self.keys else {
            return (none, none);
        };
        let mut blob = |key: &openwfp_api::Key| {
            let bytes = key.bytes(access);
            FWP_BYTE_BLOB { size: u32::try_from(bytes.len()).unwrap_or(u32::MAX), data: sink.key(bytes) }
        };
        match transform {
            Transform::Ah(auth) | Transform::EspAuth(auth) => (blob(&auth.key), none),
            Transform::EspCipher(cipher) => (none, blob(&cipher.key)),
            Transform::EspAuthAndCipher(both) => (blob(&both.auth.key), blob(&both.cipher.key)),
            Transform::EspAead(aead) => (blob(&aead.key), blob(&aead.key)),
            _ => (none, none),
        }
    }
}

#[inline]
fn traffic(c: &mut IPSEC_TRAFFIC1, traffic: &Traffic, filter: FilterId) {
    c.trafficType = match traffic.mode.traffic_type() {
        TrafficType::Transport => 0,
        TrafficType::Tunnel => 1,
    };
    c.remotePort = traffic.remote_port;
    c.localPort = traffic.local_port;
    c.ipProtocol = traffic.ip_protocol;
    c.localIfLuid = traffic.local_if_luid;
    c.realIfProfileId = traffic.real_if_profile_id;
    c.Anonymous3.ipsecFilterId = filter.0;
    c.ipVersion = traffic.endpoints.ip_version() as i32;
    match traffic.endpoints {
        Endpoints::V4 { local, remote } => {
            c.Anonymous1.localV4Address = local.into();
            c.Anonymous2.remoteV4Address = remote.into();
        }
        Endpoints::V6 { local, remote } => {
            c.Anonymous1.localV6Address = local.octets();
            c.Anonymous2.remoteV6Address = remote.octets();
        }
    }
}

#[inline]
fn bundle(c: &mut IPSEC_SA_BUNDLE1, parts: &Parts<'_>) {
    let bundle = &parts.details.bundle;
    c.flags = bundle.flags;
    c.lifetime.lifetimeSeconds = bundle.lifetime.seconds;
    c.lifetime.lifetimeKilobytes = bundle.lifetime.kilobytes;
    c.lifetime.lifetimePackets = bundle.lifetime.packets;
    c.idleTimeoutSeconds = bundle.idle_timeout_seconds;
    c.qmSaId = bundle.qm_sa_id;
    c.numSAs = parts.sa_count;
    c.saList = parts.sa_list;
    c.ipVersion = parts.context.traffic.endpoints.ip_version() as i32;
    c.mmSaId = bundle.mm_sa_id;
    c.ipsecId = parts.ipsec_id;
    c.keyModuleState = parts.key_module_state;
    if let Some(keying) = &bundle.keying {
        c.ndAllowClearTimeoutSeconds = keying.nd_allow_clear_timeout_seconds;
        c.napContext = keying.nap_context;
        c.saLookupContext = guid(keying.sa_lookup_context);
        c.qmFilterId = keying.qm_filter_id;
        c.pfsGroup = keying.pfs_group as i32;
        if let Some(address) = keying.peer_v4_private_address {
            c.Anonymous.peerV4PrivateAddress = address.into();
        }
    }
}

#[inline]
fn auth_transform(sink: &mut impl Sink, auth: WfpAuth) -> IPSEC_AUTH_TRANSFORM0 {
    IPSEC_AUTH_TRANSFORM0 {
        authTransformId: IPSEC_AUTH_TRANSFORM_ID0 {
            authType: auth.auth_type.cast_signed(),
            authConfig: auth.auth_config,
        },
        cryptoModuleId: auth.crypto_module.map_or(std::ptr::null_mut(), |module| sink.put(guid(module))),
    }
}

#[inline]
fn cipher_transform(sink: &mut impl Sink, cipher: WfpCipher) -> IPSEC_CIPHER_TRANSFORM0 {
    IPSEC_CIPHER_TRANSFORM0 {
        cipherTransformId: IPSEC_CIPHER_TRANSFORM_ID0 {
            cipherType: cipher.cipher_type.cast_signed(),
            cipherConfig: cipher.cipher_config,
        },
        cryptoModuleId: cipher.crypto_module.map_or(std::ptr::null_mut(), |module| sink.put(guid(module))),
    }
}

fn key_module_state(
    sink: &mut impl Sink,
    state: &KeyModuleState,
    keys: &KeyAccess,
) -> *mut IPSEC_KEYMODULE_STATE0 {
    // The state is opaque and may be secret, so it is stored with the keys and wiped like them.
    let blob = FWP_BYTE_BLOB {
        size: u32::try_from(state.state_blob.len()).unwrap_or(u32::MAX),
        data: sink.key(state.state_blob.bytes(keys)),
    };
    sink.put(IPSEC_KEYMODULE_STATE0 { keyModuleKey: guid(state.key_module_key), stateBlob: blob })
}

fn ipsec_id(sink: &mut impl Sink, id: &IpsecId) -> *mut IPSEC_ID0 {
    let tokens = sink.reserve::<IPSEC_TOKEN0>(id.tokens.len());
    for (index, token) in id.tokens.iter().enumerate() {
        let token = IPSEC_TOKEN0 {
            r#type: token.token_type.cast_signed(),
            principal: token.principal.cast_signed(),
            mode: token.mode.cast_signed(),
            token: token.token,
        };
        sink.set(&tokens, index, token);
    }
    let c = IPSEC_ID0 {
        mmTargetName: wide::put(sink, &id.mm_target_name),
        emTargetName: wide::put(sink, &id.em_target_name),
        numTokens: u32::try_from(id.tokens.len()).unwrap_or(0),
        tokens: tokens.start(),
        explicitCredentials: id.explicit_credentials,
        logonId: id.logon_id,
    };
    sink.put(c)
}
