//! What the two sockets for messages of netfilter have in common.

use netlink_sys::Socket;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::sys::eventfd::EventFd;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_xfrm::live::force_buffer;
use std::os::fd::AsFd;

/// `NETLINK_NETFILTER`.
const NETFILTER: isize = 12;
/// Space for one receive.
pub(crate) const ROOM: usize = 64 * 1024;
/// Length of `nfgenmsg`, which precedes the attributes of a message.
pub(crate) const HEAD: usize = 4;

/// Opens a socket with a receive buffer of `buffer` bytes, or as many as the kernel allows.
///
/// # Errors
/// `RPC_E_SYS_CALL_FAILED` if a system call fails.
pub(crate) fn open(buffer: u32) -> Result<Socket> {
    let mut socket = Socket::new(NETFILTER).map_err(|e| failed("open a netlink socket", &e))?;
    socket.bind_auto().map_err(|e| failed("bind a netlink socket", &e))?;
    force_buffer(&socket, buffer);
    Ok(socket)
}

pub(crate) fn failed(what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::RPC_E_SYS_CALL_FAILED, format!("cannot {what}: {error}"))
}

/// What ends a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The thread is to stop.
    Stop,
    /// There is something to receive.
    Socket,
    /// The time is over, or the wait was interrupted.
    Nothing,
}

/// Waits for messages, for the order to stop, or until the time is over.
pub(crate) fn wait(socket: &Socket, stop: &EventFd, time: PollTimeout) -> Ready {
    let mut polled =
        [PollFd::new(stop.as_fd(), PollFlags::POLLIN), PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match nix::poll::poll(&mut polled, time) {
        Err(nix::errno::Errno::EINTR) => Ready::Nothing,
        Err(_) => Ready::Stop,
        Ok(_) if polled[0].any().unwrap_or(false) => Ready::Stop,
        Ok(_) if polled[1].any().unwrap_or(false) => Ready::Socket,
        Ok(_) => Ready::Nothing,
    }
}
