//! The gRPC service: finds the session of each call and forwards the call to it.

use super::Peer;
use super::Shared;
use super::sessions::Open;
use super::streams::ListStream;
use super::streams::SessionStream;
use super::streams::WatchEvents;
use super::streams::event_page;
use crate::PROTOCOL;
use crate::codec;
use crate::codec::ContextPage;
use crate::codec::Raw;
use crate::codec::SaPage;
use crate::codec::object::*;
use crate::convert;
use crate::proto;
use crate::proto::filter_engine_server::FilterEngine;
use crate::status::detail;
use crate::status::to_status;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::EngineOption;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use openwfp_api::SaEnumOptions;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::SessionNumber;
use openwfp_api::SessionOptions;
use openwfp_api::Sid;
use openwfp_api::Spi;
use openwfp_api::TransactionMode;
use openwfp_api::bounds;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::record::Blob;
use openwfp_api::record::Record;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::Request;
use tonic::Response;
use tonic::Status;

/// The service, over the state that all connections share.
#[derive(Clone)]
pub(crate) struct Service(pub(crate) Arc<Shared>);

/// A running call and its session.
pub(crate) struct Running {
    pub(crate) open: Arc<Open>,
    pub(crate) shared: Arc<Shared>,
}

impl Running {
    /// Checks whether a long call may continue: `FWP_E_SESSION_ABORTED` once the daemon has ended its
    /// session.
    pub(crate) fn check(&self) -> Result {
        if self.open.ended.borrow().is_none() {
            return Ok(());
        }
        Err(Error::new(Code::FWP_E_SESSION_ABORTED, "the daemon ended the session"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.running.send_modify(|running| *running -= 1);
    }
}

type Reply<T> = Result<Response<T>, Status>;
type Parts<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    /// Returns the caller, and counts the call against the user's rate limit.
    fn caller<M>(&self, request: &Request<M>) -> Result<Arc<Peer>> {
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let peer = peer.ok_or_else(|| Error::unreachable("a connection has no peer"))?;
        self.0.user(peer.user()).calls(1, &self.0.limits())?;
        Ok(peer)
    }

    fn enter<M>(&self, request: &Request<M>, token: &[u8]) -> Result<Running> {
        let peer = self.caller(request)?;
        let open = self.0.sessions.find(token, &peer.user())?;
        self.0.running.send_modify(|running| *running += 1);
        Ok(Running { open, shared: Arc::clone(&self.0) })
    }

    /// Runs a short call directly, without a thread of its own.
    fn read<M, T>(
        &self,
        request: &Request<M>,
        token: &[u8],
        call: impl FnOnce(&Open) -> Result<T>,
    ) -> Reply<T> {
        let result = self.enter(request, token).and_then(|running| call(&running.open));
        result.map(Response::new).map_err(|error| to_status(&error))
    }

    /// Runs a call that may wait for another session's transaction or for the dataplane, on a thread where
    /// blocking is harmless.
    async fn wait<T: Send + 'static>(
        &self,
        running: Result<Running>,
        call: impl FnOnce(&Open) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let result = async {
            let running = running?;
            // The calls of a transaction need no permit, because other calls wait for it to end. Nor do root's.
            let turn = if running.open.is_in_transaction() || running.open.user == Sid::ROOT {
                None
            } else {
                let of_user = Arc::clone(&self.0.user(running.open.user).waiting);
                let of_all = Arc::clone(&self.0.waiting);
                let turn = async { (of_user.acquire_owned().await, of_all.acquire_owned().await) };
                Some(tokio::time::timeout(running.open.wait, turn).await.map_err(|_| {
                    let what =
                        "too many calls are waiting for other sessions' transactions (limits.waiting_calls)";
                    Error::new(Code::FWP_E_TIMEOUT, what).with_remedy("Try again later.")
                })?)
            };
            on_a_thread(move || {
                let result = call(&running.open);
                drop(turn);
                result
            })
            .await
        };
        result.await.map(Response::new).map_err(|error| to_status(&error))
    }

    /// Runs a call that may take long, but waits for nobody, on a thread where it delays no other client.
    async fn apart<T: Send + 'static>(
        &self,
        running: Result<Running>,
        call: impl FnOnce(&Open) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let result = async {
            let running = running?;
            on_a_thread(move || call(&running.open)).await
        };
        result.await.map(Response::new).map_err(|error| to_status(&error))
    }

    fn open(&self, peer: &Peer, request: proto::EngineOpenRequest) -> Result<SessionStream> {
        let (lowest, highest) = (request.protocol_min.max(1), request.protocol_max.max(1));
        if !(lowest..=highest).contains(&PROTOCOL) {
            let what = format!(
                "the client speaks protocol versions {lowest} to {highest}, the daemon version {PROTOCOL}"
            );
            return Err(Error::new(Code::RPC_E_VERSION_MISMATCH, what)
                .with_remedy("Install the same version of OpenWFP on both machines."));
        }
        let Some(principal) = peer.principal.clone() else {
            let what = format!("the daemon does not know this client's certificate ({})", peer.name);
            return Err(Error::new(Code::RPC_E_ACCESS_DENIED, what).with_remedy(
                "Ask the daemon's administrator to add a [[tls.clients]] entry for one of these names.",
            ));
        };
        if *self.0.stopping.borrow() {
            return Err(Error::new(Code::RPC_E_CALL_REJECTED, "the daemon is stopping"));
        }
        let limits = self.0.limits();
        let user = principal.user;
        let slot = self.0.user(user).session(&limits)?;
        let mut options = SessionOptions::new()
            .principal(principal)
            .process(peer.process_id)
            .user_name(peer.name.clone())
            .origin(peer.origin())
            .name(request.name)
            .description(request.description)
            .key(codec::get_guid(&request.key)?)
            .engine(request.engine)
            .transaction_wait(Duration::from_nanos(request.transaction_wait_ns))
            .handles_max(limits.enumerators_per_session, limits.subscriptions_per_session);
        if user != Sid::ROOT {
            options = options.transaction_time_max(limits.transaction_time);
        }
        if request.dynamic {
            options = options.dynamic();
        }
        let wait = options.transaction_wait;
        let session = self.0.engine.open_session(options)?;
        let number = session.number().0;
        let open = Arc::new(Open::new(session, user, wait, slot));
        let token = self.0.sessions.insert(Arc::clone(&open))?;
        tracing::debug!(session = number, peer = %peer, "session opened");
        let opened = proto::SessionOpened {
            session: token.into(),
            number,
            protocol: PROTOCOL,
            page_entries_max: limits.page_entries,
        };
        let stream = SessionStream::new(Arc::clone(&self.0), token, opened, &open);
        if *self.0.stopping.borrow() {
            // `Sessions::end_all` may have run just before this session was inserted.
            open.ended.send_replace(Some(detail(&Error::new(
                Code::FWP_E_SESSION_ABORTED,
                "the daemon is stopping",
            ))));
        }
        Ok(stream)
    }
}

/// Runs a call on a thread where blocking is harmless.
async fn on_a_thread<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(call).await;
    done.map_err(|_| Error::unreachable("a call panicked"))?
}

/// Returns the right to send keys, if keys are wanted and the session has the right.
pub(crate) fn keys(open: &Open, wanted: bool) -> Result<Option<KeyAccess>> {
    if !wanted {
        return Ok(None);
    }
    match open.session.key_access() {
        Ok(keys) => Ok(Some(keys)),
        Err(error) if error.code() == Code::ERROR_ACCESS_DENIED => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decodes a request that is a record.
#[allow(clippy::result_large_err, reason = "what the generated methods return")]
fn decoded<R: Record>(request: &Request<Raw>) -> Result<R, Status> {
    R::decode(&request.get_ref().0).map_err(|error| to_status(&error))
}

/// Returns whether an enumerator may have more entries: yes, unless it returned fewer than requested.
fn more<T>(claim: &Claim<T>, taken: usize, limit: u32) -> bool {
    let found = claim.entries().len();
    taken < found || found == usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Returns the next page of contexts, the number of contexts in it, and whether there may be more.
pub(crate) fn context_page(
    shared: &Shared,
    open: &Open,
    request: &proto::EnumRequest,
    bytes_max: usize,
) -> Result<(Raw, u32, bool)> {
    let keys = keys(open, request.keys)?;
    let limit = shared.page_entries(request.limit, bytes_max);
    let claim = open.session.sa_context_enum(EnumId::from_bits(request.handle), limit)?;
    let mut page = ContextPage::new(claim.entries().len(), bytes_max, keys.as_ref());
    let taken = page.fill(claim.entries());
    let more = more(&claim, taken, limit);
    drop(claim.accept_first(taken));
    let page = page.finish(more);
    if let Some(each) = page.0.len().checked_div(taken) {
        shared.entry_bytes.store(each, Ordering::Relaxed);
    }
    Ok((page, u32::try_from(taken).unwrap_or(u32::MAX), more))
}

fn done() -> proto::Done {
    proto::Done {}
}

#[tonic::async_trait]
impl FilterEngine for Service {
    type EngineOpenStream = SessionStream;
    type SaContextListStream = Parts<Raw>;
    type SaContextWatchStream = Parts<Raw>;

    async fn engine_open(&self, request: Request<proto::EngineOpenRequest>) -> Reply<SessionStream> {
        let peer = self.caller(&request).map_err(|error| to_status(&error))?;
        self.open(&peer, request.into_inner()).map(Response::new).map_err(|error| {
            tracing::info!(peer = %peer, "session refused: {}", error.what());
            to_status(&error)
        })
    }

    async fn engine_close(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Done> {
        let token = request.get_ref().session.clone();
        let running = self.enter(&request, &token);
        let shared = Arc::clone(&self.0);
        self.wait(running, move |open| {
            let end = Error::new(Code::FWP_E_SESSION_ABORTED, "the client closed the session");
            let result = token.as_slice().try_into().map_or(Ok(()), |token| shared.sessions.close(&token));
            open.ended.send_replace(Some(detail(&end)));
            result.map(|()| done())
        })
        .await
    }

    async fn session_get(&self, request: Request<proto::SessionRequest>) -> Reply<proto::SessionInfo> {
        self.read(&request, &request.get_ref().session, |open| {
            open.session.info().map(|info| convert::from_session_info(&info))
        })
    }

    async fn session_create_enum(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Enumerator> {
        self.read(&request, &request.get_ref().session, |open| {
            Ok(proto::Enumerator { handle: open.session.session_create_enum()?.to_bits() })
        })
    }

    async fn session_enum(&self, request: Request<proto::EnumRequest>) -> Reply<proto::SessionPage> {
        let asked = request.get_ref();
        let limit = asked.limit.min(self.0.limits().page_entries);
        self.read(&request, &asked.session, |open| {
            let claim = open.session.session_enum(EnumId::from_bits(asked.handle), limit)?;
            let more = more(&claim, claim.entries().len(), limit);
            let sessions = claim.accept().iter().map(|info| convert::from_session_info(info)).collect();
            Ok(proto::SessionPage { sessions, more })
        })
    }

    async fn session_end(&self, request: Request<proto::SessionEndRequest>) -> Reply<proto::Done> {
        let running = self.enter(&request, &request.get_ref().session);
        let number = SessionNumber(request.get_ref().number);
        self.apart(running, move |open| open.session.session_end(number).map(|()| done())).await
    }

    async fn enum_destroy(&self, request: Request<proto::HandleRequest>) -> Reply<proto::Done> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            open.session.destroy_enum(EnumId::from_bits(asked.handle)).map(|()| done())
        })
    }

    async fn enum_version(&self, request: Request<proto::HandleRequest>) -> Reply<proto::EnumVersionReply> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let version = open.session.enum_version(EnumId::from_bits(asked.handle))?.0;
            Ok(proto::EnumVersionReply { version })
        })
    }

    async fn transaction_begin(
        &self,
        request: Request<proto::TransactionBeginRequest>,
    ) -> Reply<proto::Done> {
        let running = self.enter(&request, &request.get_ref().session);
        let mode = match request.get_ref().read_only {
            true => TransactionMode::ReadOnly,
            false => TransactionMode::ReadWrite,
        };
        self.wait(running, move |open| {
            open.session.transaction_begin(mode)?;
            open.in_transaction.store(true, Ordering::Release);
            Ok(done())
        })
        .await
    }

    async fn transaction_commit(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Done> {
        let running = self.enter(&request, &request.get_ref().session);
        self.wait(running, |open| {
            let result = open.session.transaction_commit();
            open.in_transaction.store(false, Ordering::Release);
            result.map(|()| done())
        })
        .await
    }

    async fn transaction_abort(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Done> {
        let running = self.enter(&request, &request.get_ref().session);
        self.wait(running, |open| {
            let result = open.session.transaction_abort();
            open.in_transaction.store(false, Ordering::Release);
            result.map(|()| done())
        })
        .await
    }

    async fn sa_context_step(&self, request: Request<Raw>) -> Reply<proto::StepOutcome> {
        let running = self.enter(&request, codec::token(&request.get_ref().0));
        self.wait(running, move |open| {
            let (_, step) = codec::decode_step(&request.get_ref().0)?;
            open.session.sa_context_step(step).map(|outcome| convert::from_outcome(&outcome))
        })
        .await
    }

    async fn sa_context_batch(&self, request: Request<Raw>) -> Reply<proto::SaContextBatchReply> {
        let running = self.enter(&request, codec::token(&request.get_ref().0));
        let shared = Arc::clone(&self.0);
        self.wait(running, move |open| {
            let (_, steps, mode) = codec::decode_batch(&request.get_ref().0)?;
            // The request itself has counted as one call.
            if steps.len() > 1 {
                shared.user(open.user).calls(steps.len() - 1, &shared.limits())?;
            }
            let result = |outcome: Result<_>| proto::StepResult {
                result: Some(match outcome {
                    Ok(outcome) => proto::step_result::Result::Outcome(convert::from_outcome(&outcome)),
                    Err(error) => proto::step_result::Result::Error(detail(&error)),
                }),
            };
            let outcomes = open.session.sa_context_batch(steps, mode)?;
            Ok(proto::SaContextBatchReply { results: outcomes.into_iter().map(result).collect() })
        })
        .await
    }

    async fn sa_context_get_by_id(&self, request: Request<proto::SaContextGetByIdRequest>) -> Reply<Raw> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let keys = keys(open, asked.keys)?;
            let context = open.session.sa_context_by_id(SaContextId(asked.id))?;
            let mut page = ContextPage::new(1, usize::MAX, keys.as_ref());
            page.fill(&[context]);
            Ok(page.finish(false))
        })
    }

    async fn sa_context_create_enum(
        &self,
        request: Request<proto::SaContextCreateEnumRequest>,
    ) -> Reply<proto::Enumerator> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let options = EnumOptions {
                template: convert::to_template(asked.template.as_ref())?,
                spi: Spi::new(asked.spi),
                after: (asked.after != 0).then_some(SaContextId(asked.after)),
            };
            Ok(proto::Enumerator { handle: open.session.sa_context_create_enum(&options)?.to_bits() })
        })
    }

    async fn sa_context_enum(&self, request: Request<proto::EnumRequest>) -> Reply<Raw> {
        self.read(&request, &request.get_ref().session, |open| {
            let bytes_max = self.0.limits().page_bytes;
            context_page(&self.0, open, request.get_ref(), bytes_max).map(|(page, ..)| page)
        })
    }

    async fn sa_context_list(&self, request: Request<proto::EnumRequest>) -> Reply<Parts<Raw>> {
        let running = self.enter(&request, &request.get_ref().session).map_err(|error| to_status(&error))?;
        let request = request.into_inner();
        let left = (request.limit != 0).then_some(request.limit);
        Ok(Response::new(Box::pin(ListStream { running, request, left, over: false })))
    }

    async fn sa_create_enum(&self, request: Request<proto::SaCreateEnumRequest>) -> Reply<proto::Enumerator> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let options = SaEnumOptions { direction: convert::to_direction(asked.direction)? };
            Ok(proto::Enumerator { handle: open.session.sa_create_enum(&options)?.to_bits() })
        })
    }

    async fn sa_enum(&self, request: Request<proto::EnumRequest>) -> Reply<Raw> {
        let (asked, limits) = (request.get_ref(), self.0.limits());
        self.read(&request, &asked.session, |open| {
            let keys = keys(open, asked.keys)?;
            let limit = asked.limit.min(limits.page_entries);
            let claim = open.session.sa_enum(EnumId::from_bits(asked.handle), limit)?;
            let (page, taken) = SaPage::encode(claim.entries(), limits.page_bytes, keys.as_ref(), |taken| {
                more(&claim, taken, limit)
            });
            drop(claim.accept_first(taken));
            Ok(page)
        })
    }

    async fn sa_context_subscribe(
        &self,
        request: Request<proto::SubscribeRequest>,
    ) -> Reply<proto::Subscription> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let slot = self.0.user(open.user).subscription(&self.0.limits())?;
            let stream = open.session.events(&convert::to_subscription(asked)?)?;
            Ok(proto::Subscription { handle: open.add_stream(stream, slot).to_bits() })
        })
    }

    async fn sa_context_events(&self, request: Request<proto::EventsRequest>) -> Reply<Raw> {
        let asked = request.get_ref();
        let result = async {
            let running = self.enter(&request, &asked.session)?;
            let Some(stream) = running.open.stream(asked.handle) else {
                // Lets the session report what is wrong with the handle.
                running.open.session.unsubscribe(EnumId::from_bits(asked.handle))?;
                return Err(Error::new(Code::ERROR_INVALID_HANDLE, "this subscription has ended"));
            };
            let (open, limits) = (Arc::clone(&running.open), running.shared.limits());
            // A stopping server must not wait for calls that wait for events.
            drop(running);
            let mut stream = stream.lock().await;
            let mut ended = open.ended.subscribe();
            let first = poll_fn(|context| match stream.poll_next(context) {
                Poll::Pending if asked.wait_ns == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
                Poll::Ready(first) => Poll::Ready(Some(first)),
            });
            let wait = Duration::from_nanos(asked.wait_ns);
            let first = tokio::select! {
                biased;
                first = async { tokio::time::timeout(wait, first).await.ok().flatten() } => first,
                _ = ended.wait_for(Option::is_some) => {
                    return Err(Error::new(Code::FWP_E_SESSION_ABORTED, "the session has ended"));
                }
            };
            let Some(first) = first.transpose()? else { return Ok(Raw::default()) };
            let limit = if asked.limit == 0 { u32::MAX } else { asked.limit };
            event_page(&open, &mut **stream, &first, limit, limits.page_bytes, asked.keys)
        };
        result.await.map(Response::new).map_err(|error| to_status(&error))
    }

    async fn sa_context_watch(&self, request: Request<proto::SubscribeRequest>) -> Reply<Parts<Raw>> {
        let asked = request.get_ref();
        let watch = || -> Result<WatchEvents> {
            let running = self.enter(&request, &asked.session)?;
            let slot = self.0.user(running.open.user).subscription(&self.0.limits())?;
            let stream = running.open.session.events(&convert::to_subscription(asked)?)?;
            // A stopping server must not wait for watching clients.
            let (open, shared) = (Arc::clone(&running.open), Arc::clone(&running.shared));
            Ok(WatchEvents { open, shared, stream, keys: asked.keys, over: false, _slot: slot })
        };
        match watch() {
            Ok(events) => Ok(Response::new(Box::pin(events))),
            Err(error) => Err(to_status(&error)),
        }
    }

    async fn sa_context_unsubscribe(&self, request: Request<proto::HandleRequest>) -> Reply<proto::Done> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            open.session.unsubscribe(EnumId::from_bits(asked.handle))?;
            open.forget_stream(asked.handle);
            Ok(done())
        })
    }

    async fn sa_context_subscriptions_get(
        &self,
        request: Request<proto::SessionRequest>,
    ) -> Reply<proto::SubscriptionList> {
        self.read(&request, &request.get_ref().session, |open| {
            let about = convert::to_topic(request.get_ref().topic)?;
            let subscriptions = open.session.subscriptions(about)?;
            Ok(proto::SubscriptionList {
                subscriptions: subscriptions.iter().map(convert::from_subscription_info).collect(),
            })
        })
    }

    async fn statistics_get(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Statistics> {
        let running = self.enter(&request, &request.get_ref().session);
        self.wait(running, |open| {
            open.session.statistics().map(|statistics| convert::from_statistics(&statistics))
        })
        .await
    }

    async fn security_info_get(
        &self,
        request: Request<proto::SecurityInfoRequest>,
    ) -> Reply<proto::SecurityInfo> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let (of, parts) =
                (convert::to_securable(asked.of)?, SecurityInformation::from_bits(asked.parts)?);
            Ok(proto::SecurityInfo { descriptor: open.session.security_info(of, parts)?.to_bytes()? })
        })
    }

    async fn security_info_set(&self, request: Request<proto::SecurityInfoSetRequest>) -> Reply<proto::Done> {
        let asked = request.get_ref();
        self.read(&request, &asked.session, |open| {
            let (of, parts) =
                (convert::to_securable(asked.of)?, SecurityInformation::from_bits(asked.parts)?);
            let descriptor = SecurityDescriptor::parse(&asked.descriptor)?;
            open.session.set_security_info(of, parts, &descriptor).map(|()| done())
        })
    }

    async fn object_step(&self, request: Request<Raw>) -> Reply<Raw> {
        let running = self.enter(&request, codec::token(&request.get_ref().0));
        self.wait(running, move |open| {
            let asked = ObjectStepRequest::decode(&request.get_ref().0)?;
            let id = open.session.object_step(asked.step)?;
            Ok(encode(&ObjectStepReply { id }))
        })
        .await
    }

    async fn object_get(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: ObjectGetRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            let keys = keys(open, asked.keys)?;
            let name = asked.key.map_or(ObjectName::Id(asked.id), ObjectName::Key);
            let object = open.session.object_get(ObjectKind::from_wfp(asked.kind)?, name)?;
            Ok(encode_page(&[object], usize::MAX, keys.as_ref(), |_| false).0)
        })
    }

    async fn object_create_enum(&self, request: Request<Raw>) -> Reply<proto::Enumerator> {
        let running = self.enter(&request, codec::token(&request.get_ref().0));
        self.apart(running, move |open| {
            let asked = ObjectCreateEnumRequest::decode(&request.get_ref().0)?;
            Ok(proto::Enumerator { handle: open.session.object_create_enum(&asked.template)?.to_bits() })
        })
        .await
    }

    async fn object_enum(&self, request: Request<proto::EnumRequest>) -> Reply<Raw> {
        let running = self.enter(&request, &request.get_ref().session);
        let (asked, limits) = (request.into_inner(), self.0.limits());
        // Templates with many conditions on filters with many take long.
        self.apart(running, move |open| {
            let keys = keys(open, asked.keys)?;
            let limit = asked.limit.min(limits.page_entries);
            let claim = open.session.object_enum(EnumId::from_bits(asked.handle), limit)?;
            let (page, taken) = encode_page(claim.entries(), limits.page_bytes, keys.as_ref(), |taken| {
                more(&claim, taken, limit)
            });
            drop(claim.accept_first(taken));
            Ok(page)
        })
        .await
    }

    async fn object_security_get(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: ObjectSecurityRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            let (kind, parts) =
                (ObjectKind::from_wfp(asked.kind)?, SecurityInformation::from_bits(asked.parts)?);
            let descriptor = open.session.object_security_info(kind, asked.key, parts)?;
            Ok(encode(&ObjectSecurityReply { descriptor: Blob(descriptor.to_bytes()?) }))
        })
    }

    async fn object_security_set(&self, request: Request<Raw>) -> Reply<proto::Done> {
        let asked: ObjectSecurityRequest = decoded(&request)?;
        let running = self.enter(&request, &asked.session.0);
        self.wait(running, move |open| {
            let (kind, parts) =
                (ObjectKind::from_wfp(asked.kind)?, SecurityInformation::from_bits(asked.parts)?);
            let descriptor = SecurityDescriptor::parse(&asked.descriptor.0)?;
            open.session.set_object_security_info(kind, asked.key, parts, &descriptor).map(|()| done())
        })
        .await
    }

    async fn classify(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: ClassifyRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            open.session.classify(&asked.packet).map(|verdict| encode(&verdict))
        })
    }

    async fn kernel_policy_list(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: KernelPolicyListRequest = decoded(&request)?;
        let limit = asked.limit.min(u32::try_from(bounds::KERNEL_POLICIES).unwrap_or(u32::MAX));
        self.read(&request, &asked.session.0, |open| {
            let policies = open.session.kernel_policies(asked.after.as_ref(), limit)?;
            Ok(encode(&KernelPolicyPage { policies }))
        })
    }

    async fn kernel_policy_get(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: KernelPolicyGetRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            let policy = open.session.kernel_policy(asked.index)?;
            Ok(encode(&KernelPolicyReply { policy }))
        })
    }

    async fn filter_effects(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: FilterEffectsRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            bounds::check("FilterEffectsRequest.filters", asked.filters.len(), bounds::FILTER_EFFECTS)?;
            let effects = open.session.filter_effects(&asked.filters)?;
            Ok(encode(&FilterEffectsReply { effects }))
        })
    }

    async fn explain(&self, request: Request<Raw>) -> Reply<Raw> {
        let asked: ExplainRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            open.session.explain(&asked.packet).map(|explanation| encode(&explanation))
        })
    }

    async fn engine_option_get(&self, request: Request<Raw>) -> Reply<proto::EngineOptionReply> {
        let asked: EngineOptionRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            let value = open.session.engine_option(EngineOption::from_wfp(asked.option)?)?;
            Ok(proto::EngineOptionReply { value })
        })
    }

    async fn engine_option_set(&self, request: Request<Raw>) -> Reply<proto::Done> {
        let asked: EngineOptionRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            let option = EngineOption::from_wfp(asked.option)?;
            open.session.set_engine_option(option, asked.value).map(|()| done())
        })
    }

    async fn net_event_report(&self, request: Request<Raw>) -> Reply<proto::Done> {
        let asked: NetEventReportRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            open.session.net_event_report(asked.event.clone()).map(|()| done())
        })
    }

    async fn net_event_create_enum(&self, request: Request<Raw>) -> Reply<proto::Enumerator> {
        let asked: NetEventCreateEnumRequest = decoded(&request)?;
        self.read(&request, &asked.session.0, |open| {
            Ok(proto::Enumerator { handle: open.session.net_event_create_enum(&asked.template)?.to_bits() })
        })
    }

    async fn net_event_enum(&self, request: Request<proto::EnumRequest>) -> Reply<Raw> {
        let (asked, limits) = (request.get_ref(), self.0.limits());
        self.read(&request, &asked.session, |open| {
            let limit = asked.limit.min(limits.page_entries);
            let claim = open.session.net_event_enum(EnumId::from_bits(asked.handle), limit)?;
            let (page, taken) =
                encode_page(claim.entries(), limits.page_bytes, None, |taken| more(&claim, taken, limit));
            drop(claim.accept_first(taken));
            Ok(page)
        })
    }

    async fn key_access(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Done> {
        self.read(&request, &request.get_ref().session, |open| open.session.key_access().map(|_| done()))
    }

    async fn completeness_get(&self, request: Request<proto::SessionRequest>) -> Reply<proto::Completeness> {
        self.read(&request, &request.get_ref().session, |open| {
            open.session.completeness().map(convert::from_completeness)
        })
    }
}
