//! What can go wrong between bytes and contexts, and the code for each.

use crate::wire::WireError;
use openwfp_api::Code;
use std::io;
use std::path::Path;

/// A file of a capture that cannot be read.
pub(crate) fn file(path: &Path, error: &io::Error) -> openwfp_api::Error {
    let what = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => openwfp_api::Error::new(Code::FWP_E_NOT_FOUND, what).with_remedy(
            "a capture is a directory with xfrm-state.nl and, for the selectors, xfrm-policy.nl",
        ),
        io::ErrorKind::PermissionDenied => {
            openwfp_api::Error::new(Code::ERROR_ACCESS_DENIED, what).with_remedy("make the file readable")
        }
        _ => openwfp_api::Error::new(Code::FWP_E_INVALID_PARAMETER, what),
    }
}

/// Bytes that are not what they should be; `place` is a file's path or what was asked of the kernel.
pub(crate) fn bytes(place: &str, error: &WireError) -> openwfp_api::Error {
    openwfp_api::Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("{place}: {error}"))
}
