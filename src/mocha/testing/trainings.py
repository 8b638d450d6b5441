"""A small training for each entry of the catalogue: what takes part in it, and on which numbers."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mocha.coffee
import mocha.data
import mocha.layers
import mocha.parameters
import mocha.solvers
from mocha.coffee import Snapshot, TrainingSummary, ValidationPerformance
from mocha.layers import InnerProductLayer, Layer, MemoryDataLayer, Neurons, SoftmaxLossLayer
from mocha.net import Net
from mocha.ops import Array
from mocha.parameters import GaussianInitializer
from mocha.solvers import SGD, CoffeeBreak, LRPolicy, MomPolicy, SolverMethod

ITERATIONS = 4
"""Updates of each training."""

SUBJECT = "subject"
"""The name of the layer that an entry is about."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What an entry runs.

    Attributes:
        layers: of the net.
        method: of the solver.
        params: of the solver, beside the number of iterations.
        breaks: made for the solver and its net.
    """

    layers: list[Layer]
    method: SolverMethod = dataclasses.field(default_factory=SGD)
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    breaks: Callable[[Net], list[CoffeeBreak]] = lambda net: []


N, CLASSES = 6, 3
"""Examples, and their classes."""

_SOME = GaussianInitializer(0.1, 0.5)


def _numbers(*shape: int) -> Array:
    """Distinct numbers from -1.5 to 1.5, no two near each other or near 0: away from kinks and ties."""
    size = int(np.prod(shape))
    order = np.random.default_rng(size).permutation(size)
    return ((order - size / 2 + 0.3) * (3.0 / size)).reshape(shape).astype(np.float32)


def _data(**arrays: Array) -> list[Layer]:
    return [MemoryDataLayer(name=f"{top}-data", data=[a], tops=[top], batch_size=len(a)) for top, a in arrays.items()]


def _classes() -> Array:
    return (np.arange(N) % CLASSES).astype(np.float32)


def _ending(bottom: str) -> list[Layer]:
    """Scores of a blob, and their loss."""
    return [
        InnerProductLayer(name="scores", output_dim=CLASSES, weight_init=_SOME, bottoms=[bottom], tops=["scores"]),
        SoftmaxLossLayer(name="loss", bottoms=["scores", "label"]),
    ]


def _hidden(**properties: Any) -> InnerProductLayer:
    given = {"name": SUBJECT, "output_dim": 4, "weight_init": _SOME, "bottoms": ["x"], "tops": ["y"], **properties}
    return InnerProductLayer(**given)


def _between(layer: Layer, x: Array, *after: Layer) -> list[Layer]:
    """Data, a layer with parameters that keeps the shape, the subject, and a loss."""
    if x.ndim == 4:
        first: Layer = mocha.layers.ConvolutionLayer(
            name="first", n_filter=x.shape[1], kernel=3, pad=1, filter_init=_SOME, bias_init=_SOME, bottoms=["data"],
            tops=["x"]
        )  # fmt: skip
    else:
        first = InnerProductLayer(name="first", output_dim=x.shape[1], weight_init=_SOME, bottoms=["data"], tops=["x"])
    top = layer.bottoms[0] if layer.in_place else layer.tops[0]
    return [*_data(data=x, label=_classes()), first, layer, *after, *_ending(after[-1].tops[0] if after else top)]


_FLAT, _IMAGES = _numbers(N, 5), _numbers(N, 2, 5, 4)


def _plain(images: bool = False, **properties: Any) -> Callable[[type[Layer], Path], list[Layer]]:
    """The layer between a layer with parameters and a loss."""

    def build(cls: type[Layer], folder: Path) -> list[Layer]:
        given: dict[str, Any] = {"name": SUBJECT, "bottoms": ["x"], **properties}
        if not cls.in_place:
            given.setdefault("tops", ["y"])
        return _between(cls(**given), _IMAGES if images else _FLAT)

    return build


def _aside(*bottoms: str, **properties: Any) -> Callable[[type[Layer], Path], list[Layer]]:
    """The layer beside a training: it has no gradient, or is a loss or a sink of its own."""

    def build(cls: type[Layer], folder: Path) -> list[Layer]:
        softmax = mocha.layers.SoftmaxLayer(name="softmax", bottoms=["scores"], tops=["p"])
        spread = InnerProductLayer(name="spread", output_dim=3, weight_init=_SOME, neuron=Neurons.Exponential(),
                                   bottoms=["y"], tops=["sigma"])  # fmt: skip
        helpers = [layer for layer in (softmax, spread) if layer.tops[0] in bottoms]
        soft = np.abs(_numbers(N, CLASSES))
        given = {n: v(folder) if callable(v) else v for n, v in properties.items()}
        return [
            *_data(x=_FLAT, label=_classes(), soft=soft / soft.sum(1, keepdims=True), signs=np.sign(soft - 0.5)),
            _hidden(name="first"),
            *_ending("y"),
            *helpers,
            cls(name=SUBJECT, bottoms=list(bottoms), **given),
        ]

    return build


def _source(cls: type[Layer], folder: Path) -> list[Layer]:
    import h5py

    with h5py.File(folder / "data.hdf5", "w") as file:
        file["x"], file["label"] = _FLAT, _classes()
    about: dict[str, Any] = {"name": SUBJECT, "tops": ["x", "label"], "batch_size": 3}
    about.update({"data": [_FLAT, _classes()]} if cls is MemoryDataLayer else {"source": folder / "data.hdf5"})
    return [cls(**about), _hidden(name="first"), *_ending("y")]


def _noise(cls: type[Layer], folder: Path) -> list[Layer]:
    noise = cls(name=SUBJECT, tops=["z"], output_dims=(5,), batch_sizes=[N])  # type: ignore[call-arg]
    noisy = mocha.layers.ElementWiseLayer(name="noisy", bottoms=["data", "z"], tops=["x"])
    return [*_data(data=_FLAT, label=_classes()), noise, noisy, _hidden(name="first"), *_ending("y")]


def _two(cls: type[Layer], folder: Path) -> list[Layer]:
    second = _hidden(name="second", output_dim=5, bottoms=["data"], tops=["x2"])
    layers = _between(cls(name=SUBJECT, bottoms=["x", "x2"], tops=["y"]), _FLAT)
    return [*layers, second]


def _tied(cls: type[Layer], folder: Path) -> list[Layer]:
    tied = cls(name=SUBJECT, tied_param_key="first", bottoms=["h"], tops=["y"], tied_gradient=True)  # type: ignore[call-arg]
    return [*_data(x=_FLAT, label=_classes()), _hidden(name="first", tops=["h"]), tied, *_ending("y")]


def _onehot(cls: type[Layer], folder: Path) -> list[Layer]:
    onehot = cls(name=SUBJECT, n_class=CLASSES, bottoms=["label"], tops=["z"])  # type: ignore[call-arg]
    column = mocha.layers.ReshapeLayer(name="column", shape=(1,), bottoms=["class"], tops=["label"])
    loss = mocha.layers.SoftlabelSoftmaxLossLayer(name="soft", bottoms=["scores", "z"])
    layers = [*_data(**{"x": _FLAT, "class": _classes()}), column, onehot, _hidden(name="first"), *_ending("y"), loss]
    return layers


_METRIC = np.abs(np.subtract.outer(np.arange(CLASSES), np.arange(CLASSES))).astype(np.float64)

LAYERS: dict[str, Callable[[type[Layer], Path], list[Layer]]] = {
    "HDF5DataLayer": _source,
    "AsyncHDF5DataLayer": _source,
    "MemoryDataLayer": _source,
    "RandomNormalLayer": _noise,
    "ConvolutionLayer": _plain(images=True, n_filter=4, kernel=3, stride=2, pad=1, n_group=2, filter_init=_SOME),
    "InnerProductLayer": _plain(output_dim=4, weight_init=_SOME),
    "TiedInnerProductLayer": _tied,
    "PoolingLayer": _plain(images=True, kernel=3, stride=2, pad=1),
    "ChannelPoolingLayer": _plain(images=True, kernel=2),
    "SoftmaxLayer": _plain(),
    "PowerLayer": _plain(power=2, scale=0.5, shift=0.2),
    "SplitLayer": _plain(tops=["y", "z"]),
    "ElementWiseLayer": _two,
    "ConcatLayer": _two,
    "ReshapeLayer": _plain(images=True, shape=(5, 8)),
    "LRNLayer": _plain(images=True, kernel=3),
    "BatchNormLayer": _plain(images=True),
    "ScaleLayer": _plain(images=True, scale_init=_SOME, bias_init=_SOME),
    "DropoutLayer": _plain(),
    "RandomMaskLayer": _plain(),
    "CropLayer": _plain(images=True, crop_size=(4, 3), random_crop=True, random_mirror=True),
    "IdentityLayer": _plain(),
    "ArgmaxLayer": _aside("scores", tops=["best"]),
    "Index2OnehotLayer": _onehot,
    "SquareLossLayer": _aside("p", "soft"),
    "SoftmaxLossLayer": _aside("scores", "label", weight=0.5),
    "MultinomialLogisticLossLayer": _aside("p", "label"),
    "SoftlabelSoftmaxLossLayer": _aside("scores", "soft"),
    "BinaryCrossEntropyLossLayer": _aside("p", "soft"),
    "HingeLossLayer": _aside("scores", "signs"),
    "GaussianKLLossLayer": _aside("scores", "sigma"),
    "WassersteinLossLayer": _aside("p", "soft", M=_METRIC, lambda_=2.0),
    "AccuracyLayer": _aside("scores", "label"),
    "BinaryAccuracyLayer": _aside("scores", "signs"),
    "HDF5OutputLayer": _aside("scores", filename=lambda folder: folder / "out.hdf5", force_overwrite=True),
    "MemoryOutputLayer": _aside("scores"),
}
"""By the layer's name, family by family: makes the layers of a net with it."""


def of_layer(cls: type[Layer]) -> Callable[[Path], Training]:
    """The training of a layer."""
    build = LAYERS[cls.__name__]
    return lambda folder: Training(build(cls, folder))


def _net(**properties: Any) -> list[Layer]:
    """The common small net; the properties are those of its hidden layer."""
    return [*_data(x=_FLAT, label=_classes()), _hidden(**properties), *_ending("y")]


def _layer_with(**properties: Any) -> Callable[[Path], Training]:
    return lambda folder: Training(_net(**properties), params={"regu_coef": 0.01})


def _solved_by(method: type[SolverMethod], **params: Any) -> Callable[[Path], Training]:
    return lambda folder: Training(_net(), method(), params)


def _transformed(make: Callable[[], mocha.data.Transformer]) -> Callable[[Path], Training]:
    def build(folder: Path) -> Training:
        data = MemoryDataLayer(name=SUBJECT, data=[_FLAT, _classes()], tops=["x", "label"], batch_size=N,
                               transformers=[("x", make())])  # fmt: skip
        return Training([data, _hidden(name="first"), *_ending("y")])

    return build


def _paused(*make: Callable[[Net, Path], CoffeeBreak]) -> Callable[[Path], Training]:
    return lambda folder: Training(_net(), breaks=lambda net: [one(net, folder) for one in make])


def _decaying() -> Callable[[Path], Training]:
    def build(folder: Path) -> Training:
        policy = LRPolicy.DecayOnValidation(0.1, "obj_val", higher_better=False)
        return Training(_net(), params={"lr_policy": policy})

    return build


def _validating(net: Net, folder: Path) -> CoffeeBreak:
    layers = [layer for layer in net.layers if not isinstance(layer, SoftmaxLossLayer)]
    accuracy = mocha.layers.AccuracyLayer(name="accuracy", bottoms=["scores", "label"])
    return ValidationPerformance(Net("validation", net.backend, [*layers, accuracy]))


OTHERS: dict[str, Callable[[Path], Training]] = {
    **{f"Neurons.{name}": _layer_with(neuron=cls()) for name, cls in vars(Neurons).items() if inspect.isclass(cls)},
    **{
        name: _layer_with(weight_init=getattr(mocha.parameters, name)())
        for name in ("NullInitializer", "ConstantInitializer", "XavierInitializer", "GaussianInitializer",
                     "OrthogonalInitializer")
    },
    **{name: _layer_with(weight_regu=getattr(mocha.parameters, name)()) for name in ("NoRegu", "L2Regu", "L1Regu")},
    "NoCons": _layer_with(weight_cons=mocha.parameters.NoCons()),
    "L2Cons": _layer_with(weight_cons=mocha.parameters.L2Cons(0.8)),
    **{
        cls.__name__: _solved_by(cls)
        for cls in (mocha.solvers.Adam, mocha.solvers.AdamW, mocha.solvers.Adagrad, mocha.solvers.Adadelta,
                    mocha.solvers.RMSProp)
    },
    "SGD": _solved_by(SGD, mom_policy=MomPolicy.Fixed(0.9)),
    "Nesterov": _solved_by(mocha.solvers.Nesterov, mom_policy=MomPolicy.Fixed(0.9)),
    "LRPolicy.Fixed": _solved_by(SGD, lr_policy=LRPolicy.Fixed(0.1)),
    "LRPolicy.Step": _solved_by(SGD, lr_policy=LRPolicy.Step(0.1, 0.5, 2)),
    "LRPolicy.Exp": _solved_by(SGD, lr_policy=LRPolicy.Exp(0.1, 0.9)),
    "LRPolicy.Inv": _solved_by(SGD, lr_policy=LRPolicy.Inv(0.1, 0.1, 0.75)),
    "LRPolicy.Staged": _solved_by(SGD, lr_policy=LRPolicy.Staged((2, LRPolicy.Fixed(0.1)), (2, LRPolicy.Fixed(0.01)))),
    "LRPolicy.DecayOnValidation": _decaying(),
    "MomPolicy.Fixed": _solved_by(SGD, mom_policy=MomPolicy.Fixed(0.9)),
    "MomPolicy.Step": _solved_by(SGD, mom_policy=MomPolicy.Step(0.5, 1.2, 2, 0.9)),
    "MomPolicy.Linear": _solved_by(SGD, mom_policy=MomPolicy.Linear(0.5, 0.1, 2, 0.9)),
    "MomPolicy.Staged": _solved_by(
        SGD, mom_policy=MomPolicy.Staged((2, MomPolicy.Fixed(0.5)), (2, MomPolicy.Fixed(0.9)))
    ),
    "DataTransformers.SubMean": _transformed(lambda: mocha.data.DataTransformers.SubMean(mean_blob=_FLAT.mean(0))),
    "DataTransformers.Scale": _transformed(lambda: mocha.data.DataTransformers.Scale(0.5)),
    "TrainingSummary": _paused(lambda net, folder: TrainingSummary()),
    "Snapshot": _paused(lambda net, folder: Snapshot(folder)),
    "ValidationPerformance": _paused(_validating),
    "EarlyStopping": _paused(
        lambda net, folder: TrainingSummary(),
        lambda net, folder: mocha.coffee.EarlyStopping("obj_val", ITERATIONS, higher_better=False),
    ),
    "ProgressBar": _paused(lambda net, folder: mocha.coffee.ProgressBar(ITERATIONS)),
}  # fmt: skip
"""By the name of what is no layer: its training."""
