//! Text, for a model that predicts the next character.

mod error;
mod sequences;

pub use error::TextError;
pub use sequences::{
    CHARACTERS, NonAscii, SequenceBatch, Sequences, TextSplit, find_text, read_text, text_sequences,
};
