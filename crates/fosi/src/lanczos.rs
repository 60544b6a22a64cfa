//! The Lanczos iteration: an orthonormal basis Q of a Krylov space and T = QᵀAQ, tridiagonal.

use std::borrow::{Borrow, BorrowMut};

use crate::error::{BoxError, LanczosError};
use crate::operator::SymmetricOperator;
use crate::space::Space;

/// Settings of one Lanczos run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanczosParams {
    /// Number m of steps; never more than n are made.
    pub steps: usize,
    /// Seed of the start vector, and of the new ones after a breakdown.
    pub seed: u64,
}

/// What a run did and how well.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LanczosInfo {
    /// Products computed, retries included.
    pub products: usize,
    /// Products computed again because the first was not symmetric.
    pub retries: usize,
    /// Invariant subspaces met; after each the run went on from a new random vector.
    pub breakdowns: usize,
    /// Steps that needed a second orthogonalisation.
    pub second_passes: usize,
    /// The largest asymmetry of an accepted product, relative to the largest entry of T so far.
    pub asymmetry: f64,
    /// Whether the operator had to be moved off an exact tie.
    pub shifted: bool,
}

/// The result of a run: T's diagonal α and off-diagonal β, with Q in the workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Tridiagonal {
    /// α₁ … α_m.
    pub diagonal: Vec<f64>,
    /// β₁ … β_{m−1}; 0 where an invariant subspace ended.
    pub off_diagonal: Vec<f64>,
    /// ‖A qⱼ − (what T says)‖ that each column leaves: 0 but for the last one and where a subspace ended.
    pub leftover: Vec<f64>,
    /// What the run did.
    pub info: LanczosInfo,
}

/// The memory of a Lanczos run, kept from one to the next: m+2 vectors.
pub struct Workspace<S: Space> {
    /// Q, the orthonormal vectors of the last run.
    pub basis: S::Basis,
    current: S::Owned,
    product: S::Owned,
}

impl<S: Space> Workspace<S> {
    /// Room for runs of `steps` steps.
    pub fn new(space: &S, steps: usize) -> Self {
        Self {
            basis: space.basis(steps),
            current: space.zeros(),
            product: space.zeros(),
        }
    }
}

/// A new vector this much shorter than the product it is the rest of has lost so many digits to
/// cancellation that it must be orthogonalised again: with f32 vectors the error is then below 1e-6.
const SECOND_PASS: f64 = 0.25;
/// A vector that the second pass shortens this much was rounding alone (Kahan and Parlett: twice is enough).
const DEPENDENT: f64 = 0.5;
/// A rest within this many rounding errors of the product is no new direction.
const BREAKDOWN: f64 = 10.0;
/// From this step on, a product much longer than any before is suspect.
const SETTLED: usize = 3;
/// How much longer.
const SUDDEN: f64 = 10.0;
/// Two tries within this of each other have hit no kink.
const AGREEMENT: f64 = 0.05;

/// Runs Lanczos with full reorthogonalisation.
///
/// Each step takes one product w = A qⱼ, its coefficients c = (QᵀQ)⁻¹Qᵀw (one pass over Q), and the rest w − Qc
/// (another pass), which becomes q_{j+1}. QᵀQ differs from the identity by rounding; left alone, that error would
/// grow by about ‖w‖/β a step and soon fill single precision, so its new column Qᵀqⱼ is taken in the same pass as
/// Qᵀw, and the coefficients are corrected for it. In exact arithmetic c is (0, …, 0, β_{j−1}, αⱼ): the part below αⱼ tells, for
/// free, how symmetric the operator is, and an operator that can is asked again where it isn't. After an invariant
/// subspace (β within rounding of zero) the run goes on from a random vector orthogonal to all, so repeated
/// eigenvalues come out with their multiplicity; it ends after m steps, or n.
///
/// # Errors
/// See [`LanczosError`].
pub fn lanczos<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &LanczosParams,
    workspace: &mut Workspace<S>,
) -> Result<Tridiagonal, LanczosError> {
    let mut info = LanczosInfo::default();
    let mut run = Run {
        space,
        operator,
        workspace,
        info: &mut info,
        gram_error: Vec::new(),
    };
    loop {
        match run.run(params) {
            Err(LanczosError::Unresolved { step, .. }) if run.shift(step)? => {}
            result => return result,
        }
    }
}

/// One run in progress.
struct Run<'a, S: Space, O> {
    space: &'a S,
    operator: &'a mut O,
    workspace: &'a mut Workspace<S>,
    info: &'a mut LanczosInfo,
    /// QᵀQ − I, its lower triangle row by row.
    gram_error: Vec<Vec<f64>>,
}

/// An accepted product's coefficients Qᵀw and length.
struct Product {
    coefficients: Vec<f64>,
    norm: f64,
}

impl<S: Space, O: SymmetricOperator<S>> Run<'_, S, O> {
    fn run(&mut self, params: &LanczosParams) -> Result<Tridiagonal, LanczosError> {
        let m = params.steps.min(self.space.dim());
        let mut t = Tridiagonal {
            diagonal: Vec::with_capacity(m),
            off_diagonal: Vec::with_capacity(m),
            leftover: Vec::with_capacity(m),
            info: LanczosInfo::default(),
        };
        // σ: the largest entry of T so far, which the asymmetry is relative to.
        let mut sigma = 0.0_f64;
        let mut beta = 0.0;
        self.space.clear(&mut self.workspace.basis);
        self.gram_error.clear();
        self.fresh_vector(params.seed);
        for j in 0..m {
            let w = &mut *self.workspace;
            self.space.push(&mut w.basis, 1.0, w.current.borrow());
            self.gram_error.push(vec![0.0; j + 1]);
            let product = self.product(j, beta, sigma)?;
            let alpha = product.coefficients[j];
            let (rest, breakdown) = self.orthogonalise(product, sigma.max(alpha.abs()));
            t.diagonal.push(alpha);
            sigma = sigma.max(alpha.abs());
            let last = j + 1 == m;
            t.leftover.push(if last || breakdown { rest } else { 0.0 });
            if last {
                break;
            }
            if breakdown {
                self.info.breakdowns += 1;
                beta = 0.0;
                self.fresh_vector(params.seed.wrapping_add(0x9E37_79B9 * (j as u64 + 1)));
            } else {
                beta = rest;
                let w = &mut *self.workspace;
                self.space
                    .combine(1.0 / beta, w.product.borrow(), 0.0, w.current.borrow_mut());
            }
            sigma = sigma.max(beta);
            t.off_diagonal.push(beta);
        }
        t.info = *self.info;
        Ok(t)
    }

    /// A random unit vector orthogonal to Q, in `current`.
    fn fresh_vector(&mut self, seed: u64) {
        let w = &mut *self.workspace;
        w.product = self.space.normal(seed);
        let x = w.product.borrow_mut();
        let mut c = vec![0.0; self.space.size(&w.basis)];
        let mut square = self.space.dot(x, x);
        // Again and again: where Q nearly fills the space, little of a random vector is left.
        let passes = if c.is_empty() { 0 } else { 3 };
        for _ in 0..passes {
            self.space.project(&w.basis, x, &mut c);
            correct(&self.gram_error, &mut c);
            square = self.space.subtract(&w.basis, &c, x);
        }
        let norm = square.sqrt();
        let factor = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        self.space.combine(factor, x, 0.0, w.current.borrow_mut());
    }

    /// Computes A·current into `product`, as often as the symmetry check asks for.
    fn product(&mut self, j: usize, beta: f64, sigma: f64) -> Result<Product, LanczosError> {
        let step = j + 1;
        let tolerance = self.operator.tolerance();
        let failed = |source: BoxError| LanczosError::Operator { step, source };
        let mut best = f64::INFINITY;
        let mut previous: Option<S::Owned> = None;
        let mut attempt = 0;
        loop {
            let w = &mut *self.workspace;
            let out = w.product.borrow_mut();
            if attempt == 0 {
                self.operator
                    .apply(w.current.borrow(), out)
                    .map_err(failed)?;
            } else if !self
                .operator
                .retry(w.current.borrow(), out)
                .map_err(failed)?
            {
                // An operator with one way only has nothing to compare a product with.
                if attempt == 1 {
                    let (product, asymmetry) = self.measure(j, beta, sigma)?;
                    if asymmetry > tolerance {
                        return Err(LanczosError::Asymmetric {
                            step,
                            asymmetry,
                            tolerance,
                        });
                    }
                    self.info.asymmetry = self.info.asymmetry.max(asymmetry);
                    return Ok(product);
                }
                return Err(LanczosError::Unresolved {
                    step,
                    asymmetry: best,
                    tolerance,
                });
            }
            self.info.products += 1;
            self.info.retries += usize::from(attempt > usize::from(j == 0));
            let (product, asymmetry) = self.measure(j, beta, sigma)?;
            let sudden = j == 0 || (j >= SETTLED && product.norm > SUDDEN * sigma);
            let symmetric = asymmetry <= tolerance;
            if symmetric && (!sudden || self.agrees(&mut previous, product.norm)) {
                self.info.asymmetry = self.info.asymmetry.max(asymmetry);
                return Ok(product);
            }
            best = best.min(asymmetry);
            attempt += 1;
        }
    }

    /// The coefficients and ‖w‖ of the product w, and its asymmetry relative to σ.
    fn measure(&mut self, j: usize, beta: f64, sigma: f64) -> Result<(Product, f64), LanczosError> {
        let w = &*self.workspace;
        let mut coefficients = vec![0.0; j + 1];
        let gram = &mut self.gram_error[j];
        let (product, current) = (w.product.borrow(), w.current.borrow());
        let square = self
            .space
            .project_pair(&w.basis, product, current, &mut coefficients, gram);
        gram[j] -= 1.0;
        correct(&self.gram_error, &mut coefficients);
        if !square.is_finite() {
            return Err(LanczosError::NonFinite { step: j + 1 });
        }
        let mut deviation = 0.0;
        for (i, c) in coefficients[..j].iter().enumerate() {
            let expected = if i + 1 == j { beta } else { 0.0 };
            deviation += (c - expected) * (c - expected);
        }
        let norm = square.sqrt();
        // Where all products so far were zero, their rounding must not look like asymmetry.
        let size = if sigma > 0.0 { sigma } else { norm };
        let asymmetry = if deviation > 0.0 {
            deviation.sqrt() / size
        } else {
            0.0
        };
        Ok((Product { coefficients, norm }, asymmetry))
    }

    /// Whether the product is that of the try before, within 5%; keeps it for the next comparison.
    fn agrees(&self, previous: &mut Option<S::Owned>, norm: f64) -> bool {
        let product = self.workspace.product.borrow();
        let agreed = previous.as_mut().is_some_and(|previous| {
            self.space
                .combine(1.0, product, -1.0, previous.borrow_mut());
            let difference: &S::Vector = (*previous).borrow();
            self.space.dot(difference, difference).sqrt() <= AGREEMENT * norm
        });
        let mut kept = previous.take().unwrap_or_else(|| self.space.zeros());
        self.space.combine(1.0, product, 0.0, kept.borrow_mut());
        *previous = Some(kept);
        agreed
    }

    /// w ← w − Qc, again where digits were lost. Returns ‖w‖ and whether it is no new direction.
    fn orthogonalise(&mut self, product: Product, sigma: f64) -> (f64, bool) {
        let w = &mut *self.workspace;
        let x = w.product.borrow_mut();
        let mut c = product.coefficients;
        let mut rest = self.space.subtract(&w.basis, &c, x).sqrt();
        let floor = BREAKDOWN * self.space.epsilon() * sigma.max(product.norm);
        if rest <= floor {
            return (rest, true);
        }
        if rest < SECOND_PASS * product.norm {
            self.info.second_passes += 1;
            self.space.project(&w.basis, x, &mut c);
            correct(&self.gram_error, &mut c);
            let again = self.space.subtract(&w.basis, &c, x).sqrt();
            if again <= floor || again < DEPENDENT * rest {
                return (rest, true);
            }
            rest = again;
        }
        (rest, false)
    }

    fn shift(&mut self, step: usize) -> Result<bool, LanczosError> {
        let moved = self
            .operator
            .shift()
            .map_err(|source| LanczosError::Operator { step, source })?;
        self.info.shifted |= moved;
        Ok(moved)
    }
}

/// c ← (I − E)c for the symmetric E = QᵀQ − I: (QᵀQ)⁻¹c up to E², which is far below rounding.
fn correct(gram_error: &[Vec<f64>], c: &mut [f64]) {
    let mut change = vec![0.0; c.len()];
    for (i, row) in gram_error.iter().enumerate().take(c.len()) {
        for (j, e) in row.iter().enumerate().take(i) {
            change[i] += e * c[j];
            change[j] += e * c[i];
        }
        change[i] += row[i] * c[i];
    }
    c.iter_mut()
        .zip(change)
        .for_each(|(c, change)| *c -= change);
}
