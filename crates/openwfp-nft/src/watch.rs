//! Puts the engine's table back after another program has changed or removed it, as `nft flush ruleset` does.

use crate::netlink;
use crate::netlink::HEAD;
use crate::netlink::ROOM;
use crate::netlink::Ready;
use crate::run::Owned;
use netlink_sys::Socket;
use nix::poll::PollTimeout;
use nix::sys::eventfd::EventFd;
use openwfp_api::Result;
use openwfp_xfrm::live::Worker;
use openwfp_xfrm::wire::Attributes;
use openwfp_xfrm::wire::Message;
use openwfp_xfrm::wire::Messages;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// `NFNL_SUBSYS_NFTABLES`, and `NFT_MSG_NEWGEN`, which ends the messages of a transaction.
const NFTABLES: u16 = 10;
const NEW_GENERATION: u16 = 15;
/// `NFPROTO_INET`.
const INET: u8 = 1;
/// The attribute with the table in every message but that of a generation: `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and so on.
const TABLE: u16 = 1;
/// `NFTA_GEN_PROC_NAME`.
const PROGRAM: u16 = 3;
/// Receive buffer in the kernel.
const BUFFER: u32 = 1 << 24;
/// Minimum time between two repairs, so that two programs that fight over a table do not use up the machine.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts the thread that watches the nftables of this thread's network namespace.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` without a free descriptor or thread, `RPC_E_SYS_CALL_FAILED` if another system call fails.
pub(crate) fn start(owned: Arc<Owned>) -> Result<Worker> {
    let socket = netlink::open(BUFFER)?;
    socket.add_membership(GROUP).map_err(|e| netlink::failed("subscribe to changes of nftables", &e))?;
    owned.content().ours = Some(VecDeque::new());
    Worker::start("openwfp-nft", move |stop| watch(&socket, stop, &owned))
}

fn watch(socket: &Socket, stop: &EventFd, owned: &Owned) {
    let mut bytes = Vec::with_capacity(ROOM);
    let mut seen = Seen::default();
    // When the table may be repaired next, and when it is to be.
    let (mut earliest, mut due) = (Instant::now(), None::<Instant>);
    loop {
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        // The next millisecond: the time is not to be over before it has come.
        let wait = wait.map_or(PollTimeout::NONE, |wait| {
            PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let ready = netlink::wait(socket, stop, wait);
        if ready == Ready::Stop {
            return;
        }
        if ready == Ready::Socket {
            bytes.clear();
            let other = match socket.recv(&mut bytes, 0) {
                Ok(_) => seen.other_program(&bytes, owned),
                // Messages are lost. They were of the engine's own change if one is outstanding, as of a large table, which
                // must not be set again and again for that; else of any program.
                Err(_) => {
                    seen = Seen::default();
                    let ours = owned.content().ours.replace(VecDeque::new());
                    ours.is_none_or(|ours| ours.is_empty()).then(|| "unknown".to_owned())
                }
            };
            if let Some(program) = other {
                tracing::warn!(
                    table = owned.table,
                    program,
                    "another program has changed the engine's nftables table; the engine puts it back"
                );
                due = due.or(Some(earliest.max(Instant::now())));
            }
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            earliest = Instant::now() + PAUSE;
            due = match owned.put_back() {
                Ok(()) => None,
                Err(error) => {
                    tracing::error!(
                        table = owned.table,
                        %error,
                        "cannot put back the engine's nftables table: its filters have no effect; the engine will try again"
                    );
                    Some(earliest)
                }
            };
        }
    }
}

/// What the messages of a transaction have told so far.
#[derive(Default)]
struct Seen {
    is_concerned: bool,
}

impl Seen {
    /// Returns the name of the program if another one has changed the table in a transaction that ends in this datagram,
    /// escaped.
    fn other_program(&mut self, bytes: &[u8], owned: &Owned) -> Option<String> {
        let mut other = None;
        for message in Messages::new(bytes).flatten() {
            if !self.ends_with(&message, &owned.table) {
                continue;
            }
            // `Owned::load` has this lock until the number of its process is known.
            let mut content = owned.content();
            let is_ours = content.ours.as_mut().is_some_and(|ours| is_next(ours, message.port));
            if std::mem::take(&mut self.is_concerned) && !is_ours {
                other = Some(program(&message));
            }
        }
        other
    }

    /// Notes whether a message concerns the table; returns whether it ends a transaction.
    fn ends_with(&mut self, message: &Message<'_>, table: &str) -> bool {
        let (subsystem, kind) = (message.kind.number() >> 8, message.kind.number() & 0xFF);
        if subsystem == NFTABLES && kind != NEW_GENERATION && message.payload.first() == Some(&INET) {
            let of_table = attribute(message, TABLE).is_some_and(|name| text(name) == table.as_bytes());
            self.is_concerned |= of_table;
        }
        subsystem == NFTABLES && kind == NEW_GENERATION
    }
}

/// Removes a process from those whose changes are still to come, with all before it; returns whether it is one of them. The
/// kernel gives a socket the number of its process as its port.
fn is_next(ours: &mut VecDeque<u32>, port: u32) -> bool {
    let at = ours.iter().position(|process| *process == port);
    if let Some(at) = at {
        ours.drain(..=at);
    }
    at.is_some()
}

/// Returns the name of the program that made a generation, escaped.
fn program(message: &Message<'_>) -> String {
    attribute(message, PROGRAM).map_or_else(
        || "unknown".to_owned(),
        |name| String::from_utf8_lossy(text(name)).escape_debug().to_string(),
    )
}

fn attribute<'m>(message: &Message<'m>, kind: u16) -> Option<&'m [u8]> {
    let mut attributes = Attributes::new(message.payload, HEAD).flatten();
    attributes.find(|(of, ..)| *of == kind).map(|(_, value, _)| value)
}

/// Returns a text without its final zero.
fn text(value: &[u8]) -> &[u8] {
    value.strip_suffix(&[0]).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::Seen;
    use super::is_next;
    use openwfp_xfrm::wire::Message;
    use openwfp_xfrm::wire::MessageKind;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn message(kind: u16, payload: &[u8]) -> Message<'_> {
        let kind = MessageKind::from_number(super::NFTABLES << 8 | kind);
        Message { offset: 0, kind, flags: 0, sequence: 0, port: 0, payload }
    }

    /// A message about a table, as the kernel sends it.
    fn of_table(family: u8, name: &str) -> Vec<u8> {
        let length = u16::try_from(4 + name.len() + 1).unwrap().to_ne_bytes();
        [&[family, 0, 0, 0][..], &length, &super::TABLE.to_ne_bytes(), name.as_bytes(), &[0]].concat()
    }

    #[test]
    fn only_messages_about_the_table_concern_it() {
        let concerns = |kind, family, name| {
            let mut seen = Seen::default();
            assert!(!seen.ends_with(&message(kind, &of_table(family, name)), "openwfp"));
            seen.is_concerned
        };
        // 2 deletes a table, 8 a rule; 2 as a family is IPv4.
        assert!(concerns(2, super::INET, "openwfp") && concerns(8, super::INET, "openwfp"));
        assert!(!concerns(2, super::INET, "openwfp-7") && !concerns(2, 2, "openwfp"));
        let generation = [0; 4];
        assert!(Seen::default().ends_with(&message(super::NEW_GENERATION, &generation), "openwfp"));
    }

    #[test]
    fn a_process_counts_once_and_ends_those_before_it() {
        let mut ours = VecDeque::from([5, 6, 7]);
        assert!(!is_next(&mut ours, 8));
        assert!(is_next(&mut ours, 6) && !is_next(&mut ours, 5) && is_next(&mut ours, 7));
        assert!(ours.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_stop_the_thread(payload: Vec<u8>, kind: u16) {
            let message = message(kind & 0xFF, &payload);
            Seen::default().ends_with(&message, "openwfp");
            super::program(&message);
        }
    }
}
