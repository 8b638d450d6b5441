"""Values of the layers that compute, against plain NumPy, on both backends: powers, splits, masks."""

import numpy as np
import pytest

from mocha import (
    DropoutLayer,
    IdentityLayer,
    PowerLayer,
    RandomMaskLayer,
    SplitLayer,
    SquareLossLayer,
)

X = np.random.default_rng(0).standard_normal((4, 3, 5))


@pytest.mark.parametrize(
    ("power", "scale", "shift"), [(1, 1, 0), (1, -2, 0.5), (2, 0.3, 1), (3, 1, 0), (0, 2, 1), (-1.5, 0.1, 4)]
)
def test_power(net_of, power, scale, shift):
    net = net_of(
        {"x": X, "z": X[:, 0]}, PowerLayer(power=power, scale=scale, shift=shift, bottoms=["x", "z"], tops=["y", "w"])
    )
    net.forward()
    for bottom, top in (("x", "y"), ("z", "w")):
        np.testing.assert_allclose(net.blobs[top], (scale * net.blobs[bottom] + shift) ** power, rtol=1e-12)


@pytest.mark.parametrize(
    ("power", "scale", "shift", "slope"),
    [(3, 1, 0, 0), (1, 4, -4, 4), (2, 2, -2, 0), (1.5, 2, -2, 0), (0, 2, -2, 0), (5, 0, 0, 0), (0.5, 1, -1, np.inf)],
)
def test_power_where_its_base_is_zero(net_of, power, scale, shift, slope):
    """Mocha.jl's CPU gives NaN for the finite ones of these."""
    x = np.ones((2, 3)) if shift else np.zeros((2, 3))
    zero = np.full((2, 3), -2.0 if power == 0 else -1.0)  # so that the gradient of the loss is not 0
    net = net_of(
        {"x": x, "label": zero},
        PowerLayer(power=power, scale=scale, shift=shift, bottoms=["x"], tops=["y"]),
        SquareLossLayer(bottoms=["y", "label"]),
        force_backward=True,
    )
    net.forward_backward()
    np.testing.assert_array_equal(net.gradients["x"], slope * net.gradients["y"] if slope else 0 * x)


@pytest.mark.parametrize("no_copy", [False, True])
@pytest.mark.parametrize("masked", [0, 1, 2])
def test_a_split_shields_its_tops_from_each_other(net_of, no_copy, masked):
    tops = ["a", "b", "c"]
    net = net_of(
        {"x": X, "zero": 0 * X},
        PowerLayer(scale=2, bottoms=["x"], tops=["y"]),
        SplitLayer(no_copy=no_copy, bottoms=["y"], tops=tops),
        RandomMaskLayer(bottoms=[tops[masked]]),
        *(SquareLossLayer(name=top, bottoms=[top, "zero"]) for top in tops),
        force_backward=True,
    )
    net.forward_backward()
    mask = net.blobs[tops[masked]] != 0
    assert 0 < mask.sum() < mask.size
    for top in ("y", *tops):
        np.testing.assert_array_equal(net.blobs[top], 2 * X * (mask if top == tops[masked] else 1))
    np.testing.assert_allclose(net.gradients["y"], 2 * X * (2 + mask) / len(X), rtol=1e-12)
    np.testing.assert_allclose(net.gradients["x"], 4 * X * (2 + mask) / len(X), rtol=1e-12)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.9])
def test_random_masks(net_of, ratio):
    ones = np.ones((40, 50), np.float32)
    net = net_of(
        {"x": ones, "y": 3 * ones},
        IdentityLayer(bottoms=["x", "y"], tops=["a", "b"]),
        RandomMaskLayer(ratio=ratio, bottoms=["a", "b"]),
    )
    net.forward()
    a, b = net.blobs["a"], net.blobs["b"] / 3
    for mask in (a, b):
        np.testing.assert_array_equal(np.unique(mask), [0, 1])  # not scaled
        assert np.mean(mask == 0) == pytest.approx(ratio, abs=0.05)
    assert np.any(a != b)
    net.forward()
    assert np.any(net.blobs["a"] != a)
    np.testing.assert_array_equal(net.blobs["x"], ones)
    net.forward(phase="test")
    np.testing.assert_array_equal(net.blobs["a"], ones)
    np.testing.assert_array_equal(net.blobs["b"], 3 * ones)


def test_the_mask_of_a_blob_does_not_depend_on_the_other_blobs(net_of):
    def masked(*bottoms):
        net = net_of({"x": X, "z": X}, RandomMaskLayer(bottoms=bottoms), seed=3)
        net.forward()
        return net.blobs["x"]

    np.testing.assert_array_equal(masked("x"), masked("z", "x"))


def test_gradients_pass_a_mask(net_of):
    net = net_of(
        {"x": X, "zero": 0 * X},
        IdentityLayer(bottoms=["x"], tops=["y"]),
        RandomMaskLayer(ratio=0.3, bottoms=["y"]),
        DropoutLayer(ratio=0.2, bottoms=["y"]),
        SquareLossLayer(bottoms=["y", "zero"]),
        force_backward=True,
    )
    net.forward_backward()
    kept = net.blobs["y"] != 0
    np.testing.assert_allclose(net.gradients["x"], kept * X / 0.8**2 / len(X), rtol=1e-12)
