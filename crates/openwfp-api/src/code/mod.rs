//! Result codes: every code that an API call can return, with its names, numbers and meaning.

mod table;

use std::fmt;

/// A result code of the API: a Win32 or WFP number, known or unknown.
///
/// Each known code is a constant with the name from Windows' headers, such as
/// [`Code::FWP_E_NOT_FOUND`], and has a row in the table [`Code::all`]. Unknown numbers are preserved.
///
/// Source: WFP Error Codes; `winerror.h`, `ntstatus.h`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

/// The family of a result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeFamily {
    /// `ERROR_*`: a general Win32 code.
    Win32,
    /// `FWP_E_*`: a code of the filter engine, 0x80320001 and up.
    Wfp,
    /// `RPC_E_*`: communication with the local or remote engine failed, 0x80010001 and up.
    Rpc,
    /// `STATUS_*`: a code that only kernel-mode callers see; its number is an NTSTATUS.
    KernelOnly,
}

/// One row of the table of codes.
#[derive(Debug)]
pub struct CodeEntry {
    /// The code.
    pub code: Code,
    /// The code's name in Windows' headers, such as `FWP_E_NOT_FOUND`.
    pub name: &'static str,
    /// The family of the code.
    pub family: CodeFamily,
    /// The NTSTATUS that the kernel-mode form of the same call returns, if there is one.
    pub ntstatus: Option<u32>,
    /// The name of that NTSTATUS.
    pub ntstatus_name: Option<&'static str>,
    /// The meaning of the code, in one sentence.
    pub meaning: &'static str,
    /// The most likely cause, and a remedy.
    pub cause: &'static str,
}

impl Code {
    /// Returns all known codes, ordered by family and then by number.
    pub fn all() -> &'static [CodeEntry] {
        table::ENTRIES
    }

    /// Returns the code's row in the table, or `None` if the code is unknown.
    pub fn entry(self) -> Option<&'static CodeEntry> {
        Code::all().iter().find(|entry| entry.code == self)
    }

    /// Returns the code's name in Windows' headers, or `None` if the code is unknown.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// Returns the NTSTATUS that kernel-mode callers receive instead, if there is one.
    ///
    /// Codes of the filter engine map from 0x803200NN to 0xC02200NN.
    pub fn ntstatus(self) -> Option<u32> {
        self.entry().and_then(|entry| entry.ntstatus)
    }

    /// Finds a row by text that a person typed: the name of the code or of its NTSTATUS in any case, or
    /// either number in hexadecimal or decimal, which may be negative, as an `HRESULT` is often printed.
    pub fn find(text: &str) -> Option<&'static CodeEntry> {
        let text = text.trim();
        match number(text) {
            Some(value) => Code::all().iter().find(|e| e.code.0 == value || e.ntstatus == Some(value)),
            None => Code::all().iter().find(|entry| {
                entry.name.eq_ignore_ascii_case(text)
                    || entry.ntstatus_name.is_some_and(|name| name.eq_ignore_ascii_case(text))
            }),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok();
    }
    if text.starts_with('-') {
        return text.parse::<i32>().ok().map(i32::cast_unsigned);
    }
    match text.parse() {
        Ok(value) => Some(value),
        // Many logs print codes as "8032001b"; no name consists of hexadecimal digits alone.
        Err(_) if text.len() == 8 => u32::from_str_radix(text, 16).ok(),
        Err(_) => None,
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            // Win32 codes are known by their decimal numbers.
            Some(name) if self.0 < 0x1_0000 => write!(f, "{name} {}", self.0),
            Some(name) => write!(f, "{name} 0x{:08X}", self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_every_form_in_which_it_is_printed() {
        let wanted = Code::FWP_E_INCOMPATIBLE_SA_STATE;
        for text in [
            "0x8032001B",
            "0X8032001b",
            "8032001b",
            "2150760475",
            "-2144206821",
            "FWP_E_INCOMPATIBLE_SA_STATE",
            "fwp_e_incompatible_sa_state",
            "STATUS_FWP_INCOMPATIBLE_SA_STATE",
            "0xC022001B",
        ] {
            let entry = Code::find(text).unwrap_or_else(|| panic!("{text} is not found"));
            assert_eq!(entry.code, wanted, "{text}");
        }
        for text in ["", "0x", "FWP_E_NOTHING", "0x80320FFF", "99999999999"] {
            assert!(Code::find(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_table_has_no_two_rows_of_one_number_or_name_and_no_empty_sentence() {
        let mut seen = std::collections::HashSet::new();
        for entry in Code::all() {
            assert!(seen.insert(entry.code.0.to_string()), "{} twice", entry.code);
            assert!(seen.insert(entry.name.to_owned()), "{} twice", entry.name);
            assert!(entry.meaning.ends_with('.') && entry.cause.ends_with('.'), "{}", entry.name);
        }
    }

    #[test]
    fn wfp_codes_have_their_twin_by_rule() {
        for entry in Code::all().iter().filter(|entry| entry.family == CodeFamily::Wfp) {
            assert_eq!(entry.ntstatus, Some(0xC022_0000 | (entry.code.0 & 0xFFFF)), "{}", entry.name);
            assert_eq!(entry.ntstatus_name.unwrap(), entry.name.replace("FWP_E_", "STATUS_FWP_"));
        }
    }
}
