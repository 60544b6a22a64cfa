//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{TaskName, TrainOptions};
use crate::names::UnknownName;
use crate::optimizers::{Family, OptimizerName};
use crate::pays::Variant;
use crate::quadratic::Convention;
use crate::solve::{Budget, Solver};

/// Trains models with first-order optimizers, plain and inside FOSI, and says what FOSI saved.
///
/// Without a command: `fosi train lr` on the embedded digits.
#[derive(Clone, Debug, Parser)]
#[command(name = "fosi", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// The command given, or the default one.
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
    /// Print the table over several runs
    Compare(CompareCommand),
    /// Print the paper's Tables 1 and 2 over runs of its tasks
    Table(TableCommand),
    /// Draw the paper's Figures 2, 5 and 6 over runs of its tasks
    Figure(FigureCommand),
    /// Say whether FOSI pays, from what runs of one task have measured, and why
    Verdict(VerdictCommand),
    /// Write one page of HTML about one or several runs: curves, tables, spectra, settings
    Report(ReportCommand),
    /// Say what a folder of data holds
    Data(DataCommand),
    /// Repeat the paper's experiments on quadratics
    Quadratic(QuadraticCommand),
    /// Compare over many runs: whether FOSI pays against its base, each at its best learning rate
    Study(StudyCommand),
    /// Measure the spectrum of the loss's Hessian: at a model's start, or at the checkpoints and the end of a run
    Spectrum(Box<SpectrumCommand>),
    /// Minimise functions in full, without a learning rate, and compare solvers; without a problem: list the problems
    Solve(SolveCommand),
}

/// `fosi train`.
#[derive(Clone, Debug, Args)]
pub struct TrainCommand {
    /// Task: lr (logistic regression), ae (autoencoder), lm (language model), tl (transfer learning), ac (audio
    /// classification)
    #[arg(required_unless_present = "resume")]
    pub task: Option<TaskName>,
    /// Resume the run in this folder from its newest checkpoint, with its own settings
    #[arg(long, value_name = "RUN", exclusive = true)]
    pub resume: Option<PathBuf>,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print model, parameter count and every setting; train and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Settings.
    #[command(flatten)]
    pub options: TrainOptions,
}

/// `fosi compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareCommand {
    /// Folders of runs, as `fosi train` makes them
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

/// `fosi table`.
#[derive(Clone, Debug, Args)]
pub struct TableCommand {
    /// Folders of runs, as `fosi train` makes them
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "markdown")]
    pub format: TableFormat,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people.
    Markdown,
    /// For programs.
    Csv,
}

/// `fosi figure`.
#[derive(Clone, Debug, Args)]
pub struct FigureCommand {
    /// Folders of runs, as `fosi train` makes them
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder for figure2 (ac), figure5 (the other tasks), figure6 (runs with rivals), training and validation (all), each as
    /// SVG and PNG; files of the same names are replaced
    #[arg(long, value_name = "DIR", default_value = "figures")]
    pub out: PathBuf,
}

/// `fosi verdict`.
#[derive(Clone, Debug, Args)]
pub struct VerdictCommand {
    /// Folders of runs, as `fosi train` makes them
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}

/// `fosi report`.
#[derive(Clone, Debug, Args)]
pub struct ReportCommand {
    /// Folders of runs, as `fosi train` makes them; runs of different tasks or data get sections of their own
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The page, one file that needs no other and no network; a file of the same name is replaced
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Write the page again whenever a run has gone on, until all are over or Ctrl-C; a browser that shows it loads it
    /// again by itself
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

/// What to do with data.
#[derive(Clone, Debug, Subcommand)]
pub enum DataSubcommand {
    /// Read all that is there and say whether it is whole
    Check {
        /// The folder that `fosi train` would be given with --data-dir
        directory: PathBuf,
    },
}

/// `fosi quadratic`.
#[derive(Clone, Debug, Args)]
pub struct QuadraticCommand {
    /// Which one
    pub experiment: Experiment,
    /// Folder for data and figures; files of the same names are replaced
    #[arg(long, value_name = "DIR", default_value = "quadratic")]
    pub out: PathBuf,
    /// Random bases over which medians are taken where an optimizer sees eigenvectors (Adam): of spectrum, grid, rates
    /// [default: 10]
    #[arg(long, value_name = "N", value_parser = bases)]
    pub bases: Option<u64>,
    /// What to follow where the paper's text and its public implementation differ (α of FOSI-HB, μ, eigenvalues,
    /// eigenvectors): of spectrum, grid, rates [default: code]
    #[arg(long = "as", value_name = "SOURCE")]
    pub convention: Option<Convention>,
}

impl QuadraticCommand {
    /// Default number of bases.
    pub const BASES: u64 = 10;
}

fn bases(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|n| (1..=1000).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to 1000"))
}

/// An experiment on quadratics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    /// Figure 3: one large eigenvalue above a falling spectrum
    Spectrum,
    /// Figure 4: a worse condition number of the whole, better ones of both subspaces
    Condition,
    /// Figures 7 and 8: condition number against rotation
    Grid,
    /// Figure 9: learning rates and momenta
    Rates,
    /// Figure 1: two dimensions, step by step
    Illustrate,
    /// All of them
    All,
}

impl Experiment {
    /// Whether one of its optimizers sees eigenvectors, so that it runs in several bases.
    pub fn has_bases(self) -> bool {
        !matches!(self, Self::Condition | Self::Illustrate)
    }
}

/// `fosi study`.
#[derive(Clone, Debug, Args)]
pub struct StudyCommand {
    /// What is studied
    #[command(subcommand)]
    pub command: StudySubcommand,
}

impl StudyCommand {
    /// Whether another process of the program has started this one to make runs for it.
    pub fn is_worker(&self) -> bool {
        matches!(&self.command, StudySubcommand::Pays(command) if command.worker)
    }

    /// Whether several processes make its runs.
    pub fn makes_several(&self) -> bool {
        matches!(&self.command, StudySubcommand::Pays(command) if command.worker || command.jobs > 1)
    }
}

/// What is studied.
#[derive(Clone, Debug, Subcommand)]
pub enum StudySubcommand {
    /// Say what FOSI saves: the steps and seconds in which its base, with its own best learning rate and schedule, reaches
    /// the training loss that FOSI reaches in --steps S
    Pays(Box<PaysCommand>),
    /// Say how much of the loss's curvature estimates on small batches hold, along one training run
    Curvature(Box<CurvatureCommand>),
    /// Say what stale spectra do: the loss over steps T between estimations, and over steps D from the parameters at which
    /// the Hessian is taken to the estimation
    Stale(Box<StaleCommand>),
}

/// `fosi study stale`.
#[derive(Clone, Debug, Args)]
pub struct StaleCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`
    pub task: TaskName,
    /// Steps T between estimations
    #[arg(long, value_delimiter = ',', required = true, value_name = "LIST", value_parser = positive)]
    pub intervals: Vec<usize>,
    /// Steps D; of each T those that are at most T
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "LIST")]
    pub delays: Vec<usize>,
    /// The optimizer with FOSI
    #[arg(long, default_value = "fosi-hb", value_name = "NAME", value_parser = with_fosi)]
    pub optimizer: OptimizerName,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --out is stale.
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
    /// What is trained with; of an optimizer with FOSI the pairs that it steps with are an estimate, too
    #[arg(long, default_value = "fosi-hb", value_name = "NAME")]
    pub optimizer: OptimizerName,
    /// Numbers of examples of more estimates, beside that on one batch
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub samples: Vec<usize>,
    /// Examples whose Hessian counts as the loss's [default: 8192, or all where there are fewer]
    #[arg(long, value_name = "N")]
    pub large: Option<usize>,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --steps is the last of --at unless given, --out is curvature.
    #[command(flatten)]
    pub options: TrainOptions,
}

impl CurvatureCommand {
    /// Default number of examples whose Hessian counts as the loss's.
    pub const LARGE: usize = 8192;
}

/// `fosi study pays`.
#[derive(Clone, Debug, Args)]
pub struct PaysCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`
    pub task: TaskName,
    /// Base optimizers, plain for 0.8, 1, 1.25 and 1.5 S steps and inside FOSI for S
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "hb,adam",
        value_name = "LIST",
        value_parser = base
    )]
    pub bases: Vec<Family>,
    /// A kind of FOSI with options of its own, such as paper="--algorithm paper --interval 100"; may be given several
    /// times [default: one, fosi, with the study's own options]
    #[arg(long = "variant", value_name = "NAME=OPTIONS", value_parser = variant)]
    pub variants: Vec<Variant>,
    /// From one learning rate of the grid to the next, above 1 and at most 10; the grid begins around --lr and is widened
    /// until the best is not at its edge
    #[arg(long, default_value = "2", value_name = "FACTOR", value_parser = grid_factor)]
    pub grid_factor: f64,
    /// Runs at once, each in a process of its own; seconds are then those of a loaded machine. With --threads 1 as many
    /// as there are cores
    #[arg(long, default_value = "1", value_name = "N", value_parser = jobs)]
    pub jobs: usize,
    /// Makes runs until none is missing, and reports nothing: what --jobs starts
    #[arg(long, hide = true)]
    pub worker: bool,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings; --schedule is cosine unless given, --out is pays.
    #[command(flatten)]
    pub options: TrainOptions,
}

/// Options of one variant, as they stand on a command line.
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
            "`{name}` is no name of a variant: allowed are letters, digits, -, _, . and +, as in paper=\"--algorithm paper\""
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

/// A family that FOSI can wrap.
fn base(text: &str) -> Result<Family, String> {
    let family: Family = text
        .parse()
        .map_err(|error: UnknownName| error.to_string())?;
    match family.is_base() {
        true => Ok(family),
        false => Err(format!(
            "`{family}` is no base of FOSI's: train it with `fosi train --optimizers {family}`"
        )),
    }
}

fn grid_factor(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| (1.01..=10.0).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a number from 1.01 to 10"))
}

fn jobs(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=256).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to 256"))
}

/// `fosi spectrum`.
#[derive(Clone, Debug, Args)]
pub struct SpectrumCommand {
    /// Task: lr, ae, lm, tl, ac, as for `fosi train`, whose model is measured at its start
    #[arg(required_unless_present = "run")]
    pub task: Option<TaskName>,
    /// Folder of a run: measure its model at the start, at the checkpoints that were kept (--checkpoint-every,
    /// --keep-checkpoints all) and at the end. Of the settings, --k, --l, --m, --threads and --out may then be given
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Whose training of the run; with several seeds the first of --seeds [default: the run's first]
    #[arg(long, value_name = "NAME", requires = "run")]
    pub optimizer: Option<OptimizerName>,
    /// Examples over which the Hessian is taken [default: 1024, or all where there are fewer]
    #[arg(long, value_name = "N")]
    pub large: Option<usize>,
    /// Lanczos runs of the spectral density, each from a random vector
    #[arg(long, default_value = "4", value_name = "N", value_parser = probes)]
    pub probes: usize,
    /// Steps of each of them
    #[arg(long, default_value = "40", value_name = "N", value_parser = probes)]
    pub density_steps: usize,
    /// Products with random vectors, for the trace and the Frobenius norm
    #[arg(long, default_value = "20", value_name = "N", value_parser = probes)]
    pub trace_probes: usize,
    /// TOML file with options; its keys are the flags' names, and flags override it
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub config: Option<PathBuf>,
    /// Settings; --l is 5 unless given, --out is spectrum, or the folder spectrum in the run's.
    #[command(flatten)]
    pub options: TrainOptions,
}

impl SpectrumCommand {
    /// Default number of examples over which the Hessian is taken.
    pub const LARGE: usize = 1024;
    /// Default number of smallest eigenpairs.
    pub const SMALLEST: usize = 5;
}

fn probes(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=10_000).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to 10000"))
}

/// `fosi solve`.
#[derive(Clone, Debug, Args)]
pub struct SolveCommand {
    /// Problems, such as poisson1d, kernel-ridge or mgh:watson, or the groups mgh, pinn and all; without one all are
    /// listed
    #[arg(value_name = "PROBLEM")]
    pub problems: Vec<String>,
    /// Solvers: fosi (L-BFGS on the estimated spectrum), lbfgs (without it), lbfgs-argmin and newton-cg (of the crate
    /// argmin), bfgs (dense, n up to 5,000), adam-lbfgs (Adam for a tenth of the budget, then lbfgs)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fosi,lbfgs",
        value_name = "LIST"
    )]
    pub solvers: Vec<Solver>,
    /// Seeds of the starts
    #[arg(
        long = "seed",
        visible_alias = "seeds",
        value_delimiter = ',',
        default_value = "0",
        value_name = "LIST"
    )]
    pub seeds: Vec<u64>,
    /// What a run may cost: gradients and Hessian-vector products, or seconds, as in 60s
    #[arg(long, default_value = "10000", value_name = "N")]
    pub budget: Budget,
    /// Pairs of L-BFGS
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub memory: usize,
    /// Folder for runs and figures; runs that are there with the same settings aren't made again
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
            ("=--k 3", "`` is no name"),
            ("a b=--k 3", "`a b` is no name"),
            ("../a=--k 3", "`../a` is no name"),
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
