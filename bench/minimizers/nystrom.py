"""NysNewton-CG of Rathore and others, *Challenges in training PINNs: a loss landscape perspective* (ICML, 2024).

Newton's direction d of the damped Hessian, (H + μI)d = −g, by the method of conjugate gradients, preconditioned by a
randomised Nyström approximation of H that is made again every twenty iterations, and Armijo's backtracking from the
full step. The paper hands over to it from L-BFGS, since far from a minimum H + μI isn't positive definite.

Unlike the paper's, conjugate gradients stop at min(½, √‖g‖) of ‖g‖, not at 1e-16, and at a direction without positive
curvature.
"""

import numpy as np
import scipy.linalg
import scipy.optimize

RANK = 60
DAMPING = 1e-3
# Iterations between two approximations.
INTERVAL = 20
MOST_CG_STEPS = 1000
# Armijo's share of the slope, and the factor by which a step shrinks.
DECREASE = 0.1
SHRINKAGE = 0.5
SMALLEST_STEP = 1e-10
# The share of the budget that L-BFGS has first, and its pairs.
FIRST_SHARE = 0.2
MEMORY = 50


class HandOver(Exception):
    """L-BFGS has had its share."""


def newton_cg(run):
    lbfgs_first(run, FIRST_SHARE * run.budget)
    random = np.random.default_rng(run.seed)
    x = run.start if run.best is None else run.best.x
    value, gradient = run.evaluate(x)
    iteration = 0
    preconditioner, age = None, INTERVAL
    while True:
        if age >= INTERVAL:
            preconditioner, age = Preconditioner(run, x, random), 0
        direction = newton_direction(run, x, gradient, preconditioner)
        found = armijo(run, x, value, gradient, direction)
        if found is None and age == 0:
            return "the line search finds no lower point along Newton's direction"
        if found is None:
            # An approximation made elsewhere may be to blame.
            age = INTERVAL
            continue
        x, value, gradient = found
        iteration += 1
        age += 1


def lbfgs_first(run, cost):
    def evaluate(x):
        if run.cost >= cost:
            raise HandOver
        return run.evaluate(x)

    options = {"maxcor": MEMORY, "ftol": 0.0, "gtol": 0.0, "maxiter": run.budget, "maxfun": run.budget}
    try:
        scipy.optimize.minimize(evaluate, run.start, jac=True, method="L-BFGS-B", options=options)
    except HandOver:
        pass


class Preconditioner:
    """P⁻¹ = (λ + μ)·U(Λ + μ)⁻¹Uᵀ + I − UUᵀ with H ≈ UΛUᵀ and λ the least of Λ."""

    def __init__(self, run, x, random):
        self.vectors, self.values = nystrom(run, x, random)

    def solve(self, vector):
        inside = self.vectors.T @ vector
        shrunk = (self.values[-1] + DAMPING) / (self.values + DAMPING) * inside
        return vector + self.vectors @ (shrunk - inside)


def nystrom(run, x, random):
    """U and Λ ≥ 0 of the Hessian at x, Λ falling (Frangella, Tropp and Udell, *Randomized Nyström preconditioning*)."""
    rank = min(RANK, len(x))
    test, _ = np.linalg.qr(random.standard_normal((len(x), rank)))
    images = np.column_stack([run.product(x, column) for column in test.T])
    shift = np.sqrt(len(x)) * np.spacing(np.linalg.norm(images))
    core = test.T @ images
    # The Hessian may be indefinite: the shift makes its section positive definite.
    shift += max(0.0, -1.1 * np.linalg.eigvalsh(0.5 * (core + core.T))[0])
    images += shift * test
    core = test.T @ images
    root = np.linalg.cholesky(0.5 * (core + core.T))
    half = scipy.linalg.solve_triangular(root, images.T, lower=True).T
    vectors, singular, _ = np.linalg.svd(half, full_matrices=False)
    return vectors, np.maximum(singular**2 - shift, 0.0)


def newton_direction(run, x, gradient, preconditioner):
    """Conjugate gradients until the residual is min(½, √‖g‖) of ‖g‖, or the curvature isn't positive."""
    norm = np.linalg.norm(gradient)
    tolerance = min(0.5, np.sqrt(norm)) * norm
    direction = np.zeros_like(x)
    residual = -gradient
    step = preconditioner.solve(residual)
    square = residual @ step
    for _ in range(MOST_CG_STEPS):
        image = run.product(x, step) + DAMPING * step
        curvature = step @ image
        if curvature <= 0.0:
            break
        direction += square / curvature * step
        residual = residual - square / curvature * image
        if np.linalg.norm(residual) <= tolerance:
            break
        solved = preconditioner.solve(residual)
        square, previous = residual @ solved, square
        step = solved + square / previous * step
    return direction if direction.any() else preconditioner.solve(-gradient)


def armijo(run, x, value, gradient, direction):
    """The next point with its value and gradient; None where no step lowers f enough."""
    slope = gradient @ direction
    step = 1.0
    while step >= SMALLEST_STEP and slope < 0.0:
        new = x + step * direction
        new_value, new_gradient = run.evaluate(new)
        if new_value <= value + DECREASE * step * slope and new_value < value:
            return new, new_value, new_gradient
        step *= SHRINKAGE
    return None
