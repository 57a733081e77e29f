//! Strings of 16-bit units (UTF-16).

use crate::arena::Sink;
use openwfp_api::Result;

/// Reads a caller's string. Null reads as an empty string; invalid units are replaced.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for a misaligned pointer.
///
/// # Safety
/// The pointer is null or points to a string with a terminating 0.
pub(crate) unsafe fn read(pointer: *const u16, name: &str) -> Result<String> {
    if pointer.is_null() {
        return Ok(String::new());
    }
    // SAFETY: the caller guarantees the first unit; this checks the alignment.
    unsafe { crate::boundary::required(pointer, name) }?;
    let mut len = 0;
    // SAFETY: the caller guarantees every unit up to the terminating 0.
    let units = unsafe {
        while *pointer.add(len) != 0 {
            len += 1;
        }
        std::slice::from_raw_parts(pointer, len)
    };
    Ok(String::from_utf16_lossy(units))
}

/// Writes a string with a terminating 0.
pub(crate) fn put(sink: &mut impl Sink, text: &str) -> *mut u16 {
    let len = text.encode_utf16().count();
    let places = sink.reserve::<u16>(len + 1);
    for (index, unit) in text.encode_utf16().chain([0]).enumerate() {
        sink.set(&places, index, unit);
    }
    places.start()
}
