"""The state of a training to and from a snapshot.

A snapshot is taken between iterations, when the next batch has been run forward already. It therefore holds the
position of the data *before* that batch, and the random counter likewise: restoring runs that forward pass again, and
goes on as if it had never stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mocha.console import logger
from mocha.errors import FormatError
from mocha.io import Snapshot, newest_snapshot, read_snapshot
from mocha.net import assign_parameters, network_parameters
from mocha.solvers.breaks import CoffeeBreak
from mocha.solvers.policies import Policy

if TYPE_CHECKING:
    from mocha.net import Net
    from mocha.solvers.solver import Solver
    from mocha.solvers.state import SolverState


def capture(solver: Solver, net: Net, state: SolverState) -> Snapshot:
    """All that is needed to go on from here."""
    store = net.backend.store
    keys = [f"{slot}/{p.key}" for p in net.parameters for slot in solver.method.slots]
    return Snapshot(
        parameters=network_parameters(net),
        method=solver.method.name,
        scalars={**state.scalars, "obj_val": state.obj_val},
        state={key: store.read(solver.prefix + key) for key in keys if solver.prefix + key in store},
        iteration=state.iteration,
        seed=net.seed,
        counter=net.counter - 1,
        positions={name: feed.position - 1 for name, feed in net.feeds.items()},
        policies={name: one.state() for name, one in _remembering(solver).items() if one.state()},
    )


def restore(solver: Solver, net: Net, state: SolverState, snapshot: Snapshot, *, policies: bool = True) -> None:
    """Go back to a snapshot. The forward pass is left to the caller.

    Args:
        solver: the solver; its method must be the snapshot's.
        net: the net.
        state: changed in place.
        snapshot: from `capture`, or a plain model file, which has parameters only.
        policies: whether the rate policies and the breaks go back too.

    Raises:
        FormatError: it does not fit the net or the method.
    """
    assign_parameters(net, snapshot.parameters, "snapshot")
    if not snapshot.method:
        return
    if snapshot.method != solver.method.name:
        raise FormatError(
            f"the snapshot was taken by the method {snapshot.method}, but this solver uses {solver.method.name}. To "
            "start anew "
            "from its parameters alone, load them with load_network(path, net) and leave load_from empty."
        )
    store = net.backend.store
    solver.zero_states(net)  # for those that the snapshot lacks
    for key, array in snapshot.state.items():
        if solver.prefix + key in store:
            store.write(solver.prefix + key, array)
    state.iteration = snapshot.iteration
    state.scalars = {name: value for name, value in snapshot.scalars.items() if name != "obj_val"}
    net.reseed(snapshot.seed)
    net.counter = snapshot.counter
    for name, feed in net.feeds.items():
        if name in snapshot.positions:
            feed.seek(snapshot.positions[name])
        else:
            logger().warning("The snapshot knows no data layer %r: its data start at the beginning.", name)
    if policies:
        for name, one in _remembering(solver).items():
            if name in snapshot.policies:
                one.restore(snapshot.policies[name])


def find(load_from: str | Path) -> tuple[Path, Snapshot] | None:
    """What `load_from` names: a file, or the newest readable snapshot of a directory; None if there is nothing yet."""
    path = Path(load_from)
    if is_directory(path):
        return newest_snapshot(path)
    if path.suffix == ".jld":
        raise FormatError(
            f"load_from: {path} is a Julia file; convert it to HDF5 first (one data set <layer>___<parameter> each)."
        )
    if path.is_file():
        return path, read_snapshot(path)
    logger().warning("load_from: there is no file %s; starting anew.", path)
    return None


def is_directory(load_from: str | Path) -> bool:
    """Whether `load_from` names a directory, perhaps one that is still to be made, and not a file."""
    path = Path(load_from)
    return path.is_dir() or not (path.is_file() or path.suffix in (".h5", ".hdf5", ".jld"))


def _remembering(solver: Solver) -> dict[str, Policy | CoffeeBreak]:
    """The policies and the breaks, under the names by which a snapshot knows what they remember."""
    policies = {name: value for name, value in solver.params.items() if isinstance(value, Policy)}
    breaks = {f"{type(s.coffee).__name__} {i}": s.coffee for i, s in enumerate(solver.breaks)}
    return {**policies, **breaks}
