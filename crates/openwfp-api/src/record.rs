//! Records: structures whose fields are declared once, for the wire, the store and display.
//!
//! A record is a protobuf message: its fields have numbers, zero and empty values are left out, and
//! readers skip fields that they do not know. So a newer version can read the database of an older one,
//! and vice versa. [`Schema::to_proto`] returns the text of the .proto file.

use crate::Guid;
use crate::Key;
use crate::Result;
use crate::SecurityDescriptor;
use crate::Sid;
use crate::Timestamp;
use crate::bounds;
use crate::protobuf::Reader;
use crate::protobuf::Value;
use crate::protobuf::Writer;
use crate::protobuf::malformed;
use ipnet::IpNet;
use std::net::IpAddr;

/// A structure with numbered fields.
pub trait Record: Default {
    /// Name of the protobuf message.
    const NAME: &'static str;

    /// Writes all fields.
    fn put(&self, writer: &mut Writer<'_>);

    /// Reads the value of one field; unknown fields are skipped.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` for a value of the wrong type or range, or for messages nested too
    /// deeply; `FWP_E_INVALID_ENUMERATOR` for an unknown number of a WFP enumeration;
    /// `FWP_E_INVALID_PARAMETER` for an invalid SID or security descriptor; `ERROR_NOT_SUPPORTED` for a
    /// security descriptor with an audit list or with entries other than allow and deny.
    fn take(&mut self, number: u32, value: Value<'_>) -> Result;

    /// Returns the fields for display, without key bytes.
    fn show(&self) -> Shown;

    /// Adds the message, and those that it refers to, to a schema.
    fn describe(schema: &mut Schema);

    /// Returns the encoded record. Without `keys` it contains only the lengths of keys.
    fn encode(&self, keys: Option<&crate::KeyAccess>) -> Vec<u8> {
        let mut writer = Writer::new(keys);
        self.put(&mut writer);
        writer.into_bytes()
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` if the bytes are not a message, and as [`Record::take`].
    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(Reader::new(bytes))
    }

    /// Reads a record to the end of a reader.
    ///
    /// # Errors
    /// As [`Record::decode`].
    fn read(reader: Reader<'_>) -> Result<Self> {
        let mut record = Self::default();
        reader.fields(|number, value| record.take(number, value))?;
        Ok(record)
    }
}

/// A value for display, before it is formatted as a table or JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// No value.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// An unsigned number.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// A text, an address or a name.
    Text(String),
    /// A list of values.
    List(Vec<Shown>),
    /// Named fields.
    Fields(Vec<(&'static str, Shown)>),
}

/// The messages and fields of a .proto file.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    messages: Vec<Message>,
}

/// One message of a schema.
#[derive(Clone, Debug)]
struct Message {
    name: &'static str,
    doc: String,
    fields: Vec<(u32, &'static str, String, String)>,
    is_choice: bool,
}

impl Schema {
    /// Adds a message, unless the schema already has one of that name. `fields` returns the number, name,
    /// type and comment of each field.
    pub fn message(
        &mut self,
        name: &'static str,
        doc: &[&str],
        is_choice: bool,
        fields: impl FnOnce(&mut Schema) -> Vec<(u32, &'static str, String, &'static [&'static str])>,
    ) {
        if self.messages.iter().any(|message| message.name == name) {
            return;
        }
        let place = self.messages.len();
        self.messages.push(Message { name, doc: join(doc), fields: Vec::new(), is_choice });
        let fields = fields(self);
        self.messages[place].fields =
            fields.into_iter().map(|(number, name, kind, doc)| (number, name, kind, join(doc))).collect();
    }

    /// Returns the messages in the syntax of .proto files.
    pub fn to_proto(&self) -> String {
        let mut text = String::new();
        for message in &self.messages {
            text += &format!("\n// {}\nmessage {} {{\n", message.doc, message.name);
            let indent = if message.is_choice { "    " } else { "  " };
            if message.is_choice {
                text += "  // Which one.\n  oneof choice {\n";
            }
            for (number, name, kind, doc) in &message.fields {
                let name = name.strip_prefix("r#").unwrap_or(name);
                text += &format!("{indent}// {doc}\n{indent}{kind} {name} = {number};\n");
            }
            text += if message.is_choice { "  }\n}\n" } else { "}\n" };
        }
        text
    }
}

fn join(doc: &[&str]) -> String {
    let words: Vec<&str> = doc.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    words.join(" ").replace('`', "")
}

/// A value that can be a field of a record.
pub trait Field: Default {
    /// Returns whether the value is the default, which a missing field stands for.
    fn is_default(&self) -> bool;
    /// Writes the value, even if it is the default.
    fn put_always(&self, number: u32, writer: &mut Writer<'_>);
    /// Reads a value from the wire. A repeated field appends it.
    ///
    /// # Errors
    /// As [`Record::take`].
    fn take(&mut self, value: Value<'_>) -> Result;
    /// Returns the value for display.
    fn show(&self) -> Shown;
    /// Returns the type in .proto files, and adds the messages that it needs to the schema.
    fn kind(schema: &mut Schema) -> String;

    /// Writes the value unless it is the default.
    fn put(&self, number: u32, writer: &mut Writer<'_>) {
        if !self.is_default() {
            self.put_always(number, writer);
        }
    }
}

impl<R: Record + PartialEq> Field for R {
    fn is_default(&self) -> bool {
        *self == R::default()
    }

    fn put_always(&self, number: u32, writer: &mut Writer<'_>) {
        writer.message(number, |writer| Record::put(self, writer));
    }

    fn take(&mut self, value: Value<'_>) -> Result {
        value.message()?.fields(|number, value| Record::take(self, number, value))
    }

    fn show(&self) -> Shown {
        Record::show(self)
    }

    fn kind(schema: &mut Schema) -> String {
        R::describe(schema);
        R::NAME.to_owned()
    }
}

impl<T: Field> Field for Option<T> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn put_always(&self, number: u32, writer: &mut Writer<'_>) {
        if let Some(value) = self {
            value.put_always(number, writer);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result {
        self.get_or_insert_default().take(value)
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Nothing, Field::show)
    }

    fn kind(schema: &mut Schema) -> String {
        format!("optional {}", T::kind(schema))
    }
}

impl<T: Field> Field for Vec<T> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn put_always(&self, number: u32, writer: &mut Writer<'_>) {
        self.iter().for_each(|value| value.put_always(number, writer));
    }

    fn take(&mut self, value: Value<'_>) -> Result {
        bounds::check_room(bounds::UNNAMED, self.len(), bounds::LIST)?;
        let mut one = T::default();
        one.take(value)?;
        self.push(one);
        Ok(())
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(Field::show).collect())
    }

    fn kind(schema: &mut Schema) -> String {
        format!("repeated {}", T::kind(schema))
    }
}

#[doc(hidden)]
pub fn in_field(error: crate::Error, record: &str, field: &str) -> crate::Error {
    bounds::in_field(error, record, field)
}

/// Maximum nesting depth of boxed records. Only boxed records can contain themselves.
const DEPTH_MAX: u32 = 8;

std::thread_local! {
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

fn deeper(take: impl FnOnce() -> Result) -> Result {
    let depth = DEPTH.get();
    if depth >= DEPTH_MAX {
        return Err(malformed("a message is nested too deeply"));
    }
    DEPTH.set(depth + 1);
    let result = take();
    DEPTH.set(depth);
    result
}

impl<R: Record> Record for Box<R> {
    const NAME: &'static str = R::NAME;

    fn put(&self, writer: &mut Writer<'_>) {
        R::put(self, writer);
    }

    fn take(&mut self, number: u32, value: Value<'_>) -> Result {
        deeper(|| R::take(self, number, value))
    }

    fn show(&self) -> Shown {
        R::show(self)
    }

    fn describe(schema: &mut Schema) {
        R::describe(schema);
    }
}

/// Implements `Field` for types of one value: .proto type, default test, writer, reader, display.
macro_rules! fields {
    ($($type:ty: $kind:literal, $is_default:expr, $put:expr, $take:expr, $show:expr;)*) => {$(
        impl Field for $type {
            fn is_default(&self) -> bool {
                let is_default: fn(&$type) -> bool = $is_default;
                is_default(self)
            }

            fn put_always(&self, number: u32, writer: &mut Writer<'_>) {
                let put: fn(&$type, u32, &mut Writer<'_>) = $put;
                put(self, number, writer);
            }

            fn take(&mut self, value: Value<'_>) -> Result {
                let take: fn(Value<'_>) -> Result<$type> = $take;
                *self = take(value)?;
                Ok(())
            }

            fn show(&self) -> Shown {
                let show: fn(&$type) -> Shown = $show;
                show(self)
            }

            fn kind(_schema: &mut Schema) -> String {
                $kind.to_owned()
            }
        }
    )*};
}

/// Opaque bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Blob(pub Vec<u8>);

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Blob {
        Blob(bytes.to_vec())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "its own sign-extended bits")]
fn signed<T: TryFrom<i64>>(value: Value<'_>) -> Result<T> {
    T::try_from(value.u64()?.cast_signed()).map_err(|_| malformed("a number is out of its field's range"))
}

fn text(value: Value<'_>) -> Result<&str> {
    let text = value.text()?;
    bounds::check(bounds::UNNAMED, text.len(), bounds::TEXT).map(|()| text)
}

fn blob(value: Value<'_>) -> Result<Blob> {
    let bytes = value.bytes()?;
    bounds::check(bounds::UNNAMED, bytes.len(), bounds::BYTES).map(|()| Blob::from(bytes))
}

fn array<const N: usize>(value: Value<'_>) -> Result<[u8; N]> {
    value.bytes()?.try_into().map_err(|_| malformed("a field has the wrong number of bytes"))
}

fn address(bytes: &[u8]) -> Result<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::from(v4));
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| malformed("an address must have 4 or 16 bytes"))?;
    Ok(IpAddr::from(v6))
}

fn put_address(address: IpAddr, number: u32, writer: &mut Writer<'_>) {
    match address {
        IpAddr::V4(v4) => writer.always_bytes(number, &v4.octets()),
        IpAddr::V6(v6) => writer.always_bytes(number, &v6.octets()),
    }
}

fn guid_bytes(guid: Guid) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&guid.data1.to_be_bytes());
    bytes[4..6].copy_from_slice(&guid.data2.to_be_bytes());
    bytes[6..8].copy_from_slice(&guid.data3.to_be_bytes());
    bytes[8..].copy_from_slice(&guid.data4);
    bytes
}

fn guid(bytes: [u8; 16]) -> Guid {
    let [a, b, c, d, e, f, g, h, data4 @ ..] = bytes;
    Guid::new(u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]), u16::from_be_bytes([g, h]), data4)
}

/// Returns a GUID for display: its name if it has one.
fn show_guid(guid: Guid) -> Shown {
    Shown::Text(crate::guids::name(guid).map_or_else(|| guid.to_string(), str::to_owned))
}

fields! {
    bool: "bool", |v| !v, |v, n, w| w.always_uint(n, u64::from(*v)), |v| Ok(v.u64()? != 0), |v| Shown::Bool(*v);
    u8: "uint32", |v| *v == 0, |v, n, w| w.always_uint(n, u64::from(*v)), |v| v.uint(), |v| Shown::Number(u64::from(*v));
    u16: "uint32", |v| *v == 0, |v, n, w| w.always_uint(n, u64::from(*v)), |v| v.uint(), |v| Shown::Number(u64::from(*v));
    u32: "uint32", |v| *v == 0, |v, n, w| w.always_uint(n, u64::from(*v)), |v| v.uint(), |v| Shown::Number(u64::from(*v));
    u64: "uint64", |v| *v == 0, |v, n, w| w.always_uint(n, *v), |v| v.u64(), |v| Shown::Number(*v);
    i8: "int32", |v| *v == 0, |v, n, w| w.always_uint(n, i64::from(*v).cast_unsigned()), signed, |v| Shown::Signed((*v).into());
    i16: "int32", |v| *v == 0, |v, n, w| w.always_uint(n, i64::from(*v).cast_unsigned()), signed, |v| Shown::Signed((*v).into());
    i32: "int32", |v| *v == 0, |v, n, w| w.always_uint(n, i64::from(*v).cast_unsigned()), signed, |v| Shown::Signed((*v).into());
    i64: "int64", |v| *v == 0, |v, n, w| w.always_uint(n, v.cast_unsigned()), signed, |v| Shown::Signed(*v);
    f32: "double", |v| v.to_bits() == 0, |v, n, w| w.always_fixed64(n, f64::from(*v).to_bits()), single, |v| Shown::Float((*v).into());
    f64: "double", |v| v.to_bits() == 0, |v, n, w| w.always_fixed64(n, v.to_bits()), double, |v| Shown::Float(*v);
    String: "string", String::is_empty, |v, n, w| w.always_bytes(n, v.as_bytes()), |v| text(v).map(str::to_owned), |v| Shown::Text(v.clone());
    Blob: "bytes", |v| v.0.is_empty(), |v, n, w| w.always_bytes(n, &v.0), |v| blob(v), |v| Shown::Text(hex(&v.0));
    [u8; 6]: "bytes", |v| *v == [0; 6], |v, n, w| w.always_bytes(n, v), array, |v| Shown::Text(hex(v));
    [u8; 16]: "bytes", |v| *v == [0; 16], |v, n, w| w.always_bytes(n, v), array, |v| Shown::Text(hex(v));
    [u8; 20]: "bytes", |v| *v == [0; 20], |v, n, w| w.always_bytes(n, v), array, |v| Shown::Text(hex(v));
    Guid: "bytes", |v| *v == Guid::default(), |v, n, w| w.always_bytes(n, &guid_bytes(*v)), |v| array(v).map(guid), |v| show_guid(*v);
    Timestamp: "uint64", |v| v.0 == 0, |v, n, w| w.always_uint(n, v.0), |v| v.u64().map(Timestamp), |v| Shown::Number(v.0);
    Sid: "bytes", |v| *v == Sid::default(), |v, n, w| w.always_bytes(n, &v.to_bytes()), |v| Sid::parse(v.bytes()?).map(|(sid, _)| sid), |v| Shown::Text(v.to_string());
    SecurityDescriptor: "string", |v| *v == SecurityDescriptor::default(), |v, n, w| w.always_bytes(n, v.to_sddl().as_bytes()),
        |v| text(v)?.parse(), |v| Shown::Text(v.to_sddl());
}

#[allow(clippy::cast_possible_truncation, reason = "it was one")]
fn single(value: Value<'_>) -> Result<f32> {
    double(value).map(|value| value as f32)
}

fn double(value: Value<'_>) -> Result<f64> {
    match value {
        Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
        _ => Err(malformed("a number with a fraction has another type")),
    }
}

/// An IP address field. The default is 0.0.0.0, which is left out of messages unless the field is
/// optional or repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub IpAddr);

impl Default for Address {
    fn default() -> Address {
        Address(IpAddr::from([0; 4]))
    }
}

/// A network field. The default is 0.0.0.0/0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Network(pub IpNet);

fields! {
    Address: "bytes", |v| *v == Address::default(), |v, n, w| put_address(v.0, n, w), |v| address(v.bytes()?).map(Address), |v| Shown::Text(v.0.to_string());
    Network: "bytes", |v| *v == Network::default(), |v, n, w| w.always_bytes(n, &network_bytes(v.0)), network, |v| Shown::Text(v.0.to_string());
}

/// Returns the bytes of the address, then the prefix length.
fn network_bytes(network: IpNet) -> Vec<u8> {
    let mut bytes = match network.addr() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    bytes.push(network.prefix_len());
    bytes
}

fn network(value: Value<'_>) -> Result<Network> {
    let (prefix, bytes) = value.bytes()?.split_last().ok_or_else(|| malformed("a network is empty"))?;
    IpNet::new(address(bytes)?, *prefix).map(Network).map_err(|_| malformed("a network's prefix is too long"))
}

impl Field for Key {
    fn is_default(&self) -> bool {
        self.len() == 0
    }

    /// Writes the key bytes, or only their length if the writer may not write keys.
    fn put_always(&self, number: u32, writer: &mut Writer<'_>) {
        writer.message(number, |writer| match writer.keys() {
            Some(keys) if !self.is_withheld() => writer.bytes(1, self.bytes(keys)),
            _ => writer.uint(2, self.len() as u64),
        });
    }

    fn take(&mut self, value: Value<'_>) -> Result {
        value.message()?.fields(|number, value| {
            match number {
                1 => *self = Key::new(value.bytes()?),
                2 => *self = Key::withheld(value.uint()?),
                _ => {}
            }
            Ok(())
        })
    }

    fn show(&self) -> Shown {
        Shown::Text(format!("({} bytes)", self.len()))
    }

    fn kind(schema: &mut Schema) -> String {
        schema.message("KeyMaterial", &["A key."], false, |_| {
            vec![
                (
                    1,
                    "key",
                    "bytes".to_owned(),
                    &["The key's bytes; only for callers with the right READ_KEYS."]
                        as &'static [&'static str],
                ),
                (
                    2,
                    "length",
                    "uint32".to_owned(),
                    &["The length of the key in bytes; for all other callers."] as &'static [&'static str],
                ),
            ]
        });
        "KeyMaterial".to_owned()
    }
}

/// Declares records, with the number of each field.
#[macro_export]
#[doc(hidden)]
macro_rules! records {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident {
            $($(#[doc = $field_doc:literal])* $number:literal $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[allow(clippy::exhaustive_structs, reason = "as Windows' structures")]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl $crate::record::Record for $name {
            const NAME: &'static str = stringify!($name);

            #[allow(unused_variables, reason = "of records without fields")]
            fn put(&self, writer: &mut $crate::protobuf::Writer<'_>) {
                $($crate::record::Field::put(&self.$field, $number, writer);)*
            }

            #[allow(unused_variables, reason = "of records without fields")]
            fn take(&mut self, number: u32, value: $crate::protobuf::Value<'_>) -> $crate::Result {
                match number {
                    $($number => $crate::record::Field::take(&mut self.$field, value).map_err(|error| {
                        $crate::record::in_field(error, stringify!($name), stringify!($field))
                    }),)*
                    _ => Ok(()),
                }
            }

            fn show(&self) -> $crate::record::Shown {
                $crate::record::Shown::Fields(vec![
                    $((stringify!($field), $crate::record::Field::show(&self.$field)),)*
                ])
            }

            fn describe(schema: &mut $crate::record::Schema) {
                #[allow(unused_variables, reason = "of records without fields")]
                schema.message(stringify!($name), &[$($doc),*], false, |schema| {
                    vec![$((
                        $number,
                        stringify!($field),
                        <$type as $crate::record::Field>::kind(schema),
                        &[$($field_doc),*] as &'static [&'static str],
                    ),)*]
                });
            }
        }
    )*};
}

/// Declares choices (`oneof`): enumerations whose variants hold a value and have a number. The first
/// variant is the default.
#[macro_export]
#[doc(hidden)]
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident {
            $(#[doc = $first_doc:literal])* $first_number:literal $first_field:ident $first:ident($first_type:ty),
            $($(#[doc = $variant_doc:literal])* $number:literal $field:ident $variant:ident($type:ty),)*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = $first_doc])* $first($first_type),
            $($(#[doc = $variant_doc])* $variant($type),)*
        }

        impl Default for $name {
            fn default() -> $name {
                $name::$first(Default::default())
            }
        }

        impl $crate::record::Record for $name {
            const NAME: &'static str = stringify!($name);

            fn put(&self, writer: &mut $crate::protobuf::Writer<'_>) {
                match self {
                    $name::$first(value) => $crate::record::Field::put_always(value, $first_number, writer),
                    $($name::$variant(value) => $crate::record::Field::put_always(value, $number, writer),)*
                }
            }

            fn take(&mut self, number: u32, value: $crate::protobuf::Value<'_>) -> $crate::Result {
                *self = match number {
                    $first_number => {
                        let mut content = <$first_type>::default();
                        $crate::record::Field::take(&mut content, value)?;
                        $name::$first(content)
                    }
                    $($number => {
                        let mut content = <$type>::default();
                        $crate::record::Field::take(&mut content, value)?;
                        $name::$variant(content)
                    })*
                    _ => return Ok(()),
                };
                Ok(())
            }

            fn show(&self) -> $crate::record::Shown {
                let (name, content) = match self {
                    $name::$first(value) => (stringify!($first_field), $crate::record::Field::show(value)),
                    $($name::$variant(value) => (stringify!($field), $crate::record::Field::show(value)),)*
                };
                $crate::record::Shown::Fields(vec![(name, content)])
            }

            fn describe(schema: &mut $crate::record::Schema) {
                schema.message(stringify!($name), &[$($doc),*], true, |schema| {
                    vec![
                        (
                            $first_number,
                            stringify!($first_field),
                            <$first_type as $crate::record::Field>::kind(schema),
                            &[$($first_doc),*] as &'static [&'static str],
                        ),
                        $((
                            $number,
                            stringify!($field),
                            <$type as $crate::record::Field>::kind(schema),
                            &[$($variant_doc),*] as &'static [&'static str],
                        ),)*
                    ]
                });
            }
        }
    )*};
}

/// Declares WFP enumerations: named numbers.
#[macro_export]
#[doc(hidden)]
macro_rules! numbers {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident $wfp:literal { $($(#[doc = $variant_doc:literal])* $variant:ident = $number:literal,)* }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub struct $name(u32);

        #[allow(non_upper_case_globals, reason = "the variants of an enumeration that is open on the wire")]
        impl $name {
            $($(#[doc = $variant_doc])* pub const $variant: $name = $name($number);)*

            /// All named values.
            pub const ALL: &[$name] = &[$($name($number)),*];

            /// Returns WFP's number for the value.
            pub const fn wfp(self) -> u32 {
                self.0
            }

            /// Returns the value that has this number in WFP.
            ///
            /// # Errors
            /// `FWP_E_INVALID_ENUMERATOR` if no value has it.
            pub fn from_wfp(number: u32) -> $crate::Result<$name> {
                match number {
                    $($number => Ok($name::$variant),)*
                    _ => Err($crate::Error::new(
                        $crate::Code::FWP_E_INVALID_ENUMERATOR,
                        format!(concat!("{} is not a value of ", $wfp), number),
                    )),
                }
            }

            /// Returns the name of the value, or `unknown` if it has none.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($variant),)*
                    _ => "unknown",
                }
            }
        }

        impl $crate::record::Field for $name {
            fn is_default(&self) -> bool {
                self.0 == 0
            }

            fn put_always(&self, number: u32, writer: &mut $crate::protobuf::Writer<'_>) {
                writer.always_uint(number, u64::from(self.0));
            }

            fn take(&mut self, value: $crate::protobuf::Value<'_>) -> $crate::Result {
                *self = $name::from_wfp(value.uint()?)?;
                Ok(())
            }

            fn show(&self) -> $crate::record::Shown {
                $crate::record::Shown::Text(self.name().to_owned())
            }

            fn kind(_schema: &mut $crate::record::Schema) -> String {
                "uint32".to_owned()
            }
        }
    )*};
}
