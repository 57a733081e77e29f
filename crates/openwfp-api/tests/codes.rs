//! The table of codes against the public lists: `tests/data/codes.csv` holds name and number of every
//! `FWP_E_*`, `STATUS_FWP_*` and `RPC_E_*` constant as Windows' headers have them.

use openwfp_api::Code;

#[test]
fn every_public_code_is_in_the_table_with_its_number() {
    let list = include_str!("data/codes.csv");
    for line in list.lines() {
        let (name, value) = line.split_once(',').unwrap();
        let value = u32::from_str_radix(value.trim_start_matches("0x"), 16).unwrap();
        let entry = Code::find(name).unwrap_or_else(|| panic!("{name} is missing"));
        let number = if entry.name == name { Some(entry.code.0) } else { entry.ntstatus };
        assert_eq!(number, Some(value), "{name}");
    }
    assert!(list.lines().count() > 180, "the list itself is cut");
}

#[test]
fn windows_sys_agrees_on_the_codes_that_the_engine_answers() {
    use windows_sys::Win32::Foundation as win;
    for (ours, theirs) in [
        (Code::FWP_E_NOT_FOUND, win::FWP_E_NOT_FOUND.cast_unsigned()),
        (Code::FWP_E_WRONG_SESSION, win::FWP_E_WRONG_SESSION.cast_unsigned()),
        (Code::FWP_E_TYPE_MISMATCH, win::FWP_E_TYPE_MISMATCH.cast_unsigned()),
        (Code::RPC_E_TIMEOUT, win::RPC_E_TIMEOUT.cast_unsigned()),
        (Code::ERROR_INVALID_HANDLE, win::ERROR_INVALID_HANDLE),
        (Code::ERROR_ACCESS_DENIED, win::ERROR_ACCESS_DENIED),
    ] {
        assert_eq!(ours.0, theirs, "{ours}");
    }
}
