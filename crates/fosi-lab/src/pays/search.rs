//! The search for the best learning rate: a geometric grid that grows until the best rate is not at its edge.

use std::collections::BTreeMap;

/// The maximum number of rates per search: the best rate may be at the edge of every grid.
const MOST: usize = 14;

/// A grid of learning rates centre·factorⁱ; i is a rate's place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// The rate at place 0.
    pub centre: f64,
    /// The ratio of neighbouring rates, above 1.
    pub factor: f64,
}

/// The next action of a search.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Try the rates at these places.
    Try(Vec<i32>),
    /// The search is over.
    Over(Best),
}

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    /// The loss is lowest at this place and higher or equal at both neighbours.
    Inside(i32),
    /// The loss is lowest at this place, at the edge of the largest grid.
    AtEdge(i32),
    /// Training diverges at every rate.
    None,
}

impl Grid {
    /// The learning rate at a place.
    pub fn rate(&self, place: i32) -> f64 {
        self.centre * self.factor.powi(place)
    }

    /// The next action, given the `losses` by place, which are ∞ if training diverged. The grid starts with the places
    /// −1, 0 and 1. Of equal losses, the one at the lowest rate is best.
    pub fn next(&self, losses: &BTreeMap<i32, f64>) -> Next {
        let first: Vec<i32> = (-1..=1).filter(|i| !losses.contains_key(i)).collect();
        if !first.is_empty() {
            return Next::Try(first);
        }
        let (low, high) = self.tried(losses);
        let finite = (low..=high).filter(|i| losses[i].is_finite());
        let best = finite.min_by(|a, b| losses[a].total_cmp(&losses[b]));
        let beside = match best {
            None => low - 1,
            Some(best) if best == low => low - 1,
            Some(best) if best == high => high + 1,
            Some(best) => return Next::Over(Best::Inside(best)),
        };
        let full = (high - low + 1) as usize >= MOST;
        match best {
            _ if !full && self.is_allowed(beside) => Next::Try(vec![beside]),
            None => Next::Over(Best::None),
            Some(best) => Next::Over(Best::AtEdge(best)),
        }
    }

    /// The ends of the contiguous places around 0.
    fn tried(&self, losses: &BTreeMap<i32, f64>) -> (i32, i32) {
        let end = |step: i32| {
            let places = (0..).map(|i| i * step);
            let tried = places.take_while(|place| losses.contains_key(place));
            tried.last().unwrap_or(0)
        };
        (end(-1), end(1))
    }

    /// Whether the rate is a positive normal f32, the precision in which models are trained.
    fn is_allowed(&self, place: i32) -> bool {
        let rate = self.rate(place);
        (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid {
        centre: 0.1,
        factor: 2.0,
    };

    /// The places in the order of the search, and its result.
    fn search(grid: Grid, loss: impl Fn(f64) -> f64) -> (Vec<Vec<i32>>, Best) {
        let mut losses = BTreeMap::new();
        let mut tried = Vec::new();
        loop {
            match grid.next(&losses) {
                Next::Try(places) => {
                    losses.extend(places.iter().map(|&i| (i, loss(grid.rate(i)))));
                    tried.push(places);
                }
                Next::Over(best) => return (tried, best),
            }
        }
    }

    fn distance(rate: f64, best: f64) -> f64 {
        (rate / best).ln().abs()
    }

    #[test]
    fn a_best_in_the_middle_takes_three_runs() {
        let (tried, best) = search(GRID, |rate| distance(rate, 0.11));
        assert_eq!(tried, [vec![-1, 0, 1]]);
        assert_eq!(best, Best::Inside(0));
    }

    #[test]
    fn the_grid_follows_the_best_to_one_beyond_it() {
        let (tried, best) = search(GRID, |rate| distance(rate, 0.8));
        assert_eq!(tried, [vec![-1, 0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(best, Best::Inside(3));
        let (tried, best) = search(GRID, |rate| distance(rate, 0.025));
        assert_eq!(tried, [vec![-1, 0, 1], vec![-2], vec![-3]]);
        assert_eq!(best, Best::Inside(-2));
    }

    #[test]
    fn rates_that_diverge_are_never_the_best() {
        // The best rate is the last before divergence.
        let cliff = |rate: f64| match rate > 0.3 {
            true => f64::INFINITY,
            false => 1.0 / rate,
        };
        let (tried, best) = search(GRID, cliff);
        assert_eq!((tried.len(), best), (2, Best::Inside(1)));
        // The first three rates diverge.
        let (_, best) = search(GRID, |rate| match rate > 0.02 {
            true => f64::INFINITY,
            false => 1.0 / rate,
        });
        assert_eq!(best, Best::Inside(-3));
        let (tried, best) = search(GRID, |_| f64::INFINITY);
        assert_eq!(best, Best::None);
        assert_eq!(tried.iter().flatten().count(), MOST);
    }

    #[test]
    fn a_grid_without_an_end_is_ended_and_told() {
        let (tried, best) = search(GRID, |rate| 1.0 / rate);
        assert_eq!(best, Best::AtEdge(12));
        assert_eq!(tried.iter().flatten().count(), MOST);
        let tiny = Grid {
            centre: 4.0 * f64::from(f32::MIN_POSITIVE),
            factor: 2.0,
        };
        assert_eq!(search(tiny, |rate| rate).1, Best::AtEdge(-2));
    }

    #[test]
    fn of_equal_losses_the_lowest_rate_is_the_best() {
        let step = |rate: f64| if rate > 0.09 { 1.0 } else { 2.0 };
        assert_eq!(search(GRID, step).1, Best::Inside(0));
    }

    #[test]
    fn what_is_missing_of_the_first_rates_is_tried() {
        let losses = BTreeMap::from([(0, 1.0)]);
        assert_eq!(GRID.next(&losses), Next::Try(vec![-1, 1]));
        // A rate beyond a gap, from another search, is ignored until its neighbours exist.
        let losses = BTreeMap::from([(-1, 3.0), (0, 2.0), (1, 1.0), (3, 0.1)]);
        assert_eq!(GRID.next(&losses), Next::Try(vec![2]));
    }
}
