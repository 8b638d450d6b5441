import numpy as np
import pytest

from mocha.backends import Backend
from mocha.caffe import mocha_net, parse_net
from mocha.caffe.picture import caffe_picture
from mocha.errors import ConfigError, FormatError
from mocha.layers import MemoryDataLayer
from mocha.net.picture import net_picture
from mocha.visual import Role

NET = """
name: "n"
layer { name: "d" type: "Data" top: "x" top: "y" include { phase: TRAIN }
        data_param { source: "/a/b/train_lmdb" batch_size: 8 backend: LMDB } }
layer { name: "i" type: "Input" top: "x" exclude { phase: TRAIN }
        input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" param { name: "w" lr_mult: 0 } param { lr_mult: 0 }
        convolution_param { num_output: 4 kernel_h: 3 kernel_w: 5 stride: 2 pad: 1 group: 1 bias_term: true
                            weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "e" type: "Convolution" bottom: "x" top: "e" param { name: "w" }
        convolution_param { num_output: 4 kernel_h: 3 kernel_w: 5 } }
layer { name: "f" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 2 bias_term: false } }
layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "y" top: "l" include { phase: TRAIN } }
"""


def boxes(picture):
    return {box.name: box for box in picture.boxes}


def test_with_shapes():
    picture, reason = caffe_picture(parse_net(NET), phase="test")
    found = boxes(picture)
    assert reason == ""
    assert list(found) == ["i", "c", "r", "p", "e", "f"]
    assert found["c"].facts == ["4 filters 3x5", "stride 2", "pad 1"]
    assert found["c"].shapes == {"c": (2, 4, 5, 4)}
    assert found["c"].parameters == 4 * 3 * 3 * 5 + 4
    assert found["c"].frozen
    assert not found["f"].frozen
    assert (found["e"].shares, found["e"].parameters) == ("c", 4)
    assert not found["e"].frozen, "its bias learns"
    assert found["r"].facts == ["negative slope 0.1"]
    assert found["p"].facts == ["kernel 2x2", "ave", "stride 2"]
    assert found["f"].facts == ["2 outputs", "no bias"]
    assert [found[n].role for n in "icrpf"] == [Role.DATA, Role.PRODUCT, Role.POINTWISE, Role.POOLING, Role.PRODUCT]
    assert picture.about[0] == "6 layers"
    assert "in batches of 2" in picture.about[2]
    parameters = sum(box.parameters for box in picture.boxes)
    assert picture.about[1].startswith(f"{parameters} parameters")


@pytest.mark.parametrize("shapes", [None, {"x": (8, 3, 9, 9)}])
def test_a_layer_is_frozen_if_all_of_it_is(shapes):
    net = parse_net("""
        layer { name: "d" type: "Data" top: "x" }
        layer { name: "half" type: "Convolution" bottom: "x" top: "a" param { lr_mult: 0 }
                convolution_param { num_output: 4 kernel_size: 3 } }
        layer { name: "plain" type: "Convolution" bottom: "a" top: "b" param { lr_mult: 0 }
                convolution_param { num_output: 4 kernel_size: 3 bias_term: false } }
        layer { name: "norm" type: "BatchNorm" bottom: "b" top: "b" param { lr_mult: 0 } param { lr_mult: 0 } }
        layer { name: "scale" type: "Scale" bottom: "b" top: "b" param { lr_mult: 0 } param { lr_mult: 0 }
                scale_param { bias_term: true } }
        layer { name: "whole" type: "InnerProduct" bottom: "b" top: "f" param { lr_mult: 0 } param { lr_mult: 0 }
                inner_product_param { num_output: 2 } }
    """)
    picture, reason = caffe_picture(net, shapes=shapes)
    assert bool(reason) == (shapes is None)
    assert [box.name for box in picture.boxes if box.frozen] == ["plain", "scale", "whole"]
    if shapes:
        assert (boxes(picture)["norm"].parameters, boxes(picture)["norm"].statistics) == (0, 9)
        data = MemoryDataLayer(name="m", data=[np.zeros((2, 3, 9, 9), np.float32)], batch_size=2, tops=["x"])
        net.layer[0].type = "Input"
        net.layer[0].input_param.shape.add().dim.extend(shapes["x"])
        with Backend("numpy") as backend, mocha_net(net, backend, data=data) as mine:
            assert [box.name for box in net_picture(mine).boxes if box.frozen] == ["plain", "scale", "whole"]


@pytest.mark.parametrize(
    ("inputs", "ends"),
    [
        ({"x": "dim: 2 dim: 6"}, "an example"),
        ({"x": "dim: 2 dim: 6", "info": "dim: 3"}, "a batch"),
    ],
)
def test_the_batch_of_several_inputs(inputs, ends):
    tops = " ".join(
        f'layer {{ name: "{n}" type: "Input" top: "{n}" input_param {{ shape {{ {s} }} }} }}' for n, s in inputs.items()
    )
    picture, reason = caffe_picture(
        parse_net(f"""{tops}
        layer {{ name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param {{ num_output: 2 }} }}
    """)
    )
    assert reason == ""
    assert picture.about[-1].endswith(f"operations {ends}")


def test_the_first_axis_of_a_sequence_is_no_batch():
    picture, reason = caffe_picture(
        parse_net("""
        layer { name: "i" type: "Input" top: "x" top: "cont"
                input_param { shape { dim: 9 dim: 2 dim: 5 } shape { dim: 9 dim: 2 } } }
        layer { name: "l" type: "LSTM" bottom: "x" bottom: "cont" top: "y" recurrent_param { num_output: 3 } }
    """)
    )
    assert reason == ""
    assert picture.about[-1].endswith("operations a batch")


def test_data_without_shapes():
    picture, reason = caffe_picture(parse_net(NET))
    assert "'Data'" in reason
    assert picture.about == ["7 layers", "shapes unknown"]
    assert boxes(picture)["c"].parameters is None
    assert boxes(picture)["d"].facts == ["source train_lmdb", "batches of 8", "backend lmdb"]
    assert boxes(picture)["l"].role is Role.LOSS
    picture, reason = caffe_picture(parse_net(NET), shapes={"x": (8, 3, 9, 9)})
    assert reason == ""
    assert boxes(picture)["d"].kind == "Data"
    assert boxes(picture)["d"].shapes == {"x": (8, 3, 9, 9), "y": (8,)}
    with pytest.raises(ConfigError, match=r"'z', which no data layer makes. Known: x, y"):
        caffe_picture(parse_net(NET), shapes={"z": (1,)})


def test_nothing_is_written_or_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = parse_net("""
        layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "p" type: "Python" bottom: "x" top: "y" python_param { module: "os" layer: "nothing" } }
        layer { name: "o" type: "HDF5Output" bottom: "x" bottom: "x" hdf5_output_param { file_name: "out.h5" } }
    """)
    picture, reason = caffe_picture(net)
    assert "Python" in reason
    assert boxes(picture)["o"].role is Role.OUTPUT
    del net.layer[1]
    assert caffe_picture(net)[1] == ""
    assert list(tmp_path.iterdir()) == []


def test_files(tmp_path):
    with pytest.raises(FormatError, match="there is no such file"):
        caffe_picture(tmp_path / "n.prototxt")
    (tmp_path / "n.prototxt").write_text('name: "n"')
    with pytest.raises(FormatError, match=r"n\.prototxt: there are no layers in it"):
        caffe_picture(tmp_path / "n.prototxt")
    (tmp_path / "n.prototxt").write_text("layer {")
    with pytest.raises(FormatError):
        caffe_picture(tmp_path / "n.prototxt")


@pytest.mark.parametrize("model", ["lenet_mnist", "squeezenet_v1.0_deepcompressed", "ultralight_face_rfb320"])
def test_real_nets(shared, model):
    picture, reason = caffe_picture(shared / "models" / model / "deploy.prototxt", phase="test")
    assert reason == ""
    assert all(box.shapes or not box.tops for box in picture.boxes)


def test_a_net_that_became_mochas_tells_the_same():
    message = parse_net(NET)
    message.layer[2].ClearField("param")
    message.layer[5].ClearField("param")
    data = MemoryDataLayer(name="m", data=[np.zeros((2, 3, 9, 9), np.float32)], batch_size=2, tops=["x"])
    with Backend("numpy") as backend, mocha_net(message, backend, phase=1, data=data) as net:
        mine = boxes(net_picture(net))
    theirs = boxes(caffe_picture(message, phase="test")[0])
    for name in ("c", "p", "f"):
        assert (mine[name].kind, mine[name].facts, mine[name].parameters, mine[name].shapes) == (
            theirs[name].kind, theirs[name].facts, theirs[name].parameters, theirs[name].shapes,
        )  # fmt: skip
