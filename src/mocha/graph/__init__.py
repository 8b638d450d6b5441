"""Graphs of ops, gradients derived from them, and programs planned from them."""

from mocha.graph.gradients import derive_gradients
from mocha.graph.graph import Graph, Kind, Layout, Node, Phase, Section, Statistic, Value
from mocha.graph.passes import Half, MemoryPlan, Narrowing, Stored, fuse_units
from mocha.graph.program import Program, build_program

__all__ = [
    "Graph", "Half", "Kind", "Layout", "MemoryPlan", "Narrowing", "Node", "Phase", "Program", "Section", "Statistic",
    "Stored", "Value", "build_program", "derive_gradients", "fuse_units",
]  # fmt: skip
