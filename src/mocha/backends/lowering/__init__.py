"""Nodes as calls of kernels, one family a file, the files named as those of `mocha.ops` and of the kernels.

Each has two tables, op -> function that makes its calls: FORWARD for the op itself, BACKWARD for its gradient.
"""
