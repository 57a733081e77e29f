//! Enumerations: what an enumerator shows and how it is named.

use crate::ContextTemplate;
use crate::Direction;
use crate::SaContext;
use crate::SaContextId;
use crate::SaDetails;
use crate::SessionNumber;
use crate::Spi;
use std::sync::Arc;

/// The id of an enumerator: its session and a serial number in it that is never used again.
///
/// As one number it is what a C caller's enum handle and a message's field hold, so that neither needs
/// a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId {
    /// The session that made it, and the only one that may use it.
    pub session: SessionNumber,
    /// Counts from 1 in its session, enumerators and subscriptions together.
    pub serial: u32,
}

impl EnumId {
    /// As one number, which is never 0.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.session.0) << 32) | u64::from(self.serial)
    }

    /// The id that [`EnumId::to_bits`] made.
    pub fn from_bits(bits: u64) -> EnumId {
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        EnumId { session: SessionNumber((bits >> 32) as u32), serial: bits as u32 }
    }
}

/// What an enumerator of SA contexts shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnumOptions {
    /// WFP's template; the default one selects all.
    pub template: ContextTemplate,
    /// Only contexts that hold this SPI, in whichever direction; ours.
    pub spi: Option<Spi>,
    /// Only contexts with ids above this one, to go on where an earlier page ended; ours.
    pub after: Option<SaContextId>,
}

/// What an enumerator of single SAs shows. WFP: `IPSEC_SA_ENUM_TEMPLATE0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaEnumOptions {
    /// Only SAs of this direction; none: both.
    pub direction: Option<Direction>,
}

/// One direction of an SA context, as an enumerator of single SAs shows it. WFP: `IPSEC_SA_DETAILS1`.
#[derive(Clone, Debug)]
pub struct SaEntry {
    context: Arc<SaContext>,
    direction: Direction,
}

impl SaEntry {
    /// One direction of a context, if it has an SA there.
    pub fn new(context: &Arc<SaContext>, direction: Direction) -> Option<SaEntry> {
        context.details(direction)?;
        Some(SaEntry { context: Arc::clone(context), direction })
    }

    /// The context that the SA belongs to: its traffic and selectors are the SA's.
    pub fn context(&self) -> &Arc<SaContext> {
        &self.context
    }

    /// Which direction of it.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The direction's details, which [`SaEntry::new`] found.
    pub fn details(&self) -> Option<&SaDetails> {
        self.context.details(self.direction)
    }
}

/// The number of a version of the engine's database: grows with every change that is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);
