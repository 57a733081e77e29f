//! SA contexts: their life, and enumerations of them.

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

/// Creates an SA context, with version 0's traffic.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextCreate0<F: Flavour>(
    engine_handle: HANDLE,
    outbound_traffic: *const IPSEC_TRAFFIC0,
    inbound_filter_id: *mut u64,
    id: *mut u64,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
        let traffic = unsafe { required(outbound_traffic, "outboundTraffic") }.map(read::traffic0);
        // SAFETY: as the caller says.
        unsafe { create(engine_handle, inbound_filter_id, id, || read::create(&traffic?, None)) }
    })
}

/// Creates an SA context.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextCreate1<F: Flavour>(
    engine_handle: HANDLE,
    outbound_traffic: *const IPSEC_TRAFFIC1,
    virtual_if_tunnel_info: *const IPSEC_VIRTUAL_IF_TUNNEL_INFO0,
    inbound_filter_id: *mut u64,
    id: *mut u64,
) -> u32 {
    // SAFETY: as the caller says.
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
/// As [`Out::required`].
unsafe fn create(
    engine: HANDLE,
    inbound_filter_id: *mut u64,
    id: *mut u64,
    new: impl FnOnce() -> Result<NewSaContext>,
) -> Result {
    // Nothing is cached, so that there is no inbound filter to tell.
    // SAFETY: as the caller says.
    let out = unsafe {
        Out::optional(inbound_filter_id, 0, "inboundFilterId")?;
        Out::required(id, 0, "id")?
    };
    out.set(handle::session(engine)?.sa_context_create(&new()?)?.0);
    Ok(())
}

/// Has the engine choose the inbound SPI, for version 0's traffic.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextGetSpi0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI0,
    inbound_spi: *mut u32,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        choose_spi(engine_handle, id, inbound_spi, || read::get_spi0(required(get_spi, "getSpi")?))
    })
}

/// Has the engine choose the inbound SPI.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextGetSpi1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI1,
    inbound_spi: *mut u32,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        choose_spi(engine_handle, id, inbound_spi, || read::get_spi1(required(get_spi, "getSpi")?))
    })
}

/// # Safety
/// As [`Out::required`].
unsafe fn choose_spi(
    engine: HANDLE,
    id: u64,
    inbound_spi: *mut u32,
    request: impl FnOnce() -> Result<InboundRequest>,
) -> Result {
    // SAFETY: as the caller says.
    let out = unsafe { Out::required(inbound_spi, 0, "inboundSpi") }?;
    let session = handle::session(engine)?;
    out.set(session.sa_context_get_spi(SaContextId(id), &request()?)?.get());
    Ok(())
}

/// Sets the inbound SPI.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextSetSpi0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    get_spi: *const IPSEC_GETSPI1,
    inbound_spi: u32,
) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        // SAFETY: as the caller says.
        let request = unsafe { read::get_spi1(required(get_spi, "getSpi")?) }?;
        let spi = Spi::new(inbound_spi).ok_or_else(|| {
            Error::new(Code::FWP_E_OUT_OF_BOUNDS, "0 is never an SPI (RFC 4303 section 2.1)")
                .with_remedy("choose one from 256 on")
        })?;
        session.sa_context_set_spi(SaContextId(id), &request, spi)
    })
}

/// Adds the inbound SAs, as version 0's bundle.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextAddInbound0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound_bundle: *const IPSEC_SA_BUNDLE0,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_inbound(SaContextId(id), bundle0(inbound_bundle, "inboundBundle")?)
    })
}

/// Adds the inbound SAs.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextAddInbound1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    inbound_bundle: *const IPSEC_SA_BUNDLE1,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_inbound(SaContextId(id), bundle1(inbound_bundle, "inboundBundle")?)
    })
}

/// Adds the outbound SAs, as version 0's bundle.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextAddOutbound0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    outbound_bundle: *const IPSEC_SA_BUNDLE0,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_outbound(SaContextId(id), bundle0(outbound_bundle, "outboundBundle")?)
    })
}

/// Adds the outbound SAs.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextAddOutbound1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    outbound_bundle: *const IPSEC_SA_BUNDLE1,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe {
        let session = handle::session(engine_handle)?;
        session.sa_context_add_outbound(SaContextId(id), bundle1(outbound_bundle, "outboundBundle")?)
    })
}

/// # Safety
/// As [`read::bundle1`].
unsafe fn bundle0(bundle: *const IPSEC_SA_BUNDLE0, name: &str) -> Result<SaBundle> {
    // SAFETY: as the caller says.
    unsafe { read::bundle1(&read::bundle0(required(bundle, name)?)) }
}

/// # Safety
/// As [`read::bundle1`].
unsafe fn bundle1(bundle: *const IPSEC_SA_BUNDLE1, name: &str) -> Result<SaBundle> {
    // SAFETY: as the caller says.
    unsafe { read::bundle1(required(bundle, name)?) }
}

/// Changes parts of a complete context.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextUpdate0<F: Flavour>(
    engine_handle: HANDLE,
    flags: u64,
    new_values: *const IPSEC_SA_CONTEXT1,
) -> u32 {
    call::<F>(|| {
        let session = handle::session(engine_handle)?;
        let flags = UpdateFlags::from_bits(flags)?;
        // SAFETY: as the caller says.
        let values = unsafe { read::update_values(required(new_values, "newValues")?) }?;
        session.sa_context_update(flags, &values)
    })
}

/// Starts the expiry of a context.
pub fn IPsecSaContextExpire0<F: Flavour>(engine_handle: HANDLE, id: u64) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.sa_context_expire(SaContextId(id)))
}

/// Deletes a context at once.
pub fn IPsecSaContextDeleteById0<F: Flavour>(engine_handle: HANDLE, id: u64) -> u32 {
    call::<F>(|| handle::session(engine_handle)?.sa_context_delete_by_id(SaContextId(id)))
}

/// One context, as version 0 has it.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextGetById0<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    sa_context: *mut *mut IPSEC_SA_CONTEXT0,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe { get_by_id::<Version0>(engine_handle, id, sa_context) })
}

/// One context.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextGetById1<F: Flavour>(
    engine_handle: HANDLE,
    id: u64,
    sa_context: *mut *mut IPSEC_SA_CONTEXT1,
) -> u32 {
    // SAFETY: as the caller says.
    call::<F>(|| unsafe { get_by_id::<Version1>(engine_handle, id, sa_context) })
}

/// # Safety
/// As [`Out::required`].
unsafe fn get_by_id<V: Version>(engine: HANDLE, id: u64, sa_context: *mut *mut V::Context) -> Result {
    // SAFETY: as the caller says.
    let out = unsafe { Out::required(sa_context, std::ptr::null_mut(), "saContext") }?;
    let session = handle::session(engine)?;
    // First, since a session elsewhere sends keys only once they were asked for.
    let keys = keys(&*session)?;
    let context = session.sa_context_by_id(SaContextId(id))?;
    out.set(arena::build(&One::<V>::new(&context, keys.as_ref()))?.give());
    Ok(())
}

/// Creates an enumerator of contexts.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: as the caller says.
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

/// The next page of contexts, as version 0 has them.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextEnum0<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_CONTEXT0,
    num_entries_returned: *mut u32,
) -> u32 {
    // SAFETY: as the caller says.
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

/// The next page of contexts.
///
/// # Safety
/// As [the module](crate::doors) says.
pub unsafe fn IPsecSaContextEnum1<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_CONTEXT1,
    num_entries_returned: *mut u32,
) -> u32 {
    // SAFETY: as the caller says.
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

/// What a page takes.
static TYPICAL: Typical = Typical::new();

/// # Safety
/// As [`super::enumerate`].
unsafe fn enumerate<V: Version>(
    engine: HANDLE,
    enum_handle: HANDLE,
    requested: u32,
    entries: *mut *mut *mut V::Context,
    returned: *mut u32,
) -> Result {
    // SAFETY: as the caller says.
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

/// Frees an enumerator of contexts.
pub fn IPsecSaContextDestroyEnumHandle0<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
    call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::SaContexts))
}
