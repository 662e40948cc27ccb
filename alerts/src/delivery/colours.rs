//! The colours that severities and tones have in every mail, as in the console.

const NEUTRAL: &str = "#9aa3ad";

/// Of a severity that somebody is called for, from 4 on.
pub(crate) fn of_severity(severity: u8) -> Option<&'static str> {
    match severity {
        7.. => Some("#b3261e"),
        4..=6 => Some("#8a5300"),
        _ => None,
    }
}

/// Of `negative`, `neutral` or `positive` words.
pub(crate) fn of_tone(tone: &str) -> &'static str {
    match tone {
        "negative" => "#b3261e",
        "positive" => "#2a7d57",
        _ => NEUTRAL,
    }
}

/// Of an alert; also of one that nobody is called for.
pub(crate) fn of_alert(severity: u8) -> &'static str {
    of_severity(severity).unwrap_or(NEUTRAL)
}
