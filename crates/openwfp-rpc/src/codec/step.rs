//! Encodes and decodes steps and batches.

use super::bytes::Reader;
use super::bytes::Writer;
use super::bytes::malformed;
use super::sa::get_bundle;
use super::sa::get_context;
use super::sa::get_traffic;
use super::sa::get_udp;
use super::sa::get_virtual_if;
use super::sa::put_bundle;
use super::sa::put_context;
use super::sa::put_traffic;
use super::sa::put_udp;
use super::sa::put_virtual_if;
use super::sa::spi;
use openwfp_api::BatchMode;
use openwfp_api::BundlePair;
use openwfp_api::FilterId;
use openwfp_api::InboundRequest;
use openwfp_api::KeyAccess;
use openwfp_api::NewSaContext;
use openwfp_api::Result;
use openwfp_api::SaBundle;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::UpdateFlags;

/// Encodes an `SaContextStepRequest`.
pub(crate) fn encode_step(session: &[u8], step: &SaContextStep) -> Vec<u8> {
    // A client's steps contain its own keys, so these are always sent.
    let keys = KeyAccess::grant();
    let mut writer = Writer::with_capacity(512, Some(&keys));
    writer.bytes(1, session);
    writer.message(2, |writer| put_step(writer, step));
    writer.into_bytes()
}

pub(crate) fn decode_step(bytes: &[u8]) -> Result<(&[u8], SaContextStep)> {
    let (mut session, mut step) = (&[][..], None);
    Reader::new(bytes).fields(|field, value| {
        match field {
            1 => session = value.bytes()?,
            2 => step = Some(get_step(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok((session, step.ok_or_else(|| malformed("the step is missing"))?))
}

/// Returns the session's token in a request, which is its first field; empty if it is not.
pub(crate) fn token(request: &[u8]) -> &[u8] {
    match request {
        // Field 1, of bytes, whose length takes one byte.
        [0x0a, length @ 0..0x80, rest @ ..] => rest.get(..usize::from(*length)).unwrap_or_default(),
        _ => &[],
    }
}

/// Encodes an `SaContextBatchRequest`.
pub(crate) fn encode_batch(session: &[u8], steps: &[SaContextStep], mode: BatchMode) -> Vec<u8> {
    let keys = KeyAccess::grant();
    let mut writer = Writer::with_capacity(512 * steps.len(), Some(&keys));
    writer.bytes(1, session);
    for step in steps {
        writer.message(2, |writer| put_step(writer, step));
    }
    writer.uint(3, mode == BatchMode::AllOrNothing);
    writer.into_bytes()
}

pub(crate) fn decode_batch(bytes: &[u8]) -> Result<(&[u8], Vec<SaContextStep>, BatchMode)> {
    let (mut session, mut steps, mut mode) = (&[][..], Vec::new(), BatchMode::Each);
    Reader::new(bytes).fields(|field, value| {
        match field {
            1 => session = value.bytes()?,
            2 => {
                BatchMode::check_count(steps.len() + 1)?;
                steps.push(get_step(value.message()?)?);
            }
            3 if value.u64()? != 0 => mode = BatchMode::AllOrNothing,
            _ => {}
        }
        Ok(())
    })?;
    Ok((session, steps, mode))
}

pub(crate) fn put_step(writer: &mut Writer<'_>, step: &SaContextStep) {
    match step {
        SaContextStep::Create(new) => writer.message(1, |writer| put_new(writer, new)),
        SaContextStep::GetSpi(id, request) => writer.message(2, |writer| {
            writer.uint(1, id.0);
            writer.message(2, |writer| put_request(writer, request));
        }),
        SaContextStep::SetSpi(id, request, spi) => writer.message(3, |writer| {
            writer.uint(1, id.0);
            writer.message(2, |writer| put_request(writer, request));
            writer.fixed32(3, spi.get());
        }),
        SaContextStep::AddInbound(id, bundle) => writer.message(4, |writer| put_one(writer, *id, bundle)),
        SaContextStep::AddOutbound(id, bundle) => writer.message(5, |writer| put_one(writer, *id, bundle)),
        SaContextStep::Update(flags, values) => writer.message(6, |writer| {
            writer.uint(1, flags.bits());
            writer.message(2, |writer| put_context(writer, values));
        }),
        SaContextStep::Expire(id) => writer.always_uint(7, id.0),
        SaContextStep::Delete(id) => writer.always_uint(8, id.0),
        SaContextStep::Reserve(new, request) => writer.message(9, |writer| {
            writer.message(1, |writer| put_new(writer, new));
            writer.message(2, |writer| put_request(writer, request));
        }),
        SaContextStep::Complete(id, pair) => writer.message(10, |writer| {
            writer.uint(1, id.0);
            writer.message(2, |writer| put_bundle(writer, &pair.inbound));
            writer.message(3, |writer| put_bundle(writer, &pair.outbound));
        }),
        SaContextStep::Establish(new, request, pair) => writer.message(11, |writer| {
            writer.message(1, |writer| put_new(writer, new));
            writer.message(2, |writer| put_request(writer, request));
            writer.message(3, |writer| put_bundle(writer, &pair.inbound));
            writer.message(4, |writer| put_bundle(writer, &pair.outbound));
        }),
        // The enum is non-exhaustive, but all current variants are listed above.
        _ => {}
    }
}

pub(crate) fn get_step(reader: Reader<'_>) -> Result<SaContextStep> {
    let mut step = None;
    reader.fields(|field, value| {
        step = Some(match field {
            1 => SaContextStep::Create(get_new(value.message()?)?),
            2 | 3 => {
                let mut parts = Parts::read(value.message()?, &[Id, Request, SpiNumber])?;
                match field {
                    2 => SaContextStep::GetSpi(parts.id, parts.request()?),
                    _ => SaContextStep::SetSpi(parts.id, parts.request()?, spi(parts.spi)?),
                }
            }
            4 | 5 => {
                let mut parts = Parts::read(value.message()?, &[Id, Bundle])?;
                match field {
                    4 => SaContextStep::AddInbound(parts.id, parts.bundle()?),
                    _ => SaContextStep::AddOutbound(parts.id, parts.bundle()?),
                }
            }
            6 => get_update(value.message()?)?,
            7 => SaContextStep::Expire(SaContextId(value.u64()?)),
            8 => SaContextStep::Delete(SaContextId(value.u64()?)),
            10 => {
                let mut parts = Parts::read(value.message()?, &[Id, Bundle, Bundle])?;
                SaContextStep::Complete(parts.id, parts.pair()?)
            }
            9 | 11 => {
                let mut parts = Parts::read(value.message()?, &[New, Request, Bundle, Bundle])?;
                match field {
                    9 => SaContextStep::Reserve(parts.context()?, parts.request()?),
                    _ => SaContextStep::Establish(parts.context()?, parts.request()?, parts.pair()?),
                }
            }
            _ => return Ok(()),
        });
        Ok(())
    })?;
    step.ok_or_else(|| malformed("this version does not know the step"))
}

use Part::*;

/// The parts that step messages consist of. A message's fields are numbered from 1 in the order of its
/// parts.
#[derive(Clone, Copy)]
enum Part {
    Id,
    New,
    Request,
    SpiNumber,
    Bundle,
}

struct Parts {
    id: SaContextId,
    spi: u32,
    new: Option<NewSaContext>,
    request: Option<InboundRequest>,
    /// With their field numbers, in ascending order: inbound before outbound.
    bundles: Vec<(u32, SaBundle)>,
}

impl Parts {
    fn read(reader: Reader<'_>, shape: &[Part]) -> Result<Parts> {
        let mut parts =
            Parts { id: SaContextId(0), spi: 0, new: None, request: None, bundles: Vec::with_capacity(2) };
        reader.fields(|field, value| {
            match shape.get(field as usize - 1) {
                Some(Id) => parts.id = SaContextId(value.u64()?),
                Some(New) => parts.new = Some(get_new(value.message()?)?),
                Some(Request) => parts.request = Some(get_request(value.message()?)?),
                Some(SpiNumber) => parts.spi = value.uint()?,
                Some(Bundle) => {
                    // If a field is repeated, the last one counts.
                    parts.bundles.retain(|(other, _)| *other != field);
                    parts.bundles.push((field, get_bundle(value.message()?)?));
                }
                None => {}
            }
            Ok(())
        })?;
        parts.bundles.sort_by_key(|(field, _)| *field);
        Ok(parts)
    }

    fn context(&mut self) -> Result<NewSaContext> {
        self.new.take().ok_or_else(|| malformed("the new SA context is missing"))
    }

    fn request(&mut self) -> Result<InboundRequest> {
        self.request.take().ok_or_else(|| malformed("the request for an inbound SPI is missing"))
    }

    fn bundle(&mut self) -> Result<SaBundle> {
        self.bundles.pop().map(|(_, bundle)| bundle).ok_or_else(|| malformed("a bundle is missing"))
    }

    fn pair(&mut self) -> Result<Box<BundlePair>> {
        let outbound = self.bundle()?;
        Ok(Box::new(BundlePair { inbound: self.bundle()?, outbound }))
    }
}

fn get_update(reader: Reader<'_>) -> Result<SaContextStep> {
    let (mut flags, mut values) = (UpdateFlags::default(), None);
    reader.fields(|field, value| {
        match field {
            1 => flags = UpdateFlags::from_bits(value.u64()?)?,
            2 => values = Some(get_context(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let values = values.ok_or_else(|| malformed("the values of an update are missing"))?;
    Ok(SaContextStep::Update(flags, Box::new(values)))
}

fn put_one(writer: &mut Writer<'_>, id: SaContextId, bundle: &SaBundle) {
    writer.uint(1, id.0);
    writer.message(2, |writer| put_bundle(writer, bundle));
}

fn put_new(writer: &mut Writer<'_>, new: &NewSaContext) {
    writer.message(1, |writer| put_traffic(writer, &new.traffic));
    writer.uint(2, new.filter_id.0);
    put_virtual_if(writer, 3, new.virtual_if_tunnel.as_ref());
}

fn get_new(reader: Reader<'_>) -> Result<NewSaContext> {
    let (mut traffic, mut filter_id, mut virtual_if_tunnel) = (None, 0, None);
    reader.fields(|field, value| {
        match field {
            1 => traffic = Some(get_traffic(value.message()?)?),
            2 => filter_id = value.u64()?,
            3 => virtual_if_tunnel = Some(get_virtual_if(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let traffic = traffic.ok_or_else(|| malformed("a new SA context's traffic is missing"))?;
    Ok(NewSaContext { traffic, filter_id: FilterId(filter_id), virtual_if_tunnel })
}

fn put_request(writer: &mut Writer<'_>, request: &InboundRequest) {
    writer.message(1, |writer| put_traffic(writer, &request.traffic));
    writer.uint(2, request.filter_id.0);
    put_udp(writer, 3, request.udp_encapsulation);
}

fn get_request(reader: Reader<'_>) -> Result<InboundRequest> {
    let (mut traffic, mut filter_id, mut udp_encapsulation) = (None, 0, None);
    reader.fields(|field, value| {
        match field {
            1 => traffic = Some(get_traffic(value.message()?)?),
            2 => filter_id = value.u64()?,
            3 => udp_encapsulation = Some(get_udp(value.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    let traffic = traffic.ok_or_else(|| malformed("an SPI's traffic is missing"))?;
    Ok(InboundRequest { traffic, filter_id: FilterId(filter_id), udp_encapsulation })
}
