"""What the products share: bias and activation in the same call, and gradients by input."""

from __future__ import annotations

from mocha.graph import Node, Value
from mocha.ops import AddBias, Chain, Gradient, LeakyReLU, Op, ReLU

NO_ACTIVATION = (0, 0.0)


def _activation(op: Op) -> tuple[int, float] | None:
    """Kind and parameter, as the kernels number them; None for one that they do not fuse."""
    if isinstance(op, ReLU):
        return 1, op.floor
    if isinstance(op, LeakyReLU):
        return 2, op.slope
    return None


def fused_product(op: Op) -> tuple[Op, bool, tuple[int, float]] | None:
    """The product, whether a bias follows, and the activation; None for a chain that the kernels do not fuse."""
    if not isinstance(op, Chain):
        return op, False, NO_ACTIVATION
    product, *rest = op.steps
    has_bias = bool(rest) and isinstance(rest[0], AddBias) and rest[0].axis == 1
    rest = rest[1:] if has_bias else rest
    activation = _activation(rest[0]) if rest else NO_ACTIVATION
    if len(rest) > 1 or activation is None:
        return None
    return product, has_bias, activation


def wanted_gradients(gradient: Gradient, node: Node) -> list[Value | None]:
    """For each input of the op, the value of its gradient, or None."""
    results = iter(node.outputs)
    return [next(results) if want else None for want in gradient.wanted]
