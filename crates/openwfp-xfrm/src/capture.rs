//! Captures: a kernel's dumps in files, for support cases and tests.

use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::error;
use crate::pair::Listing;
use openwfp_api::Result;
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
    let path = |name: &str| directory.join(name);
    let dumps = Dumps {
        states: fs::read(path(STATES)).map_err(|e| error::file(&path(STATES), &e))?.into(),
        policies: optional(&path(POLICIES))?,
        addresses: optional(&path(ADDRESSES))?,
        ..Dumps::default()
    };
    dumps.listing(|part| {
        let name = match part {
            Part::Policies => POLICIES,
            Part::Addresses => ADDRESSES,
            // A capture has no events.
            Part::States | Part::Events => STATES,
        };
        path(name).display().to_string()
    })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(error::file(path, &e)),
    }
}
