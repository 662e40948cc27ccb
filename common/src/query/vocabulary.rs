//! The words and values that queries ask for, each with a number, and which of them a word of a text is.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::fields::Field;
use super::pattern::Pattern;
use super::tree::{Value, Word};

/// Something that a mention has or lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Word(Word),
    Value(Field, Value),
}

/// Numbers for the items of many queries. A number is given to another item once no query uses the first.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    numbers: HashMap<Item, u32>,
    /// By number: the item and how often queries use it.
    items: Vec<Option<(Item, u32)>>,
    free: Vec<u32>,
    folded: HashMap<String, u32>,
    exact: HashMap<String, u32>,
    /// By the characters before the first wildcard.
    wildcards: HashMap<String, Vec<(Pattern, u32)>>,
    /// Lengths in bytes of the keys of `wildcards`, each with how many keys have it.
    prefix_lengths: BTreeSet<usize>,
    values: HashMap<Field, HashMap<String, u32>>,
    value_wildcards: HashMap<Field, Vec<(Pattern, u32)>>,
}

impl Vocabulary {
    /// Numbers are smaller than this.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether any item asks for the exact form of a word.
    pub(super) fn has_exact(&self) -> bool {
        !self.exact.is_empty()
    }

    /// The item of a number.
    pub(super) fn item(&self, number: u32) -> Option<&Item> {
        self.items[number as usize].as_ref().map(|(item, _)| item)
    }

    /// The number of an item, for one more use.
    pub(super) fn take(&mut self, item: Item) -> u32 {
        if let Some(&number) = self.numbers.get(&item) {
            if let Some((_, uses)) = &mut self.items[number as usize] {
                *uses += 1;
            }
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() as u32 - 1
        });
        self.numbers.insert(item.clone(), number);
        self.enter(&item, number);
        self.items[number as usize] = Some((item, 1));
        number
    }

    /// Ends one use of a number.
    pub(super) fn give_back(&mut self, number: u32) {
        let Some((item, uses)) = &mut self.items[number as usize] else { return };
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        let item = item.clone();
        self.items[number as usize] = None;
        self.free.push(number);
        self.numbers.remove(&item);
        self.leave(&item, number);
    }

    fn enter(&mut self, item: &Item, number: u32) {
        match item {
            Item::Word(Word::Folded(word)) => {
                self.folded.insert(word.clone(), number);
            }
            Item::Word(Word::Exact(word)) => {
                self.exact.insert(word.clone(), number);
            }
            Item::Word(Word::Wildcard(pattern)) => {
                let prefix = pattern.prefix().to_owned();
                self.prefix_lengths.insert(prefix.len());
                self.wildcards.entry(prefix).or_default().push((pattern.clone(), number));
            }
            Item::Value(field, Value::Is(value)) => {
                self.values.entry(*field).or_default().insert(value.clone(), number);
            }
            Item::Value(field, Value::Like(pattern)) => {
                self.value_wildcards.entry(*field).or_default().push((pattern.clone(), number));
            }
        }
    }

    fn leave(&mut self, item: &Item, number: u32) {
        match item {
            Item::Word(Word::Folded(word)) => {
                self.folded.remove(word);
            }
            Item::Word(Word::Exact(word)) => {
                self.exact.remove(word);
            }
            Item::Word(Word::Wildcard(pattern)) => {
                if let Some(patterns) = self.wildcards.get_mut(pattern.prefix()) {
                    patterns.retain(|(_, other)| *other != number);
                    if patterns.is_empty() {
                        self.wildcards.remove(pattern.prefix());
                    }
                }
                let length = pattern.prefix().len();
                if !self.wildcards.keys().any(|prefix| prefix.len() == length) {
                    self.prefix_lengths.remove(&length);
                }
            }
            Item::Value(field, Value::Is(value)) => {
                if let Some(values) = self.values.get_mut(field) {
                    values.remove(value);
                }
            }
            Item::Value(field, Value::Like(_)) => {
                if let Some(patterns) = self.value_wildcards.get_mut(field) {
                    patterns.retain(|(_, other)| *other != number);
                }
            }
        }
    }

    /// The items that a folded word is.
    pub(super) fn words(&self, word: &str, found: &mut Vec<u32>) {
        found.extend(self.folded.get(word));
        for &length in &self.prefix_lengths {
            // Longer prefixes are no prefixes of it; and one that ends within a character is none either.
            if length > word.len() {
                break;
            }
            let Some(patterns) = word.get(..length).and_then(|prefix| self.wildcards.get(prefix)) else {
                continue;
            };
            for (pattern, number) in patterns {
                if pattern.fits(word) {
                    found.push(*number);
                }
            }
        }
    }

    /// The item that an exact word is.
    pub(super) fn exact_word(&self, word: &str, found: &mut Vec<u32>) {
        found.extend(self.exact.get(word));
    }

    /// The items that a field's value is.
    pub(super) fn values(&self, field: Field, value: &str, found: &mut Vec<u32>) {
        found.extend(self.values.get(&field).and_then(|values| values.get(value)));
        for (pattern, number) in self.value_wildcards.get(&field).into_iter().flatten() {
            if pattern.fits(value) {
                found.push(*number);
            }
        }
    }
}
