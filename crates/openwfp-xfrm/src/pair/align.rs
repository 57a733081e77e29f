//! Pairs the entries of two lists of times.

/// If the product of the lengths exceeds this, entries are simply paired newest with newest.
const CELLS_MAX: usize = 1 << 16;

/// Pairs the entries of two lists of times, both newest first, without changing their order.
///
/// There are as many pairs as the shorter list has entries. The pairs have the smallest sum of
/// differences; among equal sums, the newest entries are paired. Other entries have no partner.
pub(super) fn align(left: &[u64], right: &[u64]) -> Vec<(Option<usize>, Option<usize>)> {
    if left.len() > right.len() {
        return align(right, left).into_iter().map(|(r, l)| (l, r)).collect();
    }
    let partners = partners(left, right);
    let mut pairs = Vec::with_capacity(right.len());
    let mut at = 0;
    for (index, partner) in partners.into_iter().enumerate() {
        pairs.extend((at..partner).map(|alone| (None, Some(alone))));
        pairs.push((Some(index), Some(partner)));
        at = partner + 1;
    }
    pairs.extend((at..right.len()).map(|alone| (None, Some(alone))));
    pairs
}

/// Returns, for each entry of the shorter list, the index of its partner in the longer one, ascending.
fn partners(short: &[u64], long: &[u64]) -> Vec<usize> {
    let spare = long.len() - short.len();
    if spare == 0 || short.len().saturating_mul(long.len()) > CELLS_MAX {
        return (0..short.len()).collect();
    }
    // cost[i][s]: the smallest sum for short[i..] after skipping s entries of the longer list.
    let mut cost = vec![vec![0_u64; spare + 1]; short.len() + 1];
    for i in (0..short.len()).rev() {
        for s in (0..=spare).rev() {
            let here = short[i].abs_diff(long[i + s]).saturating_add(cost[i + 1][s]);
            cost[i][s] = if s < spare { here.min(cost[i][s + 1]) } else { here };
        }
    }
    let mut skipped = 0;
    (0..short.len())
        .map(|i| {
            let here = |s: usize| short[i].abs_diff(long[i + s]).saturating_add(cost[i + 1][s]);
            while skipped < spare && here(skipped) > cost[i][skipped] {
                skipped += 1;
            }
            i + skipped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_go_newest_with_newest() {
        assert_eq!(align(&[100, 40], &[99, 40]), [(Some(0), Some(0)), (Some(1), Some(1))]);
        assert_eq!(align(&[], &[]), []);
    }

    #[test]
    fn half_a_rekey_leaves_the_new_one_alone() {
        // The new inbound SA exists, the new outbound SA does not yet.
        assert_eq!(align(&[100, 40], &[40]), [(Some(0), None), (Some(1), Some(0))]);
        // The old outbound SA has been removed already.
        assert_eq!(align(&[100, 40], &[100]), [(Some(0), Some(0)), (Some(1), None)]);
        assert_eq!(
            align(&[7], &[9, 8, 7, 6]),
            [(None, Some(0)), (None, Some(1)), (Some(0), Some(2)), (None, Some(3))]
        );
    }

    #[test]
    fn of_equal_differences_the_newest_are_paired() {
        assert_eq!(align(&[5, 5, 5], &[5]), [(Some(0), Some(0)), (Some(1), None), (Some(2), None)]);
    }

    #[test]
    fn every_entry_appears_once_and_in_order_whatever_the_lengths() {
        for (left, right) in [(0, 3), (3, 0), (5, 2), (2, 5), (1000, 3), (300, 400)] {
            let times = |n: u64| (0..n).rev().map(|i| i * 7 % 50).collect::<Vec<_>>();
            let pairs = align(&times(left), &times(right));
            let lefts: Vec<_> = pairs.iter().filter_map(|pair| pair.0).collect();
            let rights: Vec<_> = pairs.iter().filter_map(|pair| pair.1).collect();
            assert_eq!(lefts, (0..lefts.len()).collect::<Vec<_>>());
            assert_eq!((lefts.len() as u64, rights.len() as u64), (left, right));
            assert!(rights.is_sorted());
            let both = pairs.iter().filter(|(l, r)| l.is_some() && r.is_some()).count();
            assert_eq!(both as u64, left.min(right));
        }
    }
}
