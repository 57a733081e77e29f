//! A link: one connection with its one session, and whether that session is still open.

use super::ClientOptions;
use super::Target;
use super::connect::Refusal;
use super::connect::connect;
use super::runtime;
use super::wait;
use crate::PROTOCOL;
use crate::codec;
use crate::convert;
use crate::proto;
use crate::proto::filter_engine_client::FilterEngineClient;
use crate::proto::session_message::Message;
use crate::status::from_detail;
use crate::status::from_status;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::SessionNumber;
use openwfp_api::SessionOptions;
use std::future::Future;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::Channel;

/// Maximum size of an answer, in bytes.
const ANSWER_MAX: usize = 256 << 20;

pub(crate) type Client = FilterEngineClient<Channel>;

/// A connection and its session.
pub(crate) struct Link {
    client: Client,
    pub(crate) token: Vec<u8>,
    pub(crate) number: SessionNumber,
    /// Maximum number of entries that the daemon puts into a page.
    pub(crate) page_entries_max: u32,
    /// Maximum time that the session's calls wait for other sessions' transactions.
    transaction_wait: Duration,
    call_timeout: Duration,
    closed: AtomicBool,
    /// Why the session ended: the daemon's reason, or the failure of the connection.
    ended: Arc<OnceLock<Error>>,
    refusal: Refusal,
    reader: tokio::task::AbortHandle,
    /// Whether to request keys in calls that return them.
    pub(crate) keys: AtomicBool,
}

fn aborted(why: &str) -> Error {
    Error::new(Code::FWP_E_SESSION_ABORTED, format!("the session has ended: {why}"))
        .with_remedy("Open a new one.")
}

impl Link {
    pub(crate) fn open(
        target: &Target,
        options: &ClientOptions,
        session: SessionOptions,
    ) -> Result<Arc<Link>> {
        let runtime = runtime()?;
        let refusal = Refusal::default();
        let transaction_wait = session.transaction_wait;
        let engine = if session.engine.is_empty() { options.engine.clone() } else { session.engine };
        let opening = async {
            let (target, options, refusal) = (target.clone(), options.clone(), Arc::clone(&refusal));
            let noted = Arc::clone(&refusal);
            let connecting = runtime.spawn(async move { connect(&target, &options, &noted).await });
            let channel = connecting.await.map_err(|_| Error::unreachable("connecting panicked"))??;
            let mut client = FilterEngineClient::new(channel).max_decoding_message_size(ANSWER_MAX);
            let request = proto::EngineOpenRequest {
                protocol_min: 1,
                protocol_max: PROTOCOL,
                key: session.key.map(|key| codec::guid_bytes(key).to_vec()).unwrap_or_default(),
                name: session.name,
                description: session.description,
                dynamic: session.dynamic,
                transaction_wait_ns: convert::nanos(transaction_wait),
                engine,
            };
            let failed = |status: Status| failure(&status, &refusal);
            let mut stream = client.engine_open(request).await.map_err(failed)?.into_inner();
            match stream.message().await.map_err(failed)?.and_then(|message| message.message) {
                Some(Message::Opened(opened)) => Ok((client, opened, stream)),
                Some(Message::Ended(why)) => Err(from_detail(why)),
                None => Err(Error::new(Code::RPC_E_INVALID_DATAPACKET, "the daemon did not open a session")),
            }
        };
        let opened = wait(async { tokio::time::timeout(options.connect_timeout, opening).await })?;
        let (client, opened, stream) = opened.map_err(|_| {
            let what = format!("{target} did not answer within {} s", options.connect_timeout.as_secs_f64());
            Error::new(Code::RPC_E_TIMEOUT, what)
        })??;
        if opened.protocol != PROTOCOL {
            let what = format!(
                "the daemon chose protocol version {}, but this client speaks {PROTOCOL}",
                opened.protocol
            );
            return Err(Error::new(Code::RPC_E_VERSION_MISMATCH, what));
        }
        let ended = Arc::new(OnceLock::new());
        let reader = runtime.spawn(watch(stream, Arc::clone(&ended))).abort_handle();
        Ok(Arc::new(Link {
            client,
            token: opened.session,
            number: SessionNumber(opened.number),
            page_entries_max: opened.page_entries_max.max(1),
            transaction_wait,
            call_timeout: options.call_timeout,
            closed: AtomicBool::new(false),
            ended,
            refusal,
            reader,
            keys: AtomicBool::new(false),
        }))
    }

    pub(crate) fn request(&self) -> proto::SessionRequest {
        proto::SessionRequest { session: self.token.clone(), topic: 0 }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn wants_keys(&self) -> bool {
        self.keys.load(Ordering::Relaxed)
    }

    /// Checks that the session can be used.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` after it was closed, `FWP_E_SESSION_ABORTED` after it ended.
    pub(crate) fn check(&self) -> Result {
        if self.is_closed() {
            return Err(Error::new(Code::ERROR_INVALID_HANDLE, "the session is closed"));
        }
        match self.ended.get() {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Makes a call that does not wait for transactions.
    pub(crate) fn call<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T> {
        self.call_within(Some(self.call_timeout), call)
    }

    /// Makes a call that may wait for other sessions' transactions.
    pub(crate) fn slow_call<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T> {
        self.call_within(Some(self.call_timeout.saturating_add(self.transaction_wait)), call)
    }

    /// Makes a call with a timeout, or without one if `time` is `None`.
    pub(crate) fn call_within<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        time: Option<Duration>,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T> {
        self.check()?;
        let answer = call(self.client.clone());
        let outcome = wait(async {
            match time {
                Some(time) => tokio::time::timeout(time, answer).await,
                None => Ok(answer.await),
            }
        })?;
        match outcome {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => {
                let what =
                    format!("the engine did not answer within {} s", time.unwrap_or_default().as_secs_f64());
                Err(self.lost(Error::new(Code::RPC_E_TIMEOUT, what)))
            }
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the error for a failed call. If the answer was lost, the session ends.
    pub(crate) fn failed(&self, status: &Status) -> Error {
        let error = failure(status, &self.refusal);
        match error.code() {
            // Another thread closed the session during the call.
            _ if self.is_closed() => {
                Error::new(Code::ERROR_INVALID_HANDLE, "the session was closed during the call")
            }
            Code::RPC_E_DISCONNECTED | Code::RPC_E_TIMEOUT | Code::RPC_E_INVALID_DATAPACKET => {
                self.lost(error)
            }
            _ => error,
        }
    }

    /// Ends the session after a lost answer, because it is unknown whether the call was executed.
    pub(crate) fn lost(&self, error: Error) -> Error {
        // Keep the first reason.
        drop(self.ended.set(aborted(error.what())));
        self.reader.abort();
        error
    }

    /// Closes the session. Returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        if self.ended.get().is_none() {
            let request = self.request();
            let mut client = self.client.clone();
            // If this call does not reach the daemon, the daemon notices the closed connection.
            let close = async { tokio::time::timeout(self.call_timeout, client.engine_close(request)).await };
            drop(wait(close));
        }
        self.reader.abort();
        true
    }
}

/// Returns the error for a status. The reason recorded by the connection takes precedence over a mere
/// disconnection.
fn failure(status: &Status, refusal: &Refusal) -> Error {
    let error = from_status(status);
    match refusal.get() {
        Some(why) if error.code() == Code::RPC_E_DISCONNECTED => why.clone(),
        _ => error,
    }
}

/// Reads the session's stream to its end and records why it ended.
async fn watch(mut stream: Streaming<proto::SessionMessage>, ended: Arc<OnceLock<Error>>) {
    let why = loop {
        match stream.message().await {
            Ok(Some(proto::SessionMessage { message: Some(Message::Ended(why)) })) => break from_detail(why),
            Ok(Some(_)) => {}
            Ok(None) => break aborted("the daemon closed the session's stream"),
            Err(status) => break aborted(from_status(&status).what()),
        }
    };
    drop(ended.set(why));
}
