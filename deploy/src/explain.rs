//! `earshot explain`: what the judge makes of a text, about whom, and why.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use earshot_common::definitions::Watchlist;
use earshot_common::events::{
    Corroboration, Derivation, Enriched, EntityMatch, Evidence, Lane, Mention, Origin, RawPosition,
    Sentiment, SourceRef,
};
use earshot_common::settings::Settings;
use earshot_common::time::{Clock, Timestamp};
use earshot_enrich::EnrichSettings;
use earshot_enrich::judge::{Knowledge, judge, weighed};
use earshot_enrich::risk::{Risks, is_read};
use earshot_enrich::sentiment::{Lexicons, Weighed};

use crate::print;
use crate::watchlist::{files_of, watchlist_of};

#[derive(Debug, Args)]
pub(crate) struct ExplainCommand {
    /// The text
    text: String,
    /// Its headline
    #[arg(long)]
    title: Option<String>,
    /// Its language (ISO 639-1), where the text does not show it
    #[arg(long)]
    lang: Option<String>,
    /// Print the record as JSON, as `mentions.enriched` would hold it
    #[arg(long)]
    json: bool,
}

/// Judges the text with the lexicons and the watchlist of the settings, where there is a settings file.
pub(crate) fn explain(command: ExplainCommand, settings: &Path) -> anyhow::Result<()> {
    let Ground { watchlist, lexicons, risks } = ground(settings)?;
    let knowledge =
        Knowledge::of(&watchlist, Arc::new(lexicons), Arc::new(risks)).context("prepare the watchlist")?;
    let now = Clock::system().now();
    let position = RawPosition { partition: 0, offset: 0 };
    let enriched = judge(mention(&command, now), position, &knowledge, now);
    if command.json {
        print(&serde_json::to_string_pretty(&enriched).context("write the record")?);
        return Ok(());
    }
    print(told(&enriched, &watchlist, weighed(&enriched, &knowledge).as_deref()).trim_end());
    Ok(())
}

/// What a text is judged with.
struct Ground {
    watchlist: Watchlist,
    lexicons: Lexicons,
    risks: Risks,
}

fn ground(settings: &Path) -> anyhow::Result<Ground> {
    if !settings.exists() {
        let (lexicons, risks) = (Lexicons::shipped(), Risks::english());
        return Ok(Ground { watchlist: Watchlist::default(), lexicons, risks });
    }
    let settings = Settings::load(settings)?;
    let enrich = settings.section::<EnrichSettings>("enrich")?;
    let (lexicons, risks) = (enrich.lexicons(&settings.base)?, enrich.risks(&settings.base)?);
    Ok(Ground { watchlist: watchlist_of(&files_of(&settings)?)?, lexicons, risks })
}

fn mention(command: &ExplainCommand, now: Timestamp) -> Mention {
    let source = SourceRef { id: "explain".to_owned(), network: "explain".to_owned(), site: None };
    Mention {
        origin: Origin::History,
        title: command.title.clone(),
        lang_given: command.lang.clone(),
        ..Mention::new("explain:text".to_owned(), source, command.text.clone(), now)
    }
}

/// The judgement as a person would want to read it, with the words that weigh something where its language is judged.
fn told(enriched: &Enriched, watchlist: &Watchlist, weighed: Option<&[Weighed]>) -> String {
    let mut told = String::new();
    let _ = writeln!(told, "language   {} ({:.0} % sure)", enriched.lang, enriched.lang_confidence * 100.0);
    let _ = writeln!(told, "message    {}", polarity(&enriched.sentiment));
    told.push_str(&words(&enriched.sentiment));
    for tag in &enriched.entities {
        let name = watchlist.subject(&tag.subject).map_or(tag.subject.as_str(), |subject| &subject.name);
        let lane = if tag.lane == Lane::Doubtful { ", doubtful: nothing corroborates the name" } else { "" };
        let _ = writeln!(told, "towards    {name}: {}{lane}", polarity(&tag.sentiment));
        if tag.sentiment.fallback {
            let _ = writeln!(told, "           nothing is said of it: the message stands in, weakened");
        }
        tag.matches.iter().for_each(|place| told.push_str(&named(place, enriched)));
        told.push_str(&words(&tag.sentiment));
    }
    told.push_str(&labels(enriched));
    match weighed {
        Some(weighed) => told.push_str(&reasons(weighed)),
        None => told.push_str("why        this language is not judged\n"),
    }
    let _ = writeln!(told, "judged by  {}", enriched.enrichment.lexicon);
    told
}

fn reasons(weighed: &[Weighed]) -> String {
    let mut told = String::new();
    if !weighed.is_empty() {
        told.push_str("why        word, weight by itself, and what its surroundings make of it\n");
    }
    for word in weighed {
        let rules: Vec<&str> = word.rules.iter().map(|rule| rule.name()).collect();
        let value = word.weight * word.factor;
        let _ = writeln!(
            told,
            "           {:<24}{:>6.2} → {value:>6.2}  {}",
            word.term,
            word.weight,
            rules.join(", ")
        );
    }
    told
}

/// What named a subject, where, and what showed that it is meant.
fn named(place: &EntityMatch, enriched: &Enriched) -> String {
    let title = enriched.mention.title.as_deref().unwrap_or_default();
    let text = if place.in_title { title } else { &enriched.mention.text };
    let there = text.chars().skip(place.from as usize).take((place.to - place.from) as usize);
    let part = if place.in_title { "title " } else { "" };
    let mut line = format!("           named “{}” at {part}{}", there.collect::<String>(), place.from);
    let _ = match place.derived {
        None => write!(line, ": {}", place.alias),
        Some(Derivation::Surname) => write!(line, ": {}, the surname", place.alias),
        Some(Derivation::ShortForm) => write!(line, ": {}, by another form of the first name", place.alias),
        Some(Derivation::Initials) => write!(line, ": {}, by initials", place.alias),
        Some(Derivation::Role) => write!(line, ": {}, the role", place.alias),
    };
    if let Some(by) = &place.corroborated_by {
        let kind = match place.corroboration {
            None => "",
            Some(Corroboration::Name) => "another name, ",
            Some(Corroboration::Context) => "the context word ",
            Some(Corroboration::Role) => "the role ",
            Some(Corroboration::Company) => "the company, ",
            Some(Corroboration::Executive) => "its executive, ",
            Some(Corroboration::Author) => "the author ",
            Some(Corroboration::Site) => "the site ",
            Some(Corroboration::Source) => "the source ",
        };
        let _ = write!(line, "; corroborated by {kind}“{by}”");
    }
    line + "\n"
}

/// Risk, intent and desks with what they were read from, and the reach.
fn labels(enriched: &Enriched) -> String {
    let mut told = String::new();
    for (name, labels) in [("risk", &enriched.risk), ("intent", &enriched.intent)] {
        if labels.is_empty() {
            let none = if is_read(&enriched.lang) { "none found" } else { "not read in this language" };
            let _ = writeln!(told, "{name:<11}{none}");
        }
        for label in labels {
            let found: Vec<String> =
                enriched.evidence.iter().filter(|found| found.label == *label).map(place).collect();
            let _ = writeln!(told, "{name:<11}{label}: {}", found.join(", "));
        }
    }
    let desks = if enriched.desks.is_empty() { "none".to_owned() } else { enriched.desks.join(", ") };
    let _ = writeln!(told, "desks      {desks}");
    let reach = enriched.audience().map(|(count, unit)| format!("{count} {unit}"));
    let _ = writeln!(told, "reach      {}", reach.as_deref().unwrap_or("unknown"));
    told
}

/// Words with their place. A code name is not repeated.
fn place(found: &Evidence) -> String {
    let part = if found.in_title { "title " } else { "" };
    match &found.words {
        Some(words) => format!("“{words}” at {part}{}", found.from),
        None => format!("a code name at {part}{} to {}", found.from, found.to),
    }
}

fn polarity(sentiment: &Sentiment) -> String {
    let mut polarity = format!("{} {:+.2}", sentiment.label.as_str(), sentiment.score);
    if let Some(confidence) = sentiment.confidence {
        let _ = write!(polarity, " ({:.0} % sure)", confidence * 100.0);
    }
    polarity
}

fn words(sentiment: &Sentiment) -> String {
    let mut words = String::new();
    for word in &sentiment.words {
        let part = if word.in_title { "title " } else { "" };
        let _ = writeln!(words, "           {:+.3}  “{}” at {part}{}", word.share, word.word, word.from);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_with_their_words_and_a_code_name_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("names.txt");
        std::fs::write(&file, "Quillmark\n").unwrap();
        let mut risks = Risks::english();
        risks.add_code_names(&file).unwrap();
        let lexicons = Arc::new(Lexicons::shipped());
        let knowledge = Knowledge::of(&Watchlist::default(), lexicons, Arc::new(risks)).unwrap();
        let now = Timestamp::from_millis(0);
        let text = "Quillmark was sued, is it true?".to_owned();
        let command = ExplainCommand { text, title: None, lang: None, json: false };
        let position = RawPosition { partition: 0, offset: 0 };
        let enriched = judge(mention(&command, now), position, &knowledge, now);
        let told = told(&enriched, &Watchlist::default(), weighed(&enriched, &knowledge).as_deref());
        for line in [
            "risk       legal: “sued” at 14\n",
            "risk       leak: a code name at 0 to 9\n",
            "intent     none found\n",
            "desks      communications, security\n",
            "reach      unknown\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
        assert!(!told.to_lowercase().contains("quillmark"), "{told}");
    }
}
