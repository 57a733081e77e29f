//! A session with the engine in this process.

use crate::access::rights_to_set;
use crate::admit;
use crate::audit;
use crate::audit::Subject;
use crate::change::not_found;
use crate::database::Database;
use crate::enumerator::Enumerator;
use crate::enumerator::Evict;
use crate::enumerator::Walk;
use crate::events;
use crate::events::Queue;
use crate::net_events::Wanted;
use crate::objects::Entry;
use crate::objects::conditions;
use crate::record::SessionRecord;
use crate::record::TransactionState;
use crate::selection::NetEventSelection;
use crate::selection::ObjectSelection;
use crate::selection::Reader;
use crate::selection::SaSelection;
use crate::selection::Selection;
use crate::selection::SessionSelection;
use crate::selection::SortedFilters;
use crate::shared::Shared;
use crate::snapshots::Snapshot;
use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::BatchMode;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::EngineOption;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::EventCallback;
use openwfp_api::EventStream;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Notification;
use openwfp_api::ObjectCall;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaEntry;
use openwfp_api::SaEnumOptions;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::Session;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::Statistics;
use openwfp_api::StepOutcome;
use openwfp_api::SubscriptionId;
use openwfp_api::SubscriptionInfo;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Topic;
use openwfp_api::TopicKind;
use openwfp_api::TransactionMode;
use openwfp_api::Version;
use openwfp_api::bounds;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::kernel::Explanation;
use openwfp_api::object::kernel::FilterEffect;
use openwfp_api::object::kernel::KernelPolicy;
use openwfp_api::object::kernel::KernelPolicyPlace;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::Verdict;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::template::ENUM_BEST_TERMINATING_MATCH;
use openwfp_api::object::template::ENUM_SORTED;
use openwfp_api::object::template::ObjectTemplate;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

/// A session with an engine in this process.
pub(crate) struct LocalSession {
    record: Arc<SessionRecord>,
    engine: Arc<Shared>,
    /// `None` once the session is closed.
    handles: Mutex<Option<Handles>>,
}

#[derive(Default)]
struct Handles {
    newest_serial: u32,
    open: HashMap<u32, Handle>,
    subscriptions: usize,
    /// Subscriptions that are being ended: their callbacks may still run. Without callbacks that end each other, they stay here
    /// only as long as somebody waits.
    ending: Vec<Arc<Queue>>,
}

/// The object behind a handle id of the session.
#[derive(Clone)]
enum Handle {
    Contexts(Arc<Enumerator<Selection>>),
    Sas(Arc<Enumerator<SaSelection>>),
    Sessions(Arc<Enumerator<SessionSelection>>),
    Objects(Arc<Enumerator<ObjectSelection>>),
    SortedFilters(Arc<Enumerator<SortedFilters>>),
    NetEvents(Arc<Enumerator<NetEventSelection>>),
    Subscription(Arc<Queue>),
}

impl Handles {
    fn insert(&mut self, session: SessionNumber, handle: impl FnOnce(EnumId) -> Handle) -> Result<EnumId> {
        let serial = self.newest_serial.checked_add(1).ok_or_else(|| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, "the session has no handles left")
                .with_remedy("Open a new session.")
        })?;
        self.newest_serial = serial;
        let id = EnumId { session, serial };
        self.open.insert(serial, handle(id));
        Ok(id)
    }

    /// Drops subscriptions that ended by themselves because their stream was dropped or their callback
    /// panicked.
    fn forget_ended(&mut self) {
        self.open.retain(|_, handle| !matches!(handle, Handle::Subscription(queue) if queue.is_closed()));
        self.subscriptions =
            self.open.values().filter(|handle| matches!(handle, Handle::Subscription(_))).count();
    }

    fn check_room(&self, record: &SessionRecord, subscription: bool) -> Result {
        let enumerators = self.open.len() - self.subscriptions;
        let (count, limit, what) = if subscription {
            (self.subscriptions, record.subscriptions_max, "subscriptions")
        } else {
            (enumerators, record.enumerators_max, "enumerators")
        };
        if count < limit {
            return Ok(());
        }
        Err(Error::new(
            Code::RPC_E_OUT_OF_RESOURCES,
            format!("the session has reached its limit of {limit} open {what}"),
        )
        .with_remedy("Close those that you no longer use."))
    }
}

impl LocalSession {
    pub(crate) fn new(record: Arc<SessionRecord>, engine: Arc<Shared>) -> LocalSession {
        LocalSession { record, engine, handles: Mutex::new(Some(Handles::default())) }
    }

    fn number(&self) -> SessionNumber {
        self.record.number()
    }

    /// Admits a call of an open session; audits refused writes and denied access.
    fn admit(&self, operation: Operation) -> Result {
        self.admit_for(operation, Subject::default)
    }

    /// Admits a call about something; audits refused writes and denied access.
    fn admit_for(&self, operation: Operation, subject: impl FnOnce() -> Subject) -> Result {
        self.check(operation).inspect_err(|error| {
            if operation.rules().writes || error.code() == Code::ERROR_ACCESS_DENIED {
                self.refused(operation, &subject(), error);
            }
        })
    }

    /// Checks the rules that apply to a call.
    fn check(&self, operation: Operation) -> Result {
        if lock(&self.handles).is_none() {
            return Err(closed(operation));
        }
        admit::admit(&self.record, operation, self.engine.faults.as_ref())
    }

    fn refused(&self, operation: Operation, subject: &Subject, error: &Error) {
        let now = self.engine.clock.monotonic();
        self.engine.refusals.refused(&self.record, operation, subject, error, now);
    }

    /// Admits the call and looks up the handle with this id.
    fn handle(&self, operation: Operation, id: EnumId) -> Result<Handle> {
        self.admit(operation)?;
        self.check_owner(id)?;
        let handles = lock(&self.handles);
        let open = &handles.as_ref().ok_or_else(|| closed(operation))?.open;
        open.get(&id.serial).cloned().ok_or_else(|| no_handle(id))
    }

    fn check_owner(&self, id: EnumId) -> Result {
        if id.session == self.number() {
            return Ok(());
        }
        if self.engine.has_session(id.session) {
            let what =
                format!("the handle belongs to session {}, not to session {}", id.session.0, self.number().0);
            return Err(Error::new(Code::FWP_E_WRONG_SESSION, what));
        }
        Err(no_handle(id))
    }

    /// Opens an enumerator. The limit is checked before and after taking the snapshot, because the
    /// session's lock is not held in between.
    fn open_enum<W: Walk, T>(
        &self,
        operation: Operation,
        look: impl FnOnce(&Database, bool) -> T,
        new: impl FnOnce(Snapshot, T) -> Result<Enumerator<W>>,
        handle: fn(Arc<Enumerator<W>>) -> Handle,
    ) -> Result<EnumId> {
        self.admit(operation)?;
        let room = |handles: &Option<Handles>| {
            handles.as_ref().ok_or_else(|| closed(operation))?.check_room(&self.record, false)
        };
        room(&lock(&self.handles))?;
        let (snapshot, found) = self.engine.snapshot(&self.record, look);
        let key = snapshot.key();
        let enumerator = Arc::new(new(snapshot, found)?);
        if self.engine.evicts() {
            let holder: Weak<dyn Evict> = Arc::downgrade(&(Arc::clone(&enumerator) as Arc<dyn Evict>));
            Snapshot::held_by(self.engine.snapshots(), key, holder);
        }
        let mut handles = lock(&self.handles);
        room(&handles)?;
        let handles = handles.as_mut().ok_or_else(|| closed(operation))?;
        handles.insert(self.number(), |_| handle(enumerator))
    }

    fn subscribe_queue(&self, options: &SubscriptionOptions) -> Result<Arc<Queue>> {
        let operation = match options.topic.kind()? {
            TopicKind::SaContexts => Operation::SaContextSubscribe,
            TopicKind::Objects(kind) => Operation::on_objects(kind, ObjectCall::SubscribeChanges)?,
            TopicKind::NetEvents => Operation::NetEventSubscribe,
        };
        self.admit(operation)?;
        if options.queue_length == 0 {
            let what = "the queue length of a subscription must be at least 1";
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what));
        }
        bounds::check("the queue of a subscription", options.queue_length, bounds::QUEUE_LENGTH)?;
        let net_events = match &options.topic {
            Topic::NetEvents(template) => Some(Wanted::new(template)?),
            Topic::Objects(template) => {
                conditions::check_template(&template.conditions)?;
                None
            }
            _ => None,
        };
        let mut handles = lock(&self.handles);
        let handles = handles.as_mut().ok_or_else(|| closed(operation))?;
        handles.forget_ended();
        handles.check_room(&self.record, true)?;
        let mut queue = None;
        handles.insert(self.number(), |id| {
            let new = Arc::new(Queue::new(id, options.clone(), net_events, Arc::clone(&self.record)));
            queue = Some(Arc::clone(&new));
            Handle::Subscription(new)
        })?;
        handles.subscriptions += 1;
        queue.ok_or_else(|| Error::unreachable("a handle has no subscription"))
    }

    /// Removes a subscription from the session and ends it.
    fn end_subscription(&self, id: SubscriptionId, queue: &Arc<Queue>) {
        if let Some(handles) = &mut *lock(&self.handles)
            && handles.open.remove(&id.serial).is_some()
        {
            handles.subscriptions -= 1;
            handles.ending.retain(|other| other.is_running());
            handles.ending.push(Arc::clone(queue));
        }
        if self.engine.unsubscribe(queue)
            && let Some(handles) = &mut *lock(&self.handles)
        {
            handles.ending.retain(|other| !Arc::ptr_eq(other, queue));
        }
    }

    fn admit_step(&self, step: &SaContextStep) -> Result {
        step.operations().iter().try_for_each(|operation| self.admit_for(*operation, || self.about(step)))
    }

    /// Applies an admitted step.
    fn apply(&self, step: SaContextStep) -> Result<StepOutcome> {
        let operation = last_operation(&step);
        let subject = if audit::is_on() { self.about(&step) } else { Subject::default() };
        let outcome = self.engine.step(&self.record, step);
        let context = outcome.as_ref().ok().map(|outcome| outcome.id);
        audit::changed(&self.record, operation, || subject.with(context), outcome.as_ref().err());
        outcome
    }

    /// Applies each step on its own. A right that a step lacks is checked and recorded once for all of them.
    fn apply_each(&self, steps: Vec<SaContextStep>) -> Vec<Result<StepOutcome>> {
        let count = steps.len();
        let mut denied: Vec<(Operation, Error)> = Vec::new();
        let mut refused = 0;
        let mut first = None;
        let mut outcomes = Vec::with_capacity(count);
        for step in steps {
            let admitted = step.operations().iter().try_for_each(|operation| {
                match denied.iter().find(|(other, _)| other == operation) {
                    Some((_, error)) => Err((*operation, error.clone())),
                    None => self.check(*operation).map_err(|error| (*operation, error)),
                }
            });
            outcomes.push(match admitted {
                Ok(()) => self.apply(step),
                Err((operation, error)) => {
                    refused += 1;
                    if first.is_none() {
                        first = Some((operation, self.about(&step), error.clone()));
                    }
                    let is_known = denied.iter().any(|(other, _)| *other == operation);
                    if error.code() == Code::ERROR_ACCESS_DENIED && !is_known {
                        denied.push((operation, error.clone()));
                    }
                    Err(error)
                }
            });
        }
        if let Some((operation, subject, error)) = first {
            self.refused(operation, &Subject { batch: Some((count, refused)), ..subject }, &error);
        }
        outcomes
    }

    /// Returns what a step is about, as it is before the step: its context, or the one that it creates.
    fn about(&self, step: &SaContextStep) -> Subject {
        let endpoints = match step {
            SaContextStep::Create(new)
            | SaContextStep::Reserve(new, _)
            | SaContextStep::Establish(new, ..) => Some(new.traffic.endpoints),
            _ => step.id().and_then(|id| {
                let of = |database: &Database| database.get(id).map(|context| context.traffic.endpoints);
                self.engine.read(&self.record, of)
            }),
        };
        Subject { context: step.id(), endpoints, ..Subject::default() }
    }

    /// Returns what a change of objects is about, as far as it is known before the change.
    fn about_object(&self, kind: ObjectKind, step: &ObjectStep) -> Subject {
        let of = |object: Guid, name: &str| Subject {
            object: Some(object).filter(|key| *key != Guid::default()).map(|key| key.to_string()),
            name: Some(name.to_owned()),
            ..Subject::default()
        };
        match step {
            ObjectStep::Add(add) => of(add.object.key(), add.object.name()),
            ObjectStep::TunnelAdd(add) => of(add.tunnel.key, &add.tunnel.name),
            ObjectStep::Delete(delete) => self.about_named(kind, delete.name()),
            ObjectStep::TunnelDelete(key) => self.about_named(kind, ObjectName::Key(*key)),
            _ => Subject::default(),
        }
    }

    /// Returns what a call is about that names an object.
    fn about_named(&self, kind: ObjectKind, name: ObjectName) -> Subject {
        let of = |database: &Database| database.objects.find(kind, name).map(|entry| about_entry(entry));
        self.engine.read(&self.record, of).unwrap_or_else(|| match name {
            ObjectName::Key(key) => Subject::named(&key),
            ObjectName::Id(id) => Subject { id: Some(id), ..Subject::default() },
        })
    }
}

fn about_entry(entry: &Entry) -> Subject {
    Subject {
        object: Some(entry.object.key().to_string()),
        id: Some(entry.object.id()),
        name: Some(entry.object.name().to_owned()),
        ..Subject::default()
    }
}

impl Subject {
    /// Returns this with the id of the context that a step has changed or created.
    fn with(self, context: Option<SaContextId>) -> Subject {
        Subject { context: context.or(self.context), ..self }
    }
}

/// Returns the last operation of a step; the step is audited under its name.
fn last_operation(step: &SaContextStep) -> Operation {
    step.operations().last().copied().unwrap_or(Operation::SaContextCreate)
}

/// Returns the name of a call that deletes an object by its id. The table of operations has the form with the key.
fn by_id(kind: ObjectKind) -> Option<&'static str> {
    match kind {
        ObjectKind::ProviderContext => Some("FwpmProviderContextDeleteById"),
        ObjectKind::Filter => Some("FwpmFilterDeleteById"),
        ObjectKind::Callout => Some("FwpmCalloutDeleteById"),
        _ => None,
    }
}

fn closed(operation: Operation) -> Error {
    Error::new(Code::ERROR_INVALID_HANDLE, format!("{}: the session is closed", operation.rules().wfp_name))
}

fn no_handle(id: EnumId) -> Error {
    let what = format!(
        "invalid handle {:#x}: never opened in this session, closed, or of another kind",
        id.to_bits()
    );
    Error::new(Code::ERROR_INVALID_HANDLE, what)
}

fn entries(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Session for LocalSession {
    fn number(&self) -> SessionNumber {
        self.record.number()
    }

    fn close(&self) -> Result {
        let Some(handles) = lock(&self.handles).take() else { return Err(closed(Operation::EngineClose)) };
        self.engine.abort_if_any(self.number());
        self.engine.unsubscribe_all(self.number());
        // Another thread may be ending these, and waits as this one does.
        for queue in &handles.ending {
            self.engine.unsubscribe(queue);
        }
        self.engine.drop_dynamic(&self.record);
        self.engine.forget_session(self.number());
        drop(handles);
        Ok(())
    }

    fn info(&self) -> Result<SessionInfo> {
        self.admit(Operation::EngineClose)?;
        Ok(self.engine.session_info(&self.record))
    }

    fn session_create_enum(&self) -> Result<EnumId> {
        let new = |snapshot, ()| {
            Ok(Enumerator::new(SessionSelection { sessions: self.engine.session_infos() }, snapshot, None))
        };
        self.open_enum(Operation::SessionCreateEnumHandle, |_, _| (), new, Handle::Sessions)
    }

    fn session_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<SessionInfo>>> {
        match self.handle(Operation::SessionEnum, id)? {
            Handle::Sessions(enumerator) => enumerator.claim(entries(limit)),
            _ => Err(no_handle(id)),
        }
    }

    fn session_end(&self, number: SessionNumber) -> Result {
        let operation = Operation::SessionEnd;
        let named = || Subject::named(&format!("session {}", number.0));
        self.admit_for(operation, named)?;
        let other = self.engine.find_session(number).inspect_err(|error| {
            self.refused(operation, &named(), error);
        })?;
        let subject = || Subject { name: Some(other.info.name.clone()), ..named() };
        let is_own = other.info.user == self.record.info.user && !other.info.kernel_mode;
        if !is_own {
            self.check_rights_on(Securable::Engine, operation, Rights::DELETE, subject)?;
        }
        self.engine.cancel(&other);
        audit::changed(&self.record, operation, subject, None);
        Ok(())
    }

    fn transaction_begin(&self, mode: TransactionMode) -> Result {
        self.admit(match mode {
            TransactionMode::ReadOnly => Operation::TransactionBeginReadOnly,
            TransactionMode::ReadWrite => Operation::TransactionBegin,
        })?;
        self.engine.begin(&self.record, mode)?;
        self.check_alive(Operation::TransactionBegin).inspect_err(|_| {
            // The session was closed or cancelled while this call waited: drop the transaction it just began.
            self.engine.abort_if_any(self.number());
        })
    }

    fn transaction_commit(&self) -> Result {
        self.end_transaction(Operation::TransactionCommit, Shared::commit_transaction)
    }

    fn transaction_abort(&self) -> Result {
        self.end_transaction(Operation::TransactionAbort, Shared::abort_transaction)
    }

    fn sa_context_step(&self, step: SaContextStep) -> Result<StepOutcome> {
        self.admit_step(&step)?;
        self.apply(step)
    }

    fn sa_context_batch(
        &self,
        steps: Vec<SaContextStep>,
        mode: BatchMode,
    ) -> Result<Vec<Result<StepOutcome>>> {
        // The batch itself requires only an open session; each step is checked by its own rules.
        self.admit(Operation::EngineClose)?;
        BatchMode::check_count(steps.len())?;
        if mode == BatchMode::Each || steps.is_empty() {
            return Ok(self.apply_each(steps));
        }
        let count = steps.len();
        steps.iter().try_for_each(|step| {
            let about = || Subject { batch: Some((count, count)), ..self.about(step) };
            step.operations().iter().try_for_each(|operation| self.admit_for(*operation, about))
        })?;
        let operation = last_operation(&steps[0]);
        let told: Vec<_> = match audit::is_on() {
            true => steps.iter().map(|step| (last_operation(step), self.about(step))).collect(),
            false => Vec::new(),
        };
        let result = self.engine.steps(&self.record, steps);
        match &result {
            Ok(outcomes) => {
                for ((operation, subject), outcome) in told.into_iter().zip(outcomes) {
                    audit::changed(&self.record, operation, || subject.with(Some(outcome.id)), None);
                }
            }
            Err(error) => {
                // The error names the step that failed.
                let subject =
                    || Subject { batch: Some((count, count)), call: Some("(batch)"), ..Subject::default() };
                audit::changed(&self.record, operation, subject, Some(error));
            }
        }
        Ok(result?.into_iter().map(Ok).collect())
    }

    fn sa_context_by_id(&self, id: SaContextId) -> Result<Arc<SaContext>> {
        self.admit(Operation::SaContextGetById)?;
        let found = self.engine.read(&self.record, |database| database.get(id).cloned());
        let context = found.ok_or_else(|| not_found(id))?;
        self.engine.refresh_counters(std::slice::from_ref(&context));
        Ok(context)
    }

    fn sa_context_create_enum(&self, options: &EnumOptions) -> Result<EnumId> {
        let look = |database: &Database, newest: bool| {
            options.spi.filter(|_| newest).map(|spi| database.ids_with_spi(spi))
        };
        let new = |snapshot: Snapshot, with_spi| {
            let selection = Selection::new(options, with_spi, &snapshot.database);
            Ok(Enumerator::new(selection, snapshot, options.after))
        };
        self.open_enum(Operation::SaContextCreateEnumHandle, look, new, Handle::Contexts)
    }

    fn sa_context_enum(&self, id: EnumId, limit: u32) -> Result<Claim> {
        match self.handle(Operation::SaContextEnum, id)? {
            Handle::Contexts(enumerator) => {
                let claim = enumerator.claim(entries(limit))?;
                self.engine.refresh_counters(claim.entries());
                Ok(claim)
            }
            _ => Err(no_handle(id)),
        }
    }

    fn destroy_enum(&self, id: EnumId) -> Result {
        if matches!(self.handle(Operation::SaContextDestroyEnumHandle, id)?, Handle::Subscription(_)) {
            return Err(no_handle(id));
        }
        let enumerator = lock(&self.handles).as_mut().and_then(|handles| handles.open.remove(&id.serial));
        // The snapshot is freed without holding the session's lock.
        enumerator.map(drop).ok_or_else(|| no_handle(id))
    }

    fn enum_version(&self, id: EnumId) -> Result<Version> {
        match self.handle(Operation::SaContextEnum, id)? {
            Handle::Contexts(enumerator) => Ok(enumerator.version()),
            Handle::Sas(enumerator) => Ok(enumerator.version()),
            Handle::Objects(enumerator) => Ok(enumerator.version()),
            Handle::SortedFilters(enumerator) => Ok(enumerator.version()),
            Handle::Sessions(_) | Handle::NetEvents(_) | Handle::Subscription(_) => Err(no_handle(id)),
        }
    }

    fn sa_create_enum(&self, options: &SaEnumOptions) -> Result<EnumId> {
        let new =
            |snapshot, ()| Ok(Enumerator::new(SaSelection { direction: options.direction }, snapshot, None));
        self.open_enum(Operation::SaCreateEnumHandle, |_, _| (), new, Handle::Sas)
    }

    fn sa_enum(&self, id: EnumId, limit: u32) -> Result<Claim<SaEntry>> {
        match self.handle(Operation::SaEnum, id)? {
            Handle::Sas(enumerator) => {
                let claim = enumerator.claim(entries(limit))?;
                if self.engine.dataplane.is_some() {
                    let context = |entry: &SaEntry| Arc::clone(entry.context());
                    let mut contexts: Vec<_> = claim.entries().iter().map(context).collect();
                    contexts.dedup_by_key(|context| context.id);
                    self.engine.refresh_counters(&contexts);
                }
                Ok(claim)
            }
            _ => Err(no_handle(id)),
        }
    }

    fn subscribe(&self, options: &SubscriptionOptions, callback: EventCallback) -> Result<SubscriptionId> {
        let queue = self.subscribe_queue(options)?;
        if let Err(error) = events::deliver(Arc::clone(&queue), callback) {
            self.end_subscription(queue.id, &queue);
            return Err(error);
        }
        self.engine.subscribe(Arc::clone(&queue));
        self.close_if_late(&queue)?;
        Ok(queue.id)
    }

    fn events(&self, options: &SubscriptionOptions) -> Result<Box<dyn EventStream>> {
        let queue = self.subscribe_queue(options)?;
        self.engine.subscribe(Arc::clone(&queue));
        self.close_if_late(&queue)?;
        Ok(Box::new(LocalStream { queue, engine: Arc::downgrade(&self.engine) }))
    }

    fn unsubscribe(&self, id: SubscriptionId) -> Result {
        match self.handle(Operation::SaContextUnsubscribe, id)? {
            Handle::Subscription(queue) => {
                self.end_subscription(id, &queue);
                Ok(())
            }
            _ => Err(no_handle(id)),
        }
    }

    fn subscriptions(&self, about: TopicKind) -> Result<Vec<SubscriptionInfo>> {
        self.admit(match about {
            TopicKind::SaContexts => Operation::SaContextSubscriptionsGet,
            TopicKind::Objects(kind) => Operation::on_objects(kind, ObjectCall::SubscriptionsGet)?,
            TopicKind::NetEvents => Operation::NetEventSubscriptionsGet,
        })?;
        let info = |queue: &Arc<Queue>| SubscriptionInfo {
            id: queue.id,
            session_key: queue.session.info.key,
            options: queue.options.clone(),
        };
        let is_about = |queue: &&Arc<Queue>| queue.options.topic.kind().is_ok_and(|kind| kind == about);
        Ok(self.engine.subscriptions().iter().filter(is_about).map(info).collect())
    }

    fn statistics(&self) -> Result<Statistics> {
        self.admit(Operation::GetStatistics)?;
        self.engine.statistics()
    }

    fn security_info(&self, of: Securable, parts: SecurityInformation) -> Result<SecurityDescriptor> {
        let operation = match of {
            Securable::Engine => Operation::EngineGetSecurityInfo,
            Securable::SaDb => Operation::SaDbGetSecurityInfo,
            Securable::NetEvents => Operation::NetEventsGetSecurityInfo,
            Securable::Objects(kind) => Operation::on_objects(kind, ObjectCall::GetSecurityInfo)?,
        };
        self.admit(operation)?;
        self.check_rights_on(of, operation, operation.rules().rights, || Subject::named(&of))?;
        Ok(self.engine.security_info(of, parts))
    }

    fn set_security_info(
        &self,
        of: Securable,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let operation = match of {
            Securable::Engine => Operation::EngineSetSecurityInfo,
            Securable::SaDb => Operation::SaDbSetSecurityInfo,
            Securable::NetEvents => Operation::NetEventsSetSecurityInfo,
            Securable::Objects(kind) => Operation::on_objects(kind, ObjectCall::SetSecurityInfo)?,
        };
        self.admit(operation)?;
        self.check_rights_on(of, operation, rights_to_set(parts), || Subject::named(&of))?;
        let result = self.engine.set_security_info(of, parts, descriptor);
        audit::changed(&self.record, operation, || Subject::named(&of), result.as_ref().err());
        self.warn_if_open(
            &of.to_string(),
            Some(descriptor).filter(|_| parts.any(SecurityInformation::DACL)),
            &result,
        );
        result
    }

    fn object_step(&self, step: ObjectStep) -> Result<u64> {
        let mut call = None;
        let (kind, operation) = match &step {
            ObjectStep::Add(add) => {
                (add.object.kind(), Operation::on_objects(add.object.kind(), ObjectCall::Add)?)
            }
            ObjectStep::Delete(delete) => {
                let kind = ObjectKind::from_wfp(delete.kind)?;
                if delete.key.is_none() {
                    call = by_id(kind);
                }
                (kind, Operation::on_objects(kind, ObjectCall::Delete)?)
            }
            ObjectStep::TunnelAdd(_) => (ObjectKind::ProviderContext, Operation::IpsecTunnelAdd),
            _ => (ObjectKind::ProviderContext, Operation::IpsecTunnelDelete),
        };
        let about = || Subject { call, ..self.about_object(kind, &step) };
        self.admit_for(operation, about)?;
        let (security, adds) = match &step {
            ObjectStep::Add(add) => (add.security.clone(), true),
            ObjectStep::TunnelAdd(add) => (add.security.clone(), true),
            _ => (None, false),
        };
        let before = about();
        if let Err(error) = self.engine.may_delete(&self.record, &step) {
            self.refused(operation, &before, &error);
            return Err(error);
        }
        match self.engine.object_step(&self.record, step) {
            Ok(entry) => {
                let about = Subject { call, ..about_entry(&entry) };
                let named = about.object.clone().unwrap_or_default();
                audit::changed(&self.record, operation, || about, None);
                self.warn_if_open(&named, security.as_ref(), &Ok(()));
                Ok(if adds { entry.object.id() } else { 0 })
            }
            Err(error) => {
                audit::changed(&self.record, operation, || before, Some(&error));
                Err(error)
            }
        }
    }

    fn object_get(&self, kind: ObjectKind, name: ObjectName) -> Result<Arc<Object>> {
        self.admit(Operation::on_objects(kind, ObjectCall::Get)?)?;
        let entry = self.engine.object(&self.record, kind, name, ObjectCall::Get)?;
        match entry.object.without_keys() {
            Some(without) if !self.record.rights().contain(Rights::READ_KEYS) => Ok(Arc::new(without)),
            _ => Ok(Arc::clone(&entry.object)),
        }
    }

    fn object_create_enum(&self, template: &ObjectTemplate) -> Result<EnumId> {
        let kind = template.object_kind()?;
        let operation = Operation::on_objects(kind, ObjectCall::CreateEnumHandle)?;
        if let Some(after) = template.after.filter(|_| kind.has_ids()) {
            // These kinds are ordered by id. Once the object is deleted, its position in that order is unknown.
            let name = ObjectName::Key(after);
            let is_there = |database: &Database| database.objects.by_key(kind, after).is_some();
            if !self.engine.read(&self.record, is_there) {
                self.admit(operation)?;
                return Err(name
                    .not_found(kind)
                    .with_remedy("It may have been deleted. List again from the start."));
            }
        }
        if kind == ObjectKind::Filter && template.flags & (ENUM_SORTED | ENUM_BEST_TERMINATING_MATCH) != 0 {
            let new = |snapshot: Snapshot, ()| {
                let selection = ObjectSelection::new(template, kind, self.reader())?;
                let filters = selection.sorted(&snapshot.database.objects);
                Ok(Enumerator::new(SortedFilters { filters }, snapshot, None))
            };
            return self.open_enum(operation, |_, _| (), new, Handle::SortedFilters);
        }
        let new = |snapshot: Snapshot, ()| {
            let selection = ObjectSelection::new(template, kind, self.reader())?;
            let start = selection.start(&snapshot.database.objects);
            Ok(Enumerator::new(selection, snapshot, start))
        };
        self.open_enum(operation, |_, _| (), new, Handle::Objects)
    }

    fn object_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<Object>>> {
        match self.handle(Operation::EngineClose, id)? {
            Handle::Objects(enumerator) => {
                self.admit(Operation::on_objects(enumerator.walk().kind, ObjectCall::Enum)?)?;
                enumerator.claim(entries(limit))
            }
            Handle::SortedFilters(enumerator) => {
                self.admit(Operation::FilterEnum)?;
                enumerator.claim(entries(limit))
            }
            _ => Err(no_handle(id)),
        }
    }

    fn classify(&self, packet: &Packet) -> Result<Verdict> {
        self.admit(Operation::Classify)?;
        self.engine.classify(packet)
    }

    fn kernel_policies(&self, after: Option<&KernelPolicyPlace>, limit: u32) -> Result<Vec<KernelPolicy>> {
        self.admit(Operation::KernelPolicyEnum)?;
        Ok(self.engine.kernel_policies(&self.record, after, limit))
    }

    fn kernel_policy(&self, index: u32) -> Result<KernelPolicy> {
        self.admit(Operation::KernelPolicyEnum)?;
        self.engine.kernel_policy(&self.record, index)
    }

    fn filter_effects(&self, ids: &[u64]) -> Result<Vec<FilterEffect>> {
        self.admit(Operation::FilterEffects)?;
        self.engine.filter_effects(&self.record, ids)
    }

    fn explain(&self, packet: &Packet) -> Result<Explanation> {
        self.admit(Operation::Explain)?;
        self.engine.explain(&self.record, packet)
    }

    fn engine_option(&self, option: EngineOption) -> Result<u32> {
        self.admit(Operation::EngineGetOption)?;
        Ok(self.engine.option(option))
    }

    fn set_engine_option(&self, option: EngineOption, value: u32) -> Result {
        self.admit(Operation::EngineSetOption)?;
        let result = self.engine.set_option(option, value);
        let subject = || Subject { name: Some(value.to_string()), ..Subject::named(&option.name()) };
        audit::changed(&self.record, Operation::EngineSetOption, subject, result.as_ref().err());
        result
    }

    fn net_event_report(&self, event: NetEvent) -> Result {
        self.admit(Operation::NetEventReport)?;
        self.engine.report(event);
        Ok(())
    }

    fn net_event_create_enum(&self, template: &NetEventTemplate) -> Result<EnumId> {
        let new = |snapshot, ()| {
            let events = self.engine.net_events(&Wanted::new(template)?);
            Ok(Enumerator::new(NetEventSelection { events }, snapshot, None))
        };
        self.open_enum(Operation::NetEventCreateEnumHandle, |_, _| (), new, Handle::NetEvents)
    }

    fn net_event_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<NetEvent>>> {
        match self.handle(Operation::NetEventEnum, id)? {
            Handle::NetEvents(enumerator) => enumerator.claim(entries(limit)),
            _ => Err(no_handle(id)),
        }
    }

    fn object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
    ) -> Result<SecurityDescriptor> {
        self.admit(Operation::on_objects(kind, ObjectCall::GetSecurityInfo)?)?;
        self.engine.object_security(&self.record, kind, key, parts)
    }

    fn set_object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let operation = Operation::on_objects(kind, ObjectCall::SetSecurityInfo)?;
        let subject = || self.about_named(kind, ObjectName::Key(key));
        self.admit_for(operation, subject)?;
        let result = self.engine.set_object_security(&self.record, kind, key, parts, descriptor);
        audit::changed(&self.record, operation, subject, result.as_ref().err());
        self.warn_if_open(
            &key.to_string(),
            Some(descriptor).filter(|_| parts.any(SecurityInformation::DACL)),
            &result,
        );
        result
    }

    fn key_access(&self) -> Result<KeyAccess> {
        self.admit(Operation::KeyRead)?;
        Ok(KeyAccess::grant())
    }

    fn completeness(&self) -> Result<Completeness> {
        self.admit(Operation::SaContextGetById)?;
        Ok(self.engine.completeness(&self.record))
    }
}

impl LocalSession {
    /// Checks a call's rights on a securable as a whole. For kinds of objects, admission leaves the check
    /// to the object that the call names.
    fn check_rights_on(
        &self,
        of: Securable,
        operation: Operation,
        rights: Rights,
        subject: impl FnOnce() -> Subject,
    ) -> Result {
        let missing = rights.without(self.record.rights_on(of));
        if missing == Rights::NONE {
            return Ok(());
        }
        let error = admit::denied(&self.record, missing, &of.to_string());
        self.refused(operation, &subject(), &error);
        Err(error)
    }

    /// Commits or aborts the session's transaction; audits the end of one that may have written.
    fn end_transaction(
        &self,
        operation: Operation,
        end: fn(&Shared, &Arc<SessionRecord>) -> Result,
    ) -> Result {
        self.admit(operation)?;
        let writes = self.record.transaction() == TransactionState::In(TransactionMode::ReadWrite);
        let result = end(&self.engine, &self.record);
        if writes {
            audit::changed(&self.record, operation, Subject::default, result.as_ref().err());
        }
        result
    }

    /// Warns of a descriptor that has just been set if it has no access list.
    fn warn_if_open<T>(&self, object: &str, set: Option<&SecurityDescriptor>, result: &Result<T>) {
        if result.is_ok() && set.is_some_and(|descriptor| descriptor.dacl.is_none()) {
            audit::opened(&self.record, object);
        }
    }

    fn reader(&self) -> Reader {
        Reader {
            principal: (!self.record.info.kernel_mode).then(|| self.record.principal.clone()),
            is_administrator: self.record.is_administrator.load(crate::sync::atomic::Ordering::Acquire),
            keys: self.record.rights().contain(Rights::READ_KEYS),
        }
    }

    /// Ends a subscription if its session was closed or cancelled while it was being created.
    fn close_if_late(&self, queue: &Queue) -> Result {
        self.check_alive(Operation::SaContextSubscribe).inspect_err(|_| {
            self.engine.unsubscribe(queue);
        })
    }

    /// Checks that the session has been neither closed nor cancelled since its call was admitted.
    fn check_alive(&self, operation: Operation) -> Result {
        if self.record.cancelled.load(crate::sync::atomic::Ordering::Acquire) {
            return Err(Error::from(Code::FWP_E_SESSION_ABORTED));
        }
        if lock(&self.handles).is_none() { Err(closed(operation)) } else { Ok(()) }
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        // Closing fails only if the session is already closed; then there is nothing left to do.
        drop(Session::close(self));
    }
}

fn engine_gone() -> Error {
    Error::new(Code::ERROR_INVALID_HANDLE, "the engine of this subscription was closed")
}

/// The stream of a subscription whose events are pulled.
struct LocalStream {
    queue: Arc<Queue>,
    engine: Weak<Shared>,
}

impl EventStream for LocalStream {
    fn id(&self) -> SubscriptionId {
        self.queue.id
    }

    fn next(&mut self, at_most: Duration) -> Result<Option<Notification>> {
        match self.engine.upgrade() {
            Some(engine) => {
                let clock = Arc::clone(&engine.clock);
                engine.deliver();
                // A waiting reader must not keep the engine alive.
                drop(engine);
                self.queue.next(at_most, &*clock)
            }
            None => Err(engine_gone()),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Notification>> {
        match self.engine.upgrade() {
            None => Poll::Ready(Err(engine_gone())),
            Some(engine) => {
                engine.deliver_if_few();
                self.queue.poll_next(context)
            }
        }
    }
}

impl Drop for LocalStream {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.unsubscribe(&self.queue);
        }
    }
}
