"""Python's solvers on the problems of `fosi solve`, for minimize.py."""
