import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.backends import NumpyBackend
from mocha.graph import Graph, Kind, Section, build_program, derive_gradients
from mocha.graph.passes import plan_memory
from mocha.graph.passes.memory import ALIGNMENT
from mocha.ops import (
    Abs,
    Add,
    Concat,
    Exp,
    Identity,
    L2NormConstraint,
    MaxPooling,
    Multiply,
    ReduceSum,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    Slice,
    Spec,
    Tanh,
)

F32 = np.dtype(np.float32)
X = Spec((2, 40), F32)


def _graph(draw):
    """A graph of random ops on blobs of two columns counts, and the names of what is kept."""
    g = Graph()
    values = [g.input("x", X), g.parameter("p", X)]
    unary = [Tanh(), ReLU(), Scale(0.5), Abs(), Identity(), Sigmoid()]
    for number in range(draw(st.integers(1, 14))):
        a = values[draw(st.integers(0, len(values) - 1))]
        b = values[draw(st.integers(0, len(values) - 1))]
        kind = draw(st.sampled_from(["unary", "binary", "reshape", "concat", "slice", "pool"]))
        with g.within(f"layer{number}"):
            if kind == "binary" and a.spec == b.spec:
                values.append(g(draw(st.sampled_from([Add(), Multiply()])), a, b))
            elif kind == "reshape":
                values.append(g(Reshape((a.spec.size // 2, 2) if a.shape[0] == 2 else (2, a.spec.size // 2)), a))
            elif kind == "concat" and a.shape[0] == b.shape[0] and a.spec.size < 400:
                values.append(g(Concat(), a, b))
            elif kind == "slice" and a.shape[1] > 3:
                values.extend(g.apply(Slice((2, a.shape[1] - 2)), a))
            elif kind == "pool":
                values.append(g.apply(MaxPooling((1,), (1,), (0,)), a)[0])
            else:
                values.append(g(draw(st.sampled_from(unary)), a))
        g.blobs[f"v{number}"] = values[-1]
    roots = values[:2] if draw(st.booleans()) else []
    found = derive_gradients(g, {g(ReduceSum(), values[-1]): 1.0}, roots)
    keep = draw(st.sets(st.sampled_from(sorted(g.blobs)), max_size=3)) | {f"v{number}"}
    return g, {v.name: found[v] for v in values[:2] if v in found}, keep


random_graphs = st.composite(lambda draw: _graph(draw))()


def _homes(nodes):
    """Value -> what it shares memory with on purpose, found anew: views with what they view."""
    root = {}
    for node in nodes:
        for out in node.outputs:
            root[out] = root.get(node.inputs[0], node.inputs[0]) if node.op.is_view else out
    return root


def _check(program, kept):
    nodes, plan = program.nodes, program.memory
    root = _homes(nodes)
    birth, last = {}, {}
    for time, node in enumerate(nodes):
        for out in node.outputs:
            birth.setdefault(root[out], time)
        for value in (*node.inputs, *node.outputs):
            last[root.get(value, value)] = time
    for value in kept:
        last[root.get(value, value)] = len(nodes)
    homes = [v for v in dict.fromkeys(root.values()) if v in plan.offsets]
    for value, home in root.items():
        assert plan.offsets.get(value) == plan.offsets.get(home), "a view lies where what it views lies"
    for i, a in enumerate(homes):
        assert plan.offsets[a] % ALIGNMENT == 0
        assert plan.offsets[a] + a.spec.nbytes <= plan.arena_bytes
        for b in homes[i + 1 :]:
            apart = (
                plan.offsets[a] + a.spec.nbytes <= plan.offsets[b] or plan.offsets[b] + b.spec.nbytes <= plan.offsets[a]
            )
            first, second = (a, b) if birth[a] <= birth[b] else (b, a)
            dead = last[first] < birth[second]
            assert apart or dead or _may_overwrite(nodes[birth[second]], first, second, last, birth, root), (a, b)
    assert plan.arena_bytes <= plan.separate_bytes


def _may_overwrite(node, old, new, last, birth, root):
    """The op says that it may, the old value dies at this op, and it lies exactly under the new one."""
    pairs = [(node.outputs[out], root.get(node.inputs[into])) for out, into in node.op.overwrites]
    return (new, old) in pairs and last[old] == birth[new] and old.spec.nbytes == new.spec.nbytes


@settings(max_examples=150, deadline=None)
@given(random_graphs)
def test_no_two_live_values_overlap(drawn):
    g, gradients, keep = drawn
    program = build_program("p", g, gradients, keep=keep)
    _check(program, {*program.blobs.values(), *program.gradients.values()})
    by_hand = build_program("p", g, gradients, keep=None)
    crossing = {v for n in by_hand.nodes for v in n.inputs if v.producer and v.producer.section is not n.section}
    _check(by_hand, {*by_hand.blobs.values(), *by_hand.gradients.values(), *crossing})


@settings(max_examples=40, deadline=None)
@given(random_graphs)
def test_what_dies_is_dead_and_what_is_kept_can_be_read(drawn):
    g, gradients, keep = drawn
    x, p = np.random.default_rng(0).standard_normal((2, *X.shape)).astype(np.float32)
    results = []
    for names in (keep, None):
        backend = NumpyBackend()
        backend.store.allocate("p", p)
        program = build_program("p", g, gradients, keep=names)
        assert all(value not in dying for dying in program.memory.dying for value in program.blobs.values())
        executable = backend.compile(program)
        executable.run(*Section, feeds={"x": x})
        results.append({name: executable.blob(name) for name in keep})
    for name in keep:
        np.testing.assert_array_equal(results[0][name], results[1][name])


def _planned(build, kept=()):
    g = Graph()
    values = build(g)
    return plan_memory(g.nodes, [values[i] for i in kept]), values


def test_overwriting_shares_and_a_late_reader_forbids_it():
    def build(g):
        a = g(Exp(), g.input("x", X))
        return [a, g(ReLU(), a)]

    plan, (a, b) = _planned(build)
    assert plan.offsets[a] == plan.offsets[b]
    assert plan.arena_bytes == 320
    assert plan.separate_bytes == 640

    def and_again(g):
        a, b = build(g)
        g(Tanh(), a)
        return [a, b]

    plan, (a, b) = _planned(and_again)
    assert plan.offsets[a] != plan.offsets[b]


def test_a_kept_value_is_not_overwritten_nor_its_memory_used_again():
    def build(g):
        a = g(Exp(), g.input("x", X))
        v = g(Reshape((4, 20)), a)
        b = g(ReLU(), v)
        c = g(Tanh(), b)
        return [a, v, b, c, g(Concat(), c, c)]

    for kept in (0, 1):  # the value itself, or a view of it
        plan, values = _planned(build, [kept])
        a, v, *others = values
        assert plan.offsets[a] == plan.offsets[v]
        assert plan.offsets[a] not in {plan.offsets[o] for o in others}
    plan, values = _planned(build)
    assert len({plan.offsets[o] for o in values[:4]}) == 1


def test_an_input_is_never_overwritten():
    plan, (a,) = _planned(lambda g: [g(ReLU(), g.input("x", X))])
    assert set(plan.offsets) == {a}


def test_what_lives_in_the_store_has_no_place_in_the_arena():
    def build(g):
        w = g.parameter("w", X)
        view = g(Reshape((80,)), w)
        updated = g(L2NormConstraint(1.0), w, g.scalar("iteration"))
        return [view, updated, g(Reshape((80,)), updated)]

    plan, values = _planned(build, [2])
    assert not plan.offsets
    assert plan.arena_bytes == plan.separate_bytes == 0
    assert all(v.kind is Kind.COMPUTED for v in values)


def test_dead_memory_is_used_again():
    g = Graph()
    x = g.input("x", X)
    for _ in range(10):
        x = g(Concat(), g(Slice((20, 20)), x), g(Slice((20, 20)), x))
    plan = plan_memory(g.nodes, [x])
    assert plan.arena_bytes < plan.separate_bytes / 4


def test_an_output_that_nobody_reads_still_has_memory_of_its_own():
    g = Graph()
    y, winner = g.apply(MaxPooling((2,), (2,), (0,)), g(Exp(), g.input("x", X)))
    plan = plan_memory(g.nodes, [y])
    assert plan.offsets[winner] != plan.offsets[y]
    assert winner in plan.dying[1]


def test_memory_of_another_size_or_type_is_not_taken_over():
    class Wide(Exp):
        def infer(self, x):
            return Spec(x.shape, np.dtype(np.float64))

    plan, (a, b) = _planned(lambda g: [a := g(Exp(), g.input("x", X)), g(Wide(), a)])
    assert plan.offsets[a] != plan.offsets[b]
