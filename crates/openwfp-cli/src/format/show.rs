//! One SA context in full, as text.

use super::words;
use openwfp::api::Direction;
use openwfp::api::KeyAccess;
use openwfp::api::LinuxExtras;
use openwfp::api::LinuxSa;
use openwfp::api::Sa;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
use std::io;
use std::io::Write;
use std::sync::atomic::Ordering;

pub(crate) fn write(out: &mut dyn Write, context: &SaContext, keys: Option<&KeyAccess>) -> io::Result<()> {
    let pairs = words::pairs(context);
    writeln!(out, "SA context {}", context.id)?;
    writeln!(out, "  state      {}", context.state.word())?;
    writeln!(out, "  mode       {}", context.traffic.mode)?;
    writeln!(out, "  local      {}", context.traffic.endpoints.local())?;
    writeln!(out, "  remote     {}", context.traffic.endpoints.remote())?;
    if pairs.is_empty() {
        writeln!(out, "  selectors  - (no policy)")?;
    }
    for (place, [local, remote]) in pairs.iter().enumerate() {
        let name = if place == 0 { "selectors" } else { "" };
        writeln!(out, "  {name:<9}  {local} <=> {remote}")?;
    }
    if let Some(packet) = context.acquire() {
        writeln!(out, "  asked for  {}", words::packet(packet))?;
    }
    if let Some(spi) = words::larval_spi(context) {
        writeln!(out, "  SPI in     {spi}, no SA yet")?;
    }
    for (direction, details) in context.directions() {
        write_details(out, context, direction, details, keys)?;
    }
    Ok(())
}

fn write_details(
    out: &mut dyn Write,
    context: &SaContext,
    direction: Direction,
    details: &SaDetails,
    keys: Option<&KeyAccess>,
) -> io::Result<()> {
    let heading = match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    };
    writeln!(out, "  {heading}")?;
    for sa in details.bundle.sas.iter() {
        write_sa(out, sa, keys)?;
    }
    writeln!(out, "    lifetime   {}", words::lifetime(details))?;
    if let Some(udp) = details.udp_encapsulation {
        writeln!(out, "    in UDP     local port {}, remote port {}", udp.local_port, udp.remote_port)?;
    }
    let counters = context.counters.direction(direction);
    let (bytes, packets) = counters.traffic();
    writeln!(out, "    counters   {bytes} bytes, {packets} packets")?;
    let (total_bytes, total_packets) = context.counters.total(direction);
    if (total_bytes, total_packets) != (bytes, packets) {
        writeln!(
            out,
            "               {total_bytes} bytes, {total_packets} packets with earlier generations"
        )?;
    }
    let drops = [
        (&counters.replay_window_drops, "outside the replay window"),
        (&counters.replay_drops, "replayed"),
        (&counters.integrity_failures, "with a wrong integrity check value"),
    ];
    for (cell, what) in drops {
        let number = cell.load(Ordering::Relaxed);
        if number != 0 {
            writeln!(out, "    dropped    {number} packets {what}")?;
        }
    }
    if details.filter_id.0 != 0 {
        writeln!(out, "    filter     {}", details.filter_id.0)?;
    }
    Ok(())
}

fn write_sa(out: &mut dyn Write, sa: &Sa, keys: Option<&KeyAccess>) -> io::Result<()> {
    writeln!(out, "    {:<9}  {} {}", sa.transform.protocol(), sa.spi, words::name(sa))?;
    if let Some(linux) = &sa.linux {
        write_linux(out, linux)?;
    }
    if let Some(access) = keys {
        for key in sa.transform.keys() {
            let text = words::key(key, access).unwrap_or_else(|| "hidden by the kernel (lockdown)".into());
            writeln!(out, "      key      {text}")?;
        }
    }
    Ok(())
}

fn write_linux(out: &mut dyn Write, linux: &LinuxSa) -> io::Result<()> {
    let esn = if linux.esn { ", extended sequence numbers" } else { "" };
    writeln!(out, "      reqid    {}", linux.reqid)?;
    match linux.replay_window {
        0 => writeln!(out, "      replay   no protection{esn}")?,
        1 => writeln!(out, "      replay   window of 1 packet{esn}")?,
        window => writeln!(out, "      replay   window of {window} packets{esn}")?,
    }
    let times = [("added", linux.added), ("used", linux.first_used)];
    for (what, time) in times {
        if let Some(time) = words::time(time) {
            writeln!(out, "      {what:<8} {time}")?;
        }
    }
    if linux.soft_add_seconds != 0 {
        writeln!(out, "      rekey    {} after it was added", words::duration(linux.soft_add_seconds))?;
    }
    match &linux.extras {
        Some(extras) => write_extras(out, extras),
        None => Ok(()),
    }
}

fn write_extras(out: &mut dyn Write, extras: &LinuxExtras) -> io::Result<()> {
    if let Some(mark) = extras.mark {
        writeln!(out, "      mark     {:#x}/{:#x}", mark.value, mark.mask)?;
    }
    if let Some(mark) = extras.output_mark {
        writeln!(out, "      sets     mark {:#x}/{:#x}", mark.value, mark.mask)?;
    }
    if extras.if_id != 0 {
        writeln!(out, "      if_id    {:#x}", extras.if_id)?;
    }
    if extras.tfc_padding != 0 {
        writeln!(out, "      padding  to {} bytes", extras.tfc_padding)?;
    }
    if let Some(offload) = extras.offload {
        writeln!(out, "      offload  interface {}, flags {:#x}", offload.interface, offload.flags)?;
    }
    if let Some(replay) = &extras.replay {
        writeln!(
            out,
            "      sequence {} received, {} sent",
            replay.inbound_sequence, replay.outbound_sequence
        )?;
    }
    for attribute in &extras.unknown {
        writeln!(out, "      unknown  attribute {} of {} bytes", attribute.kind, attribute.bytes.len())?;
    }
    Ok(())
}
