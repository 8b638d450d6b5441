import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.graph import Graph, Section, build_program, derive_gradients, fuse_units
from mocha.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    ElementWiseLayer,
    InnerProductLayer,
    MemoryDataLayer,
    Neurons,
    Pooling,
    PoolingLayer,
    ScaleLayer,
    SoftmaxLossLayer,
)
from mocha.net import Net
from mocha.ops import (
    Add,
    AddBias,
    BatchNormTest,
    BatchNormTrain,
    BatchNormUnit,
    LeakyReLU,
    MovingAverage,
    ReduceSum,
    ReLU,
    Scale,
    ScaleChannels,
    Spec,
    Subtract,
    Sum,
    Tanh,
)
from mocha.solvers import SGD, MomPolicy, Solver, make_solver_parameters

F32 = np.dtype(np.float32)


def spec(*shape):
    return Spec(shape, F32)


def names(g):
    return [node.op.name for node in g.nodes]


def check_order(g):
    """Each node reads what earlier ones made; producers are right; no name stands for what nobody makes."""
    made = set()
    for node in g.nodes:
        assert all(v.producer is None or v in made for v in node.inputs), node
        assert all(v.producer is node for v in node.outputs), node
        made.update(node.outputs)
    assert all(v.producer is None or v in made for v in g.blobs.values())


def normalised(g, x, name="n", axis=1):
    """A blob normalised, scaled and shifted; and the op's outputs."""
    channels = x.shape[1]
    with g.within(name):
        y, mean, var = g.apply(BatchNormTrain(0.1), x)
        g.blobs[name] = y
        s = g.blobs[f"{name} scaled"] = g(ScaleChannels(axis), y, g.parameter(f"{name} scale", spec(channels)))
        return g(AddBias(axis), s, g.parameter(f"{name} shift", spec(channels))), mean, var


def data(g, name="x", shape=(4, 3, 2, 2)):
    return g.input(name, spec(*shape))


# -- what is joined


def test_normalisation_scale_and_shift():
    g = Graph()
    x = data(g)
    g.blobs["y"], mean, var = normalised(g, x)
    y = g.blobs["y"]
    fuse_units(g, ["y"])
    (unit,) = g.nodes
    assert unit.op == BatchNormUnit(0.1)
    assert unit.inputs == (x, g.parameter("n scale", spec(3)), g.parameter("n shift", spec(3)))
    assert unit.outputs == (y, mean, var)
    assert g.blobs == {"x": x, "y": y}
    check_order(g)


def test_with_a_relu():
    g = Graph()
    z = normalised(g, data(g))[0]
    with g.within("activation"):
        g.blobs["y"] = g(ReLU(), z)
    fuse_units(g, ["y"])
    (unit,) = g.nodes
    assert unit.op == BatchNormUnit(0.1, relu=True)
    assert unit.layer == "activation"
    assert unit.outputs[0] is g.blobs["y"]


@pytest.mark.parametrize("op", [Add(), Sum()], ids=str)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("relu", [False, True])
def test_with_another_blob_on_either_side(op, side, relu):
    g = Graph()
    other = data(g, "other")
    z = normalised(g, data(g))[0]
    y = g(op, *((other, z) if side else (z, other)))
    g.blobs["y"] = g(ReLU(), y) if relu else y
    fuse_units(g, [])
    (unit,) = g.nodes
    assert unit.op == BatchNormUnit(0.1, relu=relu, residual=True)
    assert unit.inputs[3] is other
    check_order(g)


def test_a_matrix_whose_channels_are_its_last_axis():
    g = Graph()
    g.blobs["y"] = normalised(g, data(g, shape=(4, 3)), axis=-1)[0]
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit"]


def test_where_two_meet_the_later_one_takes_the_sum():
    g = Graph()
    a, b = normalised(g, data(g), "a")[0], normalised(g, data(g, "x2"), "b")[0]
    g.blobs["y"] = g(ReLU(), g(Add(), b, a))
    fuse_units(g, [])
    assert [node.op for node in g.nodes] == [BatchNormUnit(0.1), BatchNormUnit(0.1, relu=True, residual=True)]
    assert g.nodes[1].inputs[3] is g.nodes[0].outputs[0] is a
    check_order(g)


def test_the_unit_stands_where_its_last_op_stood():
    g = Graph()
    z = normalised(g, data(g))[0]
    other = g(Tanh(), data(g, "other"))
    scale = g(Scale(2.0), data(g, "shift", (3,)))
    g.blobs["y"] = g(Add(), other, g(AddBias(), g(ScaleChannels(), g(BatchNormTrain(), z), scale), scale))
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit", "Tanh", "Scale", "BatchNormUnit"]
    check_order(g)


def test_who_reads_the_statistics_waits():
    g = Graph()
    sums = g.state("sum of means", spec(3))
    y, mean, var = g.apply(BatchNormTrain(), data(g))
    moved = g(MovingAverage(0.9), sums, mean)
    seen = g.blobs["seen"] = g(Tanh(), g(Scale(2.0), var))
    z = g(AddBias(), g(ScaleChannels(), y, g.parameter("s", spec(3))), g.parameter("b", spec(3)))
    other = g(Tanh(), data(g, "other"))
    g.blobs["y"] = g(ReLU(), g(Add(), z, other))
    fuse_units(g, ["seen", "y"])
    assert names(g) == ["Tanh", "BatchNormUnit", "MovingAverage", "Scale", "Tanh"]
    assert g.nodes[2].outputs[0] is moved
    assert g.nodes[4].outputs[0] is seen
    check_order(g)


def test_shared_running_statistics_are_moved_in_their_order():
    """The first to move them waits for its unit, which stands behind the second one's: so that waits, too."""
    g = Graph()
    sums = g.state("sum", spec(3))
    y, mean, _ = g.apply(BatchNormTrain(), data(g))
    g(MovingAverage(0.5), sums, mean)
    g.blobs["b"], mean, _ = normalised(g, data(g, "x2"), "b")
    g(MovingAverage(0.25), sums, mean)
    g.blobs["a"] = g(AddBias(), g(ScaleChannels(), y, g.parameter("s", spec(3))), g.parameter("b", spec(3)))
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit", "BatchNormUnit", "MovingAverage", "MovingAverage"]
    assert [node.outputs[0] for node in g.nodes[:2]] == [g.blobs["b"], g.blobs["a"]]
    assert [n.op.fraction for n in g.nodes if isinstance(n.op, MovingAverage)] == [0.5, 0.25]
    check_order(g)


def test_a_blob_changed_in_place_keeps_its_name():
    g = Graph()
    z = g.blobs["h"] = normalised(g, data(g))[0]
    y = g.blobs["h"] = g(ReLU(), z)
    g.blobs["end"] = g(Tanh(), y)
    fuse_units(g, ["h"])
    assert names(g) == ["BatchNormUnit", "Tanh"]
    assert g.blobs["h"] is y is g.nodes[0].outputs[0]
    assert set(g.blobs) == {"x", "h", "end"}


# -- what is not


def test_a_program_by_hand_is_left_as_it_is():
    g = Graph()
    g.blobs["y"] = g(ReLU(), normalised(g, data(g))[0])
    before = names(g)
    fuse_units(g, None)
    assert names(g) == before
    assert set(g.blobs) == {"x", "n", "n scaled", "y"}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("n", ["BatchNormTrain", "ScaleChannels", "AddBias", "Add", "ReLU"]),
        ("n scaled", ["BatchNormTrain", "ScaleChannels", "AddBias", "Add", "ReLU"]),
        ("shifted", ["BatchNormUnit", "Add", "ReLU"]),
        ("sum", ["BatchNormUnit", "ReLU"]),
        ("y", ["BatchNormUnit"]),
        ("no blob", ["BatchNormUnit"]),
    ],
)
@pytest.mark.parametrize("how", ["blob", "loss", "statistic", "output", "reader"])
def test_what_somebody_reads_is_not_swallowed(keep, expected, how):
    g = Graph()
    g.blobs["shifted"] = normalised(g, data(g))[0]
    g.blobs["sum"] = g(Add(), g.blobs["shifted"], data(g, "other"))
    g.blobs["y"] = g(ReLU(), g.blobs["sum"])
    value = g.blobs.get(keep)
    if how != "blob" and value is None:
        return
    if how == "loss":
        g.objective("loss", value)
    elif how == "statistic":
        g.report("statistic", value, count=1)
    elif how == "output":
        g.output("output", [value])
    elif how == "reader":
        g(Tanh(), value)
        expected = [*expected, "Tanh"]
    fuse_units(g, [keep] if how == "blob" else [])
    assert names(g) == expected
    check_order(g)


def test_twice_the_same_blob_is_no_other_blob():
    g = Graph()
    z = normalised(g, data(g))[0]
    g.blobs["y"] = g(Add(), z, z)
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit", "Add"]


@pytest.mark.parametrize("op", [LeakyReLU(0.1), ReLU(0.5), Tanh()], ids=str)
def test_other_activations_stay(op):
    g = Graph()
    g.blobs["y"] = g(op, normalised(g, data(g))[0])
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit", op.name]


def test_other_sums_stay():
    for op, others in ((Subtract(), 1), (Sum(), 2), (Sum(), 0)):
        g = Graph()
        z = normalised(g, data(g))[0]
        g.blobs["y"] = g(op, z, *(data(g, f"x{i}") for i in range(others)))
        fuse_units(g, [])
        assert names(g) == ["BatchNormUnit", op.name]


def test_each_of_the_first_three_must_be_there():
    g = Graph()
    x, s, b = data(g), g.parameter("s", spec(3)), g.parameter("b", spec(3))
    g.blobs["a"] = g(ReLU(), g(ScaleChannels(), g(BatchNormTrain(), x), s))
    g.blobs["b"] = g(ReLU(), g(AddBias(), g(BatchNormTrain(), x), b))
    g.blobs["c"] = g(AddBias(), g(ScaleChannels(), g(BatchNormTest(), x, s, b), s), b)
    g.blobs["d"] = g(ScaleChannels(), g(AddBias(), g(BatchNormTrain(), x), b), s)
    before = names(g)
    fuse_units(g, [])
    assert names(g) == before


def test_other_axes_than_the_channels_stay():
    g = Graph()
    x = data(g, shape=(4, 3, 3))
    s, b = g.parameter("s", spec(3)), g.parameter("b", spec(3))
    g.blobs["y"] = g(AddBias(1), g(ScaleChannels(2), g(BatchNormTrain(), x), s), b)
    g.blobs["z"] = g(AddBias(-1), g(ScaleChannels(1), g(BatchNormTrain(), x), s), b)
    before = names(g)
    fuse_units(g, [])
    assert names(g) == before


def test_another_blob_made_of_the_statistics_stays_apart():
    g = Graph()
    z, mean, _ = normalised(g, data(g))
    other = g(AddBias(), data(g, "other"), mean)
    g.blobs["y"] = g(ReLU(), g(Add(), z, other))
    fuse_units(g, [])
    assert names(g) == ["BatchNormUnit", "AddBias", "Add", "ReLU"]
    check_order(g)


def test_a_scale_that_the_statistics_move_is_not_read_too_late():
    g = Graph()
    s, b = g.parameter("s", spec(3)), g.parameter("b", spec(3))
    y, mean, _ = g.apply(BatchNormTrain(), data(g))
    y = g(ScaleChannels(), y, s)
    g(MovingAverage(0.5), s, mean)
    g.blobs["y"] = g(AddBias(), y, b)
    before = names(g)
    fuse_units(g, [])
    assert names(g) == before


# -- what comes of it


def _graph():
    """Two ways that meet, with everything that a unit can have."""
    g = Graph()
    x = data(g, shape=(6, 4))
    a = g(ReLU(), normalised(g, x, "a")[0])
    b = normalised(g, g(Scale(0.5), x), "b")[0]
    y = g.blobs["y"] = g(ReLU(), g(Sum(), normalised(g, a, "c")[0], b))
    g.losses["loss"] = g(ReduceSum(), g(Tanh(), g(Add(), y, x)))
    return g


def test_gradients_are_those_of_the_ops_one_by_one():
    found = []
    rng = np.random.default_rng(0)
    keys = [f"{name} {what}" for name in "abc" for what in ("scale", "shift")]
    arrays = {key: rng.standard_normal(4).astype(np.float32) for key in keys}
    feeds = {"x": rng.standard_normal((6, 4)).astype(np.float32)}
    for keep in (None, ["x", "y"]):
        g = _graph()
        fuse_units(g, keep)
        wrt = [g.blobs["x"], *(g.parameter(key, spec(4)) for key in keys)]
        gradients = {v.name: d for v, d in derive_gradients(g, {g.losses["loss"]: 1.0}, wrt).items() if v in wrt}
        with NumpyBackend() as backend:
            for key, array in arrays.items():
                backend.store.allocate(key, array)
            program = build_program("p", g, gradients, keep=["x", "y", *keys])
            assert sum(isinstance(node.op, BatchNormUnit) for node in program.nodes) == (3 if keep else 0)
            executable = backend.compile(program)
            executable.run(*Section, feeds=feeds)
            found.append({"y": executable.blob("y"), **{key: executable.gradient(key) for key in gradients}})
    assert len(found[0]) == 8
    for key, array in found[0].items():
        np.testing.assert_allclose(found[1][key], array, rtol=2e-5, atol=2e-6)


class _Fusing(NumpyBackend):
    """The reference, as a backend that has kernels for units."""

    fuses_units = True


def _convolution(name, bottom, filters, stride=1, neuron=None, kernel=3):
    return [
        ConvolutionLayer(name=name, n_filter=filters, kernel=kernel, pad=kernel // 2, stride=stride, bias_term=False,
                         bottoms=[bottom], tops=[name]),
        BatchNormLayer(name=f"{name}_norm", bottoms=[name], tops=[f"{name}_norm"]),
        ScaleLayer(name=f"{name}_scale", neuron=neuron or Neurons.Identity(), bottoms=[f"{name}_norm"],
                   tops=[f"{name}_scale"]),
    ]  # fmt: skip


def _residual_net():
    """A stem, a block with a projection, a block without."""
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((32, 3, 8, 8)), rng.integers(0, 4, 32)
    relu = Neurons.ReLU()
    return [
        MemoryDataLayer(name="data", data=[images, labels], tops=["data", "label"], batch_size=8),
        *_convolution("stem", "data", 8, neuron=relu),
        *_convolution("one", "stem_scale", 8, stride=2, neuron=relu),
        *_convolution("two", "one_scale", 16),
        *_convolution("past", "stem_scale", 16, stride=2, kernel=1),
        ElementWiseLayer(name="block1", neuron=relu, bottoms=["two_scale", "past_scale"], tops=["block1"]),
        *_convolution("three", "block1", 16),
        ElementWiseLayer(name="block2", neuron=relu, bottoms=["block1", "three_scale"], tops=["block2"]),
        PoolingLayer(name="pool", global_pooling=True, pooling=Pooling.Mean(), bottoms=["block2"], tops=["pool"]),
        InnerProductLayer(name="fc", output_dim=4, bottoms=["pool"], tops=["fc"]),
        SoftmaxLossLayer(name="loss", bottoms=["fc", "label"]),
    ]


def _trained(kind, *, frozen=()):
    with kind() as backend, Net("residual", backend, _residual_net(), seed=1) as net:
        net.freeze(*frozen)
        solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=5, mom_policy=MomPolicy.Fixed(0.9)))
        state = solver.init_solve(net)
        while state.iteration < 5:
            solver.step(net, state)
        ops = [node.op.name for node in state.executable.program.nodes]
        parameters = {p.key: net.backend.store.read(p.key) for p in net.parameters}
        solver.finalize_solve(net, state)
        return ops, parameters


@pytest.mark.parametrize("frozen", [(), ("stem_scale", "two")], ids=["all learn", "some are frozen"])
def test_a_residual_net_trains_to_the_same_parameters(frozen):
    plain_ops, plain = _trained(NumpyBackend, frozen=frozen)
    ops, parameters = _trained(_Fusing, frozen=frozen)
    assert plain_ops.count("BatchNormTrain") == ops.count("BatchNormUnit") == ops.count("dBatchNormUnit") == 5
    assert not {"BatchNormTrain", "ScaleChannels", "AddBias", "Add", "ReLU"}.intersection(ops)
    for key, array in plain.items():
        np.testing.assert_allclose(parameters[key], array, rtol=1e-9, atol=1e-11, err_msg=key)


def test_what_a_break_asks_for_is_kept():
    with _Fusing() as backend, Net("residual", backend, _residual_net(), seed=1) as net:
        from mocha.solvers.program import training_program

        params = make_solver_parameters(SGD(), max_iter=1)
        program = training_program(net, SGD(), params, ["two_norm", "block2"], "p/")
        assert set(program.blobs) == {"two_norm", "block2"}
        assert [node.op.name for node in program.nodes].count("BatchNormUnit") == 4
        assert not any(isinstance(node.op, BatchNormUnit) for node in net.program.nodes)
