//! The engine and the sessions with it.

use super::PageOut;
use super::destroy_enum;
use crate::Flavour;
use crate::abi::FWPM_SESSION_ENUM_TEMPLATE0;
use crate::abi::FWPM_SESSION0;
use crate::abi::c_void;
use crate::arena;
use crate::boundary::Out;
use crate::boundary::call;
use crate::boundary::optional;
use crate::engines;
use crate::handle;
use crate::handle::Kind;
use crate::read;
use crate::wide;
use crate::write::Sessions;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::check_authn_service;
use windows_sys::Win32::Foundation::HANDLE;

/// Opens a session.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn FwpmEngineOpen0<F: Flavour>(
    server_name: *const u16,
    authn_service: u32,
    auth_identity: *const c_void,
    session: *const FWPM_SESSION0,
    engine_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
        let (out, server, options) = unsafe {
            let out = Out::required(engine_handle, std::ptr::null_mut(), "engineHandle")?;
            let server =
                (!server_name.is_null()).then(|| wide::read(server_name, "serverName")).transpose()?;
            (out, server, read::session::<F>(optional(session, "session")?)?)
        };
        check_authn_service(authn_service)?;
        if !auth_identity.is_null() {
            let what = "an authIdentity was given, and this engine takes none: who calls is known without it";
            return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what).with_remedy("pass null"));
        }
        if F::KERNEL && server.is_some() {
            let what = "a serverName was given, and kernel-mode callers reach the local engine alone";
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy("pass null"));
        }
        out.set(handle::open(engines::open_session(server, options)?));
        Ok(())
    })
}

/// Ends a session, with all that it holds.
pub fn FwpmEngineClose0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::close(engine_handle)?.close())
}

/// Creates an enumerator of sessions.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn FwpmSessionCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const FWPM_SESSION_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
        let (out, template) = unsafe {
            (
                Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?,
                optional(enum_template, "enumTemplate")?,
            )
        };
        if template.is_some_and(|template| template.reserved != 0) {
            let what = "the template of an enumerator of sessions has its reserved field set";
            return Err(Error::new(Code::FWP_E_RESERVED, what).with_remedy("set it to 0, or pass null"));
        }
        let id = handle::session(engine_handle)?.session_create_enum()?;
        out.set(handle::add(engine_handle, Kind::Sessions, id)?);
        Ok(())
    })
}

/// The next page of sessions.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn FwpmSessionEnum0<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut FWPM_SESSION0,
    num_entries_returned: *mut u32,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
        let out = unsafe { PageOut::new(entries, num_entries_returned) }?;
        let session = handle::session(engine_handle)?;
        let id = handle::child(engine_handle, enum_handle, Kind::Sessions)?;
        let claim = session.session_enum(id, num_entries_requested)?;
        out.claim(claim, |sessions| arena::build(&Sessions(sessions)))
    })
}

/// Frees an enumerator of sessions.
pub fn FwpmSessionDestroyEnumHandle0<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
    call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::Sessions))
}
