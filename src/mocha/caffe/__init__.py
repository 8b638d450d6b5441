"""Caffe's nets, weights and solvers: their files, and the Python interface that they were used through."""
