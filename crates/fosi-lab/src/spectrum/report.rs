//! The measurements as CSV and as a table.

use fosi::Error;
use fosi::density::{DensityPoint, SpectralDensity};

use super::survey::Measured;

/// The number of points of a density's curve.
const POINTS: usize = 1000;
/// The standard deviation of the Gaussian that smooths a density, relative to the spectrum's length.
const WIDTH: f64 = 0.005;

/// `eigenvalues.csv`: the extreme eigenvalues with bounds on their residuals, the largest first.
pub fn eigenvalues_csv(all: &[Measured]) -> String {
    let mut text = "step,index,eigenvalue,residual\n".to_owned();
    for Measured { place, spectrum } in all {
        let pairs = spectrum.eigenvalues.iter().zip(&spectrum.residuals);
        for (at, (eigenvalue, residual)) in pairs.enumerate() {
            // 1, 2, … for the largest; −1, −2, … for the smallest.
            let index = match at.checked_sub(spectrum.largest) {
                None => at as i64 + 1,
                Some(smallest) => -(smallest as i64) - 1,
            };
            let step = place.step();
            text.push_str(&format!("{step},{index},{eigenvalue},{residual}\n"));
        }
    }
    text
}

/// `density.csv`: the smoothed density, its standard error, and the least and the greatest value of the probes.
///
/// # Errors
/// If a density is not finite.
pub fn density_csv(all: &[Measured]) -> Result<String, Error> {
    let mut text = "step,eigenvalue,density,standard_error,least,greatest\n".to_owned();
    for Measured { place, spectrum } in all {
        let step = place.step();
        for point in curve(&spectrum.density)? {
            let DensityPoint {
                point,
                density,
                least,
                greatest,
                ..
            } = point;
            let (mean, error) = (density.mean, or_empty(density.standard_error));
            text.push_str(&format!(
                "{step},{point},{mean},{error},{least},{greatest}\n"
            ));
        }
    }
    Ok(text)
}

/// The density over the whole spectrum, smoothed by a Gaussian with 1/200 of its length.
pub(super) fn curve(density: &SpectralDensity) -> Result<Vec<DensityPoint>, Error> {
    let (low, high) = density.extent();
    // All eigenvalues may be equal.
    let length = (high - low)
        .max(1e-6 * low.abs().max(high.abs()))
        .max(f64::MIN_POSITIVE);
    let (width, margin) = (WIDTH * length, 5.0 * WIDTH * length);
    let spacing = (length + 2.0 * margin) / (POINTS - 1) as f64;
    let grid: Vec<f64> = (0..POINTS)
        .map(|i| low - margin + spacing * i as f64)
        .collect();
    density.smoothed(&grid, width)
}

/// `spectrum.csv`: one row per place.
pub fn spectrum_csv(all: &[Measured]) -> String {
    let mut text = "step,trace,trace_error,frobenius_square,frobenius_square_error,gradient_norm,gradient_share,\
                    batch_overlap,previous_overlap\n"
        .to_owned();
    for Measured { place, spectrum } in all {
        let traces = &spectrum.traces;
        let row = [
            place.step().to_string(),
            traces.trace.mean.to_string(),
            or_empty(traces.trace.standard_error),
            traces.frobenius_square.mean.to_string(),
            or_empty(traces.frobenius_square.standard_error),
            spectrum.gradient_norm.to_string(),
            or_empty(spectrum.gradient_share),
            spectrum.batch_overlap.to_string(),
            or_empty(spectrum.previous_overlap),
        ];
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text
}

fn or_empty(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A Markdown table with one column per place.
pub fn table(all: &[Measured]) -> String {
    let row = |name: &str, cell: &dyn Fn(&Measured) -> String| {
        let cells: Vec<String> = all.iter().map(cell).collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    let mut text = row("", &|measured| measured.place.to_string());
    text.push_str(&format!("|---|{}\n", "---:|".repeat(all.len())));
    let Some(first) = all.first() else {
        return text;
    };
    let (k, l) = (
        first.spectrum.largest,
        first.spectrum.eigenvalues.len() - first.spectrum.largest,
    );
    let at = |index: usize| {
        move |measured: &Measured| number(measured.spectrum.eigenvalues.get(index).copied())
    };
    text.push_str(&row("largest eigenvalue", &at(0)));
    if k > 1 {
        text.push_str(&row(&ordinal(k), &at(k - 1)));
    }
    if l > 0 {
        text.push_str(&row("smallest eigenvalue", &at(k)));
    }
    let with_error = |mean: f64, error: Option<f64>| match error {
        Some(error) => format!("{} ± {error:.1e}", number(Some(mean))),
        None => number(Some(mean)),
    };
    text.push_str(&row("trace", &|measured| {
        let trace = measured.spectrum.traces.trace;
        with_error(trace.mean, trace.standard_error)
    }));
    text.push_str(&row("Frobenius norm", &|measured| {
        number(Some(measured.spectrum.traces.frobenius_square.mean.sqrt()))
    }));
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |s| format!("{s:.3}"));
    text.push_str(&row(
        &format!("share of the gradient in the {k} leading directions"),
        &|measured| share(measured.spectrum.gradient_share),
    ));
    text.push_str(&row("overlap of these, batch to batch", &|measured| {
        share(Some(measured.spectrum.batch_overlap))
    }));
    text.push_str(&row("overlap of these, place to place", &|measured| {
        share(measured.spectrum.previous_overlap)
    }));
    text
}

fn ordinal(k: usize) -> String {
    let ending = match (k % 10, k % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{k}{ending} largest")
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4e}"))
}
