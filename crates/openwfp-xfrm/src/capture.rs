//! Captures: a kernel's dumps in files, for support cases and tests.

use crate::dumps::Dumps;
use crate::error;
use crate::snapshot::Origin;
use crate::snapshot::Snapshot;
use openwfp_api::Result;
use std::fs;
use std::io;
use std::path::Path;

/// File name of the dump of states.
pub const STATES: &str = "xfrm-state.nl";
/// File name of the dump of policies (optional).
pub const POLICIES: &str = "xfrm-policy.nl";
/// File name of the dump of this machine's addresses, `RTM_GETADDR` (optional).
pub const ADDRESSES: &str = "addresses.nl";

/// Reads a capture from a directory.
///
/// The directory holds netlink messages as received, back to back, in [`STATES`] and optionally in
/// [`POLICIES`] and [`ADDRESSES`].
///
/// # Errors
/// - `FWP_E_NOT_FOUND` if the directory or [`STATES`] does not exist
/// - `ERROR_ACCESS_DENIED` if a file may not be read
/// - `FWP_E_INVALID_PARAMETER` if a file cannot be read for any other reason
pub fn read(directory: &Path) -> Result<Snapshot> {
    let path = |name: &str| directory.join(name);
    let dumps = Dumps {
        states: fs::read(path(STATES)).map_err(|e| error::file(&path(STATES), &e))?.into(),
        policies: optional(&path(POLICIES))?,
        addresses: optional(&path(ADDRESSES))?,
        ..Dumps::default()
    };
    Ok(Snapshot { dumps, origin: Origin::Capture(directory.to_owned()) })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(error::file(path, &e)),
    }
}
