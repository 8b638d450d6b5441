"""Whole nets on the native backend, beside the same nets on the reference."""

import dataclasses
import re
import threading
import time

import numpy as np
import pytest

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from mocha import (
    SGD,
    AccuracyLayer,
    ConvolutionLayer,
    DropoutLayer,
    InnerProductLayer,
    Layer,
    LRPolicy,
    MemoryDataLayer,
    MomPolicy,
    Nesterov,
    Net,
    Neurons,
    PoolingLayer,
    Snapshot,
    SoftmaxLossLayer,
    Solver,
    TrainingSummary,
    make_solver_parameters,
)
from mocha.backends import Backend, NativeBackend, NumpyBackend
from mocha.backends import native as room
from mocha.errors import FormatError, MochaError, ShapeError, StateError
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import (
    AddBias,
    Convolution,
    InnerProduct,
    L2NormConstraint,
    MaxPooling,
    Multiply,
    Op,
    ReduceSum,
    ReLU,
    Reorder,
    Scale,
    Spec,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3, 10, 11)).astype(np.float32)
Y = RNG.integers(0, 5, (40, 1))
F32 = np.dtype(np.float32)
FORWARD, BACKWARD, UPDATE = Section


@dataclasses.dataclass(frozen=True)
class Bend(Op):
    """y = x + x^3 / 10, in array code: no kernel knows it."""

    def infer(self, x):
        return x

    def forward(self, x):
        assert x.flags.c_contiguous
        return x + x * x * x / x.dtype.type(10)

    def backward(self, grads, inputs, outputs, wanted):
        assert grads[0].flags.c_contiguous
        x = inputs[0]
        return grads[0] * (1 + x * x * x.dtype.type(0.3))


class BendLayer(Layer):
    """Bends each bottom."""

    name: str = "bend"

    def lower(self, g, inputs, params):
        return [g(Bend(), x) for x in inputs]


def data(**changes):
    return MemoryDataLayer(**{"name": "data", "data": [X, Y], "batch_size": 8, **changes})


def conv(name, bottom, **more):
    about = {"n_filter": 6, "kernel": 3, "pad": 1, "bottoms": [bottom], "tops": [name]}
    return ConvolutionLayer(name=name, **{**about, **more})


def lenet(*between, drop=True):
    """A small LeNet. A layer that stands between its halves reads pool1 and writes bent."""
    return [
        conv("conv1", "data", n_filter=7, kernel=5, pad=2),
        PoolingLayer(name="pool1", kernel=2, stride=2, bottoms=["conv1"], tops=["pool1"]),
        *between,
        conv("conv2", "bent" if between else "pool1", n_filter=18, neuron=Neurons.ReLU()),
        PoolingLayer(name="pool2", kernel=3, stride=2, bottoms=["conv2"], tops=["pool2"]),
        *([DropoutLayer(name="drop", bottoms=["pool2"])] if drop else []),
        InnerProductLayer(name="ip1", output_dim=33, neuron=Neurons.Tanh(), bottoms=["pool2"], tops=["ip1"]),
        InnerProductLayer(name="ip2", output_dim=5, bottoms=["ip1"], tops=["ip2"]),
    ]


LOSS = SoftmaxLossLayer(name="loss", bottoms=["ip2", "label"])
BEND = BendLayer(bottoms=["pool1"], tops=["bent"])


def solver(method=None, max_iter=50, **params):
    method = method or SGD()
    rates = {"lr_policy": LRPolicy.Inv(0.005, 0.01, 0.75), "mom_policy": MomPolicy.Fixed(0.9)}
    made = Solver(method, make_solver_parameters(method, max_iter=max_iter, **{**rates, **params}))
    made.add_coffee_break(TrainingSummary("obj_val"), every_n_iter=1)
    return made


def values(net):
    return {f"{layer}/{name}": array for layer, group in net.params.items() for name, array in group.items()}


def trained(kind, *layers, seed=3, **params):
    """Losses and parameters of a training."""
    with kind() as backend, Net("net", backend, [data(shuffle=True), *layers, LOSS], seed=seed) as net:
        made = solver(**params)
        made.solve(net)
        return np.array(list(made.lounge.get_statistics("obj_val").values())), values(net)


def check_close(found, expected, *, losses=1e-4, parameters=1e-3):
    np.testing.assert_allclose(found[0], expected[0], rtol=losses)
    assert found[1].keys() == expected[1].keys()
    for name, array in expected[1].items():
        np.testing.assert_allclose(found[1][name], array, rtol=parameters, atol=parameters * abs(array).max())


def check_equal(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    for name, array in expected[1].items():
        assert found[1][name].tobytes() == array.tobytes(), name


# -- training


@pytest.mark.parametrize("method", [SGD(), Nesterov()], ids=lambda m: m.name)
@pytest.mark.parametrize("between", [(), (BEND,)], ids=["kernels only", "an op of one's own"])
def test_a_training_is_that_of_the_reference(between, method):
    params = {"method": method, "clip_gradients": 3.0, "regu_coef": 0.001}
    found, expected = (trained(kind, *lenet(*between), **params) for kind in (NativeBackend, NumpyBackend))
    assert expected[0][-1] < expected[0][0]
    check_close(found, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_two_trainings_are_equal_bit_for_bit(monkeypatch, threads):
    monkeypatch.setattr(room._Threads, "count", threads)
    found, expected = (trained(NativeBackend, *lenet(BEND), max_iter=20) for _ in range(2))
    check_equal(found, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_resumed_training_is_the_one_without_a_break(monkeypatch, tmp_path, threads):
    monkeypatch.setattr(room._Threads, "count", threads)
    straight = trained(NativeBackend, *lenet(), max_iter=16)
    with NativeBackend() as backend, Net("net", backend, [data(shuffle=True), *lenet(), LOSS], seed=3) as net:
        first = solver(max_iter=8)
        first.add_coffee_break(Snapshot(tmp_path), every_n_iter=8)
        first.solve(net)
    resumed = trained(NativeBackend, *lenet(), seed=99, max_iter=16, load_from=tmp_path)
    check_equal((resumed[0], resumed[1]), (straight[0][8:], straight[1]))


def test_frozen_layers_stay_and_the_others_go_on():
    def run(kind):
        with kind() as backend, Net("net", backend, [data(), *lenet(drop=False), LOSS], seed=3) as net:
            net.freeze("conv1")
            solver(max_iter=5).solve(net)
            middle = values(net)
            net.unfreeze("conv1")
            net.freeze("ip1", "ip2")
            solver(max_iter=5).solve(net)
            return middle, values(net), Net("fresh", kind(), [data(), *lenet(drop=False), LOSS], seed=3)

    middle, after, fresh = run(NativeBackend)
    assert middle["conv1/filter"].tobytes() == fresh.params["conv1"]["filter"].tobytes()
    assert (middle["ip1/weight"] != fresh.params["ip1"]["weight"]).any()
    assert middle["ip1/weight"].tobytes() == after["ip1/weight"].tobytes()
    assert (middle["conv1/filter"] != after["conv1/filter"]).any()
    expected = run(NumpyBackend)
    for name, array in after.items():
        np.testing.assert_allclose(array, expected[1][name], rtol=1e-3, atol=1e-5)


def test_two_solvers_take_turns_on_one_net():
    def run(kind):
        with kind() as backend, Net("net", backend, [data(), *lenet(), LOSS], seed=3) as net:
            one, two = solver(max_iter=4), solver(Nesterov(), max_iter=4)
            for turn in (one, two, one, two):
                turn.solve(net)
            return np.zeros(0), values(net)

    check_close(run(NativeBackend), run(NumpyBackend))


# -- validation, and parameters that change under a compiled program


def test_a_validation_net_sees_each_change_of_the_shared_parameters():
    """In testing, filters are packed once: each way of changing them must be seen."""

    def run(kind):
        seen = []
        with (
            kind() as backend,
            Net("train", backend, [data(), *lenet(), LOSS], seed=3) as net,
            Net("test", backend, [data(), *lenet(), LOSS, AccuracyLayer(bottoms=["ip2", "label"])]) as test,
        ):

            def look():
                test.rewind()
                seen.append(test.forward(phase="test"))

            look()
            solver(max_iter=3).solve(net)
            look()
            net.params["conv2"]["filter"] = 2 * net.params["conv2"]["filter"]
            look()
            for key in ("conv1___filter", "ip1___weight"):
                backend.store.allocate(key, -backend.store.read(key))  # anew, somewhere else
            look()
            solver(max_iter=3).solve(net)
            look()
            executable = test.last
            (w,) = [v for v in executable.program.stored if v.name == "conv1___filter"]
            executable.write(w, np.full(w.shape, 0.01))
            look()
            backend.registry.assign(net.parameters[0], np.full((7, 3, 5, 5), -0.02, np.float32))
            look()
        return seen

    found = run(NativeBackend)
    np.testing.assert_allclose(found, run(NumpyBackend), rtol=1e-4)
    assert len(set(found)) == len(found)


def test_an_assignment_is_seen_by_the_next_run_in_training():
    with NativeBackend() as backend, Net("net", backend, [data(), *lenet(drop=False), LOSS], seed=3) as net:
        net.forward_backward()
        weight = net.params["ip2"]["weight"]
        net.params["ip2"]["weight"] = np.zeros_like(weight)
        assert net.forward() == pytest.approx(np.log(5), rel=1e-6)
        backend.store.allocate("ip2___weight", weight)
        assert net.forward() != pytest.approx(np.log(5), rel=1e-3)
        net.backward()
        assert np.any(net.gradients["ip2___weight"])


# -- reading


def test_every_blob_and_gradient_can_be_read_row_major():
    def run(kind):
        with kind() as backend, Net("net", backend, [data(), *lenet(BEND), LOSS], seed=3) as net:
            net.forward_backward()
            read = {f"blob {name}": array for name, array in net.blobs.items()}
            read.update({f"gradient {name}": array for name, array in net.gradients.items()})
            return read, len(net.last.program.layouts)

    (found, turned), (expected, straight) = run(NativeBackend), run(NumpyBackend)
    assert turned
    assert not straight
    assert found.keys() == expected.keys()
    assert {"blob conv1", "blob pool2", "gradient pool1", "gradient bent", "gradient conv1___filter"} <= found.keys()
    for name, array in expected.items():
        assert found[name].flags.c_contiguous
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-5 * abs(array).max(), err_msg=name)


def test_dropout_has_the_reference_s_masks():
    pool = PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["data"], tops=["pool"])
    drop = DropoutLayer(name="drop", ratio=0.3, bottoms=["pool"])
    score = InnerProductLayer(name="ip2", output_dim=5, bottoms=["pool"], tops=["ip2"])

    def run(kind):
        with kind() as backend, Net("net", backend, [data(), pool, drop, score, LOSS], seed=7) as net:
            passes = []
            for _ in range(3):
                net.rewind()
                net.forward()
                passes.append(net.blobs["pool"])
            return passes

    found, expected = run(NativeBackend), run(NumpyBackend)
    np.testing.assert_array_equal(found, expected)
    assert (found[0] != found[1]).any()


def test_a_bad_label_is_told_as_by_the_reference():
    labels = Y.copy()
    labels[5] = 17

    def told(kind):
        layers = [data(data=[X, labels]), *lenet(), LOSS]
        with kind() as backend, Net("net", backend, layers) as net, pytest.raises(FormatError) as error:
            net.forward()
        return str(error.value)

    assert told(NativeBackend) == told(NumpyBackend)
    assert re.match(r"layer 'loss': label 5 .* 17", told(NativeBackend))


# -- ops of one's own in a program


def _between(channels_last, dtype, keep=None):
    """conv, Bend, conv, pooling, Bend, inner product: values are turned before and after each op of one's own."""
    g = Graph()
    x = g.input("x", Spec((2, 3, 6, 7), dtype))
    w1, w2 = g.parameter("w1", Spec((5, 3, 3, 3), dtype)), g.parameter("w2", Spec((4, 5, 2, 2), dtype))
    b, v = g.parameter("b", Spec((5,), dtype)), g.parameter("v", Spec((3, 36), dtype))
    g.blobs["conv1"] = g(AddBias(), g(Convolution(), x, w1), b)
    g.blobs["bent"] = g(Bend(), g.blobs["conv1"])
    g.blobs["conv2"] = g(Convolution(pad=(1, 1)), g.blobs["bent"], w2)
    g.blobs["pool"] = g(Bend(), g(MaxPooling((2, 2), (2, 2)), g.blobs["conv2"]))
    y = g.blobs["y"] = g(InnerProduct(), g.blobs["pool"], v)
    g.objective("loss", g(ReduceSum(), g(Multiply(), y, y)))
    wrt = [w1, b, w2, v, x, g.blobs["conv1"], g.blobs["bent"], g.blobs["pool"]]
    found = derive_gradients(g, {g.losses["loss"]: 1.0}, wrt)
    names = ["w1", "b", "w2", "v", "x", "conv1", "bent", "pool"]
    gradients = dict(zip(names, (found[value] for value in wrt), strict=True))
    return build_program("between", g, gradients, keep=keep, channels_last=channels_last)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_hand", [True, False])
def test_an_op_of_ones_own_amid_channels_last_values(by_hand, dtype):
    rng = np.random.default_rng(1)
    keep = None if by_hand else ["x", "w1", "b", "w2", "v", "conv1", "bent", "conv2", "pool", "y"]
    shapes = {"w1": (5, 3, 3, 3), "w2": (4, 5, 2, 2), "b": (5,), "v": (3, 36), "x": (2, 3, 6, 7)}
    arrays = {name: 0.3 * rng.standard_normal(shape) for name, shape in shapes.items()}
    results = []
    for kind in (NativeBackend, NumpyBackend):
        with kind() as backend:
            program = _between(backend.channels_last, np.dtype(dtype), keep)
            for name in ("w1", "w2", "b", "v"):
                backend.store.allocate(name, arrays[name].astype(dtype))
            executable = backend.compile(program)
            executable.run(FORWARD, BACKWARD, feeds={"x": arrays["x"].astype(dtype)})
            read = [executable.blob(n) for n in ("conv1", "bent", "conv2", "pool", "y")]
            results.append(
                read + [executable.gradient(n) for n in ("w1", "b", "w2", "v", "x", "conv1", "bent", "pool")]
            )
    assert any(isinstance(node.op, Reorder) for node in _between(True, F32).nodes)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-6)


class _Mine(Op):
    """An op of a user's own."""

    def __init__(self, forward):
        self.forward = forward

    def infer(self, x):
        return x

    def forward(self, x):
        raise NotImplementedError


def _apply(kind, op):
    g = Graph()
    with g.within("mine"):
        g.blobs["y"] = g(op, g.input("x", Spec((2, 3), F32)))
    with kind() as backend:
        executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
        executable.run(FORWARD, feeds={"x": np.ones((2, 3), np.float32)})
        return executable.blob("y")


@pytest.mark.parametrize(
    ("forward", "error"),
    [
        (lambda x: x[:1], ShapeError),
        (lambda x: x.astype(np.float64), ShapeError),
        (lambda x: 1.0, ShapeError),
        (lambda x: (x, x), ShapeError),
        (lambda x: 1 / 0, MochaError),
    ],
)
def test_an_op_that_breaks_its_promise_is_told_as_by_the_reference(forward, error):
    told = []
    for kind in (NativeBackend, NumpyBackend):
        with pytest.raises(error, match=r"^layer 'mine': op _Mine ") as caught:
            _apply(kind, _Mine(forward))
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_an_op_may_give_its_input_back():
    np.testing.assert_array_equal(_apply(NativeBackend, _Mine(lambda x: x)), np.ones((2, 3)))


# -- sections by hand


def _constrained():
    g = Graph()
    w = g.parameter("w", Spec((2,), F32))
    with g.within("w", UPDATE):
        g(L2NormConstraint(1.0), w, g.scalar("iteration"))
        g.blobs["after"] = g(Scale(10.0), w)
    return build_program("p", g, {}, keep=None)


def test_later_ops_see_an_updated_parameter():
    with NativeBackend() as backend:
        backend.store.allocate("w", np.array([3.0, 4.0], np.float32))
        executable = backend.compile(_constrained())
        with pytest.raises(StateError, match="has not been computed yet"):
            executable.blob("after")
        executable.run(UPDATE)
        np.testing.assert_allclose(executable.blob("after"), [6, 8], rtol=1e-6)
        np.testing.assert_allclose(backend.store.read("w"), [0.6, 0.8], rtol=1e-6)


def test_backward_needs_forward_even_without_inputs():
    g = Graph()
    w = g.parameter("w", Spec((3,), F32))
    g.objective("loss", g(ReduceSum(), g(Multiply(), g(ReLU(), w), w)))
    found = derive_gradients(g, {g.losses["loss"]: 1.0}, [w])
    for kind in (NumpyBackend, NativeBackend):
        with kind() as backend:
            backend.store.allocate("w", np.array([1.0, 2.0, -3.0], np.float32))
            executable = backend.compile(build_program("p", g, {"w": found[w]}, keep=None))
            with pytest.raises(StateError, match="run the forward section first"):
                executable.run(BACKWARD)
            executable.run(FORWARD, BACKWARD)
            np.testing.assert_array_equal(executable.gradient("w"), [2, 4, 0])


# -- Python threads


def test_nets_in_several_python_threads():
    expected = trained(NativeBackend, *lenet(BEND), max_iter=15)
    found = [None] * 4

    def work(i):
        found[i] = trained(NativeBackend, *lenet(BEND), max_iter=15)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found:
        check_equal(result, expected)


def test_other_python_threads_run_while_a_program_does():
    n = 1500
    g = Graph()
    x, w = g.input("x", Spec((n, n), F32)), g.parameter("w", Spec((n, n), F32))
    y = g(InnerProduct(), x, w)
    for _ in range(5):
        y = g(InnerProduct(), y, w)
    g.blobs["y"] = y
    with Backend("native") as backend:
        backend.store.allocate("w", np.zeros((n, n), np.float32))
        executable = backend.compile(build_program("long", g, {}, keep=["y"]))
        ticks, done = [], threading.Event()

        def tick():
            while not done.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        other = threading.Thread(target=tick)
        other.start()
        feeds = {"x": np.zeros((n, n), np.float32)}
        start = time.perf_counter()
        executable._executor.bind([feeds["x"].ctypes.data])
        outcome = executable._executor.run(0, len(executable._executor), 1)  # one call into the library
        stop = time.perf_counter()
        done.set()
        other.join()
    assert outcome[0] == 0
    assert sum(start < t < stop for t in ticks) >= 3
