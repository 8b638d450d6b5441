import numpy as np
import pytest
from tests.ops.caffe_vectors import available_backends, check_against_caffe

from mocha.errors import FormatError, ShapeError
from mocha.graph import Graph, Section, build_program
from mocha.ops import AddBias, SelectRows, Spec, TakeRows, Unpool

F = np.dtype(np.float32)
X = np.arange(6.0).reshape(3, 2)


def test_rows_by_number():
    index = np.array([[2.0, 0.0], [2.9, -0.9]])
    y = TakeRows().forward(X, index)
    np.testing.assert_array_equal(y, [[[4, 5], [0, 1]], [[4, 5], [0, 1]]])
    dx, none = TakeRows().backward([np.ones((2, 2, 2))], [Spec.of(X), index], [], (True, False))
    np.testing.assert_array_equal(dx, [[2, 2], [0, 0], [2, 2]])
    assert none is None


def test_chosen_rows():
    marks = np.array([[1.0], [0.0], [-2.0]])
    np.testing.assert_array_equal(SelectRows(2).forward(X, marks), [[0, 1], [4, 5]])
    dx, _ = SelectRows(2).backward([X[:2] + 7], [Spec.of(X), marks], [], (True, False))
    np.testing.assert_array_equal(dx, [[7, 8], [0, 0], [9, 10]])


WRONG = [
    (TakeRows(), [0.0, 3.0, 0.0], r"element 1 of the index is 3.0; expected a number from 0 to 2, because there are 3"),
    (TakeRows(), [0.0, 1.0, -1.0], "element 2 of the index is -1.0"),
    (TakeRows(), [np.nan, 1.0, 1.0], "element 0 of the index is nan"),
    (TakeRows(), [1e30, 1.0, 1.0], r"element 0 of the index is 1(.0+)?e\+30"),
    (TakeRows(), [1.0, 1.0, -np.inf], "element 2 of the index is -inf"),
    (SelectRows(2), [1.0, 1.0, 1.0], "the selector is not 0 for 3 of 3 rows; expected 2"),
    (SelectRows(2), [0.0, 1.0, 0.0], "the selector is not 0 for 1 of 3 rows; expected 2"),
]


@pytest.mark.parametrize(("op", "numbers", "words"), WRONG, ids=range(len(WRONG)))
def test_numbers_that_do_not_fit(op, numbers, words):
    numbers = np.array(numbers)
    with pytest.raises(FormatError, match=words):
        op.forward(X, numbers)
    for kind in available_backends():
        with kind() as backend:
            g = Graph()
            x, marks = g.input("x", Spec.of(X)), g.input("marks", Spec.of(numbers))
            g.blobs["y"] = g(op, x, marks)
            executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
            with pytest.raises(FormatError, match=words):
                executable.run(Section.FORWARD, feeds={"x": X, "marks": numbers})


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        (TakeRows(), [(), (2,)], "the input is scalar float32; expected rows, along axis 0"),
        (SelectRows(1), [(), (1,)], "expected rows"),
        (SelectRows(1), [(3, 2), (2,)], "the selector is 2 float32; expected 3x1"),
        (SelectRows(1), [(3, 2), (3, 2)], "the selector is 3x2 float32; expected 3x1"),
        (SelectRows(1), [(3, 2), (1, 3)], "expected 3x1"),
        (SelectRows(4), [(3, 2), (3,)], "count is 4; expected 0 to 3"),
        (SelectRows(-1), [(3, 2), (3,)], "count is -1"),
    ],
)
def test_shapes_that_do_not_fit(op, shapes, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*(Spec(shape, F) for shape in shapes))


def _embed(g, index, rows, bias):
    return g(AddBias(axis=2), g(TakeRows(), rows, index), bias)


CAFFE = [
    ("embed", _embed),
    ("batch_reindex", lambda g, x, index: g(TakeRows(), x, index)),
    ("filter", lambda g, x, selector: g(SelectRows(3), x, selector)),
]


@pytest.mark.parametrize(("name", "compose"), CAFFE, ids=[name for name, _ in CAFFE])
def test_against_caffe(name, compose):
    check_against_caffe(name, compose, behind_scale=name != "embed")


def test_unpooling():
    x = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
    places = np.array([[[[0.0, 5.0], [5.9, -1.0]]]])
    y = Unpool(2, 3).forward(x, places)
    np.testing.assert_array_equal(y, [[[[1, 0, 0], [0, 0, 6]]]])
    dx, none = Unpool(2, 3).backward([np.arange(6.0).reshape(1, 1, 2, 3)], [Spec.of(x), places], [], (True, False))
    np.testing.assert_array_equal(dx, [[[[0, 5], [5, 0]]]])
    assert none is None
    with pytest.raises(FormatError, match=r"place 1 is 6.0; expected -1, or a number from 0 to 5"):
        Unpool(2, 3).forward(x, np.array([[[[0.0, 6.0], [0.0, 0.0]]]]))
    with pytest.raises(FormatError, match=r"place 0 is nan"):
        Unpool(2, 3).forward(x, np.full((1, 1, 2, 2), np.nan))
    with pytest.raises(ShapeError, match="twice"):
        Unpool(2, 3).infer(Spec((1, 1, 2, 2), F), Spec((1, 1, 2, 3), F))


def test_unpooling_puts_back_what_pooling_took():
    """On each backend, in one graph, as a net does it."""
    from mocha.ops import MaxPooling, WinnerPlaces

    x = np.random.default_rng(3).permutation(48).reshape(1, 2, 6, 4).astype(np.float32) + 1
    for kind in available_backends():
        with kind() as backend:
            g = Graph()
            given = g.input("x", Spec.of(x))
            pooling = MaxPooling((2, 2), (2, 2))
            y, winners = g.apply(pooling, given)
            g.blobs["back"] = g(Unpool(6, 4), y, g(WinnerPlaces(pooling), given, winners))
            program = build_program("unpool", g, {}, keep=None, channels_last=backend.channels_last)
            executable = backend.compile(program)
            executable.run(Section.FORWARD, feeds={"x": x})
            found = executable.blob("back")
        windows = x.reshape(1, 2, 3, 2, 2, 2)
        largest = windows.max(axis=(3, 5), keepdims=True)
        np.testing.assert_array_equal(found.reshape(windows.shape), np.where(windows == largest, windows, 0))
