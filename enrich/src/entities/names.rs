//! What a subject goes by: the names that its watchlist lists, and what follows from a person's name, role and
//! company; each with what it takes to count.
//!
//! The rules for names whose class the watchlist does not say are written for people in
//! `enrich/lexicons/README.md`; change both.

use earshot_common::definitions::{AliasClass, Case, Subject, SubjectKind};
use earshot_common::events::Derivation;
use earshot_common::text::{fold, is_apostrophe};

use super::lists::{is_common, is_everyday};
use super::person::Person;

/// One-word names of fewer characters are abbreviations of many things.
const SHORTEST_NAME: usize = 4;

/// Roles, each with the forms that mean the same.
const ROLES: [&[&str]; 9] = [
    &["CEO", "chief executive", "chief executive officer"],
    &["CFO", "chief financial officer", "finance chief"],
    &["COO", "chief operating officer"],
    &["CTO", "chief technology officer"],
    &["CIO", "chief information officer"],
    &["CMO", "chief marketing officer"],
    &["chairman", "chairwoman", "chairperson", "chair"],
    &["founder", "co-founder", "cofounder"],
    &["president"],
];

/// Something that a subject is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// As the watchlist writes it, or as it follows from that.
    pub(super) written: String,
    /// What it takes to count.
    pub(super) class: AliasClass,
    /// Only in this case.
    pub(super) exact: bool,
    /// How it follows.
    pub(super) derived: Option<Derivation>,
    /// A person's surname: the words before it tell whose.
    pub(super) is_surname: bool,
    /// A surname that is an everyday word, such as `Good`: what speaks for it must stand beside it.
    pub(super) is_everyday: bool,
    /// Whether its plural means the subject too.
    pub(super) has_plural: bool,
}

impl Name {
    /// A name that is written so, in whatever case.
    pub(super) fn new(written: String, class: AliasClass) -> Self {
        Self {
            written,
            class,
            exact: false,
            derived: None,
            is_surname: false,
            is_everyday: false,
            has_plural: false,
        }
    }
}

/// The names of a subject.
pub(super) fn names(subject: &Subject, person: Option<&Person>, company: Option<&Subject>) -> Vec<Name> {
    let mut names = listed(subject);
    if let Some(person) = person {
        let derived = person.short_name().map(|name| (name, None)).into_iter();
        let derived = derived.chain([(person.surname.clone(), Some(Derivation::Surname))]);
        for (written, derived) in derived {
            if names.iter().all(|name| fold(&name.written) != fold(&written)) {
                names.push(of_a_person(written, derived));
            }
        }
        for name in &mut names {
            name.is_surname = fold(&name.written) == fold(&person.surname);
            name.is_everyday =
                name.is_surname && name.class == AliasClass::CommonWord && is_everyday(&name.written);
            name.has_plural = false;
        }
    }
    if let (Some(company), Some(role)) = (company, &subject.role) {
        names.extend(by_role(company, role));
    }
    names
}

/// The forms of a role, such as `CEO and chairman`: of each of its parts.
pub(super) fn forms_of_role(role: &str) -> Vec<String> {
    let mut forms = vec![role.trim().to_owned()];
    for part in role.split([',', '&', '/']).flat_map(|part| part.split(" and ")).map(str::trim) {
        let same = ROLES.iter().find(|forms| forms.iter().any(|form| fold(form) == fold(part)));
        forms.extend(same.into_iter().flat_map(|forms| forms.iter().map(|form| (*form).to_owned())));
        forms.push(part.to_owned());
    }
    forms.retain(|form| !form.is_empty());
    forms.sort_by_key(|form| fold(form));
    forms.dedup_by_key(|form| fold(form));
    forms
}

/// The spellings of a name that people use as if they were one: with and without apostrophes, `&` and `and`.
pub(super) fn spellings(written: &str) -> Vec<String> {
    let mut spellings = vec![written.to_owned()];
    let without: String = written.chars().filter(|c| !is_apostrophe(*c)).collect();
    for other in [without, written.replace(" & ", " and "), written.replace(" and ", " & ")] {
        if !spellings.contains(&other) {
            spellings.push(other);
        }
    }
    spellings
}

/// The listed aliases, and the name unless it is listed: a list says of its words what case and class are.
fn listed(subject: &Subject) -> Vec<Name> {
    let listed = subject.aliases.iter().map(|alias| (&alias.text, alias.given_class(), alias.case));
    let is_listed = subject.aliases.iter().any(|alias| fold(&alias.text) == fold(&subject.name));
    let name = (!is_listed).then_some((&subject.name, None, Case::Fold));
    let mut names = Vec::new();
    for (written, class, case) in listed.chain(name) {
        let class = class.unwrap_or_else(|| class_of(written));
        names.push(Name {
            exact: case == Case::Exact,
            has_plural: matches!(class, AliasClass::Distinct | AliasClass::Ambiguous),
            ..Name::new(written.clone(), class)
        });
    }
    names
}

/// The class of a name of which the watchlist says none.
fn class_of(name: &str) -> AliasClass {
    let words: Vec<&str> = name.split([' ', '-']).filter(|word| !word.is_empty()).collect();
    let has_case = name.chars().any(|c| c.is_uppercase() || c.is_lowercase());
    let is_short = name.chars().count() < SHORTEST_NAME;
    match words.as_slice() {
        // A word in a script without capitals cannot be written as a name.
        _ if !has_case => AliasClass::Distinct,
        [word] if is_short || is_common(word) => AliasClass::CommonWord,
        [_] => AliasClass::Distinct,
        words if words.iter().all(|word| is_everyday(word)) => AliasClass::CommonPhrase,
        _ => AliasClass::Distinct,
    }
}

/// A surname alone is other people's too; first name and surname together are the person's.
fn of_a_person(written: String, derived: Option<Derivation>) -> Name {
    let class = match class_of(&written) {
        AliasClass::Distinct if derived == Some(Derivation::Surname) => AliasClass::Ambiguous,
        class => class,
    };
    Name { derived, ..Name::new(written, class) }
}

/// `Harbor's CEO`, `Harbor CEO`, `CEO of Harbor`: a company that is a common word keeps its capitals.
fn by_role(company: &Subject, role: &str) -> Vec<Name> {
    let mut names = Vec::new();
    for called in listed(company) {
        let class = match called.class {
            AliasClass::CommonWord => AliasClass::CommonPhrase,
            _ => AliasClass::Distinct,
        };
        for role in forms_of_role(role) {
            let company = &called.written;
            let possessive =
                if company.ends_with('s') { format!("{company}'") } else { format!("{company}'s") };
            for written in
                [format!("{possessive} {role}"), format!("{company} {role}"), format!("{role} of {company}")]
            {
                names.push(Name {
                    exact: called.exact,
                    derived: Some(Derivation::Role),
                    ..Name::new(written, class)
                });
            }
        }
    }
    names
}

/// The person that a subject is.
pub(super) fn person(subject: &Subject) -> Option<Person> {
    (subject.kind == SubjectKind::Executive).then(|| Person::named(&subject.name)).flatten()
}
