"""Minimisation without a learning rate, and spectra of Hessians.

================  =====================================================================
`minimize`        a minimiser, and a ``method`` of `scipy.optimize.minimize`
`fosi.jax`        the same for a function of a pytree of JAX arrays
`spectrum`        the extreme eigenpairs of a symmetric operator
`density`         the distribution of all eigenvalues of such an operator
================  =====================================================================
"""

import os

from fosi._density import SampleMean, SpectralDensity, density
from fosi._fosi import LanczosError, __version__, after_fork
from fosi._minimize import Estimation, FailedEstimation, minimize
from fosi._spectrum import Spectrum, spectrum

# Not every system can fork a process.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)

__all__ = [
    "Estimation",
    "FailedEstimation",
    "LanczosError",
    "SampleMean",
    "SpectralDensity",
    "Spectrum",
    "__version__",
    "density",
    "minimize",
    "spectrum",
]
