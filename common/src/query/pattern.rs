//! Wildcards: `?` is exactly one character, `*` any number of them.

use std::fmt;

/// A folded word with wildcards. How much it may match is limited by its shape, which both back ends know and
/// which no index can outgrow: a `*` needs two other characters beside it, and a `?` one. What it matches is
/// never cut short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

/// Characters beside a `*`, at least.
const LITERALS_BESIDE_A_STAR: usize = 2;

impl Pattern {
    /// Reads a pattern; the error says what it lacks.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut pattern = String::with_capacity(text.len());
        for c in text.chars() {
            if c != '*' || !pattern.ends_with('*') {
                pattern.push(c);
            }
        }
        let literals = pattern.chars().filter(|&c| c.is_alphanumeric()).count();
        if pattern.contains('*') && literals < LITERALS_BESIDE_A_STAR {
            return Err(format!(
                "`{text}` stands for too many words: beside `*` at least {LITERALS_BESIDE_A_STAR} letters or digits \
                 are needed"
            ));
        }
        if literals == 0 {
            return Err(format!("`{text}` stands for too many words: give at least one letter or digit"));
        }
        Ok(Self(pattern))
    }

    /// As written, folded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The characters before the first wildcard: whatever fits begins with them.
    pub fn prefix(&self) -> &str {
        self.0.split(['*', '?']).next().unwrap_or_default()
    }

    /// Whether its only wildcard is a `*` at the end: whatever begins with the prefix fits.
    pub fn is_prefix(&self) -> bool {
        self.prefix().len() + 1 == self.0.len() && self.0.ends_with('*')
    }

    /// Whether a term fits. A wildcard at the beginning stands for no mark: `*apple` is not `@apple`.
    pub fn fits(&self, term: &str) -> bool {
        let marked = term.starts_with(['#', '@', '$']);
        if marked && self.0.starts_with(['*', '?']) {
            return false;
        }
        if self.is_prefix() {
            return term.starts_with(self.prefix());
        }
        fits(&self.0, term)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// On a mismatch the last `*` takes one character more; earlier ones need never be tried again.
fn fits(pattern: &str, term: &str) -> bool {
    let (mut pattern, mut term) = (pattern.chars(), term.chars());
    let mut last_star = None;
    loop {
        let at = term.clone();
        match (pattern.next(), term.next()) {
            (Some('*'), _) => {
                last_star = Some((pattern.clone(), at.clone()));
                term = at;
                continue;
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => continue,
            (Some(wanted), Some(found)) if wanted == found => continue,
            _ => {}
        }
        let Some((after_star, taken)) = &mut last_star else { return false };
        if taken.next().is_none() {
            return false;
        }
        pattern = after_star.clone();
        term = taken.clone();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_mark_is_one_character_and_a_star_any_number() {
        let fits = |pattern: &str, term: &str| Pattern::new(pattern).unwrap().fits(term);
        assert!(fits("appl*", "appl") && fits("appl*", "apples") && !fits("appl*", "app"));
        assert!(fits("te?t", "text") && !fits("te?t", "tet") && !fits("te?t", "texxt"));
        assert!(fits("*bank", "citibank") && fits("*bank", "bank") && !fits("*bank", "banks"));
        assert!(fits("c*t*r", "counter") && fits("a?b*", "aébc"));
        assert!(fits("#app*", "#appdown") && !fits("app*", "@apple") && !fits("*apple", "@apple"));
    }

    #[test]
    fn a_pattern_that_stands_for_too_much_is_refused() {
        assert!(Pattern::new("*").is_err() && Pattern::new("a*").is_err() && Pattern::new("??").is_err());
        assert!(Pattern::new("ab*").is_ok() && Pattern::new("a?").is_ok() && Pattern::new("*b?c").is_ok());
    }

    /// Wildcards by their definition, without cleverness.
    fn plainly(pattern: &[char], term: &[char]) -> bool {
        match (pattern.split_first(), term.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', rest)), _) => (0..=term.len()).any(|taken| plainly(rest, &term[taken..])),
            (Some((_, _)), None) => false,
            (Some((p, rest)), Some((t, term))) => (*p == '?' || p == t) && plainly(rest, term),
        }
    }

    proptest! {
        #[test]
        fn fitting_is_what_its_definition_says(pattern in "[ab*?]{1,8}", term in "[ab]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(fits(&pattern, &term), plainly(&characters(&pattern), &characters(&term)));
        }
    }
}
