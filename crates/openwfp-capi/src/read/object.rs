//! Objects, their templates and subscriptions.

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

/// `FWPM_PROVIDER0`.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// The pointer is null or good, and those in it; so for all of this module.
pub(crate) unsafe fn provider(pointer: *const FWPM_PROVIDER0) -> Result<Object> {
    // SAFETY: as the caller says.
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

/// `FWPM_PROVIDER_CONTEXT0` to `3`, which are laid out alike but for what the policy's pointer points to.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn provider_context(
    pointer: *const FWPM_PROVIDER_CONTEXT3,
    version: u8,
) -> Result<ProviderContext> {
    // SAFETY: as the caller says; every member of the union is a pointer.
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

/// `FWPM_SUBLAYER0`.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn sublayer(pointer: *const FWPM_SUBLAYER0) -> Result<Object> {
    // SAFETY: as the caller says.
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

/// `FWPM_CALLOUT0`.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn callout(pointer: *const FWPM_CALLOUT0) -> Result<Object> {
    // SAFETY: as the caller says.
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

/// `FWPM_FILTER0`.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn filter(pointer: *const FWPM_FILTER0) -> Result<Object> {
    // SAFETY: as the caller says; the flag says which member of the context's union counts.
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

/// The descriptor of an object that is added; null: what is inherited.
///
/// # Errors
/// As [`SecurityDescriptor::parse`].
///
/// # Safety
/// As [`provider`]; both forms of descriptors are known, self-relative and absolute.
pub(crate) unsafe fn security_descriptor(
    pointer: PSECURITY_DESCRIPTOR,
) -> Result<Option<SecurityDescriptor>> {
    // SAFETY: as the caller says: 20 bytes of a self-relative descriptor, 40 of an absolute one.
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

/// What a template of each kind says.
pub(crate) trait Template {
    /// The kind that it selects.
    const KIND: ObjectKind;

    /// The template.
    ///
    /// # Errors
    /// Those of its parts.
    ///
    /// # Safety
    /// The pointers in it are null or good.
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
        // SAFETY: as the caller says.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        Ok(ObjectTemplate { provider, ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::ProviderContext;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: as the caller says.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        let context_type = Some(number(self.providerContextType));
        Ok(ObjectTemplate { provider, context_type, ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_CALLOUT_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Callout;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: as the caller says.
        let provider = unsafe { optional_guid(self.providerKey, "providerKey") }?;
        Ok(ObjectTemplate { provider, layer: any(guid(&self.layerKey)), ..ObjectTemplate::all(Self::KIND) })
    }
}

impl Template for FWPM_FILTER_ENUM_TEMPLATE0 {
    const KIND: ObjectKind = ObjectKind::Filter;

    unsafe fn read(&self) -> Result<ObjectTemplate> {
        // SAFETY: as the caller says.
        unsafe {
            let context = match optional(self.providerContextTemplate, "providerContextTemplate")? {
                Some(template) => Some(Box::new(template.read()?)),
                None => None,
            };
            if number(self.enumType) > 1 {
                let what = format!("{} is no FWP_FILTER_ENUM_TYPE", self.enumType);
                return Err(Error::new(Code::FWP_E_INVALID_ENUMERATOR, what));
            }
            if self.flags & !0x3F != 0 {
                let what = format!("the template has unknown flags: {:#x}", self.flags & !0x3F);
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

/// A template of a kind; null selects all.
///
/// # Errors
/// Those of its parts.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn template<T: Template>(pointer: *const T) -> Result<ObjectTemplate> {
    // SAFETY: as the caller says.
    unsafe {
        match optional(pointer, "enumTemplate")? {
            Some(template) => template.read(),
            None => Ok(ObjectTemplate::all(T::KIND)),
        }
    }
}

/// A subscription to changes of a kind: its template and flags.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS`, and those of the template.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn changes<T: Template>(pointer: *const T, flags: u32) -> Result<SubscriptionOptions> {
    let kinds = match flags {
        0 | 3 => EventKinds::WFP,
        1 => EventKinds::of(&[EventKind::Add]),
        2 => EventKinds::of(&[EventKind::Delete]),
        other => {
            let what = format!("the subscription flags {:#x} have no meaning", other & !3);
            return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
        }
    };
    // SAFETY: as the caller says.
    let topic = Topic::Objects(unsafe { template(pointer) }?);
    Ok(SubscriptionOptions { kinds, ..SubscriptionOptions::about(topic) })
}

/// `FWPM_NET_EVENT_ENUM_TEMPLATE0`; null selects all.
///
/// # Errors
/// Those of its conditions.
///
/// # Safety
/// As [`provider`].
pub(crate) unsafe fn net_events(pointer: *const FWPM_NET_EVENT_ENUM_TEMPLATE0) -> Result<NetEventTemplate> {
    // SAFETY: as the caller says.
    unsafe {
        let Some(c) = optional(pointer, "enumTemplate")? else { return Ok(NetEventTemplate::default()) };
        Ok(NetEventTemplate {
            start: timestamp(c.startTime),
            end: timestamp(c.endTime),
            conditions: conditions(c.filterCondition, c.numFilterConditions)?,
        })
    }
}

/// Seconds since 1970 from units of 100 ns since 1601; 0 stays 0, and the end of time is no end.
fn timestamp(time: FILETIME) -> Timestamp {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Timestamp(if units > u64::MAX / 2 { 0 } else { (units / 10_000_000).saturating_sub(11_644_473_600) })
}
