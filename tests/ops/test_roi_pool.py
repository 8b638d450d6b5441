import math

import numpy as np
import pytest

from mocha.errors import FormatError, MochaError, ShapeError
from mocha.ops import RoiPooling, Spec
from mocha.testing.cases.roi_pool import CASES

F32 = np.dtype(np.float32)


def half_away(value):
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def bins(low, high, scale, count, size):
    """Each bin along an axis as a range."""
    first, last = half_away(low * scale), half_away(high * scale)
    length = max(last - first + 1, 1)
    for i in range(count):
        begin, end = math.floor(i * (length / count)), math.ceil((i + 1) * (length / count))
        yield range(min(max(first + begin, 0), size), min(max(first + end, 0), size))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_loops(case):
    op, (x, regions) = case.op, case.arrays()
    y, winners = op.forward(x, regions)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = np.zeros_like(x)
    for r, (image, x1, y1, x2, y2) in enumerate(regions):
        for i, rows in enumerate(bins(y1, y2, op.spatial_scale, op.pooled_h, x.shape[2])):
            for j, columns in enumerate(bins(x1, x2, op.spatial_scale, op.pooled_w, x.shape[3])):
                cells = [(h, w) for h in rows for w in columns]
                for c in range(x.shape[1]):
                    plane = x[int(image), c]
                    if not cells:
                        assert (y[r, c, i, j], winners[r, c, i, j]) == (0, -1)
                        continue
                    nans = [cell for cell in cells if math.isnan(plane[cell])]
                    best = nans[0] if nans else max(cells, key=lambda cell: plane[cell])
                    np.testing.assert_equal(y[r, c, i, j], plane[best])
                    assert winners[r, c, i, j] == best[0] * x.shape[3] + best[1]
                    dx[(int(image), c, *best)] += dy[r, c, i, j]
    found, none = op.backward([dy], [Spec.of(x), regions], [Spec.of(y), winners], [True, False])
    np.testing.assert_allclose(found, dx, atol=1e-12)
    assert none is None


def test_by_hand():
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    y, winners = RoiPooling(2, 2, 0.5).forward(x, np.array([[0.0, 2, 4, 7, 9]]))
    # columns 1 to 4, rows 2 to 5: halves are rounded up
    np.testing.assert_array_equal(y[0, 0], [[20, 22], [32, 34]])
    np.testing.assert_array_equal(winners[0, 0], [[20, 22], [32, 34]])


@pytest.mark.parametrize("kind", ["numpy", "native"])
@pytest.mark.parametrize(
    ("region", "words"),
    [
        ([2, 0, 0, 1, 1], "region 1 is in image 2; expected a whole number from 0 to 1"),
        ([-1, 0, 0, 1, 1], "in image -1"),
        ([0.5, 0, 0, 1, 1], "in image 0.5"),
        ([math.nan, 0, 0, 1, 1], "in image nan"),
        ([0, 0, math.inf, 1, 1], "region 1 is .* expected finite coordinates"),
        ([0, 0, 0, math.nan, 1], "expected finite coordinates"),
        ([0, 0, 0, 3e30, 1], "none beyond 2.30 cells"),
    ],
)
def test_regions_that_are_none(kind, region, words):
    from mocha.backends import Backend
    from mocha.graph import Graph, Section, build_program

    if kind == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    g = Graph()
    x, regions = g.input("x", Spec((2, 1, 4, 4), F32)), g.input("regions", Spec((2, 5), F32))
    g.blobs["y"] = g(RoiPooling(2, 2), x, regions)
    given = np.array([[0, 0, 0, 1, 1], region], np.float32)
    with Backend(kind) as backend:
        executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
        with pytest.raises(MochaError, match=words):
            executable.run(Section.FORWARD, feeds={"x": np.ones((2, 1, 4, 4), np.float32), "regions": given})
    with pytest.raises(FormatError, match=words):
        RoiPooling(2, 2).forward(np.ones((2, 1, 4, 4), np.float32), given)


@pytest.mark.parametrize(
    ("op", "x", "regions", "words"),
    [
        (RoiPooling(2, 2), (3, 4, 4), (2, 5), "expected images"),
        (RoiPooling(2, 2), (1, 3, 4, 4), (2, 4), "the regions are 2x4 float32; expected"),
        (RoiPooling(2, 2), (1, 3, 4, 4), (10,), "the regions are 10 float32"),
        (RoiPooling(0, 2), (1, 3, 4, 4), (2, 5), "at least one bin"),
    ],
)
def test_shapes_that_do_not_fit(op, x, regions, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(Spec(x, F32), Spec(regions, F32))
