import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.errors import ConfigError
from mocha.visual import Statistics, plot_statistics
from mocha.visual.braille import text_curves
from mocha.visual.curves import chosen, curves, local_means, numbered, two_axes
from mocha.visual.figures import new_figure
from mocha.visual.listing import statistic_row
from mocha.visual.page import thinned
from mocha.visual.plot import draw_curves

A = {"obj_val": {0: 2.0, 10: 1.0, 20: 0.5}, "acc-accuracy": {0: 0.1, 20: 0.9}, "rate": {0: 1e-3, 20: 1e-4}}
B = {"obj_val": {0: 3.0, 30: 0.25}}
SOURCES = {"a.h5": A, "b.h5": B}

floats = st.floats(allow_nan=True, allow_infinity=True)
statistics = st.dictionaries(
    st.text(max_size=8), st.dictionaries(st.integers(0, 2**62), floats, max_size=12), min_size=1, max_size=4
)


@given(st.lists(st.floats(-1e100, 1e100) | st.just(math.nan), max_size=30), st.integers(1, 12), st.booleans())
def test_local_means(values, count, log):
    found = local_means(np.array(values), count, log=log)
    assert len(found) == len(values)
    back, ahead = (count - 1) // 2, count // 2
    for i, mean in enumerate(found):
        reach = min(back, i)
        near = values[i - reach : i + reach + ahead - back + 1]
        window = [v for v in near if math.isfinite(v) and (v > 0 or not log)]
        if not math.isfinite(values[i]) or (log and values[i] <= 0):
            assert math.isnan(mean)
        elif log:
            assert mean == pytest.approx(math.exp(sum(map(math.log, window)) / len(window)), rel=1e-9)
        else:
            assert mean == pytest.approx(sum(window) / len(window), rel=1e-9, abs=1e-9 * max(map(abs, window)))


def test_means_follow_a_curve_without_delay():
    falling = np.exp(-np.arange(100) / 10)
    np.testing.assert_allclose(local_means(falling, 9, log=True)[:96], falling[:96], rtol=1e-12)


def test_which_are_drawn():
    assert numbered(SOURCES) == [("a.h5", "acc-accuracy"), ("a.h5", "obj_val"), ("a.h5", "rate"), ("b.h5", "obj_val")]
    assert chosen(SOURCES) == [("a.h5", "obj_val"), ("a.h5", "acc-accuracy"), ("b.h5", "obj_val")]
    assert chosen(SOURCES, ["rate", "obj*"], [4]) == [("a.h5", "rate"), ("a.h5", "obj_val"), ("b.h5", "obj_val")]
    with pytest.raises(ConfigError, match=r"no statistic 'obj_vol'. Did you mean 'obj_val'\?"):
        chosen(SOURCES, ["obj_vol"])
    with pytest.raises(ConfigError, match="no statistic number 5; the list goes from 1 to 4"):
        chosen(SOURCES, (), [5])


def test_labels_say_what_differs():
    def labels(*pairs):
        return [c.label for c in curves(SOURCES, pairs)]

    assert labels(("a.h5", "obj_val"), ("a.h5", "rate")) == ["obj_val", "rate"]
    assert labels(("a.h5", "obj_val"), ("b.h5", "obj_val")) == ["a.h5", "b.h5"]
    assert labels(("a.h5", "rate"), ("b.h5", "obj_val")) == ["a.h5: rate", "b.h5: obj_val"]


def test_ranges_and_smoothing():
    (curve,) = curves(SOURCES, [("a.h5", "obj_val")], smooth=2, x_range=(5, 20))
    assert curve.iterations.tolist() == [10, 20]
    assert curve.values.tolist() == [1.0, 0.5]
    assert curve.shown.tolist() == [0.75, 0.5]
    (curve,) = curves(SOURCES, [("a.h5", "obj_val")], smooth=3, x_range=(5, 20))
    assert curve.shown[0] == pytest.approx(3.5 / 3), "the mean knows what lies before the range"
    for wrong in ({"smooth": 0}, {"smooth": 1.5}, {"x_range": (5, 5)}, {"x_range": (0, math.nan)}):
        with pytest.raises(ConfigError):
            curves(SOURCES, [("a.h5", "obj_val")], **wrong)


def test_means_reach_over_as_many_iterations_for_all():
    dense, sparse = {i: float(i) for i in range(0, 101, 5)}, {0: 0.0, 20: 1.0, 40: 0.0}
    made = curves({"f": {"dense": dense, "sparse": sparse}}, [("f", "dense"), ("f", "sparse")], smooth=4)
    assert made[0].shown[-2:].tolist() == [np.mean([90, 95, 100]), np.mean([95, 100])]
    assert made[1].means is None, "20 iterations are one record"
    made = curves({"f": {"dense": dense, "sparse": sparse}}, [("f", "dense"), ("f", "sparse")], smooth=8)
    assert made[1].shown.tolist() == [0.5, 0.5, 0.0]


def test_two_axes():
    def sides(*keys):
        return [[c.key for c in side] for side in two_axes(curves(SOURCES, [("a.h5", key) for key in keys]))]

    assert sides("acc-accuracy", "obj_val") == [["obj_val"], ["acc-accuracy"]]
    assert sides("rate", "obj_val") == [["rate"], ["obj_val"]]
    assert sides("obj_val", "rate") == [["obj_val"], ["rate"]]
    assert sides("obj_val") == [["obj_val"], []]
    both = {"obj_val": {0: 2.0, 1: 0.001, 2: 0.001}, "loss-softmax-loss": {0: 2.0, 1: 0.3, 2: 0.3}}
    assert two_axes(curves({"f": both}, [("f", key) for key in both]))[1] == [], "losses are compared on one axis"
    assert sides("acc-accuracy") == [["acc-accuracy"], []]


@given(statistics, st.booleans(), st.integers(1, 3))
def test_any_numbers_can_be_drawn_as_text(numbers, log, smooth):
    made = curves({"f": numbers}, [("f", key) for key in numbers], smooth=smooth, log=log)
    if not can_be_drawn(made, log):
        with pytest.raises(ConfigError, match="no numbers to draw"):
            text_curves(made, width=60, height=24, log=log)
        return
    lines = text_curves(made, width=60, height=24, log=log).plain.split("\n")
    assert max(map(len, lines)) <= 60
    assert 6 < len(lines) <= 24


def can_be_drawn(made, log):
    return any(v >= 1e-100 if log and not curve.right else v >= -1e100 for curve in made for v in curve.values)


def test_the_curve_in_text():
    (curve,) = curves({"f": {"k": {i: float(i) for i in range(100)}}}, [("f", "k")])
    lines = text_curves([curve], width=60, height=13).plain.split("\n")
    assert lines[0] == " A k  last 99"
    body = lines[1:-2]
    assert body[0].startswith("99 ┤")
    assert body[0].endswith("A"), "it ends at the top right"
    assert body[-1].startswith(" 0 ┤⣠"), "and begins at the bottom left"
    assert all(any("⠀" < c <= "⣿" for c in line) for line in body[1:]), "without a gap"
    assert lines[-1].split() == ["0", "iteration", "99"]
    assert {len(line) for line in body} == {60}


def test_a_statistic_lands_on_the_same_axis_in_all_trainings():
    loss = {0: 3.0, 9: 2.0}
    for second in ({0: 1.2, 9: 0.5}, {0: math.nan, 9: math.nan}):
        runs = {"a": {"test-error": {0: 0.9, 9: 0.5}, "obj_val": loss}, "b": {"test-error": second, "obj_val": loss}}
        made = curves(runs, numbered(runs))
        assert len({curve.right for curve in made if curve.key == "test-error"}) == 1
    assert [curve.right for curve in made] == [False, True, False, True]


def test_the_axes_do_not_depend_on_the_range():
    run = {"test-error": {0: 1.5, 50: 0.6, 100: 0.5}, "obj_val": {0: 2.0, 50: 1.0, 100: 0.9}}
    for x_range in (None, (40, 100)):
        assert two_axes(curves({"a": run}, [("a", key) for key in run], x_range=x_range))[1] == []


@pytest.mark.parametrize(
    ("key", "share"),
    [
        ("test-accuracy-accuracy", True), ("my-accuracy", True), ("val_acc", True), ("acc1", True),
        ("accuracy/top-5", True),
        ("test-top5", True), ("test-error", True), ("error", True), ("error_rate", True), ("digits-error", True),
        ("reconstruction-error", False), ("accumulated", False), ("terror", False), ("laptop-5", False),
        ("obj_val", False),
    ],
)  # fmt: skip
def test_what_is_a_share(key, share):
    run = {key: {0: 0.5, 1: 0.25}, "digits-accuracy": {0: 0.5}}
    (curve,) = curves({"a": run}, [("a", key)])
    assert curve.is_share == share


def test_means_of_the_linear_axis_are_arithmetic():
    run = {"obj_val": {0: 1.0, 1: 100.0, 2: 1.0}, "accuracy": {0: 0.0, 1: 1.0, 2: 0.5}}
    left, right = two_axes(curves({"a": run}, [("a", key) for key in run], smooth=2, log=True))
    assert left[0].shown[0] == pytest.approx(10)
    assert right[0].shown.tolist() == [0.5, 0.75, 0.5]
    run = {"obj_val": {0: 1000.0, 1: 4000.0}, "margin": {0: -1.0, 1: 3.0}}
    left, right = two_axes(curves({"a": run}, [("a", key) for key in run], smooth=2, log=True))
    assert left[0].shown.tolist() == pytest.approx([2000, 4000])
    assert right[0].shown.tolist() == [1.0, 3.0], "numbers below 0 have a place there"


@pytest.mark.parametrize("y_range", [(0, 3), (-1.0, 3.0), (-1e308, 1e308), (0, 1e-320), (1.0, 1.0 + 2**-52)])
def test_one_check_for_both_faces(matplotlib, tmp_path, y_range):
    made = curves(SOURCES, [("a.h5", "obj_val")])
    with pytest.raises(ConfigError, match="y_range"):
        text_curves(made, log=True, y_range=y_range)
    with pytest.raises(ConfigError, match="y_range"):
        plot_statistics(SOURCES, tmp_path / "c.png", log=True, y_range=y_range)


def test_text_of_nothing():
    with pytest.raises(ConfigError, match="no numbers to draw"):
        text_curves(curves(SOURCES, [("a.h5", "obj_val")], x_range=(900, 999)))


def test_a_diverged_training_is_not_shown_as_a_healthy_one():
    def first_line(numbers, **more):
        return text_curves(curves({"f": {"k": numbers}}, [("f", "k")], **more)).plain.split("\n")[0]

    assert first_line({0: 2.0, 10: 1.0, 20: math.nan, 30: math.nan}) == " A k  nan since iteration 20"
    assert first_line({0: 2.0, 10: 1.0, 20: math.inf}, smooth=2) == " A k  inf since iteration 20"
    assert first_line({0: 2.0, 10: math.nan, 20: 1.0}) == " A k  last 1"
    assert first_line({0: 2.0, 10: 1e200}) == " A k  last 1e+200"


def test_names_do_not_steer_the_terminal():
    run = {"\x1b[2Jk\n\u202e": {0: 1.0, 1: 2.0}}
    text = text_curves(curves({"f": run}, numbered({"f": run}))).plain
    assert text.startswith(" A \N{REPLACEMENT CHARACTER}[2Jk \N{REPLACEMENT CHARACTER}  last 2\n")


def test_many_curves(matplotlib, tmp_path):
    run = {f"k{i:02}": {x: float(i + x) for x in range(50)} for i in range(25)}
    with pytest.raises(ConfigError, match=r"25 curves; no more than 24 .* -k"):
        plot_statistics({"": run}, tmp_path / "c.png", keys=["*"])
    with pytest.raises(ConfigError, match="25 curves"):
        text_curves(curves({"": run}, numbered({"": run})))
    del run["k24"]
    figure = new_figure(8, 5)
    draw_curves(figure, curves({"": run}, numbered({"": run})))
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 24
    assert figure.axes[0].get_ylabel() == "24 statistics"


def test_rows_of_the_list():
    assert statistic_row("k", {0: 3.0, 10: math.nan, 5: 1.0}) == ("k", "3", "0 to 10", "1", "3", "nan")
    assert statistic_row("k", {}) == ("k", "0", "", "", "", "")


def test_thinning_keeps_the_last():
    few = thinned({"k": dict.fromkeys(range(5001), 1.0)})["k"]
    assert 5000 in few
    assert 400 < len(few) <= 501


# -- pictures


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures(matplotlib, tmp_path, ending):
    path = plot_statistics(SOURCES, tmp_path / f"c.{ending}", smooth=2, log=True, x_range=(0, 20), y_range=(0.1, 4))
    assert path.read_bytes().startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])


def test_what_is_in_the_picture(matplotlib, tmp_path):
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        text = Statistics(A).plot(tmp_path / "c.svg", "*").read_text()
    for words in ("obj_val", "acc-accuracy", "rate", "iteration"):
        assert f">{words}" in text
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        text = plot_statistics({"$x_{": {"$y^": {0: 1.0, 1: 2.0}, "b": {0: 1.0}}}, tmp_path / "d.svg").read_text()
    assert "$y^" in text, "names are no formulas"


@settings(deadline=None, max_examples=20)
@given(statistics, st.booleans())
def test_any_numbers_can_be_drawn(tmp_path_factory, numbers, log):
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("any")
    made = curves({"f": numbers}, [("f", key) for key in numbers], log=log)
    if can_be_drawn(made, log):
        assert plot_statistics({"f": numbers}, folder / "c.png", keys=["*"], log=log).exists()
    else:
        with pytest.raises(ConfigError, match="no numbers to draw"):
            plot_statistics({"f": numbers}, folder / "c.png", keys=["*"], log=log)


def test_what_cannot_be_drawn(matplotlib, tmp_path):
    for wrong, message in (
        ({"keys": ["x"]}, "no statistic 'x'"),
        ({"y_range": (1, 0)}, "y_range"),
        ({"y_range": (0, 1), "log": True}, "must begin above 0"),
        ({"x_range": (900, 999)}, "no numbers to draw"),
    ):
        with pytest.raises(ConfigError, match=message):
            plot_statistics(SOURCES, tmp_path / "c.png", **wrong)
    with pytest.raises(ConfigError, match=r"\.exe is no format"):
        plot_statistics(SOURCES, tmp_path / "c.exe")
    assert list(tmp_path.iterdir()) == []
