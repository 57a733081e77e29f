//! Reads values, conditions and other parts of objects.

use super::guid;
use super::number;
use crate::abi::FWP_BYTE_BLOB;
use crate::abi::FWP_CONDITION_VALUE0;
use crate::abi::FWP_RANGE_TYPE;
use crate::abi::FWP_TOKEN_INFORMATION;
use crate::abi::FWP_V4_ADDR_MASK;
use crate::abi::FWP_V6_ADDR_MASK;
use crate::abi::FWP_VALUE0;
use crate::abi::FWPM_DISPLAY_DATA0;
use crate::abi::FWPM_FILTER_CONDITION0;
use crate::boundary::array;
use crate::boundary::optional;
use crate::boundary::required;
use crate::wide;
use openwfp_api::AddressMatch;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Result;
use openwfp_api::Sid;
use openwfp_api::object::FilterCondition;
use openwfp_api::object::MatchType;
use openwfp_api::object::value::SidAndAttributes;
use openwfp_api::object::value::TokenInformation;
use openwfp_api::object::value::Value;
use openwfp_api::record::Blob;
use windows_sys::Win32::Security::SID;
use windows_sys::Win32::Security::SID_AND_ATTRIBUTES;

/// Maximum length of a blob, in bytes, and maximum number of entries of a list.
const BLOB_MAX: u32 = 1 << 24;
const LIST_MAX: u32 = 1 << 20;

/// Returns the entries of a list.
///
/// # Errors
/// `FWP_E_OUT_OF_BOUNDS` for more than `LIST_MAX` entries, `FWP_E_NULL_POINTER`.
///
/// # Safety
/// The pointer is null or valid for `len` entries.
pub(super) unsafe fn list<'a, T>(pointer: *const T, len: u32, name: &str) -> Result<&'a [T]> {
    if len > LIST_MAX {
        return Err(Error::new(
            Code::FWP_E_OUT_OF_BOUNDS,
            format!("{name} has too many entries: {len}, the limit is {LIST_MAX}"),
        ));
    }
    // SAFETY: the caller upholds the safety contract.
    unsafe { array(pointer, len, name) }
}

/// # Safety
/// Same as [`list`].
pub(super) unsafe fn blob<'a>(blob: &'a FWP_BYTE_BLOB, name: &str) -> Result<&'a [u8]> {
    if blob.size > BLOB_MAX {
        return Err(Error::new(
            Code::FWP_E_OUT_OF_BOUNDS,
            format!("{name} is too long: {} bytes", blob.size),
        ));
    }
    // SAFETY: the caller upholds the safety contract.
    unsafe { array(blob.data, blob.size, name) }
}

/// # Safety
/// The pointer is null or valid.
pub(super) unsafe fn optional_guid(
    pointer: *const windows_sys::core::GUID,
    name: &str,
) -> Result<Option<Guid>> {
    // SAFETY: the caller upholds the safety contract.
    Ok(unsafe { optional(pointer, name) }?.map(guid))
}

/// Reads a name and a description.
///
/// # Safety
/// The structure's pointers are null or valid.
pub(super) unsafe fn display(data: &FWPM_DISPLAY_DATA0) -> Result<(String, String)> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        Ok((
            wide::read(data.name, "displayData.name")?,
            wide::read(data.description, "displayData.description")?,
        ))
    }
}

/// Reads a SID.
///
/// # Safety
/// The pointer is null or valid for the length in the SID's count.
pub(super) unsafe fn sid(pointer: *const SID, name: &str) -> Result<Sid> {
    // SAFETY: the caller upholds the safety contract.
    let bytes = unsafe { super::security::sid(pointer, name) }?
        .ok_or_else(|| Error::new(Code::FWP_E_NULL_POINTER, format!("{name} is null")))?;
    Sid::parse(bytes).map(|(sid, _)| sid)
}

/// Reads an `FWP_VALUE0`.
///
/// # Errors
/// `FWP_E_TYPE_MISMATCH` for an unknown type, `FWP_E_NULL_POINTER`, `FWP_E_OUT_OF_BOUNDS` for a blob or
/// list that is too long, `FWP_E_INVALID_PARAMETER` for an invalid SID.
///
/// # Safety
/// The structure's pointers are null or valid.
pub(crate) unsafe fn value(value: &FWP_VALUE0, name: &str) -> Result<Value> {
    let union = &value.Anonymous;
    // SAFETY: the type selects the union member; pointers are null or valid, as the caller guarantees.
    unsafe {
        Ok(match value.r#type {
            0 => Value::EMPTY,
            1 => Value::Uint8(union.uint8),
            2 => Value::Uint16(union.uint16),
            3 => Value::Uint32(union.uint32),
            4 => Value::Uint64(*required(union.uint64, name)?),
            5 => Value::Int8(union.int8),
            6 => Value::Int16(union.int16),
            7 => Value::Int32(union.int32),
            8 => Value::Int64(*required(union.int64, name)?),
            9 => Value::Float(union.float32),
            10 => Value::Double(*required(union.double64, name)?),
            11 => Value::ByteArray16(required(union.byteArray16, name)?.byteArray16),
            12 => Value::ByteBlob(bytes(union.byteBlob, name)?),
            13 => Value::Sid(sid(union.sid, name)?),
            14 => Value::SecurityDescriptor(bytes(union.sd, name)?),
            15 => Value::TokenInformation(token(required(union.tokenInformation, name)?)?),
            16 => Value::TokenAccessInformation(bytes(union.tokenAccessInformation, name)?),
            17 => Value::UnicodeString(wide::read(union.unicodeString, name)?),
            18 => Value::ByteArray6(required(union.byteArray6, name)?.byteArray6),
            other => {
                let what = format!("{name} has the unknown type {other}");
                return Err(Error::new(Code::FWP_E_TYPE_MISMATCH, what));
            }
        })
    }
}

/// # Safety
/// The pointer and the one in the structure are null or valid.
unsafe fn bytes(pointer: *const FWP_BYTE_BLOB, name: &str) -> Result<Blob> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { blob(required(pointer, name)?, name) }.map(Blob::from)
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn token(token: &FWP_TOKEN_INFORMATION) -> Result<TokenInformation> {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        Ok(TokenInformation {
            sids: sids(list(token.sids, token.sidCount, "sids")?)?,
            restricted_sids: sids(list(token.restrictedSids, token.restrictedSidCount, "restrictedSids")?)?,
        })
    }
}

/// # Safety
/// The structure's pointers are null or valid.
unsafe fn sids(entries: &[SID_AND_ATTRIBUTES]) -> Result<Vec<SidAndAttributes>> {
    let one = |entry: &SID_AND_ATTRIBUTES| {
        // SAFETY: the caller upholds the safety contract.
        let sid = unsafe { sid(entry.Sid.cast(), "a SID of a token") }?;
        Ok(SidAndAttributes { sid, attributes: entry.Attributes })
    };
    entries.iter().map(one).collect()
}

/// Reads an `FWP_CONDITION_VALUE0`.
///
/// # Errors
/// Same as [`value`], and `FWP_E_INVALID_NET_MASK`.
///
/// # Safety
/// Same as [`value`].
pub(super) unsafe fn condition_value(condition: &FWP_CONDITION_VALUE0, name: &str) -> Result<Value> {
    let network = |wanted: AddressMatch| match wanted {
        AddressMatch::Subnet(network) => Ok(Value::network(network)),
        _ => Err(Error::unreachable("a mask that makes no network")),
    };
    // SAFETY: same as in `value`; for types that are not specific to conditions, both unions have the
    // same members.
    unsafe {
        match condition.r#type {
            FWP_V4_ADDR_MASK => {
                let mask = required(condition.Anonymous.v4AddrMask, name)?;
                network(AddressMatch::v4_mask(mask.addr, mask.mask)?)
            }
            FWP_V6_ADDR_MASK => {
                let mask = required(condition.Anonymous.v6AddrMask, name)?;
                network(AddressMatch::v6_mask(mask.addr, mask.prefixLength)?)
            }
            FWP_RANGE_TYPE => {
                let range = required(condition.Anonymous.rangeValue, name)?;
                Ok(Value::range(value(&range.valueLow, name)?, value(&range.valueHigh, name)?))
            }
            _ => value(&*std::ptr::from_ref(condition).cast::<FWP_VALUE0>(), name),
        }
    }
}

/// Reads the conditions of a filter or a template.
///
/// # Errors
/// Same as [`condition_value`], and `FWP_E_INVALID_ENUMERATOR` for an unknown match type.
///
/// # Safety
/// The pointer is null or valid for `len` conditions, and so are the pointers in them.
pub(crate) unsafe fn conditions(
    pointer: *const FWPM_FILTER_CONDITION0,
    len: u32,
) -> Result<Vec<FilterCondition>> {
    // SAFETY: the caller upholds the safety contract.
    let conditions = unsafe { list(pointer, len, "filterCondition") }?;
    let one = |condition: &FWPM_FILTER_CONDITION0| {
        Ok(FilterCondition {
            field: guid(&condition.fieldKey),
            match_type: MatchType::from_wfp(number(condition.matchType))?,
            // SAFETY: the caller upholds the safety contract.
            value: unsafe { condition_value(&condition.conditionValue, "conditionValue") }?,
        })
    };
    conditions.iter().map(one).collect()
}
