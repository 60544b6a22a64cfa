"""Writes hessian.json: what another implementation says of a small network's Hessian.

    pip install torch==TORCH curvlinops-for-pytorch==CURVLINOPS
    python hessian.py > hessian.json

The network is a perceptron of widths 4, 6, 5, 3 with tanh, on 30 examples of 3 classes with mean cross-entropy, in f64.
Weights and data are numbers of a linear congruential generator, cut to f32 so that any program can hold them. The
eigenvalues are those that scipy's eigsh finds through curvlinops' products (exact, by double backward passes); trace and
squared Frobenius norm are taken from curvlinops' products with all unit vectors.

The file holds the widths, the data row by row, the labels, and the parameters in the order weight (inputs by outputs,
row by row), bias, layer by layer; the five largest eigenvalues and the five smallest, from the ends; both numbers.
"""

import json
import struct
import sys

import numpy as np
import torch
from curvlinops import HessianLinearOperator
from scipy.sparse.linalg import eigsh

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

    def draw(*shape):
        count = int(np.prod(shape))
        return torch.tensor([next(source) for _ in range(count)], dtype=torch.float64).reshape(shape)

    x = 2.0 * draw(SAMPLES, WIDTHS[0])
    labels = torch.tensor([int(1.5 * (next(source) + 1.0)) for _ in range(SAMPLES)])
    layers, flat = [], []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        layer = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
        weight, bias = draw(inputs, outputs), 0.5 * draw(outputs)
        with torch.no_grad():
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
        flat += weight.flatten().tolist() + bias.tolist()
        layers += [layer, torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1])

    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = torch.nn.CrossEntropyLoss(reduction="mean")
    hessian = HessianLinearOperator(model, loss, parameters, [(x, labels)])
    operator = hessian.to_scipy()
    n = operator.shape[0]
    dense = operator @ np.eye(n)
    assert np.abs(dense - dense.T).max() < 1e-12
    largest = sorted(eigsh(operator, k=5, which="LA", tol=1e-12)[0], reverse=True)
    smallest = sorted(eigsh(operator, k=5, which="SA", tol=1e-12)[0])
    golden = {
        "widths": WIDTHS,
        "x": x.flatten().tolist(),
        "labels": labels.tolist(),
        "parameters": flat,
        "largest": largest,
        "smallest": smallest,
        "trace": float(np.trace(dense)),
        "frobenius_square": float((dense**2).sum()),
    }
    json.dump(golden, sys.stdout, indent=1)
    print()


main()
