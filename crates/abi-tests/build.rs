//! Generates Rust code that evaluates `windows-sys` for the table: one entry for each structure, field,
//! number and GUID, whose layout or value the compiler fills in.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fmt::Write;

fn main() {
    println!("cargo::rerun-if-changed=abi-x86_64.csv");
    println!("cargo::rerun-if-changed=build.rs");
    let table = std::fs::read_to_string("abi-x86_64.csv").expect("the table");
    // Only the value (column 7) and the note may contain commas. Splitting into seven pieces is enough:
    // the first six are exact, and the last one is searched for what is needed here.
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.splitn(7, ',').collect()).collect();
    let has = |row: &[&str]| row[6].contains("+winsys");
    let mut out = String::from("pub const LAYOUTS: &[(&str, &str, usize, usize)] = &[\n");
    let unions = unions(&rows);
    for row in rows.iter().filter(|row| has(row)) {
        match row[0] {
            "struct" => {
                let name = row[1];
                writeln!(out, "    (\"{name}\", \"\", size_of::<win::{name}>(), align_of::<win::{name}>()),")
                    .expect("text");
            }
            "field" => {
                let path = path(row[1], row[2], &unions);
                let (name, field) = (row[1], row[2]);
                writeln!(out, "    (\"{name}\", \"{field}\", std::mem::offset_of!(win::{name}, {path}), 0),")
                    .expect("text");
            }
            _ => {}
        }
    }
    out.push_str("];\n\npub const NUMBERS: &[(&str, i128)] = &[\n");
    let mut seen = HashSet::new();
    for row in rows.iter().filter(|row| has(row)) {
        let name = match row[0] {
            "enumerator" => row[2],
            "const" => row[1],
            _ => continue,
        };
        if seen.insert(name) {
            writeln!(out, "    (\"{name}\", win::{name} as i128),").expect("text");
        }
    }
    out.push_str("];\n\npub const GUIDS: &[(&str, GUID)] = &[\n");
    for row in rows.iter().filter(|row| has(row) && row[0] == "guid") {
        writeln!(out, "    (\"{0}\", win::{0}),", row[1]).expect("text");
    }
    out.push_str("];\n");
    let directory = std::env::var_os("OUT_DIR").expect("a directory");
    std::fs::write(std::path::Path::new(&directory).join("winsys.rs"), out).expect("written");
}

/// Returns the members of each structure's anonymous unions, in order; skips nested unions, whose
/// members the outer union already has.
fn unions<'a>(rows: &[Vec<&'a str>]) -> BTreeMap<&'a str, Vec<Vec<&'a str>>> {
    let mut unions: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row[0] == "anon_union") {
        let members: Vec<&str> = row[6].split(',').next().unwrap_or_default().split('|').collect();
        let of_structure = unions.entry(row[1]).or_default();
        if !of_structure.iter().any(|outer| members.iter().all(|member| outer.contains(member))) {
            of_structure.push(members);
        }
    }
    unions
}

/// Returns the path of a field in `windows-sys`, which names anonymous unions `Anonymous`,
/// `Anonymous1` and so on.
fn path(structure: &str, field: &str, unions: &BTreeMap<&str, Vec<Vec<&str>>>) -> String {
    let escaped = field
        .split('.')
        .map(|part| if part == "type" { "r#type" } else { part })
        .collect::<Vec<_>>()
        .join(".");
    let Some(of_structure) = unions.get(structure) else {
        return escaped;
    };
    let Some(index) = of_structure.iter().position(|members| members.contains(&field)) else {
        return escaped;
    };
    let outer =
        if of_structure.len() == 1 { "Anonymous".to_owned() } else { format!("Anonymous{}", index + 1) };
    format!("{outer}.{}{escaped}", inner(structure, field))
}

/// Returns the path prefix of a field in an anonymous structure or a nested union.
fn inner(structure: &str, field: &str) -> &'static str {
    match structure {
        "FWPM_NET_EVENT_HEADER1" if field == "reserved1" => "Anonymous.",
        "FWPM_NET_EVENT_HEADER1" if field.starts_with("reserved") => "Anonymous.Anonymous.Anonymous.",
        "IKEEXT_CERTIFICATE_AUTHENTICATION0" | "IKEEXT_CERTIFICATE_AUTHENTICATION1"
            if field.contains("RootArray") =>
        {
            "Anonymous."
        }
        "IKEEXT_CERTIFICATE_AUTHENTICATION2" => {
            if field.contains("EnterpriseStore") {
                "Anonymous2."
            } else if field.contains("RootStoreArraySize") || field.contains("TrustedRootStore") {
                "Anonymous3."
            } else {
                "Anonymous1."
            }
        }
        _ => "",
    }
}
