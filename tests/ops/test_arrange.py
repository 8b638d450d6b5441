import numpy as np
import pytest
from tests.ops.caffe_vectors import check_against_caffe

from mocha.errors import ShapeError
from mocha.ops import Concat, Reshape, Slice, Spec, Tile, Transpose, Window

F = np.dtype(np.float32)


def test_tiles_are_whole_blocks():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(Tile(1, 2).forward(x), [[1, 2, 1, 2], [3, 4, 3, 4]])
    np.testing.assert_array_equal(Tile(0, 2).forward(x), [[1, 2], [3, 4], [1, 2], [3, 4]])
    dy = np.array([[1.0, 2, 10, 20]])
    np.testing.assert_array_equal(Tile(1, 2).backward([dy], [], [], [True]), [[11, 22]])


def test_a_window_and_its_gradient():
    x = np.arange(12.0).reshape(3, 4)
    op = Window((1, 2), (2, 1))
    y = op.forward(x)
    np.testing.assert_array_equal(y, [[6], [10]])
    assert not np.shares_memory(x, y)
    dx = op.backward([np.array([[1.0], [2.0]])], [Spec.of(x)], [], [True])
    np.testing.assert_array_equal(dx, [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 2, 0]])


def test_axes_in_another_order():
    x = np.arange(24.0).reshape(2, 3, 4)
    y = Transpose((2, 0, 1)).forward(x)
    assert y.shape == (4, 2, 3)
    assert y.flags.c_contiguous
    for i, j, k in np.ndindex(x.shape):
        assert y[k, i, j] == x[i, j, k]
    np.testing.assert_array_equal(Transpose((2, 0, 1)).backward([y], [], [], [True]), x)


@pytest.mark.parametrize(
    ("shape", "order", "expected"),
    [
        ((2, 3, 4, 5), (0, 1, 2, 3), ((120,), (0,))),
        ((2, 3, 4, 5), (0, 2, 3, 1), ((2, 3, 20), (0, 2, 1))),
        ((2, 3, 1, 5), (2, 3, 1, 0), ((2, 3, 5), (2, 1, 0))),
        ((2, 1, 3), (0, 2, 1), ((6,), (0,))),
        ((1, 1), (1, 0), ((), ())),
    ],
)
def test_axes_that_stay_neighbours_are_joined(shape, order, expected):
    assert Transpose(order).joined(shape) == expected


@pytest.mark.parametrize(
    ("op", "shape", "words"),
    [
        (Tile(2, 2), (2, 3), "axis 2 does not exist"),
        (Tile(1, 0), (2, 3), "tiles is 0; expected a whole number >= 1"),
        (Window((0,), (1, 1)), (2, 3), "1 starts and 2 sizes for an input of 2x3 float32; expected 2 of each"),
        (Window((0, 2), (1, 2)), (2, 3), "2 elements from 2 on along axis 1 of 2x3 float32; expected them to lie"),
        (Window((-1, 0), (1, 1)), (2, 3), "1 elements from -1 on along axis 0"),
        (Window((0, 1), (1, -1)), (2, 3), "-1 elements from 1 on along axis 1"),
        (Transpose((0, 0)), (2, 3), "expected each number from 0 to 1 once"),
        (Transpose((1, 2)), (2, 3), "the order"),
        (Transpose((0,)), (2, 3), "the order"),
    ],
)
def test_what_does_not_fit(op, shape, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(Spec(shape, F))


CAFFE = [
    ("tile", lambda g, x: g(Tile(1, 3), x)),
    ("crop", lambda g, x, ref: g(Window((0, 0, 1, 2), (2, 6, 5, 4)), x)),
    # what the shape family covers
    ("concat_c", lambda g, *x: g(Concat(1), *x)),
    ("slice_even", lambda g, x: g.apply(Slice((2, 2, 2)), x)),
    ("reshape", lambda g, x: g(Reshape((2, 18, 3)), x)),
    ("flatten", lambda g, x: g(Reshape((2, 378)), x)),
]


@pytest.mark.parametrize(("name", "compose"), CAFFE, ids=[name for name, _ in CAFFE])
def test_against_caffe(name, compose):
    check_against_caffe(name, compose, rtol=1e-6, atol=0)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis_is_joined_and_cut(axis):
    x = np.random.default_rng(0).standard_normal((6, 6, 6))
    pieces = Slice((1, 3, 2), axis).forward(x)
    np.testing.assert_array_equal(pieces[1], np.take(x, range(1, 4), axis))
    np.testing.assert_array_equal(Concat(axis).forward(*pieces), x)
