//! `windows-sys`, and the C headers by both compilers, have the layouts, numbers, GUIDs and calls of the table.
#![allow(clippy::unwrap_used, reason = "a test")]

use abi_tests::Row;
use abi_tests::rows;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[allow(missing_docs, clippy::unnecessary_cast, clippy::cast_lossless, reason = "written from the table")]
pub mod winsys {
    use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform as win;
    use windows_sys::core::GUID;

    include!(concat!(env!("OUT_DIR"), "/winsys.rs"));
}

fn number(text: &str) -> i128 {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

#[test]
fn windows_sys_has_the_tables_layouts_numbers_and_guids() {
    let expected: BTreeMap<(&str, &str), Row<'_>> = rows("struct")
        .map(|row| ((row.name, ""), row))
        .chain(rows("field").map(|row| ((row.name, row.field), row)))
        .collect();
    for (name, field, found, align) in winsys::LAYOUTS {
        let row = &expected[&(*name, *field)];
        let wanted = if field.is_empty() { row.size } else { row.offset };
        assert_eq!(found.to_string(), wanted, "{name}.{field}");
        assert!(!field.is_empty() || align.to_string() == row.align, "alignment of {name}");
    }
    let numbers: BTreeMap<&str, String> = rows("enumerator")
        .map(|row| (row.field, row.value))
        .chain(rows("const").map(|row| (row.name, row.value)))
        .collect();
    for (name, found) in winsys::NUMBERS {
        assert_eq!(*found & 0xFFFF_FFFF_FFFF_FFFF, number(&numbers[name]) & 0xFFFF_FFFF_FFFF_FFFF, "{name}");
    }
    let guids: BTreeMap<&str, String> = rows("guid").map(|row| (row.name, row.value)).collect();
    for (name, found) in winsys::GUIDS {
        assert_eq!(guid_text(found.data1, found.data2, found.data3, &found.data4), guids[name], "{name}");
    }
    // As many as the table says that it has.
    let of = |kind: &str| rows(kind).filter(|row| row.sources.contains("winsys")).count();
    assert_eq!(winsys::LAYOUTS.len(), of("struct") + of("field"));
    assert_eq!(winsys::GUIDS.len(), of("guid"));
    assert!(winsys::NUMBERS.len() > 500);
}

fn guid_text(data1: u32, data2: u16, data3: u16, data4: &[u8]) -> String {
    let mut text = format!("{data1:08x}-{data2:04x}-{data3:04x}-");
    for (index, byte) in data4.iter().enumerate() {
        write!(text, "{}{byte:02x}", if index == 2 { "-" } else { "" }).unwrap();
    }
    text
}

/// A type as the headers spell it.
fn c_type(text: &str) -> String {
    text.replace("unsigned long", "ULONG")
        .replace("unsigned char", "UCHAR")
        .replace("unsigned short", "USHORT")
        .replace("wchar_t", "WCHAR")
}

/// A program that holds the headers against every row of the table: at compile time where C can, else when it runs.
fn program(kernel: bool) -> String {
    let mut c = String::from("#include <stdio.h>\n#include <stddef.h>\n");
    c.push_str(if kernel { "#include <fwpmk.h>\n" } else { "#include <fwpmu.h>\n#include <ntstatus.h>\n" });
    c.push_str("#define SAME(a, b) _Static_assert((a) == (b), #a \" is \" #b)\n");
    c.push_str("#define OF_TYPE(s, f, ...) _Static_assert(__builtin_types_compatible_p(__typeof__(((s *)0)->f), __VA_ARGS__), #s \".\" #f)\n");
    for row in rows("struct") {
        writeln!(c, "SAME(sizeof({0}), {1}); SAME(_Alignof({0}), {2});", row.name, row.size, row.align)
            .unwrap();
    }
    for row in rows("field") {
        let (name, field) = (row.name, row.field);
        writeln!(
            c,
            "SAME(offsetof({name}, {field}), {}); SAME(sizeof((({name} *)0)->{field}), {});",
            row.offset, row.size
        )
        .unwrap();
        if row.value != "struct" {
            writeln!(c, "OF_TYPE({name}, {field}, {});", c_type(&row.value)).unwrap();
        }
    }
    for row in rows("typedef").filter(|row| row.name != "PDL_ADDRESS_TYPE") {
        writeln!(c, "SAME(sizeof({0}), {1});", row.name, row.size).unwrap();
        let plain = c_type(&row.value);
        writeln!(c, "_Static_assert(__builtin_types_compatible_p({}, {plain}), \"{}\");", row.name, row.name)
            .unwrap();
    }
    for row in rows("enum") {
        writeln!(c, "SAME(sizeof({0}), {1});", row.name, row.size).unwrap();
    }
    for row in rows("enumerator") {
        writeln!(c, "SAME({}, {});", row.field, row.value).unwrap();
    }
    for row in rows("const").chain(rows("fwp_error")).chain(rows("win32_error")) {
        writeln!(c, "SAME((UINT64)({}), {}ull);", row.name, row.value).unwrap();
    }
    for row in rows("ntstatus") {
        writeln!(c, "SAME((UINT32)({}), {}u);", row.name, row.value).unwrap();
    }
    for row in rows("func") {
        let (result, arguments) = row.value.split_once('(').unwrap();
        let result = if kernel { result.replace("DWORD", "NTSTATUS") } else { result.to_owned() };
        let arguments = c_type(arguments);
        writeln!(
            c,
            "_Static_assert(__builtin_types_compatible_p(__typeof__({}), {result}({arguments}), \"{}\");",
            row.name, row.name
        )
        .unwrap();
    }
    c.push_str("#define GUID_OF(g) printf(\"%s %08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x\\n\", #g, g.Data1, g.Data2, g.Data3, \
        g.Data4[0], g.Data4[1], g.Data4[2], g.Data4[3], g.Data4[4], g.Data4[5], g.Data4[6], g.Data4[7])\n");
    c.push_str("int main(void)\n{\n");
    for row in rows("guid") {
        writeln!(c, "    GUID_OF({});", row.name).unwrap();
    }
    for row in rows("structconst") {
        let (_, values) = row.value.split_once('{').unwrap();
        let (first, second) = values.trim_end_matches('}').split_once(", ").unwrap();
        let (a, b) = if row.name.contains("_AUTH_") {
            ("authType", "authConfig")
        } else {
            ("cipherType", "cipherConfig")
        };
        writeln!(c, "    if ({0}.{a} != {first} || {0}.{b} != {second}) return 1;", row.name).unwrap();
    }
    c.push_str("    return 0;\n}\n");
    c
}

#[test]
fn the_headers_have_the_tables_layouts_numbers_guids_and_calls() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/openwfp");
    for kernel in [false, true] {
        let source = directory.join(format!("abi-{kernel}.c"));
        std::fs::write(&source, program(kernel)).unwrap();
        for compiler in ["gcc", "clang"] {
            let built = directory.join(format!("abi-{kernel}-{compiler}"));
            let mut command = Command::new(compiler);
            // GUIDs are defined in place, so that nothing need be linked; a call's type is asked for alone.
            command.args(["-std=gnu11", "-DINITGUID", "-I"]).arg(&include).arg(&source).arg("-o").arg(&built);
            let output = command.output().unwrap_or_else(|error| {
                panic!("{compiler}: {error}; scripts/test installs what the tests need")
            });
            let errors = String::from_utf8_lossy(&output.stderr);
            let first: Vec<&str> = errors.lines().filter(|line| line.contains("error")).take(10).collect();
            assert!(output.status.success(), "{compiler}: {}", first.join("\n"));
            let output = Command::new(&built).output().unwrap();
            assert!(output.status.success(), "a transform with a name differs");
            let printed = String::from_utf8(output.stdout).unwrap();
            let expected: String = rows("guid").map(|row| format!("{} {}\n", row.name, row.value)).collect();
            assert_eq!(printed, expected);
        }
    }
}
