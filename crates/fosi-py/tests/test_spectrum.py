"""Eigenpairs against dense eigensolvers."""

import pickle

import fosi
import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator


def symmetric(n, seed=0):
    """A dense matrix whose eigenvalues fall off quickly."""
    random = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(random.normal(size=(n, n)))
    values = np.concatenate([2.0 ** np.arange(10, 0, -1), np.linspace(-1, 1, n - 10)])
    return (vectors * values) @ vectors.T


MATRIX = symmetric(200)


@pytest.mark.parametrize(
    "product, n",
    [
        (lambda v: MATRIX @ v, 200),
        (MATRIX, None),
        (aslinearoperator(MATRIX), None),
        (LinearOperator((200, 200), matvec=lambda v: MATRIX @ v), None),
        (scipy.sparse.csr_array(MATRIX), None),
        (np.asmatrix(MATRIX), None),
        (MATRIX.tolist(), None),
    ],
)
def test_eigenpairs_are_those_of_a_dense_eigensolver(product, n):
    found = fosi.spectrum(product, n, 4, smallest=1, lanczos_steps=100)
    values = np.linalg.eigvalsh(MATRIX)
    assert np.allclose(found.eigenvalues, [*values[:-5:-1], values[0]], atol=1e-8)
    assert found.eigenvectors.shape == (200, 5) and found.eigenvectors.dtype == np.float64
    residuals = np.linalg.norm(MATRIX @ found.eigenvectors - found.eigenvectors * found.eigenvalues, axis=0)
    assert np.all(residuals <= found.residuals + 1e-9)
    assert np.allclose(found.eigenvectors.T @ found.eigenvectors, np.eye(5), atol=1e-12)
    assert found.maximum == found.eigenvalues[0] and found.minimum == found.eigenvalues[-1]
    assert found.resolved[:4].all()


def test_settings_of_a_spectrum():
    few = fosi.spectrum(MATRIX, k=2, lanczos_steps=12, probe=False)
    assert few.products == 12
    assert fosi.spectrum(MATRIX, k=2, lanczos_steps=12).products == 16
    assert fosi.spectrum(MATRIX, k=2, lanczos_steps=100, probe=False, tolerance=1e-2).products < 50
    assert fosi.spectrum(MATRIX, k=2, return_eigenvectors=False).eigenvectors is None
    again = fosi.spectrum(MATRIX, k=2, lanczos_steps=12, probe=False)
    other = fosi.spectrum(MATRIX, k=2, lanczos_steps=12, probe=False, seed=1)
    assert np.array_equal(few.eigenvectors, again.eigenvectors)
    assert not np.array_equal(few.eigenvectors, other.eigenvectors)


def test_repeated_eigenvalues_are_found():
    diagonal = np.concatenate([[5.0, 5.0], np.linspace(0, 1, 98)])
    found = fosi.spectrum(scipy.sparse.diags_array(diagonal), k=2, lanczos_steps=40)
    assert np.allclose(found.eigenvalues, 5.0)


def test_single_precision():
    seen = []

    def product(v):
        seen.append(v.dtype)
        return MATRIX.astype(np.float32) @ v

    found = fosi.spectrum(product, 200, 3, dtype=np.float32)
    assert set(seen) == {np.dtype(np.float32)} and found.eigenvectors.dtype == np.float32
    assert np.allclose(found.eigenvalues, [1024, 512, 256], rtol=1e-5)
    assert fosi.spectrum(MATRIX.astype(np.float32), k=1).eigenvectors.dtype == np.float32


def test_a_spectrum_is_pickled():
    found = fosi.spectrum(MATRIX, k=2)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.eigenvectors, found.eigenvectors) and again.missed == found.missed


def test_operators_that_are_refused():
    with pytest.raises(fosi.LanczosError, match="not symmetric"):
        fosi.spectrum(np.triu(MATRIX), k=2)
    with pytest.raises(fosi.LanczosError, match="not finite"):
        fosi.spectrum(lambda v: v * np.nan, 10)
    with pytest.raises(ValueError, match="square"):
        fosi.spectrum(MATRIX[:, :20])
    with pytest.raises(ValueError, match="give n"):
        fosi.spectrum(lambda v: v)
    with pytest.raises(ValueError, match="n is 3"):
        fosi.spectrum(MATRIX, 3)
    with pytest.raises(ValueError, match="n is 0"):
        fosi.spectrum(lambda v: v, 0)
    with pytest.raises(TypeError, match="complex"):
        fosi.spectrum(MATRIX * 1j)
    with pytest.raises(TypeError, match="must be a function"):
        fosi.spectrum(3.0)
    with pytest.raises(ValueError, match="float32 or float64"):
        fosi.spectrum(MATRIX, dtype=np.int32)
    with pytest.raises(ValueError, match="the product must be an array of 200 numbers"):
        fosi.spectrum(lambda v: v[:3], 200)
    with pytest.raises(ValueError, match=r"k \+ smallest is 0"):
        fosi.spectrum(MATRIX, k=0)
    with pytest.raises(ValueError, match="lanczos_steps is 1"):
        fosi.spectrum(MATRIX, k=2, lanczos_steps=1)
    with pytest.raises(TypeError, match="tolerance is 'low'"):
        fosi.spectrum(MATRIX, tolerance="low")
    with pytest.raises(TypeError, match="k is 1.5"):
        fosi.spectrum(MATRIX, k=1.5)
    with pytest.raises(ValueError, match="tolerance is -1"):
        fosi.spectrum(MATRIX, tolerance=-1.0)


@pytest.mark.parametrize("n", [10**15, 2**62])
def test_no_dimension_ends_the_process(n):
    with pytest.raises(MemoryError, match=f"vectors of {n} numbers"):
        fosi.spectrum(lambda v: v, n, 1)
    with pytest.raises(MemoryError, match=f"80 vectors of {n} numbers"):
        fosi.density(lambda v: v, n)


def test_no_setting_ends_the_process():
    for setting in ({"k": 2**62}, {"k": 2**62, "smallest": 2**62}, {"lanczos_steps": 2**62}):
        with pytest.raises(ValueError, match="10,000"):
            fosi.spectrum(MATRIX, **setting)
    for setting in ({"probes": 2**62}, {"lanczos_steps": 2**62}):
        with pytest.raises(ValueError, match="10,000"):
            fosi.density(MATRIX, **setting)
