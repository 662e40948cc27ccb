//! A text cut into pieces, each with the marks that lie on it: query matches, sentiment words, subjects.

use earshot_common::events::{EntityTag, Sentiment, SentimentWord};

use super::words::signed;
use crate::highlight::{Highlight, TextField};

/// A piece of text with one set of marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The characters.
    pub(crate) text: String,
    /// Whether the query matched here.
    pub(crate) hit: bool,
    /// Class names for the marks; empty where there are none.
    pub(crate) class: String,
    /// What the mark means, for the reader who asks.
    pub(crate) title: String,
}

/// Marks the text of one field.
pub(crate) fn marked(
    text: &str,
    field: TextField,
    highlights: &[Highlight],
    sentiment: &Sentiment,
    entities: &[EntityTag],
) -> Vec<Piece> {
    let in_title = field == TextField::Title;
    let hits: Vec<&Highlight> = highlights.iter().filter(|hit| hit.field == field).collect();
    let words: Vec<&SentimentWord> =
        sentiment.words.iter().filter(|word| word.in_title == in_title).collect();
    let matches = entities.iter().flat_map(|tag| &tag.matches);
    let names: Vec<_> = matches.filter(|found| found.in_title == in_title).collect();

    let characters: Vec<char> = text.chars().collect();
    let mut edges: Vec<usize> = vec![0, characters.len()];
    for (from, to) in (hits.iter().map(|hit| (hit.from, hit.to)))
        .chain(words.iter().map(|word| (word.from, word.to)))
        .chain(names.iter().map(|name| (name.from, name.to)))
    {
        edges.extend([from as usize, to as usize]);
    }
    edges.retain(|edge| *edge <= characters.len());
    edges.sort_unstable();
    edges.dedup();

    let mut pieces = Vec::new();
    for ends in edges.windows(2) {
        let covers = |from: u32, to: u32| from as usize <= ends[0] && ends[1] <= to as usize;
        let mut piece = Piece { text: characters[ends[0]..ends[1]].iter().collect(), ..Piece::default() };
        let mut classes: Vec<&str> = Vec::new();
        if hits.iter().any(|hit| covers(hit.from, hit.to)) {
            piece.hit = true;
            classes.push("match");
        }
        if names.iter().any(|name| covers(name.from, name.to)) {
            classes.push("name");
        }
        if let Some(word) = words.iter().find(|word| covers(word.from, word.to)) {
            let tone = if word.share < 0.0 { "negative" } else { "positive" };
            classes.extend(["tone", tone]);
            piece.title = format!("{tone}: {} of the score", signed(word.share));
        }
        piece.class = classes.join(" ");
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Polarity;

    use super::*;

    #[test]
    fn marks_may_overlap_and_the_text_stays_whole() {
        let text = "😡 bad café";
        let sentiment = Sentiment {
            score: -0.5,
            label: Polarity::Negative,
            confidence: None,
            words: vec![SentimentWord {
                from: 2,
                to: 5,
                word: "bad".to_owned(),
                share: -0.5,
                in_title: false,
            }],
            fallback: false,
        };
        let hit = Highlight { from: 2, to: 10, field: TextField::Text };
        let pieces = marked(text, TextField::Text, &[hit], &sentiment, &[]);
        let shown: Vec<(&str, &str)> =
            pieces.iter().map(|piece| (piece.text.as_str(), piece.class.as_str())).collect();
        assert_eq!(shown, [("😡 ", ""), ("bad", "match tone negative"), (" café", "match")]);
        assert_eq!(pieces[1].title, "negative: −0.50 of the score");
    }
}
