"""The minimiser for JAX: any pytree of parameters, with exact gradients and Hessian-vector products.

This module needs JAX; `import fosi` alone does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import OptimizeResult

from fosi import _minimize

__all__ = ["minimize"]

_WHY_DOUBLE = (
    "fosi.jax.minimize computes in float64, which is off in JAX by default: call jax.config.update('jax_enable_x64', True) "
    "before any array is made. In float32 a loss is known to 1e-7 of its value at best, so a line search sees no decrease "
    "below that, and the run ends earlier than in float64. To minimise in float32 nevertheless, give "
    "dtype=jnp.float32"
)


def minimize(
    loss: Callable[..., Any],
    params: Any,
    args: Any = (),
    *,
    products: str = "exact",
    dtype: Any = None,
    callback: Callable[..., Any] | None = None,
    **options: Any,
) -> OptimizeResult:
    """Minimise a function of a pytree of JAX arrays, without a learning rate.

    The loss must be the same function at every call: all data, no dropout. The loss with its gradient is compiled once, and
    so is its Hessian-vector product, in forward over reverse mode: ``jvp(grad(loss))``.

    Parameters
    ----------
    loss : callable
        ``loss(params, *args) -> scalar``; JAX must be able to trace and differentiate it.
    params : pytree
        The start: a pytree of real floating-point arrays. They are converted to the precision of the run, in which the
        solution is returned, too.
    args : tuple, optional
        Further arguments of `loss`, such as the data. They are passed to the compiled functions and stay on their device.
        Data that `loss` closes over become constants of the compiled functions.
    products : {"exact", "differences"}, default "exact"
        How Hessian-vector products are computed: by differentiation, which usually takes the time of 2 to 4 gradients, or as
        difference quotients of gradients, which takes the time of about one.
    dtype : float64 or float32, optional
        The precision of the run; default: float64, for which ``jax_enable_x64`` must be on.
    callback : callable, optional
        Called after each step as ``callback(intermediate_result=result)`` if ``intermediate_result`` is the name of its only
        parameter, otherwise as ``callback(params)``. ``result`` is as for `fosi.minimize`, with ``result.params`` added.
        StopIteration ends the run.
    **options
        The options of `fosi.minimize`, such as ``gtol``, ``maxiter``, ``maxfun`` and ``lower_bound``. Give
        ``lower_bound=0`` for a sum of squares.

    Returns
    -------
    OptimizeResult
        The result of `fosi.minimize`, with the solution also as ``params``, a pytree like the start.

    Raises
    ------
    ValueError
        If JAX has float64 turned off and `dtype` isn't float32: in float32 a loss is known to 1e-7 of its value at best, and
        a line search sees no decrease below that. If a leaf isn't a real floating-point array. For the other reasons of
        `fosi.minimize`.
    Exception
        An exception in `loss` is passed on; its attribute ``fosi_result`` has the result so far.

    Notes
    -----
    The loss runs on JAX's default device, or on the device of `args`. The minimiser's own vectors and arithmetic are on the
    host. Each gradient moves one vector of parameters to the device and one back, and each exact product moves two there
    and one back: 16 and 24 bytes per parameter in float64. For a million parameters a gradient moves 16 MB, which takes
    about a millisecond on a bus of 16 GB/s.

    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> import fosi.jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> t = jnp.linspace(0.0, 1.0, 20)
    >>> data = 2.0 * jnp.exp(-3.0 * t)
    >>> def loss(params, t, data):
    ...     return jnp.mean((params["scale"] * jnp.exp(-params["rate"] * t) - data) ** 2)
    >>> start = {"scale": jnp.array(1.0), "rate": jnp.array(1.0)}
    >>> result = fosi.jax.minimize(loss, start, args=(t, data), lower_bound=0, gtol=1e-10)
    >>> print(f"{result.params['scale']:.6f} {result.params['rate']:.6f}")
    2.000000 3.000000
    """
    if products not in ("exact", "differences"):
        raise ValueError(f"products is {products!r}, but must be 'exact' or 'differences'")
    unknown = {"jac", "hess", "hessp"} & options.keys()
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: leave it out, because JAX computes the derivatives")
    args = args if isinstance(args, tuple) else (args,)
    flat, unravel = ravel_pytree(_in_precision(params, _precision(dtype)))

    def of_vector(x: jax.Array, *args: Any) -> Any:
        return loss(unravel(x), *args)

    value_and_gradient = jax.jit(jax.value_and_grad(of_vector))
    product = jax.jit(lambda x, v, *args: jax.jvp(lambda x: jax.grad(of_vector)(x, *args), (x,), (v,))[1])

    try:
        result = _minimize.minimize(
            lambda x: value_and_gradient(x, *args),
            np.asarray(flat),
            jac=True,
            hessp=(lambda x, v: product(x, v, *args)) if products == "exact" else None,
            callback=_callback(callback, unravel),
            **options,
        )
    except BaseException as exception:
        found = getattr(exception, "fosi_result", None)
        if found is not None:
            _with_params(found, unravel)
        raise
    return _with_params(result, unravel)


def _precision(dtype: Any) -> Any:
    """Return the floating-point type of the run."""
    asked = np.dtype(np.float64 if dtype is None else dtype)
    if asked not in (np.float32, np.float64):
        raise ValueError(f"dtype is {asked}, but must be float64 or float32")
    if asked == np.float64 and not getattr(jax.config, "jax_enable_x64"):
        raise ValueError(_WHY_DOUBLE)
    return asked


def _in_precision(params: Any, dtype: Any) -> Any:
    """Return the tree with its leaves converted to the precision of the run."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise ValueError("params has no leaf: there is nothing to minimise over")
    for path, leaf in leaves:
        kind = jnp.result_type(leaf)
        if not jnp.issubdtype(kind, jnp.floating):
            name = jax.tree_util.keystr(path) or "params"
            raise ValueError(f"{name} has the type {kind}, but must be real and floating: close over what isn't trained")
    return jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf, dtype=dtype), params)


def _with_params(result: OptimizeResult, unravel: Callable[[Any], Any]) -> OptimizeResult:
    """Add the solution as a tree."""
    result.params = unravel(jnp.asarray(result.x))
    return result


def _callback(
    callback: Callable[..., Any] | None, unravel: Callable[[Any], Any]
) -> Callable[[OptimizeResult], None] | None:
    """Return the callback in scipy's form with a result."""
    if callback is None:
        return None
    call, named = callback, _minimize.takes_result(callback)

    def observe(intermediate_result: OptimizeResult) -> None:
        result = _with_params(intermediate_result, unravel)
        if named:
            call(intermediate_result=result)
        else:
            call(result.params)

    return observe
