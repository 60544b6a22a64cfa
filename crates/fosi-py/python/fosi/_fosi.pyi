"""The native part. The functions of `fosi` check their arguments before they call it."""

from collections.abc import Callable
from typing import Any

import numpy as np

__version__: str

class LanczosError(RuntimeError): ...

def minimize(
    evaluate: Callable[[np.ndarray], Any],
    product: Callable[[np.ndarray, np.ndarray], Any] | None,
    start: np.ndarray,
    observe: Callable[[np.ndarray, float, int, int], bool] | None,
    settings: dict[str, Any],
) -> tuple[dict[str, Any] | None, BaseException | None]: ...
def spectrum(
    product: Callable[[np.ndarray], Any], dim: int, single: bool, settings: dict[str, Any]
) -> dict[str, Any]: ...
def after_fork() -> None: ...
def density(
    product: Callable[[np.ndarray], Any], dim: int, single: bool, settings: dict[str, Any]
) -> dict[str, Any]: ...
