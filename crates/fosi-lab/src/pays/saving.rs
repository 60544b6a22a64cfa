//! What FOSI saves: the steps and seconds that the base needs to reach FOSI's loss.

/// The lengths of the base's runs relative to S, the length of FOSI's.
pub const LENGTHS: [f64; 4] = [0.8, 1.0, 1.25, 1.5];

/// A number, or a bound if it lies outside a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounded {
    /// Below this bound.
    Below(f64),
    /// Exactly this number.
    Exactly(f64),
    /// Above this bound.
    Above(f64),
}

impl Bounded {
    /// The number or the bound.
    pub fn value(self) -> f64 {
        match self {
            Self::Below(value) | Self::Exactly(value) | Self::Above(value) => value,
        }
    }

    /// `f` applied to it, for an increasing `f`.
    #[must_use]
    pub fn map(self, f: impl FnOnce(f64) -> f64) -> Self {
        match self {
            Self::Below(value) => Self::Below(f(value)),
            Self::Exactly(value) => Self::Exactly(f(value)),
            Self::Above(value) => Self::Above(f(value)),
        }
    }

    fn order(self) -> (u8, f64) {
        match self {
            Self::Below(value) => (0, value),
            Self::Exactly(value) => (1, value),
            Self::Above(value) => (2, value),
        }
    }
}

/// Median, least and greatest value over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundedSpread {
    /// The median; for an even count, the mean of the middle two, or a bound if one of them is a bound. `None` if one
    /// is an upper and the other a lower bound.
    pub median: Option<Bounded>,
    /// The least.
    pub low: Bounded,
    /// The greatest.
    pub high: Bounded,
}

impl BoundedSpread {
    /// The spread of `values`, where those below the range sort first and those above it last; `None` without values.
    pub fn of(values: impl IntoIterator<Item = Bounded>) -> Option<Self> {
        let mut sorted: Vec<Bounded> = values.into_iter().collect();
        sorted.sort_by(|a, b| {
            let ((a, x), (b, y)) = (a.order(), b.order());
            a.cmp(&b).then(x.total_cmp(&y))
        });
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = [sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]];
        Some(Self {
            median: mean(middle),
            low,
            high,
        })
    }
}

fn mean([a, b]: [Bounded; 2]) -> Option<Bounded> {
    use Bounded::{Above, Below, Exactly};
    let mean = (a.value() + b.value()) / 2.0;
    match (a, b) {
        (Exactly(_), Exactly(_)) => Some(Exactly(mean)),
        (Below(_), Above(_)) | (Above(_), Below(_)) => None,
        (Below(_), _) | (_, Below(_)) => Some(Below(mean)),
        (Above(_), _) | (_, Above(_)) => Some(Above(mean)),
    }
}

/// The final loss of a run with this number of steps; ∞ if it diverged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// The run's steps, over which its own schedule extends.
    pub steps: u64,
    /// The loss.
    pub loss: f64,
}

/// S′: the number of steps in which the base first reaches `target`. Between two `ends`, which are in ascending order
/// of steps, the logarithm of the loss is interpolated linearly in the steps; after a diverged run, the loss drops to
/// the next value only at the next end. If a longer run ends at a higher loss, the first crossing counts. `None` if
/// both sides of the crossing diverged, or without ends.
pub fn steps_to(target: f64, ends: &[End]) -> Option<Bounded> {
    let (first, last) = (ends.first()?, ends.last()?);
    if target.is_infinite() && first.loss.is_infinite() {
        return None;
    }
    if first.loss < target {
        return Some(Bounded::Below(first.steps as f64));
    }
    if first.loss == target {
        return Some(Bounded::Exactly(first.steps as f64));
    }
    let crossing = ends.windows(2).find(|pair| pair[1].loss <= target);
    Some(match crossing {
        None => Bounded::Above(last.steps as f64),
        Some(pair) => Bounded::Exactly(between(pair[0], pair[1], target)),
    })
}

/// The steps at which the line between two ends, in the logarithm of the loss, reaches `target`.
fn between(from: End, to: End, target: f64) -> f64 {
    let (low, high) = (from.steps as f64, to.steps as f64);
    if from.loss.is_infinite() {
        return high;
    }
    let [from, to, target] =
        [from.loss, to.loss, target].map(|loss| loss.max(f64::MIN_POSITIVE).ln());
    low + (high - low) * (from - target) / (from - to)
}

/// Whether each longer run ends at a lower loss.
pub fn falls(ends: &[End]) -> bool {
    ends.windows(2).all(|pair| pair[1].loss < pair[0].loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(losses: [f64; 4]) -> Vec<End> {
        let end = |(share, loss): (f64, f64)| End {
            steps: (1000.0 * share) as u64,
            loss,
        };
        LENGTHS.into_iter().zip(losses).map(end).collect()
    }

    fn exact(reach: Option<Bounded>) -> f64 {
        match reach {
            Some(Bounded::Exactly(steps)) => steps,
            other => panic!("{other:?}"),
        }
    }

    /// A loss of 2^(−steps/250): a quarter of S halves it.
    #[test]
    fn a_loss_that_halves_is_interpolated_by_hand() {
        let base = ends([2f64.powf(-3.2), 0.0625, 0.03125, 0.015625]);
        for (target, steps) in [
            (0.0625, 1000.0),
            // Halfway in the logarithm.
            (0.0625 / 2f64.sqrt(), 1125.0),
            (0.03125 / 2f64.powf(0.2), 1300.0),
            (2f64.powf(-3.6), 900.0),
            (0.015625, 1500.0),
            (2f64.powf(-3.2), 800.0),
        ] {
            let reached = exact(steps_to(target, &base));
            assert!((reached - steps).abs() < 1e-9, "{target}: {reached}");
        }
    }

    /// Published figures: the base's loss at S and 1.25 S, FOSI's loss, and the saving to a percent.
    #[test]
    fn published_savings_follow_from_published_losses() {
        for (at, longer, fosi, percent) in [
            (0.0150, 0.0091, 0.0135, 5.0),
            (0.0150, 0.0091, 0.0117, 12.0),
            (0.0213, 0.0144, 0.0206, 2.0),
            (0.0234, 0.0162, 0.0222, 4.0),
        ] {
            let base = ends([f64::INFINITY, at, longer, longer / 2.0]);
            let saved = 100.0 * (exact(steps_to(fosi, &base)) / 1000.0 - 1.0);
            assert_eq!(saved.round(), percent, "{fosi}");
        }
    }

    #[test]
    fn what_lies_outside_is_said_and_not_extrapolated() {
        let base = ends([0.4, 0.3, 0.2, 0.1]);
        assert_eq!(steps_to(0.41, &base), Some(Bounded::Below(800.0)));
        assert_eq!(steps_to(0.09, &base), Some(Bounded::Above(1500.0)));
        assert_eq!(steps_to(0.0, &base), Some(Bounded::Above(1500.0)));
        assert_eq!(steps_to(0.1, &[]), None);
    }

    #[test]
    fn the_first_crossing_counts() {
        // The loss falls from 0.4 at 800 to 0.1 at 1000, then rises, then falls.
        let base = ends([0.4, 0.1, 0.3, 0.05]);
        assert_eq!(exact(steps_to(0.2, &base)), 900.0);
        let last = exact(steps_to(0.07, &base));
        assert!((1250.0..1500.0).contains(&last), "{last}");
        assert!(!falls(&base) && falls(&ends([0.4, 0.3, 0.2, 0.1])));
    }

    #[test]
    fn a_diverged_run_is_infinitely_bad() {
        let infinite = f64::INFINITY;
        let base = ends([0.4, 0.3, 0.2, 0.1]);
        assert_eq!(steps_to(infinite, &base), Some(Bounded::Below(800.0)));
        // There is no interpolation between a diverged run and the next.
        let base = ends([infinite, infinite, 0.2, 0.1]);
        assert_eq!(exact(steps_to(0.3, &base)), 1250.0);
        assert_eq!(steps_to(infinite, &base), None);
        let all = ends([infinite; 4]);
        assert_eq!(steps_to(0.3, &all), Some(Bounded::Above(1500.0)));
    }

    #[test]
    fn a_loss_of_zero_is_reached() {
        let base = ends([0.4, 0.3, 0.2, 0.0]);
        assert_eq!(exact(steps_to(0.0, &base)), 1500.0);
    }

    #[test]
    fn the_median_knows_what_is_a_bound() {
        use Bounded::{Above, Below, Exactly};
        let median = |values: &[Bounded]| BoundedSpread::of(values.to_vec()).unwrap().median;
        let (below, above) = (Below(-0.2), Above(0.5));
        let (a, b) = (Exactly(0.1), Exactly(0.3));
        assert_eq!(median(&[above, a, below]), Some(a));
        assert_eq!(median(&[b, a]), Some(Exactly(0.2)));
        assert_eq!(median(&[above, b]), Some(Above(0.4)));
        assert_eq!(median(&[b, below]), Some(Below((0.3 - 0.2) / 2.0)));
        assert_eq!(median(&[above, below]), None);
        let spread = BoundedSpread::of([above, a, below]).unwrap();
        assert_eq!((spread.low, spread.high), (below, above));
        // A bound on seconds may be smaller than exact values, but it still sorts after them.
        let spread = BoundedSpread::of([Above(-0.1), Exactly(0.0)]).unwrap();
        assert_eq!((spread.low, spread.high), (Exactly(0.0), Above(-0.1)));
        assert_eq!(BoundedSpread::of([]), None);
    }
}
