//! A client that sends what it likes: any bytes as a request, and requests that it never finishes.

#![allow(dead_code, reason = "each test uses some of it")]

use openwfp::api::KeyAccess;
use openwfp::api::object::step::ObjectStep;
use openwfp::api::object::template::ObjectTemplate;
use openwfp::api::record::Record;
use std::collections::HashMap;
use std::collections::HashSet;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::Status;
use tonic::Streaming;
use tonic::client::Grpc;
use tonic::codec::Codec;
use tonic::codec::DecodeBuf;
use tonic::codec::Decoder;
use tonic::codec::EncodeBuf;
use tonic::codec::Encoder;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, with a session unless it was only connected.
pub(crate) struct Raw {
    runtime: Runtime,
    client: Option<Grpc<Channel>>,
    session: Vec<u8>,
    _stream: Option<Streaming<Vec<u8>>>,
    port: SocketAddr,
    /// A second connection, of frames by hand.
    wire: Option<Wire>,
}

/// Messages are their bytes.
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

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use bytes::Buf;
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/openwfp.v1.FilterEngine/{method}").parse().unwrap()
}

/// A field of bytes of a protobuf message.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap());
    message.extend_from_slice(bytes);
    message
}

fn words(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

impl Raw {
    pub(crate) fn connect(port: SocketAddr) -> Raw {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Raw { runtime, client: None, session: Vec::new(), _stream: None, port, wire: None }
    }

    pub(crate) fn open(port: SocketAddr) -> Raw {
        Raw::try_open(port).unwrap()
    }

    pub(crate) fn try_open(port: SocketAddr) -> Result<Raw, String> {
        Raw::try_open_with(port, "", "raw")
    }

    pub(crate) fn try_open_with(port: SocketAddr, engine: &str, name: &str) -> Result<Raw, String> {
        let mut raw = Raw::connect(port);
        let request =
            [&[0x08, 1, 0x10, 1][..], &field(4, name.as_bytes()), &field(8, engine.as_bytes())].concat();
        let opening = async {
            let endpoint =
                Endpoint::from_shared(format!("http://{port}")).unwrap().timeout(Duration::from_secs(30));
            let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
            let mut client = Grpc::new(channel).max_decoding_message_size(usize::MAX);
            client.ready().await.map_err(|error| error.to_string())?;
            let opened = client.server_streaming(Request::new(request), path("EngineOpen"), Bytes).await;
            let mut stream = opened.map_err(|status| words(&status))?.into_inner();
            let message = stream.message().await.map_err(|status| words(&status))?.ok_or("no answer")?;
            Ok::<_, String>((client, stream, message))
        };
        let (client, stream, message) = raw.runtime.block_on(opening)?;
        // SessionMessage.opened.session is the first field of the first field.
        assert_eq!((message[0], message[2], message[3]), (0x0a, 0x0a, 16), "{message:?}");
        raw.session = message[4..20].to_vec();
        (raw.client, raw._stream) = (Some(client), Some(stream));
        Ok(raw)
    }

    /// Calls a method whose first field is the session, with more fields.
    pub(crate) fn call(&mut self, method: &str, fields: &[u8]) -> Result<Vec<u8>, String> {
        let request = [&field(1, &self.session), fields].concat();
        let client = self.client.as_mut().unwrap();
        let answer = self.runtime.block_on(async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client.unary(Request::new(request), path(method), Bytes).await
        });
        answer.map(tonic::Response::into_inner).map_err(|status| words(&status))
    }

    /// Changes objects; the id of the one that was added.
    pub(crate) fn step(&mut self, step: &ObjectStep) -> Result<u64, String> {
        let answer = self.call("ObjectStep", &field(2, &step.encode(Some(&KeyAccess::grant()))))?;
        let number = |(value, shift), byte: &u8| (value | u64::from(byte & 0x7f) << shift, shift + 7);
        Ok(answer.iter().skip(1).fold((0, 0), number).0)
    }

    pub(crate) fn create_object_enum(&mut self, template: &ObjectTemplate) -> Result<Vec<u8>, String> {
        self.call("ObjectCreateEnum", &field(2, &template.encode(None)))
    }

    /// Sends a batch of this many steps, each of which expires an SA context.
    pub(crate) fn batch(&mut self, steps: usize) -> Result<Vec<u8>, String> {
        self.call("SaContextBatch", &[0x12, 2, 0x38, 7].repeat(steps))
    }

    /// Begins a request of `announced` bytes on a stream of its own, sends up to `sent` of them as the server's windows allow, and
    /// leaves it.
    pub(crate) fn unfinished(&mut self, stream: u32, method: &str, announced: u32, sent: usize) {
        let (port, session) = (self.port, self.session.clone());
        self.wire.get_or_insert_with(|| Wire::open(port)).unfinished(
            2 * stream + 1,
            &session,
            method,
            announced,
            sent,
        );
    }

    /// Reads what the server has answered by hand, and counts the streams and connections that it has ended.
    pub(crate) fn refusals(&mut self) -> usize {
        self.wire.as_mut().map_or(0, |wire| {
            wire.take(Duration::from_millis(200));
            wire.ended.len()
        })
    }
}

/// A connection of frames by hand (RFC 9113).
struct Wire {
    stream: TcpStream,
    /// What the server has sent of a frame.
    rest: Vec<u8>,
    /// What the server takes: on the whole connection, on a new stream, and on each stream beyond that.
    window: i64,
    initial: i64,
    windows: HashMap<u32, i64>,
    /// The streams that the server has ended; 0: the connection.
    ended: HashSet<u32>,
}

impl Wire {
    fn open(port: SocketAddr) -> Wire {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(PREFACE).unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).unwrap();
        let (windows, ended) = (HashMap::new(), HashSet::new());
        let mut wire = Wire { stream, rest: Vec::new(), window: 65_535, initial: 65_535, windows, ended };
        wire.take(Duration::from_millis(100));
        wire
    }

    /// Reads frames until none has come for some time.
    fn take(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut part = [0; 65_536];
        while let Ok(length @ 1..) = self.stream.read(&mut part) {
            self.rest.extend_from_slice(&part[..length]);
        }
        loop {
            let Some((header, content)) = self.rest.split_at_checked(9) else { return };
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let Some(content) = content.get(..length) else { return };
            let (kind, flags) = (header[3], header[4]);
            let id = u32::from_be_bytes(header[5..9].try_into().unwrap());
            let number = |bytes: &[u8]| i64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
            match kind {
                4 if flags & 1 == 0 => {
                    for setting in content.chunks_exact(6).filter(|setting| setting[..2] == [0, 4]) {
                        self.initial = number(&setting[2..]);
                    }
                }
                8 if id == 0 => self.window += number(content),
                8 => *self.windows.entry(id).or_default() += number(content),
                3 | 7 => drop(self.ended.insert(id)),
                1 if flags & 1 != 0 => drop(self.ended.insert(id)),
                _ => {}
            }
            self.rest.drain(..9 + length);
        }
    }

    fn unfinished(&mut self, id: u32, session: &[u8], method: &str, announced: u32, sent: usize) {
        let mut block = vec![0x83, 0x86];
        for (name, value) in [
            (":path", path(method).to_string()),
            (":authority", "localhost".to_owned()),
            ("content-type", "application/grpc".to_owned()),
            ("te", "trailers".to_owned()),
        ] {
            block.push(0);
            for text in [name, &value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        let mut content = vec![0];
        content.extend_from_slice(&announced.to_be_bytes());
        content.extend(field(1, session));
        content.resize(sent, 0);
        if self.stream.write_all(&frame(1, 4, id, &block)).is_err() {
            return;
        }
        for part in content.chunks(1 << 14) {
            let length = i64::try_from(part.len()).unwrap();
            let has_room = |wire: &Wire| {
                wire.window >= length && wire.initial + wire.windows.get(&id).copied().unwrap_or(0) >= length
            };
            for _ in 0..5 {
                if has_room(self) || self.ended.contains(&id) {
                    break;
                }
                self.take(Duration::from_millis(10));
            }
            if !has_room(self)
                || self.ended.contains(&id)
                || self.stream.write_all(&frame(0, 0, id, part)).is_err()
            {
                return;
            }
            self.window -= length;
            *self.windows.entry(id).or_default() -= length;
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}
