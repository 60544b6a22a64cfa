"""kfac-jax on the logistic regression of `fosi train lr`: the embedded digits in batches of 64.

    pip install kfac-jax==0.0.8 jax==0.7.0 numpy
    JAX_PLATFORMS=cpu python bench/kfac_digits.py [--epochs 20] [--batch 64] [--seeds 0 1 2]

Learning rate, momentum and damping are adaptive, as with `--kfac-rate adaptive --kfac-momentum adaptive`, and the initial
damping is 1. Prints, after each epoch, the loss over the training examples, the damping and the learning rate. The split of
the digits differs from the program's, so that only the course of the loss can be compared.
"""

import argparse
import gzip
import pathlib

import jax
import jax.numpy as jnp
import kfac_jax
import numpy as np

jax.config.update("jax_enable_x64", True)

DIGITS = pathlib.Path(__file__).parent.parent / "crates/fosi-lab/data/digits/digits.csv.gz"
TRAIN = 1437


def digits():
    with gzip.open(DIGITS, "rt", encoding="ascii") as file:
        data = np.loadtxt(file, delimiter=",")
    data = data[np.random.default_rng(0).permutation(len(data))][:TRAIN]
    return data[:, :-1] / 16, data[:, -1].astype(int)


def loss(parameters, batch):
    inputs, labels = batch
    outputs = inputs @ parameters["weight"] + parameters["bias"]
    kfac_jax.register_softmax_cross_entropy_loss(outputs, labels)
    log_probabilities = jax.nn.log_softmax(outputs)
    return -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None], 1))


def train(seed, epochs, size):
    inputs, labels = digits()
    whole = jax.jit(lambda parameters: loss(parameters, (inputs, labels)))
    random = np.random.default_rng(seed)
    parameters = {"weight": jnp.zeros((64, 10)), "bias": jnp.zeros(10)}
    optimizer = kfac_jax.Optimizer(
        jax.value_and_grad(loss), l2_reg=0.0, num_burnin_steps=0, estimation_mode="fisher_gradients",
        initial_damping=1.0, use_adaptive_damping=True, use_adaptive_learning_rate=True, use_adaptive_momentum=True)
    key, state = jax.random.PRNGKey(seed), None
    for epoch in range(1, epochs + 1):
        order = random.permutation(TRAIN)
        for start in range(0, TRAIN - size + 1, size):
            chosen = order[start : start + size]
            batch = (jnp.asarray(inputs[chosen]), jnp.asarray(labels[chosen]))
            if state is None:
                state = optimizer.init(parameters, key, batch)
            key, own = jax.random.split(key)
            parameters, state, told = optimizer.step(parameters, state, own, batch=batch)
        print(
            f"seed {seed}, epoch {epoch}: loss {float(whole(parameters)):.4g}, "
            f"damping {float(told['damping']):.2g}, learning rate {float(told['learning_rate']):.3g}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        train(seed, options.epochs, options.batch)


main()
