//! Calls that begin, commit and abort transactions.

use crate::Flavour;
use crate::boundary::call;
use crate::handle;
use openwfp_api::TransactionMode;
use windows_sys::Win32::Foundation::HANDLE;

/// Begins a transaction: read/write for `flags` 0, read-only for 1.
///
/// Fails with `FWP_E_INVALID_FLAGS` for other flags, and with `FWP_E_TXN_IN_PROGRESS` inside a
/// transaction.
pub fn FwpmTransactionBegin0<F: Flavour>(engine_handle: HANDLE, flags: u32) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        session.transaction_begin(TransactionMode::from_wfp(flags)?)
    })
}

/// Commits the session's transaction: all of its changes or, on an error, none.
///
/// Fails with `FWP_E_NO_TXN_IN_PROGRESS` outside a transaction.
pub fn FwpmTransactionCommit0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.transaction_commit())
}

/// Aborts the session's transaction and discards its changes.
///
/// Fails with `FWP_E_NO_TXN_IN_PROGRESS` outside a transaction.
pub fn FwpmTransactionAbort0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.transaction_abort())
}
