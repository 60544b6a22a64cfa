"""Python's solvers on the problems of `fosi solve`: the same functions, starts and costs, kept as its runs are.

    python bench/minimize.py SERVER OUT --problems poisson1d mgh:watson --seeds 0 1 2 [--budget N] [--solvers NAME ...]

SERVER is fosi-lab's example `function_server`, built with `--release`; OUT is the folder of the kept runs. It needs
numpy and scipy. A run that is there with the same budget and versions isn't made again. An interrupted run leaves
nothing. The cost of a run is its gradients and exact Hessian-vector products, counted at the function; a value and a
gradient at one point are one. A run ends when the problem counts as solved, when the budget is used up or when the
solver stops by itself.

Solvers: scipy's L-BFGS-B with 10 and 50 pairs and its BFGS, which are started again from their best point when they
stop early, as long as that helps; its trust-krylov; BFGS with an update in O(n²) (scipy's takes O(n³)); self-scaled
Broyden; NysNewton-CG after a fifth of the budget with L-BFGS-B.
"""

import os

# One thread: enough for these sizes, and sums of several threads differ from run to run. Before numpy is loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import pathlib
import warnings
from dataclasses import dataclass

import numpy as np
import scipy

from minimizers import dense, nystrom, scipys
from minimizers.problem import Problem
from minimizers.run import FORMAT, Files, Run, minimize

# Raised when a solver here changes what it does: kept runs of another version are made again.
VERSION = 1
OWN = f"bench/minimize.py {VERSION}, numpy {np.__version__}, scipy {scipy.__version__}"
SCIPY = f"scipy {scipy.__version__}"


@dataclass
class Solver:
    solve: callable
    version: str
    # Pairs of L-BFGS.
    memory: int | None = None
    # The largest n that it is for.
    largest: float = float("inf")


SOLVERS = {
    "scipy-lbfgsb-10": Solver(scipys.lbfgsb(10), SCIPY, memory=10),
    "scipy-lbfgsb-50": Solver(scipys.lbfgsb(50), SCIPY, memory=50),
    "scipy-trust-krylov": Solver(scipys.trust_krylov, SCIPY),
    "scipy-bfgs": Solver(scipys.bfgs, SCIPY, largest=600),
    "dense-bfgs": Solver(dense.quasi_newton(dense.bfgs), OWN, largest=5000),
    "ss-broyden": Solver(dense.quasi_newton(dense.self_scaled_broyden), OWN, largest=5000),
    "nys-newton-cg": Solver(nystrom.newton_cg, OWN, memory=nystrom.MEMORY),
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("server", help="the program `function_server`")
    parser.add_argument("out", type=pathlib.Path, help="folder of the kept runs")
    parser.add_argument("--problems", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--budget", type=int, default=10_000, help="gradients and products of a run (%(default)s)")
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS), metavar="NAME")
    given = parser.parse_args()
    if given.budget < 1:
        parser.error(f"--budget {given.budget}: give 1 or more")
    if min(given.seeds) < 0:
        parser.error(f"--seeds {min(given.seeds)}: give 0 or more")
    return given


def make(problem, name, seed, budget, out):
    """Makes the run unless it is there, and prints a line."""
    solver = SOLVERS[name]
    label = f"{problem.name} {name} seed {seed}"
    if problem.n > solver.largest:
        print(f"{label}: left out, n = {problem.n} > {solver.largest}", flush=True)
        return
    settings = {
        "format": FORMAT,
        "solver": name,
        "seed": seed,
        "problem": problem.name,
        "budget": budget,
        "memory": solver.memory,
        "version": solver.version,
    }
    files = Files(out, problem.name, name, seed)
    if files.hold(settings):
        print(f"{label}: kept", flush=True)
        return
    run = Run(problem, seed, budget)
    stopped, reason = minimize(run, solver.solve)
    summary = files.write(run, settings, stopped, reason)
    print(
        f"{label}: f = {summary['value']:.3e} at cost {summary['cost']}, {summary['seconds']:.1f} s, {stopped}: {reason}",
        flush=True,
    )


def main():
    given = arguments()
    # What a line search or a trust region has to say is in the reason for which the run stopped.
    warnings.simplefilter("ignore")
    for seed in given.seeds:
        for name in given.problems:
            problem = Problem(given.server, name)
            for solver in given.solvers:
                make(problem, solver, seed, given.budget, given.out)
            problem.close()


if __name__ == "__main__":
    main()
