"""From a program to the steps that a device does."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mocha import ops
from mocha.backends.cuda.chains import (
    HEADERS,
    Chain,
    Kernel,
    Range,
    Uses,
    find_chains,
    find_roots,
    launched,
    renamed,
    write_kernel,
)
from mocha.backends.cuda.launches.catalogue import FAMILY_OF, PLANNERS
from mocha.backends.cuda.launches.plan import Plan, shared_out
from mocha.backends.cuda.memory import Memory
from mocha.backends.cuda.products.spec import (
    HALVES,
    Activation,
    ConvolutionProduct,
    Numbers,
    Pass,
    ProductSpec,
    Unsupported,
    product_of,
)
from mocha.backends.cuda.steps import ArrayStep, InScratch, KernelStep, Lists, Place, ProductStep, Step
from mocha.backends.lowering.calls import Call
from mocha.backends.lowering.catalogue import lower_node
from mocha.backends.lowering.update import merge_updates
from mocha.errors import BackendUnavailable, MochaError, ShapeError
from mocha.graph import Kind, Node, Program, Section, Value
from mocha.ops import Gradient, Op, Recast

if TYPE_CHECKING:
    from mocha.backends.cuda import CudaBackend, Numerics

_MOST_ELEMENTS = 2**31 - 1
_ALIGNMENT = 256

ArrayCode = Callable[[Node, bool], Callable[[int], None]]
"""Makes what does a node in array code, on the host or on the device."""


class Compiler:
    """Makes the steps of one program.

    Args:
        program: the program.
        backend: whose numerics and device.
        aliases: values without memory of their own -> the value whose memory they are.
        place: where a value lies.
        array_code: see `ArrayCode`.
        trouble: where kernels say that their data are wrong.

    Attributes:
        steps: all of them, section by section.
    """

    def __init__(
        self,
        program: Program,
        backend: CudaBackend,
        aliases: Mapping[Value, Value],
        place: Callable[[Value], Place],
        array_code: ArrayCode,
        trouble: Memory,
    ) -> None:
        self._program = program
        self._backend, self._device = backend, backend.device
        self._place, self._array_code, self._trouble = place, array_code, trouble
        self._aliases = aliases
        self.steps: dict[Section, list[Step]] = {section: [] for section in Section}
        self._numbers = itertools.count()
        lowered = [(node, lower_for_device(node, program)) for node in program.nodes]
        self._roots = find_roots(lowered, self._is_rename)
        self._uses = Uses(program, lowered, self._roots)
        self._generated: list[tuple[KernelStep, Kernel]] = []
        for section in Section:
            self._add_section(section, [entry for entry in lowered if entry[0].section is section])
        self._generate()

    def _add_section(self, section: Section, lowered: Sequence[tuple[Node, list[Call] | None]]) -> None:
        pending: list[tuple[Call, Node]] = []
        for node, calls in lowered:
            if calls is None:
                self._add_calls(section, pending)
                pending = []
                if isinstance(node.op, ops.Constant) and node.outputs[0].dtype.kind == "f" and node.op.data:
                    self._add_constant(section, node, node.op)
                else:
                    self._add_array_code(section, node)
            else:
                pending += [(call, node) for call in calls]
        self._add_calls(section, pending)

    def _add_calls(self, section: Section, pending: Sequence[tuple[Call, Node]]) -> None:
        owner = {id(call): node for call, node in pending}
        last = pending[-1][1] if pending else None
        merged = [(call, owner.get(id(call), last)) for call in merge_updates([call for call, _ in pending])]
        needed = [(call, node) for call, node in merged if node is not None and not self._is_void(call)]
        first_names = [(renamed(call, self._roots), node) for call, node in needed]
        for entry in find_chains(first_names, self._uses, self._range) if self._backend.chains else needed:
            if isinstance(entry, Chain):
                self.steps[section].append(self._chain_step(entry))
                continue
            call, node = entry
            try:
                self.steps[section] += self._steps(call, node)
            except BackendUnavailable as error:
                raise BackendUnavailable(f"layer {node.layer!r}: {error}") from error

    def _is_void(self, call: Call) -> bool:
        """Whether a call has nothing to do."""
        return self._is_rename(call) or not any(value.spec.size for value in call.outputs)

    def _is_rename(self, call: Call) -> bool:
        """Whether a call copies an array onto itself."""
        return call.kernel == "copy" and self._same(*call.inputs, *call.outputs)

    # -- chains

    def _chain_step(self, chain: Chain) -> KernelStep:
        """One generated kernel; its function is made when all of the program's are known."""
        kernel = write_kernel(chain, lambda value: number_type(value, self._program))
        ins, outs = ([self._place(v) for v in values] for values in (kernel.inputs, kernel.outputs))
        plan = Plan((shared_out(launched(kernel.ints[0])),))
        about = "+".join(call.kernel for call in chain.calls)
        step = self._numbered_step(chain.node, about, (), plan, (kernel.ints, kernel.reals, ins, outs))
        self._generated.append((step, kernel))
        return step

    def _generate(self) -> None:
        """Compile all chains of the program at once."""
        if not self._generated:
            return
        texts = sorted({kernel.text for _, kernel in self._generated})
        source = HEADERS + "\n".join(texts)
        for step, kernel in self._generated:
            step.functions = [self._device.generated(source, f"{kernel.name}_{kernel.suffix}")]

    def _range(self, value: Value) -> Range | None:
        """Where a value lies in the arena."""
        start = self._program.memory.offsets.get(self._aliases.get(value, value))
        if start is None:
            return None
        return start, start + value.spec.size * number_type(value, self._program).nbytes

    def _steps(self, call: Call, node: Node) -> list[Step]:
        """The steps of one call."""
        product = _product(call, self._program, self._backend.numerics)
        if product is not None:
            return self._product_steps(product, call, node)
        ins, outs = ([self._place(v) for v in values] for values in (call.inputs, call.outputs))
        return [self._kernel_step(node, call.kernel, self._suffix(call), (call.ints, call.reals, ins, outs))]

    def _kernel_step(
        self,
        node: Node,
        kernel: str,
        suffix: str,
        lists: Lists,
        room: int = 0,
    ) -> KernelStep:
        """A kernel's step; `room` bytes of the scratch memory are there for its arrays."""
        if kernel not in PLANNERS:
            raise MochaError(f"layer {node.layer!r}: the CUDA backend has no kernel {kernel!r}.")
        plan = PLANNERS[kernel](lists[0])
        functions = [
            self._device.function(FAMILY_OF[kernel], f"{kernel}{launch.part and '_'}{launch.part}_{suffix}")
            for launch in plan.launches
        ]
        return self._numbered_step(node, kernel, functions, plan, lists, room)

    def _numbered_step(
        self, node: Node, about: str, functions: Sequence[Any], plan: Plan, lists: Lists, room: int = 0
    ) -> KernelStep:
        """A kernel's step, with a number of its own by which it tells of trouble."""
        trouble, number = self._trouble.address, next(self._numbers)
        return KernelStep(node, about, functions, plan, lists, self._device, trouble, number, room)

    # -- products

    def _product_steps(self, product: ProductSpec, call: Call, node: Node) -> list[Step]:
        """By a library with all that comes behind; or by a library, and that by kernels; or by a kernel alone."""
        ins, outs = ([self._place(v) for v in values] for values in (call.inputs, call.outputs))
        try:
            return self._library_steps(product, call.kernel, node, ins, outs)
        except Unsupported:
            pass
        if product.plain != product:
            with contextlib.suppress(Unsupported):
                steps = self._library_steps(product.plain, call.kernel, node, ins[:2], outs)
                return steps + self._epilogue_steps(product, node, ins, outs)
        if product.numbers not in (Numbers.FLOAT32, Numbers.FLOAT64):
            raise Unsupported(f"no library does {product}. Compute in float32.")
        return [self._kernel_step(node, call.kernel, product.numbers.value, (call.ints, call.reals, ins, outs))]

    def _library_steps(
        self, product: ProductSpec, kernel: str, node: Node, ins: Sequence[Place], outs: Sequence[Place]
    ) -> list[Step]:
        """A product, with the turning and rounding of its filter (and bias) before or behind it.

        Raises:
            Unsupported: the library has none.
        """
        prepared = self._device.products.prepare(product)
        turn = _turned(product)
        if turn is None:
            return [ProductStep(node, kernel, prepared, ins, outs)]
        suffix, each = product.numbers.value, product.numbers.nbytes
        room = _aligned(math.prod(turn) * each)
        beginning = InScratch(0)
        if product.which is Pass.FILTER:
            step = ProductStep(node, kernel, prepared, ins, [beginning], room)
            return [step, self._kernel_step(node, "turn_filters_back", suffix, (turn, (), [beginning], outs), room)]
        steps: list[Step] = []
        given = list(ins)
        at = 1 if product.which is Pass.FORWARD else 0
        steps.append(self._kernel_step(node, "turn_filters", suffix, (turn, (), [ins[at]], [beginning]), room))
        given[at] = beginning
        if len(given) > 2 and each == 2:
            units, behind = turn[0], InScratch(room)
            room += _aligned(units * each)
            steps.append(self._kernel_step(node, "turn_filters", suffix, ((units, 1, 1), (), [ins[2]], [behind]), room))
            given[2] = behind
        return [*steps, ProductStep(node, kernel, prepared, given, outs, room)]

    def _epilogue_steps(
        self, product: ProductSpec, node: Node, ins: Sequence[Place], outs: Sequence[Place]
    ) -> list[Step]:
        """Bias and activation on the result of a product, in place."""
        bias, activation, parameter = product.epilogue
        rows, units = _result(product)
        suffix = product.numbers.value
        steps: list[Step] = []
        if bias:
            lists = (rows, units, 1), (), [outs[0], ins[2]], outs
            steps.append(self._kernel_step(node, "bias_forward", suffix, lists))
        if activation is not Activation.NONE:
            kernel = {Activation.RELU: "relu_forward", Activation.LEAKY_RELU: "leaky_relu_forward"}[activation]
            steps.append(self._kernel_step(node, kernel, suffix, ((rows * units,), (parameter,), outs, outs)))
        return steps

    # -- constants and array code

    def _add_constant(self, section: Section, node: Node, op: ops.Constant) -> None:
        """Kept on the device, and copied to where others may overwrite it."""
        memory = Memory(self._device, len(op.data))
        self._device.upload(memory.address, np.frombuffer(op.data, np.uint8))
        value = node.outputs[0]
        lists = (value.spec.size,), (), [lambda _: memory.address], [self._place(value)]
        suffix = number_type(value, self._program).value
        self.steps[section].append(self._kernel_step(node, "copy", suffix, lists))

    def _add_array_code(self, section: Section, node: Node) -> None:
        on_device = _is_users_own(node.op) and self._backend.device.has_array_code
        run = self._array_code(node, on_device)
        self.steps[section].append(ArrayStep(node, run, self._device, waits=not on_device))

    # -- types

    def _suffix(self, call: Call) -> str:
        """That of the call's kernels: the type of its first floating-point array, or the bytes of what it moves."""
        numbers = numbers_of_call(call, self._program)
        arrays = [v for v in (*call.inputs, *call.outputs) if v.kind is not Kind.SCALAR]
        return numbers.value if numbers else str(arrays[0].dtype.itemsize if arrays else 4)

    def _same(self, a: Value, b: Value) -> bool:
        """Whether two values are the same memory."""
        return self._aliases.get(a, a) is self._aliases.get(b, b) or (
            a in self._program.memory.offsets
            and self._program.memory.offsets[a] == self._program.memory.offsets.get(b, -1)
        )


def lower_for_device(node: Node, program: Program) -> list[Call] | None:
    """The calls that compute a node, those that change the width of numbers among them."""
    if not isinstance(node.op, Recast):
        return lower_node(node, program.layouts)
    x, y = node.inputs[0], node.outputs[0]
    before, after = (program.narrow[v].factor if v in program.narrow else 1.0 for v in (x, y))
    return [Call("narrow" if y in program.narrow else "broaden", (x,), (y,), (y.spec.size,), (after / before,))]


def products_of(program: Program, numerics: Numerics) -> Iterator[ProductSpec]:
    """The products that a program takes, in running order."""
    for node in program.nodes:
        for call in lower_for_device(node, program) or ():
            product = _product(call, program, numerics)
            if product is not None:
                yield product


def _product(call: Call, program: Program, numerics: Numerics) -> ProductSpec | None:
    """The product that a call stands for, if it does."""
    numbers = numbers_of_call(call, program)
    if numbers is None:
        return None
    return product_of(call, numbers, tensor_cores=numerics.tensor_cores, deterministic=numerics.deterministic)


def numbers_of_call(call: Call, program: Program) -> Numbers | None:
    """The type of the floating-point numbers of a call: of 16 bits if any are."""
    values = [v for v in (*call.inputs, *call.outputs) if v.kind is not Kind.SCALAR and v.dtype.kind == "f"]
    found = [number_type(v, program) for v in values]
    return next((n for n in found if n.nbytes == 2), found[0] if found else None)


def number_type(value: Value, program: Program) -> Numbers:
    """How the floating-point numbers of a value are stored."""
    if value in program.narrow:
        return HALVES[program.narrow[value].half]
    return Numbers.FLOAT64 if value.dtype == np.float64 else Numbers.FLOAT32


def _turned(product: ProductSpec) -> tuple[int, int, int] | None:
    """(filters, channels, taps) of a filter that must be turned or rounded before the product; None for as it is."""
    rounded = product.numbers in (Numbers.FLOAT16, Numbers.BFLOAT16)
    if isinstance(product, ConvolutionProduct):
        g = product.geometry
        channels, taps = g.c // g.groups, g.kh * g.kw
        return (g.k, channels, taps) if rounded or (channels > 1 and taps > 1) else None
    return (product.k, product.d, 1) if rounded else None


def _result(product: ProductSpec) -> tuple[int, int]:
    """Rows and columns of a forward product, channels last."""
    if isinstance(product, ConvolutionProduct):
        g = product.geometry
        return g.n * g.out_h * g.out_w, g.k
    return product.n, product.k


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _is_users_own(op: Op) -> bool:
    """Whether an op is not of this package. Ops whose errors are their users' are code of the host."""
    if isinstance(op, Gradient):
        return _is_users_own(op.of)
    if isinstance(op, ops.Chain):
        return any(map(_is_users_own, op.steps))
    return not (type(op).__module__.startswith("mocha.") or op.errors_pass)


def check_sizes(program: Program) -> None:
    """Places in arrays are numbers of 32 bits.

    Raises:
        ShapeError: a value has more elements; its layer is named.
    """
    for value in {v for node in program.nodes for v in (*node.inputs, *node.outputs)}:
        if value.spec.size > _MOST_ELEMENTS:
            layer = value.producer.layer if value.producer else value.name
            raise ShapeError(
                f"layer {layer!r}: {value.spec} has {value.spec.size:,} elements; the CUDA backend takes arrays of at "
                f"most {_MOST_ELEMENTS:,}. Use a smaller batch."
            )
