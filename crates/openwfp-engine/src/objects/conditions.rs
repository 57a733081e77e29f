//! Conditions of filters: validation, and matching against packets and other conditions.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::IpNet;
use openwfp_api::IpVersion;
use openwfp_api::Result;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::Layer;
use openwfp_api::object::MatchType;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::value::Value;
use openwfp_api::object::value::data_type_name;
use openwfp_api::record::Network;
use openwfp_api::record::Record;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::OnceLock;

/// The compiled conditions of a filter: the alternatives for each field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) fields: Vec<(Guid, Vec<Test>)>,
    /// An index for each field, once it is needed.
    indexes: OnceLock<Vec<Index>>,
}

/// One compiled condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// A number or address in a range, both ends included.
    Within(u128, u128),
    Outside(u128, u128),
    AllSet(u128),
    AnySet(u128),
    NoneSet(u128),
    Is(Value),
    IsNot(Value),
    IsIgnoringCase(String),
    Begins(Vec<u8>),
    BeginsNot(Vec<u8>),
}

/// Checks the number of a template's conditions.
pub(crate) fn check_template(conditions: &[FilterCondition]) -> Result {
    check_count(conditions, openwfp_api::bounds::TEMPLATE_CONDITIONS, "a template")
}

/// Checks the number of conditions before any work is done with them.
pub(crate) fn check_count(conditions: &[FilterCondition], limit: usize, of: &str) -> Result {
    if conditions.len() <= limit {
        return Ok(());
    }
    let what = format!("filterCondition has {} conditions, but {of} may have only {limit}", conditions.len());
    Err(Error::new(Code::RPC_S_INVALID_BOUND, what)
        .with_remedy("Use several, or fewer and wider conditions."))
}

/// Returns the IP version of an address value: one address, a network or a range.
pub(super) fn ip_version(value: &Value) -> Option<IpVersion> {
    match value {
        Value::Uint32(_) | Value::Network(Network(IpNet::V4(_))) => Some(IpVersion::V4),
        Value::ByteArray16(_) | Value::Network(Network(IpNet::V6(_))) => Some(IpVersion::V6),
        Value::Range(range) => ip_version(&range.low),
        _ => None,
    }
}

impl Conditions {
    pub(crate) fn new(conditions: &[FilterCondition]) -> Conditions {
        let mut fields: Vec<(Guid, Vec<Test>)> = Vec::new();
        let mut places = HashMap::new();
        for condition in conditions {
            let place = *places.entry(condition.field).or_insert(fields.len());
            if place == fields.len() {
                fields.push((condition.field, Vec::new()));
            }
            fields[place].1.push(Test::new(condition));
        }
        Conditions { fields, indexes: OnceLock::new() }
    }

    /// Returns an index of the alternatives for each field.
    fn indexes(&self) -> impl Iterator<Item = (Guid, &Index)> {
        let indexes =
            self.indexes.get_or_init(|| self.fields.iter().map(|(_, tests)| Index::new(tests)).collect());
        self.fields.iter().map(|(field, _)| *field).zip(indexes)
    }

    /// Compiles the conditions of a template.
    ///
    /// # Errors
    /// `RPC_S_INVALID_BOUND` above [`TEMPLATE_CONDITIONS`](openwfp_api::bounds::TEMPLATE_CONDITIONS).
    pub(crate) fn of_template(conditions: &[FilterCondition]) -> Result<Conditions> {
        check_template(conditions)?;
        Ok(Conditions::new(conditions))
    }

    /// Returns the alternatives for a field.
    pub(crate) fn of(&self, field: Guid) -> &[Test] {
        self.fields.iter().find(|(other, _)| *other == field).map_or(&[], |(_, tests)| tests)
    }

    /// Returns whether a packet meets the conditions.
    pub(crate) fn meet(&self, packet: &Packet) -> bool {
        self.fields.iter().all(|(field, tests)| {
            packet.field(*field).is_some_and(|value| tests.iter().any(|test| test.holds(&value)))
        })
    }

    /// Returns whether these conditions select everything that `inner` selects. If `inner` has no condition
    /// on one of these fields, they do not.
    pub(crate) fn contain(&self, inner: &Conditions) -> bool {
        self.indexes().all(|(field, index)| {
            let others = inner.of(field);
            !others.is_empty() && others.iter().all(|other| index.contains(other))
        })
    }

    /// Returns whether some packet may meet both.
    pub(crate) fn overlap(&self, others: &Conditions) -> bool {
        self.indexes().all(|(field, index)| {
            let others = others.of(field);
            others.is_empty() || others.iter().any(|other| index.overlaps(other))
        })
    }
}

impl Test {
    fn new(condition: &FilterCondition) -> Test {
        let value = &condition.value;
        let range = bounds(value);
        match (condition.match_type, range) {
            (MatchType::Equal | MatchType::Range, Some((low, high))) => Test::Within(low, high),
            (MatchType::NotEqual, Some((low, high))) => Test::Outside(low, high),
            (MatchType::Greater, Some((_, high))) => match high.checked_add(1) {
                Some(low) => Test::Within(low, u128::MAX),
                None => Test::Within(1, 0),
            },
            (MatchType::Less, Some((low, _))) => match low.checked_sub(1) {
                Some(high) => Test::Within(0, high),
                None => Test::Within(1, 0),
            },
            (MatchType::GreaterOrEqual, Some((low, _))) => Test::Within(low, u128::MAX),
            (MatchType::LessOrEqual, Some((_, high))) => Test::Within(0, high),
            (MatchType::FlagsAllSet, Some((bits, _))) => Test::AllSet(bits),
            (MatchType::FlagsAnySet, Some((bits, _))) => Test::AnySet(bits),
            (MatchType::FlagsNoneSet, Some((bits, _))) => Test::NoneSet(bits),
            (MatchType::EqualCaseInsensitive, _) => Test::IsIgnoringCase(text(value).to_lowercase()),
            (MatchType::Prefix, _) => Test::Begins(bytes(value)),
            (MatchType::NotPrefix, _) => Test::BeginsNot(bytes(value)),
            (MatchType::NotEqual, None) => Test::IsNot(value.clone()),
            _ => Test::Is(value.clone()),
        }
    }

    pub(crate) fn holds(&self, value: &Value) -> bool {
        let number = || bounds(value).map_or(0, |(low, _)| low);
        match self {
            Test::Within(low, high) => (*low..=*high).contains(&number()),
            Test::Outside(low, high) => !(*low..=*high).contains(&number()),
            Test::AllSet(bits) => number() & bits == *bits,
            Test::AnySet(bits) => number() & bits != 0,
            Test::NoneSet(bits) => number() & bits == 0,
            Test::Is(other) => other == value,
            Test::IsNot(other) => other != value,
            Test::IsIgnoringCase(other) => text(value).to_lowercase() == *other,
            Test::Begins(prefix) => bytes(value).starts_with(prefix),
            Test::BeginsNot(prefix) => !bytes(value).starts_with(prefix),
        }
    }

    /// Returns bytes that equal tests share, and no others.
    fn bytes(&self) -> Vec<u8> {
        let two =
            |kind: u8, low: u128, high: u128| [&[kind][..], &low.to_be_bytes(), &high.to_be_bytes()].concat();
        let some = |kind: u8, bytes: &[u8]| [&[kind][..], bytes].concat();
        match self {
            Test::Within(low, high) => two(0, *low, *high),
            Test::Outside(low, high) => two(1, *low, *high),
            Test::AllSet(bits) => two(2, *bits, 0),
            Test::AnySet(bits) => two(3, *bits, 0),
            Test::NoneSet(bits) => two(4, *bits, 0),
            Test::Is(value) => some(5, &value.encode(None)),
            Test::IsNot(value) => some(6, &value.encode(None)),
            Test::IsIgnoringCase(text) => some(7, text.as_bytes()),
            Test::Begins(prefix) => some(8, prefix),
            Test::BeginsNot(prefix) => some(9, prefix),
        }
    }
}

/// Tests of a field, arranged so that one of them is found without looking at the others.
#[derive(Clone, Debug)]
struct Index {
    /// The ranges by their lowest numbers, each with the highest number of those up to it.
    ranges: Vec<(u128, u128)>,
    /// The other tests.
    others: HashSet<Vec<u8>>,
    /// Whether there are tests other than ranges, and other than of equality.
    has_not_within: bool,
    has_not_is: bool,
}

impl Index {
    fn new(tests: &[Test]) -> Index {
        let range = |test: &Test| match test {
            Test::Within(low, high) => Some((*low, *high)),
            _ => None,
        };
        let mut ranges: Vec<(u128, u128)> = tests.iter().filter_map(range).collect();
        ranges.sort_unstable();
        let mut highest = 0;
        for (_, high) in &mut ranges {
            highest = highest.max(*high);
            *high = highest;
        }
        let others: HashSet<_> =
            tests.iter().filter(|test| !matches!(test, Test::Within(..))).map(Test::bytes).collect();
        Index {
            has_not_within: !others.is_empty(),
            has_not_is: tests.iter().any(|test| !matches!(test, Test::Is(_))),
            ranges,
            others,
        }
    }

    /// Returns whether one of the tests selects everything that another test selects.
    fn contains(&self, inner: &Test) -> bool {
        match inner {
            Test::Within(low, high) => self.reaches(*low, *high),
            other => self.others.contains(&other.bytes()),
        }
    }

    /// Returns whether some value may pass one of the tests and another one.
    fn overlaps(&self, other: &Test) -> bool {
        match other {
            Test::Within(low, high) => self.has_not_within || self.reaches(*high, *low),
            Test::Is(_) => self.has_not_is || self.others.contains(&other.bytes()),
            _ => true,
        }
    }

    /// Returns whether some range begins at or before one number and ends at or after another.
    fn reaches(&self, begin: u128, end: u128) -> bool {
        let before = self.ranges.partition_point(|(low, _)| *low <= begin);
        before > 0 && self.ranges[before - 1].1 >= end
    }
}

/// Returns the lowest and the highest number that a value covers; `None` if its type has no order.
pub(crate) fn bounds(value: &Value) -> Option<(u128, u128)> {
    // Shift signed numbers so that they sort like unsigned ones.
    let signed = |number: i64| Some(u128::from(number.cast_unsigned() ^ (1 << 63)));
    let one = match value {
        Value::Uint8(number) => Some(u128::from(*number)),
        Value::Uint16(number) => Some(u128::from(*number)),
        Value::Uint32(number) => Some(u128::from(*number)),
        Value::Uint64(number) => Some(u128::from(*number)),
        Value::Int8(number) => signed((*number).into()),
        Value::Int16(number) => signed((*number).into()),
        Value::Int32(number) => signed((*number).into()),
        Value::Int64(number) => signed(*number),
        Value::ByteArray16(bytes) => Some(u128::from_be_bytes(*bytes)),
        Value::ByteArray6([a, b, c, d, e, f]) => {
            Some(u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]).into())
        }
        Value::Network(Network(network)) => {
            return Some((number_of(network.network()), number_of(network.broadcast())));
        }
        Value::Range(range) => {
            return Some((bounds(&range.low)?.0, bounds(&range.high)?.1));
        }
        _ => None,
    };
    one.map(|number| (number, number))
}

pub(crate) fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::UnicodeString(text) => text,
        _ => "",
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::ByteBlob(blob) | Value::SecurityDescriptor(blob) | Value::TokenAccessInformation(blob) => {
            blob.0.clone()
        }
        Value::UnicodeString(text) => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Value::ByteArray16(bytes) => bytes.to_vec(),
        Value::ByteArray6(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// Checks conditions against the fields of their layer.
///
/// # Errors
/// - `FWP_E_CONDITION_NOT_FOUND`: the layer has no such field.
/// - `FWP_E_TYPE_MISMATCH`: the value's type does not fit the field, or the ends of a range differ in
///   type.
/// - `FWP_E_INVALID_RANGE`: a range ends before it begins.
/// - `FWP_E_MATCH_TYPE_MISMATCH`: values of this type cannot be compared with this match type.
/// - `FWP_E_DUPLICATE_CONDITION`: a condition occurs twice.
pub(crate) fn check(conditions: &[FilterCondition], layer: &Layer) -> Result {
    let mut seen = HashSet::new();
    for (place, condition) in conditions.iter().enumerate() {
        let name = || {
            openwfp_api::guids::name(condition.field)
                .map_or_else(|| condition.field.to_string(), str::to_owned)
        };
        let fail = |code, what: String| {
            Err(Error::new(code, format!("condition {} ({}): {what}", place + 1, name())))
        };
        let Some(field) = layer.fields.iter().find(|field| field.key == condition.field) else {
            return fail(Code::FWP_E_CONDITION_NOT_FOUND, format!("{} has no such field", layer.name));
        };
        let value = &condition.value;
        let is_address = field.kind == 1;
        let fits = match value {
            Value::Range(range) => {
                if range.low.data_type() != range.high.data_type() {
                    return fail(
                        Code::FWP_E_TYPE_MISMATCH,
                        "the ends of the range differ in type".to_owned(),
                    );
                }
                range.low.data_type() == field.data_type && bounds(&range.low).is_some()
            }
            Value::Network(Network(IpNet::V4(_))) => is_address && field.data_type == 3,
            Value::Network(Network(IpNet::V6(_))) => is_address && field.data_type == 11,
            other => other.data_type() == field.data_type,
        };
        if !fits {
            let (has, wants) = (data_type_name(value.data_type()), data_type_name(field.data_type));
            return fail(
                Code::FWP_E_TYPE_MISMATCH,
                format!("the value has type {has}, but the field has type {wants}"),
            );
        }
        if let Value::Range(range) = value
            && bounds(&range.low) > bounds(&range.high)
        {
            return fail(Code::FWP_E_INVALID_RANGE, "the range ends before it starts".to_owned());
        }
        if !allows(value, condition.match_type) {
            let (how, what) = (condition.match_type.name(), data_type_name(value.data_type()));
            return fail(
                Code::FWP_E_MATCH_TYPE_MISMATCH,
                format!("values of type {what} cannot be compared with {how}"),
            );
        }
        if !seen.insert(condition.encode(None)) {
            return fail(Code::FWP_E_DUPLICATE_CONDITION, "it occurs twice".to_owned());
        }
    }
    Ok(())
}

/// Returns whether a value of this type can be compared with this match type.
fn allows(value: &Value, by: MatchType) -> bool {
    use MatchType as By;
    let number = matches!(value.data_type(), 1..=8);
    match value {
        Value::Range(_) => by == By::Range,
        Value::Network(_) => matches!(by, By::Equal | By::NotEqual),
        Value::SecurityDescriptor(_) | Value::TokenInformation(_) | Value::TokenAccessInformation(_) => {
            by == By::Equal
        }
        _ => match by {
            By::Equal | By::NotEqual => true,
            By::Greater | By::Less | By::GreaterOrEqual | By::LessOrEqual => bounds(value).is_some(),
            By::FlagsAllSet | By::FlagsAnySet | By::FlagsNoneSet => number,
            By::EqualCaseInsensitive => matches!(value, Value::UnicodeString(_)),
            By::Prefix | By::NotPrefix => matches!(value.data_type(), 11 | 12 | 17 | 18),
            _ => false,
        },
    }
}

/// Returns how many bits the conditions fix, from which automatic weights are derived.
pub(crate) fn specificity(conditions: &[FilterCondition]) -> u64 {
    let bits_of = |value: &Value| match value {
        Value::Network(Network(network)) => u64::from(network.prefix_len()),
        Value::Uint8(_) | Value::Int8(_) => 8,
        Value::Uint16(_) | Value::Int16(_) => 16,
        Value::Uint32(_) | Value::Int32(_) | Value::Float(_) => 32,
        Value::Range(range) => {
            let (Some((low, _)), Some((_, high))) = (bounds(&range.low), bounds(&range.high)) else {
                return 1;
            };
            let width = match &range.low {
                Value::Uint8(_) | Value::Int8(_) => 8,
                Value::Uint16(_) | Value::Int16(_) => 16,
                Value::Uint32(_) | Value::Int32(_) => 32,
                Value::ByteArray16(_) => 128,
                _ => 64,
            };
            let open = 128 - u64::from(high.saturating_sub(low).leading_zeros());
            width - open.min(width)
        }
        Value::ByteArray16(_) => 128,
        _ => 64,
    };
    let conditions = Vec::from(conditions);
    let mut fields: Vec<Guid> = conditions.iter().map(|condition| condition.field).collect();
    fields.sort_unstable();
    fields.dedup();
    let of_field = |field: &Guid| {
        // Use the least specific alternative. Add 1, so that every condition counts, even 0.0.0.0/0.
        let alternatives = conditions.iter().filter(|condition| condition.field == *field);
        alternatives.map(|condition| bits_of(&condition.value) + 1).min().unwrap_or(0)
    };
    fields.iter().map(of_field).sum()
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    /// Whether one test selects everything that another one selects, and whether some value may pass both, of two tests alone.
    fn alone(one: &Test, other: &Test) -> (bool, bool) {
        match (one, other) {
            (Test::Within(low, high), Test::Within(a, b)) => (low <= a && b <= high, low <= b && a <= high),
            (Test::Is(one), Test::Is(other)) => (one == other, one == other),
            (one, other) => (one == other, true),
        }
    }

    #[test]
    fn an_index_finds_what_a_look_at_each_test_finds() {
        let mut seed = 1_u64;
        let mut number = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut test = || {
            let (low, high) = (u128::from(number(20)), u128::from(number(20)));
            match number(12) {
                0 => Test::Is(Value::Uint32(3)),
                1 => Test::Is(Value::UnicodeString("x".into())),
                2 => Test::IsNot(Value::Uint32(3)),
                3 => Test::AnySet(low),
                4 => Test::Within(1, 0),
                _ => Test::Within(low.min(high), low.max(high)),
            }
        };
        for round in 0..3000 {
            let tests: Vec<Test> = (0..round % 6 + 1).map(|_| test()).collect();
            let (index, other) = (Index::new(&tests), test());
            let alone: Vec<(bool, bool)> = tests.iter().map(|test| alone(test, &other)).collect();
            assert_eq!(
                index.contains(&other),
                alone.iter().any(|(contains, _)| *contains),
                "{tests:?} {other:?}"
            );
            assert_eq!(
                index.overlaps(&other),
                alone.iter().any(|(_, overlaps)| *overlaps),
                "{tests:?} {other:?}"
            );
        }
    }
}
