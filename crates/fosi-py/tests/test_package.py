"""The package as it is installed."""

import importlib.metadata
import pathlib
import subprocess
import sys

import fosi


def test_versions_agree():
    found = subprocess.run([sys.executable, "-m", "fosi", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"fosi {fosi.__version__}\n"
    assert fosi.__version__ == importlib.metadata.version("fosi")


def test_importing_it_does_not_import_jax():
    code = "import sys, fosi; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_types_come_with_it():
    package = pathlib.Path(fosi.__file__).parent
    assert (package / "py.typed").exists() and (package / "_fosi.pyi").exists()


def test_everything_public_is_documented():
    for name in fosi.__all__:
        if name != "__version__":
            assert getattr(fosi, name).__doc__, name
