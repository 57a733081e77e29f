//! Fixed bounds of what a client may send, and of what one may receive. `SECURITY.md` lists them with the configurable limits.

use crate::Code;
use crate::Error;
use crate::Result;
use std::cell::Cell;

/// Length of a display name, in characters.
pub const NAME: usize = 256;
/// Length of a description, in characters.
pub const DESCRIPTION: usize = 1024;
/// Length of any other text, in bytes.
pub const TEXT: usize = 65_536;
/// Length of a field of bytes, such as a provider's data.
pub const BYTES: usize = 1 << 20;
/// Number of values of a repeated field, unless another bound is given.
pub const LIST: usize = 65_536;
/// Number of SAs of a bundle, of selectors of an SA context, of tokens of an identity, and of the kinds of events of a
/// subscription.
pub const SHORT_LIST: usize = 1024;
/// Number of conditions of a filter.
pub const FILTER_CONDITIONS: usize = 16_384;
/// Number of conditions of the template of an enumerator or a subscription.
pub const TEMPLATE_CONDITIONS: usize = 1024;
/// Number of steps of a batch.
pub const BATCH_STEPS: usize = 65_536;
/// Length of the queue of a subscription, in notifications.
pub const QUEUE_LENGTH: usize = 1 << 20;
/// About how many bytes the notifications in the queues of all subscriptions of a user hold, except root's.
pub const QUEUED_BYTES: usize = 1 << 28;
/// About how many bytes the net events hold that an engine keeps.
pub const NET_EVENT_BYTES: usize = 1 << 26;
/// Length of a request before its user has a session, and of the request that opens one, in bytes.
pub const FIRST_REQUEST_BYTES: usize = 1 << 16;
/// Length of a request of a method that takes neither SA contexts nor objects, in bytes.
pub const SMALL_REQUEST_BYTES: usize = 1 << 20;
/// Number of streams of a connection: its session, its subscriptions, and calls at the same time.
pub const STREAMS: usize = 100;
/// Number of kernel policies in a page.
pub const KERNEL_POLICIES: usize = 1000;
/// Number of filters whose effects one call asks for.
pub const FILTER_EFFECTS: usize = 10_000;
/// Connections that only root can have.
pub const RESERVED_CONNECTIONS: usize = 16;
/// Refused calls of a user that the log has each second with a line of their own.
pub const REFUSALS_LOGGED: usize = 20;

/// Checks the size of a field.
///
/// # Errors
/// `RPC_S_INVALID_BOUND` with the field, its size and its bound.
pub fn check(field: &str, size: usize, bound: usize) -> Result {
    if size <= bound || TRUSTED.get() { Ok(()) } else { Err(exceeded(field, size, bound)) }
}

thread_local! {
    /// Whether this thread decodes what the engine itself has encoded.
    static TRUSTED: Cell<bool> = const { Cell::new(false) };
}

/// Decodes what the engine itself has encoded, such as a store's entries: no bound applies to it, because an earlier version may have
/// had other bounds.
pub fn trusted<T>(decode: impl FnOnce() -> T) -> T {
    let before = TRUSTED.replace(true);
    let decoded = decode();
    TRUSTED.set(before);
    decoded
}

fn exceeded(field: &str, size: usize, bound: usize) -> Error {
    Error::new(Code::RPC_S_INVALID_BOUND, format!("{field} has a size of {size}, and may have {bound}"))
}

/// Checks that there is room for another value of a repeated field.
///
/// # Errors
/// As [`check`].
pub fn check_room(field: &str, values: usize, bound: usize) -> Result {
    check(field, values + 1, bound)
}

/// Adds the name of a field to an error about a bound that has none yet.
pub(crate) fn in_field(error: Error, record: &str, field: &str) -> Error {
    if error.code() != Code::RPC_S_INVALID_BOUND || !error.what().starts_with(UNNAMED) {
        return error;
    }
    Error::new(error.code(), error.what().replacen(UNNAMED, &format!("{record}.{field}"), 1))
}

/// What stands for a field whose name is not known where it is checked.
pub(crate) const UNNAMED: &str = "a field";
