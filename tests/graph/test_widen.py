import numpy as np
import pytest

from mocha.graph import Graph, build_program, derive_gradients
from mocha.ops import (
    AddBias,
    Convolution,
    Deconvolution,
    MaxPooling,
    MeanPooling,
    ReduceSum,
    ReLU,
    Reorder,
    Reshape,
    Spec,
    StochasticPooling,
    StochasticPoolingMean,
    Tanh,
    WinnerPlaces,
)


def spec(*shape):
    return Spec(shape, np.dtype(np.float32))


def row(stride=1, pad=0):
    return Convolution((stride,), (pad,), (1,))


def built(g, **options):
    return build_program("p", g, {}, **({"keep": ["y"], "channels_last": True} | options))


def names(program):
    return [node.op.name for node in program.nodes]


def test_a_row_becomes_an_image_of_one_row():
    g = Graph()
    g.blobs["y"] = g(row(2, 1), g.input("x", spec(2, 3, 9)), g.parameter("w", spec(4, 3, 3)))
    program = built(g)
    assert names(program) == ["Reshape", "Reshape", "Reorder", "Convolution", "Reorder", "Reshape"]
    node = program.nodes[3]
    assert node.op == Convolution((1, 2), (0, 1), (1, 1))
    assert [v.shape for v in (*node.inputs, *node.outputs)] == [(2, 3, 1, 9), (4, 3, 1, 3), (2, 4, 1, 5)]
    assert program.nodes[-1].outputs == (g.blobs["y"],)


def test_not_where_the_backend_did_not_ask():
    g = Graph()
    g.blobs["y"] = g(row(), g.input("x", spec(2, 3, 9)), g.parameter("w", spec(4, 3, 3)))
    assert names(built(g, channels_last=False)) == ["Convolution"]


def test_between_two_nothing_is_turned():
    g = Graph()
    x, v, w = g.input("x", spec(2, 3, 9)), g.parameter("v", spec(4, 3, 3)), g.parameter("w", spec(4, 5, 3))
    y = g(ReLU(), g(AddBias(), g(row(), x, v), g.parameter("b", spec(4))))
    g.blobs["y"] = g(Deconvolution((2,), (0,), (1,)), y, w)
    program = built(g)
    assert [node.op.name for node in program.nodes if not isinstance(node.op, Reshape)] == [
        "Reorder", "Convolution+AddBias+ReLU", "Deconvolution", "Reorder",
    ]  # fmt: skip


def test_gradients_keep_their_shapes():
    g = Graph()
    x, w = g.input("x", spec(2, 3, 9)), g.parameter("w", spec(4, 3, 3))
    g.blobs["y"] = g(Tanh(), g(row(), x, w))
    g.objective("loss", g(ReduceSum(), g.blobs["y"]))
    gradients = derive_gradients(g, dict.fromkeys(g.losses.values(), 1.0), [x, w])
    program = build_program("p", g, {v.name: gradients[v] for v in (x, w)}, keep=["x", "w"], channels_last=True)
    assert [program.gradients[name].shape for name in ("x", "w")] == [(2, 3, 9), (4, 3, 3)]
    (back,) = (node for node in program.nodes if node.op.name == "dConvolution")
    assert [v.shape for v in back.outputs] == [(2, 3, 1, 9), (4, 3, 1, 3)]
    # the input is turned once, for both ways; the gradients come back as they lie
    turned = [node for node in program.nodes if isinstance(node.op, Reorder)]
    assert sum(node.inputs[0].shape == (2, 3, 1, 9) and node.section.value == "forward" for node in turned) == 1


# -- poolings


@pytest.mark.parametrize(
    ("op", "numbers", "expected"),
    [
        (MaxPooling((3,), (2,), (1,), ceil=False), 0, MaxPooling((1, 3), (1, 2), (0, 1), ceil=False)),
        (MeanPooling((3,), (2,), (1,)), 0, MeanPooling((1, 3), (1, 2), (0, 1))),
        (StochasticPooling((3,), (2,), stream=4), 2, StochasticPooling((1, 3), (1, 2), stream=4)),
        (StochasticPoolingMean((3,), (2,)), 0, StochasticPoolingMean((1, 3), (1, 2))),
    ],
    ids=str,
)
def test_a_pooling_of_rows_is_one_of_images(op, numbers, expected):
    g = Graph()
    scalars = [g.scalar(name) for name in ("seed", "counter")[:numbers]]
    g.blobs["y"], *_ = g.apply(op, g.input("x", spec(2, 3, 9)), *scalars)
    nodes = [node for node in built(g).nodes if not isinstance(node.op, (Reshape, Reorder))]
    assert [node.op for node in nodes] == [expected]
    assert all(len(v.shape) == 4 for v in (nodes[0].inputs[0], *nodes[0].outputs))
    assert g.blobs["y"].shape == (2, 3, *nodes[0].outputs[0].shape[3:])


def test_winners_go_along_with_their_pooling():
    pooling = MaxPooling((3,), (2,), (1,))
    g = Graph()
    x = g.input("x", spec(2, 3, 9))
    y, winners = g.apply(pooling, x)
    g.blobs["y"] = g(WinnerPlaces(pooling), x, winners)
    g.objective("loss", g(ReduceSum(), y))
    gradients = derive_gradients(g, dict.fromkeys(g.losses.values(), 1.0), [x])
    program = build_program("p", g, {"x": gradients[x]}, keep=["x", "y"], channels_last=True)
    (places,) = (node for node in program.nodes if isinstance(node.op, WinnerPlaces))
    assert places.op.pooling == MaxPooling((1, 3), (1, 2), (0, 1))
    (forward,) = (node for node in program.nodes if isinstance(node.op, MaxPooling))
    assert places.inputs == (forward.inputs[0], forward.outputs[1])
    (back,) = (node for node in program.nodes if node.op.name == "dMaxPooling")
    assert back.inputs[0] is forward.outputs[1]
    assert program.gradients["x"].shape == (2, 3, 9)


def test_between_a_convolution_and_a_pooling_nothing_is_turned():
    g = Graph()
    y = g(row(), g.input("x", spec(2, 3, 9)), g.parameter("w", spec(4, 3, 3)))
    g.blobs["y"] = g.apply(MaxPooling((2,), (2,), (0,)), y)[0]
    assert [node.op.name for node in built(g).nodes if not isinstance(node.op, Reshape)] == [
        "Reorder", "Convolution", "MaxPooling", "Reorder",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (MaxPooling((2,), (2,), (0,)), (3, 8)),
        (MeanPooling((2,), (2,), (0,)), (2, 3, 4, 8)),
        (MaxPooling((2, 2), (2, 2)), (3, 8, 8)),
        (MaxPooling((2, 2, 2), (2, 2, 2), (0, 0, 0)), (1, 3, 4, 4, 4)),
    ],
    ids=str,
)
def test_a_pooling_of_other_axes_stays(op, shape):
    g = Graph()
    g.blobs["y"] = g.apply(op, g.input("x", spec(*shape)))[0]
    assert [node.op for node in built(g).nodes if not isinstance(node.op, Reorder)] == [op]
