//! Selections: the entries that an enumerator returns, compiled once when it is created.

use crate::access::rights_on_object;
use crate::database::Database;
use crate::database::Side;
use crate::database::holds;
use crate::enumerator::Walk;
use crate::objects::Entry;
use crate::objects::Objects;
use crate::objects::conditions::Conditions;
use openwfp_api::AddressMatch;
use openwfp_api::ContextTemplate;
use openwfp_api::Direction;
use openwfp_api::EnumOptions;
use openwfp_api::Guid;
use openwfp_api::Principal;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaEntry;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::object::FilterContext;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::template::ENUM_BEST_TERMINATING_MATCH;
use openwfp_api::object::template::ObjectTemplate;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

/// Maximum number of ids to collect from an index when an enumerator is created. For a template that
/// selects more, all contexts are scanned; at least one in every (contexts / `INDEXED_IDS_MAX`) then
/// matches.
const INDEXED_IDS_MAX: usize = 16_384;

/// Initial capacity of a page, in contexts, when the number of matches is unknown.
const GUESSED_SIZE: usize = 1024;

/// How to find contexts, and which of those found to return.
pub(crate) struct Selection {
    source: Source,
    template: ContextTemplate,
}

enum Source {
    /// All contexts, in the order of their ids.
    All,
    /// Contexts with one address, in the order of their ids, as the index holds them.
    Address(Side, IpAddr),
    /// The contexts with these ids, sorted.
    Ids(Vec<SaContextId>),
}

impl Selection {
    /// Compiles the selection for a version of the database. `with_spi` holds the contexts with the
    /// requested SPI if the SPI index covers this version. It does not cover a transaction's version; then
    /// all contexts are scanned for the SPI.
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

/// Appends contexts to a page.
///
/// Incrementing a reference count stalls the processor until the count's cache line is loaded. Where
/// contexts are scattered in memory, a walk spends most of its time on these stalls. Reading the counts
/// of several contexts first lets the processor load their cache lines in parallel.
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
        // Visit the context of the last entry again: its outbound SA may not have been returned yet.
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

/// The walk over objects of one kind: in the order of ids if the kind has ids, else in that of keys.
pub(crate) struct ObjectSelection {
    pub(crate) template: ObjectTemplate,
    pub(crate) kind: ObjectKind,
    conditions: Conditions,
    reader: Reader,
}

/// A reader of objects: who it is, and whether it sees the keys in them.
pub(crate) struct Reader {
    pub(crate) principal: Option<Principal>,
    pub(crate) is_administrator: bool,
    pub(crate) keys: bool,
}

impl Reader {
    /// Returns the object, without keys unless the reader sees them; `None` if it may not be read.
    fn read(&self, entry: &Entry) -> Option<Arc<Object>> {
        if let (Some(principal), Some(own)) = (&self.principal, &entry.security)
            && !rights_on_object(principal, self.is_administrator, own).contain(Rights::READ)
        {
            return None;
        }
        match entry.object.without_keys() {
            Some(without) if !self.keys => Some(Arc::new(without)),
            _ => Some(Arc::clone(&entry.object)),
        }
    }
}

impl ObjectSelection {
    /// Compiles a template.
    ///
    /// # Errors
    /// `RPC_S_INVALID_BOUND` if it has too many conditions.
    pub(crate) fn new(
        template: &ObjectTemplate,
        kind: ObjectKind,
        reader: Reader,
    ) -> Result<ObjectSelection> {
        let conditions = Conditions::of_template(&template.conditions)?;
        Ok(ObjectSelection { template: template.clone(), kind, conditions, reader })
    }

    /// Returns the position of the object after which the template starts.
    pub(crate) fn start(&self, objects: &Objects) -> Option<(u64, Guid)> {
        let key = self.template.after?;
        let serial = objects.by_key(self.kind, key).map_or(0, |entry| entry.object.id());
        Some((serial, key))
    }

    fn selects(&self, entry: &Entry, objects: &Objects) -> bool {
        if !self.template.selects(&entry.object) {
            return false;
        }
        let Some(filter) = entry.object.as_filter() else { return true };
        if let Some(template) = &self.template.context {
            let FilterContext::ProviderContext(key) = filter.context else { return false };
            let context = objects.by_key(ObjectKind::ProviderContext, key);
            if !context.is_some_and(|context| template.selects(&context.object)) {
                return false;
            }
        }
        if self.conditions.fields.is_empty() {
            return true;
        }
        let conditions = Conditions::new(&filter.conditions);
        match self.template.enum_type {
            0 => {
                conditions.fields.iter().all(|(field, _)| !self.conditions.of(*field).is_empty())
                    && conditions.contain(&self.conditions)
            }
            _ => conditions.overlap(&self.conditions),
        }
    }

    /// Returns the selected filters, the highest weight first; with `ENUM_BEST_TERMINATING_MATCH` only the
    /// first terminating one.
    pub(crate) fn sorted(&self, objects: &Objects) -> Vec<Arc<Object>> {
        let mut found: Vec<Arc<Object>> = objects
            .of_kind(self.kind, None)
            .filter(|entry| self.selects(entry, objects))
            .filter_map(|entry| self.reader.read(entry))
            .collect();
        found.sort_by_key(SortedFilters::key);
        if self.template.flags & ENUM_BEST_TERMINATING_MATCH != 0 {
            found.retain(|object| {
                object.as_filter().is_some_and(|filter| filter.action.kind.wfp() & 0x1000 != 0)
            });
            found.truncate(1);
        }
        found
    }
}

impl Walk for ObjectSelection {
    type Entry = Arc<Object>;
    type Key = (u64, Guid);

    fn key(object: &Arc<Object>) -> (u64, Guid) {
        (object.id(), object.key())
    }

    fn size_hint(&self, database: &Database) -> usize {
        database.objects.len()
    }

    fn fill(
        &self,
        database: &Database,
        after: Option<(u64, Guid)>,
        limit: usize,
        page: &mut Vec<Arc<Object>>,
    ) {
        let room = limit.saturating_sub(page.len());
        let objects = &*database.objects;
        let selected = |entry: &&Arc<Entry>| self.selects(entry, objects);
        let read = |entry: &Arc<Entry>| self.reader.read(entry);
        if self.kind.has_ids() {
            let found = objects.of_kind(self.kind, after.map(|(id, _)| id));
            page.extend(found.filter(selected).filter_map(read).take(room));
        } else {
            let found = objects.by_keys(self.kind, after.map(|(_, key)| key));
            page.extend(found.filter(selected).filter_map(read).take(room));
        }
    }
}

/// The walk over filters that were sorted by weight at its creation.
pub(crate) struct SortedFilters {
    pub(crate) filters: Vec<Arc<Object>>,
}

impl Walk for SortedFilters {
    type Entry = Arc<Object>;
    type Key = (u64, u64);

    fn key(object: &Arc<Object>) -> (u64, u64) {
        object.as_filter().map_or((0, 0), |filter| (u64::MAX - filter.effective_weight, filter.id))
    }

    fn size_hint(&self, _database: &Database) -> usize {
        self.filters.len()
    }

    fn fill(
        &self,
        _database: &Database,
        after: Option<(u64, u64)>,
        limit: usize,
        page: &mut Vec<Arc<Object>>,
    ) {
        let room = limit.saturating_sub(page.len());
        let start = after
            .map_or(0, |after| self.filters.partition_point(|filter| SortedFilters::key(filter) <= after));
        page.extend(self.filters[start..].iter().take(room).cloned());
    }
}

/// The walk over the net events that were stored when the enumerator was created.
pub(crate) struct NetEventSelection {
    pub(crate) events: Vec<Arc<NetEvent>>,
}

impl Walk for NetEventSelection {
    type Entry = Arc<NetEvent>;
    type Key = u64;

    fn key(event: &Arc<NetEvent>) -> u64 {
        event.id
    }

    fn size_hint(&self, _database: &Database) -> usize {
        self.events.len()
    }

    fn fill(&self, _database: &Database, after: Option<u64>, limit: usize, page: &mut Vec<Arc<NetEvent>>) {
        let room = limit.saturating_sub(page.len());
        let start = after.map_or(0, |after| self.events.partition_point(|event| event.id <= after));
        page.extend(self.events[start..].iter().take(room).cloned());
    }
}
