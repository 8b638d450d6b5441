from __future__ import annotations

import contextlib
import os
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.caffe import wire
from mocha.caffe.blobs import blob_array, fill_blob
from mocha.caffe.files import is_binary
from mocha.caffe.nets import read_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.unknown import UnknownFieldWarning
from mocha.caffe.weights import read_weights
from mocha.caffe.wire import parse_binary
from mocha.errors import FormatError


def varint(value):
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number, value, kind=2):
    if kind == 2:
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | kind) + value


def small_net():
    net = caffe_pb2.NetParameter(name="net")
    layer = net.layer.add(name="ip", type="InnerProduct", bottom=["x"], inner_product_param={"num_output": 2})
    fill_blob(layer.blobs.add(), np.arange(6, dtype=np.float32).reshape(2, 3))
    fill_blob(layer.blobs.add(), np.ones(2, np.float32))
    return net


NET = small_net().SerializeToString()


def parse(data, **options):
    return parse_binary(data, caffe_pb2.NetParameter, "f", **options)


def test_a_net_reads():
    assert is_binary(NET)
    assert parse(NET, strict=True) == small_net()


@pytest.mark.parametrize("length", range(1, len(NET)))
def test_every_truncation_is_refused_or_a_shorter_net(length):
    # Between two fields of the net itself a cut cannot be seen: a name without layers is a net.
    if length == 5:
        assert parse(NET[:length]).name == "net"
    else:
        with pytest.raises(FormatError, match=r"f: .*damaged"):
            parse(NET[:length])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_net_or_a_format_error(data):
    with contextlib.suppress(FormatError):
        parse(data, unknown=[])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(NET) - 1), st.binary(min_size=1, max_size=3))
def test_any_damage_is_a_net_or_a_format_error(at, put):
    with contextlib.suppress(FormatError):
        for layer in parse(NET[:at] + put + NET[at + len(put) :], unknown=[]).layer:
            assert isinstance(layer.name, str)
            for blob in layer.blobs:
                blob_array(blob)


@pytest.mark.parametrize(
    "data",
    [
        field(100, field(7, b"\x2a\xff\xff\xff\xff\x0f")),  # a blob with 4 GiB of data, it says
        b"\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a" + b"\xff" * 11,
        b"\x00\x00",
        b"\x0e\x00",
        b"\x0c",
        b"\x13" * 200 + b"\x14" * 200,
        b"\x13" * 5_000,
        b"\x12\x05\x0a\x7f",
    ],
    ids=["length", "huge", "varint", "zero", "wiretype", "endgroup", "groups", "open", "inner"],
)
def test_hostile_bytes_are_refused(data):
    with pytest.raises(FormatError, match="f: "):
        parse(data, unknown=[])


@pytest.mark.parametrize(
    "message",
    [b"\xa2\x06\x00", b"\x12\x00", field(100, b"\x32\x00" * 40), field(100, b"\x1a\x00" * 40)],
    ids=["layers", "old layers", "params", "bottoms"],
)
def test_many_small_messages_do_not_take_all_memory(message, monkeypatch):
    monkeypatch.setattr(wire, "_FREE", 1 << 20)
    parse(message * 200, unknown=[])
    with pytest.raises(FormatError, match="memory"):
        parse(message * (1_000_000 // len(message)), unknown=[])


def test_a_file_beyond_the_format_is_refused_unread(tmp_path, monkeypatch):
    place = tmp_path / "w.caffemodel"
    with place.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(FormatError, match=r"at most 2147483647.*caffemodel\.h5"):
        read_weights(place)
    monkeypatch.setattr(wire, "LIMIT", 10)
    with pytest.raises(FormatError, match="HDF5"):
        parse(NET)


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="expected a file"):
        read_weights(tmp_path / "pipe")


def test_unknown_fields_are_noted_and_kept():
    layer = field(150, b"\x01\x02") + field(1, b"late") + field(106, field(99, b"\x07", 0))
    data = field(100, layer) + field(77, b"\x01", 0)
    found = []
    net = parse(data, unknown=found)
    assert [(one.layer, one.field, one.line) for one in found] == [
        ("late", "#150", 0),
        ("late", "convolution_param.#99", 0),
        ("", "#77", 0),
    ]
    assert parse(net.SerializeToString(), unknown=[]) == net
    with pytest.warns(UnknownFieldWarning, match="'#150' of layer 'late'"):
        parse(data)
    with pytest.raises(FormatError, match="#150"):
        parse(data, strict=True)


@pytest.mark.parametrize("number", [147, 149, 202, 2143, 8266711])
def test_another_forks_field_under_a_known_number_is_passed_over(number):
    # As permute_param this would be a message that ends within a number.
    layer = field(1, b"a") + field(number, b"\x08\xff") + field(2, b"Shuffle")
    found = []
    net = parse(field(100, layer), unknown=found)
    assert (net.layer[0].name, net.layer[0].type) == ("a", "Shuffle")
    assert [(one.layer, one.field) for one in found] == [("a", f"#{number}")]
    assert not any(one.name.endswith("_param") for one, _ in net.layer[0].ListFields())


def test_another_forks_scalar_under_a_known_number_is_passed_over():
    found = []
    net = parse(field(100, field(202, b"\x05", 0) + field(149, struct.pack("<f", 1), 5)), unknown=found)
    assert [one.field for one in found] == ["#202", "#149"]
    assert not net.layer[0].HasField("permute_param")


def test_damage_in_caffes_own_parameters_is_damage():
    with pytest.raises(FormatError):
        parse(field(100, field(106, b"\x08\xff")))


def test_names_that_are_not_utf8_become_readable():
    net = parse(field(100, field(1, b"a\xff\xfeb") + field(107, field(1, "/d/\u4f60".encode("gbk")))))
    assert net.layer[0].name == "a??b"
    assert net.layer[0].data_param.source == "/d/??"


def test_required_fields():
    with pytest.raises(FormatError, match=r"layer\[0\].clip_param.max"):
        parse(field(100, field(148, field(1, struct.pack("<f", 1), 5))))


def test_unpacked_numbers_read_too():
    blob = field(5, struct.pack("<f", 1.5), 5) + field(5, struct.pack("<f", 2.5), 5) + field(7, field(1, b"\x02", 0))
    values = blob_array(parse(field(100, field(7, blob))).layer[0].blobs[0])
    np.testing.assert_array_equal(values, np.array([1.5, 2.5], np.float32))


def test_all_shared_weights_read_as_nets(shared):
    places = sorted(shared.glob("*/*/*.caffemodel"))
    assert len(places) > 15
    for place in places:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnknownFieldWarning)
            net = read_net(place)
        assert any(layer.blobs for layer in net.layer), place
        for layer in net.layer:
            for blob in layer.blobs:
                assert np.isfinite(blob_array(blob)).all(), place
