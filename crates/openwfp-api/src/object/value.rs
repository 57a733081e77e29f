//! Values that filters compare fields with and that provider contexts hold.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use crate::Sid;
use crate::choices;
use crate::record::Blob;
use crate::record::Network;
use crate::records;
use ipnet::IpNet;

choices! {
    /// A value with its type. WFP: `FWP_VALUE0` and `FWP_CONDITION_VALUE0`; networks and ranges occur only
    /// in conditions.
    Value {
        /// No value (FWP_EMPTY).
        1 empty Empty(Nothing),
        /// An unsigned 8-bit number (FWP_UINT8).
        2 uint8 Uint8(u8),
        /// An unsigned 16-bit number (FWP_UINT16).
        3 uint16 Uint16(u16),
        /// An unsigned 32-bit number or an IPv4 address in host order (FWP_UINT32).
        4 uint32 Uint32(u32),
        /// An unsigned 64-bit number (FWP_UINT64).
        5 uint64 Uint64(u64),
        /// A signed 8-bit number (FWP_INT8).
        6 int8 Int8(i8),
        /// A signed 16-bit number (FWP_INT16).
        7 int16 Int16(i16),
        /// A signed 32-bit number (FWP_INT32).
        8 int32 Int32(i32),
        /// A signed 64-bit number (FWP_INT64).
        9 int64 Int64(i64),
        /// A 32-bit floating-point number (FWP_FLOAT).
        10 float Float(f32),
        /// A 64-bit floating-point number (FWP_DOUBLE).
        11 double Double(f64),
        /// 16 bytes, such as an IPv6 address (FWP_BYTE_ARRAY16_TYPE).
        12 byte_array16 ByteArray16([u8; 16]),
        /// Bytes of any length (FWP_BYTE_BLOB_TYPE).
        13 byte_blob ByteBlob(Blob),
        /// A security identifier (FWP_SID).
        14 sid Sid(Sid),
        /// A self-relative security descriptor (FWP_SECURITY_DESCRIPTOR_TYPE).
        15 security_descriptor SecurityDescriptor(Blob),
        /// SIDs of an access token (FWP_TOKEN_INFORMATION_TYPE).
        16 token_information TokenInformation(TokenInformation),
        /// Access information of a token, as opaque bytes (FWP_TOKEN_ACCESS_INFORMATION_TYPE).
        17 token_access_information TokenAccessInformation(Blob),
        /// A string (FWP_UNICODE_STRING_TYPE).
        18 unicode_string UnicodeString(String),
        /// A MAC address (FWP_BYTE_ARRAY6_TYPE).
        19 byte_array6 ByteArray6([u8; 6]),
        /// A network: the address, then the prefix length in one byte (FWP_V4_ADDR_MASK or FWP_V6_ADDR_MASK).
        20 network Network(Network),
        /// A range (FWP_RANGE_TYPE).
        21 range Range(Box<Range>),
    }
}

records! {
    /// The empty value.
    Nothing {}
    /// A range between two values of the same type, both included. WFP: `FWP_RANGE0`.
    Range {
        /// Lowest value.
        1 low: Value,
        /// Highest value.
        2 high: Value,
    }
    /// The SIDs of a user's access token. WFP: `FWP_TOKEN_INFORMATION`.
    TokenInformation {
        /// SIDs of the token.
        1 sids: Vec<SidAndAttributes>,
        /// Restricted SIDs of the token.
        2 restricted_sids: Vec<SidAndAttributes>,
    }
    /// A SID of a token. WFP: `SID_AND_ATTRIBUTES`.
    SidAndAttributes {
        /// The SID.
        1 sid: Sid,
        /// Attributes (SE_GROUP_*).
        2 attributes: u32,
    }
}

impl Value {
    /// The empty value, `FWP_EMPTY`.
    pub const EMPTY: Value = Value::Empty(Nothing {});

    /// Returns a network value.
    pub fn network(network: IpNet) -> Value {
        Value::Network(Network(network))
    }

    /// Returns a range value that includes both ends.
    pub fn range(low: Value, high: Value) -> Value {
        Value::Range(Box::new(Range { low, high }))
    }

    /// Returns an address as filters compare it: 32 bits in host order for IPv4, 16 bytes for IPv6.
    pub fn address(address: std::net::IpAddr) -> Value {
        match address {
            std::net::IpAddr::V4(v4) => Value::Uint32(v4.into()),
            std::net::IpAddr::V6(v6) => Value::ByteArray16(v6.octets()),
        }
    }

    /// Returns the value's `FWP_DATA_TYPE`.
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

/// Returns the name of an `FWP_DATA_TYPE`, or `an unknown type`.
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
