//! Classification: the description of a packet, and the decisions of the filters on it.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::ActionType;
use super::value::Value;
use crate::Guid;
use crate::guids::condition;
use crate::guids::layer;
use crate::numbers;
use crate::record::Address;
use crate::records;

numbers! {
    /// The path of a packet with respect to this machine.
    PacketPath "way of a packet" {
        /// Sent by this machine.
        Outbound = 0,
        /// Received by this machine.
        Inbound = 1,
        /// Forwarded by this machine.
        Forward = 2,
    }
}

records! {
    /// A packet to classify: the properties that filters can test.
    Packet {
        /// Path with respect to this machine.
        1 path: PacketPath,
        /// Source address.
        2 source: Address,
        /// Destination address, of the same IP version as the source.
        3 destination: Address,
        /// IP protocol; 0 if unknown.
        4 protocol: u8,
        /// Source port, or ICMP type.
        5 source_port: u16,
        /// Destination port, or ICMP code.
        6 destination_port: u16,
        /// Values of other fields that filters can test.
        7 fields: Vec<FieldValue>,
    }
    /// The value of a field of a packet.
    FieldValue {
        /// Field (FWPM_CONDITION_*).
        1 field: Guid,
        /// Value of the field.
        2 value: Value,
    }
    /// The decision of a layer on a packet.
    Verdict {
        /// Key of the layer at which the packet was classified.
        1 layer: Guid,
        /// Permit or Block; None if no filter decided, which permits the packet.
        2 action: ActionType,
        /// Whether the action is hard: FWPS_RIGHT_ACTION_WRITE is cleared, and nothing after the arbitration of
        /// this layer may override it.
        3 is_hard: bool,
        /// Whether a block by a callout overrode a hard permit (a veto).
        4 is_veto: bool,
        /// Id of the filter that decided; 0 if none did.
        5 filter_id: u64,
        /// Decisions of the sublayers in the order of their evaluation. Sublayers without a decision are left
        /// out.
        6 decisions: Vec<SubLayerDecision>,
    }
    /// The decision of a sublayer on a packet.
    SubLayerDecision {
        /// Key of the sublayer.
        1 sublayer: Guid,
        /// Id of the filter that decided for the sublayer.
        2 filter_id: u64,
        /// Key of that filter.
        3 filter_key: Guid,
        /// Permit or Block. The built-in IPsec callouts permit.
        4 action: ActionType,
        /// Key of the filter's callout.
        5 callout: Option<Guid>,
        /// Key of the filter's provider context, which holds the policy that applies.
        6 provider_context: Option<Guid>,
        /// Whether the decision is hard. Nothing overrides a hard block; only a block by a callout overrides a
        /// hard permit.
        7 is_hard: bool,
    }
}

impl Packet {
    /// Returns the layer at which IPsec classifies the packet: a transport layer, or an IP forward layer
    /// for forwarded packets.
    pub fn layer(&self) -> Guid {
        match (self.path, self.source.0.is_ipv6()) {
            (PacketPath::Inbound, false) => layer::INBOUND_TRANSPORT_V4,
            (PacketPath::Inbound, true) => layer::INBOUND_TRANSPORT_V6,
            (PacketPath::Forward, false) => layer::IPFORWARD_V4,
            (PacketPath::Forward, true) => layer::IPFORWARD_V6,
            (_, false) => layer::OUTBOUND_TRANSPORT_V4,
            (_, true) => layer::OUTBOUND_TRANSPORT_V6,
        }
    }

    /// Returns the addresses in the order of filter conditions: local and remote, or source and destination
    /// for forwarded packets.
    pub fn addresses(&self) -> [std::net::IpAddr; 2] {
        match self.path {
            PacketPath::Inbound => [self.destination.0, self.source.0],
            _ => [self.source.0, self.destination.0],
        }
    }

    /// Returns the ports in the order of [`Packet::addresses`].
    pub fn ports(&self) -> [u16; 2] {
        match self.path {
            PacketPath::Inbound => [self.destination_port, self.source_port],
            _ => [self.source_port, self.destination_port],
        }
    }

    /// Returns the value of a field, or `None` if the packet has no such field. Forwarded packets have a
    /// protocol and ports only if `fields` contains them.
    pub fn field(&self, field: Guid) -> Option<Value> {
        let [first, second] = self.addresses();
        let [first_port, second_port] = self.ports();
        let forwarded = self.path == PacketPath::Forward;
        let value = match field {
            condition::IP_LOCAL_ADDRESS if !forwarded => Value::address(first),
            condition::IP_REMOTE_ADDRESS if !forwarded => Value::address(second),
            condition::IP_SOURCE_ADDRESS if forwarded => Value::address(first),
            condition::IP_DESTINATION_ADDRESS if forwarded => Value::address(second),
            condition::IP_PROTOCOL if !forwarded => Value::Uint8(self.protocol),
            condition::IP_LOCAL_PORT if !forwarded => Value::Uint16(first_port),
            condition::IP_REMOTE_PORT if !forwarded => Value::Uint16(second_port),
            other => {
                return self
                    .fields
                    .iter()
                    .find(|field| field.field == other)
                    .map(|field| field.value.clone());
            }
        };
        Some(value)
    }
}

impl Verdict {
    /// Returns the first decision whose filter has a provider context.
    pub fn policy(&self) -> Option<&SubLayerDecision> {
        self.decisions.iter().find(|decision| decision.provider_context.is_some())
    }
}
