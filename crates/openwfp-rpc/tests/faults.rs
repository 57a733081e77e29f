//! What goes wrong between a client and a server, each with its outcome.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod rig;

use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::Limits;
use openwfp_rpc::RemoteEngine;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use openwfp_rpc::Target;
use openwfp_rpc::UnixSocket;
use openwfp_rpc::tls::ClientTls;
use openwfp_rpc::tls::ServerTls;
use rig::Place;
use rig::certificates::Authority;
use rig::certificates::Client;
use rig::proxy::Fault;
use rig::proxy::Proxy;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Waits until something is so; a test that waits in vain fails.
fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: not within 20 seconds");
}

fn engine(count: u8, each: u16) -> Engine {
    let engine = Engine::new();
    let contexts = (0..count).flat_map(|high| (0..each).map(move |low| (high, low))).map(|(high, low)| {
        let [a, b] = low.to_be_bytes();
        let endpoints = Endpoints::new([192, 0, 2, 1].into(), [10, high, a, b].into()).unwrap();
        SaContext::new(SaContextId(0), Traffic::new(endpoints, Mode::Tunnel))
    });
    engine.mirror().replace(contexts.collect(), Completeness::Whole).unwrap();
    engine
}

/// Options under which a dead peer is noticed soon.
fn impatient() -> ServerOptions {
    ServerOptions {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(300),
        handshake_timeout: Duration::from_millis(500),
        ..ServerOptions::default()
    }
}

fn impatient_client() -> ClientOptions {
    ClientOptions {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(300),
        ..ClientOptions::default()
    }
}

fn plain(engine: &Engine, options: ServerOptions) -> (Server, SocketAddr) {
    let server = Server::start(Arc::new(engine.clone()), options).unwrap();
    let root = Principal::user(Sid::ROOT);
    let address = server.listen_plain("127.0.0.1:0".parse().unwrap(), &root).unwrap();
    (server, address)
}

fn at(address: SocketAddr) -> Target {
    Target::Plain { host: address.ip().to_string(), port: address.port() }
}

fn remote(address: SocketAddr) -> RemoteEngine {
    RemoteEngine::new(at(address), ClientOptions::default())
}

fn open(remote: &RemoteEngine) -> Arc<dyn Session> {
    remote.open_session(SessionOptions::new()).unwrap()
}

fn code<T>(result: Result<T>) -> Code {
    result.map_or_else(|error| error.code(), |_| Code::ERROR_SUCCESS)
}

fn all(session: &dyn Session) -> EnumId {
    session.sa_context_create_enum(&EnumOptions::default()).unwrap()
}

#[test]
fn a_page_that_is_cut_anywhere_is_whole_or_an_error_and_the_session_ends() {
    let engine = engine(2, 1000);
    let (server, address) = plain(&engine, impatient());
    let mut cut = 0;
    for bytes in (0..60).map(|step| 40 + step * step * 31) {
        let proxy = Proxy::new(address, Fault::Cut(bytes));
        let Ok(session) = remote(proxy.address).open_session(SessionOptions::new()) else { continue };
        let mut seen = Vec::new();
        let error = loop {
            let page = session
                .sa_context_create_enum(&EnumOptions {
                    after: seen.last().copied(),
                    ..EnumOptions::default()
                })
                .and_then(|enumerator| session.sa_context_enum(enumerator, 700));
            match page {
                Ok(page) => seen.extend(page.accept().iter().map(|context| context.id)),
                Err(error) => break Some(error),
            }
            if seen.len() == 2000 {
                break None;
            }
        };
        // What was delivered is whole and in order, however far it went.
        assert!(seen.iter().zip(1..).all(|(id, expected)| id.0 == expected), "cut after {bytes} bytes");
        if let Some(error) = error {
            cut += 1;
            let code_of = error.code();
            assert!(matches!(code_of, Code::RPC_E_DISCONNECTED | Code::FWP_E_SESSION_ABORTED), "{error}");
            until("the client knows", || code(session.info()) == Code::FWP_E_SESSION_ABORTED);
            assert_eq!(code(session.close()), Code::ERROR_SUCCESS, "it must still be closed");
            assert_eq!(code(session.close()), Code::ERROR_INVALID_HANDLE);
        }
    }
    assert!(cut > 10, "the cuts fell into calls: {cut}");
    until("the server forgets the sessions", || server.sessions() == 0);
    assert_eq!(engine.gauges().sessions, 0);
}

#[test]
fn a_client_that_is_cut_off_loses_its_session_its_transaction_and_its_subscriptions() {
    let engine = engine(1, 10);
    let (server, address) = plain(&engine, impatient());
    let proxy = Proxy::new(address, Fault::None);
    let session = RemoteEngine::new(at(proxy.address), impatient_client());
    let session = session.open_session(SessionOptions::new().dynamic()).unwrap();
    let mut events = session.events(&SubscriptionOptions::all()).unwrap();
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    session.sa_context_expire(SaContextId(1)).unwrap_err();
    let (transactions, subscriptions) = (engine.gauges().transactions, engine.gauges().subscriptions);
    assert_eq!((transactions, subscriptions), (1, 1));

    proxy.silent.store(true, Ordering::Release);
    until("the server notices", || engine.gauges().sessions == 0);
    let gauges = engine.gauges();
    assert_eq!((gauges.transactions, gauges.subscriptions, server.sessions()), (0, 0, 0));
    // Another session writes at once.
    let other = open(&remote(address));
    other.sa_context_delete_by_id(SaContextId(1)).unwrap();

    // The client's side: the call in flight is told, later ones say that the session has ended.
    let first = code(session.statistics());
    assert!(matches!(first, Code::RPC_E_DISCONNECTED | Code::FWP_E_SESSION_ABORTED), "{first}");
    until("the client notices", || code(session.statistics()) == Code::FWP_E_SESSION_ABORTED);
    assert_eq!(code(events.next(SECOND)), Code::FWP_E_SESSION_ABORTED);
}

#[test]
fn a_call_in_flight_is_told_that_the_connection_broke_and_one_that_takes_too_long_that_it_did() {
    let engine = engine(1, 10);
    let (_server, address) = plain(&engine, ServerOptions::default());
    let proxy = Proxy::new(address, Fault::None);
    let session = RemoteEngine::new(at(proxy.address), impatient_client());
    let session = session.open_session(SessionOptions::new()).unwrap();
    let holder = open(&remote(address));
    holder.transaction_begin(TransactionMode::ReadWrite).unwrap();
    // Waits for the other's transaction, in flight while the cable is cut.
    let waiting = std::thread::spawn({
        let session = Arc::clone(&session);
        move || code(session.sa_context_delete_by_id(SaContextId(2)))
    });
    std::thread::sleep(Duration::from_millis(100));
    proxy.silent.store(true, Ordering::Release);
    assert_eq!(waiting.join().unwrap(), Code::RPC_E_DISCONNECTED);

    let hurried = ClientOptions { call_timeout: Duration::from_millis(100), ..ClientOptions::default() };
    let options = SessionOptions::new().transaction_wait(Duration::from_millis(1));
    let slow = Proxy::new(address, Fault::Delay(Duration::from_millis(200)));
    let session = RemoteEngine::new(at(slow.address), hurried).open_session(options).unwrap();
    assert_eq!(code(session.statistics()), Code::RPC_E_TIMEOUT);
    // Nobody knows what became of the call, so the session is over.
    assert_eq!(code(session.statistics()), Code::FWP_E_SESSION_ABORTED);
}

#[test]
fn nobody_there_is_no_such_engine() {
    let place = Place::new();
    let nowhere = |target| {
        code(RemoteEngine::new(target, ClientOptions::default()).open_session(SessionOptions::new()))
    };
    assert_eq!(nowhere(Target::Unix(place.file("none.sock"))), Code::RPC_E_SERVER_DIED_DNE);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(nowhere(at(free)), Code::RPC_E_SERVER_DIED_DNE);
    let unknown = Target::Plain { host: "engine.invalid".into(), port: 1 };
    assert_eq!(nowhere(unknown), Code::RPC_E_SERVER_DIED_DNE);
    // Somebody is there and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ClientOptions { connect_timeout: Duration::from_millis(300), ..ClientOptions::default() };
    let late = RemoteEngine::new(at(silent.local_addr().unwrap()), options);
    assert_eq!(code(late.open_session(SessionOptions::new())), Code::RPC_E_TIMEOUT);
}

#[test]
fn half_open_connections_are_closed() {
    let (server, address) = plain(&engine(1, 1), impatient());
    let mut silent = TcpStream::connect(address).unwrap();
    // One that begins and says no more, and one that speaks something else.
    let mut begun = TcpStream::connect(address).unwrap();
    begun.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut web = TcpStream::connect(address).unwrap();
    web.write_all(b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n").unwrap();
    for stream in [&mut silent, &mut begun, &mut web] {
        stream.set_read_timeout(Some(20 * SECOND)).unwrap();
        // To its end: whatever was said before, the server closes.
        let mut said = Vec::new();
        if let Err(error) = stream.read_to_end(&mut said) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    until("all are closed", || server.connections() == 0);
}

#[test]
fn malformed_frames_end_their_connection_and_nothing_else() {
    let (server, address) = plain(&engine(1, 5), impatient());
    let session = open(&remote(address));
    let mut state = 7_u64;
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for _ in 0..state % 300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push(state.to_be_bytes()[0]);
        }
        // The server may have closed already.
        drop(stream.write_all(&bytes));
    }
    assert_eq!(session.sa_context_enum(all(&*session), 10).unwrap().entries().len(), 5);
    until("only the good one is left", || server.connections() == 1);
}

#[test]
fn what_a_slow_client_has_not_read_stays_in_the_engine() {
    use openwfp_rpc::proto::EngineOpenRequest;
    use openwfp_rpc::proto::EnumRequest;
    use openwfp_rpc::proto::SaContextCreateEnumRequest;
    use openwfp_rpc::proto::filter_engine_client::FilterEngineClient;
    use openwfp_rpc::proto::session_message::Message;
    let engine = engine(10, 20_000);
    let (_server, address) = plain(&engine, ServerOptions::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // A client of nothing but the protocol, with HTTP/2's smallest window.
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
        let mut client = FilterEngineClient::new(channel);
        let mut stream = client.engine_open(EngineOpenRequest::default()).await.unwrap().into_inner();
        let Some(Message::Opened(opened)) = stream.message().await.unwrap().unwrap().message else {
            panic!()
        };
        let session = opened.session;
        let request = SaContextCreateEnumRequest { session: session.clone(), ..Default::default() };
        let handle = client.sa_context_create_enum(request).await.unwrap().into_inner().handle;
        let request = EnumRequest { session: session.clone(), handle, limit: 0, keys: false };
        let mut list = client.sa_context_list(request).await.unwrap().into_inner();
        list.message().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // How far the server has gone is where another page begins.
        let request = EnumRequest { session, handle, limit: 1, keys: false };
        let next = client.sa_context_enum(request).await.unwrap().into_inner();
        assert_ne!(next, openwfp_rpc::codec::Raw::default());
        let first = next_id(&next);
        assert!(
            first < 60_000,
            "the server has gone as far as {first} of 200,000 for a client that reads nothing"
        );
    });
}

/// The id of the first context of a page.
fn next_id(page: &openwfp_rpc::codec::Raw) -> u64 {
    page.contexts().unwrap().first().unwrap().id.0
}

#[test]
fn ten_thousand_connections_beyond_the_limit_are_told_so_and_the_others_work() {
    let place = Place::new();
    let limits = Limits { connections: 20, ..Limits::default() };
    let options = ServerOptions { limits, ..ServerOptions::default() };
    let behind = Engine::builder().owner(Sid::unix_user(rig::user())).build();
    let server = Server::start(Arc::new(behind), options).unwrap();
    let path = place.file("engine.sock");
    server.listen_unix(&UnixSocket { path: path.clone(), mode: 0o600, group: None }).unwrap();
    let remote = RemoteEngine::new(Target::Unix(path.clone()), ClientOptions::default());
    let sessions: Vec<_> = (0..20).map(|_| open(&remote)).collect();

    let error = remote.open_session(SessionOptions::new()).err().unwrap();
    assert_eq!(error.code(), Code::RPC_E_OUT_OF_RESOURCES, "{error}");
    assert!(error.what().contains("limits.connections"), "{error}");
    let mut told = 0;
    for _ in 0..50 {
        let streams: Vec<_> = (0..200).map(|_| UnixStream::connect(&path).unwrap()).collect();
        for mut stream in streams {
            stream.set_read_timeout(Some(20 * SECOND)).unwrap();
            let mut said = Vec::new();
            // Beyond those that are told, connections are just closed.
            drop(stream.read_to_end(&mut said));
            told += usize::from(said.windows(18).any(|part| part == b"limits.connections"));
        }
    }
    assert!(told > 1000, "{told} of 10,000 were told");
    assert!(sessions.iter().all(|session| session.info().is_ok()));
    drop(sessions);
    until("there is room again", || server.connections() == 0);
    assert!(open(&remote).info().is_ok());
}

#[test]
fn each_limit_has_its_error() {
    let limits = Limits {
        sessions_per_user: 3,
        enumerators_per_session: 2,
        subscriptions_per_session: 2,
        message_bytes: 2000,
        page_entries: 7,
        ..Limits::default()
    };
    let (server, address) =
        plain(&engine(1, 30), ServerOptions { limits: limits.clone(), ..ServerOptions::default() });
    let remote = remote(address);
    let sessions: Vec<_> = (0..3).map(|_| open(&remote)).collect();
    assert_eq!(code(remote.open_session(SessionOptions::new())), Code::RPC_E_OUT_OF_RESOURCES);
    let session = &sessions[0];
    let first = all(&**session);
    all(&**session);
    let refused = session.sa_context_create_enum(&EnumOptions::default());
    assert_eq!(code(refused), Code::RPC_E_OUT_OF_RESOURCES);
    // A page is never short before the end, however the server caps it.
    for (asked, expected) in [(10, 10), (15, 15), (10, 5), (10, 0)] {
        assert_eq!(session.sa_context_enum(first, asked).unwrap().accept().len(), expected);
    }
    let options = SubscriptionOptions::all();
    let streams: Vec<_> = (0..2).map(|_| session.events(&options).unwrap()).collect();
    assert_eq!(code(session.events(&options)), Code::RPC_E_OUT_OF_RESOURCES);
    drop(streams);
    let long = (0..100).map(|_| SaContextStep::Delete(SaContextId(u64::MAX))).collect();
    let error = session.sa_context_batch(long, BatchMode::AllOrNothing).err();
    assert_eq!(error.map(|error| error.code()), Some(Code::FWP_E_NOT_FOUND), "100 steps fit");
    let long = (0..1000).map(|_| SaContextStep::Delete(SaContextId(u64::MAX))).collect();
    let error = session.sa_context_batch(long, BatchMode::AllOrNothing).err().unwrap();
    assert_eq!(error.code(), Code::RPC_E_OUT_OF_RESOURCES, "{error}");

    server.set_limits(Limits { requests_per_second: 5, ..limits });
    let codes: Vec<Code> = (0..50).map(|_| code(session.info())).collect();
    assert!(codes.contains(&Code::RPC_E_SERVERCALL_RETRYLATER), "{codes:?}");
    server.set_limits(Limits::default());
    assert_eq!(code(session.info()), Code::ERROR_SUCCESS, "a limit ends no session");
}

#[test]
fn calls_that_wait_for_a_transaction_do_not_keep_it_from_ending() {
    let limits = Limits { waiting_calls: 2, ..Limits::default() };
    let (_server, address) = plain(&engine(1, 40), ServerOptions { limits, ..ServerOptions::default() });
    let remote = remote(address);
    let holder = open(&remote);
    holder.transaction_begin(TransactionMode::ReadWrite).unwrap();
    let waiting: Vec<_> = (1..=20)
        .map(|id| {
            let session = open(&remote);
            std::thread::spawn(move || code(session.sa_context_delete_by_id(SaContextId(id))))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    holder.transaction_commit().unwrap();
    assert!(waiting.into_iter().all(|thread| thread.join().unwrap() == Code::ERROR_SUCCESS));
}

#[test]
fn a_server_that_stops_lets_calls_finish_and_tells_the_sessions() {
    let engine = engine(1, 5);
    let (server, address) = plain(&engine, ServerOptions::default());
    let remote = remote(address);
    let (holder, writer) = (open(&remote), open(&remote));
    holder.transaction_begin(TransactionMode::ReadOnly).unwrap();
    writer.sa_context_delete_by_id(SaContextId(1)).unwrap();
    assert!(server.stop(10 * SECOND), "there was nothing to wait for");
    assert_eq!(engine.gauges().sessions, 0);
    for session in [&holder, &writer] {
        until("the session is told", || code(session.info()) == Code::FWP_E_SESSION_ABORTED);
    }
    assert_eq!(code(remote.open_session(SessionOptions::new())), Code::RPC_E_SERVER_DIED_DNE);
}

#[test]
fn a_client_of_another_version_is_told_so() {
    use openwfp_rpc::proto::EngineOpenRequest;
    use openwfp_rpc::proto::filter_engine_client::FilterEngineClient;
    let (_server, address) = plain(&engine(1, 1), ServerOptions::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let opened = |lowest, highest| {
        runtime.block_on(async {
            let mut client = FilterEngineClient::connect(format!("http://{address}")).await.unwrap();
            let request =
                EngineOpenRequest { protocol_min: lowest, protocol_max: highest, ..Default::default() };
            match client.engine_open(request).await {
                Ok(stream) => drop(stream.into_inner().message().await.unwrap().unwrap()),
                Err(status) => return Err((status.code(), status.message().to_owned())),
            }
            Ok(())
        })
    };
    assert_eq!(opened(0, 0), Ok(()), "an old client says nothing");
    assert_eq!(opened(1, 2), Ok(()), "a newer client that speaks the old version, too");
    let (code, words) = opened(2, 3).unwrap_err();
    assert_eq!(code, tonic::Code::FailedPrecondition);
    assert!(words.contains("RPC_E_VERSION_MISMATCH") && words.contains("versions 2 to 3"), "{words}");
}

/// A server for mutual TLS and what its clients need.
struct TlsBed {
    place: Place,
    authority: Authority,
    server: Server,
    tls: ServerTls,
    port: u16,
}

impl TlsBed {
    fn new() -> TlsBed {
        let place = Place::new();
        let authority = Authority::new(&place, "ca");
        let root = Principal::user(Sid::ROOT);
        let tls = authority.server_tls(&place, "localhost", &[("uri:urn:ops", root)]);
        let server = Server::start(Arc::new(engine(1, 16)), impatient()).unwrap();
        let port = server.listen_tls("127.0.0.1:0".parse().unwrap(), &tls).unwrap().port();
        TlsBed { place, authority, server, tls, port }
    }

    fn connect(&self, host: &str, tls: ClientTls) -> Result<Arc<dyn Session>> {
        let options = ClientOptions { tls: Some(tls), ..ClientOptions::default() };
        let target = Target::Tls { host: host.into(), port: self.port };
        RemoteEngine::new(target, options).open_session(SessionOptions::new())
    }

    fn certificate(&self, uri: &str, serial: u64, expired: bool) -> ClientTls {
        self.authority.client(&self.place, &Client { file: "client", uri, serial, expired })
    }
}

#[test]
fn only_good_certificates_that_stand_for_somebody_open_sessions() {
    let bed = TlsBed::new();
    let good = bed.certificate("urn:ops", 1, false);
    let session = bed.connect("localhost", good.clone()).unwrap();
    let info = session.info().unwrap();
    assert_eq!((info.user, info.user_name.as_str(), info.process_id), (Sid::ROOT, "uri:urn:ops", 0));
    assert_eq!(session.sa_context_enum(all(&*session), 100).unwrap().entries().len(), 16);

    let refused = |what: &str, tls: ClientTls| {
        let error = bed.connect("localhost", tls).err().unwrap_or_else(|| panic!("{what} was let in"));
        assert_eq!(error.code(), Code::RPC_E_ACCESS_DENIED, "{what}: {error}");
        error.to_string()
    };
    let error = refused("a certificate that stands for nobody", bed.certificate("urn:stranger", 2, false));
    assert!(error.contains("urn:stranger"), "{error}");
    refused("an expired certificate", bed.certificate("urn:ops", 3, true));
    let other = Authority::new(&bed.place, "other-ca");
    let foreign =
        other.client(&bed.place, &Client { file: "foreign", uri: "urn:ops", serial: 4, expired: false });
    refused("a client of another authority", ClientTls { ca: good.ca.clone(), ..foreign });
    let error =
        refused("a server of another authority", ClientTls { ca: other.file.clone(), ..good.clone() });
    assert!(error.contains("--ca"), "{error}");

    // The name in the URL is not the certificate's.
    let error = bed.connect("127.0.0.1", good.clone()).err().unwrap();
    assert_eq!(error.code(), Code::RPC_E_ACCESS_DENIED, "{error}");
    // No certificate at all.
    let target = Target::Tls { host: "localhost".into(), port: bed.port };
    let none = RemoteEngine::new(target, ClientOptions::default()).open_session(SessionOptions::new());
    assert_eq!(code(none), Code::FWP_E_INVALID_PARAMETER);
    let missing = ClientTls { cert: bed.place.file("none.pem"), ..good.clone() };
    let error = bed.connect("localhost", missing).err().unwrap();
    assert!(error.what().contains("none.pem"), "{error}");

    // Revoked while the server runs: those who are in stay, new ones are refused, the others are let in.
    let list = bed.authority.revoke(&bed.place, 1);
    bed.server.set_tls(&ServerTls { client_crl: Some(list), ..bed.tls.clone() }).unwrap();
    refused("a revoked certificate", good);
    assert!(session.info().is_ok());
    assert!(bed.connect("localhost", bed.certificate("urn:ops", 5, false)).is_ok());
}

#[test]
fn tls_and_plaintext_do_not_mix() {
    let bed = TlsBed::new();
    let without = remote(SocketAddr::from(([127, 0, 0, 1], bed.port))).open_session(SessionOptions::new());
    assert!(matches!(code(without), Code::RPC_E_DISCONNECTED | Code::RPC_E_SERVER_DIED_DNE));
    let (_server, address) = plain(&engine(1, 1), ServerOptions::default());
    let options =
        ClientOptions { tls: Some(bed.certificate("urn:ops", 1, false)), ..ClientOptions::default() };
    let target = Target::Tls { host: "localhost".into(), port: address.port() };
    let error = RemoteEngine::new(target, options).open_session(SessionOptions::new()).err().unwrap();
    assert_eq!(error.code(), Code::RPC_E_INVALID_DATAPACKET, "{error}");
    assert!(error.remedy().unwrap().contains("port"), "{error}");
    // The server goes on.
    assert!(bed.connect("localhost", bed.certificate("urn:ops", 1, false)).is_ok());
}

#[test]
fn a_socket_is_taken_over_from_the_dead_and_not_from_the_living() {
    let place = Place::new();
    let path = place.file("engine.sock");
    let socket = |path: &Path| UnixSocket { path: path.into(), mode: 0o600, group: None };
    // What a daemon that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let start = || {
        Server::start(
            Arc::new(Engine::builder().owner(Sid::unix_user(rig::user())).build()),
            ServerOptions::default(),
        )
        .unwrap()
    };
    let first = start();
    first.listen_unix(&socket(&path)).unwrap();
    let second = start();
    assert_eq!(code(second.listen_unix(&socket(&path))), Code::FWP_E_ALREADY_EXISTS);
    let file = place.file("data");
    std::fs::write(&file, "precious").unwrap();
    assert_eq!(code(second.listen_unix(&socket(&file))), Code::FWP_E_ALREADY_EXISTS);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    drop(second);
    let remote = RemoteEngine::new(Target::Unix(path.clone()), ClientOptions::default());
    assert!(open(&remote).info().is_ok());
    drop(first);
    assert!(!path.exists(), "a socket goes with its server");
}

/// OpenSSL's client with nothing newer than TLS 1.2 gets no connection; with TLS 1.3 it gets as far as its certificate.
#[test]
fn older_tls_is_refused() {
    let bed = TlsBed::new();
    let client = |version: &str| {
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", version, "-connect", &format!("127.0.0.1:{}", bed.port)]);
        let output = command
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("openssl: {error}; scripts/test installs what the tests need"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let older = client("-tls1_2");
    assert!(older.contains("alert protocol version") && !older.contains("BEGIN CERTIFICATE"), "{older}");
    let newer = client("-tls1_3");
    assert!(
        newer.contains("BEGIN CERTIFICATE") && newer.contains("Acceptable client certificate CA"),
        "{newer}"
    );
}
