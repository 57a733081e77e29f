//! IPsec statistics. WFP: `IPSEC_STATISTICS0/1`.
//!
//! The values come from these sources:
//!
//! - [`SaStatistics`]: counted by the engine.
//! - [`TrafficStatistics`]: the sum of the counters that the provider reports for each SA, for example
//!   through [`Mirror::count`](crate::Mirror::count).
//! - [`Drops::authentication_failures`] and [`Drops::replay_check_failures`]: the total from
//!   [`Dataplane::drops`](crate::Dataplane::drops) if it has one, otherwise the sum over all SAs. The
//!   same fields of [`ProtocolDrops`] follow the same rule.
//! - All other drops: [`Dataplane::drops`](crate::Dataplane::drops). A `memory:` engine has no
//!   dataplane and does not know them.
//!
//! `None` means unknown; WFP's structures contain 0 instead.

/// The IPsec statistics of an engine. WFP: `IPSEC_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Counts of SAs, `aggregateSaStatistics`.
    pub sas: SaStatistics,
    /// Dropped ESP packets, `espDropPacketStatistics`.
    pub esp_drops: ProtocolDrops,
    /// Dropped AH packets, `ahDropPacketStatistics`. AH does not encrypt, so `decryption_failures` does not
    /// apply.
    pub ah_drops: ProtocolDrops,
    /// Dropped packets of all protocols, `aggregateDropPacketStatistics`.
    pub drops: Drops,
    /// Inbound traffic, `inboundTrafficStatistics`.
    pub inbound: TrafficStatistics,
    /// Outbound traffic, `outboundTrafficStatistics`.
    pub outbound: TrafficStatistics,
}

/// Counts of SAs. Each direction of an SA context counts as one SA.
/// WFP: `IPSEC_AGGREGATE_SA_STATISTICS0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaStatistics {
    /// SAs that currently exist, `activeSas`: one per direction, even if its bundle combines several
    /// protocols.
    pub active: u64,
    /// Contexts that are not yet complete, `pendingSaNegotiations`.
    pub pending_negotiations: u64,
    /// SAs added since the engine started, `totalSasAdded`.
    pub total_added: u64,
    /// SAs removed since the engine started, `totalSasDeleted`.
    pub total_deleted: u64,
    /// Contexts that became complete while another complete context protected the same traffic,
    /// `successfulRekeys`. The engine compares only with the newest contexts of the same peer.
    pub successful_rekeys: u64,
    /// Tunnel-mode contexts that have an SA, `activeTunnels`.
    pub active_tunnels: u64,
    /// SAs marked as offloaded to a network card, `offloadedSas`.
    pub offloaded: u64,
}

/// Dropped inbound packets of one protocol. WFP: `IPSEC_ESP_DROP_PACKET_STATISTICS0`,
/// `IPSEC_AH_DROP_PACKET_STATISTICS0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolDrops {
    /// Packets with an SPI that no SA has, `invalidSpisOnInbound`.
    pub invalid_spis: Option<u64>,
    /// Packets that failed decryption, `decryptionFailuresOnInbound`.
    pub decryption_failures: Option<u64>,
    /// Packets that failed the integrity check, `authenticationFailuresOnInbound`.
    pub authentication_failures: Option<u64>,
    /// Packets that were replays or too old for the replay window, `replayCheckFailuresOnInbound`.
    pub replay_check_failures: Option<u64>,
    /// Packets for an SA that was not ready, `saNotInitializedOnInbound`.
    pub sa_not_initialized: Option<u64>,
}

/// Dropped inbound packets of all protocols. WFP: `IPSEC_AGGREGATE_DROP_PACKET_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Packets with an SPI that no SA has, `invalidSpisOnInbound`.
    pub invalid_spis: Option<u64>,
    /// Packets that failed decryption, `decryptionFailuresOnInbound`.
    pub decryption_failures: Option<u64>,
    /// Packets that failed the integrity check, `authenticationFailuresOnInbound`.
    pub authentication_failures: Option<u64>,
    /// Packets with invalid UDP encapsulation, `udpEspValidationFailuresOnInbound`.
    pub udp_esp_validation_failures: Option<u64>,
    /// Packets that were replays or too old for the replay window, `replayCheckFailuresOnInbound`.
    pub replay_check_failures: Option<u64>,
    /// Cleartext packets that should have been protected, `invalidClearTextInbound`.
    pub invalid_clear_text: Option<u64>,
    /// Packets for an SA that was not ready, `saNotInitializedOnInbound`.
    pub sa_not_initialized: Option<u64>,
    /// Packets received over an SA other than the one that their policy requires,
    /// `receiveOverIncorrectSaInbound`.
    pub incorrect_sa: Option<u64>,
    /// Protected packets that match no filter, `secureReceivesNotMatchingFilters`.
    pub not_matching_filters: Option<u64>,
    /// All dropped inbound packets, `totalDropPacketsInbound`.
    pub total: Option<u64>,
}

/// A provider's drop counters for the whole machine, in addition to the counters of each SA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderDrops {
    /// Drops of ESP packets.
    pub esp: ProtocolDrops,
    /// Drops of AH packets.
    pub ah: ProtocolDrops,
    /// Drops of packets of all protocols.
    pub all: Drops,
}

/// Bytes and packets of one direction, including SAs that no longer exist.
/// WFP: `IPSEC_TRAFFIC_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficStatistics {
    /// Bytes encrypted by ESP, `encryptedByteCount`.
    pub encrypted_bytes: u64,
    /// Bytes authenticated by AH, `authenticatedAHByteCount`.
    pub authenticated_ah_bytes: u64,
    /// Bytes authenticated by ESP, `authenticatedESPByteCount`.
    pub authenticated_esp_bytes: u64,
    /// Bytes in transport mode, `transportByteCount`.
    pub transport_bytes: u64,
    /// Bytes in tunnel mode, `tunnelByteCount`.
    pub tunnel_bytes: u64,
    /// Bytes of SAs offloaded to a network card, `offloadByteCount`.
    pub offload_bytes: u64,
    /// Packets, `totalSuccessfulPackets`.
    pub packets: u64,
}
