"""A Caffe net as plain records, for `mocha.visual` to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mocha.backends import Backend
from mocha.caffe.definition import filtered, net_state, share_multipliers, with_splits, with_tops
from mocha.caffe.engine import Engine, Range
from mocha.caffe.facts import facts
from mocha.caffe.net import TEST, TRAIN, existing
from mocha.caffe.nets import read_net
from mocha.caffe.proto import caffe_pb2
from mocha.errors import ConfigError, FormatError, MochaError, did_you_mean
from mocha.graph import Phase
from mocha.net.picture import totals
from mocha.ops import Shape
from mocha.parameters import Parameter
from mocha.visual import LayerBox, NetPicture, Role

_ROLES = {
    Role.PRODUCT: "Convolution Deconvolution InnerProduct Embed RNN LSTM LSTMUnit",
    Role.POOLING: "Pooling SPP ROIPooling",
    Role.NORMALISING: "BatchNorm Scale Bias LRN MVN Normalize",
    Role.POINTWISE: "ReLU PReLU ELU Sigmoid TanH Swish AbsVal BNLL Power Exp Log Threshold Clip Dropout Eltwise "
    "Softmax ReLU6 Axpy",
    Role.ARRANGING: "Concat Slice Split Flatten Reshape Crop Tile Reduction ArgMax BatchReindex Filter Permute Interp "
    "Upsample Im2col Silence",
    Role.MEASURE: "Accuracy",
    Role.OUTPUT: "HDF5Output",
}
_BIASED = ("Convolution", "Deconvolution", "InnerProduct", "Embed")
"""Layers that have a bias, unless they say otherwise."""
_WITH_BIAS = ("convolution_param", "inner_product_param", "embed_param", "scale_param")
_BLOBS = {"LSTM": 3, "RNN": 5}
"""Type of a layer -> how many blobs it learns, where that is not one and a bias."""
_ROLE_OF = {kind: role for role, kinds in _ROLES.items() for kind in kinds.split()}


def caffe_picture(
    network_file: Any,
    *,
    phase: str = "train",
    level: int = 0,
    stages: tuple[str, ...] = (),
    shapes: Mapping[str, Shape] | None = None,
) -> tuple[NetPicture, str]:
    """What a Caffe net tells of itself. Nothing is run, no data are needed, and no file is written.

    Args:
        network_file: a ``.prototxt``, or a `NetParameter`.
        phase: "train" or "test": which layers are in.
        level: of the state that the layers' rules look at.
        stages: of that state.
        shapes: name of a top of a data layer -> its shape, where the file does not say it. Tops of the same layer that
            are not named get one number an example.

    Returns:
        the picture, and why it has no shapes, or "".

    Raises:
        ConfigError: `shapes` names no top of a data layer.
        FormatError: the file is missing or is no net.
    """
    message = read_net(existing(network_file)) if isinstance(network_file, (str, Path)) else network_file
    if not message.layer:
        raise FormatError(f"{network_file}: there are no layers in it. Give the .prototxt of a net, not of a solver.")
    state = net_state(TRAIN if phase == "train" else TEST, level, stages, message.state)
    message = filtered(message, state)
    fed = _fed(message, shapes or {})
    sizes: dict[str, Shape] = {}
    kept: list[Sequence[Parameter] | None] = [None] * len(message.layer)
    own: list[Sequence[Parameter]] = [()] * len(message.layer)
    about, reason = [f"{len(message.layer)} layers"], ""
    try:
        with Backend("numpy") as backend:
            share_multipliers(fed)
            with_tops(fed)
            with_splits(fed)  # it finds what does not connect
            engine = Engine(fed, Phase.TRAIN if phase == "train" else Phase.TEST, backend)
            try:
                graph = engine.lower(Range(0, len(engine.layers) - 1)).graph
            finally:
                engine.close()
    except MochaError as error:
        reason = str(error)
        about.append("shapes unknown")
    else:
        sizes = {name: spec.shape for name, spec in engine.specs.items()}
        kept = list(engine.parameters)
        own = [
            [p for i, p in enumerate(group) if not any(layer.owners[i : i + 1])]
            for layer, group in zip(engine.layers, engine.parameters, strict=True)
        ]
        data = [
            sizes[top] for layer in fed.layer if not layer.bottom and layer.type != "Parameter" for top in layer.top
        ]
        about = totals(graph, len(message.layer), engine.learnable(), data)
    boxes = _boxes(message, sizes, kept, own)
    return NetPicture(str(message.name) or "net", boxes, about), reason


def _fed(message: Any, shapes: Mapping[str, Shape]) -> Any:
    """The net with inputs in the place of data layers whose shapes were given, and without files to write."""
    fed = caffe_pb2.NetParameter()
    fed.CopyFrom(message)
    tops = {top for layer in fed.layer if not layer.bottom for top in layer.top}
    for name in shapes:
        if name not in tops:
            raise ConfigError(f"a shape was given for {name!r}, which no data layer makes. {did_you_mean(name, tops)}")
    for layer in fed.layer:
        given = next((shapes[top] for top in layer.top if top in shapes), None)
        if layer.type == "HDF5Output":
            layer.type = "Silence"
        elif not layer.bottom and given is not None:
            layer.type = "Input"
            layer.ClearField("input_param")
            for top in layer.top:
                layer.input_param.shape.add().dim.extend(shapes.get(top, given[:1]))
    return fed


def _boxes(
    message: Any,
    sizes: Mapping[str, Shape],
    kept: Sequence[Sequence[Parameter] | None],
    own: Sequence[Sequence[Parameter]],
) -> list[LayerBox]:
    """The layers, with the parameters that each one uses, if these are known, and those of its own."""
    owners: dict[str, str] = {}
    boxes = []
    for layer, group, mine in zip(message.layer, kept, own, strict=True):
        lent = [owners[spec.name] for spec in layer.param if spec.name in owners]
        boxes.append(
            LayerBox(
                name=layer.name,
                kind=layer.type,
                role=_role(layer),
                facts=facts(layer),
                bottoms=list(layer.bottom),
                tops=list(layer.top),
                shapes={top: sizes[top] for top in layer.top if top in sizes},
                parameters=None if group is None else sum(p.about.spec.size for p in mine if p.about.learned),
                statistics=sum(p.about.spec.size for p in mine if not p.about.learned),
                shares=lent[0] if lent else "",
                frozen=_is_frozen(layer, group),
            )
        )
        for spec in layer.param:
            if spec.name:
                owners.setdefault(spec.name, layer.name)
    return boxes


def _is_frozen(layer: Any, group: Sequence[Parameter] | None) -> bool:
    """Whether all that the layer could learn stays. A blob that the message has no entry for learns."""
    if group is not None:
        rates = [p.about.rate for p in group if p.about.learned]
        return bool(rates) and not any(rates)
    if layer.type == "BatchNorm" or not layer.param or any(spec.lr_mult for spec in layer.param):
        return False
    own = next((given for field, given in layer.ListFields() if field.name in _WITH_BIAS), None)
    biased = own.bias_term if own is not None else layer.type in _BIASED
    return len(layer.param) >= _BLOBS.get(layer.type, 1) + bool(biased)


def _role(layer: Any) -> Role:
    if not layer.bottom:
        return Role.DATA
    if layer.type.endswith("Loss") or any(layer.loss_weight):
        return Role.LOSS
    return _ROLE_OF.get(layer.type, Role.OTHER)
