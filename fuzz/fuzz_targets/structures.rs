//! Whatever C structures callers pass: the calls of the C ABI take or refuse them, and what they return is freed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_capi::User;
use openwfp_capi::abi::FWPM_FILTER_CONDITION0;
use openwfp_capi::abi::FWPM_FILTER0;
use openwfp_capi::abi::FWPM_SESSION_FLAG_DYNAMIC;
use openwfp_capi::abi::FWPM_SESSION0;
use openwfp_capi::abi::GUID;
use openwfp_capi::abi::HANDLE;
use openwfp_capi::abi::IPSEC_GETSPI1;
use openwfp_capi::abi::IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0;
use openwfp_capi::abi::IPSEC_SA_BUNDLE1;
use openwfp_capi::abi::IPSEC_SA_CONTEXT1;
use openwfp_capi::abi::IPSEC_SA0;
use openwfp_capi::abi::IPSEC_TRAFFIC1;
use openwfp_capi::doors::*;
use openwfp_fuzz::image::Image;
use openwfp_fuzz::image::SPIS;
use std::ptr::null;
use std::ptr::null_mut;

const SUCCESS: u32 = 0;
const ERROR_INTERNAL_ERROR: u32 = 0x54F;
const DACL: u32 = 4;

/// The sessions of an input, and the SA contexts that it creates.
struct Caller {
    /// The engine deletes its objects when it ends.
    dynamic: HANDLE,
    /// A dynamic session cannot create SA contexts.
    lasting: HANDLE,
    contexts: Vec<u64>,
    /// The traffic of the newest SA context.
    traffic: IPSEC_TRAFFIC1,
}

/// Frees what a call returned.
fn free<T>(mut returned: *mut T) {
    // SAFETY: nobody uses the memory any more.
    unsafe { openwfp_capi::free((&raw mut returned).cast()) };
    assert!(returned.is_null());
}

/// Creates an enumerator, claims a page in each version of the structure, frees them and it.
macro_rules! list {
    ($session:expr, $template:expr, $create:ident, $destroy:ident $(, $page:ident)+) => {{
        let (template, mut enumerator) = ($template, null_mut());
        let created = $create::<User>($session, template, &raw mut enumerator);
        if created == SUCCESS {
            $(
                let (mut entries, mut len) = (null_mut(), 0);
                assert_eq!($page::<User>($session, enumerator, 7, &raw mut entries, &raw mut len), SUCCESS);
                let page = std::slice::from_raw_parts(entries, len.try_into().expect("a short page"));
                for entry in page {
                    std::hint::black_box(entry.read());
                }
                free(entries);
            )+
            assert_eq!($destroy::<User>($session, enumerator), SUCCESS);
        }
        created
    }};
}

/// Adds a provider context, and gets it in each version of the structure.
macro_rules! add_context {
    ($caller:ident, $image:ident, $add:ident) => {{
        let mut id = 0;
        let added = $add::<User>($caller.dynamic, $image.one(), $image.descriptor(), &raw mut id);
        if added == SUCCESS {
            add_context!(@get $caller, id, FwpmProviderContextGetById0);
            add_context!(@get $caller, id, FwpmProviderContextGetById1);
            add_context!(@get $caller, id, FwpmProviderContextGetById2);
            add_context!(@get $caller, id, FwpmProviderContextGetById3);
        }
        added
    }};
    (@get $caller:ident, $id:ident, $get:ident) => {{
        let mut context = null_mut();
        // Older versions do not have each type.
        if $get::<User>($caller.dynamic, $id, &raw mut context) == SUCCESS {
            free(context);
        }
    }};
}

/// Adds a tunnel policy.
macro_rules! add_tunnel {
    ($caller:ident, $image:ident, $add:ident) => {{
        let (flags, mut len) = ($image.byte().into(), 0);
        let (main_mode, tunnel, conditions) = ($image.one(), $image.one(), $image.many(&mut len));
        let (module, sd) = ($image.one(), $image.descriptor());
        $add::<User>($caller.dynamic, flags, main_mode, tunnel, len, conditions, module, sd)
    }};
}

/// Returns what a pointer of an image points to, unless it is null or misaligned.
///
/// # Safety
/// Nobody else uses the structure.
unsafe fn valid<'s, T>(pointer: *mut T) -> Option<&'s mut T> {
    // SAFETY: the caller upholds the safety contract.
    pointer.is_aligned().then(|| unsafe { pointer.as_mut() }).flatten()
}

fn open(session: *const FWPM_SESSION0) -> Option<HANDLE> {
    let mut handle = null_mut();
    // SAFETY: the structure is valid.
    let opened = unsafe { FwpmEngineOpen0::<User>(null(), u32::MAX, null(), session, &raw mut handle) };
    (opened == SUCCESS).then_some(handle)
}

impl Caller {
    fn new() -> Caller {
        let dynamic = FWPM_SESSION0 { flags: FWPM_SESSION_FLAG_DYNAMIC, ..FWPM_SESSION0::default() };
        Caller {
            dynamic: open(&raw const dynamic).expect("the engine goes on"),
            lasting: open(null()).expect("the engine goes on"),
            contexts: Vec::new(),
            traffic: IPSEC_TRAFFIC1::default(),
        }
    }

    /// Returns the id of an SA context, most often of the newest one.
    fn context(&self, image: &mut Image<'_>) -> u64 {
        match image.byte() {
            240.. => 7,
            _ => self.contexts.last().copied().unwrap_or(0),
        }
    }

    /// Returns a request for an SPI, most often with the traffic of the newest SA context.
    fn request(&self, image: &mut Image<'_>) -> *mut IPSEC_GETSPI1 {
        let request = image.one::<IPSEC_GETSPI1>();
        // SAFETY: the image's pointers are null, misaligned or valid.
        if let Some(request) = unsafe { valid(request) }
            && image.byte() < 240
        {
            request.inboundIpsecTraffic = self.traffic;
            request.ipVersion = self.traffic.ipVersion;
        }
        request
    }

    fn create(&mut self, image: &mut Image<'_>) -> u32 {
        let (traffic, mut id) = (image.one::<IPSEC_TRAFFIC1>(), 0);
        // SAFETY: the image's pointers are null, misaligned or valid.
        let created = unsafe {
            IPsecSaContextCreate1::<User>(self.lasting, traffic, image.one(), null_mut(), &raw mut id)
        };
        if created == SUCCESS {
            self.contexts.push(id);
            // SAFETY: otherwise the call had failed.
            self.traffic = unsafe { *traffic };
        }
        created
    }

    /// Makes one call.
    ///
    /// # Safety
    /// The rules of [the calls](openwfp_capi::doors) apply to the image.
    unsafe fn call(&mut self, image: &mut Image<'_>) -> u32 {
        let Caller { dynamic, lasting, .. } = *self;
        // SAFETY: the caller upholds the safety contract.
        unsafe {
            match image.byte() % 29 {
                0 => FwpmProviderAdd0::<User>(dynamic, image.one(), image.descriptor()),
                1 => FwpmSubLayerAdd0::<User>(dynamic, image.one(), image.descriptor()),
                2 => FwpmCalloutAdd0::<User>(dynamic, image.one(), image.descriptor(), null_mut()),
                3 => FwpmFilterAdd0::<User>(dynamic, image.one(), image.descriptor(), null_mut()),
                4 => add_context!(self, image, FwpmProviderContextAdd0),
                5 => add_context!(self, image, FwpmProviderContextAdd1),
                6 => add_context!(self, image, FwpmProviderContextAdd2),
                7 => add_context!(self, image, FwpmProviderContextAdd3),
                8 => {
                    let (flags, mut len) = (image.byte().into(), 0);
                    let (main_mode, tunnel, conditions) = (image.one(), image.one(), image.many(&mut len));
                    FwpmIPsecTunnelAdd0::<User>(
                        dynamic,
                        flags,
                        main_mode,
                        tunnel,
                        len,
                        conditions,
                        image.descriptor(),
                    )
                }
                9 => add_tunnel!(self, image, FwpmIPsecTunnelAdd1),
                10 => add_tunnel!(self, image, FwpmIPsecTunnelAdd2),
                11 => add_tunnel!(self, image, FwpmIPsecTunnelAdd3),
                12 => list!(
                    dynamic,
                    image.one(),
                    FwpmFilterCreateEnumHandle0,
                    FwpmFilterDestroyEnumHandle0,
                    FwpmFilterEnum0
                ),
                13 => list!(
                    dynamic,
                    image.one(),
                    FwpmProviderContextCreateEnumHandle0,
                    FwpmProviderContextDestroyEnumHandle0,
                    FwpmProviderContextEnum3
                ),
                14 => list!(
                    dynamic,
                    image.one(),
                    FwpmSubLayerCreateEnumHandle0,
                    FwpmSubLayerDestroyEnumHandle0,
                    FwpmSubLayerEnum0
                ),
                15 => list!(
                    dynamic,
                    image.one(),
                    FwpmCalloutCreateEnumHandle0,
                    FwpmCalloutDestroyEnumHandle0,
                    FwpmCalloutEnum0
                ),
                16 => list!(
                    dynamic,
                    image.one(),
                    FwpmNetEventCreateEnumHandle0,
                    FwpmNetEventDestroyEnumHandle0,
                    FwpmNetEventEnum0,
                    FwpmNetEventEnum5
                ),
                17 => list!(
                    lasting,
                    image.one(),
                    IPsecSaContextCreateEnumHandle0,
                    IPsecSaContextDestroyEnumHandle0,
                    IPsecSaContextEnum0,
                    IPsecSaContextEnum1
                ),
                18 => {
                    // The engine keeps its owner, so that the next input can open sessions.
                    let parts = u32::from(image.byte()) & !1 | u32::from(image.byte()) << 24;
                    let (owner, group) = (image.sid(), image.sid());
                    FwpmEngineSetSecurityInfo0::<User>(lasting, parts, owner, group, image.acl(), null())
                }
                19 => {
                    let (key, parts) = (GUID::from_u128(image.byte().max(1).into()), image.byte().into());
                    let (owner, group) = (image.sid(), image.sid());
                    FwpmFilterSetSecurityInfoByKey0::<User>(
                        dynamic,
                        &raw const key,
                        parts,
                        owner,
                        group,
                        image.acl(),
                        null(),
                    )
                }
                20 => FwpmEngineSetOption0::<User>(lasting, image.byte().into(), image.one()),
                21 => self.create(image),
                22 => {
                    let (id, request, mut spi) = (self.context(image), self.request(image), 0);
                    IPsecSaContextGetSpi1::<User>(lasting, id, request, &raw mut spi)
                }
                23 => {
                    let spi = SPIS[usize::from(image.byte()) % SPIS.len()];
                    IPsecSaContextSetSpi0::<User>(lasting, self.context(image), self.request(image), spi)
                }
                24 => IPsecSaContextAddInbound0::<User>(lasting, self.context(image), image.one()),
                25 => IPsecSaContextAddInbound1::<User>(lasting, self.context(image), image.one()),
                26 => IPsecSaContextAddOutbound1::<User>(lasting, self.context(image), image.one()),
                27 => {
                    let (flags, values) = (image.byte().into(), image.one::<IPSEC_SA_CONTEXT1>());
                    if let Some(values) = valid(values) {
                        values.saContextId = self.context(image);
                    }
                    IPsecSaContextUpdate0::<User>(lasting, flags, values)
                }
                _ => {
                    let mut context = null_mut();
                    let got = IPsecSaContextGetById1::<User>(lasting, self.context(image), &raw mut context);
                    if got == SUCCESS {
                        free(context);
                    }
                    got
                }
            }
        }
    }
}

/// Returns examples: calls whose pointers are valid, the life of an SA context, and a filter.
fn examples() -> Vec<Vec<u8>> {
    let zeros = |len| vec![0; len];
    // A byte that is not 0 or 1 makes a valid pointer; what it points to follows.
    let each = (0..29).flat_map(|number| [9, 65].map(|rest| [vec![0, number], vec![rest; 300]].concat()));
    let create = [vec![21, 9], zeros(size_of::<IPSEC_TRAFFIC1>()), zeros(3)].concat();
    let set_spi = [vec![23, 0, 0, 9], zeros(size_of::<IPSEC_GETSPI1>()), zeros(6)].concat();
    // AES-GCM with a key of 20 bytes.
    let key = |id, config| [vec![id, config, 0, 20], zeros(20)].concat();
    let both = [zeros(size_of::<IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0>()), key(3, 3), key(3, 6)].concat();
    let sas = [vec![0, 5], zeros(size_of::<IPSEC_SA0>()), vec![0, 4, 9], both, zeros(3)].concat();
    let add = |number| [vec![number, 0, 9], zeros(size_of::<IPSEC_SA_BUNDLE1>()), sas.clone()].concat();
    let life = [vec![0], create, set_spi, add(25), add(26), vec![28, 0, 17, 0]].concat();
    // A named filter that permits what is sent to a network.
    let parts = vec![0, 17, b'x', 0, 0, 0, 0, 0, 0, 4, 9, 0, 5];
    let condition =
        [zeros(size_of::<FWPM_FILTER_CONDITION0>()), vec![11, 0, 129, 9], zeros(8), vec![1]].concat();
    let filter =
        [vec![0, 3, 9], zeros(size_of::<FWPM_FILTER0>()), parts, condition, vec![1, 0, 0, 0, 0]].concat();
    each.chain([life, filter]).collect()
}

fuzz_target!(
    init: {
        openwfp_fuzz::start_from(examples());
        // SAFETY: there are no other threads yet.
        unsafe { std::env::set_var("OPENWFP_ENGINE", "memory:") };
    },
    |bytes: &[u8]| {
        let mut image = Image::new(bytes);
        if let Some(handle) = open(image.one()) {
            assert_eq!(FwpmEngineClose0::<User>(handle), SUCCESS);
        }
        let mut caller = Caller::new();
        let Caller { lasting, dynamic, .. } = caller;
        let (mut list, mut descriptor) = (null_mut(), null_mut());
        // SAFETY: the pointers are null, or those of this function's own values.
        let got = unsafe {
            let (none, list, descriptor) = (null_mut(), &raw mut list, &raw mut descriptor);
            FwpmEngineGetSecurityInfo0::<User>(lasting, DACL, none, none, list, null_mut(), descriptor)
        };
        assert_eq!(got, SUCCESS);
        for _ in 0..16 {
            if image.is_empty() {
                break;
            }
            // SAFETY: the image's pointers are null, misaligned or valid.
            assert_ne!(unsafe { caller.call(&mut image) }, ERROR_INTERNAL_ERROR);
        }
        for id in caller.contexts {
            // Its lifetime may have ended.
            IPsecSaContextDeleteById0::<User>(lasting, id);
        }
        // SAFETY: the list is part of the descriptor, which is freed afterwards.
        let set = unsafe { FwpmEngineSetSecurityInfo0::<User>(lasting, DACL, null(), null(), list, null()) };
        assert_eq!(set, SUCCESS);
        free(descriptor);
        assert_eq!(FwpmEngineClose0::<User>(dynamic), SUCCESS);
        assert_eq!(FwpmEngineClose0::<User>(lasting), SUCCESS);
    }
);
