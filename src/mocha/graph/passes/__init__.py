"""Passes over a graph on its way to a program: one readable function each, with no effect on the values computed."""

from mocha.graph.passes.fusion import fuse_chains
from mocha.graph.passes.layout import plan_layout
from mocha.graph.passes.memory import MemoryPlan, plan_memory
from mocha.graph.passes.prune import prune
from mocha.graph.passes.storage import Half, Narrowing, Stored, plan_storage
from mocha.graph.passes.units import fuse_units
from mocha.graph.passes.widen import widen

__all__ = [
    "Half", "MemoryPlan", "Narrowing", "Stored", "fuse_chains", "fuse_units", "plan_layout", "plan_memory",
    "plan_storage", "prune", "widen",
]  # fmt: skip
