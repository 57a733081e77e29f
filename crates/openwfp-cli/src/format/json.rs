//! The JSON of SA contexts, which `docs/json.md` documents. Its version is [`VERSION`].

use super::words;
use crate::format::printable::Json;
use crate::sa::End;
use crate::sa::Listing;
use openwfp::api::ContextFields;
use openwfp::api::Direction;
use openwfp::api::KeyAccess;
use openwfp::api::LinuxExtras;
use openwfp::api::LinuxSa;
use openwfp::api::Mark;
use openwfp::api::Sa;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
use openwfp::api::Selector;
use openwfp::api::Transform;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The version of the format. It increases when a member is removed or changes meaning, not when one is
/// added.
const VERSION: u32 = 1;

/// One document, `{"version":1,"contexts":[…],"count":…,"complete":…}`, written page by page.
pub(crate) struct Document {
    keys: Option<KeyAccess>,
    started: bool,
}

/// One object per line.
pub(crate) struct Lines {
    keys: Option<KeyAccess>,
}

/// How one context is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Pretty,
    Line,
}

impl Document {
    pub(crate) fn new(keys: Option<KeyAccess>) -> Document {
        Document { keys, started: false }
    }
}

impl Lines {
    pub(crate) fn new(keys: Option<KeyAccess>) -> Lines {
        Lines { keys }
    }
}

impl Listing for Document {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> io::Result<()> {
        for context in contexts {
            if self.started {
                out.write_all(b",\n")?;
            } else {
                writeln!(out, "{{\"version\":{VERSION},\"contexts\":[")?;
                self.started = true;
            }
            serde_json::to_writer(Json(&mut *out), &Context::new(context, self.keys.as_ref(), None))?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, end: &End<'_>) -> io::Result<()> {
        if self.started {
            out.write_all(b"\n")?;
        } else {
            write!(out, "{{\"version\":{VERSION},\"contexts\":[")?;
        }
        let tail = Tail {
            count: end.count,
            more_after: end.more_after.as_deref(),
            complete: end.incomplete.is_none(),
            incomplete_because: end.incomplete,
        };
        // The members of the tail continue the object that the first line opened.
        let tail = serde_json::to_string(&tail)?;
        writeln!(out, "],{}", tail.trim_start_matches('{'))
    }
}

impl Listing for Lines {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> io::Result<()> {
        contexts.iter().try_for_each(|context| write_one(out, context, self.keys.as_ref(), Layout::Line))
    }

    fn end(&mut self, _out: &mut dyn Write, _end: &End<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A change of a context.
#[derive(Serialize)]
struct Event<'a> {
    version: u32,
    event: &'a str,
    time: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'static str>,
    /// The changed members as they were, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    before: Map<String, Value>,
    context: Context,
}

/// A change of a context, with what is known of it before.
pub(crate) struct Changed {
    pub(crate) before: Option<Arc<SaContext>>,
    pub(crate) after: Arc<SaContext>,
    pub(crate) fields: ContextFields,
}

/// Writes a change of a context and the end of its line.
pub(crate) fn write_event(out: &mut dyn Write, event: &str, time: &str, changed: &Changed) -> io::Result<()> {
    let context = Context::new(&changed.after, None, None);
    let before = members(changed.before.as_deref(), changed.fields).into_iter();
    let before = before.map(|(name, value)| (name.to_owned(), value)).collect();
    let changed = changed.fields.names().collect();
    serde_json::to_writer(
        Json(&mut *out),
        &Event { version: VERSION, event, time, changed, before, context },
    )?;
    writeln!(out)
}

/// Returns the values of some members of a context.
fn members(context: Option<&SaContext>, fields: ContextFields) -> Vec<(&'static str, Value)> {
    let Some(context) = context else { return Vec::new() };
    let whole = value(context, None);
    let at = |name: &str| name.split('.').fold(&whole, |value, name| &value[name]).clone();
    fields.names().filter(|name| *name != "other").map(|name| (name, at(name))).collect()
}

/// Describes a change in words, such as `remote 192.0.2.2 -> 192.0.2.9, selectors`.
pub(crate) fn describe(changed: &Changed) -> String {
    let after = members(Some(&changed.after), changed.fields);
    let before = members(changed.before.as_deref(), changed.fields);
    let words = |value: &Value| match value {
        Value::Null => Some("-".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(sas) => {
            let spis: Option<Vec<&str>> = sas.iter().map(|sa| sa["spi"].as_str()).collect();
            spis.map(|spis| spis.join("+"))
        }
        _ => None,
    };
    let one = |(name, after): &(&str, Value)| {
        let before = before.iter().find(|(other, _)| other == name).and_then(|(_, value)| words(value));
        match (before, words(after)) {
            (Some(before), Some(after)) if before != after => format!("{name} {before} -> {after}"),
            _ => (*name).to_owned(),
        }
    };
    after.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Writes one context and the end of its line.
pub(crate) fn write_one(
    out: &mut dyn Write,
    context: &SaContext,
    keys: Option<&KeyAccess>,
    layout: Layout,
) -> io::Result<()> {
    let value = Context::new(context, keys, Some(VERSION));
    match layout {
        Layout::Pretty => serde_json::to_writer_pretty(Json(&mut *out), &value)?,
        Layout::Line => serde_json::to_writer(Json(&mut *out), &value)?,
    }
    writeln!(out)
}

#[derive(Serialize)]
struct Tail<'a> {
    count: u64,
    more_after: Option<&'a str>,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete_because: Option<&'a str>,
}

#[derive(Serialize)]
struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    id: u64,
    state: &'static str,
    mode: String,
    local: String,
    remote: String,
    selectors: Option<Selectors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    larval_spi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire: Option<Acquire>,
    inbound: Option<Details>,
    outbound: Option<Details>,
}

#[derive(Serialize)]
struct Selectors {
    local: Vec<String>,
    remote: Vec<String>,
    pairs: Vec<Pair>,
    /// `policy`, or `sa` for what the SAs themselves accept.
    from: &'static str,
}

#[derive(Serialize)]
struct Pair {
    local: String,
    remote: String,
}

/// The request of the kernel for an SA.
#[derive(Serialize)]
struct Acquire {
    filter_id: u64,
    packet: Pair,
}

#[derive(Serialize)]
struct Details {
    filter_id: u64,
    sas: Vec<SaObject>,
    lifetime: Lifetime,
    encapsulation: Option<Encapsulation>,
    counters: Counters,
    times: Times,
}

#[derive(Serialize)]
struct SaObject {
    spi: String,
    protocol: String,
    transform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    esn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reqid: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction_guessed: Option<bool>,
    #[serde(flatten)]
    rare: Rare,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Keys>,
}

/// Members that few SAs have; absent unless set.
#[derive(Default, Serialize)]
struct Rare {
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<MarkObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_mark: Option<MarkObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tfc_padding: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_keepalive_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload: Option<Offload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<String>,
    /// The packets that the SA itself accepts, beside those of its policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire_sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    care_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replay>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_attributes: Vec<Unknown>,
}

#[derive(Serialize)]
struct MarkObject {
    value: String,
    mask: String,
}

#[derive(Serialize)]
struct Offload {
    interface: u32,
    flags: u8,
    /// `packet`, or `crypto` if the hardware only encrypts.
    kind: &'static str,
}

#[derive(Serialize)]
struct Replay {
    inbound_sequence: u64,
    outbound_sequence: u64,
}

#[derive(Serialize)]
struct Unknown {
    #[serde(rename = "type")]
    kind: u16,
    length: usize,
}

#[derive(Serialize)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrity: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden_by_kernel: bool,
}

/// Hard limits and, for SAs of the kernel, soft ones; null means no limit.
#[derive(Serialize)]
struct Lifetime {
    seconds: Option<u32>,
    kilobytes: Option<u32>,
    packets: Option<u32>,
    idle_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_use_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_use_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Encapsulation {
    #[serde(rename = "type")]
    kind: &'static str,
    local_port: u16,
    remote_port: u16,
}

#[derive(Serialize)]
struct Counters {
    bytes: u64,
    packets: u64,
    replay_window_drops: u32,
    replay_drops: u32,
    integrity_failures: u32,
    /// Includes earlier generations of the traffic.
    total_bytes: u64,
    total_packets: u64,
}

#[derive(Serialize)]
struct Times {
    added: Option<String>,
    first_used: Option<String>,
    last_used: Option<String>,
    soft_expires: Option<String>,
    expires: Option<String>,
}

impl Selectors {
    fn of(context: &SaContext) -> Option<Selectors> {
        let (selectors, from) = match words::protected(context) {
            of_policy if !of_policy.is_empty() => {
                let is_own = words::own_selector(context).is_some_and(|own| of_policy == [own]);
                (of_policy, if is_own { "sa" } else { "policy" })
            }
            _ => (vec![words::own_selector(context)?], "sa"),
        };
        let pairs: Vec<Pair> = selectors.iter().map(Pair::of).collect();
        let side = |of: fn(&Pair) -> &String| {
            let mut side: Vec<String> = Vec::new();
            for text in pairs.iter().map(of) {
                if !side.contains(text) {
                    side.push(text.clone());
                }
            }
            side
        };
        Some(Selectors { local: side(|pair| &pair.local), remote: side(|pair| &pair.remote), from, pairs })
    }
}

impl Pair {
    fn of(selector: &Selector) -> Pair {
        let [local, remote] = selector.sides();
        Pair { local, remote }
    }
}

impl Context {
    fn new(context: &SaContext, keys: Option<&KeyAccess>, version: Option<u32>) -> Context {
        let details = |direction| {
            let details = context.details(direction)?;
            let counters = &context.counters;
            Some(Details::new(details, direction, counters, keys))
        };
        Context {
            version,
            id: context.id.0,
            state: context.state.word(),
            mode: context.traffic.mode.to_string(),
            local: context.traffic.endpoints.local().to_string(),
            remote: context.traffic.endpoints.remote().to_string(),
            selectors: Selectors::of(context),
            larval_spi: words::larval_spi(context).map(|spi| spi.to_string()),
            acquire: context.acquire().map(|packet| {
                let filter_id = context.reservation.as_ref().map_or(0, |asked| asked.outbound_filter_id.0);
                Acquire { filter_id, packet: Pair::of(packet) }
            }),
            inbound: details(Direction::Inbound),
            outbound: details(Direction::Outbound),
        }
    }
}

impl Details {
    fn new(
        details: &SaDetails,
        direction: Direction,
        counters: &openwfp::api::Counters,
        keys: Option<&KeyAccess>,
    ) -> Details {
        let total = counters.total(direction);
        let counters = counters.direction(direction);
        let linux = words::linux(details);
        let load = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
        Details {
            filter_id: details.filter_id.0,
            sas: details.bundle.sas.iter().map(|sa| SaObject::new(sa, direction, keys)).collect(),
            lifetime: Lifetime::new(details, linux),
            encapsulation: details.udp_encapsulation.map(|udp| Encapsulation {
                kind: match linux.and_then(|linux| linux.extras.as_ref()).map_or(0, |e| e.encapsulation_type)
                {
                    0 => "udp",
                    1 => "udp-draft",
                    7 => "tcp",
                    _ => "other",
                },
                local_port: udp.local_port,
                remote_port: udp.remote_port,
            }),
            counters: Counters {
                bytes: load(&counters.bytes),
                packets: load(&counters.packets),
                replay_window_drops: counters.replay_window_drops.load(Ordering::Relaxed),
                replay_drops: counters.replay_drops.load(Ordering::Relaxed),
                integrity_failures: counters.integrity_failures.load(Ordering::Relaxed),
                total_bytes: total.0,
                total_packets: total.1,
            },
            times: Times::new(linux, load(&counters.last_used)),
        }
    }
}

impl Lifetime {
    fn new(details: &SaDetails, linux: Option<&LinuxSa>) -> Lifetime {
        let limit = |value: u32| (value != 0).then_some(value);
        let long = |value: u64| (value != 0).then_some(value);
        let limits =
            linux.and_then(|linux| linux.extras.as_ref()).map(|extras| extras.limits).unwrap_or_default();
        Lifetime {
            seconds: limit(details.bundle.lifetime.seconds),
            kilobytes: limit(details.bundle.lifetime.kilobytes),
            packets: limit(details.bundle.lifetime.packets),
            idle_seconds: limit(details.bundle.idle_timeout_seconds),
            soft_seconds: linux.and_then(|linux| long(linux.soft_add_seconds)),
            soft_bytes: long(limits.soft_bytes),
            hard_bytes: long(limits.hard_bytes),
            soft_packets: long(limits.soft_packets),
            soft_use_seconds: long(limits.soft_use_seconds),
            hard_use_seconds: long(limits.hard_use_seconds),
        }
    }
}

impl Times {
    fn new(linux: Option<&LinuxSa>, last_used: u64) -> Times {
        let added = linux.map_or(0, |linux| linux.added);
        let after = |seconds: u64| {
            if added == 0 || seconds == 0 { None } else { words::time(added.saturating_add(seconds)) }
        };
        Times {
            added: words::time(added),
            first_used: linux.and_then(|linux| words::time(linux.first_used)),
            last_used: words::time(last_used),
            soft_expires: linux.and_then(|linux| after(linux.soft_add_seconds)),
            expires: linux.and_then(|linux| after(linux.hard_add_seconds)),
        }
    }
}

impl SaObject {
    fn new(sa: &Sa, direction: Direction, keys: Option<&KeyAccess>) -> SaObject {
        let linux = sa.linux.as_deref();
        SaObject {
            spi: sa.spi.to_string(),
            protocol: sa.transform.protocol().to_string(),
            transform: words::name(sa),
            esn: linux.map(|linux| linux.esn),
            replay_window: linux.map(|linux| linux.replay_window),
            reqid: linux.map(|linux| linux.reqid),
            flags: linux.map(flags).unwrap_or_default(),
            direction_guessed: linux.filter(|linux| linux.guessed_direction).map(|_| true),
            rare: linux
                .and_then(|linux| linux.extras.as_deref())
                .map(|extras| Rare::new(extras, direction))
                .unwrap_or_default(),
            keys: keys.map(|access| Keys::new(&sa.transform, access)),
        }
    }
}

impl Rare {
    fn new(extras: &LinuxExtras, direction: Direction) -> Rare {
        // Every member is shown somewhere: limits in the lifetime, the type of encapsulation beside its ports, names of
        // algorithms in the transform.
        let LinuxExtras {
            limits: _,
            selector,
            mark: of_packets,
            output_mark,
            if_id,
            tfc_padding,
            nat_keepalive_interval,
            cpu,
            acquire_sequence,
            offload,
            encapsulation_original,
            encapsulation_type: _,
            care_of,
            security_context,
            replay,
            algorithm_names: _,
            unknown,
        } = extras;
        let set = |value: u32| (value != 0).then_some(value);
        let mark = |mark: Option<Mark>| {
            mark.map(|mark| MarkObject {
                value: format!("{:#x}", mark.value),
                mask: format!("{:#x}", mark.mask),
            })
        };
        Rare {
            mark: mark(*of_packets),
            output_mark: mark(*output_mark),
            if_id: set(*if_id),
            tfc_padding: set(*tfc_padding),
            nat_keepalive_seconds: set(*nat_keepalive_interval),
            cpu: *cpu,
            offload: offload.map(|offload| Offload {
                interface: offload.interface,
                flags: offload.flags,
                kind: if offload.flags & OFFLOAD_PACKET != 0 { "packet" } else { "crypto" },
            }),
            security_context: security_context.as_deref().map(str::to_owned),
            // It has the packets' source on its local side.
            selector: selector
                .map(|own| if direction == Direction::Inbound { own.reversed() } else { own })
                .map(|own| Pair::of(&own)),
            acquire_sequence: set(*acquire_sequence),
            original_address: encapsulation_original.map(|address| address.to_string()),
            care_of: care_of.map(|address| address.to_string()),
            replay: replay.as_ref().map(|replay| Replay {
                inbound_sequence: replay.inbound_sequence,
                outbound_sequence: replay.outbound_sequence,
            }),
            unknown_attributes: unknown
                .iter()
                .map(|attribute| Unknown { kind: attribute.kind, length: attribute.bytes.len() })
                .collect(),
        }
    }
}

impl Keys {
    fn new(transform: &Transform, access: &KeyAccess) -> Keys {
        let (encryption, integrity) = match transform {
            Transform::Ah(auth) | Transform::EspAuth(auth) => (None, Some(&auth.key)),
            Transform::EspCipher(cipher) => (Some(&cipher.key), None),
            Transform::EspAuthAndCipher(both) => (Some(&both.cipher.key), Some(&both.auth.key)),
            Transform::EspAead(aead) => (Some(&aead.key), None),
            _ => (None, None),
        };
        Keys {
            encryption: encryption.and_then(|key| words::key(key, access)),
            integrity: integrity.and_then(|key| words::key(key, access)),
            hidden_by_kernel: transform.keys().any(|key| key.len() > 0 && key.is_zeroed()),
        }
    }
}

/// `XFRM_OFFLOAD_PACKET`.
const OFFLOAD_PACKET: u8 = 4;

/// Returns a context as a JSON value.
pub(crate) fn value(context: &SaContext, keys: Option<&KeyAccess>) -> Value {
    serde_json::to_value(Context::new(context, keys, None)).unwrap_or_default()
}

/// Returns the names that `ip xfrm state` has for a state's flags.
fn flags(linux: &LinuxSa) -> Vec<&'static str> {
    const NAMES: [(u8, &str); 7] = [
        (1, "noecn"),
        (2, "decap-dscp"),
        (4, "nopmtudisc"),
        (8, "wildrecv"),
        (16, "icmp"),
        (32, "af-unspec"),
        (64, "align4"),
    ];
    const EXTRA_NAMES: [(u32, &str); 2] = [(1, "dont-encap-dscp"), (2, "oseq-may-wrap")];
    let named = NAMES.iter().filter(|(bit, _)| linux.flags & bit != 0).map(|(_, name)| *name);
    let extra = EXTRA_NAMES.iter().filter(|(bit, _)| linux.extra_flags & bit != 0).map(|(_, name)| *name);
    named.chain(extra).collect()
}
