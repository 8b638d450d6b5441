"""Graphs of ops, gradients derived from them, and programs planned from them."""

from mocha.graph.gradients import derive_gradients
from mocha.graph.graph import Graph, Kind, Layout, Node, Phase, Section, Statistic, Value
from mocha.graph.passes import MemoryPlan
from mocha.graph.program import Program, build_program

__all__ = [
    "Graph", "Kind", "Layout", "MemoryPlan", "Node", "Phase", "Program", "Section", "Statistic", "Value",
    "build_program", "derive_gradients",
]  # fmt: skip
