import numpy as np
import pytest

from mocha.errors import ConfigError
from mocha.random import DEFAULT_SEED, Draw, checked_seed, normal, permutation, philox, stream_of, uniform, words

# Known answers of Random123: counter, key, result
KNOWN = [
    ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_known_answers(counter, key, result):
    found = philox(np.array([counter], np.uint32), key)
    assert found.dtype == np.uint32
    assert found.tolist() == [result]


def test_philox_rows_are_independent():
    counters = np.array([counter for counter, _, _ in KNOWN], np.uint32)
    key = KNOWN[2][1]
    whole = philox(counters, key)
    for row, counter in zip(whole, counters, strict=True):
        np.testing.assert_array_equal(philox(counter[None], key)[0], row)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 1000])
def test_a_shorter_draw_is_the_start_of_a_longer_one(n):
    np.testing.assert_array_equal(words(7, 8, 9, n), words(7, 8, 9, 2000)[:n])


def test_where_seed_stream_and_count_go():
    counter = np.array([[1, 0, 5, 3]], np.uint32)
    np.testing.assert_array_equal(words(11, 12, 3 * 2**32 + 5, 8)[4:], philox(counter, (11, 12))[0])
    # the largest of all
    assert words(2**32 - 1, 2**32 - 1, 2**64 - 1, 4).size == 4


def test_uniform():
    u = uniform(1, 2, 3, 100_000)
    assert u.dtype == np.float64
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.var() - 1 / 12) < 0.002
    histogram = np.histogram(u, 10, (0, 1))[0]
    assert np.abs(histogram - 10_000).max() < 500


def test_normal():
    x = normal(1, 2, 3, 100_001)
    assert x.size == 100_001
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 0.02
    assert abs(x.var() - 1) < 0.02
    assert abs((x**3).mean()) < 0.05
    assert abs((x**4).mean() - 3) < 0.15
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.02
    np.testing.assert_array_equal(normal(1, 2, 3, 5), x[:5])


@pytest.mark.parametrize("n", [0, 1, 2, 17, 1000])
def test_permutation_is_one(n):
    order = permutation(1, 2, 3, n)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_permutations_differ_and_favour_no_place():
    assert (permutation(1, 2, 3, 100) != permutation(1, 2, 4, 100)).any()
    first = np.array([permutation(1, 2, count, 4)[0] for count in range(2000)])
    assert np.abs(np.bincount(first, minlength=4) - 500).max() < 100


def test_streams_are_the_same_in_every_process():
    assert stream_of("dropout", "drop1") == 0x2573D056
    assert stream_of("a", 1) == stream_of("a/1")
    assert stream_of("a") != stream_of("b")


def test_draw():
    draw = Draw(1, 2, 3)
    x = draw.uniform((3, 4), -2.0, 6.0)
    np.testing.assert_allclose(x.reshape(-1), -2 + 8 * uniform(1, 2, 3, 12))
    x = draw.normal((3, 4), 10.0, 0.5)
    np.testing.assert_allclose(x.reshape(-1), 10 + 0.5 * normal(1, 2, 3, 12))
    assert draw.uniform(()).shape == ()


def test_seeds(monkeypatch):
    monkeypatch.delenv("MOCHA_SEED", raising=False)
    assert checked_seed(None) == DEFAULT_SEED
    assert checked_seed(0) == 0
    assert checked_seed(2**32 - 1) == 2**32 - 1
    assert checked_seed(7.0) == 7
    monkeypatch.setenv("MOCHA_SEED", "99")
    assert checked_seed(None) == 99
    assert checked_seed(5) == 5


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "x", float("nan"), float("inf")])
def test_seeds_that_cannot_be(seed, monkeypatch):
    with pytest.raises(ConfigError, match=r"seed is .*; expected a whole number from 0 to 4294967295"):
        checked_seed(seed)
    monkeypatch.setenv("MOCHA_SEED", str(seed))
    with pytest.raises(ConfigError, match="MOCHA_SEED is"):
        checked_seed(None)
