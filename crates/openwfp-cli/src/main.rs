//! `wfp`: the command line of the OpenWFP filter engine.
#![forbid(unsafe_code)]

mod args;
mod change;
mod client;
mod explain;
mod export;
mod failure;
mod format;
mod object;
mod policy;
mod sa;
mod serve;
mod session;
mod watch;

use args::Args;
use args::ClientArgs;
use args::Color;
use args::Command;
use args::LayerCommand;
use args::ListOfObjects;
use args::ObjectCommand;
use args::ObjectShowArgs;
use args::PolicyCommand;
use args::SaCommand;
use args::ServeArgs;
use args::SessionCommand;
use failure::Failure;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::api::object::ObjectKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::parse();
    client::reject_meaningless_flags(&args);
    args.color().write_global();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                failure::complain(&message);
            }
            failure.exit_code()
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Serve(serve) => {
            let serve = ServeArgs { adopt: serve.adopt || args.adopt, ..serve.clone() };
            let sets_engine = serve.set.iter().any(|flag| flag.starts_with("engine="));
            let engines = if sets_engine && serve.engine.is_empty() && args.client.engine.is_empty() {
                Vec::new()
            } else {
                client::engines(args, &serve.engine)?
            };
            serve::serve(&engines, &serve)
        }
        Command::Sa(command) => sa(args, command),
        Command::Filter(command) => objects(args, ObjectKind::Filter, command),
        Command::Provider(command) => objects(args, ObjectKind::Provider, command),
        Command::Context(command) => objects(args, ObjectKind::ProviderContext, command),
        Command::Sublayer(command) => objects(args, ObjectKind::SubLayer, command),
        Command::Layer(LayerCommand::List(list)) => list_objects(args, ObjectKind::Layer, list),
        Command::Layer(LayerCommand::Show(show)) => show_object(args, ObjectKind::Layer, show),
        Command::Callout(command) => objects(args, ObjectKind::Callout, command),
        Command::Policy(command) => {
            let engine = client::engine_to_read(args, command.client())?.1;
            match command {
                PolicyCommand::List(list) => policy::list(&engine, list),
                PolicyCommand::Show(show) => policy::show(&engine, show),
                PolicyCommand::Explain(explain) => policy::explain(&engine, explain),
            }
        }
        Command::Session(SessionCommand::List(list)) => session::list(&engine(args, &list.client)?.1, list),
        Command::Session(SessionCommand::Close(close)) => {
            session::close(&engine(args, &close.client)?.1, close)
        }
        Command::Flush(flush) => change::flush(&client::url(args, &flush.engine, || EngineUrl::XFRM)?, flush),
        Command::Explain(explain) => explain::explain(&explain.code),
    }
}

fn sa(args: &Args, command: &SaCommand) -> Result<(), Failure> {
    let (own, adopt) = (command.client(), command.changes().is_some_and(|change| change.adopt));
    let to_read = || client::engine_to_read(args, own);
    let to_follow = || client::engine(args, own, adopt);
    match command {
        SaCommand::List(list) => {
            let (url, options) = client::options(args, own, adopt)?;
            sa::list(&url, options, list)
        }
        SaCommand::Show(show) => sa::show(&to_read()?.1, show),
        SaCommand::Watch(watch) => watch::watch(to_follow()?.1, watch),
        SaCommand::Expire(expire) => {
            let (url, engine) = to_follow()?;
            change::change(&url, &engine, change::Change::Expire, expire)
        }
        SaCommand::Delete(delete) => {
            let (url, engine) = to_follow()?;
            change::change(&url, &engine, change::Change::Delete, delete)
        }
        SaCommand::Export(export) => export::export(&to_read()?.1, export),
    }
}

fn objects<L: ListOfObjects>(
    args: &Args,
    kind: ObjectKind,
    command: &ObjectCommand<L>,
) -> Result<(), Failure> {
    match command {
        ObjectCommand::List(list) => list_objects(args, kind, list),
        ObjectCommand::Show(show) => show_object(args, kind, show),
        ObjectCommand::Delete(delete) => {
            let (url, engine) = engine(args, &delete.client)?;
            object::delete(&url, &engine, kind, delete)
        }
    }
}

fn list_objects<L: ListOfObjects>(args: &Args, kind: ObjectKind, list: &L) -> Result<(), Failure> {
    object::list(&engine(args, &list.paging().client)?.1, &list.template(kind), list.paging())
}

fn show_object(args: &Args, kind: ObjectKind, show: &ObjectShowArgs) -> Result<(), Failure> {
    object::show(&engine(args, &show.client)?.1, kind, show)
}

fn engine(args: &Args, own: &ClientArgs) -> Result<(EngineUrl, Engine), Failure> {
    client::engine(args, own, false)
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
