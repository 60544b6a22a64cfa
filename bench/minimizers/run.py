"""One solver's run: counts what it evaluates, and keeps it in the files that `fosi solve` reads."""

import json
import math
import os
import time
from dataclasses import dataclass

import numpy as np

FORMAT = 1
# A solver that asks so often in a row for points it has been told already doesn't move any more.
MOST_REPETITIONS = 1000


class Ended(Exception):
    """Raised inside a solver when its run is over."""

    def __init__(self, stopped, reason):
        super().__init__(reason)
        self.stopped = stopped
        self.reason = reason


@dataclass
class Point:
    x: np.ndarray
    value: float
    gradient: np.ndarray


class Run:
    """The function as a solver sees it, with its budget."""

    def __init__(self, problem, seed, budget):
        self.problem = problem
        self.seed = seed
        self.budget = budget
        self.start = problem.start(seed)
        self.gradients = 0
        self.products = 0
        # Cost, seconds and value of each evaluation that is lower than all before.
        self.curve = []
        self.best = None
        self.solved_at = None
        self._last = None
        self._repetitions = 0
        self._begun = time.perf_counter()

    @property
    def cost(self):
        return self.gradients + self.products

    @property
    def seconds(self):
        return time.perf_counter() - self._begun

    def evaluate(self, x):
        """f and its gradient at x. The last and the best point are remembered and cost nothing again."""
        for known in (self._last, self.best):
            if known is not None and np.array_equal(known.x, x):
                self._repeat()
                return known.value, known.gradient.copy()
        self._spend()
        self.gradients += 1
        value, gradient = self.problem.value_and_gradient(x)
        self._last = Point(np.array(x), value, gradient)
        if math.isfinite(value) and (self.best is None or value < self.best.value):
            self._improve(self._last)
        if self.best is None:
            raise ValueError(f"f = {value} at the start of {self.problem.name}, seed {self.seed}: it must be finite")
        return value, gradient.copy()

    def product(self, x, v):
        """The Hessian at x, times v."""
        self._spend()
        self.products += 1
        return self.problem.product(x, v)

    def _repeat(self):
        self._repetitions += 1
        if self._repetitions > MOST_REPETITIONS:
            raise Ended("converged", "asks for the same point again and again")

    def _spend(self):
        self._repetitions = 0
        if self.cost >= self.budget:
            raise Ended("budget", "the budget is used up")

    def _improve(self, point):
        self.best = point
        self.curve.append((self.cost, self.seconds, point.value))
        if self.problem.solved(self.curve[0][2], point.value):
            self.solved_at = self.cost
            raise Ended("solved", "the known minimum is reached")


def minimize(run, solver):
    """Gives the run to the solver. Returns how it stopped, and why."""
    try:
        with np.errstate(all="ignore"):
            return "converged", solver(run)
    except Ended as end:
        return end.stopped, end.reason
    except (ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError) as error:
        if run.best is None:
            raise
        return "failed", str(error)


class Files:
    """The two files of a run: its curve and its summary."""

    def __init__(self, output, problem, solver, seed):
        self._folder = output / problem.replace(":", "-")
        self._stem = f"{solver}-{seed}"
        self._curve = self._folder / f"{self._stem}.csv"
        self._summary = self._folder / f"{self._stem}.json"

    def hold(self, settings):
        """Whether they hold a complete run with these settings."""
        if not (self._summary.exists() and self._curve.exists()):
            return False
        try:
            kept = json.loads(self._summary.read_text())
        except ValueError as error:
            raise SystemExit(f"{self._summary} is damaged ({error}): delete it to make the run again") from None
        return kept["stopped"] != "interrupted" and all(kept.get(key) == value for key, value in settings.items())

    def write(self, run, settings, stopped, reason):
        """The summary last: a curve without one doesn't count."""
        seconds = run.seconds
        curve = run.curve.copy()
        if curve[-1][0] != run.cost:
            curve.append((run.cost, seconds, run.best.value))
        relative_error = run.problem.relative_error(run.best.x)
        summary = settings | {
            "n": run.problem.n,
            "value": run.best.value,
            "gradient_norm": float(np.linalg.norm(run.best.gradient)),
            "cost": run.cost,
            "gradients": run.gradients,
            "products": run.products,
            "estimations": 0,
            "solved_at": run.solved_at,
            "relative_error": relative_error if math.isfinite(relative_error) else None,
            "seconds": seconds,
            "stopped": stopped,
            "reason": reason,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._summary.unlink(missing_ok=True)
        rows = [f"{cost},{seconds:.6f},{value!r}\n" for cost, seconds, value in curve]
        self._replace(self._curve, "".join(["cost,seconds,value\n", *rows]))
        self._replace(self._summary, json.dumps(summary, indent=2, allow_nan=False) + "\n")
        return summary

    def _replace(self, path, text):
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text)
        os.replace(temporary, path)
