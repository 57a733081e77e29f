//! The file of a store: who may use it, and whether all of it is there.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Opens or creates a file that only this process's user can read and write.
///
/// # Errors
/// `ERROR_ACCESS_DENIED` if permission is denied, the file belongs to another user, or others can write it;
/// `FWP_E_INVALID_PARAMETER` if it is no regular file or cannot be opened for another reason.
pub(crate) fn open_private(path: &Path, is_new: bool) -> Result<File> {
    let named = |code, what: &dyn std::fmt::Display| {
        Error::new(code, format!("cannot open {}: {what}", path.display()))
    };
    // A symbolic link could lead to somebody else's file, and a FIFO would keep this call waiting.
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    let file = options.create_new(is_new).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => named(Code::ERROR_ACCESS_DENIED, &error),
        _ if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            named(Code::FWP_E_INVALID_PARAMETER, &"it is a symbolic link")
        }
        _ => named(Code::FWP_E_INVALID_PARAMETER, &error),
    })?;
    let found = file.metadata().map_err(|error| named(Code::FWP_E_INVALID_PARAMETER, &error))?;
    if !found.is_file() {
        return Err(named(Code::FWP_E_INVALID_PARAMETER, &"it is no regular file"));
    }
    let me = nix::unistd::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        let what = format!("it belongs to user {}, not to user {me}", found.uid());
        return Err(named(Code::ERROR_ACCESS_DENIED, &what)
            .with_remedy("Make sure that nobody has changed it, and give it to the daemon's user."));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o022 != 0 {
        let what = format!("other users can write it (mode {mode:04o})");
        return Err(named(Code::ERROR_ACCESS_DENIED, &what)
            .with_remedy("Make sure that nobody has changed it, then run chmod 600 on it."));
    }
    if mode & 0o077 != 0 {
        // It holds keys.
        file.set_permissions(PermissionsExt::from_mode(0o600))
            .map_err(|error| named(Code::ERROR_ACCESS_DENIED, &error))?;
    }
    Ok(file)
}

/// Checks that a redb file is as long as its header says. The library itself takes that for granted. Returns what is wrong.
///
/// Source: redb's docs/design.md, "Database header".
///
/// # Errors
/// The system's.
pub(crate) fn check_length(mut file: &File) -> io::Result<Option<String>> {
    const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
    let length = file.metadata()?.len();
    let mut header = [0; 32];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        Ok(()) if header[..9] == MAGIC => file.rewind()?,
        _ => return Ok(Some("it does not begin as a store does".to_owned())),
    }
    let number = |at: usize| {
        u64::from(u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
    };
    let (page, region_header, region_data) = (number(12), number(16), number(20));
    let (full, trailing) = (number(24), number(28));
    let pages = full
        .checked_mul(region_header + region_data)
        .and_then(|pages| pages.checked_add(if trailing > 0 { region_header + trailing } else { 0 }));
    let expected = pages.and_then(|pages| pages.checked_add(1)).and_then(|pages| pages.checked_mul(page));
    Ok(match expected {
        Some(expected) if expected <= length => None,
        _ => Some(format!("it is truncated: it has {length} bytes, fewer than its header says")),
    })
}

/// Returns the name under which a store is created.
pub(crate) fn early_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    name.push(format!(".{}-{:x}", std::process::id(), now.as_nanos()));
    PathBuf::from(name)
}

/// Returns a name for a damaged file that no file has.
pub(crate) fn free_name(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    (1..).map(named).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| named(0))
}
