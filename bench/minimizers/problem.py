"""A problem of `fosi solve`, from the program that serves it (fosi-lab's example `function_server`)."""

import json
import struct
import subprocess

import numpy as np

FLOAT = np.dtype("<f8")


class Problem:
    """f with its gradient and its exact Hessian-vector products, and what is known about its minimum."""

    def __init__(self, server, name):
        self._server = subprocess.Popen([server, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self._server.stdout.readline()
        if not line:
            raise SystemExit(self._server.wait())
        description = json.loads(line)
        self.name = description["name"]
        self.n = description["n"]
        self.minima = description["minima"]
        self.tolerance = description["tolerance"]

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def start(self, seed):
        return self._ask(b"s", struct.pack("<Q", seed), count=self.n)

    def value_and_gradient(self, x):
        answer = self._ask(b"g", self._bytes(x), count=self.n + 1)
        return float(answer[0]), answer[1:]

    def product(self, x, v):
        return self._ask(b"h", self._bytes(x), self._bytes(v), count=self.n)

    def relative_error(self, x):
        """Of the solution; NaN where no exact one is known."""
        return float(self._ask(b"e", self._bytes(x), count=1)[0])

    def solved(self, start_value, value):
        """Whether f - f* <= tolerance (f0 - f*) for a known minimum f*: the rule of `Problem::solved`."""
        for i, minimum in enumerate(self.minima):
            allowed = self.tolerance * (start_value - minimum)
            # Below a minimum that isn't the lowest, the way goes on to a lower one.
            if value - minimum <= allowed and (i == 0 or minimum - value <= allowed):
                return True
        return False

    def _bytes(self, vector):
        vector = np.ascontiguousarray(vector, dtype=FLOAT)
        if vector.shape != (self.n,):
            raise ValueError(f"{self.name} takes {self.n} numbers; given: an array of shape {vector.shape}")
        return vector.tobytes()

    def _ask(self, request, *arguments, count):
        self._server.stdin.write(b"".join([request, *arguments]))
        self._server.stdin.flush()
        answer = self._server.stdout.read(count * FLOAT.itemsize)
        if len(answer) < count * FLOAT.itemsize:
            raise ConnectionError(f"the server of {self.name} ended")
        return np.frombuffer(answer, dtype=FLOAT).copy()
