//! Access control lists.

use crate::Principal;
use crate::Rights;
use crate::Sid;

/// Type of an access control entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AceKind {
    /// Grants rights, `ACCESS_ALLOWED_ACE_TYPE` 0.
    Allow,
    /// Denies rights, `ACCESS_DENIED_ACE_TYPE` 1.
    Deny,
}

/// Entry of an access control list. WFP: `ACCESS_ALLOWED_ACE`, `ACCESS_DENIED_ACE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ace {
    /// Whether the entry grants or denies the rights.
    pub kind: AceKind,
    /// Inheritance flags, a combination of the constants of [`Ace`].
    ///
    /// The engine acts on all of them except [`Ace::OBJECT_INHERIT`], which it only stores and passes on.
    pub flags: u8,
    /// Access mask with WFP's bits; it may also hold generic rights.
    pub mask: Rights,
    /// SID of the user or group to which the entry applies.
    pub sid: Sid,
}

/// Access control list, whose entries are evaluated in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Entries of the list.
    pub aces: Vec<Ace>,
}

impl Ace {
    /// Objects in this one inherit the entry, `OBJECT_INHERIT_ACE`; the engine does not evaluate this flag.
    pub const OBJECT_INHERIT: u8 = 0x01;
    /// Child containers inherit the entry, `CONTAINER_INHERIT_ACE`; the SA database is one in the engine.
    pub const CONTAINER_INHERIT: u8 = 0x02;
    /// Children that inherit the entry do not pass it on, `NO_PROPAGATE_INHERIT_ACE`.
    pub const NO_PROPAGATE_INHERIT: u8 = 0x04;
    /// The entry does not apply to the object itself, only to its children, `INHERIT_ONLY_ACE`.
    pub const INHERIT_ONLY: u8 = 0x08;
    /// The entry was inherited, `INHERITED_ACE`.
    pub const INHERITED: u8 = 0x10;
    /// Mask of all flags that are valid in a discretionary access control list.
    pub const FLAGS: u8 = 0x1F;

    /// Creates an entry that grants rights, without flags.
    pub fn allow(sid: Sid, mask: Rights) -> Ace {
        Ace { kind: AceKind::Allow, flags: 0, mask, sid }
    }

    /// Creates an entry that denies rights, without flags.
    pub fn deny(sid: Sid, mask: Rights) -> Ace {
        Ace { kind: AceKind::Deny, flags: 0, mask, sid }
    }

    /// Returns the entry with [`Ace::CONTAINER_INHERIT`] set, so that child containers inherit it.
    #[must_use]
    pub fn inherit(mut self) -> Ace {
        self.flags |= Ace::CONTAINER_INHERIT;
        self
    }

    /// Returns the rights of the mask, with generic rights mapped as `FWPM_GENERIC_*` define them.
    ///
    /// Generic all maps to [`Rights::ALL`], which includes [`Rights::READ_KEYS`].
    pub fn rights(&self) -> Rights {
        let generic = [
            (0x8000_0000, Rights(0x0002_01D4)),
            (0x4000_0000, Rights(0x0003_040B)),
            (0x2000_0000, Rights(0x0002_0220)),
            (0x1000_0000, Rights::ALL),
        ];
        generic
            .into_iter()
            .filter(|(bit, _)| self.mask.0 & bit != 0)
            .fold(Rights(self.mask.0 & 0x0FFF_FFFF), |rights, (_, more)| rights.and(more))
    }
}

impl Acl {
    /// Creates a list of these entries.
    pub fn new(aces: impl IntoIterator<Item = Ace>) -> Acl {
        Acl { aces: aces.into_iter().collect() }
    }

    /// Returns all rights that the list grants a principal.
    ///
    /// For each right, the first entry that applies to the principal and names the right decides.
    pub fn rights_of(&self, principal: &Principal) -> Rights {
        let (mut given, mut denied) = (Rights::NONE, Rights::NONE);
        let counted = |ace: &&Ace| ace.flags & Ace::INHERIT_ONLY == 0 && principal.is(&ace.sid);
        for ace in self.aces.iter().filter(counted) {
            match ace.kind {
                AceKind::Allow => given = given.and(ace.rights().without(denied)),
                AceKind::Deny => denied = denied.and(ace.rights().without(given)),
            }
        }
        given
    }

    /// Returns the entries that child containers inherit, marked as inherited.
    pub fn inherited(&self) -> impl Iterator<Item = Ace> {
        self.aces.iter().filter(|ace| ace.flags & Ace::CONTAINER_INHERIT != 0).map(|ace| {
            let kept = if ace.flags & Ace::NO_PROPAGATE_INHERIT == 0 {
                ace.flags & (Ace::OBJECT_INHERIT | Ace::CONTAINER_INHERIT)
            } else {
                0
            };
            Ace { flags: kept | Ace::INHERITED, ..*ace }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Sid = Sid::unix_user(1000);
    const GROUP: Sid = Sid::unix_group(50);

    fn rights(aces: &[Ace]) -> Rights {
        Acl::new(aces.iter().copied()).rights_of(&Principal::unix(1000, &[50]))
    }

    #[test]
    fn of_each_right_the_first_entry_that_names_it_decides() {
        let read = Rights::READ.and(Rights::ENUM);
        assert_eq!(rights(&[]), Rights::NONE);
        assert_eq!(rights(&[Ace::allow(GROUP, read)]), read);
        assert_eq!(rights(&[Ace::allow(Sid::unix_user(1001), read)]), Rights::NONE);
        assert_eq!(rights(&[Ace::deny(USER, Rights::READ), Ace::allow(GROUP, read)]), Rights::ENUM);
        assert_eq!(rights(&[Ace::allow(Sid::EVERYONE, read), Ace::deny(USER, Rights::READ)]), read);
        let only_for_what_is_in_it = Ace { flags: Ace::INHERIT_ONLY | 2, ..Ace::allow(USER, read) };
        assert_eq!(rights(&[only_for_what_is_in_it]), Rights::NONE);
    }

    #[test]
    fn generic_rights_are_those_of_the_platform_and_all_of_them_include_keys() {
        assert_eq!(rights(&[Ace::allow(USER, Rights(0x8000_0000))]).0, 0x0002_01D4);
        assert_eq!(rights(&[Ace::allow(USER, Rights(0x4000_0000))]).0, 0x0003_040B);
        assert_eq!(rights(&[Ace::allow(USER, Rights(0x1000_0000))]), Rights::ALL);
        assert!(!rights(&[Ace::allow(USER, Rights(0x000F_07FF))]).contain(Rights::READ_KEYS));
    }

    #[test]
    fn what_is_inherited_is_marked_so() {
        let once = Ace {
            flags: Ace::CONTAINER_INHERIT | Ace::NO_PROPAGATE_INHERIT,
            ..Ace::allow(GROUP, Rights::ADD)
        };
        let acl = Acl::new([Ace::allow(USER, Rights::READ).inherit(), Ace::allow(USER, Rights::ENUM), once]);
        let flags: Vec<(Rights, u8)> = acl.inherited().map(|ace| (ace.mask, ace.flags)).collect();
        assert_eq!(
            flags,
            [(Rights::READ, Ace::CONTAINER_INHERIT | Ace::INHERITED), (Rights::ADD, Ace::INHERITED)]
        );
    }
}
