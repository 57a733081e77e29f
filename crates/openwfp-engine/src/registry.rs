//! Registry of open sessions, their rights, and their subscriptions.

use crate::access::Access;
use crate::audit::Subject;
use crate::events::Queue;
use crate::record::SessionRecord;
use crate::record::Usage;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;
use crate::sync::lock;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Principal;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::bounds;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Weak;

#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) newest: u32,
    pub(crate) open: BTreeMap<SessionNumber, Arc<SessionRecord>>,
}

impl Sessions {
    /// Returns a number that no open session has. Numbers are used again only after all others were.
    fn free_number(&self) -> SessionNumber {
        let mut number = self.newest;
        loop {
            number = number.checked_add(1).unwrap_or(1);
            // Memory ends long before all numbers are in use.
            if !self.open.contains_key(&SessionNumber(number)) {
                return SessionNumber(number);
            }
        }
    }
}

/// Checks the lengths of display data.
///
/// # Errors
/// `RPC_S_INVALID_BOUND` with the field and its limit.
pub(crate) fn check_texts(name: &str, description: &str, of: &str) -> Result {
    for (field, text, limit) in
        [("name", name, bounds::NAME), ("description", description, bounds::DESCRIPTION)]
    {
        // Bytes are counted first: they are cheap to count, and a character has at most four.
        if text.len() > limit && (text.len() > 4 * limit || text.chars().count() > limit) {
            let what = format!("displayData.{field} of {of} is longer than {limit} characters");
            return Err(Error::new(Code::RPC_S_INVALID_BOUND, what).with_remedy("Shorten it."));
        }
    }
    Ok(())
}

impl Shared {
    pub(crate) fn open(&self, options: SessionOptions) -> Result<Arc<SessionRecord>> {
        if !options.engine.is_empty() {
            let what = format!(
                "no engine is named \"{}\"; this process has one engine, without a name",
                options.engine
            );
            return Err(Error::new(Code::FWP_E_NOT_FOUND, what).with_remedy("Leave the name out."));
        }
        check_texts(&options.name, &options.description, "the session")?;
        let key = match options.key {
            Some(key) if key != Guid::default() => key,
            _ => self.new_guid()?,
        };
        let principal = options.principal.unwrap_or_else(|| Principal::user(self.owner));
        let access = lock(&self.access);
        let mut sessions = lock(&self.sessions);
        if sessions.open.values().any(|other| other.info.key == key) {
            return Err(Error::new(
                Code::FWP_E_ALREADY_EXISTS,
                format!("a session with the key {key} is already open"),
            )
            .with_remedy("Leave the key zero, and the engine generates one."));
        }
        let number = sessions.free_number();
        let info = SessionInfo {
            number,
            key,
            name: options.name,
            description: options.description,
            dynamic: options.dynamic,
            transaction_wait: options.transaction_wait,
            process_id: options.process_id,
            user: principal.user,
            user_name: options.user_name,
            kernel_mode: options.kernel_mode,
            opened: self.clock.wall(),
            origin: options.origin,
            transaction: None,
        };
        let mut record = SessionRecord::new(info, principal);
        record.usage = self.usage_of(record.info.user);
        record.enumerators_max = options.enumerators_max;
        record.subscriptions_max = options.subscriptions_max;
        record.transaction_time_max = options.transaction_time_max;
        set_rights(&record, &access);
        crate::admit::admit(&record, openwfp_api::Operation::EngineOpen, self.faults.as_ref()).inspect_err(
            |error| {
                let (operation, now) = (openwfp_api::Operation::EngineOpen, self.clock.monotonic());
                self.refusals.refused(&record, operation, &Subject::default(), error, now);
            },
        )?;
        let record = Arc::new(record);
        sessions.newest = number.0;
        sessions.open.insert(number, Arc::clone(&record));
        Ok(record)
    }

    fn usage_of(&self, user: Sid) -> Arc<Usage> {
        let mut all = lock(&self.usage);
        if let Some(usage) = all.get(&user).and_then(Weak::upgrade) {
            return usage;
        }
        all.retain(|_, usage| usage.strong_count() != 0);
        let usage = Arc::new(Usage::of(user));
        all.insert(user, Arc::downgrade(&usage));
        usage
    }

    pub(crate) fn new_guid(&self) -> Result<Guid> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes)?;
        let [a, b, c, d, e, f, g, h, tail @ ..] = bytes;
        // RFC 9562: version 4, variant 10.
        let data3 = u16::from_le_bytes([g, h]) & 0x0FFF | 0x4000;
        let mut data4 = tail;
        data4[0] = data4[0] & 0x3F | 0x80;
        Ok(Guid::new(u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]), data3, data4))
    }

    pub(crate) fn has_session(&self, number: SessionNumber) -> bool {
        lock(&self.sessions).open.contains_key(&number)
    }

    pub(crate) fn forget_session(&self, number: SessionNumber) {
        let record = lock(&self.sessions).open.remove(&number);
        if let Some(record) = record {
            self.refusals.closed(&record);
        }
    }

    pub(crate) fn session_infos(&self) -> Vec<Arc<SessionInfo>> {
        let sessions: Vec<_> =
            lock(&self.sessions).open.values().map(|record| Arc::clone(&record.info)).collect();
        let core = self.core();
        let with_transaction = |info: Arc<SessionInfo>| match core.open_transaction(info.number) {
            None => info,
            transaction => Arc::new(SessionInfo { transaction, ..(*info).clone() }),
        };
        sessions.into_iter().map(with_transaction).collect()
    }

    pub(crate) fn session_info(&self, record: &SessionRecord) -> SessionInfo {
        let transaction = self.core().open_transaction(record.number());
        SessionInfo { transaction, ..(*record.info).clone() }
    }

    /// Ends a session from outside.
    pub(crate) fn cancel(&self, record: &SessionRecord) {
        record.cancelled.store(true, Ordering::Release);
        self.abort_if_any(record.number());
        self.unsubscribe_all(record.number());
        self.drop_dynamic(record);
    }

    /// Returns an open session.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` if no such session is open.
    pub(crate) fn find_session(&self, number: SessionNumber) -> Result<Arc<SessionRecord>> {
        let found = lock(&self.sessions).open.get(&number).cloned();
        found.ok_or_else(|| Error::new(Code::FWP_E_NOT_FOUND, format!("session {} is not open", number.0)))
    }

    pub(crate) fn security_info(&self, of: Securable, parts: SecurityInformation) -> SecurityDescriptor {
        lock(&self.access).of(of).parts(parts)
    }

    pub(crate) fn set_administrators(&self, administrators: Vec<Sid>) {
        let mut access = lock(&self.access);
        access.set_administrators(administrators);
        for record in lock(&self.sessions).open.values() {
            set_rights(record, &access);
        }
    }

    pub(crate) fn set_security_info(
        &self,
        of: Securable,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let mut access = lock(&self.access);
        *access = access.with(of, parts, descriptor)?;
        for record in lock(&self.sessions).open.values() {
            set_rights(record, &access);
        }
        Ok(())
    }
}

impl Shared {
    pub(crate) fn subscribe(&self, queue: Arc<Queue>) {
        Arc::make_mut(&mut self.core().subscriptions).push(queue);
    }

    pub(crate) fn subscriptions(&self) -> Arc<Vec<Arc<Queue>>> {
        Arc::clone(&self.core().subscriptions)
    }

    /// Forgets subscriptions that ended by themselves because their stream was dropped or their callback panicked.
    pub(crate) fn forget_ended_subscriptions(&self) {
        Arc::make_mut(&mut self.core().subscriptions).retain(|queue| queue.is_open());
    }

    /// Ends a subscription. Waits for a callback that is running on another thread, and returns whether none is running any more.
    pub(crate) fn unsubscribe(&self, queue: &Queue) -> bool {
        Arc::make_mut(&mut self.core().subscriptions).retain(|other| other.id != queue.id);
        queue.close(&self.waits)
    }

    pub(crate) fn unsubscribe_all(&self, session: SessionNumber) {
        let queues: Vec<_> = {
            let mut core = self.core();
            if !core.subscriptions.iter().any(|queue| queue.id.session == session) {
                return;
            }
            let subscriptions = Arc::make_mut(&mut core.subscriptions);
            subscriptions.extract_if(.., |queue| queue.id.session == session).collect()
        };
        queues.iter().for_each(|queue| {
            queue.close(&self.waits);
        });
    }
}

/// Sets a session's rights from the security descriptors. Kernel-mode sessions have all rights.
fn set_rights(record: &SessionRecord, access: &Access) {
    record.is_administrator.store(access.is_administrator(&record.principal), Ordering::Release);
    for securable in Securable::all() {
        let rights = match record.info.kernel_mode {
            true => Rights::ALL,
            false => access.rights_of(&record.principal, securable),
        };
        record.set_rights(securable, rights);
    }
}
