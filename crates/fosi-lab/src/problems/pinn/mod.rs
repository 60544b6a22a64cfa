//! Physics-informed networks (Raissi, Perdikaris, Karniadakis 2019): a tanh network u trained on a differential
//! equation's residuals at fixed points, full batch. The loss is the mean square of the residuals, plus that of each
//! boundary or initial condition.

mod equations;
mod points;

pub(super) use equations::EQUATIONS;

use super::dual::Dual;
use super::head::{Head, NetworkLoss};
use super::network::{Batch, Network, Parameters};
use super::pass::Pass;
use super::planes::Planes;
use super::tape::{Tape, Var};
use super::{Function, Problem};

/// What has to vanish: given the coordinates of a point and the jet there: u, then for each input the derivatives by it.
/// Where a condition joins two points, the jet of the second follows, and the coordinates are the first's.
type Residual = for<'t> fn(&[f64], &[Var<'t>]) -> Var<'t>;

/// A condition and where it holds.
#[derive(Debug)]
struct Condition {
    residual: Residual,
    /// The highest derivative by each input in the residual.
    orders: &'static [usize],
    /// The points of one residual: 1 or 2.
    joined: usize,
    /// Point by point; where two are joined, all the first ones, then all the second ones.
    points: fn() -> Vec<Vec<f64>>,
}

/// A differential equation with its network.
#[derive(Debug)]
pub(super) struct Equation {
    pub name: &'static str,
    summary: &'static str,
    widths: &'static [usize],
    conditions: &'static [Condition],
    /// The solution, if there is a formula.
    solution: Option<fn(&[f64]) -> f64>,
    /// The ends of each input's interval.
    domain: &'static [(f64, f64)],
}

impl Equation {
    pub fn problem(&'static self) -> Problem {
        let network = Network::new(self.widths);
        let start = network.clone();
        let for_error = network.clone();
        let function = move || -> Box<dyn Function> {
            let terms = self.conditions.iter().map(Condition::term).collect();
            Box::new(NetworkLoss::new(&network, terms, 0.0))
        };
        let problem = Problem::new(self.name, self.summary, start.len(), function)
            .starting_at(move |seed| start.start(seed));
        match self.solution {
            None => problem,
            Some(solution) => {
                let error = move |x: &[f64]| self.relative_error(&for_error, solution, x);
                problem.with_error(error)
            }
        }
    }

    /// ‖u − u*‖/‖u*‖ on a grid of 101 points along each input, the boundary included.
    fn relative_error(&self, network: &Network, solution: fn(&[f64]) -> f64, x: &[f64]) -> f64 {
        let batch = Batch {
            points: points::grid(self.domain, 101),
            orders: vec![0; self.domain.len()],
        };
        let parameters = Parameters {
            value: x,
            tangent: &[],
        };
        let mut pass = Pass::new(network.clone(), batch);
        let (batch, u, _) = pass.forward::<f64>(parameters);
        let (mut difference, mut size) = (0.0, 0.0);
        for (point, u) in u.value.iter().enumerate() {
            let exact = solution(&batch.point(point));
            difference += (u - exact) * (u - exact);
            size += exact * exact;
        }
        (difference / size).sqrt()
    }
}

impl Condition {
    fn term(&self) -> (Batch, Box<dyn Head>) {
        let batch = Batch {
            points: (self.points)(),
            orders: self.orders.to_vec(),
        };
        let head = MeanSquare {
            residual: self.residual,
            joined: self.joined,
            tape: Tape::default(),
            adjoints: Vec::new(),
        };
        (batch, Box::new(head))
    }
}

/// The mean of the squared residuals.
struct MeanSquare {
    residual: Residual,
    joined: usize,
    tape: Tape,
    adjoints: Vec<Dual>,
}

impl Head for MeanSquare {
    fn loss(&mut self, batch: &Batch, outputs: &Planes, bar: &mut Planes) -> f64 {
        let count = batch.len() / self.joined;
        let mut sum = 0.0;
        for point in 0..count {
            // The channels of a point are apart by the number of points, joined points by the number of residuals.
            let places = || {
                let points = (point..batch.len()).step_by(count);
                points.flat_map(|p| (p..outputs.rows).step_by(batch.len()))
            };
            self.tape.clear();
            let jet = places().map(|index| self.tape.variable(outputs.dual(index)));
            let jet: Vec<Var<'_>> = jet.collect();
            let residual = (self.residual)(&batch.point(point), &jet);
            let value = residual.value();
            sum += value.value * value.value;
            let weighted = [(residual, value * (2.0 / count as f64))];
            self.tape.reverse(weighted, &mut self.adjoints);
            for (index, adjoint) in places().zip(&self.adjoints) {
                bar.set_dual(index, *adjoint);
            }
        }
        sum / count as f64
    }
}
