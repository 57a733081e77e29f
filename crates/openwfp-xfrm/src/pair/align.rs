//! Pairs the entries of two lists that are in the order of creation.

/// If the product of the lengths exceeds this, entries are simply paired newest with newest.
const CELLS_MAX: usize = 1 << 16;

/// When a state was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The place in the order of creation; the newest state has the smallest.
    pub(super) age: usize,
    /// The time of addition by the wall clock, which may have been set since.
    pub(super) added: u64,
}

/// How far apart two entries are: the number of entries between them, then the seconds, then whether the second one is older,
/// since keying daemons add the inbound SA first.
type Distance = (u64, u64, u64);

/// Pairs the entries of two lists, both newest first, without changing their order.
///
/// There are as many pairs as the shorter list has entries. The pairs have the smallest sum of distances; among equal sums, the
/// newest entries are paired. Other entries have no partner.
pub(super) fn align(first: &[Moment], second: &[Moment]) -> Vec<(Option<usize>, Option<usize>)> {
    let swapped = first.len() > second.len();
    let (short, long) = if swapped { (second, first) } else { (first, second) };
    let mut ages: Vec<usize> = short.iter().chain(long).map(|moment| moment.age).collect();
    ages.sort_unstable();
    let place = |moment: Moment| ages.partition_point(|age| *age < moment.age) as u64;
    let distance = |one: usize, other: usize| -> Distance {
        let (one, other) = (short[one], long[other]);
        let (first, second) = if swapped { (other, one) } else { (one, other) };
        let is_older = (second.age > first.age).into();
        (place(first).abs_diff(place(second)), first.added.abs_diff(second.added), is_older)
    };
    let partners = partners(short.len(), long.len(), distance);
    let turned = |of_short, of_long| if swapped { (of_long, of_short) } else { (of_short, of_long) };
    let mut pairs = Vec::with_capacity(long.len());
    let mut at = 0;
    for (index, partner) in partners.into_iter().enumerate() {
        pairs.extend((at..partner).map(|alone| turned(None, Some(alone))));
        pairs.push(turned(Some(index), Some(partner)));
        at = partner + 1;
    }
    pairs.extend((at..long.len()).map(|alone| turned(None, Some(alone))));
    pairs
}

/// Returns, for each entry of the shorter list, the index of its partner in the longer one, ascending.
fn partners(short: usize, long: usize, distance: impl Fn(usize, usize) -> Distance) -> Vec<usize> {
    let spare = long - short;
    if spare == 0 || short.saturating_mul(long) > CELLS_MAX {
        return (0..short).collect();
    }
    let sum = |one: Distance, other: Distance| {
        (one.0.saturating_add(other.0), one.1.saturating_add(other.1), one.2.saturating_add(other.2))
    };
    // cost[i][s]: the smallest sum for the entries from i on after skipping s entries of the longer list.
    let mut cost = vec![vec![Distance::default(); spare + 1]; short + 1];
    for i in (0..short).rev() {
        for s in (0..=spare).rev() {
            let here = sum(distance(i, i + s), cost[i + 1][s]);
            cost[i][s] = if s < spare { here.min(cost[i][s + 1]) } else { here };
        }
    }
    let mut skipped = 0;
    (0..short)
        .map(|i| {
            while skipped < spare && sum(distance(i, i + skipped), cost[i + 1][skipped]) > cost[i][skipped] {
                skipped += 1;
            }
            i + skipped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Aligns two lists of states, given as the order in which they were created and their seconds.
    fn aligned(created: &[(char, u64)]) -> Vec<(Option<usize>, Option<usize>)> {
        let of = |side: char| -> Vec<Moment> {
            let moments = created.iter().rev().enumerate();
            moments
                .filter(|(_, (of, _))| *of == side)
                .map(|(age, (_, added))| Moment { age, added: *added })
                .collect()
        };
        align(&of('i'), &of('o'))
    }

    #[test]
    fn equal_lists_go_newest_with_newest_whatever_the_clock_says() {
        let both = [(Some(0), Some(0)), (Some(1), Some(1))];
        assert_eq!(aligned(&[('i', 40), ('o', 40), ('i', 99), ('o', 100)]), both);
        assert_eq!(aligned(&[('i', 4000), ('o', 10), ('i', 10), ('o', 4000)]), both);
        assert_eq!(aligned(&[]), []);
    }

    #[test]
    fn half_a_rekey_leaves_the_new_one_alone() {
        // The new inbound SA exists, the new outbound SA does not yet.
        let new_alone = [(Some(0), None), (Some(1), Some(0))];
        assert_eq!(aligned(&[('i', 40), ('o', 40), ('i', 100)]), new_alone);
        assert_eq!(aligned(&[('i', 40), ('o', 40), ('i', 40)]), new_alone);
        // The old outbound SA has been removed already.
        assert_eq!(aligned(&[('i', 40), ('i', 100), ('o', 100)]), [(Some(0), Some(0)), (Some(1), None)]);
        // The old inbound SA has been removed already, and all were added within a second.
        assert_eq!(aligned(&[('o', 40), ('i', 40), ('o', 40)]), [(Some(0), Some(0)), (None, Some(1))]);
    }

    #[test]
    fn every_entry_appears_once_and_in_order_whatever_the_lengths() {
        for (left, right) in [(0, 3), (3, 0), (5, 2), (2, 5), (1000, 3), (300, 400)] {
            let moments = |n: usize, odd: usize| -> Vec<Moment> {
                (0..n).map(|i| Moment { age: i * 2 + odd, added: (n - i) as u64 * 7 % 50 }).collect()
            };
            let pairs = align(&moments(left, 0), &moments(right, 1));
            let lefts: Vec<_> = pairs.iter().filter_map(|pair| pair.0).collect();
            let rights: Vec<_> = pairs.iter().filter_map(|pair| pair.1).collect();
            assert_eq!(lefts, (0..left).collect::<Vec<_>>());
            assert_eq!(rights, (0..right).collect::<Vec<_>>());
            let both = pairs.iter().filter(|(l, r)| l.is_some() && r.is_some()).count();
            assert_eq!(both, left.min(right));
        }
    }
}
