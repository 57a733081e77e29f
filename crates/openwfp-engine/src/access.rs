//! Access control: the security descriptors of the engine, its database of SAs, net events and each
//! kind of object, with inheritance.

use openwfp_api::Ace;
use openwfp_api::Acl;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Principal;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::Sid;
use openwfp_api::object::ObjectKind;

/// The security descriptors of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    engine: SecurityDescriptor,
    /// The descriptors that inherit from the engine's, indexed by [`Securable::index`] minus one.
    below: [SecurityDescriptor; Securable::COUNT - 1],
    /// Users and groups that have root's rights to take things over.
    administrators: Vec<Sid>,
}

impl Access {
    /// Default descriptors: the owner and root have all rights; others may only open sessions.
    pub(crate) fn of_owner(owner: Sid) -> Access {
        let mut aces = vec![Ace::allow(owner, Rights::ALL).inherit()];
        if owner != Sid::ROOT {
            aces.push(Ace::allow(Sid::ROOT, Rights::ALL).inherit());
        }
        aces.push(Ace::allow(Sid::EVERYONE, Rights::OPEN));
        let mut access = Access {
            engine: SecurityDescriptor {
                owner: Some(owner),
                dacl: Some(Acl::new(aces)),
                ..SecurityDescriptor::default()
            },
            administrators: Vec::new(),
            below: std::array::from_fn(|_| SecurityDescriptor {
                owner: Some(owner),
                dacl: Some(Acl::default()),
                ..SecurityDescriptor::default()
            }),
        };
        access.inherit();
        access
    }

    pub(crate) fn rights_of(&self, principal: &Principal, on: Securable) -> Rights {
        let is_administrator = self.is_administrator(principal);
        match on {
            Securable::Objects(_) => rights_on_object(principal, is_administrator, self.of(on)),
            _ if is_administrator => self.of(on).rights_of(principal).and(OF_ROOT),
            _ => self.of(on).rights_of(principal),
        }
    }

    /// Whether a principal has root's rights to take things over.
    pub(crate) fn is_administrator(&self, principal: &Principal) -> bool {
        principal.is(&Sid::ROOT) || self.administrators.iter().any(|sid| principal.is(sid))
    }

    pub(crate) fn set_administrators(&mut self, administrators: Vec<Sid>) {
        self.administrators = administrators;
    }

    pub(crate) fn of(&self, securable: Securable) -> &SecurityDescriptor {
        match securable.index() {
            0 => &self.engine,
            place => &self.below[place - 1],
        }
    }

    /// Returns the rights on an object, from its own descriptor if it has one, else from that of its kind.
    pub(crate) fn rights_on_object(
        &self,
        principal: &Principal,
        kind: ObjectKind,
        own: Option<&SecurityDescriptor>,
    ) -> Rights {
        match own {
            Some(own) => rights_on_object(principal, self.is_administrator(principal), own),
            None => self.rights_of(principal, Securable::Objects(kind)),
        }
    }

    /// Returns these descriptors with parts of one replaced and inheritance updated.
    ///
    /// # Errors
    /// `FWP_E_NULL_POINTER` if `parts` names an owner or group that the new descriptor does not have.
    pub(crate) fn with(
        &self,
        securable: Securable,
        parts: SecurityInformation,
        new: &SecurityDescriptor,
    ) -> Result<Access> {
        let mut access = self.clone();
        let descriptor = match securable.index() {
            0 => &mut access.engine,
            place => &mut access.below[place - 1],
        };
        replace(descriptor, parts, new)?;
        access.inherit();
        Ok(access)
    }

    /// Updates the inherited entries of each list from the engine's; its own entries precede them.
    fn inherit(&mut self) {
        let Access { engine, below, .. } = self;
        for descriptor in below {
            inherit_from(engine, descriptor);
        }
    }
}

/// Rights that root and administrators have on everything, whatever a descriptor says: to take the ownership, which includes to
/// change the access list.
const OF_ROOT: Rights = Rights::OPEN.and(Rights::READ_CONTROL).and(Rights::WRITE_OWNER);

/// Rights that they have on objects besides, so that nobody can hide one from who runs the machine. Keys are not among them.
const OF_ROOT_ON_OBJECTS: Rights = OF_ROOT.and(Rights::ENUM).and(Rights::READ).and(Rights::DELETE);

/// Returns all rights that a principal has on an object, or on a kind of objects, with this descriptor.
pub(crate) fn rights_on_object(
    principal: &Principal,
    is_administrator: bool,
    descriptor: &SecurityDescriptor,
) -> Rights {
    let given = descriptor.rights_of(principal);
    if is_administrator { given.and(OF_ROOT_ON_OBJECTS) } else { given }
}

/// Returns the rights that it takes to set parts of a descriptor.
pub(crate) fn rights_to_set(parts: SecurityInformation) -> Rights {
    let takes_over = parts.any(SecurityInformation::OWNER.and(SecurityInformation::GROUP));
    match (parts.any(SecurityInformation::DACL), takes_over) {
        (false, true) => Rights::WRITE_OWNER,
        (true, true) => Rights::WRITE_DAC.and(Rights::WRITE_OWNER),
        (_, false) => Rights::WRITE_DAC,
    }
}

fn inherit_from(engine: &SecurityDescriptor, descriptor: &mut SecurityDescriptor) {
    let Some(dacl) = &mut descriptor.dacl else { return };
    if descriptor.protected {
        // A protected list keeps its inherited entries as its own.
        dacl.aces.iter_mut().for_each(|ace| ace.flags &= !Ace::INHERITED);
        descriptor.auto_inherited = false;
        return;
    }
    dacl.aces.retain(|ace| ace.flags & Ace::INHERITED == 0);
    match &engine.dacl {
        Some(above) => dacl.aces.extend(above.inherited()),
        None => dacl.aces.push(Ace { flags: Ace::INHERITED, ..Ace::allow(Sid::EVERYONE, Rights::ALL) }),
    }
    descriptor.auto_inherited = true;
}

/// Replaces parts of a descriptor.
///
/// # Errors
/// `FWP_E_NULL_POINTER` if `parts` names an owner or group that the new descriptor does not have.
pub(crate) fn replace(
    descriptor: &mut SecurityDescriptor,
    parts: SecurityInformation,
    new: &SecurityDescriptor,
) -> Result {
    let missing = |what| Error::new(Code::FWP_E_NULL_POINTER, format!("the descriptor has no {what} to set"));
    if parts.any(SecurityInformation::OWNER) {
        descriptor.owner = Some(new.owner.ok_or_else(|| missing("owner"))?);
    }
    if parts.any(SecurityInformation::GROUP) {
        descriptor.group = Some(new.group.ok_or_else(|| missing("group"))?);
    }
    if parts.any(SecurityInformation::DACL) {
        descriptor.dacl = new.dacl.clone();
        descriptor.protected = new.protected;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Sid = Sid::unix_user(1000);

    fn rights(access: &Access, uid: u32) -> (Rights, Rights) {
        let principal = Principal::unix(uid, &[uid]);
        (access.rights_of(&principal, Securable::Engine), access.rights_of(&principal, Securable::SaDb))
    }

    #[test]
    fn by_default_the_owner_and_root_may_do_everything_and_others_open_sessions() {
        let access = Access::of_owner(OWNER);
        assert_eq!(rights(&access, 1000), (Rights::ALL, Rights::ALL));
        assert_eq!(rights(&access, 0), (Rights::ALL, Rights::ALL));
        assert_eq!(rights(&access, 1001), (Rights::OPEN, Rights::NONE));
        assert_eq!(
            access.of(Securable::SaDb).to_sddl(),
            "O:S-1-22-1-1000D:AI(A;CIID;0xf0fff;;;S-1-22-1-1000)(A;CIID;0xf0fff;;;S-1-22-1-0)"
        );
    }

    #[test]
    fn what_is_set_on_the_engine_is_inherited_until_the_database_protects_itself() {
        let access = Access::of_owner(OWNER);
        let dacl = |text: &str| text.parse::<SecurityDescriptor>().unwrap();
        let set = |access: &Access, on, text: &str| {
            access.with(on, SecurityInformation::DACL, &dacl(text)).unwrap()
        };
        let read = Rights::READ.and(Rights::ENUM);
        let open = set(&access, Securable::Engine, "D:(A;CI;0xa0;;;S-1-22-2-1001)(A;;0x40;;;WD)");
        assert_eq!(rights(&open, 1001), (read.and(Rights::OPEN), read));
        // An entry of its own precedes inherited ones.
        let own = set(&open, Securable::SaDb, "D:(D;;0x80;;;S-1-22-1-1001)");
        assert_eq!(rights(&own, 1001).1, Rights::ENUM);
        let closed = set(&own, Securable::SaDb, "D:P(A;;0x20;;;S-1-22-1-1002)");
        assert_eq!((rights(&closed, 1001).1, rights(&closed, 1002).1), (Rights::NONE, Rights::ENUM));
        let still = set(&closed, Securable::Engine, "D:(A;CI;0xa0;;;S-1-22-1-1001)");
        assert_eq!(rights(&still, 1001).1, Rights::NONE);
        let again = set(&still, Securable::SaDb, "D:");
        assert_eq!(rights(&again, 1001).1, read);
    }
}
