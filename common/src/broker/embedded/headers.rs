//! Headers as a column: JSON, with text as text, so that an operator can read it.

use bytes::Bytes;

use crate::broker::ReadableBytes;

/// The column; nothing where there are no headers.
pub(super) fn to_text(headers: &[(String, Bytes)]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let pairs: Vec<(&str, ReadableBytes)> =
        headers.iter().map(|(name, value)| (name.as_str(), ReadableBytes(value.clone()))).collect();
    Some(serde_json::to_string(&pairs).expect("pairs of text are JSON"))
}

/// The headers of a column.
pub(super) fn from_text(column: Option<&str>) -> Result<Vec<(String, Bytes)>, serde_json::Error> {
    let Some(text) = column else { return Ok(Vec::new()) };
    let pairs: Vec<(String, ReadableBytes)> = serde_json::from_str(text)?;
    Ok(pairs.into_iter().map(|(name, value)| (name, value.0)).collect())
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
