//! The groups of a Unix socket's peer. Not part of the C ABI: it is here because no maintained crate has a safe form of this
//! system call, and only this crate may contain `unsafe` code.

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

/// Returns the supplementary groups of the process at the other end of a Unix socket, as they were when it connected.
///
/// Source: `SO_PEERGROUPS`, Linux 4.13.
///
/// # Errors
/// The system's, for instance if the descriptor is no connected Unix socket.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let mut bytes =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open while it is borrowed; the system writes at most `bytes` bytes to the buffer, which is as
        // long and aligned for `gid_t`, a `u32`; and it writes the length that it used or needs to `bytes`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = usize::try_from(bytes).map_err(io::Error::other)? / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // The system has told the length that it needs.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_groups_are_those_of_the_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
        let own: Vec<u32> = line.split_whitespace().map(|group| group.parse().unwrap()).collect();
        assert_eq!(peer_groups(one.as_fd()).unwrap(), own);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(peer_groups(file.as_fd()).is_err());
    }
}
