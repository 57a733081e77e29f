//! What changes objects: the add and delete calls as values.
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

/// `FWPM_TUNNEL_FLAG_POINT_TO_POINT`.
pub const TUNNEL_POINT_TO_POINT: u32 = 1;
/// `FWPM_TUNNEL_FLAG_ENABLE_VIRTUAL_IF_TUNNELING`.
pub const TUNNEL_ENABLE_VIRTUAL_IF: u32 = 2;

choices! {
    /// One change of the engine's objects.
    ObjectStep {
        /// Adds an object. WFP: the `Fwpm*Add0` calls.
        1 add Add(Box<ObjectAdd>),
        /// Deletes an object. WFP: the `Fwpm*DeleteById0` and `Fwpm*DeleteByKey0` calls.
        2 delete Delete(ObjectDelete),
        /// Adds a tunnel policy with its filters. WFP: `FwpmIPsecTunnelAdd3`.
        3 tunnel_add TunnelAdd(Box<TunnelAdd>),
        /// Deletes what a tunnel policy's add call made. WFP: `FwpmIPsecTunnelDeleteByKey0`.
        4 tunnel_delete TunnelDelete(Guid),
    }
}

records! {
    /// An object to be added.
    ObjectAdd {
        /// The object.
        1 object: Object,
        /// Its security descriptor in SDDL; absent: what is inherited from its kind's.
        2 security: Option<SecurityDescriptor>,
    }
    /// An object to be deleted.
    ObjectDelete {
        /// Its kind.
        1 kind: u32,
        /// Its key.
        2 key: Option<Guid>,
        /// Its id, where no key is given.
        3 id: u64,
    }
    /// A tunnel policy to be added.
    TunnelAdd {
        /// FWPM_TUNNEL_FLAG_*.
        1 flags: u32,
        /// The main-mode policy.
        2 main_mode: Option<ProviderContext>,
        /// The tunnel policy, whose key names the whole.
        3 tunnel: ProviderContext,
        /// Which traffic is tunnelled.
        4 conditions: Vec<FilterCondition>,
        /// The only keying module to be asked.
        5 key_module: Option<Guid>,
        /// The objects' security descriptor in SDDL.
        6 security: Option<SecurityDescriptor>,
    }
}

impl ObjectStep {
    /// Adds an object.
    pub fn add(object: Object) -> ObjectStep {
        ObjectStep::Add(Box::new(ObjectAdd { object, security: None }))
    }

    /// Deletes an object.
    pub fn delete(kind: ObjectKind, name: ObjectName) -> ObjectStep {
        let kind = kind.wfp();
        ObjectStep::Delete(match name {
            ObjectName::Key(key) => ObjectDelete { kind, key: Some(key), id: 0 },
            ObjectName::Id(id) => ObjectDelete { kind, key: None, id },
        })
    }
}

impl ObjectDelete {
    /// How the object is named.
    pub fn name(&self) -> ObjectName {
        self.key.map_or(ObjectName::Id(self.id), ObjectName::Key)
    }
}
