//! A watchlist made from a list of companies by stated rules, with what a team would add to it by hand.
//!
//! The rules: what stands in parentheses and the legal form at the end are dropped (`Apple Inc.` is `Apple`,
//! `Lilly (Eli)` is `Eli Lilly`); what is left is the name, and its class follows from its words as enrich has it. Without the word
//! of the trade at its end (`Delta Air Lines`, `Duke Energy`) it is an alias that needs capitals and corroboration, unless
//! what is left names no company (`American`). The symbol is the
//! cashtag; classes of shares of one company are one subject. Context words are those of any business, of the sector
//! and of the sub-industry.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use earshot_common::definitions::{Alias, AliasClass, Case, Definition, Subject, SubjectKind, Watchlist};
use serde::Deserialize;

/// Endings that say what kind of company it is in law, and articles.
const LEGAL: [&str; 14] = [
    "inc",
    "incorporated",
    "corporation",
    "corp",
    "company",
    "companies",
    "co",
    "plc",
    "ltd",
    "limited",
    "holdings",
    "group",
    "&",
    "the",
];

/// Endings that say what trade it is in.
const TRADES: [&str; 24] = [
    "airlines",
    "brands",
    "electric",
    "energy",
    "entertainment",
    "financial",
    "foods",
    "industries",
    "international",
    "laboratories",
    "lines",
    "motor",
    "motors",
    "pharmaceuticals",
    "platforms",
    "power",
    "resources",
    "resorts",
    "restaurants",
    "sciences",
    "solutions",
    "systems",
    "technologies",
    "technology",
];

/// Words that name no company by themselves.
const TOO_WIDE: [&str; 14] = [
    "align",
    "american",
    "applied",
    "citizens",
    "consolidated",
    "digital",
    "edison",
    "expand",
    "first",
    "general",
    "global",
    "texas",
    "universal",
    "western",
];

/// What a team adds to the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Additions {
    business: Vec<String>,
    /// Names that others have too.
    ambiguous: Vec<String>,
    /// By symbol: a name that the rules do not make.
    names: BTreeMap<String, String>,
    sectors: BTreeMap<String, Vec<String>>,
    industries: BTreeMap<String, Vec<String>>,
    company: Vec<AddedCompany>,
    executive: Vec<AddedExecutive>,
}

/// More of a company of the list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedCompany {
    symbol: String,
    #[serde(default)]
    aliases: Vec<Alias>,
    #[serde(default)]
    handles: Vec<String>,
    #[serde(default)]
    cashtags: Vec<String>,
    #[serde(default)]
    context: Vec<String>,
    #[serde(default)]
    exclusions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedExecutive {
    name: String,
    company: String,
    role: String,
    #[serde(default)]
    aliases: Vec<Alias>,
    #[serde(default)]
    handles: Vec<String>,
}

/// A row of the list.
struct Listed {
    symbol: String,
    security: String,
    sector: String,
    industry: String,
}

/// The subjects of a list with the columns `Symbol`, `Security`, `GICS Sector` and `GICS Sub-Industry`.
pub fn watchlist(list: &Path, additions: &str) -> anyhow::Result<Watchlist> {
    let additions: Additions = toml::from_str(additions).context("read what is added to the list")?;
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    let mut of_symbol: BTreeMap<String, String> = BTreeMap::new();
    for listed in read(list)? {
        let name = additions.names.get(&listed.symbol).cloned().unwrap_or_else(|| name_of(&listed.security));
        let id = id_of(&name);
        of_symbol.insert(listed.symbol.clone(), id.clone());
        let subject = subjects.entry(id.clone()).or_insert_with(|| company(id, name, &listed, &additions));
        subject.cashtags.push(format!("${}", listed.symbol));
    }
    for added in &additions.company {
        let Some(subject) = of_symbol.get(&added.symbol).and_then(|id| subjects.get_mut(id)) else {
            continue;
        };
        subject.aliases.extend(added.aliases.clone());
        subject.handles.extend(added.handles.clone());
        subject.cashtags.extend(added.cashtags.clone());
        subject.context.extend(added.context.clone());
        subject.exclusions.extend(added.exclusions.clone());
    }
    for added in additions.executive {
        let company = of_symbol.get(&added.company);
        let company = company.with_context(|| format!("{}: no company {}", added.name, added.company))?;
        let person = executive(added, company.clone());
        subjects.insert(person.id.clone(), person);
    }
    let definitions = subjects.into_values().map(Definition::Subject).collect();
    Ok(Watchlist::of(vec![("list".to_owned(), definitions)])?)
}

fn read(list: &Path) -> anyhow::Result<Vec<Listed>> {
    let mut reader = csv::Reader::from_path(list).with_context(|| format!("read {}", list.display()))?;
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row?;
        let column = |number| row.get(number).unwrap_or_default().to_owned();
        rows.push(Listed { symbol: column(0), security: column(1), sector: column(2), industry: column(3) });
    }
    Ok(rows)
}

fn company(id: String, name: String, listed: &Listed, additions: &Additions) -> Subject {
    let mut context = additions.business.clone();
    context.extend(additions.sectors.get(&listed.sector).into_iter().flatten().cloned());
    context.extend(additions.industries.get(&listed.industry).into_iter().flatten().cloned());
    let itself = additions.ambiguous.contains(&name).then(|| name.clone());
    let aliases = without_trade(&name).into_iter().chain(itself).map(in_capitals).collect();
    Subject { aliases, context, ..Subject::new(id, SubjectKind::Competitor, name) }
}

fn executive(added: AddedExecutive, company: String) -> Subject {
    Subject {
        aliases: added.aliases,
        handles: added.handles,
        company: Some(company),
        role: Some(added.role),
        ..Subject::new(id_of(&added.name), SubjectKind::Executive, added.name)
    }
}

/// The name as people write it.
fn name_of(security: &str) -> String {
    let (before, within) = match security.split_once('(') {
        Some((before, within)) => (before.trim(), within.trim_end_matches(')').trim()),
        None => (security.trim(), ""),
    };
    let mut words: Vec<&str> = before.split_whitespace().collect();
    while words.len() > 1 && words.last().is_some_and(|last| LEGAL.contains(&plain(last).as_str())) {
        words.pop();
    }
    let name = words.join(" ").trim_end_matches([',', '!']).to_owned();
    let is_first_name = !within.is_empty() && within != "The" && !within.starts_with("Class");
    if is_first_name { format!("{within} {name}") } else { name }
}

/// The name without the words of its trade, where something is left.
fn without_trade(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let mut kept = words.as_slice();
    while let [rest @ .., last] = kept
        && !rest.is_empty()
        && (TRADES.contains(&plain(last).as_str()) || (plain(last) == "air" && kept.len() < words.len()))
    {
        kept = rest;
    }
    let is_wide = matches!(kept, [word] if TOO_WIDE.contains(&plain(word).as_str()));
    (kept.len() < words.len() && !is_wide).then(|| kept.join(" "))
}

/// An alias that needs its capitals and corroboration.
fn in_capitals(text: String) -> Alias {
    Alias { text, case: Case::Fold, ambiguous: false, class: Some(AliasClass::CommonWord) }
}

fn plain(word: &str) -> String {
    word.trim_matches([',', '.']).to_lowercase()
}

fn id_of(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_called_by_its_name_without_law_and_trade() {
        for (security, name, alias) in [
            ("Apple Inc.", "Apple", None),
            ("Alphabet Inc. (Class A)", "Alphabet", None),
            ("Lilly (Eli)", "Eli Lilly", None),
            ("Home Depot (The)", "Home Depot", None),
            ("Merck & Co.", "Merck", None),
            ("Delta Air Lines", "Delta Air Lines", Some("Delta")),
            ("United Airlines Holdings", "United Airlines", Some("United")),
            ("American Electric Power", "American Electric Power", None),
            ("Nike, Inc.", "Nike", None),
        ] {
            assert_eq!(name_of(security), name);
            assert_eq!(without_trade(name).as_deref(), alias, "{name}");
        }
    }
}
