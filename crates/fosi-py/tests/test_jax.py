"""`fosi.jax.minimize`: trees, derivatives, precision."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fosi.jax
from fosi import minimize

X = jnp.linspace(-1.0, 1.0, 60)[:, None]
Y = jnp.sin(3.0 * X)


def network(widths=(1, 12, 12, 1), seed=0):
    """Weights and biases of a network, as a list of dictionaries."""
    keys = jax.random.split(jax.random.key(seed), len(widths) - 1)
    return [
        {"weight": jax.random.normal(key, (a, b)) * np.sqrt(2 / (a + b)), "bias": jnp.zeros(b)}
        for key, a, b in zip(keys, widths, widths[1:])
    ]


def regression(params, x, y):
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["weight"] + layer["bias"])
    return jnp.mean((x @ params[-1]["weight"] + params[-1]["bias"] - y) ** 2)


def test_a_network_is_trained():
    start = network()
    result = fosi.jax.minimize(regression, start, args=(X, Y), lower_bound=0, maxfun=1500, gtol=1e-8)
    assert jax.tree_util.tree_structure(result.params) == jax.tree_util.tree_structure(start)
    for found, given in zip(jax.tree_util.tree_leaves(result.params), jax.tree_util.tree_leaves(start)):
        assert found.shape == given.shape and found.dtype == jnp.float64
    assert result.fun < 1e-7
    assert np.isclose(float(regression(result.params, X, Y)), result.fun, rtol=1e-9)
    assert result.spectrum is not None and result.nhev > 0


def test_products_are_those_of_the_dense_hessian():
    params = {"a": jnp.array([0.3, -0.2]), "b": (jnp.array(0.5),)}

    def loss(params):
        return jnp.sum(jnp.cosh(params["a"])) + jnp.exp(params["b"][0] * params["a"][0]) + params["b"][0] ** 2

    options = {"maxiter": 0, "check_minimum": False, "first_estimation": 0}
    result = fosi.jax.minimize(loss, params, **{**options, "maxiter": 1}, return_eigenvectors=True)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    hessian = jax.hessian(lambda x: loss(unravel(x)))(flat)
    values = np.linalg.eigvalsh(hessian)
    # The estimation is made at the start.
    assert np.allclose(np.sort(result.spectrum.eigenvalues), values, rtol=1e-10)
    differences = fosi.jax.minimize(loss, params, products="differences", **{**options, "maxiter": 1})
    assert differences.nhev == 0
    assert np.allclose(np.sort(differences.spectrum.eigenvalues), values, rtol=1e-5)


def test_it_is_the_minimiser_of_the_flat_vector():
    start = network()
    flat, unravel = jax.flatten_util.ravel_pytree(start)
    of_vector = jax.jit(jax.value_and_grad(lambda x: regression(unravel(x), X, Y)))
    expected = minimize(of_vector, np.asarray(flat), maxfun=200)
    found = fosi.jax.minimize(regression, start, args=(X, Y), products="differences", maxfun=200)
    # Data that are constants of the compiled function may be rounded otherwise than arguments.
    assert np.isclose(found.fun, expected.fun, rtol=1e-3)
    assert found.x.shape == expected.x.shape


def test_callbacks_have_trees_in_both_forms():
    old, new = [], []
    fosi.jax.minimize(regression, network(), args=(X, Y), maxiter=3, callback=lambda params: old.append(params))
    fosi.jax.minimize(
        regression,
        network(),
        args=(X, Y),
        maxiter=3,
        callback=lambda intermediate_result: new.append(intermediate_result),
    )
    assert len(old) == len(new) == 3
    for tree, state in zip(old, new):
        assert float(regression(tree, X, Y)) == pytest.approx(state.fun, rel=1e-9)
        assert jax.tree_util.tree_all(jax.tree_util.tree_map(jnp.array_equal, tree, state.params))

    def stop(params):
        raise StopIteration

    assert fosi.jax.minimize(regression, network(), args=(X, Y), callback=stop).status == 99


def test_single_precision_on_request():
    start = jax.tree_util.tree_map(lambda leaf: leaf.astype(jnp.float32), network())
    data = (X.astype(jnp.float32), Y.astype(jnp.float32))
    double = fosi.jax.minimize(regression, start, args=data, maxfun=100)
    assert double.x.dtype == np.float64 and double.params[0]["bias"].dtype == jnp.float64
    single = fosi.jax.minimize(regression, start, args=data, maxfun=300, dtype=jnp.float32)
    assert single.x.dtype == np.float32 and single.params[0]["bias"].dtype == jnp.float32
    assert single.fun < 0.1 * float(regression(start, *data))


def test_double_precision_is_asked_for_with_the_reason():
    code = (
        "import jax, jax.numpy as jnp, fosi.jax\n"
        "jax.config.update('jax_enable_x64', False)\n"
        "f = lambda x: jnp.sum((x - 1) ** 2)\n"
        "try:\n    fosi.jax.minimize(f, jnp.zeros(3))\n"
        "except ValueError as error:\n    print(error)\n"
        "print(fosi.jax.minimize(f, jnp.zeros(3), dtype=jnp.float32).success)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "jax_enable_x64" in found and "a line search sees no decrease" in found and found.endswith("True\n")


def test_exceptions_have_the_tree_so_far():
    calls = []

    def count(x):
        calls.append(1)
        if len(calls) == 20:
            raise RuntimeError("the twentieth call")
        return x

    def loss(params):
        value = regression(params, X, Y)
        return jax.pure_callback(count, jax.ShapeDtypeStruct((), value.dtype), value)

    @jax.custom_vjp
    def counted(params):
        return loss(params)

    counted.defvjp(
        lambda params: (loss(params), params),
        lambda params, bar: (jax.tree_util.tree_map(lambda g: bar * g, jax.grad(regression)(params, X, Y)),),
    )
    # JAX wraps what its callbacks raise; the text stays.
    with pytest.raises(Exception, match="the twentieth call") as caught:
        fosi.jax.minimize(counted, network(), products="differences", check_gradient=False)
    result = caught.value.fosi_result
    assert result.nit > 0
    assert float(regression(result.params, X, Y)) == pytest.approx(result.fun, rel=1e-9)


@pytest.mark.parametrize(
    "loss, params, given, words",
    [
        (lambda p: 0.0, {}, {}, "no leaf"),
        (lambda p: p["n"] * 1.0, {"n": jnp.array(3)}, {}, r"\['n'\] has the type int"),
        (lambda p: jnp.abs(p), jnp.array(1j), {}, "must be real and floating"),
        (lambda p: p**2, jnp.array(1.0), {"products": "none"}, "products is 'none'"),
        (lambda p: p**2, jnp.array(1.0), {"dtype": jnp.bfloat16}, "must be float64 or float32"),
        (lambda p: p**2, jnp.array(1.0), {"jac": True}, "leave it out"),
        (lambda p: p**2, jnp.array(1.0), {"bounds": [(0, 1)]}, "no bounds"),
    ],
)
def test_what_is_refused(loss, params, given, words):
    with pytest.raises(ValueError, match=words):
        fosi.jax.minimize(loss, params, **given)
