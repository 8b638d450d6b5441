"""Tells the reference that a layer's properties are the arguments it is made with.

A layer becomes a dataclass by being a subclass (see `mocha.layers.base`), which cannot be seen without running the
code. Here the decorator is put before each of them.
"""

from typing import Any

import griffe


class Records(griffe.Extension):
    """Marks the subclasses of `Layer` as keyword-only dataclasses."""

    def on_class_instance(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Add the decorator."""
        if cls.path.startswith("mocha.layers.") and cls.name.endswith("Layer"):
            call = griffe.ExprCall(griffe.ExprName("dataclasses.dataclass"), [griffe.ExprKeyword("kw_only", "True")])
            cls.decorators.append(griffe.Decorator(call, lineno=cls.lineno, endlineno=cls.lineno))
