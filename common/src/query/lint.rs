//! What is allowed in a query and probably not meant, and what a query costs.

use super::lexer::{Lexeme, is_quote, lex};
use super::parser::Reading;
use super::tree::{Condition, Query, Span, Text, Value, Word};

/// Queries that cost more are refused.
pub(super) const MAX_COST: u64 = 20_000;

/// A wildcard with fewer characters before it is looked up in much of the dictionary.
const ANCHOR_CHARACTERS: usize = 3;

/// Surnames that are words of everyday English (from the frequent surnames of the US census).
const AMBIGUOUS_SURNAMES: [&str; 72] = [
    "baker",
    "ball",
    "banks",
    "barber",
    "bell",
    "berry",
    "best",
    "bishop",
    "black",
    "blue",
    "bond",
    "book",
    "brown",
    "bush",
    "butler",
    "carpenter",
    "carter",
    "case",
    "chase",
    "church",
    "coleman",
    "cook",
    "cooper",
    "cross",
    "day",
    "dean",
    "fields",
    "fisher",
    "ford",
    "fox",
    "french",
    "frost",
    "gates",
    "gold",
    "grant",
    "gray",
    "green",
    "hall",
    "hill",
    "holder",
    "hunt",
    "hunter",
    "jobs",
    "judge",
    "king",
    "knight",
    "lane",
    "little",
    "long",
    "love",
    "marsh",
    "mason",
    "mills",
    "moon",
    "may",
    "page",
    "park",
    "potter",
    "price",
    "rice",
    "rose",
    "sharp",
    "snow",
    "stone",
    "summers",
    "swift",
    "walker",
    "west",
    "white",
    "wise",
    "wood",
    "young",
];

/// Words that stand in most English texts: who excludes them excludes nearly everything.
const EVERYDAY_WORDS: [&str; 26] = [
    "a", "all", "and", "are", "as", "at", "be", "but", "for", "i", "in", "is", "it", "my", "not", "of", "on",
    "or", "so", "that", "the", "this", "to", "was", "with", "you",
];

/// What is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Character, from 0, where the finding is about one place.
    pub at: Option<usize>,
    /// What is probably not meant, and what to write instead.
    pub message: String,
}

/// Work for one query, in units of one word's lookup.
pub fn cost(query: &Query) -> u64 {
    match query {
        Query::All => 1,
        Query::Text(text) => span_cost(&text.span),
        Query::Field(Condition::Value(_, Value::Like(_))) => 10,
        Query::Field(_) => 1,
        Query::And(parts) | Query::Or(parts) => parts.iter().map(cost).sum(),
        Query::Not(query) => cost(query),
    }
}

fn span_cost(span: &Span) -> u64 {
    match span {
        Span::Word(word) => word_cost(word),
        Span::Phrase(words) => words.iter().map(word_cost).sum(),
        Span::Raw(_) => 20,
        Span::Any(spans) => spans.iter().map(span_cost).sum(),
        Span::Near(near) => {
            span_cost(&near.left) + span_cost(&near.right) + 2 + u64::from(near.distance) / 10
        }
    }
}

fn word_cost(word: &Word) -> u64 {
    match word {
        Word::Folded(_) | Word::Exact(_) => 1,
        Word::Wildcard(pattern) => match pattern.prefix().chars().count() {
            0 => 100,
            1 | 2 => 30,
            _ => 10,
        },
    }
}

/// What is probably not meant in a query that was read from this text.
pub fn lint(text: &str, reading: &Reading) -> Vec<Lint> {
    let mut lints = Vec::new();
    lint_writing(text, &mut lints);
    lint_wildcards(&reading.query, &mut lints);
    lint_exclusions(&reading.query, &mut lints);
    lint_surnames(&reading.query, false, &mut lints);
    if !narrows(&reading.query) {
        lints.push(Lint {
            at: None,
            message: "no word, author, site, entity or other value is required: this query cannot narrow a stream and is \
                      evaluated for every mention; add with AND what must be there"
                .to_owned(),
        });
    }
    lints
}

/// What only the text shows and the tree does not.
fn lint_writing(text: &str, lints: &mut Vec<Lint>) {
    let mut found = |at: usize, message: String| lints.push(Lint { at: Some(at), message });
    if let Some(at) = text.chars().position(|c| is_quote(c) && c != '"') {
        found(
            at,
            "smart quotes are read as `\"`; an apostrophe or an inch mark that became one is too".to_owned(),
        );
    }
    let Ok(lexemes) = lex(text) else { return };
    let mut from_brandwatch =
        lexemes.iter().any(|(_, lexeme)| matches!(lexeme, Lexeme::Near { as_words_between: true, .. }));
    for (n, (at, lexeme)) in lexemes.iter().enumerate() {
        match lexeme {
            Lexeme::Word(word) if is_lower_operator(word) => {
                found(
                    *at,
                    format!(
                        "`{word}` is sought as a word; write the operator in capitals: `{}`",
                        word.to_uppercase()
                    ),
                );
            }
            Lexeme::Near { distance, as_words_between: false, .. } if from_brandwatch => {
                // Said once: it is true of all that follow.
                from_brandwatch = false;
                found(
                    *at,
                    format!(
                        "a distance is counted from word to word here; in Brandwatch, whose `NEAR/nf` this query uses, it \
                         is the number of words between: for the same meaning write `NEAR/{}`, and so with each",
                        distance + 1
                    ),
                );
            }
            Lexeme::Or if beside_near(&lexemes, n) => {
                found(*at, "NEAR binds more than OR: `a OR b NEAR/3 c` is `a OR (b NEAR/3 c)`; parentheses make it plain".to_owned());
            }
            _ => {}
        }
    }
}

fn is_lower_operator(word: &str) -> bool {
    let name = word.split('/').next().unwrap_or_default();
    matches!(name, "and" | "And" | "or" | "Or" | "not" | "Not")
        || (matches!(name, "near" | "Near" | "onear" | "Onear") && name != word)
}

/// Whether the operand before or behind an OR is an operand of NEAR without parentheses around it.
fn beside_near(lexemes: &[(usize, Lexeme)], or: usize) -> bool {
    let is_near = |at: Option<usize>| {
        at.and_then(|at| lexemes.get(at)).is_some_and(|(_, lexeme)| matches!(lexeme, Lexeme::Near { .. }))
    };
    let is_simple = |at: Option<usize>| {
        at.and_then(|at| lexemes.get(at)).is_some_and(|(_, lexeme)| {
            matches!(lexeme, Lexeme::Word(_) | Lexeme::Phrase(_) | Lexeme::Exact(_))
        })
    };
    (is_simple(or.checked_sub(1)) && is_near(or.checked_sub(2)))
        || (is_simple(Some(or + 1)) && is_near(Some(or + 2)))
}

fn lint_wildcards(query: &Query, lints: &mut Vec<Lint>) {
    for_each_word(query, &mut |word| {
        let Word::Wildcard(pattern) = word else { return };
        let anchor = pattern.prefix().chars().count();
        if pattern.as_str().find(['*', '?']) == Some(pattern.as_str().len() - 1)
            && pattern.as_str().ends_with('?')
        {
            let word = pattern.prefix();
            let message = format!(
                "`{pattern}` is `{word}` with exactly one character more, and not `{word}` itself; for a question \
                 leave the mark away"
            );
            lints.push(Lint { at: None, message });
        }
        if anchor == 0 {
            let message = format!(
                "`{pattern}` begins with a wildcard: every word of the index is compared with it; write out the words"
            );
            lints.push(Lint { at: None, message });
        } else if anchor < ANCHOR_CHARACTERS {
            let message = format!(
                "`{pattern}` begins with {anchor} known characters and stands for very many words; give at least \
                 {ANCHOR_CHARACTERS}"
            );
            lints.push(Lint { at: None, message });
        }
    });
}

/// A NOT that takes away what the query asks for, or nearly everything.
fn lint_exclusions(query: &Query, lints: &mut Vec<Lint>) {
    match query {
        Query::And(parts) => {
            let mut required: Vec<String> = Vec::new();
            for part in parts {
                if let Query::Text(Text { span: Span::Word(Word::Folded(word)), .. }) = part {
                    required.push(word.clone());
                }
            }
            for part in parts {
                match part {
                    Query::Not(excluded) => lint_exclusion(excluded, &required, lints),
                    part => lint_exclusions(part, lints),
                }
            }
        }
        Query::Or(parts) => parts.iter().for_each(|part| lint_exclusions(part, lints)),
        Query::Not(excluded) => lint_exclusion(excluded, &[], lints),
        Query::All | Query::Text(_) | Query::Field(_) => {}
    }
}

/// `excluded` is away where any of its alternatives is there.
fn lint_exclusion(excluded: &Query, required: &[String], lints: &mut Vec<Lint>) {
    match excluded {
        Query::Or(parts) => parts.iter().for_each(|part| lint_exclusion(part, required, lints)),
        Query::Text(Text { span: Span::Word(word), .. }) => {
            let takes = |sought: &str| match word {
                Word::Folded(word) => word == sought,
                Word::Wildcard(pattern) => pattern.fits(sought),
                Word::Exact(_) => false,
            };
            if let Some(sought) = required.iter().find(|sought| takes(sought)) {
                let message = format!(
                    "`NOT {word}` takes away every mention with `{sought}`, which the query asks for"
                );
                lints.push(Lint { at: None, message });
            } else if EVERYDAY_WORDS.iter().any(|everyday| takes(everyday)) {
                let message = format!(
                    "`NOT {word}` takes away most mentions, since everyday words fit it; exclude a phrase"
                );
                lints.push(Lint { at: None, message });
            }
        }
        Query::All => lints.push(Lint { at: None, message: "`NOT *` takes away every mention".to_owned() }),
        _ => {}
    }
}

/// Surnames that are everyday words, where nothing beside them says that a person is meant.
fn lint_surnames(query: &Query, in_context: bool, lints: &mut Vec<Lint>) {
    match query {
        Query::Text(Text { span: Span::Word(Word::Folded(word)), .. })
            if !in_context && AMBIGUOUS_SURNAMES.contains(&word.as_str()) =>
        {
            lints.push(Lint {
                at: None,
                message: format!(
                    "`{word}` is an everyday word as well as a name; write the whole name in quotation marks, or \
                     `{word} NEAR/5 (…)` with words of its context"
                ),
            });
        }
        Query::And(parts) => {
            let positive = parts.iter().filter(|part| !matches!(part, Query::Not(_) | Query::All)).count();
            for part in parts {
                lint_surnames(part, in_context || positive > 1, lints);
            }
        }
        Query::Or(parts) => parts.iter().for_each(|part| lint_surnames(part, in_context, lints)),
        Query::All | Query::Text(_) | Query::Field(_) | Query::Not(_) => {}
    }
}

/// Whether something must be there for the query to match.
fn narrows(query: &Query) -> bool {
    match query {
        Query::Text(_) | Query::Field(Condition::Value(..)) => true,
        Query::And(parts) => parts.iter().any(narrows),
        Query::Or(parts) => parts.iter().all(narrows),
        Query::All | Query::Field(_) | Query::Not(_) => false,
    }
}

fn for_each_word(query: &Query, visit: &mut impl FnMut(&Word)) {
    match query {
        Query::All | Query::Field(_) => {}
        Query::Text(text) => for_each_word_of(&text.span, visit),
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| for_each_word(part, visit)),
        Query::Not(query) => for_each_word(query, visit),
    }
}

fn for_each_word_of(span: &Span, visit: &mut impl FnMut(&Word)) {
    match span {
        Span::Word(word) => visit(word),
        Span::Phrase(words) => words.iter().for_each(visit),
        Span::Raw(_) => {}
        Span::Any(spans) => spans.iter().for_each(|span| for_each_word_of(span, visit)),
        Span::Near(near) => {
            for_each_word_of(&near.left, visit);
            for_each_word_of(&near.right, visit);
        }
    }
}
