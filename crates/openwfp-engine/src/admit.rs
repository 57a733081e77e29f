//! Admission: checks the rules that apply to every call, in one place.

use crate::faults::Injector;
use crate::record::SessionRecord;
use crate::record::TransactionState;
use crate::sync::atomic::Ordering;
use crate::transaction::ended;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::TransactionMode;

/// Admits a call of an open session, or returns the rule that it violates.
///
/// # Errors
/// In this order: `FWP_E_SESSION_ABORTED`, `FWP_E_TXN_ABORTED`, `ERROR_ACCESS_DENIED`,
/// `FWP_E_TXN_IN_PROGRESS`, `FWP_E_INCOMPATIBLE_TXN`, `FWP_E_DYNAMIC_SESSION_IN_PROGRESS`, then
/// injected faults.
pub(crate) fn admit(session: &SessionRecord, operation: Operation, faults: Option<&Injector>) -> Result {
    let rules = operation.rules();
    let name = rules.wfp_name;
    if session.cancelled.load(Ordering::Acquire) {
        let what = "the engine ended this session";
        return Err(Error::new(Code::FWP_E_SESSION_ABORTED, what).with_remedy("Close it and open a new one."));
    }
    let transaction = session.transaction();
    if transaction == TransactionState::Ended && session.take_ended() {
        return Err(ended(name));
    }
    let missing = rules.rights.without(session.rights_on(rules.on));
    if missing != Rights::NONE && !rules.on_object {
        return Err(denied(session, missing, &rules.on.to_string()));
    }
    if let TransactionState::In(mode) = transaction {
        if !rules.in_transaction {
            return Err(Error::new(
                Code::FWP_E_TXN_IN_PROGRESS,
                format!("{name} is not allowed inside a transaction"),
            )
            .with_remedy("Commit or abort the transaction first."));
        }
        if rules.writes && mode == TransactionMode::ReadOnly {
            return Err(Error::new(
                Code::FWP_E_INCOMPATIBLE_TXN,
                format!("{name} writes, but the transaction is read-only"),
            ));
        }
    }
    if session.info.dynamic && !rules.in_dynamic_session {
        return Err(Error::new(
            Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS,
            format!("{name} is not allowed in a dynamic session"),
        )
        .with_remedy("Use a session that is not dynamic."));
    }
    match faults {
        None => Ok(()),
        Some(faults) => faults.call(operation),
    }
}

/// Returns the `ERROR_ACCESS_DENIED` error for missing rights.
pub(crate) fn denied(session: &SessionRecord, missing: Rights, on: &str) -> Error {
    let user = match session.info.user_name.as_str() {
        "" => session.info.user.to_string(),
        name => format!("{name} ({})", session.info.user),
    };
    let what = format!("user {user} may not {}: the right {missing} on {on} is missing", missing.in_words());
    let key = match missing {
        missing if Rights::OF_READERS.contain(missing) => "readers",
        missing if Rights::OF_OPERATORS.contain(missing) => "operators",
        missing if Rights::OF_ADMINISTRATORS.contain(missing) => "admins",
        _ => "keys",
    };
    Error::new(Code::ERROR_ACCESS_DENIED, what).with_remedy(format!(
        "Ask the engine's administrator for it; in the daemon's configuration, access.{key} gives it (docs/daemon.md, \"Who may do what\")."
    ))
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use openwfp_api::Guid;
    use openwfp_api::Principal;
    use openwfp_api::Securable;
    use openwfp_api::SessionInfo;
    use openwfp_api::SessionNumber;
    use openwfp_api::Sid;
    use openwfp_api::Timestamp;
    use std::time::Duration;

    fn session(dynamic: bool, engine: Rights, sa_db: Rights) -> SessionRecord {
        let info = SessionInfo {
            number: SessionNumber(1),
            key: Guid::default(),
            name: String::new(),
            description: String::new(),
            dynamic,
            transaction_wait: Duration::from_secs(15),
            process_id: 0,
            user: Sid::unix_user(7),
            user_name: String::new(),
            kernel_mode: false,
            opened: Timestamp(0),
            origin: String::new(),
            transaction: None,
        };
        let record = SessionRecord::new(info, Principal::unix(7, &[]));
        record.set_rights(Securable::Engine, engine);
        // Everything that inherits from the engine, including the database of SAs.
        for below in Securable::all().into_iter().filter(|of| *of != Securable::Engine) {
            record.set_rights(below, sa_db);
        }
        record
    }

    #[test]
    fn every_operation_needs_exactly_its_rights_on_its_object() {
        for operation in Operation::ALL {
            let rules = operation.rules();
            if rules.on_object {
                // These rights are checked on the object itself, see objects::rules.
                continue;
            }
            let with_rights = |rights| {
                let record = session(false, Rights::NONE, Rights::NONE);
                record.set_rights(rules.on, rights);
                admit(&record, *operation, None)
            };
            assert!(with_rights(rules.rights).is_ok(), "{operation:?}");
            for bit in (0..32).map(|shift| Rights(1 << shift)).filter(|bit| rules.rights.contain(*bit)) {
                let denied = with_rights(Rights::ALL.without(bit)).unwrap_err();
                assert_eq!(denied.code(), Code::ERROR_ACCESS_DENIED, "{operation:?} without {bit}");
                assert!(denied.what().contains(&bit.to_string()), "{denied}");
            }
        }
    }

    #[test]
    fn every_operation_in_every_kind_of_transaction_and_session_is_as_its_row_says() {
        let modes = [
            TransactionState::None,
            TransactionState::In(TransactionMode::ReadOnly),
            TransactionState::In(TransactionMode::ReadWrite),
        ];
        for operation in Operation::ALL {
            let rules = operation.rules();
            for mode in modes {
                for dynamic in [false, true] {
                    let session = session(dynamic, Rights::ALL, Rights::ALL);
                    session.set_transaction(mode);
                    let code = admit(&session, *operation, None).err().map(|error| error.code());
                    let inside = mode != TransactionState::None;
                    let expected = if inside && !rules.in_transaction {
                        Some(Code::FWP_E_TXN_IN_PROGRESS)
                    } else if rules.writes && mode == TransactionState::In(TransactionMode::ReadOnly) {
                        Some(Code::FWP_E_INCOMPATIBLE_TXN)
                    } else if dynamic && !rules.in_dynamic_session {
                        Some(Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS)
                    } else {
                        None
                    };
                    assert_eq!(code, expected, "{operation:?} {mode:?} dynamic: {dynamic}");
                }
            }
        }
    }

    #[test]
    fn a_session_that_the_engine_ended_says_so_always_and_of_its_transaction_once() {
        let session = session(false, Rights::ALL, Rights::ALL);
        session.set_transaction(TransactionState::Ended);
        let first = admit(&session, Operation::SaContextEnum, None).unwrap_err();
        assert_eq!(first.code(), Code::FWP_E_TXN_ABORTED);
        assert!(admit(&session, Operation::SaContextEnum, None).is_ok());
        session.cancelled.store(true, Ordering::Release);
        for operation in Operation::ALL {
            let error = admit(&session, *operation, None).unwrap_err();
            assert_eq!(error.code(), Code::FWP_E_SESSION_ABORTED);
        }
    }
}
