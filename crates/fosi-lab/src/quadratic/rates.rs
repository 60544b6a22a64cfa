//! Figure 9: f_{1.12,90} over learning rates and momenta, with and without scaled learning rates.

use plotters::style::RGBColor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::claim::claims_text;
use super::descent::{median, sees_axes};
use super::report::{finite, short, table};
use super::{Claim, Convention, Descent, Pieces, Quadratic, Report, Setup, grid};
use crate::optimizers::{Family, OptimizerName};
use crate::plot::{Axis, Cell, Line, LineStyle, Panel, Sheet};

/// b and ζ of the function.
const FUNCTION: (f64, usize) = (1.12, 90);
/// Momentum of the first panel.
pub const MOMENTUM: f64 = 0.9;

/// An optimizer, and for FOSI whether its learning rate is scaled without limit (c = ∞) or not at all (c = 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Variant {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// c = 1 in place of ∞.
    pub unscaled: bool,
}

/// Adam has no scaling: its one FOSI form is both.
pub const VARIANTS: [Variant; 8] = {
    const fn variant(base: Family, fosi: bool, unscaled: bool) -> Variant {
        let optimizer = OptimizerName::new(base, fosi);
        Variant {
            optimizer,
            unscaled,
        }
    }
    [
        variant(Family::GradientDescent, false, false),
        variant(Family::GradientDescent, true, true),
        variant(Family::GradientDescent, true, false),
        variant(Family::HeavyBall, false, false),
        variant(Family::HeavyBall, true, true),
        variant(Family::HeavyBall, true, false),
        variant(Family::Adam, false, false),
        variant(Family::Adam, true, false),
    ]
};

impl Variant {
    /// The base without FOSI.
    fn base(self) -> Self {
        Self {
            optimizer: OptimizerName::plain(self.optimizer.family),
            unscaled: false,
        }
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = if self.unscaled { " (c=1)" } else { "" };
        write!(f, "{}{c}", self.optimizer)
    }
}

/// An f of at most this many times an optimizer's lowest is good.
const GOOD: f64 = 10.0;
const RANGES: &str = "\
Sensitivity: the largest over the smallest learning rate with f below the base's best, and with f at most ten times the
optimizer's own lowest (good)";

/// One point of the figure.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Point {
    /// Momentum: 0.9, or the best one. Gradient descent has none, and stands with 0.9.
    pub momentum: f64,
    /// η.
    pub learning_rate: f64,
    /// The optimizer.
    pub variant: Variant,
    /// f after 200 steps; ∞ where the run diverged out of range.
    pub f200: f64,
}

/// The experiment's outcome.
#[derive(Clone, Debug)]
pub struct Rates {
    /// What was followed.
    pub convention: Convention,
    /// At momentum 0.9.
    pub fixed: Vec<Point>,
    /// At the best momentum of [`momenta`].
    pub best: Vec<Point>,
}

/// η of the panel at momentum 0.9.
pub fn learning_rates() -> Vec<f64> {
    let low = (0..50).map(|i| 10f64.powf(-5.0 + 4.0 * f64::from(i) / 49.0));
    let middle = (0..50).map(|i| 0.10001 + 0.89999 * f64::from(i) / 49.0);
    let high = (0..20).map(|i| 1.1 + 8.9 * f64::from(i) / 19.0);
    low.chain(middle).chain(high).collect()
}

/// η of the panel at the best momentum.
pub fn best_learning_rates() -> Vec<f64> {
    (0..50)
        .map(|i| 10f64.powf(-4.0 + 5.0 * f64::from(i) / 49.0))
        .collect()
}

/// 40 momenta of [0.7, 1).
pub fn momenta() -> Vec<f64> {
    (0..40).map(|i| 0.7 + 0.3 * f64::from(i) / 40.0).collect()
}

fn with_momentum() -> impl Iterator<Item = Variant> {
    let own = |v: &Variant| v.optimizer.family != Family::GradientDescent;
    VARIANTS.into_iter().filter(own)
}

/// Number of pieces of a run, each followed by a tick.
pub fn ticks() -> u64 {
    let fixed = learning_rates().len() * VARIANTS.len();
    (fixed + best_learning_rates().len() * with_momentum().count()) as u64
}

/// Runs a variant for 200 steps on the function in the bases `turned`, of which one is enough where it sees eigenvalues
/// alone.
fn point(
    turned: &[Quadratic],
    variant: Variant,
    (learning_rate, momentum): (f64, f64),
    convention: Convention,
) -> Result<Point, fosi::Error> {
    let bases = if sees_axes(variant.optimizer) {
        turned
    } else {
        &turned[..1]
    };
    let descent = Descent {
        momentum,
        convention,
        scale_limit: if variant.unscaled { 1.0 } else { f64::INFINITY },
        ..Descent::new(variant.optimizer, learning_rate)
    };
    let value = |(seed, f): (usize, &Quadratic)| {
        let seed = seed as u64;
        Descent { seed, ..descent }.last(f)
    };
    let values: Vec<f64> = bases
        .iter()
        .enumerate()
        .map(value)
        .collect::<Result<_, _>>()?;
    Ok(Point {
        momentum,
        learning_rate,
        variant,
        f200: median(&values),
    })
}

/// Runs 200 steps for each optimizer, learning rate and momentum; Adam and FOSI-Adam in several random bases.
///
/// # Errors
/// Where Lanczos fails.
pub fn run(setup: Setup, pieces: &Pieces) -> Result<Rates, fosi::Error> {
    let convention = setup.convention;
    let f = grid::function(FUNCTION.0, convention);
    let turned: Vec<Quadratic> = (0..setup.bases)
        .map(|seed| grid::turned(&f, FUNCTION.1, seed, convention))
        .collect();
    let last = |variant, rate, momentum| point(&turned, variant, (rate, momentum), convention);
    let pairs = |variants: Vec<Variant>, rates: Vec<f64>| -> Vec<(Variant, f64)> {
        variants
            .into_iter()
            .flat_map(|v| rates.iter().map(move |r| (v, *r)).collect::<Vec<_>>())
            .collect()
    };
    let fixed = pairs(VARIANTS.to_vec(), learning_rates())
        .into_par_iter()
        .map(|(variant, rate)| {
            let name = format!("{variant} {rate} {MOMENTUM}");
            pieces.piece(name, || last(variant, rate, MOMENTUM))
        })
        .collect::<Result<_, fosi::Error>>()?;
    let best = pairs(with_momentum().collect(), best_learning_rates())
        .into_par_iter()
        .map(|(variant, rate)| {
            pieces.piece(format!("{variant} {rate}"), || {
                let points = momenta()
                    .into_par_iter()
                    .map(|momentum| last(variant, rate, momentum));
                let points: Vec<Point> = points.collect::<Result<_, fosi::Error>>()?;
                Ok(points.into_iter().min_by(|a, b| a.f200.total_cmp(&b.f200)))
            })
        })
        .collect::<Result<Vec<_>, fosi::Error>>()?;
    Ok(Rates {
        convention,
        fixed,
        best: best.into_iter().flatten().collect(),
    })
}

impl Rates {
    /// Files, figure and text.
    pub fn report(&self) -> Report {
        let claims = claims_text(&self.claims());
        Report {
            tables: vec![("figure9.csv".to_owned(), self.csv())],
            figures: vec![("figure9".to_owned(), self.sheet())],
            text: format!(
                "Figure 9: the lowest f after 200 steps over learning rates\n{}\n\n{}\n\n{RANGES}\n\n{}\n\n{claims}",
                self.convention.sentence(),
                self.table(),
                self.ranges()
            ),
        }
    }

    /// The paper's statements about this function.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (name, points) in [("momentum 0.9", &self.fixed), ("best momentum", &self.best)] {
            for fosi in VARIANTS.into_iter().filter(|v| v.optimizer.fosi) {
                let base = fosi.base();
                let (Some(fosi_best), Some(base_best)) =
                    (lowest(points, fosi), lowest(points, base))
                else {
                    continue;
                };
                if !fosi.unscaled {
                    claims.push(at_every_rate(points, fosi, base, name));
                }
                claims.push(Claim::check(
                    format!(
                        "{fosi} at its best learning rate ends lower than {base} at its own, {name}"
                    ),
                    &[fosi_best.f200 / base_best.f200],
                    |ratio| *ratio < 1.0,
                    |ratio| format!("{ratio:.3}×"),
                ));
            }
        }
        claims
    }

    fn csv(&self) -> String {
        let mut text = "momentum,learning_rate,optimizer,f200\n".to_owned();
        for p in self.fixed.iter().chain(&self.best) {
            text += &format!(
                "{},{},{},{}\n",
                p.momentum, p.learning_rate, p.variant, p.f200
            );
        }
        text
    }

    fn table(&self) -> String {
        let cells = |points: &[Point], variant: Variant| match lowest(points, variant) {
            Some(p) => [short(p.f200), short(p.learning_rate), short(p.momentum)],
            None => ["–", "–", "–"].map(str::to_owned),
        };
        let header = [
            "",
            "f, momentum 0.9",
            "at η",
            "f, best momentum",
            "at η",
            "at momentum",
        ];
        table(
            &header,
            VARIANTS.map(|variant| {
                let [f, eta, _] = cells(&self.fixed, variant);
                let [f_best, eta_best, momentum] = cells(&self.best, variant);
                vec![variant.to_string(), f, eta, f_best, eta_best, momentum]
            }),
        )
    }

    /// How far the learning rate may be from the best one.
    fn ranges(&self) -> String {
        let cells = |points: &[Point], variant: Variant| {
            let base = lowest(points, variant.base()).map_or(f64::NAN, |p| p.f200);
            let own = lowest(points, variant).map_or(f64::NAN, |p| p.f200);
            let below = |p: &Point| p.f200 < base;
            let good = |p: &Point| p.f200 <= GOOD * own;
            [
                ratio_of_rates(points, variant, below),
                ratio_of_rates(points, variant, good),
            ]
        };
        let header = [
            "",
            "below the base's best, momentum 0.9",
            "good, momentum 0.9",
            "below the base's best, best momentum",
            "good, best momentum",
        ];
        table(
            &header,
            VARIANTS.map(|variant| {
                let mut row = vec![variant.to_string()];
                row.extend(cells(&self.fixed, variant));
                row.extend(cells(&self.best, variant));
                row
            }),
        )
    }

    fn sheet(&self) -> Sheet {
        let panel = |title: &str, points: &[Point]| {
            let line = |variant: Variant| Line {
                points: finite(
                    points
                        .iter()
                        .filter(|p| p.variant == variant)
                        .map(|p| (p.learning_rate, p.f200)),
                ),
                band: Vec::new(),
                style: style(variant),
            };
            Cell::Panel(Panel {
                title: title.to_owned(),
                x_label: "learning rate η".to_owned(),
                y_label: "f after 200 steps".to_owned(),
                x: Axis::logarithmic(1e-5, 10.0),
                y: Axis::logarithmic(1e-4, 1e2),
                lines: VARIANTS
                    .into_iter()
                    .map(line)
                    .filter(|line| !line.points.is_empty())
                    .collect(),
            })
        };
        Sheet {
            title: format!(
                "Learning rates on f with b = {}, ζ = {}",
                FUNCTION.0, FUNCTION.1
            ),
            legend: VARIANTS.map(|v| (legend_name(v), style(v))).to_vec(),
            cells: vec![
                panel("momentum 0.9", &self.fixed),
                panel("best momentum", &self.best),
            ],
            columns: 2,
            cell: (620, 420),
            bar: None,
        }
    }
}

/// Whether FOSI ends lower than the base at each learning rate at which the base converges, that is, ends lower than at the
/// smallest rate.
fn at_every_rate(points: &[Point], fosi: Variant, base: Variant, name: &str) -> Claim {
    let of = |variant| points.iter().filter(move |p| p.variant == variant);
    let smallest = of(base).min_by(|a, b| a.learning_rate.total_cmp(&b.learning_rate));
    let start = smallest.map_or(f64::NAN, |p| p.f200);
    let cases: Vec<(f64, f64)> = of(base)
        .filter(|p| p.f200 < start)
        .filter_map(|p| {
            let own = of(fosi).find(|own| own.learning_rate == p.learning_rate)?;
            Some((p.learning_rate, own.f200 / p.f200))
        })
        .collect();
    Claim::check(
        format!(
            "{fosi} ends lower than {base} at every learning rate at which {base} converges, {name}"
        ),
        &cases,
        |(_, ratio)| *ratio < 1.0,
        |(rate, ratio)| format!("η={} ({ratio:.3}×)", short(*rate)),
    )
}

/// The largest learning rate of the points that `fits` accepts, divided by the smallest.
fn ratio_of_rates(points: &[Point], variant: Variant, fits: impl Fn(&Point) -> bool) -> String {
    let own = points.iter().filter(|p| p.variant == variant && fits(p));
    let (low, high) = own.fold((f64::INFINITY, 0.0_f64), |(low, high), p| {
        (low.min(p.learning_rate), high.max(p.learning_rate))
    });
    match high > 0.0 {
        true => format!("{}×", short(high / low)),
        false => "–".to_owned(),
    }
}

fn lowest(points: &[Point], variant: Variant) -> Option<&Point> {
    points
        .iter()
        .filter(|p| p.variant == variant)
        .min_by(|a, b| a.f200.total_cmp(&b.f200))
}

/// The name with c where there is a choice of it.
fn legend_name(variant: Variant) -> String {
    let scaled = variant.optimizer.fosi && variant.optimizer.family != Family::Adam;
    let c = if scaled && !variant.unscaled {
        " (c=∞)"
    } else {
        ""
    };
    format!("{variant}{c}")
}

/// The optimizer's style; c = 1 in a lighter tone of the same colour.
fn style(variant: Variant) -> LineStyle {
    let style = LineStyle::of(variant.optimizer);
    if !variant.unscaled {
        return style;
    }
    let lighter = |c: u8| (255.0 - 0.5 * (255.0 - f64::from(c))) as u8;
    let RGBColor(r, g, b) = style.color;
    LineStyle {
        color: RGBColor(lighter(r), lighter(g), lighter(b)),
        ..style
    }
}
