//! Writes subscriptions to SA contexts, with their templates.

use super::guid;
use super::page;
use crate::abi::FWP_BYTE_ARRAY16;
use crate::abi::FWP_BYTE_ARRAY16_TYPE;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_RANGE_TYPE;
use crate::abi::FWP_RANGE0;
use crate::abi::FWP_UINT32;
use crate::abi::FWP_VALUE0;
use crate::abi::IPSEC_SA_CONTEXT_ENUM_TEMPLATE0;
use crate::abi::IPSEC_SA_CONTEXT_SUBSCRIPTION0;
use crate::arena::Layout;
use crate::arena::Sink;
use openwfp_api::AddressMatch;
use openwfp_api::ContextTemplate;
use openwfp_api::SubscriptionInfo;
use openwfp_api::Topic;
use std::net::IpAddr;

/// All subscriptions.
pub(crate) struct Subscriptions<'a>(pub(crate) &'a [SubscriptionInfo]);

impl Layout for Subscriptions<'_> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.0, |sink, subscription| {
            let all = ContextTemplate::default();
            let template = match &subscription.options.topic {
                Topic::SaContexts(template) => template,
                _ => &all,
            };
            let template = IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 {
                localSubNet: address_match(sink, &template.local),
                remoteSubNet: address_match(sink, &template.remote),
            };
            let flags = super::object::flags(subscription);
            IPSEC_SA_CONTEXT_SUBSCRIPTION0 {
                enumTemplate: sink.put(template),
                flags,
                sessionKey: guid(subscription.session_key),
            }
        });
    }
}

fn address_match(sink: &mut impl Sink, wanted: &AddressMatch) -> FWP_CONDITION_VALUE0 {
    let mut c = FWP_CONDITION_VALUE0::default();
    match wanted {
        AddressMatch::Any => {}
        AddressMatch::Address(address) => {
            let value = address_value(sink, *address);
            c.r#type = value.r#type;
            // SAFETY: an address is in one of these two members of both unions, depending on its type.
            unsafe {
                if value.r#type == FWP_UINT32 {
                    c.Anonymous.uint32 = value.Anonymous.uint32;
                } else {
                    c.Anonymous.byteArray16 = value.Anonymous.byteArray16;
                }
            }
        }
        AddressMatch::Subnet(network) => c = super::network(sink, *network),
        AddressMatch::Range(_) => {
            if let Some((low, high)) = wanted.bounds() {
                let range =
                    FWP_RANGE0 { valueLow: address_value(sink, low), valueHigh: address_value(sink, high) };
                c.r#type = FWP_RANGE_TYPE;
                c.Anonymous.rangeValue = sink.put(range);
            }
        }
    }
    c
}

fn address_value(sink: &mut impl Sink, address: IpAddr) -> FWP_VALUE0 {
    let mut c = FWP_VALUE0::default();
    match address {
        IpAddr::V4(address) => {
            c.r#type = FWP_UINT32;
            c.Anonymous.uint32 = address.into();
        }
        IpAddr::V6(address) => {
            c.r#type = FWP_BYTE_ARRAY16_TYPE;
            c.Anonymous.byteArray16 = sink.put(FWP_BYTE_ARRAY16 { byteArray16: address.octets() });
        }
    }
    c
}
