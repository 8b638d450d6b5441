"""What the driver records: events in streams, and graphs of launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mocha.backends.cuda.gpu import Gpu


class StreamHandle:
    """A stream of the driver's, as others ask for it."""

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def __cuda_stream__(self) -> tuple[int, int]:
        """The version of this protocol, and the stream."""
        return 0, self._stream


class DriverEvent:
    """An event of the driver's, recorded."""

    def __init__(self, gpu: Gpu, stream: Any, *, timed: bool = False) -> None:
        flags = gpu.driver.bindings.CUevent_flags
        kind = flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING
        self._gpu = gpu
        self.handle = gpu.driver("cuEventCreate", kind.value)
        gpu.keep(self, "cuEventDestroy", self.handle)
        gpu.driver("cuEventRecord", self.handle, stream)

    def synchronize(self) -> None:
        """Wait for it."""
        self._gpu.here()
        self._gpu.driver("cuEventSynchronize", self.handle)


class DriverGraph:
    """A graph of launches, instantiated."""

    def __init__(self, gpu: Gpu, graph: Any, stream: Any) -> None:
        self._gpu, self._stream = gpu, stream
        try:
            self._handle = gpu.driver("cuGraphInstantiate", graph, 0)
        finally:
            gpu.driver.quietly("cuGraphDestroy", graph)
        gpu.keep(self, "cuGraphExecDestroy", self._handle)

    def launch(self) -> None:
        """All of it at one go."""
        self._gpu.here()
        self._gpu.driver("cuGraphLaunch", self._handle, self._stream)
