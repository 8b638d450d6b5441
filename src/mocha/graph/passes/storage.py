"""Storage: which float32 values lie in numbers of 16 bits, and where values change their width.

A backend that has fast kernels for such numbers wishes it ("mixed precision"): convolutions and inner products take and
give 16 bits, what stands between them follows, and all else stays float32: losses, statistics, parameters, and their
gradients. So a sum over many elements, and a small step of a large parameter, lose nothing. (Micikevicius et al.,
"Mixed precision training", 2017.)
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

import numpy as np

from mocha import ops
from mocha.graph.graph import Kind, Layout, Node, Section, Value


class Half(enum.Enum):
    """The types of 16 bits."""

    FLOAT16 = "float16"
    """5 bits of exponent: small gradients would vanish, so gradients are multiplied by a factor where they are such."""
    BFLOAT16 = "bfloat16"
    """8 bits of exponent, as float32, and 8 significant ones."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """How a value is stored.

    Attributes:
        half: its type.
        factor: what it was multiplied by.
    """

    half: Half
    factor: float = 1.0


@dataclasses.dataclass(frozen=True)
class Narrowing:
    """What a backend wishes.

    Attributes:
        half: the type.
        factor: of gradients, a power of two.
    """

    half: Half
    factor: float = 1.0


_STRONG = (ops.Convolution, ops.InnerProduct, ops.TransposedInnerProduct)
"""Ops that take 16 bits whatever comes."""

_FLEXIBLE = (
    ops.Abs, ops.Add, ops.AddBias, ops.BatchNormTest, ops.BatchNormTrain, ops.BatchNormUnit, ops.Clip, ops.Concat,
    ops.Divide, ops.Dropout, ops.ELU, ops.Exp, ops.Identity, ops.LRN, ops.LeakyReLU, ops.Log, ops.MaxPooling,
    ops.Maximum, ops.MeanPooling, ops.Multiply, ops.PReLU, ops.ReLU, ops.Reorder, ops.Reshape, ops.Scale,
    ops.ScaleChannels, ops.Sigmoid, ops.Slice, ops.Softplus, ops.StopGradient, ops.Subtract, ops.Sum, ops.Swish,
    ops.Tanh,
)  # fmt: skip
"""Ops that take what their first blob is."""

_BESIDE: Mapping[type[ops.Op], tuple[int, ...]] = {
    ops.Convolution: (1,), ops.InnerProduct: (1,), ops.TransposedInnerProduct: (1,), ops.AddBias: (1,),
    ops.ScaleChannels: (1,), ops.PReLU: (1,), ops.BatchNormTest: (1, 2), ops.BatchNormUnit: (1, 2),
    ops.Dropout: (1, 2),
}  # fmt: skip
"""The inputs of an op that are no blobs and stay float32: what is learned, statistics."""
_BESIDE_OUT: Mapping[type[ops.Op], tuple[int, ...]] = {
    ops.BatchNormTrain: (1, 2), ops.BatchNormUnit: (1, 2),
}  # fmt: skip
"""The outputs of an op that are no blobs."""


def plan_storage(
    nodes: Sequence[Node], wish: Narrowing, layouts: dict[Value, Layout] | None = None
) -> tuple[list[Node], dict[Value, Stored]]:
    """Choose how values are stored, and insert the nodes that change their width.

    Args:
        nodes: in running order.
        wish: what the backend wishes.
        layouts: values that do not lie row-major. Those that are made here are added: they lie as what they come from.

    Returns:
        the nodes in running order, with `Recast` nodes among them; and how each value that is not float32 is stored.
    """
    stored: dict[Value, Stored] = {}
    recast: dict[tuple[Value, Stored | None], Value] = {}
    result: list[Node] = []
    lying = {} if layouts is None else layouts

    def as_before(made: Value, value: Value) -> None:
        """A value that takes another one's place lies as that one."""
        if value in lying:
            lying[made] = lying[value]

    def changed(value: Value, wanted: Stored | None, node: Node) -> Value:
        """The value stored as wanted."""
        if value.dtype != np.float32 or stored.get(value) == wanted:
            return value
        key = value, wanted
        if key not in recast:
            recast[key] = _appended(ops.Recast(), value, node, result)
            as_before(recast[key], value)
            if wanted is not None:
                stored[recast[key]] = wanted
        return recast[key]

    for node in nodes:
        blobs_in, blobs_out = _blobs(node)
        first = next((node.inputs[i] for i in sorted(blobs_in) if node.inputs[i].dtype == np.float32), None)
        strong = isinstance(_op(node.op), _STRONG) and first is not None
        narrow = strong or (isinstance(_op(node.op), _FLEXIBLE) and first in stored)
        gradients = _gradients_in(node)
        factor = wish.factor if node.section is Section.BACKWARD else 1.0
        if first in stored and not isinstance(node.op, ops.Gradient):
            factor = stored[first].factor  # what the way back turns may come from the way forward
        inputs = []
        for i, value in enumerate(node.inputs):
            wanted = None
            if narrow and i in blobs_in:
                wanted = Stored(wish.half, factor if i in gradients else 1.0)
            inputs.append(changed(value, wanted, node))
        outputs = [*node.outputs]
        made = Node(node.op, tuple(inputs), tuple(outputs), node.layer, node.section)
        result.append(made)
        for k, value in enumerate(node.outputs):
            value.producer = made
            if not narrow or value.dtype != np.float32:
                continue
            if k in blobs_out:
                stored[value] = Stored(wish.half, factor)
            elif factor != 1:
                # a sum of multiplied gradients: what comes out is set right
                outputs[k] = Value(value.spec, Kind.COMPUTED, value.name, made)
                as_before(outputs[k], value)
                right = Node(ops.Scale(1 / factor), (outputs[k],), (value,), node.layer, node.section)
                value.producer = right
                result.append(right)
        made.outputs = tuple(outputs)
        overwritten = {into for _, into in node.updated()}
        recast = {key: value for key, value in recast.items() if key[0] not in overwritten}
    return result, stored


def _appended(op: ops.Op, value: Value, node: Node, result: list[Node]) -> Value:
    out = Value(value.spec, Kind.COMPUTED, value.name)
    out.producer = Node(op, (value,), (out,), node.layer, node.section)
    result.append(out.producer)
    return out


def _op(op: ops.Op) -> ops.Op:
    """The op that decides: that of a gradient, the first of a chain."""
    op = op.of if isinstance(op, ops.Gradient) else op
    return op.steps[0] if isinstance(op, ops.Chain) else op


def _blobs(node: Node) -> tuple[set[int], set[int]]:
    """Which inputs and which outputs of a node are blobs."""
    op = node.op
    if isinstance(op, ops.Chain):  # what comes in behind the first op is learned, too
        return {0}, {0}
    if not isinstance(op, ops.Gradient):
        beside, beside_out = _BESIDE.get(type(op), ()), _BESIDE_OUT.get(type(op), ())
        return (
            {i for i in range(len(node.inputs)) if i not in beside},
            {k for k in range(len(node.outputs)) if k not in beside_out},
        )
    beside, beside_out = _BESIDE.get(type(op.of), ()), _BESIDE_OUT.get(type(op.of), ())
    read_in, read_out = op.saved
    saved = [i not in beside for i in read_in] + [k not in beside_out for k in read_out]
    blobs_in = {i for i in range(len(node.inputs)) if i >= len(saved) or saved[i]}
    wanted = [i for i, want in enumerate(op.wanted) if want]
    return blobs_in, {k for k, i in enumerate(wanted) if i not in beside}


def _gradients_in(node: Node) -> set[int]:
    """Which inputs of a node are gradients: behind what a gradient's op saved; of other ops of that section, all."""
    saved = sum(map(len, node.op.saved)) if isinstance(node.op, ops.Gradient) else 0
    return set(range(saved, len(node.inputs)))
