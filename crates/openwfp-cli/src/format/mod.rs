//! Formats of SA contexts: tables, single contexts, JSON.

pub(crate) mod json;
pub(crate) mod printable;
pub(crate) mod rows;
pub(crate) mod show;
pub(crate) mod table;
pub(crate) mod words;

use std::io::BufWriter;
use std::io::Write;

/// Returns standard output for a long listing, and whether it takes colours. Without colours nothing has to be stripped, which
/// takes longer than the writing.
pub(crate) fn stdout() -> (BufWriter<Box<dyn Write>>, bool) {
    let colors = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let stdout: Box<dyn Write> = match colors {
        true => Box::new(anstream::stdout().lock()),
        false => Box::new(std::io::stdout().lock()),
    };
    (BufWriter::with_capacity(1 << 16, stdout), colors)
}

#[cfg(test)]
mod tests {
    use super::json;
    use super::show;
    use openwfp::api::*;

    /// A selector with a port that nothing else has.
    fn selector(port: u16) -> Selector {
        let network = |text: &str| text.parse().unwrap_or_else(|_| panic!("a network"));
        Selector {
            local: network("10.1.0.0/16"),
            remote: network("10.2.0.0/16"),
            protocol: 6,
            local_port: SelectorPorts::default(),
            remote_port: SelectorPorts::one(port),
        }
    }

    /// An outbound SA in which each value differs from all others. The structures are written out, so that a new member has to
    /// be added here.
    fn context() -> SaContext {
        let extras = LinuxExtras {
            limits: Limits {
                soft_bytes: 70_001,
                hard_bytes: 70_002,
                soft_packets: 70_003,
                hard_packets: 70_004,
                soft_use_seconds: 70_005,
                hard_use_seconds: 70_006,
            },
            selector: Some(selector(7007)),
            mark: Some(Mark { value: 0x7008, mask: 0x7009 }),
            output_mark: Some(Mark { value: 0x700a, mask: 0x700b }),
            if_id: 0x700c,
            tfc_padding: 7013,
            nat_keepalive_interval: 7014,
            cpu: Some(7015),
            acquire_sequence: 7016,
            offload: Some(HardwareOffload { interface: 7017, flags: 4 }),
            encapsulation_original: Some([70, 0, 0, 18].into()),
            encapsulation_type: 7,
            care_of: Some([70, 0, 0, 20].into()),
            security_context: Some("label-7021".into()),
            replay: Some(Box::new(Replay {
                inbound_sequence: 7022,
                outbound_sequence: 7023,
                // A bitmap is for programs, not for readers.
                bitmap: Box::new([]),
            })),
            algorithm_names: Box::new(["name-7024".into()]),
            unknown: Box::new([UnknownAttribute { kind: 7025, bytes: Box::new([0; 26]) }]),
        };
        let linux = LinuxSa {
            reqid: 7027,
            flags: 1,
            esn: true,
            guessed_direction: true,
            extra_flags: 1,
            replay_window: 7029,
            added: 1_700_000_000,
            first_used: 1_700_000_001,
            soft_add_seconds: 7031,
            hard_add_seconds: 7032,
            extras: Some(Box::new(extras)),
        };
        let aead = Aead { algorithm: AeadAlgorithm::Other, icv_bits: 7033, key: Key::new(&[7; 20]) };
        let spi = Spi::new(0x7034).unwrap_or_else(|| panic!("not 0"));
        let sa = Sa { spi, transform: Transform::EspAead(aead), linux: Some(Box::new(linux)) };
        let mut bundle = SaBundle::new(SaList::one(sa));
        bundle.lifetime = Lifetime { seconds: 7032, kilobytes: 69, packets: 70_004 };
        bundle.idle_timeout_seconds = 7036;
        let details = SaDetails {
            filter_id: FilterId(7037),
            bundle,
            udp_encapsulation: Some(UdpEncapsulation { local_port: 7038, remote_port: 7039 }),
            virtual_if_tunnel: None,
        };
        let ends = Endpoints::new([70, 0, 0, 40].into(), [70, 0, 0, 41].into());
        let ends = ends.unwrap_or_else(|| panic!("of one version"));
        let mut context = SaContext::new(SaContextId(7042), Traffic::new(ends, Mode::Tunnel));
        context.state = SaState::Complete;
        context.selectors = vec![selector(7043)].into();
        (context.inbound, context.outbound) = (Some(details.clone()), Some(details));
        context
    }

    #[test]
    fn each_value_of_an_sa_is_in_json_and_in_show() {
        let context = context();
        let (mut shown, mut json) = (Vec::new(), Vec::new());
        show::write(&mut shown, &context, None).unwrap_or_else(|error| panic!("{error}"));
        json::write_one(&mut json, &context, None, json::Layout::Line)
            .unwrap_or_else(|error| panic!("{error}"));
        let (shown, json) = (String::from_utf8_lossy(&shown), String::from_utf8_lossy(&json));
        for value in [
            "70001",
            "70002",
            "70003",
            "70004",
            "7007",
            "0x7008",
            "0x7009",
            "0x700a",
            "0x700b",
            "7013",
            "7014",
            "7015",
            "7016",
            "7017",
            "packet",
            "70.0.0.18",
            "tcp",
            "70.0.0.20",
            "label-7021",
            "7022",
            "7023",
            "name-7024",
            "7025",
            "26",
            "7027",
            "noecn",
            "dont-encap-dscp",
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:21Z",
            "AEAD-879",
            "0x00007034",
            "7037",
            "7038",
            "7039",
            "70.0.0.40",
            "70.0.0.41",
            "7042",
            "7043",
        ] {
            assert!(json.contains(value), "{value} in {json}");
            let in_show = shown.to_lowercase().contains(&value.to_lowercase());
            assert!(in_show, "{value} in {shown}");
        }
        // Numbers that text shows in other units.
        for (in_json, in_show) in [
            ("\"if_id\":28684", "0x700c"),
            ("70005", "19h 26m 45s after its first use"),
            ("70006", "19h 26m 46s after its first use"),
            ("7031", "1h 57m 11s after it was added"),
            ("7032", "1h 57m 12s"),
            ("7036", "1h 57m 16s without traffic"),
            ("\"direction_guessed\":true", "direction guessed"),
            ("\"esn\":true", "extended sequence numbers"),
            ("\"replay_window\":7029", "window of 7029 packets"),
            ("\"kilobytes\":69", "70002 bytes"),
        ] {
            assert!(json.contains(in_json), "{in_json} in {json}");
            assert!(shown.contains(in_show), "{in_show} in {shown}");
        }
    }
}
