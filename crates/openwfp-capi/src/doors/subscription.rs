//! Calls that subscribe to changes of SA contexts.

use super::PageOut;
use super::page_len;
use crate::Flavour;
use crate::abi::IPSEC_SA_CONTEXT_CALLBACK0;
use crate::abi::IPSEC_SA_CONTEXT_CHANGE0;
use crate::abi::IPSEC_SA_CONTEXT_SUBSCRIPTION0;
use crate::abi::c_void;
use crate::arena;
use crate::boundary::Out;
use crate::boundary::call;
use crate::boundary::required;
use crate::handle;
use crate::handle::Kind;
use crate::read;
use crate::write::Subscriptions;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Notification;
use std::sync::Arc;
use windows_sys::Win32::Foundation::HANDLE;

type Callback = unsafe extern "system" fn(*mut c_void, *const IPSEC_SA_CONTEXT_CHANGE0);

/// A callback and its context.
struct Subscriber {
    callback: Callback,
    context: *mut c_void,
}

// SAFETY: only the callback uses the context, and subscribers accept callbacks on another thread.
unsafe impl Send for Subscriber {}
// SAFETY: as above; a subscription's callbacks run one at a time.
unsafe impl Sync for Subscriber {}

impl Subscriber {
    fn tell(&self, notification: &Notification) {
        let (kind, id) = match notification {
            Notification::Event(event) => (event.kind as i32, event.id.0),
            // WFP's structure has no fields for this: report the code as the kind and the count as the id.
            Notification::Dropped { count, .. } => (Code::FWP_E_NOTIFICATION_DROPPED.0.cast_signed(), *count),
            _ => return,
        };
        let change = IPSEC_SA_CONTEXT_CHANGE0 { changeType: kind, saContextId: id };
        // SAFETY: the subscriber keeps the callback and its context valid until the subscription has ended.
        unsafe { (self.callback)(self.context, &raw const change) };
    }
}

/// Subscribes to additions and deletions of SA contexts.
///
/// The callback runs on a thread of the engine, one call at a time. Dropped events are reported with
/// `changeType` `FWP_E_NOTIFICATION_DROPPED` and their number in `saContextId`. Fails with
/// `FWP_E_NULL_POINTER` without a callback.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextSubscribe0<F: Flavour>(
    engine_handle: HANDLE,
    subscription: *const IPSEC_SA_CONTEXT_SUBSCRIPTION0,
    callback: IPSEC_SA_CONTEXT_CALLBACK0,
    context: *mut c_void,
    events_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let (out, options) = unsafe {
            (
                Out::required(events_handle, std::ptr::null_mut(), "eventsHandle")?,
                read::subscription(required(subscription, "subscription")?)?,
            )
        };
        let callback = callback.ok_or_else(|| Error::new(Code::FWP_E_NULL_POINTER, "callback is null"))?;
        let subscriber = Subscriber { callback, context };
        let session = handle::session(engine_handle)?;
        let id = session.subscribe(&options, Arc::new(move |notification| subscriber.tell(notification)))?;
        out.set(handle::add(engine_handle, Kind::Subscription, id)?);
        Ok(())
    })
}

/// Ends a subscription. Its callback does not run after this returns, except a callback that makes this
/// call itself.
pub fn IPsecSaContextUnsubscribe0<F: Flavour>(engine_handle: HANDLE, events_handle: HANDLE) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        let id = handle::child(engine_handle, events_handle, Kind::Subscription)?;
        session.unsubscribe(id)?;
        handle::remove(engine_handle, events_handle);
        Ok(())
    })
}

/// Returns the subscriptions of all sessions to changes of SA contexts.
///
/// The list is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextSubscriptionsGet0<F: Flavour>(
    engine_handle: HANDLE,
    entries: *mut *mut *mut IPSEC_SA_CONTEXT_SUBSCRIPTION0,
    num_entries: *mut u32,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let out = unsafe { PageOut::new(entries, num_entries) }?;
        let subscriptions =
            handle::session(engine_handle)?.subscriptions(openwfp_api::TopicKind::SaContexts)?;
        out.set(arena::build(&Subscriptions(&subscriptions))?, page_len(&subscriptions)?);
        Ok(())
    })
}
