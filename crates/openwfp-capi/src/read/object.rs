//! Reads objects, their templates, and subscriptions to their changes.

use super::guid;
use super::number;
use super::policy;
use super::value::blob;
use super::value::conditions;
use super::value::display;
use super::value::optional_guid;
use super::value::value;
use crate::abi::*;
use crate::boundary::optional;
use crate::boundary::required;
use crate::wide;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::EventKind;
use openwfp_api::EventKinds;
use openwfp_api::Guid;
use openwfp_api::Result;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Timestamp;
use openwfp_api::Topic;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::object::*;
use openwfp_api::record::Blob;
use windows_sys::Win32::Foundation::FILETIME;

/// Reads an `FWPM_PROVIDER0`.
///
/// # Errors
/// The errors of its parts.
///
/// # Safety
/// The pointer, and those in the structure, are null or valid. The same applies to the whole module.
pub(crate) unsafe fn provider(pointer: *const FWPM_PROVIDER0) -> Result<Object> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        let c = required(pointer, "provider")?;
        let (name, description) = display(&c.displayData)?;
        Ok(Object::Provider(Provider {
            key: guid(&c.providerKey),
            name,
            description,
            flags: c.flags,
            data: Blob::from(blob(&c.providerData, "providerData")?),
            service_name: wide::read(c.serviceName, "serviceName")?,
        }))
    }
}

/// Reads an `FWPM_PROVIDER_CONTEXT0` to `3`. Their layouts differ only in the target of the policy's
/// pointer.
///
/// # Errors
/// The errors of its parts.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn provider_context(
    pointer: *const FWPM_PROVIDER_CONTEXT3,
    version: u8,
) -> Result<ProviderContext> {
    // SAFETY: the caller upholds the safety contract; every member of the union is a
    // pointer.
    unsafe {
        let c = required(pointer, "providerContext")?;
        let (name, description) = display(&c.displayData)?;
        Ok(ProviderContext {
            key: guid(&c.providerContextKey),
            name,
            description,
            flags: c.flags,
            provider: optional_guid(c.providerKey, "providerKey")?,
            data: Blob::from(blob(&c.providerData, "providerData")?),
            policy: policy::policy(number(c.r#type), c.Anonymous.dataBuffer.cast(), version)?,
            id: 0,
        })
    }
}

/// Reads an `FWPM_SUBLAYER0`.
///
/// # Errors
/// The errors of its parts.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn sublayer(pointer: *const FWPM_SUBLAYER0) -> Result<Object> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        let c = required(pointer, "subLayer")?;
        let (name, description) = display(&c.displayData)?;
        Ok(Object::SubLayer(SubLayer {
            key: guid(&c.subLayerKey),
            name,
            description,
            flags: c.flags,
            provider: optional_guid(c.providerKey, "providerKey")?,
            data: Blob::from(blob(&c.providerData, "providerData")?),
            weight: c.weight,
        }))
    }
}

/// Reads an `FWPM_CALLOUT0`.
///
/// # Errors
/// The errors of its parts.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn callout(pointer: *const FWPM_CALLOUT0) -> Result<Object> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        let c = required(pointer, "callout")?;
        let (name, description) = display(&c.displayData)?;
        Ok(Object::Callout(Callout {
            key: guid(&c.calloutKey),
            name,
            description,
            flags: c.flags,
            provider: optional_guid(c.providerKey, "providerKey")?,
            data: Blob::from(blob(&c.providerData, "providerData")?),
            layer: guid(&c.applicableLayer),
            id: 0,
        }))
    }
}

/// Reads an `FWPM_FILTER0`.
///
/// # Errors
/// The errors of its parts, and `FWP_E_INVALID_ACTION_TYPE`.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn filter(pointer: *const FWPM_FILTER0) -> Result<Object> {
    // SAFETY: the caller upholds the safety contract; the flag selects the member of
    // the context's union.
    unsafe {
        let c = required(pointer, "filter")?;
        let (name, description) = display(&c.displayData)?;
        let context = match c.flags & FILTER_HAS_PROVIDER_CONTEXT != 0 {
            true => FilterContext::ProviderContext(guid(&c.Anonymous.providerContextKey)),
            false => FilterContext::Raw(c.Anonymous.rawContext),
        };
        let action = &c.action;
        Ok(Object::Filter(Filter {
            key: guid(&c.filterKey),
            name,
            description,
            flags: c.flags,
            provider: optional_guid(c.providerKey, "providerKey")?,
            data: Blob::from(blob(&c.providerData, "providerData")?),
            layer: guid(&c.layerKey),
            sublayer: guid(&c.subLayerKey),
            weight: value(&c.weight, "weight")?,
            conditions: conditions(c.filterCondition, c.numFilterConditions)?,
            action: Action {
                kind: ActionType::from_wfp(action.r#type)
                    .map_err(|error| Error::new(Code::FWP_E_INVALID_ACTION_TYPE, error.what()))?,
                callout: guid(&action.Anonymous.calloutKey),
            },
            context,
            id: 0,
            effective_weight: 0,
        }))
    }
}

/// Reads the security descriptor of an object to be added, self-relative or absolute. Null means that
/// the object inherits one.
///
/// # Errors
/// Same as [`SecurityDescriptor::parse`].
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn security_descriptor(
    pointer: PSECURITY_DESCRIPTOR,
) -> Result<Option<SecurityDescriptor>> {
    // SAFETY: the caller guarantees the 20 bytes of a self-relative descriptor, or the 40 of an absolute
    // one.
    unsafe {
        let Some(header) = optional(pointer.cast::<[u32; 5]>(), "sd")? else { return Ok(None) };
        let control = header[0] >> 16;
        let (owner, group, dacl): (*const SID, *const SID, *const ACL) = if control & 0x8000 != 0 {
            let at = |offset: u32| match offset {
                0 => std::ptr::null(),
                offset => pointer.cast::<u8>().cast_const().wrapping_add(offset as usize),
            };
            (at(header[1]).cast(), at(header[2]).cast(), at(header[4]).cast())
        } else {
            let parts = required(pointer.cast::<[*const u8; 5]>(), "sd")?;
            (parts[1].cast(), parts[2].cast(), parts[4].cast())
        };
        let dacl = if control & 4 != 0 { dacl } else { std::ptr::null() };
        let protected = if control & 0x1000 != 0 { 0x8000_0000 } else { 0 };
        super::security::descriptor(protected, owner, group, dacl).map(Some)
    }
}

fn any(guid: Guid) -> Option<Guid> {
    (guid != Guid::default()).then_some(guid)
}

/// An enumeration template of one kind of object.
pub(crate) trait Template {
    /// The kind of object that the template selects.
    const KIND: ObjectKind;

    /// Reads the template.
    ///
    /// # Errors
    /// The errors of its parts.
    ///
    /// # Safety
    /// The template's pointers are null or valid.
    unsafe fn read(&self) -> Result<ObjectTemplate>;
}

impl Template for FWPM_PROVIDER_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Provider;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        Ok(ObjectTemplate::all(Self::KIND))
    }
}

impl Template for FWPM_LAYER_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Layer;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        Ok(ObjectTemplate::all(Self::KIND))
    }
}

impl Template for FWPM_SUBLAYER_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::SubLayer;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: the caller upholds the safety contract.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        Ok(ObjectTemplate { provider, ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::ProviderContext;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: the caller upholds the safety contract.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        let context_type = Some(number(self.providerContextType));
        Ok(ObjectTemplate { provider, context_type, ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_CALLOUT_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Callout;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: the caller upholds the safety contract.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        Ok(ObjectTemplate { provider, layer: any(guid(&self.layerKey)), ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_FILTER_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Filter;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: the caller upholds the safety contract.
        unsafe {
            let context = match optional(self.providerContextTemplate, "providerContextTemplate")? {
                Some(template) => Some(Box::new(template.read()?)),
                None => None,
            };
            if number(self.enumType) > 1 {
                let what = format!("invalid FWP_FILTER_ENUM_TYPE {}", self.enumType);
                return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
            }
            if self.flags & !0x3F != 0 {
                let what = format!("unknown template flags {:#x}", self.flags & !0x3F);
                return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
            }
            Ok(ObjectTemplate {
                provider: optional_guid(self.providerKey, "providerKey")?,
                layer: any(guid(&self.layerKey)),
                conditions: conditions(self.filterCondition, self.numFilterConditions)?,
                enum_type: number(self.enumType),
                flags: self.flags,
                action_mask: (self.actionMask != 0 && self.actionMask != u32::MAX).then_some(self.actionMask),
                callout: optional_guid(self.calloutKey, "calloutKey")?,
                context,
                ..ObjectTemplate::all(Self::KIND)
            })
        }
    }
}

/// Reads a template; null selects all objects of the kind.
///
/// # Errors
/// The errors of its parts.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn template<T: Template>(pointer: *const T) -> Result<ObjectTemplate> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        match optional(pointer, "enumTemplate")? {
            Some(template) => template.read(),
            None => Ok(ObjectTemplate::all(T::KIND)),
        }
    }
}

/// Reads a subscription to changes of objects: its template and flags.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS` for unknown flags, and the errors of the template.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn changes<T: Template>(pointer: *const T, flags: u32) -> Result<SubscriptionOptions> {
    let kinds = match flags {
        0 | 3 => EventKinds::WFP,
        1 => EventKinds::of(&[EventKind::Add]),
        2 => EventKinds::of(&[EventKind::Delete]),
        other => {
            let what = format!("unknown subscription flags {:#x}", other & !3);
            return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
        }
    };
    // SAFETY: the caller upholds the safety contract.
    let topic = Topic::Objects(unsafe { template(pointer) }?);
    Ok(SubscriptionOptions { kinds, ..SubscriptionOptions::about(topic) })
}

/// Reads an `FWPM_NET_EVENT_ENUM_TEMPLATE0`; null selects all events.
///
/// # Errors
/// The errors of its conditions.
///
/// # Safety
/// Same as [`provider`].
pub(crate) unsafe fn net_events(pointer: *const FWPM_NET_EVENT_ENUM_TEMPLATE0) -> Result<NetEventTemplate> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        let Some(c) = optional(pointer, "enumTemplate")? else { return Ok(NetEventTemplate::default()) };
        Ok(NetEventTemplate {
            start: timestamp(c.startTime),
            end: timestamp(c.endTime),
            conditions: conditions(c.filterCondition, c.numFilterConditions)?,
        })
    }
}

/// Converts units of 100 ns since 1601 to seconds since 1970. 0 stays 0. A time beyond the signed range
/// means no limit and becomes 0.
fn timestamp(time: FILETIME) -> Timestamp {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Timestamp(if units > u64::MAX / 2 { 0 } else { (units / 10_000_000).saturating_sub(11_644_473_600) })
}
