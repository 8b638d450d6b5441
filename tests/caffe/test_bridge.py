"""Caffe nets as Mocha's own: training, validation, snapshots, and the gradients of their layers by differences."""

import h5py
import numpy as np
import pytest

import mocha.caffe as caffe
from mocha import SGD, DefaultBackend, MemoryDataLayer, Snapshot, Solver, ValidationPerformance, make_solver_parameters
from mocha.errors import ConfigError
from mocha.testing import check_gradients

RNG = np.random.default_rng(0)
TRAIN = """
name: "small"
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "d.txt" batch_size: 20 } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "scale" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "drop" type: "Dropout" bottom: "c" top: "c" dropout_param { dropout_ratio: 0.2 } }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path):
    label = RNG.integers(0, 2, 100)
    images = RNG.standard_normal((100, 1, 6, 6)) + 2 * label[:, None, None, None]
    with h5py.File("d.h5", "w") as file:
        file["data"], file["label"] = images.astype(np.float32), label.astype(np.float32)
    tmp_path.joinpath("d.txt").write_text("d.h5\n")
    tmp_path.joinpath("net.prototxt").write_text(TRAIN)


def test_mochas_solver_trains_validates_and_snapshots(data, tmp_path):
    method = SGD()
    with (
        DefaultBackend() as backend,
        caffe.mocha_net("net.prototxt", backend, seed=1) as net,
        caffe.mocha_net("net.prototxt", backend, phase=caffe.TEST) as test,
    ):
        assert net.name == "small"
        solver = Solver(method, make_solver_parameters(method, max_iter=60, load_from=str(tmp_path / "snapshots")))
        solver.add_coffee_break(Snapshot(str(tmp_path / "snapshots")), every_n_iter=30)
        solver.add_coffee_break(ValidationPerformance(test), every_n_iter=30)
        solver.solve(net)
        values = {key: dict(group) for key, group in net.params.items()}
        test.forward(phase="test")
        assert test.blobs["acc"] > 0.9
    assert any((tmp_path / "snapshots").iterdir())
    with DefaultBackend() as backend, caffe.mocha_net("net.prototxt", backend) as net:
        solver = Solver(method, make_solver_parameters(method, max_iter=60, load_from=str(tmp_path / "snapshots")))
        solver.solve(net)
        for key, group in values.items():  # the first pass of a training is before its first update
            for name, array in group.items() if key != "bn" else ():
                np.testing.assert_array_equal(net.params[key][name], array)


def test_both_faces_compute_the_same(data):
    plain = caffe.Net("net.prototxt", caffe.TEST)
    plain.params["bn"][2].data[...] = 1
    plain.params["bn"][1].data[...] = 2
    plain.save("w.caffemodel")
    expected = plain.forward()
    with (
        DefaultBackend() as backend,
        caffe.mocha_net("net.prototxt", backend, phase=caffe.TEST, weights="w.caffemodel") as net,
    ):
        net.forward(phase="test")
        for name, value in expected.items():
            np.testing.assert_allclose(net.blobs[name], value, rtol=1e-5)


def test_inputs_get_their_data_from_a_layer_of_mochas():
    text = caffe.parse_net(
        'layer { name: "i" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }'
    )
    with DefaultBackend() as backend:
        with pytest.raises(ConfigError, match=r"layer 'i' \(Input\) has no data for a, b; give a data layer"):
            caffe.mocha_net(text, backend)
        some = MemoryDataLayer(name="m", tops=["a"], data=[np.ones((4, 3), np.float32)], batch_size=2)
        with pytest.raises(ConfigError, match="has no data for b;"):
            caffe.mocha_net(text, backend, data=some)


def test_a_file_for_results_is_written_once(data):
    text = (
        TRAIN
        + 'layer { name: "o" type: "HDF5Output" bottom: "ip" bottom: "label" hdf5_output_param { file_name: "o.h5" } }'
    )
    with DefaultBackend() as backend, caffe.mocha_net(caffe.parse_net(text), backend) as net:
        net.forward()
        net.forward()
    with h5py.File("o.h5") as file:
        assert file["data"].shape == (40, 2)


# -- gradients

IMAGES = (2, 3, 5, 4)
CASES = {
    "Convolution": 'bottom: "x" convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 W }',
    "Deconvolution": 'bottom: "x" convolution_param { num_output: 3 group: 3 kernel_size: 3 stride: 2 pad: 1 W }',
    "Im2col": 'bottom: "x" convolution_param { kernel_size: 2 }',
    "Pooling max": 'bottom: "x" pooling_param { kernel_size: 3 stride: 2 }',
    "Pooling ave": 'bottom: "x" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
    "Pooling stochastic": 'bottom: "x" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }',
    "SPP": 'bottom: "x" spp_param { pyramid_height: 2 }',
    "InnerProduct": 'bottom: "x" inner_product_param { num_output: 4 W }',
    "InnerProduct transposed": 'bottom: "x" inner_product_param { num_output: 4 transpose: true axis: 2 W }',
    "Embed": 'bottom: "places" embed_param { num_output: 4 input_dim: 6 W }',
    "BatchNorm": 'bottom: "x"',
    "BatchNorm global": 'bottom: "x" batch_norm_param { use_global_stats: true eps: 0.1 }',
    "Scale": 'bottom: "x" scale_param { bias_term: true filler { type: "gaussian" } bias_filler { type: "gaussian" } }',
    "Scale axes": 'bottom: "x" scale_param { axis: 1 num_axes: 2 filler { type: "gaussian" } }',
    "Scale by": 'bottom: "x" bottom: "channels" scale_param { axis: 0 }',
    "Bias": 'bottom: "x" bias_param { filler { type: "gaussian" } }',
    "MVN": 'bottom: "x"',
    "MVN mean": 'bottom: "x" mvn_param { normalize_variance: false across_channels: true }',
    "LRN": 'bottom: "x" lrn_param { local_size: 3 alpha: 0.5 }',
    "LRN within": 'bottom: "x" lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }',
    "ReLU": 'bottom: "x"',
    "ReLU slope": 'bottom: "x" relu_param { negative_slope: 0.3 }',
    "ReLU turned": 'bottom: "x" relu_param { negative_slope: -0.3 }',
    "PReLU": 'bottom: "x" prelu_param { filler { type: "gaussian" } }',
    "PReLU shared": 'bottom: "x" prelu_param { channel_shared: true }',
    "ELU": 'bottom: "x" elu_param { alpha: 0.7 }',
    "Sigmoid": 'bottom: "x"',
    "TanH": 'bottom: "x"',
    "Swish": 'bottom: "x" swish_param { beta: 1.5 }',
    "AbsVal": 'bottom: "x"',
    "BNLL": 'bottom: "x"',
    "Power": 'bottom: "positive" power_param { power: 1.7 scale: 2 shift: 0.5 }',
    "Exp": 'bottom: "x" exp_param { base: 2 scale: 0.5 shift: 0.1 }',
    "Log": 'bottom: "positive" log_param { base: 3 scale: 2 shift: 0.5 }',
    "Clip": 'bottom: "x" clip_param { min: -0.5 max: 0.8 }',
    "Dropout": 'bottom: "x" dropout_param { dropout_ratio: 0.4 }',
    "Eltwise sum": 'bottom: "x" bottom: "positive" eltwise_param { coeff: 2 coeff: -0.5 }',
    "Eltwise prod": 'bottom: "x" bottom: "positive" eltwise_param { operation: PROD }',
    "Eltwise max": 'bottom: "x" bottom: "positive" eltwise_param { operation: MAX }',
    "Concat": 'bottom: "x" bottom: "positive" concat_param { axis: 2 }',
    "Flatten": 'bottom: "x" flatten_param { axis: 2 }',
    "Reshape": 'bottom: "x" reshape_param { shape { dim: 0 dim: -1 } }',
    "Crop": 'bottom: "x" bottom: "small" crop_param { offset: 1 }',
    "Tile": 'bottom: "x" tile_param { axis: 1 tiles: 3 }',
    "Reduction sum": 'bottom: "x" reduction_param { axis: 1 coeff: 0.5 }',
    "Reduction asum": 'bottom: "x" reduction_param { operation: ASUM axis: 2 }',
    "Reduction sumsq": 'bottom: "x" reduction_param { operation: SUMSQ axis: -1 }',
    "Reduction mean": 'bottom: "x" reduction_param { operation: MEAN }',
    "BatchReindex": 'bottom: "x" bottom: "rows"',
    "Filter": 'bottom: "x" bottom: "all"',
    "Softmax": 'bottom: "x"',
    "RNN": 'bottom: "sequence" bottom: "cont" bottom: "h" top: "h1" '
    "recurrent_param { num_output: 3 expose_hidden: true W }",
    "LSTM": 'bottom: "sequence" bottom: "cont" bottom: "h" bottom: "c" top: "h1" top: "c1" '
    "recurrent_param { num_output: 3 expose_hidden: true W }",
    "Normalize": 'bottom: "x" norm_param { across_spatial: false }',
    "Permute": 'bottom: "x" permute_param { order: 0 order: 2 order: 3 order: 1 }',
    "Axpy": 'bottom: "channels" bottom: "x" bottom: "positive"',
    "ReLU6": 'bottom: "x"',
    "Interp": 'bottom: "x" interp_param { height: 7 width: 6 }',
    "Upsample": 'bottom: "x" upsample_param { scale: 2 }',
    "ROIPooling": 'bottom: "x" bottom: "rois" roi_pooling_param { pooled_h: 2 pooled_w: 2 }',
}
LOSSES = {
    "SoftmaxWithLoss": 'bottom: "x" bottom: "pixels" softmax_param { axis: 1 } loss_param { ignore_label: 1 }',
    "SigmoidCrossEntropyLoss": 'bottom: "x" bottom: "positive"',
    "MultinomialLogisticLoss": 'bottom: "shares" bottom: "labels"',
    "InfogainLoss": 'bottom: "three" bottom: "classes" bottom: "matrix"',
    "EuclideanLoss": 'bottom: "x" bottom: "positive"',
    "HingeLoss": 'bottom: "scores" bottom: "labels"',
    "HingeLoss squared": 'bottom: "scores" bottom: "labels" hinge_loss_param { norm: L2 }',
    "ContrastiveLoss": 'bottom: "scores" bottom: "others" bottom: "same" contrastive_loss_param { margin: 3 }',
}
DATA = {
    "x": RNG.standard_normal(IMAGES),
    "positive": RNG.uniform(0.2, 0.9, IMAGES),
    "channels": RNG.standard_normal((2, 3)),
    "small": RNG.standard_normal((2, 3, 3, 2)),
    "places": np.array([[0, 5], [2, 2]]),
    "rows": np.array([1, 1]),
    "all": np.ones((2, 1)),
    "pixels": RNG.integers(0, 3, (2, 5, 4)),
    "labels": np.array([0, 2]),
    "same": np.array([0, 1]),
    "scores": RNG.standard_normal((2, 3)),
    "others": RNG.standard_normal((2, 3)),
    "shares": RNG.dirichlet([1, 1, 1], 2),
    "three": RNG.standard_normal((3, 3)),
    "classes": np.array([0, 2, 1]),
    "matrix": RNG.uniform(0, 1, (3, 3)),
    "sequence": RNG.standard_normal((3, 2, 4)),
    "h": RNG.standard_normal((3, 2)),  # as many as 2 of 3 states
    "c": RNG.standard_normal((3, 2)),
    "cont": np.array([[1, 1], [1, 0], [1, 1]]),
    "rois": np.array([[0, 0, 0, 3, 4], [1, 1, 1, 3, 3]]),
}
ADDED = 'layer { name: "%s" type: "Input" top: "%s" input_param { shape { %s } } }\n'


def net_of(kind):
    """The text of a net with a layer and an objective, and its data."""
    body = (CASES | LOSSES)[kind]
    body = body.replace(" W ", ' weight_filler { type: "uniform" min: -1 max: 1 } bias_filler { type: "gaussian" } ')
    used = [name for name in DATA if f'bottom: "{name}"' in body]
    text = "".join(ADDED % (name, name, " ".join(f"dim: {n}" for n in DATA[name].shape)) for name in used)
    text += f'layer {{ name: "layer" type: "{kind.split()[0]}" top: "y" {body} }}\n'
    if kind not in LOSSES:  # squares, so that no element counts as another
        text += (
            'layer { name: "sq" type: "Power" bottom: "y" top: "s" power_param { power: 2 shift: 0.3 } loss_weight: 1 }'
        )
    arrays = [DATA[name].astype(np.float32) for name in used]
    data = MemoryDataLayer(name="data", tops=used, data=arrays, batch_size=len(arrays[0]))
    return caffe.parse_net(text), data


@pytest.mark.parametrize("kind", [*CASES, *LOSSES])
def test_gradients_are_those_of_differences(kind):
    text, data = net_of(kind)
    with DefaultBackend() as backend, caffe.mocha_net(text, backend, data=data, seed=2) as net:
        report = check_gradients(net, elements=12)
        assert report.ok, f"{report}"
