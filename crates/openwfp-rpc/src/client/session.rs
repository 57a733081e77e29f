//! A session with a remote engine.

use super::cursor::Cursors;
use super::cursor::by_weight;
use super::events::Delivery;
use super::events::RemoteStream;
use super::events::unsubscribe;
use super::link::Link;
use super::wait;
use crate::codec;
use crate::codec::Raw;
use crate::codec::object::*;
use crate::convert;
use crate::proto;
use crate::status::from_detail;
use openwfp_api::BatchMode;
use openwfp_api::Claim;
use openwfp_api::Code;
use openwfp_api::Completeness;
use openwfp_api::EngineOption;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::EventCallback;
use openwfp_api::EventStream;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaEntry;
use openwfp_api::SaEnumOptions;
use openwfp_api::Securable;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SecurityInformation;
use openwfp_api::Session;
use openwfp_api::SessionInfo;
use openwfp_api::SessionNumber;
use openwfp_api::Spi;
use openwfp_api::Statistics;
use openwfp_api::StepOutcome;
use openwfp_api::SubscriptionId;
use openwfp_api::SubscriptionInfo;
use openwfp_api::SubscriptionOptions;
use openwfp_api::TopicKind;
use openwfp_api::TransactionMode;
use openwfp_api::Version;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::kernel::Explanation;
use openwfp_api::object::kernel::FilterEffect;
use openwfp_api::object::kernel::KernelPolicy;
use openwfp_api::object::kernel::KernelPolicyPlace;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::packet::Verdict;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::template::ENUM_BEST_TERMINATING_MATCH;
use openwfp_api::object::template::ENUM_SORTED;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::record::Blob;
use openwfp_api::record::Record;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Number of steps that are sent in one message if the steps of a batch are independent.
const BATCH_PART: usize = 1000;

/// A session with a remote engine.
pub(crate) struct RemoteSession {
    link: Arc<Link>,
    contexts: Cursors<Arc<SaContext>>,
    sas: Cursors<SaEntry>,
    sessions: Cursors<Arc<SessionInfo>>,
    objects: Cursors<Arc<Object>>,
    net_events: Cursors<Arc<NetEvent>>,
    deliveries: Mutex<HashMap<SubscriptionId, Arc<Delivery>>>,
}

impl RemoteSession {
    pub(crate) fn new(link: Arc<Link>) -> RemoteSession {
        RemoteSession {
            link,
            contexts: Cursors::default(),
            sas: Cursors::default(),
            sessions: Cursors::default(),
            objects: Cursors::default(),
            net_events: Cursors::default(),
            deliveries: Mutex::default(),
        }
    }

    fn token(&self) -> Blob {
        Blob(self.link.token.clone())
    }

    fn security_request(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
        descriptor: Blob,
    ) -> ObjectSecurityRequest {
        let parts = convert::from_parts(parts);
        ObjectSecurityRequest { session: self.token(), kind: kind.wfp(), key, parts, descriptor }
    }

    fn handle(&self, id: EnumId) -> proto::HandleRequest {
        proto::HandleRequest { session: self.link.token.clone(), handle: id.to_bits() }
    }

    fn page(&self, id: EnumId, limit: u32) -> proto::EnumRequest {
        proto::EnumRequest {
            session: self.link.token.clone(),
            handle: id.to_bits(),
            limit,
            keys: self.link.wants_keys(),
        }
    }

    /// Passes on a decoded answer. If decoding failed, the session ends, as after any lost answer.
    fn understood<T>(&self, decoded: Result<T>) -> Result<T> {
        decoded.map_err(|error| {
            let error = Error::new(
                Code::RPC_E_INVALID_DATAPACKET,
                format!("cannot decode the engine's answer: {}", error.what()),
            );
            self.link.lost(error)
        })
    }

    fn next_contexts(&self, id: EnumId, limit: u32) -> Result<(Vec<Arc<SaContext>>, bool)> {
        let request = self.page(id, limit);
        if limit <= self.link.page_entries_max {
            let page = self.link.call(|mut client| async move { client.sa_context_enum(request).await })?;
            return self.understood(codec::decode_contexts(&page.0));
        }
        // More than one page: stream the list, so that the next part arrives while this one is decoded.
        let mut stream = self.link.call(|mut client| async move { client.sa_context_list(request).await })?;
        let mut contexts = Vec::new();
        while let Some(Raw(part)) =
            wait(stream.message())?.map_err(|status| self.list_failed(&status, contexts.is_empty()))?
        {
            contexts.append(&mut self.understood(codec::decode_contexts(&part))?.0);
        }
        Ok((contexts, false))
    }

    /// Returns the error for a failed listing. After the first part, entries are lost, so the session ends.
    fn list_failed(&self, status: &tonic::Status, first: bool) -> Error {
        let error = self.link.failed(status);
        if first { error } else { self.link.lost(error) }
    }

    fn deliveries(&self) -> MutexGuard<'_, HashMap<SubscriptionId, Arc<Delivery>>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, options: &SubscriptionOptions) -> Result<RemoteStream> {
        let mut request = convert::from_subscription(options);
        request.session = self.link.token.clone();
        let subscription =
            self.link.call(|mut client| async move { client.sa_context_subscribe(request).await })?;
        let id = EnumId::from_bits(subscription.handle);
        Ok(RemoteStream::new(Arc::clone(&self.link), id, options.queue_length))
    }

    fn batch(&self, steps: &[SaContextStep], mode: BatchMode) -> Result<Vec<Result<StepOutcome>>> {
        let request = Raw(codec::encode_batch(&self.link.token, steps, mode).into());
        let reply =
            self.link.slow_call(|mut client| async move { client.sa_context_batch(request).await })?;
        let outcome = |result: proto::StepResult| match result.result {
            Some(proto::step_result::Result::Outcome(outcome)) => Ok(convert::to_outcome(&outcome)),
            Some(proto::step_result::Result::Error(detail)) => Err(from_detail(detail)),
            None => Err(Error::new(Code::RPC_E_INVALID_DATAPACKET, "the answer has no result for a step")),
        };
        let results: Vec<_> = reply.results.into_iter().map(outcome).collect();
        let complete = match results.len() == steps.len() {
            true => Ok(results),
            false => {
                Err(Error::new(Code::RPC_E_INVALID_DATAPACKET, "the answer has the wrong number of results"))
            }
        };
        self.understood(complete)
    }
}

impl Session for RemoteSession {
    fn number(&self) -> SessionNumber {
        self.link.number
    }

    fn close(&self) -> Result {
        if !self.link.close() {
            return Err(Error::new(Code::ERROR_INVALID_HANDLE, "the session is already closed"));
        }
        let deliveries = std::mem::take(&mut *self.deliveries());
        for delivery in deliveries.into_values() {
            delivery.close();
        }
        Ok(())
    }

    fn info(&self) -> Result<SessionInfo> {
        let request = self.link.request();
        let info = self.link.call(|mut client| async move { client.session_get(request).await })?;
        self.understood(convert::to_session_info(info))
    }

    fn session_create_enum(&self) -> Result<EnumId> {
        let request = self.link.request();
        let made = self.link.call(|mut client| async move { client.session_create_enum(request).await })?;
        Ok(self.sessions.add(EnumId::from_bits(made.handle)))
    }

    fn session_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<SessionInfo>>> {
        self.sessions.claim(id, limit, |left| {
            let request = self.page(id, left);
            let page = self.link.call(|mut client| async move { client.session_enum(request).await })?;
            let info = |info| convert::to_session_info(info).map(Arc::new);
            let infos = page.sessions.into_iter().map(info).collect::<Result<_>>();
            Ok((self.understood(infos)?, page.more))
        })
    }

    fn transaction_begin(&self, mode: TransactionMode) -> Result {
        let request = proto::TransactionBeginRequest {
            session: self.link.token.clone(),
            read_only: mode == TransactionMode::ReadOnly,
        };
        self.link.slow_call(|mut client| async move { client.transaction_begin(request).await }).map(drop)
    }

    fn transaction_commit(&self) -> Result {
        let request = self.link.request();
        self.link.slow_call(|mut client| async move { client.transaction_commit(request).await }).map(drop)
    }

    fn session_end(&self, number: SessionNumber) -> Result {
        let request = proto::SessionEndRequest { session: self.link.token.clone(), number: number.0 };
        self.link.slow_call(|mut client| async move { client.session_end(request).await }).map(drop)
    }

    fn transaction_abort(&self) -> Result {
        let request = self.link.request();
        self.link.slow_call(|mut client| async move { client.transaction_abort(request).await }).map(drop)
    }

    fn sa_context_step(&self, step: SaContextStep) -> Result<StepOutcome> {
        let request = Raw(codec::encode_step(&self.link.token, &step).into());
        let outcome =
            self.link.slow_call(|mut client| async move { client.sa_context_step(request).await })?;
        Ok(convert::to_outcome(&outcome))
    }

    fn sa_context_batch(
        &self,
        steps: Vec<SaContextStep>,
        mode: BatchMode,
    ) -> Result<Vec<Result<StepOutcome>>> {
        if mode == BatchMode::AllOrNothing || steps.len() <= BATCH_PART {
            return self.batch(&steps, mode);
        }
        let mut results = Vec::with_capacity(steps.len());
        for part in steps.chunks(BATCH_PART) {
            match self.batch(part, mode) {
                Ok(part) => results.extend(part),
                // The earlier parts were executed; the steps of this part and all later ones get its error.
                Err(error) if !results.is_empty() => {
                    results.resize(steps.len(), Err(error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    fn sa_context_by_id(&self, id: SaContextId) -> Result<Arc<SaContext>> {
        let request = proto::SaContextGetByIdRequest {
            session: self.link.token.clone(),
            id: id.0,
            keys: self.link.wants_keys(),
        };
        let page = self.link.call(|mut client| async move { client.sa_context_get_by_id(request).await })?;
        let (contexts, _) = self.understood(codec::decode_contexts(&page.0))?;
        let found = contexts.into_iter().next();
        let missing = || Error::new(Code::RPC_E_INVALID_DATAPACKET, "the answer lacks the context");
        self.understood(found.ok_or_else(missing))
    }

    fn sa_context_create_enum(&self, options: &EnumOptions) -> Result<EnumId> {
        let request = proto::SaContextCreateEnumRequest {
            session: self.link.token.clone(),
            template: Some(convert::from_template(&options.template)),
            spi: options.spi.map_or(0, Spi::get),
            after: options.after.map_or(0, |after| after.0),
        };
        let made =
            self.link.call(|mut client| async move { client.sa_context_create_enum(request).await })?;
        Ok(self.contexts.add(EnumId::from_bits(made.handle)))
    }

    fn sa_context_enum(&self, id: EnumId, limit: u32) -> Result<Claim> {
        self.contexts.claim(id, limit, |left| self.next_contexts(id, left))
    }

    fn destroy_enum(&self, id: EnumId) -> Result {
        let request = self.handle(id);
        self.link.call(|mut client| async move { client.enum_destroy(request).await })?;
        self.contexts.forget(id);
        self.sas.forget(id);
        self.sessions.forget(id);
        self.objects.forget(id);
        self.net_events.forget(id);
        Ok(())
    }

    fn enum_version(&self, id: EnumId) -> Result<Version> {
        let request = self.handle(id);
        let reply = self.link.call(|mut client| async move { client.enum_version(request).await })?;
        Ok(Version(reply.version))
    }

    fn sa_create_enum(&self, options: &SaEnumOptions) -> Result<EnumId> {
        let request = proto::SaCreateEnumRequest {
            session: self.link.token.clone(),
            direction: convert::from_direction(options.direction),
        };
        let made = self.link.call(|mut client| async move { client.sa_create_enum(request).await })?;
        Ok(self.sas.add(EnumId::from_bits(made.handle)))
    }

    fn sa_enum(&self, id: EnumId, limit: u32) -> Result<Claim<SaEntry>> {
        self.sas.claim(id, limit, |left| {
            let request = self.page(id, left);
            let page = self.link.call(|mut client| async move { client.sa_enum(request).await })?;
            self.understood(codec::decode_sas(&page.0))
        })
    }

    fn subscribe(&self, options: &SubscriptionOptions, callback: EventCallback) -> Result<SubscriptionId> {
        let stream = self.stream(options)?;
        let id = stream.id();
        // Holding the lock registers the delivery before its callback can unsubscribe itself.
        let mut deliveries = self.deliveries();
        deliveries.insert(id, Delivery::start(stream, callback)?);
        Ok(id)
    }

    fn events(&self, options: &SubscriptionOptions) -> Result<Box<dyn EventStream>> {
        Ok(Box::new(self.stream(options)?))
    }

    fn unsubscribe(&self, id: SubscriptionId) -> Result {
        let result = unsubscribe(&self.link, id);
        // The delivery thread may have noticed the end first and unsubscribed already.
        let delivery = self.deliveries().get(&id).cloned();
        match delivery {
            Some(delivery) => {
                // Until its callback has returned, the delivery stays where a call that closes the session finds it.
                if delivery.close() {
                    self.deliveries().remove(&id);
                }
                match result {
                    Err(error) if error.code() == Code::ERROR_INVALID_HANDLE => Ok(()),
                    result => result,
                }
            }
            None => result,
        }
    }

    fn subscriptions(&self, about: TopicKind) -> Result<Vec<SubscriptionInfo>> {
        let topic = convert::from_topic(about);
        let request = proto::SessionRequest { topic, ..self.link.request() };
        let list =
            self.link.call(|mut client| async move { client.sa_context_subscriptions_get(request).await })?;
        self.understood(list.subscriptions.into_iter().map(convert::to_subscription_info).collect())
    }

    fn statistics(&self) -> Result<Statistics> {
        let request = self.link.request();
        let statistics =
            self.link.slow_call(|mut client| async move { client.statistics_get(request).await })?;
        Ok(convert::to_statistics(statistics))
    }

    fn security_info(&self, of: Securable, parts: SecurityInformation) -> Result<SecurityDescriptor> {
        let request = proto::SecurityInfoRequest {
            session: self.link.token.clone(),
            of: convert::from_securable(of),
            parts: convert::from_parts(parts),
        };
        let info = self.link.call(|mut client| async move { client.security_info_get(request).await })?;
        self.understood(SecurityDescriptor::parse(&info.descriptor))
    }

    fn set_security_info(
        &self,
        of: Securable,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let request = proto::SecurityInfoSetRequest {
            session: self.link.token.clone(),
            of: convert::from_securable(of),
            parts: convert::from_parts(parts),
            descriptor: descriptor.to_bytes()?,
        };
        self.link.call(|mut client| async move { client.security_info_set(request).await }).map(drop)
    }

    fn object_step(&self, step: ObjectStep) -> Result<u64> {
        let request = encode(&ObjectStepRequest { session: self.token(), step });
        let reply = self.link.slow_call(|mut client| async move { client.object_step(request).await })?;
        self.understood(ObjectStepReply::decode(&reply.0)).map(|reply| reply.id)
    }

    fn object_get(&self, kind: ObjectKind, name: ObjectName) -> Result<Arc<Object>> {
        let (key, id) = match name {
            ObjectName::Key(key) => (Some(key), 0),
            ObjectName::Id(id) => (None, id),
        };
        let request = ObjectGetRequest {
            session: self.token(),
            kind: kind.wfp(),
            key,
            id,
            keys: self.link.wants_keys(),
        };
        let request = encode(&request);
        let page = self.link.call(|mut client| async move { client.object_get(request).await })?;
        let (objects, _) = self.understood(decode_page(&page.0))?;
        let missing = || Error::new(Code::RPC_E_INVALID_DATAPACKET, "the answer lacks the object");
        self.understood(objects.into_iter().next().ok_or_else(missing))
    }

    fn object_create_enum(&self, template: &ObjectTemplate) -> Result<EnumId> {
        let is_sorted = template.kind == ObjectKind::Filter.wfp()
            && template.flags & (ENUM_SORTED | ENUM_BEST_TERMINATING_MATCH) != 0;
        let request = encode(&ObjectCreateEnumRequest { session: self.token(), template: template.clone() });
        let made = self.link.call(|mut client| async move { client.object_create_enum(request).await })?;
        let id = EnumId::from_bits(made.handle);
        Ok(if is_sorted { self.objects.add_ordered(id, by_weight) } else { self.objects.add(id) })
    }

    fn object_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<Object>>> {
        self.objects.claim(id, limit, |left| {
            let request = self.page(id, left);
            let page = self.link.call(|mut client| async move { client.object_enum(request).await })?;
            self.understood(decode_page(&page.0))
        })
    }

    fn classify(&self, packet: &Packet) -> Result<Verdict> {
        let request = encode(&ClassifyRequest { session: self.token(), packet: packet.clone() });
        let verdict = self.link.call(|mut client| async move { client.classify(request).await })?;
        self.understood(Verdict::decode(&verdict.0))
    }

    fn kernel_policies(&self, after: Option<&KernelPolicyPlace>, limit: u32) -> Result<Vec<KernelPolicy>> {
        let request =
            encode(&KernelPolicyListRequest { session: self.token(), after: after.cloned(), limit });
        let page = self.link.call(|mut client| async move { client.kernel_policy_list(request).await })?;
        self.understood(KernelPolicyPage::decode(&page.0)).map(|page| page.policies)
    }

    fn kernel_policy(&self, index: u32) -> Result<KernelPolicy> {
        let request = encode(&KernelPolicyGetRequest { session: self.token(), index });
        let policy = self.link.call(|mut client| async move { client.kernel_policy_get(request).await })?;
        self.understood(KernelPolicyReply::decode(&policy.0)).map(|reply| reply.policy)
    }

    fn filter_effects(&self, ids: &[u64]) -> Result<Vec<FilterEffect>> {
        let request = encode(&FilterEffectsRequest { session: self.token(), filters: ids.to_vec() });
        let effects = self.link.call(|mut client| async move { client.filter_effects(request).await })?;
        self.understood(FilterEffectsReply::decode(&effects.0)).map(|reply| reply.effects)
    }

    fn explain(&self, packet: &Packet) -> Result<Explanation> {
        let request = encode(&ExplainRequest { session: self.token(), packet: packet.clone() });
        let explanation = self.link.call(|mut client| async move { client.explain(request).await })?;
        self.understood(Explanation::decode(&explanation.0))
    }

    fn engine_option(&self, option: EngineOption) -> Result<u32> {
        let request = encode(&EngineOptionRequest { session: self.token(), option: option.wfp(), value: 0 });
        let reply = self.link.call(|mut client| async move { client.engine_option_get(request).await })?;
        Ok(reply.value)
    }

    fn set_engine_option(&self, option: EngineOption, value: u32) -> Result {
        let request = encode(&EngineOptionRequest { session: self.token(), option: option.wfp(), value });
        self.link.call(|mut client| async move { client.engine_option_set(request).await }).map(drop)
    }

    fn net_event_report(&self, event: NetEvent) -> Result {
        let request = encode(&NetEventReportRequest { session: self.token(), event });
        self.link.call(|mut client| async move { client.net_event_report(request).await }).map(drop)
    }

    fn net_event_create_enum(&self, template: &NetEventTemplate) -> Result<EnumId> {
        let request =
            encode(&NetEventCreateEnumRequest { session: self.token(), template: template.clone() });
        let made = self.link.call(|mut client| async move { client.net_event_create_enum(request).await })?;
        Ok(self.net_events.add(EnumId::from_bits(made.handle)))
    }

    fn net_event_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<NetEvent>>> {
        self.net_events.claim(id, limit, |left| {
            let request = self.page(id, left);
            let page = self.link.call(|mut client| async move { client.net_event_enum(request).await })?;
            self.understood(decode_page(&page.0))
        })
    }

    fn object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
    ) -> Result<SecurityDescriptor> {
        let request = encode(&self.security_request(kind, key, parts, Blob::default()));
        let reply = self.link.call(|mut client| async move { client.object_security_get(request).await })?;
        let reply = self.understood(ObjectSecurityReply::decode(&reply.0))?;
        self.understood(SecurityDescriptor::parse(&reply.descriptor.0))
    }

    fn set_object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result {
        let request = encode(&self.security_request(kind, key, parts, Blob(descriptor.to_bytes()?)));
        self.link.slow_call(|mut client| async move { client.object_security_set(request).await }).map(drop)
    }

    fn key_access(&self) -> Result<KeyAccess> {
        let request = self.link.request();
        let answer = self.link.call(|mut client| async move { client.key_access(request).await });
        self.link.keys.store(answer.is_ok(), Ordering::Relaxed);
        answer.map(|_| KeyAccess::grant())
    }

    fn completeness(&self) -> Result<Completeness> {
        let request = self.link.request();
        let answer = self.link.call(|mut client| async move { client.completeness_get(request).await })?;
        Ok(convert::to_completeness(answer))
    }
}

impl Drop for RemoteSession {
    fn drop(&mut self) {
        // The only possible error is that the session was closed already.
        drop(Session::close(self));
    }
}
