//! The C of the documentation: its programs, built and run by the commands that it gives.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../openwfp-cli/tests/markdown/mod.rs"]
mod markdown;

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A directory like a checkout, whose `scripts/install-c` installs the debug build.
fn checkout(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if place.exists() {
        std::fs::remove_dir_all(&place).unwrap();
    }
    std::fs::create_dir_all(place.join("scripts")).unwrap();
    std::fs::create_dir_all(place.join("home")).unwrap();
    std::os::unix::fs::symlink(markdown::root().join("samples"), place.join("samples")).unwrap();
    let install = format!("exec '{}' --debug \"$@\"\n", markdown::root().join("scripts/install-c").display());
    std::fs::write(place.join("scripts/install-c"), format!("#!/bin/bash\n{install}")).unwrap();
    let mut mode = std::fs::metadata(place.join("scripts/install-c")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(place.join("scripts/install-c"), mode).unwrap();
    place
}

fn run(place: &Path, script: &str) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    // HOME names a place of the test's own, where neither cargo nor rustup keeps anything.
    let home = std::env::var("HOME").unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(place)
        .env("HOME", place.join("home"))
        .env("CARGO_HOME", std::env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo")))
        .env("RUSTUP_HOME", std::env::var("RUSTUP_HOME").unwrap_or(format!("{home}/.rustup")))
        .env("CARGO", env!("CARGO"))
        .env("CARGO_TARGET_DIR", target)
        .env_remove("OPENWFP_ENGINE")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_programs_of_the_page_compile_and_print_what_it_says() {
    let place = checkout("docs-c-abi");
    let script = markdown::script("docs/c-abi.md", "host");
    let output = run(&place, &script);
    let contexts: Vec<&str> = output.lines().filter(|line| line.contains(" 0xc")).collect();
    assert_eq!((contexts.len(), contexts[0]), (16, "1 0xc71b7200"), "{output}");
    assert!(output.ends_with("München 1\n"), "{output}");
    // Without a warning, too.
    let strict = "for program in list print; do
        cc -std=c11 -Wall -Wextra -Werror -o /dev/null $program.c \
          $(PKG_CONFIG_PATH=$HOME/openwfp/lib/pkgconfig pkg-config --cflags --libs fwpuclnt)
      done";
    run(&place, strict);
}

#[test]
fn the_readmes_four_lines_are_wfp_code() {
    let place = checkout("docs-readme");
    let blocks = markdown::blocks("README.md");
    let [block] = &blocks.iter().filter(|block| block.language == "c").collect::<Vec<_>>()[..] else {
        panic!("one block of C")
    };
    let program = format!(
        "#include <fwpmu.h>\n#include <stdio.h>\nint main(void)\n{{\nHANDLE engine, list;\n\
         IPSEC_SA_CONTEXT1 **contexts;\nUINT32 count;\n{}printf(\"%u\\n\", count);\nreturn 0;\n}}\n",
        block.text
    );
    std::fs::write(place.join("readme.c"), program).unwrap();
    let script = "scripts/install-c $HOME/openwfp
        export PKG_CONFIG_PATH=$HOME/openwfp/lib/pkgconfig LD_LIBRARY_PATH=$HOME/openwfp/lib
        cc -Wall -Wextra -Werror -o readme readme.c $(pkg-config --cflags --libs fwpuclnt)
        OPENWFP_ENGINE=capture:samples/strongswan-16 ./readme";
    assert_eq!(run(&place, script), "16\n");
}
