//! Transforms: the algorithms and keys that an SA applies to packets, and their form in WFP.
//!
//! Algorithms that WFP cannot name keep their identity. WFP's view shows them as `IPSEC_AUTH_MAX` or
//! `IPSEC_CIPHER_TYPE_MAX`, values that no transform of Windows has, with a crypto module GUID
//! specific to OpenWFP that identifies the algorithm; it never shows a wrong algorithm.
//! [`WfpTransform`] lists the mapping.

mod check;

use crate::Guid;
use crate::Key;
use crate::Protocol;
use std::fmt;

/// Transform that an SA applies to packets. WFP: `saTransformType` and the union of `IPSEC_SA0`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transform {
    /// AH, integrity of the whole packet. WFP: `ahInformation`.
    Ah(Auth),
    /// ESP without encryption (RFC 2410, RFC 4543). WFP: `espAuthInformation`.
    EspAuth(Auth),
    /// ESP without integrity. WFP: `espCipherInformation`.
    EspCipher(Cipher),
    /// ESP with a cipher and an integrity algorithm. WFP: `espAuthAndCipherInformation`.
    EspAuthAndCipher(Box<EspAuthAndCipher>),
    /// ESP with a combined-mode algorithm. WFP: `espAuthAndCipherInformation`, where both key blobs hold
    /// the key with its salt.
    EspAead(Aead),
    /// IP payload compression, which WFP does not support; it provides no security.
    Ipcomp(Compression),
}

/// A cipher and an integrity algorithm for ESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspAuthAndCipher {
    /// Integrity algorithm.
    pub auth: Auth,
    /// Cipher.
    pub cipher: Cipher,
}

/// An integrity algorithm with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The algorithm.
    pub algorithm: AuthAlgorithm,
    /// Length of the integrity check value in bits.
    pub icv_bits: u16,
    /// The key.
    pub key: Key,
}

/// A cipher with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// The algorithm.
    pub algorithm: CipherAlgorithm,
    /// The key; for AES-CTR with its 4-byte nonce at the end.
    pub key: Key,
}

/// A combined-mode algorithm with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aead {
    /// The algorithm.
    pub algorithm: AeadAlgorithm,
    /// Length of the integrity check value in bits.
    pub icv_bits: u16,
    /// The key with its salt at the end: 4 bytes for AES-GCM and ChaCha20-Poly1305, 3 for AES-CCM.
    pub key: Key,
}

/// IPCOMP compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The algorithm.
    pub algorithm: CompressionAlgorithm,
}

/// Integrity algorithm.
///
/// The name of an `Other` algorithm is in [`LinuxExtras::algorithm_names`](crate::LinuxExtras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthAlgorithm {
    /// HMAC-MD5 (RFC 2403).
    HmacMd5,
    /// HMAC-SHA1 (RFC 2404).
    HmacSha1,
    /// HMAC-SHA-256 (RFC 4868).
    HmacSha256,
    /// HMAC-SHA-384 (RFC 4868).
    HmacSha384,
    /// HMAC-SHA-512 (RFC 4868).
    HmacSha512,
    /// HMAC-RIPEMD-160 (RFC 2857).
    HmacRipemd160,
    /// HMAC-SM3.
    HmacSm3,
    /// AES-CMAC (RFC 4494).
    AesCmac,
    /// AES-XCBC-MAC (RFC 3566).
    AesXcbc,
    /// AES-GMAC (RFC 4543); the key has 4 bytes of salt at its end.
    AesGmac,
    /// No integrity protection.
    Null,
    /// An algorithm that this version of OpenWFP does not know.
    Other,
}

/// Cipher.
///
/// The name of an `Other` cipher is in [`LinuxExtras::algorithm_names`](crate::LinuxExtras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherAlgorithm {
    /// DES in CBC mode (RFC 2405).
    DesCbc,
    /// Triple DES in CBC mode (RFC 2451).
    TripleDesCbc,
    /// AES in CBC mode (RFC 3602).
    AesCbc,
    /// AES in counter mode (RFC 3686).
    AesCtr,
    /// Camellia in CBC mode (RFC 4312).
    CamelliaCbc,
    /// Blowfish in CBC mode (RFC 2451).
    BlowfishCbc,
    /// CAST-128 in CBC mode (RFC 2451).
    Cast128Cbc,
    /// Serpent in CBC mode.
    SerpentCbc,
    /// Twofish in CBC mode.
    TwofishCbc,
    /// SM4 in CBC mode.
    Sm4Cbc,
    /// No encryption (RFC 2410).
    Null,
    /// A cipher that this version of OpenWFP does not know.
    Other,
}

/// Combined-mode algorithm.
///
/// The name of an `Other` algorithm is in [`LinuxExtras::algorithm_names`](crate::LinuxExtras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AeadAlgorithm {
    /// AES-GCM (RFC 4106).
    AesGcm,
    /// AES-CCM (RFC 4309).
    AesCcm,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// An algorithm that this version of OpenWFP does not know.
    Other,
}

/// IPCOMP compression algorithm.
///
/// The name of an `Other` algorithm is in [`LinuxExtras::algorithm_names`](crate::LinuxExtras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompressionAlgorithm {
    /// DEFLATE (RFC 2394).
    Deflate,
    /// LZS (RFC 2395).
    Lzs,
    /// LZJH (RFC 3051).
    Lzjh,
    /// An algorithm that this version of OpenWFP does not know.
    Other,
}

/// Transform type in WFP's view. WFP: `IPSEC_TRANSFORM_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransformType {
    /// AH, `IPSEC_TRANSFORM_AH` 1.
    Ah = 1,
    /// ESP without encryption, `IPSEC_TRANSFORM_ESP_AUTH` 2; also IPCOMP as the only SA.
    EspAuth = 2,
    /// ESP without integrity, `IPSEC_TRANSFORM_ESP_CIPHER` 3.
    EspCipher = 3,
    /// ESP with integrity and encryption, `IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER` 4.
    EspAuthAndCipher = 4,
}

/// Integrity algorithm in WFP's view. WFP: `IPSEC_AUTH_TRANSFORM0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WfpAuth {
    /// `authType`: 0 MD5, 1 SHA-1, 2 SHA-256, 3…5 AES-128/192/256, 6 (`IPSEC_AUTH_MAX`) any other.
    pub auth_type: u32,
    /// `authConfig`: 0…5 in the same order, 6 (`IPSEC_AUTH_CONFIG_MAX`) any other.
    pub auth_config: u8,
    /// `cryptoModuleId`: `None` for an algorithm that WFP can name, otherwise the GUID that identifies it
    /// (see [`WfpTransform`]).
    pub crypto_module: Option<Guid>,
}

/// Cipher in WFP's view. WFP: `IPSEC_CIPHER_TRANSFORM0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WfpCipher {
    /// `cipherType`: 1 DES, 2 3DES, 3…5 AES-128/192/256, 6 (`IPSEC_CIPHER_TYPE_MAX`) any other.
    pub cipher_type: u32,
    /// `cipherConfig`: 1…5 CBC in the same order, 6…8 GCM, 9 (`IPSEC_CIPHER_CONFIG_MAX`) any other.
    pub cipher_config: u8,
    /// `cryptoModuleId`: `None` for a cipher that WFP can name, otherwise the GUID that identifies it
    /// (see [`WfpTransform`]).
    pub crypto_module: Option<Guid>,
}

/// Transform in WFP's view.
///
/// | transform | type | `authType`/`authConfig` | `cipherType`/`cipherConfig` |
/// |---|---|---|---|
/// | HMAC-MD5-96, HMAC-SHA1-96, HMAC-SHA-256-128 in AH or ESP | AH / `ESP_AUTH` | 0/0, 1/1, 2/2 | – |
/// | AES-GMAC with 128-bit ICV | AH / `ESP_AUTH` | 3/3, 4/4, 5/5 | – |
/// | DES, 3DES, AES-CBC without integrity | `ESP_CIPHER` | – | 1/1 … 5/5 |
/// | DES, 3DES, AES-CBC with integrity | `ESP_AUTH_AND_CIPHER` | as above | 1/1 … 5/5 |
/// | AES-GCM-16 | `ESP_AUTH_AND_CIPHER` | 3/3 … 5/5 | 3/6 … 5/8 |
/// | any other algorithm, ICV or key length | as above | 6/6 and a GUID | 6/9 and a GUID |
/// | IPCOMP as the only SA | `ESP_AUTH` | 6/6 and a GUID | – |
///
/// The GUIDs have the form `6f777066-KKAA-LLLL-8000-00000000BBBB`, all in hexadecimal: `KK` is the kind
/// (1 integrity, 2 cipher, 3 combined, 4 compression), `AA` the algorithm's number in its Rust enum,
/// `LLLL` the length of the integrity check value (ICV) in bits and `BBBB` that of the key in bits,
/// salt included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WfpTransform {
    /// Transform type. WFP: `saTransformType`.
    pub transform_type: TransformType,
    /// Integrity part, if the type has one.
    pub auth: Option<WfpAuth>,
    /// Cipher part, if the type has one.
    pub cipher: Option<WfpCipher>,
}

impl Transform {
    /// Returns the protocol of the SA.
    pub fn protocol(&self) -> Protocol {
        match self {
            Transform::Ah(_) => Protocol::Ah,
            Transform::Ipcomp(_) => Protocol::Ipcomp,
            _ => Protocol::Esp,
        }
    }

    /// Returns each key once: at most two, integrity before cipher.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let (first, second) = match self {
            Transform::Ah(auth) | Transform::EspAuth(auth) => (Some(&auth.key), None),
            Transform::EspCipher(cipher) => (Some(&cipher.key), None),
            Transform::EspAuthAndCipher(both) => (Some(&both.auth.key), Some(&both.cipher.key)),
            Transform::EspAead(aead) => (Some(&aead.key), None),
            Transform::Ipcomp(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Returns the transform as WFP shows it.
    #[inline]
    pub fn wfp(&self) -> WfpTransform {
        let (transform_type, auth, cipher) = match self {
            Transform::Ah(auth) => (TransformType::Ah, Some(auth.wfp()), None),
            Transform::EspAuth(auth) => (TransformType::EspAuth, Some(auth.wfp()), None),
            Transform::EspCipher(cipher) => (TransformType::EspCipher, None, Some(cipher.wfp())),
            Transform::EspAuthAndCipher(both) => {
                (TransformType::EspAuthAndCipher, Some(both.auth.wfp()), Some(both.cipher.wfp()))
            }
            Transform::EspAead(aead) => {
                let (auth, cipher) = aead.wfp();
                (TransformType::EspAuthAndCipher, Some(auth), Some(cipher))
            }
            Transform::Ipcomp(compression) => {
                let module = module_guid(4, compression.algorithm as u8, 0, 0);
                (TransformType::EspAuth, Some(WfpAuth::foreign(module)), None)
            }
        };
        WfpTransform { transform_type, auth, cipher }
    }
}

impl Auth {
    fn wfp(&self) -> WfpAuth {
        use AuthAlgorithm as A;
        let number = match (self.algorithm, self.icv_bits, self.key.len()) {
            (A::HmacMd5, 96, _) => 0,
            (A::HmacSha1, 96, _) => 1,
            (A::HmacSha256, 128, _) => 2,
            (A::AesGmac, 128, 20) => 3,
            (A::AesGmac, 128, 28) => 4,
            (A::AesGmac, 128, 36) => 5,
            _ => {
                return WfpAuth::foreign(module_guid(1, self.algorithm as u8, self.icv_bits, self.key.len()));
            }
        };
        WfpAuth { auth_type: number.into(), auth_config: number, crypto_module: None }
    }
}

impl Cipher {
    fn wfp(&self) -> WfpCipher {
        let number = match (self.algorithm, self.key.len()) {
            (CipherAlgorithm::DesCbc, _) => 1,
            (CipherAlgorithm::TripleDesCbc, _) => 2,
            (CipherAlgorithm::AesCbc, 16) => 3,
            (CipherAlgorithm::AesCbc, 24) => 4,
            (CipherAlgorithm::AesCbc, 32) => 5,
            _ => return WfpCipher::foreign(module_guid(2, self.algorithm as u8, 0, self.key.len())),
        };
        WfpCipher { cipher_type: number.into(), cipher_config: number, crypto_module: None }
    }
}

impl Aead {
    fn wfp(&self) -> (WfpAuth, WfpCipher) {
        let number = match (self.algorithm, self.icv_bits, self.key.len()) {
            (AeadAlgorithm::AesGcm, 128, 20) => 3,
            (AeadAlgorithm::AesGcm, 128, 28) => 4,
            (AeadAlgorithm::AesGcm, 128, 36) => 5,
            _ => {
                let module = module_guid(3, self.algorithm as u8, self.icv_bits, self.key.len());
                return (WfpAuth::foreign(module), WfpCipher::foreign(module));
            }
        };
        (
            WfpAuth { auth_type: number.into(), auth_config: number, crypto_module: None },
            WfpCipher { cipher_type: number.into(), cipher_config: number + 3, crypto_module: None },
        )
    }

    /// Returns the length in bytes of the salt at the end of the key; 0 for an unknown algorithm.
    pub fn salt_len(&self) -> usize {
        match self.algorithm {
            AeadAlgorithm::AesGcm | AeadAlgorithm::ChaCha20Poly1305 => 4,
            AeadAlgorithm::AesCcm => 3,
            AeadAlgorithm::Other => 0,
        }
    }
}

impl WfpAuth {
    fn foreign(module: Guid) -> WfpAuth {
        WfpAuth { auth_type: 6, auth_config: 6, crypto_module: Some(module) }
    }
}

impl WfpCipher {
    fn foreign(module: Guid) -> WfpCipher {
        WfpCipher { cipher_type: 6, cipher_config: 9, crypto_module: Some(module) }
    }
}

/// Algorithm that a crypto module GUID identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModuleAlgorithm {
    Auth(AuthAlgorithm),
    Cipher(CipherAlgorithm),
    Aead(AeadAlgorithm),
}

/// Inverse of [`module_guid`]: returns the algorithm and the length of its check value in bits.
///
/// Returns `None` for GUIDs that OpenWFP did not make, and for algorithms that only Linux names.
pub(crate) fn module_algorithm(guid: Guid) -> Option<(ModuleAlgorithm, u16)> {
    use AeadAlgorithm as E;
    use AuthAlgorithm as A;
    use CipherAlgorithm as C;
    if guid.data1 != 0x6f77_7066 || guid.data4[0] != 0x80 {
        return None;
    }
    let [kind, number] = guid.data2.to_be_bytes();
    let algorithm = match kind {
        1 => ModuleAlgorithm::Auth(
            [
                A::HmacMd5,
                A::HmacSha1,
                A::HmacSha256,
                A::HmacSha384,
                A::HmacSha512,
                A::HmacRipemd160,
                A::HmacSm3,
                A::AesCmac,
                A::AesXcbc,
                A::AesGmac,
                A::Null,
            ]
            .into_iter()
            .find(|known| *known as u8 == number)?,
        ),
        2 => ModuleAlgorithm::Cipher(
            [
                C::DesCbc,
                C::TripleDesCbc,
                C::AesCbc,
                C::AesCtr,
                C::CamelliaCbc,
                C::BlowfishCbc,
                C::Cast128Cbc,
                C::SerpentCbc,
                C::TwofishCbc,
                C::Sm4Cbc,
                C::Null,
            ]
            .into_iter()
            .find(|known| *known as u8 == number)?,
        ),
        3 => ModuleAlgorithm::Aead(
            [E::AesGcm, E::AesCcm, E::ChaCha20Poly1305].into_iter().find(|known| *known as u8 == number)?,
        ),
        _ => return None,
    };
    Some((algorithm, guid.data3))
}

fn module_guid(kind: u8, algorithm: u8, icv_bits: u16, key_bytes: usize) -> Guid {
    let key_bits = u16::try_from(key_bytes.saturating_mul(8)).unwrap_or(u16::MAX).to_be_bytes();
    let data2 = u16::from_be_bytes([kind, algorithm]);
    Guid::new(0x6f77_7066, data2, icv_bits, [0x80, 0, 0, 0, 0, 0, key_bits[0], key_bits[1]])
}

/// Formats the name that operators use.
///
/// Examples: `AES-GCM-16-128` (check value in bytes, key in bits without salt),
/// `AES-CBC-256/HMAC-SHA2-256-128` (key and check value in bits), `NULL/AES-GMAC-128`.
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transform::Ah(auth) => auth.fmt(f),
            Transform::EspAuth(auth) => write!(f, "NULL/{auth}"),
            Transform::EspCipher(cipher) => cipher.fmt(f),
            Transform::EspAuthAndCipher(both) => write!(f, "{}/{}", both.cipher, both.auth),
            Transform::EspAead(aead) => aead.fmt(f),
            Transform::Ipcomp(compression) => compression.fmt(f),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name();
        match self.algorithm {
            AuthAlgorithm::AesGmac => write!(f, "{name}-{}", self.key.len().saturating_sub(4) * 8),
            AuthAlgorithm::Null => f.write_str(name),
            _ => write!(f, "{name}-{}", self.icv_bits),
        }
    }
}

impl AuthAlgorithm {
    /// Returns the algorithm's name without lengths, such as `HMAC-SHA2-256`.
    pub fn name(self) -> &'static str {
        match self {
            AuthAlgorithm::HmacMd5 => "HMAC-MD5",
            AuthAlgorithm::HmacSha1 => "HMAC-SHA1",
            AuthAlgorithm::HmacSha256 => "HMAC-SHA2-256",
            AuthAlgorithm::HmacSha384 => "HMAC-SHA2-384",
            AuthAlgorithm::HmacSha512 => "HMAC-SHA2-512",
            AuthAlgorithm::HmacRipemd160 => "HMAC-RIPEMD-160",
            AuthAlgorithm::HmacSm3 => "HMAC-SM3",
            AuthAlgorithm::AesCmac => "AES-CMAC",
            AuthAlgorithm::AesXcbc => "AES-XCBC",
            AuthAlgorithm::AesGmac => "AES-GMAC",
            AuthAlgorithm::Null => "NULL",
            AuthAlgorithm::Other => "OTHER-AUTH",
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name();
        match self.algorithm {
            CipherAlgorithm::DesCbc | CipherAlgorithm::TripleDesCbc | CipherAlgorithm::Null => {
                f.write_str(name)
            }
            CipherAlgorithm::AesCtr => write!(f, "{name}-{}", self.key.len().saturating_sub(4) * 8),
            _ => write!(f, "{name}-{}", self.key.len() * 8),
        }
    }
}

impl CipherAlgorithm {
    /// Returns the algorithm's name without lengths, such as `AES-CBC`.
    pub fn name(self) -> &'static str {
        match self {
            CipherAlgorithm::DesCbc => "DES-CBC",
            CipherAlgorithm::TripleDesCbc => "3DES-CBC",
            CipherAlgorithm::Null => "NULL",
            CipherAlgorithm::AesCtr => "AES-CTR",
            CipherAlgorithm::AesCbc => "AES-CBC",
            CipherAlgorithm::CamelliaCbc => "CAMELLIA-CBC",
            CipherAlgorithm::BlowfishCbc => "BLOWFISH-CBC",
            CipherAlgorithm::Cast128Cbc => "CAST-CBC",
            CipherAlgorithm::SerpentCbc => "SERPENT-CBC",
            CipherAlgorithm::TwofishCbc => "TWOFISH-CBC",
            CipherAlgorithm::Sm4Cbc => "SM4-CBC",
            CipherAlgorithm::Other => "OTHER-CIPHER",
        }
    }
}

impl fmt::Display for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name();
        if self.algorithm == AeadAlgorithm::ChaCha20Poly1305 {
            return f.write_str(name);
        }
        let key_bits = self.key.len().saturating_sub(self.salt_len()) * 8;
        write!(f, "{name}-{}-{key_bits}", self.icv_bits / 8)
    }
}

impl AeadAlgorithm {
    /// Returns the algorithm's name without lengths, such as `AES-GCM`.
    pub fn name(self) -> &'static str {
        match self {
            AeadAlgorithm::ChaCha20Poly1305 => "CHACHA20-POLY1305",
            AeadAlgorithm::AesGcm => "AES-GCM",
            AeadAlgorithm::AesCcm => "AES-CCM",
            AeadAlgorithm::Other => "OTHER-AEAD",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.algorithm {
            CompressionAlgorithm::Deflate => "IPCOMP-DEFLATE",
            CompressionAlgorithm::Lzs => "IPCOMP-LZS",
            CompressionAlgorithm::Lzjh => "IPCOMP-LZJH",
            CompressionAlgorithm::Other => "IPCOMP-OTHER",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(len: usize) -> Key {
        Key::new(&vec![1; len])
    }

    fn aead(algorithm: AeadAlgorithm, icv_bits: u16, len: usize) -> Transform {
        Transform::EspAead(Aead { algorithm, icv_bits, key: key(len) })
    }

    #[test]
    fn wfp_names_what_it_can_name_and_our_guid_the_rest() {
        let view = aead(AeadAlgorithm::AesGcm, 128, 28).wfp();
        assert_eq!(view.transform_type, TransformType::EspAuthAndCipher);
        assert_eq!(view.auth.unwrap(), WfpAuth { auth_type: 4, auth_config: 4, crypto_module: None });
        assert_eq!(view.cipher.unwrap(), WfpCipher { cipher_type: 4, cipher_config: 7, crypto_module: None });

        let view = aead(AeadAlgorithm::ChaCha20Poly1305, 128, 36).wfp();
        assert_eq!((view.auth.unwrap().auth_type, view.cipher.unwrap().cipher_type), (6, 6));
        let guid = view.cipher.unwrap().crypto_module.unwrap();
        assert_eq!(guid.to_string(), "6f777066-0302-0080-8000-000000000120");
        // AES-GCM with an 8-byte check value is not the one that Windows defines.
        assert_eq!(aead(AeadAlgorithm::AesGcm, 64, 20).wfp().cipher.unwrap().cipher_type, 6);

        let sha2 = Auth { algorithm: AuthAlgorithm::HmacSha256, icv_bits: 128, key: key(32) };
        let cbc = Cipher { algorithm: CipherAlgorithm::AesCbc, key: key(32) };
        let view =
            Transform::EspAuthAndCipher(Box::new(EspAuthAndCipher { auth: sha2.clone(), cipher: cbc })).wfp();
        assert_eq!((view.auth.unwrap().auth_type, view.cipher.unwrap().cipher_config), (2, 5));
        // The 96-bit truncation of an early draft is not Windows' HMAC-SHA-256-128.
        assert_eq!(Transform::Ah(Auth { icv_bits: 96, ..sha2 }).wfp().auth.unwrap().auth_type, 6);
    }

    #[test]
    fn names_are_those_that_operators_use() {
        assert_eq!(aead(AeadAlgorithm::AesGcm, 128, 20).to_string(), "AES-GCM-16-128");
        assert_eq!(aead(AeadAlgorithm::AesCcm, 64, 35).to_string(), "AES-CCM-8-256");
        assert_eq!(aead(AeadAlgorithm::ChaCha20Poly1305, 128, 36).to_string(), "CHACHA20-POLY1305");
        let gmac = Auth { algorithm: AuthAlgorithm::AesGmac, icv_bits: 128, key: key(20) };
        assert_eq!(Transform::EspAuth(gmac).to_string(), "NULL/AES-GMAC-128");
    }

    #[test]
    fn a_transform_prints_no_key() {
        let text = format!("{:?}", aead(AeadAlgorithm::AesGcm, 128, 20));
        assert!(text.contains("Key(20 bytes)") && !text.contains("[1"), "{text}");
    }
}
