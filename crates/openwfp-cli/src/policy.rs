//! `wfp policy`: the kernel's policies, and what they mean for a packet.

use crate::args::ExplainArgs;
use crate::args::Format;
use crate::args::PolicyListArgs;
use crate::args::PolicyShowArgs;
use crate::failure::Failure;
use crate::format;
use crate::format::printable::Json;
use crate::format::rows::Column;
use crate::format::rows::Rows;
use crate::format::words;
use crate::object;
use anstyle::AnsiColor;
use anstyle::Style;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::Direction;
use openwfp::api::Mode;
use openwfp::api::SaContextId;
use openwfp::api::Session;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::kernel::Explanation;
use openwfp::api::object::kernel::KernelPolicy;
use openwfp::api::object::kernel::KernelPolicyAction;
use openwfp::api::object::kernel::KernelPolicyDirection;
use openwfp::api::object::kernel::KernelTemplate;
use openwfp::api::object::kernel::Outcome;
use openwfp::api::object::kernel::PolicyDecision;
use openwfp::api::object::packet::Packet;
use openwfp::api::object::packet::PacketPath;
use openwfp::api::record::Address;
use openwfp::api::record::Record;
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;
use std::io::Write;

const COLUMNS: &[Column] = &[
    Column::number("INDEX", 0),
    Column::text("DIR", 0),
    Column::text("ACTION", 0),
    Column::number("PRIO", 5),
    Column::text("SOURCE", 0),
    Column::text("DESTINATION", 0),
    Column::text("SA", 1),
    Column::text("OWNER", 6),
    Column::number("FILTER", 7),
    Column::text("TEMPLATE", 8),
    Column::text("MARK", 9),
    Column::text("IF-ID", 10),
];

/// Number of policies to request at a time.
const PAGE: u32 = 1000;

/// A policy as JSON.
#[derive(Serialize)]
struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    index: u32,
    direction: &'static str,
    action: &'static str,
    priority: u32,
    source: String,
    destination: String,
    templates: Vec<Template>,
    mark: Option<String>,
    if_id: Option<String>,
    interface: Option<u32>,
    added: Option<String>,
    lifetime_seconds: Option<u64>,
    idle_seconds: Option<u64>,
    owner: Option<&'static str>,
    filter_id: Option<u64>,
    sa_contexts: Vec<u64>,
}

/// A template as JSON.
#[derive(Serialize)]
struct Template {
    source: Option<String>,
    destination: Option<String>,
    protocol: String,
    mode: String,
    reqid: u32,
    spi: Option<String>,
    level: &'static str,
}

impl Policy {
    fn new(policy: &KernelPolicy) -> Policy {
        let [source, destination] = ends(policy);
        let some = |number: u64| (number != 0).then_some(number);
        Policy {
            version: None,
            index: policy.index,
            direction: policy.direction.word(),
            action: policy.action.word(),
            priority: policy.priority,
            source,
            destination,
            templates: policy.templates.iter().map(Template::new).collect(),
            mark: mark(policy),
            if_id: (policy.if_id != 0).then(|| format!("{:#x}", policy.if_id)),
            interface: (policy.interface != 0).then_some(policy.interface),
            added: words::time(policy.added.0),
            lifetime_seconds: some(policy.lifetime_seconds),
            idle_seconds: some(policy.idle_seconds),
            owner: policy.own.then_some("wfp"),
            filter_id: some(policy.filter_id),
            sa_contexts: policy.sa_contexts.clone(),
        }
    }
}

/// Returns a policy as a JSON object of its own.
fn alone(policy: &KernelPolicy) -> Policy {
    Policy { version: Some(1), ..Policy::new(policy) }
}

impl Template {
    fn new(template: &KernelTemplate) -> Template {
        let end = |address: Option<Address>| address.map(|address| address.0.to_string());
        Template {
            source: end(template.source),
            destination: end(template.destination),
            protocol: openwfp::api::ip_protocol_name(template.protocol),
            mode: mode(template.mode),
            reqid: template.reqid,
            spi: (template.spi != 0).then(|| format!("{:#010x}", template.spi)),
            level: if template.optional { "optional" } else { "required" },
        }
    }
}

fn mode(number: u8) -> String {
    Mode::from_number(number).map_or_else(|| number.to_string(), |mode| mode.to_string())
}

fn mark(policy: &KernelPolicy) -> Option<String> {
    (policy.mark_mask != 0).then(|| format!("{:#x}/{:#x}", policy.mark, policy.mark_mask))
}

/// Returns source and destination of a policy's packets.
fn ends(policy: &KernelPolicy) -> [String; 2] {
    let ports = |port, mask| openwfp::api::SelectorPorts { port, mask };
    let selector = openwfp::api::Selector {
        local: policy.source.0,
        remote: policy.destination.0,
        protocol: policy.protocol,
        local_port: ports(policy.source_port, policy.source_port_mask),
        remote_port: ports(policy.destination_port, policy.destination_port_mask),
    };
    selector.sides()
}

fn templates(policy: &KernelPolicy) -> String {
    let one = |template: &KernelTemplate| {
        let ends = match (template.source, template.destination) {
            (Some(source), Some(destination)) => format!("{}-{}/", source.0, destination.0),
            (None, Some(destination)) => format!("-{}/", destination.0),
            _ => String::new(),
        };
        let level = if template.optional { "/optional" } else { "" };
        format!(
            "{}/{}/{ends}{}{level}",
            openwfp::api::ip_protocol_name(template.protocol),
            mode(template.mode),
            template.reqid
        )
    };
    let all: Vec<String> = policy.templates.iter().map(one).collect();
    if all.is_empty() { "-".into() } else { all.join("+") }
}

/// Returns the SA contexts that satisfy a policy, in a few characters.
fn carriers(policy: &KernelPolicy) -> String {
    match (policy.action, &policy.sa_contexts[..]) {
        (KernelPolicyAction::Protect, []) => "none".to_owned(),
        (_, []) => "-".to_owned(),
        (_, [one]) => one.to_string(),
        (_, [first, rest @ ..]) => format!("{first}+{}", rest.len()),
    }
}

fn row(policy: &KernelPolicy) -> Vec<String> {
    let [source, destination] = ends(policy);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        policy.index.to_string(),
        policy.direction.word().to_owned(),
        policy.action.word().to_owned(),
        policy.priority.to_string(),
        source,
        destination,
        carriers(policy),
        if policy.own { "wfp" } else { "-" }.to_owned(),
        or_dash((policy.filter_id != 0).then(|| policy.filter_id.to_string())),
        templates(policy),
        or_dash(mark(policy)),
        or_dash((policy.if_id != 0).then(|| format!("{:#x}", policy.if_id))),
    ]
}

fn style(heading: &str, cell: &str) -> Style {
    match (heading, cell) {
        ("SA", "none") => AnsiColor::Yellow.on_default(),
        (_, "-") => Style::new().dimmed(),
        _ => Style::new(),
    }
}

/// Numbers for the footer.
#[derive(Default)]
struct Count {
    all: u64,
    protect: u64,
    bypass: u64,
    block: u64,
    own: u64,
    mirrored: u64,
}

pub(crate) fn list(engine: &Engine, args: &PolicyListArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp policy list"))?;
    let (mut out, colors) = format::stdout();
    let is_table = matches!(args.output.output, Format::Table | Format::Wide);
    let mut rows = Rows::new(COLUMNS, args.output.output == Format::Wide, colors);
    let mut count = Count::default();
    // The `in` policies, so that `fwd` policies that only repeat them can be left out.
    let mut seen = HashSet::new();
    let (mut after, mut written) = (None, 0_u64);
    if args.output.output == Format::Json {
        write!(out, "{{\"version\": 1, \"policies\": [")?;
    }
    'pages: loop {
        let mut page = session.kernel_policies(after.as_ref(), PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        page.retain(|policy| args.dir.is_none_or(|dir| dir == policy.direction));
        let mut shown = Vec::new();
        for policy in &page {
            if args.limit.is_some_and(|limit| written >= limit) {
                write_page(&mut out, &mut rows, args.output.output, &shown, written - shown.len() as u64)?;
                break 'pages;
            }
            count.note(policy);
            if is_table && !args.all && args.dir.is_none() && repeats(policy, &mut seen) {
                count.mirrored += 1;
                continue;
            }
            written += 1;
            shown.push(policy);
        }
        write_page(&mut out, &mut rows, args.output.output, &shown, written - shown.len() as u64)?;
    }
    match args.output.output {
        Format::Json => writeln!(out, "{}], \"count\": {written}}}", if written == 0 { "" } else { "\n" })?,
        Format::Jsonl => {}
        Format::Table | Format::Wide => count.write(&mut out, &rows.hidden())?,
    }
    out.flush()?;
    Ok(())
}

fn to_text(policy: &Policy) -> std::io::Result<String> {
    let mut text = Vec::new();
    serde_json::to_writer(Json(&mut text), policy)?;
    String::from_utf8(text).map_err(std::io::Error::other)
}

fn write_page(
    out: &mut dyn Write,
    rows: &mut Rows,
    format: Format,
    policies: &[&KernelPolicy],
    before: u64,
) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide if policies.is_empty() => {}
        Format::Table | Format::Wide => {
            let cells: Vec<Vec<String>> = policies.iter().map(|policy| row(policy)).collect();
            rows.write(out, &cells, style)?;
        }
        Format::Json => {
            for (place, policy) in policies.iter().enumerate() {
                let comma = if before == 0 && place == 0 { "" } else { "," };
                write!(out, "{comma}\n  {}", to_text(&Policy::new(policy))?)?;
            }
        }
        Format::Jsonl => {
            for policy in policies {
                writeln!(out, "{}", to_text(&alone(policy))?)?;
            }
        }
    }
    Ok(())
}

/// Returns whether a `fwd` policy only repeats an `in` policy, all of which come before.
fn repeats(policy: &KernelPolicy, seen: &mut HashSet<String>) -> bool {
    let what = || {
        let [source, destination] = ends(policy);
        let condition = policy.condition();
        format!("{source} {destination} {} {} {condition:?}", policy.action.word(), templates(policy))
    };
    match policy.direction {
        KernelPolicyDirection::Forward => seen.contains(&what()),
        KernelPolicyDirection::In => {
            seen.insert(what());
            false
        }
        _ => false,
    }
}

impl Count {
    fn note(&mut self, policy: &KernelPolicy) {
        self.all += 1;
        self.own += u64::from(policy.own);
        match policy.action {
            KernelPolicyAction::Bypass => self.bypass += 1,
            KernelPolicyAction::Block => self.block += 1,
            _ => self.protect += 1,
        }
    }

    fn write(&self, out: &mut dyn Write, hidden: &[&str]) -> std::io::Result<()> {
        let Count { all, protect, bypass, block, own, mirrored } = self;
        let plural = if *all == 1 { "y" } else { "ies" };
        write!(
            out,
            "{all} polic{plural}: {protect} protect, {bypass} bypass, {block} block; {own} owned by wfp"
        )?;
        if *mirrored > 0 {
            write!(out, "; {mirrored} fwd like in: --all")?;
        }
        writeln!(out)?;
        if !hidden.is_empty() {
            writeln!(out, "no room for {}: -o wide", hidden.join(", "))?;
        }
        Ok(())
    }
}

pub(crate) fn show(engine: &Engine, args: &PolicyShowArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp policy show"))?;
    let policy = session.kernel_policy(args.index)?;
    let mut out = anstream::stdout().lock();
    match args.output.output {
        Format::Json => {
            serde_json::to_writer_pretty(Json(&mut out), &alone(&policy)).map_err(std::io::Error::from)?;
            return Ok(writeln!(out)?);
        }
        Format::Jsonl => return Ok(writeln!(out, "{}", to_text(&alone(&policy))?)?),
        Format::Table | Format::Wide => {}
    }
    let Policy { source, destination, mark, if_id, interface, added, .. } = Policy::new(&policy);
    writeln!(out, "policy {}", policy.index)?;
    let mut line = |name: &str, text: String| writeln!(out, "  {name:<11}  {text}");
    line("direction", policy.direction.word().to_owned())?;
    line("action", policy.action.word().to_owned())?;
    line("priority", policy.priority.to_string())?;
    line("source", source)?;
    line("destination", destination)?;
    for (name, value) in [
        ("mark", mark),
        ("interface id", if_id),
        ("interface", interface.map(|index| index.to_string())),
        ("added", added),
        ("lifetime", (policy.lifetime_seconds != 0).then(|| format!("{} s", policy.lifetime_seconds))),
        ("idle", (policy.idle_seconds != 0).then(|| format!("{} s", policy.idle_seconds))),
        ("filter", (policy.filter_id != 0).then(|| policy.filter_id.to_string())),
    ] {
        if let Some(value) = value {
            line(name, value)?;
        }
    }
    line("owner", if policy.own { "wfp" } else { "another program" }.to_owned())?;
    for template in policy.templates.iter().map(Template::new) {
        let any = || "the packet's".to_owned();
        let spi = template.spi.map_or_else(String::new, |spi| format!(", SPI {spi}"));
        line(
            "template",
            format!(
                "{} {}, {} => {}, reqid {}, {}{spi}",
                template.protocol,
                template.mode,
                template.source.unwrap_or_else(any),
                template.destination.unwrap_or_else(any),
                template.reqid,
                template.level
            ),
        )?;
    }
    if policy.action == KernelPolicyAction::Protect {
        let contexts: Vec<String> = policy.sa_contexts.iter().map(u64::to_string).collect();
        line("SA contexts", if contexts.is_empty() { "none".to_owned() } else { contexts.join(", ") })?;
    }
    Ok(())
}

pub(crate) fn explain(engine: &Engine, args: &ExplainArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp policy explain"))?;
    let packet = Packet {
        path: match (args.inbound, args.forward) {
            (true, _) => PacketPath::Inbound,
            (_, true) => PacketPath::Forward,
            _ => PacketPath::Outbound,
        },
        source: Address(args.from),
        destination: Address(args.to),
        protocol: args.proto,
        source_port: args.sport,
        destination_port: args.dport,
        fields: Vec::new(),
    };
    let explanation = session.explain(&packet)?;
    let mut out = anstream::stdout().lock();
    match args.output.output {
        Format::Table | Format::Wide => {
            if explanation.decisions.is_empty() {
                return object::explain_in_words(&mut out, &*session, &explanation.filters);
            }
            in_words(&mut out, &*session, &packet, &explanation)?;
        }
        Format::Json => writeln!(Json(out), "{:#}", to_json(&explanation))?,
        Format::Jsonl => writeln!(Json(out), "{}", to_json(&explanation))?,
    }
    match explanation.outcome {
        Outcome::Protected => Ok(()),
        _ if explanation.decisions.is_empty() => Ok(()),
        _ => Err(Failure::Negative),
    }
}

/// Returns the explanation as JSON: the decision of the filters, which was all there was at first, and beside it the rest.
fn to_json(explanation: &Explanation) -> serde_json::Value {
    let mut all = object::to_json(&Record::show(&explanation.filters));
    let decisions: Vec<_> = explanation
        .decisions
        .iter()
        .map(|decision| {
            json!({
                "direction": decision.direction.word(),
                "policy": decision.policy.as_ref().map(Policy::new),
                "tried": decision.tried,
                "near": decision.near.as_ref().map(Policy::new),
            })
        })
        .collect();
    let has_kernel = !decisions.is_empty();
    if let Some(all) = all.as_object_mut() {
        all.insert("outcome".into(), json!(has_kernel.then(|| explanation.outcome.name().to_lowercase())));
        all.insert("decisions".into(), json!(decisions));
        let dropped = (explanation.dropped_by != 0).then_some(explanation.dropped_by);
        all.insert("dropped_by".into(), json!(dropped));
        all.insert("unknown".into(), json!(explanation.unknown));
    }
    all
}

fn in_words(
    out: &mut impl Write,
    session: &dyn Session,
    packet: &Packet,
    explanation: &Explanation,
) -> Result<(), Failure> {
    let (from, to) = (packet.source.0, packet.destination.0);
    let port = |port: u16| if port == 0 { String::new() } else { format!("/{port}") };
    let kind = match packet.protocol {
        0 => String::new(),
        protocol => format!(" {}{}", openwfp::api::ip_protocol_name(protocol), port(packet.destination_port)),
    };
    let deciding = explanation.decisions.iter().rev().find(|decision| decision.policy.is_some());
    let policy = deciding.and_then(|decision| decision.policy.as_ref());
    let context = policy.and_then(|policy| policy.sa_contexts.first());
    let received = packet.path == PacketPath::Inbound;
    let (word, color, rest) = match explanation.outcome {
        Outcome::Protected => {
            let context = context.map_or_else(String::new, |id| format!(" by SA context {id}"));
            ("PROTECTED", AnsiColor::Green.on_default(), context)
        }
        Outcome::Bypassed if received => {
            ("BYPASSED", AnsiColor::Yellow.on_default(), " is accepted in the clear on purpose".to_owned())
        }
        Outcome::Bypassed => {
            ("BYPASSED", AnsiColor::Yellow.on_default(), " leaves in the clear on purpose".to_owned())
        }
        Outcome::Blocked => {
            let sender = match packet.path {
                PacketPath::Outbound => "; a local sender gets EPERM",
                _ => "",
            };
            ("BLOCKED", Style::new().bold(), format!(" is dropped{sender}"))
        }
        Outcome::Waits => (
            "WAITS",
            AnsiColor::Yellow.on_default(),
            " is dropped while the kernel asks for an SA; none is up".to_owned(),
        ),
        _ => {
            let verb = if received { "is accepted" } else { "leaves" };
            let why =
                if policy.is_some() { "the policy is optional and no SA is up" } else { "no policy matches" };
            ("CLEAR", AnsiColor::White.on(AnsiColor::Red), format!(" {verb} in the clear: {why}"))
        }
    };
    writeln!(out, "{color}{word}{color:#}{:1$}{from} -> {to}{kind}{rest}", "", 11 - word.len())?;
    for decision in &explanation.decisions {
        write_decision(out, session, decision)?;
    }
    if explanation.dropped_by != 0 {
        let at = object::name_of(explanation.dropped_at);
        let filter = named_filter(session, explanation.dropped_by);
        writeln!(
            out,
            "  nftables  table openwfp drops it: {filter} at {}",
            at.trim_start_matches("FWPM_LAYER_")
        )?;
    } else if explanation.has_table {
        writeln!(out, "  nftables  table openwfp accepts it")?;
    }
    write_return(out, session, packet)?;
    for decision in &explanation.filters.decisions {
        let says =
            if decision.action == openwfp::api::object::ActionType::Block { "blocks" } else { "permits" };
        writeln!(out, "  filter    {} {says} in {}", decision.filter_id, object::name_of(decision.sublayer))?;
    }
    for unknown in &explanation.unknown {
        writeln!(out, "  unknown   {}", words::escaped(unknown))?;
    }
    if explanation.outcome == Outcome::Clear && policy.is_none() {
        writeln!(out, "  next      add a policy for these addresses, or block them")?;
    }
    Ok(())
}

fn write_decision(
    out: &mut impl Write,
    session: &dyn Session,
    decision: &PolicyDecision,
) -> Result<(), Failure> {
    let direction = decision.direction.word();
    let Some(policy) = &decision.policy else {
        writeln!(out, "  {direction:<8}  no policy of {} matches", decision.tried)?;
        if let Some(near) = &decision.near {
            let [source, destination] = ends(near);
            let head = format!("{direction} {}", near.index);
            writeln!(out, "  near      {head} protects {source} => {destination}")?;
        }
        return Ok(());
    };
    let filter = match policy.filter_id {
        0 => String::new(),
        id => format!(", {}", named_filter(session, id)),
    };
    let head = format!("{direction} {}", policy.index);
    let (action, priority) = (policy.action.word(), policy.priority);
    writeln!(out, "  {head:<8}  {action}, priority {priority}, {}{filter}", tried(decision.tried))?;
    let outbound = policy.direction == KernelPolicyDirection::Out;
    let side = if outbound { Direction::Outbound } else { Direction::Inbound };
    for id in policy.sa_contexts.iter().take(1) {
        // The context may be gone by now.
        let Ok(context) = session.sa_context_by_id(SaContextId(*id)) else { continue };
        let Some(details) = context.details(side) else { continue };
        let (spi, transform) = (words::spis(details), words::transforms(details));
        let ends = context.traffic.endpoints;
        let (verb, peer) = if outbound { ("to", ends.remote()) } else { ("from", ends.remote()) };
        writeln!(out, "  SA        {spi} {transform} {verb} {peer}, SA context {id}")?;
    }
    Ok(())
}

/// Returns a filter by its id and, if it still exists, its name.
fn named_filter(session: &dyn Session, id: u64) -> String {
    let found = session.object_get(ObjectKind::Filter, ObjectName::Id(id));
    let name =
        found.map_or_else(|_| String::new(), |filter| format!(" \"{}\"", words::escaped(filter.name())));
    format!("filter {id}{name}")
}

/// Says how many policies the kernel tries before the one that decides.
fn tried(number: u64) -> String {
    match number {
        0 => "the first one tried".to_owned(),
        1 => "after 1 other".to_owned(),
        _ => format!("after {number} others"),
    }
}

/// Writes what happens to the answer.
fn write_return(out: &mut impl Write, session: &dyn Session, packet: &Packet) -> Result<(), Failure> {
    let path = match packet.path {
        PacketPath::Outbound => PacketPath::Inbound,
        PacketPath::Inbound => PacketPath::Outbound,
        other => other,
    };
    let has_ports = !matches!(packet.protocol, 1 | 58);
    let (source_port, destination_port) = match has_ports {
        true => (packet.destination_port, packet.source_port),
        false => (packet.source_port, packet.destination_port),
    };
    let answer = Packet {
        path,
        source: packet.destination,
        destination: packet.source,
        source_port,
        destination_port,
        ..packet.clone()
    };
    let explanation = session.explain(&answer)?;
    let by: Vec<String> = explanation
        .decisions
        .iter()
        .filter_map(|decision| {
            Some(format!("{} {}", decision.direction.word(), decision.policy.as_ref()?.index))
        })
        .collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    writeln!(out, "  return    {}{by}", explanation.outcome.name().to_lowercase())?;
    Ok(())
}
