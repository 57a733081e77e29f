//! The live kernel: its states and policies of this moment, over netlink.
//!
//! A dump is no snapshot, and the kernel does not always say so when what it dumps changes underneath.
//! So the listing joins the kernel's event groups first, dumps second, and applies third what the groups
//! told meanwhile. Where events were lost, or the kernel itself says that a dump was interrupted, the
//! listing is taken again, [`ATTEMPTS_MAX`] times at most; then it is returned as incomplete.

mod socket;

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::pair::Listing;
use openwfp_api::Completeness;
use openwfp_api::Result;
use socket::Drained;
use socket::Groups;
use socket::Requests;
use zeroize::Zeroizing;

/// How often a listing that could not be made whole is taken.
pub const ATTEMPTS_MAX: u32 = 5;

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
pub fn dump() -> Result<Dumps> {
    let groups = Groups::join()?;
    let mut requests = Requests::open()?;
    let (mut events, mut lost) = (Zeroizing::new(Vec::new()), None);
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
    // Only states and events have keys to wipe.
    let plain = |mut bytes: Zeroizing<Vec<u8>>| Some(std::mem::take(&mut *bytes));
    Ok(Dumps { states, policies: plain(policies), addresses: plain(addresses), events, lost })
}

/// Takes listings until one is whole, `attempts` at most; the last one is returned whatever it is.
fn take_until_whole(mut take: impl FnMut() -> Result<Dumps>, attempts: u32) -> Result<Listing> {
    let mut attempt = 1;
    loop {
        let mut listing = take()?.listing(of_the_kernel)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;
    use crate::wire::MessageKind;
    use openwfp_api::Code;

    fn done() -> Vec<u8> {
        let mut out = Vec::new();
        let message =
            Message { offset: 0, kind: MessageKind::Done, flags: 0, sequence: 1, port: 0, payload: &[0; 4] };
        message.emit(&mut out);
        out
    }

    fn empty(flags: u16) -> Dumps {
        let mut states = done();
        states[6..8].copy_from_slice(&flags.to_ne_bytes());
        // An interrupted dump carries the flag in its messages, the end mark among them.
        Dumps { states: states.into(), policies: Some(done()), addresses: Some(done()), ..Dumps::default() }
    }

    #[test]
    fn a_listing_with_lost_events_is_taken_again_until_it_is_whole() {
        let mut taken = 0;
        let listing = take_until_whole(
            || {
                taken += 1;
                let lost = (taken < 3).then(|| "the event buffer ran over".to_owned());
                Ok(Dumps { lost, ..empty(0) })
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
        let raw = Dumps { states: done()[..10].to_vec().into(), ..empty(0) };
        let error = raw.listing(of_the_kernel).unwrap_err();
        assert_eq!(error.code(), Code::RPC_E_INVALID_DATAPACKET);
        assert!(error.what().contains("states: byte 0"), "{error}");
    }
}
