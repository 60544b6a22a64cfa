//! The program from outside: invalid input gives a message and exit status 2, and writes no files.

use std::fs;
use std::path::Path;

use crate::program::fosi;

/// Runs in an empty folder; the message must contain each of `parts`, and the folder must stay unchanged.
fn refused(arguments: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    refused_in(folder.path(), arguments, parts);
}

fn refused_in(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let before = entries(folder);
    let output = fosi(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    for part in parts {
        assert!(
            message.contains(part),
            "{arguments:?}: `{part}` in {message}"
        );
    }
    assert!(message.starts_with("error: "), "{message}");
    assert!(output.stdout.is_empty());
    assert_eq!(entries(folder), before, "{arguments:?}");
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(entries(&path));
        }
        names.push(path.display().to_string());
    }
    names.sort();
    names
}

#[test]
fn settings_that_are_not_allowed() {
    let cases: [(&[&str], &[&str]); 54] = [
        (&["--k", "0"], &["--k 0", "at least 1"]),
        (
            &["--k", "4", "--l", "4", "--m", "7"],
            &["--m 7", "at least 8"],
        ),
        (&["--k", "-1"], &["-1", "--k"]),
        (
            &["--alpha", "-0.01"],
            &["--alpha is -0.01", "0, or from 1.2e-38"],
        ),
        (&["--alpha", "nan"], &["--alpha is NaN"]),
        (
            &["--averaging", "1.5"],
            &["--averaging is 1.5", "at most 1"],
        ),
        (&["--averaging", "on"], &["`on` is not off, predicted"]),
        (&["--newton-rate", "adaptiv"], &["did you mean `adaptive`"]),
        (&["--lanczos-tolerance", "2"], &["--lanczos-tolerance is 2"]),
        (&["--lr", "0"], &["--lr is 0", "from 1.2e-38"]),
        (&["--lr", "hb=inf"], &["--lr is inf for hb"]),
        (
            &["--lr", "hp=0.1"],
            &["unknown optimizer `hp`", "did you mean `hb`?"],
        ),
        (&["--lr", "fast"], &["`fast` is not a number"]),
        (
            &["--scale-limit", "0.9"],
            &["--scale-limit is 0.9", "at least 1"],
        ),
        (&["--scale-limit", "nan"], &["--scale-limit is NaN"]),
        (&["--momentum", "1.0"], &["--momentum is 1", "below 1"]),
        (&["--weight-decay", "-1"], &["--weight-decay is -1"]),
        (&["--overhead", "1"], &["--overhead is 1", "above 1"]),
        (
            &["--overhead", "1.1", "--interval", "9"],
            &["--interval 9", "--overhead 1.1"],
        ),
        (&["--interval", "0"], &["--interval is 0"]),
        (&["--epochs", "0"], &["--epochs is 0"]),
        (&["--steps", "0"], &["--steps is 0"]),
        (
            &["--epochs", "3", "--steps", "69"],
            &["--epochs 3", "--steps 69", "contradict"],
        ),
        (
            &["--schedule", "cosin"],
            &["unknown schedule `cosin`", "did you mean `cosine`?"],
        ),
        (
            &["--warmup-rate", "-1"],
            &["`-1` is not a whole number of at least 0"],
        ),
        (
            &["--epochs", "2", "--warmup-rate", "47"],
            &["--warmup-rate 47", "46 steps: at most 46"],
        ),
        (
            &["--steps", "5", "--warmup-rate", "5", "--schedule", "cosine"],
            &["--warmup-rate 5", "--schedule cosine", "at most 4"],
        ),
        (&["--batch", "0"], &["--batch is 0"]),
        (&["--batch", "1438"], &["--batch 1438", "at most 1437"]),
        (&["--curvature-batch", "0"], &["--curvature-batch is 0"]),
        (
            &["--curvature-batch", "1438"],
            &["--curvature-batch 1438", "at most 1437"],
        ),
        (&["--threads", "0"], &["--threads is 0"]),
        (
            &["--threads", "1000000"],
            &["--threads is 1000000", "at most 1024"],
        ),
        (&["--threads", "1025", "--dry-run"], &["at most 1024"]),
        (&["--m", "100000"], &["--m 100000", "10,000"]),
        (&["--m", "100000", "--dry-run"], &["--m 100000", "10,000"]),
        (&["--k", "20000"], &["--k 20000", "--l 0", "10,000"]),
        (
            &["--k", "18446744073709551615", "--l", "2", "--dry-run"],
            &["too many eigenpairs"],
        ),
        (
            &["--scale-limit", "hb=0.5"],
            &["--scale-limit is 0.5 for hb", "at least 1"],
        ),
        (
            &["--curvature-floor", "1e-309"],
            &["--curvature-floor is 1e-309", "at most 1"],
        ),
        (&["--curvature-floor", "1.5"], &["--curvature-floor is 1.5"]),
        (&["--seed", "abc"], &["`abc` is not a whole number"]),
        (
            &["--seed", "-1"],
            &["`-1` is not a whole number of at least 0"],
        ),
        (
            &["--warmup=-1"],
            &["`-1` is not a whole number of at least 0"],
        ),
        (&["--epochs", "1e3"], &["`1e3` is not a whole number"]),
        (&["--alpha", "abc"], &["`abc` is not a number"]),
        (&["--optimizers", ""], &["--optimizers is an empty list"]),
        (&["--seeds", ""], &["--seed is an empty list"]),
        (&["--data-dir", "x"], &["embedded digits", "--data mnist"]),
        (
            &["--skip-damaged"],
            &["--skip-damaged is for ae", "not for lr"],
        ),
        (
            &["--data", "mnist", "--data-dir", "x", "--skip-damaged"],
            &["--skip-damaged", "leave it out"],
        ),
        (&["--lr-grid", "0"], &["`0` is not a factor"]),
        (&["--name", "../elsewhere"], &["../elsewhere"]),
        (&["--seeds", "1,2,1"], &["--seed names 1 twice"]),
    ];
    for (arguments, parts) in cases {
        refused(&[&["train", "lr"], arguments].concat(), parts);
    }
}

#[test]
fn names_that_are_unknown_get_the_nearest_known_one() {
    refused(
        &["train", "lr", "--optimizers", "hb,fosi-adm"],
        &["unknown optimizer `fosi-adm`", "`fosi-adam`"],
    );
    refused(
        &["train", "lr", "--data", "mnits"],
        &["unknown data set `mnits`", "did you mean `mnist`?"],
    );
    refused(
        &["train", "lr", "--hvp", "f65"],
        &["unknown precision `f65`", "did you mean `f64`?"],
    );
    refused(&["train", "rl"], &["unknown task `rl`", "lr"]);
    refused(&["trian"], &["trian", "train"]);
    refused(&["train", "lr", "--epoch", "3"], &["--epoch", "--epochs"]);
}

#[test]
fn configuration_files() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("epoch = 3", "did you mean `epochs`?"),
        ("epochs = 'three'", "line 1"),
        ("epochs = 3\nmomentum = 2", "--momentum is 2"),
        (
            "optimizers = ['hb', 'fosi-gb']",
            "unknown optimizer `fosi-gb`",
        ),
        ("interval = 5\noverhead = 1.5", "contradict"),
        ("epochs = 5\nsteps = 5", "contradict"),
        ("steps = 5\nwarmup-rate = 6", "--warmup-rate 6"),
        ("= 3", "line 1"),
        ("epochs = 'three'", "expected a whole number of at least 0"),
        ("epochs = -3", "expected a whole number of at least 0"),
        ("alpha = 'big'", "expected a number"),
        ("lr = { hb = 'big' }", "expected a number"),
        ("seeds = ['a']", "`a` is not a whole number"),
        ("seed = -1", "`-1` is not a whole number"),
        ("skip-damaged = true", "--skip-damaged is for ae"),
        ("batch = 5000", "--batch 5000"),
        ("curvature-batch = 5000", "--curvature-batch 5000"),
    ];
    for (text, part) in cases {
        fs::write(folder.path().join("run.toml"), text).unwrap();
        refused_in(
            folder.path(),
            &["train", "lr", "--config", "run.toml"],
            &["run.toml", part],
        );
    }
    // An error in a value that a flag sets is not attributed to the file.
    let folder_of_flags = tempfile::tempdir().unwrap();
    fs::write(folder_of_flags.path().join("run.toml"), "momentum = 0.5").unwrap();
    let arguments = ["train", "lr", "--config", "run.toml", "--momentum", "2"];
    refused_in(
        folder_of_flags.path(),
        &arguments,
        &["error: --momentum is 2"],
    );
    // Nor is an error in a limit that depends on a flag.
    fs::write(folder_of_flags.path().join("run.toml"), "k = 9").unwrap();
    refused_in(
        folder_of_flags.path(),
        &["train", "lr", "--config", "run.toml", "--m", "8"],
        &["error: --m 8"],
    );
    refused_in(
        folder.path(),
        &["train", "lr", "--config", "none.toml"],
        &["none.toml"],
    );
}

#[test]
fn the_old_spelling_of_the_scale_limit() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.toml"), "clip = 2").unwrap();
    for arguments in [["--clip", "2"], ["--config", "run.toml"]] {
        let arguments = [&["train", "lr", "--dry-run"], &arguments[..]].concat();
        let output = fosi(folder.path(), &arguments);
        let notice = String::from_utf8_lossy(&output.stderr);
        assert!(notice.starts_with("--clip is now called --scale-limit"));
        assert_eq!(notice.contains("run.toml"), arguments.contains(&"run.toml"));
        let settings = String::from_utf8_lossy(&output.stdout);
        assert!(
            settings.contains("scale-limit      hb=2,adam=2\n"),
            "{settings}"
        );
    }
    refused(
        &["train", "lr", "--clip", "2", "--scale-limit", "3"],
        &["--clip", "--scale-limit"],
    );
}

#[test]
fn data_that_is_missing_or_damaged() {
    refused(&["train", "lr", "--data", "mnist"], &["--data-dir"]);
    let folder = tempfile::tempdir().unwrap();
    let mnist = [
        "train",
        "lr",
        "--data",
        "mnist",
        "--data-dir",
        "data",
        "--name",
        "x",
    ];
    refused_in(folder.path(), &mnist, &["train-images-idx3-ubyte", "data"]);

    fs::create_dir(folder.path().join("data")).unwrap();
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.path().join("data").join(name), bytes).unwrap();
    write(
        "train-images-idx3-ubyte",
        &[0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 7],
    );
    write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1, 10]);
    write("t10k-images-idx3-ubyte", b"");
    write("t10k-labels-idx1-ubyte", b"");
    refused_in(
        folder.path(),
        &mnist,
        &["train-images-idx3-ubyte", "truncated", "25 bytes", "has 17"],
    );
    write(
        "train-images-idx3-ubyte",
        &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7],
    );
    refused_in(
        folder.path(),
        &mnist,
        &["train-labels-idx1-ubyte", "label 0 is 10"],
    );
    write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1, 9]);
    refused_in(
        folder.path(),
        &mnist,
        &["t10k-images-idx3-ubyte", "is empty", "no images"],
    );
}

#[test]
fn a_run_folder_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("runs/mine")).unwrap();
    fs::write(folder.path().join("runs/mine/metrics.csv"), "kept").unwrap();
    refused_in(
        folder.path(),
        &["train", "lr", "--name", "mine"],
        &["runs/mine", "exists", "--name"],
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("runs/mine/metrics.csv")).unwrap(),
        "kept"
    );
}

#[test]
fn a_file_where_a_folder_belongs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "kept").unwrap();
    for out in ["file", "file/deeper"] {
        let parts = ["file is a file", "--out"];
        refused_in(folder.path(), &["train", "lr", "--out", out], &parts);
        let illustrate = ["quadratic", "illustrate", "--out", out];
        refused_in(folder.path(), &illustrate, &parts);
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_where_a_folder_belongs() {
    let folder = tempfile::tempdir().unwrap();
    for (to, link) in [("nowhere", "dangling"), ("itself", "itself")] {
        std::os::unix::fs::symlink(to, folder.path().join(link)).unwrap();
        for out in [link.to_owned(), format!("{link}/deeper")] {
            let told = format!("{link} is a link that leads nowhere");
            let parts = [told.as_str(), "--out"];
            refused_in(folder.path(), &["train", "lr", "--out", &out], &parts);
            let illustrate = ["quadratic", "illustrate", "--out", &out];
            refused_in(folder.path(), &illustrate, &parts);
        }
    }
}

#[test]
fn comparing_what_is_no_run() {
    refused(&["compare"], &["<RUN>"]);
    refused(&["compare", "runs/none"], &["runs/none", "run.json"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.json"), "{\"format\": 99}").unwrap();
    refused_in(folder.path(), &["compare", "."], &["format 99"]);
    fs::write(folder.path().join("run.json"), "{\"format\": 1").unwrap();
    refused_in(folder.path(), &["compare", "."], &["run.json is damaged"]);
}

#[test]
fn help_names_every_option() {
    let folder = tempfile::tempdir().unwrap();
    let output = fosi(folder.path(), &["train", "--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for option in [
        "dry-run",
        "optimizers",
        "algorithm",
        "k",
        "l",
        "m",
        "lanczos-tolerance",
        "averaging",
        "alpha",
        "newton-rate",
        "curvature-floor",
        "curvature-batch",
        "interval",
        "overhead",
        "warmup",
        "scale-limit",
        "lr",
        "momentum",
        "schedule",
        "warmup-rate",
        "batch",
        "epochs",
        "steps",
        "seed",
        "threads",
        "hvp",
        "config",
        "data",
        "data-dir",
        "name",
        "out",
    ] {
        assert!(
            text.contains(&format!("--{option} ")) || text.contains(&format!("--{option}\n")),
            "{option}"
        );
    }
}

#[test]
fn options_that_have_no_effect() {
    let fosi = ["optimizers with FOSI", "--optimizers is hb,adam"];
    let cases: [(&str, &[&str], &[&str]); 26] = [
        ("hb,adam", &["--algorithm", "paper"], &fosi),
        ("hb,adam", &["--k", "5"], &fosi),
        ("hb,adam", &["--l", "1"], &fosi),
        ("hb,adam", &["--m", "50"], &fosi),
        ("hb,adam", &["--lanczos-tolerance", "0.1"], &fosi),
        ("hb,adam", &["--averaging", "predicted"], &fosi),
        ("hb,adam", &["--alpha", "0.1"], &fosi),
        ("hb,adam", &["--newton-rate", "adaptive"], &fosi),
        ("hb,adam", &["--curvature-floor", "0.1"], &fosi),
        ("hb,adam", &["--curvature-batch", "9"], &fosi),
        ("hb,adam", &["--interval", "9"], &fosi),
        ("hb,adam", &["--overhead", "1.5"], &fosi),
        ("hb,adam", &["--warmup", "9"], &fosi),
        ("hb,adam", &["--scale-limit", "2"], &fosi),
        ("hb,adam", &["--scale-limit", "2"], &fosi),
        ("hb,adam", &["--hvp", "f32"], &fosi),
        ("hb,adam", &["--scale-limit", "hb=2"], &fosi),
        (
            "hb,fosi-hb",
            &["--scale-limit", "adam=2"],
            &["--scale-limit adam=", "`fosi-adam`"],
        ),
        (
            "fosi-hb,adam",
            &["--scale-limit", "adam=2"],
            &["--scale-limit adam=", "`fosi-adam`"],
        ),
        (
            "hb,fosi-hb",
            &["--lr", "adam=0.5"],
            &["--lr adam=", "for `adam`"],
        ),
        (
            "hb,fosi-hb",
            &["--lr", "hb=0.1,gd=1"],
            &["--lr gd=", "for `gd`"],
        ),
        (
            "hb,fosi-hb",
            &["--lr", "hb=0.1,hb=0.2"],
            &["names hb twice"],
        ),
        (
            "fosi-hb",
            &["--scale-limit", "hb=2,hb=3"],
            &["names hb twice"],
        ),
        (
            "hb,fosi-hb",
            &["--weight-decay", "0.5"],
            &["--weight-decay", "`adamw`"],
        ),
        (
            "adam,fosi-gd",
            &["--momentum", "0.5"],
            &["--momentum", "`hb` and `nesterov`"],
        ),
        (
            "lbfgs,kfac",
            &["--lr-grid"],
            &["--lr-grid", "find their own"],
        ),
    ];
    for (optimizers, arguments, parts) in cases {
        let line = [&["train", "lr", "--optimizers", optimizers], arguments].concat();
        refused(&line, parts);
        refused(&[&line[..], &["--dry-run"]].concat(), parts);
    }
    let only = ["train", "ac", "--optimizers", "hb", "--hvp-mode", "eval"];
    refused(&only, &["--hvp-mode has no effect"]);
    for experiment in ["condition", "illustrate"] {
        let line = ["quadratic", experiment, "--bases", "3"];
        refused(&line, &["--bases has no effect", "grid"]);
    }
}

#[test]
fn options_without_effect_in_a_file_are_named_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("optimizers = 'hb'\nk = 5", &[][..]),
        ("k = 5", &["--optimizers", "hb"]),
        ("lr = { adam = 0.5 }", &["--optimizers", "hb,fosi-hb"]),
        ("optimizers = ['hb', 'fosi-hb']\nweight-decay = 0.5", &[]),
        ("optimizers = ['hb']\nhvp = 'f32'", &["--epochs", "1"]),
    ];
    for (text, flags) in cases {
        fs::write(folder.path().join("run.toml"), text).unwrap();
        let line = [&["train", "lr", "--config", "run.toml"], flags].concat();
        refused_in(folder.path(), &line, &["run.toml: --", "has no effect"]);
    }
    fs::write(folder.path().join("run.toml"), "optimizers = 'hb'").unwrap();
    refused_in(
        folder.path(),
        &["train", "lr", "--config", "run.toml", "--k", "3"],
        &["error: --k has no effect"],
    );
    // TOML does not allow repeated keys.
    fs::write(folder.path().join("run.toml"), "lr = { hb = 1, hb = 2 }").unwrap();
    refused_in(
        folder.path(),
        &["train", "lr", "--config", "run.toml"],
        &["run.toml", "duplicate key"],
    );
}
