//! Whatever bytes come as a security descriptor: they are read or refused, and what was read is written and read again, as
//! bytes and as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::Principal;
use openwfp_api::SecurityDescriptor;

fuzz_target!(
    init: openwfp_fuzz::start_from(
        ["O:BAG:SYD:PAI(D;CI;0x80;;;S-1-22-1-7)(A;OICIID;0xf0fff;;;WD)", "O:S-1-22-1-0", "D:"]
            .map(|text| text.parse::<SecurityDescriptor>().and_then(|one| one.to_bytes()).expect("an example")),
    ),
    |bytes: &[u8]| {
        let Ok(descriptor) = SecurityDescriptor::parse(bytes) else { return };
        let again = descriptor.to_bytes().expect("it is no longer than what it was read from");
        assert_eq!(SecurityDescriptor::parse(&again).as_ref(), Ok(&descriptor));
        // SDDL writes the flags of an access list with the list.
        if descriptor.dacl.is_some() || !descriptor.protected && !descriptor.auto_inherited {
            assert_eq!(descriptor.to_sddl().parse().as_ref(), Ok(&descriptor));
        }
        let mut principals = vec![Principal::unix(0, &[0]), Principal::unix(7, &[])];
        principals.extend(descriptor.owner.map(Principal::user));
        for principal in principals {
            std::hint::black_box(descriptor.rights_of(&principal));
        }
    }
);
