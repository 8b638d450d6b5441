"""The solver: the loop that trains a net, with coffee breaks."""

from __future__ import annotations

import contextlib
import itertools
import math
from pathlib import Path

import numpy as np

from mocha.backends import Executable
from mocha.console import logger
from mocha.errors import ConfigError, StateError
from mocha.graph import Section
from mocha.interrupts import interrupts
from mocha.io import set_aside_snapshots, snapshot_path, write_snapshot
from mocha.net import Net
from mocha.solvers import resume
from mocha.solvers.breaks import CoffeeBreak, Lounge, ScheduledBreak
from mocha.solvers.methods import Parameters, SolverMethod
from mocha.solvers.parameters import check_parameters
from mocha.solvers.program import training_program
from mocha.solvers.state import SolverState
from mocha.visual.page import card, details, facts_table, statistics_element

_numbers = itertools.count()

_GOODBYE = "Interrupted: ending after this iteration. Press Ctrl-C again to stop at once."


class Solver:
    """Trains a net by a method.

    Args:
        method: SGD(), Nesterov(), ...
        params: from `make_solver_parameters`.

    Attributes:
        lounge: where the statistics gather.
        prefix: what the keys of this solver's states in the backend's store start with.

    Raises:
        ConfigError: the parameters do not fit the method.
    """

    def __init__(self, method: SolverMethod, params: Parameters) -> None:
        if not isinstance(method, SolverMethod):
            raise ConfigError(f"Solver: received the method {method!r}; expected one such as SGD().")
        check_parameters(method, params)
        self.method = method
        self.params = params
        self.lounge = Lounge()
        self.prefix = f"solver{next(_numbers)}/"
        self._breaks: list[ScheduledBreak] = []
        self._closing: list[ScheduledBreak] = []

    def add_coffee_break(
        self, coffee: CoffeeBreak, *, every_n_iter: int = 0, every_n_epoch: int = 0, last: bool = False
    ) -> None:
        """Have a break every so often. Breaks of one iteration happen in the order in which they were added.

        Args:
            coffee: the break.
            every_n_iter: at iterations that are a multiple of it, 0 included.
            every_n_epoch: at the first iteration after the number of epochs reached a multiple of it.
            last: after all breaks that are not marked so.
        """
        scheduled = ScheduledBreak(coffee, every_n_iter, every_n_epoch)
        coffee.attach(self)
        (self._closing if last else self._breaks).append(scheduled)

    @property
    def breaks(self) -> list[ScheduledBreak]:
        """All breaks, in the order in which they happen."""
        return self._breaks + self._closing

    def solve(self, net: Net) -> SolverState:
        """Train until `max_iter`, until a break stops it, or until Ctrl-C.

        Each iteration goes backward through the batch that has been run forward, updates the parameters, and runs the
        next batch forward; so the breaks see the objective of the updated parameters.

        Returns:
            the state at the end.
        """
        state = self.init_solve(net)
        try:
            with interrupts(_GOODBYE) as interrupt:
                self._take_breaks(net, state)
                while state.iteration < self.params["max_iter"] and not state.stop_reason:
                    self.step(net, state)
                    self._take_breaks(net, state)
                    if interrupt.asked:
                        self._say_goodbye(net, state)
        finally:
            self.finalize_solve(net, state)
        if state.stop_reason:
            logger().info("Training ended at iteration %d: %s.", state.iteration, state.stop_reason)
        return state

    def init_solve(self, net: Net) -> SolverState:
        """Get ready: load what `load_from` names, and run the first batch forward.

        Raises:
            ConfigError: a break is due after so many epochs, and the net's data have none.
        """
        self._check_epochs(net)
        net.init()
        # before the first update there are no rates yet, but their names are known
        state = SolverState(dict.fromkeys(self.method.scalars(self.params, 1), math.nan))
        with contextlib.ExitStack() as undo:  # of what is begun here, should it fail
            undo.callback(self._forget, net)
            self._executable(net)
            self.zero_states(net)
            for scheduled in self.breaks:
                undo.callback(scheduled.coffee.destroy, net)
                scheduled.coffee.init(net)
            if self.params["load_from"]:
                found = resume.find(self.params["load_from"])
                if found is not None:
                    path, snapshot = found
                    resume.restore(self, net, state, snapshot)
                    state.resumed_from = path
                    logger().info("Loaded %s, going on from iteration %d.", path, state.iteration)
            self._forward(net, state)
            undo.pop_all()
        if net.has_epochs:
            for scheduled in self.breaks:
                scheduled.last_epoch = net.epoch
        return state

    def _check_epochs(self, net: Net) -> None:
        """Refuse breaks that would never happen."""
        for scheduled in self.breaks:
            if not scheduled.every_n_iter and not net.has_epochs:
                name, epochs = type(scheduled.coffee).__name__, scheduled.every_n_epoch
                raise ConfigError(
                    f"add_coffee_break: {name} is due every {epochs} epochs, but the data of the net {net.name!r} are "
                    "endless; give every_n_iter."
                )

    def step(self, net: Net, state: SolverState) -> None:
        """One iteration: backward, update, and the next batch forward."""
        executable = self._executable(net)
        if executable is not state.executable:
            # the program changed under way, by freezing or unfreezing: run the same batch through the new one
            self._back_one_batch(net)
            self._forward(net, state)
        state.iteration += 1
        state.scalars = self.method.scalars(self.params, state.iteration)
        executable.block.set({"iteration": state.iteration, **state.scalars})
        net.run(executable, Section.BACKWARD, Section.UPDATE, Section.FORWARD)
        state.ran(executable)

    def finalize_solve(self, net: Net, state: SolverState) -> None:
        """Tell the breaks that it is over, and forget the training program and the method's states."""
        with contextlib.ExitStack() as endings:  # all of them are done, in this order, also when one of them fails
            endings.callback(self._forget, net)
            for scheduled in reversed(self.breaks):
                endings.callback(scheduled.coffee.destroy, net)

    def _forget(self, net: Net) -> None:
        net.forget(self._key)
        if not net.backend.closed:
            for key in self._state_keys(net):
                net.backend.store.free(key)

    def snapshot(self, net: Net, state: SolverState, directory: str | Path) -> Path:
        """Write all that is needed to go on from here into ``snapshot-<iteration>.h5``, atomically.

        Raises:
            StateError: training has ended, and the method's states are gone.
        """
        if len(self._state_keys(net)) < len(net.trainable()) * len(self.method.slots):
            raise StateError("a snapshot can be taken while training goes on, not after it; use a Snapshot break.")
        path = snapshot_path(directory, state.iteration)
        write_snapshot(path, resume.capture(self, net, state))
        return path

    def zero_states(self, net: Net) -> None:
        """Let the method's states start anew."""
        for key in self._state_keys(net):
            net.backend.store.write(key, np.zeros_like(net.backend.store.read(key)))

    # -- steps of the above

    @property
    def _key(self) -> str:
        """Under which the net keeps the training program."""
        return self.prefix

    def _executable(self, net: Net) -> Executable:
        keep = {blob for scheduled in self.breaks for blob in scheduled.coffee.blobs}
        return net.executable(self._key, lambda: training_program(net, self.method, self.params, keep, self.prefix))

    def _forward(self, net: Net, state: SolverState) -> None:
        executable = self._executable(net)
        net.run(executable, Section.FORWARD)
        state.ran(executable)

    def _back_one_batch(self, net: Net) -> None:
        net.counter -= 1
        for feed in net.feeds.values():
            feed.seek(feed.position - 1)

    def _take_breaks(self, net: Net, state: SolverState) -> None:
        self.lounge.iteration = state.iteration
        epoch = net.epoch if net.has_epochs else 0
        due = [scheduled.coffee for scheduled in self.breaks if scheduled.due(state.iteration, epoch)]
        for coffee in due:
            coffee.enjoy(self.lounge, net, state)
        if state.go_back is not None:
            snapshot, state.go_back = state.go_back, None
            resume.restore(self, net, state, snapshot, policies=False)
            self._forward(net, state)
            where = self.params["load_from"]
            if where and resume.is_directory(where):
                # who resumes from now on goes this way, with what the policies know by now, and not the one left
                set_aside_snapshots(where, later_than=state.iteration)
                self.snapshot(net, state, where)

    def _say_goodbye(self, net: Net, state: SolverState) -> None:
        state.stop("interrupted by Ctrl-C")
        saved = [scheduled.coffee.interrupted(net, state) for scheduled in self.breaks]
        if not any(saved):
            where = self.params["load_from"]
            if where and resume.is_directory(where):
                logger().info("Saved %s.", self.snapshot(net, state, where))
            else:
                logger().warning("Nothing was saved: there is no Snapshot break, and load_from names no directory.")

    def _state_keys(self, net: Net) -> list[str]:
        """The keys of the method's states that are in the store."""
        keys = [f"{self.prefix}{slot}/{p.key}" for p in net.parameters for slot in self.method.slots]
        return [key for key in keys if key in net.backend.store]

    def __repr__(self) -> str:
        limit = self.params["max_iter"]
        ends = "no limit" if limit == math.inf else f"{limit} iterations"
        return f"<solver {self.method.name}, {ends}, {len(self.breaks)} breaks>"

    def _repr_html_(self) -> str:
        params = [(name, repr(value)) for name, value in self.params.items()]
        breaks = [(type(scheduled.coffee).__name__, scheduled.when) for scheduled in self.breaks]
        return card(
            repr(self).strip("<>"),
            details("parameters", facts_table(params)),
            details("coffee breaks", facts_table(breaks)) if breaks else "",
            statistics_element(self.lounge.statistics),
        )
