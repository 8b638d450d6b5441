"""The same ops in PyTorch: each function gives the call to time, which gives the answer to compare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

aten = torch.ops.aten
Call = Callable[[], torch.Tensor]
Tensors = dict[str, torch.Tensor]


def tensors(arrays: dict[str, np.ndarray], channels_last: bool) -> Tensors:
    """The inputs, those of four axes in the order asked for."""
    made = {}
    for name, array in arrays.items():
        tensor = torch.from_numpy(np.array(array))
        last = channels_last and tensor.ndim == 4
        made[name] = tensor.contiguous(memory_format=torch.channels_last) if last else tensor
    return made


def convolution(t: Tensors, *, part: str, stride: int, pad: int, groups: int) -> Call:
    strides, pads, ones = [stride, stride], [pad, pad], [1, 1]
    if part == "forward":
        return lambda: functional.conv2d(t["x"], t["w"], None, strides, pads, ones, groups)
    wanted = [part == "input", part == "weights", False]
    place = wanted.index(True)
    return lambda: aten.convolution_backward(
        t["dy"], t["x"], t["w"], None, strides, pads, ones, False, [0, 0], groups, wanted
    )[place]


def product(t: Tensors, *, part: str) -> Call:
    if part == "forward":
        return lambda: functional.linear(t["x"], t["w"])
    if part == "input":
        return lambda: t["dy"] @ t["w"]
    return lambda: t["dy"].t() @ t["x"]


def max_pooling(t: Tensors, *, part: str, kernel: int, stride: int) -> Call:
    window = [kernel, kernel], [stride, stride], [0, 0], [1, 1], True
    _, winners = aten.max_pool2d_with_indices(t["x"], *window)
    if part == "forward":
        return lambda: aten.max_pool2d_with_indices(t["x"], *window)[0]
    dy = t["dy"].to(memory_format=torch.channels_last) if _is_last(t["x"]) else t["dy"]
    return lambda: aten.max_pool2d_with_indices_backward(dy, t["x"], *window, winners)


def mean_pooling(t: Tensors, *, part: str, kernel: int, stride: int) -> Call:
    window = [kernel, kernel], [stride, stride], [0, 0], True, False, None
    if part == "forward":
        return lambda: aten.avg_pool2d(t["x"], *window)
    return lambda: aten.avg_pool2d_backward(t["dy"], t["x"], *window)


def lrn(t: Tensors, *, part: str, size: int, alpha: float, beta: float) -> Call:
    return _differentiated(t, part, lambda x: functional.local_response_norm(x, size, alpha, beta, 1.0))


def relu(t: Tensors, *, part: str) -> Call:
    if part == "forward":
        return lambda: functional.relu(t["x"])
    y = functional.relu(t["x"])
    return lambda: aten.threshold_backward(t["dy"], y, 0)


def dropout(t: Tensors, *, part: str) -> Call:
    _, mask = aten.native_dropout(t["x"], 0.5, True)
    if part == "forward":
        return lambda: aten.native_dropout(t["x"], 0.5, True)[0]
    return lambda: aten.native_dropout_backward(t["dy"], mask, 2.0)


def softmax_loss(t: Tensors, *, part: str) -> Call:
    labels = t["label"].long()
    if part == "forward":
        return lambda: functional.cross_entropy(t["x"], labels)
    return _differentiated(t, part, lambda x: functional.cross_entropy(x, labels))


def sgd(t: Tensors, *, rate: float, momentum: float, decay: float) -> Call:
    """PyTorch's velocity has the opposite sign, and no rate in it."""
    w = torch.nn.Parameter(t["w"].clone())
    w.grad = t["gradient"]
    optimizer = torch.optim.SGD([w], lr=rate, momentum=momentum, weight_decay=decay, fused=True)
    optimizer.state[w]["momentum_buffer"] = t["v"] / -rate

    def call() -> torch.Tensor:
        optimizer.step()
        return w.detach()

    return call


def _is_last(x: torch.Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _differentiated(t: Tensors, part: str, function: Callable[[torch.Tensor], torch.Tensor]) -> Call:
    """A function, or the gradient of its input by the tape, forward not included."""
    if part == "forward":
        return lambda: function(t["x"])
    x = t["x"].requires_grad_()
    y = function(x)
    dy = t.get("dy", torch.ones(()))
    return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)[0]
