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
use openwfp_api::TransportFilter;

/// The filter, with its conditions.
#[inline]
pub(super) fn transport_filter<S: Sink>(sink: &mut S, filter: &TransportFilter<'_>) -> *mut FWPM_FILTER0 {
    let place = sink.reserve::<FWPM_FILTER0>(1);
    let mut len = 0;
    filter.visit_conditions(|_| len += 1);
    let places = sink.reserve::<FWPM_FILTER_CONDITION0>(len);
    let mut index = 0;
    filter.visit_conditions(|condition| {
        let value = value(sink, condition.value);
        sink.fill(&places, index, |c| {
            c.fieldKey = guid(condition.field.guid());
            c.matchType = condition.match_type as i32;
            c.conditionValue = value;
        });
        index += 1;
    });
    sink.fill(&place, 0, |c| {
        c.layerKey = guid(filter.layer_key());
        // A context has as many selectors as its policies say, and each makes five conditions at most.
        c.numFilterConditions = u32::try_from(len).unwrap_or(0);
        c.filterCondition = places.start();
        c.filterId = filter.filter_id().0;
    });
    place.start()
}

#[inline(always)]
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
