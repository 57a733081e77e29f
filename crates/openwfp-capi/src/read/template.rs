//! Reads the templates and subscriptions of SA contexts, and the templates of single SAs.

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

/// Reads an `IPSEC_SA_CONTEXT_ENUM_TEMPLATE0`; null selects all contexts.
///
/// # Errors
/// `FWP_E_TYPE_MISMATCH` for a value that is not an address, a network or a range of addresses,
/// `FWP_E_INVALID_NET_MASK`, `FWP_E_INVALID_RANGE`, `FWP_E_NULL_POINTER`.
///
/// # Safety
/// The pointer, and those in the structure, are null or valid.
pub(crate) unsafe fn context_template(
    template: *const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0,
) -> Result<ContextTemplate> {
    // SAFETY: the caller upholds the safety contract.
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
/// Same as [`context_template`].
unsafe fn address_match(value: &FWP_CONDITION_VALUE0, name: &str) -> Result<AddressMatch> {
    // SAFETY: the type selects the union member; pointers are null or valid, as the caller guarantees.
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
/// Same as [`context_template`].
unsafe fn address(value: &FWP_VALUE0, name: &str) -> Result<IpAddr> {
    // SAFETY: same as in `address_match`.
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
    Error::new(Code::FWP_E_TYPE_MISMATCH, format!("{name} has type {found}, which is not an address"))
        .with_remedy(
            "Use FWP_EMPTY, FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK, FWP_UINT32, FWP_BYTE_ARRAY16_TYPE, or FWP_RANGE_TYPE with \
             two addresses.",
        )
}

/// Reads an `IPSEC_SA_ENUM_TEMPLATE0`; null selects both directions.
///
/// # Errors
/// `FWP_E_INVALID_ENUMERATOR` for an unknown direction.
///
/// # Safety
/// The pointer is null or valid.
pub(crate) unsafe fn direction(template: *const IPSEC_SA_ENUM_TEMPLATE0) -> Result<Option<Direction>> {
    // SAFETY: the caller upholds the safety contract.
    let template = unsafe { optional(template, "enumTemplate") }?;
    template.map(|template| Direction::from_wfp(number(template.saDirection))).transpose()
}

/// Reads an `IPSEC_SA_CONTEXT_SUBSCRIPTION0`. Flag 1 selects additions, 2 deletions; 0 or 3 selects
/// both. The session key is ignored, since the engine sets it.
///
/// # Errors
/// `FWP_E_INVALID_FLAGS` for unknown flags, and the errors of the template.
///
/// # Safety
/// The structure's pointers are null or valid.
pub(crate) unsafe fn subscription(
    subscription: &IPSEC_SA_CONTEXT_SUBSCRIPTION0,
) -> Result<SubscriptionOptions> {
    let kinds = match subscription.flags {
        0 | 3 => EventKinds::WFP,
        1 => EventKinds::of(&[EventKind::Add]),
        2 => EventKinds::of(&[EventKind::Delete]),
        other => {
            let what = format!("unknown subscription flags {:#x}", other & !3);
            return Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
        }
    };
    // SAFETY: the caller upholds the safety contract.
    let template = unsafe { context_template(subscription.enumTemplate) }?;
    Ok(SubscriptionOptions { kinds, ..SubscriptionOptions::about(Topic::SaContexts(template)) })
}
