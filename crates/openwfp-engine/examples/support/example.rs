//! Code shared by the examples.

use openwfp_api::Aead;
use openwfp_api::AeadAlgorithm;
use openwfp_api::BundlePair;
use openwfp_api::InboundRequest;
use openwfp_api::Key;
use openwfp_api::NewSaContext;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContextStep;
use openwfp_api::SaList;
use openwfp_api::Spi;
use openwfp_api::Traffic;
use openwfp_api::Transform;

/// Returns a step that establishes a complete context with known SPIs, as after a restart.
pub(crate) fn establish(traffic: Traffic, spi: u32) -> SaContextStep {
    let bundle = |spi: u32| {
        let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[0x2A; 20]) };
        let spi = Spi::new(spi.max(Spi::UNRESERVED_MIN)).unwrap_or_else(|| unreachable!("not 0"));
        SaBundle::new(SaList::one(Sa { spi, transform: Transform::EspAead(aead), linux: None }))
    };
    let pair = BundlePair { inbound: bundle(spi), outbound: bundle(spi ^ 0x0100_0000) };
    let request = InboundRequest::new(traffic.clone());
    SaContextStep::Establish(NewSaContext::new(traffic), request, Box::new(pair))
}
