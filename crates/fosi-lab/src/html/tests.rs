//! Tests of pages about constructed runs, with values computed by hand.

use std::time::Duration;

use super::*;
use crate::config::{Preset, TaskName, TrainConfig};
use crate::runs::{
    DataDescription, Failure, MetricsRow, ModelDescription, RefreshOutcome, RefreshRecord, Run,
    RunRecord, RunStatus,
};

fn row(optimizer: &str, seed: u64, epoch: u64, loss: f64) -> MetricsRow {
    MetricsRow {
        optimizer: optimizer.parse().unwrap(),
        seed,
        epoch,
        step: 10 * epoch,
        learning_rate: 0.1,
        train_loss: loss,
        valid_loss: 2.0 * loss,
        valid_accuracy: Some(1.0 - loss / 4.0),
        train_seconds: epoch as f64 / 8.0,
        refresh_seconds: 0.0,
        gradients: 10 * epoch,
        products: 40,
    }
}

fn run(name: &str, rows: Vec<MetricsRow>) -> Run {
    let model = ModelDescription {
        name: "logistic regression, 64 inputs".to_owned(),
        parameters: 650,
    };
    let data = DataDescription {
        name: "digits".to_owned(),
        // Ten steps of 64 per epoch.
        train: 640,
        validation: 360,
        shape: vec![64],
        classes: 10,
        checksum: "75192ec9b7d556928478".to_owned(),
    };
    let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
    let mut record = RunRecord::start(name, &config, model, data);
    record.finish(RunStatus::Finished);
    Run { record, rows }
}

fn both(seed: u64) -> Vec<MetricsRow> {
    let rows = |optimizer, losses: [f64; 2]| {
        let epochs = losses.into_iter().zip(1..);
        epochs.map(move |(loss, epoch)| row(optimizer, seed, epoch, loss))
    };
    rows("hb", [1.0, 0.5])
        .chain(rows("fosi-hb", [0.75, 0.25]))
        .collect()
}

fn refresh(step: u64, outcome: RefreshOutcome) -> RefreshRecord {
    RefreshRecord {
        optimizer: "fosi-hb".parse().unwrap(),
        seed: 1,
        step,
        products: 40,
        seconds: 0.125,
        interval: Some(7),
        product_cost: None,
        timing: None,
        outcome,
    }
}

fn accepted(eigenvalues: &[f64], scale: f64) -> RefreshOutcome {
    RefreshOutcome::Accepted {
        eigenvalues: eigenvalues.to_vec(),
        residuals: vec![1e-4; eigenvalues.len()],
        retries: 2,
        asymmetry: None,
        shifted: false,
        scale,
        next_eigenvalue: None,
        captured_by_last: None,
        weight: None,
        lemma_4: None,
    }
}

fn html(runs: &[Run]) -> String {
    let text = page(runs, PageOptions::default()).unwrap();
    assert_balanced(&text);
    text
}

/// Fails if an element is not closed correctly.
fn assert_balanced(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').unwrap();
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        let name = tag
            .split([' ', '\n', '/'])
            .find(|part| !part.is_empty())
            .unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "at {}", &rest[..rest.len().min(80)]);
        } else if !(tag.ends_with('/') || ["!DOCTYPE", "meta", "link", "input"].contains(&name)) {
            open.push(name);
            // The content of these elements is not markup.
            if ["script", "style"].contains(&name) {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let text = html(&[run("r", both(1))]);
    assert!(text.starts_with("<!DOCTYPE html>"));
    // The namespace of SVG is never fetched.
    let text = text.replace("http://www.w3.org/2000/svg", "");
    for outside in [
        "http:", "https:", "src=", "url(", "@import", "href=\"/", "//www",
    ] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert_eq!(
        text.matches("href=").count(),
        text.matches("href=\"data:,\"").count()
    );
}

#[test]
fn what_users_write_is_text() {
    let evil = "</script><script>alert('\"&\"')</script>";
    let mut evil_run = run(evil, both(1));
    let record = &mut evil_run.record;
    record.notes = vec![evil.to_owned()];
    record.command = vec!["fosi".to_owned(), evil.to_owned()];
    record.data.name = evil.to_owned();
    record.model.name = evil.to_owned();
    record.machine.cpu = evil.to_owned();
    record.versions.commit = evil.to_owned();
    record.config.out = evil.into();
    record.config.name = Some(evil.to_owned());
    let refused = RefreshOutcome::Refused {
        reason: evil.to_owned(),
    };
    record.refreshes = vec![refresh(3, accepted(&[2.0], 3.0)), refresh(9, refused)];
    record.failures = vec![Failure {
        optimizer: "hb".parse().unwrap(),
        seed: 1,
        epoch: 3,
        step: 21,
        reason: evil.to_owned(),
        eigenvalues: Vec::new(),
        scale: 1.0,
        state: Some(evil.to_owned()),
        state_error: None,
    }];
    let mut other = evil_run.clone();
    other.record.name = format!("{evil}2");
    let text = html(&[evil_run, other]);
    assert!(!text.contains("<script>alert"), "{text}");
    assert_eq!(text.matches("<script").count(), 2);
    assert_eq!(text.matches("</script").count(), 2);
    // At least once each: title, heading, name, command, facts, notes, failures, refreshes, settings.
    assert!(text.matches("alert(").count() > 20);
    assert!(!text.contains("\"&\"'"), "a quote ends an attribute");
}

#[test]
fn lines_go_through_the_values() {
    let text = html(&[run("r", both(1))]);
    // The horizontal axis has 478 units for 2 epochs; the vertical axis extends 5 % of its length beyond 0.25 and 1.
    let line = |class: &str| {
        let chart = text
            .split("<svg class=\"chart ")
            .find(|part| part.starts_with(class));
        let part = chart
            .unwrap()
            .split("class=\"stroke line1 hue1 solid\" d=\"")
            .nth(1);
        part.unwrap().split('"').next().unwrap().to_owned()
    };
    let place = |share: f64| {
        format!(
            "{}",
            (10.0 * 280.0 * (1.0 - (share + 0.05) / 1.1)).round() / 10.0
        )
    };
    let share = (0.75f64 / 0.25).ln() / (1.0f64 / 0.25).ln();
    let expected = format!("M239,{}L478,{}", place(share), place(0.0));
    assert_eq!(line("epochs logarithmic"), expected);
    let expected = format!("M239,{}L478,{}", place(0.5 / 0.75), place(0.0));
    assert_eq!(line("steps linear"), expected);
    // Three axes with two charts per loss and one for the accuracy.
    assert_eq!(text.matches("<svg class=\"chart ").count(), 3 * 5);
    let label =
        "Training loss against seconds of training, logarithmic: hb from 1.0000 to 0.5000; fosi-hb";
    assert!(text.contains(label));
}

#[test]
fn several_seeds_are_a_median_and_a_band() {
    let mut several = run("r", [both(1), both(2), both(3)].concat());
    for row in several.rows.iter_mut().filter(|row| row.seed == 3) {
        row.train_loss *= 3.0;
    }
    several.record.config.seeds = vec![1, 2, 3];
    let text = html(&[several]);
    assert!(text.contains("0.5000 (0.5000–1.5000)"), "{text}");
    // Only the training loss differs between seeds: two optimizers, three axes, two scales.
    assert_eq!(text.matches("<path class=\"band ").count(), 12);
    assert!(text.contains("medians over seeds"));
    assert!(!html(&[run("r", both(1))]).contains("<path class=\"band "));
}

#[test]
fn a_run_without_an_epoch_says_so_and_shows_its_settings() {
    let text = html(&[run("r", Vec::new())]);
    assert!(text.contains("No epoch has been finished"));
    assert!(text.contains("<th scope=\"row\">scale-limit</th>"));
    assert!(!text.contains("<section class=\"results\">"));
}

#[test]
fn a_run_that_goes_on_is_loaded_again() {
    let mut going = run("r", both(1));
    going.record.status = RunStatus::Running;
    let watched = PageOptions {
        reload: Some(Duration::from_secs(3)),
        ..PageOptions::default()
    };
    let text = |run: &Run, options| page(std::slice::from_ref(run), options).unwrap();
    let again = "<meta http-equiv=\"refresh\" content=\"3\">";
    let unfinished = "shows its results so far";
    assert!(text(&going, watched).contains(again));
    assert!(text(&going, watched).contains(unfinished));
    assert!(!text(&going, PageOptions::default()).contains("http-equiv=\"refresh\""));
    going.record.status = RunStatus::Finished;
    assert!(!text(&going, watched).contains("http-equiv=\"refresh\""));
    assert!(!text(&going, watched).contains(unfinished));
}

#[test]
fn runs_of_different_data_have_sections_of_their_own() {
    let (first, mut other) = (run("a", both(1)), run("b", both(1)));
    let together = html(&[first.clone(), other.clone()]);
    assert_eq!(together.matches("<article").count(), 1);
    assert!(
        together.contains("<span>a fosi-hb</span>") && together.contains("<span>b fosi-hb</span>")
    );
    other.record.data.checksum = "another".to_owned();
    let apart = html(&[first, other]);
    assert_eq!(apart.matches("<article").count(), 2);
    assert!(apart.contains("2 runs of 2 tasks or data sets"));
    assert!(apart.contains("id=\"g1-steps\""));
}

#[test]
fn refreshes_are_told_with_costs_and_reasons() {
    let mut with = run("r", both(1));
    let refused = RefreshOutcome::Refused {
        reason: "a kink".to_owned(),
    };
    with.record.refreshes = vec![
        refresh(3, accepted(&[100.0, 1.0, -10.0], 3.0)),
        refresh(10, refused),
        refresh(17, accepted(&[50.0, 2.0, -5.0], 2.5)),
    ];
    let text = html(std::slice::from_ref(&with));
    let sum = "<th scope=\"row\">fosi-hb</th><td>1</td><td>3</td><td>1</td><td>120</td><td>0.375</td><td>7</td>\
               <td>4</td>";
    assert!(text.contains(sum), "{text}");
    assert!(text.contains("refused: a kink"));
    assert!(text.contains("<title>Refused at step 10, seed 1: a kink</title>"));
    let numbers = "<td>100.0000</td><td>-10.0000</td><td>1.0e-4</td><td>3.000</td>";
    assert!(text.contains(numbers), "{text}");
    // Values of both signs have ticks on both sides of zero.
    assert!(text.contains(">−10</text>") && text.contains(">100</text>"));
    with.record.refreshes.truncate(2);
    with.record.refreshes.remove(0);
    assert!(!html(&[with]).contains("<section class=\"spectra\">"));
}

#[test]
fn failures_and_verdicts_are_told() {
    let mut stopped = run("r", both(1));
    stopped.record.failures = vec![Failure {
        optimizer: "hb".parse().unwrap(),
        seed: 1,
        epoch: 3,
        step: 21,
        reason: "the training loss is NaN".to_owned(),
        eigenvalues: vec![0.5, 2.0],
        scale: 3.0,
        state: None,
        state_error: None,
    }];
    let text = html(&[stopped]);
    let told = "hb (seed 1) was stopped in epoch 3 after step 21: the training loss is NaN. Its newest spectrum had \
                eigenvalues up to 2.0000e0; s was 3.000.";
    assert!(text.contains(told), "{text}");
    // One seed and one learning rate of the base.
    assert!(
        text.contains("<p>fosi-hb: not enough runs to say."),
        "{text}"
    );
    assert!(
        text.contains("<li>What would tell: --seeds 0,1,2 and --lr-grid"),
        "{text}"
    );
    let base_alone: Vec<MetricsRow> = both(1)
        .into_iter()
        .filter(|row| !row.optimizer.fosi)
        .collect();
    assert!(!html(&[run("r", base_alone)]).contains("<div class=\"verdict\">"));
}

#[test]
fn the_papers_ratio_stands_beside_ours() {
    let text = html(&[run("r", both(1))]);
    // fosi-hb falls below hb's 0.5 after 2 of 2 epochs; the paper's ratio for Heavy-Ball on this task is 0.50.
    let row = "<td>lr (r)</td><td>hb</td><td>validation accuracy</td><td>0.8750</td><td>0.25</td><td>0.25</td>\
               <td>1.00</td><td>1.00</td><td>0.50</td>";
    assert!(text.contains(row), "{text}");
}

#[test]
fn pages_stay_small() {
    let rows = |epochs: u64| {
        let mut rows = Vec::new();
        for optimizer in ["hb", "fosi-hb", "adam", "fosi-adam"] {
            for (seed, epoch) in (0..5).flat_map(|seed| (1..=epochs).map(move |e| (seed, e))) {
                let loss = 1.0 / (epoch as f64 + seed as f64 / 7.0).sqrt();
                rows.push(row(optimizer, seed, epoch, loss));
            }
        }
        rows
    };
    let usual = html(&[run("r", rows(60))]);
    assert!(usual.len() < 600_000, "{}", usual.len());
    let long = html(&[run("r", rows(3000))]);
    assert!(long.len() < 3_000_000, "{}", long.len());
    assert!(
        long.contains("One epoch in 5 and the last"),
        "{}",
        long.len()
    );
    assert!(long.contains("<td>3000</td>"));
}

#[test]
fn values_of_any_size_give_a_page() {
    for losses in [[0.0, 0.0], [1e300, 1e-300], [-1.0, 1.0]] {
        let epochs = losses.into_iter().zip(1..);
        let rows = epochs
            .map(|(loss, epoch)| row("gd", 1, epoch, loss))
            .collect();
        let text = html(&[run("r", rows)]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{losses:?}");
    }
}
