//! Captures: a kernel's dumps in files, for support cases and tests.

use crate::dumps::Dumps;
use crate::error;
use crate::snapshot::Origin;
use crate::snapshot::Snapshot;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::fs;
use std::io;
use std::io::Write;
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

/// Writes a capture to a directory, which is created if need be. Only the owner can read the files: they contain keys.
///
/// # Errors
/// `ERROR_ACCESS_DENIED` without permission, `FWP_E_INVALID_PARAMETER` if a file cannot be written for any other reason.
pub fn write(directory: &Path, dumps: &Dumps) -> Result {
    let file = |e: &io::Error, path: &Path| {
        let code = match e.kind() {
            io::ErrorKind::PermissionDenied => Code::ERROR_ACCESS_DENIED,
            _ => Code::FWP_E_INVALID_PARAMETER,
        };
        Error::new(code, format!("cannot write {}: {e}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|e| file(&e, directory))?;
    let parts = [
        (STATES, Some(&dumps.states[..])),
        (POLICIES, dumps.policies.as_deref()),
        (ADDRESSES, dumps.addresses.as_deref()),
    ];
    for (name, bytes) in parts {
        let path = directory.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(target_os = "linux")]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NOFOLLOW);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            // A file that was there keeps its permissions otherwise.
            #[cfg(unix)]
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            file.write_all(bytes.unwrap_or_default())
        });
        written.map_err(|e| file(&e, &path))?;
    }
    Ok(())
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(error::file(path, &e)),
    }
}
