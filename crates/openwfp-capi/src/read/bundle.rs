//! Bundles of SAs.

use super::guid;
use super::number;
use crate::abi::FWP_BYTE_BLOB;
use crate::abi::IPSEC_AUTH_TRANSFORM0;
use crate::abi::IPSEC_CIPHER_TRANSFORM0;
use crate::abi::IPSEC_ID0;
use crate::abi::IPSEC_SA_AUTH_INFORMATION0;
use crate::abi::IPSEC_SA_BUNDLE0;
use crate::abi::IPSEC_SA_BUNDLE1;
use crate::abi::IPSEC_SA_CIPHER_INFORMATION0;
use crate::abi::IPSEC_SA0;
use crate::boundary::array;
use crate::boundary::optional;
use crate::boundary::required;
use crate::wide;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::IpVersion;
use openwfp_api::IpsecId;
use openwfp_api::KeyModuleState;
use openwfp_api::KeyingExtras;
use openwfp_api::Lifetime;
use openwfp_api::PfsGroup;
use openwfp_api::Protocol;
use openwfp_api::Result;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaList;
use openwfp_api::Spi;
use openwfp_api::Token;
use openwfp_api::Transform;
use openwfp_api::WfpAlgorithm;
use std::net::Ipv4Addr;

/// The longest key that is looked at, in bytes; no algorithm has one as long.
const KEY_LEN_MAX: u32 = 4096;
/// The longest state of a keying module, and the most tokens of an identity.
const STATE_LEN_MAX: u32 = 1 << 20;
const TOKENS_MAX: u32 = 4096;

/// Version 0's bundle as version 1 has it: with what it lacks left 0.
pub(crate) fn bundle0(bundle: &IPSEC_SA_BUNDLE0) -> IPSEC_SA_BUNDLE1 {
    let mut wider = IPSEC_SA_BUNDLE1 {
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
    // SAFETY: the union has one member, a number.
    wider.Anonymous.peerV4PrivateAddress = unsafe { bundle.Anonymous.peerV4PrivateAddress };
    wider
}

/// `IPSEC_SA_BUNDLE1`.
///
/// # Errors
/// Those of the spec's validation: `FWP_E_ZERO_LENGTH_ARRAY`, `FWP_E_OUT_OF_BOUNDS`, `FWP_E_NULL_POINTER`,
/// `FWP_E_INVALID_ENUMERATOR` and those of [`Transform::from_wfp`].
///
/// # Safety
/// The pointers in it are null or good, down to the keys.
pub(crate) unsafe fn bundle1(bundle: &IPSEC_SA_BUNDLE1) -> Result<SaBundle> {
    // SAFETY: as the caller says.
    let sas = unsafe { sa_list(bundle) }?;
    let version = IpVersion::from_wfp(number(bundle.ipVersion))?;
    // SAFETY: the union has one member, a number.
    let peer = unsafe { bundle.Anonymous.peerV4PrivateAddress };
    let keying = KeyingExtras {
        nd_allow_clear_timeout_seconds: bundle.ndAllowClearTimeoutSeconds,
        // SAFETY: as the caller says.
        ipsec_id: unsafe { ipsec_id(bundle.ipsecId) }?,
        nap_context: bundle.napContext,
        // SAFETY: as the caller says.
        key_module_state: unsafe { key_module_state(bundle) }?,
        peer_v4_private_address: (version == IpVersion::V4 && peer != 0).then(|| Ipv4Addr::from(peer)),
        sa_lookup_context: guid(&bundle.saLookupContext),
        qm_filter_id: bundle.qmFilterId,
        pfs_group: PfsGroup::from_wfp(number(bundle.pfsGroup))?,
    };
    Ok(SaBundle {
        flags: bundle.flags,
        lifetime: Lifetime {
            seconds: bundle.lifetime.lifetimeSeconds,
            kilobytes: bundle.lifetime.lifetimeKilobytes,
            packets: bundle.lifetime.lifetimePackets,
        },
        idle_timeout_seconds: bundle.idleTimeoutSeconds,
        qm_sa_id: bundle.qmSaId,
        mm_sa_id: bundle.mmSaId,
        keying: (keying != KeyingExtras::default()).then(|| Box::new(keying)),
        ..SaBundle::new(sas)
    })
}

/// # Safety
/// As [`bundle1`].
unsafe fn sa_list(bundle: &IPSEC_SA_BUNDLE1) -> Result<SaList> {
    match bundle.numSAs {
        0 => return Err(Error::new(Code::FWP_E_ZERO_LENGTH_ARRAY, "the bundle has no SA: numSAs is 0")),
        1 | 2 => {}
        more => {
            let what = format!("the bundle has {more} SAs; it holds one, or ESP and AH");
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
        }
    }
    // SAFETY: as the caller says.
    let list = unsafe { array(bundle.saList, bundle.numSAs, "saList") }?;
    // SAFETY: as the caller says.
    let sas = list.iter().map(|sa| unsafe { self::sa(sa) }).collect::<Result<Vec<_>>>()?;
    if let [first, second] = &sas[..]
        && (first.transform.protocol(), second.transform.protocol()) != (Protocol::Esp, Protocol::Ah)
    {
        return Err(Error::new(
            Code::FWP_E_OUT_OF_BOUNDS,
            "a bundle of two SAs has ESP at index 0 and AH at 1",
        ));
    }
    SaList::new(sas)
}

/// # Safety
/// As [`bundle1`].
unsafe fn sa(sa: &IPSEC_SA0) -> Result<Sa> {
    let spi = Spi::new(sa.spi).ok_or_else(|| {
        Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            "an SA's spi is 0, which is never one (RFC 4303 section 2.1)",
        )
    })?;
    let transform_type = number(sa.saTransformType);
    // SAFETY: every member of the union is a pointer; the type says to what, and the caller that it is null or good.
    let transform = unsafe {
        match transform_type {
            1 | 2 => {
                let auth =
                    auth(required(sa.Anonymous.ahInformation, "the SA's authentication information")?)?;
                Transform::from_wfp(transform_type, Some(auth), None)
            }
            3 => {
                let cipher =
                    cipher(required(sa.Anonymous.espCipherInformation, "the SA's cipher information")?)?;
                Transform::from_wfp(transform_type, None, Some(cipher))
            }
            4 => {
                let both = required(
                    sa.Anonymous.espAuthAndCipherInformation,
                    "the SA's authentication and cipher information",
                )?;
                let auth = auth(&both.saAuthInformation)?;
                Transform::from_wfp(transform_type, Some(auth), Some(cipher(&both.saCipherInformation)?))
            }
            _ => Transform::from_wfp(transform_type, None, None),
        }
    }?;
    Ok(Sa { spi, transform, linux: None })
}

/// # Safety
/// As [`bundle1`].
unsafe fn auth(information: &IPSEC_SA_AUTH_INFORMATION0) -> Result<WfpAlgorithm<'_>> {
    let IPSEC_AUTH_TRANSFORM0 { authTransformId: id, cryptoModuleId: module } = information.authTransform;
    // SAFETY: as the caller says.
    let (module, key) = unsafe { (optional(module, "cryptoModuleId")?, key(&information.authKey)?) };
    Ok(WfpAlgorithm {
        algorithm: number(id.authType),
        config: id.authConfig,
        crypto_module: module.map(guid),
        key,
    })
}

/// # Safety
/// As [`bundle1`].
unsafe fn cipher(information: &IPSEC_SA_CIPHER_INFORMATION0) -> Result<WfpAlgorithm<'_>> {
    let IPSEC_CIPHER_TRANSFORM0 { cipherTransformId: id, cryptoModuleId: module } =
        information.cipherTransform;
    // SAFETY: as the caller says.
    let (module, key) = unsafe { (optional(module, "cryptoModuleId")?, key(&information.cipherKey)?) };
    Ok(WfpAlgorithm {
        algorithm: number(id.cipherType),
        config: id.cipherConfig,
        crypto_module: module.map(guid),
        key,
    })
}

/// # Safety
/// As [`bundle1`].
unsafe fn key(blob: &FWP_BYTE_BLOB) -> Result<&[u8]> {
    // SAFETY: as the caller says.
    unsafe { bytes(blob, KEY_LEN_MAX, "a key") }
}

/// # Safety
/// As [`bundle1`].
unsafe fn bytes<'a>(blob: &'a FWP_BYTE_BLOB, max: u32, name: &str) -> Result<&'a [u8]> {
    if blob.size > max {
        let what = format!("{name} of {} bytes is longer than {max}", blob.size);
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
    }
    // SAFETY: as the caller says.
    unsafe { array(blob.data, blob.size, name) }
}

/// # Safety
/// As [`bundle1`].
unsafe fn ipsec_id(id: *const IPSEC_ID0) -> Result<Option<IpsecId>> {
    // SAFETY: as the caller says.
    let Some(id) = (unsafe { optional(id, "ipsecId") })? else {
        return Ok(None);
    };
    if id.numTokens > TOKENS_MAX {
        let what = format!("an ipsecId of {} tokens has more than {TOKENS_MAX}", id.numTokens);
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
    }
    // SAFETY: as the caller says.
    let (main, extended, tokens) = unsafe {
        (
            wide::read(id.mmTargetName, "mmTargetName")?,
            wide::read(id.emTargetName, "emTargetName")?,
            array(id.tokens, id.numTokens, "tokens")?,
        )
    };
    let token = |token: &crate::abi::IPSEC_TOKEN0| Token {
        token_type: number(token.r#type),
        principal: number(token.principal),
        mode: number(token.mode),
        token: token.token,
    };
    Ok(Some(IpsecId {
        mm_target_name: main,
        em_target_name: extended,
        tokens: tokens.iter().map(token).collect(),
        explicit_credentials: id.explicitCredentials,
        logon_id: id.logonId,
    }))
}

/// # Safety
/// As [`bundle1`].
unsafe fn key_module_state(bundle: &IPSEC_SA_BUNDLE1) -> Result<Option<KeyModuleState>> {
    // SAFETY: as the caller says.
    let Some(state) = (unsafe { optional(bundle.keyModuleState, "keyModuleState") })? else {
        return Ok(None);
    };
    // SAFETY: as the caller says.
    let blob = unsafe { bytes(&state.stateBlob, STATE_LEN_MAX, "the state of a keying module") }?;
    Ok(Some(KeyModuleState { key_module_key: guid(&state.keyModuleKey), state_blob: blob.into() }))
}
