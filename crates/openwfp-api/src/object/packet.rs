//! Classification: a packet's description, and what the filters say of it.
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
    /// Which way a packet goes.
    PacketPath "way of a packet" {
        /// From this machine.
        Outbound = 0,
        /// To this machine.
        Inbound = 1,
        /// Through this machine.
        Forward = 2,
    }
}

records! {
    /// A packet, as far as filters look at it.
    Packet {
        /// Which way it goes.
        1 path: PacketPath,
        /// Where it comes from.
        2 source: Address,
        /// Where it goes to, of the same IP version.
        3 destination: Address,
        /// The IP protocol; 0: not known.
        4 protocol: u8,
        /// The source's port, or the ICMP type.
        5 source_port: u16,
        /// The destination's port, or the ICMP code.
        6 destination_port: u16,
        /// Other fields that filters may look at.
        7 fields: Vec<FieldValue>,
    }
    /// A field of a packet.
    FieldValue {
        /// FWPM_CONDITION_*.
        1 field: Guid,
        /// Its value.
        2 value: Value,
    }
    /// What the filters of a layer say of a packet.
    Verdict {
        /// The layer that was asked.
        1 layer: Guid,
        /// Permit or Block; None where no filter decided, which permits.
        2 action: ActionType,
        /// Whether nothing behind this layer's arbitration may override it, `FWPS_RIGHT_ACTION_WRITE` cleared.
        3 is_hard: bool,
        /// Whether a hard permit was overridden by a callout's block, a veto.
        4 is_veto: bool,
        /// The id of the filter that decided; 0: none did.
        5 filter_id: u64,
        /// What each sublayer said, in the order in which they were asked; those without a match are left out.
        6 decisions: Vec<SubLayerDecision>,
    }
    /// What the filters of a sublayer say of a packet.
    SubLayerDecision {
        /// The sublayer.
        1 sublayer: Guid,
        /// The filter that the sublayer ended with.
        2 filter_id: u64,
        /// Its key.
        3 filter_key: Guid,
        /// What it said; a callout of this machine's IPsec permits.
        4 action: ActionType,
        /// Its callout.
        5 callout: Option<Guid>,
        /// Its provider context: the policy that applies.
        6 provider_context: Option<Guid>,
        /// Whether its word may not be overridden.
        7 is_hard: bool,
    }
}

impl Packet {
    /// The layer at which IPsec looks at it.
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

    /// Its addresses as filters name them: local and remote, or source and destination of what is forwarded.
    pub fn addresses(&self) -> [std::net::IpAddr; 2] {
        match self.path {
            PacketPath::Inbound => [self.destination.0, self.source.0],
            _ => [self.source.0, self.destination.0],
        }
    }

    /// Its ports in the order of its addresses.
    pub fn ports(&self) -> [u16; 2] {
        match self.path {
            PacketPath::Inbound => [self.destination_port, self.source_port],
            _ => [self.source_port, self.destination_port],
        }
    }

    /// The value of a field; none if it has none.
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
    /// The first decision that names a policy.
    pub fn policy(&self) -> Option<&SubLayerDecision> {
        self.decisions.iter().find(|decision| decision.provider_context.is_some())
    }
}
