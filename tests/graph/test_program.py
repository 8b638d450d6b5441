import numpy as np
import pytest

from mocha.errors import ShapeError, StateError, TopologyError
from mocha.graph import Graph, Kind, Phase, Section, build_program, derive_gradients
from mocha.graph.listing import amount, memory, shape_text, table
from mocha.graph.program import Program
from mocha.ops import Add, AddBias, Convolution, Dropout, InnerProduct, ReLU, Reshape, SoftmaxLoss, Spec

F32 = np.dtype(np.float32)


def spec(*shape):
    return Spec(shape, F32)


def _program(keep=None, phase=Phase.TRAIN) -> Program:
    g = Graph(phase)
    with g.within("conv1"):
        y = g(
            Convolution(pad=(1, 1)), g.input("data", spec(2, 3, 8, 8)), g.parameter("conv1___filter", spec(4, 3, 3, 3))
        )
        y = g.blobs["conv1"] = g(AddBias(), y, g.parameter("conv1___bias", spec(4)))
    with g.within("relu1"):
        y = g.blobs["relu1"] = g(ReLU(), y)
    with g.within("drop"):
        y = g.blobs["drop"] = g(Dropout(0.5, 2.0, 1), y, g.scalar("seed"), g.scalar("counter"))
    with g.within("ip"):
        y = g.blobs["ip"] = g(InnerProduct(), g(Reshape((2, 256)), y), g.parameter("ip___weight", spec(10, 256)))
    with g.within("loss"):
        loss = g(SoftmaxLoss(), y, g.input("label", spec(2)))
        g.objective("loss", loss)
        g.report("objective-value", loss, count=2)
    found = derive_gradients(g, {loss: 1.0}, g.sources(Kind.PARAMETER))
    gradients = {p.name: found[p] for p in g.sources(Kind.PARAMETER)}
    gradients.update({name: found[v] for name, v in g.blobs.items() if v in found})
    return build_program("tiny", g, gradients, keep=keep)


def test_sections_in_order():
    program = _program()
    assert [n.section for n in program.nodes] == sorted((n.section for n in program.nodes), key=list(Section).index)
    assert len(program.section(Section.FORWARD)) == 6
    assert not program.section(Section.UPDATE)


def test_what_it_needs():
    program = _program()
    assert [v.name for v in program.inputs] == ["data", "label"]
    assert [v.name for v in program.stored] == ["conv1___filter", "conv1___bias", "ip___weight"]
    assert program.scalars == ("seed", "counter")
    assert program.statistics[0].layer == "loss"
    assert list(program.losses) == ["loss"]


def test_printing():
    text = str(_program())
    assert text.startswith("program 'tiny', phase train: ")
    assert "Convolution(pad=1x1) + AddBias" in text
    assert "2x3x8x8" in text
    assert "dInnerProduct" in text
    assert "% saved" in text
    head = text.splitlines()[1]
    assert head.split() == ["#", "section", "layer", "op", "from", "to", "operations", "bytes"]
    assert "phase test" in str(_program(phase=Phase.TEST))


def test_an_empty_program_can_be_printed():
    program = build_program("empty", Graph(), {}, keep=None)
    assert "0 ops, 0 operations" in str(program)
    assert program.work == 0


def test_work():
    program = _program(keep=[])
    assert program.nodes[0].op.name == "Convolution+AddBias+ReLU"
    outputs = 2 * 4 * 8 * 8
    assert build_program("none", Graph(), {}, keep=None).work == 0
    forward = [
        n.op.work([v.spec for v in n.inputs], [v.spec for v in n.outputs]) for n in program.section(Section.FORWARD)
    ]
    assert forward == [2 * outputs * 27 + outputs + outputs, 26 * outputs, 0, 2 * 20 * 256, 5 * 20]
    assert program.work == sum(forward)  # nobody asked for a gradient


def test_find():
    program = _program()
    assert program.find("relu1").shape == (2, 4, 8, 8)
    assert program.find("relu1", gradient=True).name == "d relu1"
    assert program.find("conv1___filter", gradient=True).shape == (4, 3, 3, 3)


def test_find_what_is_not_there():
    with pytest.raises(StateError, match=r"program 'tiny' keeps no blob 'relu2'. Did you mean 'relu1'\?"):
        _program().find("relu2")
    program = _program(keep=["ip"])
    assert program.find("ip").shape == (2, 10)
    assert program.find("ip", gradient=True).shape == (2, 10)
    with pytest.raises(StateError, match=r"keeps no blob 'relu1'.*only what a coffee break asks for"):
        program.find("relu1")
    with pytest.raises(StateError, match="keeps no gradient 'conv1___filter'"):
        program.find("conv1___filter", gradient=True)


def test_by_hand_keeps_what_backward_reads():
    by_hand, solver = _program(), _program(keep=[])
    mask = next(n for n in by_hand.nodes if n.op.name == "Dropout").outputs[1]
    assert all(mask not in dying for dying in by_hand.memory.dying)
    mask = next(n for n in solver.nodes if n.op.name == "Dropout").outputs[1]
    assert any(mask in dying for dying in solver.memory.dying)
    assert solver.memory.arena_bytes < by_hand.memory.arena_bytes


def test_sources_are_one_for_each_name():
    g = Graph()
    assert g.parameter("w", spec(2)) is g.parameter("w", spec(2))
    assert g.parameter("w", spec(2)) is not g.state("w", spec(2))
    with pytest.raises(TopologyError, match="parameter 'w' was 2 float32 before and is 3 float32 now"):
        g.parameter("w", spec(3))
    assert [v.name for v in g.sources(Kind.PARAMETER)] == ["w"]


def test_errors_name_the_layer_once():
    g = Graph()
    with pytest.raises(ShapeError, match=r"^layer 'inner': Add: input 2"), g.within("outer"), g.within("inner"):
        g(Add(), g.input("a", spec(2)), g.input("b", spec(3)))
    with g.within("after"):
        g(ReLU(), g.input("a", spec(2)))
    assert g.nodes[-1].layer == "after"


def test_values_in_print():
    g = Graph()
    assert repr(g.input("data", spec(2, 3))) == "<input data: 2x3 float32>"


def test_tables():
    text = table(("name", "n"), [("a", "1"), ("long", "200")], right=(1,))
    assert text.splitlines() == ["name    n", "----  ---", "a       1", "long  200"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (1234567, "1.23 M"), (5e9, "5 G"), (2e15, "2e+03 T")]
)
def test_amounts(number, text):
    assert amount(number) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (4096, "4.0 KiB"), (3 * 2**20, "3.0 MiB"), (2**41, "2048.0 GiB")]
)
def test_memory(count, text):
    assert memory(count) == text


def test_shapes_in_print():
    assert shape_text((64, 1, 28, 28)) == "64x1x28x28"
    assert shape_text(()) == "1"
