//! Writes the filters of SA contexts, filter objects, conditions and values.
#![allow(clippy::field_reassign_with_default, reason = "unions are set field by field")]

use super::blob;
use super::display;
use super::guid;
use super::optional_guid;
use crate::abi::FWP_BYTE_ARRAY6;
use crate::abi::FWP_BYTE_ARRAY16;
use crate::abi::FWP_BYTE_BLOB;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_RANGE_TYPE;
use crate::abi::FWP_RANGE0;
use crate::abi::FWP_TOKEN_INFORMATION;
use crate::abi::FWP_UINT64;
use crate::abi::FWP_VALUE0;
use crate::abi::FWPM_FILTER_CONDITION0;
use crate::abi::FWPM_FILTER0;
use crate::arena::Places;
use crate::arena::Sink;
use crate::wide;
use openwfp_api::TransportFilter;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::FilterContext;
use openwfp_api::object::value::SidAndAttributes;
use openwfp_api::object::value::Value;
use openwfp_api::record::Network;
use windows_sys::Win32::Security::SID_AND_ATTRIBUTES;

/// Writes the filter of an SA context with its conditions.
#[inline]
pub(super) fn transport_filter<S: Sink>(sink: &mut S, filter: &TransportFilter<'_>) -> *mut FWPM_FILTER0 {
    if let Some(object) = filter.object() {
        let c = self::filter(sink, object);
        return sink.put(c);
    }
    let place = sink.reserve::<FWPM_FILTER0>(1);
    let mut len = 0;
    filter.visit_conditions(|_| len += 1);
    let places = sink.reserve::<FWPM_FILTER_CONDITION0>(len);
    let mut index = 0;
    filter.visit_conditions(|condition| {
        set_condition(sink, &places, index, &condition);
        index += 1;
    });
    let display_data = display(sink, &filter.name(), "");
    let action = filter.action();
    sink.fill(&place, 0, |c| {
        c.filterKey = guid(filter.key());
        c.displayData = display_data;
        c.layerKey = guid(filter.layer_key());
        c.subLayerKey = guid(filter.sublayer_key());
        c.action.r#type = action.kind.wfp();
        c.action.Anonymous.calloutKey = guid(action.callout);
        // This fits: policies limit the number of selectors, and each adds at most five conditions.
        c.numFilterConditions = u32::try_from(len).unwrap_or(0);
        c.filterCondition = places.start();
        c.filterId = filter.filter_id().0;
    });
    place.start()
}

/// Writes a filter object.
pub(super) fn filter(sink: &mut impl Sink, filter: &Filter) -> FWPM_FILTER0 {
    let (list, len) = conditions(sink, &filter.conditions);
    let mut c = FWPM_FILTER0 {
        filterKey: guid(filter.key),
        displayData: display(sink, &filter.name, &filter.description),
        flags: filter.flags,
        providerKey: optional_guid(sink, filter.provider),
        providerData: blob(sink, &filter.data.0),
        layerKey: guid(filter.layer),
        subLayerKey: guid(filter.sublayer),
        weight: value(sink, &filter.weight),
        numFilterConditions: len,
        filterCondition: list,
        filterId: filter.id,
        effectiveWeight: number(sink, filter.effective_weight),
        ..Default::default()
    };
    c.action.r#type = filter.action.kind.wfp();
    c.action.Anonymous.calloutKey = guid(filter.action.callout);
    match filter.context {
        FilterContext::ProviderContext(key) => c.Anonymous.providerContextKey = guid(key),
        FilterContext::Raw(raw) => c.Anonymous.rawContext = raw,
        _ => {}
    }
    c
}

/// Writes an array of conditions; returns its address, null if it is empty, and its length.
pub(super) fn conditions<S: Sink>(
    sink: &mut S,
    conditions: &[FilterCondition],
) -> (*mut FWPM_FILTER_CONDITION0, u32) {
    let places = sink.reserve::<FWPM_FILTER_CONDITION0>(conditions.len());
    for (index, condition) in conditions.iter().enumerate() {
        set_condition(sink, &places, index, condition);
    }
    let start = if conditions.is_empty() { std::ptr::null_mut() } else { places.start() };
    (start, u32::try_from(conditions.len()).unwrap_or(0))
}

#[inline(always)]
fn set_condition<S: Sink>(
    sink: &mut S,
    places: &Places<FWPM_FILTER_CONDITION0>,
    index: usize,
    condition: &FilterCondition,
) {
    let value = condition_value(sink, &condition.value);
    sink.fill(places, index, |c| {
        c.fieldKey = guid(condition.field);
        c.matchType = condition.match_type.wfp().cast_signed();
        c.conditionValue = value;
    });
}

/// Writes the value of a condition.
#[inline(always)]
pub(super) fn condition_value(sink: &mut impl Sink, wanted: &Value) -> FWP_CONDITION_VALUE0 {
    let mut c = FWP_CONDITION_VALUE0::default();
    match wanted {
        Value::Uint8(number) => {
            c.r#type = 1;
            c.Anonymous.uint8 = *number;
        }
        Value::Uint16(number) => {
            c.r#type = 2;
            c.Anonymous.uint16 = *number;
        }
        Value::Network(Network(network)) => c = super::network(sink, *network),
        Value::Range(range) => {
            let (low, high) = (value(sink, &range.low), value(sink, &range.high));
            c.r#type = FWP_RANGE_TYPE;
            c.Anonymous.rangeValue = sink.put(FWP_RANGE0 { valueLow: low, valueHigh: high });
        }
        other => {
            let plain = value(sink, other);
            // SAFETY: for types that are not specific to conditions, both structures have the same
            // members.
            c = unsafe { std::mem::transmute::<FWP_VALUE0, FWP_CONDITION_VALUE0>(plain) };
        }
    }
    c
}

/// Writes a 64-bit number as a value.
fn number(sink: &mut impl Sink, number: u64) -> FWP_VALUE0 {
    let mut c = FWP_VALUE0 { r#type: FWP_UINT64, ..Default::default() };
    c.Anonymous.uint64 = sink.put(number);
    c
}

/// Writes a value. Networks and ranges occur only in conditions and become `FWP_EMPTY` here.
pub(crate) fn value(sink: &mut impl Sink, value: &Value) -> FWP_VALUE0 {
    let mut c = FWP_VALUE0::default();
    c.r#type = value.data_type().cast_signed();
    let union = &mut c.Anonymous;
    match value {
        Value::Uint8(number) => union.uint8 = *number,
        Value::Uint16(number) => union.uint16 = *number,
        Value::Uint32(number) => union.uint32 = *number,
        Value::Uint64(number) => union.uint64 = sink.put(*number),
        Value::Int8(number) => union.int8 = *number,
        Value::Int16(number) => union.int16 = *number,
        Value::Int32(number) => union.int32 = *number,
        Value::Int64(number) => union.int64 = sink.put(*number),
        Value::Float(number) => union.float32 = *number,
        Value::Double(number) => union.double64 = sink.put(*number),
        Value::ByteArray16(bytes) => union.byteArray16 = sink.put(FWP_BYTE_ARRAY16 { byteArray16: *bytes }),
        Value::ByteBlob(bytes) => union.byteBlob = put_blob(sink, &bytes.0),
        Value::Sid(sid) => union.sid = sink.bytes(&sid.to_bytes()).cast(),
        Value::SecurityDescriptor(bytes) => union.sd = put_blob(sink, &bytes.0),
        Value::TokenInformation(token) => {
            let (sids, sid_count) = put_sids(sink, &token.sids);
            let (restricted, restricted_count) = put_sids(sink, &token.restricted_sids);
            union.tokenInformation = sink.put(FWP_TOKEN_INFORMATION {
                sidCount: sid_count,
                sids,
                restrictedSidCount: restricted_count,
                restrictedSids: restricted,
            });
        }
        Value::TokenAccessInformation(bytes) => union.tokenAccessInformation = put_blob(sink, &bytes.0),
        Value::UnicodeString(text) => union.unicodeString = wide::put(sink, text),
        Value::ByteArray6(bytes) => union.byteArray6 = sink.put(FWP_BYTE_ARRAY6 { byteArray6: *bytes }),
        _ => c.r#type = 0,
    }
    c
}

fn put_blob(sink: &mut impl Sink, bytes: &[u8]) -> *mut FWP_BYTE_BLOB {
    let blob = blob(sink, bytes);
    sink.put(blob)
}

fn put_sids(sink: &mut impl Sink, sids: &[SidAndAttributes]) -> (*mut SID_AND_ATTRIBUTES, u32) {
    let places = sink.reserve::<SID_AND_ATTRIBUTES>(sids.len());
    for (index, sid) in sids.iter().enumerate() {
        let bytes = sink.bytes(&sid.sid.to_bytes());
        sink.set(&places, index, SID_AND_ATTRIBUTES { Sid: bytes.cast(), Attributes: sid.attributes });
    }
    (places.start(), u32::try_from(sids.len()).unwrap_or(0))
}
