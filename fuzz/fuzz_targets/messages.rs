//! Whatever bytes come as a message: they are read or refused, and a context that was read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::KeyAccess;
use openwfp_rpc::codec;

fuzz_target!(|bytes: &[u8]| {
    codec::decode_all(bytes);
    if let Ok(context) = codec::decode_context(bytes) {
        let again = codec::encode_context(&context, Some(&KeyAccess::grant()));
        assert!(codec::decode_context(&again).is_ok_and(|read| read == context));
    }
});
