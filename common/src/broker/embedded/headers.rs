//! Headers as a column: JSON, with text as text, so that an operator can read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Binary { base64: String },
}

/// The column; nothing where there are no headers.
pub(super) fn to_text(headers: &[(String, Bytes)]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let pairs: Vec<(&str, Value)> =
        headers.iter().map(|(name, value)| (name.as_str(), to_value(value))).collect();
    Some(serde_json::to_string(&pairs).expect("pairs of text are JSON"))
}

/// The headers of a column.
pub(super) fn from_text(column: Option<&str>) -> Result<Vec<(String, Bytes)>, serde_json::Error> {
    let Some(text) = column else { return Ok(Vec::new()) };
    let pairs: Vec<(String, Value)> = serde_json::from_str(text)?;
    pairs.into_iter().map(|(name, value)| Ok((name, from_value(value)?))).collect()
}

fn to_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Text(text.to_owned()),
        Err(_) => Value::Binary { base64: STANDARD.encode(bytes) },
    }
}

fn from_value(value: Value) -> Result<Bytes, serde_json::Error> {
    match value {
        Value::Text(text) => Ok(text.into()),
        Value::Binary { base64 } => {
            STANDARD.decode(base64).map(Bytes::from).map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn text_stays_readable_and_bytes_survive() {
        let headers = vec![
            ("reason".to_owned(), Bytes::from_static(b"no \"id\"")),
            ("bytes".to_owned(), Bytes::from_static(&[0xff, 0x00])),
        ];
        let text = to_text(&headers).unwrap();
        expect![[r#"[["reason","no \"id\""],["bytes",{"base64":"/wA="}]]"#]].assert_eq(&text);
        assert_eq!(from_text(Some(&text)).unwrap(), headers);
        assert_eq!(from_text(to_text(&[]).as_deref()).unwrap(), []);
    }
}
