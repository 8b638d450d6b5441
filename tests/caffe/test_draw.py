from __future__ import annotations

import sys

import pytest

from mocha.caffe import TEST, TRAIN, parse_net, read_net
from mocha.caffe.draw import draw_net, draw_net_to_file, net_to_dot
from mocha.errors import ConfigError, MochaError

NET = """
name: "n"
layer { name: "d" type: "Data" top: "x" include { phase: TRAIN } }
layer { name: "i" type: "Input" top: "x" exclude { phase: TRAIN } }
layer { name: "c" type: "Convolution" bottom: "x" top: "y" param { lr_mult: 3 }
        convolution_param { num_output: 7 kernel_h: 3 kernel_w: 5 pad: 2 } }
layer { name: "r" type: "ReLU" bottom: "y" top: "y" }
layer { name: "p" type: "Pooling" bottom: "y" top: "z" pooling_param { pool: AVE kernel_size: 4 stride: 2 } }
layer { name: "g" type: "Pooling" bottom: "z" top: "w" pooling_param { global_pooling: true } }
layer { name: "f" type: "InnerProduct" bottom: "w" top: "v" inner_product_param { num_output: 9 } }
"""


def test_the_description():
    text = net_to_dot(parse_net(NET))
    assert text.startswith('digraph "n" {\n  rankdir=LR;')
    assert text.endswith("}\n")
    assert r'layer2 [label="c\n(Convolution)\nkernel size: 3 x 5\nstride: 1\npad: 2"' in text
    assert r'"p\n(AVE Pooling)\nkernel size: 4\nstride: 2\npad: 0"' in text
    assert r'"g\n(MAX Pooling)\nglobal"' in text
    assert '"blob x" -> layer2 [label="7"];' in text
    assert '"blob w" -> layer6 [label="9"];' in text
    assert 'layer2 -> "blob y";' in text
    assert text.count('"blob y" [label="y"') == 1
    assert '"c (Convolution) kernel size: 3 x 5 stride: 1 pad: 2 lrm: 3, 1"' in net_to_dot(
        parse_net(NET), "TB", None, True
    )


def test_phases():
    net = parse_net(NET)
    assert ('"d\\n' in net_to_dot(net, phase=TRAIN), '"i\\n' in net_to_dot(net, phase=TRAIN)) == (True, False)
    assert ('"d\\n' in net_to_dot(net, phase=TEST), '"i\\n' in net_to_dot(net, phase=TEST)) == (False, True)


def test_names_cannot_leave_their_quotes():
    text = net_to_dot(parse_net(r"""name: "a\"b" layer { name: "x\"] evil [\\" type: "{A|<B>}" top: "t\n" }"""))
    assert r'digraph "a\"b" {' in text
    assert r'label="x\"] evil [\\\n(\{A\|\<B\>\})"' in text
    assert r'"blob t\n"' in text


def test_pictures_are_made_by_dot(tmp_path, monkeypatch):
    net = parse_net(NET)
    draw_net_to_file(net, tmp_path / "n.dot")
    assert (tmp_path / "n.dot").read_text() == net_to_dot(net)
    program = tmp_path / "dot"
    program.write_text(
        f"#!{sys.executable}\nimport sys\ntext = sys.stdin.read()\n"
        "if sys.argv[1] == '-Tbad': sys.exit('no such format')\n"
        "print(sys.argv[1], text.split()[0])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    draw_net_to_file(net, tmp_path / "n.svg")
    assert (tmp_path / "n.svg").read_text() == "-Tsvg digraph\n"
    with pytest.raises(MochaError, match="no such format"):
        draw_net(net, ext="bad")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MochaError, match="install Graphviz"):
        draw_net_to_file(net, tmp_path / "n.png")
    assert not (tmp_path / "n.png").exists()


def test_what_cannot_be_drawn():
    with pytest.raises(ConfigError, match="rankdir"):
        net_to_dot(parse_net(NET), rankdir="UP")
    for ext in ("", "png:x -o/etc", "-x"):
        with pytest.raises(ConfigError, match="format of pictures"):
            draw_net(parse_net(NET), ext=ext)


def test_all_shared_nets_have_a_description(shared):
    for place in shared.glob("*/*/*.prototxt"):
        if "solver" not in place.name:
            assert net_to_dot(read_net(place)).count("shape=record") == len(read_net(place).layer)
