//! Strings of 16-bit units.

use crate::arena::Sink;
use openwfp_api::Result;

/// A caller's string, null for an empty one; units that are no text are replaced.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for an odd address.
///
/// # Safety
/// The pointer is null or points to a string that ends with a 0.
pub(crate) unsafe fn read(pointer: *const u16, name: &str) -> Result<String> {
    if pointer.is_null() {
        return Ok(String::new());
    }
    // SAFETY: the first unit is there, as the caller says; this checks the address.
    unsafe { crate::boundary::required(pointer, name) }?;
    let mut len = 0;
    // SAFETY: every unit up to the 0 is there, as the caller says.
    let units = unsafe {
        while *pointer.add(len) != 0 {
            len += 1;
        }
        std::slice::from_raw_parts(pointer, len)
    };
    Ok(String::from_utf16_lossy(units))
}

/// A string for a caller, with its 0.
pub(crate) fn put(sink: &mut impl Sink, text: &str) -> *mut u16 {
    let len = text.encode_utf16().count();
    let places = sink.reserve::<u16>(len + 1);
    for (index, unit) in text.encode_utf16().chain([0]).enumerate() {
        sink.set(&places, index, unit);
    }
    places.start()
}
