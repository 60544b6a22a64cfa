"""The distribution of the eigenvalues of a symmetric operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fosi import _fosi
from fosi._spectrum import count, operator_of


class SampleMean(NamedTuple):
    """The mean over independent probes, and its standard error.

    Attributes
    ----------
    mean : float or ndarray
    standard_error : float or ndarray
        NaN if there is only one probe.
    """

    mean: Any
    standard_error: Any


@dataclass(frozen=True)
class SpectralDensity:
    """The spectral density ``φ(t) = (1/n) Σ δ(t − λᵢ)`` of a symmetric operator A, estimated by `density`.

    Attributes
    ----------
    nodes, weights : tuple of ndarray
        For each probe the Ritz values (Lanczos' estimates of eigenvalues), ascending, and their weights, which sum to one.
    n : int
        The number of eigenvalues.
    products : int
        Products computed, repeated ones included.
    """

    nodes: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    n: int
    products: int

    def mean_of(self, function: Callable[[np.ndarray], Any]) -> SampleMean:
        """Return ``∫ function(t) φ(t) dt = tr(function(A))/n``.

        Parameters
        ----------
        function : callable
            Maps an array of eigenvalues to an array of numbers. For example, n times the mean of ``np.log`` is the logarithm
            of the determinant of a positive definite A.

        Returns
        -------
        SampleMean

        Examples
        --------
        >>> import numpy as np
        >>> import fosi
        >>> found = fosi.density(lambda v: np.arange(1.0, 101.0) * v, n=100, lanczos_steps=100)
        >>> mean, error = found.mean_of(np.log)
        >>> bool(abs(mean - np.log(np.arange(1.0, 101.0)).mean()) < 4 * error)
        True
        """
        return self._mean([float(weights @ function(nodes)) for nodes, weights in zip(self.nodes, self.weights)])

    def moment(self, power: int) -> SampleMean:
        """Return ``tr(A ** power)/n``.

        The quadrature is exact up to ``power = 2 * lanczos_steps - 1``; the only error is that of the random vectors.

        Parameters
        ----------
        power : int

        Returns
        -------
        SampleMean
        """
        return self.mean_of(lambda nodes: nodes ** count("power", power))

    def smoothed(self, grid: Any, width: float) -> SampleMean:
        """Return the density at the points of a grid, smoothed by a Gaussian.

        Parameters
        ----------
        grid : array_like, shape (points,)
        width : float
            The Gaussian's standard deviation. If it is smaller than the distance between neighbouring nodes, about the length
            of the spectrum divided by the number of Lanczos steps, the result shows the nodes and not the density.

        Returns
        -------
        SampleMean
            Two arrays, in 1/units of the eigenvalues.
        """
        points = np.asarray(grid, dtype=np.float64)
        if points.ndim != 1 or not np.all(np.isfinite(points)):
            raise ValueError(f"the grid has the shape {points.shape}, but must be finite numbers in one dimension")
        if not 0 < width < np.inf:
            raise ValueError(f"width is {width}, but must be positive and finite")
        samples = []
        for nodes, weights in zip(self.nodes, self.weights):
            distance = (points[:, None] - nodes) / width
            samples.append(np.exp(-0.5 * distance**2) @ weights / (width * np.sqrt(2 * np.pi)))
        return self._mean(samples)

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest node.

        The smallest eigenvalue is at most the smallest node; the largest eigenvalue is at least the largest node.
        """
        return min(float(nodes[0]) for nodes in self.nodes), max(float(nodes[-1]) for nodes in self.nodes)

    def _mean(self, samples: Any) -> SampleMean:
        samples = np.asarray(samples)
        probes = len(samples)
        if probes == 1:
            return SampleMean(samples[0], np.full_like(samples[0], np.nan)[()])
        return SampleMean(samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(probes))


def density(
    product: Any,
    n: int | None = None,
    *,
    probes: int = 10,
    lanczos_steps: int = 80,
    seed: int = 0,
    dtype: Any = None,
) -> SpectralDensity:
    """Estimate how the eigenvalues of a symmetric operator are distributed, by stochastic Lanczos quadrature.

    A Lanczos run from a random unit vector u gives a Gauss quadrature of ``uᵀ f(A) u``, whose mean over u is ``tr(f(A))/n``.
    Several runs are averaged (Golub, Meurant 1994; Ubaru, Chen, Saad 2017; for neural networks Ghorbani, Krishnan, Xiao 2019).

    Parameters
    ----------
    product : callable, LinearOperator, array_like or sparse matrix
        ``product(v) -> array``, or an operator with a shape and ``@``.
    n : int, optional
        The dimension; needed for a callable.
    probes : int, default 10
        Number of Lanczos runs, each from its own random vector. Standard errors fall with its square root.
    lanczos_steps : int, default 80
        Products in each run, at most n. A run needs memory for as many vectors of n numbers.
    seed : int, default 0
        Seed of the random vectors.
    dtype : float32 or float64, optional
        The precision of the vectors; default: float32 if `product` is in float32, else float64.

    Returns
    -------
    SpectralDensity

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
    >>> found = fosi.density(lambda v: np.arange(1.0, 1001.0) * v, n=1000)
    >>> mean, error = found.moment(1)
    >>> bool(abs(mean - 500.5) < 4 * error)
    True
    >>> density, error = found.smoothed([250.0, 750.0], width=50.0)
    >>> bool(np.all(abs(density - 1 / 1000) < 4 * error))
    True
    """
    apply, dim, single = operator_of(product, n, dtype)
    settings = {
        "probes": count("probes", probes),
        "lanczos_steps": count("lanczos_steps", lanczos_steps),
        "seed": count("seed", seed),
    }
    found = _fosi.density(apply, dim, single, settings)
    return SpectralDensity(tuple(found["nodes"]), tuple(found["weights"]), dim, found["products"])
