"""Scipy's solvers, with tolerances that let them go on to the end of the budget."""

import numpy as np
import scipy.optimize


def restarted(run, method, options, **given):
    """Minimises; where the solver stops by itself, starts it again from the best point, as its users do, as long as
    that lowers f: most stops are failures of the line search, which forgetting the past often mends."""
    lowest = np.inf
    while run.best is None or run.best.value < lowest:
        start = run.start
        if run.best is not None:
            start, lowest = run.best.x, run.best.value
        result = scipy.optimize.minimize(run.evaluate, start, jac=True, method=method, options=options, **given)
    return str(result.message)


def lbfgsb(memory):
    """L-BFGS-B without bounds."""

    def solve(run):
        options = {"maxcor": memory, "ftol": 0.0, "gtol": 0.0, "maxiter": run.budget, "maxfun": run.budget}
        return restarted(run, "L-BFGS-B", options)

    return solve


def bfgs(run):
    """BFGS with a dense matrix. Its update takes two products of matrices."""
    return restarted(run, "BFGS", {"gtol": 0.0, "maxiter": run.budget})


def trust_krylov(run):
    """A trust region, its subproblem solved in Krylov spaces by exact Hessian-vector products."""
    return restarted(run, "trust-krylov", {"gtol": 0.0, "maxiter": run.budget}, hessp=run.product)
