//! Reading the files of a run, undamaged and damaged.

use std::fs;

use fosi::timing::{OverheadStatus, Timing};
use fosi_lab::config::{Preset, TaskName, TrainConfig};
use fosi_lab::runs::{
    DataDescription, Failure, MetricsRow, ModelDescription, RefreshOutcome, RefreshRecord, Run,
    RunError, RunFolder, RunLock, RunRecord, RunStatus,
};

fn row(epoch: u64) -> MetricsRow {
    MetricsRow {
        optimizer: "fosi-hb".parse().unwrap(),
        seed: 3,
        epoch,
        step: 23 * epoch,
        learning_rate: 1e-3 / 3.0,
        train_loss: 0.1 + 0.2,
        valid_loss: 1.0 / 3.0,
        valid_accuracy: Some(0.9),
        train_seconds: 1e-7,
        refresh_seconds: 0.0,
        gradients: 23,
        products: 40,
    }
}

fn record() -> RunRecord {
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
    let refresh = |outcome| RefreshRecord {
        optimizer: row(1).optimizer,
        seed: 3,
        step: 23,
        products: 40,
        seconds: 0.1,
        interval: Some(23),
        product_cost: Some(1.5),
        timing: Some(Timing {
            base_step: Some(0.1 + 0.2),
            fosi_step: None,
            refresh: Some(1e-3),
            interval: Some(u64::MAX),
            overhead: OverheadStatus::Unknown,
        }),
        outcome,
    };
    record.refreshes = vec![
        refresh(RefreshOutcome::Accepted {
            eigenvalues: vec![4.0, 0.1 + 0.2],
            residuals: vec![1e-17, 1e-300],
            retries: 1,
            asymmetry: Some(1e-8),
            shifted: true,
            scale: 3.0,
            next_eigenvalue: Some(0.1),
            captured_by_last: Some(0.7),
            weight: Some(0.6),
            lemma_4: Some((1e-7, 0.1, true)),
        }),
        refresh(RefreshOutcome::Refused {
            reason: "a product wasn't finite".to_owned(),
        }),
    ];
    record.failures = vec![Failure {
        optimizer: row(1).optimizer,
        seed: 3,
        epoch: 2,
        step: 30,
        reason: "the training loss is NaN".to_owned(),
        eigenvalues: vec![0.1 + 0.2],
        scale: 3.0,
        state: Some("stopped-hb-3.safetensors".to_owned()),
        state_error: None,
    }];
    record
}

/// A folder with two rows and a record.
fn written(out: &std::path::Path) -> std::path::PathBuf {
    let mut folder = RunFolder::create(out, "r").unwrap();
    folder.append(&row(1)).unwrap();
    folder.append(&row(2)).unwrap();
    folder.write_record(&record()).unwrap();
    folder.path().to_owned()
}

#[test]
fn a_run_reads_back_bit_for_bit() {
    let out = tempfile::tempdir().unwrap();
    let run = Run::read(&written(out.path())).unwrap();
    assert_eq!(run.rows, [row(1), row(2)]);
    let mut expected = record();
    expected.started = run.record.started.clone();
    // The folder is unlocked, and the record has no end.
    assert_eq!(expected.status, RunStatus::Running);
    expected.status = RunStatus::CutOff;
    assert_eq!(run.record, expected);
}

#[test]
fn a_run_is_running_while_its_folder_is_held() {
    let out = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(out.path(), "r").unwrap();
    folder.write_record(&record()).unwrap();
    let path = folder.path().to_owned();
    let status = || Run::read(&path).unwrap().record.status;
    let (held, stamp) = (status(), Run::stamp(&path));
    assert_eq!(held, RunStatus::Running);
    drop(folder);
    assert_eq!(status(), RunStatus::CutOff);
    assert_ne!(Run::stamp(&path), stamp);
    // A copy of a folder need not contain the lock file.
    std::fs::remove_file(path.join("run.lock")).unwrap();
    assert_eq!(status(), RunStatus::CutOff);
}

#[test]
fn rows_are_in_the_file_before_the_run_is_over() {
    let out = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(out.path(), "r").unwrap();
    let lines = || {
        fs::read_to_string(out.path().join("r/metrics.csv"))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(lines(), 1);
    folder.append(&row(1)).unwrap();
    assert_eq!(lines(), 2);
}

#[test]
fn a_folder_is_made_once() {
    let out = tempfile::tempdir().unwrap();
    RunFolder::check_free(out.path(), "r").unwrap();
    written(out.path());
    assert!(matches!(
        RunFolder::check_free(out.path(), "r"),
        Err(RunError::Exists { .. })
    ));
    assert!(matches!(
        RunFolder::create(out.path(), "r"),
        Err(RunError::Exists { .. })
    ));
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;

    let out = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(out.path(), "r").unwrap();
    let path = out.path().join("r/x");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    folder.write_file("x", b"one").unwrap();
    // The permissions are those of any new file, whatever the user's mask.
    fs::write(out.path().join("other"), b"").unwrap();
    let usual = fs::metadata(out.path().join("other")).unwrap();
    assert_eq!(mode(), usual.permissions().mode() & 0o777);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    folder.write_file("x", b"two").unwrap();
    assert_eq!(mode(), 0o640);
}

#[test]
fn files_are_replaced_and_nothing_else_is_left() {
    let out = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(out.path(), "r").unwrap();
    folder.write_file("x", b"one").unwrap();
    folder.write_file("x", b"two").unwrap();
    let path = out.path().join("r");
    assert_eq!(fs::read(path.join("x")).unwrap(), b"two");
    let names = || {
        let entries = fs::read_dir(&path).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["metrics.csv", "run.lock", "x"]);
    // If a folder is in the way, the error names the file and no temporary file remains.
    fs::create_dir(path.join("y")).unwrap();
    let error = folder.write_file("y", b"three").unwrap_err();
    assert!(matches!(&error, RunError::Write { path: at, .. } if *at == path.join("y")));
    assert_eq!(names(), ["metrics.csv", "run.lock", "x", "y"]);
}

#[test]
fn damaged_metrics_are_named_with_their_line() {
    let out = tempfile::tempdir().unwrap();
    let folder = written(out.path());
    let path = folder.join("metrics.csv");
    let good = fs::read_to_string(&path).unwrap();
    let cases = [
        (good.replace("optimizer,seed", "seed,optimizer"), 1),
        (good.replace("fosi-hb,3,1", "fosi-xy,3,1"), 2),
        (good.replace("fosi-hb,3,2", "fosi-hb,-3,2"), 3),
        (good.replace("fosi-hb,3,2,46,", "fosi-hb,3,2,46,NaN"), 3),
        (
            good.replace("3333333333333333,0.3", "3333333333333333,NaN"),
            2,
        ),
        (good.replacen("0.30000000000000004", "inf", 1), 2),
        (good[..good.len() - 9].to_owned(), 3),
        (String::new(), 1),
    ];
    for (text, expected) in cases {
        fs::write(&path, &text).unwrap();
        let error = Run::read(&folder).unwrap_err();
        assert!(
            matches!(&error, RunError::Metrics { line, .. } if *line == expected),
            "{error} in\n{text}"
        );
        assert!(error.to_string().contains("metrics.csv"));
    }
}

#[test]
fn a_damaged_or_missing_record_is_named() {
    let out = tempfile::tempdir().unwrap();
    let folder = written(out.path());
    let path = folder.join("run.json");
    let good = fs::read_to_string(&path).unwrap();
    for text in [
        &good[..good.len() / 2],
        "",
        "[]",
        &good.replace("fosi-hb", "fosi-xy"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Run::read(&folder).unwrap_err();
        assert!(matches!(&error, RunError::Record { .. }), "{error}");
        assert!(error.to_string().contains("run.json"));
    }
    fs::write(&path, good.replace("\"format\": 4", "\"format\": 3")).unwrap();
    assert!(matches!(
        Run::read(&folder),
        Err(RunError::Format {
            found: 3,
            known: 4,
            ..
        })
    ));
    fs::remove_file(&path).unwrap();
    assert!(matches!(Run::read(&folder), Err(RunError::Read { .. })));
}

#[test]
fn what_a_run_was_is_recorded() {
    let record = record();
    let program = std::env::args().next().unwrap();
    assert_eq!(record.command[0], program);
    assert_eq!(record.versions.fosi, env!("CARGO_PKG_VERSION"));
    assert!(record.machine.cores > 0);
    // Forty hexadecimal digits, and whether files differ from the commit; empty outside the repository.
    let commit = record.versions.commit.trim_end_matches("-modified");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.git");
    match std::path::Path::new(root).exists() {
        true => assert!(
            commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()),
            "{commit}"
        ),
        false => assert_eq!(commit, ""),
    }
}

#[test]
fn descriptions_differ_by_checksum_where_both_have_one() {
    let with = |checksum: &str| DataDescription {
        checksum: checksum.to_owned(),
        ..record().data
    };
    assert!(with("ab").is_same_as(&with("ab")));
    assert!(!with("ab").is_same_as(&with("cd")));
    assert!(with("").is_same_as(&with("cd")) && with("ab").is_same_as(&with("")));
    let fewer = DataDescription {
        train: 3,
        ..with("ab")
    };
    assert!(!fewer.is_same_as(&with("ab")));
}

#[test]
fn runs_of_one_default_name_are_numbered() {
    let out = tempfile::tempdir().unwrap();
    let folders: Vec<RunFolder> = (0..3)
        .map(|_| RunFolder::create_numbered(out.path(), "r").unwrap())
        .collect();
    let names: Vec<_> = folders
        .iter()
        .map(|folder| folder.path().file_name().unwrap())
        .collect();
    assert_eq!(names, ["r", "r-2", "r-3"]);
    // This process owns the folder and is its only writer until the end.
    let path = out.path().join("r");
    assert!(matches!(
        RunLock::take(&path),
        Err(RunError::InUse { owner: Some(id), .. }) if id == std::process::id()
    ));
    drop(folders);
    drop(RunLock::take(&path).unwrap());
}
