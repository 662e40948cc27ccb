//! Which desks an alert is for: those that enough of the mentions behind it are for.

use earshot_common::events::DESKS;
use serde::{Deserialize, Serialize};

/// A desk is an alert's where one in so many of its mentions is for that desk: others say nothing of the kind, or
/// nothing that is read.
const ONE_IN: usize = 3;

/// Some of the desks: a bit for each of [`DESKS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DeskSet(u8);

impl DeskSet {
    /// Those of these names. What is no desk to this program is left out.
    pub(crate) fn of(names: &[String]) -> Self {
        let mut set = 0;
        for (place, desk) in DESKS.iter().enumerate() {
            if names.iter().any(|name| name == desk) {
                set |= 1 << place;
            }
        }
        Self(set)
    }

    /// Those that enough of some mentions are for.
    pub(crate) fn of_most(mentions: impl Iterator<Item = Self>) -> Self {
        let (mut all, mut of_desk) = (0, [0; DESKS.len()]);
        for mention in mentions {
            all += 1;
            for (place, count) in of_desk.iter_mut().enumerate() {
                *count += usize::from(mention.0 & (1 << place) != 0);
            }
        }
        let mut set = 0;
        for (place, count) in of_desk.into_iter().enumerate() {
            if count > 0 && count * ONE_IN >= all {
                set |= 1 << place;
            }
        }
        Self(set)
    }

    /// Their names, in the order of [`DESKS`].
    pub(crate) fn names(self) -> Vec<String> {
        let of_set = |(place, _): &(usize, &&str)| self.0 & (1 << place) != 0;
        DESKS.iter().enumerate().filter(of_set).map(|(_, desk)| (*desk).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> DeskSet {
        DeskSet::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_desk_is_that_of_many_where_a_third_of_them_is_for_it() {
        assert_eq!(set(&["hr", "communications", "lawyers"]).names(), ["communications", "hr"]);
        let (hr, both, none) = (set(&["hr"]), set(&["hr", "security"]), DeskSet::default());
        assert_eq!(DeskSet::of_most([both, hr, none, none].into_iter()), hr, "security is one in four");
        assert_eq!(DeskSet::of_most([hr, none, none].into_iter()), hr);
        assert_eq!(DeskSet::of_most([hr, none, none, none].into_iter()), none);
        assert_eq!(DeskSet::of_most(std::iter::empty()), none);
    }
}
