//! What the wire's tests share: servers in this process over real sockets, certificates, and temporary places.
#![allow(dead_code, reason = "each test uses some of it")]

pub(crate) mod certificates;
pub(crate) mod proxy;

use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::RemoteEngine;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// A directory of its own, gone with the value.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("openwfp-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The user who runs the tests.
pub(crate) fn user() -> u32 {
    use std::os::linux::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().st_uid()
}

/// Who a client is, where a test says so instead of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Client {
    principal: Option<Principal>,
    process_id: u32,
    user_name: String,
    kernel_mode: bool,
}

/// An engine whose sessions are all of one client, as the test wants it.
struct AsClient(Engine, Client);

impl FilterEngine for AsClient {
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let client = self.1.clone();
        let SessionOptions { enumerators_max, subscriptions_max, .. } = SessionOptions::new();
        self.0.open_session(SessionOptions {
            principal: client.principal,
            process_id: client.process_id,
            user_name: client.user_name,
            kernel_mode: client.kernel_mode,
            enumerators_max,
            subscriptions_max,
            ..options
        })
    }
}

struct Served {
    engine: Engine,
    client: Client,
    _server: Server,
    remote: RemoteEngine,
    _place: Place,
}

thread_local! {
    /// The servers of the engines that this test used last.
    static SERVED: RefCell<Vec<Served>> = const { RefCell::new(Vec::new()) };
}

/// Opens a session over a wire with a server for this engine, which `listen` has listen.
pub(crate) fn connect(
    engine: &Engine,
    options: SessionOptions,
    listen: impl FnOnce(&Server, &Place) -> RemoteEngine,
) -> Result<Arc<dyn Session>> {
    let client = Client {
        principal: options.principal.clone(),
        process_id: options.process_id,
        user_name: options.user_name.clone(),
        kernel_mode: options.kernel_mode,
    };
    SERVED.with_borrow_mut(|served| {
        if let Some(found) = served.iter().find(|served| served.engine == *engine && served.client == client)
        {
            return found.remote.open_session(options);
        }
        let place = Place::new();
        let behind = Arc::new(AsClient(engine.clone(), client.clone()));
        let server = Server::start(behind, ServerOptions::default()).unwrap();
        let remote = listen(&server, &place);
        let session = remote.open_session(options);
        if served.len() >= 4 {
            served.remove(0);
        }
        served.push(Served { engine: engine.clone(), client, _server: server, remote, _place: place });
        session
    })
}

pub(crate) fn over_unix(server: &Server, place: &Place) -> RemoteEngine {
    let path = place.file("engine.sock");
    server.listen_unix(&openwfp_rpc::UnixSocket { path: path.clone(), mode: 0o600, group: None }).unwrap();
    RemoteEngine::new(openwfp_rpc::Target::Unix(path), ClientOptions::default())
}

pub(crate) fn over_tls(server: &Server, place: &Place) -> RemoteEngine {
    let authority = certificates::Authority::new(place, "ca");
    let tls =
        authority.server_tls(place, "localhost", &[("uri:urn:openwfp:test", Principal::user(Sid::ROOT))]);
    let address = server.listen_tls("127.0.0.1:0".parse().unwrap(), &tls).unwrap();
    let target = openwfp_rpc::Target::Tls { host: "localhost".into(), port: address.port() };
    let tls = Some(authority.client_tls(place, "client", "urn:openwfp:test"));
    RemoteEngine::new(target, ClientOptions { tls, ..ClientOptions::default() })
}
