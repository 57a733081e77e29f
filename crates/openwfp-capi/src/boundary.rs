//! The boundary around every call: catches panics, turns errors into codes and checks pointer
//! arguments.

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

/// Runs a call's body and returns its result as a number. An error also becomes the thread's last
/// error; a panic becomes `ERROR_INTERNAL_ERROR`.
pub(crate) fn call<F: Flavour>(body: impl FnOnce() -> Result) -> u32 {
    // The engine copes with any state that a panic leaves; its locks ignore poisoning.
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(Error::unreachable("a call of the C ABI panicked")));
    match result {
        Ok(()) => F::number(Code::ERROR_SUCCESS),
        Err(error) => {
            let code = error.code();
            let mut text = error.to_string().into_bytes();
            text.retain(|byte| *byte != 0);
            // A thread that is being torn down no longer has a last error.
            let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
            F::number(code)
        }
    }
}

/// Returns the text of the calling thread's last error, in UTF-8. C: `OpenwfpLastErrorText`.
///
/// The pointer is never null. The text is empty before the thread's first failing call, and valid until
/// its next one.
pub fn last_error_text() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

fn null(name: &str) -> Error {
    Error::new(Code::FWP_E_NULL_POINTER, format!("{name} is null"))
}

fn crooked(name: &str, address: usize, align: usize) -> Error {
    let what = format!("{name} is a misaligned pointer: {address:#x} is not a multiple of {align}");
    Error::new(Code::FWP_E_INVALID_PARAMETER, what)
}

/// Returns the value that a required pointer argument points to.
///
/// # Errors
/// `FWP_E_NULL_POINTER` for a null pointer, `FWP_E_INVALID_PARAMETER` for a misaligned one.
///
/// # Safety
/// The pointer is null, or points to a value that nobody changes while the reference lives.
pub(crate) unsafe fn required<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { optional(pointer, name) }?.ok_or_else(|| null(name))
}

/// Returns the value that an optional pointer argument points to; `None` for null.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for a misaligned pointer.
///
/// # Safety
/// Same as [`required`].
pub(crate) unsafe fn optional<'a, T>(pointer: *const T, name: &str) -> Result<Option<&'a T>> {
    if !pointer.is_aligned() {
        return Err(crooked(name, pointer.addr(), align_of::<T>()));
    }
    // SAFETY: null or valid, as the caller guarantees, and aligned, as just checked.
    Ok(unsafe { pointer.as_ref() })
}

/// Returns the elements of an array argument; an empty slice for a length of 0, whatever the pointer.
///
/// # Errors
/// Same as [`required`].
///
/// # Safety
/// Same as [`required`], for `len` values.
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
    // SAFETY: valid for `len` values, as the caller guarantees, and aligned, as just checked.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len as usize) })
}

/// A checked pointer through which a call returns a result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks a required result pointer and stores `at_first` there, which remains if the call fails.
    ///
    /// # Errors
    /// Same as [`required`].
    ///
    /// # Safety
    /// The pointer is null, or points to memory for a value that nobody else uses while the call runs.
    pub(crate) unsafe fn required(pointer: *mut T, at_first: T, name: &str) -> Result<Out<T>> {
        if pointer.is_null() {
            return Err(null(name));
        }
        // SAFETY: the caller upholds the safety contract.
        unsafe { Out::optional(pointer, at_first, name) }
    }

    /// Checks a result pointer that may be null; otherwise the same as [`Out::required`].
    ///
    /// # Errors
    /// Same as [`optional`].
    ///
    /// # Safety
    /// Same as [`Out::required`].
    pub(crate) unsafe fn optional(pointer: *mut T, at_first: T, name: &str) -> Result<Out<T>> {
        if !pointer.is_aligned() {
            return Err(crooked(name, pointer.addr(), align_of::<T>()));
        }
        let out = Out(pointer);
        out.set(at_first);
        Ok(out)
    }

    /// Stores the result, unless the pointer is null.
    pub(crate) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: the constructor's caller guaranteed memory for a value, and the constructor checked
            // its alignment.
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
        // SAFETY: the string lives until this thread's next failure.
        unsafe { CStr::from_ptr(last_error_text()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn errors_and_panics_become_numbers_and_the_threads_last_error() {
        assert_eq!(last(), "");
        let failing = || Err(Error::new(Code::FWP_E_NOT_FOUND, "no such thing\0 here"));
        assert_eq!(call::<User>(failing), 0x8032_0008);
        assert_eq!(last(), "no such thing here [FWP_E_NOT_FOUND 0x80320008]");
        assert_eq!(call::<Kernel>(failing), 0xC022_0008);
        assert_eq!(call::<User>(|| Ok(())), 0);
        assert!(last().contains("FWP_E_NOT_FOUND"), "a success changes nothing");
        assert_eq!(call::<Kernel>(|| panic!("on purpose")), 0xC000_00E5);
        assert!(last().contains("panicked"));
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(last(), "")).join().unwrap());
        assert_eq!(call::<Kernel>(|| Err(Error::new(Code(0x1234), "no twin"))), 0xC000_0001);
    }

    #[test]
    fn pointers_that_are_null_or_crooked_are_told_by_name() {
        let value = [1_u32, 2, 3];
        let pointer = value.as_ptr();
        // SAFETY: each pointer is null, valid, or rejected before it is used.
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
