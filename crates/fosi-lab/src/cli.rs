//! The command line.

use std::path::PathBuf;

use clap::{Arg, Args, Parser, Subcommand, ValueEnum};

use crate::config::{TaskName, TrainOptions};
use crate::names::UnknownName;
use crate::optimizers::{Family, OptimizerName};
use crate::pays::Variant;
use crate::pays::refused::{self, Refused};
use crate::quadratic::Convention;
use crate::solve::{Budget, Solver};

/// Trains models with first-order optimizers, plain and inside FOSI, and reports what FOSI saves.
///
/// Without a command, it runs `fosi train lr` on the embedded digits.
#[derive(Clone, Debug, Parser)]
#[command(name = "fosi", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// The given command or the default one.
    pub fn command_or_default(self) -> Command {
        self.command.unwrap_or_else(|| {
            Command::Train(Box::new(TrainCommand {
                task: Some(TaskName::Lr),
                resume: None,
                config: None,
                dry_run: false,
                options: TrainOptions::default(),
            }))
        })
    }
}

/// The program's commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Train a task with several optimizers and compare them
    Train(Box<TrainCommand>),
    /// Print the comparison table of several runs
    Compare(CompareCommand),
    /// Print the paper's Tables 1 and 2 from runs of its tasks
    Table(TableCommand),
    /// Draw the paper's Figures 2, 5 and 6 from runs of its tasks
    Figure(FigureCommand),
    /// Judge from runs of one task whether FOSI pays, and why
    Verdict(VerdictCommand),
    /// Write one HTML page about one or several runs: curves, tables, spectra, settings
    Report(ReportCommand),
    /// Check data sets
    Data(DataCommand),
    /// Repeat the paper's experiments on quadratics
    Quadratic(QuadraticCommand),
    /// Study FOSI: what it saves against a tuned base, what its curvature estimates capture, what stale spectra do
    Study(StudyCommand),
    /// Measure the spectrum of the loss's Hessian at a model's start, or at the checkpoints and the end of a run
    Spectrum(Box<SpectrumCommand>),
    /// Minimise functions to convergence without a learning rate and compare solvers; without a problem, list the
    /// problems
    Solve(SolveCommand),
}

/// `fosi train`.
#[derive(Clone, Debug, Args)]
pub struct TrainCommand {
    /// Task: lr (logistic regression), ae (autoencoder), lm (language model), tl (transfer learning), ac (audio
    /// classification)
    #[arg(required_unless_present = "resume")]
    pub task: Option<TaskName>,
    /// Resume the run in this folder from its newest checkpoint, with the run's settings
    #[arg(long, value_name = "RUN", exclusive = true)]
    pub resume: Option<PathBuf>,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the model, the parameter count and every setting, without training or writing files
    #[arg(long)]
    pub dry_run: bool,
    /// Settings.
    #[command(flatten)]
    pub options: TrainOptions,
}

/// `fosi compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareCommand {
    /// Folders of runs, written by `fosi train`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

/// `fosi table`.
#[derive(Clone, Debug, Args)]
pub struct TableCommand {
    /// Folders of runs, written by `fosi train`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Output format: markdown for people, csv for programs
    #[arg(long, value_enum, default_value = "markdown")]
    pub format: TableFormat,
}

/// The output format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For humans.
    Markdown,
    /// For programs.
    Csv,
}

/// `fosi figure`.
#[derive(Clone, Debug, Args)]
pub struct FigureCommand {
    /// Folders of runs, written by `fosi train`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder for figure2 (ac), figure5 (the other tasks), figure6 (runs with rivals), training and validation (all
    /// tasks), each as SVG and PNG; existing files of these names are replaced
    #[arg(long, value_name = "DIR", default_value = "figures")]
    pub out: PathBuf,
}

/// `fosi verdict`.
#[derive(Clone, Debug, Args)]
pub struct VerdictCommand {
    /// Folders of runs, written by `fosi train`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

/// `fosi report`.
#[derive(Clone, Debug, Args)]
pub struct ReportCommand {
    /// Folders of runs, written by `fosi train`; each combination of task and data gets its own section
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The page, a single self-contained file; an existing file of this name is replaced
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Rewrite the page whenever a run progresses, until all runs are over or Ctrl-C is pressed; a browser that shows
    /// the page reloads it by itself
    #[arg(long)]
    pub watch: bool,
}

/// `fosi data`.
#[derive(Clone, Debug, Args)]
pub struct DataCommand {
    /// What to do
    #[command(subcommand)]
    pub command: DataSubcommand,
}

/// What to do with the data.
#[derive(Clone, Debug, Subcommand)]
pub enum DataSubcommand {
    /// Read the whole data set and report whether it is complete and undamaged
    Check {
        /// The folder, as given to `fosi train --data-dir`
        directory: PathBuf,
    },
}

/// `fosi quadratic`.
#[derive(Clone, Debug, Args)]
pub struct QuadraticCommand {
    /// The experiment
    pub experiment: Experiment,
    /// Folder for data and figures; existing files of these names are replaced
    #[arg(long, value_name = "DIR", default_value = "quadratic")]
    pub out: PathBuf,
    /// Number of random bases for the medians of spectrum, grid, rates and diagonal; only optimizers that depend on the
    /// basis (Adam, AdaHessian) need them [default: 10]
    #[arg(long, value_name = "N", value_parser = bases)]
    pub bases: Option<u64>,
    /// What to follow where the paper's text and its public implementation differ (α of FOSI-HB, μ, eigenvalues,
    /// eigenvectors): of spectrum, grid, rates, diagonal [default: code]
    #[arg(long = "as", value_name = "SOURCE")]
    pub convention: Option<Convention>,
}

impl QuadraticCommand {
    /// The default number of bases.
    pub const BASES: u64 = 10;
}

fn bases(text: &str) -> Result<u64, String> {
    whole(text, 1000)
}

/// A whole number from 1 to `most`.
fn whole(text: &str, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|n| (1..=most).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {most}"))
}

/// An experiment on quadratics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    /// Figure 3: one large eigenvalue above a decaying spectrum
    Spectrum,
    /// Figure 4: a worse condition number of the whole problem, better ones of both subspaces
    Condition,
    /// Figures 7 and 8: condition number against rotation
    Grid,
    /// Figure 9: learning rates and momenta
    Rates,
    /// Figure 1: two dimensions, step by step
    Illustrate,
    /// Figure 7's functions with AdaHessian, a method that uses only the Hessian's diagonal
    Diagonal,
    /// All experiments
    All,
}

impl Experiment {
    /// Whether one of its optimizers depends on the basis, so that it runs in several bases.
    pub fn has_bases(self) -> bool {
        !matches!(self, Self::Condition | Self::Illustrate)
    }
}

/// `fosi study`.
#[derive(Clone, Debug, Args)]
pub struct StudyCommand {
    /// The study
    #[command(subcommand)]
    pub command: StudySubcommand,
}

impl StudyCommand {
    /// Whether another `fosi` process started this one as a worker.
    pub fn is_worker(&self) -> bool {
        matches!(&self.command, StudySubcommand::Pays(command) if command.worker)
    }

    /// Whether several processes make the runs.
    pub fn makes_several(&self) -> bool {
        matches!(&self.command, StudySubcommand::Pays(command) if command.worker || command.jobs > 1)
    }
}

/// The studies.
#[derive(Clone, Debug, Subcommand)]
pub enum StudySubcommand {
    /// Measure what FOSI saves: the steps and seconds that its base, at its best learning rate and with the schedule,
    /// needs to reach the training loss of FOSI after --steps S
    Pays(Box<PaysCommand>),
    /// Measure how much of the loss's curvature the estimates on small batches capture during one training run
    Curvature(Box<CurvatureCommand>),
    /// Measure the effect of stale spectra: the loss for several intervals T between estimations and several delays D,
    /// where an estimation takes the Hessian at the parameters from D steps before
    Stale(Box<StaleCommand>),
}

/// Hides from a study's help the options that it refuses. If one is given, the error says what to give instead.
fn hide(options: &'static [Refused]) -> impl FnMut(Arg) -> Arg {
    move |option| {
        let hidden = options
            .iter()
            .any(|(name, _)| option.get_long() == Some(name));
        if hidden { option.hide(true) } else { option }
    }
}

/// `fosi study stale`.
#[derive(Clone, Debug, Args)]
#[command(mut_args(hide(&refused::STALE)))]
pub struct StaleCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`
    pub task: TaskName,
    /// Intervals T between estimations, in steps
    #[arg(long, value_delimiter = ',', required = true, value_name = "LIST", value_parser = positive)]
    pub intervals: Vec<usize>,
    /// Delays D, in steps; each T is combined with the delays of at most T
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "LIST")]
    pub delays: Vec<usize>,
    /// An optimizer with FOSI
    #[arg(long, default_value = "fosi-hb", value_name = "NAME", value_parser = with_fosi)]
    pub optimizer: OptimizerName,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --out defaults to stale.
    #[command(flatten)]
    pub options: TrainOptions,
}

fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| *n >= 1);
    number.ok_or_else(|| format!("`{text}` is not a whole number of at least 1"))
}

fn with_fosi(text: &str) -> Result<OptimizerName, String> {
    let name: OptimizerName = text
        .parse()
        .map_err(|error: UnknownName| error.to_string())?;
    match name.fosi {
        true => Ok(name),
        false => Err(format!("`{name}` has no spectrum: give `fosi-…`")),
    }
}

/// `fosi study curvature`.
#[derive(Clone, Debug, Args)]
pub struct CurvatureCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`
    pub task: TaskName,
    /// Steps after which estimates are compared with the Hessian over many examples
    #[arg(long, value_delimiter = ',', required = true, value_name = "LIST")]
    pub at: Vec<u64>,
    /// The optimizer to train with; with FOSI, the eigenpairs in use count as a further estimate
    #[arg(long, default_value = "fosi-hb", value_name = "NAME")]
    pub optimizer: OptimizerName,
    /// Numbers of examples for further estimates, besides the estimate on one batch
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub samples: Vec<usize>,
    /// Number of examples whose Hessian represents the loss's [default: 8192, or all if fewer]
    #[arg(long, value_name = "N")]
    pub large: Option<usize>,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --steps defaults to the last of --at, --out to curvature.
    #[command(flatten)]
    pub options: TrainOptions,
}

impl CurvatureCommand {
    /// The default number of examples whose Hessian represents the loss's.
    pub const LARGE: usize = 8192;
}

/// `fosi study pays`.
#[derive(Clone, Debug, Args)]
#[command(mut_args(hide(&refused::PAYS)))]
pub struct PaysCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`
    pub task: TaskName,
    /// Base optimizers; each trains plain for 0.8, 1, 1.25 and 1.5 S steps and inside FOSI for S steps
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "hb,adam",
        value_name = "LIST",
        value_parser = base
    )]
    pub bases: Vec<Family>,
    /// A variant of FOSI with its own options, such as paper="--algorithm paper --interval 100"; may be repeated
    /// [default: one variant, fosi, with the study's options]
    #[arg(long = "variant", value_name = "NAME=OPTIONS", value_parser = variant)]
    pub variants: Vec<Variant>,
    /// Ratio of neighbouring learning rates in the grid, from 1.01 to 10; the grid starts at --lr and its two
    /// neighbours and grows until the best rate is not at its edge
    #[arg(long, default_value = "2", value_name = "FACTOR", value_parser = grid_factor)]
    pub grid_factor: f64,
    /// Number of concurrent runs, each in its own process; seconds are then measured on a loaded machine. With
    /// --threads 1, use at most the number of cores
    #[arg(long, default_value = "1", value_name = "N", value_parser = jobs)]
    pub jobs: usize,
    /// Makes runs until none is missing, without a report; --jobs starts such processes
    #[arg(long, hide = true)]
    pub worker: bool,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --schedule defaults to cosine, --out to pays.
    #[command(flatten)]
    pub options: TrainOptions,
}

/// The options of one variant, written as on a command line.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct VariantOptions {
    #[command(flatten)]
    options: TrainOptions,
}

fn variant(text: &str) -> Result<Variant, String> {
    let (name, words) = text.split_once('=').unwrap_or((text, ""));
    let allowed = |letter: char| letter.is_alphanumeric() || "-_.+".contains(letter);
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(format!(
            "`{name}` is not a name: allowed are letters, digits, -, _, . and +, as in paper=\"--algorithm paper\""
        ));
    }
    let parsed = VariantOptions::try_parse_from(words.split_whitespace());
    let options = parsed.map_err(|error| {
        let text = error.to_string();
        let text = text.split("\n\nUsage").next().unwrap_or_default();
        text.trim_start_matches("error: ").trim().to_owned()
    })?;
    Ok(Variant {
        name: name.to_owned(),
        words: words.trim().to_owned(),
        options: options.options,
    })
}

/// Parses a family that FOSI can wrap.
fn base(text: &str) -> Result<Family, String> {
    let family: Family = text
        .parse()
        .map_err(|error: UnknownName| error.to_string())?;
    match family.is_base() {
        true => Ok(family),
        false => Err(format!(
            "FOSI cannot wrap `{family}`: train it with `fosi train --optimizers {family}`"
        )),
    }
}

fn grid_factor(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| (1.01..=10.0).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a number from 1.01 to 10"))
}

fn jobs(text: &str) -> Result<usize, String> {
    whole(text, 256).map(|number| number as usize)
}

/// `fosi spectrum`.
#[derive(Clone, Debug, Args)]
pub struct SpectrumCommand {
    /// Task whose model is measured at its start: lr, ae, lm, tl, ac, as for `fosi train`
    #[arg(required_unless_present = "run")]
    pub task: Option<TaskName>,
    /// Folder of a run; its model is measured at the start, at the kept checkpoints (--checkpoint-every,
    /// --keep-checkpoints all) and at the end. Only --k, --l, --m, --seed, --threads and --out may be added
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// The run's optimizer to measure, with its first seed or the first of --seeds [default: the run's first]
    #[arg(long, value_name = "NAME", requires = "run")]
    pub optimizer: Option<OptimizerName>,
    /// Number of examples for the Hessian [default: 1024, or all if fewer]
    #[arg(long, value_name = "N")]
    pub large: Option<usize>,
    /// Number of Lanczos runs for the spectral density, each from a random vector
    #[arg(long, default_value = "4", value_name = "N", value_parser = probes)]
    pub probes: usize,
    /// Lanczos steps per run
    #[arg(long, default_value = "40", value_name = "N", value_parser = probes)]
    pub density_steps: usize,
    /// Number of products with random vectors for the trace and the Frobenius norm
    #[arg(long, default_value = "20", value_name = "N", value_parser = probes)]
    pub trace_probes: usize,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub config: Option<PathBuf>,
    /// Settings; --l defaults to 5, --out to spectrum or, with --run, to the run's subfolder spectrum.
    #[command(flatten)]
    pub options: TrainOptions,
}

impl SpectrumCommand {
    /// The default number of examples for the Hessian.
    pub const LARGE: usize = 1024;
    /// The default number of smallest eigenpairs.
    pub const SMALLEST: usize = 5;
}

fn probes(text: &str) -> Result<usize, String> {
    whole(text, 10_000).map(|number| number as usize)
}

/// `fosi solve`.
#[derive(Clone, Debug, Args)]
pub struct SolveCommand {
    /// Problems, such as poisson1d, kernel-ridge or mgh:watson, or the groups mgh, pinn and all; without any, all
    /// problems are listed
    #[arg(value_name = "PROBLEM")]
    pub problems: Vec<String>,
    /// Solvers: fosi (L-BFGS with the estimated spectrum), lbfgs (without it), lbfgs-argmin and newton-cg (from the
    /// crate argmin), bfgs (dense, n up to 5,000), adam-lbfgs (Adam for a tenth of the budget, then lbfgs)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fosi,lbfgs",
        value_name = "LIST"
    )]
    pub solvers: Vec<Solver>,
    /// Seeds of the start points
    #[arg(
        long = "seed",
        visible_alias = "seeds",
        value_delimiter = ',',
        default_value = "0",
        value_name = "LIST"
    )]
    pub seeds: Vec<u64>,
    /// Budget per run: a number of gradients and Hessian-vector products, or seconds, as in 60s
    #[arg(long, default_value = "10000", value_name = "N")]
    pub budget: Budget,
    /// Number of L-BFGS pairs
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub memory: usize,
    /// Folder for runs and figures; existing runs with the same settings are kept
    #[arg(long, value_name = "DIR", default_value = "solve")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_variant_is_a_name_and_options_of_training() {
        let given = variant("paper=--algorithm paper --k 3  --interval=7").unwrap();
        assert_eq!(given.name, "paper");
        assert_eq!(
            (given.options.k, given.options.interval),
            (Some(3), Some(7))
        );
        assert!(variant("plain").unwrap().options.k.is_none());
        assert!(variant("plain=").unwrap().options.k.is_none());
        for (text, part) in [
            ("=--k 3", "`` is not a name"),
            ("a b=--k 3", "`a b` is not a name"),
            ("../a=--k 3", "`../a` is not a name"),
            ("a=--k", "a value is required for '--k <N>'"),
            ("a=--k x", "`x` is not a whole number"),
            ("a=--kay 3", "unexpected argument '--kay'"),
            ("a=3", "unexpected argument '3'"),
            ("a=--help", "unexpected argument '--help'"),
        ] {
            let message = variant(text).unwrap_err();
            assert!(message.contains(part), "{message}");
            assert!(!message.contains("Usage"), "{message}");
        }
    }

    #[test]
    fn no_arguments_mean_logistic_regression() {
        let Command::Train(train) = Cli::parse_from(["fosi"]).command_or_default() else {
            panic!("training is the default")
        };
        assert_eq!(train.task, Some(TaskName::Lr));
        assert!(!train.dry_run);
    }
}
