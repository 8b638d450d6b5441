import re

import numpy as np
import pytest

from mocha.backends import Backend, DefaultBackend, NumpyBackend, ParameterBlock, backend_types
from mocha.errors import ConfigError, FormatError, MochaError, ShapeError, StateError
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import (
    Dropout,
    InnerProduct,
    L2NormConstraint,
    Multiply,
    Op,
    ReduceSum,
    ReLU,
    Scale,
    SgdStep,
    SoftmaxLoss,
    Spec,
    Tanh,
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
FORWARD, BACKWARD, UPDATE = Section


def _step(keep=None):
    """loss = sum of w x, trained: the gradient of w is the x that was fed."""
    g = Graph()
    x, w, v = g.input("x", Spec((3,), F64)), g.parameter("w", Spec((3,), F64)), g.state("v", Spec((3,), F64))
    with g.within("product"):
        y = g.blobs["y"] = g(Multiply(), x, w)
        h = g.blobs["h"] = g(Scale(1.0), y)
    with g.within("loss"):
        g.objective("loss", g(ReduceSum(), h))
    found = derive_gradients(g, {g.losses["loss"]: 1.0}, [w])
    with g.within("w", UPDATE):
        g.apply(SgdStep(), found[w], w, v, g.scalar("rate"), g.scalar("momentum"))
    program = build_program("step", g, {"w": found[w], "y": found[y]}, keep=keep)
    backend = NumpyBackend()
    backend.store.allocate("w", np.ones(3))
    backend.store.allocate("v", np.zeros(3))
    executable = backend.compile(program)
    executable.block.set({"rate": 1.0, "momentum": 0.0, "unknown": 5.0})
    return executable, backend


def feed(*numbers):
    return {"x": np.array(numbers, np.float64)}


def test_forward_backward_update():
    executable, backend = _step()
    executable.run(FORWARD, BACKWARD, UPDATE, feeds=feed(1, 2, 3))
    np.testing.assert_array_equal(executable.blob("y"), [1, 2, 3])
    np.testing.assert_array_equal(executable.gradient("w"), [1, 2, 3])
    np.testing.assert_array_equal(executable.gradient("y"), [1, 1, 1])
    np.testing.assert_array_equal(backend.store.read("w"), [0, -1, -2])
    np.testing.assert_array_equal(backend.store.read("v"), [-1, -2, -3])
    assert executable.read(executable.program.losses["loss"]) == 6


@pytest.mark.parametrize("keep", [None, ()], ids=["by hand", "by a solver"])
def test_backward_before_forward_sees_the_old_feeds(keep):
    executable, backend = _step(keep)
    executable.run(FORWARD, feeds=feed(1, 2, 3))
    executable.run(BACKWARD, UPDATE, FORWARD, feeds=feed(10, 10, 10))
    np.testing.assert_array_equal(backend.store.read("w"), [0, -1, -2])  # by the first feeds, w = 1
    assert executable.read(executable.program.losses["loss"]) == 10 * (0 - 1 - 2)  # the second feeds, by the new w
    executable.run(BACKWARD, UPDATE, FORWARD, feeds=feed(0, 0, 1))
    np.testing.assert_array_equal(backend.store.read("w"), [-10, -11, -12])


def test_sections_can_be_run_again_by_hand():
    executable, backend = _step()
    executable.run(FORWARD, feeds=feed(1, 2, 3))
    for _ in range(2):
        executable.run(BACKWARD)
        np.testing.assert_array_equal(executable.gradient("w"), [1, 2, 3])
    executable.run(UPDATE)
    executable.run(UPDATE)
    np.testing.assert_array_equal(backend.store.read("w"), [-1, -3, -5])


def test_what_was_not_computed_yet():
    executable, _ = _step()
    with pytest.raises(StateError, match=r"'product' has not been computed yet; run the forward section first"):
        executable.blob("y")
    with pytest.raises(StateError, match="run the forward section first"):
        executable.run(BACKWARD)


def test_what_is_not_kept_cannot_be_read():
    executable, _ = _step(keep=["h"])
    executable.run(*Section, feeds=feed(1, 2, 3))
    np.testing.assert_array_equal(executable.blob("h"), [1, 2, 3])
    with pytest.raises(StateError, match="keeps no blob 'y'"):
        executable.blob("y")
    with pytest.raises(StateError, match="keeps no gradient 'w'"):
        executable.gradient("w")


def test_after_close_nothing_is_left():
    executable, _ = _step()
    executable.run(*Section, feeds=feed(1, 2, 3))
    executable.close()
    with pytest.raises(StateError):
        executable.blob("y")


@pytest.mark.parametrize(
    ("feeds", "error", "words"),
    [
        (None, StateError, "program 'step': no array for the input 'x'"),
        ({"y": np.ones(3)}, StateError, "no array for the input 'x'"),
        (feed(1, 2), ShapeError, "input 'x': received float64 of shape (2,); expected float64 of shape (3,)"),
        ({"x": np.ones(3, np.float32)}, ShapeError, "received float32"),
        ({"x": np.ones((1, 3))}, ShapeError, "of shape (1, 3)"),
    ],
)
def test_feeds_are_checked(feeds, error, words):
    executable, _ = _step()
    with pytest.raises(error, match=re.escape(words)):
        executable.run(FORWARD, feeds=feeds)


def test_feeds_may_lie_in_memory_as_they_like():
    executable, _ = _step()
    executable.run(FORWARD, feeds={"x": np.arange(6.0)[::2]})
    np.testing.assert_array_equal(executable.blob("y"), [0, 2, 4])
    executable.run(FORWARD, feeds={"x": [1.0, 2.0, 3.0], "beside": None})
    np.testing.assert_array_equal(executable.blob("y"), [1, 2, 3])


def test_a_scalar_input():
    g = Graph()
    g.blobs["y"] = g(Tanh(), g.input("x", Spec((), F64)))
    executable = NumpyBackend().compile(build_program("p", g, {}, keep=None))
    executable.run(FORWARD, feeds={"x": np.asarray(0.5)})
    assert executable.blob("y") == np.tanh(0.5)


def test_reading_gives_a_copy_and_writing_takes_one():
    executable, backend = _step()
    executable.run(FORWARD, feeds=feed(1, 2, 3))
    executable.blob("y")[:] = 99
    np.testing.assert_array_equal(executable.blob("y"), [1, 2, 3])
    mine = np.array([4, 5, 6])
    executable.write(executable.program.find("y"), mine)
    mine[:] = 0
    np.testing.assert_array_equal(executable.blob("y"), [4.0, 5, 6])
    assert executable.blob("y").dtype == F64
    with pytest.raises(ShapeError, match=r"received shape \(2,\); expected \(3,\)"):
        executable.write(executable.program.find("y"), np.zeros(2))
    (w,) = [v for v in executable.program.stored if v.name == "w"]
    executable.write(w, np.full(3, 7.0))
    np.testing.assert_array_equal(backend.store.read("w"), [7, 7, 7])
    np.testing.assert_array_equal(executable.read(w), [7, 7, 7])


def test_later_ops_see_an_updated_parameter():
    g = Graph()
    w = g.parameter("w", Spec((2,), F64))
    with g.within("w", UPDATE):
        g(L2NormConstraint(1.0), w, g.scalar("iteration"))
        g.blobs["after"] = g(Scale(10.0), w)
    backend = NumpyBackend()
    backend.store.allocate("w", np.array([3.0, 4.0]))
    executable = backend.compile(build_program("p", g, {}, keep=None))
    executable.run(UPDATE)
    np.testing.assert_allclose(executable.blob("after"), [6, 8])


def test_scalars_are_read_at_each_run():
    g = Graph()
    x = g.input("x", Spec((64,), F64))
    g.blobs["y"] = g(Dropout(0.5, 1.0, 3), x, g.scalar("seed"), g.scalar("counter"))
    executable = NumpyBackend().compile(build_program("p", g, {}, keep=None))
    masks = []
    for counter in (0, 1, 0):
        executable.block.set({"counter": counter, "seed": 1})
        executable.run(FORWARD, feeds={"x": np.ones(64)})
        masks.append(executable.blob("y"))
    assert (masks[0] != masks[1]).any()
    np.testing.assert_array_equal(masks[0], masks[2])


def test_parameter_block():
    block = ParameterBlock(["a", "b"])
    values = block.values
    block.set({"b": 2.0, "c": 3.0})
    assert values.tolist() == [0.0, 2.0]
    assert values.dtype == F64


def _apply(op, specs, feeds):
    g = Graph()
    with g.within("mine"):
        g.blobs["y"] = g(op, *(g.input(f"x{i}", spec) for i, spec in enumerate(specs)))
    executable = NumpyBackend().compile(build_program("p", g, {}, keep=None))
    executable.run(FORWARD, feeds={f"x{i}": x for i, x in enumerate(feeds)})
    return executable.blob("y")


def test_errors_name_the_layer():
    with pytest.raises(FormatError, match=r"^layer 'mine': label 1 of the batch is 5"):
        _apply(SoftmaxLoss(), [Spec((2, 3), F32), Spec((2,), F32)], [np.zeros((2, 3), "f4"), np.array([0, 5], "f4")])


class _Mine(Op):
    """An op of a user's own."""

    def __init__(self, forward):
        self.forward = forward

    def infer(self, x):
        return x

    def forward(self, x):
        raise NotImplementedError


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize("result", [lambda x: x[:1], lambda x: x.astype(np.float64), lambda x: 1.0, lambda x: (x, x)])
def test_an_op_that_breaks_its_promise(result):
    with pytest.raises(ShapeError, match=r"layer 'mine': op _Mine gave .*; its shape rule promised 2x3 float32"):
        _apply(_Mine(result), [Spec.of(X)], [X])


def test_an_op_that_fails():
    with pytest.raises(MochaError, match=r"layer 'mine': op _Mine failed: ZeroDivisionError: division by zero"):
        _apply(_Mine(lambda x: 1 / 0), [Spec.of(X)], [X])


def test_an_op_may_give_a_plain_number():
    class Last(_Mine):
        def infer(self, x):
            return Spec((), F64)

    assert _apply(Last(lambda x: float(x.sum())), [Spec.of(X)], [X]) == 6


def test_overflow_and_nan_are_values_not_warnings():
    y = _apply(Tanh(), [Spec((3,), F32)], [np.array([np.inf, np.nan, 1], np.float32)])
    np.testing.assert_array_equal(np.isnan(y), [False, True, False])
    y = _apply(Multiply(), [Spec((1,), F32)] * 2, [np.array([1e30], np.float32)] * 2)
    assert y == np.inf


def test_backends_by_name(monkeypatch):
    assert isinstance(Backend("numpy"), NumpyBackend)
    with pytest.raises(ConfigError, match=r"there is no backend 'nunpy'. Did you mean 'numpy'\?"):
        Backend("nunpy")
    monkeypatch.setenv("MOCHA_BACKEND", "numpy")
    assert isinstance(DefaultBackend(), NumpyBackend)
    monkeypatch.setenv("MOCHA_BACKEND", "abacus")
    with pytest.raises(ConfigError, match="there is no backend 'abacus'"):
        DefaultBackend()
    monkeypatch.delenv("MOCHA_BACKEND")
    assert DefaultBackend().name in backend_types()
    assert "NumPy" in NumpyBackend.describe()


def test_life_of_a_backend():
    with NumpyBackend() as backend:
        assert not backend.closed
        assert repr(backend) == "<numpy backend>"
    assert backend.closed
    with pytest.raises(StateError, match="was shut down"):
        backend.init()


def test_two_backends_share_nothing():
    (a, first), (b, second) = _step(), _step()
    a.run(*Section, feeds=feed(1, 2, 3))
    np.testing.assert_array_equal(second.store.read("w"), [1, 1, 1])
    b.run(*Section, feeds=feed(0, 0, 0))
    np.testing.assert_array_equal(first.store.read("w"), [0, -1, -2])


def test_store():
    store = NumpyBackend().store
    mine = np.arange(6.0).reshape(2, 3).T
    store.allocate("k", mine)
    mine[:] = 0
    assert store.read("k").flags.c_contiguous
    np.testing.assert_array_equal(store.read("k"), [[0, 3], [1, 4], [2, 5]])
    store.read("k")[:] = 9
    store.write("k", np.ones((3, 2)))
    np.testing.assert_array_equal(store.read("k"), np.ones((3, 2)))
    assert "k" in store
    store.free("k")
    store.free("k")
    assert "k" not in store


def test_a_view_of_a_parameter_can_be_saved_for_backward():
    from mocha.ops import Reshape

    g = Graph()
    x, flat = g.input("x", Spec((2, 3), F64)), g.parameter("w", Spec((12,), F64))
    y = g(ReLU(), g(InnerProduct(), x, g(Reshape((4, 3)), flat)))
    found = derive_gradients(g, {g(ReduceSum(), y): 1.0}, [x, flat])
    backend = NumpyBackend()
    backend.store.allocate("w", np.arange(12.0))
    executable = backend.compile(build_program("p", g, {"x": found[x], "w": found[flat]}, keep=None))
    executable.run(FORWARD, BACKWARD, feeds={"x": np.ones((2, 3))})
    np.testing.assert_array_equal(executable.gradient("w"), np.full(12, 2.0))
    np.testing.assert_array_equal(executable.gradient("x"), [[18, 22, 26]] * 2)
