//! Whatever a dead engine's journal contains: it is read, and a kernel is asked to remove what it lists. The kernel is that of a
//! new, empty network namespace.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nix::sched::CloneFlags;
use openwfp_xfrm::live::Driver;
use openwfp_xfrm::live::Namespace;
use openwfp_xfrm::live::Options;
use openwfp_xfrm::wire::PolicyId;
use openwfp_xfrm::wire::RawSelector;
use openwfp_xfrm::wire::SaId;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The directory of journals and the journal; `None` without a kernel to use.
static JOURNAL: LazyLock<Option<(PathBuf, PathBuf)>> = LazyLock::new(|| {
    let root = std::fs::metadata("/proc/self").expect("procfs").st_uid() == 0;
    let user = if root { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    let alone = nix::sched::unshare(user | CloneFlags::CLONE_NEWNET).is_ok();
    if !alone || Driver::open(Namespace::Own, Options::default()).is_err() {
        eprintln!("journal: skipped: no network namespace, or no XFRM in it");
        return None;
    }
    let number = std::fs::metadata("/proc/self/ns/net").expect("procfs").st_ino();
    let directory = std::env::temp_dir().join(format!("openwfp-fuzz-{}", std::process::id()));
    let journal = directory.join(format!("xfrm-{number}-left.journal"));
    Some((directory, journal))
});

fn examples() -> [Vec<u8>; 3] {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sa = |spi| {
        let mut bytes = Vec::new();
        SaId { destination: [192, 0, 2, 1].into(), spi, protocol: 50, mark: (0, 0) }.emit(&mut bytes);
        hex(&bytes)
    };
    let mut policy = Vec::new();
    PolicyId { selector: RawSelector::ANY, index: 9, direction: 1, mark: (7, 7), if_id: 3 }.emit(&mut policy);
    let (one, two, policy) = (sa(0x1000), sa(0x2000), hex(&policy));
    let whole = format!("sa 1 in {one}\nsa 1 out {two}\npolicy 1 {policy}\nwhole 1\nspd {policy}\n");
    let gone = format!("sa 2 in {one}\nsa 2 in {two}\nnot 2 {one}\ngone 2\nnospd {policy}\n");
    [format!(" {whole}"), format!("#{whole}"), format!("#{whole}{gone}")].map(String::into_bytes)
}

/// Adds its checksum to each line.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let checked = |line: &[u8]| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        [line, format!(" #{:08x}\n", crc32fast::hash(line)).as_bytes()].concat()
    };
    lines.flat_map(checked).collect()
}

fuzz_target!(
    init: {
        // A process with several threads may not enter a new user namespace.
        LazyLock::force(&JOURNAL);
        openwfp_fuzz::start_from(examples());
    },
    |bytes: &[u8]| {
        let (Some((directory, journal)), Some((how, bytes))) = (&*JOURNAL, bytes.split_first()) else { return };
        let bytes = if *how == b'#' { with_checksums(bytes) } else { bytes.to_vec() };
        // Remove what the previous input left.
        drop(std::fs::remove_dir_all(directory));
        std::fs::create_dir(directory).expect("a directory");
        let mut options = Options::default();
        options.runtime = Some(directory.clone());
        options.recover = true;
        let leave = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(journal)?;
            file.write_all(&bytes)
        };
        leave().expect("a file");
        drop(Driver::open(Namespace::Own, options));
        leave().expect("a file");
        if let Ok(flushed) = openwfp_xfrm::live::flush(Namespace::Own, directory) {
            assert_eq!((flushed.states, flushed.policies), (0, 0), "there is nothing in this namespace");
            assert!(!journal.exists());
        }
    }
);
