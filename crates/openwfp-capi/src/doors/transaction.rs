//! Transactions.

use crate::Flavour;
use crate::boundary::call;
use crate::handle;
use openwfp_api::TransactionMode;
use windows_sys::Win32::Foundation::HANDLE;

/// Begins a transaction.
pub fn FwpmTransactionBegin0<F: Flavour>(engine_handle: HANDLE, flags: u32) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        session.transaction_begin(TransactionMode::from_wfp(flags)?)
    })
}

/// Makes what the transaction wrote the engine's.
pub fn FwpmTransactionCommit0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.transaction_commit())
}

/// Drops what the transaction wrote.
pub fn FwpmTransactionAbort0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.transaction_abort())
}
