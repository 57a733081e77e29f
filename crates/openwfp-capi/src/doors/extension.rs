//! What OpenWFP adds: `openwfp.h`.

use crate::Flavour;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use openwfp_api::DirectionCounters;
use openwfp_api::SaContextId;
use std::sync::atomic::Ordering;
use windows_sys::Win32::Foundation::HANDLE;

/// Counters of one direction. C: `OPENWFP_SA_COUNTERS0`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SaCounters0 {
    bytes: u64,
    packets: u64,
    last_used: u64,
    replay_window_drops: u32,
    replay_drops: u32,
    integrity_failures: u32,
}

impl From<&DirectionCounters> for SaCounters0 {
    fn from(counters: &DirectionCounters) -> SaCounters0 {
        let (bytes, packets) = counters.traffic();
        SaCounters0 {
            bytes,
            packets,
            last_used: counters.last_used.load(Ordering::Relaxed),
            replay_window_drops: counters.replay_window_drops.load(Ordering::Relaxed),
            replay_drops: counters.replay_drops.load(Ordering::Relaxed),
            integrity_failures: counters.integrity_failures.load(Ordering::Relaxed),
        }
    }
}

/// The counters of a context as they are now.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn OpenwfpSaContextGetCounters0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound: *mut SaCounters0,
    outbound: *mut SaCounters0,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
        let (inbound, outbound) = unsafe {
            (
                Out::optional(inbound, SaCounters0::default(), "inbound")?,
                Out::optional(outbound, SaCounters0::default(), "outbound")?,
            )
        };
        let context = handle::session(engine_handle)?.sa_context_by_id(SaContextId(id))?;
        inbound.set((&context.counters.inbound).into());
        outbound.set((&context.counters.outbound).into());
        Ok(())
    })
}
