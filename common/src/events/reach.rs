//! What a reach counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of accounts in two digits or more, as people say it: `40,000`, `2.1 million`.
pub fn accounts_in_words(accounts: u64) -> String {
    match accounts {
        1_000_000_000.. => format!("{:.1} billion", accounts as f64 / 1e9),
        1_000_000.. => format!("{:.1} million", accounts as f64 / 1e6),
        1_000.. => format!("{},{:03}", accounts / 1_000, accounts % 1_000),
        _ => accounts.to_string(),
    }
}

/// What a reach counts: a number of one says little beside a number of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReachUnit {
    /// Accounts that follow the author: what records count that name no unit.
    #[default]
    Followers,
    /// Those who get the outlet's letters, films or pages.
    Subscribers,
    /// Members of the community.
    Members,
    /// Visits to the outlet's site in a month.
    MonthlyVisits,
    /// Printed copies.
    Circulation,
}

impl fmt::Display for ReachUnit {
    /// The unit as a number is followed by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Followers => "followers",
            Self::Subscribers => "subscribers",
            Self::Members => "members",
            Self::MonthlyVisits => "visits a month",
            Self::Circulation => "printed copies",
        })
    }
}
