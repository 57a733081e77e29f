//! The objects of the filter engine: providers, provider contexts, sublayers, layers, callouts and filters.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

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
    /// Who manages objects. WFP: `FWPM_PROVIDER0`.
    Provider {
        /// Its key; zero in an add call: the engine makes one.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_PROVIDER_FLAG_*.
        4 flags: u32,
        /// The provider's own data.
        5 data: Blob,
        /// The Windows service that stands for it.
        6 service_name: String,
    }
    /// What callouts and keying modules are told: policies and data. WFP: `FWPM_PROVIDER_CONTEXT3`.
    ProviderContext {
        /// Its key; zero in an add call: the engine makes one.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_PROVIDER_CONTEXT_FLAG_*.
        4 flags: u32,
        /// Who manages it.
        5 provider: Option<Guid>,
        /// The provider's own data.
        6 data: Blob,
        /// The policy or data, by its type.
        7 policy: Policy,
        /// Its id, made by the engine.
        8 id: u64,
    }
    /// A part of a layer, whose filters decide among themselves. WFP: `FWPM_SUBLAYER0`.
    SubLayer {
        /// Its key; zero in an add call: the engine makes one.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_SUBLAYER_FLAG_*.
        4 flags: u32,
        /// Who manages it.
        5 provider: Option<Guid>,
        /// The provider's own data.
        6 data: Blob,
        /// Higher weights are asked first.
        7 weight: u16,
    }
    /// A place where filters are asked. WFP: `FWPM_LAYER0`.
    Layer {
        /// Its key.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_LAYER_FLAG_*.
        4 flags: u32,
        /// What conditions can look at.
        5 fields: Vec<LayerField>,
        /// The sublayer of filters that name none.
        6 default_sublayer: Guid,
        /// Its id, FWPS_LAYER_*.
        7 id: u16,
    }
    /// A field of a layer. WFP: `FWPM_FIELD0`.
    LayerField {
        /// Its key, FWPM_CONDITION_*.
        1 key: Guid,
        /// FWPM_FIELD_TYPE: 0 raw data, 1 an IP address, 2 flags.
        2 kind: u32,
        /// FWP_DATA_TYPE of the values that are compared.
        3 data_type: u32,
    }
    /// Code that is asked by filters. WFP: `FWPM_CALLOUT0`.
    Callout {
        /// Its key; zero in an add call: the engine makes one.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_CALLOUT_FLAG_*.
        4 flags: u32,
        /// Who manages it.
        5 provider: Option<Guid>,
        /// The provider's own data.
        6 data: Blob,
        /// The only layer whose filters may use it.
        7 layer: Guid,
        /// Its id, made by the engine.
        8 id: u32,
    }
    /// A rule: what happens to what meets all its conditions. WFP: `FWPM_FILTER0`.
    Filter {
        /// Its key; zero in an add call: the engine makes one.
        1 key: Guid,
        /// The name for people.
        2 name: String,
        /// What it is.
        3 description: String,
        /// FWPM_FILTER_FLAG_*.
        4 flags: u32,
        /// Who manages it.
        5 provider: Option<Guid>,
        /// The provider's own data.
        6 data: Blob,
        /// The layer at which it stands.
        7 layer: Guid,
        /// Its sublayer; zero in an add call: the layer's default one.
        8 sublayer: Guid,
        /// Its weight: empty (automatic), a range from 0 to 15 (8 bits) or the weight itself (64 bits).
        9 weight: Value,
        /// Conditions: those on one field are alternatives, those on different fields must all be met.
        10 conditions: Vec<FilterCondition>,
        /// What it does.
        11 action: Action,
        /// What its callout is told: a provider context's key or a number.
        12 context: FilterContext,
        /// Its id, made by the engine.
        13 id: u64,
        /// The weight that the engine gave it.
        14 effective_weight: u64,
    }
    /// A condition of a filter. WFP: `FWPM_FILTER_CONDITION0`.
    FilterCondition {
        /// What is looked at, FWPM_CONDITION_*.
        1 field: Guid,
        /// How it is compared.
        2 match_type: MatchType,
        /// With what.
        3 value: Value,
    }
    /// What a filter does. WFP: `FWPM_ACTION0`.
    Action {
        /// The action.
        1 kind: ActionType,
        /// The callout that is asked, for actions with one; else a GUID that the filter's owner may set.
        2 callout: Guid,
    }
}

choices! {
    /// What a filter's callout is told. WFP: `rawContext` and `providerContextKey` of `FWPM_FILTER0`.
    FilterContext {
        /// A number of the caller's.
        1 raw Raw(u64),
        /// A provider context, FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT.
        2 provider_context ProviderContext(Guid),
    }
    /// An object of the filter engine.
    Object {
        /// FWPM_PROVIDER0.
        1 provider Provider(Provider),
        /// FWPM_PROVIDER_CONTEXT3.
        2 provider_context ProviderContext(ProviderContext),
        /// FWPM_SUBLAYER0.
        3 sublayer SubLayer(SubLayer),
        /// FWPM_LAYER0.
        4 layer Layer(Layer),
        /// FWPM_CALLOUT0.
        5 callout Callout(Callout),
        /// FWPM_FILTER0.
        6 filter Filter(Filter),
    }
}

numbers! {
    /// How a condition compares. WFP: `FWP_MATCH_TYPE`.
    MatchType "FWP_MATCH_TYPE" {
        /// Equal; for a network: lies within it.
        Equal = 0,
        /// Greater.
        Greater = 1,
        /// Less.
        Less = 2,
        /// Greater or equal.
        GreaterOrEqual = 3,
        /// Less or equal.
        LessOrEqual = 4,
        /// Between two values, both included.
        Range = 5,
        /// All these bits are set.
        FlagsAllSet = 6,
        /// Any of these bits is set.
        FlagsAnySet = 7,
        /// None of these bits is set.
        FlagsNoneSet = 8,
        /// Equal but for upper and lower case.
        EqualCaseInsensitive = 9,
        /// Not equal; for a network: lies outside of it.
        NotEqual = 10,
        /// Begins with it.
        Prefix = 11,
        /// Does not begin with it.
        NotPrefix = 12,
    }
    /// What a filter does. WFP: `FWP_ACTION_TYPE`.
    ActionType "FWP_ACTION_TYPE" {
        /// Not set.
        Unset = 0,
        /// Blocks.
        Block = 0x1001,
        /// Permits.
        Permit = 0x1002,
        /// Asks a callout that decides.
        CalloutTerminating = 0x5003,
        /// Asks a callout that never decides.
        CalloutInspection = 0x6004,
        /// Asks a callout that may decide.
        CalloutUnknown = 0x4005,
        /// Decides nothing.
        Continue = 0x2006,
        /// Nothing.
        None = 7,
        /// Nothing, since nothing matched.
        NoneNoMatch = 8,
    }
    /// The kinds of objects.
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
    /// Whether a callout is asked, `FWP_ACTION_FLAG_CALLOUT`.
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
    /// Its place among all kinds.
    pub fn index(self) -> usize {
        (self.wfp() - 1) as usize
    }

    /// The code for an object of this kind that is not there.
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

    /// Whether callers may add and delete objects of this kind; layers are the engine's alone.
    pub const fn is_changeable(self) -> bool {
        !matches!(self, ObjectKind::Layer)
    }

    /// Whether its objects have ids besides their keys.
    pub const fn has_ids(self) -> bool {
        !matches!(self, ObjectKind::Provider | ObjectKind::SubLayer)
    }
}

/// `FWPM_PROVIDER_FLAG_PERSISTENT`, and that of provider contexts, sublayers and filters.
pub const FLAG_PERSISTENT: u32 = 1;
/// `FWPM_FILTER_FLAG_BOOTTIME`.
pub const FILTER_BOOTTIME: u32 = 2;
/// `FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT`.
pub const FILTER_HAS_PROVIDER_CONTEXT: u32 = 4;
/// `FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT`.
pub const FILTER_CLEAR_ACTION_RIGHT: u32 = 8;
/// `FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED`.
pub const FILTER_PERMIT_IF_CALLOUT_UNREGISTERED: u32 = 0x10;
/// `FWPM_FILTER_FLAG_DISABLED`.
pub const FILTER_DISABLED: u32 = 0x20;
/// `FWPM_FILTER_FLAG_INDEXED`.
pub const FILTER_INDEXED: u32 = 0x40;
/// `FWPM_PROVIDER_FLAG_DISABLED`.
pub const PROVIDER_DISABLED: u32 = 0x10;
/// `FWPM_CALLOUT_FLAG_PERSISTENT`.
pub const CALLOUT_PERSISTENT: u32 = 0x1_0000;
/// `FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT`.
pub const CALLOUT_USES_PROVIDER_CONTEXT: u32 = 0x2_0000;
/// `FWPM_CALLOUT_FLAG_REGISTERED`.
pub const CALLOUT_REGISTERED: u32 = 0x4_0000;

impl Object {
    /// Its kind.
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

    /// Its key.
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

    /// Gives it a key.
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

    /// Its id; 0 for providers and sublayers, which have none.
    pub fn id(&self) -> u64 {
        match self {
            Object::Provider(_) | Object::SubLayer(_) => 0,
            Object::ProviderContext(object) => object.id,
            Object::Layer(object) => object.id.into(),
            Object::Callout(object) => object.id.into(),
            Object::Filter(object) => object.id,
        }
    }

    /// The name for people.
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

    /// Its flags.
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

    /// Who manages it.
    pub fn provider(&self) -> Option<Guid> {
        match self {
            Object::Provider(_) | Object::Layer(_) => None,
            Object::ProviderContext(object) => object.provider,
            Object::SubLayer(object) => object.provider,
            Object::Callout(object) => object.provider,
            Object::Filter(object) => object.provider,
        }
    }

    /// Whether it is to survive a restart of its engine.
    pub fn is_persistent(&self) -> bool {
        match self {
            Object::Layer(_) => false,
            Object::Callout(callout) => callout.flags & CALLOUT_PERSISTENT != 0,
            Object::Filter(filter) => filter.flags & (FLAG_PERSISTENT | FILTER_BOOTTIME) != 0,
            other => other.flags() & FLAG_PERSISTENT != 0,
        }
    }

    /// The same object without the bytes of keys, where it holds any.
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

    /// The filter, if it is one.
    pub fn as_filter(&self) -> Option<&Filter> {
        match self {
            Object::Filter(filter) => Some(filter),
            _ => None,
        }
    }

    /// The provider context, if it is one.
    pub fn as_provider_context(&self) -> Option<&ProviderContext> {
        match self {
            Object::ProviderContext(context) => Some(context),
            _ => None,
        }
    }
}

/// How an object is named in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectName {
    /// By its key.
    Key(Guid),
    /// By its id.
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
    /// The error for an object that is not there.
    pub fn not_found(&self, kind: ObjectKind) -> Error {
        let what = match self {
            ObjectName::Key(key) => format!("there is no {kind} with the key {key}"),
            ObjectName::Id(id) => format!("there is no {kind} with the id {id}"),
        };
        Error::new(kind.not_found(), what)
    }
}

impl std::str::FromStr for Guid {
    type Err = Error;

    /// From eight, four, four, four and twelve hexadecimal digits, in braces or not.
    fn from_str(text: &str) -> Result<Guid> {
        let invalid = || {
            Error::new(Code::FWP_E_INVALID_PARAMETER, format!("{text} is no GUID")).with_remedy(
                "write it as 8-4-4-4-12 hexadecimal digits, such as a9bbf787-82a8-45bb-a400-5d7e5952c7a9",
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
