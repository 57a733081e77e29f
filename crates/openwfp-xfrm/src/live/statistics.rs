//! The drop counters of the kernel (`/proc/net/xfrm_stat`) as WFP's statistics and net events. See
//! the tables in docs/linux.md.

use super::Kernel;
use openwfp_api::Drops;
use openwfp_api::ProviderDrops;
use openwfp_api::object::net_event::IpsecDrop;
use std::collections::BTreeMap;
use std::io::Read;
use std::io::Seek;

/// The kernel's drop counters at one moment, by name.
pub(super) type Counters = BTreeMap<String, u64>;

/// NTSTATUS values ([MS-ERREF] 2.3.1) of the failures that the counters count.
mod status {
    pub(super) const ACCESS_DENIED: u32 = 0xC000_0022;
    pub(super) const INSUFFICIENT_RESOURCES: u32 = 0xC000_009A;
    pub(super) const BAD_SPI: u32 = 0xC036_0001;
    pub(super) const SA_LIFETIME_EXPIRED: u32 = 0xC036_0002;
    pub(super) const WRONG_SA: u32 = 0xC036_0003;
    pub(super) const REPLAY_CHECK_FAILED: u32 = 0xC036_0004;
    pub(super) const INVALID_PACKET: u32 = 0xC036_0005;
    pub(super) const INTEGRITY_CHECK_FAILED: u32 = 0xC036_0006;
    pub(super) const CLEAR_TEXT_DROP: u32 = 0xC036_0007;
}

impl Kernel {
    /// Returns the drop counters of the whole network namespace; empty if the kernel has none
    /// (`CONFIG_XFRM_STATISTICS`).
    pub(super) fn drop_counters(&self) -> Counters {
        let mut text = String::new();
        if let Some(file) = self.lock().as_mut().and_then(|open| open.statistics.as_mut())
            && file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err()
        {
            return Counters::new();
        }
        parse(&text)
    }
}

fn parse(text: &str) -> Counters {
    let counters = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    counters.collect()
}

/// Returns the counters as WFP's statistics.
pub(super) fn drops(counters: &Counters) -> ProviderDrops {
    let of = |names: &[&str]| -> Option<u64> {
        let mut found = names.iter().filter_map(|name| counters.get(*name)).peekable();
        found.peek()?;
        Some(found.sum())
    };
    let inbound = counters.iter().filter(|(name, _)| name.starts_with("XfrmIn"));
    let all = Drops {
        invalid_spis: of(&["XfrmInNoStates"]),
        decryption_failures: None,
        authentication_failures: of(&["XfrmInStateProtoError"]),
        udp_esp_validation_failures: None,
        replay_check_failures: of(&["XfrmInStateSeqError"]),
        invalid_clear_text: of(&["XfrmInTmplMismatch"]),
        sa_not_initialized: of(&["XfrmInStateInvalid"]),
        incorrect_sa: of(&["XfrmInStateMismatch", "XfrmInStateModeError"]),
        not_matching_filters: of(&["XfrmInNoPols", "XfrmInPolBlock"]),
        total: (!counters.is_empty()).then(|| inbound.map(|(_, count)| count).sum()),
    };
    ProviderDrops { all, ..ProviderDrops::default() }
}

/// Returns what the kernel has dropped between two moments: one event for each kind.
pub(super) fn dropped_between(before: &Counters, now: &Counters) -> Vec<IpsecDrop> {
    let grown = now.iter().filter(|(name, count)| before.get(*name).is_some_and(|before| *count > before));
    grown
        .filter_map(|(name, _)| {
            let (direction, kind) = match name.strip_prefix("Xfrm")? {
                name if name.starts_with("In") => (1, &name[2..]),
                name if name.starts_with("Out") => (0, &name[3..]),
                _ => return None,
            };
            let status = match kind {
                "NoStates" if direction == 1 => status::BAD_SPI,
                // A policy asks for an SA, so the packet does not leave in the clear.
                "NoStates" | "TmplMismatch" => status::CLEAR_TEXT_DROP,
                "StateExpired" | "StateInvalid" => status::SA_LIFETIME_EXPIRED,
                "StateProtoError" if direction == 1 => status::INTEGRITY_CHECK_FAILED,
                "StateSeqError" => status::REPLAY_CHECK_FAILED,
                "StateMismatch" | "StateDirError" | "NoPols" => status::WRONG_SA,
                "PolBlock" => status::ACCESS_DENIED,
                "BufferError" => status::INSUFFICIENT_RESOURCES,
                _ => status::INVALID_PACKET,
            };
            Some(IpsecDrop { failure_status: status.cast_signed(), direction, ..IpsecDrop::default() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_comes_from_its_counters() {
        let text = "XfrmInError             \t0\nXfrmInHdrError          \t7\nXfrmInNoStates          \t1\n\
                    XfrmInStateProtoError   \t2\nXfrmInStateModeError    \t3\nXfrmInStateSeqError     \t4\n\
                    XfrmInStateMismatch     \t5\nXfrmInTmplMismatch      \t6\nXfrmOutNoStates         \t99\n";
        let all = drops(&parse(text)).all;
        assert_eq!((all.invalid_spis, all.authentication_failures), (Some(1), Some(2)));
        assert_eq!((all.incorrect_sa, all.replay_check_failures), (Some(8), Some(4)));
        assert_eq!((all.invalid_clear_text, all.total), (Some(6), Some(28)));
        assert_eq!((all.not_matching_filters, all.decryption_failures), (None, None));
        assert_eq!(drops(&parse("")).all, Drops::default());
    }

    #[test]
    fn counters_that_grow_are_events_of_their_kind() {
        let before = parse("XfrmInNoStates 1\nXfrmOutNoStates 5\nXfrmInNoPols 2\nXfrmAcquireError 0\n");
        let now = parse("XfrmInNoStates 9\nXfrmOutNoStates 6\nXfrmInNoPols 2\nXfrmAcquireError 3\n");
        let found: Vec<(u32, u32)> = dropped_between(&before, &now)
            .iter()
            .map(|drop| (drop.failure_status.cast_unsigned(), drop.direction))
            .collect();
        assert_eq!(found, [(status::BAD_SPI, 1), (status::CLEAR_TEXT_DROP, 0)]);
        // The counters of a new namespace start anew, and the first ones are no events.
        assert_eq!(dropped_between(&now, &before), []);
        assert_eq!(dropped_between(&Counters::new(), &now), []);
    }
}
