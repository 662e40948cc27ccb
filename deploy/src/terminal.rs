//! Text from outside on a terminal: nothing in it may move the cursor, recolour the screen or turn the
//! direction of writing.

/// A text in one line.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// A text whose own lines and tabs stay.
pub(crate) fn lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) || !(c.is_control() || turns_direction(c)) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
    }
    escaped
}

/// The marks of the Unicode Bidirectional Algorithm (UAX #9), and the separators that some terminals break at.
fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, wanted) in [
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\u{9b}2Jb\u{7f}", "a\\u{9b}2Jb\\u{7f}"),
            ("bell\u{7}\u{8}", "bell\\u{7}\\u{8}"),
            ("pay \u{202e}evil\u{2069}", "pay \\u{202e}evil\\u{2069}"),
            ("Zürich 😡 日本", "Zürich 😡 日本"),
        ] {
            assert_eq!(one_line(text), wanted);
            assert_eq!(lines(text), wanted);
        }
        assert_eq!(one_line("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(lines("a\nb\r\tc"), "a\nb\\r\tc");
    }
}
