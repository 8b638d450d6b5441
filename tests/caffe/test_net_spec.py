from __future__ import annotations

import copy

import numpy as np
import pytest

from mocha.caffe.coord_map import (
    AxisMismatchException,
    ImpossibleCrop,
    UnconnectedTops,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)
from mocha.caffe.net_spec import NetSpec, NotATop, to_proto
from mocha.caffe.net_spec import layers as L
from mocha.caffe.net_spec import params as P
from mocha.caffe.nets import parse_net
from mocha.errors import ConfigError


def small():
    n = NetSpec()
    n.data, n.label = L.DummyData(shape=[{"dim": [4, 1, 8, 8]}, {"dim": 4}], transform_param={"scale": 0.5}, ntop=2)
    n.conv = L.Convolution(n.data, kernel_size=3, num_output=5, weight_filler={"type": "xavier"}, param={"lr_mult": 2})
    n.pool = L.Pooling(n.conv, kernel_size=2, stride=2, pool=P.Pooling.MAX, include={"phase": 0})
    n.relu = L.ReLU(n.pool, in_place=True)
    n.loss = L.SoftmaxWithLoss(n.relu, n.label, loss_weight=[0.5], loss_param={})
    return n


EXPECTED = """
layer { name: "data" type: "DummyData" top: "data" top: "label" transform_param { scale: 0.5 }
        dummy_data_param { shape { dim: [4, 1, 8, 8] } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 2 }
        convolution_param { kernel_size: 3 num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" include { phase: TRAIN }
        pooling_param { kernel_size: 2 stride: 2 pool: MAX } }
layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" loss_weight: 0.5
        loss_param { } }
"""


def test_a_net_is_what_it_says():
    assert small().to_proto() == parse_net(EXPECTED, strict=True)


def test_names_are_made_where_none_are_given():
    data = L.Input(shape={"dim": [1, 2]})
    one = L.InnerProduct(data, num_output=3)
    two = L.InnerProduct(L.ReLU(one, in_place=True), num_output=3)
    net = to_proto(two)
    assert [layer.name for layer in net.layer] == ["Input1", "InnerProduct1", "ReLU1", "InnerProduct2"]
    assert net.layer[2].top == net.layer[2].bottom == ["InnerProduct1"]
    assert two.to_proto() == net


def test_only_what_is_needed_is_written_and_each_once():
    n = NetSpec()
    data = L.Input()
    L.ReLU(data)
    n.a = L.ReLU(data)
    n.b = L.Eltwise(n.a, n.a)
    assert [layer.type for layer in n.to_proto().layer] == ["Input", "ReLU", "Eltwise"]


def test_layers_without_tops():
    n = NetSpec()
    n.data, n.more = L.DummyData(shape={"dim": 3}, ntop=2)
    n.quiet = L.Silence(n.data, ntop=0)
    L.Silence(n.more, ntop=0)
    net = n.to_proto()
    assert [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.layer] == [
        ("data", [], ["data", "more"]),
        ("quiet", ["data"], []),
    ]
    assert [layer.name for layer in L.Silence(n.more, ntop=0).to_proto().layer] == ["DummyData1", "Silence1"]


def test_deep_nets_are_no_recursion():
    top = L.Input()
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(to_proto(top).layer) == 3001


def test_names_are_items_too():
    n = small()
    assert n["conv"] is n.conv
    assert n.keys() == list(n) == ["data", "label", "conv", "pool", "relu", "loss"]
    assert n.vals()[2] is n.conv
    assert "conv" in n
    other = NetSpec()
    other.update(n)
    assert other.to_proto() == n.to_proto()
    del other["loss"]
    del other.relu
    assert other.keys()[-1] == "pool"
    with pytest.raises(AttributeError, match=r"'cnv'.*'conv'"):
        other.cnv  # noqa: B018
    assert copy.copy(L) is not None


@pytest.mark.parametrize("name", ["Tuple", "Silence"])
def test_inputs_must_be_tops(name):
    pair = L.DummyData(ntop=2)
    with pytest.raises(TypeError, match=rf"^{name} input 0 is not a Top \(type is <class 'tuple'>\)$"):
        getattr(L, name)(pair, ntop=0)
    with pytest.raises(NotATop):
        NetSpec().pair = pair


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel_sise": 3}, "has no parameter 'kernel_sise'"),
        ({"weight_filler": {"tipe": "x"}}, "Convolution 'c', weight_filler has no parameter 'tipe'.*'type'"),
        ({"num_output": "three"}, "'num_output' cannot be 'three'"),
        ({"num_output": -1}, "'num_output' cannot be -1"),
        ({"kernel_size": [1, "x"]}, "'kernel_size' cannot be"),
        ({"weight_filler": 3}, "'weight_filler' cannot be 3"),
        ({"ntop": -1}, "ntop is -1"),
        ({"in_place": True, "ntop": 2}, "in_place"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    def net():
        n = NetSpec()
        n.c = L.Convolution(L.Input(), **params)
        return n.to_proto()

    with pytest.raises(ConfigError, match=message):
        net()


def test_enum_values():
    assert (P.Pooling.AVE, P.Eltwise.PROD, P.Loss.NONE, P.Data.LMDB) == (1, 0, 3, 1)
    with pytest.raises(AttributeError, match=r"'AVG'.*'AVE'"):
        P.Pooling.AVG  # noqa: B018
    with pytest.raises(AttributeError, match="'NoneSuchParameter'"):
        P.NoneSuch  # noqa: B018


def chain(kernel=3, stride=1, pad=0, pool=2, up=2, up_pad=0, axes=2):
    n = NetSpec()
    n.data = L.Input(shape={"dim": [2, 1] + [100] * axes})
    n.conv = L.Convolution(n.data, num_output=3, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, kernel_size=pool, stride=pool)
    n.up = L.Deconvolution(n.pool, convolution_param={"kernel_size": 2 * up, "stride": up, "pad": up_pad})
    return n


def test_maps_of_chains():
    assert coord_map_from_to(*two_ends(chain())) == (1, 1, 0)
    assert coord_map_from_to(*two_ends(chain(pool=4, up=4))) == (1, 1, -1)
    assert coord_map_from_to(*two_ends(chain(pad=3))) == (1, 1, -3)
    assert coord_map_from_to(*two_ends(chain(up_pad=3))) == (1, 1, 3)


def two_ends(n):
    return n.up, n.data


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 1, 0), (5, 2, 1), (4, 3, 2)])
def test_a_map_says_where_windows_lie(kernel, stride, pad):
    axis, a, b = coord_map(L.Convolution(L.Input(), kernel_size=kernel, stride=stride, pad=pad).fn)
    assert axis == 1
    for x in range(4):
        middle = x * stride - pad + (kernel - 1) / 2
        np.testing.assert_allclose(a * middle + b, x)
    _, back_a, back_b = inverse((axis, a, b))
    deconvolution = coord_map(L.Deconvolution(L.Input(), kernel_size=kernel, stride=stride, pad=pad).fn)
    np.testing.assert_allclose((back_a, back_b), deconvolution[1:])


def test_axes_may_differ():
    _, a, b = coord_map_from_to(*two_ends(chain(kernel=[3, 5], stride=[1, 2], pad=[0, 10])))
    for at, options in enumerate(({"kernel": 3}, {"kernel": 5, "stride": 2, "pad": 10})):
        _, one_a, one_b = coord_map_from_to(*two_ends(chain(**options)))
        assert (a[at], b[at]) == (one_a, one_b)


def test_there_may_be_three_axes():
    axis, a, b = coord_map_from_to(*two_ends(chain(kernel=[3, 3, 3], pad=[0, 1, 2], axes=3)))
    assert axis == 1
    assert np.all(a == 1)
    np.testing.assert_array_equal(b, [0, -1, -2])


def test_layers_that_keep_pixels_and_crops():
    n = chain()
    n.relu = L.ReLU(n.up)
    n.crop = L.Crop(n.relu, n.data, axis=2, offset=3)
    assert coord_map_from_to(n.relu, n.data) == (1, 1, 0)
    assert coord_map_from_to(n.crop, n.data) == (1, 1, 3)


def test_crop_writes_a_layer():
    n = chain(pool=4, up=4)
    top = crop(n.up, n.data)
    assert top.fn.params == {"crop_param": {"axis": 2, "offset": [1]}}
    assert list(to_proto(top).layer[-1].crop_param.offset) == [1]


def test_impossible_crops():
    n = chain()
    n.ip = L.InnerProduct(n.up, num_output=1)
    with pytest.raises(UnconnectedTops, match="connected"):
        coord_map_from_to(n.ip, n.data)
    n = chain(pool=3, up=2)
    with pytest.raises(AssertionError, match="scale mismatch"):
        crop(n.up, n.data)
    n = chain(up_pad=10)
    with pytest.raises(ImpossibleCrop, match="negative"):
        crop(n.up, n.data)
    n = chain(kernel=2)
    with pytest.raises(ImpossibleCrop, match="noninteger"):
        crop(n.up, n.data)
    with pytest.raises(AxisMismatchException):
        compose((1, 1, 0), (2, 1, 0))
    with pytest.raises(ConfigError, match="kernel_h"):
        coord_map(L.Convolution(L.Input(), kernel_h=3, kernel_w=3).fn)
    with pytest.raises(ConfigError, match="no kernel_size"):
        coord_map(L.Pooling(L.Input(), global_pooling=True).fn)
