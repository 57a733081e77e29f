//! A selection: what an enumerator shows, compiled once when it is created.

use crate::database::Database;
use crate::database::Side;
use crate::database::holds;
use crate::enumerator::Walk;
use openwfp_api::AddressMatch;
use openwfp_api::ContextTemplate;
use openwfp_api::Direction;
use openwfp_api::EnumOptions;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaEntry;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use std::hint::black_box;
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
    /// What is shown of a version. `with_spi` are the contexts with the SPI that is asked for, where the index knows
    /// them; it does not for the version that a transaction holds, all of which is looked at then.
    pub(crate) fn new(
        options: &EnumOptions,
        with_spi: Option<Vec<SaContextId>>,
        database: &Database,
    ) -> Selection {
        let template = options.template.clone();
        let source = match (options.spi, with_spi) {
            (Some(_), Some(ids)) => Source::Ids(ids),
            (Some(spi), None) => {
                let with_spi = database.after(None).filter(|context| holds(context, spi));
                Source::Ids(with_spi.map(|context| context.id).collect())
            }
            (None, _) => Source::of_template(&template, database),
        };
        Selection { source, template }
    }
}

impl Walk for Selection {
    type Entry = Arc<SaContext>;
    type Key = SaContextId;

    fn key(context: &Arc<SaContext>) -> SaContextId {
        context.id
    }

    fn size_hint(&self, database: &Database) -> usize {
        match &self.source {
            Source::All if self.template == ContextTemplate::default() => database.len(),
            Source::All | Source::Address(..) => database.len().min(GUESSED_SIZE),
            Source::Ids(ids) => ids.len(),
        }
    }

    fn fill(
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
                extend(page, database.after(after).take(room));
            }
            Source::All => extend(page, database.after(after).filter(wanted).take(room)),
            Source::Address(side, address) => {
                let ids = database.ids_between(*side, (*address, *address), after);
                let contexts = ids.filter_map(|id| database.get(id));
                extend(page, contexts.filter(wanted).take(room));
            }
            Source::Ids(ids) => {
                let start = after.map_or(0, |after| ids.partition_point(|id| *id <= after));
                let contexts = ids[start..].iter().filter_map(|id| database.get(*id));
                extend(page, contexts.filter(wanted).take(room));
            }
        }
    }
}

/// Adds contexts to a page.
///
/// A reference's count is changed by one processor at a time, which waits for its memory before it goes on. Where the
/// contexts lie scattered, that wait is most of a walk; so the counts of several are read first, which are waited for
/// together.
fn extend<'a>(page: &mut Vec<Arc<SaContext>>, mut contexts: impl Iterator<Item = &'a Arc<SaContext>>) {
    const TOGETHER: usize = 32;
    let Some(first) = contexts.next() else {
        return;
    };
    let mut batch = [first; TOGETHER];
    let mut len = 1;
    while len > 0 {
        for (place, context) in batch[len..].iter_mut().zip(&mut contexts) {
            *place = context;
            len += 1;
        }
        black_box(batch[..len].iter().map(|context| Arc::strong_count(context)).sum::<usize>());
        page.extend(batch[..len].iter().map(|context| Arc::clone(context)));
        len = 0;
        if let Some(next) = contexts.next() {
            (batch[0], len) = (next, 1);
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

/// The walk over single SAs.
pub(crate) struct SaSelection {
    pub(crate) direction: Option<Direction>,
}

/// The order of a context's SAs: inbound, then outbound.
const DIRECTIONS: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

impl Walk for SaSelection {
    type Entry = SaEntry;
    type Key = (SaContextId, bool);

    fn key(entry: &SaEntry) -> (SaContextId, bool) {
        (entry.context().id, entry.direction() == Direction::Outbound)
    }

    fn size_hint(&self, database: &Database) -> usize {
        database.len().saturating_mul(if self.direction.is_none() { 2 } else { 1 })
    }

    fn fill(
        &self,
        database: &Database,
        after: Option<(SaContextId, bool)>,
        limit: usize,
        page: &mut Vec<SaEntry>,
    ) {
        let room = limit.saturating_sub(page.len());
        // The context of the last entry is looked at again: its outbound SA may be to come.
        let before = after.map(|(id, _)| SaContextId(id.0.saturating_sub(1)));
        let entries = database
            .after(before)
            .flat_map(|context| {
                DIRECTIONS.into_iter().filter_map(|direction| SaEntry::new(context, direction))
            })
            .filter(|entry| self.direction.is_none_or(|direction| direction == entry.direction()))
            .filter(|entry| after.is_none_or(|after| SaSelection::key(entry) > after));
        page.extend(entries.take(room));
    }
}

/// The walk over the sessions that were open at its creation.
pub(crate) struct SessionSelection {
    /// Sorted by their numbers.
    pub(crate) sessions: Vec<Arc<SessionInfo>>,
}

impl Walk for SessionSelection {
    type Entry = Arc<SessionInfo>;
    type Key = SessionNumber;

    fn key(session: &Arc<SessionInfo>) -> SessionNumber {
        session.number
    }

    fn size_hint(&self, _database: &Database) -> usize {
        self.sessions.len()
    }

    fn fill(
        &self,
        _database: &Database,
        after: Option<SessionNumber>,
        limit: usize,
        page: &mut Vec<Arc<SessionInfo>>,
    ) {
        let room = limit.saturating_sub(page.len());
        let start = after.map_or(0, |after| self.sessions.partition_point(|session| session.number <= after));
        page.extend(self.sessions[start..].iter().take(room).cloned());
    }
}
