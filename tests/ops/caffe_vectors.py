"""Runs what Caffe computed for a layer through a composition of ops: on the reference, and natively where it works."""

from pathlib import Path

import numpy as np

from mocha import backends
from mocha.backends import NumpyBackend
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import Multiply, ReduceSum, Spec

VECTORS = Path(__file__).parents[1] / "vectors"


def available_backends():
    """The reference, and the native backend if it was built."""
    yield NumpyBackend
    try:
        import mocha._native  # noqa: F401
    except ImportError:
        return
    yield backends.NativeBackend


def _numbered(vector, kind):
    return {key.partition("/")[2]: vector[key].astype(np.float32) for key in vector.files if key.startswith(f"{kind}/")}


def check_against_caffe(name, compose, *, rtol=1e-5, atol=2e-6, behind_scale=False):
    """Hold tops and gradients against a vector.

    Args:
        name: the vector's file, without its ending.
        compose: takes the graph, the values of the bottoms and then those of the parameters; returns the tops, in the
            order of their names in the file.
        rtol: relative to each number.
        atol: beside it.
        behind_scale: a Scale of ones stands between the bottoms and the layer. Nobody asked for the gradient of what is
            before it, where it leaves what it works with instead: the gradient times the bottom.
    """
    with np.load(VECTORS / f"{name}.npz") as vector:
        bottoms, parameters = _numbered(vector, "bottom"), _numbered(vector, "param")
        tops, top_diffs = _numbered(vector, "top"), _numbered(vector, "top_diff")
        expected = {f"bottom {k}": v for k, v in _numbered(vector, "bottom_diff").items()}
        expected |= {f"param {k}": v for k, v in _numbered(vector, "param_diff").items()}
    feeds = {f"bottom {k}": v for k, v in bottoms.items()} | {f"param {k}": v for k, v in parameters.items()}
    weights = {f"weight {k}": v for k, v in top_diffs.items()}
    for kind in available_backends():
        with kind() as backend:
            g = Graph()
            sources = {k: g.input(k, Spec.of(v)) for k, v in feeds.items()}
            made = compose(g, *sources.values())
            g.blobs.update(zip(tops, made if isinstance(made, (tuple, list)) else [made], strict=True))
            objective = {}
            for k, v in weights.items():
                weighted = g(Multiply(), g.blobs[k.removeprefix("weight ")], g.input(k, Spec.of(v)))
                objective[g(ReduceSum(), weighted)] = 1.0
            found = derive_gradients(g, objective, [sources[k] for k in expected]) if objective else {}
            gradients = {k: found[sources[k]] for k in expected if sources[k] in found}
            program = build_program("caffe", g, gradients, keep=None, channels_last=backend.channels_last)
            executable = backend.compile(program)
            executable.run(Section.FORWARD, *([Section.BACKWARD] if gradients else []), feeds=feeds | weights)
            told = f"{name} on {backend.name}"
            for blob, value in tops.items():
                np.testing.assert_allclose(executable.blob(blob), value, rtol, atol, err_msg=f"{told}: {blob}")
            for source, value in expected.items():
                if source in gradients:
                    given = executable.gradient(source) * (feeds[source] if behind_scale else 1)
                    np.testing.assert_allclose(given, value, rtol, atol, err_msg=f"{told}: gradient of {source}")
                else:
                    assert not value.any(), f"{told}: no gradient of {source}"
