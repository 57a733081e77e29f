//! Captures: a kernel's dumps in files, for support cases and tests.

use crate::addresses;
use crate::error;
use crate::pair::Listing;
use crate::table::Tables;
use crate::wire::Messages;
use openwfp_api::Completeness;
use openwfp_api::Result;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

/// The dump of states.
pub const STATES: &str = "xfrm-state.nl";
/// The dump of policies; may be missing.
pub const POLICIES: &str = "xfrm-policy.nl";
/// The dump of this machine's addresses (`RTM_GETADDR`); may be missing.
pub const ADDRESSES: &str = "addresses.nl";

/// Reads a capture: a directory with netlink messages as received, back to back, in [`STATES`] and, if
/// they were taken, in [`POLICIES`] and [`ADDRESSES`].
///
/// # Errors
/// `FWP_E_NOT_FOUND` where there is no capture, `ERROR_ACCESS_DENIED` where it may not be read,
/// `RPC_E_INVALID_DATAPACKET` with file and offset for bytes that are not whole netlink dumps.
pub fn read(directory: &Path) -> Result<Listing> {
    let states = fs::read(directory.join(STATES)).map_err(|e| error::file(&directory.join(STATES), &e))?;
    let policies = optional(&directory.join(POLICIES))?;
    let own = optional(&directory.join(ADDRESSES))?;

    let mut tables = Tables::default();
    let place = |name: &str| directory.join(name).display().to_string();
    let mut interrupted =
        tables.add_state_dump(Messages::new(&states)).map_err(|e| error::bytes(&place(STATES), &e))?;
    if let Some(policies) = &policies {
        interrupted |= tables
            .add_policy_dump(Messages::new(policies))
            .map_err(|e| error::bytes(&place(POLICIES), &e))?;
    }
    let own = match &own {
        Some(own) => addresses::parse(Messages::new(own)).map_err(|e| error::bytes(&place(ADDRESSES), &e))?,
        None => HashSet::new(),
    };
    let completeness = if interrupted {
        Completeness::Incomplete("the kernel's states changed while this capture was taken".into())
    } else {
        Completeness::Whole
    };
    Ok(Listing { contexts: tables.pair(&own), completeness })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(error::file(path, &e)),
    }
}
