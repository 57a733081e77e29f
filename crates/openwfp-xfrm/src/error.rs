//! Errors of decoding dumps into contexts, and the code for each.

use crate::wire::WireError;
use openwfp_api::Code;
use std::io;
use std::path::Path;

/// Returns the error for a capture file that cannot be read.
pub(crate) fn file(path: &Path, error: &io::Error) -> openwfp_api::Error {
    let what = format!("cannot read {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => openwfp_api::Error::new(Code::FWP_E_NOT_FOUND, what).with_remedy(
            "A capture is a directory with xfrm-state.nl and, optionally, xfrm-policy.nl and addresses.nl.",
        ),
        io::ErrorKind::PermissionDenied => openwfp_api::Error::new(Code::ERROR_ACCESS_DENIED, what)
            .with_remedy("Make the file readable for this user."),
        _ => openwfp_api::Error::new(Code::FWP_E_INVALID_PARAMETER, what),
    }
}

/// Returns the error for malformed bytes; `place` is a file's path or the request sent to the kernel.
pub(crate) fn bytes(place: &str, error: &WireError) -> openwfp_api::Error {
    openwfp_api::Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("{place}: {error}"))
}
