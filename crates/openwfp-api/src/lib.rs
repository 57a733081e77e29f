//! The API of the OpenWFP filter engine: its types, result codes, table of operations and traits.
//!
//! Every other crate of the workspace either implements this one (the engine, the Linux kernel
//! provider, the remote client) or translates it (the command line, the C ABI, the wire protocol).
//! This crate does no I/O, reads no clock and takes no lock.
//!
//! Names follow the Windows Filtering Platform (WFP) in Rust spelling, so that you can find a name
//! from its manual with `grep`: `IPSEC_SA_CONTEXT1` is [`SaContext`], its `saBundle` is
//! [`SaDetails::bundle`], and so on. Attributes that Linux has and WFP lacks are in [`LinuxSa`].
#![forbid(unsafe_code)]

pub mod bounds;
mod change;
mod claim;
mod code;
mod contexts;
mod dataplane;
mod enumeration;
mod error;
mod event;
mod filter;
pub mod guids;
mod mirror;
pub mod object;
mod operation;
mod options;
pub mod protobuf;
pub mod record;
mod sa;
mod security;
mod session;
mod spd;
mod statistics;
mod template;
mod time;
mod waits;
mod wfp;

pub use change::{
    BatchMode, BundlePair, InboundRequest, NewSaContext, SaContextStep, StepOutcome, UpdateFlags,
};
pub use claim::{Claim, GiveBack};
pub use code::{Code, CodeEntry, CodeFamily};
pub use contexts::SaContexts;
pub use dataplane::{Dataplane, PacketFilter};
pub use enumeration::{EnumId, EnumOptions, SaEntry, SaEnumOptions, Version};
pub use error::{Error, Result};
pub use event::{
    EventCallback, EventKind, EventKinds, EventStream, Notification, ObjectEvent, SaContextEvent,
    SubscriptionId, SubscriptionInfo, SubscriptionOptions, Topic, TopicKind,
};
pub use filter::{FilterId, Guid, TransportFilter};
pub use ipnet::IpNet;
pub use mirror::{Completeness, CounterUpdate, HeldKernelPolicy, KernelPolicyChange, Mirror, MirrorChange};
pub use operation::{ObjectCall, Operation, Rights, Rules, Securable};
pub use options::{FilterEngine, SessionOptions};
pub use sa::bundle::{IpsecId, KeyModuleState, KeyingExtras, PfsGroup, Sa, SaBundle, SaList, Spi, Token};
pub use sa::context::{
    Counters, DirectionCounters, Reservation, SaContext, SaContextId, SaState, Totals, TrafficTotals,
};
pub use sa::details::{SaDetails, UdpEncapsulation, VirtualIfTunnel};
pub use sa::fields::ContextFields;
pub use sa::key::{Key, KeyAccess};
pub use sa::lifetime::Lifetime;
pub use sa::linux::{
    HardwareOffload, Limits, LinuxExtras, LinuxSa, Mark, Replay, Selector, SelectorPorts, Selectors,
    UnknownAttribute, ip_protocol_name,
};
pub use sa::traffic::{Direction, Endpoints, IpVersion, Mode, Protocol, Traffic, TrafficType};
pub use sa::transform::{
    Aead, AeadAlgorithm, Auth, AuthAlgorithm, Cipher, CipherAlgorithm, Compression, CompressionAlgorithm,
    EspAuthAndCipher, Transform, TransformType, WfpAuth, WfpCipher, WfpTransform,
};
pub use security::{Ace, AceKind, Acl, Principal, SecurityDescriptor, SecurityInformation, Sid};
pub use session::{EngineOption, OpenTransaction, Session, SessionInfo, SessionNumber, TransactionMode};
pub use spd::{PolicyDirection, Protection, SpdAction, SpdChange, SpdEntry};
pub use statistics::{Drops, ProtocolDrops, ProviderDrops, SaStatistics, Statistics, TrafficStatistics};
pub use template::{AddressMatch, AddressRange, ContextTemplate};
pub use time::{Clock, Random, Timestamp};
#[doc(hidden)]
pub use waits::Waits;
pub use wfp::{WfpAlgorithm, check_authn_service, dynamic_session};
