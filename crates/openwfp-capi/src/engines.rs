//! Which engine a session is opened with.
//!
//! Without a server's name: the one that `OPENWFP_ENGINE` names, else this machine's daemon if it is there, else one in
//! this process. An engine in this process is the same for all its sessions. With a server's name: that server, over
//! mutual TLS with the certificate that `OPENWFP_CERT`, `OPENWFP_KEY` and `OPENWFP_CA` name.

use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::SessionOptions;
use openwfp::rpc::ClientOptions;
use openwfp::rpc::tls::ClientTls;
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
/// `FWP_E_INVALID_PARAMETER` for a name or URL that names no engine, and those of the engine.
pub(crate) fn open_session(server: Option<String>, options: SessionOptions) -> Result<Arc<dyn Session>> {
    let url = match server {
        Some(server) => EngineUrl::of_server(&server).map_err(|error| explained("serverName", &error))?,
        None => match variable("OPENWFP_ENGINE")? {
            Some(url) => url.parse().map_err(|error: Error| explained("OPENWFP_ENGINE", &error))?,
            None => EngineUrl::of_daemon().unwrap_or(EngineUrl::Memory),
        },
    };
    if matches!(url, EngineUrl::Remote { .. }) {
        let options_of_client = ClientOptions { tls: certificate()?, ..ClientOptions::default() };
        return Engine::with(&url, options_of_client)?.open_session(options);
    }
    engine_at(url)?.open_session(options)
}

fn explained(of: &str, error: &Error) -> Error {
    Error::new(error.code(), format!("{of}: {}", error.what()))
        .with_remedy(error.remedy().unwrap_or_default())
}

/// A variable that is set to something.
fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Ok(_) | Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, format!("{name} is no UTF-8")))
        }
    }
}

/// The certificate for servers, if one is named.
fn certificate() -> Result<Option<ClientTls>> {
    let [cert, key, ca] = ["OPENWFP_CERT", "OPENWFP_KEY", "OPENWFP_CA"].map(variable);
    match (cert?, key?, ca?) {
        (None, None, None) => Ok(None),
        (Some(cert), Some(key), Some(ca)) => {
            Ok(Some(ClientTls { ca: ca.into(), cert: cert.into(), key: key.into() }))
        }
        _ => Err(Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            "some of OPENWFP_CERT, OPENWFP_KEY and OPENWFP_CA are set and others are not",
        )
        .with_remedy("set all three, to files in PEM form")),
    }
}

fn engine_at(url: EngineUrl) -> Result<Engine> {
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
