//! Scores against published ones.

use super::*;

/// The sentences of VADER's own demonstration with the compound scores it prints (vaderSentiment 3.3.2).
const DEMONSTRATION: &[(&str, f64)] = &[
    ("VADER is smart, handsome, and funny.", 0.8316),
    ("VADER is smart, handsome, and funny!", 0.8439),
    ("VADER is very smart, handsome, and funny.", 0.8545),
    ("VADER is VERY SMART, handsome, and FUNNY.", 0.9227),
    ("VADER is VERY SMART, handsome, and FUNNY!!!", 0.9342),
    ("VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!", 0.9469),
    ("VADER is not smart, handsome, nor funny.", -0.7424),
    ("The book was good.", 0.4404),
    ("At least it isn't a horrible book.", 0.431),
    ("The book was only kind of good.", 0.3832),
    ("The plot was good, but the characters are uncompelling and the dialog is not great.", -0.7042),
    ("Today SUX!", -0.5461),
    ("Today only kinda sux! But I'll get by, lol", 0.5249),
    ("Make sure you :) or :D today!", 0.8633),
    ("Catch utf-8 emoji such as 💘 and 💋 and 😁", 0.875),
    ("Not bad at all", 0.431),
];

/// One sentence or more for each rule, scored with vaderSentiment 3.3.2.
const RULES: &[(&str, &[(&str, f64)])] = &[
    (
        "boosters and dampeners, weaker with distance",
        &[
            ("a good seat", 0.4404),
            ("a very good seat", 0.4927),
            ("very, this good seat", 0.4902),
            ("a really rather cheap good seat", 0.4877),
            ("barely good", 0.3832),
            ("the flight was just sort of good", 0.3832),
        ],
    ),
    (
        "capitals, unless everything is in capitals",
        &[("a VERY good seat", 0.6028), ("a GOOD seat", 0.5622), ("A GOOD SEAT", 0.4404)],
    ),
    (
        "negation within three words",
        &[
            ("without good food", -0.3412),
            ("uh-uh good", -0.3412),
            ("couldnt be a good seat", -0.3412),
            ("it ain't a good seat", -0.3412),
            ("it was never good", -0.3412),
        ],
    ),
    (
        "`never so` and `without doubt` negate nothing",
        &[
            ("it was never this good", 0.6084),
            ("it was never really so good", 0.6236),
            ("without doubt a good seat", 0.6136),
        ],
    ),
    (
        "`no` negates what follows",
        &[("no good food", -0.3412), ("no bad or good food", 0.1139), ("no", -0.296)],
    ),
    (
        "`least` negates, `at least` does not",
        &[("the least good seat", -0.3412), ("at least good food", 0.4404)],
    ),
    (
        "`but` moves the weight behind it",
        &[("a good seat but a bad flight", -0.5859), ("a good seat but good food and good staff", 0.8641)],
    ),
    (
        "phrases that mean something else than their words",
        &[
            ("that flight was the shit today", 0.6124),
            ("a long ride past the bus stop", 0.0),
            ("so it was to die for really good", -0.1796),
        ],
    ),
    (
        "exclamation marks up to four, question marks from two",
        &[
            ("good food!!!!!!", 0.6209),
            ("good food?", 0.4404),
            ("good food??", 0.504),
            ("good food?????", 0.594),
            ("bad food!!", -0.6229),
        ],
    ),
    ("emoji by their description", &[("good😡food", 0.4404), ("😀", 0.3612), ("👍👍 thanks", 0.4404)]),
    ("nothing to weigh", &[("nothing here", 0.0), ("", 0.0), ("good and bad", -0.1531)]),
];

fn check(lexicon: &Lexicon, text: &str, published: f64) {
    let compound = score(lexicon, text);
    assert!((compound - published).abs() <= 0.5e-4 + 1e-9, "{text}: {compound}, published {published}");
}

#[test]
fn the_sentences_of_the_demonstration_score_as_published() {
    let lexicon = Lexicon::english();
    for (text, published) in DEMONSTRATION {
        check(&lexicon, text, *published);
    }
}

#[test]
fn each_rule_scores_as_the_reference_does() {
    let lexicon = Lexicon::english();
    for (text, reference) in RULES.iter().flat_map(|(_, cases)| *cases) {
        check(&lexicon, text, *reference);
    }
}
