//! Whatever text comes as SDDL: it is read or refused, and what was read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::SecurityDescriptor;

fuzz_target!(
    init: openwfp_fuzz::start_from(
        [
            "O:BAG:SYD:PARAI(D;CI;0x80;;;S-1-22-1-7)(A;OICINPIOID;GAGXGWGR;;;WD)",
            "O:S-1-0x100000000-4294967295D:(A;;RCSDWDWOCCDCLCSWRPWPDTLOCR;;;AN)(A;;64;;;CO)",
            "D:(OA;;1;guid;;WD)S:(AU;SA;1;;;WD)",
        ]
        .map(|text| text.as_bytes().to_vec()),
    ),
    |bytes: &[u8]| {
        let Some(Ok(descriptor)) = str::from_utf8(bytes).ok().map(str::parse::<SecurityDescriptor>) else {
            return;
        };
        let text = descriptor.to_sddl();
        assert_eq!(text.parse().as_ref(), Ok(&descriptor));
        if let Ok(bytes) = descriptor.to_bytes() {
            assert_eq!(SecurityDescriptor::parse(&bytes), Ok(descriptor));
        }
    }
);
