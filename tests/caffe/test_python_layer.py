"""Layers that users write in Python: leave to run them, what they see, what they learn, what they raise."""

import sys

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha import Backend
from mocha.errors import ConfigError, ShapeError

MODULE = '''
import numpy as np

import mocha.caffe as caffe


class Times(caffe.Layer):
    """y = factor x, with the factor learned."""

    def setup(self, bottom, top):
        if len(bottom) != 1:
            raise KeyError("one bottom")
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = float(self.param_str)
        self.calls = []

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.calls.append(self.phase)
        top[0].data[...] = self.blobs[0].data[0] * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] += np.sum(top[0].diff * bottom[0].data)
        if propagate_down[0]:
            bottom[0].diff[...] = self.blobs[0].data[0] * top[0].diff


class Phase(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = self.phase


class Counter(caffe.Layer):
    """Data from nowhere."""

    def setup(self, bottom, top):
        self.count = 0

    def reshape(self, bottom, top):
        top[0].reshape(2, 1)
        top[1].reshape(2)

    def forward(self, bottom, top):
        top[0].data[...] = self.count
        top[1].data[...] = -self.count
        self.count += 1


class Fails(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        if self.param_str == "forward":
            raise ZeroDivisionError("mine")

    def backward(self, top, propagate_down, bottom):
        raise ZeroDivisionError("mine")


class Grows(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].reshape(2)


class NoLayer:
    pass


number = 3
'''

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "p" type: "Python" bottom: "x" top: "y" %s
        python_param { module: "my_layers" layer: "%s" param_str: "%s" } }
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "my_layers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("MOCHA_ALLOW_PYTHON_LAYERS", raising=False)
    yield
    sys.modules.pop("my_layers", None)
    caffe.allow_python_layers(False)


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


def message(layer="Times", param_str="2", more=""):
    return caffe.parse_net(NET % (more, layer, param_str))


def net(*args, phase=caffe.TRAIN, **kwargs):
    return caffe.Net(message(*args), phase, allow_python_layers=True, **kwargs)


# -- leave


def test_without_leave_no_code_is_run():
    for phase in (caffe.TRAIN, caffe.TEST):
        with pytest.raises(
            ConfigError, match=r"layer 'p' \(Python\).*my_layers.Times.*call caffe.allow_python_layers\(\)"
        ):
            caffe.Net(message(), phase)
    assert "my_layers" not in sys.modules
    with pytest.raises(ConfigError, match="MOCHA_ALLOW_PYTHON_LAYERS=1"):
        caffe.Net(message(), caffe.TEST, allow_python_layers=False)


def test_ways_to_give_leave(monkeypatch):
    caffe.Net(message(), caffe.TEST, allow_python_layers=True)
    with pytest.raises(ConfigError):  # it was for that net alone
        caffe.Net(message(), caffe.TEST)
    caffe.allow_python_layers()
    caffe.Net(message(), caffe.TEST)
    with pytest.raises(ConfigError):
        caffe.Net(message(), caffe.TEST, allow_python_layers=False)
    caffe.allow_python_layers(False)
    with pytest.raises(ConfigError):
        caffe.Net(message(), caffe.TEST)
    for word in ("0", "", "no"):
        monkeypatch.setenv("MOCHA_ALLOW_PYTHON_LAYERS", word)
        with pytest.raises(ConfigError):
            caffe.Net(message(), caffe.TEST)
    monkeypatch.setenv("MOCHA_ALLOW_PYTHON_LAYERS", "1")
    caffe.Net(message(), caffe.TEST)


def test_leave_holds_as_long_as_the_net():
    made = net()
    made.blobs["x"].reshape(5, 3)
    assert made.forward(x=np.ones((5, 3)))["y"].shape == (5, 3)
    other = net("Times", "7")
    made.share_with(other)
    assert np.all(made.forward(x=np.ones((5, 3)))["y"] == 7)


# -- what they see and learn


def test_forward_and_backward(backend):
    made = net(backend=backend)
    x = np.arange(6.0).reshape(2, 3)
    assert made.params["p"][0].data == 2  # what setup has put there
    np.testing.assert_array_equal(made.forward(x=x)["y"], 2 * x)
    made.params["p"][0].data[...] = 5
    np.testing.assert_array_equal(made.forward(x=x)["y"], 5 * x)
    made.backward(y=np.ones((2, 3)))
    assert made.params["p"][0].diff == x.sum()
    made.backward(y=np.ones((2, 3)))
    assert made.params["p"][0].diff == 2 * x.sum()
    assert not made.blobs["x"].diff.any()  # nobody asked
    forced = net("Times", "3", "propagate_down: true", backend=Backend("numpy"))
    forced.forward(x=x)
    forced.backward(y=np.ones((2, 3)))
    np.testing.assert_array_equal(forced.blobs["x"].diff, np.full((2, 3), 3))


def test_the_phase_is_told():
    for phase in (caffe.TRAIN, caffe.TEST):
        assert net("Phase", "", phase=phase).forward()["y"] == phase


def test_data_from_a_python_layer(backend):
    text = """
    layer { name: "d" type: "Python" top: "a" top: "b" python_param { module: "my_layers" layer: "Counter" } }
    layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 1 } }
    """
    made = caffe.Net(caffe.parse_net(text), caffe.TRAIN, allow_python_layers=True, backend=backend)
    for count in range(3):
        out = made.forward(["a"])
        assert np.all(out["a"] == count)
        assert np.all(out["b"] == -count)
        made.backward()


def test_parameters_are_learned_saved_and_loaded(tmp_path):
    text = (
        NET % ("", "Times", "2")
        + """
    layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
    """
    )
    param = caffe.parse_solver('base_lr: 0.5 lr_policy: "fixed" momentum: 0.5')
    param.net_param.CopyFrom(caffe.parse_net(text))
    for make in (caffe.SGDSolver, caffe.get_solver):
        solver = make(param, allow_python_layers=True)
        solver.net.blobs["x"].data[...] = 1
        solver.net.blobs["t"].data[...] = 4
        solver.step(40)
        assert solver.net.params["p"][0].data == pytest.approx(4, abs=1e-3)
    path = tmp_path / "p.caffemodel"
    solver.net.save(path)
    assert net(weights=path).params["p"][0].data == pytest.approx(4, abs=1e-3)


def test_a_test_net_has_its_own_instance_and_the_same_parameters():
    param = caffe.parse_solver('base_lr: 1 lr_policy: "fixed" test_iter: 1 test_interval: 1')
    param.net_param.CopyFrom(message("Times", "3", "loss_weight: 1"))
    solver = caffe.get_solver(param, allow_python_layers=True)
    solver.net.blobs["x"].data[...] = solver.test_nets[0].blobs["x"].data[...] = 1
    solver.step(1)
    assert solver.test_nets[0].params["p"][0].data == -3
    assert np.all(solver.test_nets[0].forward()["y"] == -3)


# -- what goes wrong


def test_errors_of_the_user_pass_through(backend):
    with pytest.raises(ZeroDivisionError, match="mine"):
        net("Fails", "forward", backend=backend).forward()
    made = net("Fails", "", "propagate_down: true", backend=backend)
    made.forward()
    with pytest.raises(ZeroDivisionError, match="mine"):
        made.backward()
    made.forward()  # and the net goes on
    two = NET.replace('bottom: "x"', 'bottom: "x" bottom: "x"') % ("", "Times", "2")
    with pytest.raises(KeyError, match="one bottom"):
        caffe.Net(caffe.parse_net(two), caffe.TEST, allow_python_layers=True)
    with pytest.raises(ValueError, match="could not convert string"):
        net("Times", "two")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("Missing", "there is no my_layers.Missing"),
        ("NoLayer", "my_layers.NoLayer is <class .*expected a subclass of caffe.Layer"),
        ("number", "my_layers.number is 3; expected a subclass"),
    ],
)
def test_bad_classes(layer, expected):
    with pytest.raises(ConfigError, match=rf"layer 'p' \(Python\): {expected}"):
        net(layer, "")


def test_bad_modules(tmp_path):
    for module in ("no_such_module", ""):
        text = (NET % ("", "Times", "2")).replace("my_layers", module)
        with pytest.raises(ConfigError, match=r"layer 'p' \(Python\): there is no"):
            caffe.Net(caffe.parse_net(text), caffe.TEST, allow_python_layers=True)


def test_shapes_change_in_reshape_only():
    with pytest.raises(ShapeError, match=r"layer 'p' \(Python\): forward changed the shape"):
        net("Grows", "").forward()
