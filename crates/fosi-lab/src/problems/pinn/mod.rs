//! Physics-informed networks (Raissi, Perdikaris, Karniadakis 2019): a tanh network u is trained on a differential
//! equation's residuals at fixed points, on the full batch. The loss is the mean square of the residuals plus that of
//! each boundary or initial condition.

mod equations;
mod points;

pub(super) use equations::EQUATIONS;

use super::dual::Dual;
use super::head::{Head, NetworkLoss};
use super::network::{Batch, Network, Parameters};
use super::pass::Pass;
use super::planes::Planes;
use super::tape::{Tape, Var};
use super::{Function, Problem, Solution};

/// The residual, given the coordinates of a point and the jet there: u, then its derivatives with respect to each
/// input. If a condition joins two points, the jet of the second follows, and the coordinates are the first's.
type Residual = for<'t> fn(&[f64], &[Var<'t>]) -> Var<'t>;

/// A condition and the points where it must hold.
#[derive(Debug)]
struct Condition {
    residual: Residual,
    /// The highest derivative with respect to each input in the residual.
    orders: &'static [usize],
    /// The number of points per residual: 1 or 2.
    joined: usize,
    /// The points; for joined points, all the first ones, then all the second ones.
    points: fn() -> Vec<Vec<f64>>,
}

/// A differential equation with its network.
#[derive(Debug)]
pub(super) struct Equation {
    pub name: &'static str,
    summary: &'static str,
    widths: &'static [usize],
    conditions: &'static [Condition],
    /// The solution, if a formula is known.
    solution: Option<fn(&[f64]) -> f64>,
    /// The ends of each input's interval.
    domain: &'static [(f64, f64)],
}

impl Equation {
    pub fn problem(&'static self) -> Problem {
        let network = Network::new(self.widths);
        let start = network.clone();
        let for_solution = network.clone();
        let function = move || -> Box<dyn Function> {
            let terms = self.conditions.iter().map(Condition::term).collect();
            Box::new(NetworkLoss::new(&network, terms, 0.0))
        };
        let problem = Problem::new(self.name, self.summary, start.len(), function)
            .starting_at(move |seed| start.start(seed));
        match self.solution {
            None => problem,
            Some(exact) => problem.with_solution(move |x| self.solution(&for_solution, exact, x)),
        }
    }

    /// The solution of the network with the parameters `x`, on a grid of 101 points along each input.
    fn solution(&self, network: &Network, exact: fn(&[f64]) -> f64, x: &[f64]) -> Solution {
        const COUNT: usize = 101;
        let batch = Batch {
            points: points::grid(self.domain, COUNT),
            orders: vec![0; self.domain.len()],
        };
        let parameters = Parameters {
            value: x,
            tangent: &[],
        };
        let mut pass = Pass::new(network.clone(), batch);
        let (batch, u, _) = pass.forward::<f64>(parameters);
        let exact = (0..batch.len()).map(|point| exact(&batch.point(point)));
        let axis = |&ends: &(f64, f64)| points::line(ends, COUNT);
        Solution {
            axes: self.domain.iter().map(axis).collect(),
            network: u.value.clone(),
            exact: exact.collect(),
        }
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
            // The stride between a point's channels is the number of points, that between joined points the number of
            // residuals.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The jet of `u` at `x`, by fourth-order differences.
    fn jet(u: fn(&[f64]) -> f64, x: &[f64], orders: &[usize], step: f64) -> Vec<f64> {
        let mut jet = vec![u(x)];
        for (axis, &order) in orders.iter().enumerate() {
            let at = |steps: f64| {
                let mut x = x.to_vec();
                x[axis] += steps * step;
                u(&x)
            };
            let (near, far) = ([at(1.0), at(-1.0)], [at(2.0), at(-2.0)]);
            let first = (8.0 * (near[0] - near[1]) - (far[0] - far[1])) / (12.0 * step);
            let second = 16.0 * (near[0] + near[1]) - (far[0] + far[1]) - 30.0 * jet[0];
            jet.extend(&[first, second / (12.0 * step * step)][..order]);
        }
        jet
    }

    #[test]
    fn solutions_solve_their_equations() {
        for equation in &EQUATIONS {
            let Some(solution) = equation.solution else {
                continue;
            };
            // The solution of Burgers' equation has a layer of width 0.01.
            let step = if equation.name == "burgers" {
                1e-4
            } else {
                1e-3
            };
            for condition in equation.conditions {
                let (batch, _) = condition.term();
                let count = batch.len() / condition.joined;
                for first in 0..count {
                    let points = (first..batch.len()).step_by(count);
                    let of_point = |p| jet(solution, &batch.point(p), condition.orders, step);
                    let jets: Vec<f64> = points.flat_map(of_point).collect();
                    let tape = Tape::default();
                    let jet = jets.iter().map(|&u| tape.variable(Dual::constant(u)));
                    let jet: Vec<Var<'_>> = jet.collect();
                    let residual = (condition.residual)(&batch.point(first), &jet);
                    let size = jets.iter().fold(1.0, |size: f64, u| size.max(u.abs()));
                    let share = residual.value().value.abs() / size;
                    let at = batch.point(first);
                    // Differences would need times before 0, so the earliest points are skipped.
                    let early = at.len() > 1 && at[1] < 2.0 * step && condition.orders[1] > 0;
                    assert!(
                        share < 1e-5 || early,
                        "{}: {share} at {at:?}",
                        equation.name
                    );
                }
            }
        }
    }
}
