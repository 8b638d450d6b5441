from __future__ import annotations

import contextlib
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mocha.caffe.nets import parse_net, parse_solver, read_net, read_solver, write_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.text import parse_text, to_text
from mocha.caffe.unknown import UnknownField, UnknownFieldWarning
from mocha.errors import FormatError

FORKED = """name: "n"  # a comment { with a brace
layer {
  type: "Convolution"
  convolution_param { num_output: 3, novel: { deep < deeper: [1, -2] text: "}" 'and' "{" > }; kernel_size: 5 }
  whole_param { a: 1 b { c: "x" } }
  name: "late"
}
layer { name: "r" type: "ReLU" odd: -1.5e3 odd2: A odd3: "s" "t", top: "r" }
"""


def test_unknown_fields_are_passed_over_whole_and_noted():
    found = []
    net = parse_net(FORKED, "f.prototxt", unknown=found)
    assert found == [
        UnknownField("f.prototxt", "late", "convolution_param.novel", 4),
        UnknownField("f.prototxt", "late", "whole_param", 5),
        UnknownField("f.prototxt", "r", "odd", 8),
        UnknownField("f.prototxt", "r", "odd2", 8),
        UnknownField("f.prototxt", "r", "odd3", 8),
    ]
    known = 'name: "n" layer { type: "Convolution" name: "late" convolution_param { num_output: 3 kernel_size: 5 } }'
    known += ' layer { name: "r" type: "ReLU" top: "r" }'
    assert net == parse_net(known)


def test_without_a_list_they_are_one_warning():
    with pytest.warns(
        UnknownFieldWarning, match=r"f.prototxt.*'convolution_param.novel' of layer 'late' \(line 4\)"
    ) as got:
        parse_net(FORKED, "f.prototxt")
    assert len(got) == 1
    with pytest.warns(UnknownFieldWarning, match="and 12 more"):
        parse_net("x: 1 " * 20)


def test_strict_reading_refuses_them_and_names_the_nearest():
    with pytest.raises(
        FormatError, match=r"f, line 2, column 3: LayerParameter has no field 'relu_parm'.*'relu_param'"
    ):
        parse_net("layer {\n  relu_parm { }\n}", "f", strict=True)


def test_fields_of_known_forks_are_known():
    net = parse_net(
        'layer { type: "Permute" permute_param { order: 0 order: 2 } }'
        'layer { type: "PriorBox" prior_box_param { min_size: 3 aspect_ratio: [2, 3] code: 1 } }',
        unknown=(found := []),
    )
    assert list(net.layer[0].permute_param.order) == [0, 2]
    assert net.layer[1].prior_box_param.flip
    assert [field.field for field in found] == ["prior_box_param.code"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer {", "line 1, column"),
        ('name: "a"\nlayer { name: 3 }', r"line 2, column 15.*There stands: '3 \}'"),
        ('layer { pooling_param { pool: AVG } }', "line 1, column 31: 'pool' cannot be 'AVG'. Did you mean 'AVE'"),
        ('layer { pooling_param { pad: -1 } }', "line 1, column 30"),
        ('name: "a" name: "b"', "multiple"),
        ("layer { clip_param { min: 1 } }", r"required fields are absent: layer\[0\].clip_param.max"),
        ("layer { unknown { a ] } }", "line 1"),
        ("layer { unknown: { [ } ] }", "line 1"),
        ("layer { unknown }", "line 1"),
        ("layer : 3", "line 1"),
        ("layer [ 3 ]", "line 1"),
        ("}", "line 1"),
        ("input_dim: 99999999999999", "line 1"),
        ('name: "\\xff\\xfe"', "f"),
        ('name: "never closed', "line 1"),
        ('layer {\n  name: "C:\\images" }', r"line 2, column 12: no character is written \\i\. A backslash"),
        ('name: "\\777"', "line 1, column 8"),
        ('name: "\\', "line 1"),
        ('[a.b.c] { }', "line 1"),
        ("layer { layer { } }", None),
        ("layer { " * 5, "line 1"),
    ],
)  # fmt: skip
def test_what_is_no_net_is_refused_with_its_place(text, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownFieldWarning)
        if message is None:
            parse_net(text, "f")
        else:
            with pytest.raises(FormatError, match=message):
                parse_net(text, "f")


def test_nesting_without_bound_does_not_crash():
    deep = 100_000
    assert len(parse_net("u {" * deep + "}" * deep, unknown=[]).layer) == 0
    with pytest.raises(FormatError):
        parse_net("u {" * deep, unknown=[])
    with pytest.raises(FormatError):
        parse_net("u: [" * deep + "{" + "]" * deep, unknown=[])
    with pytest.raises(FormatError):
        parse_net("layer < " * deep)


@pytest.mark.parametrize("form", ["layer { name: 'a' } layer { name: 'b' }", "layer: [{ name: 'a' }, < name: 'b' >]"])
def test_lists_of_messages_have_two_forms(form):
    assert [layer.name for layer in parse_net(form).layer] == ["a", "b"]


def test_unknown_fields_in_lists_of_messages_are_found_too():
    found = []
    net = parse_net("layer: [{ name: 'a' u: 1 }, < v { } name: 'b' >]", unknown=found)
    assert [(field.layer, field.field) for field in found] == [("a", "u"), ("b", "v")]
    assert [layer.name for layer in net.layer] == ["a", "b"]


def test_nets_within_solvers_name_their_layers():
    found = []
    parse_solver('net_param { layer { name: "a" x: 1 } u: 2 } v: 3', unknown=found)
    assert [(field.layer, field.field) for field in found] == [("a", "x"), ("", "net_param.u"), ("", "v")]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="layer{}<>[]:;,\"'-.\\#0123456789 \nnametyp_", max_size=60))
def test_any_text_is_a_net_or_a_format_error(text):
    with contextlib.suppress(FormatError):
        parse_net(text, unknown=[])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(FORKED)), st.integers(0, len(FORKED)), st.text(max_size=2))
def test_any_damage_to_a_text_is_a_net_or_a_format_error(start, end, put):
    with contextlib.suppress(FormatError):
        parse_net(FORKED[:start] + put + FORKED[max(start, end) :], unknown=[])


names = st.text(min_size=1, max_size=8)
layers = st.builds(
    caffe_pb2.LayerParameter,
    name=names,
    type=names,
    bottom=st.lists(names, max_size=2),
    loss_weight=st.lists(st.floats(width=32, allow_nan=False), max_size=2),
    convolution_param=st.builds(
        caffe_pb2.ConvolutionParameter,
        num_output=st.integers(0, 2**32 - 1),
        kernel_size=st.lists(st.integers(0, 9), max_size=3),
        axis=st.integers(-(2**31), 2**31 - 1),
        engine=st.sampled_from([0, 1, 2]),
    ),
    phase=st.sampled_from([0, 1]),
)
nets = st.builds(caffe_pb2.NetParameter, name=names, layer=st.lists(layers, max_size=3))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nets)
def test_a_net_survives_text(net):
    assert parse_text(to_text(net), caffe_pb2.NetParameter, "f", strict=True) == net


@pytest.mark.parametrize("name", ["n.prototxt", "n.binaryproto"])
def test_a_net_survives_a_file(tmp_path, name):
    net = parse_net('name: "n" layer { name: "\u00e4" type: "ReLU" relu_param { negative_slope: 0.25 } }')
    write_net(tmp_path / name, net)
    assert read_net(tmp_path / name, strict=True) == net
    assert (tmp_path / name).read_bytes().startswith(b'name: "n"') == (name == "n.prototxt")


def test_files_that_are_no_text_are_refused(tmp_path):
    place = tmp_path / "n.prototxt"
    with pytest.raises(FormatError, match="no such file"):
        read_net(place)
    with pytest.raises(FormatError, match="directory"):
        read_net(tmp_path)
    place.write_bytes(b"")
    with pytest.raises(FormatError, match="empty"):
        read_net(place)
    place.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(FormatError, match="HDF5"):
        read_net(place)
    place.write_bytes(caffe_pb2.NetParameter(layer=[{"name": "a"}]).SerializeToString())
    with pytest.raises(FormatError, match="text of a solver"):
        read_solver(place)


def test_text_of_other_encodings_reads(tmp_path):
    place = tmp_path / "n.prototxt"
    place.write_bytes(b"\xef\xbb\xbf# \xc4\xe3\xba\xc3\r\nname: 'n'\r\n")
    assert read_net(place).name == "n"


def test_all_shared_texts_read(shared):
    places = sorted(shared.glob("nets/*/*.prototxt")) + sorted(shared.glob("models/*/*.prototxt"))
    places += sorted(shared.glob("solvers/*/*.prototxt"))
    assert len(places) > 40
    for place in places:
        if "solver" in place.name:
            solver = read_solver(place, strict=True)
            assert solver.HasField("base_lr"), place
            assert parse_text(to_text(solver), caffe_pb2.SolverParameter, "again", strict=True) == solver
        else:
            net = read_net(place, strict=True)
            assert len(net.layer) > 4, place
            assert all(layer.name and layer.type for layer in net.layer), place
            assert parse_net(to_text(net), strict=True) == net


def test_characters_may_be_written_by_escapes():
    net = parse_text(r'name: "\n\t\"\\\x41\101"', caffe_pb2.NetParameter, "net")
    assert net.name == '\n\t"\\AA'
