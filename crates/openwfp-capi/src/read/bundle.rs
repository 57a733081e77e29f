//! Reads bundles of SAs.

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
use openwfp_api::Key;
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

/// Maximum length of a key, in bytes; no algorithm has one as long.
const KEY_LEN_MAX: u32 = 4096;
/// Maximum length of a keying module's state, in bytes, and maximum number of tokens of an identity.
const STATE_LEN_MAX: u32 = 1 << 20;
const TOKENS_MAX: u32 = 4096;

/// Converts version 0's bundle to version 1; the fields that version 0 lacks are 0.
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
    // SAFETY: the union's only member is a number.
    wider.Anonymous.peerV4PrivateAddress = unsafe { bundle.Anonymous.peerV4PrivateAddress };
    wider
}

/// Reads an `IPSEC_SA_BUNDLE1`.
///
/// # Errors
/// `FWP_E_ZERO_LENGTH_ARRAY` without an SA, `FWP_E_OUT_OF_BOUNDS` for more than one SA unless they are
/// ESP and AH in this order, and for a key or list that is too long, `FWP_E_INVALID_PARAMETER` for an
/// SPI of 0, `FWP_E_NULL_POINTER`, `FWP_E_INVALID_ENUMERATOR`, and the errors of
/// [`Transform::from_wfp`].
///
/// # Safety
/// The structure's pointers, down to those of the keys, are null or valid.
pub(crate) unsafe fn bundle1(bundle: &IPSEC_SA_BUNDLE1) -> Result<SaBundle> {
    // SAFETY: the caller upholds the safety contract.
    let sas = unsafe { sa_list(bundle) }?;
    let version = IpVersion::from_wfp(number(bundle.ipVersion))?;
    // SAFETY: the union's only member is a number.
    let peer = unsafe { bundle.Anonymous.peerV4PrivateAddress };
    let keying = KeyingExtras {
        nd_allow_clear_timeout_seconds: bundle.ndAllowClearTimeoutSeconds,
        // SAFETY: the caller upholds the safety contract.
        ipsec_id: unsafe { ipsec_id(bundle.ipsecId) }?,
        nap_context: bundle.napContext,
        // SAFETY: the caller upholds the safety contract.
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
/// Same as [`bundle1`].
unsafe fn sa_list(bundle: &IPSEC_SA_BUNDLE1) -> Result<SaList> {
    match bundle.numSAs {
        0 => return Err(Error::new(Code::FWP_E_ZERO_LENGTH_ARRAY, "the bundle contains no SA: numSAs is 0")),
        1 | 2 => {}
        more => {
            let what = format!("the bundle contains {more} SAs; the limit is 2, ESP and AH");
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
        }
    }
    // SAFETY: the caller upholds the safety contract.
    let list = unsafe { array(bundle.saList, bundle.numSAs, "saList") }?;
    // SAFETY: the caller upholds the safety contract.
    let sas = list.iter().map(|sa| unsafe { self::sa(sa) }).collect::<Result<Vec<_>>>()?;
    if let [first, second] = &sas[..]
        && (first.transform.protocol(), second.transform.protocol()) != (Protocol::Esp, Protocol::Ah)
    {
        return Err(Error::new(
            Code::FWP_E_OUT_OF_BOUNDS,
            "a bundle of two SAs must have ESP at index 0 and AH at index 1",
        ));
    }
    SaList::new(sas)
}

/// # Safety
/// Same as [`bundle1`].
unsafe fn sa(sa: &IPSEC_SA0) -> Result<Sa> {
    let spi = Spi::new(sa.spi).ok_or_else(|| {
        Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            "an SA's spi is 0, which is not a valid SPI (RFC 4303 section 2.1)",
        )
    })?;
    let transform_type = number(sa.saTransformType);
    // SAFETY: every member of the union is a pointer. The type selects its target, and the caller
    // guarantees that it is null or valid.
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
/// Same as [`bundle1`].
unsafe fn auth(information: &IPSEC_SA_AUTH_INFORMATION0) -> Result<WfpAlgorithm<'_>> {
    let IPSEC_AUTH_TRANSFORM0 { authTransformId: id, cryptoModuleId: module } = information.authTransform;
    // SAFETY: the caller upholds the safety contract.
    let (module, key) = unsafe { (optional(module, "cryptoModuleId")?, key(&information.authKey)?) };
    Ok(WfpAlgorithm {
        algorithm: number(id.authType),
        config: id.authConfig,
        crypto_module: module.map(guid),
        key,
    })
}

/// # Safety
/// Same as [`bundle1`].
unsafe fn cipher(information: &IPSEC_SA_CIPHER_INFORMATION0) -> Result<WfpAlgorithm<'_>> {
    let IPSEC_CIPHER_TRANSFORM0 { cipherTransformId: id, cryptoModuleId: module } =
        information.cipherTransform;
    // SAFETY: the caller upholds the safety contract.
    let (module, key) = unsafe { (optional(module, "cryptoModuleId")?, key(&information.cipherKey)?) };
    Ok(WfpAlgorithm {
        algorithm: number(id.cipherType),
        config: id.cipherConfig,
        crypto_module: module.map(guid),
        key,
    })
}

/// # Safety
/// Same as [`bundle1`].
unsafe fn key(blob: &FWP_BYTE_BLOB) -> Result<&[u8]> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { bytes(blob, KEY_LEN_MAX, "a key") }
}

/// # Safety
/// Same as [`bundle1`].
unsafe fn bytes<'a>(blob: &'a FWP_BYTE_BLOB, max: u32, name: &str) -> Result<&'a [u8]> {
    if blob.size > max {
        let what = format!("{name} is too long: {} bytes, the limit is {max}", blob.size);
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
    }
    // SAFETY: the caller upholds the safety contract.
    unsafe { array(blob.data, blob.size, name) }
}

/// # Safety
/// Same as [`bundle1`].
unsafe fn ipsec_id(id: *const IPSEC_ID0) -> Result<Option<IpsecId>> {
    // SAFETY: the caller upholds the safety contract.
    let Some(id) = (unsafe { optional(id, "ipsecId") })? else {
        return Ok(None);
    };
    if id.numTokens > TOKENS_MAX {
        let what = format!("an ipsecId has too many tokens: {}, the limit is {TOKENS_MAX}", id.numTokens);
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
    }
    // SAFETY: the caller upholds the safety contract.
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
/// Same as [`bundle1`].
unsafe fn key_module_state(bundle: &IPSEC_SA_BUNDLE1) -> Result<Option<KeyModuleState>> {
    // SAFETY: the caller upholds the safety contract.
    let Some(state) = (unsafe { optional(bundle.keyModuleState, "keyModuleState") })? else {
        return Ok(None);
    };
    // SAFETY: the caller upholds the safety contract.
    let blob = unsafe { bytes(&state.stateBlob, STATE_LEN_MAX, "the state of a keying module") }?;
    Ok(Some(KeyModuleState { key_module_key: guid(&state.keyModuleKey), state_blob: Key::new(blob) }))
}
