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

mod url;
mod watch;

pub use openwfp_api as api;
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
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
pub use url::DAEMON_SOCKET;
pub use url::EngineUrl;
pub use watch::Update;
pub use watch::Watcher;

/// A listing of the kernel is good enough for another session while it is not older than this many times what it took to
/// make: many sessions that are opened do not list all the time.
const LISTING_AGE_MAX: u32 = 10;

/// An engine that sessions can be opened with: one in this process, or a daemon's.
#[derive(Clone, Debug)]
pub struct Engine(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Here {
        engine: openwfp_engine::Engine,
        /// The last listing of the kernel, where that is the provider.
        listed: Option<Arc<Mutex<Listed>>>,
    },
    Elsewhere(RemoteEngine),
}

/// When a listing was made, and what that took.
#[derive(Clone, Copy, Debug)]
struct Listed {
    at: Instant,
    took: Duration,
}

impl Engine {
    /// Gets the engine that the URL names ready. One that is filled from elsewhere shows what was there at this moment.
    ///
    /// # Errors
    /// Those of the engine's provider: see [`openwfp_xfrm::capture::read`] and `openwfp_xfrm::live::list`.
    pub fn at(url: &EngineUrl) -> Result<Engine> {
        Engine::with(url, ClientOptions::default())
    }

    /// The same, with certificates and time-outs for a daemon's engine, which is not connected before a session is
    /// opened.
    ///
    /// # Errors
    /// As [`Engine::at`].
    pub fn with(url: &EngineUrl, options: ClientOptions) -> Result<Engine> {
        Engine::with_store(url, options, None)
    }

    /// The same, with a store for the persistent objects of an engine in this process.
    ///
    /// # Errors
    /// As [`Engine::at`], and those of the store.
    pub fn with_store(
        url: &EngineUrl,
        options: ClientOptions,
        store: Option<Arc<dyn ObjectStore>>,
    ) -> Result<Engine> {
        let begun = Instant::now();
        let listing = match url {
            EngineUrl::Remote(target) => {
                return Ok(Engine(Kind::Elsewhere(RemoteEngine::new(target.clone(), options))));
            }
            EngineUrl::Capture(directory) => Some(openwfp_xfrm::capture::read(directory)?),
            EngineUrl::Memory => None,
            EngineUrl::Xfrm => Some(list_kernel()?),
        };
        let mut builder = openwfp_engine::Engine::builder().owner(this_user());
        if let Some(store) = store {
            builder = builder.store(store);
        }
        let engine = builder.open()?;
        if let Some(listing) = listing {
            engine.mirror().replace(listing.contexts, listing.completeness)?;
        }
        let listed = Listed { at: begun, took: begun.elapsed() };
        let listed = (*url == EngineUrl::Xfrm).then(|| Arc::new(Mutex::new(listed)));
        Ok(Engine(Kind::Here { engine, listed }))
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`. An engine of the kernel's SAs lists them anew; those that stayed keep
    /// their ids.
    ///
    /// # Errors
    /// As [`openwfp_engine::Engine::open_session`], [`RemoteEngine::open_session`], and those of the provider.
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        match &self.0 {
            Kind::Elsewhere(remote) => remote.open_session(options),
            Kind::Here { engine, listed } => {
                if let Some(listed) = listed {
                    let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
                    if listed.at.elapsed() > listed.took * LISTING_AGE_MAX {
                        let at = Instant::now();
                        let listing = list_kernel()?;
                        engine.mirror().replace(listing.contexts, listing.completeness)?;
                        *listed = Listed { at, took: at.elapsed() };
                    }
                }
                engine.open_session(options)
            }
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

#[cfg(target_os = "linux")]
fn list_kernel() -> Result<openwfp_xfrm::Listing> {
    openwfp_xfrm::live::list()
}

#[cfg(not(target_os = "linux"))]
fn list_kernel() -> Result<openwfp_xfrm::Listing> {
    Err(openwfp_api::Error::new(openwfp_api::Code::ERROR_NOT_SUPPORTED, "xfrm: engines are Linux' alone")
        .with_remedy("name another engine, such as capture:DIR"))
}
