//! This machine's addresses (`RTM_NEWADDR`), which tell the direction of states that no policy names.

use crate::wire::Attributes;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Problem;
use crate::wire::WireError;
use std::collections::HashSet;
use std::net::IpAddr;

/// `RTM_NEWADDR`.
const RTM_NEWADDR: u16 = 20;
/// Length of `ifaddrmsg`.
const IFADDRMSG_LEN: usize = 8;
/// The interface's address; on point-to-point links the peer's, and then [`IFA_LOCAL`] is ours.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// The addresses of a dump of `RTM_GETADDR`.
pub(crate) fn parse<'a>(
    messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
) -> Result<HashSet<IpAddr>, WireError> {
    let mut addresses = HashSet::new();
    for message in messages {
        let message = message?;
        // The kinds are named for XFRM, and the numbers mean other things in this dump.
        match message.kind.number() {
            RTM_NEWADDR => addresses.extend(address(&message)?),
            _ if message.kind == MessageKind::Done => return Ok(addresses),
            kind => {
                return Err(WireError { offset: message.offset, problem: Problem::ForeignMessage { kind } });
            }
        }
    }
    Err(WireError { offset: 0, problem: Problem::NoEnd })
}

fn address(message: &Message<'_>) -> Result<Option<IpAddr>, WireError> {
    let (mut own, mut other) = (None, None);
    for attribute in Attributes::new(message.payload, IFADDRMSG_LEN) {
        let (kind, bytes, _) = attribute.map_err(|(at, problem)| message.error(at, problem))?;
        let address = bytes
            .first_chunk::<16>()
            .map(|bytes| IpAddr::from(*bytes))
            .or_else(|| bytes.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)));
        match kind {
            IFA_LOCAL => own = address,
            IFA_ADDRESS => other = address,
            _ => {}
        }
    }
    Ok(own.or(other))
}
