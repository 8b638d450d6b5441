"""Each layer as it is lowered, in a net: gradients of all inputs and parameters against central differences."""

import dataclasses

import numpy as np
import pytest

from mocha import (
    BatchNormLayer,
    ChannelPoolingLayer,
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DropoutLayer,
    ElementWiseFunctors,
    ElementWiseLayer,
    GaussianInitializer,
    IdentityLayer,
    InnerProductLayer,
    Layer,
    LRNLayer,
    LRNMode,
    MemoryDataLayer,
    Net,
    Neuron,
    Neurons,
    NoCons,
    NoRegu,
    Op,
    ParameterSpec,
    Pooling,
    PoolingLayer,
    PowerLayer,
    RandomMaskLayer,
    ReshapeLayer,
    ScaleLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    Spec,
    SplitLayer,
    SquareLossLayer,
    TiedInnerProductLayer,
    ops,
)
from mocha.backends import Backend

EPS, TOLERANCE = 1e-5, 2e-6
SOME = GaussianInitializer(0.1, 0.5)


@dataclasses.dataclass(frozen=True)
class Weigh(Op):
    """The sum of all elements, each times a fixed random number: an objective that looks at every element."""

    @staticmethod
    def numbers(shape):
        return np.random.default_rng(7).standard_normal(shape)

    def infer(self, x):
        return Spec((), x.dtype)

    def forward(self, x):
        return np.asarray(np.sum(x * self.numbers(x.shape)), x.dtype)

    def backward(self, grads, inputs, outputs, wanted):
        return grads[0] * self.numbers(inputs[0].shape)


class Projection(Layer):
    """Makes any blob an objective."""

    n_tops = 0

    def lower(self, g, inputs, params):
        for i, x in enumerate(inputs):
            g.objective(f"{self.name}{i}", g(Weigh(), x))
        return []


def check_net(layers, inputs, *, tops=(), dtype=np.float64, tolerance=TOLERANCE):
    """Gradients of a net with respect to its data and its parameters; returns what was checked."""
    data = MemoryDataLayer(data=list(inputs.values()), tops=list(inputs), batch_size=len(next(iter(inputs.values()))))
    closing = [Projection(name="projection", bottoms=tops)] if tops else []
    feeds = {name: np.array(array, dtype) for name, array in inputs.items()}
    with Backend("numpy") as backend, Net("checked", backend, [data, *layers, *closing], force_backward=True) as net:

        def objective():
            net.counter = 5  # the same dropout each time
            return net.forward(feeds=feeds)

        objective()
        net.backward()
        found = {name: net.gradients[name] for name in net.gradients if name in feeds or "___" in name}
        shapes = {name: blob.shape for name, blob in net.blobs.items()}
        for name, gradient in found.items():
            assert gradient.dtype == dtype
            values = feeds[name] if name in feeds else backend.store.read(name)
            for place in np.ndindex(values.shape):
                kept, moved = values[place], []
                for step in (EPS, -EPS):
                    values[place] = kept + step
                    if name not in feeds:
                        backend.store.write(name, values)
                    moved.append(objective())
                values[place] = kept
                if name not in feeds:
                    backend.store.write(name, values)
                numeric = (moved[0] - moved[1]) / (2 * EPS)
                error = abs(numeric - gradient[place]) / max(abs(numeric), abs(gradient[place]), 1e-2)
                assert error < tolerance, f"{name}{place}: {gradient[place]} found, {numeric} by differences"
    return found, shapes


def numbers(*shape, seed=0):
    """Distinct numbers, no two of which are near each other or near 0: away from kinks and ties."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size / 2 + 0.3) * (3.0 / size)).reshape(shape)


X2, X4 = numbers(3, 5), numbers(2, 3, 5, 4)

CASES = {
    "ip": (InnerProductLayer, {"output_dim": 4, "weight_init": SOME, "bias_init": SOME}, [X2], 2),
    "ip of images": (InnerProductLayer, {"output_dim": 2, "weight_init": SOME}, [numbers(2, 2, 3, 2)], 2),
    "ip without bias": (InnerProductLayer, {"output_dim": 4, "bias_term": False}, [X2], 1),
    "ip of two": (InnerProductLayer, {"output_dim": 2, "weight_init": SOME}, [X2, numbers(3, 5, seed=1)], 2),
    "conv": (ConvolutionLayer, {"n_filter": 2, "kernel": (3, 2), "filter_init": SOME, "bias_init": SOME}, [X4], 2),
    "conv with all": (
        ConvolutionLayer,
        {"n_filter": 4, "kernel": 2, "stride": (2, 1), "pad": (1, 2), "dilation": (2, 1), "n_group": 2},
        [numbers(2, 2, 5, 4)],
        2,
    ),
    "conv without bias": (ConvolutionLayer, {"kernel": 2, "bias_term": False}, [numbers(2, 2, 3, 3)], 1),
    "conv of two": (ConvolutionLayer, {"kernel": 2}, [numbers(2, 2, 3, 3), numbers(2, 2, 3, 3, seed=1)], 2),
    "max pooling": (PoolingLayer, {"kernel": 3, "stride": 2, "pad": 1}, [X4], 0),
    "mean pooling": (PoolingLayer, {"kernel": (2, 3), "stride": 2, "pad": 1, "pooling": Pooling.Mean()}, [X4], 0),
    "pooling of two": (PoolingLayer, {"kernel": 2}, [X4, numbers(1, 2, 3, 3)], 0),
    "pooling with a neuron": (PoolingLayer, {"kernel": 2, "neuron": Neurons.Tanh()}, [X4], 0),
    "pooling rounded down": (PoolingLayer, {"kernel": 2, "stride": 2, "ceil": False}, [X4], 0),
    "global pooling": (PoolingLayer, {"global_pooling": True, "pooling": Pooling.Mean()}, [X4, numbers(2, 1, 3, 3)], 0),
    "batch norm": (BatchNormLayer, {}, [X4], 0),
    "batch norm of rows": (BatchNormLayer, {"eps": 0.1, "neuron": Neurons.Tanh()}, [X2], 0),
    "scale": (ScaleLayer, {"scale_init": SOME, "bias_init": SOME}, [X4, numbers(2, 3)], 2),
    "scale without bias": (ScaleLayer, {"scale_init": SOME, "bias_term": False}, [X2], 1),
    "lrn": (LRNLayer, {}, [numbers(2, 7, 3, 2)], 0),
    "lrn over an even number": (LRNLayer, {"kernel": 4, "scale": 0.3, "shift": 2.0, "power": 1.5}, [X4], 0),
    "lrn within": (LRNLayer, {"kernel": 3, "mode": LRNMode.WithinChannel()}, [X4], 0),
    "softmax": (SoftmaxLayer, {}, [X2], 0),
    "softmax over an inner axis": (SoftmaxLayer, {"dim": 2}, [numbers(2, 2, 3, 2)], 0),
    "reshape": (ReshapeLayer, {"shape": (6, 10)}, [X4], 0),
    "identity": (IdentityLayer, {}, [X2, X4], 0),
    "add": (ElementWiseLayer, {}, [X2, X2[::-1]], 0),
    "add with a neuron": (ElementWiseLayer, {"neuron": Neurons.Tanh()}, [X2, X2[::-1]], 0),
    "subtract": (ElementWiseLayer, {"operation": ElementWiseFunctors.Subtract()}, [X2, X2[::-1]], 0),
    "multiply": (ElementWiseLayer, {"operation": ElementWiseFunctors.Multiply()}, [X2, X2[::-1]], 0),
    "divide": (ElementWiseLayer, {"operation": ElementWiseFunctors.Divide()}, [X2, X2[::-1] + 3], 0),
    "channel max pooling": (ChannelPoolingLayer, {"kernel": 3, "stride": 2, "pad": (1, 2)}, [X4, X2], 0),
    "channel mean pooling": (
        ChannelPoolingLayer,
        {"kernel": 3, "stride": 2, "pad": (0, 1), "channel_dim": 2, "pooling": Pooling.Mean()},
        [X4],
        0,
    ),
    "crop": (CropLayer, {"crop_size": (2, 3)}, [X4, numbers(2, 1, 3, 4)], 0),
    "random crop": (CropLayer, {"crop_size": (2, 3), "random_crop": True, "random_mirror": True}, [X4, X4 + 1], 0),
    "power": (PowerLayer, {"power": 3, "scale": 0.5, "shift": 0.2}, [X2, numbers(3, 2)], 0),
    "power of a positive base": (PowerLayer, {"power": -0.7, "scale": 0.5, "shift": 3}, [X4], 0),
    "concat": (ConcatLayer, {}, [X2, numbers(3, 2), numbers(3, 1)], 0),
    "concat of rows": (ConcatLayer, {"dim": 2}, [numbers(2, 2, 3), numbers(2, 2, 1)], 0),
}


@pytest.mark.parametrize("case", CASES)
def test_layer(case):
    kind, properties, arrays, n_params = CASES[case]
    bottoms = [f"x{i}" for i in range(len(arrays))]
    tops = [f"y{i}" for i in range(len(arrays) if kind.n_tops is None else kind.n_tops)]
    layer = kind(**{"name": "layer", **properties}, bottoms=bottoms, tops=tops)
    # data layers want as many examples of each top
    n = len(arrays[0])
    if any(len(a) != n for a in arrays):
        arrays = [np.repeat(a, n, axis=0)[:n] + 0.001 * numbers(n, *a.shape[1:]) for a in arrays]
    found, _ = check_net([layer], dict(zip(bottoms, arrays, strict=True)), tops=tops)
    assert set(bottoms) <= set(found)
    assert len(found) == len(bottoms) + n_params


NEURONS = {
    "identity": Neurons.Identity(),
    "relu": Neurons.ReLU(),
    "relu with a floor": Neurons.ReLU(0.25),
    "lrelu": Neurons.LReLU(),
    "lrelu with a slope": Neurons.LReLU(0.3),
    "sigmoid": Neurons.Sigmoid(),
    "tanh": Neurons.Tanh(),
    "exponential": Neurons.Exponential(),
}


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("kind", [InnerProductLayer, ConvolutionLayer, PoolingLayer])
def test_neuron(kind, neuron):
    properties = {
        InnerProductLayer: {"output_dim": 3, "weight_init": SOME, "bias_init": SOME},
        ConvolutionLayer: {"n_filter": 2, "kernel": 2, "filter_init": SOME, "bias_init": SOME},
        PoolingLayer: {},
    }[kind]
    x = X2 if kind is InnerProductLayer else numbers(2, 2, 3, 3)
    layer = kind(**{"name": "layer", **properties}, neuron=NEURONS[neuron], bottoms=["x"], tops=["y"])
    found, _ = check_net([layer], {"x": x}, tops=["y"])
    assert len(found) == (1 if kind is PoolingLayer else 3)


FORMULAS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu with a floor": lambda x: np.maximum(x, 0.25),
    "lrelu": lambda x: np.where(x > 0, x, 0.01 * x),
    "lrelu with a slope": lambda x: np.where(x > 0, x, 0.3 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "exponential": np.exp,
}


@pytest.mark.parametrize("neuron", NEURONS)
def test_neurons_compute_their_formula(neuron):
    data = MemoryDataLayer(data=[X4], tops=["x"], batch_size=2)
    layer = PoolingLayer(neuron=NEURONS[neuron], bottoms=["x"], tops=["y"])
    with Backend("numpy") as backend, Net("neuron", backend, [data, layer]) as net:
        net.forward()
        np.testing.assert_allclose(net.blobs["y"], FORMULAS[neuron](X4), rtol=1e-12)


@pytest.mark.parametrize("auto_scale", [True, False])
def test_dropout(auto_scale):
    drop = DropoutLayer(name="drop", ratio=0.4, auto_scale=auto_scale, bottoms=["y"])
    ip = InnerProductLayer(name="ip", output_dim=6, weight_init=SOME, neuron=Neurons.Sigmoid(), bottoms=["x"],
                           tops=["y"])  # fmt: skip
    found, _ = check_net([ip, drop], {"x": X2}, tops=["y"])
    assert len(found) == 3


@pytest.mark.parametrize("neuron", [Neurons.Identity(), Neurons.Tanh()])
def test_tied_inner_product(neuron):
    """With the true gradient; without it a difference would see what it leaves out."""
    encoder = InnerProductLayer(name="enc", output_dim=4, weight_init=SOME, neuron=neuron, bottoms=["x"], tops=["h"])
    decoder = TiedInnerProductLayer(name="dec", tied_param_key="enc", tied_gradient=True, bias_init=SOME, neuron=neuron,
                                    bottoms=["h", "z"], tops=["y", "w"])  # fmt: skip
    found, _ = check_net([decoder, encoder], {"x": X2, "z": numbers(3, 2, 2)}, tops=["y", "w"])
    assert set(found) == {"x", "z", "enc___weight", "enc___bias", "dec___bias"}


def test_random_masks_behind_a_split():
    split = SplitLayer(bottoms=["x"], tops=["a", "b", "c"])
    mask = RandomMaskLayer(ratio=0.4, bottoms=["a", "c"])
    found, _ = check_net([split, mask], {"x": X2}, tops=["a", "b", "c"])
    assert set(found) == {"x"}


def test_two_dropouts_on_one_blob():
    drops = [DropoutLayer(name=f"drop{i}", ratio=0.3, bottoms=["y"]) for i in (1, 2)]
    check_net([IdentityLayer(bottoms=["x"], tops=["y"]), *drops], {"x": X2}, tops=["y"])


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_softmax_loss(shape):
    loss = SoftmaxLossLayer(weight=0.7, bottoms=["x", "label"])
    found, _ = check_net([loss], {"x": numbers(4, 3), "label": np.array([0, 2, 1, 1.0]).reshape(shape)})
    assert set(found) == {"x"}  # labels have no gradient


def test_softmax_loss_over_positions():
    labels = np.random.default_rng(0).integers(0, 3, (2, 1, 2, 2)).astype(float)
    check_net([SoftmaxLossLayer(bottoms=["x", "label"])], {"x": numbers(2, 3, 2, 2), "label": labels})
    labels = np.random.default_rng(0).integers(0, 2, (2, 3, 1)).astype(float)
    check_net([SoftmaxLossLayer(dim=2, bottoms=["x", "label"])], {"x": numbers(2, 3, 2), "label": labels})


def test_square_loss():
    found, _ = check_net([SquareLossLayer(weight=2, bottoms=["x", "label"])], {"x": X2, "label": X2[::-1] + 0.1})
    assert set(found) == {"x", "label"}
    np.testing.assert_allclose(found["x"], 2 / 3 * (X2 - X2[::-1] - 0.1))


def test_weights_of_losses_add_up():
    losses = [SquareLossLayer(name="a", weight=0.5, bottoms=["x", "label"]),
              SquareLossLayer(name="b", weight=2, bottoms=["x", "label"]),
              SoftmaxLossLayer(name="c", weight=3, bottoms=["x", "class"])]  # fmt: skip
    check_net(losses, {"x": X2, "label": X2[::-1] + 0.1, "class": np.array([0.0, 4, 2])})


def test_float32_keeps_its_type():
    data = MemoryDataLayer(data=[X2.astype(np.float32)], tops=["x"], batch_size=3)
    ip = InnerProductLayer(name="ip", output_dim=2, neuron=Neurons.LReLU(), bottoms=["x"], tops=["y"])
    with Backend("numpy") as backend:
        net = Net("f32", backend, [data, ip, SquareLossLayer(bottoms=["y", "y2"]), ip.copy(name="other", tops=["y2"])])
        net.forward_backward()
        assert {net.blobs[name].dtype for name in net.blobs} == {np.dtype(np.float32)}
        assert {net.gradients[name].dtype for name in net.gradients} == {np.dtype(np.float32)}


class HighwayLayer(Layer):
    """y = t h + (1 - t) x: composed of ops, with parameters of its own."""

    n_bottoms = 1
    n_tops = 1

    def parameters(self, x):
        square = Spec((x.shape[1], x.shape[1]), x.dtype)
        return [ParameterSpec(name, square, SOME, NoRegu(), NoCons()) for name in ("weight", "gate")]

    def lower(self, g, inputs, params):
        (x,), (w, v) = inputs, params
        h, t = g(ops.Tanh(), g(ops.InnerProduct(), x, w)), g(ops.Sigmoid(), g(ops.InnerProduct(), x, v))
        return [g(ops.Add(), x, g(ops.Multiply(), t, g(ops.Subtract(), h, x)))]


@dataclasses.dataclass(frozen=True)
class Softplus(Op):
    sharpness: float = 1.0

    def infer(self, x):
        return x

    def forward(self, x):
        return np.logaddexp(0, self.sharpness * x) / self.sharpness

    def backward(self, grads, inputs, outputs, wanted):
        return grads[0] / (1 + np.exp(-self.sharpness * inputs[0]))


class SoftplusLayer(Layer):
    """An own op."""

    sharpness: float = 1.0

    def lower(self, g, inputs, params):
        return [g(Softplus(self.sharpness), x) for x in inputs]


class SoftplusNeuron(Neuron):
    def lower(self, g, x):
        return g(Softplus(), x)


class ShrinkLayer(Layer):
    """An own layer that works in place."""

    in_place = True

    def lower(self, g, inputs, params):
        return [g(ops.Multiply(), g(ops.Scale(0.5), x), x) for x in inputs]


def test_a_layer_composed_of_ops():
    layers = [HighwayLayer(name=f"highway{i}", bottoms=[f"x{i}"], tops=[f"x{i + 1}"]) for i in range(2)]
    found, shapes = check_net(layers, {"x0": X2}, tops=["x2"])
    assert set(found) == {"x0"} | {f"highway{i}___{p}" for i in range(2) for p in ("weight", "gate")}
    assert shapes["x2"] == (3, 5)


def test_a_layer_of_an_own_op():
    check_net([SoftplusLayer(name="softplus", sharpness=2.0, bottoms=["x", "z"], tops=["y", "u"])],
              {"x": X2, "z": X2[::-1]}, tops=["y", "u"])  # fmt: skip


def test_an_own_neuron():
    layer = InnerProductLayer(name="ip", output_dim=3, neuron=SoftplusNeuron(), bottoms=["x"], tops=["y"])
    check_net([layer], {"x": X2}, tops=["y"])


def test_an_own_layer_in_place():
    layers = [IdentityLayer(bottoms=["x"], tops=["y"]), ShrinkLayer(name="shrink", bottoms=["y"])]
    check_net(layers, {"x": X2}, tops=["y"])


def test_a_layer_on_the_data_in_place():
    ip = InnerProductLayer(name="ip", output_dim=3, weight_init=SOME, bottoms=["x"], tops=["y"])
    data = MemoryDataLayer(data=[X2], tops=["x"], batch_size=3)
    layers = [data, ShrinkLayer(name="shrink", bottoms=["x"]), ip, Projection(name="p", bottoms=["y"])]
    with Backend("numpy") as backend, Net("in place", backend, layers) as net:
        net.forward_backward()
        np.testing.assert_allclose(net.blobs["x"], 0.5 * X2**2)
        np.testing.assert_allclose(net.gradients["ip___weight"], Weigh.numbers((3, 3)).T @ (0.5 * X2**2))


def test_one_blob_into_many_layers():
    layers = [
        InnerProductLayer(name="a", output_dim=5, weight_init=SOME, bottoms=["x"], tops=["a"]),
        InnerProductLayer(name="b", output_dim=5, param_key="a", bottoms=["a"], tops=["b"]),
        ElementWiseLayer(name="sum", bottoms=["a", "b"], tops=["s"]),
        ElementWiseLayer(name="square", operation=ElementWiseFunctors.Multiply(), bottoms=["s", "s"], tops=["q"]),
        ConcatLayer(name="all", bottoms=["q", "a", "x"], tops=["c"]),
    ]
    found, _ = check_net(layers, {"x": X2}, tops=["c", "b"])
    assert set(found) == {"x", "a___weight", "a___bias"}
