//! How the tests' sessions are opened: with the engine in this process.

use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use openwfp_engine::Engine;
use std::sync::Arc;

/// Whether what a session shows is the engine's own, not a copy of it.
#[allow(dead_code, reason = "the suite asks")]
pub(crate) const IN_PROCESS: bool = true;

pub(crate) fn connect(engine: &Engine, options: SessionOptions) -> Result<Arc<dyn Session>> {
    engine.open_session(options)
}
