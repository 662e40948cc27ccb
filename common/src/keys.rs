//! The keys that stand for mentions, stories and authors where text and names must not appear.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Defines a 128-bit key, written as 32 hexadecimal digits.
macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            fn from_hash(hash: blake3::Hash) -> Self {
                let (first, _) = hash.as_bytes().split_at(16);
                Self(u128::from_be_bytes(first.try_into().expect("split at sixteen bytes")))
            }

            /// The first 64 bits: enough to tell the members of one window apart.
            pub fn short(self) -> u64 {
                (self.0 >> 64) as u64
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u128::from_str_radix(text, 16).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse()
                    .map_err(|_| de::Error::custom(format_args!("`{text}` is not a key of hexadecimal digits")))
            }
        }
    };
}

key! {
    /// A mention, by the first half of the BLAKE3 hash of its id.
    MentionKey
}
key! {
    /// A story: what many copies of one text or link have in common.
    StoryKey
}
key! {
    /// An author, by a hash that only holders of the [`Secret`] can make.
    AuthorKey
}
key! {
    /// An alert, by the hash of what makes it the same alert: rule, situation and opening window.
    AlertKey
}

/// Sixteen digits that tell one text from another.
pub fn fingerprint(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    hash[..16].to_owned()
}

impl MentionKey {
    /// The key of a mention id.
    pub fn of(mention_id: &str) -> Self {
        Self::from_hash(blake3::hash(mention_id.as_bytes()))
    }
}

impl StoryKey {
    /// The key of what identifies a story, in the given version of the rule that found it.
    pub fn of(version: &str, identity: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(version.as_bytes()).update(&[0]).update(identity.as_bytes());
        Self::from_hash(hasher.finalize())
    }
}

impl AlertKey {
    /// The key of an alert from the parts that identify it.
    pub fn of(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part.as_bytes()).update(&[0]);
        }
        Self::from_hash(hasher.finalize())
    }
}

/// The installation's secret: it keys the hash of authors. Never logged.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret from given bytes, for tests.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the file of 64 hexadecimal digits; makes it, readable by its owner only, where it is missing.
    ///
    /// Every service of one installation must be given the same file: two secrets would make two people of
    /// one author.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match std::fs::read_to_string(path) {
            Ok(text) => blake3::Hash::from_hex(text.trim())
                .map(|hash| Self(*hash.as_bytes()))
                .map_err(|_| SecretError::Malformed { path: path.display().to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret: [u8; 32] = rand::random();
                write_private(path, &format!("{}\n", blake3::Hash::from(secret).to_hex()))
                    .map_err(|source| SecretError::Write { path: path.display().to_string(), source })?;
                Ok(Self(secret))
            }
            Err(source) => Err(SecretError::Read { path: path.display().to_string(), source }),
        }
    }

    /// The key of an author on a network.
    pub fn author(&self, author_id: &str) -> AuthorKey {
        AuthorKey::from_hash(blake3::keyed_hash(&self.0, author_id.as_bytes()))
    }
}

impl Secret {
    /// A signature of these parts, in hexadecimal digits.
    pub(crate) fn sign(&self, parts: &[String]) -> String {
        self.signature(parts).to_hex().to_string()
    }

    /// Whether these parts were signed with it. Takes the same time whatever the proof is.
    pub(crate) fn has_signed(&self, proof: &str, parts: &[String]) -> bool {
        blake3::Hash::from_hex(proof).is_ok_and(|proof| proof == self.signature(parts))
    }

    fn signature(&self, parts: &[String]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key("earshot signatures 2026", &self.0));
        for part in parts {
            // With its length, so that no other parts run together to the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why the installation's secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is there and cannot be read.
    #[error("read the secret file {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not there and cannot be made.
    #[error("write a new secret to {path}")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "the secret file {path} must hold 64 hexadecimal digits; restore it, or remove it to start with a new secret"
    )]
    Malformed {
        /// The file.
        path: String,
    },
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/secret");
        let first = Secret::load_or_create(&path).unwrap().author("hackernews:someone");
        let again = Secret::load_or_create(&path).unwrap().author("hackernews:someone");
        assert_eq!(first, again);
        std::fs::write(&path, "no digits").unwrap();
        let error = Secret::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }

    #[test]
    fn keys_are_written_in_full() {
        let key = MentionKey::of("hn:41983282");
        let text = key.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<MentionKey>().unwrap(), key);
        assert_eq!(text[..16], format!("{:016x}", key.short()));
    }
}
