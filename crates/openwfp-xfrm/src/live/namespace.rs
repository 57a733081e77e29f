//! Network namespaces: selects the kernel state to work on.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// The namespace of this process.
    #[default]
    Own,
    /// A named namespace, as created by `ip netns add`.
    Named(String),
    /// The namespace of another process, by process id.
    Process(u32),
}

impl Namespace {
    /// Returns the file that represents the namespace; none for this process's own.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Namespace::Own => None,
            Namespace::Named(name) => Some(PathBuf::from("/run/netns").join(name)),
            Namespace::Process(id) => Some(PathBuf::from(format!("/proc/{id}/ns/net"))),
        }
    }

    /// Calls a function inside the namespace. Sockets and `/proc` files that it opens stay in that
    /// namespace.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` if the namespace does not exist, `ERROR_ACCESS_DENIED` without `CAP_SYS_ADMIN`,
    /// and the errors of `call`.
    pub fn inside<T: Send>(&self, call: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let Some(path) = self.path() else { return call() };
        let file = File::open(&path).map_err(|error| self.not_entered(&error))?;
        // Namespaces belong to threads: enter it on a new thread, so that this one stays where it is.
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| self.not_entered(&errno.into()))?;
                call()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Returns whether this name or process still refers to the namespace with this inode number.
    pub(super) fn is_still(&self, number: u64) -> bool {
        self.path().is_none_or(|path| std::fs::metadata(path).is_ok_and(|found| found.st_ino() == number))
    }

    fn not_entered(&self, error: &io::Error) -> Error {
        let what = format!("cannot enter the network namespace {self}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => Error::new(Code::FWP_E_NOT_FOUND, what).with_remedy(match self {
                Namespace::Process(_) => "Check that the process is running.",
                _ => "List the namespaces: ip netns list",
            }),
            io::ErrorKind::PermissionDenied => Error::new(Code::ERROR_ACCESS_DENIED, what)
                .with_remedy("Run as root: entering another network namespace requires CAP_SYS_ADMIN."),
            _ => Error::new(Code::RPC_E_SYS_CALL_FAILED, what),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Namespace::Own => f.write_str("of this process"),
            Namespace::Named(name) => write!(f, "\"{name}\""),
            Namespace::Process(id) => write!(f, "of process {id}"),
        }
    }
}

/// Returns the inode number of this thread's network namespace.
pub(super) fn number() -> Result<u64> {
    match std::fs::metadata("/proc/thread-self/ns/net") {
        Ok(found) => Ok(found.st_ino()),
        Err(error) => Err(Error::new(
            Code::RPC_E_SYS_CALL_FAILED,
            format!("cannot determine this process's network namespace: {error}"),
        )
        .with_remedy("Mount /proc.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_not_there_is_not_found() {
        let missing = Namespace::Named("openwfp-no-such".into());
        assert_eq!(missing.inside(|| Ok(())).unwrap_err().code(), Code::FWP_E_NOT_FOUND);
        assert!(!missing.is_still(1));
        let own = number().unwrap();
        assert!(Namespace::Own.is_still(own));
        assert!(Namespace::Process(std::process::id()).is_still(own));
        assert!(!Namespace::Process(std::process::id()).is_still(own + 1));
    }
}
