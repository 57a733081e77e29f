//! OpenWFP for Rust programs: opens engines by URL.
//!
//! ```
//! use openwfp::api::EnumOptions;
//!
//! # std::env::set_current_dir("../..")?;
//! let session = openwfp::open(&"capture:samples/strongswan-16".parse()?)?;
//! for context in session.sa_contexts(&EnumOptions::default())? {
//!     let context = context?;
//!     println!("{}: {}", context.id, context.traffic.endpoints.remote());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod engines;
#[cfg(target_os = "linux")]
mod machine;
mod url;
mod watch;

pub use engines::Engines;
pub use engines::NamedUrl;
pub use openwfp_api as api;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterEngine;
use openwfp_api::Mirror;
use openwfp_api::Result;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::Session;
pub use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::object::store::ObjectStore;
pub use openwfp_engine::Unenforced;
pub use openwfp_rpc as rpc;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::RemoteEngine;
pub use openwfp_store::RedbStore;
pub use openwfp_xfrm::Contexts;
pub use openwfp_xfrm::Snapshot;
use std::path::PathBuf;
use std::sync::Arc;
pub use url::DAEMON_SOCKET;
pub use url::EngineUrl;
pub use url::XfrmNamespace;
pub use url::XfrmTarget;
pub use watch::Update;
pub use watch::Watcher;

/// An engine that sessions can be opened with, either in this process or in a daemon.
#[derive(Clone, Debug)]
pub struct Engine(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Here(openwfp_engine::Engine),
    Elsewhere(RemoteEngine),
}

/// Options for an engine in this process. Every option has a default.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The store for persistent objects; default: none.
    pub store: Option<Arc<dyn ObjectStore>>,
    /// The directory in which an `xfrm:` engine records which kernel states it owns; default:
    /// `/run/openwfp`.
    pub runtime: Option<PathBuf>,
    /// The group that may read these records; default: the process's own.
    pub runtime_group: Option<u32>,
    /// Whether an `xfrm:` engine recovers the states of earlier engines at startup, as a daemon does: it
    /// takes over complete contexts and removes all other remains; default: no.
    pub recover: bool,
    /// Whether an `xfrm:` engine has nftables carry out filters; default: once a filter needs it.
    pub nftables: NftablesUse,
    /// What the engine does with filters that nothing can carry out; default: it accepts them.
    pub unenforced: Unenforced,
    /// The size in bytes of an `xfrm:` engine's receive buffer for kernel events; default: 16 MiB. If the
    /// buffer overflows, the engine lists the kernel again.
    pub event_buffer: Option<u32>,
}

/// Whether an engine has nftables carry out filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NftablesUse {
    /// Once a client has added a filter that needs it, and as long as there is one.
    #[default]
    Auto,
    /// Never: such filters have no effect.
    Off,
    /// As `Auto`, and the engine does not start without nftables.
    Require,
}

impl Engine {
    /// Prepares the engine that a URL identifies. An `xfrm:` engine starts to follow and drive its kernel.
    ///
    /// # Errors
    /// The errors of the engine's provider: see [`openwfp_xfrm::capture::read`] and
    /// `openwfp_xfrm::live::Driver`.
    pub fn at(url: &EngineUrl) -> Result<Engine> {
        Engine::with(url, ClientOptions::default())
    }

    /// Prepares the engine that a URL identifies, with certificates and timeouts for a daemon. It connects
    /// to a daemon only when a session is opened.
    ///
    /// # Errors
    /// As [`Engine::at`].
    pub fn with(url: &EngineUrl, options: ClientOptions) -> Result<Engine> {
        match url {
            EngineUrl::Remote { target, engine } => {
                let options = match engine.as_str() {
                    "" => options,
                    engine => ClientOptions { engine: engine.to_owned(), ..options },
                };
                Ok(Engine(Kind::Elsewhere(RemoteEngine::new(target.clone(), options))))
            }
            _ => Engine::here(url, EngineOptions::default()),
        }
    }

    /// Creates an engine in this process from a URL that does not refer to a daemon.
    ///
    /// # Errors
    /// As [`Engine::at`], the store's errors, and `FWP_E_INVALID_PARAMETER` for a daemon's URL.
    pub fn here(url: &EngineUrl, options: EngineOptions) -> Result<Engine> {
        let mut builder = openwfp_engine::Engine::builder().owner(this_user()).unenforced(options.unenforced);
        if let Some(store) = &options.store {
            builder = builder.store(Arc::clone(store));
        }
        let engine = match url {
            EngineUrl::Remote { .. } => {
                let what = format!("{url} is a daemon's engine, not one of this process");
                return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
            }
            EngineUrl::Capture(directory) => of_snapshot(builder, &openwfp_xfrm::capture::read(directory)?)?,
            EngineUrl::Memory => builder.open()?,
            EngineUrl::Xfrm(target) => of_kernel(target, builder, options)?,
        };
        Ok(Engine(Kind::Here(engine)))
    }

    /// As [`Engine::with`], for a program that reads once and ends: an `xfrm:` engine lists the kernel and does not follow it, and
    /// it changes nothing.
    ///
    /// # Errors
    /// As [`Engine::at`].
    pub fn once(url: &EngineUrl, client: ClientOptions) -> Result<Engine> {
        match url {
            EngineUrl::Xfrm(target) => {
                let builder = openwfp_engine::Engine::builder().owner(this_user());
                Ok(Engine(Kind::Here(of_snapshot(builder, &snapshot_of_kernel(target)?)?)))
            }
            _ => Engine::with(url, client),
        }
    }

    /// Returns the security descriptor that something in this process's engine has until somebody sets another one; `None` for a
    /// daemon's engine.
    pub fn usual_security(&self, of: Securable) -> Option<SecurityDescriptor> {
        match &self.0 {
            Kind::Elsewhere(_) => None,
            Kind::Here(engine) => Some(engine.usual_security(of)),
        }
    }

    /// Looks once at everything that a call of this process's engine needs. An engine that is stuck never returns. Does nothing
    /// for a daemon's engine.
    pub fn check(&self) {
        if let Kind::Here(engine) = &self.0 {
            engine.gauges();
        }
    }

    /// Names users and groups that, like root, can take over everything in this process's engine, and can list and delete every
    /// object. Does nothing for a daemon's engine.
    pub fn set_administrators(&self, administrators: Vec<Sid>) {
        if let Kind::Here(engine) = &self.0 {
            engine.set_administrators(administrators);
        }
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// As [`openwfp_engine::Engine::open_session`] or [`RemoteEngine::open_session`].
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        match &self.0 {
            Kind::Elsewhere(remote) => remote.open_session(options),
            Kind::Here(engine) => engine.open_session(options),
        }
    }
}

impl FilterEngine for Engine {
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        Engine::open_session(self, options)
    }
}

/// Opens a session with the engine that a URL identifies. WFP: `FwpmEngineOpen0`.
///
/// ```
/// let session = openwfp::open(&"memory:".parse()?)?;
/// assert_eq!(session.statistics()?.sas.active, 0);
/// # Ok::<(), openwfp::api::Error>(())
/// ```
///
/// # Errors
/// As [`Engine::at`] and [`Engine::open_session`].
pub fn open(url: &EngineUrl) -> Result<Arc<dyn Session>> {
    Engine::at(url)?.open_session(SessionOptions::default())
}

/// Takes a snapshot of a kernel or a capture, to read its SA contexts once without an engine that holds them. Returns none for
/// other engines.
///
/// # Errors
/// As [`Engine::at`].
pub fn snapshot(url: &EngineUrl) -> Result<Option<Snapshot>> {
    match url {
        EngineUrl::Xfrm(target) => snapshot_of_kernel(target).map(Some),
        EngineUrl::Capture(directory) => openwfp_xfrm::capture::read(directory).map(Some),
        EngineUrl::Memory | EngineUrl::Remote { .. } => Ok(None),
    }
}

/// What [`flush`] has removed from a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Number of SAs.
    pub sas: usize,
    /// Number of IPsec policies.
    pub policies: usize,
    /// Number of tables of nftables.
    pub tables: usize,
}

/// Removes all SAs, policies and nftables tables that engines have left in the kernel of an `xfrm:` URL. `runtime` is the
/// directory of their records, as in [`EngineOptions::runtime`].
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` if the URL is not one of a kernel, `FWP_E_IN_USE` if an engine of the kernel still runs, and the
/// kernel's errors as for [`Engine::at`].
pub fn flush(url: &EngineUrl, runtime: Option<PathBuf>) -> Result<Flushed> {
    match url {
        EngineUrl::Xfrm(target) => flush_kernel(target, runtime),
        _ => {
            let what = format!("{url} is not the engine of a kernel, so it leaves nothing behind");
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy("Use xfrm: or xfrm:netns=NAME."))
        }
    }
}

/// Returns the user that this process runs as and who owns its engines; root if unknown.
fn this_user() -> Sid {
    #[cfg(target_os = "linux")]
    if let Ok(process) = std::fs::metadata("/proc/self") {
        return Sid::unix_user(std::os::linux::fs::MetadataExt::st_uid(&process));
    }
    Sid::ROOT
}

/// Creates an engine that follows and drives a kernel.
#[cfg(target_os = "linux")]
fn of_kernel(
    target: &XfrmTarget,
    builder: openwfp_engine::EngineBuilder,
    options: EngineOptions,
) -> Result<openwfp_engine::Engine> {
    use openwfp_xfrm::live;
    let namespace = namespace_of(target);
    let mut of_driver = live::Options::default();
    of_driver.adopt = target.adopt;
    of_driver.recover = options.recover;
    if let Some(runtime) = options.runtime {
        of_driver.runtime = Some(runtime);
    }
    of_driver.runtime_group = options.runtime_group;
    if let Some(bytes) = options.event_buffer {
        of_driver.event_buffer = bytes;
    }
    let nftables = openwfp_nft::Nftables::new(namespace.clone(), options.recover);
    if options.nftables == NftablesUse::Require {
        nftables.check_available()?;
    }
    let driver = live::Driver::open(namespace, of_driver)?;
    if options.recover && options.nftables != NftablesUse::Off {
        nftables.take_over()?;
    }
    let machine = Arc::new(machine::Machine { driver, nftables, uses: options.nftables });
    let engine = builder.dataplane(Arc::clone(&machine) as Arc<dyn openwfp_api::Dataplane>).open()?;
    machine.driver.follow(Box::new(engine.weak_mirror()))?;
    machine.nftables.report_to(Box::new(engine.weak_mirror()));
    Ok(engine)
}

/// Creates an engine that has what a kernel or a capture had at one moment.
fn of_snapshot(
    builder: openwfp_engine::EngineBuilder,
    snapshot: &Snapshot,
) -> Result<openwfp_engine::Engine> {
    let listing = snapshot.listing()?;
    let engine = builder.open()?;
    let mirror = engine.mirror();
    mirror.replace(listing.contexts, listing.completeness)?;
    mirror.change_policies(listing.policies)?;
    Ok(engine)
}

#[cfg(target_os = "linux")]
fn snapshot_of_kernel(target: &XfrmTarget) -> Result<Snapshot> {
    openwfp_xfrm::live::snapshot(namespace_of(target))
}

#[cfg(not(target_os = "linux"))]
fn snapshot_of_kernel(_: &XfrmTarget) -> Result<Snapshot> {
    Err(needs_linux())
}

#[cfg(target_os = "linux")]
fn namespace_of(target: &XfrmTarget) -> openwfp_xfrm::live::Namespace {
    use openwfp_xfrm::live::Namespace;
    match &target.namespace {
        XfrmNamespace::Own => Namespace::Own,
        XfrmNamespace::Named(name) => Namespace::Named(name.clone()),
        XfrmNamespace::Process(id) => Namespace::Process(*id),
    }
}

#[cfg(target_os = "linux")]
fn flush_kernel(target: &XfrmTarget, runtime: Option<PathBuf>) -> Result<Flushed> {
    use openwfp_xfrm::live;
    let runtime = runtime.or(live::Options::default().runtime).unwrap_or_default();
    let namespace = namespace_of(target);
    let nftables = openwfp_nft::Nftables::new(namespace.clone(), true);
    let live::Flushed { states, policies } = live::flush(namespace, &runtime)?;
    Ok(Flushed { sas: states, policies, tables: nftables.flush()? })
}

#[cfg(not(target_os = "linux"))]
fn flush_kernel(_: &XfrmTarget, _: Option<PathBuf>) -> Result<Flushed> {
    Err(needs_linux())
}

#[cfg(not(target_os = "linux"))]
fn needs_linux() -> Error {
    Error::new(Code::ERROR_NOT_SUPPORTED, "xfrm: engines need Linux")
        .with_remedy("Use another engine, such as capture:DIR.")
}

#[cfg(not(target_os = "linux"))]
fn of_kernel(
    _: &XfrmTarget,
    _: openwfp_engine::EngineBuilder,
    _: EngineOptions,
) -> Result<openwfp_engine::Engine> {
    Err(needs_linux())
}

/// The Rust of the documentation, as doctests.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/rust.md")]
    struct Rust;
}
