//! Reading several runs under distinct names.

use std::path::{Component, PathBuf};

use super::{Run, RunError};

/// Reads the folders of several runs; runs with the same name are named by their folders.
///
/// # Errors
/// Those of [`Run::read`], for the first run that cannot be read; [`RunError::Repeated`].
pub fn read_runs(folders: &[PathBuf]) -> Result<Vec<Run>, RunError> {
    check_repeats(folders)?;
    let runs: Result<Vec<Run>, RunError> = folders.iter().map(|folder| Run::read(folder)).collect();
    Ok(with_distinct_names(folders, runs?))
}

/// As [`read_runs`], without the damaged runs, and why each of these is left out.
///
/// # Errors
/// Those of [`Run::read`], for the first folder that holds no run, or for the first run if all are damaged;
/// [`RunError::Repeated`].
pub fn read_whole_runs(folders: &[PathBuf]) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
    check_repeats(folders)?;
    let (mut runs, mut whole, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        match Run::read(folder) {
            Ok(run) => {
                runs.push(run);
                whole.push(folder.clone());
            }
            Err(error) if error.is_damage() => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    match damaged.is_empty() || !runs.is_empty() {
        true => Ok((with_distinct_names(&whole, runs), damaged)),
        false => Err(damaged.remove(0)),
    }
}

fn check_repeats(folders: &[PathBuf]) -> Result<(), RunError> {
    let places: Vec<_> = folders
        .iter()
        .map(|folder| folder.canonicalize().ok())
        .collect();
    for (index, place) in places.iter().enumerate() {
        if place.is_some() && places[..index].contains(place) {
            let path = folders[index].clone();
            return Err(RunError::Repeated { path });
        }
    }
    Ok(())
}

fn with_distinct_names(folders: &[PathBuf], mut runs: Vec<Run>) -> Vec<Run> {
    let names: Vec<String> = runs.iter().map(|run| run.record.name.clone()).collect();
    for (run, name) in runs.iter_mut().zip(distinct_names(folders, &names)) {
        run.record.name = name;
    }
    runs
}

/// The runs' names; for a shared name, the shortest ends of the folders' paths that distinguish the runs.
fn distinct_names(folders: &[PathBuf], names: &[String]) -> Vec<String> {
    let parts: Vec<Vec<String>> = folders
        .iter()
        .map(|folder| {
            let whole = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            let part = |part: Component| part.as_os_str().display().to_string();
            whole.components().map(part).collect()
        })
        .collect();
    let end = |index: usize, length: usize| {
        let parts: &[String] = &parts[index];
        parts[parts.len().saturating_sub(length)..].join("/")
    };
    let name = |index: usize| {
        let same = |other: &usize| *other != index && names[*other] == names[index];
        let others: Vec<usize> = (0..names.len()).filter(same).collect();
        if others.is_empty() {
            return names[index].clone();
        }
        let apart = |length: &usize| {
            others
                .iter()
                .all(|o| end(*o, *length) != end(index, *length))
        };
        let length = (1..parts[index].len()).find(apart).unwrap_or(1);
        end(index, length)
    };
    (0..names.len()).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_name_are_told_apart_by_their_folders() {
        let folders = ["/none/a/x/r", "/none/b/x/r", "/none/b/q"].map(PathBuf::from);
        let names = ["r", "r", "q"].map(str::to_owned);
        assert_eq!(distinct_names(&folders, &names), ["a/x/r", "b/x/r", "q"]);
    }
}
