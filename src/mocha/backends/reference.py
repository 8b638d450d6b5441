"""One node by its op's reference code: what the numpy backend does for all, and another one where it has no kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mocha.errors import MochaError, ShapeError
from mocha.graph import Node
from mocha.ops import Array, Spec
from mocha.ops.base import as_tuple


def run_reference(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of a node.

    Args:
        node: the node.
        inputs: the arrays of its inputs.

    Raises:
        MochaError: the op failed; the layer is named.
        Exception: what an op of code that is the user's own raised.
        ShapeError: the op, a user's own perhaps, did not keep what its shape rule promised.
    """
    try:
        outputs = tuple(map(np.asarray, as_tuple(node.op.forward(*inputs))))
    except MochaError as error:
        raise type(error)(f"layer {node.layer!r}: {error}") from error
    except Exception as error:
        if node.op.errors_pass:
            raise
        raise MochaError(f"layer {node.layer!r}: op {node.op} failed: {type(error).__name__}: {error}") from error
    check_promise(node, outputs)
    return outputs


def check_promise(node: Node, outputs: Sequence[Array]) -> None:
    """See that an op, a user's own perhaps, kept what its shape rule promised.

    Args:
        node: the node.
        outputs: what its op gave; arrays of whatever kind.

    Raises:
        ShapeError: it did not; the layer is named.
    """
    found = [Spec.of(out if hasattr(out, "dtype") else np.asarray(out)) for out in outputs]
    promised = [value.spec for value in node.outputs]
    if found != promised:
        raise ShapeError(
            f"layer {node.layer!r}: op {node.op} gave {', '.join(map(str, found))}; its shape rule promised "
            f"{', '.join(map(str, promised))}."
        )
