//! Converts statistics to C structures. WFP's 32-bit counters saturate.

use crate::abi::IPSEC_AGGREGATE_DROP_PACKET_STATISTICS0;
use crate::abi::IPSEC_AGGREGATE_DROP_PACKET_STATISTICS1;
use crate::abi::IPSEC_AGGREGATE_SA_STATISTICS0;
use crate::abi::IPSEC_AH_DROP_PACKET_STATISTICS0;
use crate::abi::IPSEC_ESP_DROP_PACKET_STATISTICS0;
use crate::abi::IPSEC_STATISTICS0;
use crate::abi::IPSEC_STATISTICS1;
use crate::abi::IPSEC_TRAFFIC_STATISTICS0;
use crate::abi::IPSEC_TRAFFIC_STATISTICS1;
use openwfp_api::Drops;
use openwfp_api::ProtocolDrops;
use openwfp_api::SaStatistics;
use openwfp_api::Statistics;
use openwfp_api::TrafficStatistics;

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Returns a counter; 0 if nobody counts it.
fn known(count: Option<u64>) -> u32 {
    narrow(count.unwrap_or(0))
}

/// Returns the statistics as an `IPSEC_STATISTICS1`.
pub(crate) fn statistics1(statistics: &Statistics) -> IPSEC_STATISTICS1 {
    IPSEC_STATISTICS1 {
        aggregateSaStatistics: sas(&statistics.sas),
        espDropPacketStatistics: esp(&statistics.esp_drops),
        ahDropPacketStatistics: ah(&statistics.ah_drops),
        aggregateDropPacketStatistics: drops(&statistics.drops),
        inboundTrafficStatistics: traffic(&statistics.inbound),
        outboundTrafficStatistics: traffic(&statistics.outbound),
    }
}

/// Returns the statistics as an `IPSEC_STATISTICS0`, which lacks the totals that version 1 added: of
/// dropped packets and of successful packets.
pub(crate) fn statistics0(statistics: &Statistics) -> IPSEC_STATISTICS0 {
    let newer = statistics1(statistics);
    let drops = newer.aggregateDropPacketStatistics;
    let older = |traffic: IPSEC_TRAFFIC_STATISTICS1| IPSEC_TRAFFIC_STATISTICS0 {
        encryptedByteCount: traffic.encryptedByteCount,
        authenticatedAHByteCount: traffic.authenticatedAHByteCount,
        authenticatedESPByteCount: traffic.authenticatedESPByteCount,
        transportByteCount: traffic.transportByteCount,
        tunnelByteCount: traffic.tunnelByteCount,
        offloadByteCount: traffic.offloadByteCount,
    };
    IPSEC_STATISTICS0 {
        aggregateSaStatistics: newer.aggregateSaStatistics,
        espDropPacketStatistics: newer.espDropPacketStatistics,
        ahDropPacketStatistics: newer.ahDropPacketStatistics,
        aggregateDropPacketStatistics: IPSEC_AGGREGATE_DROP_PACKET_STATISTICS0 {
            invalidSpisOnInbound: drops.invalidSpisOnInbound,
            decryptionFailuresOnInbound: drops.decryptionFailuresOnInbound,
            authenticationFailuresOnInbound: drops.authenticationFailuresOnInbound,
            udpEspValidationFailuresOnInbound: drops.udpEspValidationFailuresOnInbound,
            replayCheckFailuresOnInbound: drops.replayCheckFailuresOnInbound,
            invalidClearTextInbound: drops.invalidClearTextInbound,
            saNotInitializedOnInbound: drops.saNotInitializedOnInbound,
            receiveOverIncorrectSaInbound: drops.receiveOverIncorrectSaInbound,
            secureReceivesNotMatchingFilters: drops.secureReceivesNotMatchingFilters,
        },
        inboundTrafficStatistics: older(newer.inboundTrafficStatistics),
        outboundTrafficStatistics: older(newer.outboundTrafficStatistics),
    }
}

fn sas(sas: &SaStatistics) -> IPSEC_AGGREGATE_SA_STATISTICS0 {
    IPSEC_AGGREGATE_SA_STATISTICS0 {
        activeSas: narrow(sas.active),
        pendingSaNegotiations: narrow(sas.pending_negotiations),
        totalSasAdded: narrow(sas.total_added),
        totalSasDeleted: narrow(sas.total_deleted),
        successfulRekeys: narrow(sas.successful_rekeys),
        activeTunnels: narrow(sas.active_tunnels),
        offloadedSas: narrow(sas.offloaded),
    }
}

fn esp(drops: &ProtocolDrops) -> IPSEC_ESP_DROP_PACKET_STATISTICS0 {
    IPSEC_ESP_DROP_PACKET_STATISTICS0 {
        invalidSpisOnInbound: known(drops.invalid_spis),
        decryptionFailuresOnInbound: known(drops.decryption_failures),
        authenticationFailuresOnInbound: known(drops.authentication_failures),
        replayCheckFailuresOnInbound: known(drops.replay_check_failures),
        saNotInitializedOnInbound: known(drops.sa_not_initialized),
    }
}

fn ah(drops: &ProtocolDrops) -> IPSEC_AH_DROP_PACKET_STATISTICS0 {
    IPSEC_AH_DROP_PACKET_STATISTICS0 {
        invalidSpisOnInbound: known(drops.invalid_spis),
        authenticationFailuresOnInbound: known(drops.authentication_failures),
        replayCheckFailuresOnInbound: known(drops.replay_check_failures),
        saNotInitializedOnInbound: known(drops.sa_not_initialized),
    }
}

fn drops(drops: &Drops) -> IPSEC_AGGREGATE_DROP_PACKET_STATISTICS1 {
    IPSEC_AGGREGATE_DROP_PACKET_STATISTICS1 {
        invalidSpisOnInbound: known(drops.invalid_spis),
        decryptionFailuresOnInbound: known(drops.decryption_failures),
        authenticationFailuresOnInbound: known(drops.authentication_failures),
        udpEspValidationFailuresOnInbound: known(drops.udp_esp_validation_failures),
        replayCheckFailuresOnInbound: known(drops.replay_check_failures),
        invalidClearTextInbound: known(drops.invalid_clear_text),
        saNotInitializedOnInbound: known(drops.sa_not_initialized),
        receiveOverIncorrectSaInbound: known(drops.incorrect_sa),
        secureReceivesNotMatchingFilters: known(drops.not_matching_filters),
        totalDropPacketsInbound: known(drops.total),
    }
}

fn traffic(traffic: &TrafficStatistics) -> IPSEC_TRAFFIC_STATISTICS1 {
    IPSEC_TRAFFIC_STATISTICS1 {
        encryptedByteCount: traffic.encrypted_bytes,
        authenticatedAHByteCount: traffic.authenticated_ah_bytes,
        authenticatedESPByteCount: traffic.authenticated_esp_bytes,
        transportByteCount: traffic.transport_bytes,
        tunnelByteCount: traffic.tunnel_bytes,
        offloadByteCount: traffic.offload_bytes,
        totalSuccessfulPackets: traffic.packets,
    }
}
