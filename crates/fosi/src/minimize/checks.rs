//! Checks of a function before its minimisation.

use std::borrow::{Borrow, BorrowMut};

use super::objective::Objective;
use crate::error::Error;
use crate::space::Space;

/// The number of directions along which the gradient is compared with differences of f.
const DIRECTIONS: u64 = 3;
/// The relative difference allowed between the two slopes. It covers kinks and rounding; a wrong sign or factor exceeds
/// it.
const TOLERANCE: f64 = 0.05;

/// A central difference of f.
struct Slope {
    value: f64,
    /// A bound on its rounding error.
    rounding: f64,
    /// The deviation of f from linearity over the step: at a kink, or if f oscillates within h, a difference says
    /// little about the slope.
    bend: f64,
}

impl Slope {
    /// Whether it contradicts the slope from the gradient.
    fn differs(&self, given: f64) -> bool {
        let allowed = TOLERANCE * given.abs().max(self.value.abs()) + self.rounding + self.bend;
        self.value.is_finite() && (self.value - given).abs() > allowed
    }
}

/// Checks at x that two calls evaluate the same function, and that the gradient is that of f.
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
    // The optimal step of a central difference, relative to the point's magnitude.
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
        // For a function that oscillates within h, a shorter step gives the slope, if rounding permits it.
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
