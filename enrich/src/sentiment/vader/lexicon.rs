//! The lexicon of VADER for English: what each word, emoticon and booster weighs.

use std::collections::HashMap;

const WORDS: &str = include_str!("../../../lexicons/vader-en/vader_lexicon.txt");
const EMOJI: &str = include_str!("../../../lexicons/vader-en/emoji_utf8_lexicon.txt");

/// What a booster adds to the word after it.
const BOOST: f64 = 0.293;

const BOOSTERS: &[&str] = &[
    "absolutely",
    "amazingly",
    "awfully",
    "completely",
    "considerable",
    "considerably",
    "decidedly",
    "deeply",
    "effing",
    "enormous",
    "enormously",
    "entirely",
    "especially",
    "exceptional",
    "exceptionally",
    "extreme",
    "extremely",
    "fabulously",
    "flipping",
    "flippin",
    "frackin",
    "fracking",
    "fricking",
    "frickin",
    "frigging",
    "friggin",
    "fully",
    "fuckin",
    "fucking",
    "fuggin",
    "fugging",
    "greatly",
    "hella",
    "highly",
    "hugely",
    "incredible",
    "incredibly",
    "intensely",
    "major",
    "majorly",
    "more",
    "most",
    "particularly",
    "purely",
    "quite",
    "really",
    "remarkably",
    "so",
    "substantially",
    "thoroughly",
    "total",
    "totally",
    "tremendous",
    "tremendously",
    "uber",
    "unbelievably",
    "unusually",
    "utter",
    "utterly",
    "very",
];

const DAMPENERS: &[&str] = &[
    "almost",
    "barely",
    "hardly",
    "just enough",
    "kind of",
    "kinda",
    "kindof",
    "kind-of",
    "less",
    "little",
    "marginal",
    "marginally",
    "occasional",
    "occasionally",
    "partly",
    "scarce",
    "scarcely",
    "slight",
    "slightly",
    "somewhat",
    "sort of",
    "sorta",
    "sortof",
    "sort-of",
];

/// Words with their weights.
#[derive(Debug)]
pub struct Lexicon {
    valences: HashMap<&'static str, f64>,
    boosters: HashMap<&'static str, f64>,
    emoji: HashMap<char, &'static str>,
}

impl Lexicon {
    /// The lexicon that comes with the program.
    pub fn english() -> Self {
        let mut valences = HashMap::new();
        for (word, rest) in WORDS.lines().filter_map(|line| line.split_once('\t')) {
            let mean = rest.split('\t').next().and_then(|mean| mean.parse().ok());
            valences.insert(word, mean.expect("each line of the shipped lexicon has a number second"));
        }
        let mut emoji = HashMap::new();
        for (written, description) in EMOJI.lines().filter_map(|line| line.split_once('\t')) {
            // The algorithm looks at one character at a time, so that longer sequences are never found.
            let mut characters = written.chars();
            if let (Some(character), None) = (characters.next(), characters.next()) {
                emoji.insert(character, description);
            }
        }
        let boosters = BOOSTERS.iter().map(|word| (*word, BOOST));
        let dampeners = DAMPENERS.iter().map(|word| (*word, -BOOST));
        Self { valences, boosters: boosters.chain(dampeners).collect(), emoji }
    }

    /// How good or bad a word is by itself, -4 to 4.
    pub(super) fn valence(&self, word: &str) -> Option<f64> {
        self.valences.get(word).copied()
    }

    /// What a degree adverb adds to the word after it; negative for one that dampens.
    pub(super) fn boost(&self, word: &str) -> Option<f64> {
        self.boosters.get(word).copied()
    }

    /// An emoji in words.
    pub(super) fn description(&self, emoji: char) -> Option<&'static str> {
        self.emoji.get(&emoji).copied()
    }
}
