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

pub use openwfp_api as api;
use openwfp_api::Mirror;
use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::Sid;
pub use openwfp_engine::SessionOptions;
use std::sync::Arc;
pub use url::EngineUrl;

/// An engine that sessions can be opened with.
#[derive(Clone, Debug)]
pub struct Engine(openwfp_engine::Engine);

impl Engine {
    /// Gets the engine that the URL names ready. One that is filled from elsewhere shows what was there at this moment.
    ///
    /// # Errors
    /// Those of the engine's provider: see [`openwfp_xfrm::capture::read`] and `openwfp_xfrm::live::list`.
    pub fn at(url: &EngineUrl) -> Result<Engine> {
        let listing = match url {
            EngineUrl::Capture(directory) => Some(openwfp_xfrm::capture::read(directory)?),
            EngineUrl::Memory => None,
            EngineUrl::Xfrm => Some(list_kernel()?),
        };
        let engine = openwfp_engine::Engine::builder().owner(this_user()).build();
        if let Some(listing) = listing {
            engine.mirror().replace(listing.contexts, listing.completeness)?;
        }
        Ok(Engine(engine))
    }

    /// Opens a session. WFP: `FwpmEngineOpen0`.
    ///
    /// # Errors
    /// As [`openwfp_engine::Engine::open_session`].
    pub fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        self.0.open_session(options)
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
