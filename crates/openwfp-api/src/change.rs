//! Changes: the calls that advance an SA context through its life, represented as values.

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

/// The parameters of a new SA context. WFP: the arguments of `IPsecSaContextCreate1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSaContext {
    /// The outbound traffic to protect.
    pub traffic: Traffic,
    /// The ID of the outbound filter (transport mode) or tunnel policy; 0 for none.
    pub filter_id: FilterId,
    /// The virtual interface of the tunnel, if any.
    pub virtual_if_tunnel: Option<VirtualIfTunnel>,
}

impl NewSaContext {
    /// Returns parameters for this traffic without a filter.
    pub fn new(traffic: Traffic) -> NewSaContext {
        NewSaContext { traffic, filter_id: FilterId(0), virtual_if_tunnel: None }
    }

    /// Sets the filter or tunnel policy.
    #[must_use]
    pub fn filter(mut self, id: FilterId) -> NewSaContext {
        self.filter_id = id;
        self
    }
}

/// The parameters of a request for an inbound SPI. WFP: `IPSEC_GETSPI1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRequest {
    /// The inbound traffic. Its addresses, type and IP version must equal those of the context.
    pub traffic: Traffic,
    /// The ID of the inbound filter or tunnel policy; 0 for none.
    pub filter_id: FilterId,
    /// UDP encapsulation, if any.
    pub udp_encapsulation: Option<UdpEncapsulation>,
}

impl InboundRequest {
    /// Returns a request for this traffic without a filter or UDP encapsulation.
    pub fn new(traffic: Traffic) -> InboundRequest {
        InboundRequest { traffic, filter_id: FilterId(0), udp_encapsulation: None }
    }

    /// Sets the filter or tunnel policy.
    #[must_use]
    pub fn filter(mut self, id: FilterId) -> InboundRequest {
        self.filter_id = id;
        self
    }

    /// Sets the UDP encapsulation's ports.
    #[must_use]
    pub fn udp(mut self, local_port: u16, remote_port: u16) -> InboundRequest {
        self.udp_encapsulation = Some(UdpEncapsulation { local_port, remote_port });
        self
    }
}

/// The parts of a context that an update changes. WFP: the `flags` of `IPsecSaContextUpdate0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UpdateFlags(u64);

impl UpdateFlags {
    /// Addresses, ports and filter IDs, `IPSEC_SA_DETAILS_UPDATE_TRAFFIC` 0x01.
    pub const TRAFFIC: UpdateFlags = UpdateFlags(0x01);
    /// UDP encapsulation, `IPSEC_SA_DETAILS_UPDATE_UDP_ENCAPSULATION` 0x02.
    pub const UDP_ENCAPSULATION: UpdateFlags = UpdateFlags(0x02);
    /// The bundles' flags, `IPSEC_SA_BUNDLE_UPDATE_FLAGS` 0x04.
    pub const FLAGS: UpdateFlags = UpdateFlags(0x04);
    /// The Network Access Protection (NAP) context, `IPSEC_SA_BUNDLE_UPDATE_NAP_CONTEXT` 0x08.
    pub const NAP_CONTEXT: UpdateFlags = UpdateFlags(0x08);
    /// The keying module's state, `IPSEC_SA_BUNDLE_UPDATE_KEY_MODULE_STATE` 0x10.
    pub const KEY_MODULE_STATE: UpdateFlags = UpdateFlags(0x10);
    /// The peer's private IPv4 address behind a NAT, `IPSEC_SA_BUNDLE_UPDATE_PEER_V4_PRIVATE_ADDRESS` 0x20.
    pub const PEER_V4_PRIVATE_ADDRESS: UpdateFlags = UpdateFlags(0x20);
    /// The ID of the IKE SA, `IPSEC_SA_BUNDLE_UPDATE_MM_SA_ID` 0x40.
    pub const MM_SA_ID: UpdateFlags = UpdateFlags(0x40);
    /// All parts.
    pub const ALL: UpdateFlags = UpdateFlags(0x7F);

    /// Returns the flags that a caller's 64 bits represent.
    ///
    /// # Errors
    /// `FWP_E_INVALID_FLAGS` for undefined bits.
    pub fn from_bits(bits: u64) -> Result<UpdateFlags> {
        if bits & !UpdateFlags::ALL.0 == 0 {
            return Ok(UpdateFlags(bits));
        }
        let unknown = bits & !UpdateFlags::ALL.0;
        Err(Error::new(Code::FWP_E_INVALID_FLAGS, format!("unknown update flags {unknown:#x}"))
            .with_remedy("Use IPSEC_SA_DETAILS_UPDATE_* and IPSEC_SA_BUNDLE_UPDATE_*, 0x1 to 0x40."))
    }

    /// Returns the flags as WFP's bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Returns the union of both sets of flags.
    #[must_use]
    pub const fn and(self, other: UpdateFlags) -> UpdateFlags {
        UpdateFlags(self.0 | other.0)
    }

    /// Returns whether this set contains all of `flags`.
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
/// [`Session`](crate::Session) has a method for each WFP call. A batch is a list of steps.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SaContextStep {
    /// Creates an SA context without any SAs. WFP: `IPsecSaContextCreate0/1`.
    Create(NewSaContext),
    /// Gets the inbound SPI, which the engine chooses unless one is set. WFP: `IPsecSaContextGetSpi0/1`.
    GetSpi(SaContextId, InboundRequest),
    /// Sets the inbound SPI. WFP: `IPsecSaContextSetSpi0`.
    SetSpi(SaContextId, InboundRequest, Spi),
    /// Adds the inbound SAs. WFP: `IPsecSaContextAddInbound0/1`.
    AddInbound(SaContextId, SaBundle),
    /// Adds the outbound SAs, which completes the context. WFP: `IPsecSaContextAddOutbound0/1`.
    AddOutbound(SaContextId, SaBundle),
    /// Changes parts of a complete context to the given values. The ID in the values identifies the
    /// context. WFP: `IPsecSaContextUpdate0`.
    Update(UpdateFlags, Box<SaContext>),
    /// Starts the expiry of a context. WFP: `IPsecSaContextExpire0`.
    Expire(SaContextId),
    /// Deletes a context immediately. WFP: `IPsecSaContextDeleteById0`.
    Delete(SaContextId),
    /// Creates a context and gets its inbound SPI in one step. OpenWFP extension, for batches.
    Reserve(NewSaContext, InboundRequest),
    /// Adds the inbound and outbound SAs in one step. OpenWFP extension, for batches.
    Complete(SaContextId, Box<BundlePair>),
    /// Creates a complete context in one step, with the SPI of the inbound bundle. OpenWFP extension, for
    /// batches.
    Establish(NewSaContext, InboundRequest, Box<BundlePair>),
}

/// The bundles of both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePair {
    /// The inbound bundle.
    pub inbound: SaBundle,
    /// The outbound bundle.
    pub outbound: SaBundle,
}

impl SaContextStep {
    /// Returns the calls that this step stands for. The rules of all of them apply to it.
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

    /// Returns the ID of the context that the step changes; `None` if it creates one.
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

impl BatchMode {
    /// Checks the number of steps of a batch.
    ///
    /// # Errors
    /// `RPC_S_INVALID_BOUND` for more than [`bounds::BATCH_STEPS`](crate::bounds::BATCH_STEPS).
    pub fn check_count(steps: usize) -> Result {
        crate::bounds::check("the list of steps of a batch", steps, crate::bounds::BATCH_STEPS)
            .map_err(|error| error.with_remedy("Use several batches."))
    }
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// The ID of the context that the step created or changed.
    pub id: SaContextId,
    /// The inbound SPI, if the step got or set one.
    pub inbound_spi: Option<Spi>,
}

/// The effect of a failed step on its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMode {
    /// The whole batch has no effect, and the error names the step that failed.
    AllOrNothing,
    /// Each step succeeds or fails on its own, as if called separately.
    Each,
}
