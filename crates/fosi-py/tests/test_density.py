"""Densities of spectra that are known."""

import pickle

import fosi
import numpy as np
import pytest
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator

VALUES = np.concatenate([np.linspace(0.0, 1.0, 400), np.linspace(4.0, 5.0, 100)])
MATRIX = diags_array(VALUES)


def test_moments_and_other_means():
    found = fosi.density(MATRIX, probes=20, lanczos_steps=60)
    assert found.n == 500 and found.products == 20 * 60
    for power in (1, 2, 5):
        mean, error = found.moment(power)
        exact = np.mean(VALUES**power)
        assert 0 < error < 0.1 * exact and abs(mean - exact) < 4 * error
    mean, error = found.mean_of(np.exp)
    assert abs(mean - np.exp(VALUES).mean()) < 4 * error
    assert np.allclose([weights.sum() for weights in found.weights], 1.0)
    low, high = found.extent()
    assert 0.0 <= low < 1e-2 and 5.0 - 1e-2 < high <= 5.0 + 1e-12


def test_with_all_steps_the_nodes_are_the_eigenvalues():
    found = fosi.density(diags_array([1.0, 2.0, 4.0]), probes=3)
    for nodes in found.nodes:
        assert np.allclose(nodes, [1.0, 2.0, 4.0])


def test_the_smoothed_density():
    found = fosi.density(MATRIX, probes=20, lanczos_steps=60)
    grid = np.linspace(-1.0, 6.0, 71)
    mean, error = found.smoothed(grid, 0.3)
    distance = (grid[:, None] - VALUES) / 0.3
    exact = np.exp(-0.5 * distance**2).mean(axis=1) / (0.3 * np.sqrt(2 * np.pi))
    assert mean.shape == error.shape == (71,)
    assert np.all(np.abs(mean - exact) < 4 * error + 1e-3)
    assert abs(np.trapezoid(mean, grid) - 1.0) < 1e-2


def test_forms_seeds_and_precision():
    same = fosi.density(LinearOperator((500, 500), matvec=lambda v: VALUES * v), probes=2, lanczos_steps=30, seed=3)
    function = fosi.density(lambda v: VALUES * v, 500, probes=2, lanczos_steps=30, seed=3)
    other = fosi.density(lambda v: VALUES * v, 500, probes=2, lanczos_steps=30, seed=4)
    assert np.array_equal(same.nodes[0], function.nodes[0])
    assert not np.array_equal(other.nodes[0], function.nodes[0])
    single = fosi.density(lambda v: VALUES.astype(np.float32) * v, 500, probes=20, lanczos_steps=30, dtype="float32")
    mean, error = single.moment(1)
    assert abs(mean - VALUES.mean()) < 4 * error + 1e-5
    assert np.isnan(fosi.density(MATRIX, probes=1).moment(1).standard_error)
    again = pickle.loads(pickle.dumps(function))
    assert np.array_equal(again.weights[1], function.weights[1])


def test_what_is_refused():
    with pytest.raises(ValueError, match="probes is 0"):
        fosi.density(MATRIX, probes=0)
    with pytest.raises(ValueError, match="lanczos_steps is 0"):
        fosi.density(MATRIX, lanczos_steps=0)
    with pytest.raises(fosi.LanczosError, match="not finite"):
        fosi.density(lambda v: v * np.inf, 10)
    found = fosi.density(MATRIX, probes=2, lanczos_steps=10)
    with pytest.raises(ValueError, match="width is 0"):
        found.smoothed([0.0], 0.0)
    with pytest.raises(ValueError, match="the grid"):
        found.smoothed([[0.0]], 1.0)
    with pytest.raises(ZeroDivisionError):
        fosi.density(lambda v: 1 / 0, 10)
