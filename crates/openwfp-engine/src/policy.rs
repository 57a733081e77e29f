//! Applies changes of objects, checks rights on them and stores persistent ones; classification, net
//! events and options.

use crate::access::rights_to_set;
use crate::admit;
use crate::change::Change;
use crate::commit::open_transaction;
use crate::core::Origin;
use crate::database::Database;
use crate::net_events::Wanted;
use crate::objects::Entry;
use crate::objects::Lifetime;
use crate::objects::ObjectChange;
use crate::objects::Objects;
use crate::objects::references;
use crate::objects::rules;
use crate::objects::selectors;
use crate::record::SessionRecord;
use crate::shared::Exclusive;
use crate::shared::Shared;
use crate::shared::Want;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use crate::sync::read;
use crate::sync::write;
use crate::transaction::Transaction;
use openwfp_api::Code;
use openwfp_api::EngineOption;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::ObjectCall;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::Timestamp;
use openwfp_api::object::FilterContext;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventDetail;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::Verdict;
use openwfp_api::object::step::ObjectStep;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns the changes of SA contexts that follow from changes of the filters of their policies: other selectors. `objects`
/// is the version after the changes.
fn contexts_of(database: &Database, changes: &[ObjectChange], objects: &Objects) -> Result<Vec<Change>> {
    let mut policies = BTreeSet::new();
    for entry in changes.iter().flat_map(|change| [&change.old, &change.new]).flatten() {
        let Some(filter) = entry.object.as_filter() else { continue };
        policies.insert(filter.id);
        if let FilterContext::ProviderContext(key) = filter.context {
            let of = |objects: &Objects| {
                objects.by_key(ObjectKind::ProviderContext, key).map(|entry| entry.serial)
            };
            policies.extend(of(objects).or_else(|| of(&database.objects)));
        }
    }
    let concerned: BTreeSet<SaContextId> =
        policies.into_iter().flat_map(|id| database.users_of(id)).collect();
    let mut changed = Vec::new();
    for id in concerned {
        let Some(old) = database.get(id) else { continue };
        let mut new = SaContext::clone(old);
        selectors::refresh(objects, &mut new)?;
        if new.selectors != old.selectors {
            changed.push(Change { id, old: Some(Arc::clone(old)), new: Some(Arc::new(new)) });
        }
    }
    Ok(changed)
}

/// `FWPM_NET_EVENT_KEYWORD_CLASSIFY_ALLOW`.
const KEYWORD_CLASSIFY_ALLOW: u32 = 0x10;

impl Shared {
    /// Checks that a step deletes something that exists and that the session may delete. It needs no lock that others wait for, so
    /// that nobody holds up others with calls that cannot succeed. Under the lock, the same is checked again.
    ///
    /// # Errors
    /// The `NOT_FOUND` code of the object's kind, `ERROR_ACCESS_DENIED`.
    pub(crate) fn may_delete(&self, record: &SessionRecord, step: &ObjectStep) -> Result {
        let (kind, name) = match step {
            ObjectStep::Delete(delete) => (ObjectKind::from_wfp(delete.kind)?, delete.name()),
            ObjectStep::TunnelDelete(key) => (ObjectKind::ProviderContext, ObjectName::Key(*key)),
            _ => return Ok(()),
        };
        let found = self.read(record, |database| database.objects.find(kind, name).cloned());
        let entry = found.ok_or_else(|| name.not_found(kind))?;
        rules::check_owner(&entry, record.number(), record.info.dynamic)?;
        let operation = Operation::on_objects(kind, ObjectCall::Delete)?;
        self.may(record, operation.rules().rights, kind, entry.security.as_ref())
    }

    /// Applies a session's step, within its transaction if it has one.
    pub(crate) fn object_step(&self, record: &Arc<SessionRecord>, step: ObjectStep) -> Result<Arc<Entry>> {
        self.in_transaction(record, |transaction| self.object_step_into(transaction, record, step))
    }

    /// Changes objects within a session's transaction, or in one of this call's own.
    fn in_transaction<T>(
        &self,
        record: &Arc<SessionRecord>,
        change: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let want = Want::Version(record.number());
        let mut core = self.enter_for(&want, record)?;
        if let Some(transaction) = open_transaction(&mut core, record)? {
            return change(transaction);
        }
        let mut transaction = self.hold_exclusively(core, record);
        let exclusive = Exclusive(self);
        let result = change(&mut transaction)?;
        self.publish(&transaction)?;
        drop(exclusive);
        Ok(result)
    }

    fn object_step_into(
        &self,
        transaction: &mut Transaction,
        record: &SessionRecord,
        step: ObjectStep,
    ) -> Result<Arc<Entry>> {
        let database = &transaction.database;
        let mut objects = (*database.objects).clone();
        let mut changes = Vec::new();
        let means = rules::Means {
            session: record.number(),
            is_dynamic: record.info.dynamic,
            may: &|rights, kind, own| self.may(record, rights, kind, own),
            new_key: &|| self.new_guid(),
            new_serial: &|kind| match kind {
                ObjectKind::Callout => self.newest_callout.fetch_add(1, Ordering::Relaxed) + 1,
                _ => self.newest_object.fetch_add(1, Ordering::Relaxed) + 1,
            },
            context_of: &|id| database.user_of(id),
        };
        let entry = rules::apply(&mut objects, step, &means, &mut changes)?;
        let shown = contexts_of(&transaction.database, &changes, &objects)?;
        transaction.database.objects = Arc::new(objects);
        transaction.objects.append(&mut changes);
        shown.into_iter().for_each(|change| transaction.put(change));
        Ok(entry)
    }

    /// Checks that a session has rights on an object, or on its kind if the object has no descriptor of its
    /// own.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` if a right is missing.
    pub(crate) fn may(
        &self,
        record: &SessionRecord,
        rights: Rights,
        kind: ObjectKind,
        own: Option<&SecurityDescriptor>,
    ) -> Result {
        if record.info.kernel_mode {
            return Ok(());
        }
        let held = lock(&self.access).rights_on_object(&record.principal, kind, own);
        let missing = rights.without(held);
        if missing == Rights::NONE {
            return Ok(());
        }
        let on = match own {
            Some(_) => format!("the {kind}"),
            None => format!("the {kind}s"),
        };
        Err(admit::denied(record, missing, &on))
    }

    /// Writes changes of persistent objects to the store.
    pub(crate) fn keep(&self, changes: &[ObjectChange]) -> Result {
        let Some(store) = &self.store else { return Ok(()) };
        let persistent = |entry: &&Arc<Entry>| entry.lifetime == Lifetime::Persistent;
        // Only the last change of each key counts; an object that was added and deleted again is not stored.
        let mut last: std::collections::BTreeMap<(ObjectKind, Guid), Option<&Arc<Entry>>> =
            Default::default();
        for change in changes {
            if let Some(old) = change.old.as_ref().filter(persistent) {
                last.insert((old.object.kind(), old.object.key()), None);
            }
            if let Some(new) = change.new.as_ref().filter(persistent) {
                last.insert((new.object.kind(), new.object.key()), Some(new));
            }
        }
        if last.is_empty() {
            return Ok(());
        }
        let put: Vec<_> = last.values().flatten().map(|entry| entry.to_stored()).collect();
        let forget: Vec<_> = last.iter().filter(|(_, entry)| entry.is_none()).map(|(key, _)| *key).collect();
        store.commit(&put, &forget)
    }

    /// Updates the classifier to the newest version.
    pub(crate) fn follow(&self, changes: &[ObjectChange], objects: &Objects) {
        if !changes.is_empty() {
            write(&self.classifier).follow(changes, objects);
        }
    }

    /// Loads the objects of the store, once, when the engine is opened.
    pub(crate) fn load(&self) -> Result {
        let Some(store) = &self.store else { return Ok(()) };
        let mut stored = store.load()?;
        stored.sort_by_key(|stored| (stored.object.kind(), stored.serial));
        let mut objects = (*self.core().newest.objects).clone();
        for stored in stored {
            let kind = stored.object.kind();
            for (used, key) in references(&stored.object) {
                if objects.by_key(used, key).is_none() {
                    let named = format!("the {kind} {}", stored.object.key());
                    let what =
                        format!("the store contains {named}, but not the {used} {key} that it refers to");
                    return Err(Error::new(used.not_found(), what).with_remedy(
                        "The store is damaged. Restore it from a backup, or move it away to start with an empty one.",
                    ));
                }
            }
            let newest = if kind == ObjectKind::Callout { &self.newest_callout } else { &self.newest_object };
            newest.fetch_max(stored.serial, Ordering::Relaxed);
            objects.put(&Arc::new(Entry {
                serial: stored.serial,
                object: Arc::new(stored.object),
                lifetime: Lifetime::Persistent,
                security: stored.security,
                part_of: stored.part_of,
            }));
        }
        *write(&self.classifier) = crate::classify::Classifier::new(&objects);
        self.core().newest.objects = Arc::new(objects);
        Ok(())
    }

    /// Deletes the objects of a dynamic session that has ended, even if SA contexts of other sessions use
    /// them.
    pub(crate) fn drop_dynamic(&self, record: &SessionRecord) {
        if !record.info.dynamic {
            return;
        }
        let Ok(mut core) = self.enter(&Want::Exclusive, None) else { return };
        core.gate.exclusive = true;
        let mut objects = (*core.newest.objects).clone();
        drop(core);
        let exclusive = Exclusive(self);
        let gone = objects.of_session(record.number());
        if !gone.is_empty() {
            gone.iter().for_each(|entry| objects.remove(entry));
            let objects = Arc::new(objects);
            let changes: Vec<ObjectChange> =
                gone.into_iter().map(|entry| ObjectChange { old: Some(entry), new: None }).collect();
            self.drop_policies(&changes, &objects);
            let mut core = self.core();
            // Without filters there are no selectors that could be too many.
            let shown = contexts_of(&core.newest, &changes, &objects).unwrap_or_default();
            core.newest.objects = Arc::clone(&objects);
            core.newest.version.0 += 1;
            let circumstances = self.circumstances(Origin::Engine);
            for change in &shown {
                core.commit(change, &circumstances);
            }
            self.note_snapshots(shown.len(), shown.len());
            // Objects of other sessions never refer to those of a dynamic session, so none in the transaction
            // does.
            if let Some(writer) = core.gate.explicit
                && let Some(transaction) = core.transactions.get_mut(&writer)
            {
                let own = Arc::make_mut(&mut transaction.database.objects);
                changes.iter().filter_map(|change| change.old.as_ref()).for_each(|entry| own.remove(entry));
            }
            core.note_objects(&changes);
            drop(core);
            self.follow(&changes, &objects);
        }
        drop(exclusive);
        self.send_news();
    }

    /// Returns an object after checking the session's rights on it.
    pub(crate) fn object(
        &self,
        record: &SessionRecord,
        kind: ObjectKind,
        name: ObjectName,
        call: ObjectCall,
    ) -> Result<Arc<Entry>> {
        let operation = Operation::on_objects(kind, call)?;
        let entry = self
            .read(record, |database| database.objects.find(kind, name).cloned())
            .or_else(|| self.filter_of_kernel(record, kind, name))
            .ok_or_else(|| name.not_found(kind))?;
        self.may(record, operation.rules().rights, kind, entry.security.as_ref())?;
        Ok(entry)
    }

    /// Returns the filter that stands for a policy of the kernel, if `name` is the policy's index.
    fn filter_of_kernel(
        &self,
        record: &SessionRecord,
        kind: ObjectKind,
        name: ObjectName,
    ) -> Option<Arc<Entry>> {
        let (ObjectKind::Filter, ObjectName::Id(id)) = (kind, name) else { return None };
        let policy = self.kernel_policy(record, u32::try_from(id).ok()?).ok()?;
        Some(Arc::new(Entry {
            serial: id,
            object: Arc::new(Object::Filter(policy.to_filter())),
            lifetime: Lifetime::BuiltIn,
            security: None,
            part_of: None,
        }))
    }

    /// Returns the security descriptor of an object: its own, or the one it inherits from its kind.
    pub(crate) fn object_security(
        &self,
        record: &SessionRecord,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
    ) -> Result<SecurityDescriptor> {
        let entry = self.object(record, kind, ObjectName::Key(key), ObjectCall::GetSecurityInfo)?;
        Ok(match &entry.security {
            Some(own) => own.parts(parts),
            None => self.security_info(openwfp_api::Securable::Objects(kind), parts),
        })
    }

    pub(crate) fn set_object_security(
        &self,
        record: &Arc<SessionRecord>,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
        new: &SecurityDescriptor,
    ) -> Result {
        let name = ObjectName::Key(key);
        let old = self.read(record, |database| database.objects.find(kind, name).cloned());
        let old = old.ok_or_else(|| name.not_found(kind))?;
        self.may(record, rights_to_set(parts), kind, old.security.as_ref())?;
        rules::check_owner(&old, record.number(), record.info.dynamic)?;
        let inherited = || lock(&self.access).of(openwfp_api::Securable::Objects(kind)).clone();
        let mut security = old.security.clone().unwrap_or_else(inherited);
        crate::access::replace(&mut security, parts, new)?;
        self.in_transaction(record, |transaction| {
            let mut objects = (*transaction.database.objects).clone();
            let name = ObjectName::Key(key);
            let old = objects.find(kind, name).cloned().ok_or_else(|| name.not_found(kind))?;
            let new = Arc::new(Entry {
                serial: old.serial,
                object: Arc::clone(&old.object),
                lifetime: old.lifetime,
                security: Some(security),
                part_of: old.part_of,
            });
            objects.put(&new);
            transaction.database.objects = Arc::new(objects);
            transaction.objects.push(ObjectChange { old: Some(old), new: Some(new) });
            Ok(())
        })
    }

    pub(crate) fn classify(&self, packet: &Packet) -> Result<Verdict> {
        read(&self.classifier).classify(packet)
    }

    /// Stores a net event and notifies subscribers, if collection is enabled.
    pub(crate) fn report(&self, mut event: NetEvent) {
        if self.option(EngineOption::CollectNetEvents) == 0 {
            return;
        }
        if event.time == Timestamp(0) {
            event.time = self.clock.wall();
        }
        self.add_layer(&mut event);
        // One event after the other, in the order of their ids, but without the core's lock: others need it meanwhile.
        let mut events = lock(&self.net_events);
        let event = events.keep(event);
        let (version, queues) = self.core().net_event_queues();
        let mut is_closed = false;
        for queue in queues {
            is_closed |= !queue.push_net_event(&event, version);
        }
        drop(events);
        if is_closed {
            self.forget_ended_subscriptions();
        }
    }

    /// Sets the layer of an event about a filter to the filter's, unless the reporter knows it.
    fn add_layer(&self, event: &mut NetEvent) {
        let (NetEventDetail::ClassifyDrop(detail) | NetEventDetail::ClassifyAllow(detail)) =
            &mut event.detail
        else {
            return;
        };
        let objects = Arc::clone(&self.core().newest.objects);
        let filter =
            objects.by_id(ObjectKind::Filter, detail.filter_id).and_then(|entry| entry.object.as_filter());
        let layer = filter.and_then(|filter| objects.by_key(ObjectKind::Layer, filter.layer));
        if let (0, Some(Object::Layer(layer))) = (detail.layer_id, layer.map(|entry| &*entry.object)) {
            detail.layer_id = layer.id;
        }
    }

    pub(crate) fn net_events(&self, wanted: &Wanted) -> Vec<Arc<NetEvent>> {
        // What a template selects can take long to find out, so not with the lock.
        let mut events = lock(&self.net_events).all();
        events.retain(|event| wanted.selects(event));
        events
    }

    pub(crate) fn option(&self, option: EngineOption) -> u32 {
        let place = option.wfp() as usize;
        self.options.get(place).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    pub(crate) fn set_option(&self, option: EngineOption, value: u32) -> Result {
        let flag = matches!(
            option,
            EngineOption::CollectNetEvents | EngineOption::NameCache | EngineOption::MonitorIpsecConnections
        );
        if flag && value > 1 || option == EngineOption::PacketQueuing && value > 7 {
            let what = format!("the option {} does not accept {value}", option.name());
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
        }
        if option == EngineOption::NetEventMatchAnyKeywords {
            self.report_permits(value & KEYWORD_CLASSIFY_ALLOW != 0)?;
        }
        if let Some(place) = self.options.get(option.wfp() as usize) {
            place.store(value, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has the dataplane report the packets that filters permit, or not.
    fn report_permits(&self, reports: bool) -> Result {
        let Some(dataplane) = self.enforcing() else { return Ok(()) };
        self.enter(&Want::Exclusive, None)?.gate.exclusive = true;
        let exclusive = Exclusive(self);
        let filters = lock(&self.enforced).packet_filters.reporting_permits(reports);
        dataplane.set_filters(&filters.list())?;
        lock(&self.enforced).packet_filters = filters;
        drop(exclusive);
        Ok(())
    }
}
