//! Selects the engine with which a session is opened.
//!
//! Without a server name, the first of these: the engine that `OPENWFP_ENGINE` names, this machine's
//! daemon if its socket exists, an empty engine in this process. All sessions with the same engine in
//! this process share it. Set-user-id and setcap programs ignore these variables.
//!
//! A server name (`HOST`, `HOST:PORT` or a URL) selects that engine; the first two forms mean mutual
//! TLS. TLS uses the files that `OPENWFP_CERT`, `OPENWFP_KEY` and `OPENWFP_CA` name.

use crate::fork::PerProcess;
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
use std::sync::Mutex;
use std::sync::PoisonError;

static ENGINES: PerProcess<Mutex<HashMap<EngineUrl, Engine>>> = PerProcess::new(Mutex::default);

/// Opens a session with the engine that the server name or the environment selects.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for an invalid name, URL or environment variable, and the errors of the
/// engine.
pub(crate) fn open_session(server: Option<String>, options: SessionOptions) -> Result<Arc<dyn Session>> {
    let url = match server {
        Some(server) => EngineUrl::of_server(&server).map_err(|error| error.within("serverName"))?,
        None => match variable("OPENWFP_ENGINE")? {
            Some(url) => url.parse().map_err(|error: Error| error.within("OPENWFP_ENGINE"))?,
            None => EngineUrl::of_daemon().unwrap_or(EngineUrl::Memory),
        },
    };
    if matches!(url, EngineUrl::Remote { .. }) {
        let options_of_client = ClientOptions { tls: certificate()?, ..ClientOptions::default() };
        return Engine::with(&url, options_of_client)?.open_session(options);
    }
    engine_at(url)?.open_session(options)
}

/// Returns an environment variable; `None` if it is unset or empty, and in a set-user-id or setcap program, whose caller must not
/// choose the engine that it trusts, nor the files that it reads.
fn variable(name: &str) -> Result<Option<String>> {
    if runs_for_another() {
        return Ok(None);
    }
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Ok(_) | Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, format!("{name} is not UTF-8")))
        }
    }
}

/// Whether this program has rights that its caller has not, as `secure_getenv(3)` asks.
fn runs_for_another() -> bool {
    // SAFETY: the call reads a number that the kernel gave to this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Returns the TLS files that the environment names; `None` if it names none.
fn certificate() -> Result<Option<ClientTls>> {
    let [cert, key, ca] = ["OPENWFP_CERT", "OPENWFP_KEY", "OPENWFP_CA"].map(variable);
    match (cert?, key?, ca?) {
        (None, None, None) => Ok(None),
        (Some(cert), Some(key), Some(ca)) => {
            Ok(Some(ClientTls { ca: ca.into(), cert: cert.into(), key: key.into() }))
        }
        _ => Err(Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            "OPENWFP_CERT, OPENWFP_KEY and OPENWFP_CA are not all set",
        )
        .with_remedy("Set all three to PEM files.")),
    }
}

fn engine_at(url: EngineUrl) -> Result<Engine> {
    // Held while the engine is created, so that two threads cannot create two.
    let mut engines = ENGINES.get().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = engines.get(&url) {
        return Ok(engine.clone());
    }
    let engine = Engine::at(&url)?;
    engines.insert(url, engine.clone());
    Ok(engine)
}

/// Returns the name of the user that this process runs as; empty if it is unknown.
pub(crate) fn user_name() -> String {
    let mut record = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut strings: [libc::c_char; 4096] = [0; 4096];
    let mut found = std::ptr::null_mut();
    // SAFETY: the call writes only to these variables, whose sizes are passed correctly.
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
    // SAFETY: the call found a record, so its name is a string within `strings`.
    unsafe { CStr::from_ptr((*found).pw_name) }.to_string_lossy().into_owned()
}
