//! An SA context: the pair of directions of one protected traffic.

use crate::Direction;
use crate::FilterId;
use crate::SaDetails;
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

/// The id of an SA context: ascending in the order of creation, unique while its engine lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaContextId(pub u64);

/// An SA context: what is done for one traffic, in both directions. WFP: `IPSEC_SA_CONTEXT1`.
///
/// A value is never changed once it is shared: a change makes a new version of it. What changes with
/// every packet is beside it, in [`SaContext::counters`], which all versions share.
#[derive(Clone, Debug)]
pub struct SaContext {
    /// Its id, `saContextId`.
    pub id: SaContextId,
    /// How far its life has come.
    pub state: SaState,
    /// Addresses and mode.
    pub traffic: Traffic,
    /// The inner selectors: which packets the SAs are for, local and remote side. They make up the
    /// transport filter. Empty: those of the traffic's own addresses.
    pub selectors: Selectors,
    /// The inbound SAs.
    pub inbound: Option<SaDetails>,
    /// The outbound SAs.
    pub outbound: Option<SaDetails>,
    /// What was said for the SAs to come; gone once both directions were there.
    pub reservation: Option<Arc<Reservation>>,
    /// What is counted, shared by all versions of this context.
    pub counters: Arc<Counters>,
}

/// How far the life of an SA context has come.
///
/// Source: the order of calls in WFP's `IPsecSaContextCreate1`; `Outbound` is ours, for a kernel's SA
/// that stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaState {
    /// Created; no SPI and no SA yet. A kernel's acquire is such a context.
    Created,
    /// The inbound SPI is set, and no SA is there yet. A kernel's allocated SPI is such a context.
    HasSpi {
        /// The SPI that the inbound SA will have.
        inbound_spi: Spi,
    },
    /// The inbound SA is there, the outbound one is not.
    Inbound,
    /// Only an outbound SA is there, as a kernel may hold it.
    Outbound,
    /// Both directions are there.
    Complete,
    /// The outbound SA is gone, the inbound one follows.
    Expiring {
        /// When expiry began.
        since: Timestamp,
    },
}

/// What the first calls said for the SAs to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The outbound direction's filter or tunnel policy, from the create call.
    pub outbound_filter_id: FilterId,
    /// The inbound direction's, from the call that gets or sets the SPI.
    pub inbound_filter_id: FilterId,
    /// UDP encapsulation, from the call that gets or sets the SPI.
    pub udp_encapsulation: Option<UdpEncapsulation>,
    /// The virtual interface of the tunnel, from the create call.
    pub virtual_if_tunnel: Option<VirtualIfTunnel>,
}

/// Counters of an SA context, one set a direction.
#[derive(Debug, Default)]
pub struct Counters {
    /// Of the inbound SA.
    pub inbound: DirectionCounters,
    /// Of the outbound SA.
    pub outbound: DirectionCounters,
    /// What the generations of this traffic have counted together, once there was a second one.
    pub totals: OnceLock<Arc<Totals>>,
}

/// What all generations of one traffic have counted, so that it does not begin anew at each rekey.
#[derive(Debug, Default)]
pub struct Totals {
    /// Inbound.
    pub inbound: TrafficTotals,
    /// Outbound.
    pub outbound: TrafficTotals,
}

/// Bytes and packets of one direction over all generations.
#[derive(Debug, Default)]
pub struct TrafficTotals {
    /// Bytes.
    pub bytes: AtomicU64,
    /// Packets.
    pub packets: AtomicU64,
}

/// Counters of one direction.
#[derive(Debug, Default)]
pub struct DirectionCounters {
    /// Bytes.
    pub bytes: AtomicU64,
    /// Packets.
    pub packets: AtomicU64,
    /// When it was last used, in seconds since 1970; 0: never or not known.
    pub last_used: AtomicU64,
    /// Packets dropped as too old for the replay window.
    pub replay_window_drops: AtomicU32,
    /// Packets dropped as replayed.
    pub replay_drops: AtomicU32,
    /// Packets whose integrity check failed.
    pub integrity_failures: AtomicU32,
    /// When the provider was last asked for these counters, in seconds since 1970 (their low 32 bits); 0: never.
    pub asked: AtomicU32,
}

impl SaContext {
    /// A context in its first state.
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

    /// The details of one direction.
    pub fn details(&self, direction: Direction) -> Option<&SaDetails> {
        match direction {
            Direction::Inbound => self.inbound.as_ref(),
            Direction::Outbound => self.outbound.as_ref(),
        }
    }

    /// The details that are there, inbound first.
    pub fn directions(&self) -> impl Iterator<Item = (Direction, &SaDetails)> {
        let inbound = self.inbound.as_ref().map(|details| (Direction::Inbound, details));
        let outbound = self.outbound.as_ref().map(|details| (Direction::Outbound, details));
        inbound.into_iter().chain(outbound)
    }

    /// The filter whose traffic a direction protects; there is one wherever there is an SA.
    ///
    /// WFP: `transportFilter`; in tunnel mode it holds the inner selectors.
    pub fn transport_filter(&self, direction: Direction) -> Option<TransportFilter<'_>> {
        let details = self.details(direction)?;
        Some(TransportFilter::new(details.filter_id, direction, self))
    }

    /// The id of the filter or tunnel policy of a direction, if it has an SA.
    pub fn filter_id(&self, direction: Direction) -> Option<FilterId> {
        self.details(direction).map(|details| details.filter_id)
    }

    /// The SPIs that the context holds, with their direction: those of its SAs, and one that is set
    /// while there is no SA yet.
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
    /// Equal in everything but the counters.
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
    /// The word for it in tables and JSON: `larval` before there is an SA, then `inbound`, `outbound`,
    /// `complete`, `expiring`.
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
    /// The counters of one direction.
    pub fn direction(&self, direction: Direction) -> &DirectionCounters {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// Bytes and packets of one direction, with those of the traffic's earlier generations.
    pub fn total(&self, direction: Direction) -> (u64, u64) {
        match self.totals.get() {
            Some(totals) => totals.direction(direction).traffic(),
            None => self.direction(direction).traffic(),
        }
    }
}

impl Totals {
    /// Those of one direction.
    pub fn direction(&self, direction: Direction) -> &TrafficTotals {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }
}

impl TrafficTotals {
    /// Bytes and packets so far.
    pub fn traffic(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.packets.load(Ordering::Relaxed))
    }

    /// Adds what was counted on top.
    pub fn add(&self, bytes: u64, packets: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.packets.fetch_add(packets, Ordering::Relaxed);
    }
}

impl DirectionCounters {
    /// Bytes and packets so far.
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
        // With its two counts of references and the allocator's own word, 464 bytes: a multiple of 16, and
        // eight bytes more would cost sixteen.
        assert!(size_of::<SaContext>() <= 440, "{}", size_of::<SaContext>());
    }
}
