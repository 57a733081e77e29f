//! Gives entries of an ordered set numbers in the same order, which change as rarely as possible.

use imbl::OrdMap;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::SpdEntry;
use std::collections::VecDeque;

const FIRST: u32 = *SpdEntry::PRIORITIES.start();
const LAST: u32 = *SpdEntry::PRIORITIES.end();
/// Distance to the neighbour at either end of the set.
const STEP: u32 = 16;

/// Priorities of ranks, in the order of the ranks.
#[derive(Clone)]
pub(super) struct Priorities<R>(OrdMap<R, u32>);

impl<R: Ord + Clone> Default for Priorities<R> {
    fn default() -> Priorities<R> {
        Priorities(OrdMap::new())
    }
}

impl<R: Ord + Clone> Priorities<R> {
    pub(super) fn get(&self, rank: &R) -> Option<u32> {
        self.0.get(rank).copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn remove(&mut self, rank: &R) {
        self.0.remove(rank);
    }

    /// Gives a new rank a priority between those of its neighbours. If there is no room, neighbours get others, and are
    /// added to `moved`.
    ///
    /// # Errors
    /// `FWP_E_OUT_OF_BOUNDS` if no number is left.
    pub(super) fn insert(&mut self, rank: R, moved: &mut Vec<R>) -> Result {
        let below = self.0.range(..rank.clone()).next_back().map(|(_, priority)| *priority);
        let above = self.0.range(rank.clone()..).next().map(|(_, priority)| *priority);
        // Exclusive bounds.
        let (low, high) = (below.unwrap_or(FIRST - 1), above.unwrap_or(LAST + 1));
        let room = high - low - 1;
        if room == 0 {
            return self.make_room(&rank, moved);
        }
        let half = room.div_ceil(2);
        let priority = match (below, above) {
            (Some(_), None) => low + half.min(STEP),
            (None, Some(_)) => high - half.min(STEP),
            _ => low + half,
        };
        self.0.insert(rank, priority);
        Ok(())
    }

    /// Spreads the neighbours of a new rank evenly: as many as it takes until there is room among them.
    fn make_room(&mut self, rank: &R, moved: &mut Vec<R>) -> Result {
        let wanted = LAST - FIRST + 1;
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(1);
        if count > wanted {
            let what = format!("the filters need more than {wanted} different priorities of kernel policies");
            return Err(Error::new(Code::FWP_E_OUT_OF_BOUNDS, what).with_remedy("Use fewer filters."));
        }
        let share_max = u64::from((wanted / count).max(1)) * 3 / 4;
        let mut window = VecDeque::from([rank.clone()]);
        let mut left = self.0.range(..rank.clone()).rev().peekable();
        let mut right = self.0.range(rank.clone()..).peekable();
        let (low, high) = loop {
            let low = left.peek().map_or(FIRST - 1, |(_, priority)| **priority);
            let high = right.peek().map_or(LAST + 1, |(_, priority)| **priority);
            let room = u64::from(high - low - 1);
            // The more neighbours move, the more room they have to make, so that this becomes rarer.
            let length = window.len() as u64;
            let share = u64::from(2 + 2 * length.ilog2()).min(share_max).max(1);
            if room >= length * share {
                break (low, high);
            }
            let (more_left, more_right) = (left.next(), right.next());
            if more_left.is_none() && more_right.is_none() {
                break (low, high);
            }
            if let Some((rank, _)) = more_left {
                window.push_front(rank.clone());
            }
            if let Some((rank, _)) = more_right {
                window.push_back(rank.clone());
            }
        };
        drop((left, right));
        let gaps = window.len() as u64 + 1;
        for (place, member) in (1_u64..).zip(window) {
            let offset = u64::from(high - low) * place / gaps;
            let priority = low + u32::try_from(offset).unwrap_or(u32::MAX);
            if self.0.insert(member.clone(), priority).is_some_and(|old| old != priority) {
                moved.push(member);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(priorities: &Priorities<u64>) {
        let numbers: Vec<u32> = priorities.0.values().copied().collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(numbers.iter().all(|number| (FIRST..=LAST).contains(number)));
    }

    proptest! {
        #[test]
        fn priorities_follow_the_ranks(ranks in prop::collection::vec(0_u64..300, 0..400)) {
            let mut priorities = Priorities::default();
            for rank in ranks {
                if priorities.get(&rank).is_some() {
                    priorities.remove(&rank);
                } else {
                    let before = priorities.clone();
                    let mut moved = Vec::new();
                    priorities.insert(rank, &mut moved).unwrap();
                    for (other, priority) in &before.0 {
                        let has_moved = priorities.get(other) != Some(*priority);
                        prop_assert_eq!(has_moved, moved.contains(other));
                    }
                }
                check(&priorities);
            }
        }
    }

    #[test]
    fn many_insertions_at_one_place_move_few_others() {
        let mut priorities = Priorities::default();
        let mut moves = 0;
        priorities.insert(0, &mut Vec::new()).unwrap();
        for rank in (1..10_000_u64).rev() {
            let mut moved = Vec::new();
            priorities.insert(rank, &mut moved).unwrap();
            moves += moved.len();
        }
        check(&priorities);
        assert!(moves < 400_000, "{moves}");
    }

    #[test]
    fn when_every_number_is_given_an_error_says_so() {
        let all = (FIRST..=LAST).map(|number| (u64::from(number), number)).collect();
        let mut priorities: Priorities<u64> = Priorities(all);
        let error = priorities.insert(1_000_000, &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_OUT_OF_BOUNDS);
    }
}
