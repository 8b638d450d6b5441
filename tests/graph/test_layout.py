import numpy as np

from mocha.graph import Graph, Layout, build_program, derive_gradients
from mocha.ops import (
    LRN,
    AddBias,
    BatchNormTest,
    BatchNormTrain,
    Convolution,
    InnerProduct,
    MaxPooling,
    ReduceSum,
    ReLU,
    Reorder,
    ScaleChannels,
    Softmax,
    Spec,
    Sum,
    Tanh,
)


def spec(*shape):
    return Spec(shape, np.dtype(np.float32))


def reorders(program):
    return [node for node in program.nodes if isinstance(node.op, Reorder)]


def built(g, keep=("y",), wrt=()):
    gradients = derive_gradients(g, dict.fromkeys(g.losses.values(), 1.0), wrt) if wrt else {}
    return build_program("p", g, {v.name: d for v, d in gradients.items()}, keep=list(keep), channels_last=True)


def small_net(channels=3):
    g = Graph()
    x = g.input("data", spec(2, channels, 8, 8))
    w = g.parameter("w", spec(4, channels, 3, 3))
    b = g.parameter("b", spec(4))
    v = g.parameter("v", spec(5, 36))
    y = g(ReLU(), g(MaxPooling((2, 2), (2, 2)), g(AddBias(), g(Convolution(), x, w), b)))
    g.blobs["pooled"] = y
    g.blobs["y"] = g(InnerProduct(), y, v)
    g.objective("loss", g(ReduceSum(), g.blobs["y"]))
    return g, [w, b, v]


def test_values_are_turned_only_at_the_edges():
    g, wrt = small_net()
    program = built(g, keep=("y", "w", "b", "v"), wrt=wrt)
    # the data once; the pooled blob for the flattening and, on the way back, its gradient
    turned = reorders(program)
    assert turned[0].inputs[0].name == "data"
    assert turned[1].inputs[0] is g.blobs["pooled"]
    assert len(turned) == 3
    assert program.layouts[g.blobs["pooled"]] is Layout.CHANNELS_LAST
    assert g.blobs["y"] not in program.layouts


def test_one_channel_needs_no_turn():
    g, wrt = small_net(channels=1)
    first = reorders(built(g, wrt=wrt))[0]
    assert first.op.is_view
    assert first.inputs[0].name == "data"


def test_filters_keep_their_order_even_when_they_are_handed_in():
    g = Graph()
    x, w = g.input("data", spec(1, 2, 5, 5)), g.input("filter", spec(3, 2, 3, 3))
    g.blobs["y"] = g(Convolution(), x, w)
    program = built(g)
    assert [node.inputs[0].name for node in reorders(program)] == ["data"]


def test_pointwise_ops_go_along():
    g = Graph()
    x, w = g.input("data", spec(1, 2, 5, 5)), g.parameter("w", spec(3, 2, 3, 3))
    y = g(Convolution(), x, w)
    g.blobs["y"] = g(Sum(), g(Tanh(), y), y)
    program = built(g)
    assert len(reorders(program)) == 1
    assert program.layouts[g.blobs["y"]] is Layout.CHANNELS_LAST


def test_normalisation_goes_along():
    g = Graph()
    x, w = g.input("data", spec(1, 2, 5, 5)), g.parameter("w", spec(3, 2, 3, 3))
    s = g.parameter("s", spec(3))
    y, mean, var = g.apply(BatchNormTrain(), g(Convolution(), x, w))
    g.blobs["y"] = g(LRN(3), g(BatchNormTest(), g(ScaleChannels(), y, s), mean, var))
    g.objective("loss", g(ReduceSum(), g(MaxPooling((3, 3)), g.blobs["y"])))
    program = built(g, keep=("y", "w", "s"), wrt=[w, s])
    assert [node.inputs[0].name for node in reorders(program) if not node.op.is_view] == ["data"]  # there and back
    assert program.layouts[g.blobs["y"]] is Layout.CHANNELS_LAST
    assert mean not in program.layouts


def test_scaling_another_axis_than_the_channels_wants_rows():
    g = Graph()
    x, w = g.input("data", spec(1, 2, 5, 5)), g.parameter("w", spec(3, 2, 3, 3))
    g.blobs["y"] = g(ScaleChannels(2), g(Convolution(), x, w), g.parameter("s", spec(3)))
    assert g.blobs["y"] not in built(g).layouts


def test_an_op_that_wants_rows_gets_them():
    g = Graph()
    x, w = g.input("data", spec(1, 2, 5, 5)), g.parameter("w", spec(3, 2, 3, 3))
    g.blobs["y"] = g(Softmax(), g(Convolution(), x, w))
    program = built(g)
    assert len(reorders(program)) == 2
    assert g.blobs["y"] not in program.layouts


def test_a_value_is_turned_once_for_all_its_readers():
    g = Graph()
    x = g.input("data", spec(1, 2, 5, 5))
    w, v = g.parameter("w", spec(3, 2, 3, 3)), g.parameter("v", spec(3, 2, 3, 3))
    g.blobs["y"] = g(Sum(), g(Convolution(), x, w), g(Convolution(), x, v))
    assert len(reorders(built(g))) == 1


def test_without_the_wish_nothing_is_turned():
    g, _ = small_net()
    program = build_program("p", g, {}, keep=["y"])
    assert not reorders(program)
    assert not program.layouts


def test_three_spatial_axes_stay_row_major():
    rank = 3
    g = Graph()
    x = g.input("data", spec(1, 2, *[5] * rank))
    w = g.parameter("w", spec(3, 2, *[3] * rank))
    ones = (1,) * rank
    g.blobs["y"] = g(Convolution(ones, (0,) * rank, ones), x, w)
    assert not built(g).layouts
