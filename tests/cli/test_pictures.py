import shutil
import sys
import textwrap
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mocha.caffe import write_weights
from mocha.coffee import write_statistics
from mocha.io import write_model

SVG = "{http://www.w3.org/2000/svg}"

PROTOTXT = """
name: "small"
layer { name: "d" type: "Data" top: "x" top: "y" }
layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 2 } }
layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "y" top: "l" include { phase: TRAIN } }
"""


@pytest.fixture
def dot():
    if shutil.which("dot") is None:
        pytest.skip("needs the program dot of Graphviz")


# -- draw


def test_lenet_unless_told(mocha, dot, tmp_path):
    assert mocha("draw") == "Wrote net.svg\n"
    words = "".join(ET.parse("net.svg").getroot().itertext())
    for word in ("lenet", "conv1", "SoftmaxLoss", "431,080", "64x20x24x24"):
        assert word in words


def test_a_model_in_another_direction(mocha, tmp_path):
    path = tmp_path / "deep" / "n.dot"
    mocha("draw", "mlp", "-o", path, "--direction", "LR", "--blobs", "--batch", 7)
    text = path.read_text()
    assert "rankdir=LR" in text
    assert "7x784" in text


def test_a_net_of_caffe(mocha, tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(PROTOTXT)
    output = mocha("draw", path, "-o", "n.dot")
    assert output.startswith("Drawn without shapes: layer 'd': the type 'Data'")
    assert output.endswith("Wrote n.dot\n")
    assert mocha("draw", path, "-o", "n.dot", "--shape", "x=8x3") == "Wrote n.dot\n"
    with open("n.dot") as file:
        text = file.read()
    assert "8x3" in text
    assert "SoftmaxWithLoss" in text
    mocha("draw", path, "-o", "n.dot", "--phase", "test")
    with open("n.dot") as file:
        assert "SoftmaxWithLoss" not in file.read()


def test_a_program_of_the_user(mocha, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        textwrap.dedent("""
        import numpy as np
        from mocha import *

        def build(backend):
            data = MemoryDataLayer(data=[np.zeros((4, 5))], batch_size=4, tops=["x"])
            return Net("mine", backend, [data, SoftmaxLayer(bottoms=["x"], tops=["y"])])
    """)
    )
    assert mocha("draw", "--script", path, "-o", "n.dot") == "Wrote n.dot\n"
    with open("n.dot") as file:
        assert "Softmax" in file.read()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["lenett"], 1, "there is no model 'lenett'. Did you mean 'lenet'?"),
        (["n.prototxt"], 1, "there is no such file"),
        (["-o", "net"], 1, "net: its name has no ending; use .svg, .png, .pdf or .dot."),
        (["-o", "net.exe"], 1, "net.exe: .exe is no format of pictures"),
        (["n.prototxt", "--shape", "x=3x2", "--shape", "x=4"], 1, "--shape is given twice for 'x'"),
        (["--direction", "UP"], 2, "'UP' is not one of"),
        (["--shape", "x=3"], 2, "--shape is for a .prototxt"),
        (["n.prototxt", "--shape", "x=3xa"], 1, "expected a blob and its sizes, as data=64x1x28x28"),
        (["n.prototxt", "--batch", 3], 2, "--batch is for built-in models"),
        (["--script", "nowhere.py"], 2, "'nowhere.py' does not exist"),
    ],
)
def test_draw_with_wrong_words(mocha, words, status, message):
    assert message in " ".join(mocha("draw", *words, fails=status).split())


def test_the_case_of_an_ending_does_not_matter(mocha, dot, statistics, model):
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    for ending in ("SVG", "Dot"):
        assert mocha("draw", "mlp", "-o", f"n.{ending}") == f"Wrote n.{ending}\n"
    assert mocha("plot", statistics, "-o", "c.SVG") == "Wrote c.SVG\n"
    assert mocha("filters", model, "--layer", "conv1", "-o", "f.PNG").startswith("Wrote f.PNG")


def test_names_out_of_files_do_not_steer_the_terminal(mocha, tmp_path):
    name = "\x1b[2J\x9bk\n\u202ex"
    write_statistics(tmp_path / "s.h5", {name: {0: 1.0, 1: 2.0}})
    write_weights(tmp_path / "w.caffemodel", {name: [np.ones((2, 1, 3, 3), np.float32)]})
    for words in (["plot", tmp_path / "s.h5", "--list"], ["plot", tmp_path / "s.h5", "--text", "-k", "*"],
                  ["filters", tmp_path / "w.caffemodel"]):  # fmt: skip
        output = mocha(*words)
        assert "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}k \N{REPLACEMENT CHARACTER}x" in output
        assert not set("\x1b\x9b\u202e") & set(output)
    output = mocha("filters", tmp_path / "w.caffemodel", "--layer", "no", fails=1)
    assert not set("\x1b\x9b\u202e") & set(output)


def test_draw_without_graphviz(mocha, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "apt install graphviz" in mocha("draw", fails=1)


# -- plot


@pytest.fixture
def statistics(tmp_path):
    path = tmp_path / "s.h5"
    write_statistics(path, {"obj_val": {i: 2.0 / (i + 1) for i in range(50)}, "a-accuracy": {0: 0.1, 40: 0.75}})
    return path


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "train.log"
    path.write_text("Iteration 0, loss = 2\nIteration 0, lr = 0.1\nIteration 20, loss = 0.5\n")
    return path


def test_the_list(mocha, statistics, log):
    lines = mocha("plot", statistics, log, "--list").splitlines()
    assert lines[0].split() == ["#", "file", "key", "records", "iterations", "least", "most", "last"]
    assert [line.split()[:4] for line in lines[2:]] == [
        ["1", "s.h5", "a-accuracy", "2"],
        ["2", "s.h5", "obj_val", "50"],
        ["3", "train.log", "learning_rate", "1"],
        ["4", "train.log", "obj_val", "2"],
    ]
    assert lines[-1].split()[4:] == ["0", "to", "20", "0.5", "2", "0.5"]


def test_a_picture(mocha, statistics, log):
    pytest.importorskip("matplotlib")
    assert mocha("plot", statistics) == "Wrote statistics.png\n"
    words = ["-k", "obj_val", "-i", "1, 3", "--smooth", 5, "--log", "--x-range", 0, 30, "--y-range", 0.1, 3]
    assert mocha("plot", statistics, log, *words, "-o", "c.svg") == "Wrote c.svg\n"
    ET.parse("c.svg")


def test_text_at_80_columns(mocha, statistics):
    lines = mocha("plot", statistics, "--text").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[0] == " A obj_val  last 0.04"
    assert " B a-accuracy  last 0.75" in lines


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nothing.h5"], 1, "nothing.h5: there is no such file"),
        (["net.txt"], 1, "found no line such as"),
        ([], 2, "Missing argument"),
        (["s.h5", "-k", "obj"], 1, "there is no statistic 'obj'. Did you mean 'obj_val'?"),
        (["s.h5", "-i", "3"], 1, "no statistic number 3"),
        (["s.h5", "-i", "1;2"], 2, "expected numbers from --list"),
        (["s.h5", "--x-range", 5, 5], 1, "the second larger"),
        (["s.h5", "--smooth", 0], 2, "0 is not in the range"),
        (["s.h5", "-o", "c.exe"], 1, ".exe is no format"),
        (["s.h5", "-o", "c"], 1, "c: its name has no ending; use .png, .svg or .pdf."),
        (["s.h5", "--text", "--x-range", 900, 999], 1, "no numbers to draw"),
        (["s.h5", "--text", "--log", "--y-range", 0, 3], 1, "--y-range is (0.0, 3.0); on a logarithmic axis"),
        (["s.h5", "--text", "--y-range", "-1e308", "1e308"], 1, "--y-range is (-1e+308, 1e+308); expected two numbers"),
        (["s.h5", "--y-range", "-1e308", "1e308"], 1, "--y-range is (-1e+308, 1e+308); expected two numbers"),
        (["s.h5", "--live", "--list"], 2, "exclude each other"),
        (["s.h5", "--live", "-o", "c.exe"], 1, ".exe is no format"),
    ],
)
def test_plot_with_wrong_words(mocha, statistics, words, status, message):
    pytest.importorskip("matplotlib")
    statistics.rename("s.h5")
    with open("net.txt", "w") as file:
        file.write("net\n")
    assert message in " ".join(mocha("plot", *words, fails=status).split())


@pytest.fixture
def rounds(monkeypatch):
    """Does things between the looks of --live instead of waiting; then comes Ctrl-C."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def does(*things):
        def rounds(interval):
            yield 0
            for number, thing in enumerate(things, 1):
                thing()
                yield number
            raise KeyboardInterrupt

        monkeypatch.setattr(sys.modules["mocha.cli.plot"], "rounds", rounds)

    return does


def test_live(mocha, rounds, tmp_path):
    pytest.importorskip("matplotlib")
    path, seen = tmp_path / "s.h5", []

    def look():
        with open("c.svg", "rb") as file:
            seen.append(file.read())

    rounds(
        lambda: write_statistics(path, {"other": {0: 1.0}}),
        lambda: write_statistics(path, {"obj_val": {0: 1.0, 1: 0.5}}),
        look,
        lambda: path.write_bytes(b"half of a fi"),
        lambda: write_statistics(path, {"obj_val": {0: 1.0, 1: 0.5, 2: 0.25}}),
        look,
    )
    output = mocha("plot", path, "--live", "-k", "obj_val", "-o", "c.svg")
    assert output.count(f"waiting for {path}") == 1
    assert "there is no statistic 'obj_val'" in output
    assert "found no line such as" in output
    assert len(seen) == 2
    assert seen[0] != seen[1]


def test_live_in_the_terminal(mocha, rounds, statistics, tmp_path):
    rounds(lambda: write_statistics(statistics, {"obj_val": {0: 1.0, 90: 0.125}}))
    output = mocha("plot", statistics, tmp_path / "later.h5", "--live", "--text")
    assert "last 0.125" in output
    assert "waiting for" in output


# -- filters


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.h5"
    rng = np.random.default_rng(0)
    write_model(path, {
        "conv1___filter": rng.normal(size=(6, 3, 5, 5)), "conv1___bias": np.zeros(6),
        "a/b___weight": rng.normal(size=(4, 28)), "only___bias": np.zeros(3),
    })  # fmt: skip
    return path


def test_layers_are_listed(mocha, model):
    lines = mocha("filters", model).splitlines()
    assert {tuple(line.split()[:3]) for line in lines[2:]} == {
        ("conv1", "filter", "6x3x5x5"), ("conv1", "bias", "6"), ("a/b", "weight", "4x28"), ("only", "bias", "3"),
    }  # fmt: skip


def test_filters(mocha, model):
    image = pytest.importorskip("PIL.Image")
    words = ["--zoom", 2, "--margin", 1, "--columns", 3]
    assert mocha("filters", model, "--layer", "conv1", *words) == "Wrote filters.png: 34 x 23 pixels\n"
    colours = np.asarray(image.open("filters.png"))
    mocha("filters", model, "--layer", "conv1", *words, "--channel-order", "bgr", "--common", "-o", "b.png")
    assert (np.asarray(image.open("b.png")) != colours).any()
    mocha("filters", model, "--layer", "conv1", "--channel", 1, *words, "-o", "c.png")
    grey = np.asarray(image.open("c.png"))
    assert (grey == grey[..., :1]).all()
    assert mocha("filters", model, "--layer", "a/b", "--shape", "4x7", "--zoom", 1) == (
        "Wrote filters.png: 17 x 11 pixels\n"
    )


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_filters_of_caffe(mocha, tmp_path, name):
    pytest.importorskip("PIL.Image")
    write_weights(tmp_path / name, {"c": [np.ones((2, 1, 3, 3), np.float32), np.zeros(2, np.float32)]})
    assert "2x1x3x3" in mocha("filters", tmp_path / name)
    assert mocha("filters", tmp_path / name, "--layer", "c", "--zoom", 1).endswith("9 x 5 pixels\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nothing.h5"], 1, "there is no such file"),
        (["net.txt"], 1, "expected weights, found text"),
        (["s.h5"], 1, "there are no parameters in it"),
        (["m.h5", "--layer", "conv2"], 1, "there is no layer 'conv2'. Did you mean 'conv1'?"),
        (["m.h5", "--layer", "conv1", "--param", "weight"], 1, "no parameter 'weight'"),
        (["m.h5", "--layer", "only"], 1, "has no filters; it has bias"),
        (["m.h5", "--layer", "a/b"], 1, "say with shape what the inputs are"),
        (["m.h5", "--layer", "a/b", "--shape", "5x7"], 1, "input of 5x7"),
        (["m.h5", "--layer", "a/b", "--shape", "ax7"], 1, "expected HxW or CxHxW"),
        (["m.h5", "--layer", "conv1", "--channel", 3], 1, "channel is 3; expected one of 0 to 2"),
        (["m.h5", "--layer", "conv1", "-o", "f.txt"], 1, ".txt is no format"),
        (["m.h5", "--layer", "conv1", "-o", "f"], 1, "f: its name has no ending; use .png, .jpg or .webp."),
        (["m.h5", "--layer", "conv1", "--channel-order", "hsv"], 2, "'hsv' is not one of"),
    ],
)
def test_filters_with_wrong_words(mocha, model, statistics, words, status, message):
    pytest.importorskip("PIL")
    model.rename("m.h5")
    statistics.rename("s.h5")
    with open("net.txt", "w") as file:
        file.write("name: 'net'\n")
    assert message in " ".join(mocha("filters", *words, fails=status).split())
