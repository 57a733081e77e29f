//! Security identifiers.

use crate::Code;
use crate::Error;
use crate::Result;
use std::fmt;
use std::str::FromStr;

/// Security identifier (SID), `S-1-authority-subauthority…`. WFP: `SID`.
///
/// Unix users and groups are `S-1-22-1-uid` and `S-1-22-2-gid`, as in Samba.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    count: u8,
    subauthorities: [u32; Sid::SUBAUTHORITIES_MAX],
}

impl Default for Sid {
    /// Returns [`Sid::ANONYMOUS`].
    fn default() -> Sid {
        Sid::ANONYMOUS
    }
}

impl Sid {
    /// Maximum number of subauthorities in a SID.
    pub const SUBAUTHORITIES_MAX: usize = 15;

    /// Everyone, `S-1-1-0`.
    pub const EVERYONE: Sid = Sid::known(1, &[0]);
    /// An anonymous user, `S-1-5-7`.
    pub const ANONYMOUS: Sid = Sid::known(5, &[7]);
    /// The local system, `S-1-5-18`.
    pub const LOCAL_SYSTEM: Sid = Sid::known(5, &[18]);
    /// The built-in administrators, `S-1-5-32-544`.
    pub const ADMINISTRATORS: Sid = Sid::known(5, &[32, 544]);
    /// The Unix user root, `S-1-22-1-0`.
    pub const ROOT: Sid = Sid::known(22, &[1, 0]);

    /// SIDs that have a two-letter code in SDDL and are useful to OpenWFP.
    pub(super) const NAMED: &[(&str, Sid)] = &[
        ("WD", Sid::EVERYONE),
        ("SY", Sid::LOCAL_SYSTEM),
        ("BA", Sid::ADMINISTRATORS),
        ("BU", Sid::known(5, &[32, 545])),
        ("BO", Sid::known(5, &[32, 551])),
        ("NO", Sid::known(5, &[32, 556])),
        ("AN", Sid::ANONYMOUS),
        ("AU", Sid::known(5, &[11])),
        ("LS", Sid::known(5, &[19])),
        ("NS", Sid::known(5, &[20])),
        ("CO", Sid::known(3, &[0])),
        ("CG", Sid::known(3, &[1])),
        ("OW", Sid::known(3, &[4])),
    ];

    const fn known(authority: u64, parts: &[u32]) -> Sid {
        let mut subauthorities = [0; Sid::SUBAUTHORITIES_MAX];
        let mut at = 0;
        while at < parts.len() {
            subauthorities[at] = parts[at];
            at += 1;
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most fifteen")]
        Sid { authority, count: parts.len() as u8, subauthorities }
    }

    /// Creates a SID from its authority and subauthorities.
    ///
    /// # Errors
    /// `FWP_E_OUT_OF_BOUNDS` if the authority exceeds 48 bits or there are more than 15 subauthorities.
    pub fn new(authority: u64, subauthorities: &[u32]) -> Result<Sid> {
        if authority >> 48 != 0 || subauthorities.len() > Sid::SUBAUTHORITIES_MAX {
            return Err(Error::new(
                Code::FWP_E_OUT_OF_BOUNDS,
                "a SID has at most 15 subauthorities and an authority of at most 48 bits",
            ));
        }
        Ok(Sid::known(authority, subauthorities))
    }

    /// Returns the SID of a Unix user, `S-1-22-1-uid`.
    pub const fn unix_user(uid: u32) -> Sid {
        Sid::known(22, &[1, uid])
    }

    /// Returns the SID of a Unix group, `S-1-22-2-gid`.
    pub const fn unix_group(gid: u32) -> Sid {
        Sid::known(22, &[2, gid])
    }

    /// Returns the authority, a 48-bit number.
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// Returns the subauthorities, at most 15.
    pub fn subauthorities(&self) -> &[u32] {
        &self.subauthorities[..usize::from(self.count)]
    }

    /// Returns the binary form: revision 1, number of subauthorities, authority in big-endian order and
    /// subauthorities in little-endian order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, self.count];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        bytes.extend(self.subauthorities().iter().flat_map(|part| part.to_le_bytes()));
        bytes
    }

    /// Decodes the SID at the start of the bytes, and returns it with the remaining bytes.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if the bytes do not start with a valid SID.
    pub fn parse(bytes: &[u8]) -> Result<(Sid, &[u8])> {
        let bad = |what: &str| Error::new(Code::FWP_E_INVALID_PARAMETER, format!("invalid SID: it {what}"));
        let Some(([revision, count, authority @ ..], rest)) = bytes.split_first_chunk::<8>() else {
            return Err(bad("is shorter than its header of 8 bytes"));
        };
        if *revision != 1 {
            return Err(bad(&format!("has revision {revision}, not 1")));
        }
        let length = 4 * usize::from(*count);
        if usize::from(*count) > Sid::SUBAUTHORITIES_MAX || rest.len() < length {
            return Err(bad(&format!("is truncated or has too many subauthorities ({count})")));
        }
        let (parts, rest) = rest.split_at(length);
        let parts: Vec<u32> = parts.as_chunks().0.iter().map(|part| u32::from_le_bytes(*part)).collect();
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(authority);
        Ok((Sid::known(u64::from_be_bytes(wide), &parts), rest))
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // MS-DTYP 2.4.2.1 requires hexadecimal for authorities of more than 32 bits.
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-{:#x}", self.authority)?;
        }
        self.subauthorities().iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = Error;

    /// Parses the text form, such as `S-1-22-1-1000`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if the text is not a valid SID.
    fn from_str(text: &str) -> Result<Sid> {
        let bad = || {
            Error::new(Code::FWP_E_INVALID_PARAMETER, format!("\"{text}\" is not a SID"))
                .with_remedy("Examples: S-1-22-1-1000 (Unix user 1000), S-1-22-2-1000 (Unix group 1000).")
        };
        let mut parts = text.split('-');
        if !parts.next().is_some_and(|s| s.eq_ignore_ascii_case("S")) || parts.next() != Some("1") {
            return Err(bad());
        }
        let authority = parts.next().ok_or_else(bad)?;
        let authority = match authority.strip_prefix("0x").or_else(|| authority.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => authority.parse(),
        };
        let parts: Vec<u32> = parts.map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        Sid::new(authority.map_err(|_| bad())?, &parts).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_are_read_as_they_are_written_as_text_and_as_bytes() {
        for text in ["S-1-1-0", "S-1-22-1-1000", "S-1-5-21-1-2-3-4294967295", "S-1-0x123456789a-7", "S-1-5"] {
            let sid: Sid = text.parse().unwrap();
            assert_eq!(sid.to_string(), text);
            let mut bytes = sid.to_bytes();
            bytes.push(9);
            assert_eq!(Sid::parse(&bytes).unwrap(), (sid, &[9][..]));
        }
        assert_eq!(Sid::unix_group(100).to_string(), "S-1-22-2-100");
        // The bytes of S-1-5-32-544 as printed in Windows' documentation.
        assert_eq!(Sid::ADMINISTRATORS.to_bytes(), [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
    }

    #[test]
    fn what_is_no_sid_is_refused() {
        let too_many = format!("S-1-5{}", "-1".repeat(16));
        for text in
            ["", "S", "S-1", "S-2-5-1", "S-1-x-1", "S-1-5-4294967296", "S-1-0x1000000000000-1", &too_many]
        {
            assert_eq!(text.parse::<Sid>().unwrap_err().code(), Code::FWP_E_INVALID_PARAMETER, "{text}");
        }
        for bytes in
            [&[1, 1, 0, 0, 0, 0, 0][..], &[2, 0, 0, 0, 0, 0, 0, 5], &[1, 1, 0, 0, 0, 0, 0, 5, 1, 1, 1]]
        {
            assert_eq!(Sid::parse(bytes).unwrap_err().code(), Code::FWP_E_INVALID_PARAMETER);
        }
    }
}
