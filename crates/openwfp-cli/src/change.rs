//! `wfp sa expire`, `wfp sa delete` and `wfp flush`, which ask for confirmation.

use crate::args::ChangeArgs;
use crate::args::FlushArgs;
use crate::failure::Failure;
use crate::format::show;
use crate::sa;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::Flushed;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Error;
use std::io::IsTerminal;
use std::io::Write;

/// How a context ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Expire,
    Delete,
}

pub(crate) fn change(
    url: &EngineUrl,
    engine: &Engine,
    change: Change,
    args: &ChangeArgs,
) -> Result<(), Failure> {
    lasts(url, change)?;
    let session = engine.open_session(SessionOptions::new().name("wfp sa"))?;
    let contexts = args
        .ids
        .iter()
        .map(|reference| session.sa_context_by_id(sa::resolve(&*session, *reference)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let word = match change {
        Change::Expire => "expire (outbound immediately, inbound after 60 s)",
        Change::Delete => "delete",
    };
    if !args.yes {
        let mut out = anstream::stdout().lock();
        for context in &contexts {
            show::write(&mut out, context, None)?;
        }
        confirm(&mut out, &format!("{word} {}?", count(contexts.len())))?;
    }
    for context in &contexts {
        match change {
            Change::Expire => session.sa_context_expire(context.id)?,
            Change::Delete => session.sa_context_delete_by_id(context.id)?,
        }
        let endpoints = context.traffic.endpoints;
        let done = if change == Change::Delete { "deleted" } else { "expiring" };
        anstream::println!("{done}: {} {} <=> {}", context.id, endpoints.local(), endpoints.remote());
    }
    Ok(())
}

/// Checks that a change lasts longer than this command.
fn lasts(url: &EngineUrl, change: Change) -> Result<(), Error> {
    let (what, remedy) = match (url, change) {
        (EngineUrl::Capture(_) | EngineUrl::Memory, _) => (
            format!("{url} is an engine of this command alone, so that nothing would remain changed"),
            "Name the engine of a daemon or of a kernel.",
        ),
        (EngineUrl::Xfrm(_), Change::Expire) => (
            "the inbound SA of an expiring context is deleted after 60 s, and this command ends before"
                .into(),
            "Ask a daemon, or delete the SA context.",
        ),
        _ => return Ok(()),
    };
    Err(Error::new(Code::ERROR_NOT_SUPPORTED, what).with_remedy(remedy))
}

/// `wfp flush`: removes what stopped engines have left in a kernel.
pub(crate) fn flush(url: &EngineUrl, args: &FlushArgs) -> Result<(), Failure> {
    if !args.yes {
        let question = format!("remove from the kernel of {url} the SAs and policies of stopped engines?");
        confirm(&mut anstream::stdout().lock(), &question)?;
    }
    let Flushed { sas, policies, tables } = openwfp::flush(url, args.runtime.clone())?;
    let plural = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    };
    let tables = if tables == 0 { String::new() } else { " and the table of nftables".to_owned() };
    let (sas, policies) = (plural(sas, "SA", "SAs"), plural(policies, "policy", "policies"));
    anstream::println!("removed {sas} and {policies}{tables}");
    Ok(())
}

fn count(number: usize) -> String {
    if number == 1 { "this SA context".into() } else { format!("these {number} SA contexts") }
}

/// Asks the user on the terminal.
pub(crate) fn confirm(out: &mut dyn Write, question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        let what = "nothing was changed: stdin is not a terminal, so nobody can confirm";
        return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
            .with_remedy("Pass --yes to confirm.")
            .into());
    }
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => {
            anstream::eprintln!("cancelled");
            Err(Failure::Declined)
        }
    }
}
