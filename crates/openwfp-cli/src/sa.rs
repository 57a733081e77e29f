//! `wfp sa list` and `wfp sa show`.

use crate::args::Format;
use crate::args::ListArgs;
use crate::args::Reference;
use crate::args::ShowArgs;
use crate::failure::Failure;
use crate::format;
use crate::format::json;
use crate::format::show;
use crate::format::table;
use openwfp::Contexts;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Completeness;
use openwfp::api::EnumOptions;
use openwfp::api::Error;
use openwfp::api::KeyAccess;
use openwfp::api::SaContext;
use openwfp::api::SaContextId;
use openwfp::api::Session;
use openwfp::api::Spi;
use openwfp::rpc::ClientOptions;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::thread::Scope;

/// How many contexts to ask for at once where the user has not said it.
const PAGE: u32 = 1000;

/// A format of a listing, which writes page by page.
pub(crate) trait Listing {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> std::io::Result<()>;
    fn end(&mut self, out: &mut dyn Write, end: &End<'_>) -> std::io::Result<()>;
}

/// How a listing ended.
pub(crate) struct End<'a> {
    /// How many contexts were printed.
    pub(crate) count: u64,
    /// The value of `--after` that continues the listing, if there is more.
    pub(crate) more_after: Option<String>,
    /// Why the listing is incomplete, if it is.
    pub(crate) incomplete: Option<&'a str>,
}

/// Where SA contexts are listed from: an engine's session, or a snapshot, which no engine has to hold.
pub(crate) trait Source {
    /// Returns a function that returns the next contexts, at most as many as it is asked for; an empty page is the last one.
    fn pages<'s>(&'s self, options: &EnumOptions) -> Result<NextPage<'s>, Error>;
    fn completeness(&self) -> Result<Completeness, Error>;
}

type NextPage<'s> = Box<dyn FnMut(u32) -> Result<Vec<Arc<SaContext>>, Error> + 's>;

impl Source for dyn Session {
    fn pages<'s>(&'s self, options: &EnumOptions) -> Result<NextPage<'s>, Error> {
        let mut contexts = self.sa_contexts(options)?;
        Ok(Box::new(move |wanted| contexts.next_page(wanted)))
    }

    fn completeness(&self) -> Result<Completeness, Error> {
        Session::completeness(self)
    }
}

/// The contexts of a snapshot.
struct OfSnapshot<'s, 'e> {
    contexts: &'s dyn Contexts,
    completeness: &'s Completeness,
    /// Where the thread runs that builds the contexts of a long listing while this one writes them.
    scope: &'s Scope<'s, 'e>,
}

/// Up to this many contexts, one thread lists them as fast as two.
const CONTEXTS_PER_THREAD_MIN: usize = 16_384;

impl Source for OfSnapshot<'_, '_> {
    fn pages<'s>(&'s self, options: &EnumOptions) -> Result<NextPage<'s>, Error> {
        let EnumOptions { template, spi, after } = options.clone();
        let source = self.contexts;
        // The id of a context is its number in the listing, from 1.
        let numbers = after.map_or(0, |after| usize::try_from(after.0).unwrap_or(usize::MAX))..source.len();
        let is_long = numbers.len() > CONTEXTS_PER_THREAD_MIN;
        let mut contexts = numbers
            .filter(move |number| spi.is_none_or(|spi| source.has_spi(*number, spi)))
            .filter_map(|number| source.get(number))
            .filter(move |context| template.matches(context));
        if !is_long {
            return Ok(Box::new(move |wanted| Ok(contexts.by_ref().take(wanted as usize).collect())));
        }
        let (sender, pages) = mpsc::sync_channel(2);
        self.scope.spawn(move || {
            loop {
                let page: Vec<_> = contexts.by_ref().take(PAGE as usize).collect();
                // Nobody receives what comes after the end of the listing.
                if page.is_empty() || sender.send(page).is_err() {
                    break;
                }
            }
        });
        let mut contexts = pages.into_iter().flatten();
        Ok(Box::new(move |wanted| Ok(contexts.by_ref().take(wanted as usize).collect())))
    }

    fn completeness(&self) -> Result<Completeness, Error> {
        Ok(self.completeness.clone())
    }
}

pub(crate) fn list(url: &EngineUrl, client: ClientOptions, args: &ListArgs) -> Result<(), Failure> {
    if let Some(snapshot) = openwfp::snapshot(url)? {
        // The process ends: to wipe and free a long dump first would keep its user waiting.
        let snapshot = std::mem::ManuallyDrop::new(snapshot);
        // Whoever could read a snapshot could also read its keys.
        let keys = args.show_keys.then(KeyAccess::grant);
        return snapshot.read(|contexts, completeness| {
            thread::scope(|scope| write(url, &OfSnapshot { contexts, completeness, scope }, keys, args))
        })?;
    }
    let engine = Engine::with(url, client)?;
    let session = engine.open_session(SessionOptions::new().name("wfp sa list"))?;
    let keys = key_access(&*session, args.show_keys)?;
    write(url, &*session, keys, args)
}

fn write(
    url: &EngineUrl,
    source: &(impl Source + ?Sized),
    keys: Option<KeyAccess>,
    args: &ListArgs,
) -> Result<(), Failure> {
    let (mut out, colors) = format::stdout();
    let mut listing: Box<dyn Listing> = match args.output.output {
        Format::Table => Box::new(table::Table::new(table::Width::OfTerminal, keys, colors)),
        Format::Wide => Box::new(table::Table::new(table::Width::Wide, keys, colors)),
        Format::Json => Box::new(json::Document::new(keys)),
        Format::Jsonl => Box::new(json::Lines::new(keys)),
    };
    let options = EnumOptions {
        template: args.template.template(),
        spi: args.spi,
        after: args.after.map(|reference| resolve(source, reference)).transpose()?,
    };
    let mut next_page = source.pages(&options)?;
    let (mut count, mut last) = (0_u64, None);
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit - count);
        let page = next_page(args.page_size.get().min(u32::try_from(left).unwrap_or(u32::MAX)))?;
        if page.is_empty() {
            break;
        }
        listing.page(&mut out, &page)?;
        count += page.len() as u64;
        last = page.last().cloned().or(last);
    }
    let more = !next_page(1)?.is_empty();
    let completeness = source.completeness()?;
    let end = End {
        count,
        more_after: last.filter(|_| more).map(|context| name_for_later(source, url, &context)).transpose()?,
        incomplete: match &completeness {
            Completeness::Whole => None,
            Completeness::Incomplete(why) => Some(why),
        },
    };
    listing.end(&mut out, &end)?;
    out.flush()?;
    match completeness {
        Completeness::Whole => Ok(()),
        Completeness::Incomplete(why) => Err(Failure::Incomplete(why)),
    }
}

pub(crate) fn show(engine: &Engine, args: &ShowArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp sa show"))?;
    let keys = key_access(&*session, args.show_keys)?;
    let context = session.sa_context_by_id(resolve(&*session, args.id)?)?;
    let mut out = anstream::stdout().lock();
    match args.output.output {
        Format::Table | Format::Wide => show::write(&mut out, &context, keys.as_ref())?,
        Format::Json => json::write_one(&mut out, &context, keys.as_ref(), json::Layout::Pretty)?,
        Format::Jsonl => json::write_one(&mut out, &context, keys.as_ref(), json::Layout::Line)?,
    }
    match session.completeness()? {
        Completeness::Whole => Ok(()),
        Completeness::Incomplete(why) => Err(Failure::Incomplete(why)),
    }
}

fn key_access(session: &dyn Session, wanted: bool) -> Result<Option<KeyAccess>, Error> {
    wanted.then(|| session.key_access()).transpose()
}

/// Returns the id of the context that the user named by id or SPI.
pub(crate) fn resolve(source: &(impl Source + ?Sized), reference: Reference) -> Result<SaContextId, Error> {
    let (spi, remote) = match reference {
        Reference::Id(id) => return Ok(id),
        Reference::Spi(spi, remote) => (spi, remote),
    };
    let found = with_spi(source, spi, remote)?;
    match &found[..] {
        [context] => Ok(context.id),
        [] => Err(Error::new(Code::FWP_E_NOT_FOUND, format!("no SA context has SPI {spi}"))
            .with_remedy("It may have been rekeyed or deleted. List the SA contexts again.")),
        several => {
            let ids: Vec<String> = several.iter().map(|context| context.id.to_string()).collect();
            let what = format!("{} SA contexts have SPI {spi}: {}", ids.len(), ids.join(", "));
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                .with_remedy("Give an id, or the SPI with the remote address: 0x3@192.0.2.9."))
        }
    }
}

/// Returns the contexts with an SPI and, if it is given, a remote address.
fn with_spi(
    source: &(impl Source + ?Sized),
    spi: Spi,
    remote: Option<IpAddr>,
) -> Result<Vec<Arc<SaContext>>, Error> {
    let mut next_page = source.pages(&EnumOptions { spi: Some(spi), ..EnumOptions::default() })?;
    let mut found = Vec::new();
    while let page = next_page(PAGE)?
        && !page.is_empty()
    {
        found.extend(page);
    }
    let is_meant =
        |context: &Arc<SaContext>| remote.is_none_or(|remote| context.traffic.endpoints.remote() == remote);
    Ok(found.into_iter().filter(is_meant).collect())
}

/// Returns what names a context, and no other one, in a later command: its id where the engine keeps ids, else an SPI if
/// necessary with the remote address. Only where neither tells contexts apart, it is the place in this listing.
fn name_for_later(
    source: &(impl Source + ?Sized),
    url: &EngineUrl,
    context: &SaContext,
) -> Result<String, Error> {
    if !matches!(url, EngineUrl::Xfrm(_)) {
        return Ok(context.id.to_string());
    }
    let remote = context.traffic.endpoints.remote();
    for with_remote in [None, Some(remote)] {
        for (_, spi) in context.spis() {
            if with_spi(source, spi, with_remote)?.len() == 1 {
                return Ok(with_remote.map_or_else(|| spi.to_string(), |remote| format!("{spi}@{remote}")));
            }
        }
    }
    Ok(context.id.to_string())
}
