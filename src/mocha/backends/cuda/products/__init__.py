"""Convolutions and products of matrices: what is asked for, and who does it."""
