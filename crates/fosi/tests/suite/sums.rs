//! Sums of f32 vectors on the host against sums in f64.

use fosi::{Host, Space};

/// Smooth and of both signs, largest entry near 1.
fn wave(n: usize, frequency: f64) -> Vec<f64> {
    (0..n).map(|i| (frequency * i as f64 + 0.3).sin()).collect()
}

fn single(x: &[f64], scale: f64) -> Vec<f32> {
    x.iter().map(|x| (x * scale) as f32).collect()
}

/// ⟨x, y⟩ and Σ|xᵢyᵢ|.
fn exact(x: &[f32], y: &[f32]) -> (f64, f64) {
    let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
    products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()))
}

/// Lengths around the block sizes of the loops.
const LENGTHS: [usize; 7] = [1, 127, 128, 129, 5_000, 8_193, 300_001];

#[test]
fn dot_products_are_exact_to_single_rounding_wherever_they_are_representable() {
    for n in LENGTHS {
        let space = Host::<f32>::new(n);
        // At both ends f32 products over- or underflow, but f64 products do not.
        for (a, b) in [
            (1.0, 1.0),
            (1e-20, 1e-20),
            (1e-42, 1e-3),
            (1e19, 1e20),
            (3e38, 3e38),
        ] {
            let (x, y) = (single(&wave(n, 0.7), a), single(&wave(n, 0.11), b));
            for (x, y) in [(&x, &y), (&x, &x)] {
                let (sum, size) = exact(x, y);
                let error = (space.dot(x, y) - sum).abs();
                assert!(error <= 2e-7 * size, "n = {n}, {a}·{b}: {error}, {size}");
            }
        }
    }
}

#[test]
fn projections_of_huge_vectors_stay_finite() {
    for n in LENGTHS {
        let space = Host::<f32>::new(n);
        let rows: Vec<Vec<f32>> = (0..7)
            .map(|i| single(&wave(n, 0.1 + 0.2 * i as f64), 1.0))
            .collect();
        // The same signs as in the first row, so that its sums overflow.
        let x: Vec<f32> = rows[0].iter().map(|r| 3e38 * r.signum()).collect();
        let (mut c, mut d) = ([0.0; 7], [0.0; 7]);
        let square = space.project_pair(&rows, &x, &x, &mut c, &mut d);
        assert!(c == d, "n = {n}");
        let (sum, size) = exact(&x, &x);
        assert!((square - sum).abs() <= 2e-7 * size, "n = {n}");
        for (c, row) in c.iter().zip(&rows) {
            let (sum, size) = exact(&x, row);
            assert!((c - sum).abs() <= 2e-7 * size, "n = {n}: {c}, {sum}");
        }
    }
}

/// Σ cᵢ·rowᵢ and Σ|cᵢ·rowᵢ|, entry by entry.
fn combined(rows: &[Vec<f32>], c: &[f64]) -> Vec<(f64, f64)> {
    let entry = |j: usize| {
        let terms = rows.iter().zip(c).map(|(row, c)| c * f64::from(row[j]));
        terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()))
    };
    (0..rows[0].len()).map(entry).collect()
}

#[test]
fn combinations_of_many_vectors_err_by_a_few_roundings() {
    for n in [1, 129, 8_193, 40_001] {
        let space = Host::<f32>::new(n);
        let rows: Vec<Vec<f32>> = (0..80)
            .map(|i| single(&wave(n, 0.1 + 0.07 * i as f64), 1.0))
            .collect();
        // Coefficients over ten decades, and coefficients whose squares exceed f32, which are summed in a unit.
        for scale in [1.0, 1e37] {
            let c = |seed: f64| -> Vec<f64> {
                let sizes = (0..80).map(|i| 10_f64.powf(-f64::from(i % 11)));
                sizes
                    .zip(wave(80, seed))
                    .map(|(s, x)| scale * s * x)
                    .collect()
            };
            let (c, many) = (c(0.9), [c(1.7), c(2.3), c(0.4)]);
            let mut x = single(&wave(n, 0.03), scale);
            let exact: Vec<(f64, f64)> = combined(&rows, &c)
                .into_iter()
                .zip(&x)
                .map(|((sum, size), &x)| (f64::from(x) - sum, size + f64::from(x).abs()))
                .collect();
            let borrowed: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
            space.subtract_scaled(&borrowed, &c, 1.0, &mut x);
            for (x, (sum, size)) in x.iter().zip(exact) {
                assert!(
                    (f64::from(*x) - sum).abs() <= 5e-7 * size,
                    "n = {n}: {x}, {sum}"
                );
            }
            let (basis, _) = space.rotate(&mut rows.clone(), &many);
            for (i, c) in many.iter().enumerate() {
                let column = space.column(&basis, i);
                for (x, (sum, size)) in column.iter().zip(combined(&rows, c)) {
                    assert!(
                        (f64::from(*x) - sum).abs() <= 5e-7 * size,
                        "n = {n}: {x}, {sum}"
                    );
                }
            }
        }
    }
}
