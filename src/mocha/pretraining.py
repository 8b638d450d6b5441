"""Unsupervised pre-training: a stack of hidden layers learns one by one, each as the encoder of an auto-encoder.

(Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked denoising autoencoders", JMLR 11, 2010.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from mocha.backends import AbstractBackend
from mocha.errors import ConfigError
from mocha.layers import (
    DataLayer,
    InnerProductLayer,
    Layer,
    Neuron,
    Neurons,
    RandomMaskLayer,
    SplitLayer,
    SquareLossLayer,
    TiedInnerProductLayer,
)
from mocha.net import Net
from mocha.solvers import Solver

_ENCODED, _CLEAN, _CORRUPT, _RECONSTRUCTED = "encoded", "clean", "corrupt", "reconstructed"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of pre-training: a net in which one hidden layer learns to encode what the layers below it give.

    Attributes:
        layer: name of the hidden layer.
        corruption: share of its inputs that are set to 0 in training.
        layers: the layers of the net.
    """

    layer: str
    corruption: float
    layers: tuple[Layer, ...]

    def net(self, backend: AbstractBackend, *, seed: int | None = None) -> Net:
        """The net, everything frozen but the hidden layer and its decoder.

        Parameters are shared by `param_key` with all nets on the backend that have the hidden layers.
        """
        net = Net(f"pretraining/{self.layer}", backend, self.layers, seed=seed)
        net.freeze_all()
        net.unfreeze(self.layer, f"{self.layer}-decoder")
        return net


@dataclasses.dataclass(frozen=True)
class StageResult:
    """What a stage achieved.

    Attributes:
        layer: name of the hidden layer.
        before: mean reconstruction loss over an epoch, without corruption, before.
        after: the same afterwards.
        iterations: updates in between.
    """

    layer: str
    before: float
    after: float
    iterations: int


def autoencoder_stages(
    data: DataLayer,
    hidden: Sequence[InnerProductLayer],
    *,
    corruption: float | Sequence[float] = 0.0,
    neuron: Neuron | None = None,
    tied_gradient: bool = False,
) -> list[Stage]:
    """The nets that pre-train a stack of hidden layers, lowest first.

    In each, the hidden layer encodes its input, of which a random share is set to 0, and a decoder with the same
    weight, transposed, and a bias of its own is to give the input back; the loss is the square of the difference.

    Args:
        data: where the inputs come from; its first top is the lowest hidden layer's bottom. It may be used for other
            nets too.
        hidden: the layers, each with one bottom, the one before's top, and one top.
        corruption: what share is set to 0, 0 to 1; one number for all stages, or one for each.
        neuron: the decoder's activation; none unless told.
        tied_gradient: whether the weight learns by way of the decoder too; see `TiedInnerProductLayer`.

    Raises:
        ConfigError: the layers do not form a stack on the data, or a share is out of range.
    """
    shares = [float(corruption)] * len(hidden) if isinstance(corruption, (int, float)) else [*map(float, corruption)]
    if not hidden:
        raise ConfigError("autoencoder_stages: there are no hidden layers; give one InnerProductLayer at least.")
    if len(shares) != len(hidden) or not all(0 <= share < 1 for share in shares):
        raise ConfigError(
            f"autoencoder_stages: corruption is {corruption!r}; expected one share below 1, or {len(hidden)} of them."
        )
    below = data.tops[0]
    for layer in hidden:
        if not isinstance(layer, InnerProductLayer) or list(layer.bottoms) != [below] or len(layer.tops) != 1:
            raise ConfigError(
                f"autoencoder_stages: {layer!r} is no InnerProductLayer with the one bottom {below!r} and one top; "
                "give the hidden layers from the lowest to the highest."
            )
        below = layer.tops[0]
    decoder = neuron or Neurons.Identity()
    return [
        Stage(layer.name, share, tuple(_stage(data, hidden[:i], layer, share, decoder, tied_gradient)))
        for i, (layer, share) in enumerate(zip(hidden, shares, strict=True))
    ]


def _stage(
    data: DataLayer,
    below: Sequence[InnerProductLayer],
    layer: InnerProductLayer,
    corruption: float,
    neuron: Neuron,
    tied_gradient: bool,
) -> list[Layer]:
    name = layer.name
    layers: list[Layer] = [data, *below]
    layers.append(SplitLayer(name=f"{name}-split", bottoms=layer.bottoms, tops=[_CLEAN, _CORRUPT]))
    if corruption:
        layers.append(RandomMaskLayer(name=f"{name}-corruption", ratio=corruption, bottoms=[_CORRUPT]))
    decoder = TiedInnerProductLayer(
        name=f"{name}-decoder",
        tied_param_key=layer.param_key or name,
        tied_gradient=tied_gradient,
        neuron=neuron,
        bottoms=[_ENCODED],
        tops=[_RECONSTRUCTED],
    )
    loss = SquareLossLayer(name=f"{name}-reconstruction", bottoms=[_RECONSTRUCTED, _CLEAN])
    return [*layers, layer.copy(bottoms=[_CORRUPT], tops=[_ENCODED]), decoder, loss]


def pretrain(
    stages: Sequence[Stage],
    backend: AbstractBackend,
    solver: Callable[[Stage], Solver],
    *,
    seed: int | None = None,
) -> list[StageResult]:
    """Run the stages one after the other. Afterwards a net on this backend with the hidden layers starts from them.

    Args:
        stages: from `autoencoder_stages`.
        backend: who holds the parameters.
        solver: makes the solver of a stage, with its `max_iter` and coffee breaks.
        seed: of the nets.

    Returns:
        for each stage the reconstruction loss before and after.
    """
    results = []
    for stage in stages:
        with stage.net(backend, seed=seed) as net:
            before = _reconstruction(net)
            state = solver(stage).solve(net)
            results.append(StageResult(stage.layer, before, _reconstruction(net), state.iteration))
    return results


def _reconstruction(net: Net) -> float:
    """The mean loss over an epoch, in the testing phase, which corrupts nothing."""
    net.reset_statistics()
    (loss,) = net.forward_epoch().values()
    net.reset_statistics()
    net.rewind()
    return loss
