"""Solvers as pycaffe has them."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mocha.backends import AbstractBackend
from mocha.caffe.blobs import fit_array
from mocha.caffe.definition import solver_state
from mocha.caffe.net import TEST, TRAIN, Net, existing
from mocha.caffe.nets import read_net, read_solver
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.rates import Rate
from mocha.caffe.states import SolverState, read_state, write_state
from mocha.caffe.training import Training, method_of
from mocha.console import logger
from mocha.errors import ConfigError, FormatError
from mocha.graph import Section
from mocha.ops import Array


class Solver:
    """Trains a net as the solver's file says.

    Args:
        param_file: a solver's ``.prototxt``, or a `SolverParameter`.
        allow_python_layers: as for `Net`.

    Attributes:
        net: the net in training.
        test_nets: the nets that are tested; they share its parameters.
        iter: updates done so far.
        param: the solver's parameters.

    Raises:
        FormatError: a file is missing or damaged.
        ConfigError: a parameter cannot be.
    """

    kind: ClassVar[str | None] = None
    """The type, whatever the file says; None for what the file says."""

    def __init__(self, param_file: Any, *, allow_python_layers: bool | None = None) -> None:
        self._folder, self._default_prefix = Path(), Path("solver")
        self.param = param_file
        if isinstance(param_file, (str, Path)):
            self._folder = existing(param_file).parent
            self.param = read_solver(param_file)
            self._default_prefix = Path(param_file).with_suffix("")
        elif not isinstance(param_file, caffe_pb2.SolverParameter):
            raise ConfigError(
                f"solver: received {type(param_file).__name__}; expected the path of a file, or a SolverParameter."
            )
        self._rate = Rate(self.param)
        method = method_of(self.param, self.kind)
        self._check()
        self.iter = 0
        self._losses: deque[float] = deque(maxlen=self.param.average_loss)
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._stop = self._snapshot_asked = False
        seed = self.param.random_seed % 2**32 if self.param.random_seed >= 0 else None
        train, tests = self._definitions()
        with contextlib.ExitStack() as failing:

            def made(definition: Any, backend: AbstractBackend | None) -> Net:
                state = definition.state
                net = Net(definition, state.phase, state.level, backend=backend, seed=seed,
                          allow_python_layers=allow_python_layers)  # fmt: skip
                failing.callback(net.close)
                return net

            self.net = made(train, None)
            self.test_nets = [made(test, self.net.backend) for test in tests]
            self._training = Training(self.net.engine, self.param, method)
            for path in (name.strip() for names in self.param.weights for name in names.split(",")):
                for net in (self.net, *self.test_nets):
                    net.copy_from(self._located(path))
            failing.pop_all()
        self._taken = time.perf_counter(), 0

    def _check(self) -> None:
        p = self.param
        if p.average_loss < 1 or p.iter_size < 1:
            raise ConfigError(
                f"solver: average_loss is {p.average_loss}, iter_size {p.iter_size}; expected numbers >= 1."
            )
        if min(p.test_iter, default=0) < 0:
            raise ConfigError(f"solver: test_iter is {list(p.test_iter)}; expected numbers >= 0.")
        folder = next(place for place in self._prefix().absolute().parents if place.exists())
        if p.snapshot > 0 and not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise ConfigError(
                f"solver: snapshot_prefix is {str(self._prefix())!r}; no files can be written to {str(folder)!r}. "
                "Choose another folder."
            )

    # -- nets

    def _located(self, path: str) -> Path:
        """A file that the solver names, in the working directory or in the solver's folder."""
        return Path(path) if Path(path).is_file() or not (self._folder / path).is_file() else self._folder / path

    def _read(self, path: str) -> Any:
        return read_net(existing(self._located(path)))

    def _definitions(self) -> tuple[Any, list[Any]]:
        """The train net and the test nets, each with the state in which its layers are chosen."""
        p = self.param
        given = [name for name in ("net", "net_param", "train_net", "train_net_param") if p.HasField(name)]
        if len(given) != 1:
            raise ConfigError(
                f"solver: {', '.join(given) or 'no net'}; expected exactly one of net, net_param, train_net and "
                "train_net_param."
            )
        source = getattr(p, given[0])
        message = self._read(source) if isinstance(source, str) else source
        state = p.train_state if p.HasField("train_state") else None
        tests = self._test_definitions(message if given[0] in ("net", "net_param") else None)
        return _in_state(message, TRAIN, state), tests

    def _test_definitions(self, common: Any) -> list[Any]:
        p = self.param
        nets = [*p.test_net_param, *(self._read(path) for path in p.test_net)]
        missing = len(p.test_iter) - len(nets)
        if missing > 0 and common is not None:
            nets += [common] * missing
        elif len(p.test_iter) != len(nets):
            raise ConfigError(
                f"solver: {len(p.test_iter)} test_iter entries for {len(nets)} test nets; expected one each."
            )
        if nets and p.test_interval < 1:
            raise ConfigError(
                f"solver: test_interval is {p.test_interval}; expected a number >= 1, for there are test nets."
            )
        if len(p.test_state) not in (0, len(nets)):
            raise ConfigError(f"solver: {len(p.test_state)} test_state entries; expected none or {len(nets)}.")
        states = list(p.test_state) or [None] * len(nets)
        return [_in_state(net, TEST, state) for net, state in zip(nets, states, strict=True)]

    # -- training

    @property
    def lr(self) -> float:
        """The rate of the next update."""
        step = self._rate.current_step
        rate = self._rate.at(self.iter)
        self._rate.current_step = step
        return rate

    @property
    def type(self) -> str:
        """SGD, Adam, ..."""
        return self._training.method.type

    def add_callback(self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any]) -> None:
        """Have functions called before the passes of each iteration, and before each update."""
        self._callbacks.append((on_start, on_gradients_ready))

    def step(self, iters: int) -> None:
        """Do so many iterations, with the tests, lines and snapshots that fall into them."""
        self._step(iters)
        self._stop = False

    def _step(self, iters: int) -> None:
        self._losses.clear()
        stop = self.iter + iters
        while self.iter < stop and not self._stop:
            if self._tests_now() and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
            for on_start, _ in self._callbacks:
                on_start()
            loss = self._iteration(last=self.iter + 1 == stop)
            self._losses.append(loss)
            if self.param.display > 0 and (self.iter - 1) % self.param.display == 0:
                self._display()
            if self._due(self.param.snapshot) or self._snapshot_asked:
                self._snapshot_asked = False
                self.snapshot()

    def _due(self, interval: int) -> bool:
        return interval > 0 and self.iter % interval == 0

    def _tests_now(self) -> bool:
        return bool(self.test_nets) and self._due(self.param.test_interval)

    def _iteration(self, *, last: bool) -> float:
        """Passes and update; gives the mean loss of the passes."""
        rate = self._rate.at(self.iter)
        scalars = self._training.method.scalars(rate, self.iter)
        runner, sections = self.net.runner, (Section.FORWARD, Section.BACKWARD, Section.UPDATE)
        if self.param.iter_size == 1 and not self._callbacks:
            before = self._parameters() if last else None
            loss = runner.train("whole", self._training.whole, scalars, *sections)
            self.net.backend.store.changed()
        else:
            self._clear_gradients()
            passes = [
                runner.train("accumulating", self._training.accumulating, {}, *sections)
                for _ in range(self.param.iter_size)
            ]
            loss = sum(passes) / len(passes)
            if self._callbacks:
                self._show_gradients()
                for _, on_gradients_ready in self._callbacks:
                    on_gradients_ready()
                self._take_gradients()
            before = self._parameters() if last else None
            self._run_update(scalars)
        if before is not None:
            runner.show_updates(before)
        self.iter += 1
        self._shown_rate = rate
        return loss

    def _run_update(self, scalars: dict[str, float]) -> None:
        update = self.net.engine.compiled("updating", self._training.updating)
        update.block.set(scalars)
        update.run(Section.UPDATE)
        self.net.backend.store.changed()

    def _show_gradients(self) -> None:
        """Let the parameters' diff be the gradients that were added up."""
        store = self.net.backend.store
        for parameter in self.net.engine.learning():
            gradient = store.read(self._training.state("gradient", parameter))
            self.net.runner.parameter_blob(parameter).follow_diff(gradient.copy)

    def _take_gradients(self) -> None:
        """Update by what the parameters' diff is."""
        store = self.net.backend.store
        for parameter in self.net.engine.learning():
            store.write(self._training.state("gradient", parameter), self.net.runner.parameter_blob(parameter).diff)

    def _parameters(self) -> dict[str, Array]:
        store = self.net.backend.store
        return {p.key: store.read(p.key) for p in self.net.engine.learning()}

    def _clear_gradients(self) -> None:
        store = self.net.backend.store
        for parameter in self.net.engine.learning():
            key = self._training.state("gradient", parameter)
            if key in store:
                store.write(key, np.zeros(parameter.about.spec.shape, parameter.about.spec.dtype))

    def apply_update(self) -> None:
        """One update by the gradients that `net.params` have now: for passes that a script runs itself."""
        self.net.engine.compiled("updating", self._training.updating)  # it makes the places of the gradients
        self._take_gradients()
        before = self._parameters()
        self._run_update(self._training.method.scalars(self._rate.at(self.iter), self.iter))
        self.net.runner.show_updates(before)
        self.iter += 1

    def solve(self, resume: str | Path | None = None) -> None:
        """Train until `max_iter`, from the beginning or from a solver's state."""
        if resume:
            self.restore(resume)
        logger().info("Solving %s", self.net.name)
        logger().info("Learning Rate Policy: %s", self.param.lr_policy)
        try:
            self._solve()
        finally:
            self._stop = False

    def _solve(self) -> None:
        start = self.iter
        self._step(self.param.max_iter - self.iter)
        if self.param.snapshot_after_train and (not self._due(self.param.snapshot) or self.iter == start):
            self.snapshot()
        if self._stop:
            logger().info("Optimization stopped early.")
            return
        if self._due(self.param.display):
            self._losses.append(self.net.forward_loss())
            logger().info("Iteration %d, loss = %g", self.iter, np.mean(self._losses))
        if self._tests_now():
            self.test_all()
        logger().info("Optimization Done.")

    def stop(self) -> None:
        """End `step` or `solve` after this iteration."""
        self._stop = True

    def ask_for_snapshot(self) -> None:
        """Write a snapshot after this iteration."""
        self._snapshot_asked = True

    # -- what is told

    def _display(self) -> None:
        iteration = self.iter - 1
        now, (then, done) = time.perf_counter(), self._taken
        rate = (iteration - done) / max(now - then, 1e-9)
        self._taken = now, iteration
        logger().info(
            "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
            iteration, rate, now - then, self.param.display, np.mean(self._losses),
        )  # fmt: skip
        weights = self.net.blob_loss_weights
        number = 0
        for name in self.net.outputs:
            for value in np.ravel(self.net.blobs[name].data):
                weighed = f" (* {weights[name]:g} = {weights[name] * value:g} loss)" if weights[name] else ""
                logger().info("    Train net output #%d: %s = %g%s", number, name, value, weighed)
                number += 1
        logger().info("Iteration %d, lr = %g", iteration, self._shown_rate)

    def test_all(self) -> list[dict[str, Array]]:
        """Test each test net; gives the mean outputs of each."""
        return [self.test(i) for i in range(len(self.test_nets))]

    def test(self, index: int = 0) -> dict[str, Array]:
        """The outputs of a test net, averaged over `test_iter` batches."""
        logger().info("Iteration %d, Testing net (#%d)", self.iter, index)
        net, batches = self.test_nets[index], self.param.test_iter[index]
        total: dict[str, Array] = {}
        loss = 0.0
        for _ in range(batches):
            loss += net.forward_loss()
            for name in net.outputs:
                value = np.asarray(net.blobs[name].data, np.float64)
                total[name] = total[name] + value if name in total else value.copy()
        means = {name: value / batches for name, value in total.items()}
        if self.param.test_compute_loss:
            logger().info("Test loss: %g", loss / max(batches, 1))
        number = 0
        for name, mean in means.items():
            weight = net.blob_loss_weights[name]
            for value in np.ravel(mean):
                weighed = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
                logger().info("    Test net output #%d: %s = %g%s", number, name, value, weighed)
                number += 1
        return means

    # -- states

    def _histories(self) -> Iterator[tuple[str, Array]]:
        """Key and values of each state, in the order in which Caffe's files have them."""
        store, training = self.net.backend.store, self._training
        learning = set(self.net.engine.learning())
        for slot in training.method.method.slots:
            for parameter in self.net.engine.learnable():
                key = training.state(slot, parameter)
                if parameter in learning and key not in store:
                    store.allocate(key, np.zeros(parameter.about.spec.shape, parameter.about.spec.dtype))
                spec = parameter.about.spec
                yield key, store.read(key) if key in store else np.zeros(spec.shape, spec.dtype)

    def _prefix(self) -> Path:
        """What the names of snapshots begin with."""
        prefix = Path(self.param.snapshot_prefix) if self.param.snapshot_prefix else self._default_prefix
        return prefix / self._default_prefix.name if prefix.is_dir() else prefix

    def _path(self, ending: str) -> Path:
        prefix = self._prefix()
        return prefix.with_name(f"{prefix.name}_iter_{self.iter}{ending}")

    def snapshot(self) -> None:
        """Write the weights, then the state, in the format that the parameters say."""
        hdf5 = self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5
        model, state = self._path(".caffemodel" + ".h5" * hdf5), self._path(".solverstate" + ".h5" * hdf5)
        logger().info("Snapshotting to %s file %s", "HDF5" if hdf5 else "binary proto", model)
        if hdf5:
            self.net.save_hdf5(model, self.param.snapshot_diff)
        else:
            self.net.save(model)
        history = [self._training.method.sign * values for _, values in self._histories()]
        logger().info("Snapshotting solver state to %s file %s", "HDF5" if hdf5 else "binary proto", state)
        write_state(state, SolverState(self.iter, str(model), history, self._rate.current_step))

    def restore(self, filename: str | Path) -> None:
        """Go on from a state, and from the weights that it names.

        Raises:
            FormatError: the file is missing, damaged, or that of another net or method; nothing has been changed then.
        """
        state = read_state(existing(filename))
        if state.iteration < 0 or state.current_step < 0:
            raise FormatError(
                f"{filename}: iteration {state.iteration}, current_step {state.current_step}; expected numbers >= 0."
            )
        ours = list(self._histories())
        if len(state.history) != len(ours):
            raise FormatError(
                f"{filename}: {len(state.history)} buffers; a solver of type {self.type} for this net has {len(ours)}. "
                "Was it written by another type, or for another net?"
            )
        fitted = [
            (key, fit_array(array, values.shape, f"{filename}: history {i}"))
            for i, ((key, values), array) in enumerate(zip(ours, state.history, strict=True))
        ]
        if state.learned_net:
            self.net.copy_from(self._learned(state.learned_net, Path(filename)))
        store = self.net.backend.store
        for key, array in fitted:
            if key in store:
                store.write(key, (self._training.method.sign * array).astype(np.float32))
        self.iter, self._rate.current_step = state.iteration, state.current_step

    @staticmethod
    def _learned(path: str, state: Path) -> Path:
        """The weights' file, as it was written or beside the state."""
        beside = state.parent / Path(path).name
        return beside if not Path(path).is_file() and beside.is_file() else Path(path)

    def share_weights(self, net: Net) -> None:
        """Let another net have this one's parameters."""
        net.share_with(self.net)

    def close(self) -> None:
        """Stop threads, close files, give memory back."""
        with contextlib.ExitStack() as endings:
            for net in (self.net, *self.test_nets):
                endings.callback(net.close)


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, whatever the file's type."""

    kind: ClassVar[str | None] = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    kind: ClassVar[str | None] = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad."""

    kind: ClassVar[str | None] = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp."""

    kind: ClassVar[str | None] = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta."""

    kind: ClassVar[str | None] = "AdaDelta"


class AdamSolver(Solver):
    """Adam."""

    kind: ClassVar[str | None] = "Adam"


def get_solver(param_file: Any, *, allow_python_layers: bool | None = None) -> Solver:
    """The solver of the type that the file says."""
    solver = Solver(param_file, allow_python_layers=allow_python_layers)
    solver.__class__ = {cls.kind: cls for cls in Solver.__subclasses__()}.get(solver.type, Solver)
    return solver


def _in_state(net: Any, phase: int, state: Any) -> Any:
    """The net with its state: the phase, over that the net's own, over that one of the solver's."""
    merged = caffe_pb2.NetParameter()
    merged.CopyFrom(net)
    merged.state.CopyFrom(solver_state(phase, net, state))
    return merged
