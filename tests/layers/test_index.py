"""Class numbers: the layers that find them and those that spread them, on both backends."""

import numpy as np
import pytest

from mocha import (
    ArgmaxLayer,
    FormatError,
    Index2OnehotLayer,
    PowerLayer,
    ShapeError,
    SoftmaxLayer,
    SquareLossLayer,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_argmax_gives_the_first_of_the_largest_from_zero(net_of, dtype):
    x = np.array([[0, 3, 3, 1], [5, 1, 5, 5], [-1, -2, -3, -0.5]], dtype)
    net = net_of({"x": x}, ArgmaxLayer(bottoms=["x"], tops=["y"]))
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], [[1], [0], [3]])
    assert net.blobs["y"].dtype == dtype


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_argmax_along_any_axis(net_of, dim):
    x, z = RNG.integers(0, 3, (4, 5, 6, 7)).astype(float), RNG.standard_normal((4, 8, 9, 2))
    net = net_of({"x": x, "z": z}, ArgmaxLayer(dim=dim, bottoms=["x", "z"], tops=["y", "w"]))
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], x.argmax(axis=dim, keepdims=True))
    np.testing.assert_array_equal(net.blobs["w"], z.argmax(axis=dim, keepdims=True))


def test_argmax_passes_no_gradient(net_of):
    x = RNG.standard_normal((4, 3))
    net = net_of(
        {"x": x, "label": np.zeros((4, 1))},
        PowerLayer(scale=2, bottoms=["x"], tops=["twice"]),
        ArgmaxLayer(bottoms=["twice"], tops=["y"]),
        SquareLossLayer(bottoms=["y", "label"]),
        force_backward=True,
    )
    net.forward_backward()
    assert "x" not in net.gradients
    assert "label" in net.gradients


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_onehot(net_of, shape):
    label = np.array([2, 0, 1, 2], np.float32).reshape(shape)
    net = net_of({"label": label}, Index2OnehotLayer(n_class=3, bottoms=["label"], tops=["y"]))
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], np.eye(3)[[2, 0, 1, 2]])


def test_onehot_of_images_and_back(net_of):
    label = RNG.integers(0, 5, (3, 1, 4, 2)).astype(np.float32)
    rows = RNG.integers(0, 5, (3, 4, 1)).astype(np.float32)
    net = net_of(
        {"label": label, "rows": rows},
        Index2OnehotLayer(n_class=5, bottoms=["label"], tops=["y"]),
        Index2OnehotLayer(n_class=5, dim=2, bottoms=["rows"], tops=["z"]),
        SoftmaxLayer(bottoms=["y"], tops=["p"]),
        ArgmaxLayer(bottoms=["p"], tops=["again"]),
    )
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], label == np.arange(5).reshape(1, 5, 1, 1))
    np.testing.assert_array_equal(net.blobs["z"], rows == np.arange(5))
    np.testing.assert_array_equal(net.blobs["again"], label)


@pytest.mark.parametrize("wrong", [3, -1, 0.5, 1e30, float("nan"), float("inf")])
def test_numbers_that_are_no_classes(net_of, wrong):
    label = np.array([0, 1, wrong, 2])
    net = net_of({"label": label}, Index2OnehotLayer(name="spread", n_class=3, bottoms=["label"], tops=["y"]))
    with pytest.raises(FormatError) as error:
        net.forward()
    text = str(error.value)
    assert text.startswith(f"layer 'spread': label 2 of the batch is {wrong}")
    assert "expected a whole number from 0 to 2" in text


def test_an_axis_that_is_more_than_one_long(net_of):
    with pytest.raises(ShapeError, match=r"layer 'index2onehot': OneHot: axis 1 of 4x2 float64 is 2 long; expected 1"):
        net_of({"x": np.zeros((4, 2))}, Index2OnehotLayer(n_class=3, bottoms=["x"], tops=["y"]))
