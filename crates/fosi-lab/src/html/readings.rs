//! The values that the page's script shows at the pointer.

use serde::Serialize;

use crate::summary::Measure;

/// All lines of all charts of a page, with their values as text.
#[derive(Debug, Default, Serialize)]
pub(super) struct Readings {
    lines: Vec<Reading>,
}

/// A line's values, one text per point.
#[derive(Debug, Serialize)]
pub(super) struct Reading {
    /// The line's name.
    pub(super) name: String,
    /// The classes of its sample.
    pub(super) style: String,
    /// The positions of its points for each horizontal axis.
    pub(super) x: [Vec<String>; 3],
    /// Its values for each measure of [`Measure::ALL`].
    pub(super) y: [Vec<String>; Measure::ALL.len()],
}

impl Readings {
    /// Adds a line and returns its number.
    pub(super) fn push(&mut self, reading: Reading) -> usize {
        self.lines.push(reading);
        self.lines.len() - 1
    }

    /// The readings as JSON for a script element: without `<`, so that no name can end the element.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }
}
