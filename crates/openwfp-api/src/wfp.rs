//! Conversions from WFP's numbers to this crate's types, with the checks that a C caller's structures
//! and the fields of a message must pass.

use crate::AddressMatch;
use crate::Aead;
use crate::AeadAlgorithm;
use crate::Auth;
use crate::AuthAlgorithm;
use crate::Cipher;
use crate::CipherAlgorithm;
use crate::Code;
use crate::Direction;
use crate::Error;
use crate::EspAuthAndCipher;
use crate::Guid;
use crate::IpVersion;
use crate::Key;
use crate::PfsGroup;
use crate::Result;
use crate::TrafficType;
use crate::TransactionMode;
use crate::Transform;
use crate::object::value::Value;
use crate::object::value::data_type_name;
use crate::sa::transform::ModuleAlgorithm;
use crate::sa::transform::module_algorithm;
use ipnet::IpNet;
use ipnet::Ipv4Net;
use ipnet::Ipv6Net;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Checks the authentication service of `FwpmEngineOpen0`, which must be `RPC_C_AUTHN_WINNT` (10) or
/// `RPC_C_AUTHN_DEFAULT` (0xFFFFFFFF).
///
/// # Errors
/// `ERROR_NOT_SUPPORTED` for any other service.
pub fn check_authn_service(number: u32) -> Result {
    if matches!(number, 10 | u32::MAX) {
        return Ok(());
    }
    Err(Error::new(Code::ERROR_NOT_SUPPORTED, format!("unsupported authentication service {number}"))
        .with_remedy("Use RPC_C_AUTHN_DEFAULT (0xFFFFFFFF) or RPC_C_AUTHN_WINNT (10)."))
}

/// Returns whether the flags of `FWPM_SESSION0` request a dynamic session,
/// `FWPM_SESSION_FLAG_DYNAMIC` 1.
///
/// # Errors
/// `FWP_E_RESERVED` for `FWPM_SESSION_FLAG_RESERVED`, `FWP_E_INVALID_FLAGS` for unknown flags.
pub fn dynamic_session(flags: u32) -> Result<bool> {
    if flags & 0x1000_0000 != 0 {
        return Err(Error::new(Code::FWP_E_RESERVED, "the session flag 0x10000000 is reserved"));
    }
    if flags & !1 != 0 {
        return Err(unknown_flags("session", flags & !1));
    }
    Ok(flags == 1)
}

fn unknown_flags(of: &str, flags: u32) -> Error {
    Error::new(Code::FWP_E_INVALID_FLAGS, format!("unknown {of} flags {flags:#x}"))
}

fn out_of_range(of: &str, number: u32, highest: u32) -> Error {
    Error::new(Code::FWP_E_INVALID_ENUMERATOR, format!("invalid {of} {number}: the highest is {highest}"))
}

impl TransactionMode {
    /// Converts the flags of `FwpmTransactionBegin0`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_FLAGS` for unknown flags.
    pub fn from_wfp(flags: u32) -> Result<TransactionMode> {
        match flags {
            0 => Ok(TransactionMode::ReadWrite),
            1 => Ok(TransactionMode::ReadOnly),
            _ => Err(unknown_flags("transaction", flags & !1)),
        }
    }
}

impl TrafficType {
    /// Converts an `IPSEC_TRAFFIC_TYPE`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for an unknown number.
    pub fn from_wfp(number: u32) -> Result<TrafficType> {
        match number {
            0 => Ok(TrafficType::Transport),
            1 => Ok(TrafficType::Tunnel),
            _ => Err(out_of_range("IPSEC_TRAFFIC_TYPE", number, 1)),
        }
    }
}

impl IpVersion {
    /// Converts an `FWP_IP_VERSION`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for an unknown number.
    pub fn from_wfp(number: u32) -> Result<IpVersion> {
        match number {
            0 => Ok(IpVersion::V4),
            1 => Ok(IpVersion::V6),
            _ => Err(out_of_range("FWP_IP_VERSION", number, 1)),
        }
    }
}

impl Direction {
    /// Converts an `FWP_DIRECTION`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for an unknown number.
    pub fn from_wfp(number: u32) -> Result<Direction> {
        match number {
            0 => Ok(Direction::Outbound),
            1 => Ok(Direction::Inbound),
            _ => Err(out_of_range("FWP_DIRECTION", number, 1)),
        }
    }
}

impl PfsGroup {
    /// Converts an `IPSEC_PFS_GROUP`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for an unknown number.
    pub fn from_wfp(number: u32) -> Result<PfsGroup> {
        use PfsGroup as G;
        let groups =
            [G::None, G::Group1, G::Group2, G::Group14, G::Ecp256, G::Ecp384, G::MainMode, G::Group24];
        let found = usize::try_from(number).ok().and_then(|number| groups.get(number));
        found.copied().ok_or_else(|| out_of_range("IPSEC_PFS_GROUP", number, 7))
    }
}

impl AddressMatch {
    /// Converts an `FWP_V4_ADDR_MASK`, whose address and mask are in host byte order.
    ///
    /// # Errors
    /// `FWP_E_INVALID_NET_MASK` for a non-contiguous mask.
    pub fn v4_mask(address: u32, mask: u32) -> Result<AddressMatch> {
        let network = Ipv4Net::with_netmask(Ipv4Addr::from(address), Ipv4Addr::from(mask)).map_err(|_| {
            let what = format!("the mask {} is not a run of ones followed by zeros", Ipv4Addr::from(mask));
            Error::new(Code::FWP_E_INVALID_NET_MASK, what)
        })?;
        Ok(AddressMatch::Subnet(IpNet::V4(network.trunc())))
    }

    /// Converts an `FWP_V6_ADDR_MASK`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_NET_MASK` for a prefix longer than 128 bits.
    pub fn v6_mask(address: [u8; 16], prefix: u8) -> Result<AddressMatch> {
        let network = Ipv6Net::new(Ipv6Addr::from(address), prefix).map_err(|_| {
            Error::new(Code::FWP_E_INVALID_NET_MASK, format!("a prefix of {prefix} bits exceeds 128"))
        })?;
        Ok(AddressMatch::Subnet(IpNet::V6(network.trunc())))
    }
}

impl TryFrom<Value> for AddressMatch {
    type Error = Error;

    /// # Errors
    /// `FWP_E_TYPE_MISMATCH` for a value that is not a network.
    fn try_from(value: Value) -> Result<AddressMatch> {
        match value {
            Value::Network(network) => Ok(AddressMatch::Subnet(network.0.trunc())),
            other => Err(Error::new(
                Code::FWP_E_TYPE_MISMATCH,
                format!("expected a network, found {}", data_type_name(other.data_type())),
            )),
        }
    }
}

/// An algorithm in the form of `IPSEC_AUTH_TRANSFORM_ID0` or `IPSEC_CIPHER_TRANSFORM_ID0`, with its
/// key.
#[derive(Clone, Copy)]
pub struct WfpAlgorithm<'a> {
    /// `authType` or `cipherType`.
    pub algorithm: u32,
    /// `authConfig` or `cipherConfig`.
    pub config: u8,
    /// `cryptoModuleId`: with type and configuration 6/6 or 6/9, the GUID of an algorithm that WFP has no
    /// number for. See [`WfpTransform`](crate::WfpTransform).
    pub crypto_module: Option<Guid>,
    /// The key, including its salt.
    pub key: &'a [u8],
}

impl Transform {
    /// Returns the transform that an `IPSEC_SA0` describes. It does not check the lengths of keys; see
    /// [`Transform::check`].
    ///
    /// # Errors
    /// - `FWP_E_INVALID_ENUMERATOR` for an unknown transform or algorithm type.
    /// - `FWP_E_NULL_POINTER` if a part that the transform type requires is missing.
    /// - `FWP_E_INVALID_AUTH_TRANSFORM` or `FWP_E_INVALID_CIPHER_TRANSFORM` for a configuration that does
    ///   not belong to the algorithm, or an unknown crypto module.
    /// - `FWP_E_INVALID_TRANSFORM_COMBINATION` if AES-GCM or another combined-mode algorithm is not given
    ///   as both parts, with the same key.
    pub fn from_wfp(
        transform_type: u32,
        auth: Option<WfpAlgorithm<'_>>,
        cipher: Option<WfpAlgorithm<'_>>,
    ) -> Result<Transform> {
        let missing = |part: &str| {
            let what = format!("a transform of type {transform_type} needs {part} information");
            Error::new(Code::FWP_E_NULL_POINTER, what)
        };
        let auth = || {
            auth.ok_or_else(|| missing("auth")).and_then(|auth| known_auth(&auth).map(|known| (auth, known)))
        };
        let cipher = || {
            cipher
                .ok_or_else(|| missing("cipher"))
                .and_then(|cipher| known_cipher(&cipher).map(|known| (cipher, known)))
        };
        let (auth, cipher) = match transform_type {
            1 | 2 => (Some(auth()?), None),
            3 => (None, Some(cipher()?)),
            4 => (Some(auth()?), Some(cipher()?)),
            _ => return Err(out_of_range("IPSEC_TRANSFORM_TYPE", transform_type, 4)),
        };
        match (auth, cipher) {
            (Some((auth, KnownAuth::Auth(algorithm, icv_bits))), None) => {
                let auth = Auth { algorithm, icv_bits, key: Key::new(auth.key) };
                Ok(if transform_type == 1 { Transform::Ah(auth) } else { Transform::EspAuth(auth) })
            }
            (None, Some((cipher, KnownCipher::Cipher(algorithm)))) => {
                Ok(Transform::EspCipher(Cipher { algorithm, key: Key::new(cipher.key) }))
            }
            (
                Some((auth, KnownAuth::Auth(algorithm, icv_bits))),
                Some((cipher, KnownCipher::Cipher(with))),
            ) if algorithm != AuthAlgorithm::AesGmac => {
                let auth = Auth { algorithm, icv_bits, key: Key::new(auth.key) };
                let cipher = Cipher { algorithm: with, key: Key::new(cipher.key) };
                Ok(Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher { auth, cipher })))
            }
            (Some((auth, half)), Some((cipher, KnownCipher::Aead(algorithm, icv_bits)))) => {
                let other = match half {
                    KnownAuth::Auth(AuthAlgorithm::AesGmac, 128) if auth.algorithm == cipher.algorithm => {
                        AeadAlgorithm::AesGcm
                    }
                    KnownAuth::Aead(other, bits) if bits == icv_bits => other,
                    _ => {
                        return Err(combination(
                            "a combined-mode algorithm must be used in both parts of the transform",
                        ));
                    }
                };
                if other != algorithm || auth.key != cipher.key {
                    return Err(combination(
                        "both parts of a combined-mode algorithm must have the same type and the same key",
                    ));
                }
                Ok(Transform::EspAead(Aead { algorithm, icv_bits, key: Key::new(cipher.key) }))
            }
            _ => Err(combination(
                "AES-GCM and other combined-mode algorithms must be used in both parts of the transform",
            )),
        }
    }
}

/// The meaning of an integrity part: an integrity algorithm, or half of a combined-mode one; with the
/// length of its integrity check value in bits.
#[derive(Clone, Copy)]
enum KnownAuth {
    Auth(AuthAlgorithm, u16),
    Aead(AeadAlgorithm, u16),
}

/// The meaning of a cipher part: a cipher, or half of a combined-mode algorithm with the length of its
/// integrity check value in bits.
#[derive(Clone, Copy)]
enum KnownCipher {
    Cipher(CipherAlgorithm),
    Aead(AeadAlgorithm, u16),
}

fn combination(what: &str) -> Error {
    Error::new(Code::FWP_E_INVALID_TRANSFORM_COMBINATION, what)
}

fn known_auth(auth: &WfpAlgorithm<'_>) -> Result<KnownAuth> {
    let known = match (auth.algorithm, auth.config) {
        (0, 0) => KnownAuth::Auth(AuthAlgorithm::HmacMd5, 96),
        (1, 1) => KnownAuth::Auth(AuthAlgorithm::HmacSha1, 96),
        (2, 2) => KnownAuth::Auth(AuthAlgorithm::HmacSha256, 128),
        (3, 3) | (4, 4) | (5, 5) => KnownAuth::Auth(AuthAlgorithm::AesGmac, 128),
        (6, 6) if auth.crypto_module.is_some() => match auth.crypto_module.and_then(module_algorithm) {
            Some((ModuleAlgorithm::Auth(algorithm), icv_bits)) => KnownAuth::Auth(algorithm, icv_bits),
            Some((ModuleAlgorithm::Aead(algorithm), icv_bits)) => KnownAuth::Aead(algorithm, icv_bits),
            _ => return Err(unknown_module(Code::FWP_E_INVALID_AUTH_TRANSFORM, auth, "integrity")),
        },
        (algorithm, _) if algorithm > 5 => return Err(out_of_range("IPSEC_AUTH_TYPE", algorithm, 5)),
        (algorithm, config) => {
            return Err(Error::new(
                Code::FWP_E_INVALID_AUTH_TRANSFORM,
                format!("authentication type {algorithm} needs the configuration {algorithm}, not {config}"),
            ));
        }
    };
    Ok(known)
}

fn known_cipher(cipher: &WfpAlgorithm<'_>) -> Result<KnownCipher> {
    let known = match (cipher.algorithm, cipher.config) {
        (1, 1) => KnownCipher::Cipher(CipherAlgorithm::DesCbc),
        (2, 2) => KnownCipher::Cipher(CipherAlgorithm::TripleDesCbc),
        (3, 3) | (4, 4) | (5, 5) => KnownCipher::Cipher(CipherAlgorithm::AesCbc),
        (3, 6) | (4, 7) | (5, 8) => KnownCipher::Aead(AeadAlgorithm::AesGcm, 128),
        (6, 9) if cipher.crypto_module.is_some() => match cipher.crypto_module.and_then(module_algorithm) {
            Some((ModuleAlgorithm::Cipher(algorithm), _)) => KnownCipher::Cipher(algorithm),
            Some((ModuleAlgorithm::Aead(algorithm), icv_bits)) => KnownCipher::Aead(algorithm, icv_bits),
            _ => return Err(unknown_module(Code::FWP_E_INVALID_CIPHER_TRANSFORM, cipher, "cipher")),
        },
        (algorithm, _) if !(1..=5).contains(&algorithm) => {
            return Err(out_of_range("IPSEC_CIPHER_TYPE", algorithm, 5));
        }
        (algorithm, config) => {
            return Err(Error::new(
                Code::FWP_E_INVALID_CIPHER_TRANSFORM,
                format!("cipher type {algorithm} has no configuration {config}"),
            ));
        }
    };
    Ok(known)
}

fn unknown_module(code: Code, algorithm: &WfpAlgorithm<'_>, part: &str) -> Error {
    let module = algorithm.crypto_module.unwrap_or_default();
    Error::new(code, format!("crypto module {module} is not a known {part} algorithm"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyAccess;

    fn code<T>(result: Result<T>) -> Code {
        result.err().map_or(Code::ERROR_SUCCESS, |error| error.code())
    }

    #[test]
    fn what_wfp_names_comes_back_as_wfp_names_it() {
        let key = [9; 36];
        let algorithm = |algorithm, config, len: usize| {
            Some(WfpAlgorithm { algorithm, config, crypto_module: None, key: &key[..len] })
        };
        let auths = [(0, 0, 16), (1, 1, 20), (2, 2, 32), (3, 3, 20), (4, 4, 28), (5, 5, 36)];
        let ciphers = [(1, 1, 8), (2, 2, 24), (3, 3, 16), (4, 4, 24), (5, 5, 32)];
        let check =
            |transform_type: u32, auth: Option<WfpAlgorithm<'_>>, cipher: Option<WfpAlgorithm<'_>>| {
                let transform = Transform::from_wfp(transform_type, auth, cipher).unwrap();
                transform.check().unwrap();
                let view = transform.wfp();
                assert_eq!(view.transform_type as u32, transform_type);
                assert_eq!(
                    view.auth.map(|a| (a.auth_type, a.auth_config)),
                    auth.map(|a| (a.algorithm, a.config))
                );
                assert_eq!(
                    view.cipher.map(|c| (c.cipher_type, c.cipher_config)),
                    cipher.map(|c| (c.algorithm, c.config))
                );
                let access = KeyAccess::grant();
                assert!(transform.keys().all(|key| key.bytes(&access).iter().all(|byte| *byte == 9)));
            };
        for (a, b, len) in auths {
            check(1, algorithm(a, b, len), None);
            check(2, algorithm(a, b, len), None);
            for (c, d, other) in ciphers {
                if a < 3 {
                    check(4, algorithm(a, b, len), algorithm(c, d, other));
                }
                check(3, None, algorithm(c, d, other));
            }
        }
        for (a, d, len) in [(3, 6, 20), (4, 7, 28), (5, 8, 36)] {
            check(4, algorithm(a, u8::try_from(a).unwrap(), len), algorithm(a, d, len));
        }
    }

    #[test]
    fn what_wfp_cannot_name_comes_back_through_its_crypto_module() {
        let key = |len| Key::new(&[9; 64][..len]);
        let auth = |algorithm, icv_bits, len| Auth { algorithm, icv_bits, key: key(len) };
        let aead = |algorithm, icv_bits, len| Transform::EspAead(Aead { algorithm, icv_bits, key: key(len) });
        let both = |auth, algorithm, len| {
            let cipher = Cipher { algorithm, key: key(len) };
            Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher { auth, cipher }))
        };
        for transform in [
            aead(AeadAlgorithm::ChaCha20Poly1305, 128, 36),
            aead(AeadAlgorithm::AesCcm, 64, 35),
            aead(AeadAlgorithm::AesGcm, 96, 20),
            Transform::Ah(auth(AuthAlgorithm::AesCmac, 96, 16)),
            Transform::EspAuth(auth(AuthAlgorithm::HmacSha512, 256, 64)),
            Transform::EspCipher(Cipher { algorithm: CipherAlgorithm::AesCtr, key: key(20) }),
            both(auth(AuthAlgorithm::HmacSha1, 96, 20), CipherAlgorithm::CamelliaCbc, 32),
            both(auth(AuthAlgorithm::HmacSha384, 192, 48), CipherAlgorithm::AesCbc, 16),
        ] {
            let (view, access) = (transform.wfp(), KeyAccess::grant());
            let keys: Vec<&[u8]> = transform.keys().map(|key| key.bytes(&access)).collect();
            let auth = view.auth.map(|auth| WfpAlgorithm {
                algorithm: auth.auth_type,
                config: auth.auth_config,
                crypto_module: auth.crypto_module,
                key: keys[0],
            });
            let cipher = view.cipher.map(|cipher| WfpAlgorithm {
                algorithm: cipher.cipher_type,
                config: cipher.cipher_config,
                crypto_module: cipher.crypto_module,
                key: keys[keys.len() - 1],
            });
            let back = Transform::from_wfp(view.transform_type as u32, auth, cipher).unwrap();
            assert_eq!(back, transform);
        }
    }

    #[test]
    fn what_is_no_transform_is_refused_by_its_code() {
        let (key, other) = ([1; 20], [2; 20]);
        let of = |algorithm, config| Some(WfpAlgorithm { algorithm, config, crypto_module: None, key: &key });
        assert_eq!(code(Transform::from_wfp(0, of(1, 1), None)), Code::FWP_E_INVALID_ENUMERATOR);
        assert_eq!(code(Transform::from_wfp(5, of(1, 1), None)), Code::FWP_E_INVALID_ENUMERATOR);
        assert_eq!(code(Transform::from_wfp(1, of(6, 6), None)), Code::FWP_E_INVALID_ENUMERATOR);
        assert_eq!(code(Transform::from_wfp(3, None, of(0, 0))), Code::FWP_E_INVALID_ENUMERATOR);
        assert_eq!(code(Transform::from_wfp(1, None, None)), Code::FWP_E_NULL_POINTER);
        assert_eq!(code(Transform::from_wfp(4, of(1, 1), None)), Code::FWP_E_NULL_POINTER);
        assert_eq!(code(Transform::from_wfp(1, of(1, 2), None)), Code::FWP_E_INVALID_AUTH_TRANSFORM);
        assert_eq!(code(Transform::from_wfp(3, None, of(1, 3))), Code::FWP_E_INVALID_CIPHER_TRANSFORM);
        let foreign = Some(WfpAlgorithm {
            algorithm: 6,
            config: 6,
            crypto_module: Some(Guid::new(1, 2, 3, [4; 8])),
            key: &key,
        });
        assert_eq!(code(Transform::from_wfp(1, foreign, None)), Code::FWP_E_INVALID_AUTH_TRANSFORM);
        let combination = Code::FWP_E_INVALID_TRANSFORM_COMBINATION;
        assert_eq!(code(Transform::from_wfp(3, None, of(3, 6))), combination);
        assert_eq!(code(Transform::from_wfp(4, of(1, 1), of(3, 6))), combination);
        assert_eq!(code(Transform::from_wfp(4, of(3, 3), of(3, 3))), combination);
        let another_key = Some(WfpAlgorithm { algorithm: 3, config: 6, crypto_module: None, key: &other });
        assert_eq!(code(Transform::from_wfp(4, of(3, 3), another_key)), combination);
    }

    #[test]
    fn numbers_beyond_their_enumeration_are_refused_and_others_are_what_they_say() {
        for number in 0..10 {
            assert_eq!(
                TrafficType::from_wfp(number).ok().map(|value| value as u32),
                (number < 2).then_some(number)
            );
            assert_eq!(
                IpVersion::from_wfp(number).ok().map(|value| value as u32),
                (number < 2).then_some(number)
            );
            assert_eq!(
                PfsGroup::from_wfp(number).ok().map(|value| value as u32),
                (number < 8).then_some(number)
            );
            assert_eq!(Direction::from_wfp(number).is_ok(), number < 2);
        }
        assert_eq!(code(PfsGroup::from_wfp(8)), Code::FWP_E_INVALID_ENUMERATOR);
        assert_eq!(code(TransactionMode::from_wfp(2)), Code::FWP_E_INVALID_FLAGS);
        assert!(dynamic_session(1).unwrap() && !dynamic_session(0).unwrap());
        assert_eq!(code(dynamic_session(0x1000_0001)), Code::FWP_E_RESERVED);
        assert_eq!(code(dynamic_session(4)), Code::FWP_E_INVALID_FLAGS);
        assert_eq!(code(check_authn_service(9)), Code::ERROR_NOT_SUPPORTED);
        assert!(check_authn_service(10).and(check_authn_service(u32::MAX)).is_ok());
    }

    #[test]
    fn masks_with_holes_and_values_that_are_no_address_are_refused() {
        let network = AddressMatch::v4_mask(0x0A01_0203, 0xFFFF_0000).unwrap();
        assert_eq!(network, AddressMatch::Subnet("10.1.0.0/16".parse().unwrap()));
        assert_eq!(code(AddressMatch::v4_mask(0, 0xFF00_FF00)), Code::FWP_E_INVALID_NET_MASK);
        assert_eq!(code(AddressMatch::v6_mask([0; 16], 129)), Code::FWP_E_INVALID_NET_MASK);
        assert_eq!(code(AddressMatch::try_from(Value::Uint16(80))), Code::FWP_E_TYPE_MISMATCH);
        let value = Value::network("fe80::1/64".parse().unwrap());
        assert_eq!(
            AddressMatch::try_from(value).unwrap(),
            AddressMatch::Subnet("fe80::/64".parse().unwrap())
        );
    }
}
