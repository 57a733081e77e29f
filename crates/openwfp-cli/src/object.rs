//! `wfp filter`, `provider`, `context`, `sublayer`, `layer` and `callout`, which list and show objects.

use crate::args::Format;
use crate::args::ObjectDeleteArgs;
use crate::args::ObjectPagingArgs;
use crate::args::ObjectShowArgs;
use crate::change::confirm;
use crate::failure::Failure;
use crate::format;
use crate::format::printable::Json;
use crate::format::printable::Printable;
use crate::format::rows::Column;
use crate::format::rows::Rows;
use crate::format::words;
use anstyle::AnsiColor;
use anstyle::Style;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Error;
use openwfp::api::Guid;
use openwfp::api::SecurityInformation;
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
use openwfp::api::object::kernel::EffectKind;
use openwfp::api::object::kernel::FilterEffect;
use openwfp::api::object::packet::Verdict;
use openwfp::api::object::policy::context_type_name;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::object::value::Value;
use openwfp::api::record::Network;
use openwfp::api::record::Record;
use openwfp::api::record::Shown;
use serde_json::json;
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
    let (mut out, colors) = format::stdout();
    let (mut count, mut last) = (0_u64, None);
    let mut totals = Totals::default();
    let mut table = Rows::new(columns(kind), true, colors);
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit - count);
        let wanted = args.page_size.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        if wanted == 0 {
            break;
        }
        let page = session.object_enum(enumerator, wanted)?.accept();
        let effects = effects(&*session, &page)?;
        totals.note(&page, &effects);
        write_page(&mut out, &mut table, args.output.output, &page, &effects, count == 0)?;
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
            writeln!(out, "{count} {kind}{plural}{}", totals.of_effects())?;
            totals.write_reasons(&mut out)?;
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
    effects: &[FilterEffect],
    is_first: bool,
) -> std::io::Result<()> {
    let with_effects = || page.iter().enumerate().map(|(place, object)| (object, effects.get(place)));
    match format {
        Format::Table | Format::Wide => {
            let rows: Vec<Vec<String>> = with_effects().map(|(object, effect)| row(object, effect)).collect();
            table.write(out, &rows, style)
        }
        Format::Json => {
            if is_first {
                write!(out, "{{\"objects\": [")?;
            }
            let mut out = Json(out);
            for (place, (object, effect)) in with_effects().enumerate() {
                let comma = if is_first && place == 0 { "" } else { "," };
                write!(out, "{comma}\n  {}", whole_json(object, effect))?;
            }
            Ok(())
        }
        Format::Jsonl => {
            with_effects().try_for_each(|(object, effect)| writeln!(out, "{}", whole_json(object, effect)))
        }
    }
}

/// Returns the effects of a page of filters; none for objects of other kinds.
fn effects(session: &dyn Session, page: &[Arc<Object>]) -> Result<Vec<FilterEffect>, Failure> {
    let ids: Vec<u64> = page.iter().filter_map(|object| object.as_filter()).map(|filter| filter.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match session.filter_effects(&ids) {
        Ok(effects) => Ok(effects),
        // One of them was deleted meanwhile: ask for each.
        Err(error) if error.code() == Code::FWP_E_FILTER_NOT_FOUND => {
            let one = |id: &u64| session.filter_effects(&[*id]).ok().and_then(|mut one| one.pop());
            let gone =
                || FilterEffect { reason: "it was deleted meanwhile".to_owned(), ..FilterEffect::default() };
            Ok(ids.iter().map(|id| one(id).unwrap_or_else(gone)).collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns an object as JSON, with its effect if it is a filter.
fn whole_json(object: &Object, effect: Option<&FilterEffect>) -> serde_json::Value {
    let mut json = to_json(&content(object));
    if let (Some(effect), Some(members)) = (effect, json.as_object_mut()) {
        let effect = json!({
            "kind": effect_word(effect),
            "policies": effect.policies,
            "reason": (!effect.reason.is_empty()).then_some(&effect.reason),
        });
        members.insert("effect".to_owned(), effect);
    }
    json
}

fn effect_word(effect: &FilterEffect) -> &'static str {
    match effect.kind {
        EffectKind::Kernel => "kernel",
        EffectKind::Nftables => "nft",
        EffectKind::Keying => "keying",
        _ => "none",
    }
}

/// Returns the effect of a filter in a few characters, such as `kernel:513+2`.
fn effect_cell(effect: &FilterEffect) -> String {
    let word = effect_word(effect);
    match &effect.policies[..] {
        [] => word.to_owned(),
        [one] => format!("{word}:{one}"),
        [first, rest @ ..] => format!("{word}:{first}+{}", rest.len()),
    }
}

fn style(heading: &str, cell: &str) -> Style {
    if heading == "EFFECT" && cell == "none" { AnsiColor::Yellow.on_default() } else { Style::new() }
}

/// What the footer of a list of filters says.
#[derive(Default)]
struct Totals {
    filters: u64,
    kernel: u64,
    nftables: u64,
    keying: u64,
    none: u64,
    reasons: Vec<String>,
}

impl Totals {
    fn note(&mut self, page: &[Arc<Object>], effects: &[FilterEffect]) {
        /// Number of reasons to print; `wfp filter show` has each.
        const REASONS_MAX: usize = 3;
        for (object, effect) in page.iter().zip(effects) {
            self.filters += 1;
            match effect.kind {
                EffectKind::Kernel => self.kernel += 1,
                EffectKind::Nftables => self.nftables += 1,
                EffectKind::Keying => self.keying += 1,
                _ => {
                    self.none += 1;
                    if self.reasons.len() < REASONS_MAX {
                        let id = object.as_filter().map_or(0, |filter| filter.id);
                        self.reasons.push(format!("{id} has no effect: {}", words::escaped(&effect.reason)));
                    }
                }
            }
        }
    }

    fn of_effects(&self) -> String {
        let parts: Vec<String> = [
            (self.kernel, "in kernel policies"),
            (self.nftables, "in nftables"),
            (self.keying, "for keying"),
            (self.none, "without effect"),
        ]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
        if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
    }

    fn write_reasons(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.reasons.iter().try_for_each(|reason| writeln!(out, "{reason}"))
    }
}

pub(crate) fn show(engine: &Engine, kind: ObjectKind, args: &ObjectShowArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp show"))?;
    let object = session.object_get(kind, args.name)?;
    // A filter that stands for a kernel policy is no filter of the engine, and has no effect beside it.
    let is_own = object.as_filter().is_some_and(|filter| filter.id > u64::from(u32::MAX));
    let effects = if is_own { effects(&*session, std::slice::from_ref(&object))? } else { Vec::new() };
    let effect = effects.first();
    let mut out = anstream::stdout().lock();
    match args.output.output {
        Format::Table | Format::Wide => {
            if let Object::Filter(filter) = &*object {
                writeln!(out, "{}", sentence(filter))?;
            }
            if let Some(effect) = effect {
                let reason = if effect.reason.is_empty() { "" } else { ": " };
                writeln!(out, "effect {}{reason}{}", effect_cell(effect), words::escaped(&effect.reason))?;
            }
            write_fields(&mut out, &content(&object), 0)?;
            // Not everybody who may read an object may read its access list.
            if let Ok(access) = session.object_security_info(kind, object.key(), SecurityInformation::ALL) {
                writeln!(out, "access {}", access.to_sddl())?;
            }
        }
        Format::Json => writeln!(Json(out), "{:#}", whole_json(&object, effect))?,
        Format::Jsonl => writeln!(Json(out), "{}", whole_json(&object, effect))?,
    }
    Ok(())
}

/// Deletes objects, one after the other until one cannot be deleted.
pub(crate) fn delete(
    url: &EngineUrl,
    engine: &Engine,
    kind: ObjectKind,
    args: &ObjectDeleteArgs,
) -> Result<(), Failure> {
    if !matches!(url, EngineUrl::Remote { .. }) {
        let what = format!("{url} is an engine of this command alone, which has only built-in objects");
        return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what)
            .with_remedy("Name the engine of a daemon.")
            .into());
    }
    let session = engine.open_session(SessionOptions::new().name("wfp delete"))?;
    let objects =
        args.names.iter().map(|name| session.object_get(kind, *name)).collect::<Result<Vec<_>, Error>>()?;
    let named = |object: &Object| format!("{kind} {} {}", object.key(), words::escaped(object.name()));
    if !args.yes {
        let mut out = anstream::stdout().lock();
        for object in &objects {
            writeln!(out, "{}", named(object))?;
        }
        let them = if objects.len() == 1 { "it".to_owned() } else { format!("these {}", objects.len()) };
        confirm(&mut out, &format!("delete {them}?"))?;
    }
    for object in &objects {
        session.object_delete(kind, ObjectName::Key(object.key()))?;
        anstream::println!("deleted: {}", named(object));
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
            writeln!(out, "    \"{}\": {}", Printable(&filter.name), sentence(filter))?;
        }
        if let Some(key) = decision.provider_context
            && let Ok(object) = session.object_get(ObjectKind::ProviderContext, ObjectName::Key(key))
            && let Some(context) = object.as_provider_context()
        {
            let kind = context_type_name(context.policy.context_type());
            let (id, name) = (context.id, Printable(&context.name));
            writeln!(out, "    policy: provider context {id} \"{name}\", {kind}")?;
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
        _ => &["ID", "LAYER", "SUBLAYER", "WEIGHT", "EFFECT", "NAME", "RULE"],
    };
    headings.iter().map(|heading| Column::text(heading, 0)).collect()
}

fn row(object: &Object, effect: Option<&FilterEffect>) -> Vec<String> {
    let key = name_of(object.key());
    match object {
        Object::Provider(provider) => {
            let flags = format!("{:#x}", provider.flags);
            vec![key, flags, provider.name.clone()]
        }
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
            effect.map_or_else(|| "-".to_owned(), effect_cell),
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
        Shown::Text(value) => Printable(value).to_string(),
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
