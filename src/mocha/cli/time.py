"""`mocha time`: where a net spends its time."""

from __future__ import annotations

import dataclasses
import statistics
import time as clock
from collections.abc import Callable
from pathlib import Path

import click

from mocha.backends import Executable
from mocha.cli.nets import built_in, chosen_backend, from_script, net_options
from mocha.graph import Node, Phase, Program, Section, build_program
from mocha.graph.listing import amount, memory, table
from mocha.net import Net
from mocha.solvers import SGD, LRPolicy, MomPolicy, Solver, make_solver_parameters

Profile = list[tuple[Node, float]]
"""Pairs of a node and the seconds of a step; see `Executable.profile`."""


@click.command()
@net_options
@click.option("--batch", type=click.IntRange(1), help="Examples in a batch; default: what the model is trained with.")
@click.option("--iterations", type=click.IntRange(1), default=20, show_default=True, help="How many to time.")
@click.option("--phase", type=click.Choice(["train", "test"]), default="train", show_default=True, help="What to time.")
def time(
    model: str | None, script: Path | None, backend: str | None, batch: int | None, iterations: int, phase: str
) -> None:
    """Tell where a net spends its time, layer by layer.

    MODEL is a built-in net, lenet unless told, on data without meaning. With --script, the program FILE is executed,
    and must define a function build(backend) that returns a Net.

    An iteration of training goes forward, backward, and updates the parameters; one of testing goes forward only. It is
    run as a whole first, as a training script does it, and then step by step.
    """
    if script is not None and (model is not None or batch is not None):
        raise click.UsageError("--script takes the place of MODEL and of --batch: the program decides both.")
    with chosen_backend(backend) as machine:
        build = built_in(model or "lenet", batch) if script is None else from_script(script)
        with build(machine) as net:
            run = _training(net) if phase == "train" else _testing(net)
            whole, profiles = _measure(net, run, iterations)
            click.echo(
                f"net {net.name!r}, phase {phase}, on the {machine.name} backend ({machine.describe()}), "
                f"{iterations} iterations"
            )
            click.echo(_report(whole, run.executable.program, profiles, _examples(net)))


# -- what is timed


@dataclasses.dataclass(frozen=True)
class _Run:
    """What an iteration is.

    Attributes:
        whole: runs one as a program of the user does.
        executable: what it runs.
        sections: in which order.
    """

    whole: Callable[[], object]
    executable: Executable
    sections: tuple[Section, ...]

    def profile(self, net: Net) -> Profile:
        """Run one step by step, on the next batch."""
        return self.executable.profile(*self.sections, feeds=net.next_batch())


def _training(net: Net) -> _Run:
    """The solver's step: backward, update, and the next batch forward."""
    method = SGD()
    rates = {"lr_policy": LRPolicy.Fixed(1e-4), "mom_policy": MomPolicy.Fixed(0.9)}
    solver = Solver(method, make_solver_parameters(method, **rates))
    state = solver.init_solve(net)
    executable = state.executable
    assert executable is not None
    return _Run(lambda: solver.step(net, state), executable, (Section.BACKWARD, Section.UPDATE, Section.FORWARD))


def _testing(net: Net) -> _Run:
    """The forward section alone, keeping what the last layers give."""
    graph = net.lower(Phase.TEST)
    read = {value for node in graph.nodes for value in node.inputs}
    last = [name for name, value in graph.blobs.items() if value not in read]
    program = build_program(net.name, graph, {}, keep=last, **net.backend.wishes)
    executable = net.executable("time", lambda: program)
    return _Run(lambda: net.run(executable, Section.FORWARD), executable, (Section.FORWARD,))


def _measure(net: Net, run: _Run, iterations: int) -> tuple[list[float], list[Profile]]:
    """Seconds of whole iterations, and profiles of as many, after a tenth of them to warm up."""
    for _ in range(max(1, iterations // 10)):
        run.whole()
    whole = []
    for _ in range(iterations):
        start = clock.perf_counter()
        run.whole()
        whole.append(clock.perf_counter() - start)
    run.profile(net)
    return whole, [run.profile(net) for _ in range(iterations)]


def _examples(net: Net) -> int:
    """Examples in a batch; 0 where nobody can say."""
    sizes = [spec.shape[0] for feed in net.feeds.values() for spec in feed.source.specs.values()]
    return sizes[0] if sizes else 0


# -- how it is told


@dataclasses.dataclass
class _Row:
    """What belongs to one layer and section."""

    ops: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    work: int = 0
    traffic: int = 0

    def cells(self, section: str, layer: str, total: float) -> tuple[str, ...]:
        """One line of the table."""
        share = self.seconds / total if total else 0.0
        return (
            section,
            layer,
            ", ".join(self.ops),
            f"{1e3 * self.seconds:.3f}",
            f"{100 * share:.1f}",
            amount(self.work),
            _per_second(self.work, self.seconds),
            memory(self.traffic),
            _per_second(self.traffic, self.seconds),
        )


def _per_second(number: float, seconds: float) -> str:
    """In units of 10^9."""
    return f"{1e-9 * number / seconds:.1f}" if seconds > 0 and number else ""


def _report(whole: list[float], program: Program, profiles: list[Profile], examples: int) -> str:
    """The table, and the totals below it."""
    rows = _rows(program, profiles)
    total = sum(row.seconds for row in rows.values())
    work = sum(row.work for row in rows.values())
    head = ("section", "layer", "ops", "ms", "%", "operations", "Gop/s", "bytes", "GB/s")
    lines = [table(head, [row.cells(*key, total) for key, row in rows.items()], right=range(3, 9)), ""]
    for section in Section:
        seconds = [row.seconds for key, row in rows.items() if key[0] == section.value]
        if seconds:
            lines.append(f"{section.value:10}{1e3 * sum(seconds):10.3f} ms")
    lines.append(f"{'all steps':10}{1e3 * total:10.3f} ms, {amount(work)} operations, {_per_second(work, total)} Gop/s")
    middle, best, worst = statistics.median(whole), min(whole), max(whole)
    rate = f"{1 / middle:.4g} iterations/s" + (f", {examples / middle:.4g} examples/s" if examples else "")
    lines.append(
        f"{'iteration':10}{1e3 * middle:10.3f} ms as a whole, with its data ({1e3 * best:.3f} to {1e3 * worst:.3f}): "
        f"{rate}"
    )
    return "\n".join(lines)


def _rows(program: Program, profiles: list[Profile]) -> dict[tuple[str, str], _Row]:
    """Section and layer -> its row, in the program's order, by the median time of each step.

    All updates are one row, for a backend may do them in one step.
    """
    rows: dict[tuple[str, str], _Row] = {}
    for node in program.nodes:
        row = rows.setdefault(_key(node), _Row())
        row.work += node.work
        row.traffic += node.traffic
        if node.op.name not in row.ops:
            row.ops.append(node.op.name)
    for steps in zip(*profiles, strict=True):
        rows[_key(steps[0][0])].seconds += statistics.median(seconds for _, seconds in steps)
    return {key: row for key, row in rows.items() if row.seconds}


def _key(node: Node) -> tuple[str, str]:
    updating = node.section is Section.UPDATE
    return node.section.value, "all parameters" if updating else node.layer
