//! Security descriptors and their self-relative binary form.
//!
//! ```text
//!  0        1     2          4        8        12      16       20
//!  revision  sbz1  control    owner    group    sacl    dacl     … SIDs and ACL
//!  1         0     u16        u32 offsets from the start; 0: none
//!
//!  ACL:  revision 2, 0, size u16, count u16, 0 u16, then the entries
//!  ACE:  type, flags, size u16, mask u32, SID
//! ```

use super::Ace;
use super::AceKind;
use super::Acl;
use super::Sid;
use crate::Code;
use crate::Error;
use crate::Principal;
use crate::Result;
use crate::Rights;

/// Parts of a security descriptor that a call reads or sets. WFP: `SECURITY_INFORMATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecurityInformation(u32);

impl SecurityInformation {
    /// The owner, `OWNER_SECURITY_INFORMATION`.
    pub const OWNER: SecurityInformation = SecurityInformation(1);
    /// The group, `GROUP_SECURITY_INFORMATION`.
    pub const GROUP: SecurityInformation = SecurityInformation(2);
    /// The access list, `DACL_SECURITY_INFORMATION`.
    pub const DACL: SecurityInformation = SecurityInformation(4);
    /// Owner, group and access list.
    pub const ALL: SecurityInformation = SecurityInformation(7);

    const PROTECTED_DACL: u32 = 0x8000_0000;
    const UNPROTECTED_DACL: u32 = 0x2000_0000;

    /// Creates the set of parts from a caller's bits.
    ///
    /// Accepts but ignores `PROTECTED_DACL_SECURITY_INFORMATION` and
    /// `UNPROTECTED_DACL_SECURITY_INFORMATION`; [`SecurityDescriptor::protected`] decides instead.
    ///
    /// # Errors
    /// `ERROR_NOT_SUPPORTED` for the audit list (SACL), which the engine does not have because it logs
    /// every change to `tracing`. `FWP_E_INVALID_FLAGS` for unknown bits.
    pub fn from_bits(bits: u32) -> Result<SecurityInformation> {
        let bits = bits & !(SecurityInformation::PROTECTED_DACL | SecurityInformation::UNPROTECTED_DACL);
        if bits & 8 != 0 {
            return Err(Error::new(Code::ERROR_NOT_SUPPORTED, "audit lists (SACL) are not supported"));
        }
        if bits & !SecurityInformation::ALL.0 != 0 {
            return Err(Error::new(
                Code::FWP_E_INVALID_FLAGS,
                format!("unknown parts of a security descriptor: {:#x}", bits & !SecurityInformation::ALL.0),
            ));
        }
        Ok(SecurityInformation(bits))
    }

    /// Returns the union of both sets.
    #[must_use]
    pub const fn and(self, other: SecurityInformation) -> SecurityInformation {
        SecurityInformation(self.0 | other.0)
    }

    /// Returns whether the sets have any part in common.
    pub const fn any(self, parts: SecurityInformation) -> bool {
        self.0 & parts.0 != 0
    }
}

/// Owner of an object and its access list. WFP: `SECURITY_DESCRIPTOR`, without an audit list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// Owner, who may always read the descriptor and change the access list.
    pub owner: Option<Sid>,
    /// Group; it does not affect access.
    pub group: Option<Sid>,
    /// Access list; `None` allows everyone everything.
    pub dacl: Option<Acl>,
    /// Whether the access list is protected from inheriting entries, `SE_DACL_PROTECTED`.
    pub protected: bool,
    /// Whether the access list holds entries inherited from the parent, `SE_DACL_AUTO_INHERITED`.
    pub auto_inherited: bool,
}

const DACL_PRESENT: u16 = 0x0004;
const DACL_AUTO_INHERITED: u16 = 0x0400;
const DACL_PROTECTED: u16 = 0x1000;
const SELF_RELATIVE: u16 = 0x8000;
const HEADER: usize = 20;

impl SecurityDescriptor {
    /// Returns all rights that a principal has on the object.
    pub fn rights_of(&self, principal: &Principal) -> Rights {
        let given = self.dacl.as_ref().map_or(Rights::ALL, |dacl| dacl.rights_of(principal));
        match &self.owner {
            Some(owner) if principal.is(owner) => given.and(Rights::READ_CONTROL).and(Rights::WRITE_DAC),
            _ => given,
        }
    }

    /// Returns a descriptor with only the given parts.
    #[must_use]
    pub fn parts(&self, parts: SecurityInformation) -> SecurityDescriptor {
        let dacl = parts.any(SecurityInformation::DACL);
        SecurityDescriptor {
            owner: self.owner.filter(|_| parts.any(SecurityInformation::OWNER)),
            group: self.group.filter(|_| parts.any(SecurityInformation::GROUP)),
            dacl: self.dacl.clone().filter(|_| dacl),
            protected: dacl && self.protected,
            auto_inherited: dacl && self.auto_inherited,
        }
    }

    /// Encodes the self-relative form in Windows' order: owner, group, access list.
    ///
    /// # Errors
    /// `FWP_E_OUT_OF_BOUNDS` if the access list is longer than 65,535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; HEADER];
        bytes[0] = 1;
        let offset = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        for (place, sid) in [(4, self.owner), (8, self.group)] {
            if let Some(sid) = sid {
                let at = offset(&bytes);
                bytes[place..place + 4].copy_from_slice(&at);
                bytes.extend(sid.to_bytes());
            }
        }
        let mut control = SELF_RELATIVE;
        control |= if self.protected { DACL_PROTECTED } else { 0 };
        control |= if self.auto_inherited { DACL_AUTO_INHERITED } else { 0 };
        if let Some(dacl) = &self.dacl {
            let at = offset(&bytes);
            bytes[16..20].copy_from_slice(&at);
            bytes.extend(acl_bytes(dacl)?);
            control |= DACL_PRESENT;
        }
        bytes[2..4].copy_from_slice(&control.to_le_bytes());
        Ok(bytes)
    }

    /// Decodes a descriptor from its self-relative form; ignores an audit list (SACL).
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for malformed bytes, with the offset of the fault; `ERROR_NOT_SUPPORTED`
    /// for entries other than allow and deny.
    pub fn parse(bytes: &[u8]) -> Result<SecurityDescriptor> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Err(bad(0, "is shorter than its header of 20 bytes"));
        };
        if header[0] != 1 {
            return Err(bad(0, "has a revision other than 1"));
        }
        let control = u16::from_le_bytes([header[2], header[3]]);
        if control & SELF_RELATIVE == 0 {
            return Err(bad(2, "is not self-relative"));
        }
        let part = |place: usize| -> Result<Option<(usize, &[u8])>> {
            let offset = header[place..place + 4].try_into().map_or(0, u32::from_le_bytes);
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            match offset {
                0 => Ok(None),
                _ if offset < HEADER => Err(bad(place, "has an offset that points into its header")),
                _ => match bytes.get(offset..) {
                    Some(rest) => Ok(Some((offset, rest))),
                    None => Err(bad(place, "has an offset that points beyond its end")),
                },
            }
        };
        let sid = |place| -> Result<Option<Sid>> {
            part(place)?
                .map(|(at, rest)| Sid::parse(rest).map_err(|error| bad(at, error.what())))
                .transpose()
                .map(|found| found.map(|(sid, _)| sid))
        };
        let dacl = match part(16)? {
            Some((at, rest)) if control & DACL_PRESENT != 0 => Some(parse_acl(at, rest)?),
            _ => None,
        };
        Ok(SecurityDescriptor {
            owner: sid(4)?,
            group: sid(8)?,
            dacl,
            protected: control & DACL_PROTECTED != 0,
            auto_inherited: control & DACL_AUTO_INHERITED != 0,
        })
    }
}

fn acl_bytes(acl: &Acl) -> Result<Vec<u8>> {
    let mut bytes = vec![2, 0, 0, 0, 0, 0, 0, 0];
    let mut ace_bytes = Vec::new();
    for ace in &acl.aces {
        ace_bytes.clear();
        let kind = match ace.kind {
            AceKind::Allow => 0,
            AceKind::Deny => 1,
        };
        let sid = ace.sid.to_bytes();
        // A SID is at most 68 bytes long.
        let size = u16::try_from(8 + sid.len()).unwrap_or(u16::MAX);
        ace_bytes.extend([kind, ace.flags]);
        ace_bytes.extend(size.to_le_bytes());
        ace_bytes.extend(ace.mask.0.to_le_bytes());
        ace_bytes.extend(sid);
        bytes.extend(&ace_bytes);
    }
    let (Ok(size), Ok(count)) = (u16::try_from(bytes.len()), u16::try_from(acl.aces.len())) else {
        return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, "the access list is longer than 65,535 bytes"));
    };
    bytes[2..4].copy_from_slice(&size.to_le_bytes());
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
    Ok(bytes)
}

fn parse_acl(at: usize, bytes: &[u8]) -> Result<Acl> {
    let Some(([revision, _, size_low, size_high, count_low, count_high, ..], _)) =
        bytes.split_first_chunk::<8>()
    else {
        return Err(bad(at, "has an access list shorter than its header of 8 bytes"));
    };
    if !matches!(revision, 2 | 4) {
        return Err(bad(at, "has an access list of an unknown revision"));
    }
    let size = usize::from(u16::from_le_bytes([*size_low, *size_high]));
    let Some(mut rest) = bytes.get(8..size) else {
        return Err(bad(at, "has an access list that extends beyond the end"));
    };
    let mut aces = Vec::new();
    for _ in 0..u16::from_le_bytes([*count_low, *count_high]) {
        let here = at + size - rest.len();
        let Some(([kind, flags, size_low, size_high, mask @ ..], _)) = rest.split_first_chunk::<8>() else {
            return Err(bad(here, "has fewer entries in its access list than its header states"));
        };
        let size = usize::from(u16::from_le_bytes([*size_low, *size_high]));
        let Some(body) = rest.get(8..size) else {
            return Err(bad(here, "has an entry that extends beyond its access list"));
        };
        let kind = match kind {
            0 => AceKind::Allow,
            1 => AceKind::Deny,
            other => {
                let what = format!(
                    "unsupported entry type {other} in an access list: only allow (0) and deny (1) are supported"
                );
                return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what));
            }
        };
        let (sid, _) = Sid::parse(body).map_err(|error| bad(here + 8, error.what()))?;
        aces.push(Ace { kind, flags: flags & Ace::FLAGS, mask: Rights(u32::from_le_bytes(*mask)), sid });
        rest = &rest[size..];
    }
    Ok(Acl { aces })
}

fn bad(offset: usize, what: &str) -> Error {
    Error::new(
        Code::FWP_E_INVALID_PARAMETER,
        format!("invalid security descriptor: byte {offset}: it {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> SecurityDescriptor {
        "O:S-1-22-1-0G:S-1-22-2-0D:PAI(D;CI;0x80;;;S-1-22-1-7)(A;OICIID;0xf0fff;;;WD)".parse().unwrap()
    }

    #[test]
    fn bytes_are_parsed_as_they_are_written() {
        let empty = SecurityDescriptor::default();
        let nobody = SecurityDescriptor { dacl: Some(Acl::default()), ..SecurityDescriptor::default() };
        for descriptor in [example(), example().parts(SecurityInformation::DACL), empty, nobody] {
            assert_eq!(SecurityDescriptor::parse(&descriptor.to_bytes().unwrap()).unwrap(), descriptor);
        }
    }

    #[test]
    fn bytes_are_those_of_windows() {
        // O:BAG:SYD:(A;;0x40;;;WD), encoded by hand according to MS-DTYP 2.4.6.
        let descriptor: SecurityDescriptor = "O:BAG:SYD:(A;;0x40;;;WD)".parse().unwrap();
        let expected = [
            &[1, 0, 0x04, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0][..],
            &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0],
            &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
            &[2, 0, 28, 0, 1, 0, 0, 0],
            &[0, 0, 20, 0, 0x40, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        ];
        assert_eq!(descriptor.to_bytes().unwrap(), expected.concat());
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused_or_understood_and_never_worse() {
        let whole = example().to_bytes().unwrap();
        for end in 0..whole.len() {
            assert!(SecurityDescriptor::parse(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            for value in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = value;
                if let Ok(parsed) = SecurityDescriptor::parse(&changed) {
                    let again = SecurityDescriptor::parse(&parsed.to_bytes().unwrap()).unwrap();
                    assert_eq!(again, parsed, "byte {at} as {value}");
                }
            }
        }
    }

    #[test]
    fn the_owner_may_always_mend_the_access_list_and_without_one_all_is_allowed() {
        let locked = SecurityDescriptor {
            owner: Some(Sid::unix_user(7)),
            dacl: Some(Acl::default()),
            ..SecurityDescriptor::default()
        };
        assert_eq!(locked.rights_of(&Principal::unix(7, &[])), Rights::READ_CONTROL.and(Rights::WRITE_DAC));
        assert_eq!(locked.rights_of(&Principal::unix(0, &[])), Rights::NONE);
        assert_eq!(SecurityDescriptor::default().rights_of(&Principal::unix(8, &[])), Rights::ALL);
    }

    #[test]
    fn parts_that_there_are_not_are_refused_by_name() {
        assert_eq!(SecurityInformation::from_bits(8).unwrap_err().code(), Code::ERROR_NOT_SUPPORTED);
        assert_eq!(SecurityInformation::from_bits(0x40).unwrap_err().code(), Code::FWP_E_INVALID_FLAGS);
        assert_eq!(SecurityInformation::from_bits(0x8000_0004).unwrap(), SecurityInformation::DACL);
    }
}
