//! OpenWFP for Rust programs: opens engines by URL.
//!
//! ```no_run
//! use openwfp::api::EnumOptions;
//!
//! let session = openwfp::open(&"capture:samples/strongswan-16".parse()?)?;
//! let enumerator = session.sa_context_create_enum(&EnumOptions::default())?;
//! loop {
//!     let page = session.sa_context_enum(enumerator, 100)?.accept();
//!     for context in &page {
//!         println!("{} {:?}", context.id, context.traffic.endpoints);
//!     }
//!     if page.len() < 100 {
//!         break;
//!     }
//! }
//! # Ok::<(), openwfp::api::Error>(())
//! ```
#![forbid(unsafe_code)]

mod engines;
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
use openwfp_api::Session;
pub use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::object::store::ObjectStore;
pub use openwfp_rpc as rpc;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::RemoteEngine;
pub use openwfp_store::RedbStore;
use std::path::PathBuf;
use std::sync::Arc;
pub use url::DAEMON_SOCKET;
pub use url::EngineUrl;
pub use url::XfrmNamespace;
pub use url::XfrmTarget;
pub use watch::Update;
pub use watch::Watcher;

/// An engine that sessions can be opened with: one in this process, or a daemon's.
#[derive(Clone, Debug)]
pub struct Engine(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Here(openwfp_engine::Engine),
    Elsewhere(RemoteEngine),
}

/// How an engine in this process is made; everything has a default.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Where persistent objects are kept; default: nowhere.
    pub store: Option<Arc<dyn ObjectStore>>,
    /// Where an `xfrm:` engine notes which of the kernel's states are its own; default: `/run/openwfp`.
    pub runtime: Option<PathBuf>,
    /// Whether an `xfrm:` engine finishes or removes what earlier ones left behind, as a daemon does; default: no.
    pub recover: bool,
    /// The buffer of an `xfrm:` engine for the kernel's events, in bytes; default: 16 MiB. What does not fit is found by
    /// listing anew.
    pub event_buffer: Option<u32>,
}

impl Engine {
    /// Gets the engine that the URL names ready. One of a kernel follows it from now on, and drives it.
    ///
    /// # Errors
    /// Those of the engine's provider: see [`openwfp_xfrm::capture::read`] and `openwfp_xfrm::live::Driver`.
    pub fn at(url: &EngineUrl) -> Result<Engine> {
        Engine::with(url, ClientOptions::default())
    }

    /// The same, with certificates and time-outs for a daemon's engine, which is not connected before a session is
    /// opened.
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

    /// The engine of a URL that is no daemon's, in this process.
    ///
    /// # Errors
    /// As [`Engine::at`], those of the store, and `FWP_E_INVALID_PARAMETER` for a daemon's URL.
    pub fn here(url: &EngineUrl, options: EngineOptions) -> Result<Engine> {
        let mut builder = openwfp_engine::Engine::builder().owner(this_user());
        if let Some(store) = &options.store {
            builder = builder.store(Arc::clone(store));
        }
        let engine = match url {
            EngineUrl::Remote { .. } => {
                let what = format!("{url} is a daemon's engine, and not one of this process");
                return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
            }
            EngineUrl::Capture(directory) => {
                let listing = openwfp_xfrm::capture::read(directory)?;
                let engine = builder.open()?;
                engine.mirror().replace(listing.contexts, listing.completeness)?;
                engine
            }
            EngineUrl::Memory => builder.open()?,
            EngineUrl::Xfrm(target) => of_kernel(target, builder, options)?,
        };
        Ok(Engine(Kind::Here(engine)))
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// As [`openwfp_engine::Engine::open_session`], [`RemoteEngine::open_session`].
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

/// Opens a session with the engine that the URL names. WFP: `FwpmEngineOpen0`.
///
/// # Errors
/// As [`Engine::at`] and [`Engine::open_session`].
pub fn open(url: &EngineUrl) -> Result<Arc<dyn Session>> {
    Engine::at(url)?.open_session(SessionOptions::default())
}

/// The user that this process runs as, who owns the engines in it; root where that is not known.
fn this_user() -> Sid {
    #[cfg(target_os = "linux")]
    if let Ok(process) = std::fs::metadata("/proc/self") {
        return Sid::unix_user(std::os::linux::fs::MetadataExt::st_uid(&process));
    }
    Sid::ROOT
}

/// An engine that follows and drives a kernel.
#[cfg(target_os = "linux")]
fn of_kernel(
    target: &XfrmTarget,
    builder: openwfp_engine::EngineBuilder,
    options: EngineOptions,
) -> Result<openwfp_engine::Engine> {
    use openwfp_xfrm::live;
    let namespace = match &target.namespace {
        XfrmNamespace::Own => live::Namespace::Own,
        XfrmNamespace::Named(name) => live::Namespace::Named(name.clone()),
        XfrmNamespace::Process(id) => live::Namespace::Process(*id),
    };
    let mut of_driver = live::Options::default();
    of_driver.adopt = target.adopt;
    of_driver.recover = options.recover;
    if let Some(runtime) = options.runtime {
        of_driver.runtime = Some(runtime);
    }
    if let Some(bytes) = options.event_buffer {
        of_driver.event_buffer = bytes;
    }
    let driver = Arc::new(live::Driver::open(namespace, of_driver)?);
    let engine = builder.dataplane(Arc::clone(&driver) as Arc<dyn openwfp_api::Dataplane>).open()?;
    driver.follow(Box::new(engine.weak_mirror()))?;
    Ok(engine)
}

#[cfg(not(target_os = "linux"))]
fn of_kernel(
    _: &XfrmTarget,
    _: openwfp_engine::EngineBuilder,
    _: EngineOptions,
) -> Result<openwfp_engine::Engine> {
    Err(Error::new(Code::ERROR_NOT_SUPPORTED, "xfrm: engines are Linux' alone")
        .with_remedy("name another engine, such as capture:DIR"))
}
