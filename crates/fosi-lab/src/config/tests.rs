use clap::Args;
use strum::IntoEnumIterator;

use std::path::PathBuf;

use super::*;
use crate::data::DataName;
use crate::optimizers::Family;

fn layer(toml: &str) -> TrainOptions {
    toml::from_str(toml).unwrap()
}

fn resolve(toml: &str) -> Result<TrainConfig, ConfigError> {
    TrainConfig::resolve(TaskName::Lr, &[layer(toml)])
}

#[test]
fn mnist_defaults_are_the_papers() {
    let config = resolve("data = 'mnist'").unwrap();
    assert_eq!(
        (config.batch, config.length),
        (1024, TrainingLength::Epochs(100))
    );
    assert_eq!(config.refreshes, RefreshSchedule::Interval(800));
    assert_eq!((config.k, config.l, config.alpha), (10, 0, 0.01));
    assert_eq!(
        (config.lr.hb, config.momentum, config.lr.adam),
        (0.1, 0.9, 0.001)
    );
    assert_eq!(
        (
            config.scale_limit.hb,
            config.scale_limit.adam,
            config.scale_limit.gd
        ),
        (3.0, 1.0, 3.0)
    );
    assert_eq!(config.warmup_steps(59), 59);
    let names: Vec<String> = config.optimizers.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["hb", "fosi-hb", "adam", "fosi-adam"]);
}

#[test]
fn the_papers_algorithm_has_its_refreshes_with_any_preset() {
    let ae = |toml: &str| TrainConfig::resolve(TaskName::Ae, &[layer(toml)]).unwrap();
    let paper = ae("algorithm = 'paper'");
    assert_eq!((paper.k, paper.l, paper.alpha), (10, 0, 0.01));
    assert_eq!(paper.refreshes, RefreshSchedule::Interval(800));
    assert_eq!((paper.warmup, paper.curvature_floor), (None, 0.0));
    assert_eq!(ae("").refreshes, RefreshSchedule::Overhead(1.1));
    let given = ae("algorithm = 'paper'\noverhead = 1.2\nwarmup = 7");
    assert_eq!(given.refreshes, RefreshSchedule::Overhead(1.2));
    assert_eq!(given.warmup, Some(7));
    // The paper's own W of this task.
    let whole = ae("algorithm = 'paper'\npreset = 'paper'");
    assert_eq!(whole.warmup, Some(800));
}

#[test]
fn lanczos_steps_follow_the_papers_rule() {
    let config = resolve("").unwrap();
    assert_eq!(config.lanczos_steps(7850), 40);
    assert_eq!(config.lanczos_steps(25), 25);
    let small = resolve("k = 1").unwrap();
    assert_eq!(small.lanczos_steps(7850), 18); // 2 ln 7850 = 17.94
    assert_eq!(resolve("m = 23").unwrap().lanczos_steps(7850), 23);
}

#[test]
fn flags_override_the_file_and_the_file_the_defaults() {
    let file = layer("batch = 32\nepochs = 7\noverhead = 1.2\nlr = { hb = 0.5 }\nseed = [1, 2]");
    let flags = layer("epochs = 9\ninterval = 4\nlr = { adam = 0.25 }");
    let config = TrainConfig::resolve(TaskName::Lr, &[file, flags]).unwrap();
    assert_eq!(
        (config.batch, config.length),
        (32, TrainingLength::Epochs(9))
    );
    assert_eq!(config.refreshes, RefreshSchedule::Interval(4));
    assert_eq!(
        (config.lr.hb, config.lr.adam, config.lr.gd),
        (0.5, 0.25, 0.1)
    );
    assert_eq!(config.seeds, [1, 2]);
}

/// Whether the error of a file's settings below flags names the file.
fn names_the_file(file: &str, flags: &str) -> bool {
    let file = TrainOptions {
        file: Some("run.toml".into()),
        ..layer(file)
    };
    let error = TrainConfig::resolve(TaskName::Lr, &[file, layer(flags)]).unwrap_err();
    matches!(error, ConfigError::InFile { .. })
}

#[test]
fn an_error_names_the_file_whose_fault_it_is() {
    for (file, flags, expected) in [
        ("momentum = 2", "", true),
        ("momentum = 0.5", "momentum = 2", false),
        ("", "momentum = 2", false),
        ("lr = { adam = -1 }", "lr = { hb = 1 }", true),
        ("lr = { hb = 1 }", "lr = { adam = -1 }", false),
        ("lr = -1", "lr = { hb = 1 }", true),
        ("interval = 0", "", true),
        ("interval = 5", "overhead = 0.5", false),
        ("interval = 5\noverhead = 2", "", true),
        ("k = 9", "m = 8", false),
        ("steps = 0", "", true),
        ("steps = 3\nepochs = 3", "", true),
        ("steps = 0", "epochs = 0", false),
        ("k = 9\nm = 8", "", true),
        ("k = 0", "", true),
        ("optimizers = 'hb'\nk = 3", "", true),
        ("optimizers = 'hb'", "k = 3", false),
        ("optimizers = 'hb'\nk = 3", "k = 4", false),
        ("name = 'a/b'", "epochs = 3", true),
        ("sequence = 3", "", true),
    ] {
        assert_eq!(
            names_the_file(file, flags),
            expected,
            "{file} below {flags}"
        );
    }
}

#[test]
fn a_layer_keeps_what_it_does_not_set() {
    let file = layer("interval = 7\nclip = { hb = 2 }\nthreads = 3\nskip-damaged = true");
    let config = TrainConfig::resolve(TaskName::Ae, &[file, layer("scale-limit = { adam = 4 }")]);
    let config = config.unwrap();
    assert_eq!(config.refreshes, RefreshSchedule::Interval(7));
    assert_eq!((config.scale_limit.hb, config.scale_limit.adam), (2.0, 4.0));
    assert_eq!((config.threads, config.skip_damaged), (Some(3), true));
    let largest = layer("seed = '18446744073709551615'");
    let config = TrainConfig::resolve(TaskName::Lr, &[largest]).unwrap();
    assert_eq!(config.seeds, [u64::MAX]);
}

#[test]
fn the_data_set_of_any_layer_chooses_the_defaults() {
    let layers = [layer("data = 'mnist'"), layer("epochs = 3")];
    let config = TrainConfig::resolve(TaskName::Lr, &layers).unwrap();
    assert_eq!(
        (config.batch, config.length),
        (1024, TrainingLength::Epochs(3))
    );
}

#[test]
fn lists_and_rates_have_the_same_spellings_in_files_as_on_the_command_line() {
    assert_eq!(resolve("seeds = '4,5'").unwrap().seeds, [4, 5]);
    assert_eq!(resolve("seed = 6").unwrap().seeds, [6]);
    assert_eq!(resolve("lr = 1").unwrap().lr, PerFamily::all(1.0));
    let parsed: FamilyValues = "hb=0.5, adamw=2".parse().unwrap();
    assert_eq!(
        parsed,
        FamilyValues::Some(vec![(Family::HeavyBall, 0.5), (Family::AdamW, 2.0)])
    );
}

#[test]
fn what_is_not_allowed_is_refused_with_what_is() {
    let cases = [
        ("k = 0", "k + l must be at least 1"),
        ("k = 3\nl = 2\nm = 4", "at least 5 are needed"),
        (
            "alpha = -0.1",
            "--alpha is -0.1: it must be 0, or from 1.2e-38 to 3.4e38",
        ),
        ("alpha = nan", "--alpha is NaN"),
        ("lr = -0.1", "--lr is -0.1"),
        ("lr = { adam = inf }", "--lr is inf"),
        (
            "clip = 0.5",
            "--scale-limit is 0.5: it must be a finite number of at least 1",
        ),
        (
            "momentum = 1",
            "--momentum is 1: it must be a number of at least 0 and below 1",
        ),
        ("momentum = -0.1", "--momentum is -0.1"),
        ("momentum = nan", "--momentum is NaN"),
        ("weight-decay = -1", "--weight-decay is -1"),
        (
            "overhead = 1",
            "--overhead is 1: it must be a finite number above 1",
        ),
        ("overhead = inf", "--overhead is inf"),
        ("overhead = 1.1\ninterval = 5", "contradict each other"),
        ("interval = 0", "--interval is 0"),
        ("epochs = 0", "--epochs is 0"),
        ("steps = 0", "--steps is 0"),
        (
            "epochs = 3\nsteps = 9",
            "--epochs 3 and --steps 9 contradict each other",
        ),
        ("batch = 0", "--batch is 0"),
        ("curvature-batch = 0", "--curvature-batch is 0"),
        ("threads = 0", "--threads is 0"),
        ("threads = 1025", "--threads is 1025: at most 1024"),
        ("lr = { adam = -1 }", "--lr is -1 for adam"),
        (
            "lr = 1e39",
            "--lr is 1e39: it must be from 1.2e-38 to 3.4e38",
        ),
        ("lr = { hb = 1e-50 }", "--lr is 1e-50 for hb"),
        ("alpha = 1e39", "--alpha is 1e39"),
        ("optimizers = []", "--optimizers is an empty list"),
        ("optimizers = 'hb,hb'", "--optimizers names hb twice"),
        ("seeds = [1, 1]", "--seed names 1 twice"),
        ("name = '../x'", "is not a folder name"),
        ("name = '..'", "is not a folder name"),
        ("name = ''", "is not a folder name"),
        ("name = \"a\\nb\"", "--name `a\\nb` is not a folder name"),
        ("out = \"a\\u0000b\"", "--out contains a NUL character"),
        (
            "data = 'mnist'\ndata-dir = \"\\u0000\"",
            "--data-dir contains a NUL",
        ),
    ];
    for (toml, part) in cases {
        let message = resolve(toml).expect_err(toml).to_string();
        assert!(message.contains(part), "`{toml}` gave: {message}");
    }
}

#[test]
fn a_name_is_as_long_as_a_folders_may_be() {
    let named = |length| resolve(&format!("name = '{}'", "n".repeat(length)));
    named(255).unwrap();
    let message = named(256).unwrap_err().to_string();
    assert!(message.contains("at most 255 bytes"), "{message}");
}

#[test]
fn a_batch_may_be_all_the_data_but_not_more() {
    let config = resolve("batch = 100").unwrap();
    assert!(config.check_against(100).is_ok());
    let message = config.check_against(99).unwrap_err().to_string();
    assert!(message.contains("at most 99"), "{message}");
    let config = resolve("batch = 10\ncurvature-batch = 100").unwrap();
    assert!(config.check_against(100).is_ok());
    let message = config.check_against(99).unwrap_err().to_string();
    assert!(message.contains("--curvature-batch 100"), "{message}");
}

#[test]
fn the_length_of_any_layer_replaces_that_of_the_layer_below() {
    let length = |file: &str, flags: &str| {
        let layers = [layer(file), layer(flags)];
        let config = TrainConfig::resolve(TaskName::Lr, &layers).unwrap();
        config.length
    };
    assert_eq!(length("steps = 9", ""), TrainingLength::Steps(9));
    assert_eq!(length("steps = 9", "epochs = 3"), TrainingLength::Epochs(3));
    assert_eq!(length("epochs = 3", "steps = 9"), TrainingLength::Steps(9));
    let steps = TrainingLength::Steps(24);
    assert_eq!((steps.steps(23), steps.epochs(23)), (24, 2));
    let epochs = TrainingLength::Epochs(3);
    assert_eq!((epochs.steps(23), epochs.epochs(23)), (69, 3));
    assert_eq!(TrainingLength::Epochs(usize::MAX).steps(23), u64::MAX);
}

#[test]
fn a_schedule_is_constant_unless_one_is_given() {
    for preset in ["small", "paper"] {
        let config = resolve(&format!("preset = '{preset}'")).unwrap();
        let expected = (LearningRateSchedule::Constant, 0);
        assert_eq!((config.schedule, config.warmup_rate), expected);
    }
    let config = resolve("schedule = 'cosine'\nwarmup-rate = 5").unwrap();
    let expected = (LearningRateSchedule::Cosine, 5);
    assert_eq!((config.schedule, config.warmup_rate), expected);
}

#[test]
fn a_warmup_of_the_learning_rate_ends_within_the_run() {
    // By 64, 100 examples make two steps per epoch.
    let check = |toml: &str| resolve(toml).unwrap().check_against(100);
    assert!(check("epochs = 3\nwarmup-rate = 6").is_ok());
    assert!(check("epochs = 3\nwarmup-rate = 5\nschedule = 'cosine'").is_ok());
    for (toml, parts) in [
        (
            "epochs = 3\nwarmup-rate = 7",
            ["--warmup-rate 7", "a run of 6 steps: at most 6"],
        ),
        (
            "steps = 5\nwarmup-rate = 5\nschedule = 'linear'",
            ["--schedule linear", "a run of 5 steps: at most 4"],
        ),
    ] {
        let message = check(toml).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn a_run_that_ends_before_its_first_estimation_is_told() {
    let note = |toml: &str| resolve(toml).unwrap().idle_note(23);
    assert_eq!(note("epochs = 2\nwarmup = 45"), None);
    assert!(note("steps = 45\nwarmup = 45").is_some());
    assert_eq!(note("steps = 46\nwarmup = 45"), None);
    assert!(
        note("epochs = 2\nwarmup = 46")
            .unwrap()
            .contains("46 steps")
    );
    // By default, W is one epoch.
    assert!(note("epochs = 1").is_some());
    assert_eq!(note("epochs = 1\noptimizers = 'hb'"), None);
}

#[test]
fn names_in_files_are_checked_with_the_nearest_known() {
    let wrong = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let message = TrainOptions::from_file(file.path())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&*file.path().to_string_lossy()),
            "{message}"
        );
        message
    };
    assert!(wrong("momentun = 0.9").contains("did you mean `momentum`?"));
    assert!(wrong("data_dir = 'x'").contains("did you mean `data-dir`?"));
    assert!(wrong("optimizers = ['fosi-hp']").contains("did you mean `fosi-hb`?"));
    assert!(wrong("lr = { adm = 1 }").contains("did you mean `adam`?"));
    assert!(wrong("schedule = 'cosin'").contains("did you mean `cosine`?"));
    assert!(wrong("device = 'cdua'").contains("unknown device `cdua` (did you mean `cuda`?)"));
    assert!(wrong("epochs = -3").contains("line 1"));
    for huge in [
        "99999999999999999999",
        "0x1_0000_0000_0000_0000",
        "-9223372036854775809",
    ] {
        let message = wrong(&format!("k = {huge}"));
        assert!(
            message.contains("expected a whole number of at least 0"),
            "{message}"
        );
    }
    assert!(wrong("epochs = ").contains("line 1"));
    assert!(wrong("lr-grid = [0]").contains("not a factor"));
}

#[test]
fn numbers_beyond_64_bits_with_a_sign_are_numbers() {
    let options: TrainOptions =
        toml::from_str("lr = 99999999999999999999\nseed = [18446744073709551615]\n").unwrap();
    assert_eq!(options.lr, Some(FamilyValues::All(1e20)));
    assert_eq!(options.seed, Some(List(vec![u64::MAX])));
}

#[test]
fn every_flag_is_a_key() {
    for name in TrainOptions::names() {
        // A value of a type that no option takes must be refused for its value, not for its name.
        let message = toml::from_str::<TrainOptions>(&format!("{name} = 1979-05-27"))
            .unwrap_err()
            .to_string();
        assert!(!message.contains("unknown field"), "{name}: {message}");
    }
}

#[test]
fn a_configuration_reads_back_from_json() {
    let config =
        resolve("overhead = 1.5\nseeds = [1, 2]\nm = 50\nsteps = 7\nschedule = 'linear'").unwrap();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&json).unwrap(), config);
}

#[test]
fn options_that_fosi_alone_has_are_told_from_the_others() {
    let toml = "k = 3\nalpha = 0.1\nclip = { hb = 2 }\ninterval = 7\nalgorithm = 'paper'\nlr = 0.5\nmomentum = 0.8\n\
                skip-damaged = true\nseeds = [1, 2]\nsteps = 9";
    let options = layer(toml);
    let beside = ["lr", "momentum", "seed", "skip-damaged", "steps"];
    assert_eq!(options.given_beside_fosi(), beside);
    let others = options.without_fosi();
    assert_eq!(others.given_beside_fosi(), beside);
    let json = |options: &TrainOptions| serde_json::to_string(options).unwrap();
    let expected = "lr = 0.5\nmomentum = 0.8\nskip-damaged = true\nseeds = [1, 2]\nsteps = 9";
    assert_eq!(json(&others), json(&layer(expected)));
    assert_eq!(others.lr, Some(FamilyValues::All(0.5)));
    assert_eq!(
        json(&layer("").without_fosi()),
        json(&TrainOptions::default())
    );
}

#[test]
fn settings_that_ask_for_another_task_are_told() {
    let config = |toml: &str| resolve(toml).unwrap();
    let digits = config("");
    for same in ["lr = 3", "steps = 9", "k = 3", "batch = 7", "seeds = 4"] {
        assert!(digits.has_task_of(&config(same)), "{same}");
    }
    for other in ["data = 'mnist'", "examples = 100"] {
        assert!(!digits.has_task_of(&config(other)), "{other}");
    }
}

/// The help states the default for each task, or refers to `--dry-run`.
#[test]
fn help_has_the_defaults_of_every_task() {
    let command = TrainOptions::augment_args(clap::Command::new("options"));
    let help = |option: &str| {
        let argument = command
            .get_arguments()
            .find(|a| a.get_long() == Some(option));
        argument.unwrap().get_help().unwrap().to_string()
    };
    let everything = TaskName::iter().flat_map(|task| {
        let data = task.data_sets().iter().map(|&data| Some(data));
        let data = data.chain([None]);
        data.flat_map(move |data| {
            [Preset::Small, Preset::Paper].map(|preset| TrainConfig::defaults(task, data, preset))
        })
    });
    let configs: Vec<TrainConfig> = everything.collect();
    type Value = fn(&TrainConfig) -> String;
    let options: [(&str, Value); 16] = [
        ("width", |c| c.width.to_string()),
        ("sequence", |c| c.sequence.to_string()),
        ("examples", |c| or_all(c.examples)),
        ("eval-examples", |c| or_all(c.eval_examples)),
        ("k", |c| c.k.to_string()),
        ("l", |c| c.l.to_string()),
        ("alpha", |c| c.alpha.to_string()),
        ("curvature-floor", |c| c.curvature_floor.to_string()),
        ("warmup", |c| or_all(c.warmup)),
        ("scale-limit", |c| format!("{:?}", c.scale_limit)),
        ("lr", |c| format!("{:?}", c.lr)),
        ("momentum", |c| c.momentum.to_string()),
        ("batch", |c| c.batch.to_string()),
        ("epochs", |c| format!("{:?}", c.length)),
        ("schedule", |c| c.schedule.to_string()),
        ("warmup-rate", |c| c.warmup_rate.to_string()),
    ];
    for (option, value) in options {
        let help = help(option);
        for config in &configs {
            let value = value(config);
            assert!(
                help.contains("by task; see --dry-run") || help.contains(&value),
                "--{option} is {value} for {}: {help}",
                config.task
            );
        }
    }
    let refreshes = help("interval") + &help("overhead");
    for config in &configs {
        let value = match config.refreshes {
            RefreshSchedule::Interval(steps) => steps.to_string(),
            RefreshSchedule::Overhead(factor) => factor.to_string(),
        };
        assert!(refreshes.contains(&value), "{value}: {refreshes}");
    }
}

fn or_all(count: Option<usize>) -> String {
    count.map_or_else(|| "all".to_owned(), |count| count.to_string())
}

#[cfg(unix)]
#[test]
fn paths_that_a_record_cannot_hold_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let latin = || Some(PathBuf::from(OsStr::from_bytes(b"caf\xe9")));
    let options = |option| match option {
        "data-dir" => TrainOptions {
            data_dir: latin(),
            data: Some(DataName::Mnist),
            ..TrainOptions::default()
        },
        _ => TrainOptions {
            out: latin(),
            ..TrainOptions::default()
        },
    };
    for expected in ["data-dir", "out"] {
        let error = TrainConfig::resolve(TaskName::Lr, &[options(expected)]).unwrap_err();
        let is_named = matches!(&error, ConfigError::NotUtf8 { option, .. } if *option == expected);
        assert!(is_named && error.to_string().contains("caf"), "{error}");
    }
}
