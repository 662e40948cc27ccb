//! What a word does to the words around it: the grammar of sentiment, as far as lexicons name it.

/// The part that a word or phrase plays for its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    /// *not, never, without*: reverses the words after it.
    Negator,
    /// French *pas*, German *nicht*: reverses the words before it where it reverses none after it.
    NegatorAfter,
    /// *very, absolutely*: strengthens the word after it.
    Booster,
    /// *slightly, kind of*: weakens the word after it.
    Dampener,
    /// *but, however*: what follows is what the author means.
    Contrast,
    /// *although, despite*: what follows is granted, not meant.
    Concession,
    /// *used to, in the past*: how it was before.
    Past,
    /// *now, these days*: how it is.
    Present,
    /// *I had heard, some people think*: the view of others.
    Hearsay,
    /// *I think, in my opinion*: the author's own view.
    OwnView,
    /// *I thought, I expected*: what was expected, and may have come otherwise.
    Expectation,
    /// *I don't think, I can't say*: denies the whole statement after it.
    Denial,
    /// *if, would be*: not said to be so.
    Condition,
    /// *yes*: affirms the question before it.
    Yes,
    /// *no*, as an answer: denies the question before it.
    No,
    /// *yeah right, #sarcasm*: praise is meant the other way round.
    Sarcasm,
    /// *than*: what follows is what something is measured against.
    Than,
    /// *better, faster*: the first of the two compared is praised.
    Better,
    /// *worse, slower*: the first of the two compared is blamed.
    Worse,
    /// *and, because*: a new clause begins.
    Joint,
    /// *I, my, we*: the author speaks of themselves.
    FirstPerson,
    /// *you, this, it*: the author speaks to or of what is at hand.
    Address,
    /// *angle, trail*: a word of its own, and no slip of the finger for *angel* or *trial*.
    Plain,
    /// French *l', d'*: a word of its own in front of another.
    Elided,
    /// A word for a group of people: never a matter of praise or blame.
    Identity,
}

impl Role {
    const NAMES: [(&'static str, Self); 25] = [
        ("negator", Self::Negator),
        ("negator-after", Self::NegatorAfter),
        ("booster", Self::Booster),
        ("dampener", Self::Dampener),
        ("contrast", Self::Contrast),
        ("concession", Self::Concession),
        ("past", Self::Past),
        ("present", Self::Present),
        ("hearsay", Self::Hearsay),
        ("own-view", Self::OwnView),
        ("expectation", Self::Expectation),
        ("denial", Self::Denial),
        ("condition", Self::Condition),
        ("yes", Self::Yes),
        ("no", Self::No),
        ("sarcasm", Self::Sarcasm),
        ("than", Self::Than),
        ("better", Self::Better),
        ("worse", Self::Worse),
        ("joint", Self::Joint),
        ("first-person", Self::FirstPerson),
        ("address", Self::Address),
        ("plain", Self::Plain),
        ("elided", Self::Elided),
        ("identity", Self::Identity),
    ];

    /// The role that a lexicon calls so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }
}

/// A set of roles: one word can play several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles(u32);

impl Roles {
    /// No role but this one.
    pub(super) fn only(role: Role) -> Self {
        Self(1 << role as u8)
    }

    /// Whether the role is among them.
    pub(super) fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Both sets together.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
