//! Whatever bytes come over a connection behind HTTP/2's first words: the server goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::FilterEngine;
use openwfp_api::SessionOptions;
use openwfp_engine::Engine;
use openwfp_rpc::ClientOptions;
use openwfp_rpc::RemoteEngine;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use openwfp_rpc::Target;
use openwfp_rpc::UnixSocket;
use std::io::Read;
use std::io::Write;
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

static SERVER: LazyLock<(Server, PathBuf)> = LazyLock::new(|| {
    // libFuzzer's main is C's: there SIGPIPE would end the process. Threads that are started from here on inherit this.
    nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGPIPE).thread_block().expect("a signal");
    let user = std::fs::metadata("/proc/self").expect("procfs").st_uid();
    let engine = Engine::builder().owner(openwfp_api::Sid::unix_user(user)).build();
    let server = Server::start(Arc::new(engine), ServerOptions::default()).expect("threads");
    let path = std::env::temp_dir().join(format!("openwfp-fuzz-{}.sock", std::process::id()));
    server.listen_unix(&UnixSocket { path: path.clone(), mode: 0o600, group: None }).expect("a socket");
    (server, path)
});

fuzz_target!(|bytes: &[u8]| {
    let path = &SERVER.1;
    let mut stream = UnixStream::connect(path).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time");
    // It may close at any time.
    drop(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
    drop(stream.write_all(bytes));
    drop(stream.shutdown(std::net::Shutdown::Write));
    drop(stream.read_to_end(&mut Vec::new()));
    if bytes.first().is_some_and(|byte| byte % 64 == 0) {
        let remote = RemoteEngine::new(Target::Unix(path.clone()), ClientOptions::default());
        remote.open_session(SessionOptions::new()).expect("the server goes on");
    }
});
