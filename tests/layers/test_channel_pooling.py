"""Pooling along an axis, against windows taken one by one, on both backends."""

import numpy as np
import pytest

from mocha import ChannelPoolingLayer, Pooling, ShapeError, SquareLossLayer

X = np.random.default_rng(0).permutation(2 * 9 * 4 * 3).reshape(2, 9, 4, 3) / 10 - 10


def pooled(x, dim, kernel, stride, pad, mean):
    """By the definition: cut windows, reduce."""
    x = np.moveaxis(x, dim, 0)
    extent, (front, back) = len(x), pad
    count = -(-(extent + front + back - kernel) // stride) + 1
    if (count - 1) * stride >= extent + front:
        count -= 1
    rows = []
    for i in range(count):
        begin = i * stride - front
        window = x[max(begin, 0) : begin + kernel]
        rows.append(window.sum(axis=0) / kernel if mean else window.max(axis=0))
    return np.moveaxis(np.array(rows), 0, dim)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize(
    ("dim", "kernel", "stride", "pad"),
    [(1, 3, 3, (0, 0)), (1, 3, 1, (1, 1)), (1, 4, 3, (0, 0)), (1, 2, 4, (0, 1)), (1, 4, 3, (2, 3)), (2, 2, 2, (1, 0)),
     (3, 2, 2, (0, 1)), (1, 9, 1, (0, 0)), (1, 1, 1, (0, 0))],
)  # fmt: skip
def test_values(net_of, dim, kernel, stride, pad, mean):
    layer = ChannelPoolingLayer(
        kernel=kernel, stride=stride, pad=pad, channel_dim=dim,
        pooling=Pooling.Mean() if mean else Pooling.Max(), bottoms=["x", "z"], tops=["y", "w"],
    )  # fmt: skip
    net = net_of({"x": X, "z": X[:, :, :, 1:]}, layer)
    net.forward()
    for bottom, top in (("x", "y"), ("z", "w")):
        expected = pooled(net.blobs[bottom], dim, kernel, stride, pad, mean)
        np.testing.assert_allclose(net.blobs[top], expected, rtol=1e-12, atol=1e-12)


def test_a_matrix_and_its_gradient(net_of):
    x = np.array([[1.0, 5, 5, 2], [9, 0, 1, 8]])
    net = net_of(
        {"x": x, "zero": np.zeros((2, 3))},
        ChannelPoolingLayer(kernel=2, bottoms=["x"], tops=["y"]),
        SquareLossLayer(bottoms=["y", "zero"]),
        force_backward=True,
    )
    net.forward_backward()
    np.testing.assert_array_equal(net.blobs["y"], [[5, 5, 5], [9, 1, 8]])
    np.testing.assert_array_equal(net.gradients["x"], [[0, 5, 2.5, 0], [4.5, 0, 0.5, 4]])  # ties to the first


def test_windows_that_do_not_fit(net_of):
    with pytest.raises(ShapeError, match=r"layer 'wide': MaxPoolingAlong: a window of 5 .* on an axis of 4"):
        net_of({"x": X}, ChannelPoolingLayer(name="wide", kernel=5, channel_dim=2, bottoms=["x"], tops=["y"]))
    with pytest.raises(ShapeError, match="axis 4 does not exist"):
        net_of({"x": X}, ChannelPoolingLayer(channel_dim=4, bottoms=["x"], tops=["y"]))
