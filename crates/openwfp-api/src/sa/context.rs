//! SA contexts: the inbound and outbound SAs of one protected traffic.

use crate::Direction;
use crate::FilterId;
use crate::SaDetails;
use crate::Selector;
use crate::Selectors;
use crate::Spi;
use crate::Timestamp;
use crate::Traffic;
use crate::TransportFilter;
use crate::UdpEncapsulation;
use crate::VirtualIfTunnel;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Id of an SA context, ascending in order of creation and unique for the lifetime of its engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaContextId(pub u64);

/// SA context: the SAs that protect one traffic, in both directions. WFP: `IPSEC_SA_CONTEXT1`.
///
/// A shared value is immutable; a change creates a new version of it. Properties that change with
/// every packet are in [`SaContext::counters`], which all versions share.
///
/// ```
/// use openwfp_api::{Direction, SaContext};
///
/// /// Describes an SA context in one line.
/// fn describe(context: &SaContext) -> String {
///     let ends = context.traffic.endpoints;
///     // A direction without an SA is `None`: contexts may have one direction, or none yet.
///     let spi = context.inbound.as_ref().map(|inbound| inbound.bundle.sas.first().spi);
///     let (bytes, _packets) = context.counters.total(Direction::Inbound);
///     format!("{} <=> {}: {} in, SPI {spi:?}", ends.local(), ends.remote(), bytes)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SaContext {
    /// Id of the context. WFP: `saContextId`.
    pub id: SaContextId,
    /// State in the life cycle of the context.
    pub state: SaState,
    /// Addresses and mode of the traffic.
    pub traffic: Traffic,
    /// Inner selectors: the packets that the SAs protect, from which the transport filter is built.
    ///
    /// If empty, the traffic's own addresses apply.
    pub selectors: Selectors,
    /// Inbound SAs.
    pub inbound: Option<SaDetails>,
    /// Outbound SAs.
    pub outbound: Option<SaDetails>,
    /// Values that earlier calls set for SAs still to be added; `None` once both directions were added.
    pub reservation: Option<Arc<Reservation>>,
    /// Traffic counters, shared by all versions of this context.
    pub counters: Arc<Counters>,
}

/// State in the life cycle of an SA context.
///
/// Source: the order of calls in WFP's `IPsecSaContextCreate1`. WFP has no `Outbound`; OpenWFP adds it
/// for a kernel SA without an inbound counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaState {
    /// Created, without SPI and SAs. An acquire of the kernel is shown in this state.
    Created,
    /// The inbound SPI is set, but no SA is added yet. An SPI allocated in the kernel is shown in this
    /// state.
    HasSpi {
        /// SPI reserved for the inbound SA.
        inbound_spi: Spi,
    },
    /// The context has an inbound SA, but no outbound SA.
    Inbound,
    /// The context has only an outbound SA, which is possible for SAs of the kernel.
    Outbound,
    /// The context has SAs in both directions.
    Complete,
    /// The outbound SA is deleted; the inbound SA is deleted when expiry ends.
    Expiring {
        /// Time at which expiry began.
        since: Timestamp,
    },
}

/// Values set for SAs that are still to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Outbound filter or tunnel policy, from the call that creates the context.
    pub outbound_filter_id: FilterId,
    /// Inbound filter or tunnel policy, from the call that gets or sets the SPI.
    pub inbound_filter_id: FilterId,
    /// UDP encapsulation, from the call that gets or sets the SPI.
    pub udp_encapsulation: Option<UdpEncapsulation>,
    /// Virtual interface of the tunnel, from the call that creates the context.
    pub virtual_if_tunnel: Option<VirtualIfTunnel>,
    /// Packet for which a provider asks an SA, as a selector of exactly that packet.
    ///
    /// The outbound filter is then the policy that protects the packet.
    pub packet: Option<Selector>,
}

/// Counters of an SA context, one set for each direction.
#[derive(Debug, Default)]
pub struct Counters {
    /// Counters of the inbound SA.
    pub inbound: DirectionCounters,
    /// Counters of the outbound SA.
    pub outbound: DirectionCounters,
    /// Totals over all generations of this traffic; unset until the first rekey.
    pub totals: OnceLock<Arc<Totals>>,
}

/// Totals over all generations of one traffic, which do not restart at 0 on a rekey.
#[derive(Debug, Default)]
pub struct Totals {
    /// Inbound totals.
    pub inbound: TrafficTotals,
    /// Outbound totals.
    pub outbound: TrafficTotals,
}

/// Bytes and packets of one direction, over all generations.
#[derive(Debug, Default)]
pub struct TrafficTotals {
    /// Number of bytes.
    pub bytes: AtomicU64,
    /// Number of packets.
    pub packets: AtomicU64,
}

/// Counters of one direction.
#[derive(Debug, Default)]
pub struct DirectionCounters {
    /// Number of bytes.
    pub bytes: AtomicU64,
    /// Number of packets.
    pub packets: AtomicU64,
    /// Time of last use, in seconds since 1970; 0: never used, or unknown.
    pub last_used: AtomicU64,
    /// Packets dropped because they were too old for the replay window.
    pub replay_window_drops: AtomicU32,
    /// Packets dropped because they were replayed.
    pub replay_drops: AtomicU32,
    /// Packets that failed the integrity check.
    pub integrity_failures: AtomicU32,
    /// Time at which the provider last reported these counters, as the low 32 bits of the milliseconds of
    /// the engine's own clock; 0: never; [`DirectionCounters::FINAL`]: they stay as they are.
    pub asked: AtomicU32,
}

impl SaContext {
    /// Creates a context in state [`SaState::Created`], without SAs and selectors.
    pub fn new(id: SaContextId, traffic: Traffic) -> SaContext {
        SaContext {
            id,
            state: SaState::Created,
            traffic,
            selectors: Selectors::NONE,
            inbound: None,
            outbound: None,
            reservation: None,
            counters: Arc::default(),
        }
    }

    /// Returns the packet for which a provider asks an SA, until a client takes the context up by getting or setting its SPI.
    pub fn acquire(&self) -> Option<&Selector> {
        let reservation = self.reservation.as_deref().filter(|_| self.state == SaState::Created)?;
        reservation.packet.as_ref()
    }

    /// Returns the details of one direction, if it has SAs.
    pub fn details(&self, direction: Direction) -> Option<&SaDetails> {
        match direction {
            Direction::Inbound => self.inbound.as_ref(),
            Direction::Outbound => self.outbound.as_ref(),
        }
    }

    /// Returns the directions that have SAs with their details, inbound first.
    pub fn directions(&self) -> impl Iterator<Item = (Direction, &SaDetails)> {
        let inbound = self.inbound.as_ref().map(|details| (Direction::Inbound, details));
        let outbound = self.outbound.as_ref().map(|details| (Direction::Outbound, details));
        inbound.into_iter().chain(outbound)
    }

    /// Returns the filter whose traffic a direction protects; `None` if the direction has no SA.
    ///
    /// WFP: `transportFilter`. In tunnel mode it holds the inner selectors.
    pub fn transport_filter(&self, direction: Direction) -> Option<TransportFilter<'_>> {
        let details = self.details(direction)?;
        Some(TransportFilter::new(details.filter_id, direction, self))
    }

    /// Returns the id of a direction's filter or tunnel policy; `None` if the direction has no SA.
    pub fn filter_id(&self, direction: Direction) -> Option<FilterId> {
        self.details(direction).map(|details| details.filter_id)
    }

    /// Returns the SPIs of the context with their directions: those of its SAs, and an inbound SPI that is
    /// set but has no SA yet.
    pub fn spis(&self) -> impl Iterator<Item = (Direction, Spi)> {
        let larval = match self.state {
            SaState::HasSpi { inbound_spi } => Some((Direction::Inbound, inbound_spi)),
            _ => None,
        };
        let of_sas = self
            .directions()
            .flat_map(|(direction, details)| details.bundle.sas.iter().map(move |sa| (direction, sa.spi)));
        larval.into_iter().chain(of_sas)
    }
}

impl PartialEq for SaContext {
    /// Compares everything except the counters.
    fn eq(&self, other: &SaContext) -> bool {
        self.id == other.id
            && self.state == other.state
            && self.traffic == other.traffic
            && self.selectors == other.selectors
            && self.inbound == other.inbound
            && self.outbound == other.outbound
            && self.reservation == other.reservation
    }
}

impl SaState {
    /// Returns the name of the state in tables and JSON.
    ///
    /// One of `larval` (no SA yet), `inbound`, `outbound`, `complete` and `expiring`.
    pub fn word(self) -> &'static str {
        match self {
            SaState::Created | SaState::HasSpi { .. } => "larval",
            SaState::Inbound => "inbound",
            SaState::Outbound => "outbound",
            SaState::Complete => "complete",
            SaState::Expiring { .. } => "expiring",
        }
    }
}

impl Counters {
    /// Returns the counters of one direction.
    pub fn direction(&self, direction: Direction) -> &DirectionCounters {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// Returns the bytes and packets of one direction, including earlier generations of the traffic.
    pub fn total(&self, direction: Direction) -> (u64, u64) {
        match self.totals.get() {
            Some(totals) => totals.direction(direction).traffic(),
            None => self.direction(direction).traffic(),
        }
    }
}

impl Totals {
    /// Returns the totals of one direction.
    pub fn direction(&self, direction: Direction) -> &TrafficTotals {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }
}

impl TrafficTotals {
    /// Returns the current number of bytes and packets.
    pub fn traffic(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.packets.load(Ordering::Relaxed))
    }

    /// Adds bytes and packets to the totals.
    pub fn add(&self, bytes: u64, packets: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.packets.fetch_add(packets, Ordering::Relaxed);
    }
}

impl DirectionCounters {
    /// Value of [`DirectionCounters::asked`] for counters of an SA that is gone while another one of its bundle remains. What
    /// that one counts are the same packets.
    pub const FINAL: u32 = u32::MAX;

    /// Returns the current number of bytes and packets.
    pub fn traffic(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.packets.load(Ordering::Relaxed))
    }
}

impl fmt::Display for SaContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SaContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_stays_small() {
        // With the two reference counts and the allocator's header word this makes 464 bytes, a multiple of
        // 16; 8 more bytes would cost 16.
        assert!(size_of::<SaContext>() <= 440, "{}", size_of::<SaContext>());
    }
}
