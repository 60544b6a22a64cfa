//! The figures of the measurements.

use fosi::Error;

use super::report::curve;
use super::survey::Measured;
use crate::plot::{Axis, COLORS, Cell, Line, LineStyle, Panel, Sheet};

/// Densities below this share of the highest are not drawn: they are artefacts of the smoothing.
const LOWEST: f64 = 1e-7;
/// The number of panels side by side.
const COLUMNS: usize = 2;

/// One panel per place: the density on a logarithmic axis, with the range of its probes.
///
/// # Errors
/// If a density is not finite.
pub fn densities(title: &str, all: &[Measured]) -> Result<Sheet, Error> {
    let panels: Result<Vec<Cell>, Error> = all.iter().map(density).collect();
    Ok(Sheet {
        title: format!("{title}: spectral density"),
        columns: COLUMNS.min(all.len()).max(1),
        cells: panels?,
        cell: (460, 340),
        bar: None,
        legend: Vec::new(),
    })
}

fn density(Measured { place, spectrum }: &Measured) -> Result<Cell, Error> {
    let curve = curve(&spectrum.density)?;
    let highest = curve
        .iter()
        .map(|point| point.density.mean)
        .fold(0.0, f64::max);
    let lowest = LOWEST * highest;
    let above = |value: f64| value.max(lowest);
    let line = Line {
        points: curve
            .iter()
            .map(|point| (point.point, above(point.density.mean)))
            .collect(),
        band: curve
            .iter()
            .map(|point| (point.point, above(point.least), above(point.greatest)))
            .collect(),
        style: LineStyle {
            color: COLORS[0],
            dashed: false,
        },
    };
    let (first, last) = (curve.first(), curve.last());
    let ends = first
        .zip(last)
        .map_or((0.0, 1.0), |(a, b)| (a.point, b.point));
    Ok(Cell::Panel(Panel {
        title: place.to_string(),
        x_label: "eigenvalue".to_owned(),
        y_label: "density".to_owned(),
        x: Axis::linear(ends.0, ends.1),
        y: Axis::logarithmic(lowest, highest).padded(0.03),
        lines: vec![line],
    }))
}

/// The extreme eigenvalues against steps; `None` for a single place.
pub fn eigenvalues(title: &str, all: &[Measured]) -> Option<Sheet> {
    let (first, last) = (all.first()?, all.last()?);
    if all.len() < 2 {
        return None;
    }
    let counts = all
        .iter()
        .map(|measured| measured.spectrum.eigenvalues.len());
    let largest = first.spectrum.largest;
    let line = |index: usize| Line {
        points: all
            .iter()
            .filter_map(|Measured { place, spectrum }| {
                let value = spectrum.eigenvalues.get(index)?;
                Some((place.step() as f64, *value))
            })
            .collect(),
        band: Vec::new(),
        style: LineStyle {
            color: COLORS[usize::from(index >= largest)],
            dashed: false,
        },
    };
    let lines: Vec<Line> = (0..counts.max()?).map(line).collect();
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let style = |color: usize| LineStyle {
        color: COLORS[color],
        dashed: false,
    };
    let mut legend = vec![("largest".to_owned(), style(0))];
    if first.spectrum.eigenvalues.len() > largest {
        legend.push(("smallest".to_owned(), style(1)));
    }
    Some(Sheet {
        title: format!("{title}: extreme eigenvalues"),
        cells: vec![Cell::Panel(Panel {
            title: String::new(),
            x_label: "steps".to_owned(),
            y_label: "eigenvalue".to_owned(),
            x: Axis::linear(0.0, last.place.step() as f64),
            y: Axis::linear(low, high).padded(0.03),
            lines,
        })],
        columns: 1,
        cell: (620, 400),
        bar: None,
        legend,
    })
}
