//! `wfp`: the command line of the OpenWFP filter engine.
#![forbid(unsafe_code)]

mod args;
mod explain;
mod failure;
mod format;
mod sa;

use args::Args;
use args::Command;
use args::SaCommand;
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    args.color.write_global();
    let outcome = match &args.command {
        Command::Sa(SaCommand::List(list)) => sa::list(&args.engine, list),
        Command::Sa(SaCommand::Show(show)) => sa::show(&args.engine, show),
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

impl From<openwfp::api::Error> for Failure {
    fn from(error: openwfp::api::Error) -> Failure {
        Failure::Engine(error)
    }
}
