//! The sample of a strongSwan gateway against what `swanctl --list-sas` said at the same moment.

#![allow(clippy::unwrap_used, reason = "a test")]

mod swanctl;

use openwfp_api::Completeness;
use openwfp_api::SaState;
use std::path::Path;
use std::path::PathBuf;
use swanctl::Child;
use swanctl::children;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name)
}

#[test]
fn every_line_of_list_sas_is_a_context_and_no_other_is() {
    let directory = sample("strongswan-16");
    let list = std::fs::read_to_string(directory.join("list-sas.txt")).unwrap();
    let mut expected = children(&list);
    assert_eq!(expected.len(), 16, "the list itself is read wrongly");

    let listing = openwfp_xfrm::capture::read(&directory).unwrap().listing().unwrap();
    assert_eq!(listing.completeness, Completeness::Whole);
    for context in &listing.contexts {
        assert_eq!(context.state, SaState::Complete);
        assert_eq!(context.traffic.endpoints.local().to_string(), "10.99.0.1");
        assert_eq!(context.traffic.endpoints.remote().to_string(), "10.99.0.2");
        let (inbound, outbound) = (context.inbound.as_ref().unwrap(), context.outbound.as_ref().unwrap());
        let [selector] = &context.selectors[..] else { panic!("{:?}", context.selectors) };
        let sa = outbound.bundle.sas.first();
        let linux = sa.linux.as_ref().unwrap();
        let found = Child {
            reqid: linux.reqid,
            spi_out: sa.spi.to_string(),
            mode: context.traffic.mode.to_string(),
            transform: format!("{}{}", sa.transform, if linux.esn { "/ESN" } else { "" }),
            local: selector.local.to_string(),
            remote: selector.remote.to_string(),
        };
        let spi_in = inbound.bundle.sas.first().spi.to_string();
        assert_eq!(expected.remove(&spi_in), Some(found), "inbound {spi_in}");
        assert_eq!(inbound.bundle.lifetime.seconds, 4000);
    }
    assert!(expected.is_empty(), "not listed: {expected:?}");
}

#[test]
fn contexts_come_in_the_order_of_their_creation() {
    let listing = openwfp_xfrm::capture::read(&sample("strongswan-16")).unwrap().listing().unwrap();
    let reqids: Vec<u32> = listing
        .contexts
        .iter()
        .map(|context| context.outbound.as_ref().unwrap().bundle.sas.first().linux.as_ref().unwrap().reqid)
        .collect();
    assert_eq!(reqids, (1..=16).collect::<Vec<_>>());
}
