//! Linear and logarithmic axes with round ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// A labelled axis: over a range, linear or logarithmic, with ticks at 1, 2 and 5 times powers of ten, or with named
/// places.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    range: Range<f64>,
    logarithmic: bool,
    /// The names of the places 0, 1, 2, …; empty on an axis with numbers.
    names: &'static [&'static str],
}

impl Axis {
    /// The ends are clamped to ±10¹⁰⁰, so that lengths and logarithms stay finite.
    const FAR: f64 = 1e100;

    /// A linear axis from `low` to `high`, in either order; an empty range is widened.
    pub fn linear(low: f64, high: f64) -> Self {
        let (low, high) = (low.min(high).max(-Self::FAR), low.max(high).min(Self::FAR));
        let pad = if high > low {
            0.0
        } else {
            low.abs().max(1.0) / 2.0
        };
        Self {
            range: low - pad..high + pad,
            logarithmic: false,
            names: &[],
        }
    }

    /// A logarithmic axis from `low` to `high`, or a linear one if these are not both positive.
    pub fn logarithmic(low: f64, high: f64) -> Self {
        let (low, high) = (low.min(high), low.max(high));
        if low <= 0.0 {
            return Self::linear(low, high);
        }
        let (low, high) = (low.max(1.0 / Self::FAR), high.min(Self::FAR));
        let pad = if high > low { 1.0 } else { 2.0 };
        Self {
            range: low / pad..high * pad,
            logarithmic: true,
            names: &[],
        }
    }

    /// An axis with these names at 0, 1, 2, …
    pub fn categories(names: &'static [&'static str]) -> Self {
        Self {
            range: -0.5..names.len() as f64 - 0.5,
            logarithmic: false,
            names,
        }
    }

    /// The label of a tick.
    pub(crate) fn label(&self, tick: f64) -> String {
        match self.names.get(tick as usize) {
            Some(name) => (*name).to_owned(),
            None => tick_label(tick),
        }
    }

    /// Whether the axis is logarithmic.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// The axis with its length extended by `share` at both ends.
    pub fn padded(self, share: f64) -> Self {
        let Range { start, end } = self.range;
        let range = if self.logarithmic {
            let factor = (end / start).powf(share);
            start / factor..end * factor
        } else {
            let pad = share * (end - start);
            start - pad..end + pad
        };
        Self { range, ..self }
    }

    /// The position of `value`: 0 at the start of the range, 1 at its end.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / start).ln() / (end / start).ln()
        } else {
            (value - start) / (end - start)
        }
    }

    /// The value at `position`.
    fn value(&self, position: f64) -> f64 {
        let Range { start, end } = self.range;
        if self.logarithmic {
            start * (end / start).powf(position)
        } else {
            start + position * (end - start)
        }
    }

    /// The parts of a line inside this vertical axis's range. (The drawing library would draw the outer parts along the
    /// edge.)
    pub(super) fn clip(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let mut pieces = Vec::new();
        let mut piece: Vec<(f64, f64)> = Vec::new();
        for pair in points.windows(2) {
            let ([(x0, y0), (x1, y1)], [p0, p1]) = (
                [pair[0], pair[1]],
                [self.position(pair[0].1), self.position(pair[1].1)],
            );
            // The fractions of the segment at which it crosses the lower and the upper edge.
            let (low, high) = ((0.0 - p0) / (p1 - p0), (1.0 - p0) / (p1 - p0));
            let (enter, leave) = match p0 == p1 {
                true if (0.0..=1.0).contains(&p0) => (0.0, 1.0),
                true => (1.0, 0.0),
                false => (low.min(high).max(0.0), low.max(high).min(1.0)),
            };
            if enter > leave || enter.is_nan() || leave.is_nan() {
                pieces.push(std::mem::take(&mut piece));
                continue;
            }
            let at = |share: f64| match share {
                0.0 => (x0, y0),
                1.0 => (x1, y1),
                share => (x0 + share * (x1 - x0), self.value(p0 + share * (p1 - p0))),
            };
            if piece.is_empty() {
                piece.push(at(enter));
            }
            piece.push(at(leave));
            if leave < 1.0 {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        pieces.push(piece);
        pieces.retain(|piece| piece.len() > 1);
        pieces
    }

    /// At most `most` ticks inside the range.
    pub(crate) fn ticks(&self, most: usize) -> Vec<f64> {
        let most = most.max(2);
        if !self.names.is_empty() {
            return (0..self.names.len()).map(|place| place as f64).collect();
        }
        if self.logarithmic {
            let ticks = self.logarithmic_ticks(most);
            // A small part of a decade may contain none of its round numbers.
            if ticks.len() > 1 {
                return ticks;
            }
        }
        self.linear_ticks(most)
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let length = self.range.end - self.range.start;
        let rough = length / most as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|multiple| multiple * power)
            .find(|&step| length / step <= most as f64)
            .unwrap_or(10.0 * power);
        let first = (self.range.start / step).ceil() as i64;
        let last = (self.range.end / step).floor() as i64;
        // Dividing by a power of ten gives the floating-point number closest to the decimal; multiplying does not.
        let tick = |i: i64| {
            if step < 1.0 {
                i as f64 / (1.0 / step).round()
            } else {
                i as f64 * step
            }
        };
        (first..=last).map(tick).collect()
    }

    /// The finest of these sets with at most `most` ticks: all decades with 1…9, 1-2-5, 1-3, only decades, every second
    /// decade, …
    fn logarithmic_ticks(&self, most: usize) -> Vec<f64> {
        let first = self.range.start.log10().floor() as i32;
        let last = self.range.end.log10().ceil() as i32;
        let inside = |ticks: Vec<f64>| -> Vec<f64> {
            let slack = 1e-9;
            let range = self.range.start * (1.0 - slack)..=self.range.end * (1.0 + slack);
            ticks
                .into_iter()
                .filter(|tick| range.contains(tick))
                .collect()
        };
        let multiples: [&[f64]; 5] = [
            &[
                1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0,
            ],
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            &[1.0, 2.0, 3.0, 5.0],
            &[1.0, 2.0, 5.0],
            &[1.0, 3.0],
        ];
        let candidates = multiples.into_iter().map(|multiples| {
            let decade = |d: i32| multiples.iter().map(move |m| decimal(*m, d));
            inside((first..=last).flat_map(decade).collect())
        });
        let sparser = (1..).map(|stride| {
            let decades = (first..=last).filter(|d| d.rem_euclid(stride) == 0);
            inside(decades.map(|d| decimal(1.0, d)).collect())
        });
        candidates
            .chain(sparser)
            .find(|ticks| ticks.len() <= most)
            .unwrap_or_default()
    }
}

/// multiple·10^power, rounded like the decimal literal.
fn decimal(multiple: f64, power: i32) -> f64 {
    if power < 0 {
        multiple / 10f64.powi(-power)
    } else {
        multiple * 10f64.powi(power)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // Values far outside are clamped beyond a figure's edge, which keeps the coordinates within i32.
        let position = self.position(*value).clamp(-10.0, 10.0);
        limit.0 + (position * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.bold_points())
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// A short decimal, or a power of ten if the decimal would be long.
pub(crate) fn tick_label(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return format!("{value:e}").replace('-', "−");
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(
            Axis::linear(0.0, 100.0).ticks(6),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(
            Axis::linear(0.912, 0.93).ticks(5),
            [0.915, 0.92, 0.925, 0.93]
        );
        assert_eq!(Axis::linear(-0.3, 0.3).ticks(4), [-0.2, 0.0, 0.2]);
    }

    #[test]
    fn places_have_their_names() {
        let axis = Axis::categories(&["steps", "seconds"]);
        assert_eq!(axis.ticks(8), [0.0, 1.0]);
        assert_eq!(
            [0.0, 1.0].map(|tick| axis.label(tick)),
            ["steps", "seconds"]
        );
        assert_eq!((axis.position(-0.5), axis.position(1.5)), (0.0, 1.0));
        assert_eq!(Axis::linear(0.0, 2.0).label(1.0), "1");
    }

    #[test]
    fn logarithmic_ticks_are_as_fine_as_there_is_room() {
        assert_eq!(
            Axis::logarithmic(1e-3, 1e3).ticks(8),
            [1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3]
        );
        assert_eq!(Axis::logarithmic(1e-3, 1e3).ticks(4), [1e-2, 1.0, 1e2]);
        assert_eq!(Axis::logarithmic(0.25, 1.2).ticks(6), [0.3, 0.5, 1.0]);
        assert_eq!(
            Axis::logarithmic(0.18, 0.62).ticks(5),
            [0.2, 0.3, 0.4, 0.5, 0.6]
        );
    }

    #[test]
    fn a_small_part_of_a_decade_has_ticks_too() {
        let ticks = Axis::logarithmic(0.221, 0.247).ticks(6);
        assert_eq!(ticks, [0.225, 0.23, 0.235, 0.24, 0.245]);
    }

    #[test]
    fn values_are_mapped_between_the_ends() {
        let axis = Axis::logarithmic(1.0, 100.0);
        assert_eq!(axis.map(&1.0, (0, 200)), 0);
        assert_eq!(axis.map(&10.0, (0, 200)), 100);
        assert_eq!(axis.map(&100.0, (200, 0)), 0);
        assert_eq!(Axis::linear(2.0, 4.0).map(&3.0, (10, 20)), 15);
    }

    #[test]
    fn lines_are_cut_at_the_edges_of_the_range() {
        let axis = Axis::linear(0.0, 1.0);
        let line = [
            (0.0, -1.0),
            (1.0, 1.0),
            (2.0, 0.5),
            (3.0, -0.5),
            (4.0, -0.5),
            (5.0, 1.5),
        ];
        let pieces = axis.clip(&line);
        assert_eq!(
            pieces,
            [
                vec![(0.5, 0.0), (1.0, 1.0), (2.0, 0.5), (2.5, 0.0)],
                vec![(4.25, 0.0), (4.75, 1.0)],
            ]
        );
        let flat = Axis::logarithmic(1.0, 10.0).clip(&[(0.0, 3.0), (1.0, 3.0)]);
        assert_eq!(flat, [vec![(0.0, 3.0), (1.0, 3.0)]]);
    }

    #[test]
    fn ranges_without_length_or_below_zero_still_give_axes() {
        assert_eq!(Axis::linear(3.0, 3.0).range(), 1.5..4.5);
        assert!(Axis::logarithmic(0.0, 1.0).ticks(5).contains(&0.4));
        assert_eq!(Axis::logarithmic(2.0, 2.0).range(), 1.0..4.0);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(tick_label(0.925), "0.925");
        assert_eq!(tick_label(-20.0), "−20");
        assert_eq!(tick_label(1e-7), "1e−7");
        assert_eq!(tick_label(0.0), "0");
    }
}
