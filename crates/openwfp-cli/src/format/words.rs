//! Formatting that all formats share: selectors, times, durations, keys.

use crate::format::printable::Printable;
use openwfp::api::Key;
use openwfp::api::KeyAccess;
use openwfp::api::LinuxSa;
use openwfp::api::Mode;
use openwfp::api::Sa;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
use openwfp::api::Selector;
use openwfp::api::Spi;
use std::time::Duration;
use std::time::SystemTime;

/// Returns other people's text as it is to be printed.
pub(crate) fn escaped(text: &str) -> String {
    Printable(text).to_string()
}

/// Returns the packet that an acquire needs an SA for, such as `10.1.0.1[icmp/8(0)] => 10.2.0.1[icmp/8(0)]`.
pub(crate) fn packet(selector: &Selector) -> String {
    let [local, remote] = selector.sides().map(|side| side.replace("/32", "").replace("/128", ""));
    format!("{local} => {remote}")
}

/// Returns what a context's SAs themselves accept, in the view of this machine; none if the kernel says nothing of it.
pub(crate) fn own_selector(context: &SaContext) -> Option<Selector> {
    /// `XFRM_STATE_AF_UNSPEC`: the SA accepts packets of both families.
    const ANY_FAMILY: u8 = 32;
    let (direction, details) = context.directions().last()?;
    let linux = linux(details)?;
    match linux.extras.as_ref().and_then(|extras| extras.selector) {
        // It has the packets' source on its local side.
        Some(own) if direction == openwfp::api::Direction::Inbound => Some(own.reversed()),
        Some(own) => Some(own),
        None if linux.flags & ANY_FAMILY != 0 => None,
        None => {
            let any = match context.traffic.endpoints.local() {
                std::net::IpAddr::V4(_) => openwfp::api::IpNet::V4(Default::default()),
                std::net::IpAddr::V6(_) => openwfp::api::IpNet::V6(Default::default()),
            };
            Some(Selector {
                local: any,
                remote: any,
                protocol: 0,
                local_port: Default::default(),
                remote_port: Default::default(),
            })
        }
    }
}

/// Returns the selectors of the traffic that a context protects.
pub(crate) fn protected(context: &SaContext) -> Vec<Selector> {
    // A tunnel without a policy protects nothing, although its transport filter has conditions, as it must in WFP.
    if context.selectors.is_empty() && context.traffic.mode == Mode::Transport {
        // In transport mode without a policy, the selectors are the traffic's own addresses, if there is an
        // SA.
        let filter =
            context.directions().next().and_then(|(direction, _)| context.transport_filter(direction));
        return filter.map(|filter| filter.selectors()).unwrap_or_default();
    }
    context.selectors.to_vec()
}

/// Returns the Linux values of a direction's first SA.
pub(crate) fn linux(details: &SaDetails) -> Option<&LinuxSa> {
    details.bundle.sas.first().linux.as_deref()
}

/// Formats the transforms of a direction, such as `AES-GCM-16-256/ESN` or `AES-GCM-16-128+AH:HMAC-SHA1-96`.
pub(crate) fn transforms(details: &SaDetails) -> String {
    let mut text = String::new();
    for sa in details.bundle.sas.iter() {
        // The kernel's names of algorithms may come from a file.
        let transform = escaped(&name(sa));
        if !text.is_empty() {
            text.push('+');
        }
        match sa.transform.protocol() {
            openwfp::api::Protocol::Ah => text.push_str(&format!("AH:{transform}")),
            _ => text.push_str(&transform),
        }
        if sa.linux.as_ref().is_some_and(|linux| linux.esn) {
            text.push_str("/ESN");
        }
    }
    text
}

/// Returns a transform's name, with the kernel's name for algorithms that OpenWFP does not know.
pub(crate) fn name(sa: &Sa) -> String {
    let text = sa.transform.to_string();
    let names = sa.linux.as_ref().and_then(|linux| linux.extras.as_ref()).map(|e| &e.algorithm_names[..]);
    match names {
        Some(names @ [_, ..]) => format!("{text}({})", names.join(",")),
        _ => text,
    }
}

/// Formats the SPIs of a direction's bundle.
pub(crate) fn spis(details: &SaDetails) -> String {
    let spis: Vec<String> = details.bundle.sas.iter().map(|sa| sa.spi.to_string()).collect();
    spis.join("+")
}

/// Returns the inbound SPI of a context that has no SA yet.
pub(crate) fn larval_spi(context: &SaContext) -> Option<Spi> {
    match context.state {
        openwfp::api::SaState::HasSpi { inbound_spi } => Some(inbound_spi),
        _ => None,
    }
}

/// Formats the hard lifetime of a direction: `1h 6m 40s, 5000 KiB, 100 packets`, or `-` if there is no
/// limit.
///
/// Prefers the kernel's numbers: WFP's have 32 bits and count whole KiB.
pub(crate) fn lifetime(details: &SaDetails) -> String {
    let lifetime = details.bundle.lifetime;
    let linux = linux(details);
    let limits =
        linux.and_then(|linux| linux.extras.as_ref()).map(|extras| extras.limits).unwrap_or_default();
    let seconds = linux.map_or(0, |linux| linux.hard_add_seconds).max(lifetime.seconds.into());
    let mut parts = Vec::new();
    if seconds != 0 {
        parts.push(duration(seconds));
    }
    if limits.hard_use_seconds != 0 {
        parts.push(format!("{} after its first use", duration(limits.hard_use_seconds)));
    }
    if limits.hard_bytes != 0 {
        parts.push(format!("{} bytes", limits.hard_bytes));
    } else if lifetime.kilobytes != 0 {
        parts.push(format!("{} KiB", lifetime.kilobytes));
    }
    match limits.hard_packets.max(lifetime.packets.into()) {
        0 => {}
        packets => parts.push(format!("{packets} packets")),
    }
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

/// Formats seconds as a duration.
pub(crate) fn duration(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// Formats seconds since 1970 as RFC 3339 in UTC; none for 0, which means never, and for times after
/// the year 9999.
pub(crate) fn time(seconds: u64) -> Option<String> {
    /// The end of the year 9999.
    const LAST: u64 = 253_402_300_799;
    if seconds == 0 || seconds > LAST {
        return None;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// Returns the current time, to the millisecond.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Formats a key in hexadecimal; none if the kernel hid it.
pub(crate) fn key(key: &Key, access: &KeyAccess) -> Option<String> {
    use std::fmt::Write;
    if key.len() > 0 && key.is_zeroed() {
        return None;
    }
    let mut text = String::with_capacity(2 + 2 * key.len());
    text.push_str("0x");
    for byte in key.bytes(access) {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_never_is_none() {
        assert_eq!(time(0), None);
        assert_eq!(time(u64::MAX), None);
        assert_eq!(time(1_763_875_807).unwrap(), "2025-11-23T05:30:07Z");
        assert_eq!(duration(4000), "1h 6m 40s");
    }
}
