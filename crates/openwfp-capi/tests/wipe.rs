//! Keys do not outlive the memory that held them: every block that the C ABI gives back to the system is looked at.
#![allow(clippy::unwrap_used, reason = "a test")]

use openwfp_capi::User;
use openwfp_capi::doors;
use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::ffi::c_void;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform::*;

/// What the key consists of; 20 bytes in a row of it are no accident.
const SECRET: u8 = 0xA7;
static LEAKS: AtomicUsize = AtomicUsize::new(0);
static LOOKED_AT: AtomicUsize = AtomicUsize::new(0);

/// Counts freed blocks of a page's size that still hold the key.
struct Watching;

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says. Zeroed, so that looking at it below reads no uninitialised bytes.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // Pages and single contexts are larger, what else holds keys on its way wipes itself (see `Key`).
        if layout.size() >= 600 {
            // SAFETY: the block is still there. Padding within it has no value for the language, and Miri says so; it has
            // one for whoever gets the memory next, which is what this is about.
            let bytes = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            LOOKED_AT.fetch_add(1, Ordering::Relaxed);
            if bytes.windows(20).any(|window| window.iter().all(|byte| *byte == SECRET)) {
                LEAKS.fetch_add(1, Ordering::Relaxed);
            }
        }
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

#[test]
fn freed_pages_hold_no_keys() {
    let mut key = [SECRET; 20];
    // SAFETY: pointers to this function's own values, which outlive the calls.
    unsafe {
        let mut engine = std::ptr::null_mut();
        let null = std::ptr::null();
        assert_eq!(
            doors::FwpmEngineOpen0::<User>(null, u32::MAX, null.cast(), null.cast(), &raw mut engine),
            0
        );
        let mut traffic = IPSEC_TRAFFIC1::default();
        traffic.Anonymous1.localV4Address = 1;
        traffic.Anonymous2.remoteV4Address = 2;
        let mut id = 0;
        let none = std::ptr::null();
        assert_eq!(
            doors::IPsecSaContextCreate1::<User>(
                engine,
                &raw const traffic,
                none,
                std::ptr::null_mut(),
                &raw mut id
            ),
            0
        );
        let request = IPSEC_GETSPI1 { inboundIpsecTraffic: traffic, ..Default::default() };
        assert_eq!(doors::IPsecSaContextSetSpi0::<User>(engine, id, &raw const request, 0x5000), 0);
        let mut both = IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0::default();
        both.saAuthInformation.authTransform.authTransformId =
            IPSEC_AUTH_TRANSFORM_ID0 { authType: IPSEC_AUTH_AES_128, authConfig: 3 };
        both.saCipherInformation.cipherTransform.cipherTransformId =
            IPSEC_CIPHER_TRANSFORM_ID0 { cipherType: IPSEC_CIPHER_TYPE_AES_128, cipherConfig: 6 };
        let blob = FWP_BYTE_BLOB { size: 20, data: key.as_mut_ptr() };
        both.saAuthInformation.authKey = blob;
        both.saCipherInformation.cipherKey = blob;
        let mut sa = IPSEC_SA0 {
            spi: 0x5000,
            saTransformType: IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER,
            ..Default::default()
        };
        sa.Anonymous.espAuthAndCipherInformation = &raw mut both;
        let bundle = IPSEC_SA_BUNDLE1 { numSAs: 1, saList: &raw mut sa, ..Default::default() };
        assert_eq!(doors::IPsecSaContextAddInbound1::<User>(engine, id, &raw const bundle), 0);
        assert_eq!(doors::IPsecSaContextAddOutbound1::<User>(engine, id, &raw const bundle), 0);

        for _ in 0..2 {
            let mut context: *mut IPSEC_SA_CONTEXT1 = std::ptr::null_mut();
            assert_eq!(doors::IPsecSaContextGetById1::<User>(engine, id, &raw mut context), 0);
            // A caller's changes do not mislead the wiping.
            let information =
                &mut *(*(*(*context).inboundSa).saBundle.saList).Anonymous.espAuthAndCipherInformation;
            assert_eq!(*information.saCipherInformation.cipherKey.data, SECRET);
            information.saCipherInformation.cipherKey = FWP_BYTE_BLOB::default();
            let mut pointer: *mut c_void = context.cast();
            openwfp_capi::free(&raw mut pointer);
        }
        let mut handle = std::ptr::null_mut();
        assert_eq!(
            doors::IPsecSaContextCreateEnumHandle0::<User>(engine, std::ptr::null(), &raw mut handle),
            0
        );
        let (mut page, mut returned) = (std::ptr::null_mut::<*mut IPSEC_SA_CONTEXT1>(), 0);
        assert_eq!(
            doors::IPsecSaContextEnum1::<User>(engine, handle, 10, &raw mut page, &raw mut returned),
            0
        );
        assert_eq!(returned, 1);
        let mut pointer: *mut c_void = page.cast();
        openwfp_capi::free(&raw mut pointer);
        assert_eq!(doors::FwpmEngineClose0::<User>(engine), 0);
    }
    assert!(LOOKED_AT.load(Ordering::Relaxed) >= 3, "the three blocks were seen");
    assert_eq!(LEAKS.load(Ordering::Relaxed), 0);
}
