//! The facts of a run: model, data, settings, machine.

use super::curves::capital;
use crate::config::{TaskName, TrainingLength};
use crate::runs::{Run, RunRecord, RunStatus};

/// A run's facts.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) status: &'static str,
    /// The status's class.
    pub(super) class: &'static str,
    /// A sentence about the status of an unfinished run.
    pub(super) unfinished: Option<&'static str>,
    /// The command line.
    pub(super) command: String,
    /// The names and values.
    pub(super) rows: Vec<(&'static str, String)>,
}

/// The task and the data, as a title.
pub(super) fn title(run: &Run) -> String {
    let task = match run.record.config.task {
        TaskName::Lr => "Logistic regression",
        TaskName::Ae => "Autoencoder",
        TaskName::Lm => "Language model",
        TaskName::Tl => "Transfer learning",
        TaskName::Ac => "Audio classification",
    };
    format!("{task} on {}", run.record.data.name)
}

impl Facts {
    pub(super) fn of(run: &Run) -> Self {
        let record = &run.record;
        let (status, class, unfinished) = match record.status {
            RunStatus::Finished => ("finished", "finished", None),
            RunStatus::Interrupted => (
                "interrupted",
                "stopped",
                Some("The run was interrupted: this page shows its results until then."),
            ),
            RunStatus::Running => (
                "running",
                "running",
                Some("The run is in progress: this page shows its results so far."),
            ),
            RunStatus::CutOff => (
                "cut off",
                "stopped",
                Some(
                    "The run was cut off, for example by a kill: this page shows its results until then.",
                ),
            ),
        };
        Self {
            name: record.name.clone(),
            status,
            class,
            unfinished,
            command: command(&record.command),
            rows: rows(record),
        }
    }
}

fn rows(record: &RunRecord) -> Vec<(&'static str, String)> {
    let (config, versions, machine) = (&record.config, &record.versions, &record.machine);
    let parameters = grouped(record.model.parameters);
    let join = |items: Vec<String>| items.join(", ");
    let optimizers = config.all_optimizers();
    let per_epoch = config.steps_per_epoch(record.data.train);
    let length = match config.length {
        TrainingLength::Epochs(epochs) => format!("{epochs} epochs of {per_epoch} steps"),
        TrainingLength::Steps(steps) => format!("{steps} steps in epochs of {per_epoch}"),
    };
    let mut rows = vec![
        (
            "Model",
            format!("{}; {parameters} parameters", capital(&record.model.name)),
        ),
        ("Data", record.data.identity()),
        (
            "Optimizers",
            join(optimizers.iter().map(ToString::to_string).collect()),
        ),
        ("Length", format!("{length}, batches of {}", config.batch)),
        (
            "Seeds",
            join(config.seeds.iter().map(ToString::to_string).collect()),
        ),
    ];
    if config.has_fosi() {
        let (algorithm, k, l, alpha) = (config.algorithm, config.k, config.l, config.alpha);
        rows.push((
            "FOSI",
            format!("{algorithm}, k = {k}, ℓ = {l}, α = {alpha}"),
        ));
    }
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    let debug = match versions.profile.as_str() {
        "debug" => "; a debug build, whose times are not representative",
        _ => "",
    };
    let commit = match versions.commit.as_str() {
        "" => "unknown".to_owned(),
        commit => commit.to_owned(),
    };
    let time = match &record.finished {
        Some(finished) => format!("{} to {}", spaced(&record.started), spaced(finished)),
        None => format!("started {}", spaced(&record.started)),
    };
    rows.extend([
        (
            "Machine",
            format!(
                "{}, {} {cores}, {}; trained on {}",
                machine.cpu, machine.cores, machine.os, config.device
            ),
        ),
        (
            "Program",
            format!(
                "fosi {}, Burn {}, {}{debug}",
                versions.fosi, versions.burn, versions.rustc
            ),
        ),
        ("Commit", commit),
        ("Time", time),
    ]);
    rows
}

/// An RFC 3339 time in readable form.
fn spaced(time: &str) -> String {
    time.replace('T', " ").replace('Z', " UTC")
}

/// The digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A command line with shell quoting; the program's path is reduced to its name.
fn command(words: &[String]) -> String {
    let mut words = words.iter();
    let program = words.next().map(|program| {
        let name = program.rsplit(['/', '\\']).next();
        name.unwrap_or(program).to_owned()
    });
    let quoted = words.map(|word| quoted(word));
    program
        .into_iter()
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.,:/=+*@%".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let words = ["/a/b/fosi", "train", "lr", "--name", "it's <b>", ""].map(str::to_owned);
        assert_eq!(command(&words), r"fosi train lr --name 'it'\''s <b>' ''");
        assert_eq!(command(&[]), "");
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(
            [7, 650, 1234, 1234567].map(grouped),
            ["7", "650", "1,234", "1,234,567"]
        );
    }
}
