//! The variants of FOSI that one study compares with the same base.

use crate::config::TrainOptions;

/// FOSI with its own options.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name in tables and figures.
    pub name: String,
    /// Its options, as given.
    pub words: String,
    /// Its options, parsed.
    pub options: TrainOptions,
}

impl Variant {
    /// FOSI with the study's options.
    pub fn plain() -> Self {
        Self {
            name: "fosi".to_owned(),
            words: String::new(),
            options: TrainOptions::default(),
        }
    }
}
