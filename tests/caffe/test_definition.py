"""From a net's message to its layers: rules, splits, outputs, shared parameters, what is back-propagated."""

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha.caffe.definition import filtered, loss_weights, net_state, outputs_of, solver_state, with_splits, with_tops
from mocha.errors import ConfigError, ShapeError, TopologyError

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'


def parsed(text):
    return caffe.parse_net(text)


def net(text, phase=caffe.TRAIN, **kwargs):
    return caffe.Net(parsed(text), phase, **kwargs)


def names(message):
    return [layer.name for layer in message.layer]


def inner(name, bottom, top, more="", n=3, filler='"xavier"'):
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {more} inner_product_param '
        f"{{ num_output: {n} weight_filler {{ type: {filler} }} }} }}\n"
    )


# -- rules


RULED = """
layer { name: "always" type: "Input" top: "a" }
layer { name: "train" type: "Input" top: "b" include { phase: TRAIN } }
layer { name: "test" type: "Input" top: "b" include { phase: TEST } }
layer { name: "deep" type: "Input" top: "c" include { min_level: 2 } }
layer { name: "between" type: "Input" top: "d" include { min_level: 1 max_level: 2 } }
layer { name: "staged" type: "Input" top: "e" include { stage: "x" stage: "y" } }
layer { name: "unstaged" type: "Input" top: "f" include { not_stage: "x" } }
layer { name: "either" type: "Input" top: "g" include { phase: TEST } include { stage: "x" } }
layer { name: "but" type: "Input" top: "h" exclude { stage: "y" } exclude { phase: TEST min_level: 2 } }
"""


@pytest.mark.parametrize(
    ("phase", "level", "stages", "expected"),
    [
        (caffe.TRAIN, 0, [], "always train unstaged but"),
        (caffe.TEST, 0, [], "always test unstaged either but"),
        (caffe.TEST, 2, [], "always test deep between unstaged either"),
        (caffe.TRAIN, 3, ["x"], "always train deep either but"),
        (caffe.TRAIN, 1, ["y", "x"], "always train between staged either"),
    ],
)
def test_rules_choose_layers(phase, level, stages, expected):
    assert names(filtered(parsed(RULED), net_state(phase, level, stages))) == expected.split()
    assert list(caffe.Net(parsed(RULED), phase, level, stages).layer_dict) == expected.split()


def test_layers_get_the_phase_of_the_state():
    kept = filtered(parsed(RULED), net_state(caffe.TEST))
    assert {layer.phase for layer in kept.layer} == {caffe.TEST}


def test_layers_may_have_a_phase_of_their_own():
    text = INPUT + 'layer { name: "drop" type: "Dropout" bottom: "data" top: "y" phase: %s }'
    given = np.ones((2, 3))
    for phase in (caffe.TRAIN, caffe.TEST):
        assert np.all(net(text % "TEST", phase).forward(data=given)["y"] == 1)
        assert not np.any(net(text % "TRAIN", phase).forward(data=given)["y"] == 1)
    with pytest.raises(ConfigError, match="level is '1'; expected a whole number"):
        caffe.Net(parsed(text % "TEST"), caffe.TEST, "1")


def test_both_kinds_of_rules_are_refused():
    text = 'layer { name: "a" type: "Input" top: "a" include { phase: TEST } exclude { stage: "x" } }'
    with pytest.raises(ConfigError, match="layer 'a': both include and exclude"):
        net(text)


def test_stages_of_the_file_stay():
    message = parsed('state { stage: "x" level: 5 }' + RULED)
    assert list(caffe.Net(message, caffe.TRAIN, stages=["y"]).layer_dict) == ["always", "train", "staged", "either"]
    with pytest.raises(ConfigError, match="stages is 'x'; expected a list"):
        caffe.Net(message, caffe.TRAIN, stages="x")


def test_states_of_solvers_are_merged():
    message = parsed('state { phase: TEST level: 1 stage: "n" }' + RULED)
    own = caffe.caffe_pb2.NetState(level=2, stage=["s"])
    state = solver_state(caffe.TRAIN, message, own)
    assert (state.phase, state.level, list(state.stage)) == (caffe.TEST, 2, ["n", "s"])
    assert solver_state(caffe.TRAIN, parsed(RULED)).phase == caffe.TRAIN


def test_unknown_types_matter_where_they_are_in():
    text = INPUT + 'layer { name: "odd" type: "Convolutoin" bottom: "data" top: "y" include { phase: TEST } }'
    assert list(net(text).layer_dict) == ["data"]
    with pytest.raises(
        ConfigError, match=r"layer 'odd': the type 'Convolutoin' is unknown. Did you mean 'Convolution'"
    ):
        net(text, caffe.TEST)
    with pytest.raises(ConfigError, match=r"layer 'd': the type 'Data' is not there yet. Convert its data"):
        net('layer { name: "d" type: "Data" top: "data" }')


# -- splits


def test_a_top_that_is_used_twice_is_split():
    text = INPUT + inner("one", "data", "x") + inner("two", "data", "y")
    message = with_splits(parsed(text))
    assert names(message) == ["data", "data_data_0_split", "one", "two"]
    assert list(message.layer[1].top) == ["data_data_0_split_0", "data_data_0_split_1"]
    assert [list(layer.bottom) for layer in message.layer[2:]] == [["data_data_0_split_0"], ["data_data_0_split_1"]]
    assert "data_data_0_split_1" in net(text).blobs


def test_the_end_of_a_chain_in_place_is_split():
    text = (
        INPUT + inner("ip", "data", "x")
        + 'layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }'
        + 'layer { name: "drop" type: "Dropout" bottom: "x" top: "x" }'
        + inner("one", "x", "y") + inner("two", "x", "z")
    )  # fmt: skip
    message = with_splits(parsed(text))
    assert names(message) == ["data", "ip", "relu", "drop", "x_drop_0_split", "one", "two"]
    assert [list(layer.bottom) for layer in message.layer[-2:]] == [["x_drop_0_split_0"], ["x_drop_0_split_1"]]


def test_pieces_count_in_the_order_of_use_and_by_the_number_of_the_top():
    text = (
        'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "b" top: "s" }'
        'layer { name: "all" type: "Silence" bottom: "s" bottom: "b" bottom: "a" }'
    )
    message = with_splits(parsed(text))
    assert names(message) == ["in", "b_in_1_split", "sum", "all"]
    assert list(message.layer[2].bottom) == ["b_in_1_split_0", "b_in_1_split_1"]
    assert list(message.layer[3].bottom) == ["s", "b_in_1_split_2", "a"]


def test_a_top_that_counts_and_is_used_has_a_piece_for_the_objective():
    text = INPUT + inner("ip", "data", "x", "loss_weight: 2") + inner("next", "x", "y")
    message = with_splits(parsed(text))
    split = message.layer[2]
    assert split.name == "x_ip_0_split"
    assert list(split.loss_weight) == [2, 0]
    assert not message.layer[1].loss_weight
    assert list(message.layer[3].bottom) == ["x_ip_0_split_1"]
    made = net(text)
    assert made.outputs == ["x_ip_0_split_0", "y"]  # the piece that counts is an output
    made.forward(data=np.ones((2, 3)))
    assert made.forward_loss() == pytest.approx(2 * made.blobs["x"].data.sum(), rel=1e-6)
    made.backward()
    np.testing.assert_allclose(made.params["ip"][1].diff, [4, 4, 4])


def test_a_split_for_the_objective_takes_the_other_weights_of_the_layer_along():
    text = (
        'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 } } loss_weight: 1 '
        "loss_weight: 3 }"
        'layer { name: "s" type: "Silence" bottom: "b" }'
    )
    made = net(text)
    weights = made.blob_loss_weights
    assert weights["a"] == weights["b"] == 0
    assert weights["b_in_1_split_0"] == 3


def test_a_top_that_only_counts_is_not_split():
    assert names(with_splits(parsed(INPUT + inner("ip", "data", "x", "loss_weight: 2")))) == ["data", "ip"]


# -- tops and bottoms


def test_missing_bottoms():
    with pytest.raises(
        TopologyError, match=r"layer 'ip': the bottom 'dta' is no top of an earlier.*Did you mean 'data'"
    ):
        net(INPUT + inner("ip", "dta", "x"))
    with pytest.raises(TopologyError, match="layer 'ip': the bottom 'later'"):
        net(INPUT + inner("ip", "later", "x") + inner("two", "data", "later"))


@pytest.mark.parametrize(
    "text",
    [
        INPUT + inner("one", "data", "x") + inner("two", "data", "x"),
        'layer { name: "two" type: "Input" top: "x" top: "x" }',
        # the second top is the first bottom: not the same place
        INPUT
        + 'layer { name: "two" type: "Slice" bottom: "data" top: "y" top: "data" slice_param { slice_point: 1 } }',
    ],
)
def test_duplicate_tops(text):
    with pytest.raises(TopologyError, match=r"layer 'two': its top '.*' is made by layer"):
        net(text)


def test_work_in_place_on_what_others_use_is_refused():
    text = INPUT + 'layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }'
    assert net(text).outputs == ["data"]
    other = INPUT + inner("ip", "data", "x") + 'layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }'
    with pytest.raises(TopologyError, match="layer 'relu': it works in place on 'data', which other layers"):
        net(other)


@pytest.mark.parametrize("kind", ["AbsVal", "Flatten", "Reshape", "Split"])
def test_layers_that_cannot_work_in_place(kind):
    with pytest.raises(ConfigError, match=rf"layer 'l' \({kind}\): the top 'data' is its bottom too"):
        net(INPUT + f'layer {{ name: "l" type: "{kind}" bottom: "data" top: "data" }}')


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('type: "ReLU" top: "y"', "0 bottoms (none); expected 1"),
        ('type: "ReLU" bottom: "data"', "0 tops (none); expected 1"),
        ('type: "Eltwise" bottom: "data" top: "y"', "1 bottoms (data); expected at least 2"),
        ('type: "SoftmaxWithLoss" bottom: "data" top: "l"', "1 bottoms (data); expected 2"),
        ('type: "ReLU" bottom: "data" top: "y" propagate_down: true propagate_down: true', "2 propagate_down entries"),
        ('type: "ReLU" bottom: "data" top: "y" loss_weight: 1 loss_weight: 1', "2 loss_weight entries for 1 tops"),
        ('type: "ReLU" bottom: "data" top: "y" param { lr_mult: 1 }', "1 param entries; expected at most 0"),
    ],
)
def test_counts(layer, message):
    with pytest.raises(ConfigError) as caught:
        net(INPUT + f'layer {{ name: "l" {layer} }}')
    assert str(caught.value).startswith("layer 'l'")
    assert message in str(caught.value)


def test_outputs_are_sorted_and_labels_that_nobody_uses_are_some():
    text = INPUT + inner("two", "data", "zeta") + inner("one", "data", "alpha") + inner("more", "data", "Beta")
    text += 'layer { name: "label" type: "Input" top: "label" }'
    assert net(text).outputs == ["Beta", "alpha", "label", "zeta"]
    assert net(text).inputs == ["data", "label"]


def test_losses_without_a_top_get_one():
    loss = 'layer { name: "l%d" type: "EuclideanLoss" bottom: "x" bottom: "data" }'
    message = parsed(INPUT + inner("ip", "data", "x") + loss % 1 + loss % 2)
    with_tops(message)
    assert message.layer[-1].top != message.layer[-2].top
    assert outputs_of(message) == []
    made = net(INPUT + inner("ip", "data", "x") + loss % 1 + loss % 2)
    assert made.outputs == []
    made.blobs["data"].data[...] = 1
    error = made.blobs["x"]
    assert made.forward_loss() == pytest.approx(2 * np.sum((error.data - 1) ** 2) / 4, rel=1e-5)
    made.backward()
    assert made.params["ip"][0].diff.any()


def test_loss_weights():
    layer = parsed('layer { name: "l" type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "l" top: "p" }').layer[0]
    assert tuple(loss_weights(layer)) == (1, 0)
    layer.loss_weight.extend([0.5])
    with pytest.raises(ConfigError, match="1 loss_weight entries for 2 tops"):
        loss_weights(layer)
    made = net(INPUT + inner("ip", "data", "x", "loss_weight: -0.5"))
    assert made.blob_loss_weights["x"] == -0.5
    made.forward(data=np.ones((2, 3)))
    made.backward()
    np.testing.assert_array_equal(made.blobs["x"].diff, np.full((2, 3), -0.5))
    np.testing.assert_allclose(made.params["ip"][1].diff, [-1, -1, -1])


# -- shared parameters


def shared(first="", second="", n=3):
    return (
        INPUT
        + inner("one", "data", "x", f'param {{ name: "w" {first} }} param {{ name: "b" }}')
        + inner("two", "x", "y", f'param {{ name: "w" {second} }} loss_weight: 1', n)
    )


def test_a_shared_parameter_is_one():
    made = net(shared())
    one, two = made.params["one"], made.params["two"]
    assert one[0] is two[0]
    assert one[1] is not two[1]
    one[0].data[...] = np.eye(3)
    made.params["one"][1].data[...] = 1
    given = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(made.forward(data=given)["y"], given + 1)
    made.backward()
    # y = (x w' + b) w': both uses add up
    ones = np.ones((2, 3))
    np.testing.assert_allclose(one[0].diff, ones.T @ (given + 1) + ones.T @ given)
    assert made.engine.learnable() == [*made.engine.parameters[1], made.engine.parameters[2][1]]


def test_shapes_of_shared_parameters():
    text = (
        INPUT + inner("one", "data", "x", 'param { name: "w" }', n=2)
        + 'layer { name: "t" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" %s } '
        "inner_product_param { num_output: 3 } }"
    )  # fmt: skip
    with pytest.raises(
        ShapeError, match=r"layer 't' .*shares 'w', which has shape \(2, 3\); expected \(3, 2\).*PERMIS"
    ):
        net(text % "")
    made = net(text % "share_mode: PERMISSIVE")
    w = made.params["one"][0].data[...]
    np.testing.assert_allclose(
        made.forward(data=np.ones((2, 3)))["y"], np.ones((2, 3)) @ w.T @ w.reshape(3, 2).T, rtol=1e-5
    )
    with pytest.raises(ShapeError, match=r"layer 't'.*shares 'w'"):
        net(text.replace("num_output: 3", "num_output: 4") % "share_mode: PERMISSIVE")


def test_multipliers_of_shared_parameters():
    with pytest.raises(
        ConfigError, match="layer 'two': the shared parameter 'w' has lr_mult 2; an earlier layer says 1"
    ):
        net(shared("lr_mult: 1", "lr_mult: 2"))
    with pytest.raises(ConfigError, match="'w' has decay_mult 0; an earlier layer says 3"):
        net(shared("decay_mult: 3", "decay_mult: 0"))
    made = net(shared("", "lr_mult: 2 decay_mult: 0.5"))
    owner = made.engine.parameters[1][0].about
    assert (owner.rate, owner.regularizer.coef) == (2, 0.25)
    assert net(shared("lr_mult: 0", "")).engine.parameters[1][0].about.rate == 0


def test_the_first_values_are_those_of_the_owner():
    text = (
        INPUT + inner("one", "data", "x", 'param { name: "w" }').replace('"xavier"', '"constant" value: 2')
        + inner("two", "x", "y", 'param { name: "w" }').replace('"xavier"', '"constant" value: 5')
    )  # fmt: skip
    assert np.all(net(text).params["two"][0].data == 2)


# -- what is back-propagated


def test_propagate_down_stops_and_forces():
    loss = 'layer { name: "l" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "l" }'
    text = INPUT + 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 3 } } }'
    stopped = net(text + inner("one", "data", "x") + inner("two", "x", "y", "propagate_down: false") + loss)
    plain = net(text + inner("one", "data", "x") + inner("two", "x", "y") + loss)
    forced = net(text + inner("one", "data", "x", "propagate_down: true") + inner("two", "x", "y") + loss)
    for made in (stopped, plain, forced):
        made.forward(data=np.ones((2, 3)), t=np.zeros((2, 3)))
        made.backward()
        assert made.params["two"][0].diff.any()
    assert not stopped.params["one"][0].diff.any()
    assert plain.params["one"][0].diff.any()
    assert not plain.blobs["data"].diff.any()
    expected = forced.blobs["x"].diff @ forced.params["one"][0].data
    np.testing.assert_allclose(forced.blobs["data"].diff, expected, rtol=1e-5)
    assert expected.any()


def test_parameters_with_the_rate_0_have_no_gradient_unless_forced():
    text = INPUT + inner("one", "data", "x", "param { lr_mult: 0 } loss_weight: 1")
    for force in (False, True):
        made = net(("force_backward: true\n" if force else "") + text)
        made.forward(data=np.ones((2, 3)))
        made.backward()
        assert made.params["one"][0].diff.any() == force
        assert made.blobs["data"].diff.any() == force
        assert made.params["one"][1].diff.any()


def test_force_backward_with_layers_without_gradient():
    text = (
        "force_backward: true\n" + INPUT
        + 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
        + 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "n" }' + inner("ip", "n", "x")
        + 'layer { name: "a" type: "Accuracy" bottom: "x" bottom: "label" top: "a" }'
        + 'layer { name: "m" type: "ArgMax" bottom: "x" top: "m" }'
        + 'layer { name: "t" type: "Threshold" bottom: "x" top: "t" }'
        + 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "l" }'
    )  # fmt: skip
    made = net(text)
    made.forward(data=np.random.default_rng(0).random((2, 3)), label=np.zeros(2))
    made.backward()
    assert made.blobs["n"].diff.any()
    assert not any(blob.diff.any() for blob in made.params["bn"])
    assert made.params["ip"][0].diff.any()


def test_embedded_values_are_the_first_ones():
    message = parsed(INPUT + inner("ip", "data", "x"))
    for shape, value in (((3, 3), 2.0), ((3,), 1.0)):
        blob = message.layer[1].blobs.add()
        blob.shape.dim.extend(shape)
        blob.data.extend([value] * int(np.prod(shape)))
    np.testing.assert_array_equal(caffe.Net(message, caffe.TEST).forward(data=np.ones((2, 3)))["x"], np.full((2, 3), 7))
    del message.layer[1].blobs[1]
    with pytest.raises(ConfigError, match=r"layer 'ip' .*1 blobs in the net's file; expected 2"):
        caffe.Net(message, caffe.TEST)


def test_a_net_that_is_refused_leaves_no_file(tmp_path):
    text = INPUT + f"""
    layer {{ name: "out" type: "HDF5Output" bottom: "data" bottom: "data"
            hdf5_output_param {{ file_name: "{tmp_path}/o.h5" }} }}
    layer {{ name: "bad" type: "InnerProduct" bottom: "data" top: "y" }}
    """  # fmt: skip
    with pytest.raises(ConfigError, match="num_output is 0"):
        net(text)


@pytest.mark.parametrize(
    "shape", ["dim: -1", "dim: 0 dim: -5", "dim: 4000000000 dim: 4000000000", " ".join(["dim: 1"] * 40)]
)
def test_shapes_of_inputs_that_cannot_be(shape):
    with pytest.raises((ConfigError, ShapeError), match="data"):
        net(f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}')


def test_a_net_without_layers():
    made = net("")
    assert made.forward() == {}
    assert made.backward() == {}
    assert made.outputs == made.inputs == []
