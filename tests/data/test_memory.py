from __future__ import annotations

import numpy as np
import pytest

from mocha.data import MemorySource
from mocha.errors import ConfigError

DATA = np.arange(30, dtype=np.float32).reshape(10, 3)
LABEL = np.arange(10)


def make(batch_size=4, **options):
    return MemorySource([DATA, LABEL], ["data", "label"], batch_size, **options)


def test_batches_go_round():
    source = make()
    assert str(source.specs["data"]) == "4x3 float32"
    assert str(source.specs["label"]) == "4 float32"
    assert (source.examples, source.batch_size) == (10, 4)
    labels = np.concatenate([source.batch(n)["label"] for n in range(5)])
    np.testing.assert_array_equal(labels, [*range(10), *range(10)])
    np.testing.assert_array_equal(source.batch(2)["data"], DATA[[8, 9, 0, 1]])


def test_epoch_counts_when_the_last_sample_is_used():
    source = make()
    assert [source.epoch(n) for n in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    assert make(batch_size=25).epoch(1) == 2


def test_a_batch_larger_than_an_epoch():
    np.testing.assert_array_equal(make(batch_size=25).batch(1)["label"], [5, 6, 7, 8, 9, *range(10), *range(10)])


def test_shuffled_epochs_are_permutations_with_matching_labels():
    source = make(batch_size=5, shuffle=True, seed=4, name="train")
    epochs = []
    for epoch in range(3):
        parts = [source.batch(2 * epoch + k) for k in range(2)]
        labels = np.concatenate([part["label"] for part in parts])
        np.testing.assert_array_equal(np.concatenate([part["data"] for part in parts]), DATA[labels.astype(int)])
        assert sorted(labels) == list(range(10))
        epochs.append(tuple(labels))
    assert len(set(epochs)) == 3
    again = make(batch_size=5, shuffle=True, seed=4, name="train")
    np.testing.assert_array_equal(again.batch(3)["label"], source.batch(3)["label"])


def test_batches_are_new_and_contiguous():
    source = MemorySource([DATA.T], ["data"], 2)
    first = source.batch(0)["data"]
    assert first.flags.c_contiguous
    assert first.flags.writeable
    assert first.flags.owndata
    first[:] = -1
    np.testing.assert_array_equal(source.batch(0)["data"], DATA.T[:2])


def test_edits_in_place_are_seen():
    mine = np.zeros((2, 3), np.float32)
    source = MemorySource([mine], ["data"], 2)
    mine[:] = 7
    assert (source.batch(0)["data"] == 7).all()
    assert source.live


@pytest.mark.parametrize(
    ("first", "asked", "expected"),
    [
        (np.float32, None, np.float32), (np.float64, None, np.float64), (np.uint8, None, np.float32),
        (np.float16, None, np.float32), (">f8", None, np.float64), (bool, None, np.float32),
        (np.float64, "float32", np.float32), (np.int64, np.float64, np.float64),
    ],
)  # fmt: skip
def test_types(first, asked, expected):
    source = MemorySource([np.ones((2, 2), first), np.ones(2)], ["data", "label"], 2, dtype=asked)
    for top, array in source.batch(0).items():
        assert source.specs[top].dtype == array.dtype == expected
        assert (array == 1).all()


def build(data=(DATA, LABEL), tops=("data", "label"), batch_size=4, **options):
    return MemorySource(data, tops, batch_size, name="mem", **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": [DATA]}, "1 arrays for 2 tops"),
        ({"data": [DATA, LABEL[:9]]}, "'data': 10, 'label': 9"),
        ({"data": [DATA[:0], LABEL[:0]]}, "one sample at least"),
        ({"data": [np.float32(1), LABEL]}, r"shape \(\)"),
        ({"data": [DATA, np.array(["x"] * 10)]}, "'label' has elements of type <U1"),
        ({"data": [DATA * 1j, LABEL]}, "complex"),
        ({"data": [[[1, 2], [3]], LABEL]}, "no array"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"tops": "dl"}, "tops is 'dl'"),
        ({"tops": ["data", "data"]}, "different names"),
        ({"tops": [], "data": []}, "different names"),
        ({"dtype": "int32"}, "dtype is int32"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(**arguments)
    assert "seed" in arguments or "layer 'mem'" in str(caught.value)


def test_negative_batch():
    with pytest.raises(ConfigError, match="no batch -1"):
        build().batch(-1)
