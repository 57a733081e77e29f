//! Audit: every change and every refusal as a `tracing` event of the target `openwfp::audit`, never with a key.
//!
//! | field | holds |
//! |---|---|
//! | `operation` | the WFP call, such as `IPsecSaContextDeleteById` |
//! | `session`, `user`, `user_name`, `process_id` | who; session 0 and no user: the engine itself |
//! | `sa_context` | which SA context; 0: none |
//! | `object` | the key of the object that was to be changed, in calls of objects; empty: the engine makes one, or an option |
//! | `local`, `remote` | its addresses, where it is known |
//! | `reason` | why the engine did it itself: `Hard`, `Idle`, `End`, `Counted` |
//! | `outcome` | `ok`, or the name of the code |
//! | `error` | the words of the error |
//!
//! Changes that succeeded are of level INFO, those that failed WARN.

use crate::record::SessionRecord;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::SaContextId;

macro_rules! told {
    ($error:expr, $($field:tt)*) => {
        match $error {
            None => tracing::info!(target: "openwfp::audit", $($field)*, outcome = "ok"),
            Some(error) => tracing::warn!(
                target: "openwfp::audit",
                $($field)*,
                outcome = error.code().name().unwrap_or("unknown"),
                error = error.what()
            ),
        }
    };
}

/// A session's call changed a context, or something that is no context, or failed to.
pub(crate) fn changed(
    session: &SessionRecord,
    operation: Operation,
    context: Option<SaContextId>,
    endpoints: impl Fn() -> Option<openwfp_api::Endpoints>,
    error: Option<&Error>,
) {
    if !tracing::enabled!(target: "openwfp::audit", tracing::Level::WARN) {
        return;
    }
    let endpoints = endpoints();
    let text =
        |address: Option<std::net::IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let info = &session.info;
    told!(
        error,
        operation = operation.rules().wfp_name,
        session = info.number.0,
        user = %info.user,
        user_name = info.user_name.as_str(),
        process_id = info.process_id,
        sa_context = context.map_or(0, |id| id.0),
        local = text(endpoints.map(|endpoints| endpoints.local())),
        remote = text(endpoints.map(|endpoints| endpoints.remote()))
    );
}

/// A session's call changed an object or an option, or failed to.
pub(crate) fn object(session: &SessionRecord, operation: Operation, object: &str, error: Option<&Error>) {
    let info = &session.info;
    told!(
        error,
        operation = operation.rules().wfp_name,
        session = info.number.0,
        user = %info.user,
        user_name = info.user_name.as_str(),
        process_id = info.process_id,
        object = object
    );
}

/// A session's call was denied before it could change anything.
pub(crate) fn denied(session: &SessionRecord, operation: Operation, error: &Error) {
    changed(session, operation, None, || None, Some(error));
}

/// The engine ended a context itself, or failed to.
pub(crate) fn by_engine(operation: Operation, context: SaContextId, reason: &str, error: Option<&Error>) {
    told!(
        error,
        operation = operation.rules().wfp_name,
        session = 0_u32,
        user = "",
        user_name = "",
        process_id = 0_u32,
        sa_context = context.0,
        reason = reason
    );
}
