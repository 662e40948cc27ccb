//! The rules of VADER 3.3.2: what the words around a word do to its valence.
//!
//! What belongs here: the published algorithm to the letter, its quirks included, so that scores can be
//! compared with every other implementation. What does not: anything that would make it better.

use super::lexicon::Lexicon;
use super::words::Word;

/// What a negation makes of the valence after it.
const NEGATION: f64 = -0.74;
/// What capitals add where not everything is in capitals.
const CAPITALS: f64 = 0.733;
/// What `never so` and `never this` make of the valence after it.
const NEVER_SO: f64 = 1.25;
/// Words before the one that is judged, at most, that have an effect on it.
const REACH: usize = 3;

const NEGATIONS: &[&str] = &[
    "aint", "arent", "cannot", "cant", "couldnt", "darent", "didnt", "doesnt", "dont", "hadnt", "hasnt",
    "havent", "isnt", "mightnt", "mustnt", "neither", "neednt", "never", "none", "nope", "nor", "not",
    "nothing", "nowhere", "oughtnt", "shant", "shouldnt", "uhuh", "uh-uh", "wasnt", "werent", "without",
    "wont", "wouldnt", "rarely", "seldom", "despite",
];

/// Phrases that mean something else than their words.
const PHRASES: &[(&str, f64)] = &[
    ("the shit", 3.0),
    ("the bomb", 3.0),
    ("bad ass", 1.5),
    ("badass", 1.5),
    ("bus stop", 0.0),
    ("yeah right", -2.0),
    ("kiss of death", -1.5),
    ("to die for", 3.0),
    ("beating heart", 3.5),
];

/// The valence of each word in its place.
pub(super) fn valences(lexicon: &Lexicon, words: &[Word]) -> Vec<f64> {
    let loud = words.iter().filter(|word| word.capitals).count();
    let text = Text { lexicon, words, capitals_stand_out: 0 < loud && loud < words.len() };
    let mut valences: Vec<f64> = (0..words.len()).map(|at| text.valence(at)).collect();
    contrast(words, &mut valences);
    valences
}

/// What exclamation and question marks add to the strength of the whole.
pub(super) fn punctuation_emphasis(exclamation_marks: usize, question_marks: usize) -> f64 {
    let exclamation = exclamation_marks.min(4) as f64 * 0.292;
    let question = match question_marks {
        0 | 1 => 0.0,
        2 | 3 => question_marks as f64 * 0.18,
        _ => 0.96,
    };
    exclamation + question
}

/// `but` halves what comes before it and strengthens what comes after.
///
/// The reference looks each valence up by its value, so that of two equal ones the first is changed again.
fn contrast(words: &[Word], valences: &mut [f64]) {
    let Some(but) = words.iter().position(|word| word.lower == "but") else { return };
    for turn in 0..valences.len() {
        let at = valences.iter().position(|valence| *valence == valences[turn]).unwrap_or(turn);
        if at < but {
            valences[at] *= 0.5;
        } else if at > but {
            valences[at] *= 1.5;
        }
    }
}

struct Text<'t> {
    lexicon: &'t Lexicon,
    words: &'t [Word],
    /// Some words are in capitals and some are not.
    capitals_stand_out: bool,
}

impl Text<'_> {
    fn valence(&self, at: usize) -> f64 {
        let word = self.word(at);
        if self.lexicon.boost(word).is_some() || (word == "kind" && self.word(at + 1) == "of") {
            return 0.0;
        }
        let Some(alone) = self.lexicon.valence(word) else { return 0.0 };
        let mut valence = alone;
        if word == "no" && self.weighs(at + 1) {
            valence = 0.0;
        }
        if self.follows_no(at) {
            valence = alone * NEGATION;
        }
        if self.words[at].capitals && self.capitals_stand_out {
            valence += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        for distance in 1..=REACH.min(at) {
            if self.weighs(at - distance) {
                continue;
            }
            valence += self.boost(at - distance, distance, valence);
            valence = self.negated(at, distance, valence);
            if distance == REACH {
                valence = self.in_phrase(at, valence);
            }
        }
        self.after_least(at, valence)
    }

    /// The word at a place; empty past the end.
    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &word.lower)
    }

    /// The word so many places before; empty before the beginning.
    fn before(&self, at: usize, distance: usize) -> &str {
        at.checked_sub(distance).map_or("", |at| self.word(at))
    }

    fn weighs(&self, at: usize) -> bool {
        self.lexicon.valence(self.word(at)).is_some()
    }

    fn follows_no(&self, at: usize) -> bool {
        self.before(at, 1) == "no"
            || self.before(at, 2) == "no"
            || (self.before(at, 3) == "no" && matches!(self.before(at, 1), "or" | "nor"))
    }

    /// What a booster at a place adds to a valence, less with distance.
    fn boost(&self, at: usize, distance: usize, valence: f64) -> f64 {
        let Some(mut boost) = self.lexicon.boost(self.word(at)) else { return 0.0 };
        if valence < 0.0 {
            boost = -boost;
        }
        if self.words[at].capitals && self.capitals_stand_out {
            boost += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        match distance {
            1 => boost,
            2 => boost * 0.95,
            _ => boost * 0.9,
        }
    }

    fn negated(&self, at: usize, distance: usize, valence: f64) -> f64 {
        let so = |distance| matches!(self.before(at, distance), "so" | "this");
        let doubt = |distance| self.before(at, distance) == "doubt";
        let word = self.before(at, distance);
        // At three words' distance a `so` just before is enough, whatever stands further away: so the reference.
        let never_so = match distance {
            2 => word == "never" && so(1),
            3 => (word == "never" && so(2)) || so(1),
            _ => false,
        };
        let without_doubt = match distance {
            2 => word == "without" && doubt(1),
            3 => word == "without" && (doubt(2) || doubt(1)),
            _ => false,
        };
        if never_so {
            valence * NEVER_SO
        } else if !without_doubt && is_negation(word) {
            valence * NEGATION
        } else {
            valence
        }
    }

    /// A known phrase replaces the valence; then a dampener of two or three words applies.
    fn in_phrase(&self, at: usize, mut valence: f64) -> f64 {
        let phrase = |from: usize, to: usize| {
            let words: Vec<&str> = (from..=to).map(|at| self.word(at)).collect();
            words.join(" ")
        };
        let around = [(at - 1, at), (at - 2, at), (at - 2, at - 1), (at - 3, at - 1), (at - 3, at - 2)];
        let special = |words: &str| PHRASES.iter().find(|(known, _)| *known == words).map(|(_, v)| *v);
        if let Some(known) = around.iter().find_map(|(from, to)| special(&phrase(*from, *to))) {
            valence = known;
        }
        for behind in [1, 2] {
            if let Some(known) = special(&phrase(at, at + behind)) {
                valence = known;
            }
        }
        for (from, to) in [(at - 3, at - 1), (at - 3, at - 2), (at - 2, at - 1)] {
            valence += self.lexicon.boost(&phrase(from, to)).unwrap_or_default();
        }
        valence
    }

    fn after_least(&self, at: usize, valence: f64) -> f64 {
        let negates = self.before(at, 1) == "least" && !matches!(self.before(at, 2), "at" | "very");
        if negates && !self.weighs(at - 1) { valence * NEGATION } else { valence }
    }
}

fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word) || word.contains("n't")
}
