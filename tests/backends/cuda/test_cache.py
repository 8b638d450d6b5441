"""What is kept on disk, and what is found there."""

from mocha.backends.cuda.cache import cached_file
from mocha.cache import cache_folder


def test_a_file_is_made_once_and_anew_if_it_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("MOCHA_CACHE", str(tmp_path / "here"))
    made = []

    def make():
        made.append(1)
        return b"machine code"

    assert [cached_file("kernels/a", make) for _ in range(3)] == [b"machine code"] * 3
    assert len(made) == 1
    path = cache_folder() / "kernels" / "a"
    path.write_bytes(path.read_bytes()[:-1])
    assert cached_file("kernels/a", make) == b"machine code"
    path.write_bytes(b"")
    assert cached_file("kernels/a", make) == b"machine code"
    assert len(made) == 3


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MOCHA_CACHE", str(tmp_path / "file"))
    assert cached_file("kernels/a", lambda: b"code") == b"code"


def test_the_users_cache_folder_is_taken_unless_told(tmp_path, monkeypatch):
    monkeypatch.delenv("MOCHA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mocha"
