"""Functions with a known minimum, and the environment of the tests."""

import os

# Of JAX before it is imported.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
