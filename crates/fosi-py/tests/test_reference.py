"""The same bits as from Rust.

`FOSI_REFERENCE` names the program: `cargo build -p fosi --example reference`.
"""

import json
import os
import subprocess

import fosi
import numpy as np
import pytest

from functions import pairs_start, rosenbrock_pairs, rosenbrock_pairs_product

PROGRAM = os.environ.get("FOSI_REFERENCE")
TYPES = {"f64": np.float64, "f32": np.float32}

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="FOSI_REFERENCE doesn't name the example `reference`")


def reference(*arguments):
    found = subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def bits(numbers):
    return [f"{word:016x}" for word in np.asarray(numbers, dtype=np.float64).view(np.uint64)]


@pytest.mark.parametrize("precision", TYPES)
@pytest.mark.parametrize("products", ["differences", "products"])
def test_a_minimisation_has_the_bits_of_rust(precision, products):
    expected = reference("minimize", precision, products)
    found = fosi.minimize(
        rosenbrock_pairs,
        pairs_start(500, TYPES[precision]),
        hessp=rosenbrock_pairs_product if products == "products" else None,
        gtol=1e-3,
        first_estimation=20,
    )
    assert found.x.dtype == TYPES[precision]
    assert bits(found.x) == expected["x"]
    assert bits([found.fun]) == expected["fun"]
    assert found.message == expected["status"]
    assert (found.nit, found.cost) == (expected["steps"], expected["cost"])
    assert len(expected["eigenvalues"]) >= 1
    assert [bits(estimation.eigenvalues) for estimation in found.estimations] == expected["eigenvalues"]


@pytest.mark.parametrize("precision", TYPES)
def test_a_spectrum_has_the_bits_of_rust(precision):
    dtype = TYPES[precision]
    expected = reference("spectrum", precision)
    numbers = np.arange(1, 501, dtype=dtype)
    found = fosi.spectrum(lambda v: v / numbers, 500, 4, smallest=2, seed=7, dtype=dtype)
    assert found.eigenvectors.dtype == dtype
    assert bits(found.eigenvalues) == expected["eigenvalues"]
    assert bits(found.residuals) == expected["residuals"]
    assert [bits(vector) for vector in found.eigenvectors.T] == expected["eigenvectors"]
    assert found.products == expected["products"]


@pytest.mark.parametrize("precision", TYPES)
def test_a_density_has_the_bits_of_rust(precision):
    dtype = TYPES[precision]
    expected = reference("density", precision)["probes"]
    numbers = np.arange(1, 501, dtype=dtype)
    found = fosi.density(lambda v: v / numbers, 500, probes=3, lanczos_steps=20, seed=7, dtype=dtype)
    assert [bits(nodes) for nodes in found.nodes] == [probe["nodes"] for probe in expected]
    assert [bits(weights) for weights in found.weights] == [probe["weights"] for probe in expected]
