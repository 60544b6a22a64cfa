//! A network's solution of a differential equation and the exact one.

/// Both solutions on a grid over the equation's domain, including its boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The grid's coordinates along each input, in ascending order.
    pub axes: Vec<Vec<f64>>,
    /// u at each point; the first input varies fastest.
    pub network: Vec<f64>,
    /// u* at each point.
    pub exact: Vec<f64>,
}

impl Solution {
    /// ‖u − u*‖/‖u*‖ over the grid's points.
    pub fn relative_error(&self) -> f64 {
        let pairs = || self.network.iter().zip(&self.exact);
        let difference: f64 = pairs().map(|(u, exact)| (u - exact).powi(2)).sum();
        let size: f64 = pairs().map(|(_, exact)| exact.powi(2)).sum();
        (difference / size).sqrt()
    }
}
