//! Changes of objects: the add and delete calls as values.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::FilterCondition;
use super::Object;
use super::ObjectKind;
use super::ObjectName;
use super::ProviderContext;
use crate::Guid;
use crate::SecurityDescriptor;
use crate::choices;
use crate::records;

/// `FWPM_TUNNEL_FLAG_POINT_TO_POINT`: no filters are added for forwarded traffic.
pub const TUNNEL_POINT_TO_POINT: u32 = 1;
/// `FWPM_TUNNEL_FLAG_ENABLE_VIRTUAL_IF_TUNNELING`: enables tunneling over a virtual interface.
pub const TUNNEL_ENABLE_VIRTUAL_IF: u32 = 2;

choices! {
    /// A change of the engine's objects.
    ObjectStep {
        /// Adds an object. WFP: the `Fwpm*Add0` calls.
        1 add Add(Box<ObjectAdd>),
        /// Deletes an object. WFP: the `Fwpm*DeleteById0` and `Fwpm*DeleteByKey0` calls.
        2 delete Delete(ObjectDelete),
        /// Adds a tunnel policy with its filters. WFP: `FwpmIPsecTunnelAdd3`.
        3 tunnel_add TunnelAdd(Box<TunnelAdd>),
        /// Deletes a tunnel policy by its key, with all objects that were added with it. WFP:
        /// `FwpmIPsecTunnelDeleteByKey0`.
        4 tunnel_delete TunnelDelete(Guid),
    }
}

records! {
    /// An object to add.
    ObjectAdd {
        /// The object.
        1 object: Object,
        /// Security descriptor in SDDL; absent: inherited from the kind of the object.
        2 security: Option<SecurityDescriptor>,
    }
    /// An object to delete.
    ObjectDelete {
        /// Kind: 1 provider, 2 provider context, 3 sublayer, 4 layer, 5 callout, 6 filter.
        1 kind: u32,
        /// Key.
        2 key: Option<Guid>,
        /// Id; ignored if there is a key.
        3 id: u64,
    }
    /// A tunnel policy to add.
    TunnelAdd {
        /// Flags (FWPM_TUNNEL_FLAG_*).
        1 flags: u32,
        /// Provider context with the main-mode policy.
        2 main_mode: Option<ProviderContext>,
        /// Provider context with the tunnel policy. Its key identifies all objects of the tunnel.
        3 tunnel: ProviderContext,
        /// Conditions that select the traffic to tunnel.
        4 conditions: Vec<FilterCondition>,
        /// The only keying module to use.
        5 key_module: Option<Guid>,
        /// Security descriptor of all objects, in SDDL.
        6 security: Option<SecurityDescriptor>,
    }
}

impl ObjectStep {
    /// Returns a step that adds an object, without a security descriptor of its own.
    pub fn add(object: Object) -> ObjectStep {
        ObjectStep::Add(Box::new(ObjectAdd { object, security: None }))
    }

    /// Returns a step that deletes an object.
    pub fn delete(kind: ObjectKind, name: ObjectName) -> ObjectStep {
        let kind = kind.wfp();
        ObjectStep::Delete(match name {
            ObjectName::Key(key) => ObjectDelete { kind, key: Some(key), id: 0 },
            ObjectName::Id(id) => ObjectDelete { kind, key: None, id },
        })
    }
}

impl ObjectDelete {
    /// Returns the name of the object: its key, or its id if it has no key.
    pub fn name(&self) -> ObjectName {
        self.key.map_or(ObjectName::Id(self.id), ObjectName::Key)
    }
}
