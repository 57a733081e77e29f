//! Calls that add, delete, get, enumerate, secure and watch the objects of the filter engine.

use super::PageOut;
use super::destroy_enum;
use super::keys;
use super::page_len;
use super::security::DescriptorOut;
use crate::Flavour;
use crate::abi::*;
use crate::arena;
use crate::arena::Typical;
use crate::boundary::Out;
use crate::boundary::call;
use crate::boundary::required;
use crate::handle;
use crate::handle::Kind;
use crate::read;
use crate::read::object::Template;
use crate::write::object::ObjectSubscriptions;
use crate::write::object::Objects;
use crate::write::object::OneObject;
use crate::write::object::Shape;
use crate::write::object::SubscriptionShape;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Notification;
use openwfp_api::ObjectEvent;
use openwfp_api::Result;
use openwfp_api::Securable;
use openwfp_api::SecurityInformation;
use openwfp_api::SubscriptionOptions;
use openwfp_api::TopicKind;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::step::ObjectAdd;
use openwfp_api::object::step::ObjectStep;
use std::marker::PhantomData;
use std::sync::Arc;

/// Adds an object and stores its id in `id`, unless that is null.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
unsafe fn add<I: Copy + TryFrom<u64> + Default>(
    engine: HANDLE,
    object: impl FnOnce() -> Result<Object>,
    sd: PSECURITY_DESCRIPTOR,
    id: *mut I,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let (out, security) =
        unsafe { (Out::optional(id, I::default(), "id")?, read::object::security_descriptor(sd)?) };
    let object = object()?;
    let added =
        handle::session(engine)?.object_step(ObjectStep::Add(Box::new(ObjectAdd { object, security })))?;
    let id =
        I::try_from(added).map_err(|_| Error::unreachable("an id exceeds the field of its structure"))?;
    out.set(id);
    Ok(())
}

/// Returns the name of the object whose key a required pointer points to.
///
/// # Safety
/// The pointer is null or valid.
unsafe fn named(key: *const GUID) -> Result<ObjectName> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { required(key, "key") }.map(|key| ObjectName::Key(read::guid(key)))
}

fn delete(engine: HANDLE, kind: ObjectKind, name: ObjectName) -> Result {
    handle::session(engine)?.object_delete(kind, name)
}

/// Stores one object, in a block of its own.
///
/// # Safety
/// Same as [`Out::required`].
unsafe fn get<C: Shape>(
    engine: HANDLE,
    kind: ObjectKind,
    name: Result<ObjectName>,
    place: *mut *mut C,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { Out::required(place, std::ptr::null_mut(), "the object's place") }?;
    let session = handle::session(engine)?;
    let keys = keys(&*session)?;
    let object = session.object_get(kind, name?)?;
    let one = OneObject::<C> { object: &object, keys: keys.as_ref(), shape: PhantomData };
    out.set(arena::build(&one)?.give());
    Ok(())
}

/// # Safety
/// The rules of [the module](crate::doors) apply.
unsafe fn create_enum<T: Template>(engine: HANDLE, template: *const T, enum_handle: *mut HANDLE) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let (out, template) = unsafe {
        (Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?, read::object::template(template)?)
    };
    let id = handle::session(engine)?.object_create_enum(&template)?;
    out.set(handle::add(engine, Kind::Objects(T::KIND), id)?);
    Ok(())
}

/// Bytes per entry of recent pages.
static TYPICAL: Typical = Typical::new();

/// # Safety
/// Same as [`super::enumerate`].
unsafe fn enumerate<C: Shape>(
    engine: HANDLE,
    kind: ObjectKind,
    enum_handle: HANDLE,
    requested: u32,
    entries: *mut *mut *mut C,
    returned: *mut u32,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        super::enumerate(
            engine,
            (enum_handle, Kind::Objects(kind)),
            entries,
            returned,
            |session, id| session.object_enum(id, requested),
            |objects, keys| arena::build_page(&Objects::<C>::new(objects, keys), objects.len(), &TYPICAL),
        )
    }
}

/// The pointer that a callback gets as its context.
struct Context(*mut c_void);

// SAFETY: only the callback uses the context, and subscribers accept callbacks on another thread.
unsafe impl Send for Context {}
// SAFETY: as above; a subscription's callbacks run one at a time.
unsafe impl Sync for Context {}

impl Context {
    /// Returns the pointer. A method, so that closures capture the whole `Context`, which is `Send`.
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Subscribes to a topic; `tell` converts each notification and runs the callback.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub(super) unsafe fn subscribe(
    engine: HANDLE,
    kind: Kind,
    options: Result<SubscriptionOptions>,
    context: *mut c_void,
    place: *mut HANDLE,
    tell: impl Fn(*mut c_void, &Notification) + Send + Sync + 'static,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { Out::required(place, std::ptr::null_mut(), "the subscription's handle") }?;
    let (context, options) = (Context(context), options?);
    let session = handle::session(engine)?;
    let id =
        session.subscribe(&options, Arc::new(move |notification| tell(context.pointer(), notification)))?;
    out.set(handle::add(engine, kind, id)?);
    Ok(())
}

pub(super) fn no_callback() -> Error {
    Error::new(Code::FWP_E_NULL_POINTER, "callback is null")
}

pub(super) fn unsubscribe(engine: HANDLE, kind: Kind, place: HANDLE) -> Result {
    let session = handle::session(engine)?;
    session.unsubscribe(handle::child(engine, place, kind)?)?;
    handle::remove(engine, place);
    Ok(())
}

/// # Safety
/// Same as [`PageOut::new`].
unsafe fn subscriptions<C: SubscriptionShape>(
    engine: HANDLE,
    kind: ObjectKind,
    entries: *mut *mut *mut C,
    len: *mut u32,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { PageOut::new(entries, len) }?;
    let found = handle::session(engine)?.subscriptions(TopicKind::Objects(kind))?;
    out.set(arena::build(&ObjectSubscriptions::<C>(&found, PhantomData))?, page_len(&found)?);
    Ok(())
}

/// Returns the kind of event, key and id to report for a notification. For dropped events these are
/// `FWP_E_NOTIFICATION_DROPPED`, a zero key and the number of events.
fn change(notification: &Notification) -> Option<(i32, Guid, u64)> {
    match notification {
        Notification::Object(ObjectEvent { kind, object, .. }) => {
            Some((*kind as i32, object.key(), object.id()))
        }
        Notification::Dropped { count, .. } => {
            Some((Code::FWP_E_NOTIFICATION_DROPPED.0.cast_signed(), Guid::default(), *count))
        }
        _ => None,
    }
}

/// Defines the calls that return objects in one version of their structure.
macro_rules! shown {
    ($($kind:ident as $c:ident: $by_key:ident, $enumerate:ident $(, $by_id:ident($id:ty))?;)*) => {$(
        #[doc = concat!("WFP: `", stringify!($by_key), "`.")]
        /// Returns one object by its key, in a block that the caller frees with `FwpmFreeMemory0`.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $by_key<F: Flavour>(engine_handle: HANDLE, key: *const GUID, object: *mut *mut $c) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { get(engine_handle, ObjectKind::$kind, named(key), object) })
        }

        #[doc = concat!("WFP: `", stringify!($enumerate), "`.")]
        /// Returns the next page of objects, in one block that the caller frees with `FwpmFreeMemory0`.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $enumerate<F: Flavour>(
            engine_handle: HANDLE,
            enum_handle: HANDLE,
            num_entries_requested: u32,
            entries: *mut *mut *mut $c,
            num_entries_returned: *mut u32,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                let kind = ObjectKind::$kind;
                enumerate(engine_handle, kind, enum_handle, num_entries_requested, entries, num_entries_returned)
            })
        }

        $(
            #[doc = concat!("WFP: `", stringify!($by_id), "`.")]
            /// Returns one object by its id, in a block that the caller frees with `FwpmFreeMemory0`.
            ///
            /// # Safety
            /// The rules of [the module](crate::doors) apply.
            pub unsafe fn $by_id<F: Flavour>(engine_handle: HANDLE, id: $id, object: *mut *mut $c) -> u32 {
                let name = ObjectName::Id(u64::from(id));
                // SAFETY: the caller upholds the safety contract.
                call::<F>(|| unsafe { get(engine_handle, ObjectKind::$kind, Ok(name), object) })
            }
        )?
    )*};
}

shown! {
    Provider as FWPM_PROVIDER0: FwpmProviderGetByKey0, FwpmProviderEnum0;
    ProviderContext as FWPM_PROVIDER_CONTEXT0:
        FwpmProviderContextGetByKey0, FwpmProviderContextEnum0, FwpmProviderContextGetById0(u64);
    ProviderContext as FWPM_PROVIDER_CONTEXT1:
        FwpmProviderContextGetByKey1, FwpmProviderContextEnum1, FwpmProviderContextGetById1(u64);
    ProviderContext as FWPM_PROVIDER_CONTEXT2:
        FwpmProviderContextGetByKey2, FwpmProviderContextEnum2, FwpmProviderContextGetById2(u64);
    ProviderContext as FWPM_PROVIDER_CONTEXT3:
        FwpmProviderContextGetByKey3, FwpmProviderContextEnum3, FwpmProviderContextGetById3(u64);
    SubLayer as FWPM_SUBLAYER0: FwpmSubLayerGetByKey0, FwpmSubLayerEnum0;
    Layer as FWPM_LAYER0: FwpmLayerGetByKey0, FwpmLayerEnum0, FwpmLayerGetById0(u16);
    Callout as FWPM_CALLOUT0: FwpmCalloutGetByKey0, FwpmCalloutEnum0, FwpmCalloutGetById0(u32);
    Filter as FWPM_FILTER0: FwpmFilterGetByKey0, FwpmFilterEnum0, FwpmFilterGetById0(u64);
}

/// Defines the calls that add an object with an id.
macro_rules! added {
    ($($name:ident($c:ident, $id:ty) = $read:expr;)*) => {$(
        #[doc = concat!("WFP: `", stringify!($name), "`.")]
        /// Adds an object and stores its id in `id`, unless that is null. A null `sd` means that the object
        /// inherits its security descriptor.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $name<F: Flavour>(
            engine_handle: HANDLE,
            object: *const $c,
            sd: PSECURITY_DESCRIPTOR,
            id: *mut $id,
        ) -> u32 {
            let read: unsafe fn(*const $c) -> Result<Object> = $read;
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { add(engine_handle, || read(object), sd, id) })
        }
    )*};
}

added! {
    FwpmProviderContextAdd0(FWPM_PROVIDER_CONTEXT0, u64) = context::<0, FWPM_PROVIDER_CONTEXT0>;
    FwpmProviderContextAdd1(FWPM_PROVIDER_CONTEXT1, u64) = context::<1, FWPM_PROVIDER_CONTEXT1>;
    FwpmProviderContextAdd2(FWPM_PROVIDER_CONTEXT2, u64) = context::<2, FWPM_PROVIDER_CONTEXT2>;
    FwpmProviderContextAdd3(FWPM_PROVIDER_CONTEXT3, u64) = context::<3, FWPM_PROVIDER_CONTEXT3>;
    FwpmCalloutAdd0(FWPM_CALLOUT0, u32) = read::object::callout;
    FwpmFilterAdd0(FWPM_FILTER0, u64) = read::object::filter;
}

/// # Safety
/// The rules of [the module](crate::doors) apply; the structure has this version.
unsafe fn context<const VERSION: u8, C>(pointer: *const C) -> Result<Object> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { read::object::provider_context(pointer.cast(), VERSION) }.map(Object::ProviderContext)
}

/// Adds a provider. WFP: `FwpmProviderAdd0`.
///
/// A null `sd` means that the provider inherits its security descriptor.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmProviderAdd0<F: Flavour>(
    engine_handle: HANDLE,
    provider: *const FWPM_PROVIDER0,
    sd: PSECURITY_DESCRIPTOR,
) -> u32 {
    // SAFETY: the caller upholds the safety contract; the id's pointer is null.
    call::<F>(|| unsafe {
        add(engine_handle, || read::object::provider(provider), sd, std::ptr::null_mut::<u64>())
    })
}

/// Adds a sublayer. WFP: `FwpmSubLayerAdd0`.
///
/// A null `sd` means that the sublayer inherits its security descriptor.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmSubLayerAdd0<F: Flavour>(
    engine_handle: HANDLE,
    sub_layer: *const FWPM_SUBLAYER0,
    sd: PSECURITY_DESCRIPTOR,
) -> u32 {
    // SAFETY: the caller upholds the safety contract; the id's pointer is null.
    call::<F>(|| unsafe {
        add(engine_handle, || read::object::sublayer(sub_layer), sd, std::ptr::null_mut::<u64>())
    })
}

/// Defines the calls that delete an object by its id.
macro_rules! deleted {
    ($($kind:ident: $name:ident($id:ty);)*) => {$(
        #[doc = concat!("WFP: `", stringify!($name), "`.")]
        pub fn $name<F: Flavour>(engine_handle: HANDLE, id: $id) -> u32 {
            call::<F>(|| delete(engine_handle, ObjectKind::$kind, ObjectName::Id(u64::from(id))))
        }
    )*};
}

deleted! {
    ProviderContext: FwpmProviderContextDeleteById0(u64);
    Callout: FwpmCalloutDeleteById0(u32);
    Filter: FwpmFilterDeleteById0(u64);
}

/// Defines the calls that every kind of object has.
macro_rules! listed {
    ($($kind:ident by $template:ident: $create:ident, $destroy:ident, $get_security:ident, $set_security:ident;)*) => {$(
        #[doc = concat!("WFP: `", stringify!($create), "`.")]
        /// Creates an enumerator of objects; a null template selects all.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $create<F: Flavour>(
            engine_handle: HANDLE,
            enum_template: *const $template,
            enum_handle: *mut HANDLE,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { create_enum(engine_handle, enum_template, enum_handle) })
        }

        #[doc = concat!("WFP: `", stringify!($destroy), "`.")]
        pub fn $destroy<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
            call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::Objects(ObjectKind::$kind)))
        }

        #[doc = concat!("WFP: `", stringify!($get_security), "`.")]
        /// Returns the requested parts of an object's security descriptor, in one block into which the other
        /// pointers point. A null or zero key means the descriptor of the kind.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        #[allow(clippy::too_many_arguments, reason = "Windows' signature")]
        pub unsafe fn $get_security<F: Flavour>(
            engine_handle: HANDLE,
            key: *const GUID,
            security_info: u32,
            sid_owner: *mut PSID,
            sid_group: *mut PSID,
            dacl: *mut *mut ACL,
            sacl: *mut *mut ACL,
            security_descriptor: *mut PSECURITY_DESCRIPTOR,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                let out = DescriptorOut::new(sid_owner, sid_group, dacl, sacl, security_descriptor)?;
                get_security(engine_handle, ObjectKind::$kind, key, security_info, &out)
            })
        }

        #[doc = concat!("WFP: `", stringify!($set_security), "`.")]
        /// Changes parts of an object's security descriptor. A null or zero key means the descriptor of the
        /// kind.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $set_security<F: Flavour>(
            engine_handle: HANDLE,
            key: *const GUID,
            security_info: u32,
            sid_owner: *const SID,
            sid_group: *const SID,
            dacl: *const ACL,
            _sacl: *const ACL,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                let descriptor = read::descriptor(security_info, sid_owner, sid_group, dacl);
                set_security(engine_handle, ObjectKind::$kind, key, security_info, descriptor)
            })
        }
    )*};
}

listed! {
    Provider by FWPM_PROVIDER_ENUM_TEMPLATE0: FwpmProviderCreateEnumHandle0, FwpmProviderDestroyEnumHandle0,
        FwpmProviderGetSecurityInfoByKey0, FwpmProviderSetSecurityInfoByKey0;
    ProviderContext by FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0: FwpmProviderContextCreateEnumHandle0, FwpmProviderContextDestroyEnumHandle0,
        FwpmProviderContextGetSecurityInfoByKey0, FwpmProviderContextSetSecurityInfoByKey0;
    SubLayer by FWPM_SUBLAYER_ENUM_TEMPLATE0: FwpmSubLayerCreateEnumHandle0, FwpmSubLayerDestroyEnumHandle0,
        FwpmSubLayerGetSecurityInfoByKey0, FwpmSubLayerSetSecurityInfoByKey0;
    Layer by FWPM_LAYER_ENUM_TEMPLATE0: FwpmLayerCreateEnumHandle0, FwpmLayerDestroyEnumHandle0,
        FwpmLayerGetSecurityInfoByKey0, FwpmLayerSetSecurityInfoByKey0;
    Callout by FWPM_CALLOUT_ENUM_TEMPLATE0: FwpmCalloutCreateEnumHandle0, FwpmCalloutDestroyEnumHandle0,
        FwpmCalloutGetSecurityInfoByKey0, FwpmCalloutSetSecurityInfoByKey0;
    Filter by FWPM_FILTER_ENUM_TEMPLATE0: FwpmFilterCreateEnumHandle0, FwpmFilterDestroyEnumHandle0,
        FwpmFilterGetSecurityInfoByKey0, FwpmFilterSetSecurityInfoByKey0;
}

/// Defines the calls of kinds whose objects can be added and deleted.
macro_rules! watched {
    ($($kind:ident by $subscription:ident, $callback:ident: $delete:ident, $subscribe:ident, $unsubscribe:ident, $get:ident
        = |$change_kind:ident, $key:ident, $id:ident| $change:expr;)*) => {$(
        #[doc = concat!("WFP: `", stringify!($delete), "`.")]
        /// Deletes an object by its key.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $delete<F: Flavour>(engine_handle: HANDLE, key: *const GUID) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { delete(engine_handle, ObjectKind::$kind, named(key)?) })
        }

        #[doc = concat!("WFP: `", stringify!($subscribe), "`.")]
        /// Subscribes to objects being added (`flags` 1), deleted (2), or both (0 or 3). Dropped events are
        /// reported with `changeType` `FWP_E_NOTIFICATION_DROPPED`, a zero key and, if the structure has an id,
        /// their number as the id.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $subscribe<F: Flavour>(
            engine_handle: HANDLE,
            subscription: *const $subscription,
            callback: $callback,
            context: *mut c_void,
            change_handle: *mut HANDLE,
        ) -> u32 {
            let tell = move |context: *mut c_void, notification: &Notification| {
                if let (Some(callback), Some(($change_kind, $key, $id))) = (callback, change(notification)) {
                    let change = $change;
                    // SAFETY: the subscriber keeps the callback and its context valid until the subscription
                    // has ended.
                    unsafe { callback(context, &raw const change) };
                }
            };
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                let options = required(subscription, "subscription")
                    .and_then(|c| read::object::changes(c.enumTemplate, c.flags));
                let options = if callback.is_none() { Err(no_callback()) } else { options };
                let kind = Kind::ObjectChanges(ObjectKind::$kind);
                subscribe(engine_handle, kind, options, context, change_handle, tell)
            })
        }

        #[doc = concat!("WFP: `", stringify!($unsubscribe), "`.")]
        pub fn $unsubscribe<F: Flavour>(engine_handle: HANDLE, change_handle: HANDLE) -> u32 {
            call::<F>(|| unsubscribe(engine_handle, Kind::ObjectChanges(ObjectKind::$kind), change_handle))
        }

        #[doc = concat!("WFP: `", stringify!($get), "`.")]
        /// Returns the subscriptions of all sessions to changes of this kind of object, in one block that the
        /// caller frees with `FwpmFreeMemory0`.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $get<F: Flavour>(
            engine_handle: HANDLE,
            entries: *mut *mut *mut $subscription,
            num_entries: *mut u32,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe { subscriptions(engine_handle, ObjectKind::$kind, entries, num_entries) })
        }
    )*};
}

/// Narrows an id to the 32 bits of a callout id; a larger number of dropped events saturates.
fn narrow(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

watched! {
    Provider by FWPM_PROVIDER_SUBSCRIPTION0, FWPM_PROVIDER_CHANGE_CALLBACK0: FwpmProviderDeleteByKey0, FwpmProviderSubscribeChanges0,
        FwpmProviderUnsubscribeChanges0, FwpmProviderSubscriptionsGet0
        = |kind, key, _id| FWPM_PROVIDER_CHANGE0 { changeType: kind, providerKey: crate::write::guid(key) };
    ProviderContext by FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0, FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0: FwpmProviderContextDeleteByKey0, FwpmProviderContextSubscribeChanges0,
        FwpmProviderContextUnsubscribeChanges0, FwpmProviderContextSubscriptionsGet0
        = |kind, key, id| FWPM_PROVIDER_CONTEXT_CHANGE0 { changeType: kind, providerContextKey: crate::write::guid(key), providerContextId: id };
    SubLayer by FWPM_SUBLAYER_SUBSCRIPTION0, FWPM_SUBLAYER_CHANGE_CALLBACK0: FwpmSubLayerDeleteByKey0, FwpmSubLayerSubscribeChanges0,
        FwpmSubLayerUnsubscribeChanges0, FwpmSubLayerSubscriptionsGet0
        = |kind, key, _id| FWPM_SUBLAYER_CHANGE0 { changeType: kind, subLayerKey: crate::write::guid(key) };
    Callout by FWPM_CALLOUT_SUBSCRIPTION0, FWPM_CALLOUT_CHANGE_CALLBACK0: FwpmCalloutDeleteByKey0, FwpmCalloutSubscribeChanges0,
        FwpmCalloutUnsubscribeChanges0, FwpmCalloutSubscriptionsGet0
        = |kind, key, id| FWPM_CALLOUT_CHANGE0 { changeType: kind, calloutKey: crate::write::guid(key), calloutId: narrow(id) };
    Filter by FWPM_FILTER_SUBSCRIPTION0, FWPM_FILTER_CHANGE_CALLBACK0: FwpmFilterDeleteByKey0, FwpmFilterSubscribeChanges0,
        FwpmFilterUnsubscribeChanges0, FwpmFilterSubscriptionsGet0
        = |kind, key, id| FWPM_FILTER_CHANGE0 { changeType: kind, filterKey: crate::write::guid(key), filterId: id };
}

/// Stores the security descriptor of an object; a null or zero key means that of the kind.
///
/// # Safety
/// The pointer is null or valid.
unsafe fn get_security(
    engine: HANDLE,
    kind: ObjectKind,
    key: *const GUID,
    security_info: u32,
    out: &DescriptorOut,
) -> Result {
    let parts = SecurityInformation::from_bits(security_info)?;
    let session = handle::session(engine)?;
    // SAFETY: the caller upholds the safety contract.
    let descriptor = match unsafe { object_of(key) }? {
        Some(key) => session.object_security_info(kind, key, parts)?,
        None => session.security_info(Securable::Objects(kind), parts)?,
    };
    out.put(&descriptor.to_bytes()?)
}

/// # Safety
/// The pointer is null or valid.
unsafe fn set_security(
    engine: HANDLE,
    kind: ObjectKind,
    key: *const GUID,
    security_info: u32,
    descriptor: Result<openwfp_api::SecurityDescriptor>,
) -> Result {
    let session = handle::session(engine)?;
    let parts = SecurityInformation::from_bits(security_info)?;
    // SAFETY: the caller upholds the safety contract.
    match unsafe { object_of(key) }? {
        Some(key) => session.set_object_security_info(kind, key, parts, &descriptor?),
        None => session.set_security_info(Securable::Objects(kind), parts, &descriptor?),
    }
}

/// Returns the key that a pointer points to; `None` for a null pointer or a zero key.
///
/// # Safety
/// The pointer is null or valid.
pub(super) unsafe fn object_of(key: *const GUID) -> Result<Option<Guid>> {
    // SAFETY: the caller upholds the safety contract.
    let key = unsafe { crate::boundary::optional(key, "key") }?.map(read::guid);
    Ok(key.filter(|key| *key != Guid::default()))
}
