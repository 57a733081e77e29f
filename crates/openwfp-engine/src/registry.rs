//! Registry of open sessions, their rights, and their subscriptions.

use crate::access::Access;
use crate::events::Queue;
use crate::record::SessionRecord;
use crate::shared::Shared;
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
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) newest: u32,
    pub(crate) open: BTreeMap<SessionNumber, Arc<SessionRecord>>,
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
        let number = sessions.newest.checked_add(1).map(SessionNumber).ok_or_else(|| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, "the engine has no session numbers left")
        })?;
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
        };
        let mut record = SessionRecord::new(info, principal);
        record.enumerators_max = options.enumerators_max;
        record.subscriptions_max = options.subscriptions_max;
        set_rights(&record, &access);
        crate::admit::admit(&record, openwfp_api::Operation::EngineOpen, self.faults.as_ref()).inspect_err(
            |error| {
                crate::audit::denied(&record, openwfp_api::Operation::EngineOpen, error);
            },
        )?;
        let record = Arc::new(record);
        sessions.newest = number.0;
        sessions.open.insert(number, Arc::clone(&record));
        Ok(record)
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
        lock(&self.sessions).open.remove(&number);
    }

    pub(crate) fn session_infos(&self) -> Vec<Arc<SessionInfo>> {
        lock(&self.sessions).open.values().map(|record| Arc::clone(&record.info)).collect()
    }

    pub(crate) fn security_info(&self, of: Securable, parts: SecurityInformation) -> SecurityDescriptor {
        lock(&self.access).of(of).parts(parts)
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
        self.core().subscriptions.push(queue);
    }

    pub(crate) fn subscriptions(&self) -> Vec<Arc<Queue>> {
        self.core().subscriptions.clone()
    }

    /// Ends a subscription. Waits for a callback that is running on another thread.
    pub(crate) fn unsubscribe(&self, queue: &Queue) {
        self.core().subscriptions.retain(|other| other.id != queue.id);
        queue.close();
    }

    pub(crate) fn unsubscribe_all(&self, session: SessionNumber) {
        let queues: Vec<_> = {
            let mut core = self.core();
            core.subscriptions.extract_if(.., |queue| queue.id.session == session).collect()
        };
        queues.iter().for_each(|queue| queue.close());
    }
}

/// Sets a session's rights from the security descriptors. Kernel-mode sessions have all rights.
fn set_rights(record: &SessionRecord, access: &Access) {
    for securable in Securable::all() {
        let rights = match record.info.kernel_mode {
            true => Rights::ALL,
            false => access.rights_of(&record.principal, securable),
        };
        record.set_rights(securable, rights);
    }
}
