//! Chooses SPIs that are unpredictable and unique on their local address, and fails when none is free.

use crate::database::Database;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::Spi;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Number of random SPIs to try before searching for the next free one.
const DRAWS: usize = 16;

/// Chooses a random SPI from `range` for an SA that arrives at `local`, where no other SA uses it.
///
/// The protocol of the SA is not known yet, so the SPI is free for both ESP and AH.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` if every SPI of the range is in use at `local`; the errors of `random`.
pub(crate) fn choose(
    database: &Database,
    local: IpAddr,
    range: &RangeInclusive<u32>,
    random: &dyn Random,
) -> Result<Spi> {
    let (low, high) = (*range.start(), *range.end());
    let size = u64::from(high - low) + 1;
    let mut drawn = low;
    for _ in 0..DRAWS {
        let mut bytes = [0; 8];
        random.fill(&mut bytes)?;
        // 64 random bits modulo at most 2^32: the bias of the remainder is negligible.
        #[allow(clippy::cast_possible_truncation, reason = "less than the size of the range")]
        let offset = (u64::from_le_bytes(bytes) % size) as u32;
        drawn = low + offset;
        if let Some(spi) = Spi::new(drawn)
            && database.receiver(spi, local, None).is_none()
        {
            return Ok(spi);
        }
    }
    // All draws were taken: use the first free SPI from the last draw on, else the first free one of the
    // range. The search costs one lookup for each SPI in use on the way.
    database
        .first_free_spi(local, drawn..=high)
        .or_else(|| database.first_free_spi(local, low..=drawn))
        .ok_or_else(|| {
            Error::new(
                Code::RPC_E_OUT_OF_RESOURCES,
                format!("all {size} SPIs from {low:#x} to {high:#x} are in use on {local}"),
            )
            .with_remedy("Delete contexts that you no longer use, or use another local address.")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;
    use openwfp_api::Endpoints;
    use openwfp_api::Mode;
    use openwfp_api::SaContext;
    use openwfp_api::SaContextId;
    use openwfp_api::SaState;
    use openwfp_api::Traffic;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn holding(database: &mut Database, id: u64, local: IpAddr, spi: Spi) {
        let endpoints = Endpoints::new(local, [10, 0, 0, 9].into()).unwrap();
        let mut context = SaContext::new(SaContextId(id), Traffic::new(endpoints, Mode::Tunnel));
        context.state = SaState::HasSpi { inbound_spi: spi };
        database.put(Arc::new(context));
    }

    #[test]
    fn a_small_range_is_used_up_to_its_last_spi_and_then_an_error_says_so() {
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for width in [1, 2, 7, 300] {
            let range = 256..=255 + width;
            let mut database = Database::default();
            holding(&mut database, 1, there, Spi::new(256).unwrap());
            let mut seen = BTreeSet::new();
            for id in 0..width {
                let spi = choose(&database, here, &range, &SystemRandom::default()).unwrap();
                assert!(range.contains(&spi.get()) && seen.insert(spi.get()));
                holding(&mut database, 2 + u64::from(id), here, spi);
            }
            let error = choose(&database, here, &range, &SystemRandom::default()).unwrap_err();
            assert_eq!(error.code(), Code::RPC_E_OUT_OF_RESOURCES);
            database.remove(SaContextId(2));
            assert!(choose(&database, here, &range, &SystemRandom::default()).is_ok(), "one was freed");
        }
    }

    #[test]
    fn spis_are_drawn_from_the_whole_range_and_never_reserved() {
        let database = Database::default();
        let range = Spi::UNRESERVED_MIN..=u32::MAX;
        let random = SystemRandom::default();
        let drawn: Vec<u32> = (0..4000)
            .map(|_| choose(&database, [10, 0, 0, 1].into(), &range, &random).unwrap().get())
            .collect();
        assert!(drawn.iter().all(|spi| *spi >= 256));
        // Each sixteenth gets 250 of 4,000 on average; the odds that one gets fewer than 125 are 1 in 10^15.
        for sixteenth in 0..16 {
            assert!(drawn.iter().filter(|spi| *spi >> 28 == sixteenth).count() > 125, "{sixteenth}");
        }
    }
}
