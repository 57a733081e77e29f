//! Enumerator IDs, options and entries, and database versions.

use crate::ContextTemplate;
use crate::Direction;
use crate::SaContext;
use crate::SaContextId;
use crate::SaDetails;
use crate::SessionNumber;
use crate::Spi;
use std::sync::Arc;

/// The ID of an enumerator: its session's number and a serial number that the session never reuses.
///
/// Messages carry the ID as one 64-bit number, so that the wire protocol needs no table of handles. The
/// C ABI has its own handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId {
    /// The session that created the enumerator, and the only one that may use it.
    pub session: SessionNumber,
    /// The serial number, which counts the session's enumerators and subscriptions from 1.
    pub serial: u32,
}

impl EnumId {
    /// Returns the ID as one 64-bit number, which is never 0.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.session.0) << 32) | u64::from(self.serial)
    }

    /// Returns the ID that [`EnumId::to_bits`] encoded.
    pub fn from_bits(bits: u64) -> EnumId {
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        EnumId { session: SessionNumber((bits >> 32) as u32), serial: bits as u32 }
    }
}

/// The options of an enumerator of SA contexts.
///
/// ```
/// use openwfp_api::{AddressMatch, ContextTemplate, EnumOptions, SaContextId};
///
/// // SA contexts with a peer in a range, after the context with the id 100.
/// let peers = AddressMatch::range([203, 0, 113, 1].into(), [203, 0, 113, 99].into())?;
/// let options = EnumOptions {
///     template: ContextTemplate { remote: peers, ..ContextTemplate::default() },
///     after: Some(SaContextId(100)),
///     ..EnumOptions::default()
/// };
/// # assert_eq!(options.spi, None);
/// # Ok::<(), openwfp_api::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnumOptions {
    /// WFP's template; the default selects all contexts.
    pub template: ContextTemplate,
    /// Selects only contexts with this SPI, in either direction. OpenWFP extension.
    pub spi: Option<Spi>,
    /// Selects only contexts with IDs above this one, to continue after an earlier page. OpenWFP extension.
    pub after: Option<SaContextId>,
}

/// The options of an enumerator of single SAs. WFP: `IPSEC_SA_ENUM_TEMPLATE0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaEnumOptions {
    /// Selects only SAs of this direction; `None` selects both.
    pub direction: Option<Direction>,
}

/// One direction of an SA context, as an enumerator of single SAs returns it.
/// WFP: `IPSEC_SA_DETAILS1`.
#[derive(Clone, Debug)]
pub struct SaEntry {
    context: Arc<SaContext>,
    direction: Direction,
}

impl SaEntry {
    /// Returns the entry for one direction of a context, or `None` if that direction has no SA.
    pub fn new(context: &Arc<SaContext>, direction: Direction) -> Option<SaEntry> {
        context.details(direction)?;
        Some(SaEntry { context: Arc::clone(context), direction })
    }

    /// Returns the context that the SA belongs to. Its traffic and selectors apply to the SA.
    pub fn context(&self) -> &Arc<SaContext> {
        &self.context
    }

    /// Returns the SA's direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the details of the SA; always present, because [`SaEntry::new`] has checked for them.
    pub fn details(&self) -> Option<&SaDetails> {
        self.context.details(self.direction)
    }
}

/// A version number of the engine's database. It increases with every committed change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);
