//! Verdicts on small constructed runs, with ratios computed by hand.

use super::*;
use crate::config::{Preset, TaskName, TrainConfig};
use crate::runs::{
    DataDescription, Machine, MetricsRow, ModelDescription, RefreshOutcome, RefreshRecord,
    RunRecord, RunStatus, Versions,
};

/// A training loss that decreases by 0.1·`speed` in each of ten epochs, which take `seconds` each.
fn rows(optimizer: &str, seed: u64, seconds: f64, speed: f64) -> Vec<MetricsRow> {
    let row = |epoch: u64| MetricsRow {
        optimizer: optimizer.parse().unwrap(),
        seed,
        epoch,
        step: 10 * epoch,
        learning_rate: 0.1,
        train_loss: 2.0 - 0.1 * speed * epoch as f64,
        valid_loss: 3.0 - 0.1 * speed * epoch as f64,
        valid_accuracy: None,
        train_seconds: seconds * epoch as f64,
        refresh_seconds: match optimizer.starts_with("fosi") {
            true => 0.3 * seconds * epoch as f64,
            false => 0.0,
        },
        gradients: 10 * epoch,
        products: match optimizer.starts_with("fosi") {
            true => 2 * epoch,
            false => 0,
        },
    };
    (1..=10).map(row).collect()
}

fn run(rows: Vec<MetricsRow>) -> Run {
    let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
    let model = ModelDescription {
        name: "m".to_owned(),
        parameters: 650,
    };
    let data = DataDescription {
        name: "digits".to_owned(),
        train: 640,
        validation: 1,
        shape: vec![1],
        classes: 1,
        checksum: String::new(),
    };
    let record = RunRecord {
        status: RunStatus::Finished,
        versions: Versions::here(),
        machine: Machine::here(),
        ..RunRecord::start("r", &config, model, data)
    };
    Run { record, rows }
}

/// Three seeds of `hb` at two rates and of `fosi-hb`, which is `speed` times as fast in epochs of `seconds`; the base
/// at the other rate is twice as fast.
fn tuned(seconds: f64, speed: f64) -> Run {
    let of_seed = |seed: u64| {
        [
            rows("hb", seed, 1.0, 1.0),
            rows("hb*3", seed, 1.0, 2.0),
            rows("fosi-hb", seed, seconds, speed),
        ]
        .concat()
    };
    run((0..3).flat_map(of_seed).collect())
}

fn judged(run: &Run) -> (Judgement, String) {
    let all = verdicts(std::slice::from_ref(run));
    assert_eq!(all.len(), 1);
    (all[0].judgement, all[0].to_string())
}

#[test]
fn a_gain_counts_against_the_base_at_its_best_rate() {
    // hb*3 reaches 2 − 2 = 0 in 10 epochs; FOSI with speed 4 reaches it in 5 epochs of 1.5 s: 0.5 of the steps, 0.75 of
    // the seconds.
    let (judgement, text) = judged(&tuned(1.5, 4.0));
    assert_eq!(judgement, Judgement::Pays, "{text}");
    assert!(
        text.contains("of hb*3 in 0.50 of its steps and 0.75 of its seconds"),
        "{text}"
    );
    assert!(text.contains("--schedule cosine"), "{text}");
    assert!(
        text.contains("The best rate of the base, hb*3, is the largest that was tried"),
        "{text}"
    );
    // With epochs of 3 s, the ratio to the best base's seconds is 1.5; hb's 1 is reached in 3 epochs, a ratio of 0.9.
    let (judgement, text) = judged(&tuned(3.0, 4.0));
    assert_eq!(judgement, Judgement::PaysAtThisRate, "{text}");
    assert!(
        text.contains("0.50 of its steps and 1.50 of its seconds"),
        "{text}"
    );
    assert!(
        text.contains("of hb in 0.30 of its steps and 0.90 of its seconds"),
        "{text}"
    );
    // FOSI is as slow as the base, and its epochs take longer.
    let (judgement, text) = judged(&tuned(1.5, 1.0));
    assert_eq!(judgement, Judgement::DoesNotPay, "{text}");
    assert!(
        text.contains("does not reach the lowest training loss of hb*3"),
        "{text}"
    );
}

#[test]
fn fosi_is_judged_at_its_best_rate() {
    // At its own rate FOSI is as fast as hb; at three times the rate it needs 3 of hb*3's 10 epochs.
    let mut run = tuned(1.0, 1.0);
    run.rows
        .extend((0..3).flat_map(|seed| rows("fosi-hb*3", seed, 1.5, 8.0)));
    let (judgement, text) = judged(&run);
    assert_eq!(judgement, Judgement::Pays, "{text}");
    assert!(
        text.contains("fosi-hb*3 reaches the lowest training loss of hb*3 in 0.30 of its steps and 0.45 of its seconds"),
        "{text}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let mut few = tuned(1.5, 4.0);
    few.rows.retain(|row| row.seed < 2);
    let (judgement, text) = judged(&few);
    assert_eq!(judgement, Judgement::NotEnough);
    assert!(
        text.contains("--seeds 0,1,2, which") && !text.contains("and --lr-grid"),
        "{text}"
    );

    let mut one_rate = tuned(0.5, 4.0);
    one_rate
        .rows
        .retain(|row| row.optimizer.to_string() != "hb*3");
    let (judgement, text) = judged(&one_rate);
    assert_eq!(judgement, Judgement::NotEnough);
    assert!(
        text.contains("--lr-grid") && !text.contains("--seeds"),
        "{text}"
    );

    // If FOSI is not faster than this base either, no other rate is needed.
    let mut slower = tuned(5.0, 2.0);
    slower
        .rows
        .retain(|row| row.optimizer.to_string() != "hb*3");
    assert_eq!(judged(&slower).0, Judgement::DoesNotPay);

    // One seed of three disagrees with the others.
    let mut mixed = tuned(1.5, 4.0);
    for row in mixed.rows.iter_mut().filter(|row| row.seed == 2) {
        if row.optimizer.fosi {
            row.train_seconds *= 2.0;
        }
    }
    let (judgement, text) = judged(&mixed);
    assert_eq!(judgement, Judgement::NotEnough);
    assert!(text.contains("The seeds disagree"), "{text}");
    assert!(text.contains("0.75 (0.75–1.50)"), "{text}");

    let alone = run(rows("fosi-hb", 0, 1.0, 1.0));
    let (judgement, text) = judged(&alone);
    assert_eq!(judgement, Judgement::NotEnough);
    assert!(text.contains("--optimizers hb,fosi-hb"), "{text}");
    assert!(verdicts(&[run(rows("hb", 0, 1.0, 1.0))]).is_empty());

    // For several runs, each verdict names its run.
    let mut other = tuned(1.5, 4.0);
    other.record.name = "other".to_owned();
    let both = verdicts(&[tuned(1.5, 4.0), other]);
    assert_eq!(both.len(), 2);
    assert!(
        both[0].sentence.starts_with("fosi-hb in r: FOSI pays"),
        "{}",
        both[0]
    );
    assert!(
        both[1].sentence.starts_with("fosi-hb in other: "),
        "{}",
        both[1]
    );
}

#[test]
fn reasons_are_what_was_measured() {
    let mut run = tuned(1.5, 4.0);
    let refresh = |step: u64, next: f64, captured: Option<f64>| RefreshRecord {
        optimizer: "fosi-hb".parse().unwrap(),
        seed: 0,
        step,
        products: 20,
        seconds: 0.1,
        interval: None,
        product_cost: None,
        timing: None,
        outcome: RefreshOutcome::Accepted {
            eigenvalues: vec![19.0, 10.0],
            residuals: vec![0.0; 2],
            retries: 0,
            asymmetry: None,
            shifted: false,
            scale: 1.0,
            next_eigenvalue: Some(next),
            captured_by_last: captured,
            weight: None,
            lemma_4: captured.map(|share| (1e-4, 0.1, share < 0.5)),
        },
    };
    run.record.refreshes = vec![
        refresh(0, 1.9, None),
        refresh(10, 3.8, Some(0.4)),
        refresh(20, 1.9, Some(0.6)),
    ];
    let (_, text) = judged(&run);
    // The ratios are 19/1.9, 19/3.8 and 19/1.9.
    assert!(
        text.contains("10.0 times the one after the 10 largest"),
        "{text}"
    );
    assert!(text.contains("hold 50 % of the curvature"), "{text}");
    // The share is 0.3 of the seconds: 20 products take 4.5 s, and a step of the base takes 0.1 s.
    assert!(
        text.contains("30 % of its seconds: 20 Hessian-vector products, each of 2.2 steps"),
        "{text}"
    );
    // η = 0.1·3 compared with 2·1.9/19 = 0.2.
    assert!(
        text.contains("best learning rate of hb here, 0.3, is"),
        "{text}"
    );
    assert!(
        text.contains("is 150 % of what its curvature allows"),
        "{text}"
    );
    assert!(text.contains("By the validation loss"), "{text}");
    assert!(
        text.contains("for α from 1.0e-4 to 1.0e-1 (medians); α = 0.01 is inside at 1 of 2 refreshes. At the other 1 of 3"),
        "{text}"
    );
    // With the curvature a tenth as large, η is 15 % of the limit: noise may limit it, if a larger rate was tried.
    for refresh in &mut run.record.refreshes {
        if let RefreshOutcome::Accepted { eigenvalues, .. } = &mut refresh.outcome {
            eigenvalues[0] = 1.9;
        }
    }
    let (_, flat) = judged(&run);
    assert!(flat.contains("no larger rate was tried"), "{flat}");
    run.rows
        .extend((0..3).flat_map(|seed| rows("hb*10", seed, 1.0, 0.5)));
    let (_, flat) = judged(&run);
    assert!(flat.contains("such as noise"), "{flat}");
    // The validation loss falls to the end.
    assert!(!text.contains("Its validation loss is least"), "{text}");
}

#[test]
fn a_validation_loss_that_rises_is_said_beside_the_bases() {
    let mut run = tuned(1.5, 4.0);
    for row in &mut run.rows {
        // FOSI's falls until the third epoch and is then twice as large; the base's falls to the end.
        if row.optimizer.fosi {
            row.valid_loss = if row.epoch <= 3 {
                4.0 - row.epoch as f64
            } else {
                2.0
            };
        }
    }
    let (_, text) = judged(&run);
    let sentence = "Its validation loss is least after epoch 3 of 10 and ends 2.00 times as large; that of hb is least after epoch 10 \
                    and ends 1.00 times as large";
    assert!(text.contains(sentence), "{text}");
}
