//! The wire codec: how messages are encoded in bytes.
//!
//! Messages with SA contexts, events, objects or net events are converted directly between the API's
//! types and bytes; a page is encoded once, while its claim is held. prost handles all other messages.

use openwfp_api::protobuf as bytes;
mod linux;
pub(crate) mod object;
mod page;
mod sa;
mod step;
#[cfg(test)]
mod tests;

use ::bytes::Buf;
use ::bytes::BufMut;
use ::bytes::Bytes;
use std::fmt;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::Codec;
use tonic::codec::DecodeBuf;
use tonic::codec::Decoder;
use tonic::codec::EncodeBuf;
use tonic::codec::Encoder;

#[doc(hidden)]
pub use object::object_proto;
pub(crate) use page::ContextPage;
pub(crate) use page::EventPage;
pub(crate) use page::SaPage;
pub(crate) use page::decode_contexts;
pub(crate) use page::decode_events;
pub(crate) use page::decode_sas;
pub(crate) use page::event_kind;
pub(crate) use page::event_kinds;
pub(crate) use sa::get_address;
pub(crate) use sa::get_guid;
pub(crate) use sa::guid_bytes;
pub(crate) use sa::network;
pub(crate) use step::decode_batch;
pub(crate) use step::decode_step;
pub(crate) use step::encode_batch;
pub(crate) use step::encode_step;
pub(crate) use step::token;

/// Decodes one `SaContext` message. For tests and fuzzers.
///
/// # Errors
/// `RPC_E_INVALID_DATAPACKET` if the bytes are not a valid message, and the codes of invalid values,
/// such as `FWP_E_INVALID_ENUMERATOR` and `FWP_E_OUT_OF_BOUNDS`.
pub fn decode_context(bytes: &[u8]) -> openwfp_api::Result<openwfp_api::SaContext> {
    sa::get_context(bytes::Reader::new(bytes))
}

/// Encodes one SA context as an `SaContext` message, with key bytes if `keys` is given. For tests and
/// fuzzers.
pub fn encode_context(context: &openwfp_api::SaContext, keys: Option<&openwfp_api::KeyAccess>) -> Vec<u8> {
    let mut writer = bytes::Writer::new(keys);
    sa::put_context(&mut writer, context);
    writer.into_bytes()
}

/// Decodes arbitrary bytes as each of the messages that this codec reads and discards the results. For
/// fuzzers.
#[doc(hidden)]
pub fn decode_all(bytes: &[u8]) {
    drop(decode_contexts(bytes));
    drop(decode_sas(bytes));
    drop(decode_events(bytes));
    drop(decode_step(bytes));
    drop(decode_batch(bytes));
    drop(<object::ObjectStepRequest as openwfp_api::record::Record>::decode(bytes));
    drop(object::decode_page::<openwfp_api::object::Object>(bytes));
    drop(object::decode_page::<openwfp_api::object::net_event::NetEvent>(bytes));
}

/// An encoded message. It may contain keys, so `Debug` prints only its length.
#[derive(Clone, Default, PartialEq)]
pub struct Raw(pub(crate) Bytes);

impl Raw {
    /// Decodes the contexts of an `SaContextPage`.
    ///
    /// # Errors
    /// Those of [`decode_context`].
    pub fn contexts(&self) -> openwfp_api::Result<Vec<std::sync::Arc<openwfp_api::SaContext>>> {
        decode_contexts(&self.0).map(|(contexts, _)| contexts)
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// A message that can be sent and received.
pub(crate) trait Message: Sized + Send + 'static {
    fn put(self, out: &mut EncodeBuf<'_>) -> Result<(), Status>;
    fn take(input: &mut DecodeBuf<'_>) -> Result<Self, Status>;
}

impl Message for Raw {
    fn put(self, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(self.0);
        Ok(())
    }

    fn take(input: &mut DecodeBuf<'_>) -> Result<Raw, Status> {
        Ok(Raw(input.copy_to_bytes(input.remaining())))
    }
}

impl<M: prost::Message + Default + 'static> Message for M {
    fn put(self, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.encode(out).map_err(|error| Status::internal(error.to_string()))
    }

    fn take(input: &mut DecodeBuf<'_>) -> Result<M, Status> {
        M::decode(input).map_err(|error| {
            crate::status::to_status(&bytes::malformed(&format!("a message cannot be read: {error}")))
        })
    }
}

/// The codec of all calls of the service.
#[derive(Debug)]
pub(crate) struct WireCodec<T, U>(PhantomData<(T, U)>);

/// The encoder of [`WireCodec`].
#[derive(Debug)]
pub(crate) struct WireEncoder<T>(PhantomData<T>);

/// The decoder of [`WireCodec`].
#[derive(Debug)]
pub(crate) struct WireDecoder<U>(PhantomData<U>);

impl<T, U> Default for WireCodec<T, U> {
    fn default() -> Self {
        WireCodec(PhantomData)
    }
}

impl<T: Message, U: Message> Codec for WireCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = WireEncoder<T>;
    type Decoder = WireDecoder<U>;

    fn encoder(&mut self) -> WireEncoder<T> {
        WireEncoder(PhantomData)
    }

    fn decoder(&mut self) -> WireDecoder<U> {
        WireDecoder(PhantomData)
    }
}

impl<T: Message> Encoder for WireEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.put(out)
    }
}

impl<U: Message> Decoder for WireDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::take(input).map(Some)
    }
}
