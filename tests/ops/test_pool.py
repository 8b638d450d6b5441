import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Concat, MaxPooling, MeanPooling, Spec, WinnerPlaces
from mocha.ops.pool import EMPTY_MAX
from mocha.testing.cases.pool import CASES

VECTORS = Path(__file__).parents[1] / "vectors"
MAX = [case for case in CASES if isinstance(case.op, MaxPooling)]
MEAN = [case for case in CASES if isinstance(case.op, MeanPooling)]


def sizes(op, size):
    """The number of windows along each axis, one window after the other."""
    counts = []
    for n, k, s, p in zip(size, op.kernel, op.stride, op.pad, strict=True):
        exact = (n + 2 * p - k) / s
        count = (math.ceil(exact) if op.ceil else math.floor(exact)) + 1
        if any(op.pad) and (count - 1) * s >= n + p:
            count -= 1
        counts.append(count)
    return counts


def walk(op, x):
    """Each window: its place, and for each tap inside the image its number and cell."""
    rank = len(op.kernel)
    size = x.shape[-rank:]
    for lead in itertools.product(*map(range, x.shape[:-rank])):
        for place in itertools.product(*map(range, sizes(op, size))):
            inside = []
            for number, tap in enumerate(itertools.product(*map(range, op.kernel))):
                cell = tuple(i * s - p + t for i, s, p, t in zip(place, op.stride, op.pad, tap, strict=True))
                if all(0 <= c < n for c, n in zip(cell, size, strict=True)):
                    inside.append((number, lead + cell))
            yield lead + place, inside


@pytest.mark.parametrize("case", MAX, ids=str)
def test_max_against_loops(case):
    (x,) = case.arrays()
    y, winner = case.op.forward(x)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = np.zeros_like(x)
    windows = list(walk(case.op, x))
    assert len(windows) == y.size
    for place, inside in windows:
        if not inside:
            assert y[place] == EMPTY_MAX
            continue
        nans = [entry for entry in inside if math.isnan(x[entry[1]])]
        # max gives the first of equal ones
        number, cell = nans[-1] if nans else max(inside, key=lambda entry: x[entry[1]])
        np.testing.assert_equal(y[place], x[cell])
        assert winner[place] == number
        dx[cell] += dy[place]
    with np.errstate(all="ignore"):
        found = case.op.backward([dy], [Spec.of(x)], [Spec.of(y), winner], [True])
    np.testing.assert_allclose(found, dx, atol=1e-14)


@pytest.mark.parametrize("case", MEAN, ids=str)
def test_mean_against_loops(case):
    op, (x,) = case.op, case.arrays()
    rank = len(op.kernel)
    with np.errstate(all="ignore"):
        y = op.forward(x)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = np.zeros_like(x)
    for place, inside in walk(op, x):
        divisor = 1
        for i, k, s, p, n in zip(place[-rank:], op.kernel, op.stride, op.pad, x.shape[-rank:], strict=True):
            start = i * s - p
            divisor *= min(start + k, n + p) - start
        with np.errstate(all="ignore"):
            expected = sum(x[cell] for _, cell in inside) / divisor if inside else 0.0
        np.testing.assert_allclose(y[place], expected, rtol=1e-12)
        for _, cell in inside:
            dx[cell] += dy[place] / divisor
    np.testing.assert_allclose(op.backward([dy], [Spec.of(x)], [Spec.of(y)], [True]), dx, atol=1e-13)


def test_padding_counts_in_the_mean_but_not_what_hangs_over_it():
    x = np.ones((1, 1, 4, 4))
    y = MeanPooling((3, 3), (2, 2), (1, 1)).forward(x)
    # windows start at -1, 1, 3: 3, 3, and 2 cells of image and padding, of which 2, 3, 1 are image
    per_axis = np.array([2 / 3, 3 / 3, 1 / 2])
    np.testing.assert_allclose(y[0, 0], np.outer(per_axis, per_axis))


def test_padding_never_wins():
    y, winner = MaxPooling((3, 3), (2, 2), (1, 1)).forward(np.full((1, 1, 3, 3), -5.0))
    np.testing.assert_array_equal(y, np.full((1, 1, 2, 2), -5.0))
    np.testing.assert_array_equal(winner[0, 0], [[4, 3], [1, 0]])


def test_first_of_ties_gets_the_whole_gradient():
    op, x = MaxPooling((2, 2), (2, 2)), np.ones((1, 1, 2, 2))
    y, winner = op.forward(x)
    dx = op.backward([np.array([[[[3.0]]]])], [x], [y, winner], [True])
    np.testing.assert_array_equal(dx[0, 0], [[3, 0], [0, 0]])


def test_last_nan_wins():
    x = np.array([[[[1.0, math.nan], [math.nan, 2.0]]]])
    y, winner = MaxPooling((2, 2)).forward(x)
    assert math.isnan(y.item())
    assert winner.item() == 2


def test_windows_of_minus_infinity_have_a_winner_inside_the_image():
    x = np.full((1, 1, 2, 2), -math.inf)
    y, winner = MaxPooling((3, 3), (1, 1), (1, 1)).forward(x)
    assert (y == -math.inf).all()
    np.testing.assert_array_equal(winner[0, 0], [[4, 3], [1, 0]])


def test_empty_windows():
    x = np.arange(1.0, 6.0).reshape(1, 1, 5)
    y, winner = MaxPooling((1,), (3,), (0,)).forward(x)
    np.testing.assert_array_equal(y[0, 0], [1, 4, EMPTY_MAX])
    dx = MaxPooling((1,), (3,), (0,)).backward([np.ones((1, 1, 3))], [x], [y, winner], [True])
    np.testing.assert_array_equal(dx[0, 0], [1, 0, 0, 1, 0])
    op = MeanPooling((1,), (3,), (0,))
    np.testing.assert_array_equal(op.forward(x)[0, 0], [1, 4, 0])
    np.testing.assert_array_equal(op.backward([np.ones((1, 1, 3))], [x], [y], [True])[0, 0], [1, 0, 0, 1, 0])


@pytest.mark.parametrize(
    ("kernel", "winner"), [((16, 16), np.uint8), ((16, 17), np.int32)], ids=["256 taps", "272 taps"]
)
def test_winners_have_the_smallest_type_that_fits(kernel, winner):
    op, x = MaxPooling(kernel), np.arange(16.0 * 17).reshape(1, 1, 16, 17)
    _, won = op.forward(x)
    assert won.dtype == winner == op.infer(Spec.of(x))[1].dtype
    assert won.reshape(-1)[-1] == np.prod(kernel) - 1


def test_no_examples():
    x = np.zeros((0, 2, 4, 4))
    assert MaxPooling((2, 2), (2, 2)).forward(x)[0].shape == (0, 2, 2, 2)
    assert MeanPooling((2, 2), (2, 2)).forward(x).shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    ("op", "shape", "words"),
    [
        (MaxPooling((2, 2)), (4, 4), "2 axes; expected at least 3"),
        (MaxPooling((2, 2), pad=(2, 0)), (1, 1, 4, 4), "window of 2 with padding 2"),
        (MeanPooling((5, 5)), (1, 1, 4, 5), "window of 5 with padding 0 on an axis of 4"),
    ],
)
def test_shapes_that_do_not_fit(op, shape, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(Spec(shape, np.dtype(np.float32)))


def test_types_that_do_not_fit():
    for kind in (MaxPooling, MeanPooling):
        with pytest.raises(ShapeError, match="expected float32 or float64"):
            kind((2, 2)).infer(Spec((1, 1, 4, 4), np.dtype(np.uint8)))


def test_geometry_of_different_ranks_is_refused():
    with pytest.raises(ShapeError, match="one number an axis"):
        MaxPooling((2,), stride=(1, 1))


# -- the places of the winners


@pytest.mark.parametrize("case", MAX, ids=str)
def test_places_against_loops(case):
    (x,) = case.arrays()
    _, winner = case.op.forward(x)
    places = WinnerPlaces(case.op).forward(x, winner)
    rank = len(case.op.kernel)
    for place, inside in walk(case.op, x):
        cell = dict(inside)[winner[place]][-rank:] if inside else None
        assert places[place] == (np.ravel_multi_index(cell, x.shape[-rank:]) if inside else -1)


def test_places_by_hand():
    pooling, x = MaxPooling((2, 2), (2, 2)), np.arange(16.0).reshape(1, 1, 4, 4)
    places = WinnerPlaces(pooling).forward(x, pooling.forward(x)[1])
    np.testing.assert_array_equal(places[0, 0], [[5, 7], [13, 15]])
    assert places.dtype == x.dtype


def test_a_window_without_a_cell():
    pooling, x = MaxPooling((1, 1), (3, 3)), np.ones((1, 1, 5, 5), np.float32)
    y, winner = pooling.forward(x)
    low = np.float32(-3.4028235e38)
    np.testing.assert_array_equal(y[0, 0], [[1, 1, low], [1, 1, low], [low, low, low]])
    places = WinnerPlaces(pooling).forward(x, winner)
    np.testing.assert_array_equal(places[0, 0], [[0, 3, -1], [15, 18, -1], [-1, -1, -1]])


def test_winners_of_another_pooling_are_refused():
    x, winners = Spec((1, 1, 4, 4), np.dtype(np.float32)), Spec((1, 1, 3, 3), np.dtype(np.uint8))
    with pytest.raises(ShapeError, match="winners are 1x1x3x3 uint8; expected 1x1x2x2 uint8"):
        WinnerPlaces(MaxPooling((2, 2), (2, 2))).infer(x, winners)


# -- real Caffe

FROM_CAFFE = {
    "pool_max_mask": MaxPooling((2, 2), (2, 2)),
    "pool_max_global": MaxPooling((9, 7)),
    "pool_max_3x3s2": MaxPooling((3, 3), (2, 2)),
    "pool_max_rect_pad": MaxPooling((3, 2), (2, 1), (1, 1)),
    "pool_ave_2x2": MeanPooling((2, 2), (2, 2)),
    "pool_ave_floor": MeanPooling((3, 3), (2, 2), ceil=False),
    "pool_ave_pad": MeanPooling((3, 3), (2, 2), (1, 1)),
    "pool_ave_rect_pad": MeanPooling((3, 2), (2, 1), (1, 1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FROM_CAFFE)
def test_against_caffe(name, dtype):
    vector, op = np.load(VECTORS / f"{name}.npz"), FROM_CAFFE[name]
    x, dy = vector["bottom/x"].astype(dtype), vector["top_diff/y"].astype(dtype)
    y = op.forward(x)
    winners = y[1] if isinstance(y, tuple) else None
    outputs = [y] if winners is None else [y[0], winners]
    np.testing.assert_allclose(outputs[0], vector["top/y"], rtol=1e-6, atol=1e-7)
    dx = op.backward([dy], [x], outputs, [True])
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-6, atol=1e-6)
    if "top/mask" in vector:
        np.testing.assert_array_equal(WinnerPlaces(op).forward(x, winners), vector["top/mask"])


def test_the_mean_of_padded_windows_as_in_caffe():
    y = MeanPooling((3, 3), (2, 2), (1, 1)).forward(np.arange(49.0).reshape(1, 1, 7, 7))
    np.testing.assert_allclose(y[0, 0, 0], [1.7777778, 3.6666667, 5, 4])
    np.testing.assert_allclose(y[0, 0, 3], [17.333334, 27, 28.333334, 19.555555])


def test_a_spatial_pyramid_of_caffe_is_made_of_poolings():
    vector = np.load(VECTORS / "spp.npz")
    x, dy = vector["bottom/x"], vector["top_diff/y"]
    levels = []
    for bins in (1, 2, 4):
        kernel = tuple(-(-n // bins) for n in x.shape[2:])
        pad = tuple((k * bins - n + 1) // 2 for k, n in zip(kernel, x.shape[2:], strict=True))
        levels.append(MaxPooling(kernel, kernel, pad))
    outputs = [op.forward(x) for op in levels]
    y = Concat(1).forward(*(out.reshape(2, -1) for out, _ in outputs))
    np.testing.assert_array_equal(y, vector["top/y"])
    dx, first = np.zeros_like(x), 0
    for op, (out, winners) in zip(levels, outputs, strict=True):
        stop = first + out[0].size
        dx += op.backward([dy[:, first:stop].reshape(out.shape)], [x], [out, winners], [True])
        first = stop
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-6, atol=1e-6)
