//! Reader for `abi-x86_64.csv`, the table of WFP's ABI.
//!
//! The table lists every structure, enumerator, constant, GUID, call and code with its sources. The
//! tests check `windows-sys` and the C headers against it.
#![forbid(unsafe_code)]

/// Text of the table.
pub const TABLE: &str = include_str!("../abi-x86_64.csv");

/// Row of the table; a column that does not apply to the row's kind is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Kind of the row: `struct`, `field`, `enum`, `enumerator`, `const`, `guid`, `func` and others.
    pub kind: &'a str,
    /// Name of the structure, enumeration, constant, GUID, code or call.
    pub name: &'a str,
    /// Name of the field or enumerator.
    pub field: &'a str,
    /// Offset of the field in bytes.
    pub offset: &'a str,
    /// Size in bytes.
    pub size: &'a str,
    /// Alignment in bytes.
    pub align: &'a str,
    /// Type of a field, value of a constant, signature of a call, or header of a structure.
    pub value: String,
    /// Sources that have the item: `sdk`, `winsys` and `mingw`, joined with `+`; or `derived`.
    pub sources: &'a str,
}

/// Returns all rows of a kind.
pub fn rows(kind: &str) -> impl Iterator<Item = Row<'static>> {
    TABLE.lines().skip(1).map(row).filter(move |row| row.kind == kind)
}

fn row(line: &str) -> Row<'_> {
    // A value that contains commas is quoted.
    let (before, value, after) = match line.split_once('"') {
        Some((before, rest)) => {
            let (value, after) = rest.rsplit_once("\",").unwrap_or((rest, ""));
            // The note may be quoted, too.
            let (value, after) =
                value.split_once("\",").map_or((value, after), |(value, rest)| (value, rest));
            if before.matches(',').count() == 6 {
                (before.trim_end_matches(','), value, after)
            } else {
                plain(line)
            }
        }
        None => plain(line),
    };
    let mut columns = before.split(',');
    let mut next = || columns.next().unwrap_or_default();
    Row {
        kind: next(),
        name: next(),
        field: next(),
        offset: next(),
        size: next(),
        align: next(),
        value: value.to_owned(),
        sources: after.split(',').next().unwrap_or_default(),
    }
}

/// Splits a line with an unquoted value into the first six columns, the value and the rest.
fn plain(line: &str) -> (&str, &str, &str) {
    let commas: Vec<usize> = line.match_indices(',').map(|(at, _)| at).collect();
    match commas[..] {
        [_, _, _, _, _, before, after, ..] => (&line[..before], &line[before + 1..after], &line[after + 1..]),
        _ => (line, "", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_and_without_quotes() {
        let open = rows("func").find(|row| row.name == "FwpmEngineOpen0").expect("a row");
        assert!(
            open.value.starts_with("DWORD(const wchar_t * serverName, ")
                && open.value.ends_with("engineHandle)")
        );
        assert_eq!(open.sources, "sdk+winsys+mingw");
        let field = rows("field").find(|row| row.field == "peerV4PrivateAddress").expect("a row");
        assert_eq!((field.offset, field.size, field.value.as_str()), ("68", "4", "UINT32"));
        let app = rows("func").find(|row| row.name == "FwpmGetAppIdFromFileName0").expect("a row");
        assert_eq!(app.value, "DWORD(PCWSTR fileName, FWP_BYTE_BLOB ** appId)");
        let total: usize = [
            "struct",
            "field",
            "enumerator",
            "const",
            "guid",
            "func",
            "fwp_error",
            "win32_error",
            "ntstatus",
        ]
        .iter()
        .map(|kind| rows(kind).count())
        .sum();
        assert_eq!(total, 203 + 1290 + 264 + 315 + 318 + 189 + 69 + 281 + 210);
    }
}
