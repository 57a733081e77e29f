//! Transport filters of SA contexts, with their conditions.

use super::guid;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_RANGE_TYPE;
use crate::abi::FWP_RANGE0;
use crate::abi::FWP_UINT8;
use crate::abi::FWP_UINT16;
use crate::abi::FWP_VALUE0;
use crate::abi::FWPM_FILTER_CONDITION0;
use crate::abi::FWPM_FILTER0;
use crate::arena::Sink;
use openwfp_api::ConditionValue;
use openwfp_api::FilterCondition;
use openwfp_api::TransportFilter;

/// The filter; `conditions` is a list to work with.
#[inline]
pub(super) fn transport_filter<S: Sink>(
    sink: &mut S,
    filter: &TransportFilter<'_>,
    conditions: &mut Vec<FilterCondition>,
) -> *mut FWPM_FILTER0 {
    filter.conditions_into(conditions);
    let places = sink.reserve::<FWPM_FILTER_CONDITION0>(conditions.len());
    for (index, condition) in conditions.iter().enumerate() {
        let c = FWPM_FILTER_CONDITION0 {
            fieldKey: guid(condition.field.guid()),
            matchType: condition.match_type as i32,
            conditionValue: value(sink, condition.value),
        };
        sink.set(&places, index, c);
    }
    sink.put(FWPM_FILTER0 {
        layerKey: guid(filter.layer_key()),
        numFilterConditions: u32::try_from(conditions.len()).unwrap_or(0),
        filterCondition: places.start(),
        filterId: filter.filter_id().0,
        ..Default::default()
    })
}

#[inline]
fn value(sink: &mut impl Sink, value: ConditionValue) -> FWP_CONDITION_VALUE0 {
    let mut c = FWP_CONDITION_VALUE0::default();
    match value {
        ConditionValue::Uint8(number) => {
            c.r#type = FWP_UINT8;
            c.Anonymous.uint8 = number;
        }
        ConditionValue::Uint16(number) => {
            c.r#type = FWP_UINT16;
            c.Anonymous.uint16 = number;
        }
        ConditionValue::Uint16Range(low, high) => {
            c.r#type = FWP_RANGE_TYPE;
            let end = |number| {
                let mut end = FWP_VALUE0 { r#type: FWP_UINT16, ..Default::default() };
                end.Anonymous.uint16 = number;
                end
            };
            c.Anonymous.rangeValue = sink.put(FWP_RANGE0 { valueLow: end(low), valueHigh: end(high) });
        }
        ConditionValue::Network(network) => c = super::network(sink, network),
        // The values that contexts' filters have are all above.
        _ => {}
    }
    c
}
