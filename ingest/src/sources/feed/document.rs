//! From the bytes of a feed to text that the parser takes: the charset, and mistakes that many feeds make.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::cleaning::MAX_REFERENCE_BYTES;

/// An XML declaration ends within so many bytes.
const DECLARATION_BYTES: usize = 200;
/// Versions of RSS that the parser knows.
const KNOWN_VERSIONS: &[&str] = &["2.0", "0.91", "0.92"];

/// The document as UTF-8, without an encoding of its own: by its byte order mark, else by HTTP's word, else by its
/// XML declaration. HTTP's word is not believed where it does not fit the bytes.
pub(super) fn decoded(document: &[u8], content_type: Option<&str>) -> String {
    let start = String::from_utf8_lossy(&document[..document.len().min(DECLARATION_BYTES)]);
    let declared = declaration(&start).and_then(|declaration| quoted(declaration, "encoding="));
    let declared = declared.and_then(|label| Encoding::for_label(label.as_bytes()));
    let by_http = content_type.and_then(charset).and_then(|label| Encoding::for_label(label.as_bytes()));

    let first = sixteen_bits(document).or(by_http).or(declared).unwrap_or(UTF_8);
    let (mut text, _, malformed) = first.decode(document);
    if malformed && let Some(declared) = declared {
        text = declared.decode(document).0;
    }
    let text = text.trim_start();
    with_known_version(declaration(text).map_or(text, |declaration| &text[declaration.len()..]))
}

/// The text with `&amp;` for each ampersand that begins no reference.
pub(super) fn with_ampersands_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut pieces = text.split('&');
    escaped.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        escaped.push_str(if begins_reference(piece) { "&" } else { "&amp;" });
        escaped.push_str(piece);
    }
    escaped
}

fn begins_reference(behind_ampersand: &str) -> bool {
    let bytes = behind_ampersand.as_bytes();
    let end = bytes.iter().take(MAX_REFERENCE_BYTES).position(|&byte| byte == b';');
    end.is_some_and(|end| end > 0 && bytes[..end].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#'))
}

/// UTF-16 shows in the first character of a feed, also without a byte order mark.
fn sixteen_bits(document: &[u8]) -> Option<&'static Encoding> {
    match document {
        [0, b'<' | b'{', ..] => Some(UTF_16BE),
        [b'<' | b'{', 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// RSS of a version that the parser does not know, or of none, is read as 2.0.
fn with_known_version(text: &str) -> String {
    let Some(start) = text.find("<rss") else { return text.to_owned() };
    let end = text[start..].find('>').map_or(text.len(), |length| start + length);
    match quoted(&text[start..end], "version=") {
        Some(version) if KNOWN_VERSIONS.contains(&version) => text.to_owned(),
        Some(version) => {
            let root = text[start..end].replacen(version, "2.0", 1);
            format!("{}{root}{}", &text[..start], &text[end..])
        }
        None => {
            let behind_name = start + "<rss".len();
            format!("{} version=\"2.0\"{}", &text[..behind_name], &text[behind_name..])
        }
    }
}

/// `<?xml … ?>` at the start of a text.
fn declaration(text: &str) -> Option<&str> {
    let end = text.starts_with("<?xml").then(|| text.find("?>")).flatten()?;
    Some(&text[..end + 2])
}

/// The quoted value behind a key.
fn quoted<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let value = &text[text.find(key)? + key.len()..];
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// The `charset` of a content type.
fn charset(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1).map(str::trim);
    let charset = parameters.filter_map(|parameter| parameter.strip_prefix("charset=")).next()?;
    Some(charset.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO 8859-1 has the code points of Unicode.
    fn latin1(text: &str) -> Vec<u8> {
        text.chars().map(|c| c as u8).collect()
    }

    #[test]
    fn the_charset_is_the_one_of_http_then_of_the_document() {
        let declared = "<?xml version='1.0' encoding='iso-8859-1'?>";
        for (declaration, content_type) in [
            (declared, None),
            ("", Some("application/rss+xml; charset=\"ISO-8859-1\"")),
            (declared, Some("text/xml; charset=utf-8")),
        ] {
            let document = latin1(&format!("{declaration}<feed>café</feed>"));
            let text = decoded(&document, content_type);
            assert_eq!(text, "<feed>café</feed>", "{declaration} {content_type:?}");
        }
    }

    #[test]
    fn utf_16_is_seen_with_and_without_its_mark() {
        let units = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        assert_eq!(decoded(&units("\u{feff}<feed>é</feed>"), None), "<feed>é</feed>");
        assert_eq!(decoded(&units("<feed>é</feed>"), None), "<feed>é</feed>");
    }

    #[test]
    fn rss_of_another_version_is_read_as_2_0() {
        for (root, wanted) in [
            ("<rss>", "<rss version=\"2.0\">"),
            ("<rss version='0.94' a='1'>", "<rss version='2.0' a='1'>"),
            ("<rss version=\"0.91\">", "<rss version=\"0.91\">"),
        ] {
            assert_eq!(decoded(root.as_bytes(), None), wanted);
        }
    }

    #[test]
    fn only_ampersands_of_their_own_are_escaped() {
        assert_eq!(
            with_ampersands_escaped("R&D &amp; a?b=1&c=2; &#8217; &"),
            "R&amp;D &amp; a?b=1&amp;c=2; &#8217; &amp;"
        );
    }
}
