"""The checker of a whole net's gradients: what it finds, and what it lets pass."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from mocha import (
    Backend,
    ConfigError,
    ConvolutionLayer,
    DropoutLayer,
    InnerProductLayer,
    Layer,
    MemoryDataLayer,
    Net,
    Neurons,
    Op,
    Pooling,
    PoolingLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
)
from mocha.backends import backend_types
from mocha.cli import main
from mocha.testing import check_gradients


@dataclasses.dataclass(frozen=True)
class Tripled(Op):
    """y = 3 x, with a gradient that can be wrong."""

    slope: float

    def infer(self, x):
        return x

    def forward(self, x):
        return 3 * x

    def backward(self, grads, inputs, outputs, wanted):
        return [self.slope * grads[0]]


class TripledLayer(Layer):
    """Its layer."""

    slope: float = 3.0

    def lower(self, g, inputs, params):
        return [g(Tripled(self.slope), x) for x in inputs]


def images(rng):
    return [rng.standard_normal((8, 2, 7, 7)).astype(np.float32), rng.integers(0, 3, 8).astype(np.float32)]


def layers(slope=3.0):
    rng = np.random.default_rng(3)
    return [
        MemoryDataLayer(name="data", data=images(rng), batch_size=4),
        ConvolutionLayer(
            name="conv", n_filter=3, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"],
        ),
        PoolingLayer(name="pool", kernel=2, stride=2, pooling=Pooling.Mean(), bottoms=["conv"], tops=["pool"]),
        TripledLayer(name="own", slope=slope, bottoms=["pool"], tops=["own"]),
        DropoutLayer(name="drop", bottoms=["own"]),
        InnerProductLayer(name="ip", output_dim=3, bottoms=["own"], tops=["ip"]),
        SoftmaxLossLayer(name="loss", bottoms=["ip", "label"]),
    ]  # fmt: skip


@pytest.fixture(params=sorted(set(backend_types()) & {"numpy", "native"}))
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as backend:
        yield backend


def test_a_right_net(backend):
    with Net("right", backend, layers()) as net:
        before = {key: net.params[key][name] for key in net.params for name in net.params[key]}
        report = check_gradients(net)
        after = {key: net.params[key][name] for key in net.params for name in net.params[key]}
    assert report.ok, str(report)
    assert [v.name for v in report.verdicts] == ["conv/filter", "conv/bias", "ip/weight", "ip/bias", "data"]
    assert all(v.checked == min(20, v.size - v.kinks) for v in report.verdicts)
    assert str(report).endswith("net 'right': all are right.")
    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array)


def test_a_wrong_op_is_found_below_it_only(backend):
    with Net("wrong", backend, layers(slope=2.9)) as net:
        report = check_gradients(net)
    assert not report.ok
    assert {v.name for v in report.verdicts if not v.ok} == {"conv/filter", "conv/bias", "data"}
    assert "WRONG at" in str(report)
    assert "3 of 5 gradients are wrong" in str(report)


def test_kinks_are_left_out(backend):
    """All inputs are 0, where the ReLU has its kink: what lies behind it cannot be checked, and is not called right."""
    data = [np.zeros((4, 3), np.float32), np.ones((4, 2), np.float32)]
    net = Net("kinks", backend, [
        MemoryDataLayer(name="data", data=data, batch_size=4),
        InnerProductLayer(name="ip", output_dim=2, neuron=Neurons.ReLU(), bottoms=["data"], tops=["ip"]),
        SquareLossLayer(name="loss", bottoms=["ip", "label"]),
    ])  # fmt: skip
    report = check_gradients(net)
    verdicts = {v.name: v for v in report.verdicts}
    assert verdicts["ip/bias"].kinks == 2
    assert not verdicts["ip/bias"].ok
    assert "NOT CHECKED" in str(report)
    net.close()


def test_what_cannot_be_checked_is_refused(backend):
    with Net("no loss", backend, layers()[:-1]) as net, pytest.raises(ConfigError, match="'no loss' has no loss layer"):
        check_gradients(net)
    with Net("n", backend, layers()) as net, pytest.raises(ConfigError, match="elements is 0"):
        check_gradients(net, elements=0)


def test_the_command(tmp_path):
    ran = CliRunner().invoke(main, ["check", "lenet", "--backend", "numpy", "--elements", "3"])
    assert ran.exit_code == 0, ran.output
    assert "net 'lenet': all are right." in ran.output
    script = tmp_path / "mine.py"
    script.write_text("def build(backend):\n    return 3\n")
    ran = CliRunner().invoke(main, ["check", "--script", str(script), "--backend", "numpy"])
    assert ran.exit_code == 1
    assert "expected a Net" in ran.output
    assert CliRunner().invoke(main, ["check", "lenet", "--script", str(script)]).exit_code == 2
