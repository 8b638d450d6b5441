"""`mocha classify`, with a small net whose answers are known."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha.data.images import fit_image
from mocha.errors import MochaError, ShapeError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, of the extra [images]")

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "score" type: "InnerProduct" bottom: "mean" top: "score" inner_product_param { num_output: 3 } }
"""
SCRIPT = """
import numpy as np
from mocha import *

def build(backend):
    data = MemoryDataLayer(data=[np.zeros((2, 1, 4, 4), np.float32)], tops=["data"], batch_size=2)
    net = Net("mine", backend, [data, InnerProductLayer(name="s", output_dim=2, bottoms=["data"], tops=["s"])])
    net.params["s"]["weight"] = np.array([[1.0], [-1.0]], np.float32).repeat(16, axis=1)
    return net
"""


@pytest.fixture
def folder(tmp_path):
    """A net with its weights and a description, and photos of plain colours."""
    place = tmp_path / "model"
    (place / "photos").mkdir(parents=True)
    (place / "net.prototxt").write_text(NET)
    net = caffe.Net(place / "net.prototxt", caffe.TEST)
    net.params["score"][0].data[...] = np.eye(3)
    net.save(place / "w.caffemodel")
    (place / "names.txt").write_text('red, "r"\ngreen\nblue\n')
    (place / "colours.toml").write_text(
        'model = "net.prototxt"\nweights = "w.caffemodel"\nclasses = "names.txt"\nscale = 0.01\n'
    )
    for name, colour in (("1-sky.png", (0, 0, 200)), ("2-leaf.jpg", (10, 180, 10)), ("3-fire.gif", (255, 0, 0))):
        Image.new("RGB", (30, 20), colour).save(place / "photos" / name)
    (place / "photos" / "notes.txt").write_text("not a photo")
    return place


def test_ranked_names_as_a_table(mocha, folder):
    lines = mocha("classify", "--model", folder / "colours.toml", folder / "photos", "--top", 2).splitlines()
    assert lines[0].split() == ["image", "rank", "probability", "class", "name"]
    assert [line.split()[-1] for line in lines[2::2]] == ["blue", "green", '"r"']
    assert lines[2].startswith(str(folder / "photos" / "1-sky.png"))
    assert len(lines) == 2 + 3 * 2


def test_json_and_csv(mocha, folder):
    words = ("classify", "--model", folder / "colours.toml", folder / "photos" / "3-fire.gif")
    (told,) = json.loads(mocha(*words, "--json"))
    assert told["photo"] == str(folder / "photos" / "3-fire.gif")
    assert told["guesses"][0]["name"] == 'red, "r"'
    scores = np.exp([2.55, 0, 0])
    assert told["guesses"][0]["probability"] == pytest.approx(scores[0] / scores.sum(), rel=1e-4)
    rows = list(csv.reader(io.StringIO(mocha(*words, "--csv", "--top", 1))))
    assert rows[0] == ["photo", "rank", "class", "name", "probability"]
    assert rows[1][1:4] == ["1", "0", 'red, "r"']
    assert "not both" in mocha(*words, "--json", "--csv", fails=2)


def test_options_in_the_place_of_a_description(mocha, folder):
    words = ("--model", folder / "net.prototxt", "--weights", folder / "w.caffemodel")
    lines = mocha("classify", *words, folder / "photos" / "3-fire.gif", "--top", 1).splitlines()
    assert lines[-1].split()[-2:] == ["0", "0"]  # no names
    more = (
        "--channel-order",
        "bgr",
        "--mean",
        "1,2,3",
        "--scale",
        0.01,
        "--resize",
        "6x8",
        "--size",
        5,
        "--fit",
        "crop",
    )
    more = (*more, "--oversample", "--classes", folder / "names.txt", "--backend", "numpy", "--blob", "score")
    lines = mocha("classify", *words, *more, folder / "photos" / "3-fire.gif", "--top", 1).splitlines()
    assert lines[-1].split()[-1] == "blue"
    grey = mocha("classify", "--model", folder / "colours.toml", "--grey", folder / "photos" / "3-fire.gif")
    assert {line.split()[-4 if '"r"' in line else -3] for line in grey.splitlines()[2:]} == {"0.3333"}


def test_a_program_of_ones_own(mocha, folder):
    (folder / "mine.py").write_text(SCRIPT)
    lines = mocha("classify", "--script", folder / "mine.py", "--mean", 127.5, folder / "photos").splitlines()
    assert [line.split()[-1] for line in lines[2::2]] == ["1", "1", "1"]  # 1 is dark
    assert "takes the place" in mocha("classify", "--script", folder / "mine.py", "--model", "lenet", "x.png", fails=2)
    said = mocha("classify", "--script", folder / "mine.py", "--size", 9, "x.png", fails=1)
    assert "size cannot be changed" in said


def test_a_picture(mocha, folder):
    pytest.importorskip("matplotlib", reason="needs matplotlib, of the extra [plot]")
    words = ("classify", "--model", folder / "colours.toml", folder / "photos")
    assert "Picture: answer.png" in mocha(*words, "-o", "answer.png")
    with Image.open("answer.png") as picture:
        assert picture.width == 960
        assert picture.height > 3 * 200
    one = mocha(*words, "-o", "one.svg", "--top", 9)
    assert "Picture: one.svg" in one
    assert "x.foo: .foo is no format of pictures" in mocha(*words, "-o", "x.foo", fails=1)


def test_a_damaged_photo_is_reported_and_the_others_are_classified(mocha, folder, tmp_path):
    (tmp_path / "broken.png").write_bytes((folder / "photos" / "1-sky.png").read_bytes()[:40])
    (tmp_path / "empty").mkdir()
    photos = (tmp_path / "broken.png", folder / "photos" / "1-sky.png", tmp_path / "absent.jpg", tmp_path / "empty")
    told = mocha("classify", "--model", folder / "colours.toml", *photos, "--top", 1, fails=1)
    assert "broken.png: no image can be read" in told
    assert "absent.jpg: no image can be read" in told
    assert "the folder has no images" in told
    assert "blue" in told
    result = mocha("classify", "--model", folder / "colours.toml", *photos, "--json", fails=1)
    records, _ = json.JSONDecoder().raw_decode(result)
    assert [record["photo"] for record in records] == list(map(str, photos))
    assert [("error" in record) for record in records] == [True, False, True, True]
    assert "no image can be read" in mocha("classify", "--model", folder / "colours.toml", "nothing.png", fails=1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no net was named"),
        (["--model", "absent.toml"], "absent.toml: there is no such file"),
        (["--model", "lenot"], "Did you mean 'lenet'"),
        (["--model", "lenet"], "model 'lenet' has no weights"),
        (["--model", "lenet", "--weights", "absent.h5"], "absent.h5: there is no such file"),
        (["--model", "absent.prototxt", "--weights", "w"], "absent.prototxt"),
        (["--model", "{}/colours.toml", "--classes", "{}/net.prototxt"], "net.prototxt: line 1 is empty"),
        (["--model", "{}/colours.toml", "--mean", "1,2"], "it has the shape (2,)"),
        (["--model", "{}/colours.toml", "--mean", "mean.hdf5"], "mean.hdf5: there is no such file"),
        (["--model", "{}/colours.toml", "--resize", "2"], "expected at least (4, 4)"),
        (["--model", "{}/colours.toml", "--blob", "scare"], "Did you mean 'score'"),
        (["--model", "{}/colours.toml", "--weights", "{}/names.txt"], "names.txt"),
    ],
)
def test_mistakes_are_told_in_a_line(mocha, folder, words, told):
    said = mocha("classify", *(word.format(folder) for word in words), folder / "photos" / "1-sky.png", fails=1)
    assert said.startswith("Error: ")
    assert told in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("size", ["x", "4x", "1x2x3", "-4", "4.5", "²"])
def test_wrong_sizes(mocha, folder, size):
    said = mocha("classify", "--model", folder / "colours.toml", "--resize", size, "x.png", fails=2)
    assert "is no size" in said


def test_a_photo_that_cannot_be_prepared_is_told_by_its_name(mocha, folder, monkeypatch):
    from mocha.classifier import preparation

    def fit(pixels, size, how):
        if pixels[0, 0, 1] == 180 or abs(int(pixels[0, 0, 1]) - 180) < 5:
            raise ShapeError("too long.")
        return fit_image(pixels, size, how)

    monkeypatch.setattr(preparation, "fit_image", fit)
    told = mocha("classify", "--model", folder / "colours.toml", folder / "photos", "--top", 1, "--json", fails=1)
    records, end = json.JSONDecoder().raw_decode(told)
    assert [("error" in record) for record in records] == [False, True, False]
    assert records[1]["error"] == f"{folder / 'photos' / '2-leaf.jpg'}: too long."
    assert told[end:] == f"\nError: {records[1]['error']}\n"


def test_a_photo_twice_and_photos_in_their_order(mocha, folder):
    sky, fire = folder / "photos" / "1-sky.png", folder / "photos" / "3-fire.gif"
    words = ("classify", "--model", folder / "colours.toml", sky, fire, sky, "--top", 1)
    assert [record["photo"] for record in json.loads(mocha(*words, "--json"))] == [str(sky), str(fire), str(sky)]
    lines = mocha(*words).splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ["blue", '"r"', "blue"]


def test_answers_are_printed_as_they_come(mocha, folder, monkeypatch):
    """Also when a later photo ends all; the columns stay where they were."""
    from mocha.classifier import classifier

    photos = [folder / "photos" / "1-sky.png", folder / "photos" / "3-fire.gif"] * 20
    words = ("classify", "--model", folder / "colours.toml", *photos)
    together = mocha(*words).splitlines()
    assert len(together) == 2 + 40 * 3
    assert len({line.index("0.") for line in together[2:]}) == 1
    asked = []

    def scores(self, views):
        asked.append(len(views))
        if len(asked) > 2:
            raise MochaError("the net is broken")
        return real(self, views)

    real = classifier.ImageClassifier._probabilities_of
    monkeypatch.setattr(classifier.ImageClassifier, "_probabilities_of", scores)
    told = mocha(*words, "--csv", "--top", 1, fails=1)
    assert "Error: the net is broken" in told
    assert told.count("sky") + told.count("fire") == sum(asked[:-1])
    assert 0 < sum(asked[:-1]) < len(photos)


def test_names_that_are_no_utf8(mocha, folder, monkeypatch):
    odd = folder / "photos" / os.fsdecode(b"4-l\xe9af.png")
    Image.new("RGB", (9, 9), (0, 0, 255)).save(odd)
    words = ("classify", "--model", folder / "colours.toml", odd, "--top", 1)
    for form in ((), ("--csv",), ("--json",)):
        assert "4-l\\udce9af.png" in mocha(*words, *form)
    assert json.loads(mocha(*words, "--json"))[0]["photo"] == str(odd)
    pytest.importorskip("matplotlib", reason="needs matplotlib, of the extra [plot]")
    mocha(*words, "-o", "odd.png")
    with Image.open("odd.png") as picture:
        assert picture.width > 0


def test_without_a_softmax(mocha, folder):
    photo = folder / "photos" / "3-fire.gif"
    lines = mocha("classify", "--model", folder / "colours.toml", photo, "--top", 1, "--no-softmax").splitlines()
    assert "2.5500" in lines[-1]
    for spelling in ("--grey", "--gray"):
        same = mocha("classify", "--model", folder / "colours.toml", photo, spelling, "--no-softmax").splitlines()
        assert all("0.7600" in line for line in same[2:])
    for spelling in ("--color", "--colour"):
        assert "2.5500" in mocha("classify", "--model", folder / "colours.toml", photo, spelling, "--no-softmax")


def test_names_of_files_do_not_steer_the_terminal(mocha, folder, tmp_path):
    (tmp_path / "a\x1b[2J\u202e.png").write_bytes(b"no photo")
    words = ("classify", "--model", folder / "colours.toml", tmp_path / "a\x1b[2J\u202e.png")
    assert not set("\x1b\u202e") & set(mocha(*words, fails=1))


def test_answers_in_a_file_stay_there_while_a_bar_is_shown(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TERM": "xterm"}
    words = [sys.executable, "-m", "mocha", "classify", "--model", str(folder / "colours.toml"), "--top", "1", "--csv"]
    ours, theirs = pty.openpty()
    done = subprocess.run([*words, str(folder / "photos")], stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    bar = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "classifying" in bar
    assert "sky" not in bar
