//! `fosi solve`: its table, files and refusals.

use std::fs;
use std::path::Path;

use crate::program::fosi;

#[test]
fn a_problem_is_solved_by_both_solvers_and_kept_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = fosi(folder.path(), &["solve", "kernel-ridge", "--budget", "600"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Few eigenvalues are far above the others in this problem: using them takes 364 units instead of 870.
    let row = |solver: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(solver))
            .unwrap()
    };
    assert!(row("fosi").ends_with("solved"), "{text}");
    assert!(row("lbfgs").ends_with("the budget is used up"), "{text}");
    let read = |name: &str| fs::read(folder.path().join("solve").join(name)).unwrap();
    // Both begin at the same start point with one gradient.
    let start = |name: &str| {
        let curve = String::from_utf8(read(name)).unwrap();
        let mut lines = curve.lines();
        assert_eq!(lines.next(), Some("cost,seconds,value"));
        let first = lines.next().unwrap();
        assert!(first.starts_with("1,"), "{first}");
        first.rsplit_once(',').unwrap().1.to_owned()
    };
    let starts = ["fosi", "lbfgs"].map(|solver| start(&format!("kernel-ridge/{solver}-0.csv")));
    assert_eq!(starts[0], starts[1]);
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
    // The first seed's solution is drawn, with the table's error.
    let runs = folder.path().join("solve/poisson1d");
    let picture = fs::read_to_string(runs.join("lbfgs-0.svg")).unwrap();
    assert!(
        picture.contains(&format!("relative L2 error {:.1e}", errors[0])),
        "{picture}"
    );
    assert!(!runs.join("lbfgs-1.svg").exists());
}

/// Runs `fosi solve` with these options, which must succeed; returns the output and the notices.
fn solve(folder: &Path, line: &str) -> (String, String) {
    let words: Vec<&str> = std::iter::once("solve").chain(line.split(' ')).collect();
    let output = fosi(folder, &words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    (out, err)
}

fn record(folder: &Path, file: &str) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("solve").join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn rivals_reach_published_minima() {
    let folder = tempfile::tempdir().unwrap();
    let solvers = ["lbfgs-argmin", "newton-cg", "bfgs", "adam-lbfgs"];
    let line = format!(
        "mgh:rosenbrock mgh:kowalik-osborne --solvers {}",
        solvers.join(",")
    );
    let (text, _) = solve(folder.path(), &line);
    for solver in solvers {
        // The paper's minima, to its number of digits.
        let value = |problem: &str| {
            let file = format!("{problem}/{solver}-0.json");
            record(folder.path(), &file)["value"].as_f64().unwrap()
        };
        assert!(value("mgh-rosenbrock") < 1e-6, "{solver}");
        let gap = value("mgh-kowalik-osborne") - 3.07505e-4;
        assert!(gap.abs() < 1e-8, "{solver}: {gap}");
        let line = format!("{solver}: solved 2 of 2 runs");
        assert!(text.contains(&line), "{text}");
    }
    let profile = fs::read_to_string(folder.path().join("solve/profile.svg")).unwrap();
    assert!(profile.contains("Performance profile over 2 problems"));
}

#[test]
fn kept_runs_are_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mgh:rosenbrock mgh:watson --budget 300";
    let (first, _) = solve(folder.path(), line);
    let before = record(folder.path(), "mgh-watson/fosi-0.json");
    let (second, notices) = solve(folder.path(), line);
    assert_eq!(first, second);
    assert_eq!(
        notices.matches("is kept from an earlier start").count(),
        4,
        "{notices}"
    );
    // A new run would have other times.
    assert_eq!(before, record(folder.path(), "mgh-watson/fosi-0.json"));
    let last = first.lines().last().unwrap();
    assert!(last.starts_with("solved 2 of 2 "), "{last}");

    // A new budget requires new runs, and those of the old budget are omitted.
    let line = "mgh:watson --budget 400 --solvers fosi";
    let (text, notices) = solve(folder.path(), line);
    assert_eq!(
        record(folder.path(), "mgh-watson/fosi-0.json")["budget"],
        400
    );
    assert!(
        notices.contains("lbfgs, seed 0, was made with other settings"),
        "{notices}"
    );
    assert!(!text.contains("lbfgs"), "{text}");
}

#[test]
fn runs_of_another_version_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mgh:rosenbrock --solvers lbfgs --seeds 0,1";
    solve(folder.path(), line);
    let made = record(folder.path(), "mgh-rosenbrock/lbfgs-0.json");
    for seed in ["0", "1"] {
        let path = folder
            .path()
            .join(format!("solve/mgh-rosenbrock/lbfgs-{seed}.json"));
        let text = fs::read_to_string(&path).unwrap();
        let version = made["version"].as_str().unwrap();
        fs::write(&path, text.replace(version, "fosi 0.0.1")).unwrap();
    }
    let (_, notices) = solve(folder.path(), "mgh:rosenbrock --solvers lbfgs --seed 0");
    assert!(
        !notices.contains("is kept from an earlier start"),
        "{notices}"
    );
    let left_out = "lbfgs, seed 1, was made with other settings (fosi 0.0.1) and is left out";
    assert!(notices.contains(left_out), "{notices}");
    let again = record(folder.path(), "mgh-rosenbrock/lbfgs-0.json");
    assert_eq!(again["version"], made["version"]);
    assert_eq!(again["value"], made["value"]);
}

#[test]
fn a_budget_may_be_time() {
    let folder = tempfile::tempdir().unwrap();
    let solvers = ["lbfgs", "adam-lbfgs", "lbfgs-argmin"];
    let line = format!("helmholtz --budget 0.2s --solvers {}", solvers.join(","));
    let (text, _) = solve(folder.path(), &line);
    for solver in solvers {
        let run = record(folder.path(), &format!("helmholtz/{solver}-0.json"));
        assert_eq!(run["budget"], "0.2s", "{text}");
        assert_eq!(run["stopped"], "budget", "{text}");
        assert!(run["seconds"].as_f64().unwrap() >= 0.2, "{text}");
        assert!(run["cost"].as_u64().unwrap() > 1, "{text}");
    }
}

/// A run of a solver unknown to the program, as a script would write it.
fn add_foreign_run(folder: &Path) {
    let runs = folder.join("solve/mgh-rosenbrock");
    fs::create_dir_all(&runs).unwrap();
    let json = r#"{"format": 1, "solver": "scipy-lbfgsb-10", "seed": 0, "problem": "mgh:rosenbrock", "n": 2,
        "budget": 300, "memory": 10, "value": 1e-08, "gradient_norm": 1e-4, "cost": 29, "gradients": 29, "products": 0,
        "estimations": 0, "solved_at": 29, "relative_error": null, "seconds": 0.01, "stopped": "solved",
        "reason": "solved", "version": "scipy 1.17.0"}"#;
    fs::write(runs.join("scipy-lbfgsb-10-0.json"), json).unwrap();
    let csv = "cost,seconds,value\n1,0.000001,24.2\n29,0.010000,1e-08\n";
    fs::write(runs.join("scipy-lbfgsb-10-0.csv"), csv).unwrap();
}

#[test]
fn runs_of_other_programs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    add_foreign_run(folder.path());
    let (table, _) = solve(folder.path(), "mgh:rosenbrock --budget 300 --solvers fosi");
    let row = table
        .lines()
        .find(|line| line.trim_start().starts_with("scipy-lbfgsb-10 "));
    assert!(row.unwrap().ends_with("solved"), "{table}");
    let figure = fs::read_to_string(folder.path().join("solve/mgh-rosenbrock.svg")).unwrap();
    assert!(figure.contains("scipy-lbfgsb-10"));

    let line = "mgh:rosenbrock mgh:watson --budget 300 --solvers fosi";
    let (comparison, _) = solve(folder.path(), line);
    let fosi = record(folder.path(), "mgh-rosenbrock/fosi-0.json")["cost"]
        .as_u64()
        .unwrap();
    let ratio = fosi as f64 / 29.0;
    let row = format!("| mgh:rosenbrock | 2 | {fosi} | 29 | {ratio:.2} |");
    assert!(comparison.contains(&row), "{row} in {comparison}");
    assert!(
        comparison.contains("scipy-lbfgsb-10: solved 1 of 1"),
        "{comparison}"
    );
    assert!(
        comparison
            .lines()
            .last()
            .unwrap()
            .starts_with("solved 2 of 2 "),
        "{comparison}"
    );
}

#[test]
fn a_damaged_run_is_named() {
    let damages: [(&str, &str, &str); 4] = [
        ("json", "\"seed\": 0", "\"seed\": 1"),
        ("json", "\"format\": 1", "\"format\": 2"),
        ("csv", "24.2", "twenty-four"),
        ("csv", "29,0.01", "28,0.01"),
    ];
    for (extension, whole, damaged) in damages {
        let folder = tempfile::tempdir().unwrap();
        add_foreign_run(folder.path());
        let name = format!("scipy-lbfgsb-10-0.{extension}");
        let file = folder.path().join("solve/mgh-rosenbrock").join(&name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(whole));
        fs::write(&file, text.replace(whole, damaged)).unwrap();
        let output = fosi(
            folder.path(),
            &["solve", "mgh:rosenbrock", "--budget", "300"],
        );
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(&format!("{name} is damaged")), "{message}");
    }
}

#[test]
fn a_dense_matrix_of_thousands_of_rows_is_left_out_among_several() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mgh:rosenbrock digits-mlp --budget 300 --solvers bfgs";
    let (text, notices) = solve(folder.path(), line);
    assert!(
        notices.contains("not run: bfgs keeps n² numbers"),
        "{notices}"
    );
    assert!(text.contains("| digits-mlp | 7510 |  |"), "{text}");
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
    let cases: [(&[&str], &str); 5] = [
        (&["mgh:wattson"], "did you mean `mgh:watson`?"),
        (
            &["mgh:watson", "--solvers", "fosi,fosi"],
            "--solvers names fosi twice",
        ),
        (&["mgh:watson", "--seeds", "1,1"], "--seed names 1 twice"),
        (&["mgh:watson", "--budget", "0"], "--budget"),
        (
            &["digits-mlp", "--solvers", "bfgs"],
            "digits-mlp has n = 7510, above 5000",
        ),
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
