//! Which engine a session is opened with.
//!
//! Without a server's name: the one that `OPENWFP_ENGINE` names, else one in this process. An engine in this process is
//! the same for all its sessions; `xfrm:` lists the kernel anew for each.

use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::Session;
use std::collections::HashMap;
use std::env::VarError;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;

static ENGINES: LazyLock<Mutex<HashMap<EngineUrl, Engine>>> = LazyLock::new(Mutex::default);

/// Opens a session with the engine that is meant.
///
/// # Errors
/// `RPC_E_SERVER_DIED_DNE` for a server's name, `FWP_E_INVALID_PARAMETER` for a URL that names no engine, and those of
/// the engine.
pub(crate) fn open_session(server: Option<String>, options: SessionOptions) -> Result<Arc<dyn Session>> {
    if let Some(server) = server {
        return Err(Error::new(Code::RPC_E_SERVER_DIED_DNE, format!("no engine answers at \"{server}\""))
            .with_remedy("this version reaches no other machine's engine: pass null"));
    }
    let url = match std::env::var("OPENWFP_ENGINE") {
        Ok(url) if !url.is_empty() => url.parse().map_err(|error: Error| {
            Error::new(error.code(), format!("OPENWFP_ENGINE: {}", error.what()))
                .with_remedy(error.remedy().unwrap_or_default())
        })?,
        Ok(_) | Err(VarError::NotPresent) => EngineUrl::Memory,
        Err(VarError::NotUnicode(_)) => {
            return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, "OPENWFP_ENGINE is no UTF-8"));
        }
    };
    engine_at(url)?.open_session(options)
}

fn engine_at(url: EngineUrl) -> Result<Engine> {
    if url == EngineUrl::Xfrm {
        return Engine::at(&url);
    }
    // Held while the engine is made, so that two threads do not make two.
    let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = engines.get(&url) {
        return Ok(engine.clone());
    }
    let engine = Engine::at(&url)?;
    engines.insert(url, engine.clone());
    Ok(engine)
}

/// The name of the user that this process runs as; empty if it has none.
pub(crate) fn user_name() -> String {
    let mut record = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut strings: [libc::c_char; 4096] = [0; 4096];
    let mut found = std::ptr::null_mut();
    // SAFETY: the call writes to these places alone, which are as large as it is told.
    let failed = unsafe {
        libc::getpwuid_r(
            libc::geteuid(),
            record.as_mut_ptr(),
            strings.as_mut_ptr(),
            strings.len(),
            &raw mut found,
        )
    };
    if failed != 0 || found.is_null() {
        return String::new();
    }
    // SAFETY: the call found a record, so that its name is a string within `strings`.
    unsafe { CStr::from_ptr((*found).pw_name) }.to_string_lossy().into_owned()
}
