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
    /// Number m of steps; a run makes at most n.
    pub steps: usize,
    /// Whether [`probe_steps`] more steps follow from a second random start vector, orthogonal to all previous vectors.
    /// They find further copies of repeated eigenvalues, of which one start vector finds only one copy. The total never
    /// exceeds n.
    pub probe: bool,
    /// Seed of the start vector and of the new vectors after breakdowns.
    pub seed: u64,
}

/// The vector that a run starts from.
pub(crate) enum Start<'a, V: ?Sized> {
    /// A random vector with a uniformly distributed direction.
    Random,
    /// The given vector plus a random vector of a tenth of its norm, which prevents exact orthogonality to eigenvectors
    /// by symmetry.
    Near(&'a V),
    /// The given vector.
    At(&'a V),
}

/// The number of probe steps after m = `steps` others, if the dimension allows that many: max{4, ⌊0.15·m⌋}.
pub(crate) fn probe_steps(steps: usize) -> usize {
    (steps.saturating_mul(15) / 100).max(4)
}

/// Counts and errors of a Lanczos run.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct LanczosInfo {
    /// Products computed, retries included.
    pub products: usize,
    /// Products recomputed because the previous try was not finite, not symmetric or suspiciously large. The second
    /// product that step 1 takes for comparison is not counted.
    pub retries: usize,
    /// Invariant subspaces found; after each, the run continues from a new random vector.
    pub breakdowns: usize,
    /// Vectors of Q subtracted from products and from new random vectors. Full orthogonalisation would take m(m−1)/2.
    #[serde(default)]
    pub subtracted: usize,
    /// Steps that needed a second orthogonalisation.
    pub second_passes: usize,
    /// The largest asymmetry of an accepted product, relative to the largest |α| and β up to that product.
    pub asymmetry: f64,
    /// The largest known error of an accepted product: its asymmetry ‖Qᵀw − (AQ)ᵀq‖ or the operator's own
    /// [estimate](SymmetricOperator::noise). In units of the operator, whereas `asymmetry` is relative.
    #[serde(default)]
    pub noise: f64,
    /// Whether the operator was moved off an exact tie.
    pub shifted: bool,
}

/// The operator A projected on the span of a run's vectors Q, which are in the workspace.
///
/// Its Ritz pairs (θ, Qy) solve QᵀAQ y = θ QᵀQ y. In exact arithmetic QᵀQ is the identity, and QᵀAQ is the tridiagonal
/// T except for the probe's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Projected {
    /// The symmetric part of QᵀAQ/2ᵉ: its lower triangle, row by row.
    pub matrix: Vec<Vec<f64>>,
    /// QᵀQ.
    pub gram: Gram,
    /// The norm of the part of A qⱼ/2ᵉ outside the span of Q: 0 except for the last vector, the last vector before the
    /// probe's, and the last vector of an invariant subspace.
    pub residual_norms: Vec<f64>,
    /// e: 0 unless the operator is so large or small that squares would over- or underflow.
    pub exponent: f64,
    /// The number of vectors before the probe's.
    pub before_probe: usize,
    /// The run's counts and errors.
    pub info: LanczosInfo,
}

/// The memory of Lanczos runs, reused from run to run: m+1 vectors.
pub(crate) struct Workspace<S: Space> {
    /// Q, the vectors of the last run; [`Projected::gram`] holds their deviation from orthonormality.
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
    /// A workspace for runs of `steps` steps.
    pub fn new(space: &S, steps: usize) -> Self {
        Self {
            vectors: Vec::with_capacity(steps),
            product: space.zeros(),
            spare: Vec::with_capacity(steps),
            dim: space.dim(),
        }
    }

    /// Adds vectors whose memory the next run may use.
    pub(crate) fn recycle(&mut self, memory: Vec<S::Owned>) {
        self.spare.extend(memory);
    }

    fn clear(&mut self, space: &S) {
        if self.dim != space.dim() {
            *self = Self::new(space, self.vectors.capacity());
        }
        self.spare.append(&mut self.vectors);
    }

    /// A vector with arbitrary entries.
    fn take(&mut self, space: &S) -> S::Owned {
        self.spare.pop().unwrap_or_else(|| space.zeros())
    }

    /// Appends the product to Q.
    fn keep_product(&mut self, space: &S) {
        let memory = self.take(space);
        let vector = std::mem::replace(&mut self.product, memory);
        self.vectors.push(vector);
    }
}

/// Except for the two newest of j vectors, coefficients |c| ≤ 0.06·β/√j are not subtracted. This costs no accuracy as
/// long as QᵀQ, which is known, is well conditioned.
const NEGLIGIBLE: f64 = 0.06;
/// A vector whose norm the second pass reduces below this factor consists of rounding errors (Kahan and Parlett: twice
/// is enough).
const DEPENDENT: f64 = 0.5;
/// The maximum number of orthogonalisations of a random vector.
const MOST_PASSES: usize = 3;
/// From this index on, a product much larger than all before it is suspect.
const SETTLED: usize = 3;
/// The ratio of ‖w‖ to the largest |α| and β above which a product is suspect.
const SUDDEN: f64 = 10.0;
/// The norm of the random part of a start vector, relative to the given vector.
const RANDOM_PART: f64 = 0.1;
/// XORed with the seed of the start vector, this is the seed of the probe's.
const PROBE_SEED: u64 = 0x7072_6F62_6570_726F;
/// Two tries with a relative difference below this count as agreeing: neither crossed a kink.
const AGREEMENT: f64 = 0.05;

/// Runs Lanczos with partial reorthogonalisation (after Simon 1984).
///
/// Each step computes one product w = A qⱼ and, in one pass over Q, Qᵀw and the new column Qᵀqⱼ of QᵀQ; these give the
/// coefficients c = (QᵀQ)⁻¹Qᵀw. In exact arithmetic QᵀQ is the identity, c is (0, …, 0, β_{j−1}, αⱼ), and q_{j+1} is
/// the residual w − Qc divided by its norm β. In floating point, the leading coefficients are not zero. Unless it is
/// subtracted, cᵢqᵢ leaves the component cᵢ/β in q_{j+1}. The second pass over Q subtracts the two newest vectors and
/// each older one for which |cᵢ|/β exceeds 0.06/√j. With an unknown QᵀQ this would lose accuracy (‖qⱼ‖ is 1 to within
/// 0.2 %); with a known QᵀQ the results are as accurate as with an orthonormal Q.
///
/// The difference of ⟨qᵢ, A qⱼ⟩ and ⟨A qᵢ, qⱼ⟩, which earlier steps give, measures the operator's symmetry at no cost.
/// Where it is too large, an operator with several ways to compute the product is asked for another. After an invariant
/// subspace (β within rounding of zero) the run continues from a random vector orthogonal to all previous ones. It ends
/// after m steps, or n.
///
/// A Krylov space contains one vector of each eigenspace, so a run finds one copy of a repeated eigenvalue, and more
/// only after an invariant subspace or through rounding. The probe's steps, from another start vector, find one more; n
/// steps find all.
///
/// The run stops before m steps, and the probe begins, as soon as `enough` returns true.
///
/// Products whose squares would over- or underflow are scaled by a power of two, so the result for 2ᵉA is 2ᵉ times the
/// result for A wherever it is representable.
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
    /// A qⱼ = Σ cᵢqᵢ, as pairs (i, cᵢ); `None` where part of A qⱼ lies outside the span of Q.
    recurrence: Vec<Option<Vec<(usize, f64)>>>,
    /// σ: the largest |α| and β so far; asymmetries are relative to it.
    largest_entry: f64,
    /// The largest known error of a product so far.
    noise: f64,
    /// Whether the exponent is fixed; the first nonzero product fixes it.
    unit_is_known: bool,
    /// The result of the previous try at the current product.
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
    /// ‖w − Qc‖ by Pythagoras, accurate only to the rounding of ‖w‖.
    residual_norm: f64,
    /// ‖Qᵀw − (AQ)ᵀq‖ over the previous vectors: 0 for a symmetric operator.
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

    /// Makes the next vector from the product and returns β, the norm of its new direction. After an invariant
    /// subspace, the next vector is random and β is 0.
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

    /// Whether the run ends with its current vectors. β is the norm of the last product's new direction, which then
    /// becomes its residual.
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

    /// Writes the first vector to `product`; it is random if the given vector is zero.
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

    /// Writes a random unit vector to `product`, orthogonal to Q up to negligible coefficients.
    fn fresh_vector(&mut self, seed: u64) {
        self.workspace.product = self.space.normal(seed);
        let x = self.workspace.product.borrow();
        let mut square = self.space.dot(x, x);
        // Where Q nearly spans the space, so little of a random vector remains that it must be orthogonalised again.
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

    /// The largest coefficient, relative to the new vector's norm, that is not subtracted.
    fn negligible(&self) -> f64 {
        NEGLIGIBLE / (self.workspace.vectors.len() as f64).sqrt()
    }

    /// w ← a(w − Σ cᵢqᵢ); returns the new ‖w‖².
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

    /// Computes w = A qⱼ into `product` until w is symmetric enough: ‖Q₍<ⱼ₎ᵀw − (AQ)ᵀqⱼ‖ is at most the operator's
    /// tolerance times the largest |α| and β so far. Two tries must agree for the first product and, from the fourth
    /// on, for a product more than ten times as large as these.
    fn product(&mut self, j: usize) -> Result<Product, LanczosError> {
        let tolerance = self.operator.tolerance();
        self.workspace.spare.extend(self.previous.take());
        let mut best = f64::INFINITY;
        let mut last = None;
        let mut attempt = 0;
        loop {
            if !self.multiply(j, attempt)? {
                // An operator with only one way to compute a product has nothing to compare it with.
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
            // A product below its rounding error counts as zero; further tries would not change that.
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

    /// Computes the product with qⱼ, for `attempt` > 0 in another way, in units of 2ᵉ; false if no other way is left.
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

    /// Accepts the product of an operator with only one way to compute it, unless it is asymmetric.
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

    /// Why no product was accepted: none was finite, rounding of the gradients hides it, or it is asymmetric. `norm` is
    /// the norm of the last product.
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

    /// The product's coefficients and norms, and its asymmetry relative to σ; `None` if it is not finite.
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
        // While all products so far are zero, their rounding must not count as asymmetry.
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

    /// Whether a product with this ‖w‖² is far from the limits at which squares over- or underflow.
    fn is_moderate(&self, square: f64) -> bool {
        let high = self.space.max_value().sqrt();
        let low = self.space.min_positive().sqrt();
        square > low && square < high
    }

    /// Chooses e from the current product and scales the product; false if it is not finite.
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

    /// Qᵀw and ‖w‖² for the product w; the same pass updates the newest row of QᵀQ.
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

    /// All coefficients (QᵀQ)⁻¹Qᵀw of the product w, with their indices.
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

    /// Whether the product agrees with the previous try within 5 %; keeps it for the next comparison.
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
