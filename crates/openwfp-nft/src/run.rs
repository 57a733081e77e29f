//! Runs `nft` in a network namespace.

use crate::compile;
use crate::log;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Mirror;
use openwfp_api::PacketFilter;
use openwfp_api::Result;
use openwfp_api::object::Filter;
use openwfp_xfrm::live::Namespace;
use openwfp_xfrm::live::Worker;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;

/// Start of the names of all tables of engines.
const TABLES: &str = "openwfp";

/// The nftables of a network namespace, with one table of the engine's own.
pub struct Nftables {
    namespace: Namespace,
    table: String,
    /// Why nftables cannot be used, once that is known.
    unavailable: OnceLock<Option<String>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the table exists.
    has_table: bool,
    /// Whether rules of the table log packets.
    logs: bool,
    mirror: Option<Box<dyn Mirror>>,
    /// The thread that receives logged packets.
    log: Option<Worker>,
}

impl Nftables {
    /// Prepares nftables in a network namespace. `is_daemon` tells whether this is the one engine that takes over tables of
    /// earlier engines; other engines have tables by the number of their process.
    pub fn new(namespace: Namespace, is_daemon: bool) -> Nftables {
        let table = if is_daemon { TABLES.to_owned() } else { format!("{TABLES}-{}", std::process::id()) };
        Nftables { namespace, table, unavailable: OnceLock::new(), state: Mutex::default() }
    }

    /// Reports what rules drop to the engine from now on.
    pub fn report_to(&self, mirror: Box<dyn Mirror>) {
        let mut state = self.state();
        state.mirror = Some(mirror);
        // An engine sets the filters of its store before it takes reports.
        if state.logs {
            self.start_log(&mut state);
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
        let mut state = self.state();
        if filters.is_empty() && !state.has_table {
            return Ok(());
        }
        self.check_available()?;
        let logs = filters.iter().any(|filter| filter.is_reported);
        if logs {
            self.start_log(&mut state);
        }
        let ruleset = compile::ruleset(&self.table, filters);
        // By this name, because "-" is /dev/stdin to nft, which may be missing.
        self.run(&["-j", "-f", "/proc/self/fd/0"], ruleset.to_string().as_bytes())?;
        state.has_table = !filters.is_empty();
        state.logs = logs;
        Ok(())
    }

    /// Removes the tables that earlier engines have left behind: that of a daemon, which is about to set its own, and those of
    /// processes that no longer run.
    ///
    /// # Errors
    /// As [`Nftables::set`]. Without nftables there is nothing to remove.
    pub fn remove_leftovers(&self) -> Result {
        if self.unavailable().is_some() {
            return Ok(());
        }
        let has_ended = |table: &str| match table.strip_prefix(TABLES).and_then(|rest| rest.strip_prefix('-'))
        {
            Some(process) => !Path::new("/proc").join(process).exists(),
            None => table == TABLES,
        };
        for table in self.tables()?.iter().filter(|table| has_ended(table)) {
            self.run(&["delete", "table", "inet", table], &[])?;
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
            self.run(&["delete", "table", "inet", table], &[])?;
        }
        Ok(tables.len())
    }

    /// Returns the names of the tables of engines.
    fn tables(&self) -> Result<Vec<String>> {
        let listed = self.run(&["-j", "list", "tables", "inet"], &[])?;
        let listed: serde_json::Value = serde_json::from_slice(&listed).map_err(|error| {
            Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("cannot read the output of nft: {error}"))
        })?;
        let names = listed["nftables"].as_array().into_iter().flatten();
        let names = names.filter_map(|object| object["table"]["name"].as_str());
        let is_ours = |name: &&str| *name == TABLES || name.starts_with(&format!("{TABLES}-"));
        Ok(names.filter(is_ours).map(str::to_owned).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self) -> Option<String> {
        let find = || {
            // The kernel checks a table with what rules use, and does not create it: some kernels list tables, but have no
            // nftables for IP.
            let probe = compile::probe(&self.table).to_string();
            self.run(&["-c", "-j", "-f", "/proc/self/fd/0"], probe.as_bytes())
                .err()
                .map(|error| format!("nftables is not available: {}", error.what()))
        };
        self.unavailable.get_or_init(find).clone()
    }

    /// Starts to listen for what rules log, if there is somebody to tell and it has not started. Without it, the rules drop all
    /// the same.
    fn start_log(&self, state: &mut State) {
        let Some(mirror) = state.mirror.take() else { return };
        match self.namespace.inside(|| log::start(mirror)) {
            Ok(log) => state.log = Some(log),
            Err(error) => {
                tracing::warn!(%error, "the packets on which filters decide are not reported as net events");
            }
        }
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let output = self.namespace.inside(|| nft(arguments, input))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let first = words.lines().find(|line| !line.is_empty()).unwrap_or("no message").trim();
        let code = match first {
            words if words.contains("Operation not permitted") => Code::ERROR_ACCESS_DENIED,
            words if words.contains("not supported") => Code::ERROR_NOT_SUPPORTED,
            _ => Code::RPC_E_SYS_CALL_FAILED,
        };
        Err(Error::new(code, format!("nft refused the rules: \"{first}\"")))
    }
}

fn nft(arguments: &[&str], input: &[u8]) -> Result<Output> {
    let failed =
        |error: &io::Error| Error::new(Code::ERROR_NOT_SUPPORTED, format!("cannot run nft: {error}"));
    let mut command = Command::new("nft");
    // A daemon's search path may lack the directories of administrators.
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(arguments).env("PATH", format!("{path}:/usr/sbin:/sbin"));
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
    child.wait_with_output().map_err(|error| failed(&error))
}
