//! Learns the weights of the general lexicon from labelled texts, and says how well they do on sets that were
//! left out.
//!
//! `cargo run --release -p earshot-tests --bin learn -- LABELLED.jsonl.gz LEXICON.tsv`, where LABELLED has a row
//! `{"set", "kind", "text", "label"}` for each text; of a `target` row also `target`, `from` and `to`. The lexicon
//! holds words and numbers, no text; its head names the sets that it was learned from. The same input gives the same
//! file. On the standard output: for each set macro-F1 of VADER, of the finished lexicon, and of one that was
//! learned without the set and those collected with it.
//!
//! The model is the one that the judge scores with: the log-odds of good against bad are twice the sum of the
//! weights in their places, those of neither are what a text with its traits needs. A weight is drawn towards
//! what the open lexicons say of the word, so that a few rows do not overrule them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report of a program belongs on the standard output, notes to a person on the other"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use earshot_common::text::{self, TokenKind};
use earshot_enrich::sentiment::{Lexicon, Read, Traits, vader};
use earshot_tests::labelled::{self, Kind, Row, macro_f1};

/// The sets that may train a lexicon that ships: their terms allow words and numbers to be taken from them.
const TRAINING_SETS: [&str; 10] = [
    "apple",
    "brand-emotion",
    "newsmtsc-train",
    "sanders",
    "semeval-2013-dev",
    "semeval-2013-train",
    "semeval-2016-train",
    "uci-amazon",
    "vader-amazon",
    "vader-tweets",
];

const PRIOR: &str = include_str!("../../../enrich/lexicons/general-en/prior.tsv");
/// A word is learned if so many texts of at least two families of sets have it.
const MIN_TEXTS: usize = 5;
/// A word that is capitalised more often than this within sentences is a name.
const MAX_CAPITALISED: f64 = 0.4;
/// How strongly a weight is drawn to its prior.
const PULL: f64 = 50.0;
/// How much rarer labels of a set count more, at most.
const MAX_RARITY: f64 = 8.0;
/// The weight of a set grows with its size, by this power.
const SIZE_POWER: f64 = 0.75;
/// Rounds of gradient descent.
const ROUNDS: usize = 250;
/// Weights that are smaller are left out of the file.
const SMALLEST: f64 = 0.2;
/// Added to what is learned to be needed: the labels of a set are made as frequent as each other in learning,
/// while most texts of the world say nothing of the sort.
const EXTRA_NEED: f64 = 0.25;
/// The same for attitudes.
const EXTRA_NEED_OF_ATTITUDE: f64 = 0.1;
/// What any text needs at least, as the judge has it.
const LEAST_NEED: f64 = 0.1;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let rows = labelled::read(&arguments.next().context("name the labelled texts")?)?;
    let output = arguments.next().context("name the lexicon to write")?;
    let vocabulary = Vocabulary::of(&rows)?;
    let examples: Vec<Example> = rows.iter().map(|row| vocabulary.example(row)).collect();

    let finished = train(&rows, &examples, &vocabulary, None);
    let file = vocabulary.file(&finished);
    std::fs::write(&output, &file).with_context(|| format!("write {}", output.display()))?;
    eprintln!("{} words weigh something; needed: {:.2?}", file.lines().count(), finished.need());

    let mut left_out = Vec::new();
    let families: BTreeSet<&str> = TRAINING_SETS.iter().map(|set| family(set)).collect();
    for family in families {
        let model = train(&rows, &examples, &vocabulary, Some(family));
        left_out.push((family, Judge::new(&vocabulary.file(&model), model.need())?));
    }
    report(&rows, &Judge::new(&file, finished.need())?, &left_out);
    Ok(())
}

/// Sets that were collected together are left out together.
fn family(set: &str) -> &str {
    set.trim_end_matches("-train").trim_end_matches("-dev")
}

fn trains(row: &Row) -> bool {
    TRAINING_SETS.contains(&row.set.as_str())
}

/// A text as the model sees it.
#[derive(Debug)]
struct Example {
    label: i8,
    /// What the hand-written lexicons make of it.
    fixed: f64,
    /// `None` where an attitude towards somebody was judged.
    traits: Option<[f64; Traits::COUNT]>,
    /// Words to learn, with what their surroundings make of each.
    terms: Vec<(usize, f64)>,
}

/// The words to learn.
#[derive(Debug)]
struct Vocabulary {
    terms: Vec<String>,
    ids: HashMap<String, usize>,
    prior: Vec<f64>,
    /// Every lexicon, the words to learn with their priors among them.
    lexicon: Lexicon,
}

impl Vocabulary {
    /// The words of the prior, and those that enough training texts have; no names, no groups of people, and
    /// nothing that a person has written into a lexicon.
    fn of(rows: &[Row]) -> anyhow::Result<Self> {
        let hand_written = Lexicon::english_with_general("")?;
        let mut prior_of: BTreeMap<String, f64> = BTreeMap::new();
        for line in PRIOR.lines().filter(|line| !line.starts_with("# ")) {
            let (word, weight) = line.split_once('\t').context("a line of the prior has no tab")?;
            prior_of.insert(word.to_owned(), weight.parse().with_context(|| format!("weight of `{word}`"))?);
        }
        for word in frequent_words(rows) {
            prior_of.entry(word).or_insert(0.0);
        }
        let mut content = String::new();
        let (mut terms, mut prior) = (Vec::new(), Vec::new());
        for (word, weight) in prior_of {
            let line = format!("{word}\t{weight}\n");
            // What may have no weight, such as a group of people, is left out.
            if hand_written.weight(&word).is_none() && !hand_written.is_identity(&word) {
                content.push_str(&line);
                terms.push(word);
                prior.push(weight);
            }
        }
        let ids = terms.iter().enumerate().map(|(at, term)| (term.clone(), at)).collect();
        let lexicon = Lexicon::english_with_general(&content).context("lay the words to learn")?;
        Ok(Self { terms, ids, prior, lexicon })
    }

    fn example(&self, row: &Row) -> Example {
        let read = Read::new(&self.lexicon, None, &row.text);
        let (traits, weighed) = match &row.kind {
            Kind::Message => (Some(read.traits().as_array().map(f64::from)), read.weighed(&self.lexicon)),
            Kind::Target(places) => (None, read.weighed_towards(&self.lexicon, places)),
        };
        let mut example = Example { label: row.label, fixed: 0.0, traits, terms: Vec::new() };
        for weighed in weighed {
            match self.ids.get(&weighed.term) {
                Some(id) => example.terms.push((*id, f64::from(weighed.factor))),
                None => example.fixed += f64::from(weighed.weight * weighed.factor),
            }
        }
        example
    }

    /// The lexicon of a model.
    fn file(&self, model: &Model) -> String {
        let mut file = format!(
            "# Weights in log-odds, learned by `learn` from {}, drawn to prior.tsv. See README.md.\n",
            TRAINING_SETS.join(", ")
        );
        for (at, term) in self.terms.iter().enumerate() {
            let weight = model.weight(at, self.prior[at]);
            if weight.abs() >= SMALLEST {
                let _ = writeln!(file, "{term}\t{weight:.2}");
            }
        }
        file
    }
}

/// How often a word stands in texts.
#[derive(Debug, Default)]
struct Usage {
    texts: usize,
    families: BTreeSet<String>,
    within_sentences: usize,
    capitalised: usize,
}

/// The words that enough training texts have, without names.
fn frequent_words(rows: &[Row]) -> Vec<String> {
    let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
    for row in rows.iter().filter(|row| trains(row)) {
        let mut seen = BTreeSet::new();
        let mut begins_a_sentence = true;
        for token in text::tokens(&row.text) {
            let written = token.of(&row.text);
            let word = text::fold(written);
            if token.kind == TokenKind::Word && is_plain(&word) {
                let used = usage.entry(word.clone()).or_default();
                if seen.insert(word) {
                    used.texts += 1;
                    used.families.insert(family(&row.set).to_owned());
                }
                if !begins_a_sentence {
                    used.within_sentences += 1;
                    used.capitalised += usize::from(is_capitalised(written));
                }
            }
            let rest = row.text[token.bytes.end..].trim_start();
            begins_a_sentence = rest.starts_with(['.', '!', '?', '"', ':', '“', '\n', '-']);
        }
    }
    let is_name = |used: &Usage| used.capitalised as f64 > MAX_CAPITALISED * used.within_sentences as f64;
    let frequent = |used: &Usage| used.texts >= MIN_TEXTS && used.families.len() > 1;
    usage.into_iter().filter(|(_, used)| frequent(used) && !is_name(used)).map(|(word, _)| word).collect()
}

fn is_plain(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '\'')
}

fn is_capitalised(written: &str) -> bool {
    let mut characters = written.chars();
    characters.next().is_some_and(char::is_uppercase) && !characters.any(char::is_uppercase)
}

/// What was learned: one vector, so that descent treats all alike.
#[derive(Debug)]
struct Model {
    /// What each word weighs beside its prior; then what a point of the prior is worth; then what is needed.
    parameters: Vec<f64>,
    words: usize,
}

impl Model {
    fn start(words: usize) -> Self {
        let mut parameters = vec![0.0; words + 3 + Traits::COUNT];
        parameters[words] = 0.35;
        parameters[words + 1] = 0.5;
        parameters[words + 2 + Traits::COUNT] = 0.5;
        Self { parameters, words }
    }

    fn weight(&self, word: usize, prior: f64) -> f64 {
        self.parameters[self.words] * prior + self.parameters[word]
    }

    /// What messages and attitudes need.
    fn need(&self) -> Need {
        let needed = &self.parameters[self.words + 1..];
        let mut of_traits = [0.0; Traits::COUNT];
        of_traits.copy_from_slice(&needed[1..=Traits::COUNT]);
        Need {
            message: needed[0] + EXTRA_NEED,
            of_traits,
            attitude: needed[1 + Traits::COUNT] + EXTRA_NEED_OF_ATTITUDE,
        }
    }

    /// Adds an example's part to the gradient of the loss.
    fn add_gradient(&self, example: &Example, weight: f64, prior: &[f64], gradient: &mut [f64]) {
        let mut total = example.fixed;
        let mut of_priors = 0.0;
        for (term, factor) in &example.terms {
            total += factor * self.weight(*term, prior[*term]);
            of_priors += factor * prior[*term];
        }
        let needed = &self.parameters[self.words + 1..];
        let need = match &example.traits {
            Some(traits) => {
                needed[0] + traits.iter().zip(&needed[1..]).map(|(has, adds)| has * adds).sum::<f64>()
            }
            None => needed[1 + Traits::COUNT],
        };
        let odds = [(-total).exp(), need.exp(), total.exp()];
        let sum: f64 = odds.iter().sum();
        let error = |class: usize, label: i8| odds[class] / sum - f64::from(u8::from(example.label == label));
        let by_total = weight * (error(2, 1) - error(0, -1));
        let by_need = weight * error(1, 0);
        for (term, factor) in &example.terms {
            gradient[*term] += by_total * factor;
        }
        gradient[self.words] += by_total * of_priors;
        match &example.traits {
            Some(traits) => {
                gradient[self.words + 1] += by_need;
                for (at, has) in traits.iter().enumerate() {
                    gradient[self.words + 2 + at] += by_need * has;
                }
            }
            None => gradient[self.words + 2 + Traits::COUNT] += by_need,
        }
    }
}

/// Learns from the training sets but one family of them, by gradient descent with momentum (Adam).
fn train(rows: &[Row], examples: &[Example], vocabulary: &Vocabulary, left_out: Option<&str>) -> Model {
    let mine: Vec<usize> =
        (0..rows.len()).filter(|at| trains(&rows[*at]) && Some(family(&rows[*at].set)) != left_out).collect();
    let weights = weights_of_rows(rows, &mine);
    let mut model = Model::start(vocabulary.terms.len());
    let size = model.parameters.len();
    let (mut mean, mut square) = (vec![0.0; size], vec![0.0; size]);
    for round in 1..=ROUNDS {
        let mut gradient = vec![0.0; size];
        for (at, weight) in mine.iter().zip(&weights) {
            model.add_gradient(&examples[*at], *weight, &vocabulary.prior, &mut gradient);
        }
        let step = 0.05 * (1.0 - round as f64 / (ROUNDS + 1) as f64).max(0.05);
        let unbiased = |moment: f64, decay: f64| moment / (1.0 - decay.powi(round as i32));
        for (at, parameter) in model.parameters.iter_mut().enumerate() {
            let pull = if at < model.words { PULL * *parameter } else { 0.0 };
            let slope = gradient[at] + pull;
            mean[at] = 0.9 * mean[at] + 0.1 * slope;
            square[at] = 0.99 * square[at] + 0.01 * slope * slope;
            *parameter -= step * unbiased(mean[at], 0.9) / (unbiased(square[at], 0.99).sqrt() + 1e-6);
        }
    }
    model
}

/// Within a set each label counts as much as the others, up to a limit; the mean row counts 1.
fn weights_of_rows(rows: &[Row], mine: &[usize]) -> Vec<f64> {
    let mut of_set: HashMap<&str, f64> = HashMap::new();
    let mut of_label: HashMap<(&str, i8), f64> = HashMap::new();
    for at in mine {
        *of_set.entry(&rows[*at].set).or_default() += 1.0;
        *of_label.entry((&rows[*at].set, rows[*at].label)).or_default() += 1.0;
    }
    let mut weights = Vec::with_capacity(mine.len());
    for at in mine {
        let set = rows[*at].set.as_str();
        let labels = of_label.keys().filter(|(of, _)| *of == set).count() as f64;
        let rarity = of_set[set] / labels / of_label[&(set, rows[*at].label)];
        weights.push(rarity.min(MAX_RARITY) * of_set[set].powf(SIZE_POWER - 1.0));
    }
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.iter().map(|weight| weight / mean).collect()
}

/// What it takes to be an opinion.
#[derive(Clone, Copy, Debug)]
struct Need {
    message: f64,
    of_traits: [f64; Traits::COUNT],
    attitude: f64,
}

/// A lexicon that was learned, with what messages need.
#[derive(Debug)]
struct Judge {
    lexicon: Lexicon,
    need: Need,
}

impl Judge {
    fn new(general: &str, need: Need) -> anyhow::Result<Self> {
        Ok(Self { lexicon: Lexicon::english_with_general(general)?, need })
    }

    /// The label of a message, with the need of this model rather than the program's.
    fn label(&self, row: &Row) -> i8 {
        let read = Read::new(&self.lexicon, None, &row.text);
        let (weighed, need) = match &row.kind {
            Kind::Target(places) => (read.weighed_towards(&self.lexicon, places), self.need.attitude),
            Kind::Message => {
                let traits = read.traits().as_array();
                let of_traits = traits.iter().zip(self.need.of_traits);
                let added: f64 = of_traits.map(|(has, adds)| f64::from(*has) * adds).sum();
                (read.weighed(&self.lexicon), self.need.message + added)
            }
        };
        let total: f64 = weighed.iter().map(|word| f64::from(word.weight * word.factor)).sum();
        if total.abs() < need.max(LEAST_NEED) { 0 } else { total.signum() as i8 }
    }
}

/// Labels with the answers of VADER, of the finished lexicon, and of the one that never saw the set.
type Answers = [Vec<(i8, i8)>; 3];

/// Prints the table: a set that trains nothing is judged by the finished lexicon in both columns.
fn report(rows: &[Row], finished: &Judge, left_out: &[(&str, Judge)]) {
    let baseline = vader::Lexicon::english();
    let mut pairs: BTreeMap<(bool, &str), Answers> = BTreeMap::new();
    for row in rows {
        let other = left_out.iter().find(|(left, _)| trains(row) && *left == family(&row.set));
        let answers = [
            labelled::label_of(vader::score(&baseline, &row.text)),
            finished.label(row),
            other.map_or(finished, |(_, judge)| judge).label(row),
        ];
        let of_set = pairs.entry((matches!(row.kind, Kind::Target(_)), &row.set)).or_default();
        for (column, answer) in of_set.iter_mut().zip(answers) {
            column.push((row.label, answer));
        }
    }
    println!("| set | trains | VADER | Earshot | without the set |\n|---|---|---|---|---|");
    for is_target in [false, true] {
        let mut sums = [0.0; 3];
        let sets: Vec<_> = pairs.iter().filter(|((kind, _), _)| *kind == is_target).collect();
        for ((_, set), columns) in &sets {
            let figures = [0, 1, 2].map(|column| macro_f1(&columns[column]));
            let trains = if TRAINING_SETS.contains(set) { "yes" } else { "" };
            println!("| {set} | {trains} | {:.3} | {:.3} | {:.3} |", figures[0], figures[1], figures[2]);
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure / sets.len() as f64;
            }
        }
        let what = if is_target { "target" } else { "message" };
        println!("| **mean of {what} sets** | | {:.3} | {:.3} | {:.3} |", sums[0], sums[1], sums[2]);
    }
}
