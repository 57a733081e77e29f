//! Audit: changes and refusals as `tracing` events with target `openwfp::audit`. Events never contain a
//! key.
//!
//! | field | content |
//! |---|---|
//! | `operation` | the WFP call, such as `IPsecSaContextDeleteById` |
//! | `session`, `user`, `user_name`, `process_id` | the caller; session 0: the engine itself |
//! | `sa_context` | id of the SA context; 0 for none |
//! | `object` | key or id of the object, or name of the option; empty if the engine generates the key |
//! | `local`, `remote` | addresses of the SA context, if known |
//! | `reason` | why the engine ended the context itself: `hard-limit`, `volume-limit`, `idle`, or `expiry` (its end) |
//! | `outcome` | `ok`, or the name of the error code |
//! | `error` | the text of the error |
//!
//! Successful changes have level INFO, failed ones WARN.

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

/// Records a session's call that changed an SA context or something else that is not an object, or
/// failed to.
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

/// Records a session's call that changed an object or an option, or failed to.
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

/// Records a session's call that was refused before it could change anything.
pub(crate) fn denied(session: &SessionRecord, operation: Operation, error: &Error) {
    changed(session, operation, None, || None, Some(error));
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

/// Records that the engine itself ended a context, or failed to.
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
