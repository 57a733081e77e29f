//! The live kernel, over netlink: its states and policies are followed, and it is driven.
//!
//! ```text
//! event groups ─▶ Inventory ─▶ pairing of what changed ─▶ Mirror (the engine)       follow
//! engine ─▶ Dataplane ─▶ ownership, states and policies as messages ─▶ the kernel   drive
//! ```
//!
//! A dump is no snapshot, and the kernel does not always say so when what it dumps changes underneath. So the follower
//! joins the event groups first, dumps second, and applies third what the groups told meanwhile.

mod drive;
mod follow;
mod install;
mod namespace;
mod socket;
mod statistics;

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::wire::Last;
use crate::wire::MessageKind;
use crate::wire::Messages;
use crate::wire::PolicyId;
use crate::wire::SaId;
use crate::wire::State;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use socket::Drained;
use socket::Groups;
use socket::LOOK_UPS;
use socket::Refusal;
use socket::Requests;
use std::collections::HashSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use zeroize::Zeroizing;

pub use drive::Driver;
pub use follow::Follower;
pub use namespace::Namespace;

/// How a kernel is followed and driven; everything has a default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether states and policies of others may be changed and removed, too; default: no.
    pub adopt: bool,
    /// The buffer for events, in bytes; default: 16 MiB.
    pub event_buffer: u32,
    /// Whether counters are also told by the kernel itself (`XFRMNLGRP_AEVENTS`), which costs it work for every few packets
    /// of each state; default: no.
    pub counter_events: bool,
    /// How often the counters of all states are asked for, one by one; default: every 30 s.
    pub counter_interval: Duration,
    /// Where it is noted which states are this engine's; none: nowhere. Default: `/run/openwfp`.
    pub runtime: Option<PathBuf>,
    /// Whether what earlier engines left behind is finished or removed at the start; default: no.
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
            recover: false,
        }
    }
}

/// The kernel of one network namespace, to be asked and told.
pub(crate) struct Kernel {
    namespace: Namespace,
    /// None once the namespace is gone: what is open would keep it alive.
    open: Mutex<Option<Open>>,
}

struct Open {
    /// The number of the namespace (its inode).
    number: u64,
    requests: Requests,
    /// `/proc/net/xfrm_stat`, where the kernel has it.
    statistics: Option<File>,
}

impl Kernel {
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN` (and `CAP_SYS_ADMIN` for another namespace), `FWP_E_NOT_FOUND` for a
    /// namespace that is not there, `ERROR_NOT_SUPPORTED` on a kernel without XFRM.
    pub(crate) fn open(namespace: Namespace) -> Result<Arc<Kernel>> {
        let kernel = Kernel { namespace, open: Mutex::new(None) };
        kernel.reopen()?;
        Ok(Arc::new(kernel))
    }

    /// Opens what it takes to ask, in the namespace that is there now.
    fn reopen(&self) -> Result {
        let open = self.namespace.inside(|| {
            let statistics = File::open("/proc/thread-self/net/xfrm_stat").ok();
            Ok(Open { number: namespace::number()?, requests: Requests::open()?, statistics })
        })?;
        *self.lock() = Some(open);
        Ok(())
    }

    /// Lets the namespace go.
    fn close(&self) {
        *self.lock() = None;
    }

    /// The number of the namespace; 0 once it is gone.
    fn number(&self) -> u64 {
        self.lock().as_ref().map_or(0, |open| open.number)
    }

    /// Whether the namespace is the one that was opened.
    fn is_still_there(&self) -> bool {
        match &*self.lock() {
            Some(open) => self.namespace.is_still(open.number),
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls back with what is open.
    fn with<T>(&self, call: impl FnOnce(&mut Open) -> Result<T>) -> Result<T> {
        match &mut *self.lock() {
            Some(open) => call(open),
            None => Err(Error::new(
                Code::FWP_E_NOT_FOUND,
                format!("the network namespace {} is gone", self.namespace),
            )),
        }
    }

    /// What states have counted; none for those that are not there.
    fn last(&self, ids: &[SaId]) -> Result<Vec<Option<Last>>> {
        let mut found = vec![None; ids.len()];
        self.states(ids.iter().copied(), |place, payload| {
            found[place] = State::of(payload).map(|state| Last::of(&state));
        })?;
        Ok(found)
    }

    /// States' payloads, each with its place among those asked for; those that are not there are left out.
    fn states(&self, ids: impl Iterator<Item = SaId>, each: impl FnMut(usize, &[u8])) -> Result {
        self.look_up(MessageKind::GetSa, ids.map(|id| emitted(|out| id.emit(out))), each)
    }

    /// One state's payload, if it is there.
    fn state(&self, id: &SaId) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let mut found = None;
        self.states(std::iter::once(*id), |_, payload| found = Some(Zeroizing::new(payload.to_vec())))?;
        Ok(found)
    }

    /// One policy's payload, if it is there.
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
        // Whoever drives the kernel meanwhile waits for a part only.
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

    /// Has the kernel do one thing.
    fn order(&self, kind: MessageKind, flags: u16, payload: &[u8]) -> Result<Result<(), Refusal>> {
        self.with(|open| Ok(open.requests.order(kind, flags, payload)))
    }

    /// Removes policies that nobody uses any more; what cannot be removed is logged.
    fn drop_policies(&self, policies: &[PolicyId]) {
        for id in policies {
            match self.order(MessageKind::DelPolicy, 0, &emitted(|out| id.emit(out))) {
                Ok(Ok(())) => {}
                Ok(Err(refused)) if refused.is_missing() => {}
                Ok(Err(refused)) => {
                    tracing::warn!(error = %refusal("remove a policy", &refused), "a policy stays");
                }
                Err(error) => tracing::warn!(%error, "a policy stays"),
            }
        }
    }

    /// This machine's addresses.
    fn addresses(&self) -> Result<HashSet<IpAddr>> {
        let addresses = self.namespace.inside(socket::addresses)?;
        crate::addresses::parse(Messages::new(&addresses))
            .map_err(|e| crate::error::bytes(&of_the_kernel(Part::Addresses), &e))
    }

    /// Takes the kernel's dumps, with what its event groups tell meanwhile.
    fn dump(&self, groups: &Groups) -> Result<Dumps> {
        let (mut events, mut lost) = (Zeroizing::new(Vec::new()), None);
        let mut drain = || {
            if let Drained::Lost(why) = groups.drain(&mut events, usize::MAX)? {
                lost = Some(why);
            }
            Ok(())
        };
        // A socket of its own, so that whoever drives the kernel does not wait.
        let (mut requests, addresses) =
            self.namespace.inside(|| Ok((Requests::open()?, socket::addresses()?)))?;
        let states = requests.states(&mut drain)?;
        let policies = requests.policies(&mut drain)?;
        // What the last parts of the dumps may or may not have seen is queued by now.
        drain()?;
        // Only states and events have keys to wipe.
        let plain = |mut bytes: Zeroizing<Vec<u8>>| Some(std::mem::take(&mut *bytes));
        Ok(Dumps { states, policies: plain(policies), addresses: plain(addresses), events, lost })
    }

    fn groups(&self, options: &Options) -> Result<Groups> {
        let (buffer, aevents) = (options.event_buffer, options.counter_events);
        self.namespace.inside(|| Groups::join(buffer, aevents))
    }
}

/// Takes the dumps of this network namespace's kernel once, with the events of the meantime.
///
/// # Errors
/// `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN`, `ERROR_NOT_SUPPORTED` on a kernel without XFRM,
/// `RPC_E_SYS_CALL_FAILED` else.
pub fn dump() -> Result<Dumps> {
    let kernel = Kernel::open(Namespace::Own)?;
    let groups = kernel.groups(&Options::default())?;
    kernel.dump(&groups)
}

fn emitted(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    emit(&mut out);
    out
}

/// Where a part of the kernel's dumps comes from, for errors.
fn of_the_kernel(part: Part) -> String {
    let what = match part {
        Part::States => "dump of states",
        Part::Policies => "dump of policies",
        Part::Addresses => "dump of addresses",
        Part::Events => "events",
    };
    format!("the kernel's {what}")
}

/// The kernel's no, as an error with the code that fits; `doing` begins with a verb.
fn refusal(doing: &str, refusal: &Refusal) -> Error {
    let errno = std::io::Error::from_raw_os_error(refusal.errno);
    let what = match &refusal.words {
        Some(words) => format!("the kernel does not {doing}: {words} ({errno})"),
        None => format!("the kernel does not {doing}: {errno}"),
    };
    let (code, remedy) = match refusal.errno {
        // EPERM, EACCES
        1 | 13 => (
            Code::ERROR_ACCESS_DENIED,
            Some("it takes the capability CAP_NET_ADMIN in this network namespace"),
        ),
        // ENOENT, ESRCH, ENODEV
        2 | 3 | 19 => (Code::FWP_E_NOT_FOUND, None),
        // ENOMEM
        12 => (Code::ERROR_NOT_ENOUGH_MEMORY, None),
        // EEXIST
        17 => (
            Code::FWP_E_ALREADY_EXISTS,
            Some("something else has installed the same; `ip xfrm state` and `ip xfrm policy` show what"),
        ),
        // EINVAL, ERANGE
        22 | 34 => (Code::FWP_E_INVALID_PARAMETER, None),
        // ENOSYS: the algorithm; the others: protocol, family, mode, offload
        38 | 92 | 93 | 94 | 95 | 97 => (
            Code::ERROR_NOT_SUPPORTED,
            Some(
                "the kernel, or its network card, lacks it; `/proc/crypto` shows the algorithms that are loaded",
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
