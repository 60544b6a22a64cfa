"""Burgers' equation with a physics-informed network: fosi and scipy's L-BFGS-B.

    python examples/burgers.py [--budget 5000] [--picture burgers.png]

A network u(x, t) with three hidden layers is trained on the residuals of

    u_t + u u_x = (0.01/π) u_xx,    u(x, 0) = −sin πx,    u(±1, t) = 0

at 600 points inside, 50 at the start and 50 at the walls. The picture shows the loss against the number of gradients (fosi's
Hessian-vector products count as gradients, too), and the solution of each network next to the exact one. The example needs jax
and matplotlib.
"""

# %% The problem
import argparse

import jax

jax.config.update("jax_enable_x64", True)

import fosi.jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

VISCOSITY = 0.01 / np.pi


def start(seed=0, widths=(2, 32, 32, 32, 1)):
    """Normal weights with variance 2/(inputs + outputs), biases 0."""
    random = np.random.default_rng(seed)
    shapes = zip(widths, widths[1:])
    return [(jnp.asarray(random.normal(size=(a, b)) * np.sqrt(2 / (a + b))), jnp.zeros(b)) for a, b in shapes]


def network(params, x, t):
    """u at one point."""
    z = jnp.array([x, t])
    for weight, bias in params[:-1]:
        z = jnp.tanh(z @ weight + bias)
    weight, bias = params[-1]
    return (z @ weight + bias)[0]


def residual(params, x, t):
    """The residual of the equation inside."""
    u = lambda x, t: network(params, x, t)
    u_x = jax.grad(u, 0)
    return jax.grad(u, 1)(x, t) + u(x, t) * u_x(x, t) - VISCOSITY * jax.grad(u_x, 0)(x, t)


def points(count=600):
    """Points spread evenly over (−1, 1) × (0, 1)."""
    # The additive sequence of Roberts (2018), from the plastic number.
    g = 1.32471795724474602596
    i = np.arange(count)
    return 2 * ((0.5 + i / g) % 1) - 1, (0.5 + i / g**2) % 1


INSIDE = points()
BEGIN = np.linspace(-1, 1, 50)
WALLS = np.repeat([-1.0, 1.0], 25), np.tile(np.linspace(0, 1, 25), 2)


def at(function, params, x, t):
    """Evaluate a function of one point at many points."""
    return jax.vmap(lambda x, t: function(params, x, t))(x, t)


def loss(params):
    """The sum of the mean squared residuals inside, at the start and at the walls."""
    inside = at(residual, params, *INSIDE)
    begin = at(network, params, BEGIN, np.zeros(50)) + np.sin(np.pi * BEGIN)
    walls = at(network, params, *WALLS)
    return jnp.mean(inside**2) + jnp.mean(begin**2) + jnp.mean(walls**2)


def exact(x, t):
    """The solution, by the Cole-Hopf transformation; the heat kernel is integrated by the trapezoidal rule."""
    z = np.arange(-500, 501) / 50.0
    y = x[..., None] - np.sqrt(4 * VISCOSITY * t[..., None]) * z
    weight = np.exp(-z * z - (np.cos(np.pi * y) + 1) / (2 * np.pi * VISCOSITY))
    return -np.sum(np.sin(np.pi * y) * weight, axis=-1) / np.sum(weight, axis=-1)


# %% The two solvers
def with_fosi(params, budget):
    """Train with fosi: (parameters, numbers of gradients, losses)."""
    curve = []
    result = fosi.jax.minimize(
        loss,
        params,
        lower_bound=0,
        gtol=0,
        maxfun=budget,
        callback=lambda intermediate_result: curve.append((intermediate_result.cost, intermediate_result.fun)),
    )
    return result.params, *zip(*curve)


def with_scipy(params, budget):
    """Train with scipy's L-BFGS-B and 50 correction pairs: the same."""
    x, unravel = ravel_pytree(params)
    compiled = jax.jit(jax.value_and_grad(lambda x: loss(unravel(x))))
    values = []

    def evaluate(x):
        value, gradient = compiled(x)
        values.append(float(value))
        return float(value), np.asarray(gradient)

    options = {"maxcor": 50, "maxfun": budget, "maxiter": budget, "ftol": 0.0, "gtol": 0.0}
    result = minimize(evaluate, np.asarray(x), jac=True, method="L-BFGS-B", options=options)
    return unravel(result.x), np.arange(1, len(values) + 1), np.minimum.accumulate(values)


# %% The picture
def draw(runs, path):
    """Draw the losses and the solutions."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x, t = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(0, 1, 101), indexing="ij")
    truth = exact(x, t)
    figure, axes = plt.subplots(1, 2 + len(runs), figsize=(4 * (2 + len(runs)), 3.5), layout="constrained")
    for name, (_, gradients, losses) in runs.items():
        axes[0].semilogy(gradients, losses, label=name)
    axes[0].set(xlabel="gradients and products", ylabel="loss")
    axes[0].legend()
    axes[1].pcolormesh(t, x, truth, vmin=-1, vmax=1, cmap="RdBu", rasterized=True)
    axes[1].set(title="exact", xlabel="t", ylabel="x")
    for axis, (name, (params, _, losses)) in zip(axes[2:], runs.items()):
        found = np.asarray(at(network, params, x.ravel(), t.ravel())).reshape(x.shape)
        error = np.linalg.norm(found - truth) / np.linalg.norm(truth)
        axis.pcolormesh(t, x, found, vmin=-1, vmax=1, cmap="RdBu", rasterized=True)
        axis.set(title=f"{name}: error {error:.1e}", xlabel="t")
        print(f"{name}: loss {losses[-1]:.2e}, relative error {error:.2e}")
    figure.savefig(path, dpi=100)


# %% The run
def main():
    """Train, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=5000, help="number of gradients and products for each solver [default: 5000]")
    parser.add_argument("--picture", default="burgers.png", help="file for the picture [default: burgers.png]")
    given = parser.parse_args()
    runs = {solver.__name__[5:]: solver(start(), given.budget) for solver in (with_fosi, with_scipy)}
    draw({"fosi": runs["fosi"], "L-BFGS-B": runs["scipy"]}, given.picture)


if __name__ == "__main__":
    main()
