import warnings

import numpy as np
import pytest

from mocha.errors import ConfigError
from mocha.visual import Ranking, ranking_picture
from mocha.visual.figures import figure_text

PHOTO = np.full((20, 30, 3), 200, np.uint8)


@pytest.mark.parametrize(
    "name", ["\u732b\u3068\u72ac", "\x1b[2J", "\ud800", "x\nline2", "$x_{", "_under", "\u202e", "", "n" * 300]
)
def test_any_name_can_be_drawn(tmp_path, name):
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = ranking_picture(tmp_path / "r.png", [Ranking(PHOTO, name, [(name, 0.75), ("cat", 0.25)])])
    assert path.read_bytes().startswith(b"\x89PNG")


def test_names_stay_in_their_line():
    assert figure_text("x\nline2", 46) == "x line2"
    assert figure_text("n" * 60, 46) == "n" * 45 + "\N{HORIZONTAL ELLIPSIS}"
    assert figure_text("$a", 46) == r"\$a"


@pytest.mark.parametrize("name", ["r.exe", "r"])
def test_wrong_endings(tmp_path, name):
    pytest.importorskip("matplotlib")
    with pytest.raises(ConfigError, match=r"use \.png, \.svg or \.pdf"):
        ranking_picture(tmp_path / name, [Ranking(PHOTO, "photo", [("cat", 0.5)])])
    assert list(tmp_path.iterdir()) == []
