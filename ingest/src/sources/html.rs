//! What HTML says in plain text. No HTML of a source is kept, and none is shown.
//!
//! This walks over tags and builds no tree: the time that a tree takes grows with the square of its depth, and
//! a feed may nest as deep as it likes. A page is only ever as long to read as it is.

use crate::cleaning::{MAX_LINKS, clean_url, decode_entities};

/// Elements whose content is no text.
const SILENT: &[&str] =
    &["script", "style", "template", "noscript", "iframe", "svg", "math", "head", "title"];
/// Elements that end a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// Elements that are apart from what stands before them.
const CELLS: &[&str] = &["td", "th", "img"];

/// The text of a piece of HTML, and the web addresses that it links to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PlainText {
    pub(super) text: String,
    pub(super) links: Vec<String>,
}

/// Reads a piece of HTML.
pub(super) fn to_text(html: &str) -> PlainText {
    let mut plain = PlainText::default();
    let mut line = Words::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        line.write(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = behind_comment(rest) {
            rest = behind;
        } else if let Some((tag, behind)) = tag(rest) {
            rest = behind;
            if BLOCKS.contains(&tag.name.as_str()) {
                line.end_line();
            } else if CELLS.contains(&tag.name.as_str()) {
                line.space();
            } else if tag.name == "a" {
                add_link(&mut plain.links, tag.attribute("href"));
            } else if SILENT.contains(&tag.name.as_str()) && tag.opens {
                rest = behind_element(rest, &tag.name);
            }
        } else {
            line.write("<");
            rest = &rest[1..];
        }
    }
    line.write(rest);
    plain.text = line.text;
    plain
}

/// Text whose white space is one space or one line end.
#[derive(Default)]
struct Words {
    text: String,
    gap: Option<char>,
}

impl Words {
    fn write(&mut self, html: &str) {
        for character in decode_entities(html).chars() {
            if character.is_whitespace() {
                self.space();
                continue;
            }
            let gap = self.gap.take().filter(|_| !self.text.is_empty());
            self.text.extend(gap);
            self.text.push(character);
        }
    }

    fn space(&mut self) {
        self.gap.get_or_insert(' ');
    }

    fn end_line(&mut self) {
        self.gap = Some('\n');
    }
}

/// A tag with its attributes as they are written.
struct Tag<'h> {
    name: String,
    opens: bool,
    attributes: &'h str,
}

impl Tag<'_> {
    /// An attribute's value.
    fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/')).unwrap_or(rest.len());
            let (written, behind) = rest.split_at(end);
            let value;
            (value, rest) = match behind.trim_start().strip_prefix('=') {
                Some(behind) => attribute_value(behind.trim_start()),
                None => ("", behind),
            };
            if written.eq_ignore_ascii_case(name) {
                return Some(decode_entities(value));
            }
            if rest.is_empty() {
                return None;
            }
        }
    }
}

/// The value at the start of a text, and what stands behind it.
fn attribute_value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].split_once(quote).unwrap_or((&text[1..], "")),
        _ => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

/// The tag at the start of a text, and what stands behind it. One that is never closed reaches to the end.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (opens, inner) = match text.strip_prefix("</") {
        Some(inner) => (false, inner),
        None => (true, text.strip_prefix('<')?),
    };
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = tag_end(inner);
    let (whole, behind) = (&inner[..end], inner.get(end + 1..).unwrap_or_default());
    let name_end = whole.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(whole.len());
    let (name, attributes) = whole.split_at(name_end);
    Some((Tag { name: name.to_ascii_lowercase(), opens, attributes }, behind))
}

/// Where the tag's `>` stands; one within the quotes of a value is none.
fn tag_end(inner: &str) -> usize {
    let mut quote = None;
    let mut previous = b' ';
    for (at, byte) in inner.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') if previous == b'=' => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            previous = byte;
        }
    }
    inner.len()
}

/// What stands behind the comment, declaration or instruction at the start of a text.
fn behind_comment(text: &str) -> Option<&str> {
    let end = if text.starts_with("<!--") {
        "-->"
    } else if text.starts_with("<![CDATA[") {
        "]]>"
    } else if text.starts_with("<!") || text.starts_with("<?") {
        ">"
    } else {
        return None;
    };
    Some(text.split_once(end).map_or("", |(_, behind)| behind))
}

/// What stands behind the end of an element whose content is no text; nothing where it never ends.
fn behind_element<'h>(text: &'h str, name: &str) -> &'h str {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("</") {
        if behind.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return behind.split_once('>').map_or("", |(_, behind)| behind);
        }
        rest = behind;
    }
    ""
}

fn add_link(links: &mut Vec<String>, target: Option<String>) {
    if let Some(url) = clean_url(target.as_deref())
        && links.len() < MAX_LINKS
        && !links.contains(&url)
    {
        links.push(url);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn text(html: &str) -> String {
        to_text(html).text
    }

    #[test]
    fn paragraphs_are_lines_and_links_are_listed() {
        let plain = to_text(
            "<p>Harbor&#8217;s <b>app</b> is\n <a class=x title='a > b' HREF = \"https://a.example/x?a=1&amp;b=2\">down</a></p>\
             <p>Again<br/>and again</p><a href=\"javascript:alert(1)\">no</a>",
        );
        assert_eq!(plain.text, "Harbor’s app is down\nAgain\nand again\nno");
        assert_eq!(plain.links, ["https://a.example/x?a=1&b=2"]);
    }

    #[test]
    fn what_is_not_text_is_left_out() {
        for (html, wanted) in [
            ("a<script>if (a</b) alert('<p>')</SCRIPT ><style>p{}</style><!-- <b>c --><?php x ?>b", "ab"),
            ("no html &amp; 3 < 4 <3", "no html & 3 < 4 <3"),
            ("<td>1</td><td>2</td>", "1 2"),
            ("caf&eacute;&nbsp;&lt;b&gt;", "café <b>"),
            ("cut <a href=\"https://a.example", "cut"),
            ("<script>never closed", ""),
            ("<!-- never closed", ""),
            ("é</p", "é"),
            ("", ""),
        ] {
            assert_eq!(text(html), wanted, "{html}");
        }
    }

    #[test]
    fn hostile_nesting_takes_no_longer_than_plain_text() {
        let started = Instant::now();
        let times = 100_000;
        assert_eq!(text(&format!("{}deep{}", "<div>".repeat(times), "</div>".repeat(times))), "deep");
        text(&"<b><p><a href=x>".repeat(times));
        text(&"<script></".repeat(times));
        text(&"<a b='".repeat(times));
        text(&"&".repeat(times));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
