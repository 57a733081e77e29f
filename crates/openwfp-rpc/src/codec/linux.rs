//! Encodes and decodes the Linux-specific part of an SA.

use super::bytes::Reader;
use super::bytes::Writer;
use super::sa::get_address;
use super::sa::get_selector;
use super::sa::put_address;
use super::sa::put_selector;
use openwfp_api::HardwareOffload;
use openwfp_api::Limits;
use openwfp_api::LinuxExtras;
use openwfp_api::LinuxSa;
use openwfp_api::Mark;
use openwfp_api::Replay;
use openwfp_api::Result;
use openwfp_api::UnknownAttribute;
use openwfp_api::bounds;

pub(crate) fn put_linux(writer: &mut Writer<'_>, linux: &LinuxSa) {
    writer.uint(1, linux.reqid);
    writer.uint(2, linux.flags);
    writer.uint(3, linux.esn);
    writer.uint(4, linux.extra_flags);
    writer.uint(5, linux.replay_window);
    writer.uint(6, linux.added);
    writer.uint(7, linux.first_used);
    writer.uint(8, linux.soft_add_seconds);
    writer.uint(9, linux.hard_add_seconds);
    if linux.extras.is_some() || linux.guessed_direction {
        writer.message(10, |writer| {
            if let Some(extras) = &linux.extras {
                put_extras(writer, extras);
            }
            // Version 1 has it here.
            writer.uint(18, linux.guessed_direction);
        });
    }
}

pub(crate) fn get_linux(reader: Reader<'_>) -> Result<LinuxSa> {
    let mut linux = LinuxSa::default();
    reader.fields(|field, value| {
        match field {
            1 => linux.reqid = value.uint()?,
            2 => linux.flags = value.uint()?,
            3 => linux.esn = value.u64()? != 0,
            4 => linux.extra_flags = value.uint()?,
            5 => linux.replay_window = value.uint()?,
            6 => linux.added = value.u64()?,
            7 => linux.first_used = value.u64()?,
            8 => linux.soft_add_seconds = value.u64()?,
            9 => linux.hard_add_seconds = value.u64()?,
            10 => {
                let (extras, guessed_direction) = get_extras(value.message()?)?;
                linux.guessed_direction = guessed_direction;
                linux.extras = Some(extras).filter(|extras| *extras != LinuxExtras::default()).map(Box::new);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(linux)
}

fn put_extras(writer: &mut Writer<'_>, extras: &LinuxExtras) {
    if extras.limits != Limits::default() {
        writer.message(1, |writer| put_limits(writer, &extras.limits));
    }
    if let Some(selector) = &extras.selector {
        writer.message(2, |writer| put_selector(writer, selector));
    }
    for (field, mark) in [(3, extras.mark), (4, extras.output_mark)] {
        if let Some(mark) = mark {
            writer.message(field, |writer| {
                writer.uint(1, mark.value);
                writer.uint(2, mark.mask);
            });
        }
    }
    writer.uint(5, extras.if_id);
    writer.uint(6, extras.tfc_padding);
    writer.uint(7, extras.nat_keepalive_interval);
    if let Some(cpu) = extras.cpu {
        writer.always_uint(8, cpu.into());
    }
    writer.uint(9, extras.acquire_sequence);
    if let Some(offload) = extras.offload {
        writer.message(10, |writer| {
            writer.uint(1, offload.interface);
            writer.uint(2, offload.flags);
        });
    }
    if let Some(address) = extras.encapsulation_original {
        put_address(writer, 11, address);
    }
    writer.uint(12, extras.encapsulation_type);
    if let Some(address) = extras.care_of {
        put_address(writer, 13, address);
    }
    if let Some(context) = &extras.security_context {
        writer.always_bytes(14, context.as_bytes());
    }
    if let Some(replay) = &extras.replay {
        writer.message(15, |writer| {
            writer.uint(1, replay.inbound_sequence);
            writer.uint(2, replay.outbound_sequence);
            writer.packed(3, &replay.bitmap);
        });
    }
    for name in &extras.algorithm_names {
        writer.always_bytes(16, name.as_bytes());
    }
    for attribute in &extras.unknown {
        writer.message(17, |writer| {
            writer.uint(1, attribute.kind);
            writer.bytes(2, &attribute.bytes);
        });
    }
}

/// Returns the properties, and whether the direction is a guess.
fn get_extras(reader: Reader<'_>) -> Result<(LinuxExtras, bool)> {
    let (mut extras, mut guessed_direction) = (LinuxExtras::default(), false);
    let (mut names, mut unknown) = (Vec::new(), Vec::new());
    reader.fields(|field, value| {
        match field {
            1 => extras.limits = get_limits(value.message()?)?,
            2 => extras.selector = Some(get_selector(value.message()?)?),
            3 => extras.mark = Some(get_mark(value.message()?)?),
            4 => extras.output_mark = Some(get_mark(value.message()?)?),
            5 => extras.if_id = value.uint()?,
            6 => extras.tfc_padding = value.uint()?,
            7 => extras.nat_keepalive_interval = value.uint()?,
            8 => extras.cpu = Some(value.uint()?),
            9 => extras.acquire_sequence = value.uint()?,
            10 => extras.offload = Some(get_offload(value.message()?)?),
            11 => extras.encapsulation_original = Some(get_address(value.bytes()?)?),
            12 => extras.encapsulation_type = value.uint()?,
            13 => extras.care_of = Some(get_address(value.bytes()?)?),
            14 => extras.security_context = Some(super::sa::bounded("security_context", value.text()?)?),
            15 => extras.replay = Some(Box::new(get_replay(value.message()?)?)),
            16 => {
                bounds::check_room("algorithm_names", names.len(), bounds::SHORT_LIST)?;
                names.push(super::sa::bounded("algorithm_names", value.text()?)?);
            }
            17 => {
                bounds::check_room("unknown", unknown.len(), bounds::SHORT_LIST)?;
                unknown.push(get_unknown(value.message()?)?);
            }
            18 => guessed_direction = value.u64()? != 0,
            _ => {}
        }
        Ok(())
    })?;
    extras.algorithm_names = names.into();
    extras.unknown = unknown.into();
    Ok((extras, guessed_direction))
}

fn put_limits(writer: &mut Writer<'_>, limits: &Limits) {
    writer.uint(1, limits.soft_bytes);
    writer.uint(2, limits.hard_bytes);
    writer.uint(3, limits.soft_packets);
    writer.uint(4, limits.hard_packets);
    writer.uint(5, limits.soft_use_seconds);
    writer.uint(6, limits.hard_use_seconds);
}

fn get_limits(reader: Reader<'_>) -> Result<Limits> {
    let mut limits = Limits::default();
    reader.fields(|field, value| {
        match field {
            1 => limits.soft_bytes = value.u64()?,
            2 => limits.hard_bytes = value.u64()?,
            3 => limits.soft_packets = value.u64()?,
            4 => limits.hard_packets = value.u64()?,
            5 => limits.soft_use_seconds = value.u64()?,
            6 => limits.hard_use_seconds = value.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(limits)
}

fn get_mark(reader: Reader<'_>) -> Result<Mark> {
    let mut mark = Mark::default();
    reader.fields(|field, value| {
        match field {
            1 => mark.value = value.uint()?,
            2 => mark.mask = value.uint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(mark)
}

fn get_offload(reader: Reader<'_>) -> Result<HardwareOffload> {
    let mut offload = HardwareOffload { interface: 0, flags: 0 };
    reader.fields(|field, value| {
        match field {
            1 => offload.interface = value.uint()?,
            2 => offload.flags = value.uint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(offload)
}

fn get_replay(reader: Reader<'_>) -> Result<Replay> {
    let (mut replay, mut bitmap) = (Replay::default(), Vec::new());
    reader.fields(|field, value| {
        match field {
            1 => replay.inbound_sequence = value.u64()?,
            2 => replay.outbound_sequence = value.u64()?,
            3 => value.packed(&mut bitmap)?,
            _ => {}
        }
        Ok(())
    })?;
    replay.bitmap = bitmap.into();
    Ok(replay)
}

fn get_unknown(reader: Reader<'_>) -> Result<UnknownAttribute> {
    let mut attribute = UnknownAttribute { kind: 0, bytes: Box::default() };
    reader.fields(|field, value| {
        match field {
            1 => attribute.kind = value.uint()?,
            2 => attribute.bytes = value.bytes()?.into(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(attribute)
}
