//! `fosi quadratic` from outside: files and their columns.

use std::process::Command;

fn quadratic(arguments: &[&str], out: &std::path::Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fosi"))
        .arg("quadratic")
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(message.is_empty(), "no bar without a terminal: {message}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn data_and_figures_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new").join("folder");
    let printed = quadratic(&["condition"], &out)
        + &quadratic(&["illustrate"], &out)
        + &quadratic(&["spectrum", "--bases", "1"], &out);
    for figure in ["figure1", "figure3", "figure4"] {
        let svg = std::fs::read_to_string(out.join(format!("{figure}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        let png = std::fs::read(out.join(format!("{figure}.png"))).unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    }
    let csv = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let figure3 = csv("figure3.csv");
    assert_eq!(figure3.lines().next(), Some("n,lambda1,optimizer,f0,f200"));
    assert_eq!(figure3.lines().count(), 1 + 60);
    let row = figure3
        .lines()
        .find(|line| line.starts_with("1500,200,fosi-hb,"))
        .unwrap();
    let values: Vec<f64> = row.split(',').skip(3).map(|v| v.parse().unwrap()).collect();
    assert!((values[0] - 25.75).abs() < 1e-12);
    assert!((values[1] / 1.50189789931e-6 - 1.0).abs() < 1e-6);
    let figure4 = csv("figure4.csv");
    assert_eq!(figure4.lines().next(), Some("optimizer,step,f"));
    assert_eq!(figure4.lines().count(), 1 + 2 * 251);
    assert!(printed.contains("Lemma 4") && printed.contains("Figure 1"));
}

#[test]
fn an_unknown_experiment_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(["quadratic", "spectra"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("spectrum"), "{message}");
}
