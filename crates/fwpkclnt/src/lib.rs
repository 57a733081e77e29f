//! `libfwpkclnt.so`: the filter engine's API in its kernel-mode form, `fwpmk.h`.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API's names")]

openwfp_capi::export_calls!(openwfp_capi::Kernel);
