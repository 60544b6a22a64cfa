//! The folder of the runs: `OUT/<problem>/<solver>-<seed>.csv` and `.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::SolveError;
use super::meter::Point;
use super::record::{Record, Run};
use crate::files;
use crate::problems::Problem;
use crate::runs::{RunError, replace_file};

const HEADER: &str = "cost,seconds,value";

/// A problem's folder.
#[derive(Clone, Debug)]
pub struct RunsFolder {
    path: PathBuf,
    problem: &'static str,
    n: usize,
}

impl RunsFolder {
    /// The folder in `out`; nothing is created or read yet.
    pub fn new(out: &Path, problem: &Problem) -> Self {
        Self {
            path: out.join(file_name(problem.name)),
            problem: problem.name,
            n: problem.dim,
        }
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run of a solver from a seed's start point; `None` if it does not exist.
    ///
    /// # Errors
    /// [`SolveError::Damaged`], [`SolveError::Read`].
    pub fn find(&self, solver: &str, seed: u64) -> Result<Option<Run>, SolveError> {
        let path = self.path.join(format!("{solver}-{seed}.json"));
        match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) => self.read(&path).map(Some),
            Err(source) => Err(SolveError::Read { path, source }),
        }
    }

    /// All runs in the folder by name, including those of other programs.
    ///
    /// # Errors
    /// [`SolveError::Damaged`], [`SolveError::Read`].
    pub fn all(&self) -> Result<Vec<Run>, SolveError> {
        let failed = |source| SolveError::Read {
            path: self.path.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| self.read(path)).collect()
    }

    /// Stores a run and replaces one with the same solver and seed. The JSON file exists only if both files are
    /// complete.
    ///
    /// # Errors
    /// [`SolveError::Write`].
    pub fn keep(&self, run: &Run) -> Result<(), SolveError> {
        let record = &run.record;
        let write_error = |path: &Path, source| RunError::Write {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(&self.path).map_err(|source| write_error(&self.path, source))?;
        let file = |extension| {
            let name = format!("{}-{}.{extension}", record.solver, record.seed);
            self.path.join(name)
        };
        let (csv, json) = (file("csv"), file("json"));
        match fs::remove_file(&json) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(write_error(&json, source).into());
            }
            _ => {}
        }
        replace_file(&csv, curve_text(&run.curve).as_bytes())?;
        let mut text =
            serde_json::to_vec_pretty(record).map_err(|error| write_error(&json, error.into()))?;
        text.push(b'\n');
        Ok(replace_file(&json, &text)?)
    }

    fn read(&self, json: &Path) -> Result<Run, SolveError> {
        let record = read_record(json)?;
        let damaged = |reason: String| SolveError::Damaged {
            path: json.to_owned(),
            reason,
        };
        let name = format!("{}-{}", record.solver, record.seed);
        if json.file_stem().is_none_or(|stem| stem != name.as_str()) {
            return Err(damaged(format!("it contains the run {name}")));
        }
        if record.problem != self.problem || record.n != self.n {
            let (problem, n) = (&record.problem, record.n);
            return Err(damaged(format!(
                "it belongs to {problem} with n = {n}, but is in the folder of {} with n = {}",
                self.problem, self.n
            )));
        }
        if record.cost != record.gradients + record.products {
            return Err(damaged("its cost is not gradients + products".to_owned()));
        }
        let csv = json.with_extension("csv");
        let curve = read_curve(&csv)?;
        let end = curve.last().map_or(0, |point| point.cost);
        if end != record.cost {
            let reason = format!("it ends at cost {end}, but {name}.json at {}", record.cost);
            return Err(SolveError::Damaged { path: csv, reason });
        }
        Ok(Run { record, curve })
    }
}

/// A problem's name as a file name.
pub fn file_name(problem: &str) -> String {
    problem.replace(':', "-")
}

fn read_text(path: &Path) -> Result<String, SolveError> {
    files::read_text(path).map_err(|source| SolveError::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_record(path: &Path) -> Result<Record, SolveError> {
    files::json_of_format(&read_text(path)?, Record::FORMAT).map_err(|reason| SolveError::Damaged {
        path: path.to_owned(),
        reason,
    })
}

fn curve_text(curve: &[Point]) -> String {
    let mut text = format!("{HEADER}\n");
    for point in curve {
        let Point {
            cost,
            seconds,
            value,
        } = point;
        text.push_str(&format!("{cost},{seconds:.6},{value:e}\n"));
    }
    text
}

fn read_curve(path: &Path) -> Result<Vec<Point>, SolveError> {
    let damaged = |line: usize, reason: &str| SolveError::Damaged {
        path: path.to_owned(),
        reason: format!("line {line} {reason}"),
    };
    let text = read_text(path)?;
    let mut lines = text.lines().zip(1..);
    if lines.next().is_none_or(|(header, _)| header != HEADER) {
        return Err(damaged(1, &format!("is not `{HEADER}`")));
    }
    let mut curve: Vec<Point> = Vec::new();
    for (line, number) in lines {
        let point = parse(line).ok_or_else(|| damaged(number, "is not a cost and two numbers"))?;
        if let Some(last) = curve.last()
            && (point.cost < last.cost || point.value > last.value)
        {
            return Err(damaged(
                number,
                "costs less or has a higher value than the one before",
            ));
        }
        curve.push(point);
    }
    match curve.is_empty() {
        true => Err(damaged(2, "is missing")),
        false => Ok(curve),
    }
}

fn parse(line: &str) -> Option<Point> {
    let mut fields = line.split(',');
    let cost = fields.next()?.parse().ok()?;
    let mut number = || -> Option<f64> {
        let number: f64 = fields.next()?.parse().ok()?;
        number.is_finite().then_some(number)
    };
    let (seconds, value) = (number()?, number()?);
    fields.next().is_none().then_some(Point {
        cost,
        seconds,
        value,
    })
}
