//! How long an SA may live.

/// The hard limits of an SA as WFP counts them; 0 is no limit.
///
/// WFP: `IPSEC_SA_LIFETIME0`. Limits that do not fit (soft ones, bytes, 64 bits) are in
/// [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifetime {
    /// Seconds since the SA was added.
    pub seconds: u32,
    /// Units of 1,024 bytes.
    pub kilobytes: u32,
    /// Packets.
    pub packets: u32,
}

impl Lifetime {
    /// No limit at all.
    pub const UNLIMITED: Lifetime = Lifetime { seconds: 0, kilobytes: 0, packets: 0 };
}
