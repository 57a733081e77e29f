//! The budget of bytes that calls in progress may take: what clients have sent of their requests, and what they have not yet
//! taken of their answers.
//!
//! A request is charged while it arrives, before anything else looks at it: to its user and to all users together. What exceeds
//! a limit fails at once, and its bytes are freed. Before a user has a session, only small requests are accepted. An answer is
//! charged, too, but never refused: the call has been carried out.

use super::Peer;
use super::Shared;
use super::limits::Limits;
use super::limits::User;
use crate::proto::filter_engine_server;
use crate::status::to_status;
use ::bytes::Buf;
use ::bytes::Bytes;
use http_body::Frame;
use http_body::SizeHint;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::Sid;
use openwfp_api::bounds;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::Request;
use tonic::codegen::http::Response;
use tower::Layer;

/// Methods whose requests may have the full size.
const LARGE: [&str; 3] = ["SaContextStep", "SaContextBatch", "ObjectStep"];

/// What a call holds besides its request: the headers, and what the libraries need for a stream.
const CALL: usize = 1 << 13;

/// What remains of that once the request has been read, as long as its answer lasts.
const ANSWERING: usize = 1 << 10;

/// Time in which a request must arrive as a whole.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Maximum length of the headers of a request.
pub(crate) const HEADERS: u32 = 1 << 13;

/// Size of the parts in which answers are sent, so that little of an answer waits where it is no longer counted.
const PART: usize = 1 << 16;

/// The prefix of a gRPC message: a flag and its length.
const PREFIX: usize = 5;

/// Wraps each service so that its calls are charged.
#[derive(Clone)]
pub(crate) struct Budget(pub(crate) Arc<Shared>);

/// A service whose calls are charged.
#[derive(Clone)]
pub(crate) struct Charged<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// The bytes that one call holds. Dropping it releases them.
struct Charge {
    shared: Arc<Shared>,
    user: Arc<User>,
    is_root: bool,
    held: AtomicUsize,
}

impl Charge {
    /// Charges more bytes.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` at a limit; then nothing is charged.
    fn add(&self, bytes: usize, limits: &Limits) -> Result {
        let all = self.shared.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let own = self.user.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.held.fetch_add(bytes, Ordering::AcqRel);
        // A quarter is left for root.
        let of_all = if self.is_root { limits.bytes } else { limits.bytes / 4 * 3 };
        let (limit, whose) = match () {
            () if own > limits.bytes_per_user && !self.is_root => (
                limits.bytes_per_user,
                "the caller's calls in progress hold more than {} bytes (limits.bytes_per_user)",
            ),
            () if all > of_all => (of_all, "the calls in progress hold more than {} bytes (limits.bytes)"),
            () => return Ok(()),
        };
        self.release(bytes);
        let what = whose.replace("{}", &limit.to_string());
        Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
            .with_remedy("Make fewer calls at a time, and read the answers."))
    }

    /// Charges more bytes, whatever the limits: those of an answer to a call that has been carried out. At a limit, the next calls
    /// are refused.
    fn add_always(&self, bytes: usize) {
        self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.user.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.held.fetch_add(bytes, Ordering::AcqRel);
    }

    fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
        self.user.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.shared.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release(self.held.load(Ordering::Acquire));
    }
}

impl<S> Layer<S> for Budget {
    type Service = Charged<S>;

    fn layer(&self, inner: S) -> Charged<S> {
        Charged { inner, shared: Arc::clone(&self.0) }
    }
}

impl<S> Service<Request<Body>> for Charged<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limits = self.shared.limits();
        let peer = request.extensions().get::<Arc<Peer>>();
        let sid = peer.map_or(Sid::ANONYMOUS, |peer| peer.user());
        let charge = Arc::new(Charge {
            user: self.shared.user(sid),
            is_root: sid == Sid::ROOT,
            shared: Arc::clone(&self.shared),
            held: AtomicUsize::new(0),
        });
        if let Err(error) = charge.add(CALL, &limits) {
            return Box::pin(async move { Ok(to_status(&error).into_http()) });
        }
        let limit = request_max(request.uri().path(), charge.user.has_session(), &limits);
        let call = self.inner.call(request.map(|body| {
            let charge = Arc::clone(&charge);
            Body::new(Incoming { body, charge, limits, seen: 0, limit, deadline: None })
        }));
        Box::pin(async move {
            let answer = call.await?;
            // The request is done with; what is held from here on is the answer.
            charge.release(charge.held.load(Ordering::Acquire));
            charge.add_always(ANSWERING);
            Ok(answer.map(|body| Body::new(Outgoing { body, charge, rest: None, sending: 0 })))
        })
    }
}

/// Returns the maximum size of a request of the method with this path.
fn request_max(path: &str, has_session: bool, limits: &Limits) -> usize {
    let method = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let limit = match method {
        _ if !has_session => bounds::FIRST_REQUEST_BYTES,
        Some((filter_engine_server::SERVICE_NAME, "EngineOpen")) => bounds::FIRST_REQUEST_BYTES,
        Some((filter_engine_server::SERVICE_NAME, method)) if LARGE.contains(&method) => usize::MAX,
        _ => bounds::SMALL_REQUEST_BYTES,
    };
    limit.min(limits.message_bytes)
}

/// The body of a request, charged while it arrives.
struct Incoming {
    body: Body,
    charge: Arc<Charge>,
    limits: Arc<Limits>,
    seen: usize,
    limit: usize,
    /// When the rest must have arrived, once it is waited for.
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Incoming {
    fn admit(&mut self, bytes: usize) -> Result {
        self.seen += bytes;
        if self.seen > self.limit.saturating_add(PREFIX) {
            let what = format!("the request is longer than {} bytes", self.limit);
            let remedy = match self.limit {
                bounds::FIRST_REQUEST_BYTES => "Open a session first; limits.message_bytes applies then.",
                bounds::SMALL_REQUEST_BYTES => "No request of this method needs as many.",
                _ => "Split it, or raise limits.message_bytes.",
            };
            return Err(Error::new(Code::RPC_E_OUT_OF_RESOURCES, what).with_remedy(remedy));
        }
        self.charge.add(bytes, &self.limits)
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(REQUEST_TIME)));
            std::task::ready!(deadline.as_mut().poll(context));
            let what = format!("the request did not arrive within {} s", REQUEST_TIME.as_secs());
            return Poll::Ready(Some(Err(to_status(&Error::new(Code::RPC_E_TIMEOUT, what)))));
        };
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        Poll::Ready(match this.admit(bytes.unwrap_or(0)) {
            Ok(()) => frame,
            Err(error) => Some(Err(to_status(&error))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, charged until the transport has taken it.
struct Outgoing {
    body: Body,
    charge: Arc<Charge>,
    /// What is left of the frame that is being sent in parts.
    rest: Option<Bytes>,
    /// Length of the part that the transport has, and that the client may not have taken yet: the transport asks for the next one,
    /// or for the trailers, when it has room for them.
    sending: usize,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        this.charge.release(std::mem::take(&mut this.sending));
        let mut data = match this.rest.take() {
            Some(rest) => rest,
            None => {
                let frame = match std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) {
                    Some(Ok(frame)) => frame,
                    end => return Poll::Ready(end),
                };
                match frame.into_data() {
                    Ok(data) => {
                        this.charge.add_always(data.len());
                        data
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                }
            }
        };
        let part = data.split_to(data.len().min(PART));
        this.sending = part.len();
        if data.has_remaining() {
            this.rest = Some(data);
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_request_depends_on_its_method_and_the_session() {
        let limits = Limits::default();
        let path = |method: &str| format!("/{}/{method}", filter_engine_server::SERVICE_NAME);
        assert_eq!(request_max(&path("SaContextBatch"), true, &limits), limits.message_bytes);
        assert_eq!(request_max(&path("SaContextBatch"), false, &limits), bounds::FIRST_REQUEST_BYTES);
        assert_eq!(request_max(&path("ObjectCreateEnum"), true, &limits), bounds::SMALL_REQUEST_BYTES);
        assert_eq!(request_max(&path("EngineOpen"), true, &limits), bounds::FIRST_REQUEST_BYTES);
        assert_eq!(request_max("/grpc.health.v1.Health/Check", true, &limits), bounds::SMALL_REQUEST_BYTES);
        let small = Limits { message_bytes: 1000, ..limits };
        assert_eq!(request_max(&path("EngineOpen"), true, &small), 1000);
    }
}
