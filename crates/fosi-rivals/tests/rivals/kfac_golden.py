"""Writes golden/kfac.json: factors and parameters of kfac-jax on small networks, for kfac_golden.rs.

    pip install kfac-jax==0.0.8 jax==0.7.0
    JAX_PLATFORMS=cpu python kfac_golden.py

Newer versions of JAX changed what kfac-jax 0.0.8 calls. Weights and data are drawn here and stored in the file, in the order of
Burn's layers (inputs×outputs for dense layers, outputs×inputs×height×width for convolutions); factors have rows and columns in
the order inputs, height, width, bias.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import kfac_jax
import numpy as np

jax.config.update("jax_enable_x64", True)

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def conv(x, w, stride, padding, groups=1):
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2,
        dimension_numbers=DIMENSIONS, feature_group_count=groups)


def draw(rng, shape, scale):
    """Entries that f32 holds exactly."""
    return jnp.asarray(np.float64(np.float32(scale * rng.standard_normal(shape))))


def burn(array):
    """A weight in Burn's order."""
    array = np.asarray(array)
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def entries(array):
    return [float(x) for x in np.asarray(array).ravel()]


def in_burns_order(factor, kernel):
    """Rows and columns of A from (height, width, inputs, bias) to (inputs, height, width, bias)."""
    factor = np.asarray(factor)
    height, width, inputs, _ = kernel
    size = height * width * inputs
    order = np.arange(size).reshape(height, width, inputs).transpose(2, 0, 1).ravel()
    order = np.concatenate([order, np.arange(size, factor.shape[0])])
    return factor[np.ix_(order, order)]


def dense_softmax(rng):
    params = {
        "a": {"w": draw(rng, (6, 5), 0.5), "b": draw(rng, (5,), 0.2)},
        "b": {"w": draw(rng, (5, 4), 0.5), "b": draw(rng, (4,), 0.2)},
    }
    labels = rng.integers(0, 4, 12)
    batch = (draw(rng, (12, 6), 1.0), jnp.asarray(labels))

    def loss(p, batch):
        x, y = batch
        h = jnp.tanh(x @ p["a"]["w"] + p["a"]["b"])
        z = h @ p["b"]["w"] + p["b"]["b"]
        kfac_jax.register_softmax_cross_entropy_loss(z, y)
        log = jax.nn.log_softmax(z)
        return -jnp.mean(jnp.take_along_axis(log, y[:, None], 1))

    layers = [("a", None), ("b", None)]
    settings = dict(use_adaptive_damping=True, initial_damping=0.2)
    return params, batch, loss, layers, settings, dict(learning_rate=0.3, momentum=0.8)


def conv_squared(rng):
    params = {
        "a": {"w": draw(rng, (3, 3, 2, 3), 0.3), "b": draw(rng, (3,), 0.2)},
        "b": {"w": draw(rng, (1, 1, 3, 4), 0.5)},
        "c": {"w": draw(rng, (36, 3), 0.2), "b": draw(rng, (3,), 0.1)},
    }
    batch = (draw(rng, (8, 5, 5, 2), 1.0), draw(rng, (8, 3), 1.0))

    def loss(p, batch):
        x, y = batch
        h = jnp.tanh(conv(x, p["a"]["w"], 2, 1) + p["a"]["b"])
        h = jnp.tanh(conv(h, p["b"]["w"], 1, 0))
        # As Burn flattens: channels first.
        z = h.transpose(0, 3, 1, 2).reshape(8, -1) @ p["c"]["w"] + p["c"]["b"]
        kfac_jax.register_squared_error_loss(z, y)
        return jnp.mean(jnp.sum((z - y) ** 2, axis=1))

    layers = [("a", (3, 3, 2, 3)), ("b", (1, 1, 3, 4)), ("c", None)]
    settings = dict(
        use_adaptive_damping=True, initial_damping=0.5,
        use_adaptive_learning_rate=True, use_adaptive_momentum=True)
    return params, batch, loss, layers, settings, {}


def separable_sigmoid(rng):
    """Batch norm and a depthwise convolution, as in MobileNet; the loss is a mean over the outputs, too."""
    params = {
        "a": {"w": draw(rng, (3, 3, 1, 4), 0.4)},
        "n": {"scale": 1 + draw(rng, (4,), 0.2), "shift": draw(rng, (4,), 0.2)},
        "d": {"w": draw(rng, (3, 3, 1, 4), 0.4), "b": draw(rng, (4,), 0.2)},
        "c": {"w": draw(rng, (4, 3), 0.5), "b": draw(rng, (3,), 0.1)},
    }
    targets = (rng.random((6, 3)) < 0.4).astype(np.float64)
    batch = (draw(rng, (6, 6, 6, 1), 1.0), jnp.asarray(targets))

    def loss(p, batch):
        x, y = batch
        h = conv(x, p["a"]["w"], 1, 1)
        mean = h.mean((0, 1, 2), keepdims=True)
        variance = ((h - mean) ** 2).mean((0, 1, 2), keepdims=True)
        h = (h - mean) * jax.lax.rsqrt(variance + 1e-5)
        h = jax.nn.relu(h * p["n"]["scale"] + p["n"]["shift"])
        h = jnp.tanh(conv(h, p["d"]["w"], 2, 1, groups=4) + p["d"]["b"])
        z = h.mean((1, 2)) @ p["c"]["w"] + p["c"]["b"]
        kfac_jax.register_sigmoid_cross_entropy_loss(z, y, weight=1 / 3)
        return jnp.mean((1 - y) * z - jax.nn.log_sigmoid(z))

    layers = [("a", (3, 3, 1, 4)), ("n", None), ("d", None), ("c", None)]
    settings = dict(norm_constraint=1e-3)
    given = dict(learning_rate=0.1, momentum=0.9, damping=0.05)
    return params, batch, loss, layers, settings, given


def blocks(optimizer, state, params):
    """By layer: the block's factors, or its diagonals by parameter."""
    leaves = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]
    found = {}
    estimator = optimizer._estimator
    for indices, block in zip(estimator.jaxpr.layer_indices, state.estimator_state.blocks_states):
        names = [leaves[i] for i in indices]
        if hasattr(block, "factors"):
            found[names[0].split("/")[0]] = [np.asarray(f.value) for f in block.factors]
        else:
            for name, diagonal in zip(names, block.diagonal_factors):
                found[name] = np.asarray(diagonal.value)
    return found


def factors(name, kernel, found, params):
    if name in found:
        a, g = found[name]
        return [entries(a if kernel is None else in_burns_order(a, kernel)), entries(g)]
    # "w" or "scale" first, then "b" or "shift".
    keys = [key for key in ("w", "scale", "b", "shift") if key in params[name]]
    return [entries(burn(found[f"{name}/{key}"])) for key in keys]


def case(make, seed, steps=7):
    params, batch, loss, layers, settings, given = make(np.random.default_rng(seed))
    start = parameters(params, layers)
    optimizer = kfac_jax.Optimizer(
        jax.value_and_grad(loss), l2_reg=0.0, num_burnin_steps=0, estimation_mode="fisher_exact",
        exact_quad_model_matrix_type="fisher", **settings)
    key = jax.random.PRNGKey(0)
    state = optimizer.init(params, key, batch)
    given = {name: jnp.asarray(value) for name, value in given.items()}
    trajectory = []
    for step in range(steps):
        params, state, stats = optimizer.step(params, state, key, batch=batch, **given)
        found = blocks(optimizer, state, params)
        kept = layers if step in (0, steps - 1) else []
        trajectory.append({
            "loss": float(stats["loss"]),
            "learning_rate": float(stats["learning_rate"]),
            "momentum": float(stats["momentum"]),
            "damping": float(stats["damping"]),
            "parameters": parameters(params, layers),
            "factors": [factors(name, kernel, found, params) for name, kernel in kept],
        })
    x, y = batch
    x = np.asarray(x)
    x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return {
        "x": entries(x),
        "y": entries(y),
        "parameters": start,
        "steps": trajectory,
    }


def parameters(params, layers):
    keys = ("w", "scale", "b", "shift")
    found = [params[name][key] for name, _ in layers for key in keys if key in params[name]]
    return [x for array in found for x in entries(burn(array))]


def rounded(value):
    """Ten digits suffice."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f"{value:.10g}")


if __name__ == "__main__":
    cases = {
        "dense_softmax": rounded(case(dense_softmax, 1)),
        "conv_squared": rounded(case(conv_squared, 2)),
        "separable_sigmoid": rounded(case(separable_sigmoid, 3)),
    }
    file = pathlib.Path(__file__).parent / "golden" / "kfac.json"
    file.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
