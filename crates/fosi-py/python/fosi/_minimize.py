"""The minimiser, with the conventions of `scipy.optimize.minimize`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, OptimizeWarning
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from fosi import _fosi
from fosi._spectrum import Spectrum, count, number

# The statuses of scipy's own methods, and some more.
_STATUS = {
    "gradient": 0,
    "value": 0,
    "steps": 1,
    "cost": 1,
    "time": 1,
    "stalled": 2,
    "non-finite": 3,
    "unbounded": 4,
    "failed": 5,
    "interrupted": 98,
    "stopped": 99,
}
_MOST = 2**63 - 1
_INTERRUPTED = "Ctrl-C (KeyboardInterrupt)"
_STOPPED = "`callback` raised `StopIteration`."


@dataclass(frozen=True)
class Estimation:
    """One estimation of the spectrum during a minimisation.

    Attributes
    ----------
    step, cost : int
        Steps taken and units of cost spent before the estimation.
    eigenvalues : ndarray of float64
        The eigenvalues chosen, by descending absolute value.
    residuals : ndarray of float64
        Bounds on ``norm(H @ v - value * v)``, one per eigenvalue.
    maximum, minimum : float
        The largest and the smallest of all Ritz values (Lanczos' estimates of eigenvalues).
    noise : float
        Eigenvalues below this are hidden by the rounding of the products.
    products : int
        Number of Hessian-vector products, repeated ones included.
    gradients : int
        Number of gradients computed for the products; 0 with `hess` or `hessp`.
    seconds : float
        Wall time.
    in_metric : bool
        Whether the minimiser uses the eigenpairs. It doesn't use those of ``check_minimum``.
    """

    step: int
    cost: int
    eigenvalues: np.ndarray
    residuals: np.ndarray
    maximum: float
    minimum: float
    noise: float
    products: int
    gradients: int
    seconds: float
    in_metric: bool


@dataclass(frozen=True)
class FailedEstimation:
    """An estimation that failed; the run went on with the eigenpairs that it had.

    Attributes
    ----------
    step, cost : int
        Steps taken and units of cost spent before the estimation.
    reason : str
        Why it failed.
    """

    step: int
    cost: int
    reason: str


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    *,
    jac: Any = True,
    hess: Any = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    gtol: float | None = None,
    gtol_rel: float = 0.0,
    ftol: float = 0.0,
    maxiter: int | None = None,
    maxfun: int | None = 10_000,
    maxtime: float | None = None,
    disp: bool = False,
    maxcor: int = 20,
    eigenpairs: int | None = None,
    max_eigenpairs: int | None = None,
    lanczos_steps: int = 60,
    estimate: bool = True,
    first_estimation: int | None = None,
    lower_bound: float | None = None,
    check_gradient: bool = True,
    check_minimum: bool = False,
    seed: int = 0,
    return_eigenvectors: bool = False,
    **unknown_options: Any,
) -> OptimizeResult:
    """Minimise a function of one or more variables, given with its gradient, without a learning rate.

    It is L-BFGS with a line search. Its initial inverse Hessian

        H0 = V |Λ|⁻¹ Vᵀ + γ (I − V Vᵀ)

    is built from the Hessian's extreme eigenpairs ``(V, Λ)``, which Lanczos estimates after the first gradients and again when
    progress slows; γ is L-BFGS's usual scale, computed from the last step and its change of gradient. It gains most on
    ill-conditioned functions with some eigenvalues far above the others: physics-informed networks, kernels, regressions
    on raw features. On other functions it takes the steps of L-BFGS and pays for an estimation. `fun` must be the same
    function at every call: no batches, no dropout.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> (float, array)``, the value and the gradient, if `jac` is True; otherwise
        ``fun(x, *args) -> float``. The function may keep or change `x`.
    x0 : array_like, shape (n,)
        The start. If it is in float32, the run is in float32, otherwise in float64.
    args : tuple, optional
        Further arguments of `fun`, `jac`, `hess` and `hessp`.
    jac : True or callable
        ``jac(x, *args) -> array``, the gradient; True if `fun` returns it with the value. It can't be approximated by
        differences of values.
    hess : callable, optional
        ``hess(x, *args)``, the Hessian: an array, a sparse matrix or a `scipy.sparse.linalg.LinearOperator`.
    hessp : callable, optional
        ``hessp(x, p, *args) -> array``, the Hessian's product with the vector `p`. Without `hess` and `hessp`, products are
        difference quotients of gradients, checked for rounding errors; each costs at least one gradient.
    bounds, constraints
        Not supported: any but none are refused.
    callback : callable, optional
        Called after each step as ``callback(intermediate_result=result)``, with an `OptimizeResult` of ``x``, ``fun``, ``nit``
        and ``cost``, if ``intermediate_result`` is the name of its only parameter; otherwise as ``callback(x)``. It ends the run
        by raising StopIteration.
    tol : float, optional
        The same as `gtol`, which takes precedence.
    gtol : float, default 1e-6
        Stop once the Euclidean norm of the gradient is at most this. (Scipy's BFGS and L-BFGS-B compare the largest entry, which
        is never larger than the norm; scipy's trust-region methods compare the Euclidean norm.)
    gtol_rel : float, default 0
        Stop once the norm of the gradient is at most this fraction of its first value.
    ftol : float, default 0
        Stop once a step changes `fun` by at most this fraction of its absolute value; 0 for never.
    maxiter : int, optional
        Stop after this many steps.
    maxfun : int or None, default 10000
        Stop after this many units of cost. A unit is a gradient (including those for difference quotients) or a product by
        `hess` or `hessp`. None for no limit.
    maxtime : float, optional
        Stop after this many seconds.
    disp : bool, default False
        Print how the run ended.
    maxcor : int, default 20
        Number of L-BFGS's correction pairs.
    eigenpairs : int, optional
        Number of eigenpairs in H0; default: all whose residual is small enough, at most `max_eigenpairs`.
    max_eigenpairs : int, default 50
        Maximum number of eigenpairs in H0. Don't combine it with `eigenpairs`.
    lanczos_steps : int, default 60
        Lanczos steps in an estimation; n, which gives the whole spectrum, if n is at most twice this number. The run needs memory
        for about ``2 * maxcor + lanczos_steps + max_eigenpairs`` vectors of n numbers.
    estimate : bool, default True
        Whether the spectrum is estimated; if False, the run is plain L-BFGS.
    first_estimation : int, optional
        Units of cost before the first estimation; default: ``min(60, 3 * lanczos_steps)``.
    lower_bound : float, optional
        A value below which `fun` never falls, such as 0 for a sum of squares. Progress is then measured by
        ``log(fun - lower_bound)``, otherwise by the norm of the gradient.
    check_gradient : bool, default True
        Whether the first gradient is compared with differences of `fun` along three random directions; this takes at least
        seven evaluations, which don't count as cost.
    check_minimum : bool, default False
        Whether the curvature is examined at a stationary point, so that the run can leave a saddle point.
    seed : int, default 0
        Seed of Lanczos' start vectors. The same seed gives the same bits with any number of threads.
    return_eigenvectors : bool, default False
        Whether the result includes ``spectrum.eigenvectors``.

    Returns
    -------
    OptimizeResult
        ``x``, ``fun``, ``jac`` : the solution, and the value and gradient there. If the run met `gtol` or `gtol_rel`, the
        solution is the last point, otherwise the point with the lowest value. ``jac`` is None if an exception or Ctrl-C ended
        the run and the gradient at ``x`` isn't known.

        ``nit``, ``nfev``, ``njev``, ``nhev`` : the number of steps, and of calls of `fun`, of the gradient, and of `hess` or
        `hessp`, including calls for differences and checks. ``cost`` : units of cost, as `maxfun` counts them.

        ``status``, ``message``, ``success`` : 0 success; 1 a limit was reached; 2 no step lowers the value any more, because the
        remaining gradient is below the value's precision; 3 the value or the gradient is not finite at every step
        tried; 4 `fun` is −inf; 5 the run failed; 98 Ctrl-C; 99 `callback` raised StopIteration. Only 0 is a success.

        ``spectrum`` : the `Spectrum` that the minimiser used last, or None. ``estimations``, ``failed_estimations`` : lists of
        `Estimation` and `FailedEstimation`.

        ``curvature`` : "none negative", "negative", "unresolved" or "not examined". ``smallest_curvature`` : the smallest Ritz
        value at the last point. ``seconds`` : wall time.

    Raises
    ------
    ValueError
        If an option is outside its range, or bounds or constraints are given; if the value or the gradient at the start
        isn't finite; if two calls of the function differ, or the gradient isn't the function's.
    Exception
        An exception in `fun`, `jac`, `hess`, `hessp` or `callback` is passed on unchanged. Its attribute ``fosi_result`` has the
        result so far, or None if the run had not begun. Ctrl-C raises nothing: the result so far is returned.

    See Also
    --------
    fosi.jax.minimize : for a function of a pytree of JAX arrays.

    Notes
    -----
    The interpreter's lock is released between calls. Each vector is copied once to Python and once back. The arrays that your
    functions get are reused from call to call; a new one is allocated only if a function keeps the one that it got. Vectors of
    more than 2**18 numbers are computed on all cores; ``RAYON_NUM_THREADS`` limits the number of threads.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der, rosen_hess_prod
    >>> import fosi
    >>> result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=fosi.minimize)
    >>> result.success, result.x.round(6)
    (True, array([1., 1.]))

    With exact products, and called without scipy:

    >>> x0 = [1.3, 0.7, 0.8, 1.9, 1.2]
    >>> result = fosi.minimize(rosen, x0, jac=rosen_der, hessp=rosen_hess_prod, gtol=1e-9)
    >>> print(result.message)
    the gradient's norm is small enough
    """
    _refuse(bounds, constraints)
    if unknown_options:
        names = ", ".join(unknown_options)
        warnings.warn(f"Unknown solver options: {names}", OptimizeWarning, stacklevel=2)
    if eigenpairs is not None and max_eigenpairs is not None:
        raise ValueError("give eigenpairs or max_eigenpairs, not both")
    if gtol is None:
        gtol = 1e-6 if tol is None else tol
    settings = {
        "gtol": number("gtol", gtol),
        "gtol_rel": number("gtol_rel", gtol_rel),
        "ftol": number("ftol", ftol),
        "maxfun": _MOST if _unlimited(maxfun) else count("maxfun", maxfun),
        "maxiter": None if _unlimited(maxiter) else count("maxiter", maxiter),
        "maxtime": None if _unlimited(maxtime) else number("maxtime", maxtime),
        "maxcor": count("maxcor", maxcor),
        "eigenpairs": None if eigenpairs is None else count("eigenpairs", eigenpairs),
        "max_eigenpairs": 50 if max_eigenpairs is None else count("max_eigenpairs", max_eigenpairs),
        "lanczos_steps": count("lanczos_steps", lanczos_steps),
        "estimate": bool(estimate),
        "first_estimation": None if first_estimation is None else count("first_estimation", first_estimation),
        "lower_bound": None if lower_bound is None else number("lower_bound", lower_bound),
        "check_gradient": bool(check_gradient),
        "check_minimum": bool(check_minimum),
        "seed": count("seed", seed),
        "return_eigenvectors": bool(return_eigenvectors),
    }
    args = args if isinstance(args, tuple) else (args,)
    start = _start(x0)
    hessian = _Hessian(hess, args) if hess is not None and hessp is None else None
    outcome, exception = _fosi.minimize(
        _evaluation(fun, jac, args),
        hessian or _product(hessp, args),
        start,
        _observer(callback),
        settings,
    )
    result = _result(outcome, start)
    if hessian is not None:
        result.nhev = hessian.evaluations
    if isinstance(exception, KeyboardInterrupt):
        _end(result, "interrupted", _INTERRUPTED)
    elif exception is not None:
        _attach(exception, None if outcome is None else result)
        raise exception
    if disp:
        _display(result)
    return result


def _unlimited(limit: Any) -> bool:
    """Return whether there is no limit."""
    return limit is None or (isinstance(limit, float) and limit == np.inf)


def _refuse(bounds: Any, constraints: Any) -> None:
    """Refuse bounds and constraints."""
    if bounds is not None:
        raise ValueError("fosi.minimize has no bounds: leave them out, or use scipy's L-BFGS-B or trust-constr")
    if constraints is not None and (not isinstance(constraints, Sequence) or len(constraints) > 0):
        raise ValueError("fosi.minimize has no constraints: leave them out, or use scipy's trust-constr or SLSQP")


def _start(x0: Any) -> np.ndarray:
    """Return the start in the precision of the run."""
    start = np.atleast_1d(np.asarray(x0))
    if start.ndim != 1:
        raise ValueError(f"x0 has {start.ndim} dimensions, but must have one: ravel it")
    if start.dtype.kind not in "fiub":
        raise TypeError(f"x0 has the type {start.dtype}, but must consist of real numbers")
    return np.ascontiguousarray(start, dtype=np.float32 if start.dtype == np.float32 else np.float64)


def _evaluation(fun: Callable[..., Any], jac: Any, args: tuple[Any, ...]) -> Callable[[np.ndarray], Any]:
    """Return x ↦ (value, gradient)."""
    # With jac=True scipy passes two functions that share an object, which keeps a copy of x and the last results.
    # The user's function behind it returns both at once.
    behind = getattr(fun, "fun", None)
    if getattr(jac, "__self__", None) is fun and callable(behind):
        fun, jac = behind, True
    if jac is True:
        return (lambda x: fun(x, *args)) if args else fun
    if callable(jac):
        return lambda x: (fun(x, *args), jac(x, *args))
    raise ValueError(
        f"fosi.minimize needs the gradient, but jac is {jac!r}: give a function, or True if fun returns (value, "
        "gradient). There are no differences of values; automatic differentiation (fosi.jax) gives exact gradients"
    )


def _product(hessp: Callable[..., Any] | None, args: tuple[Any, ...]) -> Callable[..., Any] | None:
    """Return (x, v) ↦ H(x) v."""
    if hessp is None or not args:
        return hessp
    return lambda x, v: hessp(x, v, *args)


class _Hessian:
    """Products with a Hessian that is computed as a whole, once per point."""

    def __init__(self, hess: Any, args: tuple[Any, ...]) -> None:
        if not callable(hess):
            raise ValueError(f"hess is {hess!r}, but must be a function: leave it out for differences of gradients")
        self.hess = hess
        self.args = args
        self.point: np.ndarray | None = None
        self.matrix: Any = None
        self.evaluations = 0

    def __call__(self, x: np.ndarray, v: np.ndarray) -> Any:
        if self.point is None or not np.array_equal(x, self.point):
            self.matrix = _matrix(self.hess(x, *self.args), len(x))
            self.point = x.copy()
            self.evaluations += 1
        return self.matrix @ v


def _matrix(given: Any, n: int) -> Any:
    """Return the Hessian that a function returned, in a form that multiplies vectors."""
    matrix = given if issparse(given) or isinstance(given, LinearOperator) else np.asarray(given)
    if matrix.shape != (n, n):
        raise ValueError(f"hess must return a matrix of the shape {(n, n)}, but its shape is {matrix.shape}")
    return matrix


def _observer(callback: Callable[..., Any] | None) -> Callable[..., bool] | None:
    """Return (x, value, steps, cost) ↦ whether to stop, for both of scipy's forms of callbacks."""
    if callback is None:
        return None
    named = takes_result(callback)

    def observe(x: np.ndarray, value: float, steps: int, cost: int) -> bool:
        try:
            if named:
                callback(intermediate_result=OptimizeResult(x=x, fun=value, nit=steps, cost=cost))
            else:
                callback(x)
        except StopIteration:
            return True
        return False

    return observe


def takes_result(callback: Callable[..., Any]) -> bool:
    """Return whether a callback has the newer of scipy's two forms."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        # Some callables that aren't written in Python have no signature.
        return False


def _result(outcome: dict[str, Any] | None, start: np.ndarray) -> OptimizeResult:
    """Return the outcome in scipy's form; the start if the run has not begun."""
    if outcome is None:
        outcome = _not_begun(start)
    estimations = [Estimation(**estimation) for estimation in outcome["estimations"]]
    result = OptimizeResult(
        x=outcome["x"],
        fun=outcome["fun"],
        jac=outcome["jac"],
        nit=outcome["steps"],
        nfev=outcome["evaluations"],
        njev=outcome["evaluations"],
        nhev=outcome["products"],
        cost=outcome["cost"],
        spectrum=_spectrum(estimations, outcome["eigenvectors"]),
        estimations=estimations,
        failed_estimations=[FailedEstimation(**failed) for failed in outcome["failed_estimations"]],
        curvature=outcome["curvature"],
        smallest_curvature=outcome["smallest_curvature"],
        seconds=outcome["seconds"],
    )
    stopped = outcome["status"] == "stopped"
    _end(result, outcome["status"], _STOPPED if stopped else outcome["message"])
    return result


def _not_begun(start: np.ndarray) -> dict[str, Any]:
    """Return the outcome of a run that ended before there was a value."""
    return {
        "x": start,
        "fun": float("nan"),
        "jac": None,
        "status": "failed",
        "message": "the run has not begun",
        "steps": 0,
        "evaluations": 0,
        "products": 0,
        "cost": 0,
        "estimations": [],
        "failed_estimations": [],
        "eigenvectors": None,
        "curvature": "not examined",
        "smallest_curvature": None,
        "seconds": 0.0,
    }


def _end(result: OptimizeResult, reason: str, message: str) -> None:
    """Set the reason why the run ended."""
    result.status = _STATUS[reason]
    result.message = message
    result.success = result.status == 0


def _spectrum(estimations: list[Estimation], eigenvectors: np.ndarray | None) -> Spectrum | None:
    """Return the spectrum that the minimiser used last."""
    last = next((estimation for estimation in reversed(estimations) if estimation.in_metric), None)
    if last is None:
        return None
    return Spectrum(
        eigenvalues=last.eigenvalues,
        residuals=last.residuals,
        eigenvectors=None if eigenvectors is None else eigenvectors.T,
        maximum=last.maximum,
        minimum=last.minimum,
        missed=None,
        noise=last.noise,
        products=last.products,
    )


def _attach(exception: BaseException, result: OptimizeResult | None) -> None:
    """Attach the result so far to the exception."""
    try:
        exception.fosi_result = result  # type: ignore[attr-defined]
    except AttributeError:
        # A class with slots can't have the attribute.
        pass


def _display(result: OptimizeResult) -> None:
    """Print how a run ended, as scipy's methods do."""
    print(f"{'Optimization terminated successfully' if result.success else 'Warning'}: {result.message}")
    print(f"         Current function value: {result.fun:f}")
    print(f"         Iterations: {result.nit}")
    print(f"         Function evaluations: {result.nfev}")
    print(f"         Gradient evaluations: {result.njev}")
    print(f"         Hessian evaluations: {result.nhev}")
