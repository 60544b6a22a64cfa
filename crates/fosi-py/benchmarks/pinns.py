"""Physics-informed networks: fosi, scipy's L-BFGS-B and optax's L-BFGS on the same losses.

    python benchmarks/pinns.py [--budget 10000] [--seeds 0 1 2] [--equations NAME ...] [--out FOLDER]

Prints a Markdown table with, for each equation and solver, the loss after the budget (median and range over the seeds), the
relative error of the solution (median), and the CPU seconds including compilation (median). A unit of the budget is a gradient or
an exact Hessian-vector product. Finished runs are kept in FOLDER/runs.jsonl and not repeated. L-BFGS-B and optax's L-BFGS have 50
correction pairs; fosi has its default settings (20 pairs) and exact products. If L-BFGS-B stops early, it is restarted from its
best point for as long as that helps. The benchmark needs jax and optax.
"""

import argparse
import json
import pathlib
import statistics
import time

import jax

jax.config.update("jax_enable_x64", True)

import fosi.jax
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from equations import EQUATIONS, relative_error, start

PAIRS = 50


def with_fosi(equation, params, budget):
    """Train with fosi.jax.minimize: (loss, parameters, units)."""
    result = fosi.jax.minimize(equation.loss, params, lower_bound=0, gtol=0, maxfun=budget)
    return result.fun, result.params, result.cost


def with_scipy(equation, params, budget):
    """Train with scipy's L-BFGS-B: the same."""
    x, unravel = ravel_pytree(params)
    evaluate = jax.jit(jax.value_and_grad(lambda x: equation.loss(unravel(x))))
    x, best, units = np.asarray(x), np.inf, 0
    options = {"maxcor": PAIRS, "ftol": 0.0, "gtol": 0.0, "maxiter": 10**9}
    while units < budget:
        left = {**options, "maxfun": budget - units}
        result = minimize(lambda x: tuple(map(np.asarray, evaluate(x))), x, jac=True, method="L-BFGS-B", options=left)
        units += result.nfev
        if not result.fun < best:
            break
        x, best = result.x, result.fun
    return best, unravel(x), units


def with_optax(equation, params, budget):
    """Train with optax's L-BFGS and its default line search, compiled as a whole: the same."""
    x, unravel = ravel_pytree(params)
    loss = lambda x: equation.loss(unravel(x))
    optimizer = optax.lbfgs(memory_size=PAIRS)
    # The state of the line search holds the value and gradient of its last point.
    value_and_grad = optax.value_and_grad_from_state(loss)

    @jax.jit
    def step(x, state):
        value, gradient = value_and_grad(x, state=state)
        updates, state = optimizer.update(gradient, state, x, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(x, updates), state

    state, units, best, best_x = optimizer.init(x), 1, np.inf, x
    while units < budget:
        following, state = step(x, state)
        search = state[-1]
        units += int(search.info.num_linesearch_steps)
        value = float(search.value)
        if value < best:
            best, best_x = value, following
        if not np.isfinite(value) or bool((following == x).all()):
            break
        x = following
    return best, unravel(best_x), units


SOLVERS = {"fosi": with_fosi, "L-BFGS-B": with_scipy, "optax": with_optax}


def run(name, solver, seed, budget):
    """Run a solver and return the record."""
    equation = EQUATIONS[name]()
    params = start(equation.widths, seed)
    began = time.process_time()
    value, params, units = SOLVERS[solver](equation, params, budget)
    return {
        "equation": name,
        "solver": solver,
        "seed": seed,
        "budget": budget,
        "loss": float(value),
        "units": units,
        "error": relative_error(equation, params),
        "seconds": time.process_time() - began,
    }


def spread(values):
    """Median and range."""
    return f"{statistics.median(values):.1e} ({min(values):.1e} to {max(values):.1e})"


def table(records):
    """Print the table."""
    print("| equation | solver | seeds | loss | error | CPU, s |")
    print("|---|---|---:|---:|---:|---:|")
    for name in EQUATIONS:
        for solver in SOLVERS:
            runs = [record for record in records if (record["equation"], record["solver"]) == (name, solver)]
            if not runs:
                continue
            errors = [record["error"] for record in runs]
            error = "–" if None in errors else f"{statistics.median(errors):.1e}"
            seconds = statistics.median(record["seconds"] for record in runs)
            loss = spread([record["loss"] for record in runs])
            print(f"| {name} | {solver} | {len(runs)} | {loss} | {error} | {seconds:.0f} |")


def main():
    """Make the missing runs and print the table of those requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--equations", nargs="+", choices=EQUATIONS, default=list(EQUATIONS))
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/pinns"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "runs.jsonl"
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    key = lambda record: tuple(record[field] for field in ("equation", "solver", "seed", "budget"))
    known = {key(record): record for record in kept}
    wanted = []
    for seed in given.seeds:
        for name in given.equations:
            for solver in given.solvers:
                record = known.get((name, solver, seed, given.budget))
                if record is None:
                    record = run(name, solver, seed, given.budget)
                    with path.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                    print(record, flush=True)
                wanted.append(record)
    table(wanted)


if __name__ == "__main__":
    main()
