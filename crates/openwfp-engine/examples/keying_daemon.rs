//! Sets up a tunnel, rekeys it and deletes it, as a keying daemon does.
//!
//! Run it with `cargo run -p openwfp-engine --example keying_daemon`.

use openwfp_api::Aead;
use openwfp_api::AeadAlgorithm;
use openwfp_api::Code;
use openwfp_api::Endpoints;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::InboundRequest;
use openwfp_api::Key;
use openwfp_api::Lifetime;
use openwfp_api::Mode;
use openwfp_api::NewSaContext;
use openwfp_api::Result;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContextId;
use openwfp_api::SaList;
use openwfp_api::Session;
use openwfp_api::Spi;
use openwfp_api::Traffic;
use openwfp_api::Transform;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;

fn main() -> Result {
    let engine = Engine::new();
    let session = engine.open_session(SessionOptions::new().name("example keying daemon"))?;

    let first = set_up(&*session)?;
    println!("tunnel {first} is {}", session.sa_context_by_id(first)?.state.word());

    // To rekey, add a second context for the same traffic, and expire the old one once it is complete.
    let second = set_up(&*session)?;
    session.sa_context_expire(first)?;
    println!("tunnel {second} replaces {first}, which is {}", session.sa_context_by_id(first)?.state.word());
    println!("{} rekey so far", session.statistics()?.sas.successful_rekeys);

    // The text of an error names the broken rule; programs should match on the code.
    let error =
        session.sa_context_expire(first).err().ok_or_else(|| Error::unreachable("it expires already"))?;
    assert_eq!(error.code(), Code::FWP_E_INCOMPATIBLE_SA_STATE);
    println!("{error}");

    session.sa_context_delete_by_id(second)?;
    session.close()
}

/// Makes the four calls of a setup, with the key exchange between getting the SPI and adding SAs.
fn set_up(session: &dyn Session) -> Result<SaContextId> {
    let endpoints = Endpoints::new([192, 0, 2, 1].into(), [198, 51, 100, 7].into())
        .ok_or_else(|| Error::from(Code::FWP_E_TRAFFIC_MISMATCH))?;
    let traffic = Traffic::new(endpoints, Mode::Tunnel);
    let policy = FilterId(7);

    let id = session.sa_context_create(&NewSaContext::new(traffic.clone()).filter(policy))?;
    let ours =
        session.sa_context_get_spi(id, &InboundRequest::new(traffic).filter(policy).udp(4500, 4500))?;
    let theirs = exchange_keys(ours);
    session.sa_context_add_inbound(id, bundle(ours))?;
    session.sa_context_add_outbound(id, bundle(theirs))?;
    Ok(id)
}

/// Stands in for IKE: sends our SPI to the peer and returns the peer's SPI.
fn exchange_keys(ours: Spi) -> Spi {
    Spi::new(ours.get() ^ 0x0055_5500).unwrap_or(ours)
}

fn bundle(spi: Spi) -> SaBundle {
    // 16 bytes of key followed by 4 bytes of salt, as IKE derives them.
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[0x2A; 20]) };
    SaBundle {
        lifetime: Lifetime { seconds: 3600, kilobytes: 4_000_000, packets: 0 },
        idle_timeout_seconds: 300,
        ..SaBundle::new(SaList::one(Sa { spi, transform: Transform::EspAead(aead), linux: None }))
    }
}
