//! The progress display of a run: one bar per optimizer, or plain lines without a terminal.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::optimizers::OptimizerName;
use crate::quadratic::Tick;
use crate::runs::{Failure, MetricsRow, RefreshRecord};
use crate::solve::{Standing, Watch};
use crate::tasks::Advance;
use crate::train::{Observer, Start};

/// Observes a run on standard error, with bars if it is a terminal.
pub fn on_stderr() -> Box<dyn Observer> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}

/// A bar on standard error for `ticks` pieces of work, until it is dropped; nothing if standard error is not a
/// terminal.
pub fn ticks_on_stderr(name: &'static str, ticks: u64) -> Box<Tick<'static>> {
    // The drawing library prints nothing without a terminal.
    let bar = ProgressBar::new(ticks)
        .with_style(style(TEMPLATE_TICKS))
        .with_prefix(name)
        .with_finish(indicatif::ProgressFinish::AndClear);
    Box::new(move || bar.inc(1))
}

/// A bar on standard error for `total` pieces of a task's preparation; occasional lines if it is not a terminal.
pub fn preparation_on_stderr(name: &'static str, total: u64) -> Advance {
    if std::io::stderr().is_terminal() {
        let bar = ProgressBar::new(total)
            .with_style(style(TEMPLATE_TICKS))
            .with_prefix(name)
            .with_finish(indicatif::ProgressFinish::AndClear);
        return Box::new(move |pieces| bar.inc(pieces));
    }
    let (done, started) = (AtomicU64::new(0), Instant::now());
    let told = AtomicU64::new(0);
    Box::new(move |pieces| {
        let done = pieces + done.fetch_add(pieces, Ordering::Relaxed);
        let elapsed = started.elapsed();
        // The first line appears after a second, later ones every few seconds.
        let line = (elapsed + PAUSE).as_secs().saturating_sub(1) / PAUSE.as_secs();
        if told.fetch_max(line, Ordering::Relaxed) < line && done < total {
            let _ = writeln!(std::io::stderr(), "{name}: {done} of {total}");
        }
    })
}

/// Observes one of many runs on standard error: a bar until the run is over, or occasional lines if it is not a
/// terminal.
pub fn run_on_stderr(name: String) -> Box<dyn Observer> {
    Box::new(OneOfMany {
        name,
        bar: None,
        start: None,
        told: Instant::now(),
        steps: 0,
    })
}

/// Displays nothing.
pub fn nowhere(_: String) -> Box<dyn Observer> {
    Box::new(Nowhere)
}

/// A bar on standard error for the solver run `name`, with the lowest value so far, until it is dropped; occasional
/// lines if standard error is not a terminal.
pub fn solver_on_stderr(name: String) -> Box<Watch<'static>> {
    let bar = std::io::stderr().is_terminal().then(|| {
        ProgressBar::new(PERCENT)
            .with_style(style(TEMPLATE_SOLVER))
            .with_prefix(name.clone())
            .with_finish(indicatif::ProgressFinish::AndClear)
    });
    let pause = if bar.is_some() { FRAME } else { PAUSE };
    let told = Cell::new(Instant::now());
    Box::new(move |standing| {
        // An evaluation may take less time than formatting the text.
        if told.get().elapsed() < pause {
            return;
        }
        told.set(Instant::now());
        let text = solver_standing(&standing);
        match &bar {
            Some(bar) => {
                bar.set_position((standing.share * PERCENT as f64) as u64);
                bar.set_message(text);
            }
            None => write_line(&mut std::io::stderr(), &format!("{name}: {text}")),
        }
    })
}

fn solver_standing(standing: &Standing) -> String {
    let Standing { share, cost, value } = standing;
    let percent = share * PERCENT as f64;
    format!("f = {value:.3e} after {cost} units, {percent:.0} % of the budget")
}

/// Failures of the progress display do not end a run.
fn write_line(out: &mut impl Write, text: &str) {
    let _ = writeln!(out, "{text}");
}

/// The name of an optimizer in the progress display.
fn label(optimizer: OptimizerName, seed: u64) -> String {
    format!("{optimizer} (seed {seed})")
}

/// A bar with loss, accuracy, step rate and remaining time; it stays visible after its optimizer ends.
#[derive(Debug, Default)]
struct Bars {
    bar: Option<ProgressBar>,
    /// The number of steps before a resume.
    taken: u64,
    /// The results of the last epoch.
    standing: String,
}

/// At 80 columns, nine remain for the bar itself.
const TEMPLATE: &str = "{prefix:18} {wide_bar} {percent:>3}% {rate:>11} {eta:>4} left {msg:24}";
const TEMPLATE_TICKS: &str = "{prefix:12} {wide_bar} {pos}/{len} {eta:>4} left";
const TEMPLATE_SOLVER: &str = "{prefix} {wide_bar} {msg}";
const TEMPLATE_ONE: &str = "{prefix} {wide_bar} {percent:>3}% {eta:>4} left {msg}";
const TEMPLATE_OVER: &str = "{prefix:18} {wide_bar} {percent:>3}% {rate:>11} {elapsed:>4} {msg:24}";

fn style(template: &str) -> ProgressStyle {
    // A template that cannot be parsed falls back to the library's default and does not end the run.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

/// Like [`style`], with a rate that omits the library's ten decimals and the steps before a resume.
fn training_style(template: &str, taken: u64) -> ProgressStyle {
    let write_rate = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let rate = match state.is_finished() {
            true => (state.pos() - taken.min(state.pos())) as f64 / state.elapsed().as_secs_f64(),
            false => state.per_sec(),
        };
        let _ = write!(out, "{}", rate_text(rate));
    };
    style(template).with_key("rate", write_rate)
}

fn rate_text(rate: f64) -> String {
    let decimals = if rate < 10.0 { 1 } else { 0 };
    format!("{rate:.decimals$} steps/s")
}

fn training_bar(start: &Start, target: ProgressDrawTarget) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(start.steps), ProgressDrawTarget::hidden())
        .with_style(training_style(TEMPLATE, start.taken))
        .with_prefix(label(start.optimizer, start.seed))
        .with_position(start.taken);
    // Resets the rate's starting point.
    bar.tick();
    bar.reset_eta();
    bar.set_draw_target(target);
    bar
}

impl Observer for Bars {
    fn started(&mut self, start: &Start) {
        self.taken = start.taken;
        self.standing.clear();
        self.bar = Some(training_bar(start, ProgressDrawTarget::stderr()));
    }

    fn stepped(&mut self, _loss: f64) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    fn busy(&mut self, with: Option<&'static str>) {
        if let Some(bar) = &self.bar {
            bar.set_message(with.map_or_else(|| self.standing.clone(), str::to_owned));
        }
    }

    fn epoch(&mut self, row: &MetricsRow) {
        self.standing = short_standing(row);
        if let Some(bar) = &self.bar {
            bar.set_message(self.standing.clone());
        }
    }

    fn refused(&mut self, refresh: &RefreshRecord, reason: &str, spectrum: bool) {
        if let Some(bar) = &self.bar {
            bar.println(refusal_line(refresh, reason, spectrum));
        }
    }

    fn failed(&mut self, failure: &Failure, others: usize) {
        if let Some(bar) = &self.bar {
            bar.println(failure_line(failure, others));
        }
    }

    fn ended(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.set_style(training_style(TEMPLATE_OVER, self.taken));
            bar.abandon();
        }
    }

    fn notice(&mut self, text: &str) {
        write_line(&mut std::io::stderr(), text);
    }
}

/// Prints a line at the first epoch, the last epoch, and every few seconds in between.
#[derive(Debug)]
struct Lines<W> {
    out: W,
    start: Option<Start>,
    started: Instant,
    last: Option<Instant>,
    /// The number of steps since the start.
    steps: u64,
}

/// The length of a bar that shows a percentage.
const PERCENT: u64 = 100;
/// The time between two updates of a solver's bar.
const FRAME: Duration = Duration::from_millis(100);
/// The time between two lines of the same optimizer or solver.
const PAUSE: Duration = Duration::from_secs(5);
/// The time after which a step gets a line, too.
const LONG_PAUSE: Duration = Duration::from_secs(30);

impl<W: Write> Lines<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            start: None,
            started: Instant::now(),
            last: None,
            steps: 0,
        }
    }

    fn line(&mut self, text: &str) {
        write_line(&mut self.out, text);
    }
}

impl<W: Write> Observer for Lines<W> {
    fn started(&mut self, start: &Start) {
        self.start = Some(*start);
        self.started = Instant::now();
        self.last = None;
        self.steps = 0;
    }

    fn busy(&mut self, with: Option<&'static str>) {
        let silent = self.last.unwrap_or(self.started).elapsed();
        if let (Some(with), Some(start)) = (with, self.start)
            && silent >= PAUSE
        {
            self.last = Some(Instant::now());
            let steps = start.taken + self.steps;
            let name = label(start.optimizer, start.seed);
            self.line(&format!("{name:24} {with} after step {steps}"));
        }
    }

    fn stepped(&mut self, _loss: f64) {
        self.steps += 1;
        let silent = self.last.unwrap_or(self.started).elapsed();
        if let Some(start) = self.start
            && silent >= LONG_PAUSE
        {
            self.last = Some(Instant::now());
            let (steps, all) = (start.taken + self.steps, start.steps);
            let name = label(start.optimizer, start.seed);
            self.line(&format!("{name:24} step {steps} of {all}"));
        }
    }

    fn epoch(&mut self, row: &MetricsRow) {
        let Some(start) = self.start else {
            return;
        };
        let due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if !due && row.epoch != start.epochs {
            return;
        }
        self.last = Some(Instant::now());
        let text = epoch_line(&start, row, self.started.elapsed().as_secs_f64());
        self.line(&text);
    }

    fn refused(&mut self, refresh: &RefreshRecord, reason: &str, spectrum: bool) {
        self.line(&refusal_line(refresh, reason, spectrum));
    }

    fn failed(&mut self, failure: &Failure, others: usize) {
        self.line(&failure_line(failure, others));
    }

    fn ended(&mut self) {}

    fn notice(&mut self, text: &str) {
        self.line(text);
    }
}

/// One of many runs; prints a line when the run is over.
#[derive(Debug)]
struct OneOfMany {
    name: String,
    /// `None` if standard error is not a terminal.
    bar: Option<ProgressBar>,
    start: Option<Start>,
    told: Instant,
    /// The number of steps taken.
    steps: u64,
}

impl Observer for OneOfMany {
    fn started(&mut self, start: &Start) {
        self.start = Some(*start);
        self.bar = std::io::stderr().is_terminal().then(|| {
            ProgressBar::new(start.steps)
                .with_style(style(TEMPLATE_ONE))
                .with_prefix(self.name.clone())
                .with_finish(indicatif::ProgressFinish::AndClear)
        });
    }

    fn busy(&mut self, with: Option<&'static str>) {
        if let (Some(bar), Some(with)) = (&self.bar, with) {
            bar.set_message(with);
        }
    }

    fn stepped(&mut self, _loss: f64) {
        self.steps += 1;
        match (&self.bar, self.start) {
            (Some(bar), _) => bar.inc(1),
            (None, Some(start)) if self.told.elapsed() >= LONG_PAUSE => {
                self.told = Instant::now();
                let text = format!("{}: step {} of {}", self.name, self.steps, start.steps);
                write_line(&mut std::io::stderr(), &text);
            }
            _ => {}
        }
    }

    fn epoch(&mut self, row: &MetricsRow) {
        if let Some(bar) = &self.bar {
            bar.set_message(short_standing(row));
        }
    }

    fn refused(&mut self, _: &RefreshRecord, _: &str, _: bool) {}

    fn failed(&mut self, _: &Failure, _: usize) {}

    fn ended(&mut self) {
        self.bar = None;
    }

    fn notice(&mut self, text: &str) {
        write_line(&mut std::io::stderr(), text);
    }
}

/// An observer that does nothing.
#[derive(Debug)]
struct Nowhere;

impl Observer for Nowhere {
    fn started(&mut self, _: &Start) {}
    fn busy(&mut self, _: Option<&'static str>) {}
    fn stepped(&mut self, _: f64) {}
    fn epoch(&mut self, _: &MetricsRow) {}
    fn refused(&mut self, _: &RefreshRecord, _: &str, _: bool) {}
    fn failed(&mut self, _: &Failure, _: usize) {}
    fn ended(&mut self) {}
    fn notice(&mut self, _: &str) {}
}

/// A line for an epoch; `elapsed` is the time in seconds since the start or the resume.
fn epoch_line(start: &Start, row: &MetricsRow, elapsed: f64) -> String {
    let steps = row.step.saturating_sub(start.taken).max(1) as f64;
    let rate = steps / elapsed.max(f64::MIN_POSITIVE);
    let left = start.steps.saturating_sub(row.step) as f64 / rate;
    format!(
        "{:24} epoch {}/{}  {}  {}  {left:.0} s left",
        label(start.optimizer, start.seed),
        row.epoch,
        start.epochs,
        standing(row),
        rate_text(rate)
    )
}

fn standing(row: &MetricsRow) -> String {
    match row.valid_accuracy {
        Some(accuracy) => format!("loss {:.4}  accuracy {accuracy:.4}", row.train_loss),
        None => format!(
            "loss {:.4}  validation {:.4}",
            row.train_loss, row.valid_loss
        ),
    }
}

/// Like [`standing`], for the end of a bar.
fn short_standing(row: &MetricsRow) -> String {
    match row.valid_accuracy {
        Some(accuracy) => format!("loss {:.4} acc {accuracy:.4}", row.train_loss),
        None => format!("loss {:.4} val {:.4}", row.train_loss, row.valid_loss),
    }
}

fn refusal_line(refresh: &RefreshRecord, reason: &str, spectrum: bool) -> String {
    let meanwhile = match spectrum {
        true => "the old spectrum stays",
        false => "it takes the base's steps",
    };
    format!(
        "{}: the refresh at step {} was refused, {meanwhile}: {reason}",
        label(refresh.optimizer, refresh.seed),
        refresh.step
    )
}

fn failure_line(failure: &Failure, others: usize) -> String {
    let mut line = format!(
        "{} stopped in epoch {} at step {}: {}",
        label(failure.optimizer, failure.seed),
        failure.epoch,
        failure.step,
        failure.reason
    );
    if failure.epoch > 1 {
        line += "; its finished epochs are kept";
    }
    if others > 0 {
        line += "; the others continue";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64) -> MetricsRow {
        MetricsRow {
            optimizer: "fosi-hb".parse().unwrap(),
            seed: 3,
            epoch,
            step: 7 * epoch,
            learning_rate: 0.1,
            train_loss: 0.25,
            valid_loss: 0.5,
            valid_accuracy: Some(0.875),
            train_seconds: 1.0,
            refresh_seconds: 0.0,
            gradients: 0,
            products: 0,
        }
    }

    fn start(taken: u64) -> Start {
        Start {
            optimizer: row(1).optimizer,
            seed: 3,
            epochs: 4,
            steps: 28,
            taken,
        }
    }

    #[test]
    fn without_a_terminal_the_first_and_the_last_epoch_get_a_line() {
        let mut lines = Lines::new(Vec::new());
        lines.started(&start(0));
        for epoch in 1..=4 {
            lines.epoch(&row(epoch));
        }
        let text = String::from_utf8(lines.out).unwrap();
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown.len(), 2, "{text}");
        assert!(shown[0].starts_with("fosi-hb (seed 3)"));
        assert!(
            shown[0].contains("epoch 1/4  loss 0.2500  accuracy 0.8750"),
            "{text}"
        );
        assert!(shown[1].contains("epoch 4/4"), "{text}");
    }

    #[test]
    fn steps_of_before_a_resume_are_no_part_of_the_rate() {
        // Epoch 3 ends at step 21: 7 steps in 2 s since the resume, 7 steps remain.
        let line = epoch_line(&start(14), &row(3), 2.0);
        assert!(line.ends_with("3.5 steps/s  2 s left"), "{line}");
        let bar = training_bar(
            &Start {
                epochs: 1_000_000,
                steps: 7_000_000,
                taken: 6_000_000,
                ..start(0)
            },
            ProgressDrawTarget::hidden(),
        );
        std::thread::sleep(Duration::from_millis(100));
        bar.inc(1);
        bar.tick();
        assert_eq!(bar.position(), 6_000_001);
        assert!(bar.per_sec() < 1000.0, "{}", bar.per_sec());
    }

    /// A terminal with 80 columns that records the output.
    #[derive(Clone, Debug, Default)]
    struct Narrow(std::sync::Arc<std::sync::Mutex<String>>);

    impl indicatif::TermLike for Narrow {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn at_eighty_columns_there_is_a_bar() {
        let terminal = Narrow::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bar = training_bar(&start(0), target);
        bar.set_message(short_standing(&row(2)));
        // Produces a rate with few digits, like a real one.
        std::thread::sleep(Duration::from_millis(20));
        bar.inc(28);
        bar.set_style(training_style(TEMPLATE_OVER, 0));
        bar.abandon();
        let text = terminal.0.lock().unwrap().clone();
        let line = text.lines().rfind(|line| line.contains("100%")).unwrap();
        assert!(line.matches('━').count() >= 8, "{line}");
        assert!(line.contains("loss 0.2500 acc 0.8750"), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }

    #[test]
    fn only_what_holds_is_said_of_a_stopped_optimizer() {
        let failure = |epoch| Failure {
            optimizer: row(1).optimizer,
            seed: 3,
            epoch,
            step: 9,
            reason: "why".to_owned(),
            eigenvalues: Vec::new(),
            scale: 1.0,
            state: None,
            state_error: None,
        };
        let line = failure_line(&failure(1), 0);
        assert_eq!(line, "fosi-hb (seed 3) stopped in epoch 1 at step 9: why");
        let line = failure_line(&failure(2), 1);
        assert!(line.ends_with("why; its finished epochs are kept; the others continue"));
    }

    #[test]
    fn the_templates_are_understood() {
        for template in [TEMPLATE, TEMPLATE_OVER, TEMPLATE_TICKS] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
