//! `fosi study curvature`: results, files and refusals.

use std::fs;

use crate::program::fosi;

/// Step, estimate, captured share, ratio of the eigenvalues.
type Found = (u64, String, f64, f64);

fn read(csv: &str) -> Vec<Found> {
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("step,estimate,captured,eigenvalue_ratio")
    );
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields[index].parse::<f64>().unwrap();
        (number(0) as u64, fields[1].to_owned(), number(2), number(3))
    };
    lines.map(row).collect()
}

#[test]
fn all_examples_hold_the_whole_curvature_and_a_batch_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let line = "study curvature lr --at 20,25 --warmup 20 --interval 20 --batch 32 --k 3 --samples 300,1437 \
                --curvature-batch 32 --lanczos-tolerance 0 --averaging off";
    let output = fosi(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&output.stdout);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{message}");
    let written = |name: &str| fs::read(folder.path().join("curvature").join(name)).unwrap();
    let found = read(&String::from_utf8(written("curvature.csv")).unwrap());
    let of = |step: u64, estimate: &str| {
        let row = found.iter().find(|row| row.0 == step && row.1 == estimate);
        let row = row.unwrap_or_else(|| panic!("{estimate} at {step} in {found:?}"));
        (row.2, row.3)
    };
    assert_eq!(found.len(), 8, "{found:?}");
    for step in [20, 25] {
        // The same examples in another order have the same Hessian.
        let (captured, ratio) = of(step, "raw-1437");
        assert!(
            (captured - 1.0).abs() < 1e-3 && (ratio - 1.0).abs() < 1e-3,
            "{found:?}"
        );
        let (small, medium) = (of(step, "raw"), of(step, "raw-300"));
        assert!(small.0 > 0.3 && small.0 < medium.0, "{found:?}");
        assert!(medium.0 < 1.0 - 1e-4, "{found:?}");
        // The mean over few examples has larger eigenvalues.
        assert!(small.1 > 1.0, "{found:?}");
    }
    // The refresh due at step 20 uses the batch of `raw`, and its result stays in use until step 40.
    let (kept, raw) = (of(20, "kept"), of(20, "raw"));
    assert!(
        (kept.0 - raw.0).abs() < 0.01 && (kept.1 - raw.1).abs() < 0.01,
        "{found:?}"
    );
    assert_ne!(of(25, "kept").0, of(25, "raw").0);
    assert!(text.contains("| raw-300 |"), "{text}");
    assert!(written("curvature.svg").starts_with(b"<svg"));
    assert!(written("curvature.png").starts_with(b"\x89PNG"));
}

#[test]
fn a_mean_over_refreshes_holds_more_than_its_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let line = "study curvature lr --at 20,100 --warmup 20 --interval 20 --batch 32 --k 3 --curvature-batch 32 \
                --lanczos-tolerance 0";
    let output = fosi(folder.path(), &line.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0));
    let csv = fs::read_to_string(folder.path().join("curvature/curvature.csv")).unwrap();
    let found = read(&csv);
    let estimates: Vec<&str> = found.iter().map(|row| row.1.as_str()).collect();
    assert_eq!(estimates, ["raw", "averaged", "raw", "averaged"], "{csv}");
    // At step 20 the mean is the first refresh, over the batch of `raw`; at step 100 it is over five refreshes.
    assert!((found[0].2 - found[1].2).abs() < 0.01, "{csv}");
    assert!(found[3].2 > found[2].2 + 0.02, "{csv}");
}

#[test]
fn a_base_alone_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let line = "study curvature lr --at 3 --optimizer adam --large 100";
    let output = fosi(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let csv = fs::read_to_string(folder.path().join("curvature/curvature.csv")).unwrap();
    let found = read(&csv);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(found.len(), 1, "{csv}");
    assert_eq!(found[0].1, "raw");
}

#[test]
fn what_lies_beyond_run_or_data_is_refused() {
    let cases = [
        ("--at 0", "--at names step 0"),
        ("--at 5,5", "--at names step 5"),
        (
            "--at 9,12 --steps 10",
            "--at names step 12, and the run has 10 steps",
        ),
        (
            "--at 5 --samples 2000",
            "--samples is 2000: allowed are 1 to 1437",
        ),
        ("--at 5 --large 0", "--large is 0"),
        ("--at 5 --optimizer fosi-hp", "did you mean `fosi-hb`?"),
    ];
    for (options, part) in cases {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("study curvature lr {options}");
        let output = fosi(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{part} in {message}");
    }
}
