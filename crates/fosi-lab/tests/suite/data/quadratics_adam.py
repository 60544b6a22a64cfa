"""Makes quadratics-adam.csv (to standard output) from quadratics.json, with NumPy and SciPy alone.

    python quadratics_adam.py quadratics.json > quadratics-adam.csv

For each f_{b,zeta} of Figure 7: the medians of Adam's and FOSI-Adam's f after 200 steps over 101 random rotations, and
the signs, relative to the columns of the rotation with seed 1234, of the eigenvectors with which Adam's value in
quadratics.json is met to 1e-6. Those that eigh gives are tried first, then those with one to four of them changed.
What eigh gives depends on the LAPACK in use; with other signs the searches, and so the time, grow.
"""
import itertools
import json
import sys

import numpy as np
from scipy.stats import special_ortho_group

N, K, STEPS, DRAWS, RATE = 100, 10, 200, 101, 0.05
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
START = np.full(N, 0.5)
START[1] = 1.0


def hessian(b, zeta, rotation):
    """1e-3*b**i; the zeta/2 smallest and largest are turned by the rotation and come first."""
    values = [1e-3 * b**i for i in range(N)]
    half = zeta // 2
    values = values[:half] + values[N - half:] + values[half:N - half]
    matrix = np.diag(values)
    matrix[:zeta, :zeta] = rotation @ np.diag(values[:zeta]) @ rotation.T
    return matrix


def adam(h, x, basis=None, eigenvalues=None):
    """f at the end, for a stack of Hessians h and starts x; FOSI-Adam, uncorrected in the subspace, with a basis."""
    m, v, c = np.zeros_like(x), np.zeros_like(x), 0.0

    def times(matrix, vector):
        return np.matmul(matrix, vector[:, :, None])[:, :, 0]

    for t in range(1, STEPS + 1):
        g = times(h, x)
        if basis is not None:
            p = times(basis.transpose(0, 2, 1), g)
            c = BETA1 * c + (1 - BETA1) * p
            g = g - times(basis, p)
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g * g
        d = RATE * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)
        if basis is not None:
            d = d - times(basis, times(basis.transpose(0, 2, 1), d)) + times(basis, c / eigenvalues)
        x = x - d
    return 0.5 * np.sum(x * times(h, x), axis=1)


def medians(b, zeta, rotations):
    h = np.array([hessian(b, zeta, rotation) for rotation in rotations])
    w, q = np.linalg.eigh(h)
    x = q @ START
    return np.median(adam(h, x)), np.median(adam(h, x, q[:, :, -K:], w[:, -K:]))


def signs(b, zeta, rotation, expected):
    h = hessian(b, zeta, rotation)
    _, q = np.linalg.eigh(h)
    half = zeta // 2
    block = list(range(half)) + list(range(N - half, N))
    for count in range(5):
        changes = itertools.combinations(block, count)
        while chunk := list(itertools.islice(changes, 200)):
            sign = np.ones((len(chunk), N))
            for row, change in zip(sign, chunk):
                row[list(change)] = -1.0
            found = adam(np.broadcast_to(h, (len(chunk), N, N)), (sign * START) @ q.T)
            met = np.nonzero(abs(found / expected - 1) < 1e-6)[0]
            if len(met):
                q = q * sign[met[0]]
                return "".join("+" if q[:zeta, i] @ rotation[:, j] > 0 else "-" for j, i in enumerate(block)), count
    sys.exit(f"b={b} zeta={zeta}: no signs found")


def main(path):
    with open(path) as file:
        rows = json.load(file)["figure7"]
    print("b,zeta,signs,adam,fosi_adam")
    changed, drawn = 0, {}
    for row in sorted(rows, key=lambda row: (row["b"], row["zeta"])):
        b, zeta = row["b"], row["zeta"]
        if zeta not in drawn:
            draw = [np.random.RandomState(seed) for seed in [1234, *range(DRAWS)]]
            drawn[zeta] = [special_ortho_group.rvs(zeta, random_state=state) for state in draw]
        reference, *rotations = drawn[zeta]
        text, count = signs(b, zeta, reference, row["Adam"])
        changed += count > 0
        adam_median, fosi_median = medians(b, zeta, rotations)
        print(f"{b},{zeta},{text},{adam_median:.6e},{fosi_median:.6e}", flush=True)
    print(f"{changed} functions with changed signs", file=sys.stderr)


main(sys.argv[1])
