//! From weights to a score: what the words add up to, against what it takes for a text like this one to be
//! an opinion.

use earshot_common::events::Polarity;

/// Makes a sum as strong as what is needed score 0.05, where a label begins: `1 / 0.05² - 1`.
const AT_THE_LABEL: f32 = 399.0;
/// Texts with more names are treated as if they had so many.
const MAX_NAMES: usize = 6;

/// How much weight, on the scale of a lexicon, makes an opinion: with less a text is neutral.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// What a message needs before any of its traits.
    message: f32,
    /// What each trait adds to that, in the order of [`Traits::as_array`].
    of_trait: [f32; Traits::COUNT],
}

impl Scale {
    /// Of weights that are learned; as `learn` finds it.
    pub(super) const LEARNED: Self = Self { message: 0.49, of_trait: [1.10, -0.49, -0.33] };
    /// Of weights that were written down, and are coarser: one mild word makes an opinion, whoever speaks.
    pub(super) const BY_HAND: Self = Self { message: 0.5, of_trait: [0.0; Traits::COUNT] };
}

/// What an attitude towards somebody needs.
const NEED_OF_ATTITUDE: f32 = 0.35;
/// However personal a message is, it needs so much.
const LEAST_NEED: f32 = 0.1;

/// What tells a report from an opinion, apart from praise and blame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// How many capitalised words it has, 0 to 1: who tells of many names, reports.
    pub names: f32,
    /// Whether the author speaks of themselves.
    pub first_person: bool,
    /// Whether the author speaks to somebody, or of what is at hand.
    pub address: bool,
}

impl Traits {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// Of a text with so many names.
    pub(super) fn new(names: usize, first_person: bool, address: bool) -> Self {
        Self { names: names.min(MAX_NAMES) as f32 / MAX_NAMES as f32, first_person, address }
    }

    /// The traits as numbers.
    pub fn as_array(self) -> [f32; Self::COUNT] {
        [self.names, f32::from(u8::from(self.first_person)), f32::from(u8::from(self.address))]
    }

    /// What a message with these traits needs.
    pub(super) fn need(self, scale: Scale) -> f32 {
        let traits = self.as_array();
        let added: f32 = traits.iter().zip(scale.of_trait).map(|(trait_, need)| trait_ * need).sum();
        (scale.message + added).max(LEAST_NEED)
    }
}

/// A sum of weights as a score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub(super) score: f32,
    pub(super) label: Polarity,
    /// How sure the label is, 0 to 1.
    pub(super) confidence: f32,
    /// What a point of weight is worth in the score: by it weights become shares that add up to the score.
    pub(super) per_weight: f32,
}

/// The score of a message with these traits, whose weights in their places are these.
pub(super) fn of_message(values: &[f32], traits: Traits, scale: Scale) -> Scored {
    scored(values.iter().sum(), traits.need(scale))
}

/// The score of an attitude.
pub(super) fn of_attitude(values: &[f32]) -> Scored {
    scored(values.iter().sum(), NEED_OF_ATTITUDE)
}

/// The score is `x² / √(x⁴ + 399)`, with the sign of the sum, where `x` is the sum over what is needed: 0.05 at
/// what is needed, 0.4 at three times as much, close to 1 at ten times.
fn scored(total: f32, need: f32) -> Scored {
    let square = (total / need).powi(2);
    let score = (square / square.hypot(AT_THE_LABEL.sqrt())).copysign(total);
    // The label is that of the score as it is published and shown, with four decimals.
    let label = Polarity::of((score * 1e4).round() / 1e4);
    let per_weight = if total == 0.0 { 0.0 } else { score / total };
    Scored { score, label, confidence: confidence(total, need, label), per_weight }
}

/// The weights are read as log-odds: of good against bad twice the sum, of neither what is needed. Of weights that
/// were written down that is no more than an order.
fn confidence(total: f32, need: f32, label: Polarity) -> f32 {
    let odds = [(-total).exp(), need.exp(), total.exp()];
    let mine = match label {
        Polarity::Negative => odds[0],
        Polarity::Neutral => odds[1],
        Polarity::Positive => odds[2],
    };
    let sum: f32 = odds.iter().sum();
    if sum.is_finite() { mine / sum } else { 1.0 }
}
