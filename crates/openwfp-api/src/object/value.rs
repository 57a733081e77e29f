//! Values that filters compare with and provider contexts hold.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use crate::Sid;
use crate::choices;
use crate::record::Blob;
use crate::record::Network;
use crate::records;
use ipnet::IpNet;

choices! {
    /// A value by its type. WFP: `FWP_VALUE0` and `FWP_CONDITION_VALUE0`; networks and ranges are conditions' only.
    Value {
        /// FWP_EMPTY.
        1 empty Empty(Nothing),
        /// FWP_UINT8.
        2 uint8 Uint8(u8),
        /// FWP_UINT16.
        3 uint16 Uint16(u16),
        /// FWP_UINT32; IPv4 addresses are such, in host order.
        4 uint32 Uint32(u32),
        /// FWP_UINT64.
        5 uint64 Uint64(u64),
        /// FWP_INT8.
        6 int8 Int8(i8),
        /// FWP_INT16.
        7 int16 Int16(i16),
        /// FWP_INT32.
        8 int32 Int32(i32),
        /// FWP_INT64.
        9 int64 Int64(i64),
        /// FWP_FLOAT.
        10 float Float(f32),
        /// FWP_DOUBLE.
        11 double Double(f64),
        /// FWP_BYTE_ARRAY16_TYPE; IPv6 addresses are such.
        12 byte_array16 ByteArray16([u8; 16]),
        /// FWP_BYTE_BLOB_TYPE.
        13 byte_blob ByteBlob(Blob),
        /// FWP_SID.
        14 sid Sid(Sid),
        /// FWP_SECURITY_DESCRIPTOR_TYPE, self-relative.
        15 security_descriptor SecurityDescriptor(Blob),
        /// FWP_TOKEN_INFORMATION_TYPE.
        16 token_information TokenInformation(TokenInformation),
        /// FWP_TOKEN_ACCESS_INFORMATION_TYPE.
        17 token_access_information TokenAccessInformation(Blob),
        /// FWP_UNICODE_STRING_TYPE.
        18 unicode_string UnicodeString(String),
        /// FWP_BYTE_ARRAY6_TYPE, a MAC address.
        19 byte_array6 ByteArray6([u8; 6]),
        /// FWP_V4_ADDR_MASK or FWP_V6_ADDR_MASK: the address and the prefix' length in one byte behind it.
        20 network Network(Network),
        /// FWP_RANGE_TYPE.
        21 range Range(Box<Range>),
    }
}

records! {
    /// Nothing.
    Nothing {}
    /// Two values of one type, both included. WFP: `FWP_RANGE0`.
    Range {
        /// The lowest.
        1 low: Value,
        /// The highest.
        2 high: Value,
    }
    /// What a user's token says. WFP: `FWP_TOKEN_INFORMATION`.
    TokenInformation {
        /// Its SIDs.
        1 sids: Vec<SidAndAttributes>,
        /// Its restricted SIDs.
        2 restricted_sids: Vec<SidAndAttributes>,
    }
    /// A SID of a token. WFP: `SID_AND_ATTRIBUTES`.
    SidAndAttributes {
        /// The SID.
        1 sid: Sid,
        /// SE_GROUP_* bits.
        2 attributes: u32,
    }
}

impl Value {
    /// Nothing.
    pub const EMPTY: Value = Value::Empty(Nothing {});

    /// A network.
    pub fn network(network: IpNet) -> Value {
        Value::Network(Network(network))
    }

    /// A range, both ends included.
    pub fn range(low: Value, high: Value) -> Value {
        Value::Range(Box::new(Range { low, high }))
    }

    /// An address as filters compare it.
    pub fn address(address: std::net::IpAddr) -> Value {
        match address {
            std::net::IpAddr::V4(v4) => Value::Uint32(v4.into()),
            std::net::IpAddr::V6(v6) => Value::ByteArray16(v6.octets()),
        }
    }

    /// WFP's number for its type, `FWP_DATA_TYPE`.
    pub fn data_type(&self) -> u32 {
        match self {
            Value::Empty(_) => 0,
            Value::Uint8(_) => 1,
            Value::Uint16(_) => 2,
            Value::Uint32(_) => 3,
            Value::Uint64(_) => 4,
            Value::Int8(_) => 5,
            Value::Int16(_) => 6,
            Value::Int32(_) => 7,
            Value::Int64(_) => 8,
            Value::Float(_) => 9,
            Value::Double(_) => 10,
            Value::ByteArray16(_) => 11,
            Value::ByteBlob(_) => 12,
            Value::Sid(_) => 13,
            Value::SecurityDescriptor(_) => 14,
            Value::TokenInformation(_) => 15,
            Value::TokenAccessInformation(_) => 16,
            Value::UnicodeString(_) => 17,
            Value::ByteArray6(_) => 18,
            Value::Network(Network(IpNet::V4(_))) => 0x100,
            Value::Network(Network(IpNet::V6(_))) => 0x101,
            Value::Range(_) => 0x102,
        }
    }
}

/// The name of a type of values, `FWP_DATA_TYPE`.
pub fn data_type_name(number: u32) -> &'static str {
    match number {
        0 => "FWP_EMPTY",
        1 => "FWP_UINT8",
        2 => "FWP_UINT16",
        3 => "FWP_UINT32",
        4 => "FWP_UINT64",
        5 => "FWP_INT8",
        6 => "FWP_INT16",
        7 => "FWP_INT32",
        8 => "FWP_INT64",
        9 => "FWP_FLOAT",
        10 => "FWP_DOUBLE",
        11 => "FWP_BYTE_ARRAY16_TYPE",
        12 => "FWP_BYTE_BLOB_TYPE",
        13 => "FWP_SID",
        14 => "FWP_SECURITY_DESCRIPTOR_TYPE",
        15 => "FWP_TOKEN_INFORMATION_TYPE",
        16 => "FWP_TOKEN_ACCESS_INFORMATION_TYPE",
        17 => "FWP_UNICODE_STRING_TYPE",
        18 => "FWP_BYTE_ARRAY6_TYPE",
        0x100 => "FWP_V4_ADDR_MASK",
        0x101 => "FWP_V6_ADDR_MASK",
        0x102 => "FWP_RANGE_TYPE",
        _ => "an unknown type",
    }
}
