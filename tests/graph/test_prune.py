import numpy as np

from mocha.graph import Graph, Section, build_program
from mocha.graph.passes import prune
from mocha.ops import Abs, Add, Exp, L2NormConstraint, ReLU, Scale, Slice, Spec, Tanh

X = Spec((3, 4), np.dtype(np.float32))


def test_only_what_leads_to_the_wanted_stays_in_order():
    g = Graph()
    x = g.input("x", X)
    a = g(ReLU(), x)
    g(Tanh(), a)
    b = g(Exp(), a)
    g(Abs(), b)
    kept = prune(g.nodes, [b])
    assert [n.op.name for n in kept] == ["ReLU", "Exp"]
    assert prune(g.nodes, []) == []


def test_one_wanted_output_keeps_the_node():
    g = Graph()
    pieces = g.apply(Slice((1, 3)), g.input("x", X))
    assert len(prune(g.nodes, [pieces[1]])) == 1


def test_both_ways_of_a_diamond_stay():
    g = Graph()
    x = g.input("x", X)
    y = g(Add(), g(ReLU(), x), g(Scale(2.0), x))
    assert len(prune(g.nodes, [y])) == 3


def test_updates_stay_though_nobody_reads_them():
    g = Graph()
    w = g.parameter("w", X)
    with g.within("w", Section.UPDATE):
        g(L2NormConstraint(1.0), w, g.scalar("iteration"))
        g(ReLU(), w)
    assert [n.op.name for n in prune(g.nodes, [])] == ["L2NormConstraint"]


def test_a_program_lists_only_what_it_uses():
    g = Graph()
    x = g.input("x", X)
    g.blobs["y"] = g(Add(), x, g.parameter("used", X))
    g.blobs["z"] = g(Add(), x, g.parameter("unused", X))
    g.scalar("rate")
    program = build_program("p", g, {}, keep=["y"])
    assert [v.name for v in program.stored] == ["used"]
    assert program.scalars == ()
    assert [v.name for v in program.inputs] == ["x"]
    assert list(program.blobs) == ["y"]
