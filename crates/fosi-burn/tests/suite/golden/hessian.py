"""Writes hessian.json: what another implementation says of a small network's Hessian.

    pip install "jax[cpu]==0.10.2" numpy
    python hessian.py > hessian.json

The network is a perceptron of widths 4, 6, 5, 3 with tanh, on 30 examples of 3 classes with mean cross-entropy, in f64.
Weights and data are numbers of a linear congruential generator, cut to f32 so that any program can hold them. The Hessian
is jax.hessian's, exact, by forward over reverse; its eigenvalues are numpy's.

The file holds the widths, the data row by row, the labels, and the parameters in the order weight (inputs by outputs,
row by row), bias, layer by layer; the five largest eigenvalues and the five smallest, from the ends; trace and squared
Frobenius norm.
"""

import json
import struct
import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

WIDTHS = [4, 6, 5, 3]
SAMPLES = 30


def numbers():
    """Uniform in [-1, 1), exact in f32."""
    state = 2024
    while True:
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        yield struct.unpack("f", struct.pack("f", (state >> 40) / 2**23 - 1.0))[0]


def main():
    source = numbers()

    def draw(count, factor=1.0):
        return [factor * next(source) for _ in range(count)]

    x = np.array(draw(SAMPLES * WIDTHS[0], 2.0)).reshape(SAMPLES, WIDTHS[0])
    labels = np.array([int(1.5 * (next(source) + 1.0)) for _ in range(SAMPLES)])
    flat = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        flat += draw(inputs * outputs) + draw(outputs, 0.5)

    def loss(parameters):
        a, at = jnp.asarray(x), 0
        for layer, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:])):
            weight = parameters[at : at + inputs * outputs].reshape(inputs, outputs)
            at += inputs * outputs
            a = a @ weight + parameters[at : at + outputs]
            at += outputs
            if layer < len(WIDTHS) - 2:
                a = jnp.tanh(a)
        scores = jax.nn.log_softmax(a)
        return -scores[jnp.arange(SAMPLES), labels].mean()

    dense = np.asarray(jax.hessian(loss)(jnp.asarray(flat)))
    assert np.abs(dense - dense.T).max() < 1e-12
    eigenvalues = np.linalg.eigvalsh(dense)
    golden = {
        "widths": WIDTHS,
        "x": x.flatten().tolist(),
        "labels": labels.tolist(),
        "parameters": flat,
        "largest": eigenvalues[::-1][:5].tolist(),
        "smallest": eigenvalues[:5].tolist(),
        "trace": float(np.trace(dense)),
        "frobenius_square": float((dense**2).sum()),
    }
    json.dump(golden, sys.stdout, indent=1)
    print()


main()
