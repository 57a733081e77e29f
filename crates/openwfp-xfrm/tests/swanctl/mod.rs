//! Reads what `swanctl --list-sas` prints.
#![allow(unreachable_pub, reason = "shared by several tests")]

use std::collections::BTreeMap;

/// One `CHILD_SA` as `swanctl --list-sas` prints it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Child {
    pub reqid: u32,
    pub spi_out: String,
    pub mode: String,
    pub transform: String,
    pub local: String,
    pub remote: String,
}

/// The children by inbound SPI: names are not unique, SPIs are.
pub fn children(list: &str) -> BTreeMap<String, Child> {
    let mut children = BTreeMap::new();
    let (mut child, mut spi_in) = (Child::default(), String::new());
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [_, _, "reqid", reqid, state, mode, transform] => {
                assert_eq!(state, "INSTALLED,");
                child = Child { reqid: reqid.trim_end_matches(',').parse().unwrap(), ..Child::default() };
                // `TUNNEL,` or `TUNNEL-in-UDP,`
                child.mode = mode.trim_end_matches(',').to_lowercase();
                child.transform = in_our_words(transform.strip_prefix("ESP:").unwrap());
            }
            ["in", spi, ..] => spi_in = format!("0x{}", spi.trim_end_matches(',')),
            ["out", spi, ..] => child.spi_out = format!("0x{}", spi.trim_end_matches(',')),
            ["local", ref networks @ ..] if networks[0].contains('/') => child.local = with_numbers(networks),
            ["remote", ref networks @ ..] if networks[0].contains('/') => {
                child.remote = with_numbers(networks);
                children.insert(std::mem::take(&mut spi_in), std::mem::take(&mut child));
            }
            _ => {}
        }
    }
    children
}

/// strongSwan writes `AES_GCM_16-128`, `HMAC_SHA2_256_128`, `CHACHA20_POLY1305`.
fn in_our_words(transform: &str) -> String {
    transform.replace('_', "-")
}

/// strongSwan names well-known ports: `10.0.0.1/32[tcp/http]`.
fn with_numbers(networks: &[&str]) -> String {
    networks.join(" ").replace("/http]", "/80]")
}
