//! Bytes of a record as JSON that a person can read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that are written as text where they are text, and else as `{"base64": "…"}`. Nothing is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadableBytes(pub Bytes);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(std::borrow::Cow<'a, str>),
    Binary { base64: String },
}

impl Serialize for ReadableBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match std::str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text.into()),
            Err(_) => Written::Binary { base64: STANDARD.encode(&self.0) },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReadableBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_owned().into())),
            Written::Binary { base64 } => {
                let bytes = STANDARD
                    .decode(&base64)
                    .map_err(|error| de::Error::custom(format_args!("`{base64}` is not base64: {error}")))?;
                Ok(Self(bytes.into()))
            }
        }
    }
}
