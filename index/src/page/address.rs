//! Addresses of the console's own pages, and which foreign ones may become links.

use url::Url;
use url::form_urlencoded::Serializer;

use crate::params::Parameters;

/// The search page with the same parameters but for some: `None` leaves one out.
pub(crate) fn address(parameters: &Parameters, changes: &[(&str, Option<&str>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters.pairs() {
        if !changes.iter().any(|(changed, _)| *changed == name) {
            query.append_pair(name, value);
        }
    }
    for (name, value) in changes {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => "/".to_owned(),
        query => format!("/?{query}"),
    }
}

/// A foreign address that is safe to follow: a web page, not a script.
pub(crate) fn web_link(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_become_links() {
        assert_eq!(
            web_link("https://example.org/a?b=<c>"),
            Some("https://example.org/a?b=%3Cc%3E".to_owned())
        );
        for hostile in ["javascript:alert(1)", "data:text/html,x", " JavaScript:alert(1)", "/relative", ""] {
            assert_eq!(web_link(hostile), None, "{hostile}");
        }
    }
}
