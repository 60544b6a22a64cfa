"""Physics-informed networks: the equations, points and networks of `fosi solve pinn`, in JAX.

A tanh network u is trained on the residuals of a differential equation at fixed points. The loss is the mean squared
residual of the equation, plus that of each boundary or initial condition.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

WIDTHS = (2, 32, 32, 32, 1)
UNIT, CENTRED, CIRCLE = (0.0, 1.0), (-1.0, 1.0), (0.0, 2 * np.pi)
VISCOSITY = 0.01 / np.pi
SPEED = 30.0
pi, sin, cos = np.pi, np.sin, np.cos


@dataclass(frozen=True)
class Equation:
    """An equation with its network: `loss(params)`, and the solution if it has a formula."""

    name: str
    widths: tuple
    domain: tuple
    loss: Callable
    solution: Callable | None


def start(widths, seed):
    """Normal weights with variance 2/(inputs + outputs) (Glorot and Bengio 2010), biases 0."""
    random = np.random.default_rng(seed)
    shapes = zip(widths, widths[1:])
    return [(jnp.asarray(random.normal(size=(a, b)) * np.sqrt(2 / (a + b))), jnp.zeros(b)) for a, b in shapes]


def network(params, x):
    """u at points, one per row."""
    for weight, bias in params[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = params[-1]
    return (x @ weight + bias)[:, 0]


def derivatives(u, x, axis, order):
    """u and its derivatives with respect to one input, up to an order, at points."""
    unit = jnp.zeros_like(x).at[:, axis].set(1.0)
    first = lambda x: jax.jvp(u, (x,), (unit,))
    if order == 1:
        return first(x)
    (value, slope), (_, second) = jax.jvp(first, (x,), (unit,))
    return value, slope, second


def inside(domain, count):
    """Points spread evenly: the additive sequence of Roberts (2018)."""
    dimension = len(domain)
    g = 1.5
    for _ in range(60):
        g = (1 + g) ** (1 / (dimension + 1))
    shares = [(0.5 + np.arange(count) * g ** -(axis + 1)) % 1 for axis in range(dimension)]
    return np.stack([low + (high - low) * share for (low, high), share in zip(domain, shares)], axis=1)


def initial(x, count):
    """Points at time 0."""
    return np.stack([np.linspace(*x, count), np.zeros(count)], axis=1)


def ends(domain, count):
    """Points at the two ends of the first input, along the second: two arrays."""
    (low, high), y = domain
    line = np.linspace(*y, count)
    return np.stack([np.full(count, low), line], axis=1), np.stack([np.full(count, high), line], axis=1)


def sides(domain, count):
    """The four sides of a rectangle."""
    left, right = ends(domain, count)
    below, above = ends(domain[::-1], count)
    return np.concatenate([left, right, below[:, ::-1], above[:, ::-1]])


def grid(domain, count=101):
    """All points of a grid, including the ends."""
    axes = np.meshgrid(*(np.linspace(*interval, count) for interval in domain), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def square(residual):
    """The mean square."""
    return jnp.mean(residual**2)


def poisson1d():
    """−u'' = f on (0, 1)."""
    points, edges = inside([UNIT], 100), np.array([[0.0], [1.0]])
    x = points[:, 0]
    source = pi**2 * (sin(pi * x) + 18 * sin(6 * pi * x))

    def loss(params):
        u = lambda x: network(params, x)
        return square(derivatives(u, points, 0, 2)[2] + source) + square(u(edges))

    solution = lambda p: sin(pi * p[:, 0]) + 0.5 * sin(6 * pi * p[:, 0])
    return Equation("poisson1d", (1, 32, 32, 1), (UNIT,), loss, solution)


def poisson2d():
    """−Δu = f on the unit square."""
    domain = (UNIT, UNIT)
    points, edges = inside(domain, 400), sides(domain, 25)
    wave = lambda k, p: sin(k * pi * p[:, 0]) * sin(k * pi * p[:, 1])
    source = 2 * pi**2 * (wave(1, points) + 4.5 * wave(3, points))

    def loss(params):
        u = lambda x: network(params, x)
        laplacian = derivatives(u, points, 0, 2)[2] + derivatives(u, points, 1, 2)[2]
        return square(laplacian + source) + square(u(edges))

    return Equation("poisson2d", WIDTHS, domain, loss, lambda p: wave(1, p) + 0.5 * wave(3, p))


def helmholtz():
    """Δu + u = f on (−1, 1)²."""
    domain = (CENTRED, CENTRED)
    points, edges = inside(domain, 400), sides(domain, 25)
    solution = lambda p: sin(pi * p[:, 0]) * sin(4 * pi * p[:, 1])
    source = (1 - 17 * pi**2) * solution(points)

    def loss(params):
        u = lambda x: network(params, x)
        value, _, by_x = derivatives(u, points, 0, 2)
        by_y = derivatives(u, points, 1, 2)[2]
        return square(by_x + by_y + value - source) + square(u(edges))

    return Equation("helmholtz", WIDTHS, domain, loss, solution)


def burgers():
    """u_t + u u_x = (0.01/π) u_xx, u(x, 0) = −sin πx, u(±1, t) = 0."""
    domain = (CENTRED, UNIT)
    points, begin, walls = inside(domain, 600), initial(CENTRED, 50), np.concatenate(ends(domain, 25))
    target = -sin(pi * begin[:, 0])

    def loss(params):
        u = lambda x: network(params, x)
        value, by_x, by_xx = derivatives(u, points, 0, 2)
        by_t = derivatives(u, points, 1, 1)[1]
        return square(by_t + value * by_x - VISCOSITY * by_xx) + square(u(begin) - target) + square(u(walls))

    return Equation("burgers", WIDTHS, domain, loss, burgers_solution)


def burgers_solution(points):
    """The solution, by the Cole-Hopf transformation; the heat kernel is integrated by the trapezoidal rule."""
    x, t = points[:, :1], points[:, 1:]
    z = np.arange(-500, 501) / 50.0
    y = x - np.sqrt(4 * VISCOSITY * t) * z
    # exp(1 − …) keeps the largest weight at 1.
    weight = np.exp(-z * z - (cos(pi * y) + 1) / (2 * pi * VISCOSITY))
    return -np.sum(sin(pi * y) * weight, axis=1) / np.sum(weight, axis=1)


def convection():
    """u_t + 30 u_x = 0, u(x, 0) = sin x, period 2π."""
    domain = (CIRCLE, UNIT)
    points, begin, (low, high) = inside(domain, 600), initial(CIRCLE, 50), ends(domain, 25)
    target = sin(begin[:, 0])

    def loss(params):
        u = lambda x: network(params, x)
        by_x, by_t = derivatives(u, points, 0, 1)[1], derivatives(u, points, 1, 1)[1]
        return square(by_t + SPEED * by_x) + square(u(begin) - target) + square(u(low) - u(high))

    return Equation("convection", WIDTHS, domain, loss, lambda p: sin(p[:, 0] - SPEED * p[:, 1]))


def allen_cahn():
    """u_t = 1e-4 u_xx + 5(u − u³), u(x, 0) = x² cos πx, period 2."""
    domain = (CENTRED, UNIT)
    points, begin, (low, high) = inside(domain, 600), initial(CENTRED, 50), ends(domain, 25)
    x = begin[:, 0]
    target = x**2 * cos(pi * x)

    def loss(params):
        u = lambda x: network(params, x)
        value, _, by_xx = derivatives(u, points, 0, 2)
        by_t = derivatives(u, points, 1, 1)[1]
        (at_low, slope_low), (at_high, slope_high) = (derivatives(u, end, 0, 1) for end in (low, high))
        return (
            square(by_t - 1e-4 * by_xx + 5 * (value**3 - value))
            + square(u(begin) - target)
            + square(at_low - at_high)
            + square(slope_low - slope_high)
        )

    return Equation("allen-cahn", WIDTHS, domain, loss, None)


EQUATIONS = {make().name: make for make in (poisson1d, poisson2d, helmholtz, burgers, convection, allen_cahn)}


def relative_error(equation, params):
    """‖u − u*‖/‖u*‖ on a grid; None if the solution has no formula."""
    if equation.solution is None:
        return None
    points = grid(equation.domain)
    exact = equation.solution(points)
    return float(np.linalg.norm(np.asarray(network(params, points)) - exact) / np.linalg.norm(exact))
