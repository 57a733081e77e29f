//! Templates, which select the objects of an enumerator or a subscription.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::FilterCondition;
use super::Object;
use super::ObjectKind;
use crate::Guid;
use crate::records;

/// `FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH`: list only the terminating filter of the highest
/// weight.
pub const ENUM_BEST_TERMINATING_MATCH: u32 = 1;
/// `FWP_FILTER_ENUM_FLAG_SORTED`: list filters by descending weight.
pub const ENUM_SORTED: u32 = 2;
/// `FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY`: list only boot-time filters.
pub const ENUM_BOOTTIME_ONLY: u32 = 4;
/// `FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME`: list boot-time filters as well.
pub const ENUM_INCLUDE_BOOTTIME: u32 = 8;
/// `FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED`: list disabled filters as well.
pub const ENUM_INCLUDE_DISABLED: u32 = 0x10;

records! {
    /// A template that selects objects of one kind. WFP: the `FWPM_*_ENUM_TEMPLATE0` structures.
    ObjectTemplate {
        /// Kind: 1 providers, 2 provider contexts, 3 sublayers, 4 layers, 5 callouts, 6 filters.
        1 kind: u32,
        /// Select only objects of this provider.
        2 provider: Option<Guid>,
        /// Select only callouts and filters of this layer.
        3 layer: Option<Guid>,
        /// Select only provider contexts of this type (FWPM_PROVIDER_CONTEXT_TYPE).
        4 context_type: Option<u32>,
        /// Select only filters whose conditions contain these or overlap with them, depending on enum_type.
        5 conditions: Vec<FilterCondition>,
        /// How conditions are compared (FWP_FILTER_ENUM_TYPE): 0 selects filters that contain them, 1 filters
        /// that overlap with them.
        6 enum_type: u32,
        /// Flags (FWP_FILTER_ENUM_FLAG_*).
        7 flags: u32,
        /// Select only filters whose action has at least one bit of this mask.
        8 action_mask: Option<u32>,
        /// Select only filters that invoke this callout.
        9 callout: Option<Guid>,
        /// Select only filters whose provider context matches this template.
        10 context: Option<Box<ObjectTemplate>>,
        /// Start after the object with this key, to continue a listing; sorted listings of filters ignore it.
        /// An OpenWFP extension.
        11 after: Option<Guid>,
    }
}

impl ObjectTemplate {
    /// Returns a template that selects all objects of a kind, boot-time and disabled filters included.
    pub fn all(kind: ObjectKind) -> ObjectTemplate {
        let flags =
            if kind == ObjectKind::Filter { ENUM_INCLUDE_BOOTTIME | ENUM_INCLUDE_DISABLED } else { 0 };
        ObjectTemplate { kind: kind.wfp(), flags, ..ObjectTemplate::default() }
    }

    /// Returns the kind.
    ///
    /// # Errors
    /// `FWP_E_INVALID_ENUMERATOR` if the number is not a kind.
    pub fn object_kind(&self) -> crate::Result<ObjectKind> {
        ObjectKind::from_wfp(self.kind)
    }

    /// Returns whether the template selects an object, ignoring `conditions`, `context` and `after`, which
    /// the engine evaluates.
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
