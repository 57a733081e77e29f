//! The live kernel: its states and policies of this moment, over netlink.
//!
//! A dump is no snapshot, and the kernel does not always say so when what it dumps changes underneath.
//! So the listing joins the kernel's event groups first, dumps second, and applies third what the groups
//! told meanwhile. Where events were lost, or the kernel itself says that a dump was interrupted, the
//! listing is taken again, [`ATTEMPTS_MAX`] times at most; then it is returned as incomplete.

mod socket;

use crate::addresses;
use crate::error;
use crate::pair::Listing;
use crate::table::Tables;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Messages;
use openwfp_api::Completeness;
use openwfp_api::Result;
use socket::Drained;
use socket::Groups;
use socket::Requests;

/// How often a listing that could not be made whole is taken.
pub const ATTEMPTS_MAX: u32 = 5;

/// `XFRM_MSG_MIGRATE` and `XFRM_MSG_MAPPING`: they change states without telling the whole of them.
const MSG_MIGRATE: u16 = 0x21;
const MSG_MAPPING: u16 = 0x26;

/// A kernel's dumps as received, each up to its end mark, and the events that came meanwhile.
///
/// The bytes hold keys.
#[derive(Default)]
pub struct RawListing {
    /// The dump of states.
    pub states: Vec<u8>,
    /// The dump of policies.
    pub policies: Vec<u8>,
    /// The dump of this machine's addresses.
    pub addresses: Vec<u8>,
    /// What the event groups told while the dumps were taken.
    pub events: Vec<u8>,
    /// Why events are missing, if some are.
    pub lost: Option<String>,
}

/// Lists the kernel's SAs in this network namespace.
///
/// # Errors
/// `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN`, `ERROR_NOT_SUPPORTED` on a kernel without XFRM,
/// `RPC_E_INVALID_DATAPACKET` for answers that cannot be understood, `RPC_E_SYS_CALL_FAILED` else.
pub fn list() -> Result<Listing> {
    take_until_whole(dump, ATTEMPTS_MAX)
}

/// Takes the kernel's dumps once, with the events of the meantime.
///
/// # Errors
/// As [`list`].
pub fn dump() -> Result<RawListing> {
    let groups = Groups::join()?;
    let mut requests = Requests::open()?;
    let (mut events, mut lost) = (Vec::new(), None);
    let mut drain = || {
        if let Drained::Lost(why) = groups.drain(&mut events)? {
            lost = Some(why);
        }
        Ok(())
    };
    let states = requests.states(&mut drain)?;
    let policies = requests.policies(&mut drain)?;
    // What the last parts of the dumps may or may not have seen is queued by now.
    drain()?;
    let addresses = socket::addresses()?;
    Ok(RawListing { states, policies, addresses, events, lost })
}

/// Takes listings until one is whole, `attempts` at most; the last one is returned whatever it is.
fn take_until_whole(mut take: impl FnMut() -> Result<RawListing>, attempts: u32) -> Result<Listing> {
    let mut attempt = 1;
    loop {
        let mut listing = take()?.listing()?;
        match &mut listing.completeness {
            Completeness::Incomplete(why) if attempt >= attempts => {
                why.push_str(&format!(", in each of {attempts} attempts"));
                return Ok(listing);
            }
            Completeness::Incomplete(_) => attempt += 1,
            Completeness::Whole => return Ok(listing),
        }
    }
}

impl RawListing {
    /// The SA contexts of these bytes.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET` for bytes that cannot be understood.
    pub fn listing(&self) -> Result<Listing> {
        let understood = |what: &'static str| move |e| error::bytes(what, &e);
        let mut tables = Tables::default();
        let interrupted = tables
            .add_state_dump(Messages::new(&self.states))
            .map_err(understood("the kernel's dump of states"))?
            | tables
                .add_policy_dump(Messages::new(&self.policies))
                .map_err(understood("the kernel's dump of policies"))?;
        let events: Vec<Message<'_>> = Messages::new(&self.events)
            .collect::<Result<_, _>>()
            .map_err(understood("the kernel's events"))?;
        tables.apply_events(&events).map_err(understood("the kernel's events"))?;
        let own = addresses::parse(Messages::new(&self.addresses))
            .map_err(understood("the kernel's dump of addresses"))?;

        let moved =
            events.iter().any(|event| matches!(event.kind, MessageKind::Other(MSG_MIGRATE | MSG_MAPPING)));
        let completeness = match &self.lost {
            Some(why) => Completeness::Incomplete(why.clone()),
            None if interrupted => {
                Completeness::Incomplete("the kernel's SAs changed while they were listed".into())
            }
            None if moved => Completeness::Incomplete("SAs moved to other addresses while listed".into()),
            None => Completeness::Whole,
        };
        Ok(Listing { contexts: tables.pair(&own), completeness })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Code;

    fn done() -> Vec<u8> {
        let mut out = Vec::new();
        let message =
            Message { offset: 0, kind: MessageKind::Done, flags: 0, sequence: 1, port: 0, payload: &[0; 4] };
        message.emit(&mut out);
        out
    }

    fn empty(flags: u16) -> RawListing {
        let mut states = done();
        states[6..8].copy_from_slice(&flags.to_ne_bytes());
        // An interrupted dump carries the flag in its messages, the end mark among them.
        RawListing { states, policies: done(), addresses: done(), ..RawListing::default() }
    }

    #[test]
    fn a_listing_with_lost_events_is_taken_again_until_it_is_whole() {
        let mut taken = 0;
        let listing = take_until_whole(
            || {
                taken += 1;
                let lost = (taken < 3).then(|| "the event buffer ran over".to_owned());
                Ok(RawListing { lost, ..empty(0) })
            },
            5,
        );
        assert_eq!(listing.unwrap().completeness, Completeness::Whole);
        assert_eq!(taken, 3);
    }

    #[test]
    fn a_listing_that_is_never_whole_is_returned_and_says_so() {
        let mut taken = 0;
        let listing = take_until_whole(
            || {
                taken += 1;
                Ok(empty(Message::FLAG_DUMP_INTERRUPTED))
            },
            4,
        );
        let Completeness::Incomplete(why) = listing.unwrap().completeness else { panic!("taken as whole") };
        assert!(why.contains("changed while") && why.contains("4 attempts"), "{why}");
        assert_eq!(taken, 4);
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error_and_no_empty_list() {
        let raw = RawListing { states: done()[..10].to_vec(), ..empty(0) };
        let error = raw.listing().unwrap_err();
        assert_eq!(error.code(), Code::RPC_E_INVALID_DATAPACKET);
        assert!(error.what().contains("states: byte 0"), "{error}");
    }
}
