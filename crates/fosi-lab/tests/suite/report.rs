//! `fosi report`: pages of real runs, invalid input, `--watch`, and rendering in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::program::fosi;
use fosi_lab::config::{Preset, TaskName, TrainConfig};
use fosi_lab::runs::{
    DataDescription, MetricsRow, ModelDescription, RunFolder, RunRecord, RunStatus,
};

/// Trains logistic regression in `folder/runs/name`.
fn trained(folder: &Path, name: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["train", "lr", "--name", name];
    arguments.extend(more);
    fosi(folder, &arguments)
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_run_ends_with_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let few = ["--epochs", "2", "--optimizers", "hb,fosi-hb"];
    let output = trained(folder.path(), "r", &few);
    let told = "The page about the run is runs/r/report.html";
    assert!(text_of(&output).contains(told), "{}", text_of(&output));
    let own = folder.path().join("runs/r/report.html");
    let first = fs::read(&own).unwrap();

    let output = fosi(
        folder.path(),
        &["report", "runs/r", "--out", "new/page.html"],
    );
    assert!(output.status.success());
    assert!(text_of(&output).contains("The page is new/page.html"));
    assert_eq!(
        fs::read(folder.path().join("new/page.html")).unwrap(),
        first
    );

    // A resumed run also writes its page.
    fs::remove_file(&own).unwrap();
    assert!(
        fosi(folder.path(), &["train", "--resume", "runs/r"])
            .status
            .success()
    );
    assert_eq!(fs::read(&own).unwrap(), first);

    // The table is printed even if the page cannot be written.
    fs::remove_file(&own).unwrap();
    fs::create_dir_all(own.join("inside")).unwrap();
    let output = fosi(folder.path(), &["train", "--resume", "runs/r"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("Validation accuracy"));
    assert!(
        !text_of(&output).contains("The page"),
        "{}",
        text_of(&output)
    );
}

/// Checks that the runs are refused with each of `parts` in the message and without a page.
fn refused(folder: &Path, runs: &[&str], parts: &[&str]) {
    let output = fosi(folder, &[&["report"], runs].concat());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{runs:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{runs:?}: `{part}` in {message}");
    }
    assert!(!folder.join("report.html").exists());
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let written = written(folder.path(), RunStatus::Finished);
    drop(written);
    refused(folder.path(), &[], &["<RUN>"]);
    refused(
        folder.path(),
        &["none"],
        &["none/run.json", "as `fosi train` makes them?"],
    );
    refused(folder.path(), &["r", "none"], &["none/run.json"]);
    refused(folder.path(), &["r", "./r"], &["given twice"]);
    refused(
        folder.path(),
        &["r", "--out", "r"],
        &["r is a folder", "--out r/report.html"],
    );
    refused(
        folder.path(),
        &["r", "--out", "r/run.json/page.html"],
        &["run.json is a file"],
    );

    let metrics = folder.path().join("r/metrics.csv");
    let rows = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{rows}hb,1\n")).unwrap();
    refused(
        folder.path(),
        &["r"],
        &["metrics.csv is damaged at line 3", "leave the run out"],
    );
    fs::write(&metrics, rows).unwrap();
    let record = folder.path().join("r/run.json");
    let json = fs::read_to_string(&record).unwrap();
    fs::write(&record, &json[..json.len() / 2]).unwrap();
    refused(
        folder.path(),
        &["r"],
        &["run.json is damaged", "put back a copy"],
    );
    fs::write(&record, json.replace("\"format\": 4", "\"format\": 99")).unwrap();
    refused(folder.path(), &["r"], &["format 99"]);
}

#[test]
fn a_damaged_run_is_left_out_of_the_page_of_others() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path(), RunStatus::Finished));
    let other = folder.path().join("damaged");
    fs::create_dir(&other).unwrap();
    fs::copy(folder.path().join("r/run.json"), other.join("run.json")).unwrap();
    fs::write(other.join("metrics.csv"), "optimizer\nhb\n").unwrap();
    let output = fosi(folder.path(), &["report", "r", "damaged"]);
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    let reason = "A run is left out: damaged/metrics.csv is damaged at line 1";
    assert!(text_of(&output).contains(reason), "{}", text_of(&output));
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains(reason) && page.contains("finished"), "{page}");
    // Of damaged runs alone there is nothing to show.
    fs::remove_file(folder.path().join("report.html")).unwrap();
    refused(folder.path(), &["damaged"], &["is damaged at line 1"]);
}

fn row(epoch: u64) -> MetricsRow {
    MetricsRow {
        optimizer: "hb".parse().unwrap(),
        seed: 0,
        epoch,
        step: 23 * epoch,
        learning_rate: 0.1,
        train_loss: 1.0 / epoch as f64,
        valid_loss: 1.0 / epoch as f64,
        valid_accuracy: Some(0.9),
        train_seconds: epoch as f64,
        refresh_seconds: 0.0,
        gradients: 23 * epoch,
        products: 0,
    }
}

fn record(status: RunStatus) -> RunRecord {
    let model = ModelDescription {
        name: "m".to_owned(),
        parameters: 650,
    };
    let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
    let data = DataDescription {
        name: "digits".to_owned(),
        train: 1437,
        validation: 360,
        shape: vec![64],
        classes: 10,
        checksum: String::new(),
    };
    let mut record = RunRecord::start("r", &config, model, data);
    if status != RunStatus::Running {
        record.finish(status);
    }
    record
}

/// A run `folder/r` after one epoch.
fn written(folder: &Path, status: RunStatus) -> RunFolder {
    let mut run = RunFolder::create(folder, "r").unwrap();
    run.append(&row(1)).unwrap();
    run.write_record(&record(status)).unwrap();
    run
}

fn watching(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(["report", "r", "--watch"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the page contains a text, at most one minute.
fn wait_for(page: &Path, text: &str) -> String {
    let begin = Instant::now();
    loop {
        let page = fs::read_to_string(page).unwrap_or_default();
        if page.contains(text) {
            // The page is never incomplete.
            assert!(page.trim_end().ends_with("</html>"));
            return page;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "no {text} in {page}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_watched_page_follows_the_run_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = written(folder.path(), RunStatus::Running);
    let page = folder.path().join("report.html");
    let watch = watching(folder.path());
    let first = wait_for(&page, "http-equiv=\"refresh\"");
    assert!(first.contains("shows its results so far") && !first.contains("epoch 2"));
    run.append(&row(2)).unwrap();
    wait_for(&page, "epoch 2");
    run.write_record(&record(RunStatus::Finished)).unwrap();
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text_of(&output).contains("no run is in progress"),
        "{}",
        text_of(&output)
    );
    let last = fs::read_to_string(&page).unwrap();
    assert!(!last.contains("http-equiv=\"refresh\""));
}

#[test]
fn a_run_that_is_cut_off_ends_watching() {
    let folder = tempfile::tempdir().unwrap();
    let run = written(folder.path(), RunStatus::Running);
    let page = folder.path().join("report.html");
    let watch = watching(folder.path());
    wait_for(&page, "http-equiv=\"refresh\"");
    // The lock is released as if the process had been killed; no file changes.
    drop(run);
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let last = fs::read_to_string(&page).unwrap();
    assert!(last.contains("The run was cut off"), "{last}");
    assert!(!last.contains("http-equiv=\"refresh\""));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_watching_and_keeps_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let _run = written(folder.path(), RunStatus::Running);
    let watch = watching(folder.path());
    let page = folder.path().join("report.html");
    let text = wait_for(&page, "http-equiv=\"refresh\"");
    let id = watch.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
}

/// The browser named by `FOSI_CHROMIUM`, or `chromium`; `None`, with a message, if there is none.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("FOSI_CHROMIUM").map(PathBuf::from);
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        let mut places = std::env::split_paths(&places).map(|place| place.join("chromium"));
        places.find(|program| program.is_file())
    };
    let program = named.or_else(found);
    if program.is_none() {
        eprintln!("skipped: there is no chromium, and FOSI_CHROMIUM names none");
    }
    program
}

/// Opens a page; returns the document after its scripts have run, and the console's messages.
fn opened(program: &Path, page: &Path, fragment: &str) -> (String, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=2000",
        ])
        .args(["--window-size=1200,900", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{fragment}", page.display()))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let console = stderr.lines().filter(|line| line.contains("CONSOLE"));
    (text_of(&output), console.map(str::to_owned).collect())
}

/// Uses the page like a user and writes what is visible into the document.
const PROBE: &str = r#"<script>
const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.getClientRects().length).length;
const told = [];
const tell = (name, value) => told.push(`${name}: ${value};`);
tell("all", seen(".curves .chart"));
tell("epochs", seen(".chart.epochs.logarithmic"));
tell("seconds", seen(".chart.seconds.linear"));
document.querySelector(".pick-steps").click();
document.querySelector(".pick-linear").click();
tell("then all", seen(".curves .chart"));
tell("then steps", seen(".chart.steps.linear"));
tell("lines", seen(".chart.steps .line0"));
document.querySelector(".toggle0").click();
tell("then lines", seen(".chart.steps .line0"));
tell("others", seen(".chart.steps .line1"));
tell("address", location.hash);
const chart = document.querySelector(".chart.steps.linear");
chart.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
const reading = () => chart.closest("figure").querySelector(".reading")?.innerText.replace(/\s+/g, " ").trim();
tell("first", reading());
chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
tell("second", reading());
tell("wide", document.documentElement.scrollWidth > innerWidth);
const made = document.createElement("pre");
made.textContent = told.join(" ");
document.body.append(made);
</script>"#;

#[test]
fn a_browser_shows_curves_and_table_and_its_console_is_empty() {
    let Some(program) = chromium() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let few = [
        "--epochs",
        "3",
        "--optimizers",
        "hb,fosi-hb",
        "--seeds",
        "0,1",
    ];
    assert!(trained(folder.path(), "r", &few).status.success());
    let page = folder.path().join("runs/r/report.html");
    let (document, console) = opened(&program, &page, "");
    assert_eq!(console, Vec::<String>::new());
    // Drawn by the program and kept by the browser: three measures with three axes, losses with two scales; two
    // optimizers.
    assert_eq!(
        document.matches("<path class=\"stroke line").count(),
        3 * 5 * 2
    );
    assert!(document.contains("Validation accuracy</caption>"));
    assert_eq!(document.matches("type=\"radio\"").count(), 5);
    assert_eq!(document.matches("type=\"checkbox\"").count(), 2);
    // Created by the script.
    assert!(document.contains("class=\"reading\" role=\"status\""));

    let text = fs::read_to_string(&page).unwrap();
    let probed = folder.path().join("probed.html");
    fs::write(&probed, text.replace("</body>", &format!("{PROBE}</body>"))).unwrap();
    let (document, console) = opened(&program, &probed, "");
    assert_eq!(console, Vec::<String>::new());
    let usual = "all: 3; epochs: 3; seconds: 0; then all: 3; then steps: 3; lines: 6; then lines: 0; others: 6;";
    assert!(document.contains(usual), "{}", last_line(&document));
    assert!(
        document.contains("address: #show=g0-steps,g0-linear,g0-line0;"),
        "{}",
        last_line(&document)
    );
    let losses = training_losses(&text, "fosi-hb");
    let reading = |step: &str, loss: &str| format!("step {step} fosi-hb {loss}");
    assert!(
        document.contains(&format!("first: {};", reading("23", &losses[0]))),
        "{}",
        last_line(&document)
    );
    assert!(
        document.contains(&format!("second: {};", reading("46", &losses[1]))),
        "{}",
        last_line(&document)
    );
    assert!(
        document.contains("wide: false;"),
        "{}",
        last_line(&document)
    );

    // The address stores the choices.
    let (document, _) = opened(&program, &probed, "#show=g0-seconds,g0-linear");
    assert!(
        document.contains("all: 3; epochs: 0; seconds: 3;"),
        "{}",
        last_line(&document)
    );

    // The choices also work without the page's script.
    let start = text.rfind("<script>").unwrap();
    fs::write(&probed, format!("{}{PROBE}", &text[..start])).unwrap();
    let (document, console) = opened(&program, &probed, "");
    assert_eq!(console, Vec::<String>::new());
    assert!(document.contains(usual), "{}", last_line(&document));
    assert!(
        document.contains("address: ; first: undefined;"),
        "{}",
        last_line(&document)
    );

    // A script error would have been detected.
    fs::write(
        &probed,
        text.replace("</body>", "<script>null.none</script></body>"),
    )
    .unwrap();
    let (_, console) = opened(&program, &probed, "");
    assert!(
        console.iter().any(|line| line.contains("TypeError")),
        "{console:?}"
    );
}

/// The probe's output.
fn last_line(document: &str) -> &str {
    document.rsplit("<pre>").next().unwrap_or(document)
}

/// An optimizer's training losses in the page's table.
fn training_losses(page: &str, optimizer: &str) -> Vec<String> {
    let table = page
        .split("<caption>Training loss</caption>")
        .nth(1)
        .unwrap();
    let (head, body) = table.split_once("</thead>").unwrap();
    let columns: Vec<&str> = head.split("<th scope=\"col\">").skip(1).collect();
    let own = |column: &&str| column.starts_with(optimizer);
    let column = columns.iter().position(own).unwrap();
    let body = body.split("</tbody>").next().unwrap();
    let cell = |row: &str| {
        let text = row.split("<td>").nth(column + 1).unwrap();
        text.split("</td>").next().unwrap().to_owned()
    };
    body.split("<tr>").skip(1).map(cell).collect()
}
