//! OpenWFP's additions to the API, which `openwfp.h` declares.

use crate::Flavour;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use openwfp_api::DirectionCounters;
use openwfp_api::SaContextId;
use openwfp_api::object::kernel::FilterEffect;
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

/// What a filter changes on this machine. C: `OPENWFP_FILTER_EFFECT0`.
///
/// `kind` is an `OPENWFP_EFFECT_KIND`; `reason` is UTF-8 and ends in a zero byte.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FilterEffect0 {
    kind: i32,
    num_policies: u32,
    policy_index: u32,
    reason: [u8; 244],
}

impl Default for FilterEffect0 {
    fn default() -> FilterEffect0 {
        FilterEffect0 { kind: 0, num_policies: 0, policy_index: 0, reason: [0; 244] }
    }
}

impl From<&FilterEffect> for FilterEffect0 {
    fn from(effect: &FilterEffect) -> FilterEffect0 {
        let mut c = FilterEffect0 {
            kind: effect.kind.wfp().cast_signed(),
            num_policies: u32::try_from(effect.policies.len()).unwrap_or(u32::MAX),
            policy_index: effect.policies.first().copied().unwrap_or(0),
            ..FilterEffect0::default()
        };
        // Cut between characters, and keep the zero byte at the end.
        let mut end = effect.reason.len().min(c.reason.len() - 1);
        while !effect.reason.is_char_boundary(end) {
            end -= 1;
        }
        c.reason[..end].copy_from_slice(&effect.reason.as_bytes()[..end]);
        c
    }
}

/// Returns what a filter changes on this machine.
///
/// Fails with `FWP_E_FILTER_NOT_FOUND` for an unknown id.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn OpenwfpFilterGetEffect0<F: Flavour>(
    engine_handle: HANDLE,
    filter_id: u64,
    effect: *mut FilterEffect0,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let out = unsafe { Out::required(effect, FilterEffect0::default(), "effect")? };
        let effects = handle::session(engine_handle)?.filter_effects(&[filter_id])?;
        out.set(effects.first().map(FilterEffect0::from).unwrap_or_default());
        Ok(())
    })
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
