//! The engine's suite over a Unix socket: the same tests, the other end of the wire.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod rig;
#[path = "../../openwfp-engine/tests/suite/mod.rs"]
mod suite;

/// How the suite's sessions are opened.
mod connect {
    use openwfp_api::Result;
    use openwfp_api::Session;
    use openwfp_api::SessionOptions;
    use openwfp_engine::Engine;
    use std::sync::Arc;

    /// Whether what a session shows is the engine's own, not a copy of it.
    pub(crate) const IN_PROCESS: bool = false;

    pub(crate) fn connect(engine: &Engine, options: SessionOptions) -> Result<Arc<dyn Session>> {
        crate::rig::connect(engine, options, crate::rig::over_unix)
    }
}
