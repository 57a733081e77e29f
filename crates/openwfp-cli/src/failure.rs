//! Why a command failed, how that is printed, and the exit code for it.

use crate::format::printable::Printable;
use std::io;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine refused the call or could not be reached.
    Engine(openwfp::api::Error),
    /// The configuration is wrong. The text may have lines of its own, such as an excerpt of the file.
    Configuration(String),
    /// The output could not be written.
    Output(io::Error),
    /// The listing was printed, but it is incomplete.
    Incomplete(String),
    /// The user declined at the prompt.
    Declined,
    /// The answer, which was printed, is no.
    Negative,
}

impl Failure {
    /// The message for stderr; none where the reader of the output has gone, as `| head` does.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            // It may be a daemon's text.
            Failure::Engine(error) => Some(Printable(&error.to_string()).to_string()),
            Failure::Configuration(text) => {
                let lines: Vec<String> = text.lines().map(|line| Printable(line).to_string()).collect();
                Some(lines.join("\n"))
            }
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Failure::Output(error) => Some(format!("cannot write the output: {error}")),
            Failure::Incomplete(why) => {
                Some(format!("the listing is incomplete: {}. Run the command again.", Printable(why)))
            }
            Failure::Declined | Failure::Negative => None,
        }
    }

    /// The exit code, as `--help` documents it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Engine(_)
            | Failure::Configuration(_)
            | Failure::Output(_)
            | Failure::Declined
            | Failure::Negative => ExitCode::from(1),
            Failure::Incomplete(_) => ExitCode::from(3),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl From<openwfp::api::Error> for Failure {
    fn from(error: openwfp::api::Error) -> Failure {
        Failure::Engine(error)
    }
}

/// Returns an error's words without its code, which means nothing on a command line or in a configuration.
pub(crate) fn without_code(error: &openwfp::api::Error) -> String {
    match error.remedy() {
        Some(remedy) => format!("{}. {remedy}", error.what()),
        None => error.what().to_owned(),
    }
}

/// Prints a message on stderr, wrapped to the terminal's width if stderr is one.
pub(crate) fn complain(message: &str) {
    let width = match io::stderr().is_terminal() {
        true => terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0)),
        false => usize::MAX,
    };
    anstream::eprintln!("{}", wrapped("wfp: ", message, width));
}

/// A paragraph whose further lines are indented as far as its first word.
fn wrapped(prefix: &str, message: &str, width: usize) -> String {
    let mut text = prefix.to_owned();
    let mut column = prefix.len();
    for (place, word) in message.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 {
            if column + 1 + length > width && column > prefix.len() {
                text.push('\n');
                text.push_str(&" ".repeat(prefix.len()));
                column = prefix.len();
            } else {
                text.push(' ');
                column += 1;
            }
        }
        text.push_str(word);
        // A message that brings lines of its own, such as an excerpt of a file, keeps them.
        column = match word.rsplit_once('\n') {
            Some((_, last)) => last.chars().count(),
            None => column + length,
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wrap_at_the_terminals_width_and_lose_nothing() {
        let message =
            "cannot read the kernel's SAs: CAP_NET_ADMIN is missing. Run as root. [ERROR_ACCESS_DENIED 5]";
        assert_eq!(
            wrapped("wfp: ", message, 60),
            "wfp: cannot read the kernel's SAs: CAP_NET_ADMIN is missing.\n     Run as root. [ERROR_ACCESS_DENIED 5]"
        );
        assert_eq!(wrapped("wfp: ", message, usize::MAX), format!("wfp: {message}"));
        // A word that fits nowhere stands alone; nothing loops.
        assert_eq!(wrapped("wfp: ", "a bcdefghij k", 8), "wfp: a\n     bcdefghij\n     k");
    }
}
