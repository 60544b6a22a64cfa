//! `fosi spectrum`, against the Hessian of logistic regression in closed form.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use fosi_lab::data::digits;
use safetensors::SafeTensors;

use crate::program::fosi;

/// Softmax regression: the weights, row by row of inputs, and the biases.
struct Softmax {
    weights: Vec<f64>,
    biases: Vec<f64>,
    /// The inputs, each followed by a 1 for the bias.
    inputs: Vec<Vec<f64>>,
}

impl Softmax {
    /// The model with the weights in a file, on the training digits.
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |ending: &str| {
            let name = file.names().into_iter().find(|name| name.ends_with(ending));
            let data = file.tensor(name.unwrap()).unwrap().data().to_vec();
            let number = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
            data.chunks(4).map(number).collect::<Vec<f64>>()
        };
        let train = digits().unwrap().train;
        let input = |features: &[f32]| {
            let own = features.iter().map(|x| f64::from(*x));
            own.chain([1.0]).collect()
        };
        Self {
            weights: tensor("weight"),
            biases: tensor("bias"),
            inputs: train.features.chunks(train.dim).map(input).collect(),
        }
    }

    fn probabilities(&self, x: &[f64]) -> Vec<f64> {
        let classes = self.biases.len();
        let score = |c: usize| {
            let weights = self.weights.iter().skip(c).step_by(classes);
            let products = weights.zip(x).map(|(w, x)| w * x);
            (products.sum::<f64>() + self.biases[c]).exp()
        };
        let scores: Vec<f64> = (0..classes).map(score).collect();
        let total: f64 = scores.iter().sum();
        scores.iter().map(|score| score / total).collect()
    }

    /// tr H: the mean of Σ p(1 − p)·(‖x‖² + 1).
    fn trace(&self) -> f64 {
        let of = |x: &Vec<f64>| {
            let spread: f64 = self.probabilities(x).iter().map(|p| p * (1.0 - p)).sum();
            spread * x.iter().map(|x| x * x).sum::<f64>()
        };
        self.inputs.iter().map(of).sum::<f64>() / self.inputs.len() as f64
    }

    /// Hv: the mean of (diag p − ppᵀ)(Vx)xᵀ.
    fn times(&self, v: &[f64], probabilities: &[Vec<f64>]) -> Vec<f64> {
        let classes = self.biases.len();
        let mut out = vec![0.0; v.len()];
        for (x, p) in self.inputs.iter().zip(probabilities) {
            let along = |c: usize| -> f64 {
                let v = v.iter().skip(c).step_by(classes);
                v.zip(x).map(|(v, x)| v * x).sum()
            };
            let along: Vec<f64> = (0..classes).map(along).collect();
            let mean: f64 = along.iter().zip(p).map(|(a, p)| a * p).sum();
            for (row, x) in out.chunks_mut(classes).zip(x) {
                for ((out, a), p) in row.iter_mut().zip(&along).zip(p) {
                    *out += p * (a - mean) * x / self.inputs.len() as f64;
                }
            }
        }
        out
    }

    /// λ₁, by power iteration.
    fn largest(&self) -> f64 {
        let probabilities: Vec<Vec<f64>> =
            self.inputs.iter().map(|x| self.probabilities(x)).collect();
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut v: Vec<f64> = (0..self.weights.len() + self.biases.len())
            .map(|i| (i as f64 * 0.37).sin())
            .collect();
        let mut value = 0.0;
        for _ in 0..200 {
            let length = norm(&v);
            v.iter_mut().for_each(|v| *v /= length);
            v = self.times(&v, &probabilities);
            value = norm(&v);
        }
        value
    }
}

/// The rows of a CSV file, by column name.
fn rows(path: &Path) -> Vec<HashMap<String, f64>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let fields = line
            .split(',')
            .map(|field| field.parse().unwrap_or(f64::NAN));
        names
            .iter()
            .map(|name| (*name).to_owned())
            .zip(fields)
            .collect()
    };
    lines.map(row).collect()
}

fn run(folder: &Path, line: &str) -> String {
    let output = fosi(folder, &line.split(' ').collect::<Vec<_>>());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line}: {message}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_spectrum_along_a_run_is_that_of_the_hessian_in_closed_form() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run(
        here,
        "train lr --epochs 2 --optimizers fosi-hb,adam --seeds 3,4 --checkpoint-every 20 --keep-checkpoints all --name r",
    );
    let text = run(
        here,
        "spectrum --run runs/r --optimizer adam --seeds 4 --large 1437 --k 3 --l 2 --probes 6 --density-steps 30",
    );
    let measured = here.join("runs/r/spectrum");
    let summary = rows(&measured.join("spectrum.csv"));
    let steps: Vec<f64> = summary.iter().map(|row| row["step"]).collect();
    // 1,437 examples in batches of 64 are 23 steps.
    assert_eq!(steps, [0.0, 20.0, 40.0, 46.0]);
    let model = Softmax::read(&here.join("runs/r/weights-adam-4.safetensors"));
    let end = &summary[3];
    let (trace, error) = (end["trace"], end["trace_error"]);
    assert!(
        (trace - model.trace()).abs() < 4.0 * error,
        "{trace} ± {error}, {}",
        model.trace()
    );
    assert!(error < 0.2 * trace, "{error}");
    let eigenvalues = rows(&measured.join("eigenvalues.csv"));
    let of_end: Vec<f64> = eigenvalues
        .iter()
        .filter(|row| row["step"] == 46.0)
        .map(|row| row["eigenvalue"])
        .collect();
    let largest = model.largest();
    assert_eq!(of_end.len(), 5);
    assert!(
        (of_end[0] / largest - 1.0).abs() < 1e-4,
        "{} {largest}",
        of_end[0]
    );
    // Cross-entropy is convex for a linear model.
    assert!(of_end[4].abs() < 1e-3 * largest, "{of_end:?}");
    // ∫ φ = 1, and the first moment is tr H/n.
    let density: Vec<_> = rows(&measured.join("density.csv"))
        .into_iter()
        .filter(|row| row["step"] == 46.0)
        .collect();
    let spacing = density[1]["eigenvalue"] - density[0]["eigenvalue"];
    let integral =
        |of: &dyn Fn(&HashMap<String, f64>) -> f64| density.iter().map(of).sum::<f64>() * spacing;
    let whole = integral(&|row| row["density"]);
    assert!((whole - 1.0).abs() < 1e-3, "{whole}");
    let mean = integral(&|row| row["density"] * row["eigenvalue"]) * 650.0;
    assert!(
        (mean / model.trace() - 1.0).abs() < 0.3,
        "{mean} {}",
        model.trace()
    );
    for row in &summary {
        for name in ["gradient_share", "batch_overlap"] {
            assert!(
                (0.0..=1.0 + 1e-6).contains(&row[name]),
                "{name} {}",
                row[name]
            );
        }
    }
    assert!(summary[0]["previous_overlap"].is_nan());
    assert!(summary[3]["previous_overlap"] > summary[1]["previous_overlap"] - 0.5);
    assert!(
        text.contains("| start | step 20 | step 40 | end, step 46 |"),
        "{text}"
    );
    for name in [
        "density.svg",
        "density.png",
        "eigenvalues.svg",
        "eigenvalues.png",
    ] {
        assert!(measured.join(name).exists(), "{name}");
    }
}

#[test]
fn the_same_command_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let line = "spectrum lr --large 200 --k 2 --l 1 --probes 2 --density-steps 8 --trace-probes 3";
    let text = run(folder.path(), line);
    assert!(!text.contains("eigenvalues.svg"), "{text}");
    let read = |name: &str| fs::read(folder.path().join("spectrum").join(name)).unwrap();
    let names = ["spectrum.csv", "eigenvalues.csv", "density.csv"];
    let first = names.map(read);
    run(folder.path(), &format!("{line} --threads 1"));
    assert_eq!(names.map(read), first);
}

#[test]
fn what_a_run_does_not_have_or_decides_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run(here, "train lr --steps 3 --optimizers hb --name r");
    let cases = [
        (
            "spectrum --run runs/r --optimizer adam",
            "it has hb with seed 0",
        ),
        ("spectrum --run runs/r --seed 7", "no hb with seed 7"),
        ("spectrum ae --run runs/r", "is of task lr, not ae"),
        (
            "spectrum --run runs/r --batch 3",
            "--batch has no effect with --run",
        ),
        ("spectrum --run runs/none", "runs/none"),
        (
            "spectrum lr --large 2000",
            "--large is 2000: allowed are 1 to 1437",
        ),
        ("spectrum lr --probes 0", "`0` is not a whole number"),
        ("spectrum lr --optimizer hb", "--run"),
        ("spectrum", "required"),
        ("train lr --keep-checkpoints all", "Add --checkpoint-every"),
    ];
    for (line, part) in cases {
        let output = fosi(here, &line.split(' ').collect::<Vec<_>>());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        assert!(message.contains(part), "{line}: {message}");
    }
    // The error names damaged weights, as well as a run without an end.
    let weights = here.join("runs/r/weights-hb-0.safetensors");
    let good = fs::read(&weights).unwrap();
    fs::write(&weights, &good[..good.len() / 2]).unwrap();
    let output = fosi(here, &["spectrum", "--run", "runs/r", "--large", "100"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("the parameters at end, step 3 cannot be loaded"),
        "{message}"
    );
    fs::remove_file(&weights).unwrap();
    let text = run(here, "spectrum --run runs/r --large 100 --density-steps 8");
    assert!(text.contains("| start |"), "{text}");
}
