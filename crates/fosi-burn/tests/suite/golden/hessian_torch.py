"""Writes hessian_torch.json: what curvlinops says of the network in hessian.json.

    apt install python3-torch                 # 1.13, for the CPU
    python3 -m venv --system-site-packages venv
    venv/bin/pip install --no-deps curvlinops-for-pytorch==1.1.0 \
        backpack-for-pytorch==1.7.1 einops unfoldNd tqdm scipy==1.10.1
    venv/bin/python hessian_torch.py hessian.json > hessian_torch.json

The operator is curvlinops.HessianLinearOperator: torch's backward pass through its backward pass, in f64, handed out in
f32.

The file holds the operator's products with the vectors of entries cos(i) and 1/(1 + i), i from 0, and its five largest
and five smallest eigenvalues by scipy's eigsh, from the ends. Vectors are in hessian.json's order.
"""

import json
import sys

import curvlinops
import numpy as np
import torch
from scipy.sparse.linalg import eigsh

torch.set_default_dtype(torch.float64)


def without_materialize_grads(grad):
    """torch 1.13 lacks this argument of backpack's, which matters only where a loss ignores a parameter."""
    return lambda *inputs, materialize_grads=True, **options: grad(*inputs, **options)


torch.autograd.grad = without_materialize_grads(torch.autograd.grad)


def network(golden):
    """The perceptron, and the permutation that takes hessian.json's order of parameters to torch's."""
    widths, flat = golden["widths"], np.array(golden["parameters"])
    layers, order, at = [], [], 0
    for inputs, outputs in zip(widths, widths[1:]):
        weight = np.arange(at, at + inputs * outputs).reshape(inputs, outputs).T
        at += inputs * outputs
        bias = np.arange(at, at + outputs)
        at += outputs
        layer = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(flat[weight]))
            layer.bias.copy_(torch.tensor(flat[bias]))
        layers += [layer, torch.nn.Tanh()]
        order += [weight.ravel(), bias]
    return torch.nn.Sequential(*layers[:-1]), np.concatenate(order)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        golden = json.load(file)
    model, order = network(golden)
    x = torch.tensor(golden["x"]).reshape(-1, golden["widths"][0])
    labels = torch.tensor([int(label) for label in golden["labels"]])
    parameters = list(model.parameters())
    operator = curvlinops.HessianLinearOperator(
        model, torch.nn.CrossEntropyLoss(), parameters, [(x, labels)], check_deterministic=False
    )
    n = operator.shape[0]

    def product(vector):
        result = np.empty(n)
        result[order] = operator @ vector[order]
        return result

    i = np.arange(n)
    largest = np.sort(eigsh(operator, k=5, which="LA", tol=1e-12)[0])[::-1]
    smallest = np.sort(eigsh(operator, k=5, which="SA", tol=1e-12)[0])
    json.dump(
        {
            "cosine": product(np.cos(i)).tolist(),
            "harmonic": product(1.0 / (1.0 + i)).tolist(),
            "largest": largest.tolist(),
            "smallest": smallest.tolist(),
        },
        sys.stdout,
        indent=1,
    )
    print()


main()
