//! Calls that create, change, expire, delete, get and enumerate SA contexts.

use super::destroy_enum;
use super::keys;
use crate::Flavour;
use crate::abi::IPSEC_GETSPI0;
use crate::abi::IPSEC_GETSPI1;
use crate::abi::IPSEC_SA_BUNDLE0;
use crate::abi::IPSEC_SA_BUNDLE1;
use crate::abi::IPSEC_SA_CONTEXT_ENUM_TEMPLATE0;
use crate::abi::IPSEC_SA_CONTEXT0;
use crate::abi::IPSEC_SA_CONTEXT1;
use crate::abi::IPSEC_TRAFFIC0;
use crate::abi::IPSEC_TRAFFIC1;
use crate::abi::IPSEC_VIRTUAL_IF_TUNNEL_INFO0;
use crate::arena;
use crate::arena::Typical;
use crate::boundary::Out;
use crate::boundary::call;
use crate::boundary::optional;
use crate::boundary::required;
use crate::handle;
use crate::handle::Kind;
use crate::read;
use crate::write::Contexts;
use crate::write::One;
use crate::write::Version;
use crate::write::Version0;
use crate::write::Version1;
use openwfp_api::Code;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::InboundRequest;
use openwfp_api::NewSaContext;
use openwfp_api::Result;
use openwfp_api::SaBundle;
use openwfp_api::SaContextId;
use openwfp_api::Spi;
use openwfp_api::UpdateFlags;
use windows_sys::Win32::Foundation::HANDLE;

/// Creates an SA context without SAs, from version 0's traffic.
///
/// Stores 0 in `inbound_filter_id`, unless that is null.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextCreate0<F: Flavour>(
    engine_handle: HANDLE,
    outbound_traffic: *const IPSEC_TRAFFIC0,
    inbound_filter_id: *mut u64,
    id: *mut u64,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let traffic = unsafe { required(outbound_traffic, "outboundTraffic") }.map(read::traffic0);
        // SAFETY: the caller upholds the safety contract.
        unsafe { create(engine_handle, inbound_filter_id, id, || read::create(&traffic?, None)) }
    })
}

/// Creates an SA context without SAs, from version 1's traffic.
///
/// `virtual_if_tunnel_info` may be null. Stores 0 in `inbound_filter_id`, unless that is null.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextCreate1<F: Flavour>(
    engine_handle: HANDLE,
    outbound_traffic: *const IPSEC_TRAFFIC1,
    virtual_if_tunnel_info: *const IPSEC_VIRTUAL_IF_TUNNEL_INFO0,
    inbound_filter_id: *mut u64,
    id: *mut u64,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        create(engine_handle, inbound_filter_id, id, || {
            read::create(
                required(outbound_traffic, "outboundTraffic")?,
                optional(virtual_if_tunnel_info, "virtualIfTunnelInfo")?,
            )
        })
    })
}

/// # Safety
/// Same as [`Out::required`].
unsafe fn create(
    engine: HANDLE,
    inbound_filter_id: *mut u64,
    id: *mut u64,
    new: impl FnOnce() -> Result<NewSaContext>,
) -> Result {
    // The engine caches no filter, so there is no inbound filter id to return.
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe {
        Out::optional(inbound_filter_id, 0, "inboundFilterId")?;
        Out::required(id, 0, "id")?
    };
    out.set(handle::session(engine)?.sa_context_create(&new()?)?.0);
    Ok(())
}

/// Chooses the inbound SPI of an SA context, or returns the one already set; takes version 0's request.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextGetSpi0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI0,
    inbound_spi: *mut u32,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        choose_spi(engine_handle, id, inbound_spi, || read::get_spi0(required(get_spi, "getSpi")?))
    })
}

/// Chooses the inbound SPI of an SA context, or returns the one already set; takes version 1's request.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextGetSpi1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI1,
    inbound_spi: *mut u32,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        choose_spi(engine_handle, id, inbound_spi, || read::get_spi1(required(get_spi, "getSpi")?))
    })
}

/// # Safety
/// Same as [`Out::required`].
unsafe fn choose_spi(
    engine: HANDLE,
    id: u64,
    inbound_spi: *mut u32,
    request: impl FnOnce() -> Result<InboundRequest>,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { Out::required(inbound_spi, 0, "inboundSpi") }?;
    let session = handle::session(engine)?;
    out.set(session.sa_context_get_spi(SaContextId(id), &request()?)?.get());
    Ok(())
}

/// Sets the inbound SPI of an SA context to one that the caller chose.
///
/// Fails with `FWP_E_OUT_OF_BOUNDS` for an SPI below 256: 0 is never an SPI (RFC 4303 section 2.1), and
/// the others are reserved.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextSetSpi0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI1,
    inbound_spi: u32,
) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        // SAFETY: the caller upholds the safety contract.
        let request = unsafe { read::get_spi1(required(get_spi, "getSpi")?) }?;
        let spi = Spi::new(inbound_spi).ok_or_else(|| {
            Error::new(Code::FWP_E_OUT_OF_BOUNDS, "0 is not a valid SPI (RFC 4303 section 2.1)")
                .with_remedy("Use 256 or higher.")
        })?;
        session.sa_context_set_spi(SaContextId(id), &request, spi)
    })
}

/// Adds the inbound SAs of an SA context, from version 0's bundle.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextAddInbound0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound_bundle: *const IPSEC_SA_BUNDLE0,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_inbound(SaContextId(id), bundle0(inbound_bundle, "inboundBundle")?)
    })
}

/// Adds the inbound SAs of an SA context, from version 1's bundle.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextAddInbound1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound_bundle: *const IPSEC_SA_BUNDLE1,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_inbound(SaContextId(id), bundle1(inbound_bundle, "inboundBundle")?)
    })
}

/// Adds the outbound SAs of an SA context, which completes it, from version 0's bundle.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextAddOutbound0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    outbound_bundle: *const IPSEC_SA_BUNDLE0,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_outbound(SaContextId(id), bundle0(outbound_bundle, "outboundBundle")?)
    })
}

/// Adds the outbound SAs of an SA context, which completes it, from version 1's bundle.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextAddOutbound1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    outbound_bundle: *const IPSEC_SA_BUNDLE1,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_outbound(SaContextId(id), bundle1(outbound_bundle, "outboundBundle")?)
    })
}

/// # Safety
/// Same as [`read::bundle1`].
unsafe fn bundle0(bundle: *const IPSEC_SA_BUNDLE0, name: &str) -> Result<SaBundle> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { read::bundle1(&read::bundle0(required(bundle, name)?)) }
}

/// # Safety
/// Same as [`read::bundle1`].
unsafe fn bundle1(bundle: *const IPSEC_SA_BUNDLE1, name: &str) -> Result<SaBundle> {
    // SAFETY: the caller upholds the safety contract.
    unsafe { read::bundle1(required(bundle, name)?) }
}

/// Changes the parts of a complete SA context that `flags` selects.
///
/// Fails with `FWP_E_INVALID_FLAGS` for unknown flags.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextUpdate0<F: Flavour>(
    engine_handle: HANDLE,
    flags: u64,
    new_values: *const IPSEC_SA_CONTEXT1,
) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        let flags = UpdateFlags::from_bits(flags)?;
        // SAFETY: the caller upholds the safety contract.
        let values = unsafe { read::update_values(required(new_values, "newValues")?) }?;
        session.sa_context_update(flags, &values)
    })
}

/// Expires an SA context: removes its outbound SAs immediately, and its inbound SAs and the context
/// after 60 seconds.
pub fn IPsecSaContextExpire0<F: Flavour>(engine_handle: HANDLE, id: u64) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.sa_context_expire(SaContextId(id)))
}

/// Deletes an SA context with its SAs immediately, in any state.
pub fn IPsecSaContextDeleteById0<F: Flavour>(engine_handle: HANDLE, id: u64) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.sa_context_delete_by_id(SaContextId(id)))
}

/// Returns one SA context in version 0's structure.
///
/// The caller frees it with `FwpmFreeMemory0`. Fails with `FWP_E_NOT_FOUND` for an unknown id.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextGetById0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    sa_context: *mut *mut IPSEC_SA_CONTEXT0,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe { get_by_id::<Version0>(engine_handle, id, sa_context) })
}

/// Returns one SA context in version 1's structure.
///
/// The caller frees it with `FwpmFreeMemory0`. Fails with `FWP_E_NOT_FOUND` for an unknown id.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextGetById1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    sa_context: *mut *mut IPSEC_SA_CONTEXT1,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe { get_by_id::<Version1>(engine_handle, id, sa_context) })
}

/// # Safety
/// Same as [`Out::required`].
unsafe fn get_by_id<V: Version>(engine: HANDLE, id: u64, sa_context: *mut *mut V::Context) -> Result {
    // SAFETY: the caller upholds the safety contract.
    let out = unsafe { Out::required(sa_context, std::ptr::null_mut(), "saContext") }?;
    let session = handle::session(engine)?;
    // Request the right first: a remote session sends keys only after it was requested.
    let keys = keys(&*session)?;
    let context = session.sa_context_by_id(SaContextId(id))?;
    out.set(arena::build(&One::<V>::new(&context, keys.as_ref()))?.give());
    Ok(())
}

/// Creates an enumerator over a snapshot of the SA contexts; a null template selects all.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let (out, template) = unsafe {
            (
                Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?,
                read::context_template(enum_template)?,
            )
        };
        let session = handle::session(engine_handle)?;
        let id = session.sa_context_create_enum(&EnumOptions { template, ..EnumOptions::default() })?;
        out.set(handle::add(engine_handle, Kind::SaContexts, id)?);
        Ok(())
    })
}

/// Returns the next page of SA contexts, in version 0's structure.
///
/// The page is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextEnum0<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_CONTEXT0,
    num_entries_returned: *mut u32,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        enumerate::<Version0>(
            engine_handle,
            enum_handle,
            num_entries_requested,
            entries,
            num_entries_returned,
        )
    })
}

/// Returns the next page of SA contexts, in version 1's structure.
///
/// The page is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaContextEnum1<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_CONTEXT1,
    num_entries_returned: *mut u32,
) -> u32 {
    // SAFETY: the caller upholds the safety contract.
    call::<F>(|| unsafe {
        enumerate::<Version1>(
            engine_handle,
            enum_handle,
            num_entries_requested,
            entries,
            num_entries_returned,
        )
    })
}

/// Bytes per entry of recent pages.
static TYPICAL: Typical = Typical::new();

/// # Safety
/// Same as [`super::enumerate`].
unsafe fn enumerate<V: Version>(
    engine: HANDLE,
    enum_handle: HANDLE,
    requested: u32,
    entries: *mut *mut *mut V::Context,
    returned: *mut u32,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        super::enumerate(
            engine,
            (enum_handle, Kind::SaContexts),
            entries,
            returned,
            |session, id| session.sa_context_enum(id, requested),
            |entries, keys| arena::build_page(&Contexts::<V>::new(entries, keys), entries.len(), &TYPICAL),
        )
    }
}

/// Frees an enumerator of SA contexts.
pub fn IPsecSaContextDestroyEnumHandle0<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
    call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::SaContexts))
}
