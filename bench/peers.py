"""Ours against Python's, alternating: each round runs every contestant once, and medians over the rounds count.

    bench/peers [n]

The times are also left for bench/summary, in peers.json in the target folder.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import scipy.sparse.linalg as sparse

program = sys.argv[1]
n = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
rounds, steps = 5, 20


def median_time(action):
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ours(what):
    answer = subprocess.run([program, what, str(n)], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)["seconds"]


diagonal = 1.0 / np.arange(1, n + 1, dtype=np.float32)


def eigsh():
    products = 0.0

    def product(v):
        nonlocal products
        begun = time.perf_counter()
        result = diagonal * v.ravel()
        products += time.perf_counter() - begun
        return result

    operator = sparse.LinearOperator((n, n), matvec=product, dtype=np.float32)
    start = np.cos(np.arange(n, dtype=np.float32))
    begun = time.perf_counter()
    try:
        # One pass: what has not converged after ncv products is left.
        sparse.eigsh(operator, k=10, ncv=40, which="LA", maxiter=1, v0=start, tol=0)
    except sparse.ArpackNoConvergence:
        pass
    return time.perf_counter() - begun - products


def torch_step(make):
    import torch

    x = torch.nn.Parameter(torch.sin(0.37 * torch.arange(n)))
    x.grad = torch.sin(0.37 * torch.arange(n))
    optimizer = make(torch.optim, [x])
    return median_time(optimizer.step)


def optax_step(make):
    import jax
    import optax

    optimizer = make(optax)
    x = jax.numpy.sin(0.37 * jax.numpy.arange(n))
    g = x + 0.0
    state = [optimizer.init(x), x]

    def update(g, state, x):
        change, state = optimizer.update(g, state, x)
        return optax.apply_updates(x, change), state

    compiled = jax.jit(update, donate_argnums=(1, 2))

    def step():
        state[1], state[0] = compiled(g, state[0], state[1])
        state[1].block_until_ready()

    return median_time(step)


# Ours, and each peer with the ratio that is wanted.
contests = {
    # Without the products' time, on both sides.
    "estimation, k = 10, m = 40": (lambda: ours("estimation"), [("scipy eigsh", 0.2, eigsh)]),
    "the same again, in the first one's memory": (lambda: ours("estimation-again"), [("scipy eigsh", 0.2, eigsh)]),
    "Heavy-Ball step": (
        lambda: ours("hb"),
        [
            ("torch SGD", 1, lambda: torch_step(lambda t, p: t.SGD(p, lr=1e-3, momentum=0.9))),
            ("optax sgd", 1, lambda: optax_step(lambda o: o.sgd(1e-3, momentum=0.9))),
        ],
    ),
    "Adam step": (
        lambda: ours("adam"),
        [
            ("torch Adam", 1, lambda: torch_step(lambda t, p: t.Adam(p, lr=1e-3))),
            ("torch Adam, fused", 1, lambda: torch_step(lambda t, p: t.Adam(p, lr=1e-3, fused=True))),
            ("optax adam", 1, lambda: optax_step(lambda o: o.adam(1e-3))),
        ],
    ),
}

print(f"n = {n}, medians of {rounds} rounds\n")
print("| what | ours | peer | its time | ours / peer | target |")
print("|---|---:|---|---:|---:|---:|")
results = []
for what, (our, peers) in contests.items():
    times = {"ours": []} | {name: [] for name, _, _ in peers}
    for _ in range(rounds):
        times["ours"].append(our())
        for name, _, peer in peers:
            try:
                times[name].append(peer())
            except ImportError:
                pass
    mine = statistics.median(times["ours"])
    for name, wanted, _ in peers:
        if times[name]:
            theirs = statistics.median(times[name])
            target = f"≤ {wanted}"
            results.append({"what": f"{what}, n = {n:.0e}", "ours": mine, "peer": name, "time": theirs, "target": target})
            ratio = f"{mine / theirs:.2f}"
            print(f"| {what} | {mine * 1e3:.2f} ms | {name} | {theirs * 1e3:.2f} ms | {ratio} | {target} |")
        else:
            print(f"| {what} | {mine * 1e3:.2f} ms | {name} | not installed | | |")
folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).resolve().parent.parent / "target"))
(folder / "peers.json").write_text(json.dumps(results, indent=1))
