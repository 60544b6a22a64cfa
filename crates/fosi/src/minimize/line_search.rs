//! A line search for the strong Wolfe conditions or, if rounding hides the decrease, the approximate Wolfe conditions
//! (Hager and Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line search*, 2005, §4).

/// δ: the fraction of the decrease α·|φ′(0)| that a step must achieve.
const DECREASE: f64 = 1e-4;
/// δ of the approximate conditions, which test the slope instead of the decrease.
const APPROXIMATE_DECREASE: f64 = 0.1;
/// σ: the largest |φ′(α)|/|φ′(0)| accepted.
const CURVATURE: f64 = 0.9;
/// A bracket is bisected if an iteration leaves more than this fraction of its width.
const SHRINKAGE: f64 = 0.66;
/// The growth factor of the step while the function still falls.
const EXPANSION: f64 = 5.0;
/// The maximum number of evaluations per search.
const MOST_EVALUATIONS: usize = 40;

/// φ(α) = f(x + αd) at one α.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trial {
    /// α.
    pub(super) step: f64,
    /// φ(α).
    pub(super) value: f64,
    /// φ′(α).
    pub(super) slope: f64,
}

impl Trial {
    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.slope.is_finite()
    }
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    /// The last trial satisfies the conditions.
    Last(Trial),
    /// No trial does; this one is the lowest, and lower than φ(0).
    Lower(Trial),
    /// No trial is lower than φ(0).
    Nothing,
}

/// The search along one direction.
struct Search<F> {
    evaluate: F,
    start: Trial,
    /// The rounding of φ: values up to φ(0) plus this count as equal to φ(0).
    rounding: f64,
    lowest: Option<Trial>,
    evaluations: usize,
}

/// Searches from φ(0) = `start`, with slope < 0; the first trial is α = `first`. `evaluate` returns φ and φ′ at α.
/// Where these are not finite, the search tries smaller steps. An error of `evaluate` ends the search.
pub(super) fn search<E>(
    start: Trial,
    first: f64,
    rounding: f64,
    evaluate: impl FnMut(f64) -> Result<Trial, E>,
) -> Result<Found, E> {
    let mut search = Search {
        evaluate,
        start,
        rounding,
        lowest: None,
        evaluations: 0,
    };
    Ok(match search.run(first)? {
        Some(trial) => Found::Last(trial),
        None => search.lowest.map_or(Found::Nothing, Found::Lower),
    })
}

impl<E, F: FnMut(f64) -> Result<Trial, E>> Search<F> {
    /// The trial that satisfies the conditions, which is the last one evaluated.
    fn run(&mut self, first: f64) -> Result<Option<Trial>, E> {
        let mut low = self.start;
        let mut step = first;
        // The smallest step at which the function is not finite.
        let mut wall = f64::INFINITY;
        let mut high = loop {
            let Some(trial) = self.trial(step)? else {
                return Ok(None);
            };
            if !trial.is_finite() {
                wall = step;
                step = low.step + 0.1 * (step - low.step);
                continue;
            }
            if self.accepts(&trial) {
                return Ok(Some(trial));
            }
            if trial.slope >= 0.0 || self.is_higher(&trial) {
                break trial;
            }
            low = trial;
            step = (EXPANSION * step).min(0.5 * (step + wall));
        };
        loop {
            let width = high.step - low.step;
            let Some(trial) = self.trial(interpolated(&low, &high))? else {
                return Ok(None);
            };
            if self.accepts(&trial) {
                return Ok(Some(trial));
            }
            self.narrow(&mut low, &mut high, trial);
            if high.step - low.step > SHRINKAGE * width {
                let Some(middle) = self.trial(0.5 * (low.step + high.step))? else {
                    return Ok(None);
                };
                if self.accepts(&middle) {
                    return Ok(Some(middle));
                }
                self.narrow(&mut low, &mut high, middle);
            }
        }
    }

    /// φ at α; `None` if the search has used up its evaluations or α is not positive and finite.
    fn trial(&mut self, step: f64) -> Result<Option<Trial>, E> {
        let new = step > 0.0 && step.is_finite();
        if self.evaluations >= MOST_EVALUATIONS || !new {
            return Ok(None);
        }
        self.evaluations += 1;
        let trial = (self.evaluate)(step)?;
        let lowest = self.lowest.map_or(self.start.value, |lowest| lowest.value);
        if trial.is_finite() && trial.value < lowest {
            self.lowest = Some(trial);
        }
        Ok(Some(trial))
    }

    fn is_higher(&self, trial: &Trial) -> bool {
        !trial.is_finite() || trial.value > self.start.value + self.rounding
    }

    /// Whether the step satisfies the Wolfe conditions, strong or approximate.
    fn accepts(&self, trial: &Trial) -> bool {
        if !trial.is_finite() {
            return false;
        }
        let (change, slope) = (trial.value - self.start.value, self.start.slope);
        let strong =
            change <= DECREASE * trial.step * slope && trial.slope.abs() <= -CURVATURE * slope;
        let approximate = change <= self.rounding
            && trial.slope >= CURVATURE * slope
            && trial.slope <= (2.0 * APPROXIMATE_DECREASE - 1.0) * slope;
        strong || approximate
    }

    /// Replaces one end of the bracket by `trial`, such that φ decreases at the lower end, whose value is at most φ(0).
    fn narrow(&self, low: &mut Trial, high: &mut Trial, trial: Trial) {
        if trial.step <= low.step || trial.step >= high.step {
            return;
        }
        match trial.slope >= 0.0 || self.is_higher(&trial) {
            true => *high = trial,
            false => *low = trial,
        }
    }
}

/// The minimiser of the cubic through the values and slopes at the bracket's ends; the midpoint if the minimiser is
/// outside the bracket or too close to an end.
fn interpolated(low: &Trial, high: &Trial) -> f64 {
    let width = high.step - low.step;
    let middle = low.step + 0.5 * width;
    if !high.is_finite() {
        return low.step + 0.1 * width;
    }
    let d = low.slope + high.slope - 3.0 * (high.value - low.value) / width;
    let root = (d * d - low.slope * high.slope).sqrt();
    let share = 1.0 - (high.slope + root - d) / (high.slope - low.slope + 2.0 * root);
    match (1e-3..=0.999).contains(&share) {
        true => low.step + share * width,
        false => middle,
    }
}
