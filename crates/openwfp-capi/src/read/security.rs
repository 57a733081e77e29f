//! Reads security descriptors, which callers pass in parts.

use crate::abi::ACL;
use crate::abi::SID;
use crate::boundary::optional;
use openwfp_api::Result;
use openwfp_api::SecurityDescriptor;
use openwfp_api::Sid;

const PROTECTED: u32 = 0x8000_0000;

/// Builds a descriptor from its parts. `bits` contains whether its access list is protected from
/// inheritance.
///
/// # Errors
/// Same as [`SecurityDescriptor::parse`].
///
/// # Safety
/// The pointers are null, or valid for the length in a SID's count or an access list's size.
pub(crate) unsafe fn descriptor(
    bits: u32,
    owner: *const SID,
    group: *const SID,
    dacl: *const ACL,
) -> Result<SecurityDescriptor> {
    let mut bytes = vec![0; 20];
    let mut control: u16 = 0x8000;
    // SAFETY: the caller upholds the safety contract.
    let parts = unsafe { [(4, sid(owner, "sidOwner")?), (8, sid(group, "sidGroup")?), (16, acl(dacl)?)] };
    for (place, part) in parts {
        let Some(part) = part else {
            continue;
        };
        // The total is at most 20 bytes, two SIDs of 68 bytes and an access list of 64 KiB.
        let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[place..place + 4].copy_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(part);
        if place == 16 {
            control |= 4;
        }
    }
    if bits & PROTECTED != 0 {
        control |= 0x1000;
    }
    bytes[0] = 1;
    bytes[2..4].copy_from_slice(&control.to_le_bytes());
    SecurityDescriptor::parse(&bytes)
}

/// # Safety
/// Same as [`descriptor`].
pub(super) unsafe fn sid<'a>(sid: *const SID, name: &str) -> Result<Option<&'a [u8]>> {
    // SAFETY: the caller guarantees the SID's header of 8 bytes; nothing beyond it is read before its
    // count is known.
    unsafe {
        let Some(header) = optional(sid.cast::<[u32; 2]>(), name)? else {
            return Ok(None);
        };
        // The parser rejects a header whose count is too high, so there is no need to read further.
        let count = usize::from(header[0].to_le_bytes()[1]);
        let count = if count > Sid::SUBAUTHORITIES_MAX { 0 } else { count };
        Ok(Some(std::slice::from_raw_parts(sid.cast(), 8 + 4 * count)))
    }
}

/// # Safety
/// Same as [`descriptor`].
unsafe fn acl<'a>(acl: *const ACL) -> Result<Option<&'a [u8]>> {
    // SAFETY: the caller guarantees the header, and as many bytes as its size field contains.
    unsafe {
        let Some(header) = optional(acl, "dacl")? else {
            return Ok(None);
        };
        let size = usize::from(header.AclSize).max(size_of::<ACL>());
        Ok(Some(std::slice::from_raw_parts(acl.cast(), size)))
    }
}
