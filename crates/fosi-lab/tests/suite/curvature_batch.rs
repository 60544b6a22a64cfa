//! Estimations on curvature batches against the dense Hessian of logistic regression.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use faer::{Mat, Side};
use fosi_lab::data::{Dataset, digits, draw};
use fosi_lab::runs::RefreshOutcome;
use fosi_lab::train::{TrainEvent, Trainer};

use crate::schedules::{digits_task, model};

/// The weights, with one row of classes per input, and the biases.
fn parameters(trainer: &dyn Trainer) -> (Vec<f64>, Vec<f64>) {
    let tensors: BTreeMap<String, Vec<u8>> = model(trainer);
    let numbers = |name: &str| -> Vec<f64> {
        let (words, rest) = tensors[name].as_chunks::<4>();
        assert!(rest.is_empty());
        let number = |word: &[u8; 4]| f64::from(f32::from_le_bytes(*word));
        words.iter().map(number).collect()
    };
    (numbers("linear.weight"), numbers("linear.bias"))
}

/// (1/N)·Σ (diag(p) − ppᵀ) ⊗ x̃x̃ᵀ over the examples, with x̃ = (x, 1) and p the probabilities of the classes.
fn hessian(data: &Dataset, examples: &[u32], weights: &[f64], biases: &[f64]) -> Mat<f64> {
    let (inputs, classes) = (data.dim, data.classes);
    let mut hessian = Mat::zeros((inputs + 1) * classes, (inputs + 1) * classes);
    for example in data.gather(examples).features.chunks(inputs) {
        let extended: Vec<f64> = example.iter().map(|x| f64::from(*x)).chain([1.0]).collect();
        let powers: Vec<f64> = (0..classes)
            .map(|c| {
                let products = (0..inputs).map(|i| extended[i] * weights[i * classes + c]);
                (products.sum::<f64>() + biases[c]).exp()
            })
            .collect();
        let sum: f64 = powers.iter().sum();
        let p: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        for (i, xi) in extended.iter().enumerate() {
            for (j, xj) in extended.iter().enumerate() {
                for c in 0..classes {
                    for d in 0..classes {
                        let own = if c == d { p[c] } else { 0.0 };
                        hessian[(i * classes + c, j * classes + d)] +=
                            (own - p[c] * p[d]) * xi * xj / examples.len() as f64;
                    }
                }
            }
        }
    }
    hessian
}

/// The options, the training data, the step's batch, and the examples of the estimation.
type Case<'a> = (&'a [&'a str], &'a Dataset, &'a [u32], &'a [u32]);

#[test]
fn an_estimation_finds_the_eigenvalues_of_its_own_examples() {
    let whole = digits().unwrap().train;
    let few = whole.subset(&draw(whole.len(), 8));
    let batch: Vec<u32> = (100..300).collect();
    let all: Vec<u32> = (0..whole.len() as u32).collect();
    let cases: [Case; 5] = [
        (
            &["--batch", "200", "--curvature-batch", "200"],
            &whole,
            &batch,
            &batch,
        ),
        // The default is a quarter of the batch.
        (&["--batch", "200"], &whole, &batch, &batch[..50]),
        (
            &["--batch", "200", "--curvature-batch", "30"],
            &whole,
            &batch,
            &batch[..30],
        ),
        // Eight slices of 179 or 180 examples.
        (
            &["--batch", "200", "--curvature-batch", "1437"],
            &whole,
            &batch,
            &all,
        ),
        // Three slices of 2, 3 and 3 examples, whose losses are weighted by their sizes.
        (
            &["--examples", "8", "--batch", "3", "--curvature-batch", "8"],
            &few,
            &[5, 1],
            &all[..8],
        ),
    ];
    for (more, data, batch, examples) in cases {
        let exact = ["--averaging", "off", "--lanczos-tolerance", "0"];
        let common = [&["--warmup", "0", "--k", "3", "--m", "40"], &exact[..]].concat();
        let workload = digits_task(&[&common[..], more].concat());
        let mut trainer = workload.trainer("fosi-hb".parse().unwrap(), 0).unwrap();
        let (weights, biases) = parameters(trainer.as_ref());
        let mut found = None;
        let outcome = trainer.train(&[batch], &mut |event| {
            if let TrainEvent::Refreshed(refresh) = event {
                found = Some(refresh.outcome);
            }
            ControlFlow::Continue(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        let Some(RefreshOutcome::Accepted { eigenvalues, .. }) = found else {
            panic!("{more:?}: {found:?}")
        };
        let dense = hessian(data, examples, &weights, &biases);
        let expected = dense.self_adjoint_eigenvalues(Side::Lower).unwrap();
        assert_eq!(eigenvalues.len(), 3, "{more:?}");
        for (found, expected) in eigenvalues.iter().zip(expected.iter().rev()) {
            let error = (found / expected - 1.0).abs();
            assert!(error < 1e-5, "{more:?}: {found} for {expected}");
        }
    }
}
