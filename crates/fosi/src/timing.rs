//! Measured costs of steps and refreshes, which determine T under [`Schedule::Overhead`] (paper, eq. 6).
//!
//! Single times are unreliable: a first product may include compilation, and between two steps the caller may evaluate
//! the model or write a checkpoint. Every cost is therefore a median over a moving window.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{BoxError, Error};
use crate::operator::SymmetricOperator;
use crate::ranks::Ranks;
use crate::schedule::{Costs, Schedule, interval};
use crate::space::Space;

/// The minimum number of timed steps of a kind before their median counts.
const FEWEST_STEPS: usize = 8;
/// The number of times kept per kind of step; older ones are dropped.
const STEP_WINDOW: usize = 256;
/// The number of refresh times kept; older ones are dropped.
const REFRESH_WINDOW: usize = 8;
/// A product's time is capped at this many times the median of its refresh.
const SLOWEST_PRODUCT: f64 = 2.0;
/// Until a second refresh is timed, the time outside products is capped at this fraction of the products' time.
const FIRST_OTHER: f64 = 0.5;

/// A clock: the time since some fixed moment.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use std::time::Duration;
/// use fosi::timing::Clock;
///
/// let millis = Arc::new(AtomicU64::new(0));
/// let shared = Arc::clone(&millis);
/// let clock = Clock::driven(move || Duration::from_millis(shared.load(Ordering::Relaxed)));
/// millis.store(5, Ordering::Relaxed);
/// assert_eq!(clock.now(), Duration::from_millis(5));
/// ```
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Monotonic(Instant),
    Driven(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Clock {
    /// The operating system's monotonic clock.
    pub fn monotonic() -> Self {
        Self(Source::Monotonic(Instant::now()))
    }

    /// A clock that the caller drives, for tests and simulations. A decrease of the time counts as zero elapsed time.
    pub fn driven(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Source::Driven(Arc::new(now)))
    }

    /// The time now.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Monotonic(origin) => origin.elapsed(),
            Source::Driven(now) => now(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Source::Monotonic(_) => "Monotonic",
            Source::Driven(_) => "Driven(..)",
        })
    }
}

/// The measured costs of a run, in seconds, and the interval that follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// τ₁: a step of the base, gradient included; the median of the last 256 before the first refresh (and of those
    /// after a refresh that finds no curvature). `None` until 8 are timed.
    pub base_step: Option<f64>,
    /// τ₂: a step with a subspace, gradient included and refreshes excluded; the median of the last 256. `None` until 8
    /// are timed.
    pub fosi_step: Option<f64>,
    /// τ₃: a refresh; the median of the last 8. `None` until one succeeds.
    pub refresh: Option<f64>,
    /// T = ⌈τ₃/(ρτ₁ − τ₂)⌉, or the formula of `OverheadStatus` where that does not apply. `None` until τ₃ and at least
    /// one of τ₁ and τ₂ are known.
    pub interval: Option<u64>,
    /// Whether T keeps the overhead within ρ.
    pub overhead: OverheadStatus,
}

/// Whether refreshes every T steps keep FOSI's time below ρ times the base's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OverheadStatus {
    /// Fewer than 8 steps of the base or of FOSI are timed: T = ⌈τ₃/((ρ−1)τ)⌉, where τ is the known one of τ₁ and τ₂.
    Unknown,
    /// ρτ₁ > τ₂: T keeps the overhead within ρ.
    Attainable,
    /// ρτ₁ ≤ τ₂: FOSI's steps alone take at least ρ times as long as the base's, and no T suffices. T = ⌈τ₃/((ρ−1)τ₂)⌉,
    /// so that with refreshes a step takes ρτ₂ on average.
    Unattainable,
}

/// The source of T.
#[derive(Debug)]
enum Basis {
    /// The schedule alone gives T and, possibly, r. No clock is read.
    Given {
        interval: Option<u64>,
        product_cost: Option<f64>,
    },
    /// Measured costs.
    Measured {
        overhead: f64,
        products: usize,
        measurements: Measurements,
    },
}

/// Times steps and refreshes, and derives T.
#[derive(Debug)]
pub(crate) struct StepTimer {
    clock: Clock,
    basis: Basis,
    /// End of the last step; `None` if the time since then includes more than a step.
    last: Option<Duration>,
    /// Whether the warning that no T suffices has been issued.
    warned: bool,
}

impl StepTimer {
    pub(crate) fn new(schedule: &Schedule, products: usize) -> Self {
        let given = |interval| Basis::Given {
            interval,
            product_cost: schedule.given_cost(),
        };
        let basis = match (*schedule, schedule.fixed_interval(products)) {
            (Schedule::Overhead { overhead, .. }, None) => Basis::Measured {
                overhead,
                products,
                measurements: Measurements::default(),
            },
            (_, fixed) => given(fixed),
        };
        Self {
            clock: Clock::default(),
            basis,
            last: None,
            warned: false,
        }
    }

    /// Changes the number m of products per refresh, from the next refresh on.
    pub(crate) fn set_products(&mut self, schedule: &Schedule, count: usize) {
        match &mut self.basis {
            Basis::Measured {
                products,
                measurements,
                ..
            } => {
                *products = count;
                // Times for one m do not apply to another.
                measurements.refreshes.clear();
                measurements.refresh = None;
            }
            Basis::Given { interval, .. } => *interval = schedule.fixed_interval(count),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.last = None;
    }

    /// T, once it is known.
    pub(crate) fn interval(&self) -> Option<u64> {
        match &self.basis {
            Basis::Given { interval, .. } => *interval,
            Basis::Measured { .. } => self.timing()?.interval,
        }
    }

    /// r, given or measured: the cost of a product in steps of the base, or of FOSI where τ₁ is unknown.
    pub(crate) fn product_cost(&self) -> Option<f64> {
        match &self.basis {
            Basis::Given { product_cost, .. } => *product_cost,
            Basis::Measured { products, .. } => {
                let timing = self.timing()?;
                let step = timing.base_step.or(timing.fosi_step)?;
                Some(timing.refresh? / *products as f64 / step)
            }
        }
    }

    /// The measured costs; `None` if the schedule does not measure costs.
    pub(crate) fn timing(&self) -> Option<Timing> {
        match &self.basis {
            Basis::Given { .. } => None,
            Basis::Measured {
                overhead,
                measurements,
                ..
            } => Some(measurements.timing(*overhead)),
        }
    }

    /// Whether τ₃ is known.
    pub(crate) fn refresh_timed(&self) -> bool {
        self.timing().is_some_and(|timing| timing.refresh.is_some())
    }

    /// Records the end of a step; `fosi`: whether it had a subspace. All ranks record rank 0's time.
    pub(crate) fn step_taken(&mut self, fosi: bool, ranks: &Ranks) {
        let Basis::Measured {
            overhead,
            measurements,
            ..
        } = &mut self.basis
        else {
            return;
        };
        let now = self.clock.now();
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let steps = match fosi {
            true => &mut measurements.fosi_steps,
            false => &mut measurements.base_steps,
        };
        let mut time = [seconds(last, now)];
        ranks.agree(&mut time);
        steps.push(time[0]);
        let timing = measurements.timing(*overhead);
        if timing.overhead == OverheadStatus::Unattainable && !self.warned {
            self.warned = true;
            tracing::warn!(
                overhead,
                base_step = timing.base_step,
                fosi_step = timing.fosi_step,
                "no interval stays within the overhead: FOSI's steps alone take longer; T follows from FOSI's steps instead"
            );
        }
    }

    /// Starts timing a refresh. The next step is not timed, whether or not the refresh succeeds.
    pub(crate) fn start_refresh(&mut self) -> RefreshTimer {
        self.last = None;
        RefreshTimer {
            started: self.clock.now(),
            clock: self.clock.clone(),
            products: Vec::new(),
        }
    }

    /// Records a successful refresh; returns its wall time in seconds. All ranks record rank 0's times.
    pub(crate) fn finish_refresh(&mut self, timer: &RefreshTimer, ranks: &Ranks) -> f64 {
        let ended = self.clock.now();
        if let Basis::Measured { measurements, .. } = &mut self.basis {
            let RefreshSeconds { products, other } = RefreshSeconds::of(timer, ended);
            let mut times = [products, other];
            ranks.agree(&mut times);
            let [products, other] = times;
            measurements.push_refresh(RefreshSeconds { products, other });
        }
        seconds(timer.started, ended)
    }

    /// The measurements for a checkpoint; `None` if T needs none, so that equal runs have equal states.
    pub(crate) fn save(&self) -> Option<SavedMeasurements> {
        match &self.basis {
            Basis::Given { .. } => None,
            Basis::Measured { measurements, .. } => Some(measurements.save()),
        }
    }

    /// Restores the measurements of a checkpoint, if this schedule measures costs.
    pub(crate) fn restore(&mut self, saved: Measurements) {
        self.last = None;
        if let Basis::Measured { measurements, .. } = &mut self.basis {
            *measurements = saved;
        }
    }
}

/// The wall time between two readings in seconds, at least a nanosecond.
fn seconds(from: Duration, to: Duration) -> f64 {
    to.saturating_sub(from).as_secs_f64().max(1e-9)
}

/// Times the products of a refresh.
#[derive(Debug)]
pub(crate) struct RefreshTimer {
    clock: Clock,
    started: Duration,
    /// When each product started.
    products: Vec<Duration>,
}

impl RefreshTimer {
    /// Wraps the operator such that its products are timed.
    pub(crate) fn watch<'a, O: ?Sized>(&'a mut self, operator: &'a mut O) -> Timed<'a, O> {
        Timed {
            operator,
            timer: self,
        }
    }
}

/// An operator whose products are timed.
pub(crate) struct Timed<'a, O: ?Sized> {
    operator: &'a mut O,
    timer: &'a mut RefreshTimer,
}

impl<S: Space, O: SymmetricOperator<S> + ?Sized> SymmetricOperator<S> for Timed<'_, O> {
    fn apply(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<(), BoxError> {
        self.timer.products.push(self.timer.clock.now());
        self.operator.apply(v, out)
    }
    fn retry(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        let started = self.timer.clock.now();
        let again = self.operator.retry(v, out)?;
        if again {
            self.timer.products.push(started);
        }
        Ok(again)
    }
    fn dim(&self) -> Option<usize> {
        self.operator.dim()
    }
    fn noise(&self) -> f64 {
        self.operator.noise()
    }
    fn shift(&mut self) -> Result<bool, BoxError> {
        self.operator.shift()
    }
    fn apply_before_shift(&mut self, v: &S::Vector, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.apply_before_shift(v, out)
    }
    fn start_vector(&mut self, out: &mut S::Vector) -> Result<bool, BoxError> {
        self.operator.start_vector(out)
    }
    fn tolerance(&self) -> f64 {
        self.operator.tolerance()
    }
}

/// What a refresh took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct RefreshSeconds {
    /// The products with Lanczos' work between them, each capped at [`SLOWEST_PRODUCT`] medians.
    products: f64,
    /// Everything else: the start, the eigenvectors, the momentum's split.
    other: f64,
}

impl RefreshSeconds {
    /// A product's time extends to the start of the next product, since on an asynchronous device a call returns before
    /// the product is computed.
    fn of(timer: &RefreshTimer, ended: Duration) -> Self {
        let (Some(&first), Some(&last)) = (timer.products.first(), timer.products.last()) else {
            let other = seconds(timer.started, ended);
            return Self {
                products: 0.0,
                other,
            };
        };
        let pairs = timer.products.windows(2);
        let mut between: Vec<f64> = pairs.map(|pair| seconds(pair[0], pair[1])).collect();
        between.sort_by(f64::total_cmp);
        let ends = (first.saturating_sub(timer.started) + ended.saturating_sub(last)).as_secs_f64();
        let Some(product) = lower_median(&between) else {
            return Self {
                products: ends.max(1e-9),
                other: 0.0,
            };
        };
        let counted = between
            .iter()
            .map(|time| time.min(SLOWEST_PRODUCT * product));
        Self {
            // The last product has no successor and is part of `ends`.
            products: counted.sum::<f64>() + product,
            other: (ends - product).max(0.0),
        }
    }
}

/// The median of ascending numbers; of two middle values the lower one, since errors make times longer.
fn lower_median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len().checked_sub(1)? / 2;
    Some(sorted[middle])
}

/// The latest times of one kind, with their median.
#[derive(Debug, Clone)]
struct Window {
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            recent: VecDeque::with_capacity(STEP_WINDOW),
            sorted: Vec::with_capacity(STEP_WINDOW),
        }
    }
}

impl Window {
    /// Adds a time; drops the oldest one if the window is full. Does not allocate.
    fn push(&mut self, time: f64) {
        let place = |sorted: &[f64], time: f64| sorted.partition_point(|other| *other < time);
        if self.recent.len() == STEP_WINDOW
            && let Some(oldest) = self.recent.pop_front()
        {
            self.sorted.remove(place(&self.sorted, oldest));
        }
        self.recent.push_back(time);
        self.sorted.insert(place(&self.sorted, time), time);
    }

    fn median(&self) -> Option<f64> {
        if self.sorted.len() < FEWEST_STEPS {
            return None;
        }
        lower_median(&self.sorted)
    }
}

/// The measured times that determine T.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measurements {
    base_steps: Window,
    fosi_steps: Window,
    refreshes: VecDeque<RefreshSeconds>,
    /// τ₃.
    refresh: Option<f64>,
}

impl Measurements {
    fn push_refresh(&mut self, refresh: RefreshSeconds) {
        if self.refreshes.len() == REFRESH_WINDOW {
            self.refreshes.pop_front();
        }
        self.refreshes.push_back(refresh);
        let total = |refresh: &RefreshSeconds| refresh.products + refresh.other;
        let mut totals: Vec<f64> = self.refreshes.iter().map(total).collect();
        totals.sort_by(f64::total_cmp);
        self.refresh = match self.refreshes.make_contiguous() {
            // A first refresh may also compile outside its products, and there is no other refresh to compare it with.
            [only] if only.products > 0.0 => {
                Some(only.products + only.other.min(FIRST_OTHER * only.products))
            }
            _ => lower_median(&totals),
        };
    }

    fn timing(&self, overhead: f64) -> Timing {
        let base_step = self.base_steps.median();
        let fosi_step = self.fosi_steps.median();
        let status = match (base_step, fosi_step) {
            (Some(base), Some(fosi)) if overhead * base > fosi => OverheadStatus::Attainable,
            (Some(_), Some(_)) => OverheadStatus::Unattainable,
            _ => OverheadStatus::Unknown,
        };
        // τ₁ and τ₂ as used for T.
        let steps = match status {
            OverheadStatus::Attainable => base_step.zip(fosi_step),
            OverheadStatus::Unattainable | OverheadStatus::Unknown => {
                fosi_step.or(base_step).map(|step| (step, step))
            }
        };
        let interval = steps.zip(self.refresh).and_then(|(steps, refresh)| {
            let costs = Costs {
                base_step: steps.0,
                fosi_step: steps.1,
                refresh,
            };
            interval(&costs, overhead)
        });
        Timing {
            base_step,
            fosi_step,
            refresh: self.refresh,
            interval,
            overhead: status,
        }
    }

    fn save(&self) -> SavedMeasurements {
        SavedMeasurements {
            base_steps: self.base_steps.recent.iter().copied().collect(),
            fosi_steps: self.fosi_steps.recent.iter().copied().collect(),
            refreshes: self.refreshes.iter().copied().collect(),
        }
    }
}

/// [`Measurements`] in a checkpoint: times in seconds, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedMeasurements {
    base_steps: Vec<f64>,
    fosi_steps: Vec<f64>,
    refreshes: Vec<RefreshSeconds>,
}

impl SavedMeasurements {
    /// # Errors
    /// [`Error::Checkpoint`] for more times than are kept, or for impossible times.
    pub(crate) fn check(&self) -> Result<Measurements, Error> {
        // Ten thousand years: longer than any run, and sums of such times do not overflow.
        const LONGEST: f64 = 3.2e11;
        let steps = self.base_steps.iter().chain(&self.fosi_steps).copied();
        let mut steps = steps.filter(|time| !(*time > 0.0 && *time < LONGEST));
        let refreshes = self.refreshes.iter().flat_map(|r| [r.products, r.other]);
        let mut refreshes = refreshes.filter(|time| !(0.0..LONGEST).contains(time));
        if let Some(time) = steps.next().or_else(|| refreshes.next()) {
            let message = format!("its measured time of {time} s is impossible");
            return Err(Error::Checkpoint(message));
        }
        let longest = self.base_steps.len().max(self.fosi_steps.len());
        if longest > STEP_WINDOW || self.refreshes.len() > REFRESH_WINDOW {
            let message = "it has more measured times than are kept".into();
            return Err(Error::Checkpoint(message));
        }
        let mut measurements = Measurements::default();
        self.base_steps
            .iter()
            .for_each(|time| measurements.base_steps.push(*time));
        self.fosi_steps
            .iter()
            .for_each(|time| measurements.fosi_steps.push(*time));
        self.refreshes
            .iter()
            .for_each(|refresh| measurements.push_refresh(*refresh));
        Ok(measurements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic numbers in 1..1001, some of them equal.
    fn times(count: u64) -> impl Iterator<Item = f64> {
        (1..=count).map(|i| (i * 7919 % 1000 + 1) as f64)
    }

    #[test]
    fn a_window_has_the_median_of_its_latest_times() {
        let mut window = Window::default();
        let all: Vec<f64> = times(500).collect();
        for (i, time) in all.iter().enumerate() {
            window.push(*time);
            let mut latest = all[(i + 1).saturating_sub(STEP_WINDOW)..=i].to_vec();
            latest.sort_by(f64::total_cmp);
            let expected = (i >= 7).then(|| latest[(latest.len() - 1) / 2]);
            assert_eq!(window.median(), expected, "after {} times", i + 1);
        }
    }

    #[test]
    fn saved_measurements_are_taken_over_or_refused() {
        let mut measurements = Measurements::default();
        times(300).for_each(|time| measurements.base_steps.push(time));
        times(20).for_each(|time| measurements.fosi_steps.push(2.0 * time));
        for time in times(11) {
            let (products, other) = (time, 0.5 * time);
            measurements.push_refresh(RefreshSeconds { products, other });
        }
        let saved = measurements.save();
        let taken = saved.check().unwrap();
        assert_eq!(taken.timing(1.1), measurements.timing(1.1));
        assert_eq!(taken.save(), saved);

        for time in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let mut bad = saved.clone();
            bad.fosi_steps[3] = time;
            assert!(matches!(bad.check(), Err(Error::Checkpoint(_))), "{time}");
        }
        let mut bad = saved.clone();
        bad.refreshes[2].other = -1.0;
        assert!(matches!(bad.check(), Err(Error::Checkpoint(_))));
        let mut bad = saved.clone();
        bad.base_steps.push(1.0);
        assert!(matches!(bad.check(), Err(Error::Checkpoint(_))));
        let mut bad = saved;
        bad.refreshes.push(bad.refreshes[0]);
        assert!(matches!(bad.check(), Err(Error::Checkpoint(_))));
    }
}
