//! Each rule by sentences, the shipped lexicons by their own checks, and what must hold for any text.

use proptest::prelude::*;

use super::*;

type Sentences = &'static [(&'static str, Option<Polarity>)];

/// Sentences for each rule, with the label that a reader would give; `None` is anything but negative.
const RULES: &[(&str, Sentences)] = &[
    (
        "praise and blame",
        &[
            ("The food was excellent", Some(Polarity::Positive)),
            ("The staff is terrible", Some(Polarity::Negative)),
            ("The flight leaves at nine", Some(Polarity::Neutral)),
        ],
    ),
    (
        "negation",
        &[
            ("The flight was not good", Some(Polarity::Negative)),
            ("I don't like the food", Some(Polarity::Negative)),
            ("This seat isn't awful", None),
            ("This flight is not international", Some(Polarity::Neutral)),
        ],
    ),
    (
        "negation of the statement below",
        &[
            (
                "I don't think, given my history with airplanes, that this is an amazing service",
                Some(Polarity::Negative),
            ),
            ("I can't say, given it's a Tuesday, that that service was terrible", None),
        ],
    ),
    (
        "ellipsis",
        &[
            ("I thought it would be great, but it was not", Some(Polarity::Negative)),
            ("I thought it would be awful, but it wasn't", None),
        ],
    ),
    (
        "contrast and concession",
        &[
            ("The seats are nice, but the staff is horrible", Some(Polarity::Negative)),
            ("Although the seats are bad, the staff is wonderful", Some(Polarity::Positive)),
        ],
    ),
    (
        "past and present",
        &[
            ("I used to hate this airline, but now I love it", Some(Polarity::Positive)),
            ("In the past I would love this airline, now I hate it", Some(Polarity::Negative)),
        ],
    ),
    (
        "hearsay and own view",
        &[
            ("Some people think you are awful, but I think you are great", Some(Polarity::Positive)),
            ("I think you are terrible, I had heard you were perfect", Some(Polarity::Negative)),
        ],
    ),
    (
        "question and answer",
        &[
            ("Do I think this flight is great? No", Some(Polarity::Negative)),
            ("Do I think this flight is great? Yes", Some(Polarity::Positive)),
            ("Do I think that service is terrible? No", None),
        ],
    ),
    ("sarcasm", &[("Great service as always, yeah right", Some(Polarity::Negative))]),
    (
        "emoji, emoticons and drawn-out letters",
        &[
            ("my bag 😡", Some(Polarity::Negative)),
            ("nobody answers 😡", Some(Polarity::Negative)),
            ("on our way :)", Some(Polarity::Positive)),
            ("this is gooooood", Some(Polarity::Positive)),
        ],
    ),
    ("slips of the finger", &[("what a wondreful crew", Some(Polarity::Positive))]),
    (
        "reputation and business",
        &[
            ("The chairman was indicted for fraud", Some(Polarity::Negative)),
            ("Operating profit rose to 5 million", Some(Polarity::Positive)),
            ("Net sales decreased to 3 million", Some(Polarity::Negative)),
        ],
    ),
];

/// Sentences in the other languages, each for something that its grammar or its spelling does.
const LANGUAGES: &[(&str, Sentences)] = &[
    (
        "fr",
        &[
            ("Le service est excellent, bravo à toute l'équipe", Some(Polarity::Positive)),
            ("Quelle arnaque, je suis très déçu", Some(Polarity::Negative)),
            ("Le train part à neuf heures", Some(Polarity::Neutral)),
            ("Ce n'est pas bon du tout", Some(Polarity::Negative)),
            ("Je n’aime pas cette application", Some(Polarity::Negative)),
            ("j'aime pas ce film", Some(Polarity::Negative)),
            ("Il n'y a jamais rien de bon ici", Some(Polarity::Negative)),
            ("L'accueil est sympa mais le repas est vraiment infect", Some(Polarity::Negative)),
            ("Tres decu par ce produit", Some(Polarity::Negative)),
            ("J'adooooore 😍", Some(Polarity::Positive)),
        ],
    ),
    (
        "de",
        &[
            ("Das Essen war hervorragend", Some(Polarity::Positive)),
            ("Der Kundendienst ist eine Katastrophe", Some(Polarity::Negative)),
            ("Der Zug fährt um neun Uhr ab", Some(Polarity::Neutral)),
            ("Die Bahn ist schon da", Some(Polarity::Neutral)),
            ("Die Aussicht ist schoen", Some(Polarity::Positive)),
            ("Das ist nicht gut", Some(Polarity::Negative)),
            ("Das gefällt mir nicht", Some(Polarity::Negative)),
            ("Schöne Zimmer, aber das Personal ist unfreundlich", Some(Polarity::Negative)),
            ("Ich dachte, es wird toll, aber das war es nicht", Some(Polarity::Negative)),
        ],
    ),
    (
        "es",
        &[
            ("La comida estaba buenísima", Some(Polarity::Positive)),
            ("Qué vergüenza de empresa, son unos ladrones", Some(Polarity::Negative)),
            ("El tren sale a las nueve", Some(Polarity::Neutral)),
            ("No me gusta nada", Some(Polarity::Negative)),
            ("Que verguenza", Some(Polarity::Negative)),
            ("El hotel es bonito pero el servicio es pésimo", Some(Polarity::Negative)),
        ],
    ),
    (
        "it",
        &[
            ("Un'ottima idea, complimenti", Some(Polarity::Positive)),
            ("Che schifo, non ci torno più", Some(Polarity::Negative)),
            ("Il treno parte alle nove", Some(Polarity::Neutral)),
            ("Non mi piace per niente", Some(Polarity::Negative)),
            ("La camera è bella però il personale è maleducato", Some(Polarity::Negative)),
        ],
    ),
    (
        "pt",
        &[
            ("O atendimento foi maravilhoso, adorei", Some(Polarity::Positive)),
            ("Que vergonha, atendimento péssimo", Some(Polarity::Negative)),
            ("O trem sai às nove", Some(Polarity::Neutral)),
            ("Não gostei", Some(Polarity::Negative)),
            ("atendimento pessimo", Some(Polarity::Negative)),
            ("O quarto é bonito mas o café da manhã é horrível", Some(Polarity::Negative)),
        ],
    ),
];

fn read(text: &str) -> Read<'_> {
    Read::new(&english(), None, text)
}

fn shipped() -> &'static Lexicons {
    static SHIPPED: std::sync::OnceLock<Lexicons> = std::sync::OnceLock::new();
    SHIPPED.get_or_init(Lexicons::shipped)
}

fn english() -> std::sync::Arc<Lexicon> {
    static ENGLISH: std::sync::OnceLock<std::sync::Arc<Lexicon>> = std::sync::OnceLock::new();
    ENGLISH.get_or_init(|| std::sync::Arc::new(Lexicon::english())).clone()
}

/// What a text says of whatever stands between the brackets of `{brackets}`.
fn towards(text: &str) -> Sentiment {
    let (mut plain, mut places) = (String::new(), Vec::new());
    for (number, part) in text.split(['{', '}']).enumerate() {
        let start = plain.len();
        plain.push_str(part);
        if number % 2 == 1 {
            places.push(start..plain.len());
        }
    }
    read(&plain).towards(&places)
}

#[test]
fn each_rule_labels_its_sentences_as_a_reader_would() {
    let mut wrong = Vec::new();
    for (rule, sentences) in RULES {
        for (text, label) in *sentences {
            let sentiment = read(text).message();
            let right = label.map_or(sentiment.label != Polarity::Negative, |label| sentiment.label == label);
            if !right {
                wrong.push(format!("{rule}: `{text}` is {label:?}, judged {sentiment:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn other_languages_are_judged_by_the_same_rules() {
    let mut wrong = Vec::new();
    for (lang, sentences) in LANGUAGES {
        for (text, label) in *sentences {
            let sentiment = Read::new(shipped().of(lang).unwrap(), None, text).message();
            if label.is_some_and(|label| sentiment.label != label) {
                wrong.push(format!("{lang}: `{text}` is {label:?}, judged {sentiment:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_language_is_judged_or_not() {
    for lang in ["en", "und", "fr", "de", "es", "it", "pt", "french"] {
        assert!(shipped().of(lang).is_some(), "{lang}");
    }
    for lang in ["nl", "ja", ""] {
        assert!(shipped().of(lang).is_none(), "{lang}");
    }
}

#[test]
fn the_words_of_an_elision_keep_their_places() {
    let text = "Aujourd’hui je n’adore plus l’idiot";
    let sentiment = Read::new(shipped().of("fr").unwrap(), None, text).message();
    for word in &sentiment.words {
        let there: String =
            text.chars().skip(word.from as usize).take((word.to - word.from) as usize).collect();
        assert_eq!(there, word.word);
    }
    assert_eq!(sentiment.words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), ["adore", "idiot"]);
}

#[test]
fn groups_of_people_carry_no_weight_in_any_language() {
    for (lang, sentence, groups) in [
        ("fr", "C'est un bon médecin GROUP", ["juif", "musulman", "homosexuel", "algérien"]),
        ("de", "Er ist ein guter Arzt und GROUP", ["Jude", "Muslim", "schwul", "Türke"]),
        ("es", "Es un buen médico GROUP", ["judío", "musulmán", "gitano", "marroquí"]),
        ("it", "È un buon medico GROUP", ["ebreo", "musulmano", "gay", "rumeno"]),
        ("pt", "É um bom médico GROUP", ["judeu", "muçulmano", "negro", "nordestino"]),
    ] {
        let score = |group: &str| {
            let text = sentence.replace("GROUP", group);
            Read::new(shipped().of(lang).unwrap(), None, &text).message().score
        };
        for group in groups {
            assert_eq!(score(group), score("Xyz"), "{lang}: {group}");
        }
    }
}

#[test]
fn praise_and_blame_go_to_whom_they_are_meant_for() {
    let mut wrong = Vec::new();
    for (text, label) in [
        ("The {pizza} was delicious but the waiter was rude", Polarity::Positive),
        ("The pizza was delicious but the {waiter} was rude", Polarity::Negative),
        ("{Harbor} is better than Quay", Polarity::Positive),
        ("Harbor is better than {Quay}", Polarity::Negative),
        ("{Harbor} is the best bank to own over the next years {$HRB}", Polarity::Positive),
        ("I love {Harbor}. Their competitors are awful.", Polarity::Positive),
    ] {
        let sentiment = towards(text);
        if sentiment.label != label || sentiment.fallback {
            wrong.push(format!("`{text}` is {label:?}, judged {sentiment:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_nothing_is_said_of_somebody_the_message_stands_in_and_says_so() {
    let sentiment = towards("At {Harbor} today. What a terrible, awful, horrible day.");
    assert!(sentiment.fallback);
    assert!(sentiment.score < 0.0);
    assert!(sentiment.score > read("At Harbor today. What a terrible, awful, horrible day.").message().score);
}

#[test]
fn words_know_their_places_in_title_and_text() {
    let read = Read::new(&english(), Some("Größte news: great"), "Mañana 💘 the food was awful");
    let sentiment = read.message();
    let mut listed = Vec::new();
    for word in &sentiment.words {
        let part = if word.in_title { "Größte news: great" } else { "Mañana 💘 the food was awful" };
        let there: String =
            part.chars().skip(word.from as usize).take((word.to - word.from) as usize).collect();
        assert_eq!(there, word.word);
        listed.push((word.word.as_str(), word.share > 0.0));
    }
    assert_eq!(listed, [("great", true), ("💘", true), ("awful", false)]);
}

#[test]
fn places_in_characters_are_found_in_bytes_of_title_and_text() {
    let read = Read::new(&english(), Some("Größte"), "Ä bank");
    let places = read.places([
        Place { in_title: true, characters: 0..6 },
        Place { in_title: false, characters: 2..6 },
        Place { in_title: false, characters: 90..99 },
    ]);
    assert_eq!(places, [0..8, 12..16, 16..16]);
}

#[test]
fn every_shipped_lexicon_can_be_laid() {
    // Panics at the first line that cannot be used, of any language.
    let lexicon = shipped().of("en").unwrap();
    assert_eq!(lexicon.weight("excellent").map(|weight| weight > 1.0), Some(true));
    assert_eq!(lexicon.weight("the best").map(|weight| weight > 1.0), Some(true));
}

#[test]
fn a_line_that_cannot_be_used_is_named_with_its_file_and_value() {
    for (content, message) in [
        ("good\t1\n\nbad", "my.tsv:3: `bad` has no tab: a line is a word, a tab, and its weight or role"),
        ("bad\t-12", "my.tsv:1: `-12` is neither a weight from -8 to 8 nor a role"),
        ("bad\tawful", "my.tsv:1: `awful` is neither a weight from -8 to 8 nor a role"),
        ("a b c d e f g\t1", "my.tsv:1: `a b c d e f g` has 7 words, not 1 to 6"),
        (
            "# ours\nMuslim\t-1",
            "my.tsv:2: `Muslim` names a group of people (`muslim`) and can have no weight: remove the line",
        ),
        (
            "roman catholic school\t1",
            "my.tsv:1: `roman catholic school` names a group of people (`roman catholic`) and can have no weight: remove the line",
        ),
    ] {
        let error = Lexicon::english().add("my.tsv", content).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_team_overlays_words_and_judgements_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("harbor.tsv");
    std::fs::write(&file, "# version: ours\nsick\t1.5\n#harborfail\t-3\n").unwrap();
    let french = folder.path().join("harbor.fr.tsv");
    std::fs::write(&french, "quai\t-1.5\n").unwrap();
    let mut lexicons = Lexicons::shipped();
    lexicons.overlay(&file).unwrap();
    lexicons.overlay(&french).unwrap();
    for (lang, version, text, label) in [
        ("en", "earshot-en-1+harbor", "that app is sick", Polarity::Positive),
        ("en", "earshot-en-1+harbor", "the app #HarborFail", Polarity::Negative),
        ("en", "earshot-en-1+harbor", "at the quai", Polarity::Neutral),
        ("fr", "earshot-fr-1+harbor+harbor.fr", "l'appli #HarborFail", Polarity::Negative),
        ("fr", "earshot-fr-1+harbor+harbor.fr", "voie deux, quai trois", Polarity::Negative),
    ] {
        let lexicon = lexicons.of(lang).unwrap();
        assert_eq!(lexicon.version(), version);
        assert_eq!(Read::new(lexicon, None, text).message().label, label, "{text}");
    }
}

#[test]
fn a_group_of_people_is_neither_praise_nor_blame() {
    for group in ["gay", "Muslim", "Black", "straight", "Roman Catholic", "non-binary", "Mexican"] {
        let one = read(&format!("Jo is a {group} comedian.")).message();
        let other = read("Jo is a Jewish comedian.").message();
        assert_eq!(one.score, other.score, "{group}");
    }
}

#[test]
fn a_text_of_any_length_is_read_in_linear_time() {
    // Quadratic, each of these took minutes.
    for part in
        ["not good but ", "@", ":-", "#A", "\"", "why? no. ", "better than ", "a.", "I thought, but not. "]
    {
        let text = part.repeat(200_000 / part.len());
        let _ = read(&text).towards(std::slice::from_ref(&(0..1)));
    }
}

proptest! {
    #[test]
    fn shares_add_up_and_places_are_characters(
        title in proptest::option::of("[a-zA-Z ,.!?é😡]{0,30}"),
        words in proptest::collection::vec(
            prop_oneof![
                Just("good"), Just("BAD"), Just("not"), Just("but"), Just("😡"), Just(":)"), Just("n’t"), Just("?"),
                Just("#FailWhale"), Just("I used to"), Just("now"), Just("é"), Just("\u{301}"), Just("better than"),
                Just("@x"), Just("don't think"), Just("soooo"), Just("\""), Just("No."), Just("İ"), Just("👨‍👩‍👧"),
            ],
            0..40,
        ),
        at in 0u32..60,
    ) {
        let text = words.join(" ");
        let read = Read::new(&english(), title.as_deref(), &text);
        let places = read.places([Place { in_title: false, characters: at..at + 3 }]);
        for sentiment in [read.message(), read.towards(&places)] {
            prop_assert!((-1.0..=1.0).contains(&sentiment.score));
            prop_assert!(sentiment.confidence.is_some_and(|sure| (0.0..=1.0).contains(&sure)));
            let sum: f32 = sentiment.words.iter().map(|word| word.share).sum();
            prop_assert!((sum - sentiment.score).abs() < 1e-3, "{sum} is not {}", sentiment.score);
            for word in &sentiment.words {
                let part = if word.in_title { title.as_deref().unwrap_or_default() } else { &text };
                let there: String =
                    part.chars().skip(word.from as usize).take((word.to - word.from) as usize).collect();
                prop_assert_eq!(&there, &word.word);
            }
        }
    }

    #[test]
    fn any_text_can_be_read(text in "\\PC*", from in 0usize..50) {
        let sentiment = read(&text).towards(std::slice::from_ref(&(from..from + 4)));
        prop_assert!(sentiment.score.is_finite());
    }
}
