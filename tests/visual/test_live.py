import itertools
import os
from pathlib import Path

import pytest

from mocha.errors import FormatError
from mocha.visual import live
from mocha.visual.live import Follower, titles


def read(path):
    text = path.read_text()
    if not text:
        raise FormatError(f"{path}: empty")
    return {"k": {0: float(text)}}


def test_files_are_followed(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    other.write_text("7")
    follower = Follower({"a": path, "b": other}, read)
    assert follower.look()
    assert follower.sources == {"b": {"k": {0: 7.0}}}
    assert follower.problems == {"a": f"waiting for {path}"}
    assert not follower.look(), "nothing has changed"
    path.write_text("1")
    assert follower.look()
    assert list(follower.sources) == ["a", "b"], "in the order of the files"
    assert follower.problems == {}
    path.write_text("")
    assert follower.look()
    assert follower.sources["a"] == {"k": {0: 1.0}}, "what was known stays"
    assert "empty" in follower.problems["a"]
    (tmp_path / "new").write_text("22")
    os.replace(tmp_path / "new", path)
    assert follower.look()
    assert follower.sources["a"] == {"k": {0: 22.0}}
    path.unlink()
    assert follower.look()
    assert follower.sources["a"] == {"k": {0: 22.0}}


def test_files_are_only_read_when_they_change(tmp_path):
    path, count = tmp_path / "a", itertools.count()
    path.write_text("1")

    def counted(path):
        next(count)
        return read(path)

    follower = Follower({"a": path}, counted)
    for _ in range(3):
        follower.look()
    assert next(count) == 1


def test_titles():
    paths = [Path("x/one/s.h5"), Path("x/two/s.h5"), Path("t.h5"), Path("t.h5")]
    assert titles(paths) == {"one/s.h5": paths[0], "two/s.h5": paths[1], "t.h5": paths[2]}
    assert titles([Path("s.h5"), Path("a/s.h5")]) == {"s.h5": Path("s.h5"), "a/s.h5": Path("a/s.h5")}


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_have_windows_without_a_display(monkeypatch, system):
    pytest.importorskip("matplotlib")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(live.sys, "platform", system)
    monkeypatch.setattr(live, "_WINDOWS", ("agg",))
    shown = live.window()
    assert not shown.closed
    pytest.importorskip("matplotlib.pyplot").close(shown.figure)


def test_no_window_without_a_display(monkeypatch):
    monkeypatch.setattr(live.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert live.window() is None


def test_no_window_where_no_toolkit_works(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("DISPLAY", ":nowhere")
    monkeypatch.setattr(live, "_WINDOWS", ("template_of_nothing",))
    assert live.window() is None


def test_a_window(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("DISPLAY", ":any")
    monkeypatch.setattr(live, "_WINDOWS", ("agg",))  # as good as a window, but that nobody sees it
    monkeypatch.setattr(pyplot, "pause", lambda seconds: None)
    shown = live.window()
    assert not shown.closed
    shown.figure.add_subplot().plot([1, 2])
    shown.show()
    pyplot.close(shown.figure)
    assert shown.closed
