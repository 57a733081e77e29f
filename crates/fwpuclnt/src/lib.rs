//! `libfwpuclnt.so`: the user-mode form of the filter engine's API, declared in `fwpmu.h`.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API's names")]

openwfp_capi::export_calls!(openwfp_capi::User);
openwfp_capi::export_undocumented_calls!(openwfp_capi::User);
