//! `wfp sa watch`: changes of SA contexts as they happen.

use crate::args::Format;
use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::failure::complain;
use crate::format::json;
use crate::format::json::Changed;
use crate::format::words;
use openwfp::Engine;
use openwfp::Update;
use openwfp::Watcher;
use openwfp::api::ContextFields;
use openwfp::api::Direction;
use openwfp::api::EventKind;
use openwfp::api::SaContext;
use openwfp::api::SaContextEvent;
use openwfp::api::SaContextId;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for an update before waiting again. Nothing depends on it.
const WAIT: Duration = Duration::from_secs(3600);

/// The engine's contexts as last seen, so that a listing after a gap becomes the events that were missed.
#[derive(Default)]
struct Known {
    contexts: BTreeMap<SaContextId, Arc<SaContext>>,
    listed: bool,
}

/// What happened to a context.
type Seen = (EventKind, Changed);

pub(crate) fn watch(engine: Engine, args: &WatchArgs) -> Result<(), Failure> {
    let mut watcher = Watcher::new(engine, args.template.template());
    let (mut known, mut announced) = (Known::default(), false);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut out = anstream::stdout().lock();
    let lines = matches!(args.output, Format::Json | Format::Jsonl);
    if !lines {
        writeln!(out, "{}", heading())?;
        out.flush()?;
    }
    while left > 0 {
        let Some(update) = watcher.next(WAIT)? else { continue };
        if let Update::Away(why) = &update {
            complain(&format!("warning: lost the connection to the engine, reconnecting: {why}"));
        }
        for (kind, changed) in known.take(update) {
            if left == 0 {
                break;
            }
            left -= 1;
            if lines {
                json::write_event(&mut out, word(kind), &words::now(), &changed)?;
            } else {
                writeln!(out, "{}", row(kind, &changed))?;
            }
        }
        out.flush()?;
        if known.listed && !announced {
            announced = true;
            complain(&format!("watching {} SA contexts", known.contexts.len()));
        }
    }
    Ok(())
}

impl Known {
    /// Turns an update into events.
    fn take(&mut self, update: Update) -> Vec<Seen> {
        match update {
            Update::Away(_) => Vec::new(),
            Update::Changed(event) => self.change(event).into_iter().collect(),
            Update::Listed(contexts) => self.list(contexts),
        }
    }

    fn change(&mut self, event: SaContextEvent) -> Option<Seen> {
        let after = event.context.or_else(|| self.contexts.get(&event.id).cloned())?;
        let before = match event.kind {
            EventKind::Delete => self.contexts.remove(&event.id),
            _ => self.contexts.insert(event.id, Arc::clone(&after)),
        };
        Some((event.kind, Changed { before, after, fields: event.changed }))
    }

    /// Stores a listing. The first one is where watching begins; a later one yields the events that were missed.
    fn list(&mut self, contexts: Vec<Arc<SaContext>>) -> Vec<Seen> {
        let new: BTreeMap<_, _> = contexts.into_iter().map(|context| (context.id, context)).collect();
        let first = !std::mem::replace(&mut self.listed, true);
        let old = std::mem::replace(&mut self.contexts, new);
        if first {
            return Vec::new();
        }
        let gone = old.iter().filter(|(id, _)| !self.contexts.contains_key(id));
        let seen = |kind, after: &Arc<SaContext>, before: Option<&Arc<SaContext>>| {
            let fields = before.map(|before| ContextFields::between(before, after)).unwrap_or_default();
            (kind, Changed { before: before.cloned(), after: Arc::clone(after), fields })
        };
        let gone = gone.map(|(_, context)| seen(EventKind::Delete, context, None));
        let here = self.contexts.iter().filter_map(|(id, context)| match old.get(id) {
            None => Some(seen(EventKind::Add, context, None)),
            Some(before) => {
                Some(seen(EventKind::Change, context, Some(before))).filter(|(_, it)| !it.fields.is_empty())
            }
        });
        gone.chain(here).collect()
    }
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Add => "add",
        EventKind::Delete => "delete",
        EventKind::SoftExpiry => "soft-expiry",
        EventKind::Expire => "expire",
        EventKind::Acquire => "acquire",
        _ => "change",
    }
}

fn heading() -> String {
    format!(
        "{:<24}  {:<11}  {:>6}  {:<8}  {:<15}  {:<15}  {:<10}  {:<10}  {:>12}  {:>12}  WHAT",
        "TIME", "EVENT", "ID", "STATE", "LOCAL", "REMOTE", "SPI IN", "SPI OUT", "BYTES IN", "BYTES OUT"
    )
}

fn row(kind: EventKind, changed: &Changed) -> String {
    let context = &*changed.after;
    let spi = |direction| match context.details(direction) {
        Some(details) => details.bundle.sas.first().spi.to_string(),
        None if direction == Direction::Inbound => {
            words::larval_spi(context).map_or_else(|| "-".into(), |spi| spi.to_string())
        }
        None => "-".into(),
    };
    let bytes = |direction| context.counters.direction(direction).traffic().0;
    let endpoints = context.traffic.endpoints;
    let what = match context.acquire() {
        Some(packet) => format!("  {}", words::packet(packet)),
        None if changed.fields.is_empty() => String::new(),
        None => format!("  {}", words::escaped(&json::describe(changed))),
    };
    format!(
        "{:<24}  {:<11}  {:>6}  {:<8}  {:<15}  {:<15}  {:<10}  {:<10}  {:>12}  {:>12}{what}",
        words::now(),
        word(kind),
        context.id.0,
        context.state.word(),
        endpoints.local().to_string(),
        endpoints.remote().to_string(),
        spi(Direction::Inbound),
        spi(Direction::Outbound),
        bytes(Direction::Inbound),
        bytes(Direction::Outbound),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp::api::Endpoints;
    use openwfp::api::Mode;
    use openwfp::api::SaState;
    use openwfp::api::Traffic;

    fn context(id: u64) -> Arc<SaContext> {
        let endpoints = Endpoints::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let endpoints = endpoints.unwrap_or_else(|| panic!("of one version"));
        Arc::new(SaContext::new(SaContextId(id), Traffic::new(endpoints, Mode::Tunnel)))
    }

    #[test]
    fn a_listing_after_a_gap_is_what_was_missed() {
        let mut known = Known::default();
        assert!(known.take(Update::Listed(vec![context(1), context(2), context(3)])).is_empty());
        let mut changed = (*context(3)).clone();
        changed.state = SaState::Complete;
        let missed = known.take(Update::Listed(vec![context(2), Arc::new(changed), context(4)]));
        let missed: Vec<_> = missed.iter().map(|(kind, changed)| (*kind, changed.after.id.0)).collect();
        assert_eq!(missed, [(EventKind::Delete, 1), (EventKind::Change, 3), (EventKind::Add, 4)]);
    }
}
