//! A logarithmic axis for numbers of both signs.

/// The axis maps λ to sign(λ)·log₁₀(|λ|/floor) for |λ| above the floor and to 0 otherwise: decades above and below
/// zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SignedAxis {
    floor: f64,
    low: f64,
    high: f64,
}

impl SignedAxis {
    /// The maximum number of decades shown below the greatest magnitude.
    const DECADES: i32 = 8;

    /// The axis for `values`; magnitudes below 10⁻⁸ of the greatest count as zero.
    pub(super) fn over(values: &[f64]) -> Self {
        let sizes = || {
            values
                .iter()
                .map(|value| value.abs())
                .filter(|size| *size > 0.0)
        };
        let greatest = sizes().fold(f64::MIN_POSITIVE, f64::max);
        let least = sizes().fold(greatest, f64::min);
        let least = least.max(greatest * 10f64.powi(-Self::DECADES));
        // A power of ten below all values, so that the ticks are whole decades away from zero.
        let floor = 10f64.powi((least.log10().floor() as i32).max(-300) - 1);
        let mut axis = Self {
            floor,
            low: 0.0,
            high: 0.0,
        };
        for value in values {
            axis.low = axis.low.min(axis.decades(*value));
            axis.high = axis.high.max(axis.decades(*value));
        }
        let pad = 0.05 * (axis.high - axis.low).max(1.0);
        axis.low -= pad;
        axis.high += pad;
        axis
    }

    /// The signed number of decades above the floor.
    fn decades(&self, value: f64) -> f64 {
        let decades = (value.abs() / self.floor).log10().max(0.0);
        if value < 0.0 { -decades } else { decades }
    }

    /// The position of a value: 0 at the lower end, 1 at the upper end.
    pub(super) fn position(&self, value: f64) -> f64 {
        (self.decades(value) - self.low) / (self.high - self.low)
    }

    /// About `most` ticks at most: zero, and powers of ten on both sides.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let (below, above) = ((-self.low) as i32, self.high as i32);
        let stride = ((below + above) as usize).div_ceil(most.max(1)).max(1);
        let side = |decades: i32, sign: f64| {
            let decades = (1..=decades).step_by(stride);
            decades.map(move |decade| sign * 10f64.powi(decade) * self.floor)
        };
        side(below, -1.0)
            .chain(std::iter::once(0.0))
            .chain(side(above, 1.0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_stand_on_both_sides_of_zero() {
        let axis = SignedAxis::over(&[100.0, 1.0, 0.0, -10.0]);
        let at = |value| axis.position(value);
        // The floor is 0.1: 100 is three decades above zero, −10 is two below.
        let decade = at(1.0) - at(0.0);
        assert!(decade > 0.0);
        for (value, decades) in [
            (10.0, 2.0),
            (100.0, 3.0),
            (-1.0, -1.0),
            (-10.0, -2.0),
            (0.05, 0.0),
        ] {
            assert!(
                (at(value) - at(0.0) - decades * decade).abs() < 1e-12,
                "{value}"
            );
        }
        assert!(at(-10.0) > 0.0 && at(100.0) < 1.0);
        let expected = [-1.0, -10.0, 0.0, 1.0, 10.0, 100.0];
        let ticks = axis.ticks(8);
        assert_eq!(ticks.len(), expected.len());
        for (tick, value) in ticks.iter().zip(expected) {
            assert!((tick - value).abs() <= 1e-9 * value.abs(), "{tick} {value}");
        }
    }

    #[test]
    fn magnitudes_far_below_the_greatest_count_as_zero() {
        let axis = SignedAxis::over(&[1.0, 1e-30]);
        assert_eq!(axis.position(1e-30), axis.position(0.0));
        let flat = SignedAxis::over(&[0.0]);
        assert!((0.0..=1.0).contains(&flat.position(0.0)));
    }
}
