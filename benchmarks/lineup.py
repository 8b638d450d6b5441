"""Who takes part in a race."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.contestants import Absent, Answer, Entry
from benchmarks.works import Weights, Work

_TORCH = {
    "torch NCHW": {"channels_last": False, "compiled": False},
    "torch channels_last": {"channels_last": True, "compiled": False},
    "torch.compile NCHW": {"channels_last": False, "compiled": True},
    "torch.compile channels_last": {"channels_last": True, "compiled": True},
}


def _lazily(module: str, name: str, *args: Any, **options: Any) -> Callable[[], Any]:
    """Makes a contestant of a module that is loaded only then."""

    def make() -> Any:
        try:
            found = getattr(importlib.import_module(f"benchmarks.{module}"), name)
        except ImportError as error:
            raise Absent(str(error)) from error
        return found(*args, **options)

    return make


def _torch_variants(compiling: bool) -> dict[str, dict[str, bool]]:
    return {name: options for name, options in _TORCH.items() if compiling or not options["compiled"]}


def trainers(
    work: Work,
    backends: Iterable[str],
    yardsticks: Iterable[str],
    threads: int,
    *,
    compiling: bool,
    weights: Weights | None,
) -> list[Entry]:
    """Who can train."""
    entries = []
    if "torch" in yardsticks:
        for name, options in _torch_variants(compiling).items():
            make = _lazily("pytorch", "TorchTrainer", work, threads, weights, **options)
            entries.append(Entry(name, False, make, plain=not options["compiled"]))
    for backend in backends:
        make = _lazily("ours", "OurTrainer", backend, work, threads, weights)
        entries.append(Entry(f"mocha {backend}", True, make))
    return entries


def exact_answer(work: Work, yardsticks: Iterable[str], threads: int) -> Answer | None:
    """What training in float64 gives, if PyTorch is there to tell."""
    if "torch" not in yardsticks:
        return None
    try:
        return _lazily("pytorch", "exact_answer", work, threads)()
    except Absent:
        return None


def predictors(
    work: Work, batch: int, backends: Iterable[str], yardsticks: Iterable[str], threads: int, *, compiling: bool
) -> list[Entry]:
    """Who can predict. The first one's answers are what the others' are compared with."""
    entries = []
    if "torch" in yardsticks:
        for name, options in _torch_variants(compiling).items():
            entries.append(Entry(name, False, _lazily("pytorch", "TorchPredictor", work, threads, batch, **options)))
    engine = partial(_lazily, "engines")
    if "onnxruntime" in yardsticks:
        entries.append(Entry("ONNX Runtime", False, engine("OnnxRuntimePredictor", work, threads, batch)))
    if "openvino" in yardsticks:
        entries.append(Entry("OpenVINO", False, engine("OpenVinoPredictor", work, threads, batch)))
    for backend in backends:
        make = _lazily("ours", "OurPredictor", backend, work, threads, batch)
        entries.append(Entry(f"mocha {backend}", True, make))
    return entries
