//! The live kernel over netlink: follows its states and policies, and installs SAs in it.
//!
//! ```text
//! event groups ─▶ Inventory ─▶ pairing of what changed ─▶ Mirror (the engine)       follow
//! engine ─▶ Dataplane ─▶ ownership, states and policies as messages ─▶ the kernel   drive
//! ```
//!
//! A dump is not a snapshot, and the kernel does not always report that its states changed during a
//! dump. The follower therefore joins the event groups first, then takes the dumps, and then applies
//! the events that arrived meanwhile.

mod drive;
mod follow;
mod install;
mod namespace;
mod socket;
mod spd;
mod statistics;
mod worker;

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::ownership;
use crate::snapshot::Origin;
use crate::snapshot::Snapshot;
use crate::wire::Last;
use crate::wire::MessageKind;
use crate::wire::Messages;
use crate::wire::PolicyId;
use crate::wire::SaId;
use crate::wire::State;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::Error;
use openwfp_api::Result;
use socket::AddressEvents;
use socket::Drained;
use socket::Groups;
use socket::LOOK_UPS;
use socket::Refusal;
use socket::Requests;
use std::collections::HashSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use zeroize::Zeroizing;

pub use drive::Driver;
pub use namespace::Namespace;
pub use socket::force_buffer;
pub use worker::Worker;

/// Options for following and driving a kernel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether the engine may change and remove states and policies that others installed [default: false].
    pub adopt: bool,
    /// Size of the socket buffer for events, in bytes [default: 16 MiB].
    pub event_buffer: u32,
    /// Whether the kernel also sends counters as events (`XFRMNLGRP_AEVENTS`), which costs it work for
    /// every few packets of each state [default: false].
    pub counter_events: bool,
    /// Minimum time between two sweeps that read the counters of all SA contexts [default: 30 s].
    pub counter_interval: Duration,
    /// Directory of the journal of states that this engine installed [default: `/run/openwfp`]. Without one
    /// there is no journal.
    pub runtime: Option<PathBuf>,
    /// Group that may read the journal [default: the process's own].
    pub runtime_group: Option<u32>,
    /// Whether to take over or remove, at start, what earlier engines left behind [default: false].
    pub recover: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            adopt: false,
            event_buffer: 16 << 20,
            counter_events: false,
            counter_interval: Duration::from_secs(30),
            runtime: Some(PathBuf::from("/run/openwfp")),
            runtime_group: None,
            recover: false,
        }
    }
}

/// Connection to the kernel of one network namespace.
pub(crate) struct Kernel {
    namespace: Namespace,
    /// None once the namespace is gone, because open sockets would keep it alive.
    open: Mutex<Option<Open>>,
}

struct Open {
    /// The inode number of the namespace.
    number: u64,
    requests: Requests,
    /// `/proc/net/xfrm_stat`, if the kernel has it.
    statistics: Option<File>,
}

impl Kernel {
    /// Opens the kernel of a network namespace.
    ///
    /// # Errors
    /// - `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN` (and `CAP_SYS_ADMIN` for another namespace)
    /// - `FWP_E_NOT_FOUND` if the namespace does not exist
    /// - `ERROR_NOT_SUPPORTED` if the kernel has no XFRM
    pub(crate) fn open(namespace: Namespace) -> Result<Arc<Kernel>> {
        let kernel = Kernel { namespace, open: Mutex::new(None) };
        kernel.reopen()?;
        Ok(Arc::new(kernel))
    }

    /// Opens the sockets and files in the namespace that now has this name.
    fn reopen(&self) -> Result {
        let open = self.namespace.inside(|| {
            let statistics = File::open("/proc/thread-self/net/xfrm_stat").ok();
            Ok(Open { number: namespace::number()?, requests: Requests::open()?, statistics })
        })?;
        *self.lock() = Some(open);
        Ok(())
    }

    /// Closes everything that keeps the namespace alive.
    fn close(&self) {
        *self.lock() = None;
    }

    /// Returns the inode number of the namespace; 0 once it is gone.
    fn number(&self) -> u64 {
        self.lock().as_ref().map_or(0, |open| open.number)
    }

    /// Returns whether the namespace still is the one that was opened.
    fn is_still_there(&self) -> bool {
        match &*self.lock() {
            Some(open) => self.namespace.is_still(open.number),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `call` with the open sockets and files.
    fn with<T>(&self, call: impl FnOnce(&mut Open) -> Result<T>) -> Result<T> {
        match &mut *self.lock() {
            Some(open) => call(open),
            None => Err(Error::new(
                Code::FWP_E_NOT_FOUND,
                format!("the network namespace {} no longer exists", self.namespace),
            )),
        }
    }

    /// Returns the counters of states; none for a state that does not exist.
    fn last(&self, ids: &[SaId]) -> Result<Vec<Option<Last>>> {
        let mut found = vec![None; ids.len()];
        self.states(ids.iter().copied(), |place, payload| {
            found[place] = State::of(payload).map(|state| Last::of(&state));
        })?;
        Ok(found)
    }

    /// Looks up states and calls `each` with the position in `ids` and the payload of each that exists.
    fn states(&self, ids: impl Iterator<Item = SaId>, each: impl FnMut(usize, &[u8])) -> Result {
        self.look_up(MessageKind::GetSa, ids.map(|id| emitted(|out| id.emit(out))), each)
    }

    /// Returns the payload of one state, if it exists.
    fn state(&self, id: &SaId) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let mut found = None;
        self.states(std::iter::once(*id), |_, payload| found = Some(Zeroizing::new(payload.to_vec())))?;
        Ok(found)
    }

    /// Returns the payload of one policy, if it exists.
    fn policy(&self, id: &PolicyId) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        self.look_up(MessageKind::GetPolicy, [emitted(|out| id.emit(out))], |_, payload| {
            found = Some(payload.to_vec());
        })?;
        Ok(found)
    }

    fn look_up(
        &self,
        kind: MessageKind,
        payloads: impl IntoIterator<Item = Vec<u8>>,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result {
        let payloads: Vec<Vec<u8>> = payloads.into_iter().collect();
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        // The lock is released after each chunk, so that the driver never waits for long.
        for (part, payloads) in payloads.chunks(LOOK_UPS).enumerate() {
            self.with(|open| {
                open.requests.look_up(kind, payloads, |place, found| {
                    if let Some(payload) = found {
                        each(part * LOOK_UPS + place, payload);
                    }
                })
            })?;
        }
        Ok(())
    }

    /// Sends one request and waits for its acknowledgement.
    fn order(&self, kind: MessageKind, flags: u16, payload: &[u8]) -> Result<Result<(), Refusal>> {
        self.with(|open| Ok(open.requests.order(kind, flags, payload)))
    }

    /// Sends requests and waits for their acknowledgements. Stops after the first group of requests of which the kernel
    /// refuses one. Returns the outcome of each request that was sent.
    fn orders(&self, orders: &[(MessageKind, u16, &[u8])]) -> Result<Vec<Result<(), Refusal>>> {
        let mut outcomes = Vec::with_capacity(orders.len());
        for orders in orders.chunks(LOOK_UPS) {
            outcomes.extend(self.with(|open| Ok(open.requests.orders(orders)))?);
            if outcomes.iter().rev().take(orders.len()).any(Result::is_err) {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Reads all policies.
    fn policies(&self) -> Result<Zeroizing<Vec<u8>>> {
        self.namespace.inside(Requests::open)?.policies(&mut || Ok(()))
    }

    /// Removes policies that nothing uses any more; logs those that the kernel does not remove.
    fn drop_policies(&self, policies: &[PolicyId]) {
        for id in policies {
            match self.order(MessageKind::DelPolicy, 0, &emitted(|out| id.emit(out))) {
                Ok(Ok(())) => {}
                Ok(Err(refused)) if refused.is_missing() => {}
                Ok(Err(refused)) => {
                    tracing::warn!(error = %refusal("remove a policy", &refused), "a policy remains in the kernel");
                }
                Err(error) => tracing::warn!(%error, "a policy remains in the kernel"),
            }
        }
    }

    /// Reads this machine's addresses.
    fn addresses(&self) -> Result<HashSet<IpAddr>> {
        let addresses = self.namespace.inside(socket::addresses)?;
        crate::addresses::parse(Messages::new(&addresses))
            .map_err(|e| crate::error::bytes(&of_the_kernel(Part::Addresses), &e))
    }

    /// Takes the kernel's dumps, and the events that arrive meanwhile.
    fn dump(&self, groups: &Groups) -> Result<Dumps> {
        let (mut events, mut lost) = (Zeroizing::new(Vec::new()), None);
        let mut drain = || {
            if let Drained::Lost(why) = groups.drain(&mut events, usize::MAX)? {
                lost = Some(why);
            }
            Ok(())
        };
        // A separate socket, so that the driver does not wait for the dumps.
        let (mut requests, addresses) =
            self.namespace.inside(|| Ok((Requests::open()?, socket::addresses()?)))?;
        let states = requests.states(&mut drain)?;
        let policies = requests.policies(&mut drain)?;
        // Every change that the end of a dump may have missed has queued its event by now.
        drain()?;
        // Only states and events contain keys that must be wiped.
        let plain = |mut bytes: Zeroizing<Vec<u8>>| Some(std::mem::take(&mut *bytes));
        Ok(Dumps { states, policies: plain(policies), addresses: plain(addresses), events, lost })
    }

    fn groups(&self, options: &Options) -> Result<Groups> {
        let (buffer, aevents) = (options.event_buffer, options.counter_events);
        self.namespace.inside(|| Groups::join(buffer, aevents))
    }

    fn address_events(&self) -> Result<AddressEvents> {
        self.namespace.inside(AddressEvents::join)
    }
}

/// Takes the dumps of this network namespace's kernel once, with the events that arrive meanwhile.
///
/// # Errors
/// - `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN`
/// - `ERROR_NOT_SUPPORTED` if the kernel has no XFRM
/// - `RPC_E_INVALID_DATAPACKET` if a datagram of a dump is too large
/// - `RPC_E_SYS_CALL_FAILED` if any other system call fails
pub fn dump() -> Result<Dumps> {
    let kernel = Kernel::open(Namespace::Own)?;
    let groups = kernel.groups(&Options::default())?;
    kernel.dump(&groups)
}

/// Takes a snapshot of a kernel, for a caller that does not follow it.
///
/// # Errors
/// As [`dump`], and `FWP_E_NOT_FOUND` if the namespace does not exist.
pub fn snapshot(namespace: Namespace) -> Result<Snapshot> {
    let kernel = Kernel::open(namespace)?;
    let groups = kernel.groups(&Options::default())?;
    let list = || {
        let dumps = kernel.dump(&groups)?;
        let completeness = dumps.completeness(dumps.interrupted());
        Ok((dumps, completeness))
    };
    let (mut dumps, completeness, _) = follow::complete(&groups, list)?;
    if let Completeness::Incomplete(why) = completeness {
        dumps.lost = Some(why);
    }
    Ok(Snapshot { dumps, origin: Origin::Kernel })
}

/// What [`flush`] has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Number of states.
    pub states: usize,
    /// Number of policies.
    pub policies: usize,
}

/// Removes all states and policies that engines have left in the kernel of a namespace, by the journals in a directory.
///
/// # Errors
/// - `FWP_E_IN_USE` if an engine of the namespace still runs
/// - `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN` (and `CAP_SYS_ADMIN` for another namespace)
/// - `FWP_E_NOT_FOUND` if the namespace does not exist
/// - `RPC_E_OUT_OF_RESOURCES` if a journal cannot be read or removed
/// - the kernel's refusal to remove a state or policy
pub fn flush(namespace: Namespace, directory: &Path) -> Result<Flushed> {
    let kernel = Kernel::open(namespace)?;
    let number = kernel.number();
    if let Some(alive) = ownership::journals(directory, number)?.iter().find(|path| ownership::is_alive(path))
    {
        let what = format!(
            "an engine that has SAs or policies in the kernel still runs; its journal is {}",
            alive.display()
        );
        return Err(Error::new(Code::FWP_E_IN_USE, what).with_remedy(
            "Stop it first. A daemon removes them itself if it was started with --flush-on-exit.",
        ));
    }
    let mut flushed = Flushed::default();
    let remove = |kind, what: &str, payload: &[u8]| match kernel.order(kind, 0, payload)? {
        Ok(()) => Ok(1),
        Err(refused) if refused.is_missing() => Ok(0),
        Err(refused) => Err(refusal(&format!("remove {what}"), &refused)),
    };
    for left in ownership::leftovers(directory, number)? {
        let sas = left.contexts.iter().flat_map(|context| &context.sas);
        for (id, _) in sas {
            flushed.states += remove(MessageKind::DelSa, "an SA", &emitted(|out| id.emit(out)))?;
        }
        let policies: HashSet<PolicyId> =
            left.contexts.iter().flat_map(|context| &context.policies).copied().collect();
        for id in policies.union(&left.spd) {
            flushed.policies += remove(MessageKind::DelPolicy, "a policy", &emitted(|out| id.emit(out)))?;
        }
        ownership::remove(&left.path).map_err(|error| {
            let what = format!("cannot remove the journal {}: {error}", left.path.display());
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
        })?;
    }
    Ok(flushed)
}

fn emitted(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    emit(&mut out);
    out
}

/// Returns where a part of the kernel's dumps comes from, for error messages.
fn of_the_kernel(part: Part) -> String {
    Origin::Kernel.place(part)
}

/// Returns the error for a request that the kernel refused; `doing` begins with a verb.
fn refusal(doing: &str, refusal: &Refusal) -> Error {
    let errno = std::io::Error::from_raw_os_error(refusal.errno);
    let what = match &refusal.words {
        Some(words) => format!("the kernel refused to {doing}: \"{words}\" ({errno})"),
        None => format!("the kernel refused to {doing}: {errno}"),
    };
    let (code, remedy) = match refusal.errno {
        // EPERM, EACCES
        1 | 13 => {
            (Code::ERROR_ACCESS_DENIED, Some("The engine needs CAP_NET_ADMIN in this network namespace."))
        }
        // ENOENT, ESRCH, ENODEV
        2 | 3 | 19 => (Code::FWP_E_NOT_FOUND, None),
        // ENOMEM
        12 => (Code::ERROR_NOT_ENOUGH_MEMORY, None),
        // EEXIST
        17 => (
            Code::FWP_E_ALREADY_EXISTS,
            Some(
                "The kernel already has this SA or policy. List both on the engine's machine: `ip xfrm state list nokeys`, `ip xfrm policy`.",
            ),
        ),
        // EINVAL, ERANGE
        22 | 34 => (Code::FWP_E_INVALID_PARAMETER, None),
        // ENOSYS for an unknown algorithm; the others for protocol, family, mode or offload.
        38 | 92 | 93 | 94 | 95 | 97 => (
            Code::ERROR_NOT_SUPPORTED,
            Some(
                "The kernel or the network card lacks this algorithm, protocol, mode or offload. /proc/crypto lists the loaded algorithms; `modprobe esp4` (or esp6, ah4, ah6) loads a protocol.",
            ),
        ),
        // ENOBUFS
        105 => (Code::RPC_E_OUT_OF_RESOURCES, None),
        _ => (Code::RPC_E_SYS_CALL_FAILED, None),
    };
    let error = Error::new(code, what);
    match remedy {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_code_that_fits_and_the_kernels_own_words() {
        let words = Some("Requested AEAD algorithm not found".to_owned());
        let error = refusal("install the SA", &Refusal { errno: 38, words });
        assert_eq!(error.code(), Code::ERROR_NOT_SUPPORTED);
        assert!(error.what().contains("Requested AEAD algorithm not found"), "{error}");
        for (errno, code) in [
            (1, Code::ERROR_ACCESS_DENIED),
            (17, Code::FWP_E_ALREADY_EXISTS),
            (22, Code::FWP_E_INVALID_PARAMETER),
            (3, Code::FWP_E_NOT_FOUND),
            (5, Code::RPC_E_SYS_CALL_FAILED),
        ] {
            assert_eq!(refusal("do it", &Refusal { errno, words: None }).code(), code);
        }
    }
}
