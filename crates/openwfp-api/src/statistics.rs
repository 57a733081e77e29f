//! Statistics of IPsec. WFP: `IPSEC_STATISTICS0/1`.
//!
//! Who knows what: the engine counts the SAs and adds up what its provider told of each SA; the provider tells
//! what it counts for the machine as a whole. What nobody knows is `None`, which WFP's structures show as 0:
//!
//! | field | `memory:` | with a provider |
//! |---|---|---|
//! | all of [`SaStatistics`] | engine | engine |
//! | bytes and packets of [`TrafficStatistics`] | what [`Mirror::count`](crate::Mirror::count) told | the same |
//! | [`Drops::authentication_failures`], [`Drops::replay_check_failures`] | as told for each SA | the same |
//! | the other [`Drops`] | not known | [`Dataplane::drops`](crate::Dataplane::drops), as far as it knows |

/// The statistics of an engine. WFP: `IPSEC_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// `aggregateSaStatistics`.
    pub sas: SaStatistics,
    /// `espDropPacketStatistics`.
    pub esp_drops: ProtocolDrops,
    /// `ahDropPacketStatistics`; AH decrypts nothing.
    pub ah_drops: ProtocolDrops,
    /// `aggregateDropPacketStatistics`.
    pub drops: Drops,
    /// `inboundTrafficStatistics`.
    pub inbound: TrafficStatistics,
    /// `outboundTrafficStatistics`.
    pub outbound: TrafficStatistics,
}

/// Counts of SAs; one direction of a context is one. WFP: `IPSEC_AGGREGATE_SA_STATISTICS0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaStatistics {
    /// SAs that are there now, `activeSas`: one a direction, whatever protocols its bundle joins.
    pub active: u64,
    /// Contexts that are not complete yet, `pendingSaNegotiations`.
    pub pending_negotiations: u64,
    /// SAs added since the engine began, `totalSasAdded`.
    pub total_added: u64,
    /// SAs that went since the engine began, `totalSasDeleted`.
    pub total_deleted: u64,
    /// Contexts that became complete while another complete one protected the same traffic,
    /// `successfulRekeys`; looked for among the newest contexts of that peer.
    pub successful_rekeys: u64,
    /// Contexts in tunnel mode with an SA, `activeTunnels`.
    pub active_tunnels: u64,
    /// SAs that a network card carries out, `offloadedSas`: those that say so.
    pub offloaded: u64,
}

/// Dropped packets of one protocol. WFP: `IPSEC_ESP_DROP_PACKET_STATISTICS0`, `IPSEC_AH_DROP_PACKET_STATISTICS0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolDrops {
    /// No SA has the packet's SPI, `invalidSpisOnInbound`.
    pub invalid_spis: Option<u64>,
    /// Decryption failed, `decryptionFailuresOnInbound`.
    pub decryption_failures: Option<u64>,
    /// The integrity check failed, `authenticationFailuresOnInbound`.
    pub authentication_failures: Option<u64>,
    /// Too old or seen before, `replayCheckFailuresOnInbound`.
    pub replay_check_failures: Option<u64>,
    /// The SA was not ready, `saNotInitializedOnInbound`.
    pub sa_not_initialized: Option<u64>,
}

/// Dropped packets of all protocols. WFP: `IPSEC_AGGREGATE_DROP_PACKET_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// No SA has the packet's SPI, `invalidSpisOnInbound`.
    pub invalid_spis: Option<u64>,
    /// Decryption failed, `decryptionFailuresOnInbound`.
    pub decryption_failures: Option<u64>,
    /// The integrity check failed, `authenticationFailuresOnInbound`.
    pub authentication_failures: Option<u64>,
    /// The UDP encapsulation was not what it should be, `udpEspValidationFailuresOnInbound`.
    pub udp_esp_validation_failures: Option<u64>,
    /// Too old or seen before, `replayCheckFailuresOnInbound`.
    pub replay_check_failures: Option<u64>,
    /// Came in clear and should not have, `invalidClearTextInbound`.
    pub invalid_clear_text: Option<u64>,
    /// The SA was not ready, `saNotInitializedOnInbound`.
    pub sa_not_initialized: Option<u64>,
    /// Came over another SA than its policy asks for, `receiveOverIncorrectSaInbound`.
    pub incorrect_sa: Option<u64>,
    /// Protected, and no filter matches, `secureReceivesNotMatchingFilters`.
    pub not_matching_filters: Option<u64>,
    /// All dropped inbound packets, `totalDropPacketsInbound`.
    pub total: Option<u64>,
}

/// What a provider counts for the machine as a whole, besides each SA's own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderDrops {
    /// Of ESP alone.
    pub esp: ProtocolDrops,
    /// Of AH alone.
    pub ah: ProtocolDrops,
    /// Of all.
    pub all: Drops,
}

/// Bytes and packets of one direction, of SAs that are there and of those that went. WFP:
/// `IPSEC_TRAFFIC_STATISTICS1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficStatistics {
    /// Bytes of ESP with a cipher, `encryptedByteCount`.
    pub encrypted_bytes: u64,
    /// Bytes of AH, `authenticatedAHByteCount`.
    pub authenticated_ah_bytes: u64,
    /// Bytes of ESP with integrity, `authenticatedESPByteCount`.
    pub authenticated_esp_bytes: u64,
    /// Bytes in transport mode, `transportByteCount`.
    pub transport_bytes: u64,
    /// Bytes in tunnel mode, `tunnelByteCount`.
    pub tunnel_bytes: u64,
    /// Bytes that a network card carried out, `offloadByteCount`.
    pub offload_bytes: u64,
    /// Packets, `totalSuccessfulPackets`.
    pub packets: u64,
}
