//! The documentation: every code block is tested, every output is real, every link leads somewhere.
//!
//! A block of the shell names where it runs: `sh ci` in `.ci/run` and `scripts/test-fresh`, `sh lab` in the kernel lab (`lab_inside/docs.rs`), `sh host` among the C
//! library's tests (`openwfp-capi/tests/docs.rs`), `sh repo` here. A block with a file's name behind its language is written
//! to that file before the commands that follow it. Rust blocks are doctests of the crate `openwfp`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod markdown;

use markdown::Block;
use markdown::LAB_PAGES;
use markdown::blocks;
use markdown::pages;
use markdown::read;
use markdown::root;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn of_language(page: &str, language: &str) -> Vec<Block> {
    blocks(page).into_iter().filter(|block| block.language == language).collect()
}

#[test]
fn every_code_block_is_of_a_kind_that_is_tested() {
    for page in pages() {
        for block in blocks(&page) {
            let kind = (block.language.as_str(), block.info.as_str());
            let is_tested = match kind {
                ("sh", "lab") => LAB_PAGES.contains(&page.as_str()),
                ("sh", "host") | ("c", _) => ["README.md", "docs/c-abi.md"].contains(&page.as_str()),
                ("sh", "repo") => page == "docs/rust.md",
                ("sh", "ci") => page == "README.md",
                ("rust" | "rust,no_run", "") => ["README.md", "docs/rust.md"].contains(&page.as_str()),
                ("toml", file) => !file.is_empty() && LAB_PAGES.contains(&page.as_str()),
                // Outputs of README.md, lists of calls of docs/c-abi.md, drawings of ARCHITECTURE.md.
                ("text", "") => ["README.md", "docs/c-abi.md", "ARCHITECTURE.md"].contains(&page.as_str()),
                _ => false,
            };
            assert!(is_tested, "{page}:{}: no test runs a block of {kind:?}", block.line);
        }
    }
}

/// The two commands that the README promises to work on a bare machine.
#[test]
fn ci_and_the_test_on_a_bare_machine_run_the_readmes_two_commands() {
    let commands: String = of_language("README.md", "sh")
        .into_iter()
        .filter(|block| block.info == "ci")
        .map(|block| block.text)
        .collect();
    assert_eq!(
        commands,
        "cargo run --release -- --engine capture:samples/strongswan-16 sa list\nscripts/test\n"
    );
    let ci = read(".ci/run");
    assert!(
        ci.contains("-- --engine capture:samples/strongswan-16 sa list") && ci.contains("step scripts/test")
    );
    // scripts/test-fresh takes them from the README by this.
    let awk = r#"/^```/ { inside = $0 == "```sh ci"; next } inside"#;
    assert!(read("scripts/test-fresh").contains(awk));
    let taken = Command::new("awk").args([awk, "README.md"]).current_dir(root()).output().unwrap();
    assert_eq!(String::from_utf8(taken.stdout).unwrap(), commands);
}

#[test]
fn the_readmes_outputs_are_real() {
    let [states, rows] = &of_language("README.md", "text")[..] else { panic!("two outputs") };
    // The kernel's words; the shortened keys are shortened.
    let printed = read("samples/strongswan-16/ip-s-xfrm-state.txt");
    for state in states.text.split_inclusive("use -\n") {
        let lines: Vec<&str> = state.lines().collect();
        let start =
            printed.lines().position(|line| line == lines[1]).unwrap_or_else(|| panic!("{}", lines[1])) - 1;
        for (shown, real) in lines.iter().zip(printed.lines().skip(start)) {
            match shown.split_once('…') {
                Some((before, after)) => {
                    assert!(real.starts_with(before) && real.ends_with(after), "{shown}");
                }
                None => assert_eq!(*shown, real),
            }
        }
    }
    assert_eq!(states.text.matches("\nsrc ").count() + 1, 2);
    let output = Command::new(env!("CARGO_BIN_EXE_wfp"))
        .args(["--engine", "capture:samples/strongswan-16", "sa", "list"])
        .current_dir(root())
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with(&rows.text), "{table}");
}

#[test]
fn the_readmes_rust_is_an_example_that_the_lab_runs() {
    let [block] = &of_language("README.md", "rust,no_run")[..] else { panic!("one block of Rust") };
    let example = read("crates/openwfp/examples/list.rs");
    assert!(example.ends_with(&format!("\n\n{}", block.text)), "crates/openwfp/examples/list.rs differs");
}

#[test]
fn the_commands_of_the_rust_page_run() {
    let [block] = &of_language("docs/rust.md", "sh")[..] else { panic!("one block of the shell") };
    assert_eq!(block.text.lines().count(), 3);
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &block.text])
        .current_dir(root())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The text of a page without its fenced code blocks.
fn without_fences(page: &str) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in read(page).lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        let text = without_fences(&page);
        for (place, _) in text.match_indices("](") {
            let target = text[place + 2..].split(')').next().unwrap();
            links += 1;
            if target.starts_with("https://") {
                assert!(!target.contains(' '), "{page}: {target}");
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            assert!(file.exists(), "{page}: {target} does not exist");
            if !fragment.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let mut anchors = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    anchors.any(|line| anchor(line.trim_start_matches('#').trim()) == fragment),
                    "{page}: {target}: no such heading"
                );
            }
        }
    }
    assert!(links > 30, "{links} links");
}

#[test]
fn every_page_of_the_docs_is_linked_and_says_whom_it_is_for() {
    let readme = read("README.md");
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(readme.contains(&format!("]({page}")), "README.md does not link {page}");
        let text = read(page);
        let second = text.split("\n\n").nth(1).unwrap();
        assert!(second.starts_with("This page is for "), "{page} starts with: {second}");
    }
}

/// Paths that the pages and the comments of scripts name exist.
#[test]
fn every_path_in_the_prose_exists() {
    let mut paths = BTreeSet::new();
    for page in pages() {
        let text = without_fences(&page);
        for word in text.split('`').skip(1).step_by(2) {
            let starts = ["docs/", "scripts/", "packaging/", "samples/", "crates/", "include/", "fuzz/"];
            if starts.iter().any(|start| word.starts_with(start)) && !word.contains(['*', '{', '…']) {
                let path = word.split(' ').next().unwrap();
                assert!(Path::new(&root().join(path)).exists(), "{page} names {path}");
                paths.insert(path.to_owned());
            }
        }
    }
    assert!(paths.len() > 5, "{paths:?}");
}
