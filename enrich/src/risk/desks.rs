//! Which desks each label is for.

use std::collections::BTreeMap;

use earshot_common::events::{DESKS, INTENTS, RISKS};

/// The desks that are usual.
const USUAL: [(&str, &[&str]); 16] = [
    ("legal", &["communications"]),
    ("safety", &["communications", "customer_care"]),
    ("data_breach", &["communications", "security"]),
    ("leak", &["communications", "security"]),
    ("fraud", &["communications"]),
    ("labour", &["communications", "hr"]),
    ("product_failure", &["customer_care"]),
    ("boycott", &["communications", "marketing"]),
    ("leadership", &["communications", "investor_relations"]),
    ("investor", &["investor_relations"]),
    ("misinformation", &["communications"]),
    ("complaint", &["customer_care"]),
    ("churn", &["marketing", "customer_care"]),
    ("praise", &["marketing"]),
    ("question", &["customer_care"]),
    ("purchase", &["marketing"]),
];

/// The desks of each label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desks(BTreeMap<&'static str, Vec<&'static str>>);

/// A setting of desks that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesksError {
    /// The key is no label.
    #[error(
        "setting `enrich.desks.{0}`: `{0}` is no risk category and no intent; there are: {known}",
        known = RISKS.iter().chain(&INTENTS).copied().collect::<Vec<_>>().join(", ")
    )]
    Label(String),
    /// The value is no desk.
    #[error(
        "setting `enrich.desks.{label}`: `{desk}` is no desk; there are: {known}",
        known = DESKS.join(", ")
    )]
    Desk {
        /// The key.
        label: String,
        /// The value.
        desk: String,
    },
}

impl Default for Desks {
    fn default() -> Self {
        Self(USUAL.iter().map(|(label, desks)| (*label, desks.to_vec())).collect())
    }
}

impl Desks {
    /// The usual desks, but for the labels that settings give others to.
    pub fn with(settings: &BTreeMap<String, Vec<String>>) -> Result<Self, DesksError> {
        let mut desks = Self::default();
        for (label, wanted) in settings {
            let Some(known) = RISKS.iter().chain(&INTENTS).find(|known| *known == label) else {
                return Err(DesksError::Label(label.clone()));
            };
            let mut of_label = Vec::new();
            for desk in wanted {
                let Some(desk) = DESKS.iter().find(|known| *known == desk) else {
                    return Err(DesksError::Desk { label: label.clone(), desk: desk.clone() });
                };
                of_label.push(*desk);
            }
            desks.0.insert(known, of_label);
        }
        Ok(desks)
    }

    /// The desks that labels are for, each once, in the order of [`DESKS`].
    pub fn of<'l>(&self, labels: impl Iterator<Item = &'l String>) -> Vec<String> {
        let wanted: Vec<&str> =
            labels.filter_map(|label| self.0.get(label.as_str())).flatten().copied().collect();
        DESKS.iter().filter(|desk| wanted.contains(desk)).map(|desk| (*desk).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(label: &str, desk: &str) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(label.to_owned(), vec![desk.to_owned()])])
    }

    #[test]
    fn every_label_has_a_desk_and_settings_change_only_what_they_name() {
        for label in RISKS.iter().chain(&INTENTS) {
            assert!(!Desks::default().of([(*label).to_owned()].iter()).is_empty(), "{label}");
        }
        let desks = Desks::with(&settings("legal", "security")).unwrap();
        let of = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            desks.of(labels.iter())
        };
        assert_eq!(of(&["legal"]), ["security"]);
        assert_eq!(of(&["praise", "legal", "churn"]), ["marketing", "security", "customer_care"]);
    }

    #[test]
    fn unknown_names_are_refused_with_field_and_value() {
        let refused = |label, desk| Desks::with(&settings(label, desk)).unwrap_err().to_string();
        assert_eq!(
            refused("legal", "lawyers"),
            "setting `enrich.desks.legal`: `lawyers` is no desk; there are: communications, marketing, \
             investor_relations, hr, security, customer_care"
        );
        assert!(refused("legall", "hr").starts_with(
            "setting `enrich.desks.legall`: `legall` is no risk category and no intent; there are: legal, "
        ));
    }
}
