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
pub(crate) fn open_private(path: &Path) -> Result<File> {
    let named = |code, what: &dyn std::fmt::Display| {
        Error::new(code, format!("cannot open {}: {what}", path.display()))
    };
    // A symbolic link could lead to somebody else's file, and a FIFO would keep this call waiting.
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|error| match error.kind() {
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

/// Checks that a redb file is as long as its header says. The library itself takes that for granted.
///
/// Source: redb's docs/design.md, "Database header".
pub(crate) fn check_length(path: &Path, mut file: &File) -> Result<(), String> {
    const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length == 0 {
        return Ok(());
    }
    let mut header = [0; 32];
    let read = file.read_exact(&mut header).and_then(|()| file.rewind());
    if read.is_err() || header[..9] != MAGIC {
        return Err(format!("{} does not begin as a store does", path.display()));
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
    match expected {
        Some(expected) if expected <= length => Ok(()),
        _ => Err(format!("it is truncated: it has {length} bytes, and its header speaks of more")),
    }
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
