//! Expected values are computed by hand from small inputs.

use super::*;
use crate::config::{Preset, TaskName, TrainConfig};
use crate::runs::{
    DataDescription, Machine, MetricsRow, ModelDescription, Run, RunRecord, RunStatus, Versions,
};

pub(super) fn row(
    optimizer: &str,
    seed: u64,
    epoch: u64,
    accuracy: f64,
    loss: f64,
    seconds: f64,
) -> MetricsRow {
    MetricsRow {
        optimizer: optimizer.parse().unwrap(),
        seed,
        epoch,
        step: 10 * epoch,
        learning_rate: 0.1,
        train_loss: loss,
        valid_loss: loss + 1.0,
        valid_accuracy: Some(accuracy),
        train_seconds: seconds,
        refresh_seconds: seconds / 4.0,
        gradients: 10 * epoch,
        products: 40,
    }
}

pub(super) fn run(name: &str, rows: Vec<MetricsRow>) -> Run {
    let record = RunRecord {
        format: RunRecord::FORMAT,
        name: name.to_owned(),
        status: RunStatus::Finished,
        started: String::new(),
        finished: None,
        config: TrainConfig::defaults(TaskName::Lr, None, Preset::Small),
        model: ModelDescription {
            name: "m".to_owned(),
            parameters: 1,
        },
        data: DataDescription {
            name: "digits".to_owned(),
            // Ten steps of 64 per epoch.
            train: 640,
            validation: 1,
            shape: vec![1],
            classes: 1,
            checksum: String::new(),
        },
        notes: Vec::new(),
        command: Vec::new(),
        versions: Versions::here(),
        machine: Machine::here(),
        refreshes: Vec::new(),
        failures: Vec::new(),
        memory: Vec::new(),
    };
    Run { record, rows }
}

fn single(value: f64) -> Spread {
    Spread::of([value])
}

/// hb peaks at 0.9 in epoch 3 (its fourth epoch only equals it); fosi-hb reaches it in epoch 2.
fn heavy_ball() -> Vec<MetricsRow> {
    vec![
        row("hb", 1, 1, 0.7, 0.9, 1.0),
        row("hb", 1, 2, 0.8, 0.6, 2.0),
        row("hb", 1, 3, 0.9, 0.4, 4.0),
        row("hb", 1, 4, 0.9, 0.5, 5.0),
        row("fosi-hb", 1, 1, 0.8, 0.7, 1.5),
        row("fosi-hb", 1, 2, 0.95, 0.5, 3.0),
        row("fosi-hb", 1, 3, 0.9, 0.45, 4.5),
        row("fosi-hb", 1, 4, 0.9, 0.41, 6.0),
    ]
}

#[test]
fn steps_and_seconds_are_counted_to_the_bases_best() {
    let entries = summarize(&[run("a", heavy_ball())]);
    let [hb, fosi] = entries.as_slice() else {
        panic!("two optimizers ran")
    };
    let accuracy = &hb.standings[0];
    assert_eq!((accuracy.best, accuracy.epoch), (single(0.9), single(3.0)));
    let own = accuracy.reach.as_ref().unwrap();
    assert_eq!(
        (own.steps, own.step_ratio, own.second_ratio),
        (single(30.0), single(1.0), single(1.0))
    );

    let accuracy = &fosi.standings[0];
    assert_eq!((accuracy.best, accuracy.epoch), (single(0.95), single(2.0)));
    let reach = accuracy.reach.as_ref().unwrap();
    assert_eq!((reach.steps, reach.seconds), (single(20.0), single(3.0)));
    assert_eq!(
        (reach.step_ratio, reach.second_ratio),
        (single(20.0 / 30.0), single(0.75))
    );
}

#[test]
fn a_loss_that_stays_above_the_bases_lowest_is_not_reached() {
    let entries = summarize(&[run("a", heavy_ball())]);
    let loss = &entries[1].standings[2];
    assert_eq!(loss.best, single(0.41));
    assert_eq!(loss.reach.as_ref().unwrap().steps, single(f64::INFINITY));
    assert!(render(&entries).contains("not reached"));
}

#[test]
fn totals_are_those_of_the_last_epoch() {
    let totals = &summarize(&[run("a", heavy_ball())])[1].totals;
    assert_eq!((totals.steps, totals.seconds), (single(40.0), single(6.0)));
    assert_eq!(
        (totals.epoch_seconds, totals.refresh_seconds),
        (single(1.5), single(1.5))
    );
    assert_eq!(
        (totals.gradients, totals.products),
        (single(40.0), single(40.0))
    );
}

#[test]
fn an_optimizer_without_its_base_has_no_ratio() {
    let entries = summarize(&[run("a", vec![row("fosi-adam", 1, 1, 0.5, 1.0, 1.0)])]);
    assert_eq!(entries[0].standings[0].reach, None);
    assert!(render(&entries).contains("no base"));
}

#[test]
fn each_seed_is_compared_with_its_own_base_and_the_median_told() {
    let mut rows = Vec::new();
    // The base needs 4 epochs; fosi needs 1, 2 and 3 with seeds 1, 2 and 3.
    for seed in 1..=3 {
        for epoch in 1..=4 {
            rows.push(row(
                "adam",
                seed,
                epoch,
                0.2 * epoch as f64,
                1.0,
                epoch as f64,
            ));
        }
        for epoch in 1..=4 {
            let accuracy = if epoch >= seed { 0.8 } else { 0.1 };
            rows.push(row("fosi-adam", seed, epoch, accuracy, 1.0, epoch as f64));
        }
    }
    let entries = summarize(&[run("a", rows)]);
    assert_eq!(entries[1].seeds, 3);
    let reach = entries[1].standings[0].reach.as_ref().unwrap();
    assert_eq!(
        reach.step_ratio,
        Spread {
            median: 0.5,
            low: 0.25,
            high: 0.75
        }
    );
    let text = render(&entries);
    assert!(text.contains("0.25–0.75"), "{text}");
    assert!(text.contains("Medians over 3 seeds"), "{text}");
}

#[test]
fn a_stopped_optimizer_is_marked() {
    let mut stopped = run("a", heavy_ball());
    stopped.record.failures = vec![crate::runs::Failure {
        optimizer: "hb".parse().unwrap(),
        seed: 1,
        epoch: 5,
        step: 41,
        reason: String::new(),
        eigenvalues: Vec::new(),
        scale: 1.0,
        state: None,
        state_error: None,
    }];
    let entries = summarize(&[stopped]);
    assert_eq!((entries[0].stopped, entries[1].stopped), (true, false));
    let text = render(&entries);
    assert!(
        text.contains(" hb †") && !text.contains("fosi-hb †"),
        "{text}"
    );
    assert!(text.contains("† stopped before the end"), "{text}");
}

#[test]
fn over_several_runs_the_base_may_be_in_another() {
    let rows = heavy_ball();
    let runs = [
        run("plain", rows[..4].to_vec()),
        run("with", rows[4..].to_vec()),
    ];
    let entries = summarize(&runs);
    let reach = entries[1].standings[0].reach.as_ref().unwrap();
    assert_eq!(reach.step_ratio, single(20.0 / 30.0));
    assert!(render(&entries).contains("with fosi-hb"));
}

#[test]
fn the_text_fits_a_terminal() {
    for line in render(&summarize(&[run("a", heavy_ball())])).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn refused_refreshes_are_told_with_the_first_reason() {
    use crate::runs::{RefreshOutcome, RefreshRecord};
    let refresh = |step, outcome| RefreshRecord {
        optimizer: "fosi-hb".parse().unwrap(),
        seed: 1,
        step,
        products: 40,
        seconds: 0.1,
        interval: None,
        product_cost: None,
        timing: None,
        outcome,
    };
    let refused = |reason: &str| RefreshOutcome::Refused {
        reason: reason.to_owned(),
    };
    let accepted = RefreshOutcome::Accepted {
        eigenvalues: vec![1.0],
        residuals: vec![0.0],
        retries: 0,
        asymmetry: None,
        shifted: false,
        scale: 1.0,
        next_eigenvalue: None,
        captured_by_last: None,
        weight: None,
        lemma_4: None,
    };
    let mut with = run("a", heavy_ball());
    with.record.refreshes = vec![
        refresh(10, accepted),
        refresh(20, refused("a kink")),
        refresh(30, refused("another kink")),
    ];
    let text = render(&summarize(std::slice::from_ref(&with)));
    assert!(
        text.ends_with(
            "2 of 3 refreshes of fosi-hb were refused (first: a kink); it kept the old spectrum meanwhile."
        ),
        "{text}"
    );
    assert!(
        PaperTables::of(std::slice::from_ref(&with))
            .markdown()
            .contains("a kink")
    );

    with.record.refreshes.remove(0);
    let text = render(&summarize(&[with]));
    assert!(
        text.ends_with("it took the base's steps meanwhile."),
        "{text}"
    );
}
