//! Handles of sessions, enumerators and subscriptions: random-looking numbers, looked up in a table.
//!
//! A handle is never dereferenced, so a closed or invented one, or one of another library, causes an
//! error and nothing worse. No number is used twice in a process.

use crate::fork::PerProcess;
use openwfp_api::Code;
use openwfp_api::EnumId;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::object::ObjectKind;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use windows_sys::Win32::Foundation::HANDLE;

/// The object that a handle other than a session's refers to, named by the call that creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `FwpmSessionCreateEnumHandle0`.
    Sessions,
    /// `IPsecSaContextCreateEnumHandle0`.
    SaContexts,
    /// `IPsecSaCreateEnumHandle0`.
    Sas,
    /// `FwpmFilterCreateEnumHandle0` and the same call of the other kinds.
    Objects(ObjectKind),
    /// `FwpmNetEventCreateEnumHandle0`.
    NetEvents,
    /// `IPsecSaContextSubscribe0`.
    Subscription,
    /// `FwpmFilterSubscribeChanges0` and the same call of the other kinds.
    ObjectChanges(ObjectKind),
    /// `FwpmNetEventSubscribe0` to `4`.
    NetEventSubscription,
}

enum Target {
    /// A session and the handles that belong to it.
    Session { session: Arc<dyn Session>, children: Vec<u64> },
    /// An enumerator or subscription of a session.
    Child { owner: u64, kind: Kind, id: EnumId },
}

struct Table {
    targets: HashMap<u64, Target, foldhash::fast::RandomState>,
    /// Start of the sequence of handles; `count` is the position in it.
    seed: u64,
    count: u64,
}

static TABLE: PerProcess<RwLock<Table>> = PerProcess::new(|| {
    // If the system's generator fails, std's hash keys and the process id suffice: handles only guard
    // against mistakes.
    let seed = getrandom::u64().unwrap_or_else(|_| {
        std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), std::process::id())
    });
    RwLock::new(Table { targets: HashMap::default(), seed, count: 0 })
});

fn read() -> RwLockReadGuard<'static, Table> {
    TABLE.get().read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Table> {
    TABLE.get().write().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// Returns a number that was never returned before: the sequence is a permutation of all numbers.
    fn next(&mut self) -> u64 {
        loop {
            self.count = self.count.wrapping_add(1);
            let number = permuted(self.count ^ self.seed);
            // Many callers use 0 and -1 for "none".
            if number != 0 && number != u64::MAX {
                return number;
            }
        }
    }
}

/// Permutes the 64-bit numbers into no visible order (the finalizer of `SplitMix64`).
fn permuted(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

fn to_handle(number: u64) -> HANDLE {
    std::ptr::without_provenance_mut(usize::try_from(number).unwrap_or(0))
}

fn number(handle: HANDLE) -> u64 {
    handle.addr() as u64
}

fn unknown(what: &str, handle: HANDLE) -> Error {
    Error::new(
        Code::ERROR_INVALID_HANDLE,
        format!("invalid {what} {:#x}: never opened, or already closed", handle.addr()),
    )
}

/// Registers a session and returns its handle.
pub(crate) fn open(session: Arc<dyn Session>) -> HANDLE {
    let mut table = write();
    let number = table.next();
    table.targets.insert(number, Target::Session { session, children: Vec::new() });
    to_handle(number)
}

/// Returns the session of an engine handle. It stays alive for the caller if another thread closes the
/// handle meanwhile.
///
/// # Errors
/// `ERROR_INVALID_HANDLE` if no open session has this handle.
pub(crate) fn session(engine: HANDLE) -> Result<Arc<dyn Session>> {
    match read().targets.get(&number(engine)) {
        Some(Target::Session { session, .. }) => Ok(Arc::clone(session)),
        _ => Err(unknown("engine handle", engine)),
    }
}

/// Removes a session's handle and all handles that belong to it, and returns the session.
///
/// # Errors
/// `ERROR_INVALID_HANDLE` if no open session has this handle.
pub(crate) fn close(engine: HANDLE) -> Result<Arc<dyn Session>> {
    let mut table = write();
    match table.targets.remove(&number(engine)) {
        Some(Target::Session { session, children }) => {
            for child in children {
                table.targets.remove(&child);
            }
            Ok(session)
        }
        other => {
            if let Some(child) = other {
                table.targets.insert(number(engine), child);
            }
            Err(unknown("engine handle", engine))
        }
    }
}

/// Registers an enumerator or subscription of a session and returns its handle.
///
/// # Errors
/// `ERROR_INVALID_HANDLE` if the session was closed meanwhile.
pub(crate) fn add(engine: HANDLE, kind: Kind, id: EnumId) -> Result<HANDLE> {
    let mut table = write();
    let child = table.next();
    let owner = number(engine);
    let Some(Target::Session { children, .. }) = table.targets.get_mut(&owner) else {
        return Err(unknown("engine handle", engine));
    };
    children.push(child);
    table.targets.insert(child, Target::Child { owner, kind, id });
    Ok(to_handle(child))
}

/// Returns the id of the enumerator or subscription that a handle refers to.
///
/// # Errors
/// `ERROR_INVALID_HANDLE` if there is none of this kind, `FWP_E_WRONG_SESSION` if it belongs to another
/// session.
pub(crate) fn child(engine: HANDLE, handle: HANDLE, kind: Kind) -> Result<EnumId> {
    let what = match kind {
        Kind::Sessions => "session enumerator handle",
        Kind::SaContexts => "SA context enumerator handle",
        Kind::Sas => "SA enumerator handle",
        Kind::Subscription => "subscription handle",
        Kind::Objects(_) => "object enumerator handle",
        Kind::NetEvents => "net event enumerator handle",
        Kind::ObjectChanges(_) => "object subscription handle",
        Kind::NetEventSubscription => "net event subscription handle",
    };
    match read().targets.get(&number(handle)) {
        Some(Target::Child { owner, kind: found, id }) if *found == kind => {
            if *owner != number(engine) {
                let what = format!("{what} {:#x} belongs to another session", handle.addr());
                return Err(Error::new(Code::FWP_E_WRONG_SESSION, what));
            }
            Ok(*id)
        }
        _ => Err(unknown(what, handle)),
    }
}

/// Removes a handle of a session, if it still exists.
pub(crate) fn remove(engine: HANDLE, handle: HANDLE) {
    let mut table = write();
    let child = number(handle);
    if let Some(Target::Session { children, .. }) = table.targets.get_mut(&number(engine))
        && let Some(place) = children.iter().position(|known| *known == child)
    {
        children.swap_remove(place);
        table.targets.remove(&child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::SessionNumber;

    fn new_session() -> Arc<dyn Session> {
        openwfp::open(&openwfp::EngineUrl::Memory).unwrap()
    }

    #[test]
    fn only_handles_that_were_given_and_not_closed_are_good() {
        let engine = open(new_session());
        let other = open(new_session());
        assert!(session(engine).is_ok());
        for bad in [0, 1, 8, engine.addr() ^ 1, engine.addr().wrapping_add(8), usize::MAX] {
            let error = session(std::ptr::without_provenance_mut(bad)).err().unwrap();
            assert_eq!(error.code(), Code::ERROR_INVALID_HANDLE);
        }
        let id = EnumId { session: SessionNumber(1), serial: 1 };
        let handle = add(engine, Kind::SaContexts, id).unwrap();
        let code = |result: Result<EnumId>| result.err().map(|error| error.code());
        assert_eq!(child(engine, handle, Kind::SaContexts).unwrap(), id);
        assert_eq!(code(child(engine, handle, Kind::Sas)), Some(Code::ERROR_INVALID_HANDLE));
        assert_eq!(code(child(other, handle, Kind::SaContexts)), Some(Code::FWP_E_WRONG_SESSION));
        assert_eq!(code(child(engine, engine, Kind::SaContexts)), Some(Code::ERROR_INVALID_HANDLE));
        assert!(session(handle).is_err() && close(handle).is_err());
        assert!(child(engine, handle, Kind::SaContexts).is_ok(), "a wrong close takes nothing");
        close(engine).unwrap();
        assert!(close(engine).is_err() && session(engine).is_err());
        assert_eq!(code(child(engine, handle, Kind::SaContexts)), Some(Code::ERROR_INVALID_HANDLE));
        assert!(add(engine, Kind::Sas, id).is_err());
        let next = add(other, Kind::SaContexts, id).unwrap();
        remove(engine, next);
        assert!(child(other, next, Kind::SaContexts).is_ok(), "another session's handle stays");
        remove(other, next);
        assert!(child(other, next, Kind::SaContexts).is_err());
        close(other).unwrap();
    }

    #[test]
    fn handles_do_not_come_twice() {
        let mut seen = std::collections::HashSet::new();
        let engine = open(new_session());
        for serial in 0..if cfg!(miri) { 100 } else { 10_000 } {
            let id = EnumId { session: SessionNumber(1), serial };
            let handle = add(engine, Kind::Sas, id).unwrap();
            assert!(seen.insert(handle.addr()));
            remove(engine, handle);
        }
        close(engine).unwrap();
    }
}
