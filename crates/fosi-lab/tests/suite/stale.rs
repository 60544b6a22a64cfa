//! `fosi study stale`, `--refresh-delay` and `--curvature-from`: effects, files and refusals.

use std::fs;
use std::path::Path;

use fosi_lab::runs::{MetricsRow, RefreshOutcome, Run};

use crate::program::fosi;

fn succeeds(folder: &Path, line: &str) -> String {
    let output = fosi(folder, &line.split(' ').collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{message}");
    text
}

/// The final training loss of a run with these options.
fn trained(folder: &Path, name: &str, options: &str) -> f64 {
    let settings = "--steps 30 --optimizers fosi-hb --warmup 4 --seeds 1";
    succeeds(
        folder,
        &format!("train lr {settings} --name {name} {options}"),
    );
    let run = Run::read(&folder.join("runs").join(name)).unwrap();
    run.rows
        .last()
        .map(|row: &MetricsRow| row.train_loss)
        .unwrap()
}

#[test]
fn a_sweep_has_the_losses_that_its_runs_have_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "study stale lr --intervals 6,12 --delays 0,8 --steps 30 --warmup 4 --seeds 0,1 --out s";
    let text = succeeds(folder.path(), line);
    let written = |name: &str| fs::read(folder.path().join("s").join(name)).unwrap();
    let csv = String::from_utf8(written("stale.csv")).unwrap();
    // T = 6 with D = 0, T = 12 with both delays, and the base, each with two seeds.
    assert_eq!(csv.lines().count(), 1 + 2 * 4, "{csv}");
    let loss = |start: &str| {
        let line = csv.lines().find(|line| line.starts_with(start)).unwrap();
        line.split(',').nth(3).unwrap().parse::<f64>().unwrap()
    };
    let fresh = trained(folder.path(), "fresh", "--interval 12");
    let stale = trained(folder.path(), "stale", "--interval 12 --refresh-delay 8");
    assert_eq!((loss("12,0,1,"), loss("12,8,1,")), (fresh, stale));
    assert_ne!(fresh, stale);
    assert!(
        text.contains("| T = 12 | 0.") && text.contains("`hb` alone: 0."),
        "{text}"
    );
    assert!(text.contains("| | D = 0 | D = 8 |"), "{text}");
    assert!(written("stale.png").starts_with(b"\x89PNG"));
    assert_eq!(
        String::from_utf8(written("stale.md")).unwrap().trim(),
        text.split("\n\nstale.md").next().unwrap().trim()
    );

    // An existing run is not made again; otherwise its recorded time would change.
    let kept = |folder: &Path| {
        let files = fs::read_dir(folder.join("s/runs")).unwrap();
        let mut times: Vec<_> = files
            .map(|file| file.unwrap())
            .filter(|file| file.path().is_file())
            .map(|file| {
                (
                    file.file_name(),
                    file.metadata().unwrap().modified().unwrap(),
                )
            })
            .collect();
        times.sort();
        times
    };
    let before = kept(folder.path());
    assert_eq!(before.len(), 8);
    assert_eq!(succeeds(folder.path(), line), text);
    assert_eq!(kept(folder.path()), before);
}

/// λ of each accepted refresh in a run whose parameters hardly change.
fn eigenvalues(folder: &Path, source: &str) -> Vec<Vec<f64>> {
    let line = format!(
        "train lr --steps 40 --optimizers fosi-hb --warmup 3 --interval 10 --lr 1e-30 --averaging off --k 3 \
         --lanczos-tolerance 0 --curvature-batch 64 --curvature-from {source} --name {source}"
    );
    succeeds(folder, &line);
    let run = Run::read(&folder.join("runs").join(source)).unwrap();
    let of = |outcome: &RefreshOutcome| match outcome {
        RefreshOutcome::Accepted { eigenvalues, .. } => eigenvalues.clone(),
        RefreshOutcome::Refused { reason } => panic!("{reason}"),
    };
    run.record
        .refreshes
        .iter()
        .map(|r| of(&r.outcome))
        .collect()
}

/// With constant parameters, a Hessian depends only on its batch: the fixed batch's is the same at each refresh, and
/// the previous step's equals the current step's one step earlier.
#[test]
fn curvature_is_taken_from_the_batch_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [current, previous, fixed] =
        ["current", "previous", "fixed"].map(|source| eigenvalues(folder.path(), source));
    assert_eq!(current.len(), 4);
    let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a / b - 1.0).abs() < 1e-5);
    assert!(
        fixed.iter().all(|found| same(found, &fixed[0])),
        "{fixed:?}"
    );
    assert!(!same(&current[0], &current[1]) && !same(&current[0], &previous[0]));
    let early = succeeds_with_warmup(folder.path());
    assert!(same(&early, &previous[0]), "{early:?} {previous:?}");
}

/// λ of the refresh before the third step, on that step's batch.
fn succeeds_with_warmup(folder: &Path) -> Vec<f64> {
    let line = "train lr --steps 3 --optimizers fosi-hb --warmup 2 --interval 10 --lr 1e-30 --averaging off --k 3 \
                --lanczos-tolerance 0 --curvature-batch 64 --name early";
    succeeds(folder, line);
    let run = Run::read(&folder.join("runs/early")).unwrap();
    match &run.record.refreshes[0].outcome {
        RefreshOutcome::Accepted { eigenvalues, .. } => eigenvalues.clone(),
        RefreshOutcome::Refused { reason } => panic!("{reason}"),
    }
}

#[test]
fn what_has_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (line, message) in [
        (
            "study stale lr --intervals 5 --optimizer adam",
            "has no spectrum",
        ),
        ("study stale lr --intervals 0", "at least 1"),
        (
            "study stale lr --intervals 5 --interval 7",
            "give --intervals",
        ),
        (
            "study stale lr --intervals 5 --refresh-delay 7",
            "give --delays",
        ),
        ("study stale lr --intervals 5,5", "twice"),
        (
            "train lr --refresh-delay 300",
            "needs --interval STEPS with at least 300",
        ),
        (
            "train lr --overhead 1.1 --refresh-delay 3",
            "needs --interval",
        ),
        (
            "train lr --refresh-delay 3 --checkpoint-every 5",
            "leave --checkpoint-every out",
        ),
        (
            "train lr --optimizers hb --curvature-from fixed",
            "has no effect",
        ),
        (
            "train lr --optimizers hb,lbfgs --lr lbfgs=0.1",
            "line search",
        ),
        (
            "train lr --optimizers hb,kfac --lr kfac=0.1",
            "--kfac-rate fixed",
        ),
        (
            "train lr --optimizers kfac --momentum 0.5",
            "--kfac-momentum fixed",
        ),
        (
            "train lr --optimizers kfac,soap --clip-gradient 1",
            "base optimizers",
        ),
    ] {
        let output = fosi(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(text.contains(message), "{line}: {text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
