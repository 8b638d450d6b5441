"""Old nets and solvers, as files of many years have them, become current ones.

The order is Caffe's: V0 to V1, the data transform, V1 to current, inputs, batch normalisation. It is applied to nets,
to weights (which are nets too) and, other than in Caffe, to nets within solvers.
"""

from __future__ import annotations

import warnings
from typing import Any

from mocha.caffe.proto import caffe_pb2
from mocha.caffe.unknown import UnknownFieldWarning
from mocha.caffe.upgrade_v0 import upgrade_v0
from mocha.errors import FormatError

TYPES = (
    "", "Accuracy", "BNLL", "Concat", "Convolution", "Data", "Dropout", "EuclideanLoss", "Flatten", "HDF5Data",
    "HDF5Output", "Im2col", "ImageData", "InfogainLoss", "InnerProduct", "LRN", "MultinomialLogisticLoss", "Pooling",
    "ReLU", "Sigmoid", "Softmax", "SoftmaxWithLoss", "Split", "TanH", "WindowData", "Eltwise", "Power",
    "SigmoidCrossEntropyLoss", "HingeLoss", "MemoryData", "ArgMax", "Threshold", "DummyData", "Slice", "MVN", "AbsVal",
    "Silence", "ContrastiveLoss", "Exp", "Deconvolution",
)  # fmt: skip
"""The type strings of today, in order of V1's enum."""

SOLVERS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""The solver types of today, in order of the old enum."""

_DATA_LAYERS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
_AXES = 4
"""Numbers that `input_dim` has for each input."""


def upgrade_net(net: Any, where: str = "net") -> None:
    """Bring a `NetParameter` to the current format, in place. A current net stays as it is.

    Args:
        net: the net.
        where: the file, for errors.

    Raises:
        FormatError: the net mixes formats, or its old fields contradict each other.
    """
    dropped: list[str] = []
    if any(layer.HasField("layer") for layer in net.layers):
        dropped += upgrade_v0(net, where)
    for layer in net.layers:
        _move_transform(layer)
    if net.layers:
        dropped += _upgrade_v1(net, where)
    if net.input:
        _upgrade_input(net, where)
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = spec.decay_mult = 0
    if dropped:
        warnings.warn(
            f"{where}: the net is of an old format, and not all of it has a place in today's: dropped "
            f"{'; '.join(dropped[:8])}" + (f"; and {len(dropped) - 8} more." if len(dropped) > 8 else "."),
            UnknownFieldWarning,
            stacklevel=3,
        )


def upgrade_solver(solver: Any, where: str = "solver") -> None:
    """Bring a `SolverParameter` to the current format, in place: its type, and the nets within it.

    Raises:
        FormatError: both `type` and `solver_type` are given, or a net within is wrong.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise FormatError(
                f"{where}: both type: {solver.type!r} and solver_type: "
                f"{caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)} are given. Remove the latter."
            )
        solver.type = SOLVERS[solver.solver_type]
        solver.ClearField("solver_type")
    for name in ("net_param", "train_net_param"):
        if solver.HasField(name):
            upgrade_net(getattr(solver, name), f"{where}: {name}")
    for at, net in enumerate(solver.test_net_param):
        upgrade_net(net, f"{where}: test_net_param {at}")


def _move_transform(layer: Any) -> None:
    """Scale, mean file, crop and mirror were the data layers' own once."""
    message = _DATA_LAYERS.get(caffe_pb2.V1LayerParameter.LayerType.Name(layer.type))
    if message is None:
        return
    old = getattr(layer, message)
    for name in _TRANSFORM:
        if old.HasField(name):
            setattr(layer.transform_param, name, getattr(old, name))
            old.ClearField(name)


def _upgrade_v1(net: Any, where: str) -> list[str]:
    if net.layer:
        raise FormatError(
            f"{where}: the net has both `layers` (the old format) and `layer`. Write all of them as `layer`, with the "
            "type as a string."
        )
    dropped = []
    for old in net.layers:
        _upgrade_layer(old, net.layer.add())
        if old.HasField("layer"):
            dropped.append(f"the nested layer of layer {old.name!r}")
    net.ClearField("layers")
    return dropped


def _upgrade_layer(old: Any, new: Any) -> None:
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        new.type = TYPES[old.type]
    for name in ("bottom", "top", "loss_weight", "include", "exclude", "blobs"):
        getattr(new, name).MergeFrom(getattr(old, name))
    lists = {"name": old.param, "share_mode": old.blob_share_mode, "lr_mult": old.blobs_lr}
    for field, values in {**lists, "decay_mult": old.weight_decay}.items():
        for at, value in enumerate(values):
            spec = new.param[at] if at < len(new.param) else new.param.add()
            setattr(spec, field, value)
    for field, value in old.ListFields():
        if field.name.endswith("_param"):
            getattr(new, field.name).CopyFrom(value)


def _upgrade_input(net: Any, where: str) -> None:
    """Inputs of the net become a layer of type Input, the first one. Without shapes, their names go."""
    count = len(net.input)
    if net.input_shape or net.input_dim:
        by_shape = len(net.input_shape) > 0
        got, expected = (len(net.input_shape), count) if by_shape else (len(net.input_dim), _AXES * count)
        if got != expected:
            raise FormatError(
                f"{where}: {count} `input` with {got} `{'input_shape' if by_shape else 'input_dim'}`; expected "
                f"{expected}, {'one' if by_shape else 'four'} for each input."
            )
        layer = type(net)().layer.add(name="input", type="Input", top=net.input)
        for at in range(count):
            dims = net.input_shape[at].dim if by_shape else net.input_dim[_AXES * at : _AXES * (at + 1)]
            layer.input_param.shape.add(dim=dims)
        net.layer.insert(0, layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
