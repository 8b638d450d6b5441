"""Which values lie in numbers of 16 bits, and where they change their width."""

import numpy as np

from mocha.graph import Graph, Half, Layout, Narrowing, Section, build_program, derive_gradients
from mocha.ops import (
    Add,
    AddBias,
    BatchNormTrain,
    Convolution,
    Divide,
    Identity,
    InnerProduct,
    MaxPooling,
    MovingAverage,
    Recast,
    ReduceSum,
    ReLU,
    Reorder,
    Reshape,
    Scale,
    Softmax,
    Spec,
    TopK,
)

F32 = np.dtype(np.float32)


def net(dtype=F32):
    g = Graph()
    x = g.input("x", Spec((2, 3, 32, 32), dtype))
    w, b = g.parameter("w", Spec((4, 3, 3, 3), dtype)), g.parameter("b", Spec((4,), dtype))
    v = g.parameter("v", Spec((5, 900), dtype))
    with g.within("all"):
        y = g(AddBias(), g(Convolution(), x, w), b)
        norm, mean, _ = g.apply(BatchNormTrain(), y)
        pooled = g(MaxPooling((2, 2), (2, 2)), g(ReLU(), norm))
        scores = g(InnerProduct(), pooled, v)
        loss = g(ReduceSum(), g(Softmax(), scores))
    g.blobs |= {"y": y, "norm": norm, "mean": mean, "pooled": pooled, "scores": scores, "loss": loss}
    found = derive_gradients(g, {loss: 1.0}, [w, b, v])
    return g, {"w": found[w], "b": found[b], "v": found[v], "norm": found[norm]}


def built(factor=1.0, half=Half.BFLOAT16, dtype=F32, keep=None):
    g, gradients = net(dtype)
    return build_program("p", g, gradients, keep=keep, channels_last=True, narrowing=Narrowing(half, factor))


def test_blobs_are_narrow_and_what_is_learned_is_not():
    program = built()
    narrow = {name for name, value in program.blobs.items() if value in program.narrow}
    assert narrow == {"y", "norm", "pooled", "scores"}
    assert program.gradients["norm"] in program.narrow
    assert not {program.gradients[key] for key in "wbv"} & set(program.narrow)
    assert all(value not in program.narrow for value in program.stored)


def test_values_change_their_width_at_the_edges_only():
    program = built(keep=["loss", *"wbv"])
    recasts = [node for node in program.nodes if isinstance(node.op, Recast)]
    assert [node.section for node in recasts] == [Section.FORWARD, Section.FORWARD, Section.BACKWARD]
    assert recasts[0].inputs[0].shape == (2, 3, 32, 32)
    assert recasts[1].inputs[0].shape == (2, 5), "scores, for the softmax"


def test_narrow_values_take_half_the_memory():
    wide, narrow = (
        build_program("p", *net(), keep=["loss", *"wbv"], narrowing=wish) for wish in (None, Narrowing(Half.FLOAT16))
    )
    assert narrow.memory.separate_bytes < 0.6 * wide.memory.separate_bytes


def test_gradients_are_multiplied_under_way_and_set_right_at_the_end():
    program = built(factor=1024.0, half=Half.FLOAT16)
    assert program.narrow[program.gradients["norm"]].factor == 1024
    assert program.narrow[program.blobs["norm"]].factor == 1
    for key in "wbv":
        scale = program.gradients[key].producer
        assert isinstance(scale.op, Scale), key
        assert scale.op.factor == 1 / 1024


def test_float64_stays_as_it_is():
    assert not built(dtype=np.dtype(np.float64)).narrow


def test_what_changes_its_width_lies_as_before():
    """An op that is not done in 16 bits works on channels that lie last, too."""
    g = Graph()
    with g.within("all"):
        y = g(Convolution(), g.input("x", Spec((2, 3, 5, 5), F32)), g.parameter("w", Spec((4, 3, 3, 3), F32)))
        g.blobs["out"] = g(TopK(2), y)
    program = build_program("p", g, {}, keep=["out"], channels_last=True, narrowing=Narrowing(Half.BFLOAT16))
    recasts = [node for node in program.nodes if isinstance(node.op, Recast)]
    assert len(recasts) == 2
    assert {program.layouts.get(v) for n in recasts for v in (*n.inputs, *n.outputs)} == {Layout.CHANNELS_LAST}


def test_a_blob_that_the_way_back_turns_is_no_gradient():
    """It is not multiplied, which would be too large a number of 16 bits."""
    g = Graph()
    x, images = g.input("x", Spec((2, 5), F32)), g.input("images", Spec((2, 3, 4, 4), F32))
    w, f = g.parameter("w", Spec((48, 5), F32)), g.parameter("f", Spec((3, 3, 1, 1), F32))
    with g.within("all"):
        quotient = g(Divide(), g(Reshape((2, 3, 4, 4)), g(InnerProduct(), x, w)), g(Convolution(), images, f))
        g.blobs["loss"] = g(ReduceSum(), quotient)
    found = derive_gradients(g, {g.blobs["loss"]: 1.0}, [f])
    wish = Narrowing(Half.FLOAT16, 1024.0)
    program = build_program("p", g, {"f": found[f]}, keep=None, channels_last=True, narrowing=wish)
    turned = [node for node in program.section(Section.BACKWARD) if isinstance(node.op, Reorder)]
    assert quotient in {node.inputs[0] for node in turned}
    for node in turned:
        if node.inputs[0] is quotient:
            assert program.narrow[node.outputs[0]].factor == 1


def test_a_state_is_rounded_anew_after_it_was_overwritten():
    g = Graph()
    x, state = g.input("x", Spec((2, 5), F32)), g.state("state", Spec((2, 3), F32))
    with g.within("all"):
        scores = g(InnerProduct(), x, g.parameter("w", Spec((3, 5), F32)))
        before = g(Add(), scores, state)
        g(MovingAverage(0.5), state, g(Identity(), state))
        g.blobs |= {"before": before, "after": g(Add(), scores, state)}
    program = build_program("p", g, {}, keep=["before", "after"], narrowing=Narrowing(Half.BFLOAT16))
    rounded = [node for node in program.nodes if isinstance(node.op, Recast) and node.inputs[0] is state]
    assert len(rounded) == 2
