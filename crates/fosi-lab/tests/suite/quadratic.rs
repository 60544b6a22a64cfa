//! The paper's quadratics against the public Python implementation's final values (`data/quadratics.json`).

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use fosi_lab::optimizers::{Family, OptimizerName};
use fosi_lab::quadratic::{Convention, Pieces, Setup, condition, diagonal, grid, rates, spectrum};
use serde::Deserialize;

const BASES: u64 = 10;

const SETUP: Setup = Setup {
    bases: BASES,
    convention: Convention::Code,
};

#[derive(Deserialize)]
struct Reference {
    figure3: Vec<Figure3>,
    figure4: BTreeMap<String, Figure4>,
    figure7: Vec<BTreeMap<String, f64>>,
    #[serde(rename = "figure9_momentum_0.9")]
    fixed: BTreeMap<String, Vec<Option<f64>>>,
    #[serde(rename = "figure9_best_momentum")]
    best: serde_json::Value,
}

#[derive(Deserialize)]
struct Figure3 {
    n: usize,
    lambda1: f64,
    optimizer: String,
    f0: f64,
    f200: f64,
}

#[derive(Deserialize)]
struct Figure4 {
    f0: f64,
    f200: f64,
    f250: f64,
}

fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| serde_json::from_str(include_str!("data/quadratics.json")).unwrap())
}

fn unwatched() -> Pieces<'static> {
    Pieces::new(Box::new(|| ()))
}

fn grid() -> &'static grid::Grid {
    static GRID: OnceLock<grid::Grid> = OnceLock::new();
    GRID.get_or_init(|| grid::run(SETUP, &unwatched()).unwrap())
}

fn spectrum() -> &'static spectrum::Spectrum {
    static SPECTRUM: OnceLock<spectrum::Spectrum> = OnceLock::new();
    SPECTRUM.get_or_init(|| spectrum::run(SETUP, &unwatched()).unwrap())
}

fn rates() -> &'static rates::Rates {
    static RATES: OnceLock<rates::Rates> = OnceLock::new();
    RATES.get_or_init(|| rates::run(SETUP, &unwatched()).unwrap())
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found / expected - 1.0).abs();
    assert!(
        error <= tolerance,
        "{what}: {found} instead of {expected}, {error:.1e}"
    );
}

/// Adam's values depend on random eigenvectors: medians are to be within a factor of two of the reference's.
fn within_a_factor_of_two(ratio: f64) -> bool {
    (0.5..=2.0).contains(&ratio)
}

#[test]
fn figure_3_agrees() {
    assert_eq!(reference().figure3.len(), 60);
    for r in &reference().figure3 {
        let optimizer: OptimizerName = r.optimizer.to_lowercase().parse().unwrap();
        let is = |e: &&spectrum::Entry| e.n == r.n && e.lambda1 == r.lambda1;
        let entry = spectrum().entries.iter().find(is).unwrap();
        let what = format!("n={} λ₁={} {optimizer}", r.n, r.lambda1);
        close(entry.f0, r.f0, 1e-12, &what);
        let outcome = entry
            .outcomes
            .iter()
            .find(|o| o.optimizer == optimizer)
            .unwrap();
        if optimizer.family == Family::Adam {
            let ratio = outcome.median() / r.f200;
            assert!(within_a_factor_of_two(ratio), "{what}: {ratio}");
        } else {
            close(outcome.median(), r.f200, 1e-6, &what);
        }
    }
}

#[test]
fn figure_4_agrees() {
    let condition = condition::run(&unwatched()).unwrap();
    for outcome in &condition.outcomes {
        let name = outcome.optimizer.to_string();
        let r = &reference().figure4[&name.to_uppercase()];
        // The reference gives f0 to twelve digits.
        close(outcome.curve[0], r.f0, 1e-11, &name);
        close(outcome.curve[200], r.f200, 1e-6, &name);
        close(outcome.curve[250], r.f250, 1e-6, &name);
    }
    let c = condition.conditioning;
    close(c.hessian, 1e3, 1e-12, "λ₁/λ_n");
    close(c.effective, 1e5, 1e-12, "α/(ηλ_n)");
    close(c.complement, 900.0, 1e-12, "λ₁₀/λ_n");
    assert_eq!(c.lemma4, None);
    // The paper's point: worse conditioned as a whole, and better all the same.
    assert!(c.effective > c.hessian);
    let [gd, fosi] = &condition.outcomes[..] else {
        panic!("two optimizers")
    };
    assert!(
        gd.curve
            .iter()
            .zip(&fosi.curve)
            .skip(1)
            .all(|(gd, fosi)| fosi < gd)
    );
}

/// Every function of the grid with the optimizer's median and the reference's value.
fn grid_against_reference(mut each: impl FnMut(OptimizerName, &grid::Entry, f64, f64)) {
    assert_eq!(reference().figure7.len(), 520);
    // Those of ζ = 0 aren't in the reference.
    assert_eq!(grid().entries.len(), 520 + 20);
    for r in &reference().figure7 {
        let is = |e: &&grid::Entry| e.b == r["b"] && e.zeta as f64 == r["zeta"];
        let entry = grid().entries.iter().find(is).unwrap();
        for outcome in &entry.outcomes {
            let optimizer = outcome.optimizer;
            let name = |name: &&String| name.to_lowercase() == optimizer.to_string();
            let expected = r[r.keys().find(name).unwrap()];
            each(optimizer, entry, outcome.median(), expected);
        }
    }
}

#[test]
fn figure_7_agrees_where_the_start_alone_decides() {
    let mut compared = 0;
    grid_against_reference(|optimizer, entry, found, expected| {
        if optimizer.family != Family::Adam {
            let what = format!("b={} ζ={} {optimizer}", entry.b, entry.zeta);
            close(found, expected, 1e-6, &what);
            compared += 1;
        }
    });
    assert_eq!(compared, 4 * 520);
}

/// ζ, and b from … to, of the functions on which Adam's median misses the factor of two.
const MISSES: [(usize, f64, f64); 7] = [
    (2, 1.1, 1.17),
    (10, 1.13, 1.156),
    (12, 1.146, 1.15),
    (14, 1.156, 1.166),
    (20, 1.14, 1.14),
    (82, 1.158, 1.158),
    (86, 1.154, 1.154),
];

/// Medians over the ten bases are within a factor of two of the reference's values on all functions with FOSI-Adam,
/// and on all but 42 with Adam, where the reference's one draw for each ζ is far from the middle: Adam's values
/// spread wider than that over draws. In that very draw all 520 values are met to 1e-6 (`quadratic_adam.rs`), these
/// among them, and the medians over 101 draws that NumPy makes miss the factor as well, on 38 (and FOSI-Adam's on
/// one).
#[test]
fn figure_7_misses_the_factor_of_two_with_adam_only_where_known() {
    let mut misses = 0;
    grid_against_reference(|optimizer, entry, found, expected| {
        if optimizer.family != Family::Adam {
            return;
        }
        let ratio = found / expected;
        let what = format!("b={} ζ={} {optimizer}: {ratio}", entry.b, entry.zeta);
        let known = |&(zeta, from, to): &(usize, f64, f64)| {
            entry.zeta == zeta && (from..=to).contains(&entry.b)
        };
        let known = !optimizer.fosi && MISSES.iter().any(known);
        assert_ne!(within_a_factor_of_two(ratio), known, "{what}");
        assert!((0.35..2.5).contains(&ratio), "{what}");
        misses += usize::from(known);
    });
    assert_eq!(misses, 42);
}

#[test]
fn figure_7_agrees_with_numpys_medians() {
    let mut references = HashMap::new();
    grid_against_reference(|optimizer, entry, _, expected| {
        references.insert((optimizer, entry.b.to_bits(), entry.zeta), expected);
    });
    let mut far = [0, 0];
    numpy_medians(|optimizer, entry, found, expected| {
        let ratio = found / expected;
        let what = format!("b={} ζ={} {optimizer}: {ratio}", entry.b, entry.zeta);
        assert!(within_a_factor_of_two(ratio), "{what}");
        let reference = references[&(optimizer, entry.b.to_bits(), entry.zeta)];
        let near = within_a_factor_of_two(expected / reference);
        far[usize::from(optimizer.fosi)] += usize::from(!near);
    });
    // Adam's and FOSI-Adam's, that are far from the reference's one draw.
    assert_eq!(far, [38, 1]);
}

/// Medians over 101 draws of rotations, from a NumPy program of Adam's and FOSI-Adam's formulas
/// (`data/quadratics_adam.py`, which wrote `data/quadratics-adam.csv`).
fn numpy_medians(mut each: impl FnMut(OptimizerName, &grid::Entry, f64, f64)) {
    let mut lines = csv::Reader::from_reader(&include_bytes!("data/quadratics-adam.csv")[..]);
    let mut compared = 0;
    for line in lines.deserialize() {
        let (b, zeta, _, adam, fosi_adam): (f64, usize, String, f64, f64) = line.unwrap();
        let is = |e: &&grid::Entry| e.b == b && e.zeta == zeta;
        let entry = grid().entries.iter().find(is).unwrap();
        for (fosi, expected) in [(false, adam), (true, fosi_adam)] {
            let optimizer = OptimizerName::new(Family::Adam, fosi);
            each(optimizer, entry, entry.median(optimizer).unwrap(), expected);
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * 520);
}

/// The reference's name of a variant.
fn variant_name(variant: rates::Variant) -> String {
    let name = variant
        .optimizer
        .to_string()
        .to_uppercase()
        .replace("ADAM", "Adam");
    match variant.optimizer {
        o if !o.fosi || o.family == Family::Adam => name,
        _ if variant.unscaled => format!("{name} (c=1)"),
        _ => format!("{name} (c=inf)"),
    }
}

#[test]
fn figure_9_agrees_at_momentum_0_9() {
    let etas = &reference().fixed["etas"];
    let (mut compared, mut missed) = (0, 0);
    for variant in rates::VARIANTS {
        let own: Vec<_> = rates()
            .fixed
            .iter()
            .filter(|p| p.variant == variant)
            .collect();
        let values = &reference().fixed[&variant_name(variant)];
        assert_eq!((own.len(), values.len()), (120, 120));
        for ((point, eta), value) in own.iter().zip(etas).zip(values) {
            close(point.learning_rate, eta.unwrap(), 1e-8, "η");
            let Some(value) = value else { continue };
            missed += usize::from(misses(point, *value));
            compared += 1;
        }
    }
    // The reference's finite values.
    assert_eq!((compared, missed), (567, 19));
}

/// Whether Adam's or FOSI-Adam's median misses the factor of two; the others' values must be met.
fn misses(point: &rates::Point, expected: f64) -> bool {
    let (variant, eta) = (point.variant, point.learning_rate);
    let what = format!("{variant} η={eta}");
    if variant.optimizer.family != Family::Adam {
        close(point.f200, expected, 1e-6, &what);
        return false;
    }
    let ratio = point.f200 / expected;
    if within_a_factor_of_two(ratio) {
        return false;
    }
    // FOSI-Adam far above its best rate, where the reference's draw gives a high f; in that draw it is met to 1e-6
    // (`quadratic_adam.rs`).
    assert!(variant.optimizer.fosi && eta > 1.5, "{what}: {ratio}");
    assert!((0.25..0.5).contains(&ratio), "{what}: {ratio}");
    true
}

#[test]
fn figure_9_agrees_at_the_best_momentum() {
    let best = &reference().best;
    let mut missed = 0;
    for variant in rates::VARIANTS {
        if variant.optimizer.family == Family::GradientDescent {
            continue;
        }
        let own: Vec<_> = rates()
            .best
            .iter()
            .filter(|p| p.variant == variant)
            .collect();
        let pairs = best[variant_name(variant)].as_array().unwrap();
        assert_eq!((own.len(), pairs.len()), (50, 50));
        for (point, pair) in own.iter().zip(pairs) {
            let Some(value) = pair[1].as_f64() else {
                continue;
            };
            if variant.optimizer.family != Family::Adam {
                close(point.momentum, pair[0].as_f64().unwrap(), 1e-9, "momentum");
            }
            missed += usize::from(misses(point, value));
        }
    }
    assert_eq!(missed, 9);
}

/// All claims of the three experiments hold without exception, but for FOSI-Adam in every single basis.
#[test]
fn the_papers_claims_hold() {
    let claims = [spectrum().claims(), grid().claims(), rates().claims()].concat();
    assert!(claims.len() > 15);
    for claim in claims {
        let known = claim
            .statement
            .starts_with("fosi-adam ends lower than adam, in every basis");
        if known && claim.cases == 540 {
            assert!(
                !claim.holds(),
                "an exception of the public implementation has gone"
            );
            assert_eq!(claim.exceptions.len(), 118, "{claim}");
        } else {
            assert!(claim.holds(), "{claim}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let entry = pool
            .install(|| grid::run_one(1.13, 60, Setup { bases: 3, ..SETUP }))
            .unwrap();
        entry.outcomes
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn a_method_on_the_diagonal_is_newtons_only_where_the_hessian_is_diagonal() {
    let setup = Setup { bases: 3, ..SETUP };
    let fosi_hb = OptimizerName::fosi(Family::HeavyBall);
    let last = |zeta| {
        let entry = diagonal::run_one(1.12, zeta, setup).unwrap();
        let value = |optimizer| entry.median(optimizer).unwrap();
        (value(diagonal::DIAGONAL), value(fosi_hb))
    };
    let ((straight, fosi), (turned, fosi_turned)) = (last(0), last(90));
    // Each of the 200 steps shrinks every coordinate's amplitude by at least √β₁, so f by 0.9²⁰⁰.
    assert!(straight < 1e-6 && fosi > straight, "{straight:e} {fosi:e}");
    assert!(turned > 2.0 * fosi_turned, "{turned:e} {fosi_turned:e}");
    assert!((fosi / fosi_turned - 1.0).abs() < 1e-6);
}
