//! The five tasks from outside, on small generated data: training, files, reproducibility and refusals.

use std::f64::consts::TAU;
use std::fs;
use std::process::Command;

use crate::folder::{Folder, real_data};
use crate::program::fosi;
use fosi_lab::optimizers::Family;
use fosi_lab::runs::{RefreshOutcome, RefreshRecord, Run, RunStatus};
use image::{Rgb, RgbImage};
use strum::IntoEnumIterator;

/// Twelve images of 32×32 in each of two classes: horizontal or vertical stripes.
pub fn images(folder: &Folder) {
    for (class, along) in [("along", true), ("across", false)] {
        for part in ["train", "test"] {
            for index in 0..12_u32 {
                let image = RgbImage::from_fn(32, 32, |x, y| {
                    let phase = if along { x } else { y } + index;
                    let byte = if phase % 8 < 4 { 40 } else { 200 };
                    Rgb([byte, byte + index as u8, 255 - byte])
                });
                let path = folder.write(&format!("cifar10/{part}/{class}/{index}.png"), "");
                image.save(path).unwrap();
            }
        }
    }
}

pub fn text(folder: &Folder) {
    let lines = (0..80).map(|i| format!("line {} says the same as line {}\n", i % 7, (i + 3) % 7));
    folder.write("tinyshakespeare/input.txt", lines.collect::<String>());
}

/// Eight recordings of each of two digits by one speaker, half a second at 8 kHz; the pitch encodes the digit.
pub fn sounds(folder: &Folder) {
    for digit in 0..2_u32 {
        for index in 0..8_u32 {
            let frequency = f64::from(400 + 800 * digit + 10 * index);
            let sample = |i: u32| {
                let phase = TAU * frequency * f64::from(i) / 8000.0;
                (8000.0 * phase.sin()) as i16
            };
            let data: Vec<u8> = (0..4000).flat_map(|i| sample(i).to_le_bytes()).collect();
            let mut wav = b"RIFF".to_vec();
            wav.extend((36 + data.len() as u32).to_le_bytes());
            wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
            wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
            wav.extend(b"\x02\0\x10\0data");
            wav.extend((data.len() as u32).to_le_bytes());
            wav.extend(data);
            folder.write(&format!("fsdd/recordings/{digit}_someone_{index}.wav"), wav);
        }
    }
}

/// Small enough for a debug build, with a refresh after two steps.
pub fn arguments(task: &str) -> Vec<&str> {
    let of_task: &[&str] = match task {
        "ae" => &["--width", "0.0625", "--batch", "4"],
        "lm" => &["--width", "0.03", "--sequence", "16", "--batch", "16"],
        "tl" => &["--weights", "random", "--batch", "4"],
        _ => &["--width", "0.0625", "--batch", "3"],
    };
    let common = [
        "train",
        task,
        "--data-dir",
        ".",
        "--epochs",
        "2",
        "--k",
        "2",
        "--m",
        "8",
        "--warmup",
        "2",
        "--interval",
        "3",
        "--name",
        "r",
    ];
    [&common[..], of_task].concat()
}

pub fn data_of(task: &str) -> Folder {
    let folder = Folder::new();
    match task {
        "ae" | "tl" => images(&folder),
        "lm" => text(&folder),
        _ => sounds(&folder),
    }
    folder
}

/// Trains in `folder` with further arguments; returns the run.
fn train(task: &str, folder: &Folder, more: &[&str]) -> Run {
    let output = fosi(folder.path(), &[&arguments(task), more].concat());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{task}: {message}");
    let run = Run::read(&folder.path().join("runs/r")).unwrap();
    fs::rename(folder.path().join("runs"), folder.path().join("done")).unwrap();
    run
}

fn again(folder: &Folder) {
    fs::remove_dir_all(folder.path().join("done")).unwrap();
}

#[test]
fn every_task_trains_with_every_optimizer_and_finds_its_spectrum() {
    for task in ["ae", "lm", "tl", "ac"] {
        let folder = data_of(task);
        let run = train(task, &folder, &[]);
        assert_eq!(run.record.status, RunStatus::Finished);
        assert!(run.record.failures.is_empty(), "{:?}", run.record.failures);
        assert_eq!(run.rows.len(), 2 * 4, "{task}");
        assert!(!run.record.refreshes.is_empty());
        for refresh in &run.record.refreshes {
            match &refresh.outcome {
                RefreshOutcome::Accepted { eigenvalues, .. } => {
                    assert!(eigenvalues[0] > 0.0, "{task}: {eigenvalues:?}");
                }
                RefreshOutcome::Refused { reason } => panic!("{task}: {reason}"),
            }
        }
        let has_accuracy = run.rows.iter().all(|row| row.valid_accuracy.is_some());
        assert_eq!(has_accuracy, task != "ae", "{task}");
        let sample = match task {
            "ae" => Some("reconstructions-fosi-hb-0.png"),
            "lm" => Some("text-fosi-hb-0.txt"),
            _ => None,
        };
        if let Some(sample) = sample {
            let bytes = fs::read(folder.path().join("done/r").join(sample)).unwrap();
            match task {
                "ae" => {
                    // The two validation images above their reconstructions, enlarged by a factor of three.
                    let strip = image::load_from_memory(&bytes).unwrap();
                    assert_eq!((strip.width(), strip.height()), (2 * 96, 2 * 96));
                }
                _ => assert_eq!(bytes.len(), 600),
            }
        }
    }
}

/// All columns of `metrics.csv` except times.
fn numbers(run: &Run) -> Vec<String> {
    let row = |row: &fosi_lab::runs::MetricsRow| {
        let values = [
            row.learning_rate,
            row.train_loss,
            row.valid_loss,
            row.valid_accuracy.unwrap_or(-1.0),
        ];
        let bits = values.map(f64::to_bits);
        format!(
            "{} {} {} {bits:x?} {} {}",
            row.optimizer, row.epoch, row.step, row.gradients, row.products
        )
    };
    run.rows.iter().map(row).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_on_one_thread_and_on_two() {
    for task in ["ae", "lm", "tl", "ac"] {
        let folder = data_of(task);
        let one = train(task, &folder, &["--threads", "1"]);
        again(&folder);
        let two = train(task, &folder, &["--threads", "2"]);
        assert_eq!(numbers(&one), numbers(&two), "{task}");
        again(&folder);
        let other = train(task, &folder, &["--seed", "1", "--threads", "2"]);
        let changed = |(a, b): (&String, &String)| a != b;
        assert!(numbers(&two).iter().zip(&numbers(&other)).all(changed));
    }
}

#[test]
fn the_autoencoder_of_grey_images_is_a_deep_one() {
    let folder = Folder::new();
    let arguments = [
        "train",
        "ae",
        "--data",
        "digits",
        "--width",
        "0.125",
        "--epochs",
        "2",
        "--warmup",
        "5",
        "--interval",
        "10",
        "--k",
        "2",
        "--name",
        "r",
    ];
    let output = fosi(folder.path(), &arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    let run = Run::read(&folder.path().join("runs/r")).unwrap();
    assert!(
        run.record.model.name.contains("64-32-8-32-64"),
        "{}",
        run.record.model.name
    );
    assert!(run.record.failures.is_empty());
    assert!(!run.record.refreshes.is_empty());
    let first = run.rows.iter().find(|row| row.epoch == 1).unwrap();
    let last = run.rows.iter().find(|row| row.epoch == 2).unwrap();
    assert!(last.train_loss < first.train_loss);
    // Twelve validation images of 8×8 above their reconstructions, enlarged by a factor of three.
    let strip = folder.path().join("runs/r/reconstructions-fosi-hb-0.png");
    let strip = image::open(strip).unwrap().to_rgb8();
    assert_eq!((strip.width(), strip.height()), (12 * 24, 2 * 24));
    assert!(
        strip
            .pixels()
            .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
    );
    assert!(strip.pixels().any(|pixel| pixel[0] > 200));
}

/// The README's run, on the digits without a data folder.
fn digits(folder: &Folder, more: &[&str]) -> Run {
    let common = ["train", "lr", "--epochs", "6", "--name", "r"];
    let output = fosi(folder.path(), &[&common[..], more].concat());
    assert_eq!(output.status.code(), Some(0));
    let run = Run::read(&folder.path().join("runs/r")).unwrap();
    fs::remove_dir_all(folder.path().join("runs")).unwrap();
    run
}

#[test]
fn logistic_regression_repeats_itself_on_any_number_of_threads() {
    let folder = Folder::new();
    let one = digits(&folder, &["--threads", "1"]);
    for threads in ["2", "3"] {
        let more = digits(&folder, &["--threads", threads]);
        assert_eq!(numbers(&one), numbers(&more), "{threads}");
    }
}

#[test]
fn the_interval_that_an_overhead_led_to_repeats_the_run() {
    let folder = Folder::new();
    let optimizers = ["--optimizers", "fosi-hb,fosi-adam"];
    let measured = digits(&folder, &[&optimizers[..], &["--overhead", "2"]].concat());
    for name in ["fosi-hb", "fosi-adam"] {
        let of_name = |r: &&RefreshRecord| r.optimizer.to_string() == name;
        let refreshes: Vec<&RefreshRecord> =
            measured.record.refreshes.iter().filter(of_name).collect();
        for refresh in &refreshes {
            let timing = refresh.timing.unwrap();
            assert_eq!(timing.interval, refresh.interval, "{timing:?}");
            assert!(
                timing.base_step > Some(0.0) && timing.refresh > Some(0.0),
                "{timing:?}"
            );
        }
        // The interval depends on measured times, so the step of the third refresh may vary.
        let at: Vec<u64> = refreshes.iter().map(|r| r.step).collect();
        let interval = at.get(1).map_or(1000, |second| second - at[0]);
        let until = at
            .get(2)
            .copied()
            .unwrap_or(u64::MAX)
            .min(at[0] + 2 * interval);
        let before = |run: &Run| -> Vec<String> {
            let rows = run.rows.iter().zip(numbers(run));
            let own =
                rows.filter(|(row, _)| row.optimizer.to_string() == name && row.step <= until);
            own.map(|(_, numbers)| numbers).collect()
        };
        let interval = interval.to_string();
        let repeated = digits(&folder, &["--optimizers", name, "--interval", &interval]);
        assert!(!before(&measured).is_empty(), "{at:?}");
        assert_eq!(before(&repeated), before(&measured), "{at:?}");
        assert!(repeated.record.refreshes.iter().all(|r| r.timing.is_none()));
    }
}

#[test]
fn every_task_goes_on_from_a_checkpoint_with_the_same_bits() {
    for task in ["ae", "lm", "tl", "ac"] {
        let folder = data_of(task);
        let more = [
            "--optimizers",
            "fosi-hb,fosi-adam",
            "--schedule",
            "cosine",
            "--warmup-rate",
            "2",
            // More than one batch except for `lm`, and more than an epoch's last batch.
            "--curvature-batch",
            "5",
        ];
        let whole = train(task, &folder, &more);
        again(&folder);
        train(
            task,
            &folder,
            &[&more[..], &["--checkpoint-every", "3"]].concat(),
        );
        // The run as it was when its newest checkpoint was written.
        let done = folder.path().join("done/r");
        let record = fs::read_to_string(done.join("run.json")).unwrap();
        fs::write(
            done.join("run.json"),
            record.replace("\"finished\",", "\"running\","),
        )
        .unwrap();
        let output = fosi(folder.path(), &["train", "--resume", "done/r"]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{task}: {message}");
        let resumed = Run::read(&done).unwrap();
        assert_eq!(resumed.record.status, RunStatus::Finished);
        assert_eq!(numbers(&resumed), numbers(&whole), "{task}");
        assert!(
            message.contains("epoch"),
            "{task}: nothing was trained: {message}"
        );
    }
}

/// Two epochs of ten steps with each of the optimizers. The same run, stopped during its last optimizer and resumed in
/// another process from its newest checkpoint, gives the same bits.
fn whole_and_resumed(optimizers: &[String], options: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let names = optimizers.join(",");
    let run = |name: &str, more: &[&str]| {
        let line = ["train", "lr", "--epochs", "2", "--examples", "640"];
        let named = ["--optimizers", &names, "--name", name];
        let output = fosi(here, &[&line[..], &named, options, more].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{message}");
        Run::read(&here.join("runs").join(name)).unwrap()
    };
    let whole = run("whole", &[]);
    let failures = &whole.record.failures;
    assert!(failures.is_empty(), "{failures:?}");
    run("resumed", &["--checkpoint-every", "7"]);
    let done = here.join("runs/resumed");
    let record = fs::read_to_string(done.join("run.json")).unwrap();
    let running = record.replace("\"finished\",", "\"running\",");
    fs::write(done.join("run.json"), running).unwrap();
    let output = fosi(here, &["train", "--resume", "runs/resumed"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(numbers(&Run::read(&done).unwrap()), numbers(&whole));
    whole
}

#[test]
fn every_base_trains_alone_and_inside_fosi_and_resumes_with_the_same_bits() {
    let bases = Family::iter().filter(|family| family.is_base());
    let bases: Vec<String> = bases.map(|base| base.to_string()).collect();
    let all: Vec<String> = bases
        .iter()
        .flat_map(|base| [base.clone(), format!("fosi-{base}")])
        .collect();
    let options = ["--interval", "15", "--warmup", "5"];
    let whole = whole_and_resumed(&all, &options);
    for name in &all {
        let own: Vec<f64> = whole
            .rows
            .iter()
            .filter(|row| row.optimizer.to_string() == *name)
            .map(|row| row.train_loss)
            .collect();
        assert!(own.len() == 2 && own[1] < own[0], "{name}: {own:?}");
    }
}

#[test]
fn rivals_train_and_resume_with_the_same_bits() {
    let names = ["kfac", "lbfgs", "soap", "adahessian"];
    let whole = whole_and_resumed(&names.map(str::to_owned), &[]);
    for name in names {
        let own = whole
            .rows
            .iter()
            .filter(|row| row.optimizer.to_string() == name);
        let own: Vec<_> = own.collect();
        assert_eq!(own.len(), 2);
        assert!(own[1].train_loss < own[0].train_loss, "{name}");
        // Ten steps per epoch; line searches and K-FAC's factors need further passes.
        let more = matches!(name, "kfac" | "lbfgs");
        assert_eq!(own[1].gradients > 20, more, "{name}: {}", own[1].gradients);
        // K-FAC's adaptive rates and AdaHessian's diagonal use products.
        let products = matches!(name, "kfac" | "adahessian");
        assert_eq!(own[1].products > 0, products, "{name}: {}", own[1].products);
    }
}

#[test]
fn kfac_knows_the_layers_of_every_task_but_the_recurrent_one() {
    for task in ["ae", "tl", "ac"] {
        let folder = data_of(task);
        // The helper `train` sets options of FOSI, so an optimizer with FOSI must run, too.
        let run = train(
            task,
            &folder,
            &["--optimizers", "kfac,fosi-hb", "--damping", "3"],
        );
        let own = run
            .rows
            .iter()
            .filter(|row| row.optimizer.to_string() == "kfac");
        let losses: Vec<f64> = own.map(|row| row.train_loss).collect();
        let finite = losses.iter().all(|loss| loss.is_finite());
        assert!(finite && !losses.is_empty(), "{task}: {losses:?}");
    }
    let folder = data_of("lm");
    refused(
        &folder,
        &["train", "lm", "--data-dir", ".", "--optimizers", "kfac"],
        &["recurrent layers of lm"],
    );
    refused(
        &folder,
        &["train", "lr", "--optimizers", "fosi-kfac"],
        &["fosi-kfac"],
    );
    refused(
        &folder,
        &["train", "lr", "--optimizers", "hb", "--damping", "2"],
        &["--damping", "kfac"],
    );
    refused(
        &folder,
        &["train", "lr", "--optimizers", "lbfgs", "--history", "0"],
        &["history"],
    );
    refused(
        &folder,
        &["study", "pays", "lr", "--steps", "9", "--bases", "kfac"],
        &["FOSI cannot wrap"],
    );
}

#[test]
fn a_run_that_diverges_keeps_its_last_good_state() {
    let folder = Folder::new();
    let more = ["--optimizers", "gd,fosi-hb", "--lr", "gd=0.1,hb=1e37"];
    let run = digits(&folder, &more);
    let [failure] = run.record.failures.as_slice() else {
        panic!("{:?}", run.record.failures)
    };
    assert_eq!(failure.optimizer.to_string(), "fosi-hb");
    assert!(
        failure.reason.contains("diverged") || failure.reason.contains("finite"),
        "{failure:?}"
    );
    // Gradient descent reached the end.
    assert_eq!(
        run.rows
            .iter()
            .filter(|row| row.optimizer.to_string() == "gd")
            .count(),
        6
    );
    assert!(failure.step > 0);
    assert_eq!(
        failure.state.as_deref(),
        Some("stopped-fosi-hb-0.safetensors")
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_done() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fosi"))
        .args(["train", "lr", "--epochs", "100000", "--name", "r"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first epoch's line indicates that training is in progress.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("epoch 1/"));
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("ending after this step"))
    );
    let run = Run::read(&folder.path().join("runs/r")).unwrap();
    assert_eq!(run.record.status, RunStatus::Interrupted);
    assert!(!run.rows.is_empty());
    assert!(folder.path().join("runs/r/curves.png").exists());
}

#[test]
fn the_spectrum_may_be_taken_with_running_statistics() {
    let folder = data_of("ac");
    let spectrum = |run: &Run| match &run.record.refreshes[0].outcome {
        RefreshOutcome::Accepted { eigenvalues, .. } => eigenvalues.clone(),
        RefreshOutcome::Refused { reason } => panic!("{reason}"),
    };
    let more = ["--optimizers", "hb,fosi-hb"];
    let by_batch = train("ac", &folder, &more);
    again(&folder);
    let by_average = train(
        "ac",
        &folder,
        &[&more[..], &["--hvp-mode", "eval"]].concat(),
    );
    assert_ne!(spectrum(&by_batch), spectrum(&by_average));
    // Nothing differs until the first refresh, and plain Heavy-Ball is not affected at all.
    let plain = |run: &Run| numbers(run)[..2].to_vec();
    assert_eq!(plain(&by_batch), plain(&by_average));
}

#[test]
fn features_are_computed_once_for_the_same_weights_and_images() {
    let folder = data_of("tl");
    let first = train("tl", &folder, &[]);
    let notes = first.record.notes.join("\n");
    assert!(notes.contains("computed in"), "{notes}");
    again(&folder);
    let second = train("tl", &folder, &[]);
    let notes = second.record.notes.join("\n");
    assert!(notes.contains("computing them took"), "{notes}");
    assert_eq!(numbers(&first), numbers(&second));

    // A damaged file is recomputed.
    let cache = folder.path().join("fosi-cache");
    let files: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2);
    for file in &files {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() - 5]).unwrap();
    }
    again(&folder);
    let third = train("tl", &folder, &[]);
    assert!(third.record.notes.join("\n").contains("computed in"));
    assert_eq!(numbers(&first), numbers(&third));

    // Other images have other features.
    again(&folder);
    train("tl", &folder, &["--examples", "10"]);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 3);
}

#[test]
fn tables_and_figures_come_of_runs() {
    let folder = data_of("lm");
    train(
        "lm",
        &folder,
        &["--optimizers", "hb,fosi-hb", "--lr-grid", "0.1,3"],
    );
    let table = fosi(folder.path(), &["table", "done/r"]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains("### Table 1") && text.contains("### Table 2"));
    assert!(text.contains("| lm (r) | hb | validation loss |"), "{text}");
    assert!(text.contains("| 0.77 |"), "{text}");
    let csv = fosi(folder.path(), &["table", "done/r", "--format", "csv"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("table,run,task,data,base,measure,seeds,"));

    let figure = fosi(folder.path(), &["figure", "done/r", "--out", "drawn"]);
    assert_eq!(figure.status.code(), Some(0));
    // The paper's Figure 2 is for `ac`.
    assert!(!folder.path().join("drawn/figure2.svg").exists());
    for name in ["figure5", "training", "validation"]
        .into_iter()
        .flat_map(|name| [format!("{name}.svg"), format!("{name}.png")])
    {
        let length = folder
            .path()
            .join("drawn")
            .join(&name)
            .metadata()
            .unwrap()
            .len();
        assert!(length > 1000, "{name}");
    }
}

/// The message must contain each of `parts`, the status must be 2, and no run may remain.
fn refused(folder: &Folder, arguments: &[&str], parts: &[&str]) {
    let output = fosi(folder.path(), arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    for part in parts {
        assert!(
            message.contains(part),
            "{arguments:?}: `{part}` in {message}"
        );
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn bad_input_is_named() {
    let empty = Folder::new();
    refused(&empty, &["train", "ae"], &["cifar10", "--data-dir"]);
    refused(
        &empty,
        &["train", "ae", "--data-dir", "."],
        &["contains no images", "data_batch_1.bin"],
    );
    refused(&empty, &["train", "lm", "--data-dir", "."], &["input.txt"]);
    refused(&empty, &["train", "ac", "--data-dir", "."], &["recordings"]);
    refused(
        &empty,
        &["train", "ac", "--data", "audioset", "--data-dir", "."],
        &["class_labels_indices.csv"],
    );
    refused(
        &empty,
        &["train", "tl", "--data-dir", "."],
        &["--weights", "https://"],
    );
    refused(
        &empty,
        &["train", "tl", "--data-dir", ".", "--weights", "w.pth"],
        &["w.pth", "https://"],
    );
    refused(
        &empty,
        &["train", "lm", "--data", "mnist"],
        &["task lm", "tinyshakespeare"],
    );
    refused(
        &empty,
        &["train", "lr", "--width", "0.5"],
        &["--width is for ae and lm and ac, not for lr"],
    );
    for (option, value) in [
        ("--sequence", "8"),
        ("--weights", "random"),
        ("--cache", "c"),
        ("--hvp-mode", "eval"),
    ] {
        let wanted = format!("{option} is for ");
        refused(
            &empty,
            &["train", "ae", option, value],
            &[&wanted, "not for ae"],
        );
    }
    refused(&empty, &["train", "ae", "--width", "0"], &["--width is 0"]);
    refused(
        &empty,
        &["train", "ae", "--data", "digits", "--skip-damaged"],
        &["--skip-damaged has no effect on digits"],
    );
    refused(
        &empty,
        &["train", "lm", "--sequence", "0"],
        &["--sequence is 0"],
    );
    refused(
        &empty,
        &["train", "ae", "--clip-gradient", "-1"],
        &["--clip-gradient is -1"],
    );
    refused(
        &empty,
        &["train", "lr", "--lr-grid", "0.1,x"],
        &["`x`", "0.001 to 1000"],
    );
    refused(
        &empty,
        &["train", "lr", "--lr-grid", "1"],
        &["names hb twice"],
    );
    refused(
        &empty,
        &["train", "lr", "--preset", "smal"],
        &["did you mean `small`?"],
    );
    refused(
        &empty,
        &["train", "lr", "--device", "cuda"],
        &["built without cuda", "--features cuda"],
    );
    refused(&empty, &["table", "none"], &["none/run.json"]);

    let short = Folder::new();
    short.write("input.txt", "too short");
    refused(
        &short,
        &["train", "lm", "--data-dir", "."],
        &["input.txt", "too short"],
    );

    let foreign = data_of("lm");
    let path = foreign.path().join("tinyshakespeare/input.txt");
    let mut words = fs::read_to_string(&path).unwrap();
    words.insert_str(10, "caf\u{e9} \u{2014} ");
    fs::write(&path, words).unwrap();
    refused(
        &foreign,
        &["train", "lm", "--data-dir", "."],
        &["input.txt", "--skip-damaged"],
    );
    let run = train(
        "lm",
        &foreign,
        &["--skip-damaged", "--optimizers", "fosi-hb"],
    );
    assert_eq!(
        run.record.notes[0],
        "2 characters that are not ASCII were replaced by question marks"
    );

    let spoiled = data_of("ae");
    let bad = spoiled.write("cifar10/train/along/3.png", "no image");
    refused(
        &spoiled,
        &["train", "ae", "--data-dir", ".", "--batch", "2"],
        &["along/3.png"],
    );
    let skipped = ["--skip-damaged", "--optimizers", "fosi-hb"];
    let run = train("ae", &spoiled, &skipped);
    assert_eq!(run.record.data.train, 21);
    assert!(run.record.notes[0].contains("along/3.png"));
    fs::remove_file(bad).unwrap();
    refused(
        &spoiled,
        &["train", "ae", "--data-dir", ".", "--batch", "100"],
        &["--batch 100"],
    );

    let silent = data_of("ac");
    silent.write("fsdd/recordings/1_someone_7.wav", "no sound");
    refused(
        &silent,
        &["train", "ac", "--data-dir", ".", "--batch", "2"],
        &["1_someone_7.wav"],
    );
}

#[test]
fn data_check_says_what_is_whole() {
    let folder = data_of("ac");
    text(&folder);
    let output = fosi(folder.path(), &["data", "check", "."]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("mnist            not there"), "{text}");
    assert!(
        text.contains("fsdd             whole: 6 training and 10 validation clips"),
        "{text}"
    );
    assert!(
        text.contains("the publishers give 3000 recordings"),
        "{text}"
    );

    folder.write("fsdd/recordings/1_someone_7.wav", "no sound");
    let output = fosi(folder.path(), &["data", "check", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("fsdd             damaged: "));
    let output = fosi(folder.path(), &["data", "check", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_dry_run_counts_and_reads_no_more_than_it_must() {
    for task in ["ae", "lm", "tl", "ac"] {
        let folder = data_of(task);
        let trained = train(task, &folder, &[]).record;
        again(&folder);
        fs::remove_dir_all(folder.path().join("fosi-cache")).ok();
        // Damage is detected only when the file is read.
        match task {
            "ae" | "tl" => drop(folder.write("cifar10/train/along/3.png", "no image")),
            "ac" => drop(folder.write("fsdd/recordings/1_someone_7.wav", "no sound")),
            _ => {}
        }
        let output = fosi(
            folder.path(),
            &[&arguments(task)[..], &["--dry-run"]].concat(),
        );
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{task}: {message}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (model, data) = (&trained.model, &trained.data);
        let counts = format!("{} training, {} validation", data.train, data.validation);
        let bytes =
            |vectors: usize| format!("{:.1}", (4 * vectors * model.parameters) as f64 / 1e3);
        for part in [
            &model.name,
            &format!("parameters       {}", model.parameters),
            &counts,
            // k = 2 and a mean of rank 4; m = 8, and the probe's four.
            "memory           3(k+l)n: ",
            "kept for 6 eigenvectors; mn: ",
            "for 12 Lanczos vectors",
            "refresh          at most about ",
            ": 13 gradients in f64 of ",
        ] {
            assert!(text.contains(part), "{task}: `{part}` in\n{text}");
        }
        if model.parameters < 100_000 {
            assert!(
                text.contains(&format!("mn: {} kB", bytes(12))),
                "{task}:\n{text}"
            );
        }
        assert!(!folder.path().join("runs").exists());
        assert!(!folder.path().join("fosi-cache").exists());
    }
}

#[test]
fn a_dry_run_without_fosi_tells_of_no_estimation() {
    let folder = Folder::new();
    let output = fosi(
        folder.path(),
        &["train", "lr", "--optimizers", "hb", "--dry-run"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("optimizers       hb"), "{text}");
    assert!(!text.contains("Lanczos vectors"), "{text}");
}

/// The real data, if available, with the paper's models and batches.
#[test]
fn a_dry_run_of_the_papers_settings_takes_seconds() {
    let Some(directory) = real_data("") else {
        return;
    };
    let directory = directory.to_str().unwrap();
    let folder = Folder::new();
    for (task, more) in [
        ("lr", &[][..]),
        ("ae", &[]),
        ("lm", &[]),
        ("tl", &["--weights", "random"]),
        ("ac", &["--data", "fsdd"]),
    ] {
        let line = [
            "train",
            task,
            "--preset",
            "paper",
            "--dry-run",
            "--data-dir",
            directory,
        ];
        let started = std::time::Instant::now();
        let output = fosi(folder.path(), &[&line[..], more].concat());
        let seconds = started.elapsed().as_secs_f64();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{task}: {message}");
        eprintln!(
            "{task}: {seconds:.1} s\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(seconds < 10.0, "{task}: {seconds} s");
    }
}

#[test]
fn a_run_on_other_data_is_not_resumed() {
    let folder = data_of("lm");
    let run = train("lm", &folder, &["--checkpoint-every", "3"]);
    assert_eq!(run.record.data.checksum.len(), 64);
    let done = folder.path().join("done/r");
    let record = fs::read_to_string(done.join("run.json")).unwrap();
    let going_on = record.replace("\"finished\",", "\"running\",");
    fs::write(done.join("run.json"), going_on).unwrap();
    // The same number of characters, with one of them changed.
    let path = folder.path().join("tinyshakespeare/input.txt");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("same", "some", 1)).unwrap();
    refused(
        &folder,
        &["train", "--resume", "done/r"],
        &["done/r has changed"],
    );
    fs::write(&path, text).unwrap();
    let output = fosi(folder.path(), &["train", "--resume", "done/r"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn runs_on_data_of_other_content_are_not_compared() {
    let folder = data_of("lm");
    train("lm", &folder, &[]);
    fs::rename(folder.path().join("done"), folder.path().join("first")).unwrap();
    let path = folder.path().join("tinyshakespeare/input.txt");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("same", "some", 1)).unwrap();
    train("lm", &folder, &[]);
    refused(
        &folder,
        &["compare", "first/r", "done/r"],
        &[
            "trained on tinyshakespeare (",
            "SHA-256",
            "on the same data",
        ],
    );
}
