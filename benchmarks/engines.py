"""Engines that only predict: ONNX Runtime and OpenVINO, on models that PyTorch exported."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np

from benchmarks.contestants import Absent, Predictor
from benchmarks.works import Work

OPSET = 17


def _export(work: Work, batch: int, folder: Path) -> Path:
    """The net with its weights, for this size of batch alone, which leaves the engine most to plan ahead."""
    try:
        import onnx  # noqa: F401  the exporter needs it
        import torch

        from benchmarks import torch_nets
    except ImportError as error:
        raise Absent(f"no model to run: the export needs {error.name}") from error
    path = folder / f"{work.name}-{batch}.onnx"
    net = torch_nets.build(work.name, work.weights).eval()
    data = torch.from_numpy(work.examples[0][:batch].copy())
    with warnings.catch_warnings(), torch.no_grad():
        # the exporter by tracing: it needs no further package, and knows how to write a single LRN
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (data,), str(path), opset_version=OPSET, dynamo=False, input_names=["data"], output_names=["scores"]
        )
    return path


class OnnxRuntimePredictor(Predictor):
    """ONNX Runtime's processor provider."""

    def __init__(self, work: Work, threads: int, batch: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise Absent(str(error)) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            path = _export(work, batch, Path(folder))
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, ["CPUExecutionProvider"])
        self._data = {"data": work.examples[0][:batch].copy()}

    def predict(self) -> np.ndarray:
        return self._session.run(None, self._data)[0]


class OpenVinoPredictor(Predictor):
    """OpenVINO's processor plugin, in float32: by itself it takes bfloat16 where the processor has it."""

    def __init__(self, work: Work, threads: int, batch: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise Absent(str(error)) from error
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        with tempfile.TemporaryDirectory() as folder:
            path = _export(work, batch, Path(folder))
            core = openvino.Core()
            model = core.read_model(path.read_bytes(), b"")
            self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._data = work.examples[0][:batch].copy()

    def predict(self) -> np.ndarray:
        return self._request.infer([self._data], share_inputs=True, share_outputs=True)[0]
