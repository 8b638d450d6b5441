import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mocha.backends import Backend
from mocha.errors import ConfigError
from mocha.graph import Graph, Phase, Section
from mocha.graph.listing import amount
from mocha.layers import (
    AccuracyLayer,
    BatchNormLayer,
    ConvolutionLayer,
    DropoutLayer,
    ElementWiseLayer,
    InnerProductLayer,
    Layer,
    LRNLayer,
    MemoryDataLayer,
    MemoryOutputLayer,
    Neurons,
    Pooling,
    PoolingLayer,
    ReshapeLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
    TiedInnerProductLayer,
)
from mocha.models import MODELS, find_model
from mocha.net import Net
from mocha.net.picture import net_picture, totals
from mocha.visual import Role, net_dot


@pytest.fixture
def backend():
    with Backend("numpy") as made:
        yield made


@pytest.mark.parametrize(
    ("layer", "facts"),
    [
        (ConvolutionLayer(name="c", n_filter=8, kernel=(5, 3), stride=2, pad=(1, 2), bottoms=["x"], tops=["y"]),
         ["8 filters 5x3", "stride 2", "pad 1x2"]),
        (ConvolutionLayer(name="c", n_group=1, bias_term=False, neuron=Neurons.ReLU(), bottoms=["x"], tops=["y"]),
         ["1 filters 1x1", "no bias", "ReLU"]),
        (PoolingLayer(kernel=3, pooling=Pooling.Mean(), ceil=False, bottoms=["x"], tops=["y"]),
         ["kernel 3x3", "mean", "no ceil"]),
        (PoolingLayer(global_pooling=True, bottoms=["x"], tops=["y"]), ["max", "global pooling"]),
        (InnerProductLayer(name="i", output_dim=10, weight_lr=3.0, bottoms=["x"], tops=["y"]), ["10 outputs"]),
        (DropoutLayer(ratio=0.25, bottoms=["x"]), ["ratio 0.25"]),
        (LRNLayer(scale=1e-4, bottoms=["x"], tops=["y"]), ["kernel 5", "scale 0.0001"]),
        (ReshapeLayer(shape=(4, 2), bottoms=["x"], tops=["y"]), ["to 4x2"]),
        (ElementWiseLayer(bottoms=["x", "z"], tops=["y"]), ["Add"]),
    ],
)  # fmt: skip
def test_what_layers_tell(layer, facts):
    assert layer.tell() == (type(layer).__name__.removesuffix("Layer"), facts)


def test_a_layer_of_ones_own_may_say_it_otherwise():
    class Mine(Layer):
        name: str = "mine"
        beta: float = 1.0
        wide: bool = False

        def lower(self, g, inputs, params):
            return inputs

    class Other(Mine):
        def tell(self):
            return "Something", ["else"]

    assert Mine(beta=1234567, bottoms=["x"], tops=["y"]).tell() == ("Mine", ["beta 1234567"])
    assert Mine(beta=0.5, wide=True, bottoms=["x"], tops=["y"]).tell() == ("Mine", ["beta 0.5", "wide"])
    assert Other(bottoms=["x"], tops=["y"]).tell() == ("Something", ["else"])


def test_records(backend):
    data = np.zeros((8, 1, 6, 6), np.float32)
    net = Net("n", backend, [
        MemoryDataLayer(name="data", data=[data, np.zeros(8)], batch_size=4),
        ConvolutionLayer(name="c", n_filter=2, kernel=3, bottoms=["data"], tops=["a"]),
        BatchNormLayer(name="norm", bottoms=["a"], tops=["b"]),
        DropoutLayer(name="drop", bottoms=["b"]),
        InnerProductLayer(name="f", output_dim=3, param_key="shared", bottoms=["b"], tops=["s"]),
        InnerProductLayer(name="g", output_dim=3, param_key="shared", bottoms=["b"], tops=["t"]),
        SoftmaxLossLayer(name="loss", bottoms=["s", "label"]),
        AccuracyLayer(name="acc", bottoms=["t", "label"]),
        MemoryOutputLayer(name="out", bottoms=["t"]),
    ])  # fmt: skip
    net.freeze("c")
    picture = net_picture(net)
    found = {box.name: box for box in picture.boxes}
    roles = {name: box.role.name for name, box in found.items()}
    assert roles == {
        "data": "DATA", "c": "PRODUCT", "norm": "NORMALISING", "drop": "POINTWISE", "f": "PRODUCT", "g": "PRODUCT",
        "loss": "LOSS", "acc": "MEASURE", "out": "OUTPUT",
    }  # fmt: skip
    assert found["data"].shapes == {"data": (4, 1, 6, 6), "label": (4,)}
    assert (found["norm"].parameters, found["norm"].statistics) == (0, 4)
    assert (found["c"].frozen, found["c"].parameters, found["c"].shapes) == (True, 20, {"a": (4, 2, 4, 4)})
    assert found["drop"].tops == found["drop"].bottoms == ("b",)
    assert (found["f"].shares, found["f"].parameters) == ("", 99)
    assert (found["g"].shares, found["g"].parameters) == ("f", 0)
    assert [name for name, box in found.items() if box.frozen] == ["c"]
    count = sum(box.parameters for box in picture.boxes)
    assert count == 20 + 99
    assert picture.about[:2] == ["9 layers", f"{count} parameters ({4 * count} B), 4 running statistics"]
    assert f"9 layers, {count} parameters ({4 * count} B), 4 running statistics," in str(net)
    assert "in batches of 4" in picture.about[2]
    assert "operations an example" in picture.about[3]
    net.close()


def test_operations_of_a_forward_pass(backend):
    data = np.zeros((4, 10), np.float32)
    with Net("n", backend, [
        MemoryDataLayer(name="data", data=[data], batch_size=4, tops=["x"]),
        InnerProductLayer(name="f", output_dim=100, bias_term=False, bottoms=["x"], tops=["y"]),
    ]) as net:  # fmt: skip
        assert net_picture(net).about[3] == "forward 2 k operations an example"


def test_tied_layers(backend):
    data = np.zeros((4, 10), np.float32)
    with Net("n", backend, [
        MemoryDataLayer(name="data", data=[data], batch_size=4, tops=["x"]),
        InnerProductLayer(name="encoder", output_dim=3, param_key="key", bottoms=["x"], tops=["y"]),
        TiedInnerProductLayer(name="decoder", tied_param_key="key", bottoms=["y"], tops=["z"]),
        SquareLossLayer(name="loss", bottoms=["z", "x"]),
    ]) as net:  # fmt: skip
        box = net_picture(net).boxes[2]
        assert (box.parameters, box.shares) == (10, "encoder"), "the layer's name, not its key"
        dotted = [line for line in net_dot(net_picture(net)).splitlines() if "dotted" in line]
        assert len(dotted) == 1
        assert "n1 -> n2" in dotted[0]


def test_rates_of_0_are_frozen(backend):
    data = np.zeros((4, 10), np.float32)
    with Net("n", backend, [
        MemoryDataLayer(name="data", data=[data], batch_size=4, tops=["x"]),
        InnerProductLayer(name="half", output_dim=3, weight_lr=0.0, bottoms=["x"], tops=["y"]),
        InnerProductLayer(name="whole", output_dim=3, weight_lr=0.0, bias_lr=0.0, bottoms=["y"], tops=["z"]),
        SquareLossLayer(name="loss", bottoms=["z", "y"]),
    ]) as net:  # fmt: skip
        assert [box.name for box in net_picture(net).boxes if box.frozen] == ["whole"]


def test_a_top_with_the_name_of_a_loss(backend):
    with Net("n", backend, [
        MemoryDataLayer(name="data", data=[np.zeros((4, 10)), np.zeros(4)], batch_size=4, tops=["x", "label"]),
        InnerProductLayer(name="f", output_dim=3, bottoms=["x"], tops=["loss"]),
        SoftmaxLossLayer(name="loss", bottoms=["loss", "label"]),
    ]) as net:  # fmt: skip
        assert [box.role for box in net_picture(net).boxes] == [Role.DATA, Role.PRODUCT, Role.LOSS]


def test_operations_are_those_of_a_forward_pass_only(backend):
    with Net("n", backend, [
        MemoryDataLayer(name="data", data=[np.zeros((2, 300, 1, 1))], batch_size=2, tops=["x"]),
        BatchNormLayer(name="norm", bottoms=["x"], tops=["y"]),
    ]) as net:  # fmt: skip
        graph = net.lower(Phase.TRAIN)
        forward = sum(node.work for node in graph.nodes if node.section is Section.FORWARD)
        assert amount(forward / 2) != amount(sum(node.work for node in graph.nodes) / 2), "the averages move too"
        assert net_picture(net).about[3] == f"forward {amount(forward / 2)} operations an example"


@pytest.mark.parametrize(("data", "ends"), [
    ([(4, 3), (4,)], "an example"), ([(4, 3), (1, 3)], "a batch"), ([(4, 3), ()], "a batch"), ([], "a batch"),
])  # fmt: skip
def test_operations_of_a_batch_that_nobody_knows(data, ends):
    assert totals(Graph(Phase.TEST), 1, (), data)[-1] == f"forward 0 operations {ends}"


@pytest.mark.parametrize("name", MODELS)
def test_models_are_drawn(backend, tmp_path, name):
    model = find_model(name)
    with Net(name, backend, model.training(*model.noise(1), batch=1)) as net:
        text = net.draw(tmp_path / "n.dot").read_text()
        assert text.count("<B>") == len(net.layers) + 1
        if shutil.which("dot") is None:
            pytest.skip("needs the program dot of Graphviz")
        ET.parse(net.draw(tmp_path / "n.svg", direction="LR", blobs=True))


def test_wrong_words(backend, tmp_path):
    model = find_model("mlp")
    with Net("n", backend, model.training(*model.noise(1), batch=1)) as net:
        for wrong in ({"direction": "UP"}, {"phase": "both"}):
            with pytest.raises(ConfigError):
                net.draw(tmp_path / "n.dot", **wrong)
    assert list(tmp_path.iterdir()) == []
