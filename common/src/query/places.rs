//! Where things stand in the texts of a mention, and the arithmetic of distances.
//!
//! Both back ends work with it: the matcher over the words of one mention, the index over the positions of
//! one document. So a distance cannot mean two things.

use super::tree::{Scope, Span, Word};
use super::words::first_terms;
use crate::text::Form;

/// The position of the body's first word. The title's count from zero, and no distance reaches across the
/// gap.
pub const BODY: u32 = 1 << 30;

/// Of a word or phrase that stands in one mention more often than this, the first so many places count for
/// distances: a text of one word repeated must not hold up the stream.
const MAX_PLACES: usize = 1_000;

/// First and last position.
pub type Stretch = (u32, u32);

/// A span of the tree with a number for each of its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A word.
    Word(u32),
    /// Words at successive positions.
    Phrase(Vec<u32>),
    /// Words at successive positions that read exactly so.
    Raw {
        /// The exact words.
        words: Vec<u32>,
        /// The characters.
        text: String,
        /// Bytes before the first word.
        lead: usize,
    },
    /// One of these.
    Any(Vec<Place>),
    /// Two that do not overlap, at a distance.
    Near {
        /// The one.
        left: Box<Place>,
        /// The other.
        right: Box<Place>,
        /// From the end of the first to the beginning of the second, at most.
        distance: u32,
        /// Whether the left one comes first.
        ordered: bool,
    },
}

/// The texts of one mention, as the arithmetic sees them.
pub trait Words {
    /// Where a word stands, in ascending order, each place once.
    fn places(&self, word: u32) -> &[u32];

    /// Whether the text reads so from `lead` bytes before the word at a place.
    fn reads(&self, place: u32, lead: usize, text: &str) -> bool;
}

/// The texts of one mention as they were written: what raw terms are compared with.
#[derive(Clone, Debug, Default)]
pub struct WrittenTexts {
    /// The title.
    pub title: WrittenText,
    /// The body.
    pub body: WrittenText,
}

/// A text as it was written.
#[derive(Clone, Debug, Default)]
pub struct WrittenText {
    /// The text.
    pub text: String,
    /// First byte of the token at each position.
    pub starts: Vec<usize>,
}

impl WrittenTexts {
    /// Whether the text reads so from `lead` bytes before the word at a place.
    pub fn reads(&self, place: u32, lead: usize, wanted: &str) -> bool {
        let (written, position) = match place.checked_sub(BODY) {
            Some(position) => (&self.body, position),
            None => (&self.title, place),
        };
        let start = written.starts.get(position as usize).and_then(|start| start.checked_sub(lead));
        start.and_then(|start| written.text.get(start..)).is_some_and(|rest| rest.starts_with(wanted))
    }
}

impl Place {
    /// Of a span, where `number` gives a number to each word.
    pub fn of(span: &Span, number: &mut impl FnMut(&Word) -> u32) -> Self {
        match span {
            Span::Word(word) => Self::Word(number(word)),
            Span::Phrase(words) => Self::Phrase(words.iter().map(number).collect()),
            Span::Raw(text) => {
                let terms = first_terms(Form::Exact, text);
                let lead = terms.first().map_or(0, |(_, start)| *start);
                let words = terms.into_iter().map(|(word, _)| number(&Word::Exact(word))).collect();
                Self::Raw { words, text: text.clone(), lead }
            }
            Span::Any(spans) => Self::Any(spans.iter().map(|span| Self::of(span, number)).collect()),
            Span::Near(near) => Self::Near {
                left: Box::new(Self::of(&near.left, number)),
                right: Box::new(Self::of(&near.right, number)),
                distance: near.distance,
                ordered: near.ordered,
            },
        }
    }

    /// Whether it stands anywhere.
    pub fn occurs(&self, words: &impl Words) -> bool {
        // A word that is not there at all is the common case, and is seen before anything is collected.
        self.could_occur(words) && self.visit(words, &mut |_| true)
    }

    /// Every place where it stands: first and last position, in ascending order, each once.
    pub fn all(&self, words: &impl Words) -> Vec<Stretch> {
        let mut all = Vec::new();
        self.visit(words, &mut |stretch| {
            all.push(stretch);
            false
        });
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Adds the places of its words and phrases: of a distance those within the places where it holds.
    pub(super) fn parts(&self, words: &impl Words, parts: &mut Vec<Stretch>) {
        match self {
            Self::Word(_) | Self::Phrase(_) | Self::Raw { .. } => parts.extend(self.all(words)),
            Self::Any(places) => places.iter().for_each(|place| place.parts(words, parts)),
            Self::Near { left, right, .. } => {
                let pairs = self.all(words);
                let mut both = Vec::new();
                left.parts(words, &mut both);
                right.parts(words, &mut both);
                both.retain(|(from, to)| pairs.iter().any(|(start, end)| start <= from && to <= end));
                parts.extend(both);
            }
        }
    }

    /// Shows each place where it stands until `stop` says so; whether it did. Pairs are made one by one, so
    /// that a text of one word repeated is not all pairs before the first is looked at.
    fn visit(&self, words: &impl Words, stop: &mut dyn FnMut(Stretch) -> bool) -> bool {
        match self {
            Self::Word(word) => {
                words.places(*word).iter().take(MAX_PLACES).any(|&place| stop((place, place)))
            }
            Self::Phrase(sequence) => {
                let last = sequence.len() as u32 - 1;
                starts(sequence, words).take(MAX_PLACES).any(|start| stop((start, start + last)))
            }
            Self::Raw { words: sequence, text, lead } => {
                let last = sequence.len() as u32 - 1;
                let reads = starts(sequence, words).filter(|start| words.reads(*start, *lead, text));
                reads.take(MAX_PLACES).any(|start| stop((start, start + last)))
            }
            Self::Any(places) => places.iter().any(|place| place.visit(words, stop)),
            Self::Near { left, right, distance, ordered } => {
                let by_start = right.all(words);
                if *ordered {
                    return left.visit_or_collect(words, &mut |(start, end)| {
                        followers(&by_start, end, *distance).iter().any(|&(_, last)| stop((start, last)))
                    });
                }
                let mut by_end = by_start.clone();
                by_end.sort_unstable_by_key(|&(_, end)| end);
                left.visit_or_collect(words, &mut |(start, end)| {
                    followers(&by_start, end, *distance).iter().any(|&(_, last)| stop((start, last)))
                        || predecessors(&by_end, start, *distance)
                            .iter()
                            .any(|&(first, _)| stop((first, end)))
                })
            }
        }
    }

    /// Shows each place once where many pairs can be one place, and else as they come.
    fn visit_or_collect(&self, words: &impl Words, stop: &mut dyn FnMut(Stretch) -> bool) -> bool {
        match self {
            Self::Near { left, .. } if matches!(**left, Self::Near { .. }) => {
                self.all(words).into_iter().any(stop)
            }
            _ => self.visit(words, stop),
        }
    }

    /// Whether all its words are there, wherever.
    pub(super) fn could_occur(&self, words: &impl Words) -> bool {
        match self {
            Self::Word(word) => !words.places(*word).is_empty(),
            Self::Phrase(sequence) | Self::Raw { words: sequence, .. } => {
                sequence.iter().all(|word| !words.places(*word).is_empty())
            }
            Self::Any(places) => places.iter().any(|place| place.could_occur(words)),
            Self::Near { left, right, .. } => left.could_occur(words) && right.could_occur(words),
        }
    }
}

/// Where words stand at successive positions.
fn starts<'w>(sequence: &'w [u32], words: &'w impl Words) -> impl Iterator<Item = u32> + 'w {
    let (first, rest) = sequence.split_first().expect("a phrase has words");
    words.places(*first).iter().copied().filter(move |&start| {
        (start + 1..).zip(rest).all(|(place, word)| words.places(*word).binary_search(&place).is_ok())
    })
}

/// Those that begin behind a position, at most so far; they are in the order of their beginnings.
fn followers(by_start: &[Stretch], end: u32, distance: u32) -> &[Stretch] {
    let from = by_start.partition_point(|&(start, _)| start <= end);
    let rest = &by_start[from..];
    &rest[..rest.partition_point(|&(start, _)| start - end <= distance)]
}

/// Those that end before a position, at most so far; they are in the order of their ends.
fn predecessors(by_end: &[Stretch], start: u32, distance: u32) -> &[Stretch] {
    let until = by_end.partition_point(|&(_, end)| end < start);
    let before = &by_end[..until];
    &before[before.partition_point(|&(_, end)| start - end > distance)..]
}

/// The places of a word that lie in one text, of those that lie in either.
pub fn within(scope: Scope, places: &[u32]) -> &[u32] {
    let (title, body) = places.split_at(places.partition_point(|&place| place < BODY));
    match scope {
        Scope::Anywhere => places,
        Scope::Title => title,
        Scope::Body => body,
    }
}
