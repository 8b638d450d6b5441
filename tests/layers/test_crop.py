"""Cropping and mirroring: windows by hand, what is drawn, and what a gradient gets, on both backends."""

import numpy as np
import pytest

from mocha import CropLayer, Predictor, ShapeError, SquareLossLayer
from mocha.random import stream_of, words

IMAGES = np.random.default_rng(0).standard_normal((40, 3, 7, 10))
RANDOM = {"random_crop": True, "random_mirror": True}


def windows(x, stream, size, *, seed, counter, per_image=True):
    """The random windows as they are defined: four words an image."""
    drawn = words(seed, stream, counter, 4 * len(x)).reshape(-1, 4)
    result = []
    for n, image in enumerate(x):
        top, left, mirror, _ = map(int, drawn[n if per_image else 0])
        top = top * (x.shape[2] - size[0] + 1) // 2**32
        left = left * (x.shape[3] - size[1] + 1) // 2**32
        window = image[:, top : top + size[0], left : left + size[1]]
        result.append(window[..., ::-1] if mirror >= 2**31 else window)
    return np.stack(result)


@pytest.mark.parametrize(
    ("size", "top", "left"), [((7, 10), 0, 0), ((4, 5), 1, 2), ((5, 4), 1, 3), (3, 2, 3), ((1, 1), 3, 4)]
)
def test_the_middle(net_of, size, top, left):
    height, width = (size, size) if isinstance(size, int) else size
    net = net_of({"x": IMAGES}, CropLayer(crop_size=size, bottoms=["x"], tops=["y"]))
    for phase in ("train", "test"):
        net.forward(phase=phase)
        np.testing.assert_array_equal(net.blobs["y"], IMAGES[:, :, top : top + height, left : left + width])


@pytest.mark.parametrize("per_image", [True, False])
def test_random_windows(net_of, per_image):
    layer = CropLayer(name="crop", crop_size=(4, 6), per_image=per_image, **RANDOM, bottoms=["x", "z"], tops=["y", "w"])
    net = net_of({"x": IMAGES, "z": IMAGES[:, :, :5, :]}, layer, seed=5)
    for counter in range(3):
        net.forward()
        for number, (bottom, top) in enumerate((("x", "y"), ("z", "w"))):
            stream = stream_of("crop", "crop", bottom, number)
            expected = windows(net.blobs[bottom], stream, (4, 6), seed=5, counter=counter, per_image=per_image)
            np.testing.assert_array_equal(net.blobs[top], expected)
    net.forward(phase="test")
    np.testing.assert_array_equal(net.blobs["y"], IMAGES[:, :, 1:5, 2:8])
    np.testing.assert_array_equal(Predictor(net, "w")(IMAGES[:2, :, :5]), IMAGES[:2, :, 0:4, 2:8])


def test_every_place_comes_and_half_are_mirrored(net_of):
    # a pixel tells its place; two beside each other tell the direction
    x = np.broadcast_to(np.arange(20.0).reshape(4, 5), (3000, 1, 4, 5))
    net = net_of({"x": x}, CropLayer(crop_size=(2, 2), **RANDOM, bottoms=["x"], tops=["y"]))
    net.forward()
    y = net.blobs["y"][:, 0]
    mirrored = y[:, 0, 0] > y[:, 0, 1]
    assert mirrored.mean() == pytest.approx(0.5, abs=0.04)
    places, counts = np.unique(y.min(axis=(1, 2)), return_counts=True)
    np.testing.assert_array_equal(places, [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13])
    assert abs(counts / 3000 - 1 / 12).max() < 0.02


@pytest.mark.parametrize(("what", "varies"), [("random_crop", "place"), ("random_mirror", "direction")])
def test_each_alone(net_of, what, varies):
    x = np.broadcast_to(np.arange(20.0).reshape(4, 5), (50, 1, 4, 5))
    net = net_of({"x": x}, CropLayer(crop_size=(2, 2), **{what: True}, bottoms=["x"], tops=["y"]))
    net.forward()
    y = net.blobs["y"][:, 0]
    assert (len(np.unique(y.min(axis=(1, 2)))) > 1) == (varies == "place")
    assert (len(np.unique(y[:, 0, 0] > y[:, 0, 1])) > 1) == (varies == "direction")


def test_a_gradient_goes_back_to_where_the_window_was(net_of):
    net = net_of(
        {"x": IMAGES, "label": np.zeros((40, 3, 4, 6))},
        CropLayer(crop_size=(4, 6), **RANDOM, bottoms=["x"], tops=["y"]),
        SquareLossLayer(bottoms=["y", "label"]),
        force_backward=True,
    )
    net.forward_backward()
    dx = net.gradients["x"]
    inside = dx != 0
    assert (inside.sum(axis=(1, 2, 3)) == 3 * 4 * 6).all()
    np.testing.assert_allclose(dx[inside], IMAGES[inside] / 40, rtol=1e-12)


def test_images_that_are_too_small(net_of):
    with pytest.raises(ShapeError, match=r"layer 'small': Crop: the input is 40x3x7x10 float64; .* at least 8x2"):
        net_of({"x": IMAGES}, CropLayer(name="small", crop_size=(8, 2), bottoms=["x"], tops=["y"]))
    with pytest.raises(ShapeError, match=r"expected images \(N, C, H, W\)"):
        net_of({"x": IMAGES[:, 0]}, CropLayer(crop_size=(2, 2), bottoms=["x"], tops=["y"]))
