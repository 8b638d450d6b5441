"""The schema: what was built, against what the tables of Caffe's own compiled descriptor say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mocha.caffe.proto import caffe_pb2
from mocha.caffe.proto.build import file_descriptor
from mocha.caffe.proto.schema import CAFFE, MESSAGES


def test_the_counts_are_caffes():
    assert len(CAFFE) == 63
    assert sum(len(message.fields) for message in CAFFE) == 423


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_numbers_and_names_are_given_once_and_in_order(message):
    numbers = [field.number for field in message.fields]
    assert numbers == sorted(set(numbers)) or message.name == "LayerParameter"
    assert len({field.name for field in message.fields}) == len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_each_message_and_field_exists(message):
    built = getattr(caffe_pb2, message.name)()
    assert built.DESCRIPTOR.full_name == f"caffe.{message.name}"
    assert set(built.DESCRIPTOR.fields_by_name) == {field.name for field in message.fields}
    assert not built.ListFields()
    for field in message.fields:
        assert built.DESCRIPTOR.fields_by_name[field.name].number == field.number
        if field.label in ("repeated", "packed"):
            assert len(getattr(built, field.name)) == 0
        else:
            assert not built.HasField(field.name)


@pytest.mark.parametrize(
    ("message", "field", "default"),
    [
        ("ConvolutionParameter", "bias_term", True),
        ("ConvolutionParameter", "group", 1),
        ("DropoutParameter", "dropout_ratio", 0.5),
        ("FillerParameter", "type", "constant"),
        ("FillerParameter", "sparse", -1),
        ("EltwiseParameter", "operation", 1),
        ("LossParameter", "normalization", 1),
        ("NetState", "phase", 1),
        ("ParamSpec", "lr_mult", 1.0),
        ("ReductionParameter", "operation", 1),
        ("SolverParameter", "snapshot_format", 1),
        ("SolverParameter", "random_seed", -1),
        ("SolverParameter", "regularization_type", "L2"),
        ("V0LayerParameter", "det_crop_mode", "warp"),
        ("BatchNormParameter", "use_global_stats", False),
        ("PriorBoxParameter", "offset", 0.5),
        ("DetectionOutputParameter", "code_type", 1),
    ],
)
def test_defaults(message, field, default):
    assert getattr(getattr(caffe_pb2, message)(), field) == default


def test_the_names_of_protocs_module():
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST, caffe_pb2.Phase.Name(1)) == (0, 1, "TEST")
    assert caffe_pb2.PoolingParameter.AVE == caffe_pb2.PoolingParameter.PoolMethod.Value("AVE") == 1
    assert caffe_pb2.V1LayerParameter.LayerType.Name(39) == "DECONVOLUTION"
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    assert len(caffe_pb2.V1LayerParameter.LayerType.items()) == 40
    assert "NetParameter" in dir(caffe_pb2)
    assert caffe_pb2.DESCRIPTOR.package == "caffe"
    with pytest.raises(AttributeError, match="NoSuchParameter"):
        caffe_pb2.NoSuchParameter  # noqa: B018


def test_packed_numbers_lie_side_by_side_and_others_do_not():
    assert caffe_pb2.BlobShape(dim=[1, 2, 3]).SerializeToString() == b"\x0a\x03\x01\x02\x03"
    assert caffe_pb2.ConvolutionParameter(pad=[1, 2]).SerializeToString() == b"\x18\x01\x18\x02"
    assert list(caffe_pb2.BlobShape.FromString(b"\x08\x01\x08\x02").dim) == [1, 2]


def test_presence_is_kept():
    layer = caffe_pb2.LayerParameter(pooling_param={"stride": 1})
    assert layer.pooling_param.HasField("stride")
    assert not layer.pooling_param.HasField("pad")
    assert caffe_pb2.LayerParameter.FromString(layer.SerializeToString()).pooling_param.HasField("stride")


def test_caffes_own_messages_may_be_in_the_process_too():
    code = (
        "from google.protobuf import descriptor_pool\n"
        "from mocha.caffe.proto.build import file_descriptor\n"
        "from mocha.caffe.proto import caffe_pb2\n"
        "pool = descriptor_pool.Default()\n"
        "pool.Add(file_descriptor())\n"
        "theirs = pool.FindMessageTypeByName('caffe.NetParameter')\n"
        "assert theirs is not caffe_pb2.NetParameter.DESCRIPTOR\n"
    )
    path = [entry for entry in sys.path if entry]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path = {path!r}\n{code}"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_the_schema_works_in_protobufs_pure_python_too():
    code = (
        "import os; os.environ['PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION'] = 'python'\n"
        "from mocha.caffe.nets import parse_net\n"
        'net = parse_net(\'input: "x" input_dim: [1, 2, 3, 4] layer { name: "r" type: "ReLU" }\')\n'
        "assert [layer.name for layer in net.layer] == ['input', 'r'], net\n"
        "assert list(net.layer[0].input_param.shape[0].dim) == [1, 2, 3, 4]\n"
    )
    path = [entry for entry in sys.path if entry]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path = {path!r}\n{code}"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_the_description_is_complete_without_the_rest():
    assert len(file_descriptor().message_type) == len(MESSAGES)
