//! A kernel's dumps as bytes, from a file or a live kernel, and their conversion into SA contexts.

use crate::addresses;
use crate::error;
use crate::inventory::policies_of;
use crate::pair::Contexts;
use crate::pair::Listing;
use crate::table::Tables;
use crate::wire::Message;
use crate::wire::Messages;
use crate::wire::WireError;
use openwfp_api::Completeness;
use openwfp_api::Result;
use std::collections::HashSet;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Reason for an incomplete listing when the kernel flags a dump as interrupted.
const CHANGED_MEANWHILE: &str = "the kernel's SAs changed while they were listed";
/// If either dump is smaller than this, one thread decodes both as fast as two threads.
const BYTES_PER_THREAD_MIN: usize = 1 << 20;

/// A kernel's dumps as received, each up to its end mark, and the events that arrived meanwhile.
///
/// States and events contain keys and are wiped when dropped.
#[derive(Default)]
pub struct Dumps {
    /// The dump of states (`XFRM_MSG_GETSA`).
    pub states: Zeroizing<Vec<u8>>,
    /// The dump of policies (`XFRM_MSG_GETPOLICY`), if one was taken.
    pub policies: Option<Vec<u8>>,
    /// The dump of this machine's addresses (`RTM_GETADDR`), if one was taken.
    pub addresses: Option<Vec<u8>>,
    /// Messages that the kernel's event groups sent while the dumps were taken.
    pub events: Zeroizing<Vec<u8>>,
    /// The reason why events are missing, if any are.
    pub lost: Option<String>,
}

/// One part of the dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`Dumps::states`].
    States,
    /// [`Dumps::policies`].
    Policies,
    /// [`Dumps::addresses`].
    Addresses,
    /// [`Dumps::events`].
    Events,
}

impl Dumps {
    /// Returns the SA contexts in the dumps; it ignores the events.
    ///
    /// `place` returns where a part came from, for error messages.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET`, with place and offset, if the bytes are not complete netlink dumps.
    pub fn listing(&self, place: impl Fn(Part) -> String) -> Result<Listing> {
        self.read(place, |tables, contexts, completeness| {
            // Contexts first: they stay longer, and what lies above them in the heap can be returned.
            let contexts = contexts.all();
            let completeness = completeness.clone();
            Listing { contexts, completeness, policies: policies_of(&tables.all_policies) }
        })
    }

    /// As [`Dumps::listing`], for contexts that are built as `visit` reads them.
    pub(crate) fn read<R>(
        &self,
        place: impl Fn(Part) -> String,
        visit: impl FnOnce(&Tables<'_>, &dyn Contexts, &Completeness) -> R,
    ) -> Result<R> {
        let in_part = |part| {
            let place = &place;
            move |e: WireError| error::bytes(&place(part), &e)
        };
        let (tables, interrupted) = self.tables(in_part)?;
        let own = self.own_addresses().map_err(in_part(Part::Addresses))?;
        let completeness = self.completeness(interrupted);
        Ok(tables.paired(&own, |contexts| visit(&tables, contexts, &completeness)))
    }

    /// Returns whether the kernel flagged a dump as interrupted.
    pub(crate) fn interrupted(&self) -> bool {
        let flagged = |message: Message<'_>| message.flags & Message::FLAG_DUMP_INTERRUPTED != 0;
        [Some(&*self.states), self.policies.as_ref()]
            .into_iter()
            .flatten()
            .any(|dump| Messages::new(dump).flatten().any(flagged))
    }

    /// Returns whether the dumps and events are complete; `interrupted` is whether the kernel flagged a dump.
    pub(crate) fn completeness(&self, interrupted: bool) -> Completeness {
        match &self.lost {
            Some(why) => Completeness::Incomplete(why.clone()),
            None if interrupted => Completeness::Incomplete(CHANGED_MEANWHILE.into()),
            None => Completeness::Whole,
        }
    }

    /// Returns this machine's addresses; empty if no dump of them was taken.
    pub(crate) fn own_addresses(&self) -> Result<HashSet<IpAddr>, WireError> {
        self.addresses.as_ref().map_or_else(|| Ok(HashSet::new()), |own| addresses::parse(Messages::new(own)))
    }

    /// Returns the tables of states and policies, and whether the kernel flagged a dump as interrupted.
    /// Decodes large dumps in parallel.
    pub(crate) fn tables<E: Fn(WireError) -> openwfp_api::Error>(
        &self,
        in_part: impl Fn(Part) -> E,
    ) -> Result<(Tables<'_>, bool)> {
        let of_states = || {
            let mut tables = Tables::default();
            tables.add_state_dump(Messages::new(&self.states)).map(|interrupted| (tables, interrupted))
        };
        let of_policies = || {
            let mut tables = Tables::default();
            match &self.policies {
                Some(bytes) => tables.add_policy_dump(Messages::new(bytes)).map(|i| (tables, i)),
                None => Ok((tables, false)),
            }
        };
        let small = self.states.len().min(self.policies.as_ref().map_or(0, Vec::len)) < BYTES_PER_THREAD_MIN;
        let (states, policies) = if small {
            (of_states(), of_policies())
        } else {
            std::thread::scope(|scope| {
                let policies = scope.spawn(of_policies);
                let states = of_states();
                (states, policies.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        };
        let (mut tables, states_interrupted) = states.map_err(in_part(Part::States))?;
        let (with_policies, policies_interrupted) = policies.map_err(in_part(Part::Policies))?;
        tables.take_policies(with_policies);
        Ok((tables, states_interrupted | policies_interrupted))
    }
}
