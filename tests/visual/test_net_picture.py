import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from mocha.errors import ConfigError, MochaError
from mocha.visual import LayerBox, NetPicture, Role, net_dot
from mocha.visual.graphviz import label_text, render, write_graph

EVIL = '"]; evil [label="x\\" <B>&amp;</TABLE>\x00\x1b\n\u202e\ud800'

BOXES = [
    LayerBox(name="in", kind="MemoryData", role=Role.DATA, tops=["x", "y"], shapes={"x": (8, 3, 4, 4), "y": (8,)}),
    LayerBox(name="c", kind="Convolution", role=Role.PRODUCT, facts=["5 filters 3x3", "stride 2"], bottoms=["x"],
             tops=["a"], shapes={"a": (8, 5, 2, 2)}, parameters=1234, frozen=True),
    LayerBox(name="r", kind="ReLU", role=Role.POINTWISE, bottoms=["a"], tops=["a"], shapes={"a": (8, 5, 2, 2)}),
    LayerBox(name="d", kind="InnerProduct", role=Role.PRODUCT, bottoms=["a"], tops=["b"], shares="c"),
    LayerBox(name="l", kind="Loss", role=Role.LOSS, bottoms=["b", "y"]),
    LayerBox(name="m", kind="Accuracy", role=Role.MEASURE, bottoms=["b", "y"]),
]  # fmt: skip


def nodes(text):
    return re.findall(r"^  (n\d+) \[", text, re.MULTILINE)


def arrows(text):
    return re.findall(r"^  (\w+) -> (\w+)", text, re.MULTILINE)


def test_a_box_a_layer_an_arrow_a_blob():
    text = net_dot(NetPicture("net", BOXES, ["6 layers"]))
    assert nodes(text) == ["n0", "n1", "n3", "n4", "n5"], "what works in place stands in the box before it"
    solid = [line for line in text.splitlines() if "->" in line and "dotted" not in line]
    assert [arrows(line)[0] for line in solid] == [
        ("n0", "n1"), ("n1", "n3"), ("n3", "n4"), ("n0", "n4"), ("n3", "n5"), ("n0", "n5"),
    ]  # fmt: skip
    assert sum(', label="  y' in line for line in solid) == 1, "the blob that goes to two is named once"
    (conv,) = [line for line in text.splitlines() if line.startswith("  n1 [")]
    for words in ("<B>c</B>", "<B>r</B>", "ReLU, in place", "1,234 parameters, frozen", ">5x2x2<", "dashed"):
        assert words in conv
    assert "5\N{NO-BREAK SPACE}filters" in conv
    assert "shares c&#x27;s" in text
    assert "n1 -> n3 [style=dotted" in text
    assert "shape=cylinder" in text
    assert "6 layers" in text


def test_blobs_as_nodes():
    text = net_dot(NetPicture("net", BOXES), "LR", blobs=True)
    assert nodes(text) == [f"n{i}" for i in range(6)]
    assert len(re.findall(r"^  b\d+ \[", text, re.MULTILINE)) == 5, "in place a blob becomes a new one"
    assert "rankdir=LR" in text
    assert ("n1", "b2") in arrows(text)
    assert ("b2", "n2") in arrows(text)


def test_a_blob_with_two_readers_is_not_hidden():
    boxes = [
        LayerBox(name="c", kind="C", role=Role.PRODUCT, tops=["a"]),
        LayerBox(name="r", kind="R", role=Role.POINTWISE, bottoms=["a"], tops=["b"]),
        LayerBox(name="s", kind="S", role=Role.OTHER, bottoms=["a"], tops=["c"]),
    ]
    assert nodes(net_dot(NetPicture("n", boxes))) == ["n0", "n1", "n2"]
    assert nodes(net_dot(NetPicture("n", boxes[:2]))) == ["n0"]
    data = [LayerBox(name="d", kind="D", role=Role.DATA, tops=["a"]), boxes[1]]
    assert nodes(net_dot(NetPicture("n", data))) == ["n0", "n1"]


def test_what_a_layer_keeps():
    def said(**more):
        boxes = [LayerBox(name="a", kind="A", role=Role.PRODUCT, tops=["x"]),
                 LayerBox(name="b", kind="B", role=Role.PRODUCT, bottoms=["x"], **more)]  # fmt: skip
        (line,) = (line for line in net_dot(NetPicture("n", boxes)).splitlines() if line.startswith("  n1 ["))
        return line

    assert ">3 parameters, shares a&#x27;s<" in said(parameters=3, shares="a")
    assert ">shares a&#x27;s, frozen<" in said(shares="a", frozen=True)
    assert ">12 parameters, 6 running statistics<" in said(parameters=12, statistics=6)


def test_a_box_is_frozen_as_a_whole_or_not():
    def boxes(conv, norm):
        return [
            LayerBox(name="c", kind="C", role=Role.PRODUCT, tops=["a"], parameters=9, frozen=conv),
            LayerBox(
                name="s", kind="Scale", role=Role.NORMALISING, bottoms=["a"], tops=["a"], parameters=2, frozen=norm
            ),
            LayerBox(name="r", kind="ReLU", role=Role.POINTWISE, bottoms=["a"], tops=["a"]),
        ]

    for conv, norm, places, dashed in (
        (False, False, ["n0"], []),
        (True, True, ["n0"], ["n0"]),
        (True, False, ["n0", "n1"], ["n0"]),
        (False, True, ["n0", "n1"], ["n1"]),
    ):
        text = net_dot(NetPicture("n", boxes(conv, norm)))
        assert nodes(text) == places
        assert re.findall(r"^  (n\d+) \[.*dashed", text, re.MULTILINE) == dashed


@pytest.mark.parametrize("name", ["a\\nb", 'q"', "a\\", "{x|y}", "\\l"])
def test_names_at_arrows_are_as_they_are(dot, name):
    boxes = [LayerBox(name="a", kind="A", tops=[name]), LayerBox(name="b", kind="B", bottoms=[name])]
    root = ET.fromstring(render(net_dot(NetPicture("n", boxes)), "svg").decode())
    assert name in [text.text.strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("blobs", [False, True])
def test_foreign_names_stay_names(dot, blobs):
    evil = LayerBox(name=EVIL, kind=EVIL, facts=[EVIL], bottoms=[EVIL], tops=[EVIL * 9], shapes={EVIL * 9: (2, 3)},
                    shares=EVIL)  # fmt: skip
    source = LayerBox(name="d", kind=EVIL, role=Role.DATA, tops=[EVIL])
    picture = NetPicture(EVIL, [source, evil, LayerBox(name="z", kind="z", bottoms=[EVIL * 9])], [EVIL])
    svg = render(net_dot(picture, blobs=blobs), "svg").decode()
    root = ET.fromstring(svg)
    groups = [e.get("class") for e in root.iter("{http://www.w3.org/2000/svg}g")]
    assert groups.count("node") == (5 if blobs else 3), "no node was smuggled in"
    said = "".join(root.itertext())
    assert "evil" in said
    assert "\u202e" not in said


def test_long_names_are_cut():
    assert label_text("x" * 1000) == "x" * 199 + "…"


def test_a_wrong_direction():
    with pytest.raises(ConfigError, match="direction is 'UP'; expected one of TB, BT, LR, RL"):
        net_dot(NetPicture("n", []), "UP")


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_images(dot, tmp_path, ending):
    path = write_graph(tmp_path / f"net.{ending}", net_dot(NetPicture("n", BOXES)))
    assert path.read_bytes().startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])


def test_without_graphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MochaError, match=r"apt install graphviz.* or draw to a \.dot file"):
        write_graph(tmp_path / "n.svg", "digraph {}")
    assert list(tmp_path.iterdir()) == []
    assert write_graph(tmp_path / "n.dot", "digraph {}").read_text() == "digraph {}"


def test_a_failing_program_leaves_the_old_picture(tmp_path, monkeypatch):
    (tmp_path / "dot").write_text(f"#!{sys.executable}\nimport sys; sys.exit('no ink')")
    (tmp_path / "dot").chmod(0o755)
    (tmp_path / "n.svg").write_text("old")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MochaError, match="no ink"):
        write_graph(tmp_path / "n.svg", "digraph {}")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(subprocess.TimeoutExpired("dot", 1)))
    with pytest.raises(MochaError, match="timed out"):
        write_graph(tmp_path / "n.svg", "digraph {}")
    assert (tmp_path / "n.svg").read_text() == "old"
