//! One SA context in full, as text. It is made of the JSON of the context, so that nothing is in one and missing in the other.

use super::json;
use super::words;
use openwfp::api::Direction;
use openwfp::api::KeyAccess;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
use serde_json::Map;
use serde_json::Value;
use std::io;
use std::io::Write;

/// A line: its label and its text.
type Line = (String, String);

pub(crate) fn write(out: &mut dyn Write, context: &SaContext, keys: Option<&KeyAccess>) -> io::Result<()> {
    let value = json::value(context, keys);
    let Value::Object(mut members) = value else { return Ok(()) };
    writeln!(out, "SA context {}", context.id)?;
    members.remove("id");
    for name in ["state", "mode", "local", "remote"] {
        if let Some(value) = members.remove(name) {
            writeln!(out, "  {name:<9}  {}", text(&value))?;
        }
    }
    write_selectors(out, members.remove("selectors"))?;
    let directions = context
        .directions()
        .map(|(direction, details)| (direction, details, members.remove(word(direction))));
    let directions: Vec<_> = directions.collect();
    if let Some(packet) = context.acquire() {
        members.remove("acquire");
        writeln!(out, "  asked for  {}", words::packet(packet))?;
    }
    if let Some(spi) = members.remove("larval_spi") {
        writeln!(out, "  SPI in     {}, no SA yet", text(&spi))?;
    }
    for (name, value) in members {
        writeln!(out, "  {:<9}  {}", label(&name), text(&value))?;
    }
    for (direction, details, members) in directions {
        if let Some(Value::Object(members)) = members {
            writeln!(out, "  {}", word(direction))?;
            write_details(out, details, members, direction == Direction::Inbound)?;
        }
    }
    Ok(())
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn write_selectors(out: &mut dyn Write, selectors: Option<Value>) -> io::Result<()> {
    let selectors = selectors.unwrap_or_default();
    let pairs: Vec<String> = selectors["pairs"].as_array().into_iter().flatten().map(pair).collect();
    let is_any = |pair: &String| ["0.0.0.0/0 <=> 0.0.0.0/0", "::/0 <=> ::/0"].contains(&&**pair);
    let note = if selectors["from"] == "policy" { "" } else { " (no policy; the SA's own)" };
    // That an SA accepts all packets does not mean that all are protected.
    if pairs.is_empty() || !note.is_empty() && pairs.iter().all(is_any) {
        return writeln!(out, "  selectors  - (no policy)");
    }
    for (place, pair) in pairs.iter().enumerate() {
        let name = if place == 0 { "selectors" } else { "" };
        writeln!(out, "  {name:<9}  {pair}{note}")?;
    }
    Ok(())
}

fn write_details(
    out: &mut dyn Write,
    details: &SaDetails,
    mut members: Map<String, Value>,
    inbound: bool,
) -> io::Result<()> {
    for sa in members.remove("sas").iter().flat_map(|sas| sas.as_array()).flatten() {
        if let Value::Object(sa) = sa {
            write_sa(out, sa.clone(), inbound)?;
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |label: &str, text: String| lines.push((label.to_owned(), text));
    add("lifetime", words::lifetime(details));
    let lifetime = members.remove("lifetime").unwrap_or_default();
    if let Some(seconds) = lifetime["idle_seconds"].as_u64() {
        add("idle limit", format!("{} without traffic", words::duration(seconds)));
    }
    let soft = soft_limits(&lifetime);
    if !soft.is_empty() {
        add("rekey at", soft);
    }
    if let Some(Value::Object(encapsulation)) = members.remove("encapsulation") {
        let name = match encapsulation["type"].as_str() {
            Some("tcp") => "in TCP",
            Some("udp") => "in UDP",
            Some("udp-draft") => "in UDP (draft)",
            _ => "encapsulated",
        };
        let ports = [&encapsulation["local_port"], &encapsulation["remote_port"]].map(text);
        add(name, format!("local port {}, remote port {}", ports[0], ports[1]));
    }
    if let Some(Value::Object(counters)) = members.remove("counters") {
        let number = |name: &str| counters.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (bytes, packets) = (number("bytes"), number("packets"));
        add("counters", format!("{bytes} bytes, {packets} packets"));
        let total = (number("total_bytes"), number("total_packets"));
        if total != (bytes, packets) {
            add("", format!("{} bytes, {} packets with earlier generations", total.0, total.1));
        }
        for (name, what) in [
            ("replay_window_drops", "outside the replay window"),
            ("replay_drops", "replayed"),
            ("integrity_failures", "with a wrong integrity check value"),
        ] {
            if number(name) != 0 {
                add("dropped", format!("{} packets {what}", number(name)));
            }
        }
    }
    if let Some(Value::Object(times)) = members.remove("times") {
        for (name, label) in [
            ("added", "added"),
            ("first_used", "first used"),
            ("last_used", "last used"),
            ("soft_expires", "rekey"),
            ("expires", "expires"),
        ] {
            if let Some(Value::String(time)) = times.get(name) {
                add(label, time.clone());
            }
        }
    }
    match members.remove("filter_id") {
        Some(Value::Number(id)) if id.as_u64() != Some(0) => add("filter", id.to_string()),
        _ => {}
    }
    for (name, value) in &members {
        add(&label(name), text(value));
    }
    for (label, text) in lines {
        writeln!(out, "    {label:<11}  {text}")?;
    }
    Ok(())
}

/// Returns the soft limits of a lifetime in words; empty if there are none.
fn soft_limits(lifetime: &Value) -> String {
    let number = |name: &str| lifetime[name].as_u64().filter(|number| *number != 0);
    let time = |name: &str, more: &str| number(name).map(|seconds| words::duration(seconds) + more);
    let count = |name: &str, unit: &str| number(name).map(|number| format!("{number} {unit}"));
    let soft = [
        time("soft_seconds", " after it was added"),
        time("soft_use_seconds", " after its first use"),
        count("soft_bytes", "bytes"),
        count("soft_packets", "packets"),
    ];
    soft.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn write_sa(out: &mut dyn Write, mut sa: Map<String, Value>, inbound: bool) -> io::Result<()> {
    let mut take = |name: &str| sa.remove(name).unwrap_or_default();
    let [protocol, spi, transform] = ["protocol", "spi", "transform"].map(|name| text(&take(name)));
    let (esn, window) = (take("esn") == true, take("replay_window").as_u64());
    let keys = take("keys");
    writeln!(out, "    {protocol:<11}  {spi} {transform}")?;
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |label: &str, text: String| lines.push((label.to_owned(), text));
    if let Some(reqid) = sa.remove("reqid") {
        add("reqid", text(&reqid));
    }
    let numbers = if esn { ", extended sequence numbers" } else { "" };
    match window {
        // An outbound SA has no replay window.
        _ if !inbound && esn => add("numbers", "extended sequence numbers".to_owned()),
        Some(_) if !inbound => {}
        Some(0) => add("replay", format!("no protection{numbers}")),
        Some(1) => add("replay", format!("window of 1 packet{numbers}")),
        Some(window) => add("replay", format!("window of {window} packets{numbers}")),
        None => {}
    }
    for (name, value) in &sa {
        let words = match (name.as_str(), value) {
            ("mark" | "output_mark", mark) => {
                format!("{}/{}", text(&mark["value"]), text(&mark["mask"]))
            }
            ("if_id", id) => id.as_u64().map_or_else(|| text(id), |id| format!("{id:#x}")),
            ("tfc_padding", length) => format!("to {} bytes", text(length)),
            ("nat_keepalive_seconds", seconds) => format!("every {} s", text(seconds)),
            ("offload", offload) => {
                format!("{} offload to interface {}", text(&offload["kind"]), text(&offload["interface"]))
            }
            ("replay", replay) => format!(
                "{} received, {} sent",
                text(&replay["inbound_sequence"]),
                text(&replay["outbound_sequence"])
            ),
            ("selector", own) => pair(own),
            ("direction_guessed", _) => "from the addresses of all SAs".to_owned(),
            ("unknown_attributes", Value::Array(unknown)) => {
                let one =
                    |it: &Value| format!("attribute {} of {} bytes", text(&it["type"]), text(&it["length"]));
                unknown.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            (_, value) => text(value),
        };
        add(&label(name), words);
    }
    if keys["hidden_by_kernel"] == true {
        add("key", "hidden by the kernel (lockdown)".to_owned());
    }
    for name in ["encryption", "integrity"] {
        if let Value::String(key) = &keys[name] {
            add("key", key.clone());
        }
    }
    for (label, text) in lines {
        let gap = if label.len() < 11 { 11 } else { label.len() + 1 };
        writeln!(out, "      {label:<gap$}{text}")?;
    }
    Ok(())
}

/// Returns the label of a member.
fn label(name: &str) -> String {
    match name {
        "output_mark" => "sets mark",
        "tfc_padding" => "padding",
        "nat_keepalive_seconds" => "keep-alive",
        "security_context" => "label",
        "replay" => "sequence",
        "acquire_sequence" => "acquire",
        "original_address" => "original",
        "unknown_attributes" => "unknown",
        other => return other.replace('_', " "),
    }
    .to_owned()
}

/// Returns a value in words.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => words::escaped(text),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let one = |(name, value): (&String, &Value)| format!("{} {}", label(name), text(value));
            members.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

fn pair(pair: &Value) -> String {
    format!("{} <=> {}", text(&pair["local"]), text(&pair["remote"]))
}
