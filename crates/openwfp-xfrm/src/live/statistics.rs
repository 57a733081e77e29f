//! The drop counters of the kernel (`/proc/net/xfrm_stat`) as WFP's statistics. See the table in
//! docs/linux.md.

use super::Kernel;
use openwfp_api::Drops;
use openwfp_api::ProviderDrops;
use std::io::Read;
use std::io::Seek;

impl Kernel {
    /// Returns the drop counters of the whole network namespace; empty if the kernel has none
    /// (`CONFIG_XFRM_STATISTICS`).
    pub(super) fn drops(&self) -> ProviderDrops {
        let mut text = String::new();
        if let Some(file) = self.lock().as_mut().and_then(|open| open.statistics.as_mut())
            && file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err()
        {
            return ProviderDrops::default();
        }
        parse(&text)
    }
}

fn parse(text: &str) -> ProviderDrops {
    let counters: Vec<(&str, u64)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?.parse().ok()?))
        })
        .collect();
    let of = |names: &[&str]| -> Option<u64> {
        let mut found =
            counters.iter().filter(|(name, _)| names.contains(name)).map(|(_, count)| *count).peekable();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_comes_from_its_counters() {
        let text = "XfrmInError             \t0\nXfrmInHdrError          \t7\nXfrmInNoStates          \t1\n\
                    XfrmInStateProtoError   \t2\nXfrmInStateModeError    \t3\nXfrmInStateSeqError     \t4\n\
                    XfrmInStateMismatch     \t5\nXfrmInTmplMismatch      \t6\nXfrmOutNoStates         \t99\n";
        let all = parse(text).all;
        assert_eq!((all.invalid_spis, all.authentication_failures), (Some(1), Some(2)));
        assert_eq!((all.incorrect_sa, all.replay_check_failures), (Some(8), Some(4)));
        assert_eq!((all.invalid_clear_text, all.total), (Some(6), Some(28)));
        assert_eq!((all.not_matching_filters, all.decryption_failures), (None, None));
        assert_eq!(parse("").all, Drops::default());
    }
}
