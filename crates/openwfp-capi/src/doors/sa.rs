//! Calls that enumerate single SAs and return the IPsec statistics.

use super::destroy_enum;
use crate::Flavour;
use crate::abi::IPSEC_SA_DETAILS0;
use crate::abi::IPSEC_SA_DETAILS1;
use crate::abi::IPSEC_SA_ENUM_TEMPLATE0;
use crate::abi::IPSEC_STATISTICS0;
use crate::abi::IPSEC_STATISTICS1;
use crate::arena;
use crate::arena::Typical;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use crate::handle::Kind;
use crate::read;
use crate::write::Entries;
use crate::write::Version;
use crate::write::Version0;
use crate::write::Version1;
use crate::write::statistics0;
use crate::write::statistics1;
use openwfp_api::Result;
use openwfp_api::SaEnumOptions;
use windows_sys::Win32::Foundation::HANDLE;

/// Creates an enumerator of single SAs, one entry per direction; a null template selects both
/// directions.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaCreateEnumHandle0<F: Flavour>(
    engine_handle: HANDLE,
    enum_template: *const IPSEC_SA_ENUM_TEMPLATE0,
    enum_handle: *mut HANDLE,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let (out, direction) = unsafe {
            (Out::required(enum_handle, std::ptr::null_mut(), "enumHandle")?, read::direction(enum_template)?)
        };
        let id = handle::session(engine_handle)?.sa_create_enum(&SaEnumOptions { direction })?;
        out.set(handle::add(engine_handle, Kind::Sas, id)?);
        Ok(())
    })
}

/// Returns the next page of single SAs, in version 0's structure.
///
/// The page is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaEnum0<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_DETAILS0,
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

/// Returns the next page of single SAs, in version 1's structure.
///
/// The page is one block, which the caller frees with `FwpmFreeMemory0`.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecSaEnum1<F: Flavour>(
    engine_handle: HANDLE,
    enum_handle: HANDLE,
    num_entries_requested: u32,
    entries: *mut *mut *mut IPSEC_SA_DETAILS1,
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
    entries: *mut *mut *mut V::Details,
    returned: *mut u32,
) -> Result {
    // SAFETY: the caller upholds the safety contract.
    unsafe {
        super::enumerate(
            engine,
            (enum_handle, Kind::Sas),
            entries,
            returned,
            |session, id| session.sa_enum(id, requested),
            |entries, keys| arena::build_page(&Entries::<V>::new(entries, keys), entries.len(), &TYPICAL),
        )
    }
}

/// Frees an enumerator of single SAs.
pub fn IPsecSaDestroyEnumHandle0<F: Flavour>(engine_handle: HANDLE, enum_handle: HANDLE) -> u32 {
    call::<F>(|| destroy_enum(engine_handle, enum_handle, Kind::Sas))
}

/// Returns the IPsec statistics in version 0's structure. Counters that nobody keeps are 0.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecGetStatistics0<F: Flavour>(
    engine_handle: HANDLE,
    ipsec_statistics: *mut IPSEC_STATISTICS0,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let out =
            unsafe { Out::required(ipsec_statistics, IPSEC_STATISTICS0::default(), "ipsecStatistics") }?;
        out.set(statistics0(&handle::session(engine_handle)?.statistics()?));
        Ok(())
    })
}

/// Returns the IPsec statistics in version 1's structure. Counters that nobody keeps are 0.
///
/// # Safety
/// The rules of [the module](crate::doors) apply.
pub unsafe fn IPsecGetStatistics1<F: Flavour>(
    engine_handle: HANDLE,
    ipsec_statistics: *mut IPSEC_STATISTICS1,
) -> u32 {
    call::<F>(|| {
        // SAFETY: the caller upholds the safety contract.
        let out =
            unsafe { Out::required(ipsec_statistics, IPSEC_STATISTICS1::default(), "ipsecStatistics") }?;
        out.set(statistics1(&handle::session(engine_handle)?.statistics()?));
        Ok(())
    })
}
