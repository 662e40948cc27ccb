//! Inputs whose right answers are known from how they are made.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

/// The secret of the door `test`.
pub const DOOR_SECRET: &str = "whsec_dGVzdHMgb2YgZWFyc2hvdCwgbm90IGEgc2VjcmV0";

/// A watchlist with one brand, its hour and day rule, and one executive.
pub const WATCHLIST: &str = r#"
[[subject]]
id = "harbor"
kind = "brand"
name = "Harbor Bank"
handles = ["@harborbank"]

[[subject]]
id = "vale"
kind = "executive"
name = "Jordan Vale"
company = "harbor"
role = "CEO"

[[rule]]
id = "harbor-hour"
when = "count of mentions against expectation"
subjects = ["harbor"]
window = "1h"
severity = 6
route = "comms"

[[rule]]
id = "harbor-day"
when = "count of mentions against expectation"
subjects = ["harbor"]
window = "1d"
severity = 6
route = "comms"

[[rule]]
id = "vale-negative"
when = "each mention"
subjects = ["vale"]
sentiment_at_most = -0.5
reach_at_least = 10000
severity = 8
route = "comms"

[[route]]
id = "comms"
log = true
"#;

/// Definitions in [`WATCHLIST`].
pub const WATCHLIST_DEFINITIONS: usize = 6;

/// Writes settings with a door `test` and the watchlist into a folder; `more` is appended to the settings.
pub fn write_settings(folder: &Path, watchlist: &str, more: &str) -> anyhow::Result<()> {
    let settings = format!(
        "data = \"data\"\nwatchlist = [\"watchlist.toml\"]\n{more}\n[ingest.doors.test]\nsecret = \"{DOOR_SECRET}\"\nnetwork = \"test\"\n"
    );
    std::fs::write(folder.join("earshot.toml"), settings).context("write the settings")?;
    std::fs::write(folder.join("watchlist.toml"), watchlist).context("write the watchlist")
}

/// A file of past mentions, and what must be found of it.
#[derive(Clone, Debug)]
pub struct Past {
    /// The CSV file's text.
    pub csv: String,
    /// Ids that must be searchable, each once.
    pub ids: BTreeSet<String>,
    /// Lines that are no mentions.
    pub bad_lines: Vec<u64>,
    /// Rows that repeat an id.
    pub repeated: u64,
}

/// Ten quiet days of 20 mentions and one with 200, all about Harbor Bank, in UTC. Every 97th row is bad and
/// every 89th is written twice.
pub fn past() -> Past {
    let mut past = Past {
        csv: "id,time,author,text\n".to_owned(),
        ids: BTreeSet::new(),
        bad_lines: Vec::new(),
        repeated: 0,
    };
    let mut line = 1;
    let mut row = 0;
    for day in 1..=11 {
        let mentions = if day == 10 { 200 } else { 20 };
        for n in 0..mentions {
            row += 1;
            line += 1;
            // Spread over the day, at an odd step so that hours differ.
            let minute = (n * 1_439 / mentions) % 1_440;
            let time = format!("2026-03-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60);
            let text = if row % 97 == 0 { "" } else { "Harbor Bank again and the app is down" };
            let written = format!("{row},{time},writer{},{text}\n", row % 150);
            past.csv.push_str(&written);
            if text.is_empty() {
                past.bad_lines.push(line);
                continue;
            }
            past.ids.insert(format!("import:past.csv:{row}"));
            if row % 89 == 0 {
                past.csv.push_str(&written);
                past.repeated += 1;
                line += 1;
            }
        }
    }
    past
}

/// A mention for a signed door, published now.
pub fn live_mention(n: u32, text: &str, followers: Option<u64>) -> Value {
    let mut author = String::new();
    let _ = write!(author, "live{n}");
    json!({
        "id": format!("live-{n}"),
        "text": text,
        "author": {"name": author, "handle": author, "followers": followers},
        "published": jiff::Timestamp::now().to_string(),
    })
}

/// Companies and their chiefs for [`crises`]. The first one is what [`past`] is about.
pub const COMPANIES: [(&str, &str); 16] = [
    ("Harbor Bank", "Jordan Vale"),
    ("Kestrel Airways", "Casey Thorne"),
    ("Northwind Foods", "Morgan Ashby"),
    ("Lumen Mobile", "Riley Whitlock"),
    ("Orchid Hotels", "Avery Langdon"),
    ("Pioneer Motors", "Quinn Hartwell"),
    ("Quartz Energy", "Rowan Pemberton"),
    ("Summit Insurance", "Skyler Draycott"),
    ("Tidal Media", "Emery Fairfax"),
    ("Walnut Robotics", "Finley Blackwood"),
    ("Amber Railways", "Parker Lindqvist"),
    ("Basalt Cement", "Reese Okonkwo"),
    ("Cobalt Software", "Sawyer Montrose"),
    ("Dorset Dairies", "Tatum Everly"),
    ("Elder Pharma", "Marlow Kingsley"),
    ("Falcon Logistics", "Hollis Brandt"),
];

/// From so many mentions in an hour on a company of [`crises`] without a past must have an alert.
pub const CRISIS_AT_LEAST: u64 = 10;

/// A watchlist of all [`COMPANIES`], `company0` and `chief0` and so on, with an hour rule for each company and
/// a rule for each mention of a chief. Everybody is told by the webhook `people`.
pub fn crises() -> String {
    let mut text = String::from("[[route]]\nid = \"people\"\nwebhook = [\"people\"]\n");
    for (n, (company, chief)) in COMPANIES.iter().enumerate() {
        let _ = write!(
            text,
            r#"
[[subject]]
id = "company{n}"
kind = "brand"
name = "{company}"

[[subject]]
id = "chief{n}"
kind = "executive"
name = "{chief}"
company = "company{n}"
role = "CEO"

[[rule]]
id = "hour{n}"
when = "count of mentions against expectation"
subjects = ["company{n}"]
window = "1h"
authors_at_least = 5
little_data_at_least = {CRISIS_AT_LEAST}
severity = 6
route = "people"

[[rule]]
id = "each{n}"
when = "each mention"
subjects = ["chief{n}"]
sentiment_at_most = -0.5
reach_at_least = 10000
severity = 8
route = "people"
"#
        );
    }
    text
}

/// Definitions in [`crises`].
pub const CRISES_DEFINITIONS: usize = 4 * COMPANIES.len() + 1;
