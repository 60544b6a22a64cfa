//! `fosi study pays`: its runs, stored files, output and refusals.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Parser;
use serde_json::Value;

use crate::program::fosi;
use crate::softmax::Softmax;
use fosi_lab::cli::{Cli, Command};
use fosi_lab::commands::{self, CommandError, Surroundings};
use fosi_lab::config::TrainConfig;
use fosi_lab::data::digits;
use fosi_lab::interrupt::{EXIT_STATUS, Interrupt};
use fosi_lab::progress;
use fosi_lab::runs::{Failure, MetricsRow, RefreshRecord};
use fosi_lab::tasks::{Opening, TaskError};
use fosi_lab::train::{Observer, Start, Workload};

/// Interrupts at the end of an epoch.
struct Interrupter {
    epochs: usize,
    interrupt: Interrupt,
}

impl Observer for Interrupter {
    fn started(&mut self, _: &Start) {}
    fn busy(&mut self, _: Option<&'static str>) {}
    fn stepped(&mut self, _: f64) {}
    fn epoch(&mut self, _: &MetricsRow) {
        self.epochs -= 1;
        if self.epochs == 0 {
            self.interrupt.request();
        }
    }
    fn refused(&mut self, _: &RefreshRecord, _: &str, _: bool) {}
    fn failed(&mut self, _: &Failure, _: usize) {}
    fn ended(&mut self) {}
    fn notice(&mut self, _: &str) {}
}

/// Runs `fosi study pays lr` in a folder with the hand-written model, whose `fosi-hb` is Heavy-Ball at three times the
/// rate; returns the exit status, the output and the number of new runs.
fn by_hand(
    folder: &Path,
    line: &str,
    diverges: Option<&str>,
    interrupt_in: Option<usize>,
) -> Result<(i32, String, usize), Box<CommandError>> {
    let out = folder.to_str().unwrap();
    let words = ["fosi", "study", "pays", "lr", "--out", out];
    let words = words.into_iter().chain(line.split(' '));
    let Command::Study(command) = Cli::parse_from(words).command_or_default() else {
        panic!("a study")
    };
    let interrupt = Interrupt::new();
    let made = std::cell::Cell::new(0);
    let make_workload = |_: &TrainConfig, _: Opening| -> Result<Box<dyn Workload>, TaskError> {
        let mut softmax = Softmax::new(digits().unwrap());
        softmax.diverges = diverges.map(|name| name.parse().unwrap());
        Ok(Box::new(softmax))
    };
    let make_observer = |name: String| -> Box<dyn Observer> {
        match interrupt_in {
            Some(run) if run == made.get() => Box::new(Interrupter {
                epochs: 1,
                interrupt: interrupt.clone(),
            }),
            _ => progress::nowhere(name),
        }
    };
    let surroundings = Surroundings {
        make_workload: &make_workload,
        make_observer: &make_observer,
        notice: &|_| made.set(made.get() + 1),
        interrupt: &interrupt,
    };
    let mut text = Vec::new();
    let status = commands::study(&command, &surroundings, &mut text).map_err(Box::new)?;
    Ok((status, String::from_utf8(text).unwrap(), made.get()))
}

/// The cells of the row that starts with these.
fn cells(text: &str, start: &[&str]) -> Vec<String> {
    let start = format!("| {} |", start.join(" | "));
    let row = text.lines().find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("{start} in {text}"));
    let cells = row.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

const BY_HAND: &str = "--bases hb --steps 60 --schedule constant --grid-factor 3 --lr 0.003";

/// With rates a factor of three apart, FOSI's search repeats the base's runs one place lower.
#[test]
fn what_is_no_more_than_another_rate_saves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (status, text, _) = by_hand(folder.path(), BY_HAND, None, None).unwrap();
    assert_eq!(status, 0);
    let base = cells(&text, &["hb", "60"]);
    let fosi = cells(&text, &["fosi", "60"]);
    assert_eq!(fosi[4], "0 %", "{text}");
    assert_eq!(base[3], fosi[3], "{text}");
    let rate = |row: &[String]| row[2].parse::<f64>().unwrap();
    assert!((rate(&base) / rate(&fosi) - 3.0).abs() < 0.01, "{text}");
    assert!(
        text.contains("batch 64, S = 60, schedule constant, seed 0."),
        "{text}"
    );
    for steps in ["48", "75", "90"] {
        assert_eq!(cells(&text, &["hb", steps]).len(), base.len());
    }
}

#[test]
fn an_interrupted_study_goes_on_to_the_same_table() {
    let whole = tempfile::tempdir().unwrap();
    let (_, expected, all) = by_hand(whole.path(), BY_HAND, None, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (status, partial, first) = by_hand(folder.path(), BY_HAND, None, Some(5)).unwrap();
    assert_eq!((status, first), (EXIT_STATUS, 5));
    assert!(partial.contains("not complete"), "{partial}");
    let runs = || runs(folder.path()).len();
    assert_eq!(runs(), 5);
    let (status, text, rest) = by_hand(folder.path(), BY_HAND, None, None).unwrap();
    assert_eq!((status, rest, runs()), (0, all - 5, all));
    let losses = |text: &str| {
        let lengths = ["48", "60", "75", "90"].map(|steps| cells(text, &["hb", steps])[3].clone());
        (lengths, cells(text, &["fosi"])[3].clone())
    };
    assert_eq!(losses(&text), losses(&expected));
    // The interrupted run leaves no files, and the third start makes no runs.
    let left = fs::read_dir(folder.path().join("runs/making")).unwrap();
    assert_eq!(left.count(), 0);
    let (_, again, none) = by_hand(folder.path(), BY_HAND, None, None).unwrap();
    assert_eq!((again, none), (text, 0));
}

#[test]
fn a_method_that_diverges_is_infinitely_bad() {
    let folder = tempfile::tempdir().unwrap();
    let (_, text, _) = by_hand(folder.path(), BY_HAND, Some("fosi-hb"), None).unwrap();
    let fosi = cells(&text, &["fosi", "60", "diverges at each"]);
    assert_eq!(
        (fosi[3].as_str(), fosi[4].as_str()),
        ("∞", "< −20 %"),
        "{text}"
    );
    assert_eq!(fosi[6], "–", "{text}");
    assert!(text.contains("1 of 1 runs diverged"), "{text}");
    let (_, text, _) = by_hand(
        tempfile::tempdir().unwrap().path(),
        BY_HAND,
        Some("hb"),
        None,
    )
    .unwrap();
    assert_eq!(cells(&text, &["fosi", "60"])[4], "> 50 %", "{text}");
}

/// The stored runs by name.
fn runs(folder: &Path) -> BTreeMap<String, Value> {
    let entries = fs::read_dir(folder.join("runs")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// Runs `fosi study pays lr` with these options, which must succeed; returns the output and the notices.
fn study(folder: &Path, line: &str) -> (String, String) {
    let words = ["study", "pays", "lr"].into_iter().chain(line.split(' '));
    let output = fosi(folder, &words.collect::<Vec<_>>());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    (out, err)
}

const DIGITS: &str = "--bases hb --steps 40 --warmup 5 --interval 10 --k 3";

/// The least loss of a method's runs with one seed.
fn least(runs: &BTreeMap<String, Value>, method: &str, seed: u64) -> f64 {
    let own = runs.iter().filter(|(name, run)| {
        name.starts_with(&format!("lr-{method}-{seed}-")) && run["train_loss"].is_f64()
    });
    own.map(|(_, run)| run["train_loss"].as_f64().unwrap())
        .reduce(f64::min)
        .unwrap()
}

#[test]
fn the_table_is_what_the_kept_runs_say() {
    let folder = tempfile::tempdir().unwrap();
    let (text, told) = study(folder.path(), DIGITS);
    let kept = runs(&folder.path().join("pays"));
    assert_eq!(told.matches(", seed 0: ").count(), kept.len(), "{told}");
    // S′ computed by hand from the runs' files.
    let losses = [32, 40, 50, 60].map(|steps| least(&kept, &format!("hb-{steps}"), 0).ln());
    let fosi = least(&kept, "fosi-hb-40", 0).ln();
    let cell = cells(&text, &["fosi", "40"])[4].clone();
    let crossed = (0..3).find(|&i| losses[i] >= fosi && losses[i + 1] <= fosi);
    let expected = match crossed {
        _ if losses[0] < fosi => "< −20 %".to_owned(),
        None => "> 50 %".to_owned(),
        Some(i) => {
            let steps = [32.0, 40.0, 50.0, 60.0];
            let share = (losses[i] - fosi) / (losses[i] - losses[i + 1]);
            let reached = steps[i] + share * (steps[i + 1] - steps[i]);
            format!("{:.0} %", 100.0 * (reached / 40.0 - 1.0)).replace('-', "−")
        }
    };
    assert_eq!(cell, expected, "{text}");
    // Each run has its own cosine, determined by its settings and its length.
    let settings = |name: &str| {
        let found = kept.iter().find(|(other, _)| other.starts_with(name));
        found.unwrap().1["settings"].clone()
    };
    let longest = settings("lr-hb-60-0-");
    assert_eq!(longest["schedule"], "cosine");
    assert_eq!(longest["length"]["value"], 60);
    for file in ["md", "svg", "png"] {
        let path = folder
            .path()
            .join(format!("pays/lr-digits-cosine-40.{file}"));
        assert!(path.exists(), "{}", path.display());
    }
    let svg = fs::read_to_string(folder.path().join("pays/lr-digits-cosine-40.svg")).unwrap();
    for drawn in ["steps saved", "seconds saved", "lowest of any epoch"] {
        assert!(svg.contains(drawn), "{drawn}");
    }
}

#[test]
fn runs_are_made_again_only_where_their_settings_change() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let names = runs(&folder.path().join("pays")).into_keys();
        names.collect::<std::collections::BTreeSet<_>>()
    };
    study(folder.path(), DIGITS);
    let first = names();
    // FOSI's options do not affect its base, whether set for the study or for a variant.
    let line = "--bases hb --steps 40 --warmup 5 --interval 10 --k 4";
    study(folder.path(), line);
    let second = names();
    assert!(second.difference(&first).count() >= 3);
    for name in second.difference(&first) {
        assert!(name.starts_with("lr-fosi-hb-40-"), "{name}");
    }
    let words = ["study", "pays", "lr"].into_iter();
    let variants = ["--variant", "four=--k 4", "--variant", "three=--k 3"];
    let rest = [
        "--bases",
        "hb",
        "--steps",
        "40",
        "--warmup",
        "5",
        "--interval",
        "10",
    ];
    let line: Vec<&str> = words.chain(rest).chain(variants).collect();
    let output = fosi(folder.path(), &line);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(names(), second, "{text}");
    assert!(text.contains("four: `--k 4`.\nthree: `--k 3`.\n"), "{text}");
    cells(&text, &["four", "40"]);
    cells(&text, &["three", "40"]);
    // Another seed is trained only at the best rates.
    let (text, _) = study(folder.path(), &format!("{DIGITS} --seeds 0,1"));
    let third = names();
    let added: Vec<&String> = third.difference(&second).collect();
    assert_eq!(added.len(), 5, "{added:?}");
    assert!(cells(&text, &["hb", "40"])[3].contains('('), "{text}");
}

#[test]
fn several_processes_make_the_runs_of_one() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    study(one.path(), DIGITS);
    let (text, _) = study(two.path(), &format!("{DIGITS} --jobs 3"));
    let losses = |folder: &Path| -> BTreeMap<String, Value> {
        let runs = runs(&folder.join("pays")).into_iter();
        runs.map(|(name, run)| (name, run["train_loss"].clone()))
            .collect()
    };
    assert_eq!(losses(one.path()), losses(two.path()));
    assert!(
        text.contains("Seconds come from a loaded machine"),
        "{text}"
    );
}

#[test]
fn a_damaged_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    by_hand(folder.path(), BY_HAND, None, None).unwrap();
    let name = runs(folder.path()).into_keys().next().unwrap();
    let path = folder.path().join(format!("runs/{name}.json"));
    let whole = fs::read_to_string(&path).unwrap();
    for (part, damage) in [
        ("\"format\": 1", "\"format\": 9"),
        ("\"momentum\": 0.9", "\"momentum\": 0.8"),
        ("\"steps\"", "\"stops\""),
    ] {
        assert!(whole.contains(part), "{whole}");
        fs::write(&path, whole.replacen(part, damage, 1)).unwrap();
        let error = by_hand(folder.path(), BY_HAND, None, None).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&format!("{name}.json is damaged")),
            "{message}"
        );
        assert_eq!(error.exit_status(), 2);
    }
    // Runs on other data are not mixed with new runs.
    let shape = whole.replacen("\"train\": 1", "\"train\": 9", 1);
    assert_ne!(shape, whole);
    fs::write(&path, shape).unwrap();
    let error = by_hand(folder.path(), &format!("{BY_HAND} --seeds 0,1"), None, None).unwrap_err();
    assert!(
        error.to_string().contains("the data has changed since"),
        "{error}"
    );
}

#[test]
fn what_makes_no_study_is_refused() {
    let cases: [(&[&str], &str); 10] = [
        (&[], "--steps is missing"),
        (&["--steps", "19"], "at least 20 are needed"),
        (&["--steps", "40", "--optimizers", "hb"], "with --bases"),
        (&["--steps", "40", "--lr-grid"], "--grid-factor"),
        (
            &["--steps", "40", "--bases", "hb,hb"],
            "--bases names hb twice",
        ),
        (
            &["--steps", "40", "--variant", "x=--batch 8"],
            "--variant x sets --batch",
        ),
        (
            &["--steps", "40", "--variant", "x=--k 0"],
            "in --variant x: --k 0",
        ),
        (&["--steps", "40", "--variant", "x=--kk 1"], "'--kk'"),
        (
            &["--steps", "40", "--variant", "x", "--variant", "x"],
            "--variant names x twice",
        ),
        (
            &["--steps", "40", "--batch", "9999"],
            "larger than the training data",
        ),
    ];
    for (arguments, part) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = fosi(
            folder.path(),
            &[&["study", "pays", "lr"], arguments].concat(),
        );
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{part} in {message}");
    }
}
