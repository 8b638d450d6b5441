"""Layers as records: what a property may be, and how a mistake is told."""

import dataclasses

import numpy as np
import pytest

from mocha import (
    AccuracyLayer,
    ArgmaxLayer,
    AsyncHDF5DataLayer,
    BatchNormLayer,
    BinaryAccuracyLayer,
    BinaryCrossEntropyLossLayer,
    ChannelPoolingLayer,
    ConcatLayer,
    ConfigError,
    ConvolutionLayer,
    CropLayer,
    DataTransformers,
    DropoutLayer,
    ElementWiseFunctors,
    ElementWiseLayer,
    GaussianKLLossLayer,
    HDF5DataLayer,
    HingeLossLayer,
    IdentityLayer,
    Index2OnehotLayer,
    InnerProductLayer,
    L2Cons,
    L2Regu,
    LRNLayer,
    LRNMode,
    MemoryDataLayer,
    MultinomialLogisticLossLayer,
    Neurons,
    Pooling,
    PoolingLayer,
    PowerLayer,
    RandomMaskLayer,
    RandomNormalLayer,
    ReshapeLayer,
    ScaleLayer,
    SoftlabelSoftmaxLossLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    SplitLayer,
    SquareLossLayer,
    TiedInnerProductLayer,
    WassersteinLossLayer,
)

ONE = {"bottoms": ["a"], "tops": ["b"]}
TWO = {"bottoms": ["a", "b"]}
X = np.zeros((4, 3), np.float32)

GOOD = {
    ConvolutionLayer: {"name": "layer", "n_filter": 4, **ONE},
    InnerProductLayer: {"name": "layer", "output_dim": 3, **ONE},
    PoolingLayer: {"name": "layer", **ONE},
    BatchNormLayer: {"name": "layer", **ONE},
    ScaleLayer: {"name": "layer", **ONE},
    LRNLayer: {"name": "layer", **ONE},
    SoftmaxLayer: {"name": "layer", **ONE},
    IdentityLayer: {"name": "layer", **ONE},
    ReshapeLayer: {"name": "layer", "shape": (2, 3), **ONE},
    DropoutLayer: {"name": "layer", "bottoms": ["a"]},
    ElementWiseLayer: {"name": "layer", **TWO, "tops": ["c"]},
    ConcatLayer: {"name": "layer", **TWO, "tops": ["c"]},
    ArgmaxLayer: {"name": "layer", **ONE},
    Index2OnehotLayer: {"name": "layer", "n_class": 3, **ONE},
    TiedInnerProductLayer: {"name": "layer", "tied_param_key": "enc", **ONE},
    ChannelPoolingLayer: {"name": "layer", **ONE},
    RandomNormalLayer: {"name": "layer", "output_dims": (2,), "batch_sizes": [2], "tops": ["b"]},
    CropLayer: {"name": "layer", "crop_size": 3, **ONE},
    PowerLayer: {"name": "layer", **ONE},
    SplitLayer: {"name": "layer", **ONE},
    RandomMaskLayer: {"name": "layer", "bottoms": ["a"]},
    SoftmaxLossLayer: {"name": "layer", **TWO},
    SoftlabelSoftmaxLossLayer: {"name": "layer", **TWO},
    BinaryCrossEntropyLossLayer: {"name": "layer", **TWO},
    HingeLossLayer: {"name": "layer", **TWO},
    GaussianKLLossLayer: {"name": "layer"},
    BinaryAccuracyLayer: {"name": "layer", **TWO},
    WassersteinLossLayer: {"name": "layer", "M": np.eye(3), "lambda_": 2.0, **TWO},
    MultinomialLogisticLossLayer: {"name": "layer", **TWO},
    SquareLossLayer: {"name": "layer", **TWO},
    AccuracyLayer: {"name": "layer", **TWO},
    MemoryDataLayer: {"name": "layer", "data": [X, X], "batch_size": 2},
    HDF5DataLayer: {"name": "layer", "source": "list.txt", "batch_size": 2},
    AsyncHDF5DataLayer: {"name": "layer", "source": "list.txt", "batch_size": 2},
}


def made(kind, **changes):
    return kind(**{**GOOD[kind], **changes})


WRONG = [
    # layer, what is wrong, what the message says
    *((kind, {"name": name}, ["name", repr(name), "expected a name"]) for kind in GOOD for name in ("", 3, None)),
    *((kind, {"bottoms": "a"}, ["bottoms", "'a'", "list of blob names"]) for kind in GOOD),
    *((kind, {"tops": [""]}, ["tops", "list of blob names"]) for kind in GOOD),
    *((kind, {"bottoms": []}, ["bottoms", "[]", "at least one"]) for kind in (ConvolutionLayer, PoolingLayer)),
    *((kind, {"tops": []}, ["tops", "[]", "1 blob name"]) for kind in (ConvolutionLayer, SoftmaxLayer, ConcatLayer)),
    *((kind, {"tops": ["c"]}, ["tops", "no tops"]) for kind in (SoftmaxLossLayer, AccuracyLayer, DropoutLayer)),
    *((kind, {"bottoms": ["a"]}, ["bottoms", "2 blob names"]) for kind in (SoftmaxLossLayer, ElementWiseLayer)),
    (DropoutLayer, {"bottoms": ["a", "b"]}, ["bottoms", "1 blob name"]),
    (IdentityLayer, {**TWO, "tops": ["c", "c"]}, ["tops", "distinct"]),
    (ConcatLayer, {"bottoms": ["a"]}, ["bottoms", "at least two"]),
    (ConvolutionLayer, {"n_filter": 0}, ["n_filter", "0", ">= 1"]),
    (ConvolutionLayer, {"n_filter": 2.0}, ["n_filter", "2.0", "whole number"]),
    (ConvolutionLayer, {"n_filter": True}, ["n_filter", "True", "whole number"]),
    (ConvolutionLayer, {"n_group": 0}, ["n_group", "0", ">= 1"]),
    (ConvolutionLayer, {"n_group": 3}, ["n_group", "3", "divisor of n_filter, 4"]),
    *((ConvolutionLayer, {p: 0}, [p, "0", "(height, width)", ">= 1"]) for p in ("kernel", "stride", "dilation")),
    *((PoolingLayer, {p: (1, 0)}, [p, "(1, 0)", ">= 1"]) for p in ("kernel", "stride")),
    (ConvolutionLayer, {"pad": -1}, ["pad", "-1", ">= 0"]),
    (ConvolutionLayer, {"kernel": (1, 2, 3)}, ["kernel", "(1, 2, 3)", "(height, width)"]),
    (ConvolutionLayer, {"kernel": "5x5"}, ["kernel", "'5x5'"]),
    (ConvolutionLayer, {"kernel": (2.0, 2)}, ["kernel", "(2.0, 2)"]),
    (ConvolutionLayer, {"kernel": True}, ["kernel", "True"]),
    (PoolingLayer, {"kernel": 2, "pad": 2}, ["pad", "(2, 2)", "less than the kernel, (2, 2)"]),
    *((LRNLayer, {"kernel": k}, ["kernel", repr(k), ">= 1"]) for k in (0, 5.0, (5, 5), True)),
    (LRNLayer, {"kernel": 4, "mode": LRNMode.WithinChannel()}, ["kernel", "4", "odd"]),
    *((LRNLayer, {p: -0.5}, [p, "-0.5", ">= 0"]) for p in ("scale", "shift", "power")),
    *((LRNLayer, {p: "1"}, [p, "'1'", ">= 0"]) for p in ("scale", "shift", "power")),
    *((LRNLayer, {"mode": m}, ["mode", "LRNMode.AcrossChannel()"]) for m in ("across", LRNMode.WithinChannel)),
    *((LRNLayer, {"channel_dim": d}, ["channel_dim", repr(d), "Mocha.jl's -2 is 1"]) for d in (-2, 0, 2, 3, True)),
    (LRNLayer, {"bottoms": ["a", "b"]}, ["bottoms", "1 blob name"]),
    (LRNLayer, {"tops": ["c", "d"]}, ["tops", "1 blob name"]),
    *((PoolingLayer, {p: 1}, [p, "1", "True or False"]) for p in ("ceil", "global_pooling")),
    *((PoolingLayer, {"global_pooling": True, p: 2}, [p, "(2, 2)", "the whole image"]) for p in ("kernel", "stride")),
    (ElementWiseLayer, {"neuron": Neurons.ReLU}, ["neuron", "Write ReLU()"]),
    (BatchNormLayer, {"bottoms": ["a", "b"], "tops": ["c", "d"]}, ["bottoms", "1 blob name"]),
    *((BatchNormLayer, {"eps": e}, ["eps", repr(e), "a number >"]) for e in (0, -1e-5, "small", float("nan"))),
    *((BatchNormLayer, {"moving_average_fraction": f}, ["moving_average_fraction", repr(f)]) for f in (1, -0.1, True)),
    (BatchNormLayer, {"neuron": Neurons.ReLU}, ["neuron", "Write ReLU()"]),
    *((ScaleLayer, {f"{p}_init": 1.0}, [f"{p}_init", "initializer"]) for p in ("scale", "bias")),
    (ScaleLayer, {"scale_lr": -1}, ["scale_lr", "-1", ">= 0"]),
    (PoolingLayer, {"pooling": "max"}, ["pooling", "'max'", "Pooling.Max()"]),
    (PoolingLayer, {"pooling": Pooling.Max}, ["pooling", "Pooling.Max()"]),
    *((k, {"neuron": Neurons.ReLU}, ["neuron", "Write ReLU()"]) for k in (PoolingLayer, ConvolutionLayer)),
    (InnerProductLayer, {"neuron": "relu"}, ["neuron", "'relu'", "Neurons.ReLU()"]),
    (InnerProductLayer, {"output_dim": 0}, ["output_dim", "0", ">= 1"]),
    (InnerProductLayer, {"output_dim": "10"}, ["output_dim", "'10'"]),
    *((InnerProductLayer, {p: -1}, [p, "-1", ">= 0"]) for p in ("weight_lr", "bias_lr")),
    *((ConvolutionLayer, {p: float("nan")}, [p, "nan", ">= 0"]) for p in ("filter_lr", "bias_lr")),
    *((InnerProductLayer, {f"{p}_init": L2Regu()}, [f"{p}_init", "initializer"]) for p in ("weight", "bias")),
    *((InnerProductLayer, {f"{p}_regu": 0.1}, [f"{p}_regu", "0.1", "regularizer"]) for p in ("weight", "bias")),
    *((ConvolutionLayer, {f"{p}_cons": L2Cons}, [f"{p}_cons", "constraint"]) for p in ("filter", "bias")),
    *((DropoutLayer, {"ratio": r}, ["ratio", repr(r), "excluded"]) for r in (0, 1, 1.5, -0.1, "half", float("nan"))),
    *((RandomMaskLayer, {"ratio": r}, ["ratio", repr(r), "excluded"]) for r in (0, 1, True, "half", float("nan"))),
    (RandomMaskLayer, {"bottoms": ["a", "a"]}, ["bottoms", "distinct"]),
    (RandomMaskLayer, {"tops": ["b"]}, ["tops", "no tops"]),
    *((PowerLayer, {p: "1"}, [p, "'1'", "a finite number"]) for p in ("power", "scale", "shift")),
    *((PowerLayer, {"power": p}, ["power", repr(p), "a finite number"]) for p in (True, float("inf"), float("nan"))),
    (SplitLayer, {"bottoms": ["a", "b"]}, ["bottoms", "1 blob name"]),
    *((SplitLayer, {"tops": t}, ["tops", "one or more distinct"]) for t in ([], ["b", "b"])),
    *((k, {"dim": -2}, ["dim", "-2", "Mocha.jl's -2 is 1"]) for k in (ArgmaxLayer, Index2OnehotLayer)),
    *((k, {"dim": 0}, ["dim", "0", "another axis than the batch"]) for k in (ArgmaxLayer, Index2OnehotLayer)),
    *((Index2OnehotLayer, {"n_class": n}, ["n_class", repr(n), "whole number >= 1"]) for n in (0, 2.0, True)),
    *((CropLayer, {"crop_size": n}, ["crop_size", repr(n), "(height, width)", ">= 1"]) for n in (0, (2, 0), (1, 2, 3))),
    *((CropLayer, {p: 1}, [p, "1", "True or False"]) for p in ("random_crop", "random_mirror", "per_image")),
    *((TiedInnerProductLayer, {"tied_param_key": k}, ["tied_param_key", repr(k), "name of an"]) for k in ("", 3, None)),
    (TiedInnerProductLayer, {"tied_param_key": "layer"}, ["tied_param_key", "another key"]),
    (TiedInnerProductLayer, {"tied_gradient": 1}, ["tied_gradient", "1", "True or False"]),
    (TiedInnerProductLayer, {"bias_init": 0.0}, ["bias_init", "initializer"]),
    (TiedInnerProductLayer, {"neuron": "relu"}, ["neuron", "'relu'", "Neurons.ReLU()"]),
    *((ChannelPoolingLayer, {p: n}, [p, repr(n), ">= 1"]) for p in ("kernel", "stride") for n in (0, (2, 2), 1.0)),
    *((ChannelPoolingLayer, {"kernel": 2, "pad": p}, ["pad", repr(p), "(front, back)"]) for p in (1, (0, 2), (-1, 0))),
    *((ChannelPoolingLayer, {"pad": p}, ["pad", "(front, back)"]) for p in ((0, 1), (0, 0, 0), (0, False))),
    (ChannelPoolingLayer, {"channel_dim": -2}, ["channel_dim", "Mocha.jl's -2 is 1"]),
    (ChannelPoolingLayer, {"channel_dim": 0}, ["channel_dim", "another axis than the batch"]),
    (ChannelPoolingLayer, {"pooling": "max"}, ["pooling", "'max'", "Pooling.Max()"]),
    (SplitLayer, {"no_copy": 1}, ["no_copy", "1", "True or False"]),
    (ElementWiseLayer, {"operation": "add"}, ["operation", "'add'", "ElementWiseFunctors.Add()"]),
    (ReshapeLayer, {"shape": (2, 0)}, ["shape", "(2, 0)", "positive extents"]),
    (ReshapeLayer, {"shape": 6}, ["shape", "6", "positive extents"]),
    *((k, {"dim": -2}, ["dim", "-2", "Mocha.jl's -2 is 1"]) for k in (SoftmaxLayer, ConcatLayer, SoftmaxLossLayer)),
    *((k, {"dim": 0}, ["dim", "0", "another axis than the batch"]) for k in (SoftmaxLayer, AccuracyLayer)),
    (SoftmaxLossLayer, {"dim": 0}, ["dim", "0", "another axis than the batch"]),
    (SoftmaxLossLayer, {"dim": 1.0}, ["dim", "1.0", "number of an axis"]),
    *((k, {"weight": -1.0}, ["weight", "-1.0", ">= 0"]) for k in (SoftmaxLossLayer, SquareLossLayer)),
    (SquareLossLayer, {"weight": float("inf")}, ["weight", "inf"]),
    *((WassersteinLossLayer, {"M": m}, ["M", "matrix of finite"]) for m in ([1.0, 2], [[np.nan]], [[]], "far", None)),
    *((WassersteinLossLayer, {"lambda_": n}, ["lambda_", repr(n)]) for n in (0, 0.0, -1.0, float("inf"), "large")),
    (WassersteinLossLayer, {"sinkhorn_iter": 0}, ["sinkhorn_iter", "0", ">= 1"]),
    (SoftlabelSoftmaxLossLayer, {"dim": 0}, ["dim", "0", "another axis than the batch"]),
    *((k, {"weight": -1.0}, ["weight", "-1.0", ">= 0"]) for k in (HingeLossLayer, GaussianKLLossLayer)),
    (MemoryDataLayer, {"batch_size": 0}, ["batch_size", "0", ">= 1"]),
    (MemoryDataLayer, {"bottoms": ["a"]}, ["bottoms", "['a']", "none"]),
    (MemoryDataLayer, {"tops": []}, ["tops", "[]", "one or more"]),
    (MemoryDataLayer, {"tops": ["a", "a"]}, ["tops", "distinct"]),
    (MemoryDataLayer, {"data": [X]}, ["data", "1 arrays", "['data', 'label']"]),
    (MemoryDataLayer, {"transformers": ["data"]}, ["transformers", "pairs (top, transformer)"]),
    (MemoryDataLayer, {"transformers": [("dta", DataTransformers.Scale(2.0))]}, ["transformers", "'data'"]),
    (HDF5DataLayer, {"source": ""}, ["source", "''", "list file"]),
    (HDF5DataLayer, {"chunk_size": 0}, ["chunk_size", "0", ">= 1"]),
]


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_a_good_layer(kind):
    layer = made(kind)
    assert layer.name == "layer"
    assert isinstance(layer.bottoms, tuple)
    assert repr(layer).startswith(f"{kind.__name__}(name='layer'")


@pytest.mark.parametrize(
    ("kind", "changes", "told"), WRONG, ids=[f"{k.__name__}-{next(iter(c))}-{n}" for n, (k, c, _) in enumerate(WRONG)]
)
def test_a_wrong_property(kind, changes, told):
    with pytest.raises(ConfigError) as error:
        made(kind, **changes)
    text = str(error.value)
    assert text.startswith(kind.__name__)
    if "name" not in changes:
        assert "'layer'" in text
    for words in told:
        assert words in text


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (ConvolutionLayer, {"n_filters": 5}, "no property 'n_filters'. Did you mean 'n_filter'?"),
        (PoolingLayer, {"strid": 2}, "Did you mean 'stride'?"),
        (DropoutLayer, {"probability": 0.5}, "Known: "),
    ],
)
def test_an_unknown_property(kind, given, told):
    with pytest.raises(ConfigError) as error:
        made(kind, **given)
    assert told in str(error.value)
    assert str(error.value).startswith(f"{kind.__name__}('layer'): ")


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (InnerProductLayer, {}, "InnerProductLayer(''): name, output_dim must be given."),
        (InnerProductLayer, {"name": "ip"}, "InnerProductLayer('ip'): output_dim must be given."),
        (ReshapeLayer, {}, "shape must be given"),
        (Index2OnehotLayer, {}, "n_class must be given"),
        (CropLayer, {}, "crop_size must be given"),
        (TiedInnerProductLayer, {"name": "dec"}, "tied_param_key must be given"),
        (HDF5DataLayer, {}, "batch_size, source must be given"),
        (MemoryDataLayer, {"batch_size": 2}, "data must be given"),
    ],
)
def test_a_missing_property(kind, given, told):
    with pytest.raises(ConfigError) as error:
        kind(**given)
    assert told in str(error.value)


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_properties_are_given_by_keyword(kind):
    with pytest.raises(ConfigError, match=r"by keyword, as name=..., not by position"):
        kind("layer", **{k: v for k, v in GOOD[kind].items() if k != "name"})


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_layers_are_frozen(kind):
    layer = made(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del layer.tops


def test_one_number_means_both():
    conv = made(ConvolutionLayer, kernel=5, stride=[2, 1], pad=2, dilation=(1, 3))
    assert (conv.kernel, conv.stride, conv.pad, conv.dilation) == ((5, 5), (2, 1), (2, 2), (1, 3))
    pool = made(PoolingLayer, kernel=3, stride=2, pad=1)
    assert (pool.kernel, pool.stride, pool.pad) == ((3, 3), (2, 2), (1, 1))


def test_lists_become_tuples():
    assert made(ReshapeLayer, shape=[2, 3]).shape == (2, 3)
    assert made(IdentityLayer, bottoms=["a"], tops=["b"]).tops == ("b",)


def test_a_copy_is_checked_anew():
    conv = made(ConvolutionLayer, kernel=5)
    other = conv.copy(name="other", stride=2)
    assert (other.name, other.kernel, other.stride, other.n_filter) == ("other", (5, 5), (2, 2), 4)
    assert conv.stride == (1, 1)
    assert type(other) is ConvolutionLayer
    with pytest.raises(ConfigError, match="n_filter is 0"):
        conv.copy(n_filter=0)
    with pytest.raises(ConfigError, match=r"no property 'kernl'. Did you mean 'kernel'"):
        conv.copy(kernl=3)


def test_layers_are_told_apart_by_identity():
    assert made(IdentityLayer) != made(IdentityLayer)
    assert len({made(IdentityLayer), made(IdentityLayer)}) == 2


def test_repr_tells_what_is_not_the_default():
    layer = PoolingLayer(name="pool1", kernel=2, pooling=Pooling.Mean(), bottoms=["a"], tops=["b"])
    assert repr(layer) == (
        "PoolingLayer(name='pool1', bottoms=['a'], tops=['b'], kernel=(2, 2), pooling=MeanPoolingFunction())"
    )
    assert "neuron" not in repr(layer)


def test_default_names_and_values():
    assert PoolingLayer(**ONE).pooling == Pooling.Max()
    assert DropoutLayer(bottoms=["a"]).ratio == 0.5
    lrn = LRNLayer(**ONE)
    assert (lrn.name, lrn.kernel, lrn.scale, lrn.shift, lrn.power) == ("lrn", 5, 1, 1, 0.75)
    assert (lrn.mode, lrn.channel_dim) == (LRNMode.AcrossChannel(), 1)
    assert ElementWiseLayer(**TWO, tops=["c"]).operation == ElementWiseFunctors.Add()
    assert SoftmaxLossLayer(**TWO).name == "softmax-loss"
    assert made(MemoryDataLayer).tops == ("data", "label")
    ip = made(InnerProductLayer)
    assert (ip.weight_lr, ip.bias_lr, ip.weight_regu, ip.key) == (1.0, 2.0, L2Regu(1.0), "layer")
    assert made(InnerProductLayer, param_key="both").key == "both"
