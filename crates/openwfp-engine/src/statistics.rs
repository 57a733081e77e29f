//! Running totals, so that reading statistics does not walk the database.

use crate::change::Change;
use crate::database::Database;
use crate::database::Side;
use openwfp_api::Direction;
use openwfp_api::Drops;
use openwfp_api::Protocol;
use openwfp_api::ProtocolDrops;
use openwfp_api::ProviderDrops;
use openwfp_api::SaContext;
use openwfp_api::SaDetails;
use openwfp_api::SaState;
use openwfp_api::SaStatistics;
use openwfp_api::Statistics;
use openwfp_api::Totals;
use openwfp_api::TrafficStatistics;
use openwfp_api::TrafficType;
use openwfp_api::Transform;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `IPSEC_SA_BUNDLE_FLAG_SA_OFFLOADED`.
const FLAG_OFFLOADED: u32 = 0x20_0000;

/// Maximum number of a peer's newest contexts to examine when detecting a rekey.
const REKEY_LOOKS: usize = 64;

/// The running totals.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    sas: SaStatistics,
    inbound: TrafficStatistics,
    outbound: TrafficStatistics,
    esp: Failures,
    ah: Failures,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    authentication: u64,
    replay: u64,
}

/// Growth of the counters of one direction of a context.
#[derive(Clone, Copy, Default)]
pub(crate) struct Growth {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) integrity_failures: u64,
    pub(crate) replay_failures: u64,
}

impl Tally {
    /// Counts a change. `database` is the version that contains the change, and is used to tell rekeys from
    /// new traffic; `None` detects no rekeys.
    pub(crate) fn note(&mut self, change: &Change, database: Option<&Database>) {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        for direction in [Direction::Inbound, Direction::Outbound] {
            let spi = |context: Option<&SaContext>| {
                context
                    .and_then(|context| context.details(direction))
                    .map(|details| details.bundle.sas.first().spi)
            };
            let (before, after) = (spi(old), spi(new));
            if before != after {
                self.sas.total_deleted += u64::from(before.is_some());
                self.sas.total_added += u64::from(after.is_some());
            }
        }
        if let Some(new) = new {
            if change.completes()
                && let Some(older) = database.and_then(|database| older_generation(new, database))
            {
                self.sas.successful_rekeys += 1;
                continue_totals(&older, new, old.is_some());
            }
            self.shape(new, |count, by| *count += by);
            if old.is_none() {
                for (direction, _) in new.directions() {
                    let counters = new.counters.direction(direction);
                    let (bytes, packets) = counters.traffic();
                    let growth = Growth {
                        bytes,
                        packets,
                        integrity_failures: counters.integrity_failures.load(Ordering::Relaxed).into(),
                        replay_failures: u64::from(counters.replay_drops.load(Ordering::Relaxed))
                            + u64::from(counters.replay_window_drops.load(Ordering::Relaxed)),
                    };
                    self.count(new, direction, growth);
                }
            }
        }
        if let Some(old) = old {
            self.shape(old, |count, by| *count = count.saturating_sub(by));
        }
    }

    /// Adds or subtracts one context's share of the totals of existing contexts.
    fn shape(&mut self, context: &SaContext, mut by: impl FnMut(&mut u64, u64)) {
        let waits = context.reservation.is_some() && context.state == SaState::Inbound;
        let pending = waits || matches!(context.state, SaState::Created | SaState::HasSpi { .. });
        by(&mut self.sas.pending_negotiations, pending.into());
        let directions: u64 = context.directions().map(|_| 1).sum();
        by(&mut self.sas.active, directions);
        let tunnel = context.traffic.mode.traffic_type() == TrafficType::Tunnel && directions > 0;
        by(&mut self.sas.active_tunnels, tunnel.into());
        let offloaded = context.directions().filter(|(_, details)| is_offloaded(details)).map(|_| 1).sum();
        by(&mut self.sas.offloaded, offloaded);
    }

    /// Adds the traffic and failures of one direction.
    pub(crate) fn count(&mut self, context: &SaContext, direction: Direction, growth: Growth) {
        if let Some(totals) = context.counters.totals.get() {
            totals.direction(direction).add(growth.bytes, growth.packets);
        }
        self.total(context, direction, growth, |count, by| *count += by);
    }

    /// Takes back what one direction of a new context had counted in another one.
    pub(crate) fn uncount(&mut self, context: &SaContext, direction: Direction, growth: Growth) {
        self.total(context, direction, growth, |count, by| *count = count.saturating_sub(by));
    }

    fn total(
        &mut self,
        context: &SaContext,
        direction: Direction,
        growth: Growth,
        by: impl Fn(&mut u64, u64),
    ) {
        let Some(details) = context.details(direction) else { return };
        let totals = match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::Outbound => &mut self.outbound,
        };
        let bytes = growth.bytes;
        by(&mut totals.packets, growth.packets);
        match context.traffic.mode.traffic_type() {
            TrafficType::Transport => by(&mut totals.transport_bytes, bytes),
            TrafficType::Tunnel => by(&mut totals.tunnel_bytes, bytes),
        }
        if is_offloaded(details) {
            by(&mut totals.offload_bytes, bytes);
        }
        for sa in details.bundle.sas.iter() {
            match &sa.transform {
                Transform::Ah(_) => by(&mut totals.authenticated_ah_bytes, bytes),
                Transform::EspAuth(_) => by(&mut totals.authenticated_esp_bytes, bytes),
                Transform::EspCipher(_) => by(&mut totals.encrypted_bytes, bytes),
                Transform::EspAuthAndCipher(_) | Transform::EspAead(_) => {
                    by(&mut totals.authenticated_esp_bytes, bytes);
                    by(&mut totals.encrypted_bytes, bytes);
                }
                _ => {}
            }
        }
        let failures = match details.bundle.sas.first().transform.protocol() {
            Protocol::Ah => &mut self.ah,
            _ => &mut self.esp,
        };
        by(&mut failures.authentication, growth.integrity_failures);
        by(&mut failures.replay, growth.replay_failures);
    }

    /// Returns the statistics, completed with the drops that the provider counts.
    pub(crate) fn statistics(&self, provider: ProviderDrops) -> Statistics {
        let of_protocol = |failures: Failures, known: ProtocolDrops| ProtocolDrops {
            authentication_failures: known.authentication_failures.or(Some(failures.authentication)),
            replay_check_failures: known.replay_check_failures.or(Some(failures.replay)),
            ..known
        };
        let authentication = self.esp.authentication + self.ah.authentication;
        let replay = self.esp.replay + self.ah.replay;
        Statistics {
            sas: self.sas,
            esp_drops: of_protocol(self.esp, provider.esp),
            ah_drops: of_protocol(self.ah, provider.ah),
            drops: Drops {
                authentication_failures: provider.all.authentication_failures.or(Some(authentication)),
                replay_check_failures: provider.all.replay_check_failures.or(Some(replay)),
                ..provider.all
            },
            inbound: self.inbound,
            outbound: self.outbound,
        }
    }
}

fn is_offloaded(details: &SaDetails) -> bool {
    let by_kernel = |sa: &openwfp_api::Sa| {
        sa.linux
            .as_ref()
            .and_then(|linux| linux.extras.as_ref())
            .is_some_and(|extras| extras.offload.is_some())
    };
    details.bundle.flags & FLAG_OFFLOADED != 0 || details.bundle.sas.iter().any(by_kernel)
}

/// Returns the totals of a context's traffic, which begin with what it has counted so far.
pub(crate) fn totals(context: &SaContext) -> &Arc<Totals> {
    context.counters.totals.get_or_init(|| {
        let totals = Totals::default();
        for direction in [Direction::Inbound, Direction::Outbound] {
            let (bytes, packets) = context.counters.direction(direction).traffic();
            totals.direction(direction).add(bytes, packets);
        }
        Arc::new(totals)
    })
}

/// Lets a new generation of the same traffic continue the totals of the older ones. If `has_counted`,
/// adds what the new one has counted so far; else the caller counts that afterwards.
fn continue_totals(older: &SaContext, new: &SaContext, has_counted: bool) {
    let totals = totals(older);
    if new.counters.totals.set(Arc::clone(totals)).is_ok() && has_counted {
        for direction in [Direction::Inbound, Direction::Outbound] {
            let (bytes, packets) = new.counters.direction(direction).traffic();
            totals.direction(direction).add(bytes, packets);
        }
    }
}

/// Finds an older context that protects the same traffic; one of its directions may be gone already.
fn older_generation(new: &SaContext, database: &Database) -> Option<Arc<SaContext>> {
    let remote = new.traffic.endpoints.remote();
    let filters = |context: &SaContext| {
        [Direction::Inbound, Direction::Outbound].map(|direction| context.filter_id(direction))
    };
    database
        .newest_ids_at(Side::Remote, remote)
        .take(REKEY_LOOKS)
        .filter(|id| *id != new.id)
        .filter_map(|id| database.get(id))
        .find(|other| {
            let had = filters(other);
            other.id < new.id
                && had.iter().any(Option::is_some)
                && other.traffic == new.traffic
                && other.selectors == new.selectors
                && had.iter().zip(filters(new)).all(|(had, has)| had.is_none() || *had == has)
        })
        .cloned()
}
