//! Calls that read and change the security descriptors of the engine, net events and the SA database.

use crate::Flavour;
use crate::abi::ACL;
use crate::abi::PSECURITY_DESCRIPTOR;
use crate::abi::PSID;
use crate::abi::SID;
use crate::arena;
use crate::boundary::Out;
use crate::boundary::call;
use crate::handle;
use crate::read;
use crate::write::Descriptor;
use openwfp_api::Result;
use openwfp_api::Securable;
use openwfp_api::SecurityInformation;
use windows_sys::Win32::Foundation::HANDLE;

macro_rules! security_info {
    ($get:ident, $set:ident, $of:expr, $what:literal) => {
        #[doc = concat!("Reads the security descriptor of ", $what, ".")]
        /// The requested parts are in one block, into which the other pointers point; the caller frees it with
        /// `FwpmFreeMemory0`. Fails with `ERROR_NOT_SUPPORTED` for the audit list (SACL) and with
        /// `FWP_E_INVALID_FLAGS` for unknown parts.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $get<F: Flavour>(
            engine_handle: HANDLE,
            security_info: u32,
            sid_owner: *mut PSID,
            sid_group: *mut PSID,
            dacl: *mut *mut ACL,
            sacl: *mut *mut ACL,
            security_descriptor: *mut PSECURITY_DESCRIPTOR,
        ) -> u32 {
            // SAFETY: the caller upholds the safety contract.
            call::<F>(|| unsafe {
                let out = DescriptorOut::new(sid_owner, sid_group, dacl, sacl, security_descriptor)?;
                out.get(engine_handle, $of, security_info)
            })
        }

        #[doc = concat!("Changes parts of the security descriptor of ", $what, ".")]
        /// Fails with `ERROR_NOT_SUPPORTED` for the audit list (SACL) and with `FWP_E_INVALID_FLAGS` for
        /// unknown parts.
        ///
        /// # Safety
        /// The rules of [the module](crate::doors) apply.
        pub unsafe fn $set<F: Flavour>(
            engine_handle: HANDLE,
            security_info: u32,
            sid_owner: *const SID,
            sid_group: *const SID,
            dacl: *const ACL,
            _sacl: *const ACL,
        ) -> u32 {
            call::<F>(|| {
                let session = handle::session(engine_handle)?;
                let parts = SecurityInformation::from_bits(security_info)?;
                // SAFETY: the caller upholds the safety contract.
                let descriptor = unsafe { read::descriptor(security_info, sid_owner, sid_group, dacl) }?;
                session.set_security_info($of, parts, &descriptor)
            })
        }
    };
}

security_info!(FwpmEngineGetSecurityInfo0, FwpmEngineSetSecurityInfo0, Securable::Engine, "the engine");
security_info!(
    FwpmNetEventsGetSecurityInfo0,
    FwpmNetEventsSetSecurityInfo0,
    Securable::NetEvents,
    "net events"
);
security_info!(IPsecSaDbGetSecurityInfo0, IPsecSaDbSetSecurityInfo0, Securable::SaDb, "the database of SAs");

/// The result pointers for a security descriptor and its parts.
pub(super) struct DescriptorOut {
    /// Owner, group, audit list (SACL) and access list (DACL), in the order of their offsets in the
    /// descriptor.
    parts: [Out<*mut u8>; 4],
    descriptor: Out<PSECURITY_DESCRIPTOR>,
}

impl DescriptorOut {
    /// # Safety
    /// Same as [`Out::required`].
    pub(super) unsafe fn new(
        owner: *mut PSID,
        group: *mut PSID,
        dacl: *mut *mut ACL,
        sacl: *mut *mut ACL,
        descriptor: *mut PSECURITY_DESCRIPTOR,
    ) -> Result<DescriptorOut> {
        let null = std::ptr::null_mut::<u8>;
        // SAFETY: the caller upholds the safety contract.
        unsafe {
            let parts = [
                Out::optional(owner.cast(), null(), "sidOwner")?,
                Out::optional(group.cast(), null(), "sidGroup")?,
                Out::optional(sacl.cast(), null(), "sacl")?,
                Out::optional(dacl.cast(), null(), "dacl")?,
            ];
            let descriptor = Out::required(descriptor, null().cast(), "securityDescriptor")?;
            Ok(DescriptorOut { parts, descriptor })
        }
    }

    /// Stores the requested parts: one block, into which the other pointers point.
    fn get(&self, engine: HANDLE, of: Securable, security_info: u32) -> Result {
        let session = handle::session(engine)?;
        self.put(&session.security_info(of, SecurityInformation::from_bits(security_info)?)?.to_bytes()?)
    }

    /// Stores a self-relative descriptor, and pointers to its parts.
    pub(super) fn put(&self, bytes: &[u8]) -> Result {
        let start: *mut u8 = arena::build(&Descriptor(bytes))?.give();
        // The header has four bytes, then four offsets of four bytes each.
        let offsets = bytes.iter().skip(4).copied().collect::<Vec<u8>>();
        for (part, offset) in self.parts.iter().zip(offsets.as_chunks().0) {
            let offset = u32::from_le_bytes(*offset) as usize;
            if offset != 0 {
                part.set(start.wrapping_add(offset));
            }
        }
        self.descriptor.set(start.cast());
        Ok(())
    }
}
