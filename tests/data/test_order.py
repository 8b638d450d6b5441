from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mocha.data.order import Order

FILES = ((7,), (3, 3, 1), (5, 5))
TOTAL = 24


def stream(order: Order, start: int, stop: int) -> list[tuple[int, int]]:
    """The samples as (file, row in the file)."""
    out: list[tuple[int, int]] = []
    for piece in order.pieces(start, stop):
        rows = np.arange(piece.stop - piece.start)[piece.rows]
        assert len(rows) == piece.length > 0
        out += [(piece.file, piece.start + int(row)) for row in rows]
    assert len(out) == stop - start
    return out


def make(shuffle=True, seed=1, name="data"):
    return Order(FILES, shuffle=shuffle, seed=seed, name=name)


ALL = [(0, row) for row in range(7)] + [(1, row) for row in range(7)] + [(2, row) for row in range(10)]


def test_unshuffled_is_as_it_lies():
    assert stream(make(shuffle=False), 0, 2 * TOTAL) == ALL * 2


def test_each_epoch_is_a_permutation_of_its_own():
    epochs = [stream(make(), e * TOTAL, (e + 1) * TOTAL) for e in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == ALL
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert len({tuple(dict.fromkeys(file for file, _ in epoch)) for epoch in epochs}) > 1  # the files' order changes


def test_files_and_blocks_stay_together():
    epoch = stream(make(), 0, TOTAL)
    files = [file for file, _ in epoch]
    assert sum(a != b for a, b in pairwise(files)) == 2
    blocks = [row // 3 for file, row in epoch if file == 1]
    assert sum(a != b for a, b in pairwise(blocks)) == 2


def test_only_seed_name_and_epoch_matter():
    whole = stream(make(), 0, 3 * TOTAL)
    again = make()
    assert stream(again, 50, 60) == whole[50:60]  # in any order of asking
    assert stream(again, 3, 9) == whole[3:9]
    assert [sample for at in range(0, 70, 5) for sample in stream(again, at, at + 5)] == whole[:70]
    assert stream(make(seed=2), 0, TOTAL) != whole[:TOTAL]
    assert stream(make(name="other"), 0, TOTAL) != whole[:TOTAL]


def test_the_order_is_the_same_in_all_versions():
    assert stream(Order([[6]], shuffle=True, seed=3, name="x"), 0, 6) == [(0, row) for row in [5, 3, 4, 1, 0, 2]]


@pytest.mark.parametrize("shuffle", [False, True])
def test_several_epochs_at_once(shuffle):
    order = Order([[1], [1]], shuffle=shuffle, seed=0, name="")
    assert len(stream(order, 1, 12)) == 11
