//! The Lanczos iteration: a nearly orthonormal basis Q of a Krylov space, and the operator on it.

mod gram;
mod orthogonalise;
#[cfg(test)]
mod tests;

use std::borrow::{Borrow, BorrowMut};

use crate::error::{BoxError, LanczosError};
use crate::float::times_power_of_two;
use crate::operator::{SymmetricOperator, check_dim};
use crate::space::Space;

pub(crate) use gram::Gram;
use orthogonalise::Orthogonalised;

/// Settings of one Lanczos run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LanczosParams {
    /// Number m of steps; never more than n are made.
    pub steps: usize,
    /// Whether [`probe_steps`] more steps follow from another random start vector, orthogonal to all before: they find
    /// copies of a repeated eigenvalue, of which one start vector gives one. Never more than n steps are made in all.
    pub probe: bool,
    /// Seed of the start vector, and of the new ones after a breakdown.
    pub seed: u64,
}

/// The vector that a run starts from.
pub(crate) enum Start<'a, V: ?Sized> {
    /// A random one, without preferred direction.
    Random,
    /// This one plus a random part of a tenth of its length, so that no eigenvector is orthogonal to it by symmetry.
    Near(&'a V),
    /// This one.
    At(&'a V),
}

/// The number of the probe's steps after so many others, where the dimension allows: max{4, ⌊0.15·m⌋}.
pub(crate) fn probe_steps(steps: usize) -> usize {
    (steps.saturating_mul(15) / 100).max(4)
}

/// What a run did and how well.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct LanczosInfo {
    /// Products computed, retries included.
    pub products: usize,
    /// Products computed again because the first was not symmetric.
    pub retries: usize,
    /// Invariant subspaces met; after each the run went on from a new random vector.
    pub breakdowns: usize,
    /// Vectors of Q subtracted, from products and from new random vectors; all of them once a step would be m(m−1)/2.
    #[serde(default)]
    pub subtracted: usize,
    /// Steps that needed a second orthogonalisation.
    pub second_passes: usize,
    /// The largest asymmetry of an accepted product, relative to the largest α and β so far.
    pub asymmetry: f64,
    /// The largest error of an accepted product that is known: what its asymmetry shows, ‖Qᵀw − (AQ)ᵀq‖, or the
    /// operator's own
    /// [estimate](SymmetricOperator::noise). In units of the operator, where `asymmetry` is relative.
    #[serde(default)]
    pub noise: f64,
    /// Whether the operator had to be moved off an exact tie.
    pub shifted: bool,
}

/// The operator A on the span of the vectors Q of a run, which are in the workspace.
///
/// Its Ritz pairs (θ, Qy) solve QᵀAQ y = θ QᵀQ y. Without rounding QᵀQ is the identity and, but for the probe's rows,
/// QᵀAQ the tridiagonal T.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Projected {
    /// The symmetric part of QᵀAQ/2ᵉ: its lower triangle, row by row.
    pub matrix: Vec<Vec<f64>>,
    /// QᵀQ.
    pub gram: Gram,
    /// The length of what A qⱼ/2ᵉ has outside of the span of Q: 0 but for the last vector, the last one before the
    /// probe's, and where an invariant subspace ended.
    pub residual_norms: Vec<f64>,
    /// e: 0 but for an operator so large or small that squares would over- or underflow.
    pub exponent: f64,
    /// How many of the vectors came before the probe's.
    pub before_probe: usize,
    /// What the run did.
    pub info: LanczosInfo,
}

/// The memory of Lanczos runs, kept from one to the next: m+1 vectors.
pub(crate) struct Workspace<S: Space> {
    /// Q, the vectors of the last run, orthonormal but for what [`Projected::gram`] says.
    pub vectors: Vec<S::Owned>,
    product: S::Owned,
    spare: Vec<S::Owned>,
    dim: usize,
}

impl<S: Space> std::fmt::Debug for Workspace<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace")
            .field("dim", &self.dim)
            .field("vectors", &self.vectors.len())
            .finish_non_exhaustive()
    }
}

impl<S: Space> Workspace<S> {
    /// Room for runs of `steps` steps.
    pub fn new(space: &S, steps: usize) -> Self {
        Self {
            vectors: Vec::with_capacity(steps),
            product: space.zeros(),
            spare: Vec::with_capacity(steps),
            dim: space.dim(),
        }
    }

    /// More memory for the next run.
    pub(crate) fn recycle(&mut self, memory: Vec<S::Owned>) {
        self.spare.extend(memory);
    }

    fn clear(&mut self, space: &S) {
        if self.dim != space.dim() {
            *self = Self::new(space, self.vectors.capacity());
        }
        self.spare.append(&mut self.vectors);
    }

    /// A vector whose entries may be anything.
    fn take(&mut self, space: &S) -> S::Owned {
        self.spare.pop().unwrap_or_else(|| space.zeros())
    }

    /// The product becomes the next vector of Q.
    fn keep_product(&mut self, space: &S) {
        let memory = self.take(space);
        let vector = std::mem::replace(&mut self.product, memory);
        self.vectors.push(vector);
    }
}

/// Coefficients |c| ≤ 0.06·β/√j of j vectors are not subtracted. QᵀQ is known, so that costs no accuracy as long as
/// it is well conditioned.
const NEGLIGIBLE: f64 = 0.06;
/// A vector that the second pass shortens this much was rounding alone (Kahan and Parlett: twice is enough).
const DEPENDENT: f64 = 0.5;
/// Orthogonalisations of a random vector at most.
const MOST_PASSES: usize = 3;
/// From this step on, a product much longer than any before is suspect.
const SETTLED: usize = 3;
/// How much longer.
const SUDDEN: f64 = 10.0;
/// The length of the random part of a start vector, relative to what was given.
const RANDOM_PART: f64 = 0.1;
/// Turns the seed of the start vector into that of the probe's.
const PROBE_SEED: u64 = 0x7072_6F62_6570_726F;
/// Two tries within this of each other have hit no kink.
const AGREEMENT: f64 = 0.05;

/// Runs Lanczos with partial reorthogonalisation (after Simon 1984).
///
/// Each step takes one product w = A qⱼ and, in one pass over Q, Qᵀw and the new column Qᵀqⱼ of QᵀQ, which gives the
/// coefficients c = (QᵀQ)⁻¹Qᵀw. In exact arithmetic QᵀQ is the identity, c is (0, …, 0, β_{j−1}, αⱼ), and q_{j+1} the
/// residual w − Qc divided by its norm β. The zeros, over β, are what q_{j+1} keeps of the older vectors unless they
/// are subtracted; in the pass that subtracts, besides the last two vectors, those alone are subtracted for which
/// that is more than 0.06/√j. So much would do harm if it were not known (‖qⱼ‖ is 1 to 0.2 %), but with QᵀQ whatever
/// is made from Q is as exact as if Q were orthonormal.
///
/// ⟨qᵢ, A qⱼ⟩ against ⟨A qᵢ, qⱼ⟩, known from the steps before, tells for free how symmetric the operator is, and an
/// operator that can is asked again where it isn't. After an invariant subspace (β within rounding of zero) the run
/// goes on from a random vector orthogonal to all; it ends after m steps, or n.
///
/// A Krylov space holds one vector of each eigenspace: of a repeated eigenvalue one copy is found, more only after an
/// invariant subspace or by rounding. The probe's steps, from another start vector, find one more; with n steps all
/// are found.
///
/// The probe begins before the m steps are made where `enough` of what is projected so far.
///
/// Products are scaled by a power of two where their squares would over- or underflow, so that the answer for 2ᵉA is
/// 2ᵉ times the answer for A wherever its numbers are representable.
///
/// # Errors
/// See [`LanczosError`].
pub(crate) fn lanczos<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &LanczosParams,
    start: &Start<'_, S::Vector>,
    workspace: &mut Workspace<S>,
    enough: &dyn Fn(&Projected) -> bool,
) -> Result<Projected, LanczosError> {
    if let Some(found) = operator.dim() {
        check_dim(space.dim(), found).map_err(|source| LanczosError::Operator {
            step: 1,
            source: source.into(),
        })?;
    }
    let mut run = Run {
        space,
        operator,
        workspace,
        projected: Projected::default(),
        recurrence: Vec::new(),
        largest_entry: 0.0,
        noise: 0.0,
        unit_is_known: false,
        previous: None,
    };
    loop {
        match run.run(params, start, enough) {
            Err(LanczosError::Unresolved { step, .. }) if run.shift(step)? => {}
            result => return result.map(|()| run.projected),
        }
    }
}

/// One run in progress.
struct Run<'a, S: Space, O> {
    space: &'a S,
    operator: &'a mut O,
    workspace: &'a mut Workspace<S>,
    projected: Projected,
    /// A qⱼ = Σ cᵢqᵢ, as pairs (i, cᵢ); `None` where a part of A qⱼ is outside of the span of Q.
    recurrence: Vec<Option<Vec<(usize, f64)>>>,
    /// σ: the largest α and β so far, which the asymmetry is relative to.
    largest_entry: f64,
    /// The largest known error of a product so far.
    noise: f64,
    /// Whether the exponent is fixed: it is by the first product that isn't zero.
    unit_is_known: bool,
    /// What the try before gave for the product at hand.
    previous: Option<S::Owned>,
}

/// An accepted product w.
struct Product {
    /// c = (QᵀQ)⁻¹Qᵀw.
    coefficients: Vec<f64>,
    /// The new row of QᵀAQ.
    row: Vec<f64>,
    /// ‖w‖.
    norm: f64,
    /// ‖w − Qc‖ by Pythagoras, so only to the rounding of ‖w‖.
    residual_norm: f64,
    /// ‖Qᵀw − (AQ)ᵀq‖ over the vectors before: 0 for a symmetric operator.
    deviation: f64,
    /// The operator's estimate of w's error.
    noise: f64,
}

impl<S: Space, O: SymmetricOperator<S>> Run<'_, S, O> {
    fn run(
        &mut self,
        params: &LanczosParams,
        start: &Start<'_, S::Vector>,
        enough: &dyn Fn(&Projected) -> bool,
    ) -> Result<(), LanczosError> {
        let n = self.space.dim();
        let mut m = params.steps.min(n);
        let with_probe = |m: usize| match params.probe {
            true => m.saturating_add(probe_steps(m)).min(n),
            false => m,
        };
        let mut total = with_probe(m);
        self.projected = Projected {
            info: self.projected.info,
            ..Projected::default()
        };
        self.projected.info.noise = 0.0;
        self.recurrence.clear();
        self.largest_entry = 0.0;
        self.noise = 0.0;
        self.unit_is_known = false;
        self.workspace.clear(self.space);
        self.start_vector(params.seed, start);
        let mut j = 0;
        while j < total {
            self.workspace.keep_product(self.space);
            let mut product = self.product(j)?;
            self.projected.matrix.push(std::mem::take(&mut product.row));
            self.largest_entry = self.largest_entry.max(product.coefficients[j].abs());
            self.noise = self.noise.max(product.deviation).max(product.noise);
            if j + 1 < m || (m < j + 1 && j + 1 < total) {
                let beta = self.advance(product, params.seed, j);
                if j + 1 < m && self.ends_early(beta, enough) {
                    m = j + 1;
                    total = with_probe(m);
                    if j + 1 < total {
                        self.fresh_vector(params.seed ^ PROBE_SEED);
                    }
                }
            } else {
                let residual_norm = self.residual_norm(product, j);
                self.projected.residual_norms.push(residual_norm);
                if j + 1 < total {
                    self.fresh_vector(params.seed ^ PROBE_SEED);
                }
            }
            j += 1;
        }
        self.projected.before_probe = m;
        self.projected.info.noise = times_power_of_two(self.noise, self.projected.exponent);
        Ok(())
    }

    /// Makes the next vector from the product: its new direction, whose length β it returns, or after an invariant
    /// subspace a random one.
    fn advance(&mut self, product: Product, seed: u64, j: usize) -> f64 {
        match self.orthogonalise(product) {
            Orthogonalised::Direction(beta) => {
                self.projected.residual_norms.push(0.0);
                self.largest_entry = self.largest_entry.max(beta);
                beta
            }
            Orthogonalised::Breakdown(length) => {
                self.projected.residual_norms.push(length);
                self.projected.info.breakdowns += 1;
                self.fresh_vector(seed.wrapping_add(0x9E37_79B9 * (j as u64 + 1)));
                0.0
            }
        }
    }

    /// Whether the run ends with the vectors that it has, β being the length of the last product's new direction,
    /// which is then its residual.
    fn ends_early(&mut self, beta: f64, enough: &dyn Fn(&Projected) -> bool) -> bool {
        let last = self.projected.residual_norms.len() - 1;
        let before = self.projected.residual_norms[last];
        self.projected.residual_norms[last] = before.max(beta);
        if enough(&self.projected) {
            if beta > 0.0 {
                self.recurrence[last] = None;
            }
            return true;
        }
        self.projected.residual_norms[last] = before;
        false
    }

    /// The first vector in `product`: a random one, too, where one of length zero was given.
    fn start_vector(&mut self, seed: u64, start: &Start<'_, S::Vector>) {
        let space = self.space;
        let given = match start {
            Start::Random => None,
            Start::Near(given) | Start::At(given) => Some((*given, space.norm(given))),
        };
        let Some((given, length)) =
            given.filter(|(_, length)| *length > 0.0 && length.recip() <= space.max_value())
        else {
            return self.fresh_vector(seed);
        };
        let mut random = 0.0;
        if let Start::Near(_) = start {
            self.workspace.product = space.normal(seed);
            random = RANDOM_PART / space.norm(self.workspace.product.borrow());
        }
        let x = self.workspace.product.borrow_mut();
        space.axpby(1.0 / length, given, random, x);
        let norm = space.norm(x);
        self.subtract(&[], 1.0 / norm);
    }

    /// A random unit vector in `product`, orthogonal to Q but for negligible coefficients.
    fn fresh_vector(&mut self, seed: u64) {
        self.workspace.product = self.space.normal(seed);
        let x = self.workspace.product.borrow();
        let mut square = self.space.dot(x, x);
        // Where Q nearly fills the space, so little of a random vector is left that it must be orthogonalised again.
        let passes = if self.workspace.vectors.is_empty() {
            0
        } else {
            MOST_PASSES
        };
        for _ in 0..passes {
            let mut coefficients = self.coefficients();
            let limit = self.negligible() * square.sqrt();
            coefficients.retain(|&(_, c)| c.abs() > limit);
            if coefficients.is_empty() {
                break;
            }
            let before = square;
            square = self.subtract(&coefficients, 1.0);
            if square > DEPENDENT * DEPENDENT * before {
                break;
            }
        }
        let norm = square.sqrt();
        let factor = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        self.subtract(&[], factor);
    }

    /// The coefficient, over the length of the new vector, up to which a vector of Q is not subtracted.
    fn negligible(&self) -> f64 {
        NEGLIGIBLE / (self.workspace.vectors.len() as f64).sqrt()
    }

    /// w ← a(w − Σ cᵢqᵢ), and the new ‖w‖².
    fn subtract(&mut self, coefficients: &[(usize, f64)], a: f64) -> f64 {
        self.projected.info.subtracted += coefficients.len();
        let w = &mut *self.workspace;
        let vectors: Vec<&S::Vector> = coefficients
            .iter()
            .map(|&(i, _)| w.vectors[i].borrow())
            .collect();
        let c: Vec<f64> = coefficients.iter().map(|&(_, c)| c).collect();
        self.space
            .subtract_scaled(&vectors, &c, a, w.product.borrow_mut())
    }

    /// Computes w = A qⱼ into `product`, as often as it takes until w is symmetric enough: ‖Q₍<ⱼ₎ᵀw − (AQ)ᵀqⱼ‖ is at
    /// most the operator's tolerance times the largest α and β so far. The first product, and from the fourth on one
    /// more than ten times as long as those before, is taken only where two tries agree.
    fn product(&mut self, j: usize) -> Result<Product, LanczosError> {
        let tolerance = self.operator.tolerance();
        self.workspace.spare.extend(self.previous.take());
        let mut best = f64::INFINITY;
        let mut last = None;
        let mut attempt = 0;
        loop {
            if !self.multiply(j, attempt)? {
                // An operator with one way only has nothing to compare a product with.
                return match last {
                    Some((product, asymmetry)) if attempt == 1 => {
                        self.accept_unchecked(j, product, asymmetry)
                    }
                    last => Err(self.unresolved(j, best, last.map_or(0.0, |(p, _)| p.norm))),
                };
            }
            self.projected.info.products += 1;
            self.projected.info.retries += usize::from(attempt > usize::from(j == 0));
            attempt += 1;
            last = self.measure(j)?;
            let Some((product, asymmetry)) = last.take() else {
                continue;
            };
            // What is rounding alone is zero, however often it is computed.
            let zero = product.norm <= product.noise;
            let sudden = j == 0 || (j >= SETTLED && product.norm > SUDDEN * self.largest_entry);
            if asymmetry <= tolerance && (!sudden || zero || self.agrees(product.norm)) {
                self.projected.info.asymmetry = self.projected.info.asymmetry.max(asymmetry);
                return Ok(product);
            }
            best = best.min(asymmetry);
            last = Some((product, asymmetry));
        }
    }

    /// The first or another product with qⱼ, in units of 2ᵉ; false where there is no other way.
    fn multiply(&mut self, j: usize, attempt: usize) -> Result<bool, LanczosError> {
        let step = j + 1;
        let failed = |source: BoxError| LanczosError::Operator { step, source };
        let w = &mut *self.workspace;
        let (current, out) = (w.vectors[j].borrow(), w.product.borrow_mut());
        if attempt == 0 {
            self.operator.apply(current, out).map_err(failed)?;
        } else if !self.operator.retry(current, out).map_err(failed)? {
            return Ok(false);
        }
        let length = self.space.check("the Hessian-vector product", out);
        length.map_err(|error| failed(error.into()))?;
        if self.projected.exponent != 0.0 {
            self.space.scale_by_power(-self.projected.exponent, out);
        }
        Ok(true)
    }

    /// The product of an operator that has one way only, unless it isn't symmetric.
    fn accept_unchecked(
        &mut self,
        j: usize,
        product: Product,
        asymmetry: f64,
    ) -> Result<Product, LanczosError> {
        let tolerance = self.operator.tolerance();
        if asymmetry > tolerance {
            return Err(LanczosError::Asymmetric {
                step: j + 1,
                asymmetry,
                tolerance,
            });
        }
        self.projected.info.asymmetry = self.projected.info.asymmetry.max(asymmetry);
        Ok(product)
    }

    /// Why no product served: none was finite, the gradients' rounding hides it, or it isn't symmetric.
    /// `norm`: the length of the last one.
    fn unresolved(&self, j: usize, asymmetry: f64, norm: f64) -> LanczosError {
        let (step, tolerance) = (j + 1, self.operator.tolerance());
        let noise = self.scaled_noise() / self.largest_entry.max(norm);
        if asymmetry == f64::INFINITY {
            LanczosError::NonFinite { step }
        } else if noise > tolerance {
            LanczosError::Rounding { step, noise }
        } else {
            LanczosError::Unresolved {
                step,
                asymmetry,
                tolerance,
            }
        }
    }

    /// The operator's estimate of the last product's error, in units of 2ᵉ.
    fn scaled_noise(&self) -> f64 {
        times_power_of_two(self.operator.noise(), -self.projected.exponent)
    }

    /// The product's coefficients and lengths, and its asymmetry relative to σ; `None` where it isn't finite.
    fn measure(&mut self, j: usize) -> Result<Option<(Product, f64)>, LanczosError> {
        let (mut row, mut square) = self.projections();
        if !self.unit_is_known && !self.is_moderate(square) {
            if !self.choose_unit() {
                return Ok(None);
            }
            (row, square) = self.projections();
        }
        if !square.is_finite() {
            return Ok(None);
        }
        self.unit_is_known |= square > 0.0;
        let mut coefficients = row.clone();
        self.projected.gram.solve(&mut coefficients);
        let inside: f64 = row.iter().zip(&coefficients).map(|(r, c)| r * c).sum();
        let norm = square.sqrt();
        let mut deviation = 0.0;
        for (i, found) in row[..j].iter_mut().enumerate() {
            let Some(mirrored) = self.mirrored(i, j) else {
                continue;
            };
            deviation += (*found - mirrored) * (*found - mirrored);
            *found = 0.5 * (*found + mirrored);
        }
        let deviation: f64 = deviation.sqrt();
        // Where all products so far were zero, their rounding must not look like asymmetry.
        let size = if self.largest_entry > 0.0 {
            self.largest_entry
        } else {
            norm
        };
        let asymmetry = if deviation > 0.0 {
            deviation / size
        } else {
            0.0
        };
        let product = Product {
            coefficients,
            row,
            norm,
            residual_norm: (square - inside).max(0.0).sqrt(),
            deviation,
            noise: self.scaled_noise(),
        };
        Ok(Some((product, asymmetry)))
    }

    /// Whether a product with this square is far from where squares over- and underflow.
    fn is_moderate(&self, square: f64) -> bool {
        let high = self.space.max_value().sqrt();
        let low = self.space.min_positive().sqrt();
        square > low && square < high
    }

    /// Chooses e by the product at hand and scales it; false where it isn't finite.
    fn choose_unit(&mut self) -> bool {
        let product = self.workspace.product.borrow_mut();
        let norm = self.space.norm(product);
        if !norm.is_finite() {
            return false;
        }
        if norm > 0.0 {
            let exponent = norm.log2().floor();
            self.space.scale_by_power(-exponent, product);
            self.projected.exponent = exponent;
            self.unit_is_known = true;
        }
        true
    }

    /// Qᵀw and ‖w‖² for the product w; the newest row of QᵀQ is taken in the same pass.
    fn projections(&mut self) -> (Vec<f64>, f64) {
        let w = &*self.workspace;
        let size = w.vectors.len();
        let (mut projections, mut gram) = (vec![0.0; size], vec![0.0; size]);
        let (product, newest) = (w.product.borrow(), w.vectors[size - 1].borrow());
        let square =
            self.space
                .project_pair(&w.vectors, product, newest, &mut projections, &mut gram);
        self.projected.gram.set_last(gram);
        (projections, square)
    }

    /// All of (QᵀQ)⁻¹Qᵀw for the product w.
    fn coefficients(&mut self) -> Vec<(usize, f64)> {
        let (mut c, _) = self.projections();
        self.projected.gram.solve(&mut c);
        c.into_iter().enumerate().collect()
    }

    /// ⟨A qᵢ, qⱼ⟩ for i < j, where A qᵢ is known.
    fn mirrored(&self, i: usize, j: usize) -> Option<f64> {
        let coefficients = self.recurrence[i].as_ref()?.iter();
        let products = coefficients.map(|&(l, c)| c * self.projected.gram.entry(l, j));
        Some(products.sum())
    }

    /// Whether the product is that of the try before, within 5%; keeps it for the next comparison.
    fn agrees(&mut self, norm: f64) -> bool {
        let (space, w) = (self.space, &mut *self.workspace);
        let mut previous = self.previous.take();
        let agreed = previous.as_mut().is_some_and(|previous| {
            let previous = previous.borrow_mut();
            space.axpby(1.0, w.product.borrow(), -1.0, previous);
            space.dot(previous, previous).sqrt() <= AGREEMENT * norm
        });
        let mut kept = previous.unwrap_or_else(|| w.take(space));
        space.axpby(1.0, w.product.borrow(), 0.0, kept.borrow_mut());
        self.previous = Some(kept);
        agreed
    }

    fn shift(&mut self, step: usize) -> Result<bool, LanczosError> {
        let moved = self
            .operator
            .shift()
            .map_err(|source| LanczosError::Operator { step, source })?;
        self.projected.info.shifted |= moved;
        Ok(moved)
    }
}
