//! Access control: principals, Windows security descriptors and their text form.
//!
//! A principal is a user and its groups, each a [`Sid`]. A [`SecurityDescriptor`] defines what
//! principals may do with an object. `IPsecSaDbGetSecurityInfo0` returns its self-relative bytes;
//! people read and write its [SDDL](SecurityDescriptor::to_sddl).
//!
//! Source: MS-DTYP 2.4 (SID, ACE, ACL, descriptor) and 2.5.1 (SDDL).

mod acl;
mod descriptor;
mod sddl;
mod sid;

pub use acl::Ace;
pub use acl::AceKind;
pub use acl::Acl;
pub use descriptor::SecurityDescriptor;
pub use descriptor::SecurityInformation;
pub use sid::Sid;

/// Identity of a client: its user and that user's groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// SID of the user.
    pub user: Sid,
    /// SIDs of the groups, without [`Sid::EVERYONE`], which always applies.
    pub groups: Vec<Sid>,
}

impl Principal {
    /// Creates a principal without groups.
    pub fn user(user: Sid) -> Principal {
        Principal { user, groups: Vec::new() }
    }

    /// Creates the principal of a Unix user and its groups.
    pub fn unix(uid: u32, gids: &[u32]) -> Principal {
        Principal {
            user: Sid::unix_user(uid),
            groups: gids.iter().map(|gid| Sid::unix_group(*gid)).collect(),
        }
    }

    /// Returns whether the SID is the principal's user, one of its groups, or [`Sid::EVERYONE`].
    pub fn is(&self, sid: &Sid) -> bool {
        *sid == Sid::EVERYONE || self.user == *sid || self.groups.contains(sid)
    }
}
