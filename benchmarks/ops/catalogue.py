"""The ops that are measured, with their inputs. Each has a twin of the same name in `benchmarks.ops.pytorch`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.ops.ours import OurOp, applied, update
from mocha.backends import AbstractBackend
from mocha.ops import LRN, Convolution, Dropout, InnerProduct, MaxPooling, MeanPooling, Op, ReLU, SoftmaxLoss

RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.0005


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: the op with its shapes.
        part: "forward", or what the gradient is of, or "update".
        twin: name of the function in `benchmarks.ops.pytorch`.
        settings: what that function is told beside the arrays.
        arrays: makes the inputs.
        ours: makes our op from a backend and the inputs.
        counted: "flop", or "byte" for what is bound by memory.
        comparable: whether the answers must be equal; random masks are not.
    """

    name: str
    part: str
    twin: str
    settings: Mapping[str, Any]
    arrays: Callable[[], dict[str, np.ndarray]]
    ours: Callable[[AbstractBackend, dict[str, np.ndarray]], OurOp]
    counted: str
    comparable: bool = True


def _normal(**shapes: tuple[int, ...]) -> Callable[[], dict[str, np.ndarray]]:
    def make() -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}

    return make


def _convolutions() -> Iterator[Case]:
    #       name             N   C    H    K   kernel stride pad groups, gradient of the input too
    for name, n, c, size, k, kernel, stride, pad, groups, inner in (
        ("LeNet conv1", 64, 1, 28, 20, 5, 1, 0, 1, False),
        ("LeNet conv2", 64, 20, 12, 50, 5, 1, 0, 1, True),
        ("cifar conv1", 100, 3, 32, 32, 5, 1, 2, 1, False),
        ("cifar conv2", 100, 32, 16, 32, 5, 1, 2, 1, True),
        ("cifar conv3", 100, 32, 8, 64, 5, 1, 2, 1, True),
        ("AlexNet conv1", 32, 3, 227, 96, 11, 4, 0, 1, False),
        ("AlexNet conv2", 32, 96, 27, 256, 5, 1, 2, 2, True),
        ("AlexNet conv3", 32, 256, 13, 384, 3, 1, 1, 1, True),
        ("VGG conv3_2", 8, 256, 56, 256, 3, 1, 1, 1, True),
        ("ResNet 1x1", 16, 256, 56, 64, 1, 1, 0, 1, True),
        ("depthwise", 16, 128, 56, 128, 3, 1, 1, 128, True),
        ("depthwise", 16, 128, 56, 128, 3, 2, 1, 128, True),
    ):
        out = (size + 2 * pad - kernel) // stride + 1
        x, w, dy = (n, c, size, size), (k, c // groups, kernel, kernel), (n, k, out, out)
        op = Convolution((stride, stride), (pad, pad), (1, 1), groups)
        title = f"{name} {n}x{c}x{size}x{size}, {k}@{kernel}x{kernel}"
        title += f" s{stride}" * (stride > 1) + f" p{pad}" * (pad > 0) + f" g{groups}" * (groups > 1)
        settings = {"stride": stride, "pad": pad, "groups": groups}
        counted = "byte" if groups == c > 1 else "flop"
        yield from _parts(title, op, "convolution", settings, _normal(x=x, w=w, dy=dy), counted, inner, weights=True)


def _products() -> Iterator[Case]:
    for n, d, k in ((64, 800, 500), (100, 784, 1200), (100, 1200, 1200), (32, 9216, 4096)):
        arrays = _normal(x=(n, d), w=(k, d), dy=(n, k))
        title = f"inner product {n}x{d}x{k}"
        yield from _parts(title, InnerProduct(), "product", {}, arrays, "flop", True, weights=True)


def _parts(
    title: str,
    op: Op,
    twin: str,
    settings: dict[str, Any],
    arrays: Callable[[], dict[str, np.ndarray]],
    counted: str,
    inner: bool,
    *,
    weights: bool = False,
    comparable: bool = True,
) -> Iterator[Case]:
    """Forward, the gradient of the input if `inner`, the gradient of the weights if there are any."""
    stored = ("w",) if weights else ()
    parts = {"forward": ""} | ({"input": "x"} if inner else {}) | ({"weights": "w"} if weights else {})
    for part, wrt in parts.items():

        def ours(backend: AbstractBackend, given: dict[str, np.ndarray], wrt: str = wrt) -> OurOp:
            return applied(backend, op, given, stored=stored, wrt=wrt)

        yield Case(title, part, twin, {**settings, "part": part}, arrays, ours, counted, comparable)


def _pools() -> Iterator[Case]:
    for kind, twin, shape, kernel, stride in (
        (MaxPooling, "max_pooling", (64, 20, 24, 24), 2, 2),
        (MaxPooling, "max_pooling", (100, 32, 32, 32), 3, 2),
        (MaxPooling, "max_pooling", (32, 96, 55, 55), 3, 2),
        (MeanPooling, "mean_pooling", (100, 32, 16, 16), 3, 2),
    ):
        out = tuple(-(-(n - kernel) // stride) + 1 for n in shape[2:])
        op = kind((kernel, kernel), (stride, stride))
        title = f"{twin.replace('_', ' ')} {'x'.join(map(str, shape))}, {kernel}/{stride}"
        settings = {"kernel": kernel, "stride": stride}
        yield from _parts(title, op, twin, settings, _normal(x=shape, dy=(*shape[:2], *out)), "byte", True)


def _pointwise() -> Iterator[Case]:
    for shape in ((32, 96, 27, 27), (32, 256, 13, 13)):
        op, settings = LRN(5, 1e-4, 0.75, 1.0), {"size": 5, "alpha": 1e-4, "beta": 0.75}
        title = f"LRN {'x'.join(map(str, shape))}"
        yield from _parts(title, op, "lrn", settings, _normal(x=shape, dy=shape), "byte", True)
    for shape in ((64, 500), (100, 32, 32, 32), (32, 96, 55, 55)):
        title = f"ReLU {'x'.join(map(str, shape))}"
        yield from _parts(title, ReLU(), "relu", {}, _normal(x=shape, dy=shape), "byte", True)
    for shape in ((100, 1200), (32, 4096)):

        def dropped(shape: tuple[int, ...] = shape) -> dict[str, np.ndarray]:
            made = _normal(x=shape, dy=shape)()
            return {"x": made["x"], "seed": np.float64(1), "counter": np.float64(1), "dy": made["dy"]}

        op, title = Dropout(0.5, 2.0, 7), f"dropout {'x'.join(map(str, shape))}"
        yield from _parts(title, op, "dropout", {}, dropped, "byte", True, comparable=False)
    for n, classes in ((64, 10), (32, 1000)):

        def scored(n: int = n, classes: int = classes) -> dict[str, np.ndarray]:
            rng = np.random.default_rng(0)
            x = rng.standard_normal((n, classes), np.float32)
            return {"x": x, "label": rng.integers(0, classes, n).astype(np.float32)}

        yield from _parts(f"softmax loss {n}x{classes}", SoftmaxLoss(), "softmax_loss", {}, scored, "byte", True)


def _updates() -> Iterator[Case]:
    for size in (400_000, 37_000_000):

        def ours(backend: AbstractBackend, given: dict[str, np.ndarray]) -> OurOp:
            return update(backend, given, RATE, MOMENTUM, DECAY)

        settings = {"rate": RATE, "momentum": MOMENTUM, "decay": 2 * DECAY}
        arrays = _normal(gradient=(size,), w=(size,), v=(size,))
        yield Case(f"SGD update of {size:,}", "update", "sgd", settings, arrays, ours, "byte")


def cases() -> list[Case]:
    """All, in the order of the table."""
    return [*_convolutions(), *_products(), *_pools(), *_pointwise(), *_updates()]
