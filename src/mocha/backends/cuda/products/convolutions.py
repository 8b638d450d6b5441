"""Convolutions by cuDNN: a graph for each product, a plan found for it once and kept on disk.

A plan can be built without a GPU, for one that is described: for tests, and to see how much memory it will take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mocha.backends.cuda.cache import store_file
from mocha.backends.cuda.device import Address
from mocha.backends.cuda.errors import DeviceError, OutOfMemory
from mocha.backends.cuda.extra import require
from mocha.backends.cuda.products.spec import Activation, ConvolutionProduct, Numbers, Pass, Unsupported
from mocha.cache import cache_folder

_TRIED = 8  # plans that are timed
_MOST_WORKSPACE = 1 << 30

_X, _W, _BIAS, _Y = 1, 2, 3, 4  # names of the tensors in a graph
_ORDER = {Pass.FORWARD: (_X, _W, _BIAS), Pass.DATA: (_W, _Y), Pass.FILTER: (_X, _Y)}
_RESULT = {Pass.FORWARD: _Y, Pass.DATA: _X, Pass.FILTER: _W}


class Target(NamedTuple):
    """The GPU that plans are built for: one that is there, by a handle, or one that is described.

    Attributes:
        name: of the GPU, in the names of files.
        handle: of cuDNN, or None.
        properties: of `cudnn.create_device_properties`, where there is no handle.
        architecture: 90 for compute capability 9.0.
        clock: times plans: gets what runs one, given addresses; None to take the first one.
    """

    name: str
    handle: int | None
    properties: Any
    architecture: int
    clock: Callable[[Callable[[Sequence[Address], Address], None], Sequence[int], int], float] | None = None


class ConvolutionPlan:
    """A plan, ready to run.

    Attributes:
        workspace: bytes.
        name: what cuDNN calls it.
    """

    def __init__(self, product: ConvolutionProduct, graph: Any, handle: int | None) -> None:
        self._graph, self._handle = graph, handle
        self._names = (*_ORDER[product.which][: _inputs(product)], _RESULT[product.which])
        self.workspace = int(graph.get_workspace_size())
        self.name = ""

    def enqueue(self, inputs: Sequence[Address], outputs: Sequence[Address], workspace: Address) -> None:
        """On the stream of the handle."""
        pointers = dict(zip(self._names, (*inputs, *outputs), strict=True))
        self._graph.execute(pointers, workspace, handle=self._handle)


def find_plan(product: ConvolutionProduct, target: Target) -> ConvolutionPlan:
    """The plan that was found before for such a product on such a GPU; or the fastest one, found now.

    Raises:
        Unsupported: cuDNN has none.
    """
    cudnn = require("cudnn")
    path = cache_folder() / "plans" / f"{_digest(cudnn, product, target)}.json"
    if target.handle is not None and path.exists():
        graph = _new_graph(cudnn, product, target)
        try:
            graph.deserialize(target.handle, path.read_bytes())
            return ConvolutionPlan(product, graph, target.handle)
        except Exception:  # written by another version, or damaged: find it anew
            pass
    graph, name = _best(cudnn, product, target)
    plan = ConvolutionPlan(product, graph, target.handle)
    plan.name = name
    if target.handle is not None:
        store_file(path, bytes(graph.serialize()))
    return plan


def _digest(cudnn: Any, product: ConvolutionProduct, target: Target) -> str:
    key = repr((product, target.name, target.architecture, cudnn.backend_version(), cudnn.__version__))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _inputs(product: ConvolutionProduct) -> int:
    return 2 + (product.which is Pass.FORWARD and product.epilogue.bias)


def _best(cudnn: Any, product: ConvolutionProduct, target: Target) -> tuple[Any, str]:
    """A graph with the fastest plan built."""
    graph, count = _planned(cudnn, product, target)
    if target.clock is None:
        graph.build_plans(cudnn.build_plan_policy.HEURISTICS_CHOICE)
        return graph, graph.get_plan_name_at_index(0)
    best, best_time = -1, float("inf")
    lacking: OutOfMemory | None = None
    sizes = _sizes(product)
    for index in _built(graph, count):
        size = graph.get_workspace_size_plan_at_index(index)
        if size > _MOST_WORKSPACE:
            continue

        def run(pointers: Sequence[Address], workspace: Address, index: int = index) -> None:
            names = (*_ORDER[product.which][: _inputs(product)], _RESULT[product.which])
            given = dict(zip(names, pointers, strict=True))
            graph.execute_plan_at_index(given, workspace, index, handle=target.handle)

        try:
            took = target.clock(run, sizes, size)
        except OutOfMemory as error:
            lacking = error
            continue
        except DeviceError:
            raise
        except RuntimeError:
            continue  # it was built, but it does not run
        if took < best_time:
            best, best_time = index, took
    if best < 0 and lacking is not None:
        raise lacking
    if best < 0:
        raise Unsupported(f"cuDNN has no plan that runs for {product}.")
    graph.build_plan_at_index(best)  # what is built last is what runs
    return graph, graph.get_plan_name_at_index(best)


def _built(graph: Any, count: int) -> Iterator[int]:
    """The first plans that can be built."""
    found = 0
    for index in range(count):
        try:
            graph.build_plan_at_index(index)
        except RuntimeError:
            continue
        yield index
        found += 1
        if found == _TRIED:
            return


def _sizes(product: ConvolutionProduct) -> list[int]:
    """Bytes of the inputs and of the output."""
    g, each = product.geometry, product.numbers.nbytes
    of = {_X: g.n * g.c * g.h * g.w, _Y: g.n * g.k * g.out_h * g.out_w, _W: g.filter_elements, _BIAS: g.k}
    return [of[name] * each for name in (*_ORDER[product.which][: _inputs(product)], _RESULT[product.which])]


def _planned(cudnn: Any, product: ConvolutionProduct, target: Target) -> tuple[Any, int]:
    """A graph with the plans that may do it, and their number."""
    graph = _new_graph(cudnn, product, target)
    try:
        _describe(cudnn, graph, product)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        notes = []
        if not product.tensor_cores and product.numbers is Numbers.FLOAT32:
            note = cudnn.numerical_note
            notes += [
                note.TENSOR_CORE,
                note.DOWN_CONVERT_INPUTS,
                note.REDUCED_PRECISION_REDUCTION,
                note.WINOGRAD,
                note.FFT,
            ]
        if product.deterministic:
            notes.append(cudnn.numerical_note.NONDETERMINISTIC)
        if notes:
            graph.deselect_numeric_notes(notes)
        graph.check_support()
        return graph, int(graph.get_execution_plan_count())
    except (RuntimeError, cudnn.cudnnGraphNotSupportedError) as error:
        reason = str(error).strip().splitlines()
        raise Unsupported(f"cuDNN cannot do {product}: {reason[0] if reason else type(error).__name__}") from error


def _new_graph(cudnn: Any, product: ConvolutionProduct, target: Target) -> Any:
    kind = cudnn.data_type
    types = {
        "io_data_type": _number_type(cudnn, product.numbers),
        "intermediate_data_type": kind.FLOAT,
        "compute_data_type": kind.FLOAT,
    }
    if target.handle is not None:
        return cudnn.pygraph(handle=target.handle, **types)
    return cudnn.pygraph(device_property=target.properties, sm_version=target.architecture, **types)


def _number_type(cudnn: Any, numbers: Numbers) -> Any:
    kind = cudnn.data_type
    return {
        Numbers.FLOAT32: kind.FLOAT,
        Numbers.FLOAT64: kind.DOUBLE,
        Numbers.FLOAT16: kind.HALF,
        Numbers.BFLOAT16: kind.BFLOAT16,
    }[numbers]


def _channels_last(n: int, c: int, h: int, w: int) -> dict[str, list[int]]:
    """Extents and strides of (n, c, h, w) that lies (n, h, w, c)."""
    return {"dim": [n, c, h, w], "stride": [c * h * w, 1, w * c, c]}


def _describe(cudnn: Any, graph: Any, product: ConvolutionProduct) -> None:
    """Write the product into a graph."""
    g = product.geometry
    kind = _number_type(cudnn, product.numbers)
    x = _channels_last(g.n, g.c, g.h, g.w)
    y = _channels_last(g.n, g.k, g.out_h, g.out_w)
    w = _channels_last(g.k, g.c // g.groups, g.kh, g.kw)

    def tensor(uid: int, lying: dict[str, list[int]]) -> Any:
        return graph.tensor(name=f"t{uid}", uid=uid, data_type=kind, **lying)

    how = {
        "padding": [g.pad_h, g.pad_w],
        "stride": [g.stride_h, g.stride_w],
        "dilation": [g.dilation_h, g.dilation_w],
        "compute_data_type": cudnn.data_type.FLOAT,
    }
    if product.which is Pass.FORWARD:
        result, lying = graph.conv_fprop(image=tensor(_X, x), weight=tensor(_W, w), **how), y
        if product.epilogue.bias:
            result = graph.bias(input=result, bias=tensor(_BIAS, _channels_last(1, g.k, 1, 1)))
        if product.epilogue.activation is not Activation.NONE:
            if product.epilogue != (product.epilogue.bias, Activation.RELU, 0.0):
                raise Unsupported("cuDNN is asked for ReLUs with a floor of 0 alone.")
            result = graph.relu(input=result)
    elif product.which is Pass.DATA:
        result, lying = graph.conv_dgrad(loss=tensor(_Y, y), filter=tensor(_W, w), **how), x
    else:
        result, lying = graph.conv_wgrad(image=tensor(_X, x), loss=tensor(_Y, y), **how), w
    result.set_output(True).set_uid(_RESULT[product.which]).set_data_type(kind)
    result.set_dim(lying["dim"]).set_stride(lying["stride"])
