//! The session: what a client of an engine can call, wherever the engine is.

use crate::Claim;
use crate::Completeness;
use crate::ContextTemplate;
use crate::FilterId;
use crate::KeyAccess;
use crate::Result;
use crate::SaBundle;
use crate::SaContext;
use crate::SaContextId;
use crate::Spi;
use crate::Traffic;
use crate::UdpEncapsulation;
use crate::VirtualIfTunnel;
use std::sync::Arc;

/// The number of a session: unique while its engine lives, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionNumber(pub u32);

/// The id of an enumerator: its session and a serial number in it that is never used again.
///
/// As one number it is what a C caller's enum handle and a message's field hold, so that neither needs
/// a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId {
    /// The session that made it, and the only one that may use it.
    pub session: SessionNumber,
    /// Counts from 1 in its session.
    pub serial: u32,
}

impl EnumId {
    /// As one number, which is never 0.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.session.0) << 32) | u64::from(self.serial)
    }

    /// The id that [`EnumId::to_bits`] made.
    pub fn from_bits(bits: u64) -> EnumId {
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        EnumId { session: SessionNumber((bits >> 32) as u32), serial: bits as u32 }
    }
}

/// What an enumerator shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnumOptions {
    /// WFP's template; the default one selects all.
    pub template: ContextTemplate,
    /// Only contexts that hold this SPI, in whichever direction; ours.
    pub spi: Option<Spi>,
    /// Only contexts with ids above this one, to go on where an earlier page ended; ours.
    pub after: Option<SaContextId>,
}

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

/// A session with an engine, local or remote: all calls of the API that belong to a session.
///
/// Every call checks, in this order: the session is open; the caller has the rights and the call fits the
/// session, as [`Operation::rules`](crate::Operation::rules) says; then its arguments. A call that fails
/// changes nothing. Sessions are shared by threads freely. Dropping the last reference closes the session.
pub trait Session: Send + Sync {
    /// The session's number.
    fn number(&self) -> SessionNumber;

    /// Creates an enumerator over the database as it is now. WFP: `IPsecSaContextCreateEnumHandle0`.
    ///
    /// # Errors
    /// `FWP_E_INVALID_RANGE` for a bad template, `RPC_E_OUT_OF_RESOURCES` at the limit of open
    /// enumerators, `ERROR_ACCESS_DENIED` without ENUM and READ.
    fn sa_context_create_enum(&self, options: &EnumOptions) -> Result<EnumId>;

    /// Claims the next contexts of an enumerator: `limit` of them, fewer only at its end, none after it.
    /// WFP: `IPsecSaContextEnum0/1`.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` for an enumerator that is closed or never was, `FWP_E_WRONG_SESSION` for
    /// another session's.
    fn sa_context_enum(&self, id: EnumId, limit: u32) -> Result<Claim>;

    /// Frees an enumerator. WFP: `IPsecSaContextDestroyEnumHandle0`.
    ///
    /// # Errors
    /// As [`Session::sa_context_enum`].
    fn sa_context_destroy_enum(&self, id: EnumId) -> Result;

    /// The newest version of one context. WFP: `IPsecSaContextGetById0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` for an unknown id, `ERROR_ACCESS_DENIED` without READ.
    fn sa_context_by_id(&self, id: SaContextId) -> Result<Arc<SaContext>>;

    /// Creates an SA context, with no SA yet. WFP: `IPsecSaContextCreate0/1`.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` without ADD.
    fn sa_context_create(&self, new: &NewSaContext) -> Result<SaContextId>;

    /// Sets the inbound SPI, or sets another one before there is an SA. WFP: `IPsecSaContextSetSpi0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND` for an unknown id, `FWP_E_TRAFFIC_MISMATCH` for other traffic than the context's,
    /// `FWP_E_ALREADY_EXISTS` for an SPI in use on the local address, `FWP_E_OUT_OF_BOUNDS` for a reserved
    /// one, `FWP_E_INCOMPATIBLE_SA_STATE` once there is an SA.
    fn sa_context_set_spi(&self, id: SaContextId, request: &InboundRequest, spi: Spi) -> Result;

    /// Adds the inbound SAs, with the SPI that was set; done when the dataplane has them.
    /// WFP: `IPsecSaContextAddInbound0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_INCOMPATIBLE_SA_STATE` unless the SPI is set and nothing was added,
    /// `FWP_E_INVALID_PARAMETER` for another SPI, `FWP_E_INVALID_AUTH_TRANSFORM` or
    /// `FWP_E_INVALID_CIPHER_TRANSFORM` for keys that do not fit, and the dataplane's own.
    fn sa_context_add_inbound(&self, id: SaContextId, bundle: SaBundle) -> Result;

    /// Adds the outbound SAs, after which the context is complete. WFP: `IPsecSaContextAddOutbound0/1`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `FWP_E_INCOMPATIBLE_SA_STATE` unless the inbound SAs and nothing more were added,
    /// `FWP_E_INVALID_AUTH_TRANSFORM` or `FWP_E_INVALID_CIPHER_TRANSFORM` for keys that do not fit, and the
    /// dataplane's own.
    fn sa_context_add_outbound(&self, id: SaContextId, bundle: SaBundle) -> Result;

    /// Deletes a context with its SAs at once, in any state. WFP: `IPsecSaContextDeleteById0`.
    ///
    /// # Errors
    /// `FWP_E_NOT_FOUND`, `ERROR_ACCESS_DENIED` without DELETE, and the dataplane's own.
    fn sa_context_delete_by_id(&self, id: SaContextId) -> Result;

    /// The right to read keys, for a caller who has it.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` for all others.
    fn key_access(&self) -> Result<KeyAccess>;

    /// Whether the engine's contexts are all that its provider holds.
    ///
    /// # Errors
    /// Only those of the session itself.
    fn completeness(&self) -> Result<Completeness>;

    /// Ends the session: its enumerators go with it. WFP: `FwpmEngineClose0`.
    ///
    /// # Errors
    /// `ERROR_INVALID_HANDLE` if it is closed already.
    fn close(&self) -> Result;
}
