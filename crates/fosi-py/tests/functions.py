"""Functions with a known minimum. Those of the Rust example `reference` have its arithmetic, operation by operation."""

import numpy as np


def rosenbrock_pairs(x):
    """Rosenbrock's function of each pair of variables, added up one by one, with its gradient."""
    number = x.dtype.type
    first, second = x[0::2], x[1::2]
    a, b = number(1) - first, second - first * first
    gradient = np.empty_like(x)
    gradient[0::2] = number(-2) * a - number(400) * first * b
    gradient[1::2] = number(200) * b
    # A cumulative sum adds from left to right; `np.sum` adds pairwise.
    return float(np.cumsum(a * a + number(100) * b * b)[-1]), gradient


def rosenbrock_pairs_product(x, v):
    """The Hessian's product with v."""
    number = x.dtype.type
    first, second = x[0::2], x[1::2]
    b = second - first * first
    corner = number(2) - number(400) * b + number(800) * first * first
    mixed = number(-400) * first
    out = np.empty_like(x)
    out[0::2] = corner * v[0::2] + mixed * v[1::2]
    out[1::2] = mixed * v[0::2] + number(200) * v[1::2]
    return out


def pairs_start(n, dtype=np.float64):
    """The start of the example `reference`."""
    x = np.ones(n, dtype)
    x[0::2] = dtype(-1) - np.arange(0, n, 2, dtype=dtype) / dtype(512)
    return x


def quadratic(n, condition=1e4, outliers=5):
    """A diagonal quadratic with a few large eigenvalues, and its diagonal: (fun with gradient, diagonal)."""
    diagonal = np.linspace(1.0, 10.0, n)
    diagonal[:outliers] = condition * np.arange(1, outliers + 1)

    def evaluate(x):
        gradient = diagonal * x
        return 0.5 * float(x @ gradient), gradient

    return evaluate, diagonal
