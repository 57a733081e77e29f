//! The two forms of the API: what a call's result looks like and which rules hold for its caller.

use openwfp_api::Code;

/// A form of the API.
pub trait Flavour: 'static {
    /// Whether callers are kernel-mode callers: their rights are not checked, their transactions not aborted by force,
    /// and they cannot name another machine's engine.
    const KERNEL: bool;

    /// The number that a call returns for a code.
    fn number(code: Code) -> u32;
}

/// The user-mode form: DWORDs, `FWP_E_*`. WFP: `fwpmu.h`.
#[derive(Debug)]
pub enum User {}

/// The kernel-mode form: NTSTATUSes, `STATUS_FWP_*`. WFP: `fwpmk.h`.
#[derive(Debug)]
pub enum Kernel {}

impl Flavour for User {
    const KERNEL: bool = false;

    fn number(code: Code) -> u32 {
        code.0
    }
}

impl Flavour for Kernel {
    const KERNEL: bool = true;

    /// The code's twin; a code that has none is `STATUS_UNSUCCESSFUL`, and the last error's text names it.
    fn number(code: Code) -> u32 {
        const STATUS_UNSUCCESSFUL: u32 = 0xC000_0001;
        code.ntstatus().unwrap_or(STATUS_UNSUCCESSFUL)
    }
}
