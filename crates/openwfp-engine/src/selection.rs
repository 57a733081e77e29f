//! A selection: what an enumerator shows, compiled once when it is created.

use crate::database::Database;
use crate::database::Side;
use openwfp_api::AddressMatch;
use openwfp_api::ContextTemplate;
use openwfp_api::EnumOptions;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use std::net::IpAddr;
use std::sync::Arc;

/// Up to so many ids are collected from an index when an enumerator is created. A template that selects
/// more is answered by a walk over all contexts, which then meets one in every
/// (contexts / `INDEXED_IDS_MAX`) at least.
const INDEXED_IDS_MAX: usize = 16_384;

/// How many contexts a page has room for at first when nobody knows how many there are.
const GUESSED_SIZE: usize = 1024;

/// How the contexts are found, and which of those found are shown.
pub(crate) struct Selection {
    source: Source,
    template: ContextTemplate,
}

enum Source {
    /// All contexts, in the order of their ids.
    All,
    /// Those with one address, which the index holds in the order of their ids.
    Address(Side, IpAddr),
    /// These, sorted.
    Ids(Vec<SaContextId>),
}

impl Selection {
    pub(crate) fn new(options: &EnumOptions, database: &Database) -> Selection {
        let template = options.template.clone();
        let source = match options.spi {
            Some(spi) => Source::Ids(database.ids_with_spi(spi)),
            None => Source::of_template(&template, database),
        };
        Selection { source, template }
    }

    /// As many contexts as there can be in the database that this selects; with a template that only a walk
    /// answers, a guess that costs little if it is wrong.
    pub(crate) fn size_hint(&self, database: &Database) -> usize {
        match &self.source {
            Source::All if self.template == ContextTemplate::default() => database.len(),
            Source::All | Source::Address(..) => database.len().min(GUESSED_SIZE),
            Source::Ids(ids) => ids.len(),
        }
    }

    /// Adds the next contexts behind an id to a page, until it holds `limit` or there are no more.
    pub(crate) fn fill(
        &self,
        database: &Database,
        after: Option<SaContextId>,
        limit: usize,
        page: &mut Vec<Arc<SaContext>>,
    ) {
        let room = limit.saturating_sub(page.len());
        let wanted = |context: &&Arc<SaContext>| self.template.matches(context);
        match &self.source {
            Source::All if self.template == ContextTemplate::default() => {
                page.extend(database.after(after).take(room).cloned());
            }
            Source::All => page.extend(database.after(after).filter(wanted).take(room).cloned()),
            Source::Address(side, address) => {
                let ids = database.ids_between(*side, (*address, *address), after);
                let contexts = ids.filter_map(|id| database.get(id));
                page.extend(contexts.filter(wanted).take(room).cloned());
            }
            Source::Ids(ids) => {
                let start = after.map_or(0, |after| ids.partition_point(|id| *id <= after));
                let contexts = ids[start..].iter().filter_map(|id| database.get(*id));
                page.extend(contexts.filter(wanted).take(room).cloned());
            }
        }
    }
}

impl Source {
    fn of_template(template: &ContextTemplate, database: &Database) -> Source {
        let sides = [(Side::Remote, &template.remote), (Side::Local, &template.local)];
        for (side, address) in sides {
            if let AddressMatch::Address(address) = address {
                return Source::Address(side, *address);
            }
        }
        for (side, address) in sides {
            let Some(bounds) = address.bounds() else { continue };
            let mut ids: Vec<_> =
                database.ids_between(side, bounds, None).take(INDEXED_IDS_MAX + 1).collect();
            if ids.len() <= INDEXED_IDS_MAX {
                ids.sort_unstable();
                return Source::Ids(ids);
            }
        }
        Source::All
    }
}
