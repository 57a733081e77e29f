//! Admission: the rules that hold for every call, checked in one place.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;

/// What of a session decides whether it may make a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) open: bool,
    pub(crate) rights: Rights,
}

/// Admits a call or says why not.
///
/// # Errors
/// `ERROR_INVALID_HANDLE` for a closed session, `ERROR_ACCESS_DENIED` without the rights.
pub(crate) fn admit(caller: Caller, operation: Operation) -> Result {
    let rules = operation.rules();
    if !caller.open {
        return Err(Error::new(
            Code::ERROR_INVALID_HANDLE,
            format!("{}: the session is closed", rules.wfp_name),
        ));
    }
    if !caller.rights.contain(rules.rights) {
        return Err(Error::new(
            Code::ERROR_ACCESS_DENIED,
            format!("{}: the caller lacks {:?} on the SA database", rules.wfp_name, rules.rights),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_needs_an_open_session_and_exactly_its_rights() {
        for operation in Operation::ALL {
            let rights = operation.rules().rights;
            let closed = admit(Caller { open: false, rights: Rights::ALL }, *operation);
            assert_eq!(closed.unwrap_err().code(), Code::ERROR_INVALID_HANDLE, "{operation:?}");
            assert!(admit(Caller { open: true, rights }, *operation).is_ok(), "{operation:?}");
            for bit in (0..32).map(|shift| 1 << shift).filter(|bit| rights.0 & bit != 0) {
                let fewer = Caller { open: true, rights: Rights(Rights::ALL.0 & !bit) };
                let denied = admit(fewer, *operation).unwrap_err();
                assert_eq!(denied.code(), Code::ERROR_ACCESS_DENIED, "{operation:?} without {bit:#x}");
            }
        }
    }
}
