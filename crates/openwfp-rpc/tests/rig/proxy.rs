//! A proxy that is as bad as a network can be.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What it does to what the server sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    /// Passes so many bytes, then closes.
    Cut(usize),
    /// Waits before each part.
    Delay(Duration),
}

/// A proxy before a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Once set, nothing passes any more in either direction, and nothing is closed: a cable that was cut.
    pub(crate) silent: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn new(server: SocketAddr, fault: Fault) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&silent);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let silent = Arc::clone(&shared);
                std::thread::spawn(move || pass(from, to, Fault::None, &silent));
                let silent = Arc::clone(&shared);
                std::thread::spawn(move || pass(server, client, fault, &silent));
            }
        });
        Proxy { address, silent }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, fault: Fault, silent: &AtomicBool) {
    let mut buffer = [0; 4096];
    let mut left = match fault {
        Fault::Cut(after) => after,
        _ => usize::MAX,
    };
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if silent.load(Ordering::Acquire) {
            // What comes is swallowed, as by a network that is not there.
            continue;
        }
        if let Fault::Delay(time) = fault {
            std::thread::sleep(time);
        }
        let part = count.min(left);
        left -= part;
        if to.write_all(&buffer[..part]).is_err() || left == 0 {
            break;
        }
    }
    for stream in [from, to] {
        // The other thread may have done it.
        drop(stream.shutdown(Shutdown::Both));
    }
}
