//! Kinds of FOSI that one study compares with the same base.

use crate::config::TrainOptions;

/// FOSI with some options.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What tables and pictures call it.
    pub name: String,
    /// What is given for it alone, in words.
    pub words: String,
    /// The same, read.
    pub options: TrainOptions,
}

impl Variant {
    /// FOSI with the study's own options.
    pub fn plain() -> Self {
        Self {
            name: "fosi".to_owned(),
            words: String::new(),
            options: TrainOptions::default(),
        }
    }
}
