//! The two forms of the API, which differ in their result codes and in the rules for callers.

use openwfp_api::Code;

/// A form of the API: user mode or kernel mode.
pub trait Flavour: 'static {
    /// Whether callers are kernel-mode callers, for whom `FwpmEngineOpen0` rejects a server name.
    ///
    /// An engine in this process does not check their rights and does not abort their transactions by
    /// force. A daemon treats them like other callers.
    const KERNEL: bool;

    /// Returns the number that a call returns for a code.
    fn number(code: Code) -> u32;
}

/// The user-mode form: calls return a `DWORD` such as `FWP_E_*`. WFP: `fwpmu.h`.
#[derive(Debug)]
pub enum User {}

/// The kernel-mode form: calls return an `NTSTATUS` such as `STATUS_FWP_*`. WFP: `fwpmk.h`.
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

    /// Returns the code's NTSTATUS twin. A code without one is `STATUS_UNSUCCESSFUL`; the text of the last
    /// error names it.
    fn number(code: Code) -> u32 {
        const STATUS_UNSUCCESSFUL: u32 = 0xC000_0001;
        code.ntstatus().unwrap_or(STATUS_UNSUCCESSFUL)
    }
}
