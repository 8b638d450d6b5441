"""Checks for ops, of the catalogue and of your own: gradients against differences, backends against the reference.

    from mocha.testing import check_op
    check_op(MyOp(), np.random.randn(3, 4))

The names are loaded when they are asked for, so that ``python -m mocha.testing.gradients`` loads each module once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mocha.testing.agreement import check_agreement
    from mocha.testing.case import Case
    from mocha.testing.cases import CASES, FAMILIES
    from mocha.testing.gradients import check_op, check_op_gradients
    from mocha.testing.nets import GradientReport, check_gradients
    from mocha.testing.promises import check_promises

_HOMES = {
    "CASES": "cases", "Case": "case", "FAMILIES": "cases", "check_agreement": "agreement",
    "check_op_gradients": "gradients", "check_op": "gradients", "check_promises": "promises",
    "check_gradients": "nets", "GradientReport": "nets",
}  # fmt: skip

__all__ = [
    "CASES", "FAMILIES", "Case", "GradientReport", "check_agreement", "check_gradients", "check_op",
    "check_op_gradients", "check_promises",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mocha.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mocha.testing.{_HOMES[name]}"), name)
