//! `fosi solve`: its table, files and refusals.

use std::fs;

use crate::program::fosi;

#[test]
fn a_problem_is_solved_by_both_solvers_and_kept_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = fosi(folder.path(), &["solve", "kernel-ridge", "--budget", "600"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Few eigenvalues are far above the others here: with them 364 units do, without them 870.
    let row = |solver: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(solver))
            .unwrap()
    };
    assert!(row("fosi").ends_with("solved"), "{text}");
    assert!(
        row("lbfgs").ends_with("the cost allowed is used up"),
        "{text}"
    );
    let read = |name: &str| fs::read(folder.path().join("solve").join(name)).unwrap();
    let curves = String::from_utf8(read("kernel-ridge.csv")).unwrap();
    let mut lines = curves.lines();
    assert_eq!(lines.next(), Some("solver,seed,cost,seconds,value"));
    // Both begin at the same start, in one gradient.
    let starts: Vec<&str> = lines
        .filter(|line| line.split(',').nth(2) == Some("1"))
        .collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert_eq!(
        starts[0].rsplit_once(',').unwrap().1,
        starts[1].rsplit_once(',').unwrap().1
    );
    assert!(read("kernel-ridge.svg").starts_with(b"<svg"));
    assert!(read("kernel-ridge.png").starts_with(b"\x89PNG"));
}

#[test]
fn a_network_of_physics_is_compared_with_its_solution() {
    let folder = tempfile::tempdir().unwrap();
    let line = [
        "solve",
        "poisson1d",
        "--budget",
        "50",
        "--seeds",
        "0,1",
        "--solvers",
        "lbfgs",
    ];
    let output = fosi(folder.path(), &line);
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text
        .lines()
        .filter(|line| line.trim_start().starts_with("lbfgs"));
    let errors: Vec<f64> = rows
        .map(|row| row.split_whitespace().nth(7).unwrap().parse().unwrap())
        .collect();
    assert_eq!(errors.len(), 2, "{text}");
    assert!(
        errors.iter().all(|error| *error > 0.0 && *error < 100.0),
        "{text}"
    );
}

#[test]
fn without_a_problem_all_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let output = fosi(folder.path(), &["solve"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for name in [
        "mgh:rosenbrock",
        "poisson2d",
        "kernel-ridge",
        "quadratic:1000",
    ] {
        assert!(text.lines().any(|line| line == name), "{name} in {text}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let cases: [(&[&str], &str); 4] = [
        (&["mgh:wattson"], "did you mean `mgh:watson`?"),
        (
            &["mgh:watson", "--solvers", "fosi,fosi"],
            "--solvers names fosi twice",
        ),
        (&["mgh:watson", "--seeds", "1,1"], "--seed names 1 twice"),
        (&["mgh:watson", "--budget", "0"], "--budget"),
    ];
    for (arguments, part) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = fosi(folder.path(), &[&["solve"], arguments].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{part} in {message}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
