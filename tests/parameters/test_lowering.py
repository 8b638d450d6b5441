import math

import numpy as np
import pytest

from mocha.errors import ConfigError
from mocha.graph import Graph, Section
from mocha.ops import L1Decay, L2Decay, L2NormConstraint, Spec
from mocha.parameters import L1Regu, L2Cons, L2Regu, NoCons, NoRegu

SPEC = Spec((3, 4), np.dtype(np.float32))


@pytest.fixture
def graph():
    g = Graph()
    return g, g.input("d w", SPEC), g.parameter("w", SPEC)


@pytest.mark.parametrize(("regularizer", "op"), [(L2Regu(2.0), L2Decay(0.5)), (L1Regu(2.0), L1Decay(0.5))], ids=str)
def test_regularizers_are_one_op_on_the_gradient(graph, regularizer, op):
    g, grad, w = graph
    result = regularizer.lower(g, grad, w, 0.25)
    (node,) = g.nodes
    assert node.op == op
    assert node.inputs == (grad, w)
    assert node.outputs == (result,)


@pytest.mark.parametrize(
    ("regularizer", "coef"), [(NoRegu(), 1.0), (L2Regu(), 0.0), (L2Regu(0.0), 1.0), (L1Regu(), 0.0), (L1Regu(0.0), 1.0)]
)
def test_no_penalty_no_op(graph, regularizer, coef):
    g, grad, w = graph
    assert regularizer.lower(g, grad, w, coef) is grad
    assert not g.nodes


def test_constraint(graph):
    g, _, w = graph
    with g.within("w", Section.UPDATE):
        L2Cons(4.5, 10).lower(g, w)
    (node,) = g.nodes
    assert node.op == L2NormConstraint(4.5, 10)
    assert node.inputs == (w, g.scalar("iteration"))
    assert [into for _, into in node.updated()] == [w]


@pytest.mark.parametrize("constraint", [NoCons(), L2Cons(1.0, 0)])
def test_no_constraint_no_op(graph, constraint):
    g, _, w = graph
    constraint.lower(g, w)
    assert not g.nodes


@pytest.mark.parametrize("arguments", [(0.0,), (-1.0,), (math.nan,), (1.0, -1)])
def test_constraints_that_cannot_be(arguments):
    with pytest.raises(ConfigError, match="expected a threshold > 0"):
        L2Cons(*arguments)
