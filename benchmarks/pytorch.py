"""PyTorch as a contestant: eager and compiled, in both orders of memory."""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from benchmarks import torch_nets
from benchmarks.contestants import Absent, Answer, Predictor, Trainer
from benchmarks.works import Weights, Work

COMPILE_SECONDS = 300
"""How long a compilation may take."""


def set_threads(threads: int) -> None:
    """For all that PyTorch does."""
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # it can be set once only, before the first work
        torch.set_num_interop_threads(1)


def forget_compiled() -> None:
    """Compiled programs are counted by source line, and a few are allowed."""
    torch._dynamo.reset()


@contextlib.contextmanager
def _in_time(seconds: int) -> Iterator[None]:
    """Stop what takes longer.

    Raises:
        Absent: it took longer, or failed.
    """

    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    except Exception as error:
        raise Absent(f"torch.compile: {type(error).__name__}: {str(error).strip().splitlines()[0][:160]}") from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _tensor(array: np.ndarray, channels_last: bool) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor


def _net(work: Work, weights: Weights | None, channels_last: bool) -> torch.nn.Module:
    net = torch_nets.build(work.name, weights)
    return net.to(memory_format=torch.channels_last) if channels_last else net


class TorchTrainer(Trainer):
    """The usual loop, on tensors that are there already."""

    def __init__(
        self, work: Work, threads: int, weights: Weights | None, *, channels_last: bool, compiled: bool
    ) -> None:
        set_threads(threads)
        self._work, self._weights, self._channels_last, self._compiled = work, weights, channels_last, compiled
        data, labels = work.examples
        starts = range(0, len(data), work.batch)
        self._batches = [
            (_tensor(data[i : i + work.batch], channels_last), torch.from_numpy(labels[i : i + work.batch]))
            for i in starts
        ]
        self._stream = itertools.cycle(self._batches)
        self._net = _net(work, weights, channels_last)
        self._optimizer = torch_nets.optimizer(self._net)
        self._model = self._net
        self._last = torch.zeros(())
        if compiled:
            with _in_time(COMPILE_SECONDS):
                self._model = torch.compile(self._net, dynamic=False)
                self.step()

    def answer(self) -> Answer:
        net = _net(self._work, self._weights, self._channels_last)
        model = torch.compile(net, dynamic=False) if self._compiled else net
        with _in_time(COMPILE_SECONDS) if self._compiled else contextlib.nullcontext():
            return _answer(self._work, net, model, self._batches[:2])

    def step(self) -> None:
        self._last = _step(self._model, self._optimizer, *next(self._stream))

    def loss(self) -> float:
        return self._last.item()


def _step(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, data: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(model(data), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def exact_answer(work: Work, threads: int) -> Answer:
    """What float64 gives."""
    set_threads(threads)
    data, labels = work.examples
    net = _net(work, work.weights, False).double()
    parts = [slice(i * work.batch, (i + 1) * work.batch) for i in range(2)]
    batches = [(torch.from_numpy(data[part]).double(), torch.from_numpy(labels[part])) for part in parts]
    return _answer(work, net, net, batches)


def _answer(
    work: Work, net: torch.nn.Module, model: torch.nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]
) -> Answer:
    """Two steps of a model, which is the net or the net compiled, without dropout."""
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    optimizer = torch_nets.optimizer(net)
    first, second = (_step(model, optimizer, data, labels).item() for data, labels in batches)
    return Answer((first, second), torch_nets.read(net, work.weights))


class TorchPredictor(Predictor):
    """The net in eval mode, under `inference_mode`."""

    def __init__(self, work: Work, threads: int, batch: int, *, channels_last: bool, compiled: bool) -> None:
        set_threads(threads)
        self._model = _net(work, work.weights, channels_last).eval()
        self._data = _tensor(work.examples[0][:batch], channels_last)
        if compiled:
            with _in_time(COMPILE_SECONDS):
                self._model = torch.compile(self._model, dynamic=False)
                self.predict()

    @torch.inference_mode()
    def predict(self) -> torch.Tensor:
        return self._model(self._data)

    def scores(self) -> np.ndarray:
        return self.predict().contiguous().numpy().copy()
