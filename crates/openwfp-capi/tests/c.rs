//! C programs against the libraries as they are installed: built by several compilers without a warning, run in both
//! forms of the API, under address and undefined-behaviour sanitizers, and under
//! valgrind.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../openwfp-rpc/tests/rig/mod.rs"]
mod rig;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::LazyLock;

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-pedantic", "-Werror"];

/// The libraries and headers, installed as for users.
static STAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let stage = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-stage");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    if stage.exists() {
        std::fs::remove_dir_all(&stage).unwrap();
    }
    let mut install = Command::new(root().join("scripts/install-c"));
    install.arg("--debug").arg(&stage).env("CARGO_TARGET_DIR", target).env("CARGO", env!("CARGO"));
    succeed(&mut install);
    stage
});

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

/// Runs a command that must succeed; its output.
fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs what the tests need"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    User,
    Kernel,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    Sanitizers,
    Valgrind,
}

/// Builds a program of these sources.
fn build(compiler: &str, name: &str, sources: &[&str], form: Form, flags: &[&str]) -> PathBuf {
    let library = if form == Form::User { "fwpuclnt" } else { "fwpkclnt" };
    let program = STAGE.join(format!("{name}-{compiler}-{library}"));
    let mut command = Command::new(compiler);
    command.args(WARNINGS).args(["-g", "-pthread", "-I"]).arg(STAGE.join("include/openwfp"));
    if form == Form::Kernel {
        command.arg("-DKERNEL");
    }
    command.args(flags).args(sources.iter().map(|name| source(name))).arg("-o").arg(&program);
    command.arg("-L").arg(STAGE.join("lib")).arg(format!("-l{library}"));
    succeed(&mut command);
    program
}

fn run(program: impl AsRef<OsStr>, arguments: &[&str], engine: Option<&str>) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("LD_LIBRARY_PATH", STAGE.join("lib")).env_remove("OPENWFP_ENGINE");
    if let Some(engine) = engine {
        command.env("OPENWFP_ENGINE", engine);
    }
    let output = succeed(&mut command);
    String::from_utf8(output.stdout).unwrap()
}

const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

fn under_valgrind(program: &Path, arguments: &[&str], engine: Option<&str>) -> String {
    let valgrind = [
        "--quiet",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect",
        "--error-exitcode=99",
        // In the child of a fork, what the threads of the parent had is lost.
        "--child-silent-after-fork=yes",
        "--fair-sched=yes",
        program.to_str().unwrap(),
    ];
    run("valgrind", &[&valgrind, arguments].concat(), engine)
}

/// Builds a program of these sources and runs it, clean under sanitizers and under valgrind. The sanitizers are GCC's:
/// Debian's clang comes without.
fn is_clean(compiler: &str, name: &str, sources: &[&str], form: Form, flags: &[&str]) {
    if !compiler.starts_with("clang") {
        let program = build(compiler, &format!("{name}-asan"), sources, form, &[flags, &SANITIZERS].concat());
        assert_eq!(run(program, &[], None), "ok\n");
    }
    let program = build(compiler, name, sources, form, flags);
    assert_eq!(under_valgrind(&program, &[], None), "ok\n");
}

/// Builds and runs a program, and gives what it printed.
fn outcome(name: &str, form: Form, under: Under, arguments: &[&str], engine: Option<&str>) -> String {
    let file = format!("{name}.c");
    match under {
        Under::Sanitizers => {
            let flags = [&["-std=c11", "-DDROP_ROUNDS=50000"], &SANITIZERS[..]].concat();
            run(build("gcc", &format!("{name}-asan"), &[&file], form, &flags), arguments, engine)
        }
        Under::Valgrind => {
            let program = build("gcc", name, &[&file], form, &["-std=c11", "-DDROP_ROUNDS=50"]);
            under_valgrind(&program, arguments, engine)
        }
    }
}

fn everywhere(name: &str) {
    for form in [Form::User, Form::Kernel] {
        for under in [Under::Sanitizers, Under::Valgrind] {
            assert_eq!(outcome(name, form, under, &[], None), "ok\n");
        }
    }
}

macro_rules! programs {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { everywhere($name); })*
    };
}

programs! {
    real_callers_page_in_three_ways: "paging",
    the_life_of_a_context_keeps_every_field: "life",
    a_keying_daemon_mixes_versions: "daemon",
    every_error_path_answers_its_code: "errors",
    memory_is_freed_once_and_ours_alone: "memory",
    sessions_transactions_and_rights: "sessions",
    threads_share_a_handle_and_survive_a_close: "threads",
    callbacks_come_in_order_and_end: "callbacks",
    vistas_structures_by_their_unnumbered_names: "vista",
    objects_are_added_shown_watched_and_deleted: "objects",
    what_openwfp_adds: "extension",
}

/// The inbound and outbound SPIs that `ip -s -d xfrm state` printed of the sample, with the ends of each SA and its key.
fn sample() -> BTreeSet<(String, String, String, String)> {
    let text = std::fs::read_to_string(root().join("samples/strongswan-16/ip-s-xfrm-state.txt")).unwrap();
    let mut sas = BTreeSet::new();
    let (mut source, mut destination, mut spi) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["src", from, "dst", to, ..] if !line.starts_with(['\t', ' ']) => {
                (source, destination) = (from.into(), to.into());
            }
            ["proto", "esp", "spi", number, ..] => number.split('(').next().unwrap().clone_into(&mut spi),
            ["aead" | "enc", _, key, ..] => {
                let key = key.trim_start_matches("0x").to_owned();
                sas.insert((source.clone(), destination.clone(), spi.clone(), key));
            }
            _ => {}
        }
    }
    sas
}

#[test]
fn the_documented_example_lists_the_sample_as_the_kernel_printed_it() {
    let expected = sample();
    assert_eq!(expected.len(), 32, "16 tunnels");
    let engine = format!("capture:{}", root().join("samples/strongswan-16").display());
    for form in [Form::User, Form::Kernel] {
        for under in [Under::Sanitizers, Under::Valgrind] {
            let printed = outcome("enumerate", form, under, &["keys"], Some(&engine));
            let mut found = BTreeSet::new();
            for line in printed.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let [_, direction, local, remote, spi, "type", "4", "cipher", _, "key", key] = words[..]
                else {
                    panic!("{line}");
                };
                let (from, to) = if direction == "in" { (remote, local) } else { (local, remote) };
                found.insert((from.to_owned(), to.to_owned(), spi.to_owned(), key.to_owned()));
            }
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn headers_compile_without_a_warning_by_every_compiler_and_standard() {
    for (compiler, standards, file) in [
        ("gcc", &["c11", "c17", "gnu17"][..], "life.c"),
        ("clang", &["c11", "c17", "gnu17"], "life.c"),
        ("g++", &["c++17", "c++20"], "plain.cpp"),
        ("clang++", &["c++17", "c++20"], "plain.cpp"),
    ] {
        for standard in standards {
            let standard = format!("-std={standard}");
            let program = build(compiler, "headers", &[file], Form::User, &[&standard]);
            assert_eq!(run(program, &[], None), "ok\n");
            if file.ends_with(".c") {
                let program =
                    build(compiler, "headers", &[file], Form::Kernel, &[&standard, "-fshort-wchar"]);
                assert_eq!(run(program, &[], None), "ok\n");
            }
        }
    }
}

#[test]
fn a_cpp_program_is_clean() {
    for compiler in ["g++", "clang++"] {
        is_clean(compiler, "plain", &["plain.cpp"], Form::User, &["-std=c++17"]);
    }
}

/// Of many pointers that were never given, or given back before, the first one is complained of.
#[test]
fn a_foreign_pointer_is_complained_of_once() {
    let program = build("gcc", "complaint", &["memory.c"], Form::User, &["-std=c11"]);
    let output = succeed(Command::new(program).env("LD_LIBRARY_PATH", STAGE.join("lib")));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("openwfp: FwpmFreeMemory0 ") && errors.lines().count() == 1, "{errors}");
}

#[test]
fn unnumbered_names_are_those_of_the_windows_that_is_meant() {
    let targets = [
        ("-DNTDDI_VERSION=0x06000000", 0),
        ("-D_WIN32_WINNT=0x0600", 0),
        ("-DNTDDI_VERSION=0x06010000", 1),
        ("-D_WIN32_WINNT=0x0601", 1),
        ("-DNTDDI_VERSION=0x06020000", 2),
        ("-D_WIN32_WINNT=0x0603", 3),
        ("-DNTDDI_VERSION=0x0A000000", 4),
        ("-DNTDDI_VERSION=0x0A00000B", 5),
        ("-D_WIN32_WINNT=0x0A00", 5),
        ("-DNOTHING", 5),
    ];
    for compiler in ["gcc", "clang"] {
        for (flag, target) in targets {
            let target = format!("-DTARGET={target}");
            build(compiler, "versions", &["versions.c"], Form::User, &["-std=c11", flag, &target]);
        }
    }
}

#[test]
fn strings_are_utf_16_with_either_wchar_t() {
    for compiler in ["gcc", "clang"] {
        for wide in ["-fno-short-wchar", "-fshort-wchar"] {
            let name = format!("strings{wide}");
            is_clean(compiler, &name, &["strings.c"], Form::User, &["-std=c11", wide]);
        }
    }
}

#[test]
fn guids_are_constants_of_the_library_or_defined_in_place() {
    for form in [Form::User, Form::Kernel] {
        let sources = ["guids.c", "guids_in_place.c"];
        for flags in [&["-std=c11"][..], &["-std=c11", "-fno-pie", "-no-pie"]] {
            is_clean("gcc", "guids", &sources, form, flags);
        }
    }
}

/// Programs that use only what mingw-w64's own headers declare are plain WFP code: they compile for Windows as they are.
#[test]
fn programs_are_plain_wfp_code() {
    for name in ["enumerate", "paging", "life", "daemon", "memory"] {
        let mut command = Command::new("x86_64-w64-mingw32-gcc");
        command.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-D_WIN32_WINNT=0x0601"]);
        command.arg(source(&format!("{name}.c"))).arg("-o").arg(STAGE.join(format!("{name}.exe")));
        succeed(command.args(["-lfwpuclnt"]));
    }
}

#[test]
fn pkg_config_names_what_a_program_needs() {
    for library in ["fwpuclnt", "fwpkclnt"] {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", STAGE.join("lib/pkgconfig")).args(["--cflags", "--libs", library]);
        let flags = String::from_utf8(succeed(&mut command).stdout).unwrap();
        assert!(flags.contains("/include/openwfp") && flags.contains(&format!("-l{library}")), "{flags}");
        let mut headers = Command::new("readelf");
        headers.arg("-d").arg(STAGE.join(format!("lib/lib{library}.so")));
        let text = String::from_utf8(succeed(&mut headers).stdout).unwrap();
        assert!(text.contains(&format!("soname: [lib{library}.so.1]")), "{text}");
    }
}

/// The calls that docs/c-abi.md lists under a heading.
fn listed(heading: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/c-abi.md")).unwrap();
    let (_, rest) = text.split_once(&format!("<!-- {heading} -->\n```text\n")).unwrap();
    rest.split("```").next().unwrap().split_whitespace().map(str::to_owned).collect()
}

const EXTENSIONS: [&str; 4] =
    ["OpenwfpFilterGetEffect0", "OpenwfpLastErrorText", "OpenwfpSaContextGetCounters0", "OpenwfpVersion"];

#[test]
fn exported_names_are_exactly_the_documented_ones() {
    let mut both = BTreeSet::new();
    for heading in ["implemented", "with a handle", "without a handle"] {
        both.append(&mut listed(heading));
    }
    // All that the table of the ABI has.
    let of_table: BTreeSet<String> = abi_tests::rows("func").map(|row| row.name.to_owned()).collect();
    assert_eq!(both, of_table);
    both.extend(EXTENSIONS.map(str::to_owned));
    let mut user = both.clone();
    for heading in ["undocumented, with a handle", "undocumented, without a handle", "sockets"] {
        user.append(&mut listed(heading));
    }
    let guids: BTreeSet<String> = abi_tests::rows("guid").map(|row| row.name.to_owned()).collect();
    for (library, calls) in [("fwpuclnt", &user), ("fwpkclnt", &both)] {
        let mut nm = Command::new("nm");
        nm.args(["-D", "--defined-only"]).arg(STAGE.join(format!("lib/lib{library}.so")));
        let text = String::from_utf8(succeed(&mut nm).stdout).unwrap();
        let of_type = |kind: &str| -> BTreeSet<String> {
            let symbols = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            symbols.filter(|words| words[1] == kind).map(|words| words[2].to_owned()).collect()
        };
        assert_eq!(&of_type("T"), calls, "{library}");
        assert_eq!(of_type("R"), guids, "{library}");
        assert_eq!(text.lines().count(), calls.len() + guids.len(), "{library} exports something else");
    }
    // What mingw-w64's import library has, so that whatever links there links here.
    let mut nm = Command::new("x86_64-w64-mingw32-nm");
    let mut which = Command::new("x86_64-w64-mingw32-gcc");
    let archive = String::from_utf8(succeed(which.arg("-print-file-name=libfwpuclnt.a")).stdout).unwrap();
    let text = String::from_utf8(succeed(nm.arg(archive.trim())).stdout).unwrap();
    let of_mingw = text.lines().filter_map(|line| line.split_once(" T ")).map(|(_, name)| name.to_owned());
    let missing: Vec<String> = of_mingw.filter(|name| !user.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Calls everything that is not carried out, with an engine handle, and with one that is none.
#[test]
fn calls_that_are_not_carried_out_say_so_after_a_look_at_their_handle() {
    for form in [Form::User, Form::Kernel] {
        let program = build("gcc", "stubs", &["stubs.c"], form, &["-std=gnu11"]);
        let mut headings = vec![("with a handle", "handle"), ("without a handle", "none")];
        if form == Form::User {
            headings.push(("undocumented, with a handle", "handle"));
            headings.push(("undocumented, without a handle", "none"));
            headings.push(("sockets", "socket"));
        }
        for (heading, kind) in headings {
            let names = listed(heading);
            let arguments: Vec<&str> =
                std::iter::once(kind).chain(names.iter().map(String::as_str)).collect();
            assert_eq!(run(&program, &arguments, None), "ok\n", "{heading}");
        }
    }
}

/// A daemon's engine, over a Unix socket and over mutual TLS by its server's name, shows what the same engine shows in the
/// program's own process; life and paging work over the wire, too.
#[test]
fn programs_work_unchanged_with_a_daemon() {
    use openwfp::rpc::Server;
    let place = rig::Place::new();
    let sample = format!("capture:{}", root().join("samples/strongswan-16").display());
    let start = |url: &str| {
        let engine = openwfp::Engine::at(&url.parse().unwrap()).unwrap();
        Server::start(std::sync::Arc::new(engine), openwfp::rpc::ServerOptions::default()).unwrap()
    };
    let listen = |server: &Server, name: &str| {
        let path = place.file(name);
        server
            .listen_unix(&openwfp::rpc::UnixSocket { path: path.clone(), mode: 0o600, group: None })
            .unwrap();
        format!("unix:{}", path.display())
    };
    let gateway = start(&sample);
    let socket = listen(&gateway, "gateway.sock");
    let authority = rig::certificates::Authority::new(&place, "ca");
    let owner = openwfp_api::Sid::unix_user(rig::user());
    let rules = [("uri:urn:c", openwfp_api::Principal::user(owner))];
    let tls = authority.server_tls(&place, "localhost", &rules);
    let port = gateway.listen_tls("127.0.0.1:0".parse().unwrap(), &tls).unwrap().port();
    let client = authority.client_tls(&place, "client", "urn:c");

    let program = build("gcc", "remote", &["enumerate.c"], Form::User, &["-std=c11"]);
    let here = run(&program, &["keys"], Some(&sample));
    assert_eq!(here.lines().count(), 32);
    assert_eq!(run(&program, &["keys"], Some(&socket)), here);
    let by_name = |server: &str| {
        let mut command = Command::new(&program);
        command.arg("keys").env("LD_LIBRARY_PATH", STAGE.join("lib")).env("TEST_SERVER", server);
        command
            .env("OPENWFP_CERT", &client.cert)
            .env("OPENWFP_KEY", &client.key)
            .env("OPENWFP_CA", &client.ca);
        String::from_utf8(succeed(&mut command).stdout).unwrap()
    };
    for server in [format!("localhost:{port}"), format!("https://localhost:{port}"), socket] {
        assert_eq!(by_name(&server), here, "{server}");
    }

    for name in ["life", "paging", "daemon"] {
        let server = start("memory:");
        let url = listen(&server, &format!("{name}.sock"));
        let flags = [&["-std=c11"], &SANITIZERS[..]].concat();
        let program =
            build("gcc", &format!("{name}-remote-asan"), &[&format!("{name}.c")], Form::User, &flags);
        assert_eq!(run(program, &[], Some(&url)), "ok\n", "{name}");
    }
}

/// A C program has SIGPIPE's default action, which ends it: what is written to a daemon that is gone must not raise it.
#[test]
fn a_program_outlives_its_daemon() {
    use std::io::BufRead;
    use std::io::Read;
    use std::process::Stdio;
    let program = build("gcc", "outlive", &["outlive.c"], Form::User, &["-std=c11"]);
    for _ in 0..30 {
        let place = rig::Place::new();
        let engine = openwfp::Engine::at(&"memory:".parse().unwrap()).unwrap();
        let engine = std::sync::Arc::new(engine);
        let server = openwfp::rpc::Server::start(engine, openwfp::rpc::ServerOptions::default()).unwrap();
        let path = place.file("engine.sock");
        server
            .listen_unix(&openwfp::rpc::UnixSocket { path: path.clone(), mode: 0o600, group: None })
            .unwrap();
        let mut command = Command::new(&program);
        command
            .env("LD_LIBRARY_PATH", STAGE.join("lib"))
            .env("OPENWFP_ENGINE", format!("unix:{}", path.display()));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "open\n");
        // Some calls later.
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(server);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!((child.wait().unwrap().to_string().as_str(), rest.as_str()), ("exit status: 0", "ok\n"));
    }
}

/// The child of a fork uses engines of its own process and daemons, whatever its parent was doing.
#[test]
fn a_child_of_a_fork_begins_anew() {
    let flags = ["-std=gnu11", "-DFORK_ROUNDS=50"];
    let program = build("gcc", "fork", &["fork.c"], Form::User, &flags);
    let kernel = build("gcc", "fork", &["fork.c"], Form::Kernel, &flags);
    let place = rig::Place::new();
    let engine = std::sync::Arc::new(openwfp::Engine::at(&"memory:".parse().unwrap()).unwrap());
    let server = openwfp::rpc::Server::start(engine, openwfp::rpc::ServerOptions::default()).unwrap();
    let path = place.file("engine.sock");
    server.listen_unix(&openwfp::rpc::UnixSocket { path: path.clone(), mode: 0o600, group: None }).unwrap();
    let daemon = format!("unix:{}", path.display());
    for engine in [None, Some(daemon.as_str())] {
        for program in [&program, &kernel] {
            assert_eq!(run(program, &[], engine), "ok\n", "{engine:?}");
        }
    }
    let program = build("gcc", "fork-few", &["fork.c"], Form::User, &["-std=gnu11", "-DFORK_ROUNDS=3"]);
    assert_eq!(under_valgrind(&program, &[], None), "ok\n");
}

/// A program that has more rights than its caller does not take the engine from its caller's environment.
#[test]
fn a_set_user_id_program_ignores_its_callers_variables() {
    use std::os::unix::fs::PermissionsExt;
    // Where every user can read; the loader ignores LD_LIBRARY_PATH for such a program.
    let place = rig::Place::new();
    let open = |mode| PermissionsExt::from_mode(mode);
    std::fs::set_permissions(place.path(), open(0o755)).unwrap();
    let library = place.file("libfwpuclnt.so.1");
    std::fs::copy(STAGE.join("lib/libfwpuclnt.so"), &library).unwrap();
    std::fs::set_permissions(&library, open(0o755)).unwrap();
    let rpath = format!("-Wl,-rpath,{}", place.path().display());
    let built = build("gcc", "environment", &["environment.c"], Form::User, &["-std=c11", &rpath]);
    let program = place.file("environment");
    std::fs::copy(built, &program).unwrap();
    let opened = |caller: &mut Command| {
        let output =
            caller.env("OPENWFP_ENGINE", "no such engine").env_remove("LD_LIBRARY_PATH").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = opened(&mut Command::new(&program));
    assert!(refused.starts_with("0x8032"), "{refused}");
    // Only root can make a program that is somebody else's.
    if rig::user() == 0 {
        std::os::unix::fs::chown(&program, Some(65_534), Some(65_534)).unwrap();
        std::fs::set_permissions(&program, open(0o6755)).unwrap();
        assert_eq!(opened(&mut Command::new(&program)), "0x0\n", "the engine of the process");
    }
}

#[test]
fn the_engine_is_the_one_that_the_environment_names() {
    let program = build("gcc", "which", &["enumerate.c"], Form::User, &["-std=c11"]);
    assert_eq!(run(&program, &[], None), "", "an empty engine of the process' own");
    assert_eq!(run(&program, &[], Some("memory:")), "");
    let engine = format!("capture:{}", root().join("samples/strongswan-16").display());
    assert_eq!(run(&program, &[], Some(&engine)).lines().count(), 32);
    for (wrong, code) in [("capture:/nowhere", "0x"), ("https:", "0x80320035")] {
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", STAGE.join("lib")).env("OPENWFP_ENGINE", wrong);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(code), "{wrong}: {errors}");
    }
}
