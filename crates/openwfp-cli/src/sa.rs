//! `wfp sa`: lists and shows SA contexts.

use crate::args::Format;
use crate::args::ListArgs;
use crate::args::Reference;
use crate::args::ShowArgs;
use crate::failure::Failure;
use crate::format::json;
use crate::format::show;
use crate::format::table;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Completeness;
use openwfp::api::ContextTemplate;
use openwfp::api::EnumOptions;
use openwfp::api::Error;
use openwfp::api::KeyAccess;
use openwfp::api::SaContext;
use openwfp::api::SaContextId;
use openwfp::api::Session;
use openwfp::api::Spi;
use std::io::BufWriter;
use std::io::Write;
use std::sync::Arc;

/// What a listing writes to: pages as they come, then the end.
pub(crate) trait Listing {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> std::io::Result<()>;
    fn end(&mut self, out: &mut dyn Write, end: &End<'_>) -> std::io::Result<()>;
}

/// How a listing ended.
pub(crate) struct End<'a> {
    /// How many contexts were printed.
    pub(crate) count: u64,
    /// What `--after` takes to go on, if there is more.
    pub(crate) more_after: Option<String>,
    /// Why the engine's contexts are not all that there are.
    pub(crate) incomplete: Option<&'a str>,
}

pub(crate) fn list(url: &EngineUrl, engine: &Engine, args: &ListArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp sa list"))?;
    let keys = key_access(&*session, args.show_keys)?;
    let mut out = BufWriter::with_capacity(1 << 16, anstream::stdout().lock());
    let mut listing: Box<dyn Listing> = match args.output {
        Format::Table => Box::new(table::Table::new(table::Width::OfTerminal, keys)),
        Format::Wide => Box::new(table::Table::new(table::Width::Wide, keys)),
        Format::Json => Box::new(json::Document::new(keys)),
        Format::Jsonl => Box::new(json::Lines::new(keys)),
    };

    let options = EnumOptions {
        template: ContextTemplate {
            local: args.local.clone().unwrap_or_default(),
            remote: args.remote.clone().unwrap_or_default(),
        },
        spi: args.spi,
        after: args.after.map(|reference| resolve(&*session, reference)).transpose()?,
    };
    let enumerator = session.sa_context_create_enum(&options)?;
    let (mut count, mut last) = (0_u64, None);
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit - count);
        let wanted = args.page_size.get().min(u32::try_from(left).unwrap_or(u32::MAX));
        if wanted == 0 {
            break;
        }
        let page = session.sa_context_enum(enumerator, wanted)?.accept();
        listing.page(&mut out, &page)?;
        count += page.len() as u64;
        last = page.last().cloned().or(last);
        if page.len() < wanted as usize {
            break;
        }
    }
    let more = !session.sa_context_enum(enumerator, 1)?.entries().is_empty();
    let completeness = session.completeness()?;
    let end = End {
        count,
        more_after: last.filter(|_| more).map(|context| name_for_later(url, &context)),
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
    match args.output {
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

/// The id of the context that a person named.
pub(crate) fn resolve(session: &dyn Session, reference: Reference) -> Result<SaContextId, Error> {
    let spi = match reference {
        Reference::Id(id) => return Ok(id),
        Reference::Spi(spi) => spi,
    };
    let options = EnumOptions { spi: Some(spi), ..EnumOptions::default() };
    let enumerator = session.sa_context_create_enum(&options)?;
    let found = session.sa_context_enum(enumerator, u32::MAX)?.accept();
    session.destroy_enum(enumerator)?;
    match &found[..] {
        [context] => Ok(context.id),
        [] => Err(Error::new(Code::FWP_E_NOT_FOUND, format!("no SA context holds the SPI {spi}"))
            .with_remedy("it may have been rekeyed or deleted; list again from the start")),
        several => {
            let ids: Vec<String> = several.iter().map(|context| context.id.to_string()).collect();
            let what = format!("the SPI {spi} is held by the SA contexts {}", ids.join(", "));
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy("name one by its id"))
        }
    }
}

/// What names a context in a later command: its id where the engine keeps ids, else an SPI.
fn name_for_later(url: &EngineUrl, context: &SaContext) -> String {
    let spi: Option<Spi> = context.spis().map(|(_, spi)| spi).next();
    match (url, spi) {
        (EngineUrl::Xfrm(_), Some(spi)) => spi.to_string(),
        _ => context.id.to_string(),
    }
}
