"""What crosses the language, and how much memory that takes."""

import pathlib
import subprocess
import sys
import textwrap
import tracemalloc
import warnings

import fosi
import numpy as np
import pytest

N = 1_000_000
VECTOR = 8 * N


def in_place(addresses=None, kept=None):
    """½ Σ dᵢ xᵢ² with a gradient that is always written to the same array."""
    diagonal = np.linspace(1.0, 1e4, N)
    gradient = np.empty(N)

    def evaluate(x):
        if addresses is not None:
            addresses.append(x.__array_interface__["data"][0])
        if kept is not None:
            kept.append(x[: N // 2])
        np.multiply(diagonal, x, out=gradient)
        return 0.5 * float(x @ gradient), gradient

    return evaluate


def test_no_vector_is_allocated_for_a_call():
    addresses = []
    evaluate = in_place(addresses)
    start = np.ones(N)
    tracemalloc.start()
    try:
        fosi.minimize(evaluate, start, gtol=0, maxiter=20, check_gradient=False, first_estimation=10, lanczos_steps=5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One array that is lent to all calls: numpy's memory is traced, a copy would be a second one.
    assert VECTOR <= peak < 1.5 * VECTOR
    assert len(addresses) > 25 and len(set(addresses)) == 1


def test_no_vector_is_allocated_for_a_product():
    diagonal = np.linspace(1.0, 1e4, N)
    out = np.empty(N)
    tracemalloc.start()
    try:
        fosi.spectrum(
            lambda v: np.multiply(diagonal, v, out=out), N, 2, lanczos_steps=10, probe=False, return_eigenvectors=False
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert VECTOR <= peak < 1.5 * VECTOR


def test_what_a_function_keeps_is_its_own():
    addresses, kept = [], []
    fosi.minimize(in_place(addresses, kept), np.ones(N), gtol=0, maxiter=5, check_gradient=False)
    assert len(set(addresses)) == len(addresses) == len(kept)
    # The first is the start, though it is only a view that was kept.
    assert np.all(kept[0] == 1.0)
    assert all(not np.array_equal(a, b) for a, b in zip(kept, kept[1:]))


def test_functions_may_change_what_they_get():
    expected = fosi.minimize(in_place(), np.ones(N), gtol=0, maxiter=5, check_gradient=False)
    evaluate = in_place()

    def spoils(x):
        value, gradient = evaluate(x)
        x[:] = np.nan
        return value, gradient

    found = fosi.minimize(spoils, np.ones(N), gtol=0, maxiter=5, check_gradient=False)
    assert np.array_equal(found.x, expected.x)


@pytest.mark.parametrize("change", ["x.shape = (2, -1)", "x.dtype = np.int64", "x.flags.writeable = False"])
def test_arrays_that_are_no_longer_what_they_were_are_not_lent_again(change):
    def evaluate(x):
        found = x @ x, 2 * x
        exec(change, {"x": x, "np": np})
        return found

    with warnings.catch_warnings():
        # Numpy advises against such changes.
        warnings.simplefilter("ignore", DeprecationWarning)
        assert fosi.minimize(evaluate, np.ones(4)).success


def test_the_start_is_left_alone():
    start = np.ones(50)
    fosi.minimize(lambda x: (x @ x, 2 * x), start)
    assert np.all(start == 1.0)


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="there is no /proc")
def test_the_memory_of_a_run():
    """The peak of a process: 2·maxcor vectors of the pairs, and 13 others."""
    code = textwrap.dedent(
        """
        import fosi
        from test_memory import *

        def peak():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

        evaluate, start = in_place(), np.ones(N)
        fosi.minimize(lambda x: (x @ x, 2 * x), np.ones(3))
        before = peak()
        fosi.minimize(evaluate, start, gtol=0, maxiter=30, check_gradient=False, estimate=False, maxcor=5)
        print((peak() - before) / VECTOR)
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parent
    )
    assert 10 < float(found.stdout) < 2 * 5 + 13, found.stdout
