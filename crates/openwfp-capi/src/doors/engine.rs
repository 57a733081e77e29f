//! Calls that open and close sessions and enumerate them.

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

/// Opens a session with an engine.
///
/// A null `server_name` selects the engine that `OPENWFP_ENGINE` names, else this machine's daemon,
/// else an engine in this process. The call fails with `ERROR_NOT_SUPPORTED` for a non-null
/// `auth_identity` and for an authentication service other than `RPC_C_AUTHN_DEFAULT` and
/// `RPC_C_AUTHN_WINNT`; in kernel mode, it fails with `FWP_E_INVALID_PARAMETER` for a non-null
/// `server_name`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmEngineOpen0<F: Flavour>(
    server_name: *const u16,
    authn_service: u32,
    auth_identity: *const c_void,
    session: *const FWPM_SESSION0,
    engine_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let (out, server, options) = unsafe {
            let out = Out::required(engine_handle, std::ptr::null_mut(), "engineHandle")?;
            let server =
                (!server_name.is_null()).then(|| wide::read(server_name, "serverName")).transpose()?;
            (out, server, read::session::<F>(optional(session, "session")?)?)
        };
        check_authn_service(authn_service)?;
        if !auth_identity.is_null() {
            let what = "authIdentity is not null; the engine identifies callers by their connection";
            return Err(Error::new(Code::ERROR_NOT_SUPPORTED, what).with_remedy("Pass null."));
        }
        if F::KERNEL && server.is_some() {
            let what = "serverName is not null; kernel-mode callers can use only the local engine";
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy("Pass null."));
        }
        out.set(handle::open(engines::open_session(server, options)?));
        Ok(())
    })
}

/// Closes a session: aborts its transaction, then frees its enumerators and subscriptions.
pub fn FwpmEngineClose0<F: Flavour>(engine_handle: HANDLE) -> u32 {
    call::<F>(|| handle::close(engine_handle)?.close())
}

/// Creates an enumerator of the open sessions.
///
/// The template may be null. Fails with `FWP_E_RESERVED` if its `reserved` field is not 0.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmSessionCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const FWPM_SESSION_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let (out, template) = unsafe {
            (
                Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?,
                optional(enum_template, "enumTemplate")?,
            )
        };
        if template.is_some_and(|template| template.reserved != 0) {
            let what = "the reserved field of the session template is not 0";
            return Err(
                Error::new(Code::FWP_E_RESERVED, what).with_remedy("Set it to 0, or pass a null template.")
            );
        }
        let id = handle::session(engine_handle)?.session_create_enum()?;
        out.set(handle::add(engine_handle, Kind::Sessions, id)?);
        Ok(())
    })
}

/// Returns the next page of sessions, in the order in which they were opened.
///
/// The page is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn FwpmSessionEnum0<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut FWPM_SESSION0,
    num_entries_returned: *mut u32,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
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
