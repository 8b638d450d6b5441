from __future__ import annotations

import numpy as np
import pytest

from mocha.caffe.blobs import blob_array, fill_blob
from mocha.caffe.nets import parse_net, parse_solver
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.proto.schema import CAFFE
from mocha.caffe.unknown import UnknownFieldWarning
from mocha.caffe.upgrade import TYPES, upgrade_net
from mocha.caffe.upgrade_v0 import TYPES as V0_TYPES
from mocha.caffe.weights import read_weights
from mocha.errors import FormatError


def same(old, new):
    assert parse_net(old, "old", strict=True) == parse_net(new, "new", strict=True)


def test_v0_with_padding():
    same(
        """
        name: "n" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9 force_backward: true
        layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "p" }
        layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 5 stride: 2 group: 1 biasterm: false
                         weight_filler { type: "gaussian" std: 0.1 } blobs_lr: 1 blobs_lr: 2 weight_decay: 0 }
                 bottom: "p" top: "c" }
        layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
        layers { layer { name: "m" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "c" top: "m" }
        layers { layer { name: "l" type: "lrn" local_size: 3 alpha: 2 beta: 0.5 } bottom: "m" top: "l" }
        layers { layer { name: "i" type: "innerproduct" num_output: 7 } bottom: "l" top: "i" }
        layers { layer { name: "d" type: "dropout" dropout_ratio: 0.25 } bottom: "i" top: "i" }
        layers { layer { name: "cat" type: "concat" concat_dim: 0 } bottom: "i" bottom: "i" top: "cat" }
        layers { layer { name: "s" type: "softmax_loss" } bottom: "cat" bottom: "y" top: "s" }
        """,
        """
        name: "n" force_backward: true
        layer { name: "input" type: "Input" top: "x" input_param { shape { dim: [1, 3, 8, 9] } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
                param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 2 }
                convolution_param { num_output: 4 kernel_size: 5 stride: 2 group: 1 bias_term: false pad: 2
                                    weight_filler { type: "gaussian" std: 0.1 } } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
        layer { name: "m" type: "Pooling" bottom: "c" top: "m"
                pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
        layer { name: "l" type: "LRN" bottom: "m" top: "l" lrn_param { local_size: 3 alpha: 2 beta: 0.5 } }
        layer { name: "i" type: "InnerProduct" bottom: "l" top: "i" inner_product_param { num_output: 7 } }
        layer { name: "d" type: "Dropout" bottom: "i" top: "i" dropout_param { dropout_ratio: 0.25 } }
        layer { name: "cat" type: "Concat" bottom: "i" bottom: "i" top: "cat" concat_param { concat_dim: 0 } }
        layer { name: "s" type: "SoftmaxWithLoss" bottom: "cat" bottom: "y" top: "s" }
        """,
    )


def test_v0_data_layers():
    transform = "transform_param { scale: 0.5 mean_file: 'm' crop_size: 3 mirror: true }"
    same(
        """
        layers { layer { name: "d" type: "data" source: "s" batchsize: 4 rand_skip: 2
                         scale: 0.5 meanfile: "m" cropsize: 3 mirror: true } top: "d" }
        layers { layer { name: "i" type: "images" source: "s" batchsize: 4 new_height: 5 new_width: 6
                         shuffle_images: true } top: "i" }
        layers { layer { name: "w" type: "window_data" source: "s" det_fg_threshold: 0.1 det_bg_threshold: 0.2
                         det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: "square" } top: "w" }
        layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "f" } } bottom: "d" }
        """,
        f"""
        layer {{ name: "d" type: "Data" top: "d" data_param {{ source: "s" batch_size: 4 rand_skip: 2 }} {transform} }}
        layer {{ name: "i" type: "ImageData" top: "i" image_data_param {{ source: "s" batch_size: 4 new_height: 5
                 new_width: 6 shuffle: true }} }}
        layer {{ name: "w" type: "WindowData" top: "w" window_data_param {{ source: "s" fg_threshold: 0.1
                 bg_threshold: 0.2 fg_fraction: 0.3 context_pad: 4 crop_mode: "square" }} }}
        layer {{ name: "h" type: "HDF5Output" bottom: "d" hdf5_output_param {{ file_name: "f" }} }}
        """,
    )


def test_v0_fields_without_a_place_are_dropped_with_a_warning():
    with pytest.warns(UnknownFieldWarning, match="'num_output' of layer 'r', whose type 'relu'.*'new_num'"):
        net = parse_net('layers { layer { name: "r" type: "relu" num_output: 3 new_num: 1 } }')
    assert net == parse_net('layer { name: "r" type: "ReLU" }')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layers { layer { name: "r" type: "rel" } }', "'r' has type 'rel'.*'relu'"),
        (
            'layers { layer { name: "p" type: "padding" } top: "p" } layers { layer { type: "lrn" } bottom: "p" }',
            "padding layer 'p'.*'lrn'",
        ),
        (
            'layers { layer { name: "p" type: "padding" } bottom: "a" top: "p" } '
            'layers { layer { type: "conv" } bottom: "p" bottom: "p" }',
            "one convolution or pooling",
        ),
        ('layers { layer { type: "relu" } } layers { name: "b" type: RELU }', "entry 1 of `layers`, 'b'"),
        ('layers { type: RELU } layer { type: "ReLU" }', "both `layers`"),
        ('input: "a" input: "b" input_dim: 1 input_dim: 2', "2 `input` with 2 `input_dim`; expected 8"),
        ('input: "a" input: "b" input_shape { dim: 1 }', "2 `input` with 1 `input_shape`; expected 2"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(text, message):
    with pytest.raises(FormatError, match=f"f: .*{message}"):
        parse_net(text, "f")


def test_every_v0_type_has_a_v1_type():
    assert len(V0_TYPES) == 24
    for old, new in V0_TYPES.items():
        layer = parse_net(f'layers {{ layer {{ type: "{old}" }} }}').layer[0]
        assert layer.type == TYPES[caffe_pb2.V1LayerParameter.LayerType.Value(new)]


@pytest.mark.parametrize(("name", "number"), caffe_pb2.V1LayerParameter.LayerType.items())
def test_every_v1_type(name, number):
    layer = parse_net(f"layers {{ type: {name} }}").layer[0]
    assert layer.type == TYPES[number]
    assert layer.type.lower() == {"NONE": "", "SOFTMAX_LOSS": "softmaxwithloss"}.get(
        name, name.replace("_", "").lower()
    )


def test_every_parameter_of_v1_is_copied():
    v1 = next(message for message in CAFFE if message.name == "V1LayerParameter")
    names = [field.name for field in v1.fields if field.name.endswith("_param")]
    assert len(names) == 30
    for name in names:
        net = parse_net(f'layers {{ name: "a" {name} {{ }} }}', strict=True)
        assert net.layer[0].HasField(name), name


def test_v1_parameters_and_rules():
    same(
        """
        layers { name: "a" type: CONVOLUTION bottom: "x" top: "y" param: "w" param: "" blob_share_mode: PERMISSIVE
                 blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 1 weight_decay: 0 loss_weight: 0.5
                 include { phase: TRAIN } exclude { stage: "s" } convolution_param { num_output: 3 } }
        """,
        """
        layer { name: "a" type: "Convolution" bottom: "x" top: "y" loss_weight: 0.5
                param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 }
                param { name: "" lr_mult: 2 decay_mult: 0 } param { lr_mult: 3 }
                include { phase: TRAIN } exclude { stage: "s" } convolution_param { num_output: 3 } }
        """,
    )


def test_the_transform_of_v1_data_layers_moves():
    same(
        'layers { name: "d" type: DATA data_param { source: "s" scale: 0.5 mirror: true } }'
        'layers { name: "c" type: HDF5_DATA data_param { scale: 0.5 } }',
        'layer { name: "d" type: "Data" data_param { source: "s" } transform_param { scale: 0.5 mirror: true } }'
        'layer { name: "c" type: "HDF5Data" data_param { scale: 0.5 } }',
    )


def test_inputs_come_first():
    same(
        'layer { name: "r" type: "ReLU" } input: "a" input: "b" input_shape { dim: 2 } input_shape { dim: 3 dim: 4 }',
        'layer { name: "input" type: "Input" top: "a" top: "b" '
        "input_param { shape { dim: 2 } shape { dim: 3 dim: 4 } } } "
        'layer { name: "r" type: "ReLU" }',
    )
    same('input: "a"', "")


def test_batch_norm_with_three_params_is_frozen():
    same(
        'layer { type: "BatchNorm" param { name: "m" lr_mult: 1 } param { } param { decay_mult: 2 } }',
        'layer { type: "BatchNorm" param { name: "m" lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } '
        "param { lr_mult: 0 decay_mult: 0 } }",
    )
    net = parse_net('layer { type: "BatchNorm" param { lr_mult: 1 } param { } }')
    assert net.layer[0].param[0].lr_mult == 1


def test_a_current_net_stays_as_it_is():
    net = parse_net('name: "n" layer { name: "c" type: "Convolution" param { lr_mult: 0 } } state { level: 2 }')
    again = caffe_pb2.NetParameter()
    again.CopyFrom(net)
    upgrade_net(again)
    assert again == net


def test_solvers():
    solver = parse_solver("solver_type: NESTEROV")
    assert solver.type == "Nesterov"
    assert not solver.HasField("solver_type")
    assert [parse_solver(f"solver_type: {number}").type for number in range(6)] == [
        "SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam",
    ]  # fmt: skip
    with pytest.raises(FormatError, match="both type: 'SGD' and solver_type: ADAM"):
        parse_solver('type: "SGD" solver_type: ADAM')


@pytest.mark.parametrize("name", ["net_param", "train_net_param", "test_net_param"])
def test_nets_within_solvers_are_upgraded(name):
    solver = parse_solver(f'{name} {{ layers {{ name: "r" type: RELU }} }}')
    net = getattr(solver, name)
    assert (net[0] if name == "test_net_param" else net) == parse_net('layer { name: "r" type: "ReLU" }')


@pytest.mark.parametrize("old", ["v0", "v1"])
def test_old_weights_read(tmp_path, old):
    net = caffe_pb2.NetParameter(name="old")
    entry = net.layers.add(bottom=["x"], top=["y"])
    if old == "v0":
        blobs = entry.layer.blobs
        entry.layer.name, entry.layer.type = "ip", "innerproduct"
    else:
        blobs = entry.blobs
        entry.name, entry.type = "ip", caffe_pb2.V1LayerParameter.INNER_PRODUCT
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    fill_blob(blobs.add(), values, legacy=True)
    fill_blob(blobs.add(), np.array([7.0, 8.0]), legacy=True)
    place = tmp_path / "old.caffemodel"
    place.write_bytes(net.SerializeToString())
    weight, bias = read_weights(place)["ip"]
    np.testing.assert_array_equal(weight, values.reshape(1, 1, 2, 3))
    np.testing.assert_array_equal(bias, np.array([7.0, 8.0]).reshape(1, 1, 1, 2))
    assert blob_array(blobs[0]).shape == (1, 1, 2, 3)
