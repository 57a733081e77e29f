//! C structures made from an input: numbers are the input's bytes, and each pointer is null, misaligned, or valid for its type
//! and length, as the calls of the C ABI require.

use openwfp_capi::abi::*;
use std::alloc::Layout;
use windows_sys::Win32::Security::SECURITY_DESCRIPTOR;
use windows_sys::Win32::Security::SID_AND_ATTRIBUTES;

/// The memory of an input. Each structure, array and string has its own block, so that a sanitizer detects accesses beyond it.
pub struct Image<'i> {
    input: &'i [u8],
    blocks: Vec<(*mut u8, Layout)>,
}

/// A structure whose bytes may have any value, except for its pointers and their lengths.
///
/// # Safety
/// The type is made of numbers and pointers, and `mend` sets each pointer that the C ABI follows.
pub unsafe trait Structure: Copy {
    /// Makes pointers valid, and chooses numbers that select something more often than the input's bytes would.
    fn mend(&mut self, _image: &mut Image<'_>) {}
}

impl<'i> Image<'i> {
    /// Creates an image without structures.
    pub fn new(input: &'i [u8]) -> Image<'i> {
        Image { input, blocks: Vec::new() }
    }

    /// Returns whether all bytes of the input are used.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// Returns the next byte of the input, 0 after its end.
    pub fn byte(&mut self) -> u8 {
        self.input.split_off_first().copied().unwrap_or(0)
    }

    /// Returns a new block that begins with the input's next bytes and ends with zeros.
    fn block(&mut self, size: usize) -> *mut u8 {
        let layout = Layout::from_size_align(size.max(1), 16).expect("a small block");
        // SAFETY: its size is not 0.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        assert!(!start.is_null());
        self.blocks.push((start, layout));
        let bytes = self.input.split_off(..size.min(self.input.len())).unwrap_or_default();
        // SAFETY: the block is new and not shorter.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        start
    }

    fn array<T: Structure>(&mut self, len: usize) -> *mut T {
        let start = self.block(len * size_of::<T>()).cast::<T>();
        for index in 0..len {
            // SAFETY: the block has room for `len` values, for which all bytes are valid; 16 is a multiple of all alignments.
            unsafe {
                let mut value = start.add(index).read();
                value.mend(self);
                start.add(index).write(value);
            }
        }
        start
    }

    /// Returns a pointer to a structure: null, misaligned or valid.
    pub fn one<T: Structure>(&mut self) -> *mut T {
        match self.byte() {
            0 => std::ptr::null_mut(),
            1 if align_of::<T>() > 1 => std::ptr::without_provenance_mut(align_of::<T>() / 2),
            _ => self.array(1),
        }
    }

    /// Returns a pointer to an array and sets its length. A length for which no pointer is valid exceeds all limits of the ABI.
    pub fn many<T: Structure>(&mut self, len: &mut u32) -> *mut T {
        let what = self.byte();
        match what {
            0 => {
                *len = 0;
                std::ptr::without_provenance_mut(1)
            }
            1 => std::ptr::null_mut(),
            2 => {
                *len |= 0x8000_0000;
                self.array(1)
            }
            3 if align_of::<T>() > 1 => std::ptr::without_provenance_mut(align_of::<T>() / 2),
            _ => {
                *len = u32::from(what) % if size_of::<T>() == 1 { 64 } else { 4 };
                self.array(usize::try_from(*len).expect("a short array"))
            }
        }
    }

    /// Returns a pointer to a string of 16-bit units.
    pub fn wide(&mut self) -> *mut u16 {
        match self.byte() {
            0 => std::ptr::null_mut(),
            1 => std::ptr::without_provenance_mut(1),
            what => self.text(usize::from(what % 16)),
        }
    }

    /// Returns a pointer to units and a zero behind them.
    fn text<U: Structure + From<u8>>(&mut self, len: usize) -> *mut U {
        let start = self.array::<U>(len + 1);
        // SAFETY: the array is that long.
        unsafe { start.add(len).write(U::from(0)) };
        start
    }

    /// Returns a pointer to a SID. It has the length that its count requires.
    pub fn sid(&mut self) -> *mut SID {
        let what = self.byte();
        if what == 0 {
            return std::ptr::null_mut();
        }
        let count = if what < 240 { what % 4 } else { what };
        let start = self.block(8 + 4 * usize::from(count));
        // SAFETY: the block is not shorter.
        unsafe {
            start.write(u8::from(what % 32 != 31));
            start.add(1).write(count);
        }
        start.cast()
    }

    /// Returns a pointer to an access list. It has the length in its size field.
    pub fn acl(&mut self) -> *mut ACL {
        let what = self.byte();
        if what == 0 {
            return std::ptr::null_mut();
        }
        let len = usize::from(what).max(size_of::<ACL>());
        let start = self.block(len).cast::<ACL>();
        // SAFETY: the block is not shorter, and aligned.
        unsafe {
            (*start).AclRevision = 2;
            (*start).AclSize = what.into();
            (*start).AceCount %= 4;
        }
        start
    }

    /// Returns a pointer to a security descriptor, absolute or self-relative.
    pub fn descriptor(&mut self) -> PSECURITY_DESCRIPTOR {
        let what = self.byte();
        if what < 128 {
            return std::ptr::null_mut();
        }
        let protected = if what & 1 == 0 { 0 } else { 0x1000 };
        let (owner, group, dacl) = (self.sid(), self.sid(), self.acl());
        if what & 2 == 0 {
            let descriptor = SECURITY_DESCRIPTOR {
                Revision: 1,
                Control: protected | 4,
                Owner: owner.cast(),
                Group: group.cast(),
                Dacl: dacl,
                ..SECURITY_DESCRIPTOR::default()
            };
            let start = self.block(size_of::<SECURITY_DESCRIPTOR>()).cast::<SECURITY_DESCRIPTOR>();
            // SAFETY: the block is that long, and aligned.
            unsafe { start.write(descriptor) };
            return start.cast();
        }
        let mut bytes = vec![0; 20];
        bytes[0] = 1;
        bytes[2..4].copy_from_slice(&(0x8004 | protected).to_le_bytes());
        for (place, part) in [(4, owner.cast::<u8>()), (8, group.cast()), (16, dacl.cast())] {
            let Some((_, layout)) = self.blocks.iter().find(|(start, _)| *start == part) else { continue };
            let offset = u32::try_from(bytes.len()).expect("a short descriptor");
            bytes[place..place + 4].copy_from_slice(&offset.to_le_bytes());
            // SAFETY: the block is that long.
            bytes.extend(unsafe { std::slice::from_raw_parts(part, layout.size()) });
        }
        let start = self.block(bytes.len());
        // SAFETY: the block is that long.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        start.cast()
    }

    /// Returns one of these values or, rarely, the input's.
    fn pick<T: Copy>(&mut self, own: T, values: &[T]) -> T {
        match self.byte() {
            240.. => own,
            what => values[usize::from(what) % values.len()],
        }
    }

    /// Returns a number below a limit or, rarely, the input's.
    fn below(&mut self, own: i32, limit: u8) -> i32 {
        match self.byte() {
            240.. => own,
            what => (what % limit).into(),
        }
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        for (start, layout) in self.blocks.drain(..) {
            // SAFETY: the block was allocated with this layout, and pointers to it are used no longer than the image.
            unsafe { std::alloc::dealloc(start, layout) };
        }
    }
}

/// GUIDs of built-in objects and fields, and keys for other objects.
const GUIDS: [GUID; 20] = [
    GUID::from_u128(0),
    GUID::from_u128(1),
    GUID::from_u128(2),
    GUID::from_u128(3),
    FWPM_LAYER_OUTBOUND_TRANSPORT_V4,
    FWPM_LAYER_INBOUND_TRANSPORT_V6,
    FWPM_LAYER_ALE_AUTH_CONNECT_V4,
    FWPM_LAYER_IPSEC_V4,
    FWPM_LAYER_IKEEXT_V4,
    FWPM_SUBLAYER_UNIVERSAL,
    FWPM_CONDITION_IP_LOCAL_ADDRESS,
    FWPM_CONDITION_IP_REMOTE_ADDRESS,
    FWPM_CONDITION_IP_PROTOCOL,
    FWPM_CONDITION_IP_REMOTE_PORT,
    FWPM_CONDITION_ALE_APP_ID,
    FWPM_CONDITION_ALE_USER_ID,
    FWPM_CONDITION_FLAGS,
    FWPM_CALLOUT_IPSEC_OUTBOUND_TRANSPORT_V4,
    FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4,
    FWPM_KEYING_MODULE_IKEV2,
];

/// Mends what all versions of a structure share.
macro_rules! method {
    ($s:ident, $m:ident) => {{
        $s.authenticationMethodType = $m.below($s.authenticationMethodType, 14);
        match $s.authenticationMethodType {
            0 => $s.Anonymous.presharedKeyAuthentication.mend($m),
            1 | 7 | 8 => $s.Anonymous.certificateAuthentication.mend($m),
            4 | 9 | 10 => $s.Anonymous.sslAuthentication.mend($m),
            2 => $s.Anonymous.kerberosAuthentication.mend($m),
            6 => $s.Anonymous.cgaAuthentication.mend($m),
            _ => {}
        }
    }};
}

macro_rules! roots {
    ($s:ident, $m:ident) => {{
        $s.inboundConfigType = $m.below($s.inboundConfigType, 5);
        match $s.inboundConfigType {
            0 => {
                let inbound = &mut $s.Anonymous1.Anonymous;
                inbound.inboundRootArray = $m.many(&mut inbound.inboundRootArraySize);
            }
            _ => $s.Anonymous1.inboundEnterpriseStoreConfig = $m.one(),
        }
        $s.outboundConfigType = $m.below($s.outboundConfigType, 5);
        match $s.outboundConfigType {
            0 => {
                let outbound = &mut $s.Anonymous2.Anonymous;
                outbound.outboundRootArray = $m.many(&mut outbound.outboundRootArraySize);
            }
            _ => $s.Anonymous2.outboundEnterpriseStoreConfig = $m.one(),
        }
    }};
}

macro_rules! main_mode {
    ($s:ident, $m:ident) => {{
        $s.authenticationMethods = $m.many(&mut $s.numAuthenticationMethods);
        $s.ikeProposals = $m.many(&mut $s.numIkeProposals);
    }};
}

macro_rules! quick_mode {
    ($s:ident, $m:ident) => {{
        $s.ipsecProposals = $m.many(&mut $s.numIpsecProposals);
        $s.emPolicy = $m.one();
    }};
}

macro_rules! context {
    ($s:ident, $m:ident, $version:literal) => {{
        $s.providerContextKey.mend($m);
        $s.displayData.mend($m);
        $s.flags &= 3;
        $s.providerKey = $m.one();
        $s.providerData.mend($m);
        $s.r#type = $m.below($s.r#type, 15);
        $s.Anonymous.dataBuffer = policy($s.r#type, $version, $m).cast();
    }};
}

macro_rules! bundle {
    ($s:ident, $m:ident) => {{
        $s.flags &= 0xFF;
        $s.ipsecId = $m.one();
        $s.saList = $m.many(&mut $s.numSAs);
        $s.keyModuleState = $m.one();
        $s.ipVersion = $m.below($s.ipVersion, 3);
        $s.pfsGroup = $m.below($s.pfsGroup, 9);
    }};
}

/// Declares how the pointers of structures are mended.
macro_rules! structures {
    ($($name:ty: |$own:ident, $image:ident| $mend:expr;)*) => {$(
        // SAFETY: the closure sets all pointers that the C ABI follows.
        unsafe impl Structure for $name {
            #[allow(unused_variables, reason = "some have no pointers")]
            fn mend(&mut self, $image: &mut Image<'_>) {
                let $own = self;
                // SAFETY: all members of the unions are numbers and pointers, for which all bytes are valid.
                #[allow(unused_unsafe, reason = "some have no unions")]
                unsafe {
                    $mend;
                }
            }
        }
    )*};
}

structures! {
    u8: |s, m| ();
    u16: |s, m| ();
    u64: |s, m| ();
    i64: |s, m| ();
    f64: |s, m| ();
    FWP_BYTE_ARRAY6: |s, m| ();
    FWP_BYTE_ARRAY16: |s, m| ();
    FWP_V4_ADDR_AND_MASK: |s, m| s.mask = m.pick(s.mask, &[0, 0xFFFF_FF00, u32::MAX]);
    FWP_V6_ADDR_AND_MASK: |s, m| ();
    GUID: |s, m| *s = m.pick(*s, &GUIDS);
    FWP_BYTE_BLOB: |s, m| s.data = m.many(&mut s.size);
    SID_AND_ATTRIBUTES: |s, m| s.Sid = m.sid().cast();
    FWP_TOKEN_INFORMATION: |s, m| {
        s.sids = m.many(&mut s.sidCount);
        s.restrictedSids = m.many(&mut s.restrictedSidCount);
    };
    FWP_VALUE0: |s, m| {
        s.r#type = m.below(s.r#type, 20);
        value(s.r#type, &mut s.Anonymous, m);
    };
    FWP_CONDITION_VALUE0: |s, m| {
        s.r#type = match m.byte() {
            what @ 128..240 => 0x100 + i32::from(what % 3),
            _ => m.below(s.r#type, 20),
        };
        match s.r#type {
            FWP_V4_ADDR_MASK => s.Anonymous.v4AddrMask = m.one(),
            FWP_V6_ADDR_MASK => s.Anonymous.v6AddrMask = m.one(),
            FWP_RANGE_TYPE => s.Anonymous.rangeValue = m.one(),
            other => value(other, &mut *(&raw mut s.Anonymous).cast(), m),
        }
    };
    FWP_RANGE0: |s, m| {
        s.valueLow.mend(m);
        s.valueHigh.mend(m);
    };
    FWPM_DISPLAY_DATA0: |s, m| (s.name, s.description) = (m.wide(), m.wide());
    FWPM_FILTER_CONDITION0: |s, m| {
        s.fieldKey.mend(m);
        s.matchType = m.below(s.matchType, 14);
        s.conditionValue.mend(m);
    };
    FWPM_PROVIDER0: |s, m| {
        s.providerKey.mend(m);
        s.displayData.mend(m);
        s.flags &= 0x11;
        s.providerData.mend(m);
        s.serviceName = m.wide();
    };
    FWPM_SUBLAYER0: |s, m| {
        s.subLayerKey.mend(m);
        s.displayData.mend(m);
        s.flags &= 3;
        s.providerKey = m.one();
        s.providerData.mend(m);
    };
    FWPM_CALLOUT0: |s, m| {
        s.calloutKey.mend(m);
        s.displayData.mend(m);
        s.flags &= 0x7_0000;
        s.providerKey = m.one();
        s.providerData.mend(m);
        s.applicableLayer.mend(m);
    };
    FWPM_FILTER0: |s, m| {
        s.filterKey.mend(m);
        s.displayData.mend(m);
        s.flags &= 0x7F;
        s.providerKey = m.one();
        s.providerData.mend(m);
        s.layerKey.mend(m);
        s.subLayerKey.mend(m);
        s.weight.mend(m);
        s.filterCondition = m.many(&mut s.numFilterConditions);
        s.action.r#type = m.pick(s.action.r#type, &[0x1001, 0x1002, 0x5003, 0x6004, 0x4005]);
        s.action.Anonymous.calloutKey.mend(m);
        s.Anonymous.providerContextKey.mend(m);
        s.effectiveWeight.mend(m);
    };
    FWPM_SESSION0: |s, m| {
        s.sessionKey = GUID::from_u128(0);
        s.displayData.mend(m);
        s.sid = m.sid();
        s.username = m.wide();
    };
    FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0: |s, m| {
        s.providerKey = m.one();
        s.providerContextType = m.below(s.providerContextType, 15);
    };
    FWPM_PROVIDER_ENUM_TEMPLATE0: |s, m| ();
    FWPM_LAYER_ENUM_TEMPLATE0: |s, m| ();
    FWPM_SUBLAYER_ENUM_TEMPLATE0: |s, m| s.providerKey = m.one();
    FWPM_CALLOUT_ENUM_TEMPLATE0: |s, m| {
        s.providerKey = m.one();
        s.layerKey.mend(m);
    };
    FWPM_FILTER_ENUM_TEMPLATE0: |s, m| {
        s.providerKey = m.one();
        s.layerKey.mend(m);
        s.enumType = m.below(s.enumType, 3);
        s.flags &= 0x7F;
        s.providerContextTemplate = m.one();
        s.filterCondition = m.many(&mut s.numFilterConditions);
        s.calloutKey = m.one();
    };
    FWPM_NET_EVENT_ENUM_TEMPLATE0: |s, m| s.filterCondition = m.many(&mut s.numFilterConditions);

    IPSEC_KEYING_POLICY0: |s, m| s.keyModKeys = m.many(&mut s.numKeyMods);
    IPSEC_KEYING_POLICY1: |s, m| s.keyModKeys = m.many(&mut s.numKeyMods);
    IKEEXT_PROPOSAL0: |s, m| ();
    IKEEXT_CERT_ROOT_CONFIG0: |s, m| s.certData.mend(m);
    IKEEXT_CERTIFICATE_CRITERIA0: |s, m| {
        s.certData.mend(m);
        s.certHash.mend(m);
        (s.eku, s.name) = (m.one(), m.one());
    };
    IKEEXT_CERT_EKUS0: |s, m| s.eku = m.many::<Text>(&mut s.numEku).cast();
    IKEEXT_CERT_NAME0: |s, m| s.certName = m.wide();
    IKEEXT_KERBEROS_AUTHENTICATION0: |s, m| ();
    IKEEXT_KERBEROS_AUTHENTICATION1: |s, m| s.proxyServer = m.wide();
    IKEEXT_PRESHARED_KEY_AUTHENTICATION0: |s, m| s.presharedKey.mend(m);
    IKEEXT_PRESHARED_KEY_AUTHENTICATION1: |s, m| s.presharedKey.mend(m);
    IKEEXT_IPV6_CGA_AUTHENTICATION0: |s, m| (s.keyContainerName, s.cspName) = (m.wide(), m.wide());
    IKEEXT_AUTHENTICATION_METHOD0: |s, m| method!(s, m);
    IKEEXT_AUTHENTICATION_METHOD1: |s, m| method!(s, m);
    IKEEXT_AUTHENTICATION_METHOD2: |s, m| method!(s, m);
    IKEEXT_CERTIFICATE_AUTHENTICATION0: |s, m| roots!(s, m);
    IKEEXT_CERTIFICATE_AUTHENTICATION1: |s, m| {
        roots!(s, m);
        s.localCertLocationUrl.mend(m);
    };
    IKEEXT_CERTIFICATE_AUTHENTICATION2: |s, m| {
        s.inboundConfigType = m.below(s.inboundConfigType, 5);
        s.outboundConfigType = m.below(s.outboundConfigType, 5);
        let (inbound, outbound) = (&mut s.Anonymous1.Anonymous1, &mut s.Anonymous2.Anonymous1);
        inbound.inboundRootCriteria = m.many(&mut inbound.inboundRootArraySize);
        outbound.outboundRootCriteria = m.many(&mut outbound.outboundRootArraySize);
        s.localCertLocationUrl.mend(m);
    };
    IKEEXT_EM_POLICY0: |s, m| s.authenticationMethods = m.many(&mut s.numAuthenticationMethods);
    IKEEXT_EM_POLICY1: |s, m| s.authenticationMethods = m.many(&mut s.numAuthenticationMethods);
    IKEEXT_EM_POLICY2: |s, m| s.authenticationMethods = m.many(&mut s.numAuthenticationMethods);
    IKEEXT_POLICY0: |s, m| main_mode!(s, m);
    IKEEXT_POLICY1: |s, m| main_mode!(s, m);
    IKEEXT_POLICY2: |s, m| main_mode!(s, m);
    IPSEC_AUTH_TRANSFORM0: |s, m| {
        let id = &mut s.authTransformId;
        (id.authType, id.authConfig) = (m.below(id.authType, 5), m.byte() % 8);
        s.cryptoModuleId = m.one();
    };
    IPSEC_CIPHER_TRANSFORM0: |s, m| {
        let id = &mut s.cipherTransformId;
        (id.cipherType, id.cipherConfig) = (m.below(id.cipherType, 7), m.byte() % 10);
        s.cryptoModuleId = m.one();
    };
    IPSEC_AUTH_AND_CIPHER_TRANSFORM0: |s, m| {
        s.authTransform.mend(m);
        s.cipherTransform.mend(m);
    };
    IPSEC_SA_TRANSFORM0: |s, m| {
        s.ipsecTransformType = m.below(s.ipsecTransformType, 7);
        match s.ipsecTransformType {
            3 => s.Anonymous.espCipherTransform = m.one(),
            4 => s.Anonymous.espAuthAndCipherTransform = m.one(),
            _ => s.Anonymous.ahTransform = m.one(),
        }
    };
    IPSEC_PROPOSAL0: |s, m| {
        s.saTransforms = m.many(&mut s.numSaTransforms);
        s.pfsGroup = m.below(s.pfsGroup, 9);
    };
    IPSEC_TUNNEL_ENDPOINT0: |s, m| s.ipVersion = m.below(s.ipVersion, 3);
    IPSEC_TUNNEL_ENDPOINTS2: |s, m| {
        s.ipVersion = m.below(s.ipVersion, 3);
        s.remoteFqdn = m.wide();
        s.remoteAddresses = m.many(&mut s.numAddresses);
    };
    IPSEC_TRAFFIC_SELECTOR0: |s, m| s.ipVersion = m.below(s.ipVersion, 3);
    IPSEC_TRAFFIC_SELECTOR_POLICY0: |s, m| {
        s.localTrafficSelectors = m.many(&mut s.numLocalTrafficSelectors);
        s.remoteTrafficSelectors = m.many(&mut s.numRemoteTrafficSelectors);
    };
    IPSEC_TRANSPORT_POLICY0: |s, m| quick_mode!(s, m);
    IPSEC_TRANSPORT_POLICY1: |s, m| quick_mode!(s, m);
    IPSEC_TRANSPORT_POLICY2: |s, m| quick_mode!(s, m);
    IPSEC_TUNNEL_POLICY0: |s, m| {
        quick_mode!(s, m);
        s.tunnelEndpoints.ipVersion = m.below(s.tunnelEndpoints.ipVersion, 3);
    };
    IPSEC_TUNNEL_POLICY1: |s, m| {
        quick_mode!(s, m);
        s.tunnelEndpoints.ipVersion = m.below(s.tunnelEndpoints.ipVersion, 3);
    };
    IPSEC_TUNNEL_POLICY2: |s, m| {
        quick_mode!(s, m);
        s.tunnelEndpoints.mend(m);
    };
    IPSEC_TUNNEL_POLICY3: |s, m| {
        quick_mode!(s, m);
        s.tunnelEndpoints.mend(m);
        s.trafficSelectorPolicies = m.many(&mut s.numTrafficSelectorPolicy);
    };
    IPSEC_DOSP_OPTIONS0: |s, m| {
        s.publicIFLuids = m.many(&mut s.numPublicIFLuids);
        s.internalIFLuids = m.many(&mut s.numInternalIFLuids);
    };
    FWPM_CLASSIFY_OPTION0: |s, m| s.value.mend(m);
    FWPM_CLASSIFY_OPTIONS0: |s, m| s.options = m.many(&mut s.numOptions);
    FWPM_NETWORK_CONNECTION_POLICY_SETTING0: |s, m| s.value.mend(m);
    FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0: |s, m| s.settings = m.many(&mut s.numSettings);
    FWPM_PROVIDER_CONTEXT0: |s, m| context!(s, m, 0);
    FWPM_PROVIDER_CONTEXT1: |s, m| context!(s, m, 1);
    FWPM_PROVIDER_CONTEXT2: |s, m| context!(s, m, 2);
    FWPM_PROVIDER_CONTEXT3: |s, m| context!(s, m, 3);

    IPSEC_V4_UDP_ENCAPSULATION0: |s, m| ();
    IPSEC_VIRTUAL_IF_TUNNEL_INFO0: |s, m| ();
    IPSEC_TRAFFIC0: |s, m| {
        s.ipVersion = m.below(s.ipVersion, 3);
        s.trafficType = m.below(s.trafficType, 3);
    };
    IPSEC_TRAFFIC1: |s, m| {
        s.ipVersion = m.below(s.ipVersion, 3);
        s.trafficType = m.below(s.trafficType, 3);
    };
    IPSEC_GETSPI0: |s, m| {
        s.inboundIpsecTraffic.mend(m);
        s.ipVersion = m.below(s.ipVersion, 3);
        s.Anonymous.inboundUdpEncapsulation = m.one();
        s.rngCryptoModuleID = m.one();
    };
    IPSEC_GETSPI1: |s, m| {
        s.inboundIpsecTraffic.mend(m);
        s.ipVersion = m.below(s.ipVersion, 3);
        s.Anonymous.inboundUdpEncapsulation = m.one();
        s.rngCryptoModuleID = m.one();
    };
    IPSEC_SA_AUTH_INFORMATION0: |s, m| {
        s.authTransform.mend(m);
        s.authKey.mend(m);
    };
    IPSEC_SA_CIPHER_INFORMATION0: |s, m| {
        s.cipherTransform.mend(m);
        s.cipherKey.mend(m);
    };
    IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0: |s, m| {
        s.saAuthInformation.mend(m);
        s.saCipherInformation.mend(m);
    };
    IPSEC_SA0: |s, m| {
        s.spi = m.pick(s.spi, &SPIS);
        s.saTransformType = m.below(s.saTransformType, 7);
        match s.saTransformType {
            3 => s.Anonymous.espCipherInformation = m.one(),
            4 => s.Anonymous.espAuthAndCipherInformation = m.one(),
            _ => s.Anonymous.ahInformation = m.one(),
        }
    };
    IPSEC_TOKEN0: |s, m| ();
    IPSEC_ID0: |s, m| {
        (s.mmTargetName, s.emTargetName) = (m.wide(), m.wide());
        s.tokens = m.many(&mut s.numTokens);
    };
    IPSEC_KEYMODULE_STATE0: |s, m| s.stateBlob.mend(m);
    IPSEC_SA_BUNDLE0: |s, m| bundle!(s, m);
    IPSEC_SA_BUNDLE1: |s, m| bundle!(s, m);
    IPSEC_SA_DETAILS1: |s, m| {
        s.traffic.mend(m);
        s.saBundle.mend(m);
        s.Anonymous.udpEncapsulation = m.one();
        s.transportFilter = m.one();
    };
    IPSEC_SA_CONTEXT1: |s, m| {
        (s.inboundSa, s.outboundSa) = (m.one(), m.one());
    };
    IPSEC_SA_CONTEXT_ENUM_TEMPLATE0: |s, m| {
        s.localSubNet.mend(m);
        s.remoteSubNet.mend(m);
    };
}

/// The SPIs of most SAs.
pub const SPIS: [u32; 3] = [0x1000, 0x1001, 0xFF];

/// A pointer to a string of bytes.
#[derive(Clone, Copy)]
struct Text(*mut u8);

// SAFETY: the pointer is null, or points to bytes that end with a zero.
unsafe impl Structure for Text {
    fn mend(&mut self, image: &mut Image<'_>) {
        let what = image.byte();
        self.0 = if what == 0 { std::ptr::null_mut() } else { image.text(usize::from(what % 16)) };
    }
}

/// Sets the pointer of a value of this type.
fn value(kind: i32, union: &mut FWP_VALUE0_0, image: &mut Image<'_>) {
    match kind {
        4 => union.uint64 = image.one(),
        8 => union.int64 = image.one(),
        10 => union.double64 = image.one(),
        11 => union.byteArray16 = image.one(),
        12 | 14 | 16 => union.byteBlob = image.one(),
        13 => union.sid = image.sid(),
        15 => union.tokenInformation = image.one(),
        17 => union.unicodeString = image.wide(),
        18 => union.byteArray6 = image.one(),
        _ => {}
    }
}

/// Returns a pointer to the policy of a provider context, by its type and version.
fn policy(kind: i32, version: u8, image: &mut Image<'_>) -> *mut c_void {
    match (kind, version) {
        (0, 0 | 1) => image.one::<IPSEC_KEYING_POLICY0>().cast(),
        (0, _) => image.one::<IPSEC_KEYING_POLICY1>().cast(),
        (1 | 3 | 12, 0) => image.one::<IPSEC_TRANSPORT_POLICY0>().cast(),
        (1 | 3 | 12, 1) => image.one::<IPSEC_TRANSPORT_POLICY1>().cast(),
        (1 | 3 | 12, _) => image.one::<IPSEC_TRANSPORT_POLICY2>().cast(),
        (2 | 4 | 9, 0) => image.one::<IPSEC_TUNNEL_POLICY0>().cast(),
        (2 | 4 | 9, 1) => image.one::<IPSEC_TUNNEL_POLICY1>().cast(),
        (2 | 4 | 9, 2) => image.one::<IPSEC_TUNNEL_POLICY2>().cast(),
        (2 | 4 | 9, _) => image.one::<IPSEC_TUNNEL_POLICY3>().cast(),
        (5 | 6 | 10, 0) => image.one::<IKEEXT_POLICY0>().cast(),
        (5 | 6 | 10, 1) => image.one::<IKEEXT_POLICY1>().cast(),
        (5 | 6 | 10, _) => image.one::<IKEEXT_POLICY2>().cast(),
        (7, _) => image.one::<FWPM_CLASSIFY_OPTIONS0>().cast(),
        (11, _) => image.one::<IPSEC_DOSP_OPTIONS0>().cast(),
        (13, _) => image.one::<FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0>().cast(),
        _ => image.one::<FWP_BYTE_BLOB>().cast(),
    }
}
