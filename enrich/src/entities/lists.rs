//! The lists that names are judged by: the general vocabulary of English, and first names with their short forms.
//!
//! Where they come from is said in `enrich/lexicons/README.md`.

use std::sync::LazyLock;

use earshot_common::text::fold;
use hashbrown::HashMap;

/// Words that are in every dictionary, in lower case, each with whether it is one of the few thousand of every day.
static COMMON_WORDS: LazyLock<HashMap<&str, bool>> = LazyLock::new(|| {
    let everyday = include_str!("../../lexicons/common-words-en/everyday.txt").lines();
    let others = include_str!("../../lexicons/common-words-en/words.txt").lines();
    everyday.map(|word| (word, true)).chain(others.map(|word| (word, false))).collect()
});

/// For each first name, the names that the same person may go by: its short forms, and those that it is short for.
static FIRST_NAMES: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut forms: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in include_str!("../../lexicons/nicknames/nicknames.csv").lines().skip(1) {
        let mut columns = line.split(',');
        let (Some(name), Some(_), Some(short)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        forms.entry(name).or_default().push(short);
        forms.entry(short).or_default().push(name);
    }
    forms
});

/// Whether a word is one of the general vocabulary, in whatever case it is written. `Moody's` is none.
pub(super) fn is_common(word: &str) -> bool {
    COMMON_WORDS.contains_key(word.to_lowercase().as_str())
}

/// Whether a word is one of every day.
pub(super) fn is_everyday(word: &str) -> bool {
    COMMON_WORDS.get(word.to_lowercase().as_str()).is_some_and(|everyday| *everyday)
}

/// Whether a word is a first name.
pub(super) fn is_first_name(word: &str) -> bool {
    FIRST_NAMES.contains_key(fold(word).as_str())
}

/// What else somebody of a first name may be called.
pub(super) fn other_forms(first_name: &str) -> &'static [&'static str] {
    FIRST_NAMES.get(fold(first_name).as_str()).map_or(&[], Vec::as_slice)
}
