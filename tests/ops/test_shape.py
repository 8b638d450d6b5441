import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Concat, Constant, Fill, Identity, Reshape, Slice, Spec
from mocha.testing.cases.shape import CASES

F32 = np.dtype(np.float32)


def test_reshape_keeps_the_order_and_moves_nothing():
    x = np.arange(24.0).reshape(2, 3, 4)
    y = Reshape((4, 6)).forward(x)
    np.testing.assert_array_equal(y, np.arange(24.0).reshape(4, 6))
    assert np.shares_memory(y, x)
    assert Reshape((4, 6)).backward([y], [Spec.of(x)], [], [True]).shape == (2, 3, 4)
    assert np.shares_memory(Identity().forward(x), x)


def _pieces(x, sizes, axis):
    start, pieces = 0, []
    for size in sizes:
        pieces.append(np.take(x, range(start, start + size), axis=axis))
        start += size
    return pieces


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.op, Concat)], ids=str)
def test_concat_has_its_inputs_as_pieces(case):
    arrays = case.arrays()
    axis = case.op.axis
    y = case.op.forward(*arrays)
    sizes = [x.shape[axis] for x in arrays]
    for piece, x in zip(_pieces(y, sizes, axis), arrays, strict=True):
        np.testing.assert_array_equal(piece, x)
    grads = case.op.backward([y], list(map(Spec.of, arrays)), [Spec.of(y)], [True] * len(arrays))
    for grad, x in zip(grads, arrays, strict=True):
        np.testing.assert_array_equal(grad, x)


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.op, Slice)], ids=str)
def test_slice_undoes_concat(case):
    (x,) = case.arrays()
    pieces = case.op.forward(x)
    for piece, expected in zip(pieces, _pieces(x, case.op.sizes, case.op.axis), strict=True):
        np.testing.assert_array_equal(piece, expected)
    np.testing.assert_array_equal(case.op.backward(pieces, [Spec.of(x)], [], [True]), x)


def test_fill():
    y = Fill((2, 3), "float32", 1.5).forward()
    assert y.dtype == F32
    np.testing.assert_array_equal(y, [[1.5] * 3] * 2)
    assert Fill((), "float64").forward() == 0


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        (Reshape((2, 5)), [(2, 6)], "has 12 elements; the shape .2, 5. needs 10"),
        (Concat(), [], "expected at least one"),
        (Concat(), [(2, 3), (3, 3)], "input 2 is 3x3 float32, input 1 is 2x3 float32"),
        (Concat(), [(2, 3), (2, 3, 1)], "every axis but 1"),
        (Concat(2), [(2, 3)], "axis 2 does not exist"),
        (Slice((1, 1)), [(2, 3)], "expected positive extents that sum to 3"),
        (Slice((3, 0)), [(2, 3)], "expected positive extents that sum to 3"),
        (Slice((3,), -3), [(2, 3)], "axis -3 does not exist"),
    ],
)
def test_shapes_that_do_not_fit(op, shapes, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*(Spec(shape, F32) for shape in shapes))


def test_types_that_do_not_fit():
    with pytest.raises(ShapeError, match="equal types"):
        Concat().infer(Spec((2, 3), F32), Spec((2, 3), np.dtype(np.float64)))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        Fill((2,), "int32").infer()


def test_a_constant_is_its_array_and_nobody_can_change_it():
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    op = Constant.of(given)
    given[0, 0] = 9
    first = op.forward()
    first[1, 1] = 7
    np.testing.assert_array_equal(op.forward(), np.arange(6).reshape(2, 3))
    assert op.infer() == Spec((2, 3), np.dtype(np.float32))
    assert op == Constant.of(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert str(op) == "Constant(2x3 float32)"
    assert Constant.of(0.5).forward().shape == ()
