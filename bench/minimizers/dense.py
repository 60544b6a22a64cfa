"""Quasi-Newton methods with a dense inverse Hessian H, at O(n²) an iteration: BFGS, and the self-scaled Broyden method.

Both are the update

    H⁺ = (H − Hyyᵀ H/yᵀHy + φ yᵀHy vvᵀ)/τ + ssᵀ/yᵀs,  v = s/yᵀs − Hy/yᵀHy,

of the step s and the gradients' difference y; BFGS is φ = τ = 1. The self-scaled one is the second of Urbán, Stefanou
and Pons, *Unveiling the optimization process of physics informed neural networks* (Journal of Computational Physics,
2025), after Al-Baali.
"""

import numpy as np
from scipy.linalg import blas

# Scipy's public line search is only the second half of what its BFGS uses.
from scipy.optimize._optimize import _line_search_wolfe12, _LineSearchError

# The factor in front of the stored matrix is put into it when it leaves this range.
FACTORS = (1e-50, 1e50)


def bfgs(b, h, n):
    """φ and τ of BFGS."""
    return 1.0, 1.0


def self_scaled_broyden(b, h, n):
    """φ and τ from b = sᵀH⁻¹s/yᵀs and h = yᵀHy/yᵀs."""
    # Not negative, by Cauchy and Schwarz, and 0 where s and Hy are parallel: there, φ changes nothing.
    a = b * h - 1.0
    if a <= 0.0:
        return 1.0, min(1.0, 1.0 / b)
    lower = min(1.0, h * (1.0 - np.sqrt(a / (1.0 + a))))
    theta = max((lower - 1.0) / a, min(1.0 / lower, (1.0 - b) / b))
    sigma = 1.0 + a * theta
    root = abs(sigma) ** (1.0 / (1.0 - n)) if n > 1 else 1.0
    scale = min(1.0, 1.0 / b)
    tau = min(scale * root, sigma) if theta <= 0.0 else scale * min(root, 1.0 / theta)
    return (1.0 - theta) / sigma, tau


class InverseHessian:
    """H = factor · matrix, of which the upper triangle is stored."""

    def __init__(self, n):
        self.factor = 1.0
        self.matrix = np.eye(n, order="F")

    def times(self, vector):
        return self.factor * blas.dsymv(1.0, self.matrix, vector)

    def update(self, s, y, b, parameters):
        """`b` is sᵀH⁻¹s/yᵀs; `parameters` gives φ and τ."""
        hy = self.times(y)
        ys, yhy = y @ s, y @ hy
        phi, tau = parameters(b, yhy / ys, len(s))
        if not (np.isfinite(phi) and np.isfinite(tau) and tau > 0.0):
            return
        self.factor /= tau
        if not FACTORS[0] < self.factor < FACTORS[1]:
            self.matrix *= self.factor
            self.factor = 1.0
        # The update in s sᵀ, s(Hy)ᵀ + (Hy)sᵀ and Hy(Hy)ᵀ.
        steps = (phi * yhy / (ys * ys) / tau + 1.0 / ys) / self.factor
        mixed = -phi / (ys * tau) / self.factor
        differences = (phi - 1.0) / (yhy * tau) / self.factor
        other = 0.5 * steps * s + mixed * hy
        self.matrix = blas.dsyr2(1.0, s, other, a=self.matrix, overwrite_a=1)
        if differences != 0.0:
            self.matrix = blas.dsyr(differences, hy, a=self.matrix, overwrite_a=1)


def strong_wolfe(run, x, direction, point, before):
    """The step's length by the line search of scipy's BFGS; None where it finds none."""
    value, gradient = point
    try:
        found = _line_search_wolfe12(
            lambda x: run.evaluate(x)[0],
            lambda x: run.evaluate(x)[1],
            x,
            direction,
            gradient,
            value,
            before,
            amin=1e-100,
            amax=1e100,
            c1=1e-4,
            c2=0.9,
        )
    except _LineSearchError:
        return None
    return found[0]


def quasi_newton(parameters):
    """A solver with the update's `parameters`. Where the line search fails, it starts again with H = I."""

    def solve(run):
        x = run.start
        point = run.evaluate(x)
        while True:
            x, point, steps = iterate(run, x, point, parameters)
            if steps == 0:
                return "the line search finds no lower point along the steepest descent"

    return solve


def iterate(run, x, point, parameters):
    """From H = I until the line search fails. Returns the last point and how many steps led there."""
    inverse = InverseHessian(len(x))
    # As if the last step had lowered f so much that the first trial moves x by about 1.
    before = point[0] + 0.5 * np.linalg.norm(point[1])
    steps = 0
    while True:
        value, gradient = point
        direction = -inverse.times(gradient)
        if not gradient @ direction < 0.0:
            return x, point, steps
        length = strong_wolfe(run, x, direction, point, before)
        if length is None:
            return x, point, steps
        s = length * direction
        new = x + s
        new_point = run.evaluate(new)
        y = new_point[1] - gradient
        if y @ s > 0.0:
            # s = −length·H·gradient, so that sᵀH⁻¹s needs no inverse.
            inverse.update(s, y, -length * (s @ gradient) / (y @ s), parameters)
        x, point, before = new, new_point, value
        steps += 1
