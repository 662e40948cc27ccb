//! What a mention can be labelled with: risk categories, intents, and the desks that they are for.
//!
//! Records carry the names; these are the lists of those that there are.

/// Risk categories: what could harm whom the mention is about.
pub const RISKS: [&str; 11] = [
    "legal",
    "safety",
    "data_breach",
    // A confidential name or paper is out.
    "leak",
    "fraud",
    "labour",
    "product_failure",
    "boycott",
    "leadership",
    "investor",
    "misinformation",
];

/// Intents: what the author is about.
pub const INTENTS: [&str; 5] = ["complaint", "churn", "praise", "question", "purchase"];

/// Desks: who in the house takes care of it.
pub const DESKS: [&str; 6] =
    ["communications", "marketing", "investor_relations", "hr", "security", "customer_care"];
