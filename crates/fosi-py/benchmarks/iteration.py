"""The time per iteration of fosi and of scipy's L-BFGS-B.

    python benchmarks/iteration.py [--powers 3 4 5 6 7] [--repeats 5]

Both minimise ½ Σ dᵢ xᵢ² with 10 correction pairs. d runs from 1 to 1e6, so that neither converges before its last iteration.
fosi runs without estimations, because the benchmark compares L-BFGS. The runs of the two alternate. Each row has the medians
of the repeats and the ratio of these medians; the time of the function itself is in both. The last column, for at most a
million variables, is for fosi with its default settings (estimations, 20 pairs): seconds per gradient, where the gradients for
Lanczos' difference quotients count.

Set both OPENBLAS_NUM_THREADS, for the BLAS of numpy and scipy, and RAYON_NUM_THREADS, for fosi.
"""

import argparse
import statistics
import time

import fosi
import numpy as np
from scipy.optimize import minimize

# The number of iterations for each power of ten of n.
ITERATIONS = {3: 300, 4: 300, 5: 100, 6: 40, 7: 20}
PAIRS = 10


def function(n):
    """½ Σ dᵢ xᵢ² with its gradient, in two passes."""
    diagonal = np.geomspace(1.0, 1e6, n)
    np.random.default_rng(0).shuffle(diagonal)
    gradient = np.empty(n)

    def evaluate(x):
        np.multiply(diagonal, x, out=gradient)
        return 0.5 * float(x @ gradient), gradient

    return evaluate


def seconds(method, evaluate, n, options):
    """Run a method once: (seconds per iteration, result)."""
    start = np.ones(n)
    began = time.perf_counter()
    result = minimize(evaluate, start, jac=True, method=method, options=options)
    return (time.perf_counter() - began) / result.nit, result


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--powers", type=int, nargs="+", choices=ITERATIONS, default=list(ITERATIONS), help="powers of ten for n [default: all]")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each method [default: 5]")
    given = parser.parse_args()
    print("| n | L-BFGS-B, s | fosi, s | ratio | evaluations per iteration | fosi by default, s per gradient |")
    print("|---:|---:|---:|---:|---:|---:|")
    for power in given.powers:
        n, iterations = 10**power, ITERATIONS[power]
        evaluate = function(n)
        limits = {"maxiter": iterations, "gtol": 0.0, "ftol": 0.0, "maxfun": 10**9, "maxcor": PAIRS}
        plain = {**limits, "estimate": False, "check_gradient": False}
        times = {"L-BFGS-B": [], "fosi": []}
        evaluations = {}
        for _ in range(given.repeats):
            for name, method, options in (("L-BFGS-B", "L-BFGS-B", limits), ("fosi", fosi.minimize, plain)):
                time_taken, result = seconds(method, evaluate, n, options)
                times[name].append(time_taken)
                evaluations[name] = result.nfev / result.nit
                assert result.nit == iterations, result.message
        by_default = "–"
        if n <= 1_000_000:
            began = time.perf_counter()
            default = fosi.minimize(evaluate, np.ones(n), gtol=0.0, maxfun=130, check_gradient=False)
            by_default = f"{(time.perf_counter() - began) / default.cost:.3g}"
        scipy_time, fosi_time = (statistics.median(times[name]) for name in ("L-BFGS-B", "fosi"))
        counts = f"{evaluations['L-BFGS-B']:.2f}, {evaluations['fosi']:.2f}"
        print(
            f"| {n:,} | {scipy_time:.3g} | {fosi_time:.3g} | {fosi_time / scipy_time:.2f} | {counts} | {by_default} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
