"""Layers of forks in nets: those for which there are no results of a real Caffe, by hand."""

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha import Backend
from mocha.errors import ConfigError, ShapeError


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


def net_of(backend, text, *shapes, phase=caffe.TEST):
    """A net on inputs a, b, ... of these shapes."""
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {n}" for n in shape)
        + " } } }\n"
        for name, shape in zip("abc", shapes, strict=False)
    )
    return caffe.Net(caffe.parse_net("force_backward: true\n" + inputs + text), phase, backend=backend)


def test_segnets_pair_of_pooling_and_upsampling(backend):
    net = net_of(
        backend,
        """
        layer { name: "p" type: "Pooling" bottom: "a" top: "p" top: "mask" pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "u" type: "Upsample" bottom: "p" bottom: "mask" top: "u"
                upsample_param { scale: 2 pad_out_h: true } }
        """,
        (1, 2, 5, 4),
    )
    x = np.random.default_rng(0).permutation(40).reshape(1, 2, 5, 4) + 1.0
    u = net.forward(a=x)["u"]
    assert u.shape == (1, 2, 5, 4)
    expected = np.zeros_like(x)
    for c in range(2):
        for i in range(0, 5, 2):
            for j in range(0, 4, 2):
                window = x[0, c, i : i + 2, j : j + 2]
                expected[0, c, i : i + 2, j : j + 2] = np.where(window == window.max(), window, 0)
    np.testing.assert_array_equal(u, expected)
    slope = np.random.default_rng(1).standard_normal(u.shape).astype(np.float32)
    net.blobs["u"].diff[...] = slope
    net.backward()
    np.testing.assert_allclose(net.blobs["a"].diff, np.where(expected != 0, slope, 0), rtol=1e-6)


def test_upsampling_without_a_mask_repeats_pixels(backend):
    text = 'layer { name: "u" type: "Upsample" bottom: "a" top: "u" upsample_param { scale_h: 2 scale_w: 3 } }'
    u = net_of(backend, text, (1, 1, 1, 2)).forward(a=[[[[1, 2]]]])["u"]
    np.testing.assert_array_equal(u[0, 0], [[1, 1, 1, 2, 2, 2]] * 2)


def test_permute(backend):
    text = 'layer { name: "p" type: "Permute" bottom: "a" top: "p" permute_param { order: 0 order: 2 order: 3 } }'
    net = net_of(backend, text, (2, 3, 4, 5))
    x = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(net.forward(a=x)["p"], x.transpose(0, 2, 3, 1))
    with pytest.raises(ConfigError, match=r"order is .* distinct axes"):
        net_of(backend, text.replace("order: 2", "order: 0"), (2, 3, 4, 5))


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_normalize(backend, across, shared):
    text = f"""layer {{ name: "n" type: "Normalize" bottom: "a" top: "n" norm_param {{
        across_spatial: {str(across).lower()} channel_shared: {str(shared).lower()}
        scale_filler {{ type: "constant" value: 20 }} }} }}"""
    net = net_of(backend, text, (2, 3, 4, 5))
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    lengths = np.sqrt((x * x).sum(axis=(1, 2, 3) if across else 1, keepdims=True) + 1e-10)
    np.testing.assert_allclose(net.forward(a=x)["n"], 20 * x / lengths, rtol=1e-5)
    assert net.params["n"][0].data.shape == (() if shared else (3,))


def test_axpy(backend):
    text = 'layer { name: "s" type: "Axpy" bottom: "a" bottom: "b" bottom: "c" top: "s" }'
    net = net_of(backend, text, (2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5))
    rng = np.random.default_rng(0)
    a, x, y = (rng.standard_normal(s).astype(np.float32) for s in ((2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5)))
    np.testing.assert_allclose(net.forward(a=a, b=x, c=y)["s"], a * x + y, rtol=1e-5, atol=1e-6)
    slope = rng.standard_normal(x.shape).astype(np.float32)
    net.backward(s=slope)
    np.testing.assert_allclose(net.blobs["a"].diff, (slope * x).sum(axis=(2, 3), keepdims=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.blobs["b"].diff, slope * a, rtol=1e-5)
    np.testing.assert_allclose(net.blobs["c"].diff, slope)


def test_interp(backend):
    text = 'layer { name: "i" type: "Interp" bottom: "a" top: "i" interp_param { zoom_factor: 2 } }'
    net = net_of(backend, text, (1, 1, 2, 2))
    found = net.forward(a=[[[[0, 2], [4, 6]]]])["i"]
    np.testing.assert_allclose(found[0, 0], [[0, 1, 2], [2, 3, 4], [4, 5, 6]], atol=1e-6)
    with pytest.raises(ConfigError, match="new size is missing"):
        net_of(backend, text.replace("zoom_factor: 2", ""), (1, 1, 2, 2))


def test_relu6(backend):
    found = net_of(backend, 'layer { name: "r" type: "ReLU6" bottom: "a" top: "r" }', (4,)).forward(a=[-1, 0, 3, 9])
    np.testing.assert_array_equal(found["r"], [0, 0, 3, 6])


def test_roi_pooling(backend):
    text = """layer { name: "r" type: "ROIPooling" bottom: "a" bottom: "b" top: "r"
        roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 } }"""
    net = net_of(backend, text, (1, 1, 4, 4), (2, 5))
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    found = net.forward(a=x, b=[[0, 0, 0, 6, 6], [0, 4, 4, 6, 6]])["r"]
    np.testing.assert_array_equal(found[0, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(found[1, 0], [[10, 11], [14, 15]])


def test_a_detector_of_ssd(backend):
    """Prior boxes, and the one detection that stands out; then none, which is a row of -1 an image."""
    text = """
    layer { name: "prior" type: "PriorBox" bottom: "c" bottom: "c" top: "prior"
            prior_box_param { min_size: 2 img_size: 4 step: 2 variance: 0.1 } }
    layer { name: "out" type: "DetectionOutput" bottom: "a" bottom: "b" bottom: "prior" top: "out"
            detection_output_param { num_classes: 2 code_type: CENTER_SIZE keep_top_k: 5 confidence_threshold: 0.5
                                     nms_param { nms_threshold: 0.45 top_k: 10 } } }"""
    net = net_of(backend, text, (1, 16), (1, 8), (1, 1, 2, 2))
    scores = np.tile([0.9, 0.1], 4)
    scores[2:4] = 0.2, 0.8
    found = net.forward(a=np.zeros((1, 16)), b=[scores], c=np.zeros((1, 1, 2, 2)))["out"]
    np.testing.assert_allclose(found, [[[[0, 1, 0.8, 0.5, 0, 1, 0.5]]]], atol=1e-6)
    found = net.forward(a=np.zeros((1, 16)), b=[np.tile([0.9, 0.1], 4)], c=np.zeros((1, 1, 2, 2)))["out"]
    np.testing.assert_array_equal(found, [[[[0, -1, -1, -1, -1, -1, -1]]]])


def test_an_unknown_type_names_its_neighbours(backend):
    with pytest.raises(ConfigError, match=r"layer 'x': the type 'Convolutoin' is unknown.*Convolution"):
        net_of(backend, 'layer { name: "x" type: "Convolutoin" bottom: "a" top: "y" }', (1, 1, 4, 4))
    with pytest.raises(ConfigError, match=r"layer 'x': the type 'ImageData' is not there yet.*HDF5"):
        net_of(backend, 'layer { name: "x" type: "ImageData" top: "y" top: "z" }', (1,))
    with pytest.raises(ShapeError, match=r"layer 'u'"):
        net_of(backend, 'layer { name: "u" type: "Upsample" bottom: "a" top: "u" }', (3,))
