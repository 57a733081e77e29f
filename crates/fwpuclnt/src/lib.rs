//! `libfwpuclnt.so`: the filter engine's API in its user-mode form, `fwpmu.h`.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API's names")]

openwfp_capi::export_calls!(openwfp_capi::User);
openwfp_capi::export_undocumented_calls!(openwfp_capi::User);
