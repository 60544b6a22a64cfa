//! The HTML page.

use std::time::Duration;

use askama::Template;
use thiserror::Error;

use super::curves::{CurvesSection, curves};
use super::facts::{Facts, title};
use super::groups::groups;
use super::readings::Readings;
use super::refreshes::{Refreshes, refreshes};
use super::results::{Results, results};
use super::settings::{Settings, settings};
use super::spectra::{SpectrumFigure, spectra};
use crate::runs::{Run, RunStatus};
use crate::verdict::{Verdict, verdicts};

const STYLES: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// The options of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageOptions<'a> {
    /// The time after which a browser reloads the page while any of its runs is in progress; `None` never reloads.
    pub reload: Option<Duration>,
    /// Why runs are left out, one sentence per run; the page says it at the top.
    pub left_out: &'a [String],
}

/// An error in creating a page.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HtmlError {
    /// An error in a template.
    #[error("cannot make the page: {0}")]
    Template(#[from] askama::Error),
    /// The values for the script cannot be serialised to JSON.
    #[error("cannot make the page's values: {0}")]
    Values(#[from] serde_json::Error),
}

/// The page about runs. Runs of the same task on the same data share a section, and the verdicts come first.
///
/// # Errors
/// [`HtmlError`]: none in practice, because the writer is a string.
pub fn page(runs: &[Run], options: PageOptions<'_>) -> Result<String, HtmlError> {
    let mut readings = Readings::default();
    let together = groups(runs);
    let groups: Vec<Group> = together
        .iter()
        .enumerate()
        .map(|(index, runs)| Group::of(&format!("g{index}"), runs, &mut readings))
        .collect();
    let goes_on = runs
        .iter()
        .any(|run| run.record.status == RunStatus::Running);
    let lines = groups.iter().filter_map(|group| group.curves.as_ref());
    let title = match groups.as_slice() {
        [only] => only.title.clone(),
        _ => format!("{} runs of {} tasks or data sets", runs.len(), groups.len()),
    };
    let page = Page {
        title,
        reload: options
            .reload
            .filter(|_| goes_on)
            .map(|time| time.as_secs().max(1)),
        left_out: options.left_out,
        styles: STYLES,
        script: SCRIPT,
        toggles: lines.map(|curves| curves.legend.len()).max().unwrap_or(0),
        verdicts: together.iter().flat_map(|runs| verdicts(runs)).collect(),
        heading: if groups.len() == 1 { 2 } else { 3 },
        groups,
        readings: readings.json()?,
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: String,
    left_out: &'a [String],
    /// The time before a reload in seconds.
    reload: Option<u64>,
    styles: &'static str,
    script: &'static str,
    /// The maximum number of optimizers that can be hidden from the curves.
    toggles: usize,
    verdicts: Vec<Verdict>,
    /// The level of the sections' headings.
    heading: usize,
    groups: Vec<Group>,
    readings: String,
    version: &'static str,
}

/// The runs of one task on the same data.
struct Group {
    id: String,
    title: String,
    runs: Vec<Facts>,
    curves: Option<CurvesSection>,
    results: Option<Results>,
    spectra: Vec<SpectrumFigure>,
    refreshes: Option<Refreshes>,
    failures: Vec<Remark>,
    notes: Vec<Remark>,
    settings: Settings,
}

/// A sentence about a run.
struct Remark {
    /// Empty for a single run.
    run: String,
    sentences: Vec<String>,
}

impl Group {
    fn of(id: &str, runs: &[Run], readings: &mut Readings) -> Self {
        let name = |run: &Run| match runs.len() {
            1 => String::new(),
            _ => run.record.name.clone(),
        };
        let remark = |run: &Run, sentences| Remark {
            run: name(run),
            sentences,
        };
        let notes = runs.iter().flat_map(|run| {
            let notes = run.record.notes.iter();
            notes.map(move |note| remark(run, vec![note.clone()]))
        });
        let failures = runs.iter().flat_map(|run| {
            let failures = run.record.failures.iter();
            failures.map(move |failure| {
                let state = failure.state.as_ref();
                let state = state.map(|file| format!("Its last good state is in {file}"));
                let sentences = [Some(failure.to_string()), failure.spectrum(), state];
                remark(run, sentences.into_iter().flatten().collect())
            })
        });
        Self {
            id: id.to_owned(),
            title: title(&runs[0]),
            runs: runs.iter().map(Facts::of).collect(),
            curves: curves(id, runs, readings),
            results: results(runs),
            spectra: spectra(runs, readings),
            refreshes: refreshes(runs),
            failures: failures.collect(),
            notes: notes.collect(),
            settings: settings(runs),
        }
    }
}
