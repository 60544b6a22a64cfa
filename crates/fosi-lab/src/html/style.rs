//! The styles of the lines: a colour and a dash pattern, both classes of the page's style sheet.

use std::fmt;

use crate::optimizers::{Family, OptimizerName};
use crate::plot::{COLORS, color};

/// A colour and a dash pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// 0 is the text colour; the others are [`COLORS`], in order.
    hue: usize,
    dashes: &'static str,
}

impl Style {
    /// The style of an optimizer in a single run: the base's colour as in figures, dashed for the base and solid for
    /// FOSI.
    pub(super) fn of(optimizer: OptimizerName) -> Self {
        Self {
            hue: hue(optimizer.family),
            dashes: dashes(0, optimizer.fosi),
        }
    }

    /// The style for the `index`-th base of several runs: the colours cycle, and each cycle has other dashes.
    pub(super) fn numbered(index: usize, fosi: bool) -> Self {
        Self {
            hue: 1 + index % COLORS.len(),
            dashes: dashes(index / COLORS.len(), fosi),
        }
    }
}

fn hue(base: Family) -> usize {
    let own = color(base);
    let place = COLORS.iter().position(|other| *other == own);
    place.map_or(0, |place| place + 1)
}

fn dashes(turn: usize, fosi: bool) -> &'static str {
    match (turn, fosi) {
        (0, true) => "solid",
        (0, false) => "dashed",
        (_, true) => "dash-dotted",
        (_, false) => "dotted",
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hue{} {}", self.hue, self.dashes)
    }
}
