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
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

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

pub(crate) fn list(url: &EngineUrl, engine: &Engine, args: &ListArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp sa list"))?;
    let keys = key_access(&*session, args.show_keys)?;
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
        after: args.after.map(|reference| resolve(&*session, reference)).transpose()?,
    };
    let mut contexts = session.sa_contexts(&options)?;
    let (mut count, mut last) = (0_u64, None);
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit - count);
        let wanted = args.page_size.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        let page = contexts.next_page(wanted)?;
        if page.is_empty() {
            break;
        }
        listing.page(&mut out, &page)?;
        count += page.len() as u64;
        last = page.last().cloned().or(last);
    }
    let more = !contexts.next_page(1)?.is_empty();
    let completeness = session.completeness()?;
    let end = End {
        count,
        more_after: last
            .filter(|_| more)
            .map(|context| name_for_later(&*session, url, &context))
            .transpose()?,
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
pub(crate) fn resolve(session: &dyn Session, reference: Reference) -> Result<SaContextId, Error> {
    let (spi, remote) = match reference {
        Reference::Id(id) => return Ok(id),
        Reference::Spi(spi, remote) => (spi, remote),
    };
    let found = with_spi(session, spi, remote)?;
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
fn with_spi(session: &dyn Session, spi: Spi, remote: Option<IpAddr>) -> Result<Vec<Arc<SaContext>>, Error> {
    let options = EnumOptions { spi: Some(spi), ..EnumOptions::default() };
    let found = session.sa_contexts(&options)?.collect::<Result<Vec<_>, Error>>()?;
    let is_meant =
        |context: &Arc<SaContext>| remote.is_none_or(|remote| context.traffic.endpoints.remote() == remote);
    Ok(found.into_iter().filter(is_meant).collect())
}

/// Returns what names a context, and no other one, in a later command: its id where the engine keeps ids, else an SPI if
/// necessary with the remote address. Only where neither tells contexts apart, it is the place in this listing.
fn name_for_later(session: &dyn Session, url: &EngineUrl, context: &SaContext) -> Result<String, Error> {
    if !matches!(url, EngineUrl::Xfrm(_)) {
        return Ok(context.id.to_string());
    }
    let remote = context.traffic.endpoints.remote();
    for with_remote in [None, Some(remote)] {
        for (_, spi) in context.spis() {
            if with_spi(session, spi, with_remote)?.len() == 1 {
                return Ok(with_remote.map_or_else(|| spi.to_string(), |remote| format!("{spi}@{remote}")));
            }
        }
    }
    Ok(context.id.to_string())
}
