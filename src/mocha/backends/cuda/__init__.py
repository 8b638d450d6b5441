"""The CUDA backend: cuDNN, cuBLAS and own kernels on an NVIDIA GPU, a whole training step as one graph of launches."""

from __future__ import annotations

import dataclasses
import enum
import math
import os
from collections.abc import Sequence
from typing import Any, cast

from mocha.backends.base import AbstractBackend, Executable
from mocha.backends.cuda.device import Device
from mocha.backends.cuda.errors import DeviceError, OutOfMemory
from mocha.backends.cuda.memory import DeviceStore
from mocha.errors import ConfigError, MochaError, did_you_mean
from mocha.graph import Half, Narrowing, Node, Program
from mocha.ops.base import as_tuple


class Precision(enum.Enum):
    """In what numbers a CUDA backend computes. Parameters, their updates, losses and statistics are float32 always."""

    FLOAT32 = "float32"
    """All in float32, as the reference does."""
    TF32 = "tf32"
    """Convolutions and products of matrices round float32 numbers to 10 bits behind the point before they multiply."""
    BFLOAT16 = "bfloat16"
    """Blobs of convolutions, inner products, and what stands between them, in 16 bits."""
    FLOAT16 = "float16"
    """The same in the other type of 16 bits; gradients are multiplied by a factor under way."""


_HALF = {Precision.BFLOAT16: Half.BFLOAT16, Precision.FLOAT16: Half.FLOAT16}


@dataclasses.dataclass(frozen=True)
class Numerics:
    """How a CUDA backend computes.

    Args:
        precision: one of `Precision`, or its value.
        deterministic: whether each run must give the same bits: no sums whose order changes.
        factor: of gradients, where they are float16: a power of two.

    Raises:
        ConfigError: there is no such precision, or the factor is no power of two.
    """

    precision: Precision = Precision.TF32
    deterministic: bool = False
    factor: float = 1024.0

    def __post_init__(self) -> None:
        if isinstance(self.precision, str):
            known = {p.value: p for p in Precision}
            if self.precision not in known:
                raise ConfigError(f"there is no precision {self.precision!r}. {did_you_mean(self.precision, known)}")
            object.__setattr__(self, "precision", known[self.precision])
        if not (self.factor > 0 and math.frexp(self.factor)[0] == 0.5):
            raise ConfigError(f"Numerics: received the factor {self.factor}; expected a power of two.")

    @property
    def tensor_cores(self) -> bool:
        """Whether float32 numbers may be rounded before they are multiplied."""
        return self.precision is not Precision.FLOAT32

    @property
    def narrowing(self) -> Narrowing | None:
        """What is wished of programs."""
        if self.precision not in _HALF:
            return None
        return Narrowing(_HALF[self.precision], self.factor if self.precision is Precision.FLOAT16 else 1.0)


def chosen_numerics() -> Numerics:
    """What the environment says.

    `MOCHA_CUDA_PRECISION` is float32, tf32, bfloat16 or float16; `MOCHA_CUDA_DETERMINISTIC` is 0 or 1.

    Raises:
        ConfigError: it says something else.
    """
    precision = os.environ.get("MOCHA_CUDA_PRECISION", "") or Precision.TF32
    deterministic = os.environ.get("MOCHA_CUDA_DETERMINISTIC", "") or "0"
    if deterministic not in ("0", "1"):
        raise ConfigError(f"MOCHA_CUDA_DETERMINISTIC is {deterministic!r}; expected 0 or 1.")
    return Numerics(cast(Precision, precision), deterministic == "1")


_SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
"""Files that are there with a driver of NVIDIA's."""


class CudaBackend(AbstractBackend):
    """An NVIDIA GPU.

    Args:
        device: where programs run; a GPU, unless told.
        number: which GPU, counted from 0; what the environment variable `MOCHA_GPU` says, or the first, unless told.
        numerics: how they compute; what the environment says, unless told.
        captures: whether steps become graphs of launches.
        chains: whether neighbours that treat element by element become one kernel.

    Raises:
        BackendUnavailable: there is no GPU, or a library is missing; the message says which and what to do.
    """

    name = "cuda"
    channels_last = True
    fuses_units = True
    store: DeviceStore

    def __init__(
        self,
        device: Device | None = None,
        *,
        number: int | None = None,
        numerics: Numerics | None = None,
        captures: bool = True,
        chains: bool = True,
    ) -> None:
        self.numerics = numerics or chosen_numerics()
        self.device = device or self._gpu(number)
        self.captures = captures
        self.chains = chains
        super().__init__()

    @staticmethod
    def _gpu(number: int | None) -> Device:
        from mocha.backends.cuda.gpu import Gpu

        return Gpu(number)

    @classmethod
    def is_likely(cls) -> bool:
        """Whether the system has a driver of NVIDIA's; nothing is imported to find out."""
        return any(map(os.path.exists, _SIGNS))

    @classmethod
    def describe(cls) -> str:
        """The GPU, and the versions of the libraries."""
        from mocha.backends.cuda.libraries import describe_gpu

        return describe_gpu()

    @property
    def wishes(self) -> dict[str, Any]:
        """Channels last, and numbers of 16 bits if that is the precision."""
        return {**super().wishes, "narrowing": self.numerics.narrowing}

    def new_store(self) -> DeviceStore:
        """Memory of the device."""
        return DeviceStore(self.device)

    def compile(self, program: Program) -> Executable:
        """Lay out memory, choose kernels and plans of products.

        Raises:
            OutOfMemory: the device has not enough; the message names the net, and the layer with the largest blob.
        """
        from mocha.backends.cuda.executable import CudaExecutable

        try:
            return CudaExecutable(program, self)
        except OutOfMemory as error:
            raise OutOfMemory(error.asked, error.free, _needs(program)) from error

    def run_array_code(self, node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs of an op in array code, on arrays of the device."""
        try:
            return as_tuple(node.op.forward(*inputs))
        except Exception as error:
            raise MochaError(f"layer {node.layer!r}: op {node.op} failed: {type(error).__name__}: {error}") from error

    def shutdown(self) -> None:
        """Forget all parameters and give back the device's memory."""
        super().shutdown()
        self.device.close()


def _needs(program: Program) -> str:
    """What a program needs memory for, in a few words."""
    computed = [value for node in program.nodes for value in node.outputs if not node.op.updates]
    largest = max(computed, key=lambda value: value.spec.nbytes, default=None)
    blobs = f"net {program.name!r} needs {program.memory.arena_bytes / 2**20:,.1f} MiB for its blobs"
    if largest is None or largest.producer is None:
        return blobs
    return f"{blobs}, the largest being {largest.spec} of layer {largest.producer.layer!r}"


__all__ = ["CudaBackend", "DeviceError", "Numerics", "OutOfMemory", "Precision", "chosen_numerics"]
