//! Templates and subscriptions.

use super::number;
use crate::abi::FWP_BYTE_ARRAY16_TYPE;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_EMPTY;
use crate::abi::FWP_RANGE_TYPE;
use crate::abi::FWP_UINT32;
use crate::abi::FWP_V4_ADDR_MASK;
use crate::abi::FWP_V6_ADDR_MASK;
use crate::abi::FWP_VALUE0;
use crate::abi::IPSEC_SA_CONTEXT_ENUM_TEMPLATE0;
use crate::abi::IPSEC_SA_CONTEXT_SUBSCRIPTION0;
use crate::abi::IPSEC_SA_ENUM_TEMPLATE0;
use crate::boundary::optional;
use crate::boundary::required;
use openwfp_api::AddressMatch;
use openwfp_api::Code;
use openwfp_api::ContextTemplate;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::EventKind;
use openwfp_api::EventKinds;
use openwfp_api::Result;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Topic;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// `IPSEC_SA_CONTEXT_ENUM_TEMPLATE0`; null selects all.
///
/// # Errors
/// `FWP_E_TYPE_MISMATCH`, `FWP_E_INVALID_NET_MASK`, `FWP_E_INVALID_RANGE`, `FWP_E_NULL_POINTER`.
///
/// # Safety
/// The pointer and those in it are null or good.
pub(crate) unsafe fn context_template(
    template: *const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0,
) -> Result<ContextTemplate> {
    // SAFETY: as the caller says.
    unsafe {
        let Some(template) = optional(template, "enumTemplate")? else {
            return Ok(ContextTemplate::default());
        };
        Ok(ContextTemplate {
            local: address_match(&template.localSubNet, "localSubNet")?,
            remote: address_match(&template.remoteSubNet, "remoteSubNet")?,
        })
    }
}

/// # Safety
/// As [`context_template`].
unsafe fn address_match(value: &FWP_CONDITION_VALUE0, name: &str) -> Result<AddressMatch> {
    // SAFETY: the type says which member of the union counts; pointers are null or good, as the caller says.
    unsafe {
        match value.r#type {
            FWP_EMPTY => Ok(AddressMatch::Any),
            FWP_V4_ADDR_MASK => {
                let network = required(value.Anonymous.v4AddrMask, name)?;
                AddressMatch::v4_mask(network.addr, network.mask)
            }
            FWP_V6_ADDR_MASK => {
                let network = required(value.Anonymous.v6AddrMask, name)?;
                AddressMatch::v6_mask(network.addr, network.prefixLength)
            }
            FWP_UINT32 => Ok(AddressMatch::Address(Ipv4Addr::from(value.Anonymous.uint32).into())),
            FWP_BYTE_ARRAY16_TYPE => {
                let bytes = required(value.Anonymous.byteArray16, name)?.byteArray16;
                Ok(AddressMatch::Address(Ipv6Addr::from(bytes).into()))
            }
            FWP_RANGE_TYPE => {
                let range = required(value.Anonymous.rangeValue, name)?;
                AddressMatch::range(address(&range.valueLow, name)?, address(&range.valueHigh, name)?)
            }
            other => Err(no_address(other, name)),
        }
    }
}

/// # Safety
/// As [`context_template`].
unsafe fn address(value: &FWP_VALUE0, name: &str) -> Result<IpAddr> {
    // SAFETY: as for `address_match`.
    unsafe {
        match value.r#type {
            FWP_UINT32 => Ok(Ipv4Addr::from(value.Anonymous.uint32).into()),
            FWP_BYTE_ARRAY16_TYPE => {
                Ok(Ipv6Addr::from(required(value.Anonymous.byteArray16, name)?.byteArray16).into())
            }
            other => Err(no_address(other, name)),
        }
    }
}

fn no_address(found: i32, name: &str) -> Error {
    Error::new(Code::FWP_E_TYPE_MISMATCH, format!("{name} is of the type {found}, which is no address"))
        .with_remedy(
            "use FWP_EMPTY, FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK, FWP_UINT32, FWP_BYTE_ARRAY16_TYPE or a FWP_RANGE_TYPE of \
             two addresses",
        )
}

/// `IPSEC_SA_ENUM_TEMPLATE0`; null selects both directions.
///
/// # Errors
/// `FWP_E_INVALID_ENUMERATOR`.
///
/// # Safety
/// The pointer is null or good.
pub(crate) unsafe fn direction(template: *const IPSEC_SA_ENUM_TEMPLATE0) -> Result<Option<Direction>> {
    // SAFETY: as the caller says.
    let template = unsafe { optional(template, "enumTemplate") }?;
    template.map(|template| Direction::from_wfp(number(template.saDirection))).transpose()
}

/// `IPSEC_SA_CONTEXT_SUBSCRIPTION0`. Its flags are 0 for both kinds of events; the session key is the engine's to say.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS`, and those of the template.
///
/// # Safety
/// The pointers in it are null or good.
pub(crate) unsafe fn subscription(
    subscription: &IPSEC_SA_CONTEXT_SUBSCRIPTION0,
) -> Result<SubscriptionOptions> {
    let kinds = match subscription.flags {
        0 | 3 => EventKinds::WFP,
        1 => EventKinds::of(&[EventKind::Add]),
        2 => EventKinds::of(&[EventKind::Delete]),
        other => {
            let what = format!("the subscription flags {:#x} have no meaning", other & !3);
            return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
        }
    };
    // SAFETY: as the caller says.
    let template = unsafe { context_template(subscription.enumTemplate) }?;
    Ok(SubscriptionOptions { kinds, ..SubscriptionOptions::about(Topic::SaContexts(template)) })
}
