"""Whole nets on the emulated device: training, graphs of launches, memory, precision."""

import dataclasses
import threading

import numpy as np
import pytest
from tests.backends.cuda.emulation import NEEDS_COMPILER, emulated

import mocha
from mocha.backends import CudaBackend, Numerics, NumpyBackend
from mocha.backends.cuda import OutOfMemory
from mocha.backends.cuda.emulated import EmulatedDevice, compile_emulated
from mocha.backends.cuda.steps import ArrayStep
from mocha.errors import ConfigError, MochaError, ShapeError, StateError
from mocha.graph import Graph, Phase, Section, build_program
from mocha.layers import InnerProductLayer, MemoryDataLayer, Neurons, SoftmaxLossLayer
from mocha.models import find_model
from mocha.net import Net
from mocha.solvers import SGD, Nesterov, Solver, make_solver_parameters
from mocha.testing.cuda.training import compare_training, learnable, train_on

pytestmark = NEEDS_COMPILER


def same(a, b):
    return a.losses == b.losses and all(np.array_equal(a.parameters[key], b.parameters[key]) for key in b.parameters)


@pytest.mark.parametrize(("net", "steps", "batch"), [("lenet", 20, 16), ("cifar10-quick", 3, 8), ("mlp", 5, 16)])
def test_training_agrees_with_the_reference(net, steps, batch):
    report = compare_training(net, steps, batch, emulated, limit=1e-5)
    assert report.agrees, str(report)
    assert report.parameter_error < 1e-4


@pytest.mark.slow
def test_lenet_agrees_over_200_steps():
    report = compare_training("lenet", 200, 64, emulated, limit=1e-3)
    assert report.agrees, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["resnet50", "googlenet"])
def test_large_nets_agree_on_small_images(net):
    model = dataclasses.replace(find_model(net), shape=(3, 64, 64))
    found, expected = (train_on(make(), model, 3, 4) for make in (emulated, NumpyBackend))
    assert found.losses == pytest.approx(expected.losses, rel=1e-5)


@pytest.mark.parametrize("net", ["lenet", "mlp"])
def test_a_captured_step_does_the_same_bits_as_one_that_is_not(net):
    model = find_model(net)
    captured, plain = (train_on(emulated(captures=captures), model, 8, 8) for captures in (True, False))
    assert same(captured, plain)


def test_chains_change_no_number_beyond_rounding():
    model = find_model("lenet")
    with_chains, without = (train_on(emulated(chains=chains), model, 4, 8) for chains in (True, False))
    assert with_chains.losses == pytest.approx(without.losses, rel=1e-6)


def test_threads_backwards_give_the_same_bits():
    model = find_model("lenet")
    forwards, backwards = (train_on(emulated(backwards=backwards), model, 4, 8) for backwards in (False, True))
    assert same(forwards, backwards)


@pytest.mark.parametrize(("precision", "limit"), [("tf32", 1e-5), ("bfloat16", 0.15), ("float16", 0.15)])
def test_each_precision_trains(precision, limit):
    # the emulated device multiplies in float32: it rounds only what lies in 16 bits
    report = compare_training("lenet", 15, 16, lambda: emulated(Numerics(precision)), limit)
    assert report.agrees, str(report)
    assert report.found.losses[-1] < report.found.losses[0]
    assert all(values.dtype == np.float32 for values in report.found.parameters.values())


@pytest.mark.parametrize(("precision", "limit"), [("bfloat16", 0.03), ("float16", 4e-3)])
def test_gradients_in_16_bits_are_near(precision, limit):
    found = []
    for make in (NumpyBackend, lambda: emulated(Numerics(precision))):
        with make() as backend, Net("near", backend, net_layers(), seed=1) as net:
            net.forward()
            net.backward()
            found.append({p.key: net.gradients[p.key] for p in net.parameters})
    for key, expected in found[0].items():
        assert np.abs(found[1][key] - expected).max() < limit * np.abs(expected).max(), key


def test_bad_labels_in_a_training_are_told_some_steps_later():
    layers = net_layers()
    points, labels = np.ones((40, 6), np.float32), np.zeros(40, np.float32)
    labels[11] = 7
    layers[0] = MemoryDataLayer(data=[points, labels], batch_size=8)
    with emulated() as backend, Net("bad", backend, layers, seed=1) as net:
        method = SGD()
        solver = Solver(method, make_solver_parameters(method, max_iter=30))
        with pytest.raises(MochaError, match=r"layer 'loss': softmax_loss_.* refused its data"):
            solver.solve(net)


def test_small_gradients_survive_in_float16_by_the_factor():
    # a loss weight of 1e-7 makes gradients that are 0 in float16, but not after multiplying by 2^24
    rows = {}
    for factor in (1.0, 2.0**24):
        with emulated(Numerics("float16", factor=factor)) as backend:
            layers = net_layers()
            layers[-1] = SoftmaxLossLayer(name="loss", weight=1e-7, bottoms=["scores", "label"])
            with Net("small", backend, layers, seed=1) as net:
                net.forward()
                net.backward()
                rows[factor] = net.gradients["hidden___weight"]
    assert not rows[1.0].any()
    assert np.abs(rows[2.0**24]).max() > 1e-9


def net_layers(batch=8, examples=40, **data):
    rng = np.random.default_rng(0)
    points, labels = rng.standard_normal((examples, 6), np.float32), rng.integers(0, 3, examples).astype(np.float32)
    return [
        MemoryDataLayer(data=[points, labels], batch_size=batch, **data),
        InnerProductLayer(name="hidden", output_dim=7, neuron=Neurons.ReLU(), bottoms=["data"], tops=["hidden"]),
        InnerProductLayer(name="scores", output_dim=3, bottoms=["hidden"], tops=["scores"]),
        SoftmaxLossLayer(name="loss", bottoms=["scores", "label"]),
    ]


def test_a_net_by_hand_reads_and_writes_as_on_the_reference():
    found = {}
    for make in (emulated, NumpyBackend):
        with make() as backend, Net("by hand", backend, net_layers(), seed=3) as net:
            losses = [net.forward(), net.forward()]
            net.backward()
            values = {name: net.blobs[name] for name in ("data", "label", "hidden", "scores")}
            values |= {f"d {key}": net.gradients[key] for key in ("hidden___weight", "scores___bias", "hidden")}
            losses.append(net.forward(phase="test"))
            found[backend.name] = losses, values
    losses, values = found["cuda"]
    assert losses == pytest.approx(found["numpy"][0], rel=1e-6)
    for name, array in found["numpy"][1].items():
        np.testing.assert_allclose(values[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_reading_before_running_is_an_error():
    with emulated() as backend, Net("early", backend, net_layers(), seed=3) as net:
        with pytest.raises((StateError, MochaError)):
            net.backward()
        net.init()
        net.forward()
        assert net.blobs["scores"].shape == (8, 3)


def test_inputs_of_another_shape_are_refused():
    feeds = {"data": np.zeros((3, 6), np.float32), "label": np.zeros(8, np.float32)}
    with (
        emulated() as backend,
        Net("shape", backend, net_layers(), seed=3) as net,
        pytest.raises(ShapeError, match="expected float32 of shape"),
    ):
        net.forward(feeds=feeds)


def test_what_the_host_changes_after_a_run_does_not_reach_it():
    """The device works late; a batch is copied before `run` returns."""
    with emulated() as backend, Net("late", backend, net_layers(), seed=3) as net:
        net.init()
        feeds = {"data": np.ones((8, 6), np.float32), "label": np.zeros(8, np.float32)}
        expected = net.forward(feeds=feeds)
        executable = net._by_hand(Phase.TRAIN)
        later = {name: array.copy() for name, array in feeds.items()}
        executable.run(Section.FORWARD, feeds=later)
        later["data"][...] = np.nan
        assert float(executable.read(executable.program.losses["loss"])) == pytest.approx(expected)


def test_many_batches_in_flight_are_kept_apart():
    """Nothing is read under way, so that the device may be several steps behind."""
    model = find_model("lenet")
    data, labels = learnable(model, 32)
    ends = []
    for make in (emulated, NumpyBackend):
        with make() as backend, Net("flight", backend, model.training(data, labels, 4), seed=2) as net:
            method = SGD()
            params = make_solver_parameters(method, max_iter=10, lr_policy=mocha.LRPolicy.Fixed(0.01))
            Solver(method, params).solve(net)
            ends.append({p.key: backend.store.read(p.key) for p in net.parameters})
    for key, values in ends[1].items():
        np.testing.assert_allclose(ends[0][key], values, rtol=2e-4, atol=1e-6, err_msg=key)


def test_a_training_resumed_from_a_snapshot_is_the_one_never_interrupted(tmp_path):
    def train(folder, stops):
        for stop in stops:
            with emulated() as backend, Net("resumed", backend, net_layers(shuffle=True), seed=5) as net:
                method = Nesterov()
                params = make_solver_parameters(method, max_iter=stop, load_from=str(folder))
                solver = Solver(method, params)
                solver.add_coffee_break(mocha.Snapshot(str(folder)), every_n_iter=5)
                solver.solve(net)
                end = {p.key: backend.store.read(p.key) for p in net.parameters}
        return end

    interrupted, whole = train(tmp_path / "a", (5, 12)), train(tmp_path / "b", (12,))
    for key, values in whole.items():
        assert np.array_equal(interrupted[key], values), key


def test_out_of_memory_says_what_was_asked_for():
    with (
        pytest.raises(OutOfMemory, match=r"net 'large' needs .* of layer .*MiB of memory left; .* Use a smaller batch"),
        emulated(memory=4 << 10) as backend,
        Net("large", backend, net_layers(batch=40), seed=1) as net,
    ):
        net.forward()


def test_memory_is_given_back():
    backend = emulated()
    for _ in range(3):
        with Net("again", backend, net_layers(), seed=1) as net:
            net.forward()
            net.backward()
    import gc

    gc.collect()
    held = len(backend.device._arrays)
    with Net("again", backend, net_layers(), seed=1) as net:
        net.forward()
    del net
    gc.collect()
    assert len(backend.device._arrays) <= held + 1
    backend.shutdown()
    assert not backend.device._arrays


def test_the_profile_times_each_step():
    with emulated() as backend, Net("profile", backend, net_layers(), seed=1) as net:
        net.forward()
        executable = net._by_hand(Phase.TRAIN)
        feeds = {"data": np.zeros((8, 6), np.float32), "label": np.zeros(8, np.float32)}
        times = executable.profile(Section.FORWARD, Section.BACKWARD, feeds=feeds)
        assert {node.layer for node, _ in times} >= {"hidden", "scores", "loss"}
        assert all(seconds >= 0 for _, seconds in times)


class Doubled(mocha.ops.Op):
    """A user's op in array code."""

    def infer(self, x):
        return x

    def forward(self, x):
        return np.add(x, x)

    def backward(self, grads, inputs, outputs, wanted):
        return 2 * grads[0]


def test_a_users_op_runs_in_array_code_between_graphs():
    class Layer(mocha.Layer):
        name: str = "doubled"

        def lower(self, g, bottoms, params):
            return [g(Doubled(), bottoms[0])]

    ends = []
    for make in (emulated, NumpyBackend):
        layers = net_layers()
        layers.insert(2, Layer(bottoms=["hidden"], tops=["twice"]))
        layers[3] = InnerProductLayer(name="scores", output_dim=3, bottoms=["twice"], tops=["scores"])
        with make() as backend, Net("own", backend, layers, seed=1) as net:
            method = SGD()
            params = make_solver_parameters(method, max_iter=6, lr_policy=mocha.LRPolicy.Fixed(0.1))
            Solver(method, params).solve(net)
            ends.append(backend.store.read("scores___weight"))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5, atol=1e-6)
    assert ArrayStep.captured is False


class Wrong(mocha.ops.Op):
    """It gives something else than it says."""

    def __init__(self, result):
        self.result = result

    def infer(self, x):
        return x

    def forward(self, x):
        return self.result(x)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x[:1], "gave 1x3 float32; its shape rule promised 2x3 float32"),
        (lambda x: x.astype(np.float64), "gave 2x3 float64; its shape rule promised"),
        (lambda x: (x, x), "gave 2x3 float32, 2x3 float32; its"),
        (lambda x: None, "gave scalar object; its"),
    ],
)
def test_a_users_op_that_breaks_its_promise(result, message):
    for make in (emulated, NumpyBackend):
        g = Graph()
        with g.within("own"):
            g.blobs["out"] = g(Wrong(result), g.input("x", mocha.ops.Spec((2, 3), np.dtype(np.float32))))
        with make() as backend:
            executable = backend.compile(build_program("p", g, {}, keep=["out"], **backend.wishes))
            with pytest.raises(ShapeError, match=message):
                executable.profile(Section.FORWARD, feeds={"x": np.ones((2, 3), np.float32)})


class Moody(mocha.ops.Op):
    """It fails at first."""

    fails = True

    def infer(self, x):
        return x

    def forward(self, x):
        if self.fails:
            raise ValueError("not now")
        return x + 1


class Prompt(EmulatedDevice):
    """Array code is done at once, as CuPy hands it over at once."""

    def call(self, action):
        self.synchronize()
        action()


def test_going_on_after_a_users_op_failed():
    """What comes behind it has never run: it must not be part of a graph before it has."""
    backend = CudaBackend(Prompt(), numerics=Numerics("float32", deterministic=True))
    g, moody = Graph(), Moody()
    with g.within("own"):
        y = g(moody, g.input("x", mocha.ops.Spec((2, 3), np.dtype(np.float32))))
        for _ in range(6):  # more numbers than lie in a kernel's arguments
            y = g(mocha.ops.Power(1.0, 1.0, 0.5), y)
        g.blobs["out"] = y
    executable = backend.compile(build_program("p", g, {}, keep=["out"], **backend.wishes))
    feeds = {"x": np.ones((2, 3), np.float32)}
    for _ in range(4):
        with pytest.raises(MochaError, match="not now"):
            executable.run(Section.FORWARD, feeds=feeds)
    moody.fails = False
    for _ in range(8):
        executable.run(Section.FORWARD, feeds=feeds)
        assert (executable.blob("out") == 5).all()


def test_wrong_labels_are_told_of_once():
    with emulated() as backend, Net("labels", backend, net_layers(), seed=1) as net:
        feeds = {"data": np.ones((8, 6), np.float32), "label": np.zeros(8, np.float32)}
        expected = net.forward(feeds=feeds)
        with pytest.raises(MochaError, match="refused its data"):
            net.forward(feeds={**feeds, "label": np.full(8, 99, np.float32)})
        assert [net.forward(feeds=feeds) for _ in range(8)] == [expected] * 8


def test_sections_in_any_order_read_the_inputs_of_their_forward():
    """Backward, update, forward and backward of the next batch in one run."""
    ends = []
    for make in (emulated, NumpyBackend):
        g = Graph()
        spec = mocha.ops.Spec((3,), np.dtype(np.float32))
        x, state = g.input("x", spec), g.state("sum", spec)
        with g.within("all", Section.BACKWARD):
            y = g(mocha.ops.Scale(2.0), x)
        with g.within("all", Section.UPDATE):
            g(mocha.ops.MovingAverage(1.0), state, y)
        with make() as backend:
            backend.store.allocate("sum", np.zeros(3, np.float32))
            executable = backend.compile(build_program("p", g, {}, keep=None, **backend.wishes))
            executable.run(Section.FORWARD, feeds={"x": np.full(3, 1, np.float32)})
            order = (Section.BACKWARD, Section.UPDATE, Section.FORWARD, Section.BACKWARD)
            for number in (10, 100, 1000, 10000):
                executable.run(*order, feeds={"x": np.full(3, number, np.float32)})
            ends.append(backend.store.read("sum").tolist())
    assert ends[0] == ends[1] == [2222.0] * 3


def test_closing_a_net_after_its_backend():
    backend = emulated()
    net = Net("late", backend, net_layers(), seed=1)
    net.forward()
    backend.shutdown()
    with pytest.raises(StateError, match="given back"):
        net.blobs["scores"]
    net.close()
    net.close()
    backend.shutdown()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float8"}, "there is no precision 'float8'"),
        ({"precision": "bf16"}, "there is no precision 'bf16'"),
        ({"factor": 3.0}, "received the factor 3.0; expected a power of two"),
        ({"factor": 0.0}, "expected a power of two"),
    ],
)
def test_numerics_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        Numerics(**options)


def test_the_environment_chooses_numerics(monkeypatch):
    monkeypatch.setenv("MOCHA_CUDA_PRECISION", "bfloat16")
    monkeypatch.setenv("MOCHA_CUDA_DETERMINISTIC", "1")
    backend = emulated(None)
    assert backend.numerics == Numerics("bfloat16", deterministic=True)
    monkeypatch.setenv("MOCHA_CUDA_DETERMINISTIC", "yes")
    with pytest.raises(ConfigError, match="MOCHA_CUDA_DETERMINISTIC is 'yes'; expected 0 or 1"):
        emulated(None)


PROTOTXT = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" }
layer { name: "scale" type: "Scale" bottom: "norm" top: "norm" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "norm" top: "norm" }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_pycaffes_face_is_the_same(tmp_path, monkeypatch):
    """Blobs and parameters are NumPy arrays that are written and read, wherever the net runs."""
    import mocha.caffe as caffe
    from mocha.caffe import mode

    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    found = []
    for make in (emulated, NumpyBackend):
        monkeypatch.setattr(mode, "new_backend", make)
        for module in [m for m in __import__("sys").modules.values() if getattr(m, "new_backend", None) is not None]:
            monkeypatch.setattr(module, "new_backend", make)
        net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
        rng = np.random.default_rng(0)
        held = net.params["conv"][0].data
        net.params["conv"][0].data[...] = rng.standard_normal((5, 3, 3, 3))
        net.blobs["data"].data[...] = rng.standard_normal((4, 3, 6, 6))
        net.blobs["label"].data[...] = [0, 1, 2, 1]
        seen = [net.forward()["loss"].copy()]
        net.backward()
        seen += [net.blobs["conv"].diff.copy(), net.params["conv"][0].diff.copy(), net.params["norm"][0].data.copy()]
        held += 1  # an array held from before
        seen += [net.forward()["loss"].copy(), held.copy()]
        found.append(seen)
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-5)


def residual_net():
    """Convolutions with batch normalisation, scale, a sum of two ways, and ReLU."""
    rng = np.random.default_rng(4)
    images = rng.standard_normal((24, 3, 9, 9), np.float32)
    labels = rng.integers(0, 4, 24).astype(np.float32)

    def conv_norm(name, bottom, neuron=None):
        return [
            mocha.ConvolutionLayer(
                name=name, n_filter=8, kernel=3, pad=1, bias_term=False, bottoms=[bottom], tops=[name]
            ),
            mocha.BatchNormLayer(name=f"{name}/norm", bottoms=[name], tops=[f"{name}/norm"]),
            mocha.ScaleLayer(
                name=f"{name}/scale", bottoms=[f"{name}/norm"], tops=[f"{name}/scale"],
                **({"neuron": neuron} if neuron else {}),
            ),
        ]  # fmt: skip

    return [
        MemoryDataLayer(data=[images, labels], batch_size=8),
        *conv_norm("a", "data", Neurons.ReLU()),
        *conv_norm("b", "a/scale"),
        mocha.ElementWiseLayer(
            name="sum", operation=mocha.ElementWiseFunctors.Add(), neuron=Neurons.ReLU(),
            bottoms=["a/scale", "b/scale"], tops=["sum"],
        ),
        InnerProductLayer(name="scores", output_dim=4, bottoms=["sum"], tops=["scores"]),
        SoftmaxLossLayer(name="loss", bottoms=["scores", "label"]),
    ]  # fmt: skip


def train_residual(backend, steps=6):
    losses = []
    with backend, Net("residual", backend, residual_net(), seed=7) as net:
        method = SGD()
        solver = Solver(method, make_solver_parameters(method, max_iter=steps, lr_policy=mocha.LRPolicy.Fixed(0.02)))
        state = solver.init_solve(net)
        ops = {type(node.op).__name__ for node in solver._executable(net).program.nodes}
        for _ in range(steps):
            solver.step(net, state)
            losses.append(state.obj_val)
        solver.finalize_solve(net, state)
        return losses, backend.store.read("a/norm___variance"), net.forward(phase="test"), ops


@pytest.mark.parametrize(
    ("precision", "limit"), [("float32", 1e-5), ("tf32", 1e-5), ("bfloat16", 0.05), ("float16", 0.01)]
)
def test_a_residual_net_trains_in_each_precision(precision, limit):
    losses, variance, last, ops = train_residual(emulated(Numerics(precision)))
    expected = train_residual(NumpyBackend())
    assert losses == pytest.approx(expected[0], rel=limit)
    assert variance == pytest.approx(expected[1], rel=limit)
    assert last == pytest.approx(expected[2], rel=limit)
    assert "BatchNormUnit" in ops
    assert "BatchNormTrain" not in ops
    assert losses[-1] < losses[0]


def test_a_damaged_file_of_the_cache_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("MOCHA_CACHE", str(tmp_path))
    source = '#include "map.cuh"\ntemplate <class R>\n__device__ void nothing(const Step&) {}\n'
    source += "MOCHA_ENTRY(nothing, f32, float)\n"
    path = compile_emulated(source, "generated", "f32")
    path.write_bytes(b"garbage")
    assert EmulatedDevice().generated(source, "nothing_f32") is not None


def test_a_cache_folder_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOCHA_CACHE", str(tmp_path / "file"))
    with pytest.raises(MochaError, match=r"cannot be written to .* Set MOCHA_CACHE"):
        compile_emulated("", "generated", "f32")


def test_backends_of_several_threads():
    ends = []

    def train():
        with emulated() as backend, Net("thread", backend, net_layers(), seed=1) as net:
            method = SGD()
            Solver(method, make_solver_parameters(method, max_iter=10, lr_policy=mocha.LRPolicy.Fixed(0.1))).solve(net)
            ends.append(backend.store.read("scores___weight"))

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 3
    assert all(np.array_equal(end, ends[0]) for end in ends)
