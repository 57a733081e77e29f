//! Pure functions for the life cycle of an SA context. Each turns a context into its next version, or
//! returns the code that says why it cannot; after an error the context must be discarded. They take no
//! lock, read no map and know no kernel.
//!
//! ```text
//! create ──▶ Created ── get or set SPI ──▶ HasSpi ── add inbound ──▶ Inbound ── add outbound ──▶ Complete ─┐
//!                                           │  ▲                        │                         │    ▲   │
//!                                           └──┘ set another SPI        └───────── expire ────────┤    └───┘
//!                                                                                                 ▼   update
//!                                                          gone ◀── a minute later ──────────  Expiring
//! ```
//!
//! A context can be deleted in every state, which leaves nothing behind, so no function here does it.

use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::InboundRequest;
use openwfp_api::IpVersion;
use openwfp_api::KeyingExtras;
use openwfp_api::NewSaContext;
use openwfp_api::Reservation;
use openwfp_api::Result;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaState;
use openwfp_api::Spi;
use openwfp_api::Timestamp;
use openwfp_api::Traffic;
use openwfp_api::TrafficType;
use openwfp_api::UpdateFlags;
use std::sync::Arc;

/// The defined bits of a bundle's flags, `IPSEC_SA_BUNDLE_FLAG_*`.
const BUNDLE_FLAGS: u32 = 0xF0FF_FEFF;

/// Creates a context in its first state.
///
/// # Errors
/// `FWP_E_RESERVED` if the traffic of a tunnel has a protocol or ports.
pub(crate) fn create(id: SaContextId, new: NewSaContext) -> Result<SaContext> {
    let traffic = &new.traffic;
    let selects = (traffic.ip_protocol, traffic.local_port, traffic.remote_port) != (0, 0, 0);
    if selects && traffic.mode.traffic_type() == TrafficType::Tunnel {
        return Err(Error::new(
            Code::FWP_E_RESERVED,
            "tunnel traffic must have protocol and ports 0; the tunnel's policy holds the inner selectors",
        ));
    }
    let mut context = SaContext::new(id, new.traffic);
    context.reservation = Some(Arc::new(Reservation {
        outbound_filter_id: new.filter_id,
        virtual_if_tunnel: new.virtual_if_tunnel,
        ..Reservation::default()
    }));
    Ok(context)
}

/// Checks that an inbound SPI may be allocated or set for a context.
///
/// # Errors
/// `FWP_E_INCOMPATIBLE_SA_STATE` if the context already has an SA, `FWP_E_TRAFFIC_MISMATCH` if the
/// request is for other traffic.
pub(crate) fn check_request(context: &SaContext, request: &InboundRequest) -> Result {
    if !matches!(context.state, SaState::Created | SaState::HasSpi { .. }) {
        return Err(out_of_order(context, "its SPI can be set only before it has an SA"));
    }
    if !context.traffic.agrees_with(&request.traffic) {
        return Err(mismatch(context, "the inbound traffic", &request.traffic));
    }
    Ok(())
}

/// Sets the inbound SPI of a context that passed [`check_request`].
///
/// # Errors
/// `FWP_E_OUT_OF_BOUNDS` if the SPI is reserved.
pub(crate) fn with_spi(context: &mut SaContext, request: &InboundRequest, spi: Spi) -> Result {
    check_spi(spi)?;
    context.state = SaState::HasSpi { inbound_spi: spi };
    let reservation = Arc::make_mut(context.reservation.get_or_insert_default());
    reservation.inbound_filter_id = request.filter_id;
    reservation.udp_encapsulation = request.udp_encapsulation;
    Ok(())
}

/// Adds the inbound SAs to a context that has its SPI.
pub(crate) fn add_inbound(context: &mut SaContext, bundle: SaBundle) -> Result {
    let SaState::HasSpi { inbound_spi } = context.state else {
        return Err(out_of_order(
            context,
            "inbound SAs must be added after the SPI is set and before any other SA",
        ));
    };
    if let Some(sa) = bundle.sas.iter().find(|sa| sa.spi != inbound_spi) {
        return Err(Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            format!("the bundle has SPI {}, but the context's inbound SPI is {inbound_spi}", sa.spi),
        ));
    }
    check(context, &bundle)?;
    let details = match &context.reservation {
        Some(reservation) => details(reservation, reservation.inbound_filter_id, bundle),
        None => details(&Reservation::default(), FilterId(0), bundle),
    };
    context.inbound = Some(details);
    context.state = SaState::Inbound;
    Ok(())
}

/// Adds the outbound SAs to a context, which completes it.
pub(crate) fn add_outbound(context: &mut SaContext, bundle: SaBundle) -> Result {
    let (SaState::Inbound, Some(inbound)) = (context.state, &context.inbound) else {
        return Err(out_of_order(context, "outbound SAs must be added once, after the inbound ones"));
    };
    check(context, &bundle)?;
    let (one, other) = (inbound.bundle.qm_sa_id, bundle.qm_sa_id);
    if one != other && one != 0 && other != 0 {
        return Err(Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            format!("the outbound bundle has qmSaId {other}, but the inbound one has {one}"),
        ));
    }
    let reservation = context.reservation.take().unwrap_or_default();
    context.outbound = Some(details(&reservation, reservation.outbound_filter_id, bundle));
    context.state = SaState::Complete;
    Ok(())
}

/// Copies the parts that `flags` names from `values` to a complete context.
pub(crate) fn update(context: &mut SaContext, flags: UpdateFlags, values: &SaContext) -> Result {
    if context.state != SaState::Complete {
        return Err(out_of_order(context, "only a complete context can be updated"));
    }
    if flags.contain(UpdateFlags::TRAFFIC) {
        let (old, new) = (&context.traffic, &values.traffic);
        let same_version = old.endpoints.ip_version() == new.endpoints.ip_version();
        if old.mode.traffic_type() != new.mode.traffic_type() || !same_version {
            return Err(mismatch(context, "the new traffic", new));
        }
        // Keep the mode: it is finer than WFP's traffic type, and only the traffic type has to match.
        context.traffic = Traffic { mode: context.traffic.mode, ..new.clone() };
    }
    let endpoints = context.traffic.endpoints;
    for (direction, slot) in
        [(Direction::Inbound, &mut context.inbound), (Direction::Outbound, &mut context.outbound)]
    {
        let (Some(details), Some(new)) = (slot, values.details(direction)) else {
            return Err(Error::new(
                Code::FWP_E_NULL_POINTER,
                format!("the new values lack the {direction} SA; an update needs both directions"),
            ));
        };
        update_details(details, flags, new, endpoints)?;
    }
    Ok(())
}

fn update_details(
    details: &mut SaDetails,
    flags: UpdateFlags,
    new: &SaDetails,
    endpoints: Endpoints,
) -> Result {
    if flags.contain(UpdateFlags::TRAFFIC) {
        details.filter_id = new.filter_id;
    }
    if flags.contain(UpdateFlags::UDP_ENCAPSULATION) {
        details.udp_encapsulation = new.udp_encapsulation;
    }
    if flags.contain(UpdateFlags::FLAGS) {
        check_flags(new.bundle.flags)?;
        details.bundle.flags = new.bundle.flags;
    }
    if flags.contain(UpdateFlags::MM_SA_ID) {
        details.bundle.mm_sa_id = new.bundle.mm_sa_id;
    }
    let mut keying = details.bundle.keying.as_deref().cloned().unwrap_or_default();
    let new_keying = new.bundle.keying.as_deref().cloned().unwrap_or_default();
    if flags.contain(UpdateFlags::NAP_CONTEXT) {
        keying.nap_context = new_keying.nap_context;
    }
    if flags.contain(UpdateFlags::KEY_MODULE_STATE) {
        keying.key_module_state = new_keying.key_module_state;
    }
    if flags.contain(UpdateFlags::PEER_V4_PRIVATE_ADDRESS) {
        keying.peer_v4_private_address = new_keying.peer_v4_private_address;
        check_private_address(&keying, endpoints)?;
    }
    details.bundle.keying = (keying != KeyingExtras::default()).then(|| Box::new(keying));
    Ok(())
}

/// Starts the expiry of a context by removing its outbound SAs. Returns whether anything is left of it.
pub(crate) fn expire(context: &mut SaContext, now: Timestamp) -> Result<bool> {
    match context.state {
        SaState::Inbound | SaState::Complete => {
            context.state = SaState::Expiring { since: now };
            context.outbound = None;
            Ok(true)
        }
        SaState::Outbound => Ok(false),
        _ => Err(out_of_order(
            context,
            "only a context that has an SA and is not expiring yet can be expired; delete it instead",
        )),
    }
}

fn check(context: &SaContext, bundle: &SaBundle) -> Result {
    check_flags(bundle.flags)?;
    if let Some(keying) = &bundle.keying {
        check_private_address(keying, context.traffic.endpoints)?;
    }
    bundle.sas.iter().try_for_each(|sa| {
        check_spi(sa.spi)?;
        sa.transform.check()
    })
}

fn check_flags(flags: u32) -> Result {
    if flags & !BUNDLE_FLAGS == 0 {
        return Ok(());
    }
    let what = format!("unknown bundle flags {:#x}", flags & !BUNDLE_FLAGS);
    Err(Error::new(Code::FWP_E_INVALID_FLAGS, what).with_remedy("Use IPSEC_SA_BUNDLE_FLAG_*."))
}

fn check_spi(spi: Spi) -> Result {
    if spi.get() >= Spi::UNRESERVED_MIN {
        return Ok(());
    }
    Err(Error::new(
        Code::FWP_E_OUT_OF_BOUNDS,
        format!("SPI {spi} is reserved: the lowest is {:#x} (RFC 4303)", Spi::UNRESERVED_MIN),
    ))
}

fn check_private_address(keying: &KeyingExtras, endpoints: Endpoints) -> Result {
    match keying.peer_v4_private_address {
        Some(address) if endpoints.ip_version() == IpVersion::V6 => Err(Error::new(
            Code::FWP_E_TRAFFIC_MISMATCH,
            format!("the peer's private address {address} is IPv4, but the traffic is IPv6"),
        )),
        _ => Ok(()),
    }
}

fn details(reservation: &Reservation, filter_id: FilterId, bundle: SaBundle) -> SaDetails {
    SaDetails {
        filter_id,
        bundle,
        udp_encapsulation: reservation.udp_encapsulation,
        virtual_if_tunnel: reservation.virtual_if_tunnel.map(Box::new),
    }
}

fn mismatch(context: &SaContext, what: &str, traffic: &Traffic) -> Error {
    Error::new(
        Code::FWP_E_TRAFFIC_MISMATCH,
        format!(
            "{what} is {} <=> {} in {} mode, but that of SA context {} is {} <=> {} in {} mode",
            traffic.endpoints.local(),
            traffic.endpoints.remote(),
            traffic.mode,
            context.id,
            context.traffic.endpoints.local(),
            context.traffic.endpoints.remote(),
            context.traffic.mode
        ),
    )
}

fn out_of_order(context: &SaContext, rule: &str) -> Error {
    Error::new(
        Code::FWP_E_INCOMPATIBLE_SA_STATE,
        format!("SA context {} is {}: {rule}", context.id, context.state.word()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Aead;
    use openwfp_api::AeadAlgorithm;
    use openwfp_api::Key;
    use openwfp_api::Mode;
    use openwfp_api::Sa;
    use openwfp_api::SaList;
    use openwfp_api::Transform;
    use openwfp_api::UdpEncapsulation;
    use openwfp_api::VirtualIfTunnel;

    fn traffic(last: u8) -> Traffic {
        Traffic::new(Endpoints::new([10, 0, 0, 1].into(), [10, 0, 0, last].into()).unwrap(), Mode::Tunnel)
    }

    fn spi(value: u32) -> Spi {
        Spi::new(value).unwrap()
    }

    fn request(last: u8) -> InboundRequest {
        let udp_encapsulation = Some(UdpEncapsulation { local_port: 4500, remote_port: 61000 });
        InboundRequest { traffic: traffic(last), filter_id: FilterId(8), udp_encapsulation }
    }

    fn bundle(value: u32) -> SaBundle {
        let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
        SaBundle::new(SaList::one(Sa { spi: spi(value), transform: Transform::EspAead(aead), linux: None }))
    }

    fn created() -> SaContext {
        let virtual_if_tunnel = Some(VirtualIfTunnel { virtual_if_tunnel_id: 3, traffic_selector_id: 4 });
        create(
            SaContextId(1),
            NewSaContext { virtual_if_tunnel, ..NewSaContext::new(traffic(2)).filter(FilterId(7)) },
        )
        .unwrap()
    }

    fn set_spi(context: &SaContext, request: &InboundRequest, spi: Spi) -> Result<SaContext> {
        check_request(context, request)?;
        after(context, |context| with_spi(context, request, spi))
    }

    fn after(context: &SaContext, step: impl FnOnce(&mut SaContext) -> Result) -> Result<SaContext> {
        let mut next = context.clone();
        step(&mut next).map(|()| next)
    }

    fn inbound_added(context: &SaContext, bundle: SaBundle) -> Result<SaContext> {
        after(context, |context| add_inbound(context, bundle))
    }

    fn outbound_added(context: &SaContext, bundle: SaBundle) -> Result<SaContext> {
        after(context, |context| add_outbound(context, bundle))
    }

    fn updated(context: &SaContext, flags: UpdateFlags, values: &SaContext) -> Result<SaContext> {
        after(context, |context| update(context, flags, values))
    }

    fn expired(context: &SaContext) -> Result<SaContext> {
        after(context, |context| expire(context, Timestamp(9)).map(drop))
    }

    /// Returns one context in each state.
    fn in_every_state() -> Vec<SaContext> {
        let created = created();
        let has_spi = set_spi(&created, &request(2), spi(0x1000)).unwrap();
        let inbound = inbound_added(&has_spi, bundle(0x1000)).unwrap();
        let complete = outbound_added(&inbound, bundle(0x2000)).unwrap();
        let outbound = SaContext { inbound: None, state: SaState::Outbound, ..complete.clone() };
        let expiring = SaContext {
            outbound: None,
            state: SaState::Expiring { since: Timestamp(0) },
            ..complete.clone()
        };
        vec![created, has_spi, inbound, complete, outbound, expiring]
    }

    #[test]
    fn every_state_and_every_call_give_the_next_state_or_incompatible_sa_state() {
        let allowed = |word: &str, call: usize| match call {
            0 => matches!(word, "Created" | "HasSpi"),
            1 => word == "HasSpi",
            2 => word == "Inbound",
            3 => word == "Complete",
            _ => matches!(word, "Inbound" | "Outbound" | "Complete"),
        };
        let values = &in_every_state()[3];
        for context in in_every_state() {
            let outcomes = [
                set_spi(&context, &request(2), spi(0x1000)),
                inbound_added(&context, bundle(0x1000)),
                outbound_added(&context, bundle(0x2000)),
                updated(&context, UpdateFlags::ALL, values),
                expired(&context),
            ];
            let name = format!("{:?}", context.state);
            let name = name.split(' ').next().unwrap();
            for (call, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(next) => {
                        assert!(allowed(name, call), "{name}, call {call}");
                        assert_eq!(next.id, context.id);
                    }
                    Err(error) => {
                        assert!(!allowed(name, call), "{name}, call {call}: {error}");
                        assert_eq!(error.code(), Code::FWP_E_INCOMPATIBLE_SA_STATE);
                        assert!(error.what().contains(context.state.word()), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_parts_of_a_life_end_where_they_belong() {
        let complete = &in_every_state()[3];
        let (inbound, outbound) = (complete.inbound.as_ref().unwrap(), complete.outbound.as_ref().unwrap());
        assert_eq!((inbound.filter_id, outbound.filter_id), (FilterId(8), FilterId(7)));
        assert_eq!(outbound.udp_encapsulation.unwrap().remote_port, 61000);
        assert_eq!(inbound.virtual_if_tunnel.as_ref().unwrap().traffic_selector_id, 4);
        assert_eq!(complete.reservation, None);
    }

    #[test]
    fn an_spi_is_for_the_contexts_traffic_and_not_reserved() {
        let context = created();
        let error = set_spi(&context, &request(3), spi(0x1000)).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_TRAFFIC_MISMATCH);
        let error = set_spi(&context, &request(2), spi(255)).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_OUT_OF_BOUNDS);
        // Ports and filter ids may differ.
        let mut other = request(2);
        other.traffic.local_port = 80;
        assert!(set_spi(&context, &other, spi(256)).is_ok());
    }

    #[test]
    fn a_bundle_whose_keys_do_not_fit_is_refused_in_both_directions() {
        let states = in_every_state();
        let short = |value| {
            let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 16]) };
            SaBundle::new(SaList::one(Sa {
                spi: spi(value),
                transform: Transform::EspAead(aead),
                linux: None,
            }))
        };
        for outcome in [inbound_added(&states[1], short(0x1000)), outbound_added(&states[2], short(0x2000))] {
            assert_eq!(outcome.unwrap_err().code(), Code::FWP_E_INVALID_CIPHER_TRANSFORM);
        }
    }

    #[test]
    fn a_bundle_with_another_spi_than_the_one_set_is_refused() {
        let has_spi = in_every_state().remove(1);
        let error = inbound_added(&has_spi, bundle(0x1001)).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER);
        assert!(error.what().contains("0x00001001") && error.what().contains("0x00001000"), "{error}");
    }

    type Part = fn(&SaContext) -> String;

    fn bundles(context: &SaContext) -> impl Iterator<Item = &SaBundle> {
        context.directions().map(|(_, details)| &details.bundle)
    }

    fn keying<T>(context: &SaContext, part: fn(&KeyingExtras) -> T) -> Vec<T> {
        bundles(context).map(|b| part(&b.keying.as_deref().cloned().unwrap_or_default())).collect()
    }

    #[test]
    fn an_update_changes_the_parts_that_its_flags_name_and_no_other() {
        let complete = &in_every_state()[3];
        let mut values = complete.clone();
        values.traffic = Traffic { local_port: 0, real_if_profile_id: 5, ..traffic(77) };
        for details in [&mut values.inbound, &mut values.outbound].into_iter().flatten() {
            details.filter_id = FilterId(99);
            details.udp_encapsulation = Some(UdpEncapsulation { local_port: 1, remote_port: 2 });
            details.bundle.flags = 0x0800;
            details.bundle.mm_sa_id = 5;
            details.bundle.idle_timeout_seconds = 1234;
            details.bundle.keying = Some(Box::new(KeyingExtras {
                nap_context: 6,
                key_module_state: Some(openwfp_api::KeyModuleState {
                    key_module_key: openwfp_api::Guid::default(),
                    state_blob: Key::new(&[1, 2]),
                }),
                peer_v4_private_address: Some([192, 168, 0, 9].into()),
                qm_filter_id: 7,
                ..KeyingExtras::default()
            }));
        }
        // The parts that each flag copies, as a function of the context.
        let parts: [(UpdateFlags, Part); 7] = [
            (UpdateFlags::TRAFFIC, |c| {
                format!("{:?} {:?}", c.traffic, c.directions().map(|(_, d)| d.filter_id).collect::<Vec<_>>())
            }),
            (UpdateFlags::UDP_ENCAPSULATION, |c| {
                format!("{:?}", c.directions().map(|(_, d)| d.udp_encapsulation).collect::<Vec<_>>())
            }),
            (UpdateFlags::FLAGS, |c| format!("{:?}", bundles(c).map(|b| b.flags).collect::<Vec<_>>())),
            (UpdateFlags::NAP_CONTEXT, |c| format!("{:?}", keying(c, |k| k.nap_context))),
            (UpdateFlags::KEY_MODULE_STATE, |c| format!("{:?}", keying(c, |k| k.key_module_state.clone()))),
            (UpdateFlags::PEER_V4_PRIVATE_ADDRESS, |c| {
                format!("{:?}", keying(c, |k| k.peer_v4_private_address))
            }),
            (UpdateFlags::MM_SA_ID, |c| format!("{:?}", bundles(c).map(|b| b.mm_sa_id).collect::<Vec<_>>())),
        ];
        for bits in 0..=UpdateFlags::ALL.bits() {
            let flags = UpdateFlags::from_bits(bits).unwrap();
            let next = updated(complete, flags, &values).unwrap();
            for (flag, part) in parts {
                let from = if flags.contain(flag) { &values } else { complete };
                assert_eq!(part(&next), part(from), "{flag:?} of {flags:?}");
            }
            let bundle = &next.inbound.as_ref().unwrap().bundle;
            assert_eq!(bundle.idle_timeout_seconds, 0, "no flag carries this");
            assert_eq!(bundle.keying.as_deref().map_or(0, |keying| keying.qm_filter_id), 0);
        }
        assert_eq!(UpdateFlags::from_bits(0x80).unwrap_err().code(), Code::FWP_E_INVALID_FLAGS);
    }

    #[test]
    fn an_update_that_cannot_be_is_refused_whole() {
        let complete = &in_every_state()[3];
        let refused = |change: fn(&mut SaContext)| {
            let mut values = complete.clone();
            change(&mut values);
            updated(complete, UpdateFlags::ALL, &values).unwrap_err().code()
        };
        let v6: fn(&mut SaContext) = |values| {
            values.traffic.endpoints = Endpoints::new([1; 8].into(), [2; 8].into()).unwrap();
        };
        assert_eq!(refused(v6), Code::FWP_E_TRAFFIC_MISMATCH);
        assert_eq!(refused(|values| values.traffic.mode = Mode::Transport), Code::FWP_E_TRAFFIC_MISMATCH);
        assert_eq!(refused(|values| values.outbound = None), Code::FWP_E_NULL_POINTER);
        let unknown: fn(&mut SaContext) = |values| values.inbound.as_mut().unwrap().bundle.flags = 0x100;
        assert_eq!(refused(unknown), Code::FWP_E_INVALID_FLAGS);
    }

    #[test]
    fn bundles_that_break_a_rule_are_refused_by_its_code() {
        let has_spi = || in_every_state().remove(1);
        let inbound = || in_every_state().remove(2);
        let unknown_flags = SaBundle { flags: 0x100, ..bundle(0x1000) };
        assert_eq!(inbound_added(&has_spi(), unknown_flags).unwrap_err().code(), Code::FWP_E_INVALID_FLAGS);
        let reserved = outbound_added(&inbound(), bundle(255)).unwrap_err();
        assert_eq!(reserved.code(), Code::FWP_E_OUT_OF_BOUNDS);
        let mut pair = inbound();
        pair.inbound.as_mut().unwrap().bundle.qm_sa_id = 7;
        let other = SaBundle { qm_sa_id: 8, ..bundle(0x2000) };
        assert_eq!(outbound_added(&pair, other).unwrap_err().code(), Code::FWP_E_INVALID_PARAMETER);
        assert!(outbound_added(&pair, bundle(0x2000)).is_ok(), "0 is no id, and real callers leave it so");
        let mut v6 = has_spi();
        v6.traffic.endpoints = Endpoints::new([1; 8].into(), [2; 8].into()).unwrap();
        let keying =
            KeyingExtras { peer_v4_private_address: Some([10, 0, 0, 1].into()), ..KeyingExtras::default() };
        let mixed = SaBundle { keying: Some(Box::new(keying)), ..bundle(0x1000) };
        assert_eq!(inbound_added(&v6, mixed).unwrap_err().code(), Code::FWP_E_TRAFFIC_MISMATCH);
        let ports = Traffic { local_port: 80, ..traffic(2) };
        let tunnel_with_ports = create(SaContextId(1), NewSaContext::new(ports)).unwrap_err();
        assert_eq!(tunnel_with_ports.code(), Code::FWP_E_RESERVED);
    }

    #[test]
    fn expiry_takes_the_outbound_sas_first() {
        let states = in_every_state();
        let expiring = expired(&states[3]).unwrap();
        assert!(expiring.outbound.is_none() && expiring.inbound.is_some());
        assert_eq!(expiring.state, SaState::Expiring { since: Timestamp(9) });
        let mut outbound_only = states[4].clone();
        assert!(!expire(&mut outbound_only, Timestamp(9)).unwrap(), "nothing is left");
    }
}
