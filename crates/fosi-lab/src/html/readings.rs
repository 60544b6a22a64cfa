//! The values that the page's script shows under the pointer.

use serde::Serialize;

use crate::summary::Measure;

/// All lines of all charts of a page, with their values as texts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Readings {
    lines: Vec<Reading>,
}

/// A line's values, a text for each of its points.
#[derive(Debug, Serialize)]
pub(super) struct Reading {
    /// What the line is.
    pub(super) name: String,
    /// Classes of its sample.
    pub(super) style: String,
    /// Per horizontal axis where its points are.
    pub(super) x: [Vec<String>; 3],
    /// Per measure of [`Measure::ALL`] its values.
    pub(super) y: [Vec<String>; Measure::ALL.len()],
}

impl Readings {
    /// Adds a line; its number.
    pub(super) fn push(&mut self, reading: Reading) -> usize {
        self.lines.push(reading);
        self.lines.len() - 1
    }

    /// As JSON that may stand inside a script element: no `<`, so that no name ends it.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }
}
