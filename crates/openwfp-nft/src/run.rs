//! Runs `nft` in a network namespace.

use crate::compile;
use crate::log;
use crate::watch;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::PacketFilter;
use openwfp_api::Result;
use openwfp_api::object::Filter;
use openwfp_xfrm::live::Namespace;
use openwfp_xfrm::live::Worker;
use std::collections::VecDeque;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

/// Start of the names of all tables of engines.
const TABLES: &str = "openwfp";

/// The nftables of a network namespace, with one table of the engine's own.
pub struct Nftables {
    owned: Arc<Owned>,
    /// Why nftables cannot be used, once that is known.
    unavailable: OnceLock<Option<String>>,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    mirror: Option<Box<dyn Mirror>>,
    /// The thread that receives logged packets.
    log: Option<Worker>,
    /// The thread that puts the table back after other programs have changed it.
    watch: Option<Worker>,
}

/// The engine's table.
pub(crate) struct Owned {
    namespace: Namespace,
    pub(crate) table: String,
    content: Mutex<Content>,
}

/// What the table has.
pub(crate) struct Content {
    /// The ruleset that made the table; `None` if this engine has made none.
    ruleset: Option<String>,
    /// Whether there is a table of an earlier daemon, which the first change replaces or removes.
    is_left_behind: bool,
    /// Whether rules of the table log packets.
    logs: bool,
    /// Processes of `nft` whose changes the watching thread has not seen yet, oldest first; `None` if no thread watches.
    pub(crate) ours: Option<VecDeque<u32>>,
}

impl Nftables {
    /// Prepares nftables in a network namespace. `is_daemon` tells whether this is the one engine that takes over tables of
    /// earlier engines; other engines have tables by the number of their process.
    pub fn new(namespace: Namespace, is_daemon: bool) -> Nftables {
        let table = if is_daemon { TABLES.to_owned() } else { format!("{TABLES}-{}", std::process::id()) };
        let content = Mutex::new(Content { ruleset: None, is_left_behind: false, logs: false, ours: None });
        let owned = Arc::new(Owned { namespace, table, content });
        Nftables { owned, unavailable: OnceLock::new(), threads: Mutex::default() }
    }

    /// Reports what rules drop to the engine from now on.
    pub fn report_to(&self, mirror: Box<dyn Mirror>) {
        let mut threads = lock(&self.threads);
        threads.mirror = Some(mirror);
        // An engine sets the filters of its store before it takes reports.
        if lock(&self.owned.content).logs {
            self.start_log(&mut threads);
        }
    }

    /// Checks that nftables can be used.
    ///
    /// # Errors
    /// `ERROR_NOT_SUPPORTED` without the program `nft`, or without `nf_tables` in the kernel.
    pub fn check_available(&self) -> Result {
        match self.unavailable() {
            None => Ok(()),
            Some(why) => Err(Error::new(Code::ERROR_NOT_SUPPORTED, why)
                .with_remedy("Install the package nftables, and use a kernel with nf_tables.")),
        }
    }

    /// Checks whether nftables can carry out a filter exactly.
    ///
    /// # Errors
    /// The reason, in words, if it cannot.
    pub fn check(&self, filter: &Filter) -> std::result::Result<(), String> {
        compile::check(filter)?;
        self.unavailable().map_or(Ok(()), Err)
    }

    /// Replaces the table by rules for these filters. Without filters there is no table.
    ///
    /// # Errors
    /// `ERROR_NOT_SUPPORTED` if nftables cannot be used, otherwise the code that fits, with the message of `nft`. Nothing has
    /// changed then.
    pub fn set(&self, filters: &[PacketFilter]) -> Result {
        {
            let content = lock(&self.owned.content);
            if filters.is_empty() && content.ruleset.is_none() && !content.is_left_behind {
                return Ok(());
            }
        }
        self.check_available()?;
        let logs = filters.iter().any(|filter| filter.is_reported);
        let mut threads = lock(&self.threads);
        if logs {
            self.start_log(&mut threads);
        }
        self.start_watch(&mut threads);
        drop(threads);
        let ruleset = compile::ruleset(&self.owned.table, filters).to_string();
        let mut content = lock(&self.owned.content);
        self.owned.load(&mut content, &ruleset)?;
        content.ruleset = (!filters.is_empty()).then_some(ruleset);
        content.is_left_behind = false;
        content.logs = logs;
        Ok(())
    }

    /// Takes over what earlier engines have left behind. The next [`Nftables::set`] replaces or removes the table of an earlier
    /// daemon, whose rules hold until then; the tables of processes that no longer run go at once.
    ///
    /// # Errors
    /// As [`Nftables::set`]. Without nftables there is nothing to remove.
    pub fn take_over(&self) -> Result {
        if self.unavailable().is_some() {
            return Ok(());
        }
        for table in self.tables()? {
            let process = table.strip_prefix(TABLES).and_then(|rest| rest.strip_prefix('-'));
            if table == self.owned.table {
                lock(&self.owned.content).is_left_behind = true;
            } else if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                self.owned.run(&["delete", "table", "inet", &table], &[])?;
            }
        }
        Ok(())
    }

    /// Removes the tables of all engines; returns their number.
    ///
    /// # Errors
    /// As [`Nftables::set`]. Without nftables there is nothing to remove.
    pub fn flush(&self) -> Result<usize> {
        if self.unavailable().is_some() {
            return Ok(0);
        }
        let tables = self.tables()?;
        for table in &tables {
            self.owned.run(&["delete", "table", "inet", table], &[])?;
        }
        Ok(tables.len())
    }

    /// Returns the names of the tables of engines.
    fn tables(&self) -> Result<Vec<String>> {
        let listed = self.owned.run(&["-j", "list", "tables", "inet"], &[])?;
        let listed: serde_json::Value = serde_json::from_slice(&listed).map_err(|error| {
            Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("cannot read the output of nft: {error}"))
        })?;
        let names = listed["nftables"].as_array().into_iter().flatten();
        let names = names.filter_map(|object| object["table"]["name"].as_str());
        let is_ours = |name: &&str| *name == TABLES || name.starts_with(&format!("{TABLES}-"));
        Ok(names.filter(is_ours).map(str::to_owned).collect())
    }

    fn unavailable(&self) -> Option<String> {
        let find = || {
            // The kernel checks a table with what rules use, and does not create it: some kernels list tables, but have no
            // nftables for IP.
            let probe = compile::probe(&self.owned.table).to_string();
            self.owned
                .run(&["-c", "-j", "-f", "/proc/self/fd/0"], probe.as_bytes())
                .err()
                .map(|error| format!("nftables is not available: {}", error.what()))
        };
        self.unavailable.get_or_init(find).clone()
    }

    /// Starts to listen for what rules log, if there is somebody to tell and it has not started. Without it, the rules drop all
    /// the same.
    fn start_log(&self, threads: &mut Threads) {
        let Some(mirror) = threads.mirror.take() else { return };
        match self.owned.namespace.inside(|| log::start(mirror)) {
            Ok(log) => threads.log = Some(log),
            Err(error) => {
                tracing::warn!(%error, "the packets on which filters decide are not reported as net events");
            }
        }
    }

    /// Starts to watch for other programs' changes of the table, if it has not started.
    fn start_watch(&self, threads: &mut Threads) {
        if threads.watch.is_some() {
            return;
        }
        match self.owned.namespace.inside(|| watch::start(Arc::clone(&self.owned))) {
            Ok(watch) => threads.watch = Some(watch),
            Err(error) => {
                tracing::warn!(%error, "if another program removes the engine's nftables table, nothing puts it back");
            }
        }
    }
}

impl Owned {
    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }

    /// Puts the table back as it was last set, if there is to be one.
    ///
    /// # Errors
    /// As [`Nftables::set`].
    pub(crate) fn put_back(&self) -> Result {
        let mut content = self.content();
        match content.ruleset.clone() {
            Some(ruleset) => self.load(&mut content, &ruleset),
            None => Ok(()),
        }
    }

    /// Has `nft` carry out a ruleset that replaces the table.
    fn load(&self, content: &mut Content, ruleset: &str) -> Result {
        // By this name, because "-" is /dev/stdin to nft, which may be missing.
        let (process, result) = self.run_as(&["-j", "-f", "/proc/self/fd/0"], ruleset.as_bytes());
        if let (Some(ours), Some(process), Ok(_)) = (&mut content.ours, process, &result) {
            ours.push_back(process);
        }
        result.map(drop)
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        self.run_as(arguments, input).1
    }

    /// Runs `nft`; returns the number of its process, and its output.
    fn run_as(&self, arguments: &[&str], input: &[u8]) -> (Option<u32>, Result<Vec<u8>>) {
        let (process, output) = match self.namespace.inside(|| nft(arguments, input)) {
            Ok(done) => done,
            Err(error) => return (None, Err(error)),
        };
        if output.status.success() {
            return (Some(process), Ok(output.stdout));
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let first = words.lines().find(|line| !line.is_empty()).unwrap_or("no message").trim();
        let code = match first {
            words if words.contains("Operation not permitted") => Code::ERROR_ACCESS_DENIED,
            words if words.contains("not supported") => Code::ERROR_NOT_SUPPORTED,
            _ => Code::RPC_E_SYS_CALL_FAILED,
        };
        (Some(process), Err(Error::new(code, format!("nft refused the rules: \"{first}\""))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns where to look for `nft`. A daemon's search path may lack the directories of administrators; that of a set-user-id or
/// setcap program is its caller's, who must not choose what it runs.
fn search_path(for_another: bool, own: Option<String>) -> String {
    const USUAL: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
    match own.filter(|_| !for_another) {
        Some(own) => format!("{own}:{USUAL}"),
        None => USUAL.to_owned(),
    }
}

/// Whether this program has rights that its caller has not (`AT_SECURE`, getauxval(3)). Yes, if the kernel does not tell.
fn runs_for_another() -> bool {
    const AT_SECURE: usize = 23;
    const WORD: usize = size_of::<usize>();
    let Ok(entries) = std::fs::read("/proc/self/auxv") else { return true };
    let number = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or_default();
    let mut entries =
        entries.chunks_exact(2 * WORD).map(|entry| (number(&entry[..WORD]), number(&entry[WORD..])));
    entries.find(|(kind, _)| *kind == AT_SECURE).is_none_or(|(_, value)| value != 0)
}

/// Runs `nft`; returns the number of its process, and what it has written.
fn nft(arguments: &[&str], input: &[u8]) -> Result<(u32, Output)> {
    let failed =
        |error: &io::Error| Error::new(Code::ERROR_NOT_SUPPORTED, format!("cannot run nft: {error}"));
    let mut command = Command::new("nft");
    command
        .args(arguments)
        .env_clear()
        .env("PATH", search_path(runs_for_another(), std::env::var("PATH").ok()));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It ends early on an error, which its output tells.
        let _ = stdin.write_all(input);
    }
    let process = child.id();
    child.wait_with_output().map(|output| (process, output)).map_err(|error| failed(&error))
}
