//! The API's one error: a code, what was wrong, and what to do.

use crate::Code;
use std::fmt;

/// The result of a call of the API.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a call failed: its [`Code`], what was wrong in words, and what to do about it.
///
/// Callers branch on [`Error::code`]; the words are for people and never hold key bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Content>);

#[derive(Clone, PartialEq, Eq)]
struct Content {
    code: Code,
    what: String,
    remedy: Option<String>,
}

impl Error {
    /// An error with its code and what was wrong: which argument or rule, with the offending value.
    pub fn new(code: Code, what: impl Into<String>) -> Error {
        Error(Box::new(Content { code, what: what.into(), remedy: None }))
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Error {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// An error that only a defect of the engine can cause.
    pub fn unreachable(what: impl Into<String>) -> Error {
        Error::new(Code::ERROR_INTERNAL_ERROR, what).with_remedy("please report this as a defect of OpenWFP")
    }

    /// The code, the only part to branch on.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What was wrong.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do about it, where that is not plain from what was wrong.
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }
}

impl From<Code> for Error {
    /// The bare code, with the table's sentence for what was wrong.
    fn from(code: Code) -> Error {
        let meaning = code.entry().map_or("an unknown code", |entry| entry.meaning.trim_end_matches('.'));
        Error::new(code, meaning)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.what)?;
        match &self.0.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
