"""Chains: neighbouring calls that treat element by element become one generated kernel, which reads each array once.

What lies between the calls of a chain is kept in registers, and is not written at all where nobody else reads it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from mocha.backends.cuda.products.spec import Numbers
from mocha.backends.lowering.calls import Call
from mocha.graph import Kind, Node, Program, Value

NumbersOf = Callable[[Value], Numbers]
Range = tuple[int, int]
"""The first byte of an array in the arena, and the first one behind it."""


class Expression(NamedTuple):
    """What a call does to one element.

    Attributes:
        text: in C++: {0}, {1}, ... are elements of the inputs, {r0}, {r1}, ... the call's real attributes.
        by_channel: the inputs that have one number a channel; the call's whole numbers are {outer, channels, inner}
            then, and else begin with the number of elements.
    """

    text: str
    by_channel: tuple[int, ...] = ()


# Products are rounded by themselves, as in the calls' own kernels: two that must cancel would not do so if one were
# joined with the sum behind it into one operation.
EXPRESSIONS: dict[str, Expression] = {
    "copy": Expression("{0}"),
    "narrow": Expression("{0} * {r0}"),
    "broaden": Expression("{0} * {r0}"),
    "relu_forward": Expression("relu({0}, {r0})"),
    "relu_backward": Expression("relu_back({0}, {1}, {r0})"),
    "leaky_relu_forward": Expression("leaky_relu({0}, {r0})"),
    "leaky_relu_backward": Expression("leaky_relu_back({0}, {1}, {r0})"),
    "sigmoid_forward": Expression("sigmoid({0})"),
    "sigmoid_backward": Expression("sigmoid_back({0}, {1})"),
    "tanh_forward": Expression("tanh({0})"),
    "tanh_backward": Expression("tanh_back({0}, {1})"),
    "exp_forward": Expression("exp({0})"),
    "log_forward": Expression("log({0})"),
    "log_backward": Expression("{1} / {0}"),
    "abs_forward": Expression("fabs({0})"),
    "abs_backward": Expression("{1} * sign({0})"),
    "power_forward": Expression("power({0}, {r0}, {r1}, {r2})"),
    "power_backward": Expression("power_back({0}, {1}, {r0}, {r1}, {r2})"),
    "scale": Expression("rounded_product({0}, {r0})"),
    "add": Expression("{0} + {1}"),
    "subtract": Expression("{0} - {1}"),
    "multiply": Expression("rounded_product({0}, {1})"),
    "divide": Expression("{0} / {1}"),
    "elu_forward": Expression("elu({0}, {r0})"),
    "elu_backward": Expression("elu_back({0}, {1}, {r0})"),
    "softplus_forward": Expression("softplus({0})"),
    "swish_forward": Expression("swish({0}, {r0})"),
    "swish_backward": Expression("swish_back({0}, {1}, {r0})"),
    "clip_forward": Expression("clip({0}, {r0}, {r1})"),
    "clip_backward": Expression("clip_back({0}, {1}, {r0}, {r1})"),
    "bias_forward": Expression("{0} + {1}", (1,)),
    "scale_channels": Expression("rounded_product({0}, {1})", (1,)),
    "prelu_forward": Expression("leaky_relu({0}, {1})", (1,)),
    "batch_norm_test_forward": Expression("({0} - {1}) * (R(1) / sqrt({2} + {r0}))", (1, 2)),
    "batch_norm_test_backward": Expression("{1} * (R(1) / sqrt({0} + {r0}))", (0,)),
}
"""The calls that can be part of a chain. `sum_forward` is one, too."""

_TYPES = {Numbers.FLOAT32: "float", Numbers.FLOAT64: "double", Numbers.FLOAT16: "half", Numbers.BFLOAT16: "bfloat"}


def expression_of(call: Call) -> Expression | None:
    """What a call does to one element; None for one that does not treat element by element."""
    if any(v.kind is Kind.SCALAR or v.dtype.kind != "f" for v in (*call.inputs, *call.outputs)):
        return None
    if call.kernel == "sum_forward":
        return Expression(" + ".join(f"{{{k}}}" for k in range(len(call.inputs))))
    return EXPRESSIONS.get(call.kernel)


class Chain(NamedTuple):
    """Calls that one kernel does.

    Attributes:
        calls: in order.
        node: the last one's.
        hidden: the values that need not be written.
    """

    calls: tuple[Call, ...]
    node: Node
    hidden: frozenset[Value]


Lowered = Sequence[tuple[Node, Sequence[Call] | None]]
"""Each node of a program with its calls; None for one in array code."""


def find_roots(lowered: Lowered, is_rename: Callable[[Call], bool]) -> dict[Value, Value]:
    """Values that are another name for what was computed before -> that value: views, and copies in place.

    Args:
        lowered: in running order.
        is_rename: whether a call copies an array onto itself.
    """
    roots: dict[Value, Value] = {}
    for node, calls in lowered:
        if calls == [] and node.op.is_view:
            roots.update((out, roots.get(node.inputs[0], node.inputs[0])) for out in node.outputs)
        for call in calls or ():
            if is_rename(call):
                roots[call.outputs[0]] = roots.get(call.inputs[0], call.inputs[0])
    return roots


def renamed(call: Call, roots: Mapping[Value, Value]) -> Call:
    """A call that treats element by element, by the first names of what it reads. Others go by shapes, and stay."""
    if expression_of(call) is None:
        return call
    return dataclasses.replace(call, inputs=tuple(roots.get(value, value) for value in call.inputs))


class Uses:
    """Who reads the values of a program, by whatever name.

    Args:
        program: the program.
        lowered: in running order.
        roots: values that are another name for others.
    """

    def __init__(self, program: Program, lowered: Lowered, roots: Mapping[Value, Value]) -> None:
        self._readers: Counter[Value] = Counter()

        def count(values: Iterable[Value]) -> None:
            self._readers.update({roots.get(value, value) for value in values})

        for node, calls in lowered:
            if calls is None:
                count(node.inputs)
            for call in calls or ():
                if call.outputs[0] not in roots:
                    count(call.inputs)
        passing = {value for dying in program.memory.dying for value in dying}
        lasting = {root for name, root in roots.items() if name not in passing}
        self._passing = passing - lasting

    def only_in(self, value: Value, calls: Sequence[Call]) -> bool:
        """Whether nobody but these calls reads a value, now or after the program has run."""
        inside = sum(value in call.inputs for call in calls)
        return value in self._passing and self._readers[value] == inside


def find_chains(
    calls: Sequence[tuple[Call, Node]], uses: Uses, range_of: Callable[[Value], Range | None]
) -> list[tuple[Call, Node] | Chain]:
    """Join neighbours that treat the same elements, if each has something to do with those before it.

    Args:
        calls: in running order, each with its node; their inputs by their first names.
        uses: who reads what.
        range_of: where a value lies in the arena; None for one elsewhere.
    """
    result: list[tuple[Call, Node] | Chain] = []
    group: list[tuple[Call, Node]] = []

    def close() -> None:
        calls = [call for call, _ in group]
        hidden = frozenset(call.outputs[0] for call in calls if uses.only_in(call.outputs[0], calls))
        needed = [group[k] for k in _needed(calls, hidden)]
        if len(needed) > 1:
            result.append(Chain(tuple(call for call, _ in needed), needed[-1][1], hidden))
        else:
            result.extend(needed)
        group.clear()

    for call, node in calls:
        expression = expression_of(call)
        if expression is None or not call.outputs[0].spec.size:
            close()
            result.append((call, node))
            continue
        if group and not _fits([c for c, _ in group], call, expression, range_of):
            close()
        group.append((call, node))
    close()
    return result


def _needed(calls: Sequence[Call], hidden: Collection[Value]) -> list[int]:
    """The numbers of the calls that lead to something that is written."""
    found: list[int] = []
    read: set[Value] = set()
    for k in range(len(calls) - 1, -1, -1):
        out = calls[k].outputs[0]
        if out not in hidden or out in read:
            found.append(k)
            read.update(calls[k].inputs)
    return found[::-1]


def _fits(group: Sequence[Call], call: Call, expression: Expression, range_of: Callable[[Value], Range | None]) -> bool:
    """Whether a call can join: the same elements, something in common, no memory that two elements meet in."""
    if call.outputs[0].spec.size != group[0].outputs[0].spec.size:
        return False
    if len(group) == _MOST_CALLS:
        return False
    known = {value for other in group for value in (*other.inputs, *other.outputs)}
    if not known.intersection(call.inputs):
        return False
    if any(call.inputs[k] in _made(group) for k in expression.by_channel):
        return False
    geometries = {_geometry(c) for c in (*group, call)} - {None}
    return len(geometries) <= 1 and _apart([*group, call], range_of)


_MOST_CALLS = 12


def _made(group: Sequence[Call]) -> set[Value]:
    return {value for call in group for value in call.outputs}


def _geometry(call: Call) -> tuple[int, ...] | None:
    """(channels, inner) of a call with numbers by channel."""
    expression = expression_of(call)
    return call.ints[1:3] if expression and expression.by_channel else None


def _apart(group: Sequence[Call], range_of: Callable[[Value], Range | None]) -> bool:
    """Whether what is written for one element is not read for another one, and all is read before it is written."""
    written = [range_of(value) for call in group for value in call.outputs]
    touched: list[tuple[Range | None, bool]] = []
    loaded: set[Value] = set()
    before: list[Range | None] = []
    for call in group:
        expression = expression_of(call)
        assert expression is not None
        for k, value in enumerate(call.inputs):
            if value not in loaded and any(_meet(range_of(value), place) for place in before):
                return False  # a kernel reads it at first; here it is another name for what was just written
            touched.append((range_of(value), k in expression.by_channel))
        touched += [(range_of(value), False) for value in call.outputs]
        loaded.update((*call.inputs, *call.outputs))
        before += [range_of(value) for value in call.outputs]
    for place in written:
        for other, by_channel in touched:
            if _meet(place, other) and (by_channel or place != other):
                return False
    return True


def _meet(a: Range | None, b: Range | None) -> bool:
    """Whether two ranges have a byte in common."""
    return a is not None and b is not None and a[0] < b[1] and b[0] < a[1]


class Kernel(NamedTuple):
    """A generated kernel.

    Attributes:
        name: of its function, without the suffix.
        suffix: the type that it computes with.
        text: its source.
        ints: {elements, channels, inner}.
        reals: all calls' real attributes.
        inputs: what it reads.
        outputs: what it writes.
    """

    name: str
    suffix: str
    text: str
    ints: tuple[int, ...]
    reals: tuple[float, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def write_kernel(chain: Chain, numbers_of: NumbersOf) -> Kernel:
    """The kernel of a chain."""
    reals: list[float] = []
    inputs: dict[Value, bool] = {}  # value -> whether it has one number a channel
    names: dict[Value, str] = {}
    lines: list[str] = []
    for call in chain.calls:
        expression = expression_of(call)
        assert expression is not None
        operands = []
        for k, value in enumerate(call.inputs):
            if value not in names:
                inputs.setdefault(value, k in expression.by_channel)
                names[value] = f"x{list(inputs).index(value)}"
            operands.append(names[value])
        named = {f"r{k}": f"r{len(reals) + k}" for k in range(len(call.reals))}
        reals += call.reals
        result = f"v{len(lines)}"
        lines.append(f"const R {result} = {expression.text.format(*operands, **named)};")
        names[call.outputs[0]] = result
    outputs = {c.outputs[0]: names[c.outputs[0]] for c in chain.calls if c.outputs[0] not in chain.hidden}
    geometry: tuple[int, ...] = next((g for g in map(_geometry, chain.calls) if g is not None), (1, 1))
    types = {value: numbers_of(value) for value in (*inputs, *outputs)}
    double = Numbers.FLOAT64 in types.values()
    body = _body(lines, inputs, outputs, types, len(reals))
    name = "chain_" + hashlib.sha256(body.encode()).hexdigest()[:16]
    suffix = Numbers.FLOAT64.value if double else Numbers.FLOAT32.value
    text = body.replace("NAME", name) + f"\nMOCHA_ENTRY({name}, {suffix}, {'double' if double else 'float'})\n"
    size = chain.calls[0].outputs[0].spec.size
    return Kernel(name, suffix, text, (size, *geometry), tuple(reals), tuple(inputs), tuple(outputs))


HEADERS = '#include "channels.cuh"\n#include "functions.cuh"\n#include "map.cuh"\n'
"""What generated kernels stand behind."""


def _body(
    lines: Sequence[str],
    inputs: dict[Value, bool],
    outputs: dict[Value, str],
    types: dict[Value, Numbers],
    reals: int,
) -> str:
    """Four neighbouring elements by each thread, and the rest one by one."""
    pointers, packs, elements, rest, stores, rest_stores, keeps = [], [], [], [], [], [], []
    for k, (value, by_channel) in enumerate(inputs.items()):
        kind = _TYPES[types[value]]
        pointers.append(f"const {kind}* in{k} = step.in<{kind}>({k});")
        if by_channel:
            elements.append(f"const R x{k} = get(in{k}[channel(4 * p + k)]);")
            rest.append(f"const R x{k} = get(in{k}[channel(i)]);")
        else:
            packs.append(f"const Few<{kind}, 4> pack{k} = load_few<4>(in{k} + 4 * p);")
            elements.append(f"const R x{k} = get(pack{k}.at[k]);")
            rest.append(f"const R x{k} = get(in{k}[i]);")
    for k, (value, name) in enumerate(outputs.items()):
        kind = _TYPES[types[value]]
        pointers.append(f"{kind}* out{k} = step.out<{kind}>({k});")
        packs.append(f"Few<{kind}, 4> made{k};")
        keeps.append(f"made{k}.at[k] = put<{kind}>({_rounded(name, kind)});")
        stores.append(f"store_few(out{k} + 4 * p, made{k});")
        rest_stores.append(f"out{k}[i] = put<{kind}>({_rounded(name, kind)});")
    numbers = [f"const R r{k} = static_cast<R>(step.real({k}));" for k in range(reals)]
    if any(inputs.values()):
        numbers.append("const Index channels = step.at(1), inner = step.at(2);")
        numbers.append("auto channel = [=](Index i) { return (inner == 1 ? i : i / inner) % channels; };")
    whole = ["each(n / 4, [&](Index p) {", *packs, "#pragma unroll", "for (int k = 0; k < 4; ++k) {"]
    whole += [*elements, *lines, *keeps, "}", *stores, "});"]
    left = ["each(n % 4, [&](Index last) {", "const Index i = n / 4 * 4 + last;", *rest, *lines, *rest_stores, "});"]
    head = ["template <class R>", "__device__ void NAME(const Step& step) {", "const Index n = step.at(0);"]
    return "\n".join([*head, *pointers, *numbers, *whole, *left, "}"])


def _rounded(name: str, kind: str) -> str:
    """A number of type R as `put` takes it."""
    return name if kind in ("float", "double") else f"static_cast<float>({name})"


def launched(size: int) -> int:
    """Elements of a chain that are worth a thread: four each."""
    return max(math.ceil(size / 4), 1)
