//! Why a command failed, and the exit code for it.

use std::io;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine refused.
    Engine(openwfp::api::Error),
    /// The output could not be written.
    Output(io::Error),
    /// The listing was printed and is not whole.
    Incomplete(String),
}

impl Failure {
    /// What to tell; nothing where the reader of the output went away, as `| head` does.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Failure::Engine(error) => Some(error.to_string()),
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Failure::Output(error) => Some(format!("cannot write the output: {error}")),
            Failure::Incomplete(why) => Some(format!("the listing is incomplete: {why}; try again")),
        }
    }

    /// The exit code, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Engine(_) | Failure::Output(_) => ExitCode::from(1),
            Failure::Incomplete(_) => ExitCode::from(3),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}
