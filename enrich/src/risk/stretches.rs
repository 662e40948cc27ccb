//! Stretches of words, to be asked whether one of them has a word in common with another.

use earshot_common::query::places::Stretch;

/// Stretches, in order.
#[derive(Debug)]
pub(super) struct Stretches {
    stretches: Vec<Stretch>,
    /// The last word of each and of those before it.
    reach: Vec<u32>,
}

impl Stretches {
    /// Of stretches in ascending order.
    pub(super) fn of(ascending: impl Iterator<Item = Stretch>) -> Self {
        let stretches: Vec<Stretch> = ascending.collect();
        let mut reach = Vec::with_capacity(stretches.len());
        let mut furthest = 0;
        for (_, last) in &stretches {
            furthest = furthest.max(*last);
            reach.push(furthest);
        }
        Self { stretches, reach }
    }

    /// Whether one of them has a word of this one.
    pub(super) fn overlap(&self, (first, last): Stretch) -> bool {
        let begun = self.stretches.partition_point(|(other, _)| *other <= last);
        begun > 0 && self.reach[begun - 1] >= first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stretch_is_seen_behind_short_ones() {
        let all = [(1, 9), (2, 3), (4, 4), (12, 13)];
        let stretches = Stretches::of(all.into_iter());
        for first in 0..15 {
            for last in first..15 {
                let wanted = all.iter().any(|(from, to)| *from <= last && first <= *to);
                assert_eq!(stretches.overlap((first, last)), wanted, "{first} to {last}");
            }
        }
        assert!(!Stretches::of([].into_iter()).overlap((0, u32::MAX)));
    }
}
