//! `wfp sa expire` and `wfp sa delete`: what goes is shown, and asked for, before it goes.

use crate::args::ChangeArgs;
use crate::failure::Failure;
use crate::format::show;
use crate::sa;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Error;
use std::io::IsTerminal;
use std::io::Write;

/// What becomes of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Expire,
    Delete,
}

pub(crate) fn change(engine: &Engine, change: Change, args: &ChangeArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp sa"))?;
    let contexts = args
        .ids
        .iter()
        .map(|reference| session.sa_context_by_id(sa::resolve(&*session, *reference)?))
        .collect::<Result<Vec<_>, Error>>()?;
    let word = match change {
        Change::Expire => "expire (outbound at once, inbound a minute later)",
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

fn count(number: usize) -> String {
    if number == 1 { "this SA context".into() } else { format!("these {number} SA contexts") }
}

/// Asks whoever sits there.
fn confirm(out: &mut dyn Write, question: &str) -> Result<(), Failure> {
    let refused = |what: &str, remedy: &str| {
        Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy(remedy).into())
    };
    if !std::io::stdin().is_terminal() {
        return refused("nobody is there to be asked, and nothing is changed", "say --yes");
    }
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => refused("nothing is changed", "answer y, or say --yes"),
    }
}
