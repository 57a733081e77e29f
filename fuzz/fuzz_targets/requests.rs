//! Whatever messages come as requests of whatever methods, most with a valid session: the server answers or refuses each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::FilterEngine;
use openwfp_api::KeyAccess;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::record::Record;
use openwfp_engine::Engine;
use openwfp_rpc::Limits;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use openwfp_rpc::UnixSocket;
use openwfp_rpc::codec;
use openwfp_rpc::proto;
use openwfp_rpc::proto::filter_engine_client::FilterEngineClient;
use openwfp_rpc::proto::session_message::Message as Opened;
use prost::Message;
use prost::bytes::Buf;
use prost::bytes::BufMut;
use std::os::linux::fs::MetadataExt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::Codec;
use tonic::codec::DecodeBuf;
use tonic::codec::Decoder;
use tonic::codec::EncodeBuf;
use tonic::codec::Encoder;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

/// Messages as bytes.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; from.remaining()];
        from.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// The paths of all methods, in the order of the `.proto` file.
static METHODS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).expect("descriptors");
    let services = files.file.iter().flat_map(|file| &file.service);
    let path =
        |method: &prost_types::MethodDescriptorProto| format!("/openwfp.v1.FilterEngine/{}", method.name());
    services.flat_map(|service| service.method.iter().map(path)).collect()
});

/// A new engine for each session, so that inputs do not affect each other.
struct Engines;

impl FilterEngine for Engines {
    fn open_session(&self, options: SessionOptions) -> openwfp_api::Result<Arc<dyn Session>> {
        let user = std::fs::metadata("/proc/self").expect("procfs").st_uid();
        Engine::builder().owner(Sid::unix_user(user)).without_thread().build().open_session(options)
    }
}

/// A server, and a connection to it.
static SERVER: LazyLock<(Server, Runtime, Channel)> = LazyLock::new(|| {
    // libFuzzer's main is C's: there SIGPIPE would end the process. Threads that are started from here on inherit this.
    nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGPIPE).thread_block().expect("a signal");
    let limits = Limits { requests_per_second: 0, ..Limits::default() };
    let options = ServerOptions { limits, ..ServerOptions::default() };
    let server = Server::start(Arc::new(Engines), options).expect("threads");
    let path = std::env::temp_dir().join(format!("openwfp-fuzz-{}.sock", std::process::id()));
    let url = format!("unix:{}", path.display());
    server.listen_unix(&UnixSocket { path, mode: 0o600, group: None }).expect("a socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let channel = runtime.block_on(Endpoint::from_shared(url).expect("a path").connect());
    (server, runtime, channel.expect("the server listens"))
});

/// Sends a request and reads its reply.
async fn call(grpc: &mut Grpc<Channel>, method: &str, request: Vec<u8>) -> Result<(), Status> {
    let path = method.parse().expect("a path");
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut reply = grpc.server_streaming(Request::new(request), path, Bytes).await?.into_inner();
    while reply.message().await?.is_some() {}
    Ok(())
}

async fn converse(channel: &Channel, bytes: &[u8]) {
    let mut engine = FilterEngineClient::new(channel.clone());
    let open = proto::EngineOpenRequest::default();
    let opened = match engine.engine_open(open.clone()).await {
        // h2 gives up a connection after a thousand calls that were cancelled while they were answered.
        Err(status) if status.code() == tonic::Code::ResourceExhausted => engine.engine_open(open).await,
        opened => opened,
    };
    let mut session = opened.expect("the server goes on").into_inner();
    let Ok(Some(proto::SessionMessage { message: Some(Opened::Opened(opened)) })) = session.message().await
    else {
        panic!("the first message is not that of an open session");
    };
    let token = proto::SessionRequest { session: opened.session, topic: 0 };
    let mut grpc = Grpc::new(channel.clone());
    for (what, part) in openwfp_fuzz::split(bytes).take(16) {
        // Field 1 of nearly all requests. Of two, the last one counts.
        let token = if what < 192 { token.encode_to_vec() } else { Vec::new() };
        let method = &METHODS[usize::from(what) % METHODS.len()];
        let reply = call(&mut grpc, method, [&token, part].concat());
        // Some methods wait for events as long as the client likes.
        if let Ok(Err(status)) = tokio::time::timeout(Duration::from_millis(10), reply).await {
            assert_ne!(status.code(), tonic::Code::Internal, "{method}: {status}");
        }
    }
    // The input may have closed it.
    drop(engine.engine_close(token).await);
    let last = async { while let Ok(Some(_)) = session.message().await {} };
    drop(tokio::time::timeout(Duration::from_millis(10), last).await);
}

fn method(name: &str) -> u8 {
    let found = METHODS.iter().position(|path| path.ends_with(&format!("/{name}")));
    u8::try_from(found.expect("a method")).expect("few methods")
}

/// Returns a request whose field 2 is a message.
fn about(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x12];
    prost::encode_length_delimiter(message.len(), &mut bytes).expect("memory");
    [&bytes, message].concat()
}

fn examples() -> Vec<Vec<u8>> {
    let keys = KeyAccess::grant();
    let each =
        (0..METHODS.len()).map(|number| vec![(u8::try_from(number).expect("few methods"), Vec::new())]);
    let steps = openwfp_fuzz::steps().into_iter().map(|step| step.encode(Some(&keys)));
    let steps: Vec<_> = steps.map(|step| (method("ObjectStep"), about(&step))).collect();
    // The first session and its enumerators have the first numbers.
    let page = |serial: u64| proto::EnumRequest {
        handle: 1 << 32 | serial,
        limit: 100,
        keys: true,
        ..Default::default()
    };
    let lists = openwfp_fuzz::templates().into_iter().zip(1..).flat_map(|(template, serial)| {
        let create = (method("ObjectCreateEnum"), about(&template.encode(None)));
        [create, (method("ObjectEnum"), page(serial).encode_to_vec())]
    });
    let packets = openwfp_fuzz::packets().into_iter().map(|packet| about(&packet.encode(None)));
    let packets =
        packets.flat_map(|packet| ["Classify", "Explain"].map(|name| (method(name), packet.clone())));
    let context = codec::encode_context(&openwfp_fuzz::context(), Some(&keys));
    let context = proto::SaContext::decode(&context[..]).expect("a context");
    let bundle = |details: Option<proto::SaDetails>| details.and_then(|details| details.bundle);
    let step = proto::sa_context_step::Step::Establish(proto::EstablishStep {
        new: Some(proto::NewSaContext { traffic: context.traffic.clone(), ..Default::default() }),
        request: Some(proto::InboundRequest { traffic: context.traffic, ..Default::default() }),
        inbound: bundle(context.inbound),
        outbound: bundle(context.outbound),
    });
    let establish = about(&proto::SaContextStep { step: Some(step) }.encode_to_vec());
    let contexts = vec![
        (method("SaContextSubscribe"), proto::SubscribeRequest::default().encode_to_vec()),
        (method("SaContextStep"), establish.clone()),
        (method("SaContextBatch"), establish.repeat(2)),
        (method("SaContextCreateEnum"), Vec::new()),
        (method("SaContextList"), page(2).encode_to_vec()),
        (method("SaCreateEnum"), Vec::new()),
        (method("SaEnum"), page(3).encode_to_vec()),
    ];
    let mut examples: Vec<_> = each.collect();
    // Most objects refer to the first two.
    examples.extend(steps[2..].iter().map(|step| [&steps[..2], std::slice::from_ref(step)].concat()));
    examples.push(steps[..2].iter().cloned().chain(lists).collect());
    examples.push(steps[..6].iter().cloned().chain(packets).collect());
    examples.push(contexts);
    examples
        .iter()
        .map(|parts| openwfp_fuzz::join(parts.iter().map(|(what, part)| (*what, &part[..]))))
        .collect()
}

fuzz_target!(
    init: openwfp_fuzz::start_from(examples()),
    |bytes: &[u8]| {
        let (server, runtime, channel) = &*SERVER;
        runtime.block_on(converse(channel, bytes));
        assert!(server.sessions() < 100, "a session ends with its stream");
    }
);
