//! Calls on tunnel policies, net events, engine options and application ids.

use super::PageOut;
use super::destroy_enum;
use super::object::no_callback;
use super::object::object_of;
use super::object::subscribe;
use super::object::unsubscribe;
use super::page_len;
use crate::Flavour;
use crate::abi::*;
use crate::arena;
use crate::arena::Typical;
use crate::boundary::Out;
use crate::boundary::call;
use crate::boundary::required;
use crate::handle;
use crate::handle::Kind;
use crate::memory::Block;
use crate::read;
use crate::wide;
use crate::write::NetEventShape;
use crate::write::NetEvents;
use crate::write::object::NetEventSubscriptions;
use crate::write::object::OneBlob;
use crate::write::object::OneValue;
use openwfp_api::Code;
use openwfp_api::EngineOption;
use openwfp_api::Error;
use openwfp_api::Notification;
use openwfp_api::Result;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Topic;
use openwfp_api::TopicKind;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::step::TunnelAdd;
use openwfp_api::object::value::Value;
use std::marker::PhantomData;

/// Adds a tunnel policy with all objects that belong to it. WFP: `FwpmIPsecTunnelAdd0`.
///
/// `main_mode_policy` may be null.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmIPsecTunnelAdd0<F: Flavour>(
    engine_handle: HANDLE,
    flags: u32,
    main_mode_policy: *const FWPM_PROVIDER_CONTEXT0,
    tunnel_policy: *const FWPM_PROVIDER_CONTEXT0,
    num_filter_conditions: u32,
    filter_conditions: *const FWPM_FILTER_CONDITION0,
    sd: PSECURITY_DESCRIPTOR,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        tunnel_add(
            engine_handle,
            flags,
            (main_mode_policy.cast(), tunnel_policy.cast(), 0),
            (filter_conditions, num_filter_conditions),
            std::ptr::null(),
            sd,
        )
    })
}

/// Deletes a tunnel policy with all objects that belong to it. WFP: `FwpmIPsecTunnelDeleteByKey0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmIPsecTunnelDeleteByKey0<F: Flavour>(engine_handle: HANDLE, key: *const GUID) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let key = read::guid(required(key, "key")?);
        handle::session(engine_handle)?.object_step(ObjectStep::TunnelDelete(key)).map(drop)
    })
}

/// Returns the value of an engine option, an `FWP_UINT32`. WFP: `FwpmEngineGetOption0`.
///
/// The caller frees the value with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmEngineGetOption0<F: Flavour>(
    engine_handle: HANDLE,
    option: i32,
    value: *mut *mut FWP_VALUE0,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let out = Out::required(value, std::ptr::null_mut(), "value")?;
        let session = handle::session(engine_handle)?;
        let found = session.engine_option(EngineOption::from_wfp(option.cast_unsigned())?)?;
        out.set(arena::build(&OneValue(&Value::Uint32(found)))?.give());
        Ok(())
    })
}

/// Sets an engine option. WFP: `FwpmEngineSetOption0`.
///
/// Fails with `FWP_E_TYPE_MISMATCH` if the value is not an `FWP_UINT32`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmEngineSetOption0<F: Flavour>(
    engine_handle: HANDLE,
    option: i32,
    new_value: *const FWP_VALUE0,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let value = read::value::value(required(new_value, "newValue")?, "newValue")?;
        let Value::Uint32(value) = value else {
            return Err(Error::new(
                Code::FWP_E_TYPE_MISMATCH,
                "the value of an option must be of type FWP_UINT32",
            ));
        };
        handle::session(engine_handle)?
            .set_engine_option(EngineOption::from_wfp(option.cast_unsigned())?, value)
    })
}

/// Returns the application id of a file: its canonical path. WFP: `FwpmGetAppIdFromFileName0`.
///
/// The id is UTF-16 with a terminating 0; the caller frees it with `FwpmFreeMemory0`. Fails with
/// `ERROR_FILE_NOT_FOUND` (2) for a missing file, `ERROR_ACCESS_DENIED` for a path that the caller may
/// not follow, and `FWP_E_INVALID_PARAMETER` for any other I/O error.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmGetAppIdFromFileName0<F: Flavour>(
    file_name: *const u16,
    app_id: *mut *mut FWP_BYTE_BLOB,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let out = Out::required(app_id, std::ptr::null_mut(), "appId")?;
        let name = wide::read(required(file_name, "fileName")?, "fileName")?;
        out.set(app_id_of(&name)?.give());
        Ok(())
    })
}

/// Creates an enumerator of the net events that the engine keeps; a null template selects all. WFP:
/// `FwpmNetEventCreateEnumHandle0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmNetEventCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const FWPM_NET_EVENT_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let out = Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?;
        let template = read::object::net_events(enum_template)?;
        let id = handle::session(engine_handle)?.net_event_create_enum(&template)?;
        out.set(handle::add(engine_handle, Kind::NetEvents, id)?);
        Ok(())
    })
}

/// Frees an enumerator of net events. WFP: `FwpmNetEventDestroyEnumHandle0`.
pub fn FwpmNetEventDestroyEnumHandle0<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
    call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::NetEvents))
}

/// Ends a subscription to net events. WFP: `FwpmNetEventUnsubscribe0`.
pub fn FwpmNetEventUnsubscribe0<F: Flavour>(engine_handle: HANDLE, events_handle: HANDLE) -> u32 {
    call::<F>(|| unsubscribe(engine_handle, Kind::NetEventSubscription, events_handle))
}

/// Returns the subscriptions of all sessions to net events. WFP: `FwpmNetEventSubscriptionsGet0`.
///
/// The list is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmNetEventSubscriptionsGet0<F: Flavour>(
    engine_handle: HANDLE,
    entries: *mut *mut *mut FWPM_NET_EVENT_SUBSCRIPTION0,
    num_entries: *mut u32,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let out = PageOut::new(entries, num_entries)?;
        let found = handle::session(engine_handle)?.subscriptions(TopicKind::NetEvents)?;
        out.set(arena::build(&NetEventSubscriptions(&found))?, page_len(&found)?);
        Ok(())
    })
}

/// Defines the calls that add a tunnel policy, in versions 1 to 3.
macro_rules! tunnels {
    ($($name:ident($c:ident) = $version:literal;)*) => {$(
        #[doc = concat!("WFP: `", stringify!($name), "`.")]
        /// Adds a tunnel policy with all objects that belong to it. `main_mode_policy` and `key_mod_key` may be
        /// null.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        #[allow(clippy::too_many_arguments, reason = "Windows' signature")]
        pub unsafe fn $name<F: Flavour>(
            engine_handle: HANDLE,
            flags: u32,
            main_mode_policy: *const $c,
            tunnel_policy: *const $c,
            num_filter_conditions: u32,
            filter_conditions: *const FWPM_FILTER_CONDITION0,
            key_mod_key: *const GUID,
            sd: PSECURITY_DESCRIPTOR,
        ) -> u32 {
            let policies = (main_mode_policy.cast(), tunnel_policy.cast(), $version);
            let conditions = (filter_conditions, num_filter_conditions);
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { tunnel_add(engine_handle, flags, policies, conditions, key_mod_key, sd) })
        }
    )*};
}

tunnels! {
    FwpmIPsecTunnelAdd1(FWPM_PROVIDER_CONTEXT1) = 1;
    FwpmIPsecTunnelAdd2(FWPM_PROVIDER_CONTEXT2) = 2;
    FwpmIPsecTunnelAdd3(FWPM_PROVIDER_CONTEXT3) = 3;
}

/// Defines the calls that return net events in one version of their structure.
macro_rules! net_events_shown {
    ($($name:ident($c:ident);)*) => {$(
        #[doc = concat!("WFP: `", stringify!($name), "`.")]
        /// Returns the next page of net events, the oldest first, in one block that the caller frees with
        /// `FwpmFreeMemory0`.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $name<F: Flavour>(
            engine_handle: HANDLE,
            enum_handle: HANDLE,
            num_entries_requested: u32,
            entries: *mut *mut *mut $c,
            num_entries_returned: *mut u32,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                net_events(engine_handle, enum_handle, num_entries_requested, entries, num_entries_returned)
            })
        }
    )*};
}

net_events_shown! {
    FwpmNetEventEnum0(FWPM_NET_EVENT0);
    FwpmNetEventEnum1(FWPM_NET_EVENT1);
    FwpmNetEventEnum2(FWPM_NET_EVENT2);
    FwpmNetEventEnum3(FWPM_NET_EVENT3);
    FwpmNetEventEnum4(FWPM_NET_EVENT4);
    FwpmNetEventEnum5(FWPM_NET_EVENT5);
}

/// Defines the calls that subscribe to net events. The events' structure is one version ahead of the
/// call.
macro_rules! net_events_told {
    ($($name:ident($c:ident, $callback:ident);)*) => {$(
        #[doc = concat!("WFP: `", stringify!($name), "`.")]
        /// Subscribes to net events. Dropped events are not reported: WFP's structure has no field for them.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $name<F: Flavour>(
            engine_handle: HANDLE,
            subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0,
            callback: $callback,
            context: *mut c_void,
            events_handle: *mut HANDLE,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                subscribe_net_events::<$c>(engine_handle, subscription, callback, context, events_handle)
            })
        }
    )*};
}

net_events_told! {
    FwpmNetEventSubscribe0(FWPM_NET_EVENT1, FWPM_NET_EVENT_CALLBACK0);
    FwpmNetEventSubscribe1(FWPM_NET_EVENT2, FWPM_NET_EVENT_CALLBACK1);
    FwpmNetEventSubscribe2(FWPM_NET_EVENT3, FWPM_NET_EVENT_CALLBACK2);
    FwpmNetEventSubscribe3(FWPM_NET_EVENT4, FWPM_NET_EVENT_CALLBACK3);
    FwpmNetEventSubscribe4(FWPM_NET_EVENT5, FWPM_NET_EVENT_CALLBACK4);
}

/// # Safety
/// The rules of [the module](crate::doors) apply; the policies' structures have this version.
unsafe fn tunnel_add(
    engine: HANDLE,
    flags: u32,
    (main_mode, tunnel, version): (*const FWPM_PROVIDER_CONTEXT3, *const FWPM_PROVIDER_CONTEXT3, u8),
    (conditions, num_conditions): (*const FWPM_FILTER_CONDITION0, u32),
    key_module: *const GUID,
    sd: PSECURITY_DESCRIPTOR,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let add = unsafe {
        TunnelAdd {
            flags,
            main_mode: match main_mode.is_null() {
                true => None,
                false => Some(read::object::provider_context(main_mode, version)?),
            },
            tunnel: read::object::provider_context(tunnel, version)?,
            conditions: read::value::conditions(conditions, num_conditions)?,
            key_module: object_of(key_module)?,
            security: read::object::security_descriptor(sd)?,
        }
    };
    handle::session(engine)?.object_step(ObjectStep::TunnelAdd(Box::new(add))).map(drop)
}

/// Returns the application id of a file: its canonical path in UTF-16, with a terminating 0.
fn app_id_of(name: &str) -> Result<Block> {
    let path = std::fs::canonicalize(name).map_err(|error| {
        let code = match error.kind() {
            // ERROR_FILE_NOT_FOUND
            std::io::ErrorKind::NotFound => Code(2),
            std::io::ErrorKind::PermissionDenied => Code::ERROR_ACCESS_DENIED,
            _ => Code::FWP_E_INVALID_PARAMETER,
        };
        Error::new(code, format!("cannot resolve the path {name}: {error}"))
    })?;
    let units = path.to_string_lossy();
    let bytes: Vec<u8> = units.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    arena::build(&OneBlob(&bytes))
}

/// Bytes per entry of recent pages of net events.
static TYPICAL_EVENTS: Typical = Typical::new();

/// # Safety
/// Same as [`super::enumerate`].
unsafe fn net_events<C: NetEventShape>(
    engine: HANDLE,
    enum_handle: HANDLE,
    requested: u32,
    entries: *mut *mut *mut C,
    returned: *mut u32,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        super::enumerate(
            engine,
            (enum_handle, Kind::NetEvents),
            entries,
            returned,
            |session, id| session.net_event_enum(id, requested),
            |events, _| {
                arena::build_page(&NetEvents::<C>(events, PhantomData), events.len(), &TYPICAL_EVENTS)
            },
        )
    }
}

/// # Safety
/// The rules of [the module](crate::doors) apply.
unsafe fn subscribe_net_events<C: NetEventShape + 'static>(
    engine: HANDLE,
    subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0,
    callback: Option<unsafe extern "system" fn(*mut c_void, *const C)>,
    context: *mut c_void,
    place: *mut HANDLE,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let options = unsafe {
        required(subscription, "subscription")
            .and_then(|c| read::object::net_events(c.enumTemplate))
            .map(|template| SubscriptionOptions::about(Topic::NetEvents(template)))
    };
    let options = if callback.is_none() { Err(no_callback()) } else { options };
    let tell = move |context: *mut c_void, notification: &Notification| {
        // WFP's structure of an event cannot report dropped events.
        let (Some(callback), Notification::Net(event)) = (callback, notification) else { return };
        let Ok(block) = arena::build(&NetEvents::<C>(std::slice::from_ref(event), PhantomData)) else {
            return;
        };
        // A page of one event: its pointer, then the event.
        let page: *mut *mut C = block.start().cast();
        // SAFETY: the block holds a page of one event while the callback runs; the subscriber keeps the
        // callback and its context valid until the subscription has ended.
        unsafe { callback(context, *page) };
    };
    // SAFETY: the caller upholds the safety contract.
    unsafe { subscribe(engine, Kind::NetEventSubscription, options, context, place, tell) }
}
