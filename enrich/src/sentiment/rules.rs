//! The rules: what the words around a word do to its weight. One small function for each, in the order in
//! which they apply; each has its sentences in `tests`.

use super::reading::{Hit, Reading};
use super::roles::{Role, Roles};
use super::words::Pause;

/// A rule, by the name that linguists would know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// *not good*
    Negation,
    /// *I don't think that it is good*: the negation belongs to the statement below.
    NegationRaising,
    /// *I thought it was good, but it was not*: the negation speaks of what was said before.
    Ellipsis,
    /// *very good, GOOD, gooood, good!*
    Intensity,
    /// *slightly good*
    Dampening,
    /// *good, but slow*: what follows is meant.
    Contrast,
    /// *although it is good*: granted, not meant.
    Concession,
    /// *I thought it would be good*: what was expected.
    Expectation,
    /// *it used to be good*: how it was.
    Past,
    /// *some people think that it is good*: not the author's view.
    Hearsay,
    /// *Is it good? No*
    Answer,
    /// *is it good?*
    Question,
    /// *if it were good*
    Condition,
    /// *great, yeah right*
    Sarcasm,
    /// *the "good" food*
    Quotation,
}

impl Rule {
    /// The rule in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negation => "negated",
            Self::NegationRaising => "denied",
            Self::Ellipsis => "denied afterwards",
            Self::Intensity => "stressed",
            Self::Dampening => "weakened",
            Self::Contrast => "contrast",
            Self::Concession => "granted",
            Self::Expectation => "expected",
            Self::Past => "in the past",
            Self::Hearsay => "others say",
            Self::Answer => "answered with no",
            Self::Question => "asked",
            Self::Condition => "if",
            Self::Sarcasm => "sarcasm",
            Self::Quotation => "quoted",
        }
    }
}

/// Words after a negation that it reaches, at most.
const NEGATION_REACH: usize = 5;
/// Words before a negation that it reaches, at most.
const BACKWARD_REACH: usize = 3;
/// A word that weighs so much is clearly praise or blame.
const CLEAR: f32 = 0.4;
/// Words of a clause that denies what was said before it, at most.
const MAX_ELLIPSIS: usize = 5;

/// The rules in the order in which they apply, each with the role that some word must play for it.
const RULES: [(Option<Role>, fn(&mut Reading)); 14] = [
    (None, spent_words),
    (Some(Role::Negator), negation),
    (Some(Role::Denial), negation_raising),
    (None, intensity),
    (None, question_and_answer),
    (Some(Role::Negator), ellipsis),
    (Some(Role::Expectation), expectation),
    (Some(Role::Past), past_and_present),
    (Some(Role::Hearsay), hearsay_and_own_view),
    (Some(Role::Contrast), contrast),
    (Some(Role::Concession), concession),
    (Some(Role::Condition), condition),
    (None, quotation),
    (Some(Role::Sarcasm), sarcasm),
];

/// Applies every rule.
pub(super) fn apply(reading: &mut Reading) {
    if reading.hits.is_empty() {
        return;
    }
    let roles = reading.clauses.iter().fold(Roles::default(), |all, clause| all.and(clause.roles));
    for (role, rule) in RULES {
        if role.is_none_or(|role| roles.has(role)) {
            rule(reading);
        }
    }
}

/// To deny what is good is to blame; to deny what is bad says little.
fn deny(hit: &mut Hit, rule: Rule) {
    let by = if hit.value() > 0.0 { -0.8 } else { -0.15 };
    hit.scale(by, rule);
}

/// A negation or an answer weighs something by itself only where the text has words to colour, and not where it
/// reverses one of them: to say that something is *not international* is no blame.
fn spent_words(reading: &mut Reading) {
    let works_on_others =
        |roles: Roles| roles.has(Role::Negator) || roles.has(Role::Yes) || roles.has(Role::No);
    let colours = |hit: &Hit| hit.weight.abs() >= CLEAR && !works_on_others(reading.roles[hit.words.start]);
    let silent = !reading.hits.iter().any(colours);
    let mut spent = Vec::new();
    for (number, clause) in reading.clauses.iter().enumerate() {
        for at in clause.hits.clone() {
            let start = reading.hits[at].words.start;
            if !works_on_others(reading.roles[start]) {
                continue;
            }
            let reaches = reading.hits[at + 1..clause.hits.end]
                .iter()
                .take_while(|hit| hit.words.start <= start + NEGATION_REACH)
                .any(colours);
            let answers = start == clause.words.start && clause.words.len() <= 2;
            let is_elliptic = speaks_of_what_was_said(reading, number);
            if silent || reaches || answers || is_elliptic {
                spent.push(at);
            }
        }
    }
    for at in spent {
        reading.hits[at].scale(0.0, Rule::Negation);
    }
}

/// A negation reverses the words after it within its clause; some languages put it behind its verb. Where a second
/// negation only strengthens the first, a word is reversed once.
fn negation(reading: &mut Reading) {
    let once = reading.language.negative_concord;
    for clause in &reading.clauses {
        for at in clause.words.clone().filter(|at| reading.roles[*at].has(Role::Negator)) {
            let mut spent = false;
            let hits = &mut reading.hits[clause.hits.clone()];
            let behind = hits.partition_point(|hit| hit.words.start <= at);
            for hit in &mut hits[behind..] {
                if hit.words.start > at + NEGATION_REACH {
                    break;
                }
                if reading.words[hit.words.start].is_sign {
                    continue;
                }
                spent = true;
                if !once || !hit.rules.contains(&Rule::Negation) {
                    deny(hit, Rule::Negation);
                }
            }
            if !spent && reading.roles[at].has(Role::NegatorAfter) {
                negation_behind(&mut hits[..behind], at);
            }
        }
    }
}

/// *Ich mag das nicht*: the last word that stands shortly before the negation is reversed.
fn negation_behind(hits: &mut [Hit], negation: usize) {
    let mut near = hits.iter_mut().rev().take_while(|hit| hit.words.start + BACKWARD_REACH >= negation);
    let last = near.find(|hit| hit.words.end <= negation);
    if let Some(hit) = last.filter(|hit| !hit.rules.contains(&Rule::Negation)) {
        deny(hit, Rule::Negation);
    }
}

/// *I don't think, given …, that this is good*: the whole sentence after it is denied.
fn negation_raising(reading: &mut Reading) {
    let mut denied_from: Option<(usize, usize)> = None;
    for at in 0..reading.clauses.len() {
        let clause = &reading.clauses[at];
        let sentence = clause.sentence;
        if clause.opening.has(Role::Contrast)
            || denied_from.is_some_and(|(in_sentence, _)| in_sentence != sentence)
        {
            denied_from = None;
        }
        if let Some(word) = clause.words.clone().find(|word| reading.roles[*word].has(Role::Denial)) {
            denied_from = Some((sentence, word));
        }
        let Some((_, word)) = denied_from else { continue };
        for hit in reading.hits_of(at) {
            if hit.words.start > word {
                deny(hit, Rule::NegationRaising);
            }
        }
    }
}

/// Degree adverbs, capitals, drawn-out letters and exclamation marks.
fn intensity(reading: &mut Reading) {
    let shouted = reading.words.iter().filter(|word| word.shouted).count();
    let capitals_stand_out = shouted * 2 < reading.words.len();
    for clause in &reading.clauses {
        for hit in &mut reading.hits[clause.hits.clone()] {
            let start = hit.words.start;
            let word = &reading.words[start];
            let before = start.checked_sub(1).filter(|at| *at >= clause.words.start);
            let adverb = before.map(|at| reading.roles[at]).unwrap_or_default();
            if adverb.has(Role::Booster) {
                hit.scale(1.25, Rule::Intensity);
            }
            if adverb.has(Role::Dampener) {
                hit.scale(0.7, Rule::Dampening);
            }
            if (word.shouted && capitals_stand_out) || word.drawn_out {
                hit.scale(1.2, Rule::Intensity);
            }
            if clause.end == Pause::Exclamation {
                hit.scale(1.15, Rule::Intensity);
            }
        }
    }
}

/// *Is it good? No.* A question that nobody answers says less than a statement.
fn question_and_answer(reading: &mut Reading) {
    let mut answer: Option<(usize, Role)> = None;
    // How the sentence ends that a clause is of: backwards, its last clause comes first.
    let mut asked = false;
    for at in (0..reading.clauses.len()).rev() {
        let clause = &reading.clauses[at];
        if reading.clauses.get(at + 1).is_none_or(|later| later.sentence != clause.sentence) {
            asked = clause.end == Pause::Question;
        }
        if !asked {
            let says = [Role::Yes, Role::No].into_iter().find(|role| clause.opening.has(*role));
            answer = says.filter(|_| clause.words.len() <= 2).map(|role| (clause.sentence, role));
            continue;
        }
        let sentence = clause.sentence;
        let answer = answer.filter(|(answered, _)| *answered == sentence + 1).map(|(_, role)| role);
        for hit in reading.hits_of(at) {
            match answer {
                Some(Role::No) => hit.scale(if hit.value() > 0.0 { -0.8 } else { 0.0 }, Rule::Answer),
                Some(_) => {}
                None => hit.scale(0.8, Rule::Question),
            }
        }
    }
}

/// *I thought it would be good, but it was not.*
fn ellipsis(reading: &mut Reading) {
    for at in 1..reading.clauses.len() {
        if speaks_of_what_was_said(reading, at) {
            for hit in reading.hits_of(at - 1) {
                deny(hit, Rule::Ellipsis);
            }
        }
    }
}

/// Whether a clause ends in a negation of what the clause before it says.
fn speaks_of_what_was_said(reading: &Reading, at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| &reading.clauses[before]) else { return false };
    let clause = &reading.clauses[at];
    let opposes = clause.opening.has(Role::Contrast) || before.roles.has(Role::Expectation);
    let negation = clause.words.clone().rev().take(2).find(|word| reading.roles[*word].has(Role::Negator));
    let is_last = |word: usize| reading.hits[clause.hits.clone()].iter().all(|hit| hit.words.start <= word);
    opposes && clause.words.len() <= MAX_ELLIPSIS && negation.is_some_and(is_last)
}

/// What was expected counts little where something else is said to have come.
fn expectation(reading: &mut Reading) {
    for at in 0..reading.clauses.len().saturating_sub(1) {
        let next = &reading.clauses[at + 1];
        if reading.clauses[at].roles.has(Role::Expectation)
            && next.opening.has(Role::Contrast)
            && reading.hits[next.hits.clone()].iter().any(|hit| hit.factor != 0.0)
        {
            for hit in reading.hits_of(at) {
                hit.scale(0.3, Rule::Expectation);
            }
        }
    }
}

/// *It used to be good, now it is bad*: what was counts next to nothing where it is said what is.
fn past_and_present(reading: &mut Reading) {
    let says_what_is = |reading: &Reading| {
        reading.clauses.iter().any(|clause| !clause.hits.is_empty() && !clause.roles.has(Role::Past))
    };
    let by = if says_what_is(reading) { 0.05 } else { 0.4 };
    for at in 0..reading.clauses.len() {
        if reading.clauses[at].roles.has(Role::Past) {
            for hit in reading.hits_of(at) {
                hit.scale(by, Rule::Past);
            }
        }
    }
}

/// *Some people think that you are bad, but I think that you are good.*
fn hearsay_and_own_view(reading: &mut Reading) {
    let own = reading.clauses.iter().any(|clause| clause.roles.has(Role::OwnView) && !clause.hits.is_empty());
    let by = if own { 0.1 } else { 0.7 };
    for at in 0..reading.clauses.len() {
        let roles = reading.clauses[at].roles;
        if roles.has(Role::Hearsay) && !roles.has(Role::OwnView) {
            for hit in reading.hits_of(at) {
                hit.scale(by, Rule::Hearsay);
            }
        }
    }
}

/// What stands before a *but* is granted, what follows it is meant: within a sentence, or over its border
/// where the sentence begins with it.
fn contrast(reading: &mut Reading) {
    for at in 1..reading.clauses.len() {
        let clause = &reading.clauses[at];
        let says_something = reading.hits[clause.hits.clone()].iter().any(|hit| hit.factor != 0.0);
        if !clause.opening.has(Role::Contrast) || !says_something {
            continue;
        }
        let before = reading.clauses[at - 1].sentence;
        for hit in reading.hits_of(at) {
            hit.scale(1.2, Rule::Contrast);
        }
        for earlier in (0..at).rev() {
            if reading.clauses[earlier].sentence != before {
                break;
            }
            for hit in reading.hits_of(earlier) {
                hit.scale(0.6, Rule::Contrast);
            }
            // A second `but` does not weaken again what the first one did.
            if reading.clauses[earlier].opening.has(Role::Contrast) {
                break;
            }
        }
    }
}

/// *Although it is good, …*; but *although now it is bad* says what is.
fn concession(reading: &mut Reading) {
    for at in 0..reading.clauses.len() {
        let clause = &reading.clauses[at];
        if clause.opening.has(Role::Concession) && !clause.roles.has(Role::Present) {
            for hit in reading.hits_of(at) {
                hit.scale(0.6, Rule::Concession);
            }
        }
    }
}

/// What is only supposed or wished for.
fn condition(reading: &mut Reading) {
    for at in 0..reading.clauses.len() {
        if reading.clauses[at].roles.has(Role::Condition) {
            for hit in reading.hits_of(at) {
                hit.scale(0.7, Rule::Condition);
            }
        }
    }
}

/// Quoted words are not the author's own.
fn quotation(reading: &mut Reading) {
    for hit in &mut reading.hits {
        if reading.words[hit.words.start].quoted {
            hit.scale(0.7, Rule::Quotation);
        }
    }
}

/// Where sarcasm is marked, praise is meant the other way round.
fn sarcasm(reading: &mut Reading) {
    for hit in &mut reading.hits {
        if hit.value() > 0.0 {
            hit.scale(-0.8, Rule::Sarcasm);
        }
    }
}
