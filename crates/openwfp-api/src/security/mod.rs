//! Security: who may do what. Principals, security descriptors as Windows has them, and their text form.
//!
//! A principal is one or more [`Sid`]s. A [`SecurityDescriptor`] says what they may do with an object; its
//! self-relative bytes are what `IPsecSaDbGetSecurityInfo0` returns, its [SDDL](SecurityDescriptor::to_sddl) is
//! what people read and write.
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

/// Who a client is: its user and the groups that the user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: Sid,
    /// The groups, without [`Sid::EVERYONE`], which everybody is in.
    pub groups: Vec<Sid>,
}

impl Principal {
    /// A user in no group.
    pub fn user(user: Sid) -> Principal {
        Principal { user, groups: Vec::new() }
    }

    /// A Unix user with the ids of its groups.
    pub fn unix(uid: u32, gids: &[u32]) -> Principal {
        Principal {
            user: Sid::unix_user(uid),
            groups: gids.iter().map(|gid| Sid::unix_group(*gid)).collect(),
        }
    }

    /// Whether this principal is, or is in, what the SID names.
    pub fn is(&self, sid: &Sid) -> bool {
        *sid == Sid::EVERYONE || self.user == *sid || self.groups.contains(sid)
    }
}
