//! `wfp`: the command line of the OpenWFP filter engine.
#![forbid(unsafe_code)]

mod args;
mod change;
mod explain;
mod export;
mod failure;
mod format;
mod object;
mod sa;
mod serve;
mod watch;

use args::Args;
use args::Certificate;
use args::Command;
use args::ObjectCommand;
use args::PolicyCommand;
use args::SaCommand;
use change::Change;
use clap::Parser;
use failure::Failure;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::NamedUrl;
use openwfp::XfrmTarget;
use openwfp::api::Code;
use openwfp::api::Error;
use openwfp::api::object::ObjectKind;
use openwfp::rpc::ClientOptions;
use openwfp::rpc::tls::ClientTls;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    args.color.write_global();
    let outcome = match &args.command {
        Command::Serve(serve) => serve::serve(&engines(&args), serve),
        Command::Sa(SaCommand::List(list)) => {
            engine(&args).and_then(|(url, engine)| sa::list(&url, &engine, list))
        }
        Command::Sa(SaCommand::Watch(watch)) => {
            engine(&args).and_then(|(_, engine)| watch::watch(engine, watch))
        }
        Command::Sa(SaCommand::Expire(expire)) => {
            engine(&args).and_then(|(_, engine)| change::change(&engine, Change::Expire, expire))
        }
        Command::Sa(SaCommand::Delete(delete)) => {
            engine(&args).and_then(|(_, engine)| change::change(&engine, Change::Delete, delete))
        }
        Command::Sa(SaCommand::Export(export)) => {
            engine(&args).and_then(|(_, engine)| export::export(&engine, export))
        }
        Command::Sa(SaCommand::Show(show)) => engine(&args).and_then(|(_, engine)| sa::show(&engine, show)),
        Command::Filter(command) => objects(&args, ObjectKind::Filter, command),
        Command::Provider(command) => objects(&args, ObjectKind::Provider, command),
        Command::Context(command) => objects(&args, ObjectKind::ProviderContext, command),
        Command::Sublayer(command) => objects(&args, ObjectKind::SubLayer, command),
        Command::Layer(command) => objects(&args, ObjectKind::Layer, command),
        Command::Callout(command) => objects(&args, ObjectKind::Callout, command),
        Command::Policy(PolicyCommand::Explain(explain)) => {
            engine(&args).and_then(|(_, engine)| object::explain(&engine, explain))
        }
        Command::Explain { code } => explain::explain(code),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                anstream::eprintln!("wfp: {message}");
            }
            failure.exit_code()
        }
    }
}

fn objects(args: &Args, kind: ObjectKind, command: &ObjectCommand) -> Result<(), Failure> {
    let (_, engine) = engine(args)?;
    match command {
        ObjectCommand::List(list) => object::list(&engine, kind, list),
        ObjectCommand::Show(show) => object::show(&engine, kind, show),
    }
}

/// The engines of the command line.
fn engines(args: &Args) -> Vec<NamedUrl> {
    let adopt = |named: &NamedUrl| NamedUrl { url: adopted(named.url.clone(), args), ..named.clone() };
    args.engine.iter().map(adopt).collect()
}

/// With --adopt, an engine of a kernel changes what others installed, too.
fn adopted(url: EngineUrl, args: &Args) -> EngineUrl {
    match url {
        EngineUrl::Xfrm(target) => {
            EngineUrl::Xfrm(XfrmTarget { adopt: target.adopt || args.adopt, ..target })
        }
        other => other,
    }
}

/// The engine that is meant: by its URL, else this machine's daemon, else its kernel.
fn engine(args: &Args) -> Result<(EngineUrl, Engine), Failure> {
    let url = match &engines(args)[..] {
        [named] => named.url.clone(),
        [] => EngineUrl::of_daemon().unwrap_or_else(|| adopted(EngineUrl::XFRM, args)),
        several => {
            let what = format!("--engine is given {} times; only serve takes several", several.len());
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).into());
        }
    };
    let Certificate { cert, key, ca } = args.certificate.clone();
    let tls = match (cert, key, ca) {
        (Some(cert), Some(key), Some(ca)) => Some(ClientTls { ca, cert, key }),
        (None, None, None) => None,
        _ => {
            let what = "--cert, --key and --ca are given together or not at all";
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).into());
        }
    };
    let engine = Engine::with(&url, ClientOptions { tls, ..ClientOptions::default() })?;
    Ok((url, engine))
}

/// How colours are chosen: the terminal's way unless told otherwise.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Color {
    /// Colours on a terminal only; `NO_COLOR` is obeyed
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    fn write_global(self) {
        let choice = match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Engine(error)
    }
}
