//! The error type of the API: a result code, a description and a remedy.

use crate::Code;
use std::fmt;

/// The result of an API call.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The error of a failed call: its [`Code`], a description of the problem and an optional remedy.
///
/// Branch on [`Error::code`] only. The texts are for people and never contain key bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Content>);

#[derive(Clone, PartialEq, Eq)]
struct Content {
    code: Code,
    what: String,
    remedy: Option<String>,
}

impl Error {
    /// Returns an error with a code and a description, which names the violated rule or the argument with
    /// its value.
    pub fn new(code: Code, what: impl Into<String>) -> Error {
        Error(Box::new(Content { code, what: what.into(), remedy: None }))
    }

    /// Sets the remedy: advice on what to do about the error, in full sentences.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Error {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Prefixes the description with the place where the error occurred: an argument, a file or a step of a
    /// batch.
    #[must_use]
    pub fn within(mut self, place: &str) -> Error {
        self.0.what = format!("{place}: {}", self.0.what);
        self
    }

    /// Returns an `ERROR_INTERNAL_ERROR` for a condition that only a bug in OpenWFP can cause.
    pub fn unreachable(what: impl Into<String>) -> Error {
        Error::new(Code::ERROR_INTERNAL_ERROR, what)
            .with_remedy("This is a defect of OpenWFP. Please report it.")
    }

    /// Returns the result code, the only part to branch on.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the description of the problem.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Returns the remedy, if the description does not already imply it.
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }
}

impl From<Code> for Error {
    /// Converts a code, using its meaning in the table of codes as the description.
    fn from(code: Code) -> Error {
        let Some(entry) = code.entry() else { return Error::new(code, "unknown result code") };
        let meaning = entry.meaning.trim_end_matches('.');
        // The table contains sentences, but a message starts in lower case.
        let (first, rest) = meaning.split_at(1);
        Error::new(code, first.to_lowercase() + rest)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        if let Some(remedy) = &self.0.remedy {
            write!(f, ". {remedy}")?;
        }
        write!(f, " [{}]", self.0.code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
