//! The boundary: what every call does around its body, and how its arguments are first looked at.

use crate::Flavour;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::cell::RefCell;
use std::ffi::CString;
use std::ffi::c_char;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs a call's body: no panic leaves it, and an error becomes its number and the thread's last error.
pub(crate) fn call<F: Flavour>(body: impl FnOnce() -> Result) -> u32 {
    // What a panic leaves behind in the engine is the engine's to deal with: its locks outlive a panic.
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(Error::unreachable("a call of the C ABI panicked")));
    match result {
        Ok(()) => F::number(Code::ERROR_SUCCESS),
        Err(error) => {
            let code = error.code();
            let mut text = error.to_string().into_bytes();
            text.retain(|byte| *byte != 0);
            // A thread that is being torn down has no last error any more.
            let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
            F::number(code)
        }
    }
}

/// The text of the calling thread's last error: `OpenwfpLastErrorText`.
pub fn last_error_text() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

fn null(name: &str) -> Error {
    Error::new(Code::FWP_E_NULL_POINTER, format!("{name} is null"))
}

fn crooked(name: &str, address: usize, align: usize) -> Error {
    let what = format!("{name} is at {address:#x}, which is not a multiple of {align}");
    Error::new(Code::FWP_E_INVALID_PARAMETER, what)
}

/// What an argument points to.
///
/// # Errors
/// `FWP_E_NULL_POINTER` for null, `FWP_E_INVALID_PARAMETER` for an address that the type cannot have.
///
/// # Safety
/// The pointer is null, or points to a value that nobody changes while the reference lives.
pub(crate) unsafe fn required<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: as the caller says.
    unsafe { optional(pointer, name) }?.ok_or_else(|| null(name))
}

/// What an argument points to that may be null.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for an address that the type cannot have.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn optional<'a, T>(pointer: *const T, name: &str) -> Result<Option<&'a T>> {
    if !pointer.is_aligned() {
        return Err(crooked(name, pointer.addr(), align_of::<T>()));
    }
    // SAFETY: null or valid as the caller says, and aligned.
    Ok(unsafe { pointer.as_ref() })
}

/// The elements of an array; none for a length of 0, whatever the pointer is.
///
/// # Errors
/// As [`required`].
///
/// # Safety
/// As [`required`], for `len` values.
pub(crate) unsafe fn array<'a, T>(pointer: *const T, len: u32, name: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    if !pointer.is_aligned() {
        return Err(crooked(name, pointer.addr(), align_of::<T>()));
    }
    // SAFETY: valid for `len` values as the caller says, and aligned.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len as usize) })
}

/// Where a call puts a result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// The place that an argument names, with a first value that stands there if the call fails.
    ///
    /// # Errors
    /// As [`required`].
    ///
    /// # Safety
    /// The pointer is null, or points to memory for a value that nobody else uses while the call runs.
    pub(crate) unsafe fn required(pointer: *mut T, at_first: T, name: &str) -> Result<Out<T>> {
        if pointer.is_null() {
            return Err(null(name));
        }
        // SAFETY: as the caller says.
        unsafe { Out::optional(pointer, at_first, name) }
    }

    /// The same for a result that the caller may do without.
    ///
    /// # Errors
    /// As [`optional`].
    ///
    /// # Safety
    /// As [`Out::required`].
    pub(crate) unsafe fn optional(pointer: *mut T, at_first: T, name: &str) -> Result<Out<T>> {
        if !pointer.is_aligned() {
            return Err(crooked(name, pointer.addr(), align_of::<T>()));
        }
        let out = Out(pointer);
        out.set(at_first);
        Ok(out)
    }

    /// Puts the result there.
    pub(crate) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: memory for a value as the constructor's caller said, aligned as it checked.
            unsafe { self.0.write(value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernel;
    use crate::User;
    use std::ffi::CStr;

    fn last() -> String {
        // SAFETY: a string that lives until the next failure of this thread.
        unsafe { CStr::from_ptr(last_error_text()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn errors_and_panics_become_numbers_and_the_threads_last_error() {
        assert_eq!(last(), "");
        let failing = || Err(Error::new(Code::FWP_E_NOT_FOUND, "no such thing\0 here"));
        assert_eq!(call::<User>(failing), 0x8032_0008);
        assert_eq!(last(), "FWP_E_NOT_FOUND (0x80320008): no such thing here");
        assert_eq!(call::<Kernel>(failing), 0xC022_0008);
        assert_eq!(call::<User>(|| Ok(())), 0);
        assert!(last().starts_with("FWP_E_NOT_FOUND"), "a success says nothing");
        assert_eq!(call::<Kernel>(|| panic!("on purpose")), 0xC000_00E5);
        assert!(last().contains("panicked"));
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(last(), "")).join().unwrap());
        assert_eq!(call::<Kernel>(|| Err(Error::new(Code(0x1234), "no twin"))), 0xC000_0001);
    }

    #[test]
    fn pointers_that_are_null_or_crooked_are_told_by_name() {
        let value = [1_u32, 2, 3];
        let pointer = value.as_ptr();
        // SAFETY: null, or this array's address, or one that is refused before it is used.
        unsafe {
            assert_eq!(*required(pointer, "p").unwrap(), 1);
            assert_eq!(required::<u32>(std::ptr::null(), "p").unwrap_err().what(), "p is null");
            assert!(optional::<u32>(std::ptr::null(), "p").unwrap().is_none());
            let crooked = pointer.byte_add(1);
            assert_eq!(required(crooked, "p").unwrap_err().code(), Code::FWP_E_INVALID_PARAMETER);
            assert_eq!(array(pointer, 3, "p").unwrap(), value);
            assert!(array::<u32>(std::ptr::null(), 0, "p").unwrap().is_empty());
            assert_eq!(array::<u32>(std::ptr::null(), 1, "p").unwrap_err().code(), Code::FWP_E_NULL_POINTER);
            let mut place = 7;
            Out::required(&raw mut place, 0, "p").unwrap();
            assert_eq!(place, 0);
            Out::required(&raw mut place, 0, "p").unwrap().set(5);
            assert_eq!(place, 5);
            assert!(Out::<u32>::required(std::ptr::null_mut(), 0, "p").is_err());
            Out::<u32>::optional(std::ptr::null_mut(), 0, "p").unwrap().set(5);
        }
    }
}
