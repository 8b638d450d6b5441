"""Kernels compiled to machine code by NVIDIA's run-time compiler, which needs no GPU; kept on disk."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from mocha.backends.cuda.cache import cached_file
from mocha.backends.cuda.extra import require
from mocha.errors import BackendUnavailable, MochaError

KERNELS = Path(__file__).parent / "kernels"
_FLAGS = ("--std=c++17", "--extra-device-vectorization")


@functools.cache
def _headers() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(KERNELS.glob("*.cuh"))}


def compile_kernels(source: str, name: str, architecture: int, suffix: str = "") -> bytes:
    """The machine code of a kernel file; compiled before, or now.

    Args:
        source: its text.
        name: what errors call it.
        architecture: of the GPU: 90 for compute capability 9.0.
        suffix: the only type whose kernels are wanted, and those that move bytes; "" for all.

    Raises:
        BackendUnavailable: the compiler is not installed.
        MochaError: it refuses the source.
    """
    nvrtc = require("cuda.bindings.nvrtc")
    flags = (*_FLAGS, f"--gpu-architecture=sm_{architecture}", *only(suffix))
    digest = hashlib.sha256(repr((flags, _version(nvrtc), sorted(_headers().items()))).encode() + source.encode())
    return cached_file(f"kernels/{name}-{digest.hexdigest()[:24]}.cubin", lambda: _compile(nvrtc, source, name, flags))


def only(suffix: str) -> list[str]:
    """What tells a compiler that kernels of one type alone are wanted."""
    numbers = {"f32": 1, "f64": 2, "f16": 3, "bf16": 4}
    return [f"-DMOCHA_ONLY={numbers[suffix]}"] if suffix in numbers else []


def _version(nvrtc: Any) -> tuple[int, int]:
    try:
        error, major, minor = nvrtc.nvrtcVersion()
    except Exception as failure:  # the library itself is loaded by the first call
        raise BackendUnavailable(
            f"NVIDIA's run-time compiler does not load ({failure}). Install it: pip install 'mocha-dl[cuda]'."
        ) from failure
    _checked(nvrtc, error, "nvrtcVersion")
    return major, minor


def _compile(nvrtc: Any, source: str, name: str, flags: tuple[str, ...]) -> bytes:
    headers = _headers()
    error, program = nvrtc.nvrtcCreateProgram(
        source.encode(), f"{name}.cu".encode(), len(headers), list(headers.values()), [n.encode() for n in headers]
    )
    _checked(nvrtc, error, "nvrtcCreateProgram")
    try:
        (error,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
        if error != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise MochaError(f"the kernels of {name}.cu do not compile:\n{_log(nvrtc, program)}")
        error, size = nvrtc.nvrtcGetCUBINSize(program)
        _checked(nvrtc, error, "nvrtcGetCUBINSize")
        cubin = b" " * size
        (error,) = nvrtc.nvrtcGetCUBIN(program, cubin)
        _checked(nvrtc, error, "nvrtcGetCUBIN")
        return bytes(cubin)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _log(nvrtc: Any, program: Any) -> str:
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    return bytes(log).rstrip(b"\0 ").decode(errors="replace")


def _checked(nvrtc: Any, error: Any, what: str) -> None:
    if error != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise MochaError(f"NVIDIA's run-time compiler failed: {what}: {error.name}.")
