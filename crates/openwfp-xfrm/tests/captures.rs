//! Every capture under `samples/` against what `ip -s -d xfrm state` printed at the same moment: each state
//! is in exactly one context, with the same values; and each capture's contexts are the pairs that were set up.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

use openwfp_api::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name)
}

fn contexts(name: &str) -> Vec<SaContext> {
    let listing = openwfp_xfrm::capture::read(&sample(name)).unwrap().listing().unwrap();
    assert_eq!(listing.completeness, Completeness::Whole, "{name}");
    listing.contexts
}

const CAPTURES: [&str; 12] = [
    "algorithms",
    "alone",
    "esn",
    "esp-ah",
    "ipv6-tunnels",
    "larval",
    "limits",
    "marks",
    "nat-t",
    "rekey",
    "strongswan-16",
    "transport",
];

#[test]
fn contexts_that_are_built_one_by_one_are_those_of_the_listing() {
    let cases = std::fs::read_dir(sample("cases")).unwrap().map(|case| case.unwrap().path());
    let directories = CAPTURES.map(sample).into_iter().chain(cases.filter(|path| path.is_dir()));
    for directory in directories {
        let snapshot = openwfp_xfrm::capture::read(&directory).unwrap();
        let listing = snapshot.listing().unwrap();
        snapshot
            .read(|contexts, completeness| {
                assert_eq!(*completeness, listing.completeness, "{}", directory.display());
                assert_eq!(contexts.len(), listing.contexts.len(), "{}", directory.display());
                assert!(contexts.get(contexts.len()).is_none());
                for (number, listed) in listing.contexts.into_iter().enumerate() {
                    let built = contexts.get(number).unwrap();
                    let listed = SaContext { id: SaContextId(number as u64 + 1), ..listed };
                    assert_eq!(format!("{built:?}"), format!("{listed:?}"), "{}", directory.display());
                    for other in 0..contexts.len() {
                        let shared = contexts
                            .get(other)
                            .unwrap()
                            .spis()
                            .any(|(_, spi)| built.spis().any(|(_, own)| own == spi));
                        let said = built.spis().any(|(_, spi)| contexts.has_spi(other, spi));
                        assert_eq!(said, shared, "{} {number} {other}", directory.display());
                    }
                }
            })
            .unwrap();
    }
}

/// What `ip` says of one state, as lines that the contexts can be made to say too.
type Facts = Vec<String>;

/// The states of `ip -s -d xfrm state` by source, destination, protocol and SPI.
fn states_by_ip(text: &str) -> BTreeMap<String, Facts> {
    let mut states = BTreeMap::new();
    let (mut name, mut facts): (String, Facts) = Default::default();
    let mut lines = text.lines().peekable();
    let mut is_current = false;
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["src", source, "dst", destination] => name = format!("{source} {destination}"),
            ["proto", protocol, "spi", spi, "reqid", reqid, "mode", mode] => {
                let spi = spi.split('(').next().unwrap();
                name = format!("{name} {protocol} {spi}");
                facts.push(format!("reqid {}", reqid.split('(').next().unwrap()));
                facts.push(format!("mode {mode}"));
                is_current = false;
            }
            ["replay-window", window, "seq", _, "flag", ..] => {
                facts.push(format!("window {window}"));
                if words.contains(&"esn") {
                    facts.push("esn".into());
                }
            }
            ["replay_window", window, ..] => {
                facts.retain(|fact| !fact.starts_with("window"));
                facts.push(format!("window {}", window.trim_end_matches(',')));
            }
            // `auth-trunc` repeats what `auth` says.
            ["aead" | "enc" | "auth-trunc", ..] => {
                // Without the length in words: `(160 bits)`.
                let words: Vec<&str> =
                    words.iter().copied().filter(|word| !word.starts_with('(') && *word != "bits)").collect();
                facts.push(words.join(" "));
            }
            ["comp", name, ..] => facts.push(format!("comp {name}")),
            ["encap", "type", "espinudp", "sport", source, "dport", destination, ..] => {
                facts.push(format!("encap {source} {destination}"));
            }
            ["mark", mark] => facts.push(format!("mark {mark}")),
            ["output-mark", mark] => facts.push(format!("output-mark {mark}")),
            ["if_id", id] => facts.push(format!("if_id {id}")),
            ["limit:", "soft", soft, "hard", hard] => {
                for (kind, value) in [("soft", soft.trim_end_matches(',')), ("hard", hard)] {
                    if !value.starts_with("(INF)") {
                        facts.push(format!("{kind} {value}"));
                    }
                }
            }
            ["expire", which, "soft", soft, "hard", hard] => {
                for (kind, value) in [("soft", soft.trim_end_matches(',')), ("hard", hard)] {
                    if value != "0(sec)" {
                        facts.push(format!("{kind} {which} {value}"));
                    }
                }
            }
            ["lifetime", "current:"] => is_current = true,
            [bytes, packets] if is_current && bytes.ends_with("(bytes),") => {
                facts.push(format!("counted {} {packets}", bytes.trim_end_matches(',')));
            }
            ["add", day, time, "use", ..] => facts.push(format!("added {day}T{time}Z")),
            _ => {}
        }
        if lines.peek().is_none_or(|next| next.starts_with("src ")) {
            facts.sort();
            states.insert(std::mem::take(&mut name), std::mem::take(&mut facts));
        }
    }
    states
}

fn hex(key: &Key) -> String {
    let bytes = key.bytes(&KeyAccess::grant()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if bytes.is_empty() { String::new() } else { format!("0x{bytes}") }
}

/// The kernel's names, stated here once more so that a slip in the product shows.
fn transform_facts(transform: &Transform) -> Facts {
    let auth = |auth: &Auth| {
        let name = match auth.algorithm {
            AuthAlgorithm::HmacMd5 => "hmac(md5)",
            AuthAlgorithm::HmacSha1 => "hmac(sha1)",
            AuthAlgorithm::HmacSha256 => "hmac(sha256)",
            AuthAlgorithm::HmacSha384 => "hmac(sha384)",
            AuthAlgorithm::HmacSha512 => "hmac(sha512)",
            AuthAlgorithm::AesCmac => "cmac(aes)",
            AuthAlgorithm::AesGmac => {
                return format!("aead rfc4543(gcm(aes)) {} {}", hex(&auth.key), auth.icv_bits);
            }
            other => panic!("{other:?} is in no capture"),
        };
        format!("auth-trunc {name} {} {}", hex(&auth.key), auth.icv_bits)
    };
    let cipher = |cipher: &Cipher| {
        let name = match cipher.algorithm {
            CipherAlgorithm::TripleDesCbc => "cbc(des3_ede)",
            CipherAlgorithm::AesCbc => "cbc(aes)",
            CipherAlgorithm::AesCtr => "rfc3686(ctr(aes))",
            CipherAlgorithm::CamelliaCbc => "cbc(camellia)",
            other => panic!("{other:?} is in no capture"),
        };
        format!("enc {name} {}", hex(&cipher.key))
    };
    match transform {
        Transform::Ah(algorithm) => vec![auth(algorithm)],
        Transform::EspAuth(algorithm) if algorithm.algorithm == AuthAlgorithm::AesGmac => {
            vec![auth(algorithm)]
        }
        Transform::EspAuth(algorithm) => vec![auth(algorithm), "enc ecb(cipher_null)".into()],
        // The capture's one cipher without integrity has the kernel's null digest beside it.
        Transform::EspCipher(algorithm) => vec!["auth-trunc digest_null 0".into(), cipher(algorithm)],
        Transform::EspAuthAndCipher(both) => vec![auth(&both.auth), cipher(&both.cipher)],
        Transform::EspAead(aead) => {
            let name = match aead.algorithm {
                AeadAlgorithm::AesGcm => "rfc4106(gcm(aes))",
                AeadAlgorithm::AesCcm => "rfc4309(ccm(aes))",
                AeadAlgorithm::ChaCha20Poly1305 => "rfc7539esp(chacha20,poly1305)",
                other => panic!("{other:?} is in no capture"),
            };
            vec![format!("aead {name} {} {}", hex(&aead.key), aead.icv_bits)]
        }
        Transform::Ipcomp(_) => vec!["comp deflate".into()],
        other => panic!("{other:?} is in no capture"),
    }
}

/// The states that the contexts hold, in the same form.
fn states_by_contexts(contexts: &[SaContext]) -> BTreeMap<String, Facts> {
    let mut states = BTreeMap::new();
    for context in contexts {
        let (local, remote) = (context.traffic.endpoints.local(), context.traffic.endpoints.remote());
        for (direction, details) in context.directions() {
            let (source, destination) = match direction {
                Direction::Inbound => (remote, local),
                Direction::Outbound => (local, remote),
            };
            for (place, sa) in details.bundle.sas.iter().enumerate() {
                let linux = sa.linux.as_ref().unwrap();
                let extras = linux.extras.clone().unwrap_or_default();
                let name = format!("{source} {destination} {} {}", sa.transform.protocol(), sa.spi);
                let mut facts = transform_facts(&sa.transform);
                facts.push(format!("reqid {}", linux.reqid));
                facts.push(format!("mode {}", context.traffic.mode));
                facts.push(format!("window {}", linux.replay_window));
                if linux.esn {
                    facts.push("esn".into());
                }
                if let Some(mark) = extras.mark {
                    facts.push(format!("mark {:#x}/{:#x}", mark.value, mark.mask));
                }
                if let Some(mark) = extras.output_mark {
                    facts.push(format!("output-mark {:#x}/{:#x}", mark.value, mark.mask));
                }
                if extras.if_id != 0 {
                    facts.push(format!("if_id {:#x}", extras.if_id));
                }
                if let Some(udp) = details.udp_encapsulation {
                    let ports = match direction {
                        Direction::Outbound => (udp.local_port, udp.remote_port),
                        Direction::Inbound => (udp.remote_port, udp.local_port),
                    };
                    facts.push(format!("encap {} {}", ports.0, ports.1));
                }
                let limits = [
                    ("soft", extras.limits.soft_bytes, "(bytes)"),
                    ("hard", extras.limits.hard_bytes, "(bytes)"),
                    ("soft", extras.limits.soft_packets, "(packets)"),
                    ("hard", extras.limits.hard_packets, "(packets)"),
                    ("soft add:", linux.soft_add_seconds, "(sec)"),
                    ("hard add:", linux.hard_add_seconds, "(sec)"),
                    ("soft use:", extras.limits.soft_use_seconds, "(sec)"),
                    ("hard use:", extras.limits.hard_use_seconds, "(sec)"),
                ];
                for (kind, value, unit) in limits.iter().filter(|(_, value, _)| *value != 0) {
                    facts.push(format!("{} {value}{unit}", kind.trim_end_matches(':')));
                }
                if place == 0 {
                    let (bytes, packets) = context.counters.direction(direction).traffic();
                    facts.push(format!("counted {bytes}(bytes) {packets}(packets)"));
                } else {
                    facts.push("counted 0(bytes) 0(packets)".into());
                }
                facts.push(format!("added {}", linux.added));
                facts.sort();
                assert!(states.insert(name.clone(), facts).is_none(), "{name} is in two contexts");
            }
        }
    }
    states
}

/// Days since 1970 of a date, by counting.
fn seconds_since_1970(text: &str) -> u64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years: u64 = (1970..number(0..4)).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let february = if leap(number(0..4)) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = years + months.iter().take(number(5..7) as usize - 1).sum::<u64>() + number(8..10) - 1;
    ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
}

#[test]
fn every_state_that_ip_shows_is_in_one_context_with_the_same_values() {
    for name in CAPTURES {
        let text = std::fs::read_to_string(sample(name).join("ip-s-xfrm-state.txt")).unwrap();
        let mut expected = states_by_ip(&text);
        for facts in expected.values_mut() {
            for fact in facts.iter_mut().filter(|fact| fact.starts_with("added ")) {
                *fact = format!("added {}", seconds_since_1970(&fact["added ".len()..]));
            }
            // `expire add: soft 3000(sec)` and ours, without the colon.
            facts.iter_mut().for_each(|fact| *fact = fact.replace("add: ", "add ").replace("use: ", "use "));
            facts.sort();
        }
        let contexts = contexts(name);
        let mut found = states_by_contexts(&contexts);
        // In a bundle the context's mode is the tunnel's, whichever of its SAs makes the tunnel.
        if name == "esp-ah" {
            // Beneath IPCOMP tunnels the kernel keeps IPIP states (protocol 4) of its own: no SAs.
            let before = expected.len();
            expected.retain(|state, _| state.split(' ').nth(2) != Some("4"));
            assert_eq!(before - expected.len(), 2);
            for facts in expected.values_mut().chain(found.values_mut()) {
                facts.retain(|fact| !fact.starts_with("mode "));
            }
        }
        if name == "larval" {
            assert_eq!(expected.len(), contexts.len());
            continue;
        }
        assert!(!expected.is_empty());
        for (state, facts) in &expected {
            assert_eq!(Some(facts), found.get(state), "{name}: {state}");
        }
        assert_eq!(expected.len(), found.len(), "{name}");
    }
}

/// State, mode, SPIs in and out, and selectors of each context.
fn summary(name: &str) -> Vec<String> {
    let side = |network: IpNet, protocol: u8, ports: SelectorPorts| match (protocol, ports.is_any()) {
        (0, true) => network.to_string(),
        (protocol, true) => format!("{network}[{protocol}]"),
        (protocol, false) => format!("{network}[{protocol}/{}]", ports.port),
    };
    contexts(name)
        .iter()
        .map(|context| {
            let spis = |details: &Option<SaDetails>| match details {
                Some(details) => {
                    let spis = details.bundle.sas.iter().map(|sa| format!("{:x}", sa.spi.get()));
                    spis.collect::<Vec<_>>().join("+")
                }
                None => "-".into(),
            };
            let selectors: Vec<String> = context
                .selectors
                .iter()
                .map(|s| {
                    format!(
                        "{}={}",
                        side(s.local, s.protocol, s.local_port),
                        side(s.remote, s.protocol, s.remote_port)
                    )
                })
                .collect();
            format!(
                "{} {} {} {} {} {}",
                context.state.word(),
                context.traffic.mode,
                context.traffic.endpoints.remote(),
                spis(&context.inbound),
                spis(&context.outbound),
                selectors.join(" ")
            )
        })
        .collect()
}

#[test]
fn ipv6_tunnels_carry_both_versions() {
    assert_eq!(
        summary("ipv6-tunnels"),
        [
            "complete tunnel 2001:db8:2::1 6001 6011 fd00:1::/48=fd01:1::/48",
            "complete tunnel 2001:db8:2::2 6002 6012 fd00:2::/48=fd01:2::/48",
            "complete tunnel 2001:db8:2::3 6003 6013 fd00:3::/48=fd01:3::/48",
            "complete tunnel 2001:db8:2::9 6009 6019 10.1.9.0/24=10.2.9.0/24",
        ]
    );
}

#[test]
fn transport_mode_takes_selectors_from_policies_or_from_the_state() {
    assert_eq!(
        summary("transport"),
        [
            "complete transport 192.0.2.2 7001 7011 192.0.2.1/32=192.0.2.2/32",
            "complete transport 2001:db8::2 7002 7012 2001:db8::1/128[6]=2001:db8::2/128[6/443]",
            "complete transport 192.0.2.3 7003 7013 192.0.2.1/32[17]=192.0.2.3/32[17/53]",
        ]
    );
}

#[test]
fn two_clients_behind_one_nat_are_two_contexts() {
    assert_eq!(
        summary("nat-t"),
        [
            "complete tunnel 203.0.113.7 8001 8011 10.1.0.0/16=10.9.0.7/32",
            "complete tunnel 203.0.113.7 8002 8012 10.1.0.0/16=10.9.0.8/32",
        ]
    );
    let udp = contexts("nat-t")[1].inbound.as_ref().unwrap().udp_encapsulation;
    assert_eq!(udp, Some(UdpEncapsulation { local_port: 4500, remote_port: 61235 }));
}

#[test]
fn esp_with_ah_or_ipcomp_is_one_bundle_and_what_nothing_ties_is_not() {
    assert_eq!(
        summary("esp-ah"),
        [
            "complete tunnel 192.0.2.2 9001+9002 9011+9012 10.1.0.0/24=10.2.0.0/24",
            "complete tunnel 192.0.2.3 9003+1001 9013+1011 10.1.0.0/24=10.3.0.0/24",
            "complete transport 192.0.2.4 9004 9014 ",
            "complete transport 192.0.2.4 9005 9015 ",
        ]
    );
}

#[test]
fn marks_and_interface_ids_keep_equal_peers_apart() {
    assert_eq!(
        summary("marks"),
        [
            "complete tunnel 192.0.2.2 a001 a011 10.1.0.0/16=10.201.0.0/16",
            "complete tunnel 192.0.2.2 a002 a012 10.2.0.0/16=10.202.0.0/16",
            "complete tunnel 192.0.2.2 a003 a013 0.0.0.0/0=0.0.0.0/0",
            "complete tunnel 192.0.2.2 a004 a014 0.0.0.0/0=0.0.0.0/0",
        ]
    );
}

#[test]
fn the_generations_of_a_rekey_are_contexts_each() {
    assert_eq!(
        summary("rekey"),
        [
            "complete tunnel 192.0.2.2 f101 f111 10.1.1.0/24=10.2.1.0/24",
            "complete tunnel 192.0.2.2 f102 f112 10.1.2.0/24=10.2.2.0/24",
            "complete tunnel 192.0.2.2 f121 f131 10.1.1.0/24=10.2.1.0/24",
            "inbound tunnel 192.0.2.2 f122 - 10.1.2.0/24=10.2.2.0/24",
        ]
    );
}

#[test]
fn states_without_a_twin_and_larval_ones_are_contexts() {
    assert_eq!(summary("alone"), ["inbound tunnel 192.0.2.2 e001 - ", "outbound tunnel 192.0.2.3 - e012 ",]);
    assert_eq!(
        summary("larval"),
        [
            "larval tunnel 192.0.2.2 - - 10.1.0.0/24=10.2.0.0/24",
            "larval transport 198.51.100.3 - - 198.51.100.9/32=198.51.100.3/32",
        ]
    );
    let states: Vec<SaState> = contexts("larval").iter().map(|context| context.state).collect();
    assert_eq!(states, [SaState::HasSpi { inbound_spi: Spi::new(0xf001).unwrap() }, SaState::Created]);
}

#[test]
fn sequence_numbers_of_64_bits_are_read_whole() {
    let contexts = contexts("esn");
    let replay = |context: &SaContext| {
        let sa = context.outbound.as_ref().unwrap().bundle.sas.first().clone();
        sa.linux.unwrap().extras.and_then(|extras| extras.replay)
    };
    assert_eq!(replay(&contexts[0]), None);
    assert_eq!(replay(&contexts[3]).unwrap().outbound_sequence, (3 << 32) + 3000);
}

#[test]
fn limits_beyond_32_bits_are_kept_and_wfp_sees_the_highest() {
    let contexts = contexts("limits");
    let bundle = &contexts[1].outbound.as_ref().unwrap().bundle;
    assert_eq!(bundle.lifetime, Lifetime { seconds: u32::MAX, kilobytes: u32::MAX, packets: 0 });
    assert_eq!(bundle.sas.first().linux.as_ref().unwrap().hard_add_seconds, 1 << 33);
    // A part of a kilobyte counts as a whole one: the limit is not reached early.
    assert_eq!(
        contexts[0].outbound.as_ref().unwrap().bundle.lifetime.kilobytes,
        2_000_001_u32.div_ceil(1024)
    );
}

#[test]
fn what_a_kernel_holds_passes_the_check_that_callers_must_pass() {
    for name in CAPTURES {
        for context in contexts(name) {
            for (_, details) in context.directions() {
                details.bundle.sas.iter().for_each(|sa| sa.transform.check().unwrap());
            }
        }
    }
}

#[test]
fn a_filter_is_there_wherever_an_sa_is() {
    for name in CAPTURES {
        for context in contexts(name) {
            for (direction, _) in context.directions() {
                let filter = context.transport_filter(direction).unwrap();
                let conditions = filter.conditions();
                let has = |field| conditions.iter().any(|condition| condition.field == field);
                assert!(
                    has(guids::condition::IP_LOCAL_ADDRESS) && has(guids::condition::IP_REMOTE_ADDRESS),
                    "{name}"
                );
            }
        }
    }
}
