//! SDDL, the text form of security descriptors: `O:S-1-22-1-0D:PAI(A;CI;0xf0fff;;;S-1-22-1-0)`.
//!
//! Rights are written as hexadecimal numbers because WFP's own rights have no letters. The parser also
//! accepts the two-letter codes for standard rights, generic rights and the rights of directory
//! objects.
//!
//! Source: MS-DTYP 2.5.1.

use super::Ace;
use super::AceKind;
use super::Acl;
use super::SecurityDescriptor;
use super::Sid;
use crate::Code;
use crate::Error;
use crate::Result;
use crate::Rights;
use std::fmt;
use std::fmt::Write;
use std::str::FromStr;

const ACE_FLAGS: &[(&str, u8)] = &[
    ("OI", Ace::OBJECT_INHERIT),
    ("CI", Ace::CONTAINER_INHERIT),
    ("NP", Ace::NO_PROPAGATE_INHERIT),
    ("IO", Ace::INHERIT_ONLY),
    ("ID", Ace::INHERITED),
];

const RIGHTS: &[(&str, u32)] = &[
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("SD", 0x1_0000),
    ("RC", 0x2_0000),
    ("WD", 0x4_0000),
    ("WO", 0x8_0000),
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("SW", 0x8),
    ("RP", 0x10),
    ("WP", 0x20),
    ("DT", 0x40),
    ("LO", 0x80),
    ("CR", 0x100),
];

impl SecurityDescriptor {
    /// Returns the descriptor as SDDL text.
    pub fn to_sddl(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(owner) = &self.owner {
            write!(f, "O:{}", name(owner))?;
        }
        if let Some(group) = &self.group {
            write!(f, "G:{}", name(group))?;
        }
        let Some(dacl) = &self.dacl else { return Ok(()) };
        f.write_str("D:")?;
        f.write_str(if self.protected { "P" } else { "" })?;
        f.write_str(if self.auto_inherited { "AI" } else { "" })?;
        for ace in &dacl.aces {
            let kind = match ace.kind {
                AceKind::Allow => "A",
                AceKind::Deny => "D",
            };
            let mut flags = String::new();
            for (letters, flag) in ACE_FLAGS {
                flags.push_str(if ace.flags & flag != 0 { letters } else { "" });
            }
            write!(f, "({kind};{flags};{:#x};;;{})", ace.mask.0, name(&ace.sid))?;
        }
        Ok(())
    }
}

fn name(sid: &Sid) -> String {
    match Sid::NAMED.iter().find(|(_, known)| known == sid) {
        Some((letters, _)) => (*letters).to_owned(),
        None => sid.to_string(),
    }
}

impl FromStr for SecurityDescriptor {
    type Err = Error;

    /// Parses SDDL text.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for malformed text, with the position of the faulty part;
    /// `ERROR_NOT_SUPPORTED` for an audit list, for object types, and for entries other than allow and
    /// deny.
    fn from_str(text: &str) -> Result<SecurityDescriptor> {
        let mut descriptor = SecurityDescriptor::default();
        let mut rest = text.trim();
        let mut seen = String::new();
        while !rest.is_empty() {
            let place = text.len() - rest.len();
            let bad = |what: &str| bad(text, place, what);
            let (Some(part), Some(body)) =
                (rest.get(..1), rest.get(1..).and_then(|rest| rest.strip_prefix(':')))
            else {
                return Err(bad("expected O:, G: or D:"));
            };
            if seen.contains(part) {
                return Err(bad("this part occurs twice"));
            }
            seen.push_str(part);
            // A part ends at the start of the next one: a letter followed by a colon, outside of parentheses.
            let end = end_of_part(body);
            let (body, behind) = body.split_at(end);
            rest = behind;
            match part {
                "O" => descriptor.owner = Some(sid(body).ok_or_else(|| bad("the owner is not a SID"))?),
                "G" => descriptor.group = Some(sid(body).ok_or_else(|| bad("the group is not a SID"))?),
                "D" => read_dacl(&mut descriptor, body).map_err(|what| match what {
                    Flaw::Unknown(what) => bad(&what),
                    Flaw::NotSupported(what) => Error::new(Code::ERROR_NOT_SUPPORTED, what),
                })?,
                "S" => {
                    return Err(Error::new(Code::ERROR_NOT_SUPPORTED, "audit lists (S:) are not supported"));
                }
                _ => return Err(bad("unknown part: expected O:, G: or D:")),
            }
        }
        Ok(descriptor)
    }
}

fn end_of_part(body: &str) -> usize {
    let mut inside = false;
    let mut start_of_next = None;
    for (at, letter) in body.char_indices() {
        match letter {
            '(' => inside = true,
            ')' => inside = false,
            ':' if !inside => {
                start_of_next = body[..at].char_indices().next_back().map(|(before, _)| before);
                break;
            }
            _ => {}
        }
    }
    start_of_next.unwrap_or(body.len())
}

enum Flaw {
    Unknown(String),
    NotSupported(String),
}

fn read_dacl(descriptor: &mut SecurityDescriptor, body: &str) -> Result<(), Flaw> {
    let (mut flags, mut entries) = body.split_at(body.find('(').unwrap_or(body.len()));
    while !flags.is_empty() {
        if let Some(rest) = flags.strip_prefix("AI") {
            descriptor.auto_inherited = true;
            flags = rest;
        } else if let Some(rest) = flags.strip_prefix("AR") {
            // AR asks the engine to apply inheritance, which it always does.
            flags = rest;
        } else if let Some(rest) = flags.strip_prefix('P') {
            descriptor.protected = true;
            flags = rest;
        } else {
            return Err(Flaw::Unknown(format!(
                "unknown flag of an access list \"{flags}\": expected P, AI or AR"
            )));
        }
    }
    let mut aces = Vec::new();
    while !entries.is_empty() {
        let Some((entry, rest)) = entries.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            return Err(Flaw::Unknown(format!("expected an entry in parentheses, found \"{entries}\"")));
        };
        aces.push(read_ace(entry)?);
        entries = rest;
    }
    descriptor.dacl = Some(Acl { aces });
    Ok(())
}

fn read_ace(entry: &str) -> Result<Ace, Flaw> {
    let unknown = |what: String| Flaw::Unknown(format!("entry ({entry}): {what}"));
    let fields: Vec<&str> = entry.split(';').collect();
    let [kind, flags, rights, object, parent, account] = fields[..] else {
        return Err(unknown(format!("expected 6 fields, found {}", fields.len())));
    };
    let kind = match kind {
        "A" => AceKind::Allow,
        "D" => AceKind::Deny,
        other => {
            let what =
                format!("unsupported entry type \"{other}\" in an access list: only A and D are supported");
            return Err(Flaw::NotSupported(what));
        }
    };
    if !object.is_empty() || !parent.is_empty() {
        return Err(Flaw::NotSupported(format!(
            "object types in an access list are not supported: ({entry})"
        )));
    }
    let flags = letters(flags, ACE_FLAGS, |all, flag| all | flag)
        .ok_or_else(|| unknown(format!("unknown flags \"{flags}\": expected OI, CI, NP, IO or ID")))?;
    let mask = match number(rights) {
        Some(mask) => mask,
        None => letters(rights, RIGHTS, |all, right| all | right).ok_or_else(|| {
            unknown(format!(
                "unknown rights \"{rights}\": expected a number such as 0xa0, or names such as GA"
            ))
        })?,
    };
    let sid = sid(account).ok_or_else(|| unknown(format!("\"{account}\" is not a SID")))?;
    Ok(Ace { kind, flags, mask: Rights(mask), sid })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Parses a sequence of table codes, such as `CIID`, and joins their values; `None` for unknown ones.
fn letters<T: Copy + Default>(text: &str, table: &[(&str, T)], join: fn(T, T) -> T) -> Option<T> {
    let mut all = T::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (value, behind) =
            table.iter().find_map(|(two, value)| Some((*value, rest.strip_prefix(*two)?)))?;
        all = join(all, value);
        rest = behind;
    }
    Some(all)
}

fn sid(text: &str) -> Option<Sid> {
    match Sid::NAMED.iter().find(|(letters, _)| *letters == text) {
        Some((_, sid)) => Some(*sid),
        None => text.parse().ok(),
    }
}

fn bad(text: &str, place: usize, what: &str) -> Error {
    let mut message = String::new();
    let _ = write!(message, "invalid security descriptor \"{text}\": character {}: {what}", place + 1);
    Error::new(Code::FWP_E_INVALID_PARAMETER, message)
        .with_remedy("Example: O:S-1-22-1-0D:(A;CI;0xf0fff;;;S-1-22-1-0)(A;;0x40;;;WD)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        for text in [
            "",
            "D:",
            "O:S-1-22-1-1000",
            "O:BAG:SYD:P(A;;0x40;;;WD)",
            "O:S-1-22-1-0G:S-1-22-2-0D:PAI(D;OICI;0x80;;;S-1-22-1-7)(A;NPIOID;0xf0fff;;;WD)",
        ] {
            assert_eq!(text.parse::<SecurityDescriptor>().unwrap().to_sddl(), text);
        }
    }

    #[test]
    fn letters_and_numbers_of_all_kinds_are_understood() {
        let parse = |text: &str| text.parse::<SecurityDescriptor>().unwrap().dacl.unwrap().aces[0].mask.0;
        assert_eq!(parse("D:(A;;GA;;;WD)"), 0x1000_0000);
        assert_eq!(parse("D:(A;;RCSDWDWO;;;WD)"), 0xF_0000);
        assert_eq!(parse("D:ARAI(A;;CCDCLCSWRPWPDTLOCR;;;WD)"), 0x1FF);
        assert_eq!(parse("D:(A;;64;;;S-1-1-0)"), 0x40);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, word) in [
            ("X:WD", "expected O:"),
            ("O:nobody", "owner"),
            ("O:WDO:WD", "twice"),
            ("O:WDD:Q(A;;1;;;WD)", "character 5"),
            ("D:(A;;1;;;WD", "parentheses"),
            ("D:(A;;1;;WD)", "6 fields"),
            ("D:(A;XX;1;;;WD)", "flags"),
            ("D:(A;;0xfffffffff;;;WD)", "rights"),
            ("D:(A;;1;;;me)", "\"me\""),
            ("hello", "expected O:"),
            ("\u{e9}:", "expected O:"),
        ] {
            let error = text.parse::<SecurityDescriptor>().unwrap_err();
            assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER, "{text}");
            assert!(error.what().contains(word), "{text}: {error}");
        }
        for text in ["S:(AU;SA;1;;;WD)", "D:(OA;;1;;;WD)", "D:(A;;1;guid;;WD)"] {
            assert_eq!(
                text.parse::<SecurityDescriptor>().unwrap_err().code(),
                Code::ERROR_NOT_SUPPORTED,
                "{text}"
            );
        }
    }
}
