"""The machine and the programs on it, and the number of threads, the same for all."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PACKAGES = ("numpy", "torch", "onnx", "onnxruntime", "openvino")


def limit_threads(threads: int) -> None:
    """Tell the libraries how many threads to take. They read it when they are loaded: call this before."""
    loaded = {"numpy", "torch", "mocha"} & sys.modules.keys()
    if loaded:
        raise RuntimeError(f"{', '.join(sorted(loaded))} loaded before the number of threads was set")
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = str(threads)


def describe(threads: int) -> dict[str, object]:
    """What a result must come with."""
    import mocha

    versions = {"mocha": mocha.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    cpu = _cpu()
    flags = cpu.get("flags", "").split()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": " ".join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "cpu": cpu.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": threads,
        "avx2": "avx2" in flags,
        "avx512": "avx512f" in flags,
        "system": f"{platform.system()} {platform.machine()}",
        "load": [round(load, 2) for load in os.getloadavg()],
        "versions": versions,
    }


def _cpu() -> dict[str, str]:
    """The first processor's entry in Linux's list."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n", 1)[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def as_text(machine: dict[str, object]) -> str:
    """For the head of a report."""
    sets = [name for name in ("avx2", "avx512") if machine[name]]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['date']}  {machine['cpu']}, {machine['cores']} processors, {'+'.join(sets) or 'no AVX'}, "
        f"{machine['threads']} threads, load {machine['load'][0]}\n{versions}\n$ {machine['command']}"
    )
