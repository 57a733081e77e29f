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
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::sync::Arc;
pub use url::EngineUrl;

/// Opens a session with the engine that the URL names. WFP: `FwpmEngineOpen0`.
///
/// # Errors
/// Those of the engine's provider: see [`openwfp_xfrm::capture::read`] and `openwfp_xfrm::live::list`.
pub fn open(url: &EngineUrl) -> Result<Arc<dyn Session>> {
    let listing = match url {
        EngineUrl::Capture(directory) => openwfp_xfrm::capture::read(directory)?,
        EngineUrl::Xfrm => list_kernel()?,
    };
    let engine = Engine::new();
    engine.mirror().replace(listing.contexts, listing.completeness)?;
    engine.open_session(SessionOptions::default())
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
