//! OpenWFP's additions to the API, which `openwfp.h` declares.

use crate::Flavour;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use openwfp_api::DirectionCounters;
use openwfp_api::SaContextId;
use std::sync::atomic::Ordering;
use windows_sys::Win32::Foundation::HANDLE;

/// Counters of one direction of an SA context. C: `OPENWFP_SA_COUNTERS0`.
///
/// `last_used` is in seconds since 1970; 0 means never used or not known.
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

/// Returns the current counters of an SA context.
///
/// A null `inbound` or `outbound` skips that direction. Fails with `FWP_E_NOT_FOUND` for an unknown id.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn OpenwfpSaContextGetCounters0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound: *mut SaCounters0,
    outbound: *mut SaCounters0,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
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
