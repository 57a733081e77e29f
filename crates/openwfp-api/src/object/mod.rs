//! Objects of the filter engine: providers, provider contexts, sublayers, layers, callouts and filters.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

pub mod kernel;
pub mod net_event;
pub mod packet;
pub mod policy;
pub mod step;
pub mod store;
pub mod template;
pub mod value;

use crate::Code;
use crate::Error;
use crate::Guid;
use crate::Result;
use crate::choices;
use crate::numbers;
use crate::record::Blob;
use crate::records;
use policy::Policy;
use std::fmt;
use value::Value;

records! {
    /// A provider, which manages other objects. WFP: `FWPM_PROVIDER0`.
    Provider {
        /// Key. Zero in an add call: the engine generates one.
        1 key: Guid,
        /// Display name. An add call fails with FWP_E_NULL_DISPLAY_NAME if it is empty.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_PROVIDER_FLAG_*).
        4 flags: u32,
        /// Opaque data of the provider.
        5 data: Blob,
        /// Name of the Windows service that implements the provider.
        6 service_name: String,
    }
    /// A provider context: a policy or data for callouts and keying modules. WFP: `FWPM_PROVIDER_CONTEXT3`.
    ProviderContext {
        /// Key. Zero in an add call: the engine generates one.
        1 key: Guid,
        /// Display name. An add call fails with FWP_E_NULL_DISPLAY_NAME if it is empty.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_PROVIDER_CONTEXT_FLAG_*).
        4 flags: u32,
        /// Key of the provider that manages the object.
        5 provider: Option<Guid>,
        /// Opaque data of the provider.
        6 data: Blob,
        /// Policy or data, by its type.
        7 policy: Policy,
        /// Id, assigned by the engine.
        8 id: u64,
    }
    /// A sublayer: a group of filters within a layer that makes one decision. WFP: `FWPM_SUBLAYER0`.
    SubLayer {
        /// Key. Zero in an add call: the engine generates one.
        1 key: Guid,
        /// Display name. An add call fails with FWP_E_NULL_DISPLAY_NAME if it is empty.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_SUBLAYER_FLAG_*).
        4 flags: u32,
        /// Key of the provider that manages the object.
        5 provider: Option<Guid>,
        /// Opaque data of the provider.
        6 data: Blob,
        /// Weight. Sublayers of higher weight are evaluated first.
        7 weight: u16,
    }
    /// A layer: a point at which filters are evaluated. WFP: `FWPM_LAYER0`.
    Layer {
        /// Key.
        1 key: Guid,
        /// Display name.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_LAYER_FLAG_*).
        4 flags: u32,
        /// Fields that conditions can test at this layer.
        5 fields: Vec<LayerField>,
        /// Key of the sublayer for filters that name none.
        6 default_sublayer: Guid,
        /// Run-time id (FWPS_LAYER_*).
        7 id: u16,
    }
    /// A field of a layer. WFP: `FWPM_FIELD0`.
    LayerField {
        /// Key (FWPM_CONDITION_*).
        1 key: Guid,
        /// Kind (FWPM_FIELD_TYPE): 0 raw data, 1 an IP address, 2 flags.
        2 kind: u32,
        /// Type of the values that the field is compared with (FWP_DATA_TYPE).
        3 data_type: u32,
    }
    /// A callout: code that filters invoke. WFP: `FWPM_CALLOUT0`.
    Callout {
        /// Key. Zero in an add call: the engine generates one.
        1 key: Guid,
        /// Display name. An add call fails with FWP_E_NULL_DISPLAY_NAME if it is empty.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_CALLOUT_FLAG_*).
        4 flags: u32,
        /// Key of the provider that manages the object.
        5 provider: Option<Guid>,
        /// Opaque data of the provider.
        6 data: Blob,
        /// Key of the only layer whose filters may invoke the callout.
        7 layer: Guid,
        /// Id, assigned by the engine.
        8 id: u32,
    }
    /// A filter: a rule that applies an action to traffic that meets all its conditions. WFP:
    /// `FWPM_FILTER0`.
    Filter {
        /// Key. Zero in an add call: the engine generates one.
        1 key: Guid,
        /// Display name. An add call fails with FWP_E_NULL_DISPLAY_NAME if it is empty.
        2 name: String,
        /// Description for display.
        3 description: String,
        /// Flags (FWPM_FILTER_FLAG_*).
        4 flags: u32,
        /// Key of the provider that manages the object.
        5 provider: Option<Guid>,
        /// Opaque data of the provider.
        6 data: Blob,
        /// Key of the layer at which the filter is evaluated.
        7 layer: Guid,
        /// Key of the sublayer. Zero in an add call: the default sublayer of the layer.
        8 sublayer: Guid,
        /// Weight within the sublayer: empty (automatic), a range from 0 to 15 (8 bits) or the exact weight (64
        /// bits).
        9 weight: Value,
        /// Conditions. Those on the same field are alternatives; every field that is named must match.
        10 conditions: Vec<FilterCondition>,
        /// Action for matching traffic.
        11 action: Action,
        /// Context passed to the callout: the key of a provider context, or a number.
        12 context: FilterContext,
        /// Id, assigned by the engine.
        13 id: u64,
        /// Weight that the engine computed; it orders the filters of a sublayer.
        14 effective_weight: u64,
    }
    /// A condition of a filter. WFP: `FWPM_FILTER_CONDITION0`.
    FilterCondition {
        /// Field to test (FWPM_CONDITION_*).
        1 field: Guid,
        /// How the field is compared with the value.
        2 match_type: MatchType,
        /// Value to compare the field with.
        3 value: Value,
    }
    /// The action of a filter. WFP: `FWPM_ACTION0`.
    Action {
        /// Type of the action.
        1 kind: ActionType,
        /// Key of the callout to invoke, for actions with a callout. For other actions, a GUID that the
        /// filter's owner may set.
        2 callout: Guid,
    }
}

choices! {
    /// The context passed to a filter's callout. WFP: `rawContext` and `providerContextKey` of
    /// `FWPM_FILTER0`.
    FilterContext {
        /// A number chosen by the caller.
        1 raw Raw(u64),
        /// Key of a provider context; requires FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT.
        2 provider_context ProviderContext(Guid),
    }
    /// An object of the filter engine.
    Object {
        /// A provider (FWPM_PROVIDER0).
        1 provider Provider(Provider),
        /// A provider context (FWPM_PROVIDER_CONTEXT3).
        2 provider_context ProviderContext(ProviderContext),
        /// A sublayer (FWPM_SUBLAYER0).
        3 sublayer SubLayer(SubLayer),
        /// A layer (FWPM_LAYER0).
        4 layer Layer(Layer),
        /// A callout (FWPM_CALLOUT0).
        5 callout Callout(Callout),
        /// A filter (FWPM_FILTER0).
        6 filter Filter(Filter),
    }
}

numbers! {
    /// How a condition compares a field with its value. WFP: `FWP_MATCH_TYPE`.
    MatchType "FWP_MATCH_TYPE" {
        /// The field equals the value, or the address lies in the network.
        Equal = 0,
        /// The field is greater than the value.
        Greater = 1,
        /// The field is less than the value.
        Less = 2,
        /// The field is greater than or equal to the value.
        GreaterOrEqual = 3,
        /// The field is less than or equal to the value.
        LessOrEqual = 4,
        /// The field lies in the range, both ends included.
        Range = 5,
        /// All bits of the value are set in the field.
        FlagsAllSet = 6,
        /// At least one bit of the value is set in the field.
        FlagsAnySet = 7,
        /// No bit of the value is set in the field.
        FlagsNoneSet = 8,
        /// The field equals the value, ignoring case.
        EqualCaseInsensitive = 9,
        /// The field differs from the value, or the address lies outside the network.
        NotEqual = 10,
        /// The field begins with the value.
        Prefix = 11,
        /// The field does not begin with the value.
        NotPrefix = 12,
    }
    /// The type of an action. WFP: `FWP_ACTION_TYPE`.
    ActionType "FWP_ACTION_TYPE" {
        /// Not set.
        Unset = 0,
        /// Block the traffic.
        Block = 0x1001,
        /// Permit the traffic.
        Permit = 0x1002,
        /// Invoke a callout that always decides.
        CalloutTerminating = 0x5003,
        /// Invoke a callout that never decides.
        CalloutInspection = 0x6004,
        /// Invoke a callout that may decide.
        CalloutUnknown = 0x4005,
        /// Make no decision and continue with the next filter.
        Continue = 0x2006,
        /// No action.
        None = 7,
        /// No action, because no filter matched.
        NoneNoMatch = 8,
    }
    /// The kind of an object.
    ObjectKind "kind of object" {
        /// Providers.
        Provider = 1,
        /// Provider contexts.
        ProviderContext = 2,
        /// Sublayers.
        SubLayer = 3,
        /// Layers.
        Layer = 4,
        /// Callouts.
        Callout = 5,
        /// Filters.
        Filter = 6,
    }
}

impl ActionType {
    /// Returns whether the action invokes a callout (`FWP_ACTION_FLAG_CALLOUT`).
    pub const fn has_callout(self) -> bool {
        self.wfp() & 0x4000 != 0
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            ObjectKind::Provider => "provider",
            ObjectKind::ProviderContext => "provider context",
            ObjectKind::SubLayer => "sublayer",
            ObjectKind::Layer => "layer",
            ObjectKind::Callout => "callout",
            _ => "filter",
        })
    }
}

impl ObjectKind {
    /// Returns the zero-based index of the kind.
    pub fn index(self) -> usize {
        (self.wfp() - 1) as usize
    }

    /// Returns the code for a missing object of this kind, such as `FWP_E_FILTER_NOT_FOUND`.
    pub const fn not_found(self) -> Code {
        match self {
            ObjectKind::Provider => Code::FWP_E_PROVIDER_NOT_FOUND,
            ObjectKind::ProviderContext => Code::FWP_E_PROVIDER_CONTEXT_NOT_FOUND,
            ObjectKind::SubLayer => Code::FWP_E_SUBLAYER_NOT_FOUND,
            ObjectKind::Layer => Code::FWP_E_LAYER_NOT_FOUND,
            ObjectKind::Callout => Code::FWP_E_CALLOUT_NOT_FOUND,
            _ => Code::FWP_E_FILTER_NOT_FOUND,
        }
    }

    /// Returns whether callers may add and delete objects of this kind. Layers belong to the engine alone.
    pub const fn is_changeable(self) -> bool {
        !matches!(self, ObjectKind::Layer)
    }

    /// Returns whether objects of this kind have ids in addition to keys.
    pub const fn has_ids(self) -> bool {
        !matches!(self, ObjectKind::Provider | ObjectKind::SubLayer)
    }
}

/// `FWPM_PROVIDER_FLAG_PERSISTENT`: the object survives a restart of the engine. Provider contexts,
/// sublayers and filters use the same value.
pub const FLAG_PERSISTENT: u32 = 1;
/// `FWPM_FILTER_FLAG_BOOTTIME`: the filter is for boot time. The engine stores and lists it but never
/// evaluates it.
pub const FILTER_BOOTTIME: u32 = 2;
/// `FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT`: the context of the filter is a provider context.
pub const FILTER_HAS_PROVIDER_CONTEXT: u32 = 4;
/// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT`: the action of the filter is hard. Nothing overrides a hard
/// block; only a block by a callout overrides a hard permit.
pub const FILTER_CLEAR_ACTION_RIGHT: u32 = 8;
/// `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED`: the filter permits, instead of blocking, while
/// its callout is not registered.
pub const FILTER_PERMIT_IF_CALLOUT_UNREGISTERED: u32 = 0x10;
/// `FWPM_FILTER_FLAG_DISABLED`: the filter is not evaluated, because its provider is disabled. Set by
/// the engine.
pub const FILTER_DISABLED: u32 = 0x20;
/// `FWPM_FILTER_FLAG_INDEXED`: the filter is found through an index. The engine clears it in add calls.
pub const FILTER_INDEXED: u32 = 0x40;
/// `FWPM_PROVIDER_FLAG_DISABLED`: filters added for the provider are disabled.
pub const PROVIDER_DISABLED: u32 = 0x10;
/// `FWPM_CALLOUT_FLAG_PERSISTENT`: the callout survives a restart of the engine.
pub const CALLOUT_PERSISTENT: u32 = 0x1_0000;
/// `FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT`: filters may pass the callout a provider context.
pub const CALLOUT_USES_PROVIDER_CONTEXT: u32 = 0x2_0000;
/// `FWPM_CALLOUT_FLAG_REGISTERED`: the callout is registered. The engine clears it in callouts that
/// clients add.
pub const CALLOUT_REGISTERED: u32 = 0x4_0000;

impl Object {
    /// Returns the kind of the object.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Object::Provider(_) => ObjectKind::Provider,
            Object::ProviderContext(_) => ObjectKind::ProviderContext,
            Object::SubLayer(_) => ObjectKind::SubLayer,
            Object::Layer(_) => ObjectKind::Layer,
            Object::Callout(_) => ObjectKind::Callout,
            Object::Filter(_) => ObjectKind::Filter,
        }
    }

    /// Returns the key.
    pub fn key(&self) -> Guid {
        match self {
            Object::Provider(object) => object.key,
            Object::ProviderContext(object) => object.key,
            Object::SubLayer(object) => object.key,
            Object::Layer(object) => object.key,
            Object::Callout(object) => object.key,
            Object::Filter(object) => object.key,
        }
    }

    /// Sets the key.
    pub fn set_key(&mut self, key: Guid) {
        match self {
            Object::Provider(object) => object.key = key,
            Object::ProviderContext(object) => object.key = key,
            Object::SubLayer(object) => object.key = key,
            Object::Layer(object) => object.key = key,
            Object::Callout(object) => object.key = key,
            Object::Filter(object) => object.key = key,
        }
    }

    /// Returns the id, or 0 for providers and sublayers, which have none.
    pub fn id(&self) -> u64 {
        match self {
            Object::Provider(_) | Object::SubLayer(_) => 0,
            Object::ProviderContext(object) => object.id,
            Object::Layer(object) => object.id.into(),
            Object::Callout(object) => object.id.into(),
            Object::Filter(object) => object.id,
        }
    }

    /// Returns the display name.
    pub fn name(&self) -> &str {
        match self {
            Object::Provider(object) => &object.name,
            Object::ProviderContext(object) => &object.name,
            Object::SubLayer(object) => &object.name,
            Object::Layer(object) => &object.name,
            Object::Callout(object) => &object.name,
            Object::Filter(object) => &object.name,
        }
    }

    /// Returns the description.
    pub fn description(&self) -> &str {
        match self {
            Object::Provider(object) => &object.description,
            Object::ProviderContext(object) => &object.description,
            Object::SubLayer(object) => &object.description,
            Object::Layer(object) => &object.description,
            Object::Callout(object) => &object.description,
            Object::Filter(object) => &object.description,
        }
    }

    /// Returns the flags.
    pub fn flags(&self) -> u32 {
        match self {
            Object::Provider(object) => object.flags,
            Object::ProviderContext(object) => object.flags,
            Object::SubLayer(object) => object.flags,
            Object::Layer(object) => object.flags,
            Object::Callout(object) => object.flags,
            Object::Filter(object) => object.flags,
        }
    }

    /// Returns the key of the provider that manages the object, or `None` if it has none. Providers and
    /// layers never have one.
    pub fn provider(&self) -> Option<Guid> {
        match self {
            Object::Provider(_) | Object::Layer(_) => None,
            Object::ProviderContext(object) => object.provider,
            Object::SubLayer(object) => object.provider,
            Object::Callout(object) => object.provider,
            Object::Filter(object) => object.provider,
        }
    }

    /// Returns whether the object survives a restart of the engine, as boot-time filters do. For layers,
    /// which are built in, returns `false`.
    pub fn is_persistent(&self) -> bool {
        match self {
            Object::Layer(_) => false,
            Object::Callout(callout) => callout.flags & CALLOUT_PERSISTENT != 0,
            Object::Filter(filter) => filter.flags & (FLAG_PERSISTENT | FILTER_BOOTTIME) != 0,
            other => other.flags() & FLAG_PERSISTENT != 0,
        }
    }

    /// Returns a copy of the object without key bytes, or `None` if the object holds no keys.
    pub fn without_keys(&self) -> Option<Object> {
        match self {
            Object::ProviderContext(context) if context.policy.has_keys() => {
                let mut context = context.clone();
                context.policy.withhold_keys();
                Some(Object::ProviderContext(context))
            }
            _ => None,
        }
    }

    /// Returns the filter, or `None` if the object is of another kind.
    pub fn as_filter(&self) -> Option<&Filter> {
        match self {
            Object::Filter(filter) => Some(filter),
            _ => None,
        }
    }

    /// Returns the provider context, or `None` if the object is of another kind.
    pub fn as_provider_context(&self) -> Option<&ProviderContext> {
        match self {
            Object::ProviderContext(context) => Some(context),
            _ => None,
        }
    }
}

/// The name of an object in a call: its key or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectName {
    /// The key of the object.
    Key(Guid),
    /// The id of the object.
    Id(u64),
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Key(key) => key.fmt(f),
            ObjectName::Id(id) => id.fmt(f),
        }
    }
}

impl ObjectName {
    /// Returns the error for a missing object with this name, with the kind's not-found code.
    pub fn not_found(&self, kind: ObjectKind) -> Error {
        let what = match self {
            ObjectName::Key(key) => format!("no {kind} has the key {key}"),
            ObjectName::Id(id) => format!("no {kind} has the id {id}"),
        };
        Error::new(kind.not_found(), what)
    }
}

impl std::str::FromStr for Guid {
    type Err = Error;

    /// Parses a GUID of 8-4-4-4-12 hexadecimal digits, with or without braces.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for any other text.
    fn from_str(text: &str) -> Result<Guid> {
        let invalid = || {
            Error::new(Code::FWP_E_INVALID_PARAMETER, format!("\"{text}\" is not a GUID")).with_remedy(
                "Write 8-4-4-4-12 hexadecimal digits, such as a9bbf787-82a8-45bb-a400-5d7e5952c7a9.",
            )
        };
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let parts: Vec<&str> = bare.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || !bare.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let digits: String = parts.concat();
        let all = u128::from_str_radix(&digits, 16).map_err(|_| invalid())?;
        let [a, b, c, d, e, f, g, h, data4 @ ..] = all.to_be_bytes();
        Ok(Guid::new(
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u16::from_be_bytes([g, h]),
            data4,
        ))
    }
}
