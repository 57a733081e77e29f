//! Audit: changes and refusals as `tracing` events with target `openwfp::audit`. Events never contain a
//! key.
//!
//! | field | content |
//! |---|---|
//! | `operation` | the WFP call, such as `IPsecSaContextDeleteById` |
//! | `session`, `user`, `user_name`, `process_id` | the caller; session 0: the engine itself |
//! | `origin` | where the caller is: `unix`, or the address and port of a network client |
//! | `sa_context`, `local`, `remote` | id and addresses of the SA context |
//! | `object`, `object_id`, `name` | key, id and name of the object; the name of an option or a securable |
//! | `reason` | why the engine ended the context itself: `hard-limit`, `volume-limit`, `idle`, or `expiry` (its end) |
//! | `steps`, `refused` | of a batch: how many steps it had, and how many of them were refused |
//! | `kept_back` | how many further refusals of this user were not written, because they were too many |
//! | `outcome` | `ok`, or the name of the error code |
//! | `error` | the text of the error |
//!
//! An event has the fields that are known. Successful changes have level INFO, failed ones WARN.

use crate::record::SessionRecord;
use crate::sync::Mutex;
use crate::sync::lock;
use openwfp_api::Endpoints;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::SaContextId;
use openwfp_api::SessionInfo;
use openwfp_api::Sid;
use std::collections::HashMap;
use std::time::Duration;

/// What a call is about, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) context: Option<SaContextId>,
    pub(crate) endpoints: Option<Endpoints>,
    /// Key of an object; name of an option or a securable.
    pub(crate) object: Option<String>,
    pub(crate) id: Option<u64>,
    pub(crate) name: Option<String>,
    /// The name of the call, if it is not that of the operation.
    pub(crate) call: Option<&'static str>,
    /// Number of steps of a batch, and how many of them were refused.
    pub(crate) batch: Option<(usize, usize)>,
}

impl Subject {
    pub(crate) fn named(object: &impl ToString) -> Subject {
        Subject { object: Some(object.to_string()), ..Subject::default() }
    }
}

/// Whether anybody reads the audit.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: "openwfp::audit", tracing::Level::WARN)
}

/// Records a session's call that changed something, or failed to.
pub(crate) fn changed(
    session: &SessionRecord,
    operation: Operation,
    subject: impl FnOnce() -> Subject,
    error: Option<&Error>,
) {
    if is_on() {
        write(Some(&session.info), operation, &subject(), None, None, error);
    }
}

/// Records that the engine itself ended a context, or failed to.
pub(crate) fn by_engine(operation: Operation, context: SaContextId, reason: &str, error: Option<&Error>) {
    let subject = Subject { context: Some(context), ..Subject::default() };
    write(None, operation, &subject, Some(reason), None, error);
}

/// Records that the engine itself ended a session's transaction.
pub(crate) fn transaction_ended(session: &SessionRecord, reason: &str) {
    write(Some(&session.info), Operation::TransactionAbort, &Subject::default(), Some(reason), None, None);
}

fn write(
    session: Option<&SessionInfo>,
    operation: Operation,
    subject: &Subject,
    reason: Option<&str>,
    kept_back: Option<u64>,
    error: Option<&Error>,
) {
    macro_rules! told {
        ($macro:ident, $($outcome:tt)*) => {
            tracing::$macro!(
                target: "openwfp::audit",
                operation = subject.call.unwrap_or(operation.rules().wfp_name),
                session = session.map_or(0, |info| info.number.0),
                user = session.map(|info| display(info.user)),
                user_name = session.map(|info| info.user_name.as_str()),
                process_id = session.map(|info| info.process_id),
                origin = session.map(|info| info.origin.as_str()).filter(|origin| !origin.is_empty()),
                sa_context = subject.context.map(|id| id.0),
                local = subject.endpoints.map(|endpoints| display(endpoints.local())),
                remote = subject.endpoints.map(|endpoints| display(endpoints.remote())),
                object = subject.object.as_deref(),
                object_id = subject.id.filter(|id| *id != 0),
                name = subject.name.as_deref().filter(|name| !name.is_empty()),
                reason = reason,
                steps = subject.batch.map(|(steps, _)| steps),
                refused = subject.batch.map(|(_, refused)| refused),
                kept_back = kept_back,
                $($outcome)*
            )
        };
    }
    match error {
        None => told!(info, outcome = "ok"),
        Some(error) => told!(warn, outcome = error.code().name().unwrap_or("unknown"), error = error.what()),
    }
}

/// Warns of a descriptor without an access list: it gives everybody every right, and is easily set by mistake.
pub(crate) fn opened(session: &SessionRecord, object: &str) {
    let info = &session.info;
    tracing::warn!(
        target: "openwfp::audit",
        session = info.number.0,
        user = %info.user,
        user_name = info.user_name.as_str(),
        process_id = info.process_id,
        object = object,
        "everybody has every right now: the descriptor has no access list"
    );
}

/// The refusals of each user in the current second. Of more than [`REFUSALS_LOGGED`](openwfp_api::bounds::REFUSALS_LOGGED), the
/// log has the number only, so that nobody can fill it with calls that change nothing.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Sid, Window>>);

struct Window {
    began: Duration,
    written: usize,
    kept_back: u64,
}

impl Window {
    /// Writes how many refusals have no line of their own.
    fn tell(&mut self, user: Sid) {
        let kept_back = std::mem::take(&mut self.kept_back);
        if kept_back > 0 {
            tracing::warn!(target: "openwfp::audit", user = %user, kept_back, "more calls were refused");
        }
    }
}

impl Refusals {
    /// Number of users above which those without recent refusals are forgotten.
    const USERS: usize = 1024;

    /// Records a session's call that was refused before it could change anything. `now` is the monotonic time.
    pub(crate) fn refused(
        &self,
        session: &SessionRecord,
        operation: Operation,
        subject: &Subject,
        error: &Error,
        now: Duration,
    ) {
        if let Some(kept_back) = self.admit(session.info.user, now) {
            let kept_back = Some(kept_back).filter(|count| *count != 0);
            write(Some(&session.info), operation, subject, None, kept_back, Some(error));
        }
    }

    /// Writes the number of refusals of a session's user that have no line of their own, since the session ends and may be the last.
    pub(crate) fn closed(&self, session: &SessionRecord) {
        if let Some(window) = lock(&self.0).get_mut(&session.info.user) {
            window.tell(session.info.user);
        }
    }

    /// Returns whether to write a refusal, and how many were kept back before it.
    fn admit(&self, user: Sid, now: Duration) -> Option<u64> {
        let mut users = lock(&self.0);
        let is_over = |window: &Window| now.saturating_sub(window.began) >= Duration::from_secs(1);
        if users.len() > Refusals::USERS {
            users.retain(|user, window| {
                if is_over(window) {
                    window.tell(*user);
                }
                !is_over(window)
            });
        }
        let window = users.entry(user).or_insert(Window { began: now, written: 0, kept_back: 0 });
        if is_over(window) {
            (window.began, window.written) = (now, 0);
        }
        if window.written >= openwfp_api::bounds::REFUSALS_LOGGED {
            window.kept_back += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.kept_back))
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn of_many_refusals_the_log_has_the_number() {
        let refusals = Refusals::default();
        let (ann, bob) = (Sid::unix_user(1), Sid::unix_user(2));
        let at = Duration::from_millis;
        let written = (0..100).filter(|_| refusals.admit(ann, at(500)).is_some()).count();
        assert_eq!(written, 20);
        assert_eq!(refusals.admit(bob, at(900)), Some(0), "another user");
        assert_eq!(refusals.admit(ann, at(1499)), None);
        assert_eq!(refusals.admit(ann, at(1500)), Some(81));
        assert_eq!(refusals.admit(ann, at(1501)), Some(0));
        for user in 0..3000 {
            refusals.admit(Sid::unix_user(user), at(u64::from(user) * 1000));
        }
        assert!(lock(&refusals.0).len() <= 1026);
    }
}
