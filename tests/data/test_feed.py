from __future__ import annotations

import gc
import os
import threading
import time
import warnings

import numpy as np
import pytest

from mocha.data import Feed, MemorySource, Source
from mocha.errors import ConfigError, FormatError
from mocha.ops import Spec


class Counting(Source):
    """Batch n is the number n; what was asked for is written down."""

    def __init__(self, fails_at=()):
        self.specs = {"data": Spec((1,), np.dtype(np.float32))}
        self.examples, self.batch_size = 3, 1
        self.fails_at = set(fails_at)
        self.asked = []
        self.closed = 0

    def batch(self, number):
        self.asked.append(number)
        if number in self.fails_at:
            raise FormatError(f"batch {number} is damaged")
        return {"data": np.full(1, number, np.float32)}

    def close(self):
        self.closed += 1


def take(feed, n):
    return [int(feed.next()["data"][0]) for _ in range(n)]


def feed_threads():
    return [thread for thread in threading.enumerate() if thread.name == "mocha-feed"]


@pytest.mark.parametrize("prefetch", [0, 1, 2, 7])
def test_order_and_position(prefetch):
    feed = Feed(Counting(), prefetch=prefetch)
    assert (feed.position, feed.epoch) == (0, 0)
    assert not feed_threads()  # started at the first use
    assert take(feed, 5) == [0, 1, 2, 3, 4]
    assert (feed.position, feed.epoch) == (5, 1)
    assert len(feed_threads()) == (prefetch > 0)
    feed.close()
    assert not feed_threads()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_seek(prefetch):
    feed = Feed(Counting(), prefetch=prefetch)
    for to in (40, 3, 0, 0, 8):
        feed.seek(to)
        assert feed.position == to
        assert take(feed, 3) == [to, to + 1, to + 2]
    with pytest.raises(ConfigError, match="-1"):
        feed.seek(-1)
    assert take(feed, 1) == [11]
    feed.close()


@pytest.mark.parametrize("prefetch", [0, 3])
def test_an_error_comes_at_its_batch_and_can_be_tried_again(prefetch):
    source = Counting(fails_at=[2])
    feed = Feed(source, prefetch=prefetch)
    assert take(feed, 2) == [0, 1]
    for _ in range(2):
        with pytest.raises(FormatError, match="batch 2 is damaged"):
            feed.next()
        assert feed.position == 2
    source.fails_at.clear()
    assert take(feed, 2) == [2, 3]
    feed.close()


def test_it_fetches_ahead_but_no_further():
    source = Counting()
    feed = Feed(source, prefetch=2)
    take(feed, 1)
    deadline = time.monotonic() + 5
    while len(source.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert source.asked == [0, 1, 2]
    feed.close()


def test_close_closes_the_source_and_may_be_followed_by_more():
    source = Counting()
    feed = Feed(source)
    take(feed, 2)
    feed.close()
    feed.close()
    assert source.closed == 2
    assert take(feed, 2) == [2, 3]
    feed.close()


def test_a_forgotten_feed_ends_its_thread():
    feed = Feed(Counting())
    take(feed, 1)
    (thread,) = feed_threads()
    del feed
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_live_sources_are_not_fetched_ahead():
    mine = np.zeros(1, np.float32)
    feed = Feed(MemorySource([mine], ["data"], 1), prefetch=4)
    for value in range(4):
        mine[:] = value
        assert take(feed, 1) == [value]
    assert not feed_threads()


def test_negative_prefetch():
    with pytest.raises(ConfigError, match="prefetch is -1"):
        Feed(Counting(), prefetch=-1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_both_go_on():
    feed = Feed(Counting())
    assert take(feed, 3) == [0, 1, 2]
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads
        child = os.fork()
    if child == 0:
        try:
            got = take(feed, 3)
            feed.seek(9)
            got += take(feed, 1)
            feed.close()
            os.write(write_end, repr(got).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    assert take(feed, 3) == [3, 4, 5]
    with os.fdopen(read_end) as pipe:
        assert pipe.read() == "[3, 4, 5, 9]"
    os.waitpid(child, 0)
    feed.close()
