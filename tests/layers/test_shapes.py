"""What parameters each layer wants, and the shapes of what it gives: all known before any array exists."""

import numpy as np
import pytest

from mocha import (
    ArgmaxLayer,
    BatchNormLayer,
    ChannelPoolingLayer,
    ConcatLayer,
    ConstantInitializer,
    ConvolutionLayer,
    CropLayer,
    DropoutLayer,
    ElementWiseLayer,
    IdentityLayer,
    Index2OnehotLayer,
    InnerProductLayer,
    L1Regu,
    L2Cons,
    L2Regu,
    LRNLayer,
    LRNMode,
    NoCons,
    NoRegu,
    Phase,
    Pooling,
    PoolingLayer,
    PowerLayer,
    RandomMaskLayer,
    ReshapeLayer,
    ScaleLayer,
    ShapeError,
    SoftmaxLayer,
    Spec,
    SplitLayer,
    XavierInitializer,
)
from mocha.graph import Graph

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)

CASES = [
    # layer, properties, shapes of the bottoms, of the parameters, of the tops
    (InnerProductLayer, {"output_dim": 3}, [(4, 5)], {"weight": (3, 5), "bias": (3,)}, [(4, 3)]),
    (InnerProductLayer, {"output_dim": 3}, [(4, 2, 3, 2)], {"weight": (3, 12), "bias": (3,)}, [(4, 3)]),
    (InnerProductLayer, {"output_dim": 3, "bias_term": False}, [(4, 5)], {"weight": (3, 5)}, [(4, 3)]),
    (InnerProductLayer, {"output_dim": 1}, [(4, 6), (2, 3, 2)], {"weight": (1, 6), "bias": (1,)}, [(4, 1), (2, 1)]),
    (ConvolutionLayer, {}, [(2, 3, 8, 8)], {"filter": (1, 3, 1, 1), "bias": (1,)}, [(2, 1, 8, 8)]),
    (
        ConvolutionLayer,
        {"n_filter": 4, "kernel": (3, 2), "stride": (2, 1), "pad": (1, 0), "n_group": 2},
        [(2, 6, 8, 7)],
        {"filter": (4, 3, 3, 2), "bias": (4,)},
        [(2, 4, 4, 6)],
    ),
    (ConvolutionLayer, {"kernel": 3, "dilation": 2, "bias_term": False}, [(1, 2, 8, 8)], {"filter": (1, 2, 3, 3)},
     [(1, 1, 4, 4)]),
    (ConvolutionLayer, {"n_filter": 2}, [(2, 1, 3, 3)] * 2, {"filter": (2, 1, 1, 1), "bias": (2,)}, [(2, 2, 3, 3)] * 2),
    (PoolingLayer, {"kernel": 2, "stride": 2}, [(2, 3, 7, 8)], {}, [(2, 3, 4, 4)]),
    (PoolingLayer, {"kernel": 3, "stride": (2, 1), "pooling": Pooling.Mean()}, [(2, 3, 8, 8)], {}, [(2, 3, 4, 6)]),
    (PoolingLayer, {"kernel": 3, "stride": 2, "pad": 1, "ceil": False}, [(2, 3, 8, 8)], {}, [(2, 3, 4, 4)]),
    (PoolingLayer, {"global_pooling": True}, [(2, 3, 8, 7), (1, 2, 1, 1)], {}, [(2, 3, 1, 1), (1, 2, 1, 1)]),
    (BatchNormLayer, {}, [(2, 3, 8, 7)], {"mean": (3,), "variance": (3,)}, [(2, 3, 8, 7)]),
    (BatchNormLayer, {}, [(4, 5)], {"mean": (5,), "variance": (5,)}, [(4, 5)]),
    (ScaleLayer, {}, [(2, 3, 8, 7), (4, 3)], {"scale": (3,), "bias": (3,)}, [(2, 3, 8, 7), (4, 3)]),
    (LRNLayer, {}, [(2, 7, 4, 3)], {}, [(2, 7, 4, 3)]),
    (LRNLayer, {"kernel": 4}, [(2, 3, 1, 1)], {}, [(2, 3, 1, 1)]),
    (LRNLayer, {"kernel": 3, "mode": LRNMode.WithinChannel()}, [(2, 3, 4, 2)], {}, [(2, 3, 4, 2)]),
    (SoftmaxLayer, {}, [(4, 5), (2, 3, 4)], {}, [(4, 5), (2, 3, 4)]),
    (ReshapeLayer, {"shape": (3, 2)}, [(4, 6), (2, 1, 6)], {}, [(4, 3, 2), (2, 3, 2)]),
    (IdentityLayer, {}, [(4, 6)], {}, [(4, 6)]),
    (ElementWiseLayer, {}, [(4, 6), (4, 6)], {}, [(4, 6)]),
    (ConcatLayer, {"dim": 1}, [(4, 2, 3), (4, 5, 3), (4, 1, 3)], {}, [(4, 8, 3)]),
    (ConcatLayer, {"dim": 0}, [(4, 2), (1, 2)], {}, [(5, 2)]),
    (DropoutLayer, {}, [(4, 6)], {}, [(4, 6)]),
    (RandomMaskLayer, {}, [(4, 6), (2, 3, 4)], {}, [(4, 6), (2, 3, 4)]),
    (ArgmaxLayer, {"dim": 2}, [(4, 6, 3)], {}, [(4, 6, 1)]),
    (Index2OnehotLayer, {"n_class": 3}, [(4,), (2, 1, 5)], {}, [(4, 3), (2, 3, 5)]),
    (CropLayer, {"crop_size": (3, 2), "random_crop": True}, [(4, 2, 6, 3), (2, 1, 3, 2)], {},
     [(4, 2, 3, 2), (2, 1, 3, 2)]),
    (ChannelPoolingLayer, {"kernel": 3, "stride": 2}, [(4, 6, 3), (2, 4)], {}, [(4, 3, 3), (2, 2)]),
    (PowerLayer, {"power": 2.0}, [(4, 6), (2, 3, 4)], {}, [(4, 6), (2, 3, 4)]),
    (SplitLayer, {}, [(4, 6)], {}, [(4, 6)] * 3),
]  # fmt: skip


def layer_of(kind, properties, n_bottoms, n_tops):
    tops = [] if kind.in_place else [f"top{i}" for i in range(n_tops)]
    return kind(**{"name": "layer", **properties}, bottoms=[f"bottom{i}" for i in range(n_bottoms)], tops=tops)


def lowered(layer, shapes, dtype=F32, phase=Phase.TRAIN):
    g = Graph(phase)
    inputs = [g.input(f"bottom{i}", Spec(shape, dtype)) for i, shape in enumerate(shapes)]
    with g.within(layer.name):
        wanted = layer.parameters(*(v.spec for v in inputs))
        return wanted, layer.lower(g, inputs, [g.parameter(p.name, p.spec) for p in wanted]), g


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize(
    ("kind", "properties", "shapes", "params", "tops"), CASES, ids=[f"{c[0].__name__}-{n}" for n, c in enumerate(CASES)]
)
def test_parameters_and_shapes(kind, properties, shapes, params, tops, dtype):
    for phase in Phase:
        wanted, outputs, _ = lowered(layer_of(kind, properties, len(shapes), len(tops)), shapes, dtype, phase)
        assert {p.name: p.spec for p in wanted} == {name: Spec(shape, dtype) for name, shape in params.items()}
        assert [v.spec for v in outputs] == [Spec(shape, dtype) for shape in tops]


@pytest.mark.parametrize(
    ("kind", "properties", "shapes", "told"),
    [
        (InnerProductLayer, {"output_dim": 2}, [(4, 5), (4, 6)], "4x5 float32, 4x6 float32; expected the same number"),
        (ConvolutionLayer, {}, [(4, 5)], "expected one shape (N, C, H, W)"),
        (ConvolutionLayer, {}, [(4, 1, 5, 5), (4, 1, 6, 5)], "expected one shape (N, C, H, W)"),
        (ConvolutionLayer, {"n_filter": 2, "n_group": 2}, [(4, 3, 5, 5)], "divisible by n_group, 2"),
        (ConvolutionLayer, {"kernel": 6}, [(4, 3, 5, 5)], "window of 6"),
        (PoolingLayer, {"kernel": 2}, [(4, 3)], "MaxPooling"),
        (LRNLayer, {}, [(4, 3)], "LRN: the input is 4x3 float32; expected four axes"),
        (LRNLayer, {"mode": LRNMode.WithinChannel()}, [(4, 3, 5)], "expected four axes"),
        (SoftmaxLayer, {"dim": 2}, [(4, 3)], "axis 2 does not exist"),
        (ReshapeLayer, {"shape": (5,)}, [(4, 3)], "Reshape"),
        (ElementWiseLayer, {}, [(4, 3), (4, 2)], "input 2 is 4x2 float32"),
        (ConcatLayer, {"dim": 1}, [(4, 3), (5, 3)], "Concat"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(kind, properties, shapes, told):
    n_tops = len(shapes) if kind.n_tops is None else kind.n_tops
    with pytest.raises(ShapeError) as error:
        lowered(layer_of(kind, properties, len(shapes), n_tops), shapes)
    assert str(error.value).startswith("layer 'layer': ")
    assert told in str(error.value)


def test_parameters_say_all_that_the_properties_said():
    default = InnerProductLayer(name="ip", output_dim=2, bottoms=["a"], tops=["b"])
    weight, bias = default.parameters(Spec((4, 3), F32))
    assert (weight.initializer, weight.regularizer, weight.constraint, weight.rate) == (
        XavierInitializer(), L2Regu(1.0), NoCons(), 1.0,
    )  # fmt: skip
    assert (bias.initializer, bias.regularizer, bias.constraint, bias.rate) == (
        ConstantInitializer(0.0), NoRegu(), NoCons(), 2.0,
    )  # fmt: skip
    conv = ConvolutionLayer(
        name="conv", bottoms=["a"], tops=["b"], filter_init=ConstantInitializer(3.0), filter_regu=L1Regu(2.0),
        filter_cons=L2Cons(5.0), filter_lr=0.5, bias_init=ConstantInitializer(1.0), bias_regu=L2Regu(4.0),
        bias_cons=L2Cons(6.0), bias_lr=0,
    )  # fmt: skip
    filters, bias = conv.parameters(Spec((4, 3, 5, 5), F32))
    assert (filters.initializer, filters.regularizer, filters.constraint, filters.rate) == (
        ConstantInitializer(3.0), L1Regu(2.0), L2Cons(5.0), 0.5,
    )  # fmt: skip
    assert (bias.initializer, bias.regularizer, bias.constraint, bias.rate) == (
        ConstantInitializer(1.0), L2Regu(4.0), L2Cons(6.0), 0.0,
    )  # fmt: skip


def test_ops_that_a_layer_is_made_of():
    layer = layer_of(InnerProductLayer, {"output_dim": 2}, 2, 2)
    _, _, g = lowered(layer, [(4, 3), (4, 3)])
    assert [node.op.name for node in g.nodes] == ["InnerProduct", "AddBias"] * 2
    assert g.nodes[0].inputs[1] is g.nodes[2].inputs[1]  # one weight
    assert {node.layer for node in g.nodes} == {"layer"}
    _, outputs, g = lowered(layer_of(DropoutLayer, {}, 1, 0), [(4, 3)], phase=Phase.TEST)
    assert not g.nodes
    assert outputs[0] is g.blobs["bottom0"]
