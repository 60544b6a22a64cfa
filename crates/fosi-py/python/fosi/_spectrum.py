"""The extreme eigenpairs of a symmetric operator."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fosi import _fosi


@dataclass(frozen=True)
class Spectrum:
    """Eigenpairs of a symmetric operator A.

    Attributes
    ----------
    eigenvalues : ndarray of float64
        From `spectrum`: the k largest in descending order, then the smallest in ascending order. From `minimize`: those that
        the minimiser uses, by descending absolute value.
    residuals : ndarray of float64
        Bounds on ``norm(A @ v - value * v)``, one for each pair, up to rounding.
    eigenvectors : ndarray, shape (n, pairs), or None
        One per column, orthonormal up to rounding; None if they were not requested.
    maximum, minimum : float
        The largest and the smallest Ritz value (Lanczos' estimates of eigenvalues). The largest eigenvalue is at least
        `maximum`, the smallest at most `minimum`.
    missed : float or None
        An upper bound on the largest eigenvalue that the probe found after the main run had missed it. If it exceeds the
        k-th eigenvalue, further copies of an eigenvalue may be missing.
    noise : float
        Eigenvalues below this are hidden by the rounding of the products.
    products : int
        Number of products, repeated ones included.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    eigenvectors: np.ndarray | None
    maximum: float
    minimum: float
    missed: float | None
    noise: float
    products: int

    @property
    def resolved(self) -> np.ndarray:
        """Whether each eigenvalue is known not to be zero: it exceeds its residual and the noise together."""
        return np.asarray(np.abs(self.eigenvalues) > self.residuals + self.noise)


def spectrum(
    product: Any,
    n: int | None = None,
    k: int = 10,
    *,
    smallest: int = 0,
    lanczos_steps: int | None = None,
    tolerance: float | None = None,
    probe: bool = True,
    seed: int = 0,
    dtype: Any = None,
    return_eigenvectors: bool = True,
) -> Spectrum:
    """Estimate the largest and smallest eigenpairs of a symmetric operator with Lanczos.

    Every pair comes with a bound on its residual. A product that isn't finite, or shows that the operator is not symmetric,
    ends the estimation with an error. A few steps from a second start vector, the probe, look for copies of repeated
    eigenvalues. Unlike `scipy.sparse.linalg.eigsh`, the function makes a fixed number of products and returns the pairs'
    accuracy.

    Parameters
    ----------
    product : callable, LinearOperator, array_like or sparse matrix
        ``product(v) -> array``, or an operator with a shape and ``@``. `v` has unit length to 0.2 %.
    n : int, optional
        The dimension; needed for a callable.
    k : int, default 10
        Number of largest eigenvalues (algebraically).
    smallest : int, default 0
        Number of smallest eigenvalues.
    lanczos_steps : int, optional
        Maximum number of products, not counting the probe's; default: the larger of ``4 * (k + smallest)`` and
        ``2 * log(n)``, at most n. Needs memory for as many vectors of n numbers.
    tolerance : float, optional
        Stop earlier, once each residual is at most this fraction of its eigenvalue.
    probe : bool, default True
        Whether ``max(4, 0.15 * lanczos_steps)`` more steps look for copies of repeated eigenvalues.
    seed : int, default 0
        Seed of the start vector.
    dtype : float32 or float64, optional
        The precision of the vectors; default: float32 if `product` is in float32, else float64.
    return_eigenvectors : bool, default True
        Whether the result includes the eigenvectors.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        If a setting is outside its range.
    MemoryError
        If there is no memory for the vectors.
    LanczosError
        If the operator isn't symmetric, or a product isn't finite.
    Exception
        An exception that `product` raises, or KeyboardInterrupt, is passed on unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> import fosi
    >>> found = fosi.spectrum(lambda v: np.arange(1.0, 101.0) * v, n=100, k=2, smallest=1, lanczos_steps=80)
    >>> found.eigenvalues.round(6)
    array([100.,  99.,   1.])
    >>> bool(np.all(found.residuals < 1e-6))
    True

    For a sparse matrix:

    >>> from scipy.sparse import diags
    >>> fosi.spectrum(diags([3.0, 1.0, 2.0]), k=1).eigenvalues.round(6)
    array([3.])
    """
    apply, dim, single = operator_of(product, n, dtype)
    settings = {
        "k": count("k", k),
        "smallest": count("smallest", smallest),
        "lanczos_steps": None if lanczos_steps is None else count("lanczos_steps", lanczos_steps),
        "tolerance": None if tolerance is None else number("tolerance", tolerance),
        "probe": bool(probe),
        "seed": count("seed", seed),
        "return_eigenvectors": bool(return_eigenvectors),
    }
    found = _fosi.spectrum(apply, dim, single, settings)
    if found["eigenvectors"] is not None:
        found["eigenvectors"] = found["eigenvectors"].T
    return Spectrum(**found)


def operator_of(product: Any, n: Any, dtype: Any) -> tuple[Callable[[np.ndarray], Any], int, bool]:
    """Return v ↦ Av, the dimension, and whether vectors are in float32."""
    if isinstance(product, (list, tuple, np.matrix)):
        # A product with np.matrix would have two dimensions.
        product = np.asarray(product)
    shape = getattr(product, "shape", None)
    if shape is not None:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"the operator has the shape {tuple(shape)}, but must be square")
        if n is not None and n != shape[0]:
            raise ValueError(f"n is {n}, but the operator has the shape {tuple(shape)}")
        apply, dim = (lambda v: product @ v), int(shape[0])
    elif callable(product):
        if n is None:
            raise ValueError("give n, the dimension: it can't be derived from a function")
        apply, dim = product, count("n", n)
    else:
        raise TypeError(f"product is {product!r}, but must be a function or have a shape and @")
    if dim == 0:
        raise ValueError("n is 0, but must be at least 1")
    kind = np.dtype(getattr(product, "dtype", None) or np.float64) if dtype is None else np.dtype(dtype)
    if dtype is not None and kind not in (np.float32, np.float64):
        raise ValueError(f"dtype is {kind}, but must be float32 or float64")
    if kind.kind == "c":
        raise TypeError("the operator is complex, but must be real and symmetric")
    return apply, dim, kind == np.float32


def count(name: str, given: Any) -> int:
    """Return a count that fits into 64 bits: an integer, or a float with an integer value."""
    try:
        found = int(given) if isinstance(given, float) and given.is_integer() else operator.index(given)
    except TypeError:
        raise TypeError(f"{name} is {given!r}, but must be an integer") from None
    if not 0 <= found < 2**63:
        raise ValueError(f"{name} is {given}, but must be at least 0 and less than 2**63")
    return found


def number(name: str, given: Any) -> float:
    """Return a real number."""
    try:
        return float(given)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {given!r}, but must be a number") from None
