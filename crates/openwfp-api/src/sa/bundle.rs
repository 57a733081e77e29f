//! A bundle: the SAs of one direction that are applied together, with their lifetimes and identities.

use crate::Code;
use crate::Error;
use crate::Guid;
use crate::Lifetime;
use crate::LinuxSa;
use crate::Protocol;
use crate::Result;
use crate::Transform;
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

/// A security parameter index; never 0 (RFC 4303 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(NonZeroU32);

/// One SA: its SPI and what it does. WFP: `IPSEC_SA0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sa {
    /// Its SPI; for IPCOMP its compression parameter index.
    pub spi: Spi,
    /// What it does to a packet.
    pub transform: Transform,
    /// Linux' part, where Linux holds the SA.
    pub linux: Option<Box<LinuxSa>>,
}

/// The SAs of a bundle: one, or ESP and then AH; Linux adds compression.
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

/// The SAs of one direction. WFP: `IPSEC_SA_BUNDLE1`.
///
/// `numSAs` and `saList` are [`SaBundle::sas`], `ipVersion` follows from the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaBundle {
    /// `IPSEC_SA_BUNDLE_FLAG_*` bits.
    pub flags: u32,
    /// Hard limits.
    pub lifetime: Lifetime,
    /// Seconds without traffic after which the pair expires; 0: never.
    pub idle_timeout_seconds: u32,
    /// The same on both peers and in both directions of a pair; 0 where the keying daemon gives none.
    pub qm_sa_id: u32,
    /// Ties the bundle to its IKE SA; 0: none.
    pub mm_sa_id: u64,
    /// The SAs.
    pub sas: SaList,
    /// What only some keying daemons set.
    pub keying: Option<Box<KeyingExtras>>,
}

/// The parts of `IPSEC_SA_BUNDLE1` that few callers set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyingExtras {
    /// Seconds in which traffic in clear is allowed by negotiation discovery; 0: none.
    pub nd_allow_clear_timeout_seconds: u32,
    /// Who the peer is. WFP: `ipsecId`.
    pub ipsec_id: Option<IpsecId>,
    /// Context of network access protection; 0: none.
    pub nap_context: u32,
    /// State of the keying module. WFP: `keyModuleState`.
    pub key_module_state: Option<KeyModuleState>,
    /// The peer's address behind a NAT, IPv4 only.
    pub peer_v4_private_address: Option<Ipv4Addr>,
    /// Key by which SAs of one logon are found.
    pub sa_lookup_context: Guid,
    /// The quick-mode filter; 0: none.
    pub qm_filter_id: u64,
    /// The group of perfect forward secrecy.
    pub pfs_group: PfsGroup,
}

/// Names and tokens of the peer. WFP: `IPSEC_ID0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpsecId {
    /// Main-mode target name.
    pub mm_target_name: String,
    /// Extended-mode target name.
    pub em_target_name: String,
    /// Tokens.
    pub tokens: Vec<Token>,
    /// Handle of explicit credentials; 0: none.
    pub explicit_credentials: u64,
    /// Logon id; 0: none.
    pub logon_id: u64,
}

/// A token of an identity. WFP: `IPSEC_TOKEN0`; the numbers are those of its enumerations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// `IPSEC_TOKEN_TYPE`.
    pub token_type: u32,
    /// `IPSEC_TOKEN_PRINCIPAL`.
    pub principal: u32,
    /// `IPSEC_TOKEN_MODE`.
    pub mode: u32,
    /// The token's handle.
    pub token: u64,
}

/// A keying module's own state. WFP: `IPSEC_KEYMODULE_STATE0`.
///
/// The blob is opaque and may hold secrets, so `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyModuleState {
    /// Which keying module.
    pub key_module_key: Guid,
    /// Its state.
    pub state_blob: Box<[u8]>,
}

/// The Diffie-Hellman group of perfect forward secrecy. WFP: `IPSEC_PFS_GROUP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PfsGroup {
    /// None, 0.
    #[default]
    None = 0,
    /// Group 1, 1.
    Group1 = 1,
    /// Group 2, 2.
    Group2 = 2,
    /// Group 14 (`IPSEC_PFS_2048`), 3.
    Group14 = 3,
    /// ECP 256, 4.
    Ecp256 = 4,
    /// ECP 384, 5.
    Ecp384 = 5,
    /// Main mode's group, 6.
    MainMode = 6,
    /// Group 24, 7.
    Group24 = 7,
}

impl Spi {
    /// The lowest SPI that may be handed out: 0 never is one, 1 to 255 are reserved (RFC 4303 §2.1).
    pub const UNRESERVED_MIN: u32 = 256;

    /// An SPI in host order; none for 0.
    pub fn new(value: u32) -> Option<Spi> {
        NonZeroU32::new(value).map(Spi)
    }

    /// The number in host order.
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
    /// A bundle of one SA.
    pub fn one(sa: Sa) -> SaList {
        SaList { first: sa, further: None }
    }

    /// Joins the SAs of one direction in any order: at most one of each protocol, one at least.
    ///
    /// # Errors
    /// `FWP_E_ZERO_LENGTH_ARRAY` for none, `FWP_E_OUT_OF_BOUNDS` for two of one protocol.
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
                    format!("a bundle has two {protocol} SAs; it holds one SA, or ESP and AH"),
                ));
            }
        }
        let Some(first) = esp.take().or_else(|| ah.take()).or_else(|| ipcomp.take()) else {
            return Err(Error::new(Code::FWP_E_ZERO_LENGTH_ARRAY, "a bundle has no SA"));
        };
        let further = (ah.is_some() || ipcomp.is_some()).then(|| Box::new(Further { ah, ipcomp }));
        Ok(SaList { first, further })
    }

    /// The first SA: ESP where there is one.
    pub fn first(&self) -> &Sa {
        &self.first
    }

    /// All SAs: ESP, AH, and Linux' compression last. WFP's view leaves compression out where it is
    /// not alone.
    pub fn iter(&self) -> impl Iterator<Item = &Sa> {
        let further = self.further.as_deref();
        std::iter::once(&self.first)
            .chain(further.and_then(|further| further.ah.as_ref()))
            .chain(further.and_then(|further| further.ipcomp.as_ref()))
    }
}

impl SaBundle {
    /// A bundle of these SAs with nothing else said.
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

impl fmt::Debug for KeyModuleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyModuleState({}, {} bytes)", self.key_module_key, self.state_blob.len())
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
