//! Changes: the calls that move SA contexts through their life, as values.

use crate::Code;
use crate::Error;
use crate::FilterId;
use crate::Operation;
use crate::Result;
use crate::SaBundle;
use crate::SaContext;
use crate::SaContextId;
use crate::Spi;
use crate::Traffic;
use crate::UdpEncapsulation;
use crate::VirtualIfTunnel;
use std::fmt;

/// What a new SA context protects. WFP: the arguments of `IPsecSaContextCreate1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSaContext {
    /// The outbound traffic.
    pub traffic: Traffic,
    /// Its filter (transport mode) or tunnel policy; 0: none.
    pub filter_id: FilterId,
    /// The virtual interface of the tunnel, if any.
    pub virtual_if_tunnel: Option<VirtualIfTunnel>,
}

impl NewSaContext {
    /// A context for this traffic that names no filter.
    pub fn new(traffic: Traffic) -> NewSaContext {
        NewSaContext { traffic, filter_id: FilterId(0), virtual_if_tunnel: None }
    }

    /// The same with its filter or tunnel policy.
    #[must_use]
    pub fn filter(mut self, id: FilterId) -> NewSaContext {
        self.filter_id = id;
        self
    }
}

/// What the inbound SPI is for. WFP: `IPSEC_GETSPI1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRequest {
    /// The inbound traffic: addresses, type and IP version are the context's.
    pub traffic: Traffic,
    /// Its filter or tunnel policy; 0: none.
    pub filter_id: FilterId,
    /// UDP encapsulation, if any.
    pub udp_encapsulation: Option<UdpEncapsulation>,
}

impl InboundRequest {
    /// A request for this traffic that names no filter and no UDP encapsulation.
    pub fn new(traffic: Traffic) -> InboundRequest {
        InboundRequest { traffic, filter_id: FilterId(0), udp_encapsulation: None }
    }

    /// The same with its filter or tunnel policy.
    #[must_use]
    pub fn filter(mut self, id: FilterId) -> InboundRequest {
        self.filter_id = id;
        self
    }

    /// The same with UDP encapsulation.
    #[must_use]
    pub fn udp(mut self, local_port: u16, remote_port: u16) -> InboundRequest {
        self.udp_encapsulation = Some(UdpEncapsulation { local_port, remote_port });
        self
    }
}

/// Which parts of a context an update changes. WFP: the `flags` of `IPsecSaContextUpdate0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UpdateFlags(u64);

impl UpdateFlags {
    /// Addresses, ports and filter ids, `IPSEC_SA_DETAILS_UPDATE_TRAFFIC` 0x01.
    pub const TRAFFIC: UpdateFlags = UpdateFlags(0x01);
    /// UDP encapsulation, `IPSEC_SA_DETAILS_UPDATE_UDP_ENCAPSULATION` 0x02.
    pub const UDP_ENCAPSULATION: UpdateFlags = UpdateFlags(0x02);
    /// The bundles' flags, `IPSEC_SA_BUNDLE_UPDATE_FLAGS` 0x04.
    pub const FLAGS: UpdateFlags = UpdateFlags(0x04);
    /// The context of network access protection, `IPSEC_SA_BUNDLE_UPDATE_NAP_CONTEXT` 0x08.
    pub const NAP_CONTEXT: UpdateFlags = UpdateFlags(0x08);
    /// The keying module's state, `IPSEC_SA_BUNDLE_UPDATE_KEY_MODULE_STATE` 0x10.
    pub const KEY_MODULE_STATE: UpdateFlags = UpdateFlags(0x10);
    /// The peer's address behind its NAT, `IPSEC_SA_BUNDLE_UPDATE_PEER_V4_PRIVATE_ADDRESS` 0x20.
    pub const PEER_V4_PRIVATE_ADDRESS: UpdateFlags = UpdateFlags(0x20);
    /// The IKE SA's id, `IPSEC_SA_BUNDLE_UPDATE_MM_SA_ID` 0x40.
    pub const MM_SA_ID: UpdateFlags = UpdateFlags(0x40);
    /// All parts.
    pub const ALL: UpdateFlags = UpdateFlags(0x7F);

    /// The flags of a caller's 64 bits.
    ///
    /// # Errors
    /// `FWP_E_INVALID_FLAGS` for bits that have no meaning.
    pub fn from_bits(bits: u64) -> Result<UpdateFlags> {
        if bits & !UpdateFlags::ALL.0 == 0 {
            return Ok(UpdateFlags(bits));
        }
        let unknown = bits & !UpdateFlags::ALL.0;
        Err(Error::new(Code::FWP_E_INVALID_FLAGS, format!("the update flags {unknown:#x} have no meaning"))
            .with_remedy(
                "the known ones are 0x1 to 0x40, IPSEC_SA_DETAILS_UPDATE_* and IPSEC_SA_BUNDLE_UPDATE_*",
            ))
    }

    /// As WFP's bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// These flags and those.
    #[must_use]
    pub const fn and(self, other: UpdateFlags) -> UpdateFlags {
        UpdateFlags(self.0 | other.0)
    }

    /// Whether all of `flags` are among these.
    pub const fn contain(self, flags: UpdateFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl fmt::Debug for UpdateFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdateFlags({:#x})", self.0)
    }
}

/// One step in the life of an SA context: a call that changes it.
///
/// [`Session`](crate::Session) has a method for each; as values they make up batches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SaContextStep {
    /// Creates a context, with no SA yet. WFP: `IPsecSaContextCreate0/1`.
    Create(NewSaContext),
    /// Has the engine choose the inbound SPI. WFP: `IPsecSaContextGetSpi0/1`.
    GetSpi(SaContextId, InboundRequest),
    /// Sets the inbound SPI. WFP: `IPsecSaContextSetSpi0`.
    SetSpi(SaContextId, InboundRequest, Spi),
    /// Adds the inbound SAs. WFP: `IPsecSaContextAddInbound0/1`.
    AddInbound(SaContextId, SaBundle),
    /// Adds the outbound SAs, after which the context is complete. WFP: `IPsecSaContextAddOutbound0/1`.
    AddOutbound(SaContextId, SaBundle),
    /// Changes parts of the complete context with the values' id to the values. WFP:
    /// `IPsecSaContextUpdate0`.
    Update(UpdateFlags, Box<SaContext>),
    /// Starts the expiry. WFP: `IPsecSaContextExpire0`.
    Expire(SaContextId),
    /// Deletes a context at once. WFP: `IPsecSaContextDeleteById0`.
    Delete(SaContextId),
    /// Create and get SPI in one; ours, for batches.
    Reserve(NewSaContext, InboundRequest),
    /// Add inbound and add outbound in one; ours, for batches.
    Complete(SaContextId, Box<BundlePair>),
    /// A whole life up to completion in one, with the SPI of the inbound bundle; ours, for batches.
    Establish(NewSaContext, InboundRequest, Box<BundlePair>),
}

/// The bundles of both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePair {
    /// What arrives.
    pub inbound: SaBundle,
    /// What leaves.
    pub outbound: SaBundle,
}

impl SaContextStep {
    /// The calls that it stands for, whose rules all hold for it.
    pub fn operations(&self) -> &'static [Operation] {
        use Operation as O;
        match self {
            SaContextStep::Create(_) => &[O::SaContextCreate],
            SaContextStep::GetSpi(..) => &[O::SaContextGetSpi],
            SaContextStep::SetSpi(..) => &[O::SaContextSetSpi],
            SaContextStep::AddInbound(..) => &[O::SaContextAddInbound],
            SaContextStep::AddOutbound(..) => &[O::SaContextAddOutbound],
            SaContextStep::Update(..) => &[O::SaContextUpdate],
            SaContextStep::Expire(_) => &[O::SaContextExpire],
            SaContextStep::Delete(_) => &[O::SaContextDeleteById],
            SaContextStep::Reserve(..) => &[O::SaContextCreate, O::SaContextGetSpi],
            SaContextStep::Complete(..) => &[O::SaContextAddInbound, O::SaContextAddOutbound],
            SaContextStep::Establish(..) => {
                &[O::SaContextCreate, O::SaContextSetSpi, O::SaContextAddInbound, O::SaContextAddOutbound]
            }
        }
    }

    /// The context that it changes; none for one that it creates.
    pub fn id(&self) -> Option<SaContextId> {
        match self {
            SaContextStep::Create(_) | SaContextStep::Reserve(..) | SaContextStep::Establish(..) => None,
            SaContextStep::GetSpi(id, _)
            | SaContextStep::SetSpi(id, ..)
            | SaContextStep::AddInbound(id, _)
            | SaContextStep::AddOutbound(id, _)
            | SaContextStep::Expire(id)
            | SaContextStep::Delete(id)
            | SaContextStep::Complete(id, _) => Some(*id),
            SaContextStep::Update(_, values) => Some(values.id),
        }
    }
}

/// What a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// The context, created by the step or named by it.
    pub id: SaContextId,
    /// Its inbound SPI, where the step got or set one.
    pub inbound_spi: Option<Spi>,
}

/// What a batch does when one of its steps fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMode {
    /// Nothing of the batch happens, and the error names the step.
    AllOrNothing,
    /// Each step has its own result, as if it were called alone.
    Each,
}
