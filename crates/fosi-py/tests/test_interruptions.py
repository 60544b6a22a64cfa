"""Exceptions, signals, threads, and numbers that are not finite."""

import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import fosi
import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from functions import pairs_start, quadratic, rosenbrock_pairs, rosenbrock_pairs_product

START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


def run(code, **environment):
    """Run a program beside this file: what it prints."""
    folder = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as place:
        # In a file, for the processes that it starts read it again.
        program = pathlib.Path(place) / "program.py"
        program.write_text(code)
        found = subprocess.run(
            [sys.executable, program],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(folder), **environment},
        )
    assert found.returncode == 0, found.stderr
    return found.stdout


class Unusual(Exception):
    """An exception of the user's own."""


def failing_at(call, exception, function=rosenbrock_pairs):
    """The function, which raises at a call counted from 1, and what it was called with."""
    seen = []

    def evaluate(*given):
        seen.append(given)
        if len(seen) == call:
            raise exception
        return function(*given)

    return evaluate, seen


def test_an_exception_comes_out_as_it_is_with_the_state_so_far():
    exception = Unusual("call 30", 30)
    evaluate, seen = failing_at(30, exception)
    with pytest.raises(Unusual) as caught:
        fosi.minimize(evaluate, pairs_start(100), check_gradient=False)
    assert caught.value is exception and caught.value.args == ("call 30", 30)
    # No call follows it.
    assert len(seen) == 30
    result = exception.fosi_result
    assert not result.success and result.nfev == 30 and result.nit > 5
    assert result.fun == rosenbrock_pairs(result.x)[0] < rosenbrock_pairs(pairs_start(100))[0]
    assert "raised an exception" in result.message
    frames = [entry.name for entry in caught.traceback]
    assert "evaluate" in frames


def test_an_exception_at_the_start_has_no_state():
    exception = Unusual()
    evaluate, seen = failing_at(1, exception)
    with pytest.raises(Unusual):
        minimize(evaluate, START[:4], jac=True, method=fosi.minimize)
    assert len(seen) == 1 and exception.fosi_result is None


def test_an_exception_in_a_product_ends_the_run_too():
    exception = Unusual()
    hessp, seen = failing_at(7, exception, rosenbrock_pairs_product)
    with pytest.raises(Unusual):
        fosi.minimize(rosenbrock_pairs, pairs_start(500), hessp=hessp, first_estimation=10)
    assert len(seen) == 7
    result = exception.fosi_result
    assert result.nhev == 7 and result.cost >= 10
    assert len(result.failed_estimations) == 1 and "Lanczos step 7" in result.failed_estimations[0].reason


def test_an_exception_in_a_difference_quotient_ends_the_run_too():
    # The estimation begins after 20 gradients or a few more and takes 60.
    exception = Unusual()
    evaluate, seen = failing_at(60, exception)
    with pytest.raises(Unusual):
        fosi.minimize(evaluate, pairs_start(500), first_estimation=20, check_gradient=False)
    assert len(seen) == 60 and len(exception.fosi_result.failed_estimations) == 1


def test_an_exception_in_a_callback_comes_out_as_it_is():
    exception = Unusual()
    callback, seen = failing_at(4, exception, lambda x: None)
    with pytest.raises(Unusual):
        minimize(rosen, START, jac=rosen_der, method=fosi.minimize, callback=lambda xk: callback(xk))
    assert exception.fosi_result.nit == 4


def test_exceptions_without_room_for_the_state_come_out_too():
    class Slotted(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            raise AttributeError(name)

    evaluate, _ = failing_at(5, Slotted())
    with pytest.raises(Slotted):
        fosi.minimize(evaluate, pairs_start(10), check_gradient=False)


def test_an_exception_in_the_product_of_a_spectrum():
    exception = Unusual()
    product, seen = failing_at(3, exception, lambda v: 2 * v)
    with pytest.raises(Unusual) as caught:
        fosi.spectrum(product, 50)
    assert caught.value is exception and len(seen) == 3


@pytest.mark.parametrize("call", [1, 5, 40])
def test_keyboard_interrupts_return_the_best_point(call):
    evaluate, seen = failing_at(call, KeyboardInterrupt())
    result = fosi.minimize(evaluate, pairs_start(100), check_gradient=False, first_estimation=20)
    assert len(seen) == call
    assert (result.status, result.success) == (98, False)
    assert "Ctrl-C" in result.message
    if call == 1:
        assert np.array_equal(result.x, pairs_start(100)) and np.isnan(result.fun)
    else:
        assert result.fun == rosenbrock_pairs(result.x)[0]


def test_ctrl_c_stops_within_one_callback():
    """A process of its own gets the signal while it is in a callback; no other call begins."""
    code = textwrap.dedent(
        """
        import signal, threading, os, time
        import fosi, numpy as np
        from functions import quadratic

        evaluate, _ = quadratic(1000)
        calls = []
        def slow(x):
            calls.append(time.monotonic())
            time.sleep(0.05)
            return evaluate(x)
        sent = []
        def send():
            time.sleep(1.0)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=send).start()
        result = fosi.minimize(slow, np.ones(1000), gtol=0, maxfun=10**6, check_gradient=False)
        after = sum(call > sent[0] for call in calls)
        print(result.status, after, result.fun < evaluate(np.ones(1000))[0])
        """
    )
    assert run(code).split() == ["98", "0", "True"]


def test_the_lock_is_released_between_callbacks():
    """Another thread runs while the solver computes: half a million variables, whose steps take long."""
    evaluate, _ = quadratic(500_000)
    ticks, inside, done = [], [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append((time.monotonic(), bool(inside)))
            time.sleep(1e-4)

    def function(x):
        inside.append(1)
        found = evaluate(x)
        inside.clear()
        return found

    thread = threading.Thread(target=tick)
    thread.start()
    fosi.minimize(function, np.ones(500_000), gtol=0, maxiter=15, check_gradient=False, estimate=False)
    done.set()
    thread.join()
    assert sum(not at_work for _, at_work in ticks) > 50


def test_threads_minimise_at_once():
    expected = fosi.minimize(rosenbrock_pairs, pairs_start(2000), first_estimation=20)
    results = [None] * 4

    def work(i):
        results[i] = fosi.minimize(rosenbrock_pairs, pairs_start(2000), first_estimation=20)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert np.array_equal(result.x, expected.x)


def test_any_number_of_the_solvers_threads_gives_the_same_bits():
    code = textwrap.dedent(
        """
        import hashlib, fosi, numpy as np
        from functions import pairs_start, rosenbrock_pairs
        result = fosi.minimize(rosenbrock_pairs, pairs_start(150_000), first_estimation=5, maxfun=30, lanczos_steps=10)
        assert len(result.estimations) == 1
        print(hashlib.sha256(result.x.tobytes()).hexdigest())
        """
    )

    def digest(threads):
        return run(code, RAYON_NUM_THREADS=str(threads))

    assert digest(1) == digest(3)


def test_a_function_may_minimise_itself():
    def inner(x):
        found = fosi.minimize(lambda y: ((y - x) @ (y - x), 2 * (y - x)), np.zeros_like(x))
        return found.x @ found.x, 2 * found.x

    assert fosi.minimize(inner, np.ones(3)).success


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_have_threads_of_their_own(method):
    """Those of a parent stay behind in a fork, where waiting for them would never end."""
    code = textwrap.dedent(
        f"""
        import multiprocessing, fosi, numpy as np

        def eigenvalue(seed):
            return fosi.spectrum(lambda v: v / np.arange(1.0, 300_001.0), 300_000, 1, seed=seed).eigenvalues[0]

        if __name__ == "__main__":
            expected = eigenvalue(0)
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                print(pool.map_async(eigenvalue, [0, 0]).get(timeout=60) == [expected] * 2)
        """
    )
    assert run(code) == "True\n"


def test_values_that_are_not_finite():
    for value, gradient in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)):
        with pytest.raises(ValueError, match="must be finite"):
            fosi.minimize(lambda x: (value, gradient * x), np.ones(3))

    # A wall: NaN where x < 0.1, at which steps go back.
    def walled(x):
        with np.errstate(invalid="ignore"):
            return float(np.sum(x - np.log(x - 0.1))), 1 - 1 / (x - 0.1)

    result = fosi.minimize(walled, np.full(3, 5.0))
    assert result.success and np.allclose(result.x, 1.1)

    calls = []

    def breaks(x):
        calls.append(x)
        return (np.nan if len(calls) > 10 else x @ x), 2 * x * (1 + np.arange(3.0))

    result = fosi.minimize(breaks, np.ones(3), check_gradient=False, gtol=0)
    assert (result.status, result.success) == (3, False)
    assert np.isfinite(result.fun)

    result = fosi.minimize(
        lambda x: (-np.inf if x[0] > 3 else -x[0], np.array([-1.0])), [0.0], check_gradient=False
    )
    assert result.status == 4


def test_precision_that_is_used_up():
    # f is known to 1e-16 of itself, and so are its decreases.
    evaluate, _ = quadratic(50)

    def lifted(x):
        value, gradient = evaluate(x)
        return value + 1e10, gradient

    result = fosi.minimize(lifted, np.ones(50), gtol=0.0, maxfun=5000, check_gradient=False, estimate=False)
    assert result.status == 2 and not result.success and result.cost < 5000
    assert np.linalg.norm(result.x) < 0.1
