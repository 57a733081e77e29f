//! SA bundles: the SAs of one direction that are applied together, with lifetimes and identities.

use crate::Code;
use crate::Error;
use crate::Guid;
use crate::Key;
use crate::Lifetime;
use crate::LinuxSa;
use crate::Protocol;
use crate::Result;
use crate::Transform;
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

/// Security parameters index (SPI), never 0 (RFC 4303 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(NonZeroU32);

/// One SA: its SPI and transform. WFP: `IPSEC_SA0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sa {
    /// SPI of the SA; for IPCOMP the compression parameter index (CPI).
    pub spi: Spi,
    /// Algorithms and keys that the SA applies to packets.
    pub transform: Transform,
    /// Linux-specific part, for SAs of the Linux kernel.
    pub linux: Option<Box<LinuxSa>>,
}

/// SAs of a bundle: one, or ESP followed by AH. On Linux, IPCOMP may be the last or only SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaList {
    first: Sa,
    further: Option<Box<Further>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Further {
    ah: Option<Sa>,
    ipcomp: Option<Sa>,
}

/// SAs of one direction with their common settings. WFP: `IPSEC_SA_BUNDLE1`.
///
/// `numSAs` and `saList` of that structure are [`SaBundle::sas`]; `ipVersion` follows from the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaBundle {
    /// `IPSEC_SA_BUNDLE_FLAG_*` bits.
    pub flags: u32,
    /// Hard limits of the SAs.
    pub lifetime: Lifetime,
    /// Seconds without traffic after which the context expires; 0: the engine's default applies.
    pub idle_timeout_seconds: u32,
    /// Quick-mode SA id, equal on both peers and in both directions of a pair; 0: not set by the keying
    /// daemon.
    pub qm_sa_id: u32,
    /// Id of the IKE SA that negotiated the bundle; 0: none.
    pub mm_sa_id: u64,
    /// SAs of the bundle.
    pub sas: SaList,
    /// Members that only some keying daemons set.
    pub keying: Option<Box<KeyingExtras>>,
}

/// Rarely used members of `IPSEC_SA_BUNDLE1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyingExtras {
    /// Seconds for which negotiation discovery accepts cleartext packets; 0: none.
    pub nd_allow_clear_timeout_seconds: u32,
    /// Identity of the peer. WFP: `ipsecId`.
    pub ipsec_id: Option<IpsecId>,
    /// Network Access Protection (NAP) context of the peer; 0: none.
    pub nap_context: u32,
    /// State of the keying module. WFP: `keyModuleState`.
    pub key_module_state: Option<KeyModuleState>,
    /// The peer's private IPv4 address if it is behind a NAT.
    pub peer_v4_private_address: Option<Ipv4Addr>,
    /// Lookup key that connections inherit from the SA that carries them. WFP: `saLookupContext`.
    pub sa_lookup_context: Guid,
    /// Id of the quick-mode filter; 0: none.
    pub qm_filter_id: u64,
    /// Diffie-Hellman group used for perfect forward secrecy.
    pub pfs_group: PfsGroup,
}

/// Identity of a peer: names and tokens. WFP: `IPSEC_ID0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpsecId {
    /// Main-mode target name.
    pub mm_target_name: String,
    /// Extended-mode target name.
    pub em_target_name: String,
    /// Tokens of the identity.
    pub tokens: Vec<Token>,
    /// Handle of explicit credentials; 0: none.
    pub explicit_credentials: u64,
    /// Logon id; 0: none.
    pub logon_id: u64,
}

/// Token of an identity. WFP: `IPSEC_TOKEN0`, whose enumerations the numbers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Type of the token, an `IPSEC_TOKEN_TYPE` value.
    pub token_type: u32,
    /// Principal of the token, an `IPSEC_TOKEN_PRINCIPAL` value.
    pub principal: u32,
    /// Mode of the token, an `IPSEC_TOKEN_MODE` value.
    pub mode: u32,
    /// Handle of the token.
    pub token: u64,
}

/// Private state of a keying module. WFP: `IPSEC_KEYMODULE_STATE0`.
///
/// The blob is opaque and may hold secrets, so it is kept as a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyModuleState {
    /// GUID of the keying module.
    pub key_module_key: Guid,
    /// State of the keying module.
    pub state_blob: Key,
}

/// Diffie-Hellman group used for perfect forward secrecy (PFS). WFP: `IPSEC_PFS_GROUP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PfsGroup {
    /// No PFS, value 0.
    #[default]
    None = 0,
    /// Group 1, value 1.
    Group1 = 1,
    /// Group 2, value 2.
    Group2 = 2,
    /// Group 14 (`IPSEC_PFS_2048`), value 3.
    Group14 = 3,
    /// 256-bit elliptic curve group (ECP), value 4.
    Ecp256 = 4,
    /// 384-bit elliptic curve group (ECP), value 5.
    Ecp384 = 5,
    /// The group that main mode used, value 6.
    MainMode = 6,
    /// Group 24, value 7.
    Group24 = 7,
}

impl Spi {
    /// Lowest SPI that may be assigned: 0 is invalid, and 1 to 255 are reserved (RFC 4303 §2.1).
    pub const UNRESERVED_MIN: u32 = 256;

    /// Creates an SPI from a number in host order; returns `None` for 0.
    pub fn new(value: u32) -> Option<Spi> {
        NonZeroU32::new(value).map(Spi)
    }

    /// Returns the SPI as a number in host order.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SaList {
    /// Creates the list of a bundle with one SA.
    pub fn one(sa: Sa) -> SaList {
        SaList { first: sa, further: None }
    }

    /// Creates a list from the SAs of one direction, given in any order.
    ///
    /// Takes at least one SA, and at most one of each protocol.
    ///
    /// # Errors
    /// `FWP_E_ZERO_LENGTH_ARRAY` if there are no SAs, `FWP_E_OUT_OF_BOUNDS` if two have the same protocol.
    pub fn new(sas: impl IntoIterator<Item = Sa>) -> Result<SaList> {
        let (mut esp, mut ah, mut ipcomp) = (None, None, None);
        for sa in sas {
            let protocol = sa.transform.protocol();
            let place = match protocol {
                Protocol::Esp => &mut esp,
                Protocol::Ah => &mut ah,
                Protocol::Ipcomp => &mut ipcomp,
            };
            if place.replace(sa).is_some() {
                return Err(Error::new(
                    Code::FWP_E_OUT_OF_BOUNDS,
                    format!("a bundle contains two {protocol} SAs"),
                ));
            }
        }
        let Some(first) = esp.take().or_else(|| ah.take()).or_else(|| ipcomp.take()) else {
            return Err(Error::new(Code::FWP_E_ZERO_LENGTH_ARRAY, "a bundle contains no SA"));
        };
        let further = (ah.is_some() || ipcomp.is_some()).then(|| Box::new(Further { ah, ipcomp }));
        Ok(SaList { first, further })
    }

    /// Returns the first SA: ESP, else AH, else IPCOMP.
    pub fn first(&self) -> &Sa {
        &self.first
    }

    /// Returns all SAs in the order ESP, AH, IPCOMP.
    ///
    /// WFP's view omits IPCOMP unless it is the only SA.
    pub fn iter(&self) -> impl Iterator<Item = &Sa> {
        let further = self.further.as_deref();
        std::iter::once(&self.first)
            .chain(further.and_then(|further| further.ah.as_ref()))
            .chain(further.and_then(|further| further.ipcomp.as_ref()))
    }
}

impl SaBundle {
    /// Creates a bundle of these SAs without limits, with all other fields 0 or `None`.
    pub fn new(sas: SaList) -> SaBundle {
        SaBundle {
            flags: 0,
            lifetime: Lifetime::UNLIMITED,
            idle_timeout_seconds: 0,
            qm_sa_id: 0,
            mm_sa_id: 0,
            sas,
            keying: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Auth;
    use crate::AuthAlgorithm;
    use crate::Compression;
    use crate::CompressionAlgorithm;
    use crate::Key;

    fn sa(transform: Transform) -> Sa {
        Sa { spi: Spi::new(0x1000).unwrap(), transform, linux: None }
    }

    fn auth() -> Auth {
        Auth { algorithm: AuthAlgorithm::HmacSha1, icv_bits: 96, key: Key::new(&[7; 20]) }
    }

    #[test]
    fn a_bundle_is_esp_then_ah_then_compression_whatever_order_they_came_in() {
        let compression = Compression { algorithm: CompressionAlgorithm::Deflate };
        let list = SaList::new([
            sa(Transform::Ipcomp(compression)),
            sa(Transform::Ah(auth())),
            sa(Transform::EspAuth(auth())),
        ])
        .unwrap();
        let protocols: Vec<_> = list.iter().map(|sa| sa.transform.protocol()).collect();
        assert_eq!(protocols, [Protocol::Esp, Protocol::Ah, Protocol::Ipcomp]);
        assert_eq!(list.first().transform.protocol(), Protocol::Esp);
    }

    #[test]
    fn no_sa_and_two_of_one_protocol_are_refused() {
        assert_eq!(SaList::new([]).unwrap_err().code(), Code::FWP_E_ZERO_LENGTH_ARRAY);
        let two = [sa(Transform::Ah(auth())), sa(Transform::Ah(auth()))];
        assert_eq!(SaList::new(two).unwrap_err().code(), Code::FWP_E_OUT_OF_BOUNDS);
    }
}
