//! The language as data: what is read as what, what is refused with which words, and what matches what.

mod language;
mod meaning;
mod random;
mod standing;
