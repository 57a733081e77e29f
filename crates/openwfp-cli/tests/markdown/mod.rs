//! The code blocks of the documentation.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::Path;
use std::path::PathBuf;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The pages whose blocks `lab_inside/docs.rs` runs, in this order.
pub(crate) const LAB_PAGES: [&str; 7] = [
    "README.md",
    "docs/engines.md",
    "docs/daemon.md",
    "docs/policy.md",
    "docs/linux.md",
    "docs/json.md",
    "samples/README.md",
];

/// The pages that users read, relative to the root.
pub(crate) fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for directory in ["", "docs", "samples"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(Path::new(directory).join(name).to_str().unwrap().to_owned());
            }
        }
    }
    pages.sort();
    pages
}

pub(crate) fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A fenced code block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The first word behind the fence.
    pub(crate) language: String,
    /// The rest of the line behind the fence: how a block of the shell runs, or a file's name.
    pub(crate) info: String,
    pub(crate) text: String,
    pub(crate) line: usize,
}

pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for (line, text) in read(page).lines().enumerate() {
        match (text.strip_prefix("```"), is_inside) {
            (Some(fence), false) => {
                let (language, info) = fence.split_once(' ').unwrap_or((fence, ""));
                let (language, info) = (language.to_owned(), info.to_owned());
                blocks.push(Block { language, info, text: String::new(), line: line + 1 });
                is_inside = true;
            }
            (Some(_), true) => is_inside = false,
            (None, true) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(text);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!is_inside, "{page}: a code block does not end");
    blocks
}

/// A script that writes the files of a page's blocks and runs its blocks of one kind, in their order.
pub(crate) fn script(page: &str, kind: &str) -> String {
    let mut script = String::new();
    for block in blocks(page) {
        let is_file = !block.info.is_empty() && block.language != "sh";
        if is_file {
            script += &format!("cat >'{}' <<'END OF FILE'\n{}END OF FILE\n", block.info, block.text);
        } else if block.language == "sh" && block.info == kind {
            script += &format!("echo '== {page}:{}'\n{}", block.line, block.text);
        }
    }
    script
}
