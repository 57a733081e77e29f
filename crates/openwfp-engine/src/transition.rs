//! The life of an SA context as pure functions: a context and a call give the next version of it, or the
//! code that says why not. No lock, no map, no kernel.
//!
//! ```text
//! create ──▶ Created ── set SPI ──▶ HasSpi ── add inbound ──▶ Inbound ── add outbound ──▶ Complete
//!                                    │  ▲
//!                                    └──┘ set another SPI
//! ```
//!
//! Deleting is possible in every state and leaves nothing, so it is no function here.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::InboundRequest;
use openwfp_api::NewSaContext;
use openwfp_api::Reservation;
use openwfp_api::Result;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaState;
use openwfp_api::Spi;

/// A context in its first state.
pub(crate) fn create(id: SaContextId, new: &NewSaContext) -> SaContext {
    let mut context = SaContext::new(id, new.traffic.clone());
    context.reservation = Some(Box::new(Reservation {
        outbound_filter_id: new.filter_id,
        virtual_if_tunnel: new.virtual_if_tunnel,
        ..Reservation::default()
    }));
    context
}

/// The context with its inbound SPI set.
pub(crate) fn set_spi(context: &SaContext, request: &InboundRequest, spi: Spi) -> Result<SaContext> {
    if !matches!(context.state, SaState::Created | SaState::HasSpi { .. }) {
        return Err(out_of_order(context, "an SPI is set before there is an SA"));
    }
    if !context.traffic.agrees_with(&request.traffic) {
        return Err(Error::new(
            Code::FWP_E_TRAFFIC_MISMATCH,
            format!(
                "the inbound traffic is {:?} in {} mode, that of SA context {} is {:?} in {} mode",
                request.traffic.endpoints,
                request.traffic.mode,
                context.id,
                context.traffic.endpoints,
                context.traffic.mode
            ),
        ));
    }
    if spi.get() < Spi::UNRESERVED_MIN {
        return Err(Error::new(
            Code::FWP_E_OUT_OF_BOUNDS,
            format!("the SPI {spi} is reserved: SPIs start at {:#x} (RFC 4303)", Spi::UNRESERVED_MIN),
        ));
    }
    let mut next = context.clone();
    next.state = SaState::HasSpi { inbound_spi: spi };
    let reservation = next.reservation.get_or_insert_default();
    reservation.inbound_filter_id = request.filter_id;
    reservation.udp_encapsulation = request.udp_encapsulation;
    Ok(next)
}

/// The context with its inbound SAs.
pub(crate) fn add_inbound(context: &SaContext, bundle: SaBundle) -> Result<SaContext> {
    let SaState::HasSpi { inbound_spi } = context.state else {
        return Err(out_of_order(context, "the inbound SAs come after the SPI and before all others"));
    };
    if let Some(sa) = bundle.sas.iter().find(|sa| sa.spi != inbound_spi) {
        return Err(Error::new(
            Code::FWP_E_INVALID_PARAMETER,
            format!("the bundle has the SPI {}, and {inbound_spi} was set for it", sa.spi),
        ));
    }
    check(&bundle)?;
    let mut next = context.clone();
    let reservation = context.reservation.as_deref().cloned().unwrap_or_default();
    next.inbound = Some(details(&reservation, reservation.inbound_filter_id, bundle));
    next.state = SaState::Inbound;
    Ok(next)
}

/// The context with its outbound SAs, which makes it complete.
pub(crate) fn add_outbound(context: &SaContext, bundle: SaBundle) -> Result<SaContext> {
    if context.state != SaState::Inbound {
        return Err(out_of_order(context, "the outbound SAs come after the inbound ones"));
    }
    check(&bundle)?;
    let mut next = context.clone();
    let reservation = next.reservation.take().map(|reservation| *reservation).unwrap_or_default();
    next.outbound = Some(details(&reservation, reservation.outbound_filter_id, bundle));
    next.state = SaState::Complete;
    Ok(next)
}

fn check(bundle: &SaBundle) -> Result {
    bundle.sas.iter().try_for_each(|sa| sa.transform.check())
}

fn details(reservation: &Reservation, filter_id: FilterId, bundle: SaBundle) -> SaDetails {
    SaDetails {
        filter_id,
        bundle,
        udp_encapsulation: reservation.udp_encapsulation,
        virtual_if_tunnel: reservation.virtual_if_tunnel.map(Box::new),
    }
}

fn out_of_order(context: &SaContext, rule: &str) -> Error {
    Error::new(
        Code::FWP_E_INCOMPATIBLE_SA_STATE,
        format!("SA context {} is in the state {:?}; {rule}", context.id, context.state),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp_api::Aead;
    use openwfp_api::AeadAlgorithm;
    use openwfp_api::Endpoints;
    use openwfp_api::Key;
    use openwfp_api::Mode;
    use openwfp_api::Sa;
    use openwfp_api::SaList;
    use openwfp_api::Timestamp;
    use openwfp_api::Traffic;
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
            &NewSaContext { traffic: traffic(2), filter_id: FilterId(7), virtual_if_tunnel },
        )
    }

    /// A context in each state that there is.
    fn in_every_state() -> Vec<SaContext> {
        let created = created();
        let has_spi = set_spi(&created, &request(2), spi(0x1000)).unwrap();
        let inbound = add_inbound(&has_spi, bundle(0x1000)).unwrap();
        let complete = add_outbound(&inbound, bundle(0x2000)).unwrap();
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
            _ => word == "Inbound",
        };
        for context in in_every_state() {
            let outcomes = [
                set_spi(&context, &request(2), spi(0x1000)),
                add_inbound(&context, bundle(0x1000)),
                add_outbound(&context, bundle(0x2000)),
            ];
            let word = format!("{:?}", context.state);
            let word = word.split(' ').next().unwrap();
            for (call, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(next) => {
                        assert!(allowed(word, call), "{word}, call {call}");
                        assert_eq!(next.id, context.id);
                    }
                    Err(error) => {
                        assert!(!allowed(word, call), "{word}, call {call}: {error}");
                        assert_eq!(error.code(), Code::FWP_E_INCOMPATIBLE_SA_STATE);
                        assert!(error.what().contains(word), "{error}");
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
        for outcome in [add_inbound(&states[1], short(0x1000)), add_outbound(&states[2], short(0x2000))] {
            assert_eq!(outcome.unwrap_err().code(), Code::FWP_E_INVALID_CIPHER_TRANSFORM);
        }
    }

    #[test]
    fn a_bundle_with_another_spi_than_the_one_set_is_refused() {
        let has_spi = &in_every_state()[1];
        let error = add_inbound(has_spi, bundle(0x1001)).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER);
        assert!(error.what().contains("0x00001001") && error.what().contains("0x00001000"), "{error}");
    }
}
