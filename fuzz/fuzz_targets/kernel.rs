//! Whatever bytes come as a kernel's messages: as dumps and as events they are read or refused, and what became of them is
//! made contexts of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_xfrm::Dumps;
use openwfp_xfrm::Inventory;
use openwfp_xfrm::wire::Messages;

fuzz_target!(|bytes: &[u8]| {
    let mut inventory = Inventory::default();
    for message in Messages::new(bytes).flatten() {
        let _ = inventory.apply(&message);
    }
    std::hint::black_box(inventory.contexts());
    let dumps = Dumps { states: bytes.to_vec().into(), policies: Some(bytes.to_vec()), ..Dumps::default() };
    if let Ok((listed, _)) = Inventory::from_dumps(&dumps, |part| format!("{part:?}")) {
        std::hint::black_box(listed.contexts());
    }
});
