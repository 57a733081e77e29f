//! Parses dumps of this machine's addresses (`RTM_NEWADDR`), which give the direction of states that
//! no policy uses.

use crate::wire::Attributes;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::Problem;
use crate::wire::WireError;
use std::collections::HashSet;
use std::net::IpAddr;

const RTM_NEWADDR: u16 = 20;
/// Length of `ifaddrmsg` in bytes.
const IFADDRMSG_LEN: usize = 8;
/// The interface's address; on a point-to-point link the peer's address, and [`IFA_LOCAL`] is then
/// this machine's.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Returns the addresses in an `RTM_GETADDR` dump.
pub(crate) fn parse<'a>(
    messages: impl Iterator<Item = Result<Message<'a>, WireError>>,
) -> Result<HashSet<IpAddr>, WireError> {
    let mut addresses = HashSet::new();
    for message in messages {
        let message = message?;
        // `MessageKind` is named for XFRM; in this dump the same numbers mean other things.
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
