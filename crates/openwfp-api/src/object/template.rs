//! Templates: which objects an enumerator or a subscription is for.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::FilterCondition;
use super::Object;
use super::ObjectKind;
use crate::Guid;
use crate::records;

/// `FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH`: only the terminating filter that comes first.
pub const ENUM_BEST_TERMINATING_MATCH: u32 = 1;
/// `FWP_FILTER_ENUM_FLAG_SORTED`: by weight, the heaviest first.
pub const ENUM_SORTED: u32 = 2;
/// `FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY`.
pub const ENUM_BOOTTIME_ONLY: u32 = 4;
/// `FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME`.
pub const ENUM_INCLUDE_BOOTTIME: u32 = 8;
/// `FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED`.
pub const ENUM_INCLUDE_DISABLED: u32 = 0x10;

records! {
    /// Which objects of a kind are meant. WFP: the `FWPM_*_ENUM_TEMPLATE0` structures.
    ObjectTemplate {
        /// The kind: 1 providers, 2 provider contexts, 3 sublayers, 4 layers, 5 callouts, 6 filters.
        1 kind: u32,
        /// Only those of this provider.
        2 provider: Option<Guid>,
        /// Only callouts and filters of this layer.
        3 layer: Option<Guid>,
        /// Only provider contexts of this FWPM_PROVIDER_CONTEXT_TYPE.
        4 context_type: Option<u32>,
        /// Only filters whose conditions contain these, or overlap with them.
        5 conditions: Vec<FilterCondition>,
        /// FWP_FILTER_ENUM_TYPE: 0 filters that contain the conditions, 1 those that overlap with them.
        6 enum_type: u32,
        /// FWP_FILTER_ENUM_FLAG_*.
        7 flags: u32,
        /// Only filters whose action has a bit of this mask.
        8 action_mask: Option<u32>,
        /// Only filters with this callout.
        9 callout: Option<Guid>,
        /// Only filters whose provider context this selects.
        10 context: Option<Box<ObjectTemplate>>,
        /// Only those behind this one, by its key, to go on where an earlier page ended; ours.
        11 after: Option<Guid>,
    }
}

impl ObjectTemplate {
    /// All objects of a kind.
    pub fn all(kind: ObjectKind) -> ObjectTemplate {
        let flags =
            if kind == ObjectKind::Filter { ENUM_INCLUDE_BOOTTIME | ENUM_INCLUDE_DISABLED } else { 0 };
        ObjectTemplate { kind: kind.wfp(), flags, ..ObjectTemplate::default() }
    }

    /// The kind.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` for a number that is none.
    pub fn object_kind(&self) -> crate::Result<ObjectKind> {
        ObjectKind::from_wfp(self.kind)
    }

    /// Whether it selects an object by all but conditions and provider contexts, which take more to look at.
    pub fn selects(&self, object: &Object) -> bool {
        if object.kind().wfp() != self.kind
            || self.provider.is_some_and(|provider| object.provider() != Some(provider))
        {
            return false;
        }
        match object {
            Object::ProviderContext(context) => {
                self.context_type.is_none_or(|wanted| wanted == context.policy.context_type())
            }
            Object::Callout(callout) => self.layer.is_none_or(|layer| layer == callout.layer),
            Object::Filter(filter) => {
                let boot = filter.flags & super::FILTER_BOOTTIME != 0;
                let time =
                    match (self.flags & ENUM_BOOTTIME_ONLY != 0, self.flags & ENUM_INCLUDE_BOOTTIME != 0) {
                        (true, _) => boot,
                        (false, true) => true,
                        (false, false) => !boot,
                    };
                let enabled =
                    filter.flags & super::FILTER_DISABLED == 0 || self.flags & ENUM_INCLUDE_DISABLED != 0;
                let callout = |wanted| filter.action.kind.has_callout() && filter.action.callout == wanted;
                time && enabled
                    && self.layer.is_none_or(|layer| layer == filter.layer)
                    && self.action_mask.is_none_or(|mask| filter.action.kind.wfp() & mask != 0)
                    && self.callout.is_none_or(callout)
            }
            _ => true,
        }
    }
}
