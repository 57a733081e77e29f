//! `wfp filter`, `provider`, `context`, `sublayer`, `layer` and `callout`, which list and show objects.

use crate::args::Format;
use crate::args::ObjectPagingArgs;
use crate::args::ObjectShowArgs;
use crate::failure::Failure;
use crate::format::rows::Column;
use crate::format::rows::Rows;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::Guid;
use openwfp::api::Session;
use openwfp::api::guids;
use openwfp::api::object::ActionType;
use openwfp::api::object::Filter;
use openwfp::api::object::FilterCondition;
use openwfp::api::object::FilterContext;
use openwfp::api::object::MatchType;
use openwfp::api::object::Object;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::packet::Verdict;
use openwfp::api::object::policy::context_type_name;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::object::value::Value;
use openwfp::api::record::Network;
use openwfp::api::record::Record;
use openwfp::api::record::Shown;
use serde_json::json;
use std::io::BufWriter;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

pub(crate) fn list(
    engine: &Engine,
    template: &ObjectTemplate,
    args: &ObjectPagingArgs,
) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp list"))?;
    let kind = template.object_kind()?;
    let enumerator = session.object_create_enum(template)?;
    let mut out = BufWriter::with_capacity(1 << 16, anstream::stdout().lock());
    let (mut count, mut last) = (0_u64, None);
    let mut table = Rows::new(&columns(kind), true);
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit - count);
        let wanted = args.page_size.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        if wanted == 0 {
            break;
        }
        let page = session.object_enum(enumerator, wanted)?.accept();
        write_page(&mut out, &mut table, args.output.output, &page, count == 0)?;
        count += page.len() as u64;
        last = page.last().map(|object| object.key()).or(last);
        if page.len() < wanted as usize {
            break;
        }
    }
    let more = !session.object_enum(enumerator, 1)?.entries().is_empty();
    let after = last.filter(|_| more).map(|key| key.to_string());
    match args.output.output {
        Format::Table | Format::Wide => {
            let plural = if count == 1 { "" } else { "s" };
            writeln!(out, "{count} {kind}{plural}")?;
            if let Some(after) = after {
                writeln!(out, "There are more. Continue with --after {after}")?;
            }
        }
        Format::Json => {
            let comma = if count == 0 { "" } else { "\n" };
            writeln!(out, "{comma}], \"count\": {count}, \"more_after\": {}}}", json!(after))?;
        }
        Format::Jsonl => {}
    }
    out.flush()?;
    Ok(())
}

fn write_page(
    out: &mut impl Write,
    table: &mut Rows,
    format: Format,
    page: &[Arc<Object>],
    is_first: bool,
) -> std::io::Result<()> {
    match format {
        Format::Table | Format::Wide => {
            let rows: Vec<Vec<String>> = page.iter().map(|object| row(object)).collect();
            table.write(out, &rows, |_, _| anstyle::Style::new())
        }
        Format::Json => {
            if is_first {
                write!(out, "{{\"objects\": [")?;
            }
            for (place, object) in page.iter().enumerate() {
                let comma = if is_first && place == 0 { "" } else { "," };
                write!(out, "{comma}\n  {}", to_json(&content(object)))?;
            }
            Ok(())
        }
        Format::Jsonl => page.iter().try_for_each(|object| writeln!(out, "{}", to_json(&content(object)))),
    }
}

pub(crate) fn show(engine: &Engine, kind: ObjectKind, args: &ObjectShowArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp show"))?;
    let object = session.object_get(kind, args.name)?;
    let mut out = anstream::stdout().lock();
    match args.output.output {
        Format::Table | Format::Wide => {
            if let Object::Filter(filter) = &*object {
                writeln!(out, "{}", sentence(filter))?;
            }
            write_fields(&mut out, &content(&object), 0)?;
        }
        Format::Json => writeln!(out, "{:#}", to_json(&content(&object)))?,
        Format::Jsonl => writeln!(out, "{}", to_json(&content(&object)))?,
    }
    Ok(())
}

/// Writes what the filters of an engine without a kernel decide about a packet.
pub(crate) fn explain_in_words(
    out: &mut impl Write,
    session: &dyn Session,
    verdict: &Verdict,
) -> Result<(), Failure> {
    writeln!(out, "layer {}", name_of(verdict.layer))?;
    for decision in &verdict.decisions {
        let says = if decision.action == ActionType::Block { "blocks" } else { "permits" };
        let hard = if decision.is_hard { " (hard)" } else { "" };
        writeln!(out, "  {}: filter {} {says}{hard}", name_of(decision.sublayer), decision.filter_id)?;
        // A filter may be deleted between the two calls. The decision stands all the same.
        if let Ok(object) = session.object_get(ObjectKind::Filter, ObjectName::Id(decision.filter_id))
            && let Some(filter) = object.as_filter()
        {
            writeln!(out, "    \"{}\": {}", filter.name, sentence(filter))?;
        }
        if let Some(key) = decision.provider_context
            && let Ok(object) = session.object_get(ObjectKind::ProviderContext, ObjectName::Key(key))
            && let Some(context) = object.as_provider_context()
        {
            let kind = context_type_name(context.policy.context_type());
            writeln!(out, "    policy: provider context {} \"{}\", {kind}", context.id, context.name)?;
            if let Some(tunnel) = context.policy.tunnel() {
                writeln!(out, "    tunnel: {} to {}", tunnel.endpoints.local.0, tunnel.endpoints.remote.0)?;
            }
        }
    }
    let end = match (verdict.action, verdict.is_veto) {
        (ActionType::Block, true) => "blocked by a callout's veto".to_owned(),
        (ActionType::Block, false) => format!("blocked by filter {}", verdict.filter_id),
        (ActionType::Permit, _) => format!("permitted by filter {}", verdict.filter_id),
        _ => "permitted: no filter matches".to_owned(),
    };
    writeln!(out, "{end}")?;
    Ok(())
}

fn columns(kind: ObjectKind) -> Vec<Column> {
    let headings: &[&str] = match kind {
        ObjectKind::Provider => &["KEY", "FLAGS", "NAME"],
        ObjectKind::ProviderContext => &["ID", "KEY", "TYPE", "NAME"],
        ObjectKind::SubLayer => &["WEIGHT", "KEY", "NAME"],
        ObjectKind::Layer => &["ID", "KEY", "FIELDS"],
        ObjectKind::Callout => &["ID", "LAYER", "NAME"],
        _ => &["ID", "LAYER", "SUBLAYER", "WEIGHT", "NAME", "RULE"],
    };
    headings.iter().map(|heading| Column::text(heading, 0)).collect()
}

fn row(object: &Object) -> Vec<String> {
    let key = name_of(object.key());
    match object {
        Object::Provider(provider) => vec![key, format!("{:#x}", provider.flags), provider.name.clone()],
        Object::ProviderContext(context) => {
            let kind = context_type_name(context.policy.context_type()).to_owned();
            vec![context.id.to_string(), context.key.to_string(), kind, context.name.clone()]
        }
        Object::SubLayer(sublayer) => vec![sublayer.weight.to_string(), key, sublayer.name.clone()],
        Object::Layer(layer) => vec![layer.id.to_string(), key, layer.fields.len().to_string()],
        Object::Callout(callout) => vec![callout.id.to_string(), short(callout.layer), callout.name.clone()],
        Object::Filter(filter) => vec![
            filter.id.to_string(),
            short(filter.layer),
            short(filter.sublayer),
            format!("{:#018x}", filter.effective_weight),
            filter.name.clone(),
            sentence(filter),
        ],
        _ => vec![key],
    }
}

/// Describes in one line what a filter does.
fn sentence(filter: &Filter) -> String {
    let action = match filter.action.kind {
        kind if kind.has_callout() => format!("call {}", short(filter.action.callout)),
        kind => kind.name().to_lowercase(),
    };
    let mut fields: Vec<Guid> = Vec::new();
    for condition in &filter.conditions {
        if !fields.contains(&condition.field) {
            fields.push(condition.field);
        }
    }
    let parts: Vec<String> = fields
        .iter()
        .map(|field| {
            let alternatives: Vec<String> =
                filter.conditions.iter().filter(|condition| condition.field == *field).map(test).collect();
            format!("{} {}", short(*field), alternatives.join(" or "))
        })
        .collect();
    let policy = match filter.context {
        FilterContext::ProviderContext(key) => format!(" with policy {key}"),
        _ => String::new(),
    };
    match parts.is_empty() {
        true => format!("{action} all{policy}"),
        false => format!("{action} {}{policy}", parts.join(", ")),
    }
}

fn test(condition: &FilterCondition) -> String {
    let is_address = short(condition.field).ends_with("ADDRESS");
    let value = value(&condition.value, is_address);
    match condition.match_type {
        MatchType::Equal | MatchType::Range => value,
        MatchType::NotEqual => format!("not {value}"),
        MatchType::Greater => format!("> {value}"),
        MatchType::Less => format!("< {value}"),
        MatchType::GreaterOrEqual => format!(">= {value}"),
        MatchType::LessOrEqual => format!("<= {value}"),
        other => format!("{} {value}", other.name()),
    }
}

fn value(value: &Value, is_address: bool) -> String {
    match value {
        Value::Uint32(number) if is_address => Ipv4Addr::from(*number).to_string(),
        Value::ByteArray16(bytes) if is_address => Ipv6Addr::from(*bytes).to_string(),
        Value::Network(Network(network)) => network.to_string(),
        Value::Range(range) => {
            format!("{}-{}", self::value(&range.low, is_address), self::value(&range.high, is_address))
        }
        other => match Record::show(other) {
            Shown::Fields(fields) => fields.first().map_or_else(String::new, |(_, shown)| plain(shown)),
            shown => plain(&shown),
        },
    }
}

/// A GUID's name in Windows' headers, or the GUID.
pub(crate) fn name_of(guid: Guid) -> String {
    guids::name(guid).map_or_else(|| guid.to_string(), str::to_owned)
}

/// The same name without the prefix that all names of its kind share.
fn short(guid: Guid) -> String {
    let name = name_of(guid);
    for prefix in ["FWPM_LAYER_", "FWPM_SUBLAYER_", "FWPM_CALLOUT_", "FWPM_CONDITION_", "FWPM_PROVIDER_"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return rest.to_owned();
        }
    }
    name
}

/// The fields of an object, without the choice of its kind around them.
fn content(object: &Object) -> Shown {
    match Record::show(object) {
        Shown::Fields(mut fields) if fields.len() == 1 => fields.remove(0).1,
        shown => shown,
    }
}

pub(crate) fn to_json(shown: &Shown) -> serde_json::Value {
    match shown {
        Shown::Nothing => serde_json::Value::Null,
        Shown::Bool(value) => json!(value),
        Shown::Number(value) => json!(value),
        Shown::Signed(value) => json!(value),
        Shown::Float(value) => json!(value),
        Shown::Text(value) => json!(value),
        Shown::List(values) => values.iter().map(to_json).collect(),
        Shown::Fields(fields) => fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), to_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn plain(shown: &Shown) -> String {
    match shown {
        Shown::Nothing => "-".to_owned(),
        Shown::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        Shown::Number(value) => value.to_string(),
        Shown::Signed(value) => value.to_string(),
        Shown::Float(value) => value.to_string(),
        Shown::Text(value) => value.clone(),
        other => to_json(other).to_string(),
    }
}

/// Writes fields, one a line, indented by their depth, without empty ones.
fn write_fields(out: &mut impl Write, shown: &Shown, depth: usize) -> std::io::Result<()> {
    let Shown::Fields(fields) = shown else { return writeln!(out, "{:depth$}{}", "", plain(shown)) };
    for (name, value) in fields {
        match value {
            Shown::Nothing => {}
            Shown::Text(text) if text.is_empty() => {}
            Shown::List(values) if values.is_empty() => {}
            Shown::List(values) => {
                writeln!(out, "{:depth$}{name}:", "")?;
                for value in values {
                    match value {
                        Shown::Fields(_) => {
                            writeln!(out, "{:depth$}  -", "")?;
                            write_fields(out, value, depth + 4)?;
                        }
                        other => writeln!(out, "{:depth$}  {}", "", plain(other))?,
                    }
                }
            }
            Shown::Fields(inner) if inner.is_empty() => {}
            Shown::Fields(_) => {
                writeln!(out, "{:depth$}{name}:", "")?;
                write_fields(out, value, depth + 2)?;
            }
            other => writeln!(out, "{:depth$}{name}: {}", "", plain(other))?,
        }
    }
    Ok(())
}
