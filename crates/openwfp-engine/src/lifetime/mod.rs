//! Lifetimes: the timers of a context, and the limits that its counters reach.
//!
//! | limit | soft limit | at the limit |
//! |---|---|---|
//! | seconds since the context became complete | at 90 % | the context is deleted |
//! | kilobytes or packets of one direction | at 90 % | the context is deleted |
//! | idle seconds | – | the context expires: outbound immediately, inbound 60 s later |
//!
//! A hard limit deletes the context immediately, because an SA beyond it is not safe to use (RFC 4301
//! §4.4.2.1). An idle pair is merely not needed, and packets may still be on the wire. The inbound SA
//! of an expiring context is deleted at its hard limit, too.
//!
//! A bundle's own idle timeout applies first. If it is 0, the engine's applies: the one for failover if
//! the bundle says that its peer is one of several (`IPSEC_SA_BUNDLE_FLAG_NLB`), else the normal one.
//! The shortest timeout of a context's bundles counts. Traffic in either direction keeps a pair alive.
//! With `IPSEC_SA_BUNDLE_FLAG_ENABLE_OPTIONAL_ASYMMETRIC_IDLE` each direction needs its own traffic,
//! which detects a peer that is gone while this side keeps sending.

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

/// Idle timeouts for bundles that set none. WFP: `IPSEC_SA_IDLE_TIMEOUT0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleTimeout {
    /// Idle timeout in seconds; 0 disables it. WFP: `idleTimeoutSeconds`.
    pub seconds: u32,
    /// Idle timeout in seconds for peers that support failover, which `IPSEC_SA_BUNDLE_FLAG_NLB` indicates;
    /// 0 means the same as for other peers. WFP: `idleTimeoutSecondsFailOver`.
    pub fail_over_seconds: u32,
}

/// A limit that counters approached or reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    Soft,
    Hard,
}

/// Returns the timers of a context that becomes complete or starts to expire. Reads the clock only if
/// there are any.
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

/// Returns the time between the soft and the hard limit in seconds; `None` without a limit.
pub(crate) fn hard_after_soft(context: &SaContext) -> Option<Duration> {
    seconds(context).map(|limit| limit - soft(limit))
}

/// Returns how long a context may be idle; `None` if forever.
pub(crate) fn idle_timeout(context: &SaContext, engine: IdleTimeout) -> Option<Duration> {
    let of_bundle = |flags: u32, seconds: u32| match seconds {
        0 if flags & FLAG_NLB != 0 && engine.fail_over_seconds != 0 => engine.fail_over_seconds,
        0 => engine.seconds,
        _ => seconds,
    };
    shortest(context, |bundle| of_bundle(bundle.flags, bundle.idle_timeout_seconds))
}

/// Returns when a context was last used with regard to its idle timeout, in seconds since 1970; 0 if
/// never.
pub(crate) fn last_used(context: &SaContext) -> u64 {
    let of = |direction: Direction| context.counters.direction(direction).last_used.load(Ordering::Relaxed);
    let (inbound, outbound) = (of(Direction::Inbound), of(Direction::Outbound));
    let asymmetric =
        context.directions().any(|(_, details)| details.bundle.flags & FLAG_ASYMMETRIC_IDLE != 0);
    if asymmetric { inbound.min(outbound) } else { inbound.max(outbound) }
}

/// Returns the limit that a direction reaches when its bytes and packets grow from `before` to `after`.
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

/// Returns the shortest nonzero time of a context's bundles; `of` returns seconds.
fn shortest(context: &SaContext, of: impl Fn(&openwfp_api::SaBundle) -> u32) -> Option<Duration> {
    context
        .directions()
        .map(|(_, details)| of(&details.bundle))
        .filter(|seconds| *seconds != 0)
        .min()
        .map(|seconds| Duration::from_secs(seconds.into()))
}
