//! Lists the contexts of peers in one network page by page, without losing entries that cannot be
//! delivered.
//!
//! Run it with `cargo run -p openwfp-engine --example paging`.

use openwfp_api::AddressMatch;
use openwfp_api::BatchMode;
use openwfp_api::Code;
use openwfp_api::ContextTemplate;
use openwfp_api::Endpoints;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::IpNet;
use openwfp_api::Mode;
use openwfp_api::Result;
use openwfp_api::SaContextStep;
use openwfp_api::Traffic;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;

fn main() -> Result {
    let engine = Engine::new();
    let session = engine.open_session(SessionOptions::new().name("example lister"))?;
    let steps = (0..=255_u8).flat_map(|peer| [[198, 51, 100, peer], [203, 0, 113, peer]]).zip(0x1000..);
    let steps = steps.map(|(remote, spi)| {
        let endpoints = Endpoints::new([192, 0, 2, 1].into(), remote.into());
        let endpoints = endpoints.ok_or_else(|| Error::from(Code::FWP_E_TRAFFIC_MISMATCH))?;
        Ok(example::establish(Traffic::new(endpoints, Mode::Tunnel), spi))
    });
    session.sa_context_batch(steps.collect::<Result<Vec<SaContextStep>>>()?, BatchMode::AllOrNothing)?;

    let network: IpNet = "203.0.113.0/25".parse().map_err(|_| Error::from(Code::FWP_E_INVALID_NET_MASK))?;
    let template = ContextTemplate { remote: AddressMatch::Subnet(network), ..ContextTemplate::default() };
    let enumerator = session.sa_context_create_enum(&EnumOptions { template, ..EnumOptions::default() })?;

    let mut listed = 0;
    loop {
        let claim = session.sa_context_enum(enumerator, 50)?;
        // Assume that only 40 entries fit into the reply. The enumerator returns the others with the next
        // page.
        let sent = claim.accept_first(40);
        listed += sent.len();
        match (sent.first(), sent.last()) {
            (Some(first), Some(last)) => println!("{} to {}: {} contexts", first.id, last.id, sent.len()),
            _ => break,
        }
    }
    println!("{listed} contexts with peers in {network}");
    session.destroy_enum(enumerator)?;
    session.close()
}

#[path = "support/example.rs"]
mod example;
