"""Every layer against what a real Caffe computed, on each backend: tops, gradients of bottoms and parameters."""

from pathlib import Path

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha import Backend

VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.npz"))

TOLERANCE = 5e-6
"""Of the largest number of an array: float32 rounding and some more."""


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


def grouped(vector, kind):
    return {key.partition("/")[2]: vector[key] for key in vector.files if key.startswith(f"{kind}/")}


def check(found, expected, what):
    assert found.shape == expected.shape, what
    scale = max(float(np.max(np.abs(expected), initial=0)), 1e-6)
    error = float(np.max(np.abs(found.astype(np.float64) - expected), initial=0)) / scale
    assert error <= TOLERANCE, f"{what}: {error:.1e}"


@pytest.mark.parametrize("name", NAMES)
def test_layer(name, backend):
    with np.load(VECTORS / f"{name}.npz") as vector:
        text, phase = str(vector["prototxt"]), str(vector["phase"])
        kinds = ("bottom", "param", "top", "top_diff", "bottom_diff", "param_diff", "param_after")
        bottoms, params, tops, top_diffs, bottom_diffs, param_diffs, after = (grouped(vector, kind) for kind in kinds)
    net = caffe.Net(caffe.parse_net(text, name), caffe.TRAIN if phase == "TRAIN" else caffe.TEST, backend=backend)
    for blob, values in bottoms.items():
        net.blobs[blob].data[...] = values
    for i, values in params.items():
        net.params[name][int(i)].data[...] = values
    net.forward()
    for blob, values in tops.items():
        check(net.blobs[blob].data, values, blob)
    for i, values in after.items():
        check(net.params[name][int(i)].data, values, f"parameter {i} afterwards")
    for blob, values in top_diffs.items():
        net.blobs[blob].diff[...] = values
    net.backward()
    for blob, values in bottom_diffs.items():
        # behind a layer `pre` Caffe leaves the gradient times the bottom, see the vectors' README
        gradient = net.blobs["xs"].diff * net.blobs["x"].data if blob == "x" and "xs" in net.blobs else None
        check(net.blobs[blob].diff if gradient is None else gradient, values, f"gradient of {blob}")
    for i, values in param_diffs.items():
        check(net.params[name][int(i)].diff, values, f"gradient of parameter {i}")


def test_there_are_all_of_them():
    assert len(NAMES) == 83
