import numpy as np
import pytest

from mocha.visual import Mistake, report_picture
from mocha.visual.figures import new_figure
from mocha.visual.report import _learning_curve


def test_the_learning_curve_has_all_records():
    pytest.importorskip("matplotlib")
    figure = new_figure(4, 3)
    _learning_curve(figure.add_subplot(), {0: 2.0, 10: 0.5}, {0: 0.125, 10: 0.75, 20: 1.0})
    left, right = figure.axes
    assert left.get_lines()[0].get_xydata().tolist() == [[0, 2], [10, 0.5]]
    assert right.get_lines()[0].get_xydata().tolist() == [[0, 87.5], [10, 25], [20, 0.01]]
    assert right.get_ylabel() == "error in validation, %"


def test_a_report(tmp_path):
    pytest.importorskip("matplotlib")
    path = report_picture(
        tmp_path / "r.svg", title="title", objective={0: 2.0, 10: 0.5}, accuracy={0: 0.1, 10: 0.5},
        confusion=np.array([[3, 1], [0, 4]]), filters=np.ones((2, 3, 3)),
        mistakes=[Mistake(np.zeros((4, 4)), label=0, guess=1, confidence=0.5)],
    )  # fmt: skip
    assert path.read_bytes().startswith(b"<?xml")
