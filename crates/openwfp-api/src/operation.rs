//! The table of operations: every call of the API, with the rules that apply to all sessions.

use crate::object::ObjectKind;
use std::fmt;

/// A set of access rights on a [`Securable`] or an object, as bits. WFP: `FWPM_ACTRL_*` and the
/// standard rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(pub u32);

impl Rights {
    /// The empty set of rights.
    pub const NONE: Rights = Rights(0);
    /// Add objects, 0x1.
    pub const ADD: Rights = Rights(0x1);
    /// Refer to objects from other objects, 0x2.
    pub const ADD_LINK: Rights = Rights(0x2);
    /// Begin a read-only transaction, 0x4.
    pub const BEGIN_READ_TXN: Rights = Rights(0x4);
    /// Begin a read/write transaction, 0x8.
    pub const BEGIN_WRITE_TXN: Rights = Rights(0x8);
    /// Classify packets, 0x10.
    pub const CLASSIFY: Rights = Rights(0x10);
    /// Enumerate, 0x20.
    pub const ENUM: Rights = Rights(0x20);
    /// Open a session, 0x40.
    pub const OPEN: Rights = Rights(0x40);
    /// Read objects, 0x80.
    pub const READ: Rights = Rights(0x80);
    /// Read statistics, 0x100.
    pub const READ_STATS: Rights = Rights(0x100);
    /// Subscribe to events, 0x200.
    pub const SUBSCRIBE: Rights = Rights(0x200);
    /// Change objects and options, 0x400.
    pub const WRITE: Rights = Rights(0x400);
    /// Read keys, 0x800. OpenWFP extension.
    pub const READ_KEYS: Rights = Rights(0x800);
    /// Delete objects, 0x10000.
    pub const DELETE: Rights = Rights(0x1_0000);
    /// Read the security descriptor, 0x20000.
    pub const READ_CONTROL: Rights = Rights(0x2_0000);
    /// Change the security descriptor's access list, 0x40000.
    pub const WRITE_DAC: Rights = Rights(0x4_0000);
    /// Change the security descriptor's owner and group, 0x80000.
    pub const WRITE_OWNER: Rights = Rights(0x8_0000);
    /// All rights.
    pub const ALL: Rights = Rights(0xF_0FFF);

    /// What those may do who only look: list, read, watch, and ask what happens to a packet.
    pub const OF_READERS: Rights = Rights(
        Rights::OPEN.0
            | Rights::ENUM.0
            | Rights::READ.0
            | Rights::READ_STATS.0
            | Rights::SUBSCRIBE.0
            | Rights::CLASSIFY.0
            | Rights::BEGIN_READ_TXN.0
            | Rights::READ_CONTROL.0,
    );
    /// What those may do who also change SA contexts and objects.
    pub const OF_OPERATORS: Rights = Rights(
        Rights::OF_READERS.0
            | Rights::ADD.0
            | Rights::ADD_LINK.0
            | Rights::WRITE.0
            | Rights::DELETE.0
            | Rights::BEGIN_WRITE_TXN.0,
    );
    /// What those may do who also decide who may do what. Keys are not among these rights.
    pub const OF_ADMINISTRATORS: Rights =
        Rights(Rights::OF_OPERATORS.0 | Rights::WRITE_DAC.0 | Rights::WRITE_OWNER.0);

    /// Each right with its name, and what it allows.
    const NAMES: &[(Rights, &str, &str)] = &[
        (Rights::ADD, "ADD", "add"),
        (Rights::ADD_LINK, "ADD_LINK", "refer to"),
        (Rights::BEGIN_READ_TXN, "BEGIN_READ_TXN", "begin a read-only transaction"),
        (Rights::BEGIN_WRITE_TXN, "BEGIN_WRITE_TXN", "begin a read/write transaction"),
        (Rights::CLASSIFY, "CLASSIFY", "classify packets"),
        (Rights::ENUM, "ENUM", "list"),
        (Rights::OPEN, "OPEN", "open a session"),
        (Rights::READ, "READ", "read"),
        (Rights::READ_STATS, "READ_STATS", "read statistics"),
        (Rights::SUBSCRIBE, "SUBSCRIBE", "watch"),
        (Rights::WRITE, "WRITE", "change"),
        (Rights::READ_KEYS, "READ_KEYS", "read keys"),
        (Rights::DELETE, "DELETE", "delete"),
        (Rights::READ_CONTROL, "READ_CONTROL", "read the access list"),
        (Rights::WRITE_DAC, "WRITE_DAC", "change the access list"),
        (Rights::WRITE_OWNER, "WRITE_OWNER", "take the ownership"),
    ];

    /// Returns what these rights allow, in words, such as `list and read`.
    pub fn in_words(self) -> String {
        let words: Vec<&str> = Rights::NAMES
            .iter()
            .filter(|(right, ..)| self.contain(*right))
            .map(|(.., words)| *words)
            .collect();
        match words.split_last() {
            None => "do this".to_owned(),
            Some((only, [])) => (*only).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

    /// Returns the union of both sets of rights.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Returns whether this set contains all of `needed`.
    pub const fn contain(self, needed: Rights) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// Returns these rights without `others`.
    #[must_use]
    pub const fn without(self, others: Rights) -> Rights {
        Rights(self.0 & !others.0)
    }
}

impl fmt::Display for Rights {
    /// Writes the names of the rights, such as `ENUM+READ`, and bits without a name in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = *self;
        let mut join = "";
        for (right, name, _) in Rights::NAMES {
            if self.contain(*right) {
                write!(f, "{join}{name}")?;
                left = left.without(*right);
                join = "+";
            }
        }
        if left != Rights::NONE { write!(f, "{join}{:#x}", left.0) } else { Ok(()) }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// An entity on which rights are granted. Each has its own security descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Securable {
    /// The filter engine itself.
    Engine,
    /// The SA database, which inherits from the engine.
    SaDb,
    /// All objects of one kind, which inherit from the engine. An object may also have its own descriptor,
    /// which then applies instead.
    Objects(ObjectKind),
    /// Net events, which inherit from the engine.
    NetEvents,
}

impl Securable {
    /// The number of securables.
    pub const COUNT: usize = 9;

    /// Returns all securables, in the order of [`Securable::index`].
    pub fn all() -> [Securable; Securable::COUNT] {
        [
            Securable::Engine,
            Securable::SaDb,
            Securable::NetEvents,
            Securable::Objects(ObjectKind::Provider),
            Securable::Objects(ObjectKind::ProviderContext),
            Securable::Objects(ObjectKind::SubLayer),
            Securable::Objects(ObjectKind::Layer),
            Securable::Objects(ObjectKind::Callout),
            Securable::Objects(ObjectKind::Filter),
        ]
    }

    /// Returns the index of this securable in [`Securable::all`].
    pub fn index(self) -> usize {
        match self {
            Securable::Engine => 0,
            Securable::SaDb => 1,
            Securable::NetEvents => 2,
            Securable::Objects(kind) => 3 + kind.index(),
        }
    }
}

impl fmt::Display for Securable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Securable::Engine => f.write_str("the engine"),
            Securable::SaDb => f.write_str("the SA database"),
            Securable::NetEvents => f.write_str("net events"),
            Securable::Objects(kind) => write!(f, "the {kind}s"),
        }
    }
}

/// The rules of a call, which apply to every caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The name of the WFP function without its version number; in parentheses if WFP has none.
    pub wfp_name: &'static str,
    /// The securable on which the caller needs the rights.
    pub on: Securable,
    /// The rights that the caller needs; without them the call fails with `ERROR_ACCESS_DENIED`.
    pub rights: Rights,
    /// Whether the caller needs the rights on the object that the call names, rather than on all objects of
    /// its kind.
    pub on_object: bool,
    /// Whether the call changes the engine. Such a call fails with `FWP_E_INCOMPATIBLE_TXN` in a read-only
    /// transaction.
    pub writes: bool,
    /// Whether the call is permitted inside an explicit transaction; otherwise it fails there with
    /// `FWP_E_TXN_IN_PROGRESS`.
    pub in_transaction: bool,
    /// Whether the call is permitted in a dynamic session; otherwise it fails there with
    /// `FWP_E_DYNAMIC_SESSION_IN_PROGRESS`.
    pub in_dynamic_session: bool,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $wfp:literal, $on:ident $rights:expr, $mode:ident $($except:ident)*;)*) => {
        /// A call of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Operation] = &[$(Operation::$name),*];

            /// Returns the rules of this call.
            pub const fn rules(self) -> Rules {
                match self {
                    $(Operation::$name => Rules {
                        wfp_name: $wfp,
                        on: operations!(@on $on),
                        rights: $rights,
                        on_object: operations!(@on_object $($except)*),
                        writes: operations!(@writes $mode),
                        in_transaction: operations!(@in_transaction $($except)*),
                        in_dynamic_session: operations!(@in_dynamic $($except)*),
                    },)*
                }
            }
        }
    };
    (@on Engine) => { Securable::Engine };
    (@on SaDb) => { Securable::SaDb };
    (@on NetEvents) => { Securable::NetEvents };
    (@on $kind:ident) => { Securable::Objects(ObjectKind::$kind) };
    (@on_object on_object $($rest:ident)*) => { true };
    (@on_object outside_transactions on_object) => { true };
    (@on_object $($rest:ident)*) => { false };
    (@writes writes) => { true };
    (@writes reads) => { false };
    (@in_transaction outside_transactions $($rest:ident)*) => { false };
    (@in_transaction $($rest:ident)*) => { true };
    (@in_dynamic outside_transactions static_sessions) => { false };
    (@in_dynamic $($rest:ident)*) => { true };
}

operations! {
    /// Opens a session.
    EngineOpen = "FwpmEngineOpen", Engine Rights::OPEN, reads;
    /// Ends a session.
    EngineClose = "FwpmEngineClose", Engine Rights::NONE, reads;
    /// Reads the engine's security descriptor.
    EngineGetSecurityInfo = "FwpmEngineGetSecurityInfo", Engine Rights::READ_CONTROL, reads outside_transactions;
    /// Changes the engine's access list.
    EngineSetSecurityInfo = "FwpmEngineSetSecurityInfo", Engine Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Creates an enumerator of sessions.
    SessionCreateEnumHandle = "FwpmSessionCreateEnumHandle", Engine Rights::ENUM.and(Rights::READ), reads outside_transactions;
    /// Claims the next page of an enumerator of sessions.
    SessionEnum = "FwpmSessionEnum", Engine Rights::ENUM.and(Rights::READ), reads;
    /// Frees an enumerator of sessions.
    SessionDestroyEnumHandle = "FwpmSessionDestroyEnumHandle", Engine Rights::NONE, reads;
    /// Begins a read-only transaction.
    TransactionBeginReadOnly = "FwpmTransactionBegin", Engine Rights::BEGIN_READ_TXN, reads outside_transactions;
    /// Begins a read/write transaction.
    TransactionBegin = "FwpmTransactionBegin", Engine Rights::BEGIN_WRITE_TXN, reads outside_transactions;
    /// Commits a transaction.
    TransactionCommit = "FwpmTransactionCommit", Engine Rights::NONE, reads;
    /// Aborts a transaction.
    TransactionAbort = "FwpmTransactionAbort", Engine Rights::NONE, reads;
    /// Reads keys together with the SA contexts that hold them. OpenWFP extension.
    KeyRead = "(keys)", SaDb Rights::READ_KEYS, reads;
    /// Creates an SA context.
    SaContextCreate = "IPsecSaContextCreate", SaDb Rights::ADD, writes outside_transactions static_sessions;
    /// Gets the inbound SPI, which the engine chooses unless one is set.
    SaContextGetSpi = "IPsecSaContextGetSpi", SaDb Rights::ADD, writes;
    /// Sets the inbound SPI.
    SaContextSetSpi = "IPsecSaContextSetSpi", SaDb Rights::ADD, writes;
    /// Adds the inbound bundle.
    SaContextAddInbound = "IPsecSaContextAddInbound", SaDb Rights::ADD, writes;
    /// Adds the outbound bundle.
    SaContextAddOutbound = "IPsecSaContextAddOutbound", SaDb Rights::ADD, writes;
    /// Changes parts of a complete SA context. WFP does not document the required right; OpenWFP requires
    /// `WRITE`.
    SaContextUpdate = "IPsecSaContextUpdate", SaDb Rights::WRITE, writes;
    /// Starts the expiry of an SA context.
    SaContextExpire = "IPsecSaContextExpire", SaDb Rights::DELETE, writes;
    /// Deletes an SA context immediately.
    SaContextDeleteById = "IPsecSaContextDeleteById", SaDb Rights::DELETE, writes outside_transactions static_sessions;
    /// Reads one SA context.
    SaContextGetById = "IPsecSaContextGetById", SaDb Rights::READ, reads;
    /// Creates an enumerator of SA contexts.
    SaContextCreateEnumHandle = "IPsecSaContextCreateEnumHandle", SaDb Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of SA contexts.
    SaContextEnum = "IPsecSaContextEnum", SaDb Rights::ENUM.and(Rights::READ), reads;
    /// Frees an enumerator. [`Session::destroy_enum`](crate::Session::destroy_enum) uses this operation for
    /// all kinds of enumerators.
    SaContextDestroyEnumHandle = "IPsecSaContextDestroyEnumHandle", SaDb Rights::NONE, reads;
    /// Subscribes to events of SA contexts.
    SaContextSubscribe = "IPsecSaContextSubscribe", SaDb Rights::SUBSCRIBE, reads outside_transactions;
    /// Ends a subscription.
    SaContextUnsubscribe = "IPsecSaContextUnsubscribe", SaDb Rights::NONE, reads outside_transactions;
    /// Lists the subscriptions to events of SA contexts.
    SaContextSubscriptionsGet = "IPsecSaContextSubscriptionsGet", SaDb Rights::ENUM.and(Rights::READ), reads;
    /// Creates an enumerator of single SAs.
    SaCreateEnumHandle = "IPsecSaCreateEnumHandle", SaDb Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of single SAs.
    SaEnum = "IPsecSaEnum", SaDb Rights::ENUM.and(Rights::READ), reads;
    /// Frees an enumerator of single SAs.
    SaDestroyEnumHandle = "IPsecSaDestroyEnumHandle", SaDb Rights::NONE, reads;
    /// Reads the statistics.
    GetStatistics = "IPsecGetStatistics", SaDb Rights::READ_STATS, reads;
    /// Reads the security descriptor of the SA database.
    SaDbGetSecurityInfo = "IPsecSaDbGetSecurityInfo", SaDb Rights::READ_CONTROL, reads outside_transactions;
    /// Changes the access list of the SA database.
    SaDbSetSecurityInfo = "IPsecSaDbSetSecurityInfo", SaDb Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Ends another session. OpenWFP extension.
    SessionEnd = "(session end)", Engine Rights::NONE, writes;
    /// Adds a provider.
    ProviderAdd = "FwpmProviderAdd", Provider Rights::ADD, writes;
    /// Deletes a provider.
    ProviderDelete = "FwpmProviderDeleteByKey", Provider Rights::DELETE, writes on_object;
    /// Reads a provider.
    ProviderGet = "FwpmProviderGetByKey", Provider Rights::READ, reads on_object;
    /// Creates an enumerator of providers.
    ProviderCreateEnumHandle = "FwpmProviderCreateEnumHandle", Provider Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of providers.
    ProviderEnum = "FwpmProviderEnum", Provider Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to changes of providers.
    ProviderSubscribeChanges = "FwpmProviderSubscribeChanges", Provider Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to changes of providers.
    ProviderSubscriptionsGet = "FwpmProviderSubscriptionsGet", Provider Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one provider or of all providers.
    ProviderGetSecurityInfo = "FwpmProviderGetSecurityInfoByKey", Provider Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one provider or of all providers.
    ProviderSetSecurityInfo = "FwpmProviderSetSecurityInfoByKey", Provider Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Adds a provider context.
    ProviderContextAdd = "FwpmProviderContextAdd", ProviderContext Rights::ADD, writes;
    /// Deletes a provider context.
    ProviderContextDelete = "FwpmProviderContextDeleteByKey", ProviderContext Rights::DELETE, writes on_object;
    /// Reads a provider context.
    ProviderContextGet = "FwpmProviderContextGetByKey", ProviderContext Rights::READ, reads on_object;
    /// Creates an enumerator of provider contexts.
    ProviderContextCreateEnumHandle = "FwpmProviderContextCreateEnumHandle", ProviderContext Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of provider contexts.
    ProviderContextEnum = "FwpmProviderContextEnum", ProviderContext Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to changes of provider contexts.
    ProviderContextSubscribeChanges = "FwpmProviderContextSubscribeChanges", ProviderContext Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to changes of provider contexts.
    ProviderContextSubscriptionsGet = "FwpmProviderContextSubscriptionsGet", ProviderContext Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one provider context or of all provider contexts.
    ProviderContextGetSecurityInfo = "FwpmProviderContextGetSecurityInfoByKey", ProviderContext Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one provider context or of all provider contexts.
    ProviderContextSetSecurityInfo = "FwpmProviderContextSetSecurityInfoByKey", ProviderContext Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Adds a sublayer.
    SubLayerAdd = "FwpmSubLayerAdd", SubLayer Rights::ADD, writes;
    /// Deletes a sublayer.
    SubLayerDelete = "FwpmSubLayerDeleteByKey", SubLayer Rights::DELETE, writes on_object;
    /// Reads a sublayer.
    SubLayerGet = "FwpmSubLayerGetByKey", SubLayer Rights::READ, reads on_object;
    /// Creates an enumerator of sublayers.
    SubLayerCreateEnumHandle = "FwpmSubLayerCreateEnumHandle", SubLayer Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of sublayers.
    SubLayerEnum = "FwpmSubLayerEnum", SubLayer Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to changes of sublayers.
    SubLayerSubscribeChanges = "FwpmSubLayerSubscribeChanges", SubLayer Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to changes of sublayers.
    SubLayerSubscriptionsGet = "FwpmSubLayerSubscriptionsGet", SubLayer Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one sublayer or of all sublayers.
    SubLayerGetSecurityInfo = "FwpmSubLayerGetSecurityInfoByKey", SubLayer Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one sublayer or of all sublayers.
    SubLayerSetSecurityInfo = "FwpmSubLayerSetSecurityInfoByKey", SubLayer Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Reads a layer.
    LayerGet = "FwpmLayerGetByKey", Layer Rights::READ, reads on_object;
    /// Creates an enumerator of layers.
    LayerCreateEnumHandle = "FwpmLayerCreateEnumHandle", Layer Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of layers.
    LayerEnum = "FwpmLayerEnum", Layer Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one layer or of all layers.
    LayerGetSecurityInfo = "FwpmLayerGetSecurityInfoByKey", Layer Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one layer or of all layers.
    LayerSetSecurityInfo = "FwpmLayerSetSecurityInfoByKey", Layer Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Adds a callout.
    CalloutAdd = "FwpmCalloutAdd", Callout Rights::ADD, writes;
    /// Deletes a callout.
    CalloutDelete = "FwpmCalloutDeleteByKey", Callout Rights::DELETE, writes on_object;
    /// Reads a callout.
    CalloutGet = "FwpmCalloutGetByKey", Callout Rights::READ, reads on_object;
    /// Creates an enumerator of callouts.
    CalloutCreateEnumHandle = "FwpmCalloutCreateEnumHandle", Callout Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of callouts.
    CalloutEnum = "FwpmCalloutEnum", Callout Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to changes of callouts.
    CalloutSubscribeChanges = "FwpmCalloutSubscribeChanges", Callout Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to changes of callouts.
    CalloutSubscriptionsGet = "FwpmCalloutSubscriptionsGet", Callout Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one callout or of all callouts.
    CalloutGetSecurityInfo = "FwpmCalloutGetSecurityInfoByKey", Callout Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one callout or of all callouts.
    CalloutSetSecurityInfo = "FwpmCalloutSetSecurityInfoByKey", Callout Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Adds a filter.
    FilterAdd = "FwpmFilterAdd", Filter Rights::ADD, writes;
    /// Deletes a filter.
    FilterDelete = "FwpmFilterDeleteByKey", Filter Rights::DELETE, writes on_object;
    /// Reads a filter.
    FilterGet = "FwpmFilterGetByKey", Filter Rights::READ, reads on_object;
    /// Creates an enumerator of filters.
    FilterCreateEnumHandle = "FwpmFilterCreateEnumHandle", Filter Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of filters.
    FilterEnum = "FwpmFilterEnum", Filter Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to changes of filters.
    FilterSubscribeChanges = "FwpmFilterSubscribeChanges", Filter Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to changes of filters.
    FilterSubscriptionsGet = "FwpmFilterSubscriptionsGet", Filter Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of one filter or of all filters.
    FilterGetSecurityInfo = "FwpmFilterGetSecurityInfoByKey", Filter Rights::READ_CONTROL, reads outside_transactions on_object;
    /// Changes the access list of one filter or of all filters.
    FilterSetSecurityInfo = "FwpmFilterSetSecurityInfoByKey", Filter Rights::WRITE_DAC, writes outside_transactions on_object;
    /// Adds a tunnel policy with its filters.
    IpsecTunnelAdd = "FwpmIPsecTunnelAdd", ProviderContext Rights::ADD, writes;
    /// Deletes a tunnel policy with its filters.
    IpsecTunnelDelete = "FwpmIPsecTunnelDeleteByKey", ProviderContext Rights::DELETE, writes;
    /// Classifies a packet. OpenWFP extension.
    Classify = "(classify)", Engine Rights::CLASSIFY, reads;
    /// Lists or reads policies of the kernel. OpenWFP extension.
    KernelPolicyEnum = "(kernel policy)", Engine Rights::READ, reads;
    /// Reads the effects of filters. OpenWFP extension.
    FilterEffects = "(filter effects)", Filter Rights::READ, reads;
    /// Explains what happens to a packet. OpenWFP extension.
    Explain = "(explain)", Engine Rights::CLASSIFY, reads;
    /// Reads an engine option.
    EngineGetOption = "FwpmEngineGetOption", Engine Rights::READ, reads outside_transactions;
    /// Sets an engine option.
    EngineSetOption = "FwpmEngineSetOption", Engine Rights::WRITE, writes outside_transactions;
    /// Reports a net event. OpenWFP extension.
    NetEventReport = "(net event)", NetEvents Rights::ADD, writes;
    /// Creates an enumerator of net events.
    NetEventCreateEnumHandle = "FwpmNetEventCreateEnumHandle", NetEvents Rights::ENUM.and(Rights::READ), reads;
    /// Claims the next page of an enumerator of net events.
    NetEventEnum = "FwpmNetEventEnum", NetEvents Rights::ENUM.and(Rights::READ), reads;
    /// Subscribes to net events.
    NetEventSubscribe = "FwpmNetEventSubscribe", NetEvents Rights::SUBSCRIBE, reads outside_transactions;
    /// Lists the subscriptions to net events.
    NetEventSubscriptionsGet = "FwpmNetEventSubscriptionsGet", NetEvents Rights::ENUM.and(Rights::READ), reads;
    /// Reads the security descriptor of net events.
    NetEventsGetSecurityInfo = "FwpmNetEventsGetSecurityInfo", NetEvents Rights::READ_CONTROL, reads outside_transactions;
    /// Changes the access list of net events.
    NetEventsSetSecurityInfo = "FwpmNetEventsSetSecurityInfo", NetEvents Rights::WRITE_DAC, writes outside_transactions on_object;
}

/// A call on objects, independent of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectCall {
    /// Adds an object.
    Add,
    /// Deletes an object.
    Delete,
    /// Reads an object.
    Get,
    /// Creates an enumerator.
    CreateEnumHandle,
    /// Claims the next page of an enumerator.
    Enum,
    /// Subscribes to changes.
    SubscribeChanges,
    /// Lists the subscriptions to changes.
    SubscriptionsGet,
    /// Reads a security descriptor.
    GetSecurityInfo,
    /// Changes an access list.
    SetSecurityInfo,
}

impl Operation {
    /// Returns the operation for a call on objects of a kind.
    ///
    /// # Errors
    /// `FWP_E_BUILTIN_OBJECT` for layers with [`ObjectCall::Add`], [`ObjectCall::Delete`],
    /// [`ObjectCall::SubscribeChanges`] or [`ObjectCall::SubscriptionsGet`], which layers do not have.
    pub fn on_objects(kind: ObjectKind, call: ObjectCall) -> crate::Result<Operation> {
        macro_rules! of {
            ($($kind:ident: $($call:ident = $operation:ident),*;)*) => {
                match (kind, call) {
                    $($((ObjectKind::$kind, ObjectCall::$call) => Operation::$operation,)*)*
                    _ => {
                        let what = format!("{kind}s are built in: clients can read them, but not add, delete or watch them");
                        return Err(crate::Error::new(crate::Code::FWP_E_BUILTIN_OBJECT, what));
                    }
                }
            };
        }
        Ok(of! {
            Provider: Add = ProviderAdd, Delete = ProviderDelete, Get = ProviderGet, CreateEnumHandle = ProviderCreateEnumHandle, Enum = ProviderEnum, SubscribeChanges = ProviderSubscribeChanges, SubscriptionsGet = ProviderSubscriptionsGet, GetSecurityInfo = ProviderGetSecurityInfo, SetSecurityInfo = ProviderSetSecurityInfo;
            ProviderContext: Add = ProviderContextAdd, Delete = ProviderContextDelete, Get = ProviderContextGet, CreateEnumHandle = ProviderContextCreateEnumHandle, Enum = ProviderContextEnum, SubscribeChanges = ProviderContextSubscribeChanges, SubscriptionsGet = ProviderContextSubscriptionsGet, GetSecurityInfo = ProviderContextGetSecurityInfo, SetSecurityInfo = ProviderContextSetSecurityInfo;
            SubLayer: Add = SubLayerAdd, Delete = SubLayerDelete, Get = SubLayerGet, CreateEnumHandle = SubLayerCreateEnumHandle, Enum = SubLayerEnum, SubscribeChanges = SubLayerSubscribeChanges, SubscriptionsGet = SubLayerSubscriptionsGet, GetSecurityInfo = SubLayerGetSecurityInfo, SetSecurityInfo = SubLayerSetSecurityInfo;
            Layer: Get = LayerGet, CreateEnumHandle = LayerCreateEnumHandle, Enum = LayerEnum, GetSecurityInfo = LayerGetSecurityInfo, SetSecurityInfo = LayerSetSecurityInfo;
            Callout: Add = CalloutAdd, Delete = CalloutDelete, Get = CalloutGet, CreateEnumHandle = CalloutCreateEnumHandle, Enum = CalloutEnum, SubscribeChanges = CalloutSubscribeChanges, SubscriptionsGet = CalloutSubscriptionsGet, GetSecurityInfo = CalloutGetSecurityInfo, SetSecurityInfo = CalloutSetSecurityInfo;
            Filter: Add = FilterAdd, Delete = FilterDelete, Get = FilterGet, CreateEnumHandle = FilterCreateEnumHandle, Enum = FilterEnum, SubscribeChanges = FilterSubscribeChanges, SubscriptionsGet = FilterSubscriptionsGet, GetSecurityInfo = FilterGetSecurityInfo, SetSecurityInfo = FilterSetSecurityInfo;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_documentation_says() {
        for operation in Operation::ALL {
            let rules = operation.rules();
            let confined = matches!(rules.wfp_name, "IPsecSaContextCreate" | "IPsecSaContextDeleteById");
            let call = rules.wfp_name.strip_prefix("IPsecSaContext");
            let changes = confined
                || rules.wfp_name.contains("SetSecurityInfo")
                || matches!(rules.wfp_name, "(net event)" | "(session end)" | "FwpmEngineSetOption")
                || rules.wfp_name.ends_with("Add")
                || rules.wfp_name.ends_with("DeleteByKey")
                || matches!(
                    call,
                    Some("GetSpi" | "SetSpi" | "AddInbound" | "AddOutbound" | "Update" | "Expire")
                );
            assert_eq!(rules.writes, changes, "{operation:?}");
            let outside = confined
                || rules.wfp_name.contains("SecurityInfo")
                || rules.wfp_name.contains("Option")
                || rules.wfp_name.ends_with("SubscribeChanges")
                || rules.wfp_name == "FwpmNetEventSubscribe"
                || matches!(rules.wfp_name, "FwpmTransactionBegin" | "FwpmSessionCreateEnumHandle")
                || matches!(call, Some("Subscribe" | "Unsubscribe"));
            assert_eq!(rules.in_transaction, !outside, "{operation:?}");
            assert_eq!(rules.in_dynamic_session, !confined, "{operation:?}");
        }
        assert!(Rights::ALL.contain(Operation::SaContextEnum.rules().rights));
        assert!(!Rights::ENUM.contain(Operation::SaContextEnum.rules().rights));
    }

    #[test]
    fn rights_are_printed_by_their_names() {
        assert_eq!(Rights::ENUM.and(Rights::READ).to_string(), "ENUM+READ");
        assert_eq!(Rights(0x1000).and(Rights::ADD).to_string(), "ADD+0x1000");
        assert_eq!(Rights::ALL.to_string().matches('+').count(), Rights::NAMES.len() - 1);
    }
}
