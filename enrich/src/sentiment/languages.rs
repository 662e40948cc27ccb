//! The languages that are judged, and on which scale: each is a set of lexicons and a few facts about its writing
//! and grammar. The rules are the same for all.
//!
//! What belongs here: the table. What does not: how a file is read, which is `lexicon`, and which language a text
//! is in, which is `language`.

use super::score::Scale;

/// A language that is judged.
#[derive(Debug)]
pub(super) struct Language {
    /// ISO 639-1.
    pub(super) code: &'static str,
    /// Its name in English, lower case.
    pub(super) name: &'static str,
    /// Name and version of its lexicons together; to be raised with every change of one.
    pub(super) version: &'static str,
    /// Its lexicons with their file names, in the order of their layers. The identity words come first: whatever
    /// comes later must leave them without weight.
    pub(super) layers: &'static [(&'static str, &'static str)],
    /// How much weight makes an opinion.
    pub(super) scale: Scale,
    /// How people write its accents.
    pub(super) accents: Accents,
    /// Whether a capital within a sentence shows a name. In German it shows a noun.
    pub(super) capitals_show_names: bool,
    /// Whether a second negation strengthens the first one, as in *ne … pas* and *no … nada*.
    pub(super) negative_concord: bool,
    /// Whether slips of the finger are mended. It takes a list of the words that only look like slips, which the
    /// grammar calls `plain`.
    pub(super) mends_slips: bool,
}

/// What people write for a letter with an accent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accents {
    /// Perhaps the letter without it: *deçu* or *decu*.
    Optional,
    /// The letter or two others: *schön* or *schoen*, and never *schon*, which is another word.
    Transcribed,
}

/// The layer of the English lexicons whose weights are learned.
pub(super) const GENERAL: &str = "general.tsv";

const IDENTITY: (&str, &str) = ("identity.tsv", include_str!("../../lexicons/identity/identity.tsv"));
const EMOJI: (&str, &str) = ("emoji.tsv", include_str!("../../lexicons/general-en/emoji.tsv"));
const BORROWED: (&str, &str) = ("borrowed.tsv", include_str!("../../lexicons/borrowed/borrowed.tsv"));

/// English, which also judges what may be English.
pub(super) static ENGLISH: Language = Language {
    code: "en",
    name: "english",
    version: "earshot-en-1",
    layers: &[
        IDENTITY,
        ("grammar.tsv", include_str!("../../lexicons/grammar-en/grammar.tsv")),
        (GENERAL, include_str!("../../lexicons/general-en/general.tsv")),
        ("phrases.tsv", include_str!("../../lexicons/general-en/phrases.tsv")),
        EMOJI,
        ("reputation.tsv", include_str!("../../lexicons/reputation-en/reputation.tsv")),
        ("finance.tsv", include_str!("../../lexicons/overlays/finance.tsv")),
        ("airlines.tsv", include_str!("../../lexicons/overlays/airlines.tsv")),
        ("technology.tsv", include_str!("../../lexicons/overlays/technology.tsv")),
    ],
    scale: Scale::LEARNED,
    accents: Accents::Optional,
    capitals_show_names: true,
    negative_concord: false,
    mends_slips: true,
};

static FRENCH: Language = Language {
    code: "fr",
    name: "french",
    version: "earshot-fr-1",
    layers: &[
        IDENTITY,
        ("identity-fr.tsv", include_str!("../../lexicons/identity/identity-fr.tsv")),
        ("grammar-fr.tsv", include_str!("../../lexicons/grammar-fr/grammar.tsv")),
        EMOJI,
        BORROWED,
        ("open-fr.tsv", include_str!("../../lexicons/general-fr/open.tsv")),
        ("words-fr.tsv", include_str!("../../lexicons/general-fr/words.tsv")),
    ],
    scale: Scale::BY_HAND,
    accents: Accents::Optional,
    capitals_show_names: true,
    negative_concord: true,
    mends_slips: false,
};

static GERMAN: Language = Language {
    code: "de",
    name: "german",
    version: "earshot-de-1",
    layers: &[
        IDENTITY,
        ("identity-de.tsv", include_str!("../../lexicons/identity/identity-de.tsv")),
        ("grammar-de.tsv", include_str!("../../lexicons/grammar-de/grammar.tsv")),
        EMOJI,
        BORROWED,
        ("open-de.tsv", include_str!("../../lexicons/general-de/open.tsv")),
        ("words-de.tsv", include_str!("../../lexicons/general-de/words.tsv")),
    ],
    scale: Scale::BY_HAND,
    accents: Accents::Transcribed,
    capitals_show_names: false,
    negative_concord: false,
    mends_slips: false,
};

static SPANISH: Language = Language {
    code: "es",
    name: "spanish",
    version: "earshot-es-1",
    layers: &[
        IDENTITY,
        ("identity-es.tsv", include_str!("../../lexicons/identity/identity-es.tsv")),
        ("grammar-es.tsv", include_str!("../../lexicons/grammar-es/grammar.tsv")),
        EMOJI,
        BORROWED,
        ("open-es.tsv", include_str!("../../lexicons/general-es/open.tsv")),
        ("words-es.tsv", include_str!("../../lexicons/general-es/words.tsv")),
    ],
    scale: Scale::BY_HAND,
    accents: Accents::Optional,
    capitals_show_names: true,
    negative_concord: true,
    mends_slips: false,
};

static ITALIAN: Language = Language {
    code: "it",
    name: "italian",
    version: "earshot-it-1",
    layers: &[
        IDENTITY,
        ("identity-it.tsv", include_str!("../../lexicons/identity/identity-it.tsv")),
        ("grammar-it.tsv", include_str!("../../lexicons/grammar-it/grammar.tsv")),
        EMOJI,
        BORROWED,
        ("open-it.tsv", include_str!("../../lexicons/general-it/open.tsv")),
        ("words-it.tsv", include_str!("../../lexicons/general-it/words.tsv")),
    ],
    scale: Scale::BY_HAND,
    accents: Accents::Optional,
    capitals_show_names: true,
    negative_concord: true,
    mends_slips: false,
};

static PORTUGUESE: Language = Language {
    code: "pt",
    name: "portuguese",
    version: "earshot-pt-1",
    layers: &[
        IDENTITY,
        ("identity-pt.tsv", include_str!("../../lexicons/identity/identity-pt.tsv")),
        ("grammar-pt.tsv", include_str!("../../lexicons/grammar-pt/grammar.tsv")),
        EMOJI,
        BORROWED,
        ("open-pt.tsv", include_str!("../../lexicons/general-pt/open.tsv")),
        ("words-pt.tsv", include_str!("../../lexicons/general-pt/words.tsv")),
    ],
    scale: Scale::BY_HAND,
    accents: Accents::Optional,
    capitals_show_names: true,
    negative_concord: true,
    mends_slips: false,
};

/// Every language that is judged.
pub(super) static JUDGED: [&Language; 6] = [&ENGLISH, &FRENCH, &GERMAN, &SPANISH, &ITALIAN, &PORTUGUESE];

/// The language of a code (ISO 639-1, or `und`) or an English name, where it is judged. What may be English is
/// judged as English.
pub(super) fn judged(language: &str) -> Option<&'static Language> {
    if language == crate::language::UNDETERMINED {
        return Some(&ENGLISH);
    }
    JUDGED.into_iter().find(|known| known.code == language || known.name == language)
}
