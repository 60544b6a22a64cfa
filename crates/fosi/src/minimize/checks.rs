//! What is checked of a function before it is minimised.

use std::borrow::{Borrow, BorrowMut};

use super::objective::Objective;
use crate::error::Error;
use crate::space::Space;

/// Directions along which the gradient is compared with differences of f.
const DIRECTIONS: u64 = 3;
/// The share of the slope by which they may differ. Kinks and rounding have their part of it; a wrong sign or factor
/// is more.
const TOLERANCE: f64 = 0.05;

/// A central difference of f.
struct Slope {
    value: f64,
    /// What rounding may add to it.
    rounding: f64,
    /// How far f is from linear over the step: of a kink, or of a function that changes within h, differences say
    /// little.
    bend: f64,
}

impl Slope {
    /// Whether it contradicts the slope that the gradient gives.
    fn differs(&self, given: f64) -> bool {
        let allowed = TOLERANCE * given.abs().max(self.value.abs()) + self.rounding + self.bend;
        self.value.is_finite() && (self.value - given).abs() > allowed
    }
}

/// Checks at x that f is the same function at two calls, and that the gradient is f's.
pub(super) fn check_start<S: Space>(
    objective: &mut Objective<'_, S>,
    x: &S::Vector,
    value: f64,
    gradient: &S::Vector,
    seed: u64,
) -> Result<(), Error> {
    let space = &objective.space;
    let epsilon = space.epsilon();
    let (mut trial, mut discarded) = (space.zeros(), space.zeros());
    let (trial, discarded) = (trial.borrow_mut(), discarded.borrow_mut());
    let again = (objective.evaluate)(x, discarded).map_err(Error::User)?;
    if (again - value).abs() > 1e3 * epsilon * value.abs() {
        return Err(Error::NotDeterministic {
            first: value,
            second: again,
        });
    }
    // The best step of a central difference, relative to the point's magnitude.
    let h = epsilon.cbrt() * space.max_abs(x).max(1.0);
    for direction in 0..DIRECTIONS {
        let mut v = space.normal(seed.wrapping_add(direction));
        let unit = 1.0 / space.norm(v.borrow());
        space.subtract_scaled(&[], &[], unit, v.borrow_mut());
        let given = space.dot(gradient, v.borrow());
        let mut at = |h: f64| {
            space.axpby(1.0, x, 0.0, trial);
            space.axpby(h, v.borrow(), 1.0, trial);
            (objective.evaluate)(trial, discarded).map_err(Error::User)
        };
        let mut slope = |h: f64| -> Result<Slope, Error> {
            let (ahead, behind) = (at(h)?, at(-h)?);
            Ok(Slope {
                value: (ahead - behind) / (2.0 * h),
                rounding: 10.0 * epsilon * (ahead.abs() + behind.abs()) / h,
                bend: (ahead - 2.0 * value + behind).abs() / h,
            })
        };
        let found = slope(h)?;
        // A function that oscillates within h shows its slope in a shorter step, where rounding allows for one.
        if found.differs(given)
            && [0.1, 0.01].iter().all(|share| match slope(share * h) {
                Ok(nearer) => nearer.differs(given) || nearer.rounding > TOLERANCE * given.abs(),
                Err(_) => true,
            })
        {
            return Err(Error::WrongGradient {
                given,
                found: found.value,
            });
        }
    }
    Ok(())
}
