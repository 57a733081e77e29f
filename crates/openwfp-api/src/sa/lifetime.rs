//! Lifetime limits of an SA.

/// Hard limits of an SA in WFP's units; 0 means no limit. WFP: `IPSEC_SA_LIFETIME0`.
///
/// Limits that do not fit here (soft limits, exact bytes, 64-bit values) are in
/// [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifetime {
    /// Maximum age in seconds, counted from when the SA was added.
    pub seconds: u32,
    /// Maximum traffic in units of 1,024 bytes.
    pub kilobytes: u32,
    /// Maximum number of packets.
    pub packets: u32,
}

impl Lifetime {
    /// A lifetime without limits.
    pub const UNLIMITED: Lifetime = Lifetime { seconds: 0, kilobytes: 0, packets: 0 };
}
