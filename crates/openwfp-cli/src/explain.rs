//! `wfp explain`: the meaning of a result code.

use crate::failure::Failure;
use openwfp::api::Code;
use openwfp::api::CodeFamily;
use openwfp::api::Error;
use std::io::Write;

pub(crate) fn explain(text: &str) -> Result<(), Failure> {
    let Some(entry) = Code::find(text) else {
        let error = Error::new(Code::FWP_E_NOT_FOUND, format!("unknown result code \"{text}\"")).with_remedy(
            "Give a name, such as FWP_E_NOT_FOUND, or a number, such as 0x80320008 or 2150760456.",
        );
        return Err(error.into());
    };
    let mut out = anstream::stdout().lock();
    let family = match entry.family {
        CodeFamily::Wfp => "filter engine",
        CodeFamily::Rpc => "remote calls",
        CodeFamily::KernelOnly => "filter engine, kernel-mode callers only",
        CodeFamily::Win32 => "general",
        _ => "other",
    };
    writeln!(out, "name      {}", entry.name)?;
    writeln!(out, "value     0x{:08X} ({})", entry.code.0, entry.code.0)?;
    match (entry.ntstatus_name, entry.ntstatus) {
        (Some(name), Some(value)) => writeln!(out, "NTSTATUS  {name} 0x{value:08X}")?,
        _ => writeln!(out, "NTSTATUS  none")?,
    }
    writeln!(out, "family    {family}")?;
    writeln!(out, "meaning   {}", entry.meaning)?;
    writeln!(out, "cause     {}", entry.cause)?;
    Ok(())
}
