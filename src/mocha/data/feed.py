"""A cursor over a source, with a thread that fetches the next batches while the current one is used."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

from mocha.data.source import Source
from mocha.errors import ConfigError
from mocha.ops import Array


class Feed:
    """Hands out the batches of a source, one after the other.

    Which batch comes next depends on `position` alone, never on timing. One thread at a time may use a feed.

    Args:
        source: where the batches come from; the feed closes it.
        prefetch: how many batches to fetch ahead, >= 0. 0 means no thread; so does a source that is `live`.
    """

    def __init__(self, source: Source, *, prefetch: int = 2) -> None:
        if prefetch < 0:
            raise ConfigError(f"prefetch is {prefetch}; expected the number of batches to fetch ahead, 0 or more.")
        self.source = source
        self.prefetch = 0 if source.live else prefetch
        self._position = 0
        self._worker: _Worker | None = None

    @property
    def position(self) -> int:
        """The batches handed out so far: the number of the next one."""
        return self._position

    @property
    def epoch(self) -> int:
        """The epochs that are over, counted from the first batch of the source."""
        return self.source.epoch(self._position)

    def next(self) -> dict[str, Array]:
        """The next batch: for each top a new array, the caller's to keep.

        Raises:
            Exception: what the source raised for this batch. The position stays, so another call tries again.
        """
        batch = self._fetched() if self.prefetch else self.source.batch(self._position)
        self._position += 1
        return batch

    def seek(self, position: int) -> None:
        """Make batch number `position` the next one. What was fetched ahead is dropped.

        Raises:
            ConfigError: the position is negative.
        """
        if position < 0:
            raise ConfigError(f"cannot seek to batch {position}: batches are counted from 0.")
        if position != self._position:
            self._drop_worker()
            self._position = position

    def close(self) -> None:
        """End the thread and close the source. The position stays: a later `next` starts again from there."""
        self._drop_worker()
        self.source.close()

    def _fetched(self) -> dict[str, Array]:
        # A thread does not survive a fork: the child starts its own, where its parent's would be by now.
        if self._worker is None or not self._worker.is_ours:
            self._worker = _Worker(self.source, self._position, self.prefetch)
            # Ends the thread of a feed that nobody closed: when it is collected, and before the interpreter goes.
            self._worker.ender = weakref.finalize(self, self._worker.stop)
        fetched = self._worker.take()
        if isinstance(fetched, BaseException):
            self._drop_worker()
            raise fetched
        return fetched

    def _drop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            if worker.ender is not None:
                worker.ender.detach()


class _Worker:
    """A thread that fetches batches `start`, `start + 1`, ... and keeps at most `depth` of them ready.

    It knows the source but not the feed, so that a forgotten feed can be collected. An exception takes the place of
    the batch that it prevented, and is the last thing to come.
    """

    def __init__(self, source: Source, start: int, depth: int) -> None:
        self._source = source
        self._next = start
        self._depth = depth
        self._ready: deque[dict[str, Array] | BaseException] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._pid = os.getpid()
        self.ender: weakref.finalize[[], Feed] | None = None
        self._thread = threading.Thread(target=self._run, name="mocha-feed", daemon=True)
        self._thread.start()

    @property
    def is_ours(self) -> bool:
        """The thread was started by this process, and not by the one which this is a fork of."""
        return self._pid == os.getpid()

    def take(self) -> dict[str, Array] | BaseException:
        """The next batch, or why there is none; waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready)
            fetched = self._ready.popleft()
            self._changed.notify_all()
        return fetched

    def stop(self) -> None:
        """End the thread, after the batch that it may be reading."""
        if not self.is_ours:  # its lock may have been copied while held, and there is no thread to end
            return
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        failed = False
        while not failed:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or len(self._ready) < self._depth)
                if self._stopped:
                    return
            fetched: dict[str, Array] | BaseException
            try:
                fetched = self._source.batch(self._next)
            except BaseException as error:  # whatever it is, it belongs to whoever waits for this batch
                fetched, failed = error, True
            with self._changed:
                self._ready.append(fetched)
                self._changed.notify_all()
            del fetched  # the batch is the consumer's now
            self._next += 1
