//! What text, addresses and names from outside look like once they are ours: within limits, without control
//! characters, plain. Every door uses it; what is particular to one format does not belong here.

use earshot_common::broker::NewRecord;
use earshot_common::events::{MentionEvent, encode};
use earshot_common::text::url_host;
use url::Url;

/// Longer texts are cut.
pub(crate) const MAX_TEXT_CHARACTERS: usize = 20_000;
/// Longer titles are cut.
const MAX_TITLE_CHARACTERS: usize = 1_000;
/// Longer names are cut.
const MAX_NAME_CHARACTERS: usize = 200;
/// Longer addresses are none.
const MAX_URL_BYTES: usize = 2_000;
/// Longer ids are refused.
pub(crate) const MAX_ID_BYTES: usize = 500;
/// More links of one mention are left out.
pub(crate) const MAX_LINKS: usize = 50;

/// Text within its limits, and the names of the fields that were cut.
#[derive(Debug, Default)]
pub(crate) struct CleanText {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    pub(crate) cut: Vec<String>,
}

/// Cleans the title and text of a mention.
pub(crate) fn clean_text(title: Option<&str>, text: &str) -> CleanText {
    let mut clean = CleanText::default();
    let (title, title_cut) = limited(&plain(title.unwrap_or_default()), MAX_TITLE_CHARACTERS);
    let (text, text_cut) = limited(&plain(text), MAX_TEXT_CHARACTERS);
    if title_cut {
        clean.cut.push("title".to_owned());
    }
    if text_cut {
        clean.cut.push("text".to_owned());
    }
    // A title is one line.
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    clean.title = (!title.is_empty()).then_some(title);
    clean.text = text;
    clean
}

/// A name or another short word, without control characters; none where nothing is left.
pub(crate) fn clean_name(name: Option<&str>) -> Option<String> {
    let (name, _) = limited(&plain(name?), MAX_NAME_CHARACTERS);
    (!name.is_empty()).then_some(name)
}

/// A web address that a person may click on: `http` or `https`, and not too long.
pub(crate) fn clean_url(url: Option<&str>) -> Option<String> {
    let url = Url::parse(url?.trim()).ok()?;
    let good = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= MAX_URL_BYTES;
    good.then(|| url.into())
}

/// The host that an address is on, as `site` writes it.
pub(crate) fn site_of(url: Option<&str>) -> Option<String> {
    url.and_then(url_host).map(str::to_owned)
}

/// Whether a name can stand in ids, addresses and headers.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && name.chars().all(plain)
}

/// An event as a record of `mentions.raw`.
pub(crate) fn raw_record(event: &MentionEvent) -> NewRecord {
    NewRecord::keyed(event.id().to_owned(), encode(event))
}

/// Decodes the character references of HTML in text that is not HTML otherwise, as networks export it. An
/// ampersand that begins none stays what it is.
pub(crate) fn decode_entities(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = reference_length(rest);
        match reference.and_then(|length| Some((length, referenced(&rest[..length])?))) {
            Some((length, character)) => {
                decoded.push(character);
                rest = &rest[length..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// No reference of HTML 4 is longer, and no number of a character is written longer.
pub(crate) const MAX_REFERENCE_BYTES: usize = 10;

/// How long the reference at the start of a text would be. Looks no further than one can reach.
fn reference_length(text: &str) -> Option<usize> {
    text.bytes().take(MAX_REFERENCE_BYTES).position(|byte| byte == b';').map(|end| end + 1)
}

/// The character of a reference such as `&amp;`.
fn referenced(reference: &str) -> Option<char> {
    htmlescape::decode_html(reference).ok()?.chars().next()
}

/// Without control characters, with one kind of line end, and without white space around it.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = |c: &char| matches!(c, '\n' | '\t') || !c.is_control();
    text.chars().filter(kept).collect::<String>().trim().to_owned()
}

/// The first characters of a text, and whether there were more.
fn limited(text: &str, characters: usize) -> (String, bool) {
    match text.char_indices().nth(characters) {
        Some((end, _)) => (text[..end].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_references_are_decoded_once_and_ampersands_stay() {
        for (text, wanted) in [
            ("AT&amp;T &lt;3 &quot;x&quot;", "AT&T <3 \"x\""),
            ("AT&T; R&D &unknown; &", "AT&T; R&D &unknown; &"),
            ("&#39;&#x1F621;&#xD800;", "'😡&#xD800;"),
            ("&amp;lt;", "&lt;"),
            ("&é;", "&é;"),
        ] {
            assert_eq!(decode_entities(text), wanted);
        }
    }

    #[test]
    fn text_is_cut_at_its_limit_and_says_so() {
        let clean = clean_text(Some("a\n title"), &"é".repeat(MAX_TEXT_CHARACTERS + 1));
        assert_eq!(clean.text.chars().count(), MAX_TEXT_CHARACTERS);
        assert_eq!(clean.title.as_deref(), Some("a title"));
        assert_eq!(clean.cut, ["text"]);
    }

    #[test]
    fn control_characters_go_and_line_ends_stay() {
        let clean = clean_text(None, " a\u{0}\u{1b}[31mb\r\nc\u{7f} ");
        assert_eq!(clean.text, "a[31mb\nc");
    }

    #[test]
    fn only_web_addresses_are_kept() {
        assert_eq!(clean_url(Some("https://a.example/x y")).as_deref(), Some("https://a.example/x%20y"));
        for bad in ["javascript:alert(1)", "file:///etc/passwd", "no address", ""] {
            assert_eq!(clean_url(Some(bad)), None, "{bad}");
        }
        assert_eq!(site_of(Some("https://www.a.example/x")).as_deref(), Some("a.example"));
    }
}
