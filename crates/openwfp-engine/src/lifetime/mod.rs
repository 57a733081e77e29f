//! Lifetimes: which timers a context has, and which limits its counters reach.
//!
//! | limit | soft | when reached |
//! |---|---|---|
//! | seconds since it was complete | at nine tenths | it is deleted |
//! | kilobytes, packets of a direction | at nine tenths | it is deleted |
//! | idle seconds | – | it expires: outbound at once, inbound a minute later |
//!
//! A hard limit deletes at once, since what is beyond it is not safe to use (RFC 4301 §4.4.2.1); an idle pair is
//! merely not needed, and packets may be on the wire. The inbound SA of an expiring context goes at its hard limit too.
//! Which idle time-out counts: the bundle's own; where that is 0
//! the engine's, the one for fail-over if the bundle says that its peer is one of several
//! (`IPSEC_SA_BUNDLE_FLAG_NLB`). Traffic in either direction keeps a pair alive; with
//! `IPSEC_SA_BUNDLE_FLAG_ENABLE_OPTIONAL_ASYMMETRIC_IDLE` each direction needs its own, so that a peer that has
//! gone while this side goes on sending is found out.

mod wheel;

use openwfp_api::Clock;
use openwfp_api::Direction;
use openwfp_api::SaContext;
use openwfp_api::SaState;
use std::sync::atomic::Ordering;
use std::time::Duration;
pub(crate) use wheel::Timer;
pub(crate) use wheel::TimerKind;
pub(crate) use wheel::Wheel;

/// How long the inbound SA of an expiring context stays, for packets on the wire.
pub(crate) const EXPIRY: Duration = Duration::from_secs(60);

/// `IPSEC_SA_BUNDLE_FLAG_NLB`.
const FLAG_NLB: u32 = 0x10;
/// `IPSEC_SA_BUNDLE_FLAG_ENABLE_OPTIONAL_ASYMMETRIC_IDLE`.
const FLAG_ASYMMETRIC_IDLE: u32 = 0x4_0000;

/// Idle time-outs for bundles that bring none. WFP: `IPSEC_SA_IDLE_TIMEOUT0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleTimeout {
    /// `idleTimeoutSeconds`; 0: never.
    pub seconds: u32,
    /// `idleTimeoutSecondsFailOver`: for peers that support fail-over, which say so by
    /// `IPSEC_SA_BUNDLE_FLAG_NLB`; 0: as for others.
    pub fail_over_seconds: u32,
}

/// A limit that counters came near to or reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    Soft,
    Hard,
}

/// The timers of a context that becomes complete, or begins to expire; the clock is asked where there are any.
pub(crate) fn timers(
    context: &SaContext,
    clock: &dyn Clock,
    idle: IdleTimeout,
) -> impl Iterator<Item = Timer> {
    let (first, second) = match context.state {
        SaState::Expiring { .. } => (Some((EXPIRY, TimerKind::End)), None),
        SaState::Complete => (
            seconds(context).map(|limit| (soft(limit), TimerKind::Soft)),
            idle_timeout(context, idle).map(|limit| (limit, TimerKind::Idle)),
        ),
        _ => (None, None),
    };
    let now = if first.is_some() || second.is_some() { clock.monotonic() } else { Duration::ZERO };
    let timer = move |(after, kind)| Timer::new(now.saturating_add(after), context.id, kind);
    first.into_iter().chain(second).map(timer)
}

/// The time from the soft limit to the hard one; none without a limit.
pub(crate) fn hard_after_soft(context: &SaContext) -> Option<Duration> {
    seconds(context).map(|limit| limit - soft(limit))
}

/// How long a context may be idle; none: for ever.
pub(crate) fn idle_timeout(context: &SaContext, engine: IdleTimeout) -> Option<Duration> {
    let of_bundle = |flags: u32, seconds: u32| match seconds {
        0 if flags & FLAG_NLB != 0 && engine.fail_over_seconds != 0 => engine.fail_over_seconds,
        0 => engine.seconds,
        _ => seconds,
    };
    shortest(context, |bundle| of_bundle(bundle.flags, bundle.idle_timeout_seconds))
}

/// When a context was last used in the sense of its idle time-out, in seconds since 1970; 0: never.
pub(crate) fn last_used(context: &SaContext) -> u64 {
    let of = |direction: Direction| context.counters.direction(direction).last_used.load(Ordering::Relaxed);
    let (inbound, outbound) = (of(Direction::Inbound), of(Direction::Outbound));
    let asymmetric =
        context.directions().any(|(_, details)| details.bundle.flags & FLAG_ASYMMETRIC_IDLE != 0);
    if asymmetric { inbound.min(outbound) } else { inbound.max(outbound) }
}

/// The limit that a direction's counters reach by going from one pair of bytes and packets to another.
pub(crate) fn reached(
    context: &SaContext,
    direction: Direction,
    before: (u64, u64),
    after: (u64, u64),
) -> Option<Reached> {
    let lifetime = context.details(direction)?.bundle.lifetime;
    let limits = [
        (u64::from(lifetime.kilobytes) * 1024, before.0, after.0),
        (u64::from(lifetime.packets), before.1, after.1),
    ];
    let crosses = |limit: u64, before: u64, after: u64| before < limit && limit <= after;
    limits
        .into_iter()
        .filter(|(limit, ..)| *limit != 0)
        .filter_map(|(limit, before, after)| {
            if after >= limit {
                Some(Reached::Hard)
            } else {
                crosses(limit - limit / 10, before, after).then_some(Reached::Soft)
            }
        })
        .max()
}

fn seconds(context: &SaContext) -> Option<Duration> {
    shortest(context, |bundle| bundle.lifetime.seconds)
}

fn soft(limit: Duration) -> Duration {
    limit - limit / 10
}

/// The shortest time of a context's bundles that is not 0.
fn shortest(context: &SaContext, of: impl Fn(&openwfp_api::SaBundle) -> u32) -> Option<Duration> {
    context
        .directions()
        .map(|(_, details)| of(&details.bundle))
        .filter(|seconds| *seconds != 0)
        .min()
        .map(|seconds| Duration::from_secs(seconds.into()))
}
