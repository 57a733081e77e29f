//! Security associations: the types reachable from `IPSEC_SA_CONTEXT1`, and Linux-specific additions.

pub(crate) mod bundle;
pub(crate) mod context;
pub(crate) mod details;
pub(crate) mod fields;
pub(crate) mod key;
pub(crate) mod lifetime;
pub(crate) mod linux;
pub(crate) mod traffic;
pub(crate) mod transform;
