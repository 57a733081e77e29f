//! The session: what a client of an engine can call, wherever the engine is.

use crate::BatchMode;
use crate::Claim;
use crate::Completeness;
use crate::EnumId;
use crate::EnumOptions;
use crate::EventCallback;
use crate::EventStream;
use crate::Guid;
use crate::InboundRequest;
use crate::KeyAccess;
use crate::NewSaContext;
use crate::Result;
use crate::SaBundle;
use crate::SaContext;
use crate::SaContextId;
use crate::SaContextStep;
use crate::SaEntry;
use crate::SaEnumOptions;
use crate::Securable;
use crate::SecurityDescriptor;
use crate::SecurityInformation;
use crate::Sid;
use crate::Spi;
use crate::Statistics;
use crate::StepOutcome;
use crate::SubscriptionId;
use crate::SubscriptionInfo;
use crate::SubscriptionOptions;
use crate::Timestamp;
use crate::TopicKind;
use crate::UpdateFlags;
use crate::Version;
use crate::numbers;
use crate::object::Object;
use crate::object::ObjectKind;
use crate::object::ObjectName;
use crate::object::net_event::NetEvent;
use crate::object::net_event::NetEventTemplate;
use crate::object::packet::Packet;
use crate::object::packet::Verdict;
use crate::object::step::ObjectStep;
use crate::object::template::ObjectTemplate;
use std::sync::Arc;
use std::time::Duration;

/// The number of a session: unique while its engine lives, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionNumber(pub u32);

/// A session as others see it. WFP: `FWPM_SESSION0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number; ours.
    pub number: SessionNumber,
    /// Its key: the caller's, or one that the engine made.
    pub key: Guid,
    /// `displayData.name`.
    pub name: String,
    /// `displayData.description`.
    pub description: String,
    /// Whether its objects go with it, `FWPM_SESSION_FLAG_DYNAMIC`.
    pub dynamic: bool,
    /// How long its calls wait for another session's transaction, `txnWaitTimeoutInMSec`.
    pub transaction_wait: Duration,
    /// The client's process; 0: not known.
    pub process_id: u32,
    /// The client's user.
    pub user: Sid,
    /// The user's name, as far as known.
    pub user_name: String,
    /// Whether the client called in kernel-mode form.
    pub kernel_mode: bool,
    /// When it was opened; ours.
    pub opened: Timestamp,
}

/// What a transaction may do. WFP: the `flags` of `FwpmTransactionBegin0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionMode {
    /// Reading and writing, 0: one at a time in an engine.
    ReadWrite,
    /// Reading one version, `FWPM_TXN_READ_ONLY` 1.
    ReadOnly,
}

numbers! {
    /// An option of the engine. WFP: `FWPM_ENGINE_OPTION`.
    EngineOption "FWPM_ENGINE_OPTION" {
        /// Whether net events are kept and told, 0 or 1.
        CollectNetEvents = 0,
        /// Keywords of the net events that are collected besides, `FWPM_NET_EVENT_KEYWORD_*`.
        NetEventMatchAnyKeywords = 1,
        /// Whether names are cached, 0 or 1.
        NameCache = 2,
        /// Whether IPsec connections are watched, 0 or 1.
        MonitorIpsecConnections = 3,
        /// `FWPM_ENGINE_OPTION_PACKET_QUEUE_*` and `FWPM_ENGINE_OPTION_PACKET_BATCH_INBOUND`.
        PacketQueuing = 4,
        /// Milliseconds after which a transaction is told of in the log; 0: never.
        TransactionWatchdogTimeout = 5,
    }
}

/// A session with an engine, local or remote: all calls of the API that belong to a session.
///
/// Every call checks, in this order: the session is open and was not ended by the engine; its transaction was
/// not; the caller has the rights and the call fits the session and its transaction, as
/// [`Operation::rules`](crate::Operation::rules) says; then its arguments. A call that fails changes nothing.
/// Sessions are shared by threads freely. Dropping the last reference closes the session.
///
/// Every call can fail with `ERROR_INVALID_HANDLE` (the session is closed), `FWP_E_SESSION_ABORTED` (the
/// engine ended it), `FWP_E_TXN_ABORTED` (the engine ended its transaction; told once),
/// `ERROR_ACCESS_DENIED` (a right is missing), `FWP_E_TXN_IN_PROGRESS`, `FWP_E_DYNAMIC_SESSION_IN_PROGRESS`
/// and `FWP_E_INCOMPATIBLE_TXN` (a write in a read-only transaction), as its row in the table of operations
/// says; a write that is not in a transaction of its own also with `FWP_E_TIMEOUT` (another session's
/// transaction took too long). What comes on top is said at each call.
pub trait Session: Send + Sync {
    /// The session's number.
    fn number(&self) -> SessionNumber;

    /// Ends the session: its transaction is aborted, then its enumerators and subscriptions go. WFP:
    /// `FwpmEngineClose0`.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` if it is closed already, and no other.
    fn close(&self) -> Result;

    /// The session as others see it.
    ///
    /// # Errors
    /// Those of every call.
    fn info(&self) -> Result<SessionInfo>;

    /// Creates an enumerator of the sessions that are open now. WFP: `FwpmSessionCreateEnumHandle0`.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` at the limit of open enumerators.
    fn session_create_enum(&self) -> Result<EnumId>;

    /// The next sessions of an enumerator, in the order in which they were opened. WFP: `FwpmSessionEnum0`.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn session_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<SessionInfo>>>;

    /// Begins a transaction: until its end the session reads one version of the database, and if it may
    /// write, only it sees what it writes. WFP: `FwpmTransactionBegin0`.
    ///
    /// # Errors
    /// `FWP_E_TXN_IN_PROGRESS` inside one, `FWP_E_TIMEOUT` if another session's read/write transaction does
    /// not end in time.
    fn transaction_begin(&self, mode: TransactionMode) -> Result;

    /// Makes what the transaction wrote the engine's, all of it or, on an error, nothing. It has ended in
    /// either case. WFP: `FwpmTransactionCommit0`.
    ///
    /// # Errors
    /// `FWP_E_NO_TXN_IN_PROGRESS` outside one, and the dataplane's own.
    fn transaction_commit(&self) -> Result;

    /// Drops what the transaction wrote. WFP: `FwpmTransactionAbort0`.
    ///
    /// # Errors
    /// `FWP_E_NO_TXN_IN_PROGRESS` outside one.
    fn transaction_abort(&self) -> Result;

    /// Makes one step in the life of an SA context; the methods named after the calls are this one.
    ///
    /// # Errors
    /// Those of the calls that the step stands for.
    fn sa_context_step(&self, step: SaContextStep) -> Result<StepOutcome>;

    /// Makes many steps, in their order, each of them or all.
    ///
    /// # Errors
    /// Of the batch as a whole: with [`BatchMode::AllOrNothing`] the first step's that failed, with its place in
    /// the batch. With [`BatchMode::Each`] the steps' errors are in the list.
    fn sa_context_batch(
        &self,
        steps: Vec<SaContextStep>,
        mode: BatchMode,
    ) -> Result<Vec<Result<StepOutcome>>>;

    /// Creates an SA context, with no SA yet. WFP: `IPsecSaContextCreate0/1`.
    ///
    /// # Errors
    /// `FWP_E_TRAFFIC_MISMATCH` for a tunnel's traffic with ports or a protocol.
    fn sa_context_create(&self, new: &NewSaContext) -> Result<SaContextId> {
        self.sa_context_step(SaContextStep::Create(new.clone())).map(|outcome| outcome.id)
    }

    /// Has the engine choose the inbound SPI; the one that is set, if one is. WFP: `IPsecSaContextGetSpi0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_TRAFFIC_MISMATCH` for other traffic than the context's,
    /// `FWP_E_INCOMPATIBLE_SA_STATE` once there is an SA, `RPC_E_OUT_OF_RESOURCES` if all SPIs of the local
    /// address are in use.
    fn sa_context_get_spi(&self, id: SaContextId, request: &InboundRequest) -> Result<Spi> {
        let outcome = self.sa_context_step(SaContextStep::GetSpi(id, request.clone()))?;
        outcome
            .inbound_spi
            .ok_or_else(|| crate::Error::unreachable("an engine got an SPI and did not tell it"))
    }

    /// Sets the inbound SPI, or sets another one before there is an SA. WFP: `IPsecSaContextSetSpi0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` for an unknown id, `FWP_E_TRAFFIC_MISMATCH` for other traffic than the context's,
    /// `FWP_E_ALREADY_EXISTS` for an SPI in use on the local address, `FWP_E_OUT_OF_BOUNDS` for a reserved
    /// one, `FWP_E_INCOMPATIBLE_SA_STATE` once there is an SA.
    fn sa_context_set_spi(&self, id: SaContextId, request: &InboundRequest, spi: Spi) -> Result {
        self.sa_context_step(SaContextStep::SetSpi(id, request.clone(), spi)).map(drop)
    }

    /// Adds the inbound SAs, with the SPI that was got or set; done when the dataplane has them.
    /// WFP: `IPsecSaContextAddInbound0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_INCOMPATIBLE_SA_STATE` unless the SPI is set and nothing was added,
    /// `FWP_E_INVALID_PARAMETER` for another SPI, `FWP_E_INVALID_FLAGS` for unknown flags,
    /// `FWP_E_INVALID_AUTH_TRANSFORM` or `FWP_E_INVALID_CIPHER_TRANSFORM` for keys that do not fit, and the
    /// dataplane's own.
    fn sa_context_add_inbound(&self, id: SaContextId, bundle: SaBundle) -> Result {
        self.sa_context_step(SaContextStep::AddInbound(id, bundle)).map(drop)
    }

    /// Adds the outbound SAs, after which the context is complete. WFP: `IPsecSaContextAddOutbound0/1`.
    ///
    /// # Errors
    /// As [`Session::sa_context_add_inbound`], and `FWP_E_INVALID_PARAMETER` where both bundles have a
    /// `qm_sa_id` and they differ.
    fn sa_context_add_outbound(&self, id: SaContextId, bundle: SaBundle) -> Result {
        self.sa_context_step(SaContextStep::AddOutbound(id, bundle)).map(drop)
    }

    /// Changes the parts that the flags name to those of `values`, in the context with the values' id. WFP:
    /// `IPsecSaContextUpdate0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_INCOMPATIBLE_SA_STATE` unless it is complete, `FWP_E_TRAFFIC_MISMATCH` for
    /// another mode or IP version, `FWP_E_INVALID_FLAGS` for unknown bundle flags, `FWP_E_ALREADY_EXISTS` if
    /// the SPI is in use on the new local address, `FWP_E_NULL_POINTER` if a direction of the values has no
    /// SA, and the dataplane's own.
    fn sa_context_update(&self, flags: UpdateFlags, values: &SaContext) -> Result {
        self.sa_context_step(SaContextStep::Update(flags, Box::new(values.clone()))).map(drop)
    }

    /// Starts the expiry of a context with an SA: the outbound SAs go at once, the inbound ones a minute later,
    /// then the context. WFP: `IPsecSaContextExpire0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_INCOMPATIBLE_SA_STATE` without an SA or if it began already, and the dataplane's
    /// own.
    fn sa_context_expire(&self, id: SaContextId) -> Result {
        self.sa_context_step(SaContextStep::Expire(id)).map(drop)
    }

    /// Deletes a context with its SAs at once, in any state. WFP: `IPsecSaContextDeleteById0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, and the dataplane's own.
    fn sa_context_delete_by_id(&self, id: SaContextId) -> Result {
        self.sa_context_step(SaContextStep::Delete(id)).map(drop)
    }

    /// One context as it is now, or as the session's transaction sees it. WFP: `IPsecSaContextGetById0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` for an unknown id.
    fn sa_context_by_id(&self, id: SaContextId) -> Result<Arc<SaContext>>;

    /// Creates an enumerator over the database as it is now, or as the session's transaction sees it. WFP:
    /// `IPsecSaContextCreateEnumHandle0`.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` at the limit of open enumerators.
    fn sa_context_create_enum(&self, options: &EnumOptions) -> Result<EnumId>;

    /// Claims the next contexts of an enumerator: `limit` of them, fewer only at its end, none after it.
    /// WFP: `IPsecSaContextEnum0/1`.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` for an enumerator that is closed, of another kind or never was,
    /// `FWP_E_WRONG_SESSION` for another session's, `RPC_E_OUT_OF_RESOURCES` for one that the engine closed since
    /// the old versions of the database took too much memory.
    fn sa_context_enum(&self, id: EnumId, limit: u32) -> Result<Claim>;

    /// Frees an enumerator of any kind. WFP: `IPsecSaContextDestroyEnumHandle0`, `IPsecSaDestroyEnumHandle0`,
    /// `FwpmSessionDestroyEnumHandle0`.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` and `FWP_E_WRONG_SESSION` as [`Session::sa_context_enum`].
    fn destroy_enum(&self, id: EnumId) -> Result;

    /// The version of the database that an enumerator of contexts or SAs shows, to go on from with events; ours.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn enum_version(&self, id: EnumId) -> Result<Version>;

    /// Creates an enumerator of single SAs, one entry a direction. WFP: `IPsecSaCreateEnumHandle0`.
    ///
    /// # Errors
    /// As [`Session::sa_context_create_enum`].
    fn sa_create_enum(&self, options: &SaEnumOptions) -> Result<EnumId>;

    /// Claims the next SAs of an enumerator, ascending by their context's id, inbound before outbound. WFP:
    /// `IPsecSaEnum0/1`.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn sa_enum(&self, id: EnumId, limit: u32) -> Result<Claim<SaEntry>>;

    /// Subscribes with a callback, called on a thread of the engine's own, in the order of commits. WFP:
    /// `IPsecSaContextSubscribe0`, `FwpmFilterSubscribeChanges0` and those of the other kinds, `FwpmNetEventSubscribe4`.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` at the limit of subscriptions, `FWP_E_OUT_OF_BOUNDS` for a queue of length 0.
    fn subscribe(&self, options: &SubscriptionOptions, callback: EventCallback) -> Result<SubscriptionId>;

    /// Subscribes with a stream that the caller pulls; ours.
    ///
    /// # Errors
    /// As [`Session::subscribe`].
    fn events(&self, options: &SubscriptionOptions) -> Result<Box<dyn EventStream>>;

    /// Ends a subscription. No callback of it runs once this has returned, except the one that calls it. A lock
    /// that the callback takes must not be held by the caller. WFP: `IPsecSaContextUnsubscribe0` and others.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` and `FWP_E_WRONG_SESSION` as [`Session::sa_context_enum`].
    fn unsubscribe(&self, id: SubscriptionId) -> Result;

    /// The subscriptions of all sessions about a topic. WFP: `IPsecSaContextSubscriptionsGet0`,
    /// `FwpmFilterSubscriptionsGet0` and others.
    ///
    /// # Errors
    /// Those of every call.
    fn subscriptions(&self, about: TopicKind) -> Result<Vec<SubscriptionInfo>>;

    /// The statistics. WFP: `IPsecGetStatistics0/1`.
    ///
    /// # Errors
    /// The dataplane's own.
    fn statistics(&self) -> Result<Statistics>;

    /// Changes objects: adds or deletes one, or a tunnel policy with all that belongs to it, all or nothing. Returns
    /// the id of what was added; 0 where it has none. WFP: the `Fwpm*Add0` and `Fwpm*DeleteBy*0` calls.
    ///
    /// # Errors
    /// `FWP_E_ALREADY_EXISTS` for a key in use, the not-found code of the kind of what is deleted or referred to,
    /// `FWP_E_IN_USE`, `FWP_E_BUILTIN_OBJECT`, `FWP_E_LIFETIME_MISMATCH` for a reference to what goes earlier,
    /// `FWP_E_NULL_DISPLAY_NAME`, `FWP_E_INVALID_FLAGS`, in dynamic sessions `FWP_E_DYNAMIC_SESSION_IN_PROGRESS` and
    /// `FWP_E_WRONG_SESSION`; for filters `FWP_E_CONDITION_NOT_FOUND`, `FWP_E_TYPE_MISMATCH`,
    /// `FWP_E_MATCH_TYPE_MISMATCH`, `FWP_E_INVALID_RANGE`, `FWP_E_INVALID_NET_MASK`, `FWP_E_DUPLICATE_CONDITION`,
    /// `FWP_E_INVALID_WEIGHT`, `FWP_E_INVALID_ACTION_TYPE`, `FWP_E_INCOMPATIBLE_LAYER`,
    /// `FWP_E_ACTION_INCOMPATIBLE_WITH_LAYER`, `FWP_E_ACTION_INCOMPATIBLE_WITH_SUBLAYER`,
    /// `FWP_E_PROVIDER_CONTEXT_MISMATCH`.
    fn object_step(&self, step: ObjectStep) -> Result<u64>;

    /// Adds an object and returns its id; 0 for providers and sublayers, which have none. WFP: the `Fwpm*Add0` calls.
    ///
    /// # Errors
    /// As [`Session::object_step`].
    fn object_add(&self, object: Object) -> Result<u64> {
        self.object_step(ObjectStep::add(object))
    }

    /// Deletes an object. WFP: `FwpmFilterDeleteById0`, `FwpmFilterDeleteByKey0` and those of the other kinds.
    ///
    /// # Errors
    /// As [`Session::object_step`].
    fn object_delete(&self, kind: ObjectKind, name: ObjectName) -> Result {
        self.object_step(ObjectStep::delete(kind, name)).map(drop)
    }

    /// One object as it is now, or as the session's transaction sees it. Keys in policies are zeros for those who may
    /// not read keys. WFP: `FwpmFilterGetById0`, `FwpmFilterGetByKey0` and those of the other kinds.
    ///
    /// # Errors
    /// The not-found code of the kind.
    fn object_get(&self, kind: ObjectKind, name: ObjectName) -> Result<Arc<Object>>;

    /// Creates an enumerator of objects. WFP: `FwpmFilterCreateEnumHandle0` and those of the other kinds.
    ///
    /// # Errors
    /// As [`Session::sa_context_create_enum`], and those of a filter's conditions.
    fn object_create_enum(&self, template: &ObjectTemplate) -> Result<EnumId>;

    /// Claims the next objects of an enumerator, in the order in which they were added, or sorted by weight. WFP:
    /// `FwpmFilterEnum0` and those of the other kinds.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn object_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<Object>>>;

    /// What the filters of a packet's layer say of it, as committed now; ours.
    ///
    /// # Errors
    /// `FWP_E_TRAFFIC_MISMATCH` for addresses of two IP versions.
    fn classify(&self, packet: &Packet) -> Result<Verdict>;

    /// An option of the engine. WFP: `FwpmEngineGetOption0`.
    ///
    /// # Errors
    /// Those of every call.
    fn engine_option(&self, option: EngineOption) -> Result<u32>;

    /// Sets an option of the engine. WFP: `FwpmEngineSetOption0`.
    ///
    /// # Errors
    /// `FWP_E_OUT_OF_BOUNDS` for a value that the option cannot have.
    fn set_engine_option(&self, option: EngineOption, value: u32) -> Result;

    /// Reports a net event; ours, for keying daemons.
    ///
    /// # Errors
    /// Those of every call.
    fn net_event_report(&self, event: NetEvent) -> Result;

    /// Creates an enumerator of the net events that the engine keeps. WFP: `FwpmNetEventCreateEnumHandle0`.
    ///
    /// # Errors
    /// As [`Session::object_create_enum`].
    fn net_event_create_enum(&self, template: &NetEventTemplate) -> Result<EnumId>;

    /// Claims the next net events of an enumerator, the oldest first. WFP: `FwpmNetEventEnum5`.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn net_event_enum(&self, id: EnumId, limit: u32) -> Result<Claim<Arc<NetEvent>>>;

    /// The asked parts of an object's security descriptor. WFP: `FwpmFilterGetSecurityInfoByKey0` and those of the other
    /// kinds.
    ///
    /// # Errors
    /// The not-found code of the kind.
    fn object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
    ) -> Result<SecurityDescriptor>;

    /// Changes the given parts of an object's security descriptor. WFP: `FwpmFilterSetSecurityInfoByKey0` and those of
    /// the other kinds.
    ///
    /// # Errors
    /// The not-found code of the kind, and as [`Session::set_security_info`].
    fn set_object_security_info(
        &self,
        kind: ObjectKind,
        key: Guid,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result;

    /// The asked parts of a security descriptor. WFP: `FwpmEngineGetSecurityInfo0`,
    /// `IPsecSaDbGetSecurityInfo0`, `FwpmFilterGetSecurityInfoByKey0` without a key.
    ///
    /// # Errors
    /// Those of every call.
    fn security_info(&self, of: Securable, parts: SecurityInformation) -> Result<SecurityDescriptor>;

    /// Changes the given parts of a security descriptor. WFP: `FwpmEngineSetSecurityInfo0`,
    /// `IPsecSaDbSetSecurityInfo0`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` also without the right `WRITE_OWNER` where the owner or group is changed,
    /// `FWP_E_NULL_POINTER` for a part that the descriptor does not have.
    fn set_security_info(
        &self,
        of: Securable,
        parts: SecurityInformation,
        descriptor: &SecurityDescriptor,
    ) -> Result;

    /// The right to read keys, for a caller who has it.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` for all others.
    fn key_access(&self) -> Result<KeyAccess>;

    /// Whether the engine's contexts are all that its provider holds.
    ///
    /// # Errors
    /// Those of every call.
    fn completeness(&self) -> Result<Completeness>;
}
