//! Standing queries as communications teams write them: about each company of a list, from the parts of real
//! queries, in the shapes that they have there.

use std::path::Path;

use anyhow::Context as _;
use earshot_common::query::{self, Query, Text, refusal};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// What teams look for beside a name.
const THEMES: [&[&str]; 10] = [
    &["outage", "down", "\"not working\"", "crash*", "offline", "\"server error\""],
    &["lawsuit", "sued", "\"class action\"", "fraud", "settlement", "court", "investigat*"],
    &["layoff*", "\"job cuts\"", "strike", "union", "fired", "restructuring"],
    &["recall*", "\"safety issue\"", "defect*", "injur*", "contaminat*"],
    &["breach", "hacked", "leak*", "ransomware", "\"data loss\"", "phishing"],
    &["earnings", "guidance", "revenue", "\"beats estimates\"", "downgrade*", "dividend"],
    &["merger", "acquisition", "takeover", "\"in talks\"", "buyout", "stake"],
    &["boycott", "racist", "discriminat*", "\"shame on\"", "outrage", "backlash"],
    &["\"customer service\"", "refund*", "complain*", "terrible", "worst", "\"never again\""],
    &["sustainab*", "emission*", "\"climate change\"", "pollut*", "recycl*", "greenwash*"],
];
/// Who speaks for a company.
const ROLES: [&str; 6] = ["CEO", "\"chief executive\"", "CFO", "chairman", "founder", "spokes*"];
/// What is excluded.
const NOISE: [&str; 6] =
    ["(hiring OR \"job opening\")", "giveaway", "#ad", "spam*", "(coupon OR promo*)", "\"follow back\""];
/// What is asked beside words.
const CONDITIONS: [&str; 5] =
    ["lang:en", "followers:>=1000", "is:original", "site:twitter.com", "NOT is:repost"];

/// A company of the list.
#[derive(Clone, Debug)]
pub struct Company {
    symbol: String,
    name: String,
}

/// Reads a list with the columns `Symbol` and `Security`, such as that of the S&P 500.
pub fn companies(list: &Path) -> anyhow::Result<Vec<Company>> {
    let mut reader = csv::Reader::from_path(list).with_context(|| format!("read {}", list.display()))?;
    let mut companies = Vec::new();
    for row in reader.records() {
        let row = row?;
        let (symbol, name) = (row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default());
        companies.push(Company { symbol: symbol.replace('.', ""), name: common_name(name) });
    }
    anyhow::ensure!(!companies.is_empty(), "{} has no company", list.display());
    Ok(companies)
}

/// The name as people write it: without the legal form and what stands in parentheses.
fn common_name(name: &str) -> String {
    let name = name.split(" (").next().unwrap_or(name);
    let legal =
        ["Inc.", "Inc", "Corp.", "Corporation", "Company", "Co.", "plc", "Ltd.", "Group", "Holdings", "&"];
    let mut words: Vec<&str> = name.split_whitespace().collect();
    while words.len() > 1 && words.last().is_some_and(|last| legal.contains(&last.trim_end_matches(','))) {
        words.pop();
    }
    words.join(" ").trim_end_matches(',').to_owned()
}

/// The parts of real queries that can be joined to a name: operands of their outermost AND and OR, as text.
pub fn parts(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let text = std::fs::read_to_string(file.path())?;
        collect(&query::read(&text).with_context(|| format!("{}", file.path().display()))?.query, &mut parts);
    }
    anyhow::ensure!(!parts.is_empty(), "{} has no query", folder.display());
    Ok(parts)
}

fn collect(query: &Query, parts: &mut Vec<String>) {
    match query {
        // One word is no theme; groups of a few words, phrases and distances are.
        Query::Text(Text { span: query::Span::Word(_), .. })
        | Query::All
        | Query::Field(_)
        | Query::Not(_) => {}
        Query::Text(_) => parts.push(query.to_string()),
        Query::And(operands) | Query::Or(operands) => {
            if operands.len() <= 8 && operands.iter().all(|part| matches!(part, Query::Text(_))) {
                parts.push(query.to_string());
            }
            operands.iter().for_each(|operand| collect(operand, parts));
        }
    }
}

/// So many queries, the same from the same seed. Each can stand on the stream.
pub fn standing_queries(companies: &[Company], parts: &[String], count: usize, seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let written = one(&mut random, &companies[number % companies.len()], parts);
            debug_assert!(query::parse(&written).is_ok_and(|query| refusal(&query).is_none()), "{written}");
            written
        })
        .collect()
}

fn one(random: &mut StdRng, company: &Company, parts: &[String]) -> String {
    let name = format!("\"{}\"", company.name);
    let called = match company.symbol.len() {
        0 => name.clone(),
        _ => format!("({name} OR ${})", company.symbol),
    };
    let theme = words_of_theme(random);
    let distance = random.random_range(2..=10);
    let role = ROLES.choose(random).copied().unwrap_or("CEO");
    let noise = NOISE.choose(random).copied().unwrap_or("spam*");
    let condition = CONDITIONS.choose(random).copied().unwrap_or("lang:en");
    let part = parts.choose(random).map_or("outage", String::as_str);
    match random.random_range(0..12) {
        0 => format!("{called} NOT {noise}"),
        1 | 2 => format!("{called} AND ({theme})"),
        3 | 4 => format!("{called} NEAR/{distance} ({theme})"),
        5 => format!("({role} NEAR/{distance} {name}) NOT {noise}"),
        6 => format!("{called} ONEAR/{distance} ({theme}) AND {condition}"),
        7 => format!("{{{}}} AND ({theme}) AND {condition}", company.name),
        8 => format!("{called} AND {part}"),
        9 => format!("{called} AND {part} NOT {noise}"),
        10 => format!("({called} NEAR/3 {role}) AND ({theme} OR {part})"),
        _ => format!("title:{name} OR ({called} AND ({theme}) NOT ({noise} OR is:repost))"),
    }
}

/// Two to five words of a theme.
fn words_of_theme(random: &mut StdRng) -> String {
    let theme = THEMES.choose(random).copied().unwrap_or_default();
    let count = random.random_range(2..=5);
    theme.sample(random, count).copied().collect::<Vec<_>>().join(" OR ")
}
