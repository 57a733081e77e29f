//! Reads the options of a new session.

use super::guid;
use crate::Flavour;
use crate::abi::FWPM_SESSION0;
use crate::wide;
use openwfp::SessionOptions;
use openwfp_api::Result;
use openwfp_api::dynamic_session;
use std::time::Duration;

/// Reads an `FWPM_SESSION0`; `None` means the default options.
///
/// # Errors
/// `FWP_E_RESERVED` for a reserved flag, `FWP_E_INVALID_FLAGS` for an unknown one.
///
/// # Safety
/// The structure's strings are null or valid.
pub(crate) unsafe fn session<F: Flavour>(session: Option<&FWPM_SESSION0>) -> Result<SessionOptions> {
    let mut options =
        SessionOptions::new().process(std::process::id()).user_name(crate::engines::user_name());
    if F::KERNEL {
        options = options.kernel_mode();
    }
    let Some(session) = session else {
        return Ok(options);
    };
    // SAFETY: the caller upholds the safety contract.
    let (name, description) = unsafe {
        (
            wide::read(session.displayData.name, "displayData.name")?,
            wide::read(session.displayData.description, "displayData.description")?,
        )
    };
    options = options.key(guid(&session.sessionKey)).name(name).description(description);
    options = options.transaction_wait(Duration::from_millis(session.txnWaitTimeoutInMSec.into()));
    Ok(if dynamic_session(session.flags)? { options.dynamic() } else { options })
}
