"""Ops made of ops: the gradient of an op, and a chain of ops run as one.

The graph makes them; a layer has no need of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, as_tuple


@dataclasses.dataclass(frozen=True)
class Gradient(Op):
    """The backward of an op, as an op.

    Inputs: what `of.reads` names of its inputs, then of its outputs, then the gradients of its outputs (without the
    auxiliary ones). Outputs: the gradients of the wanted inputs, in order.

    Args:
        of: the op.
        wanted: for each input of it, whether its gradient is asked for.
        inputs: the specs of its inputs.
        outputs: the specs of its outputs.
    """

    of: Op
    wanted: tuple[bool, ...]
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]

    @property
    def name(self) -> str:
        """The op's name with a mark."""
        return f"d{self.of.name}"

    @property
    def saved(self) -> tuple[Sequence[int], Sequence[int]]:
        """The inputs and outputs of the op that are inputs here."""
        return self.of.reads(len(self.inputs), len(self.outputs))

    @property
    def overwrites(self) -> tuple[tuple[int, int], ...]:  # type: ignore[override]
        """A pointwise op's gradient may take over the memory of the gradient that came in."""
        if not self.of.overwrites or not self.wanted[0] or self.inputs[0] != self.outputs[0]:
            return ()
        return ((0, sum(map(len, self.saved))),)

    @property
    def errors_pass(self) -> bool:  # type: ignore[override]
        """As of the op itself."""
        return self.of.errors_pass

    def infer(self, *given: Spec) -> tuple[Spec, ...]:
        """The specs of the wanted inputs."""
        return tuple(spec for spec, want in zip(self.inputs, self.wanted, strict=True) if want)

    def forward(self, *given: Array) -> tuple[Array, ...]:
        """Call the op's own backward."""
        rest = iter(given)
        read_in, read_out = self.saved
        # what is not read stands as its spec: the shape without data
        ins: list[Any] = list(self.inputs)
        outs: list[Any] = list(self.outputs)
        for i in read_in:
            ins[i] = next(rest)
        for i in read_out:
            outs[i] = next(rest)
        result = as_tuple(self.of.backward(list(rest), ins, outs, self.wanted))
        if len(result) != len(self.inputs):
            raise ShapeError(
                f"{self.of.name}.backward returned {len(result)} gradients; expected one for each of its "
                f"{len(self.inputs)} "
                "inputs (None where not wanted)."
            )
        return tuple(g for g, want in zip(result, self.wanted, strict=True) if want)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """As much as forward, for each gradient."""
        return sum(self.wanted) * self.of.work(self.inputs, self.outputs)

    def __str__(self) -> str:
        told = str(self.of)
        which = "" if all(self.wanted) else " for input " + ", ".join(str(i) for i, w in enumerate(self.wanted) if w)
        return f"d{told}{which}"


@dataclasses.dataclass(frozen=True)
class Chain(Op):
    """Several ops in one: the first output of each is the first input of the next. What lies between has no memory.

    Inputs: those of the first op, then the further inputs of each next one. Outputs: those of the last op.

    Args:
        steps: the ops, in order.
        counts: the number of inputs that each takes, the handed-on one included.
    """

    steps: tuple[Op, ...]
    counts: tuple[int, ...]

    @property
    def name(self) -> str:
        """The names of the steps, joined."""
        return "+".join(step.name for step in self.steps)

    def _walk(self, given: Sequence[Any]) -> Iterator[tuple[Op, list[Any]]]:
        """Each step with its inputs, the handed-on one left out."""
        start = 0
        for position, (step, count) in enumerate(zip(self.steps, self.counts, strict=True)):
            own = count if position == 0 else count - 1
            yield step, list(given[start : start + own])
            start += own

    def infer(self, *given: Spec) -> tuple[Spec, ...]:
        """Through the steps."""
        result: tuple[Spec, ...] = ()
        for step, own in self._walk(given):
            result = as_tuple(step.infer(*result[:1], *own))
        return result

    def forward(self, *given: Array) -> tuple[Array, ...]:
        """Through the steps."""
        result: tuple[Array, ...] = ()
        for step, own in self._walk(given):
            result = as_tuple(step.forward(*result[:1], *own))
        return result

    def extended(self, step: Op, count: int) -> Chain:
        """This chain with one more op at its end."""
        return Chain((*self.steps, step), (*self.counts, count))

    @property
    def _offset(self) -> int:
        """Where the last step's further inputs start among the chain's."""
        return sum(self.counts[:-1]) - (len(self.counts) - 2)

    @property
    def updates(self) -> tuple[tuple[int, int], ...]:  # type: ignore[override]
        """Those of the last step."""
        return tuple((out, i - 1 + self._offset) for out, i in self.steps[-1].updates if i > 0)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """The sum over the steps."""
        total, result = 0, ()
        for step, own in self._walk(inputs):
            given = [*result[:1], *own]
            result = as_tuple(step.infer(*given))
            total += step.work(given, result)
        return total

    def __str__(self) -> str:
        return " + ".join(map(str, self.steps))
