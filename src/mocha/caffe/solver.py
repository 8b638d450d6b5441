"""Solvers as pycaffe has them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mocha.backends import Executable
from mocha.caffe.blobs import fit_array
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
        self._folder = Path()
        if isinstance(param_file, (str, Path)):
            self._folder = existing(param_file).parent
            self.param = read_solver(param_file)
            self._default_prefix = Path(param_file).with_suffix("")
        else:
            self.param = param_file
            self._default_prefix = Path("solver")
        self._rate = Rate(self.param)
        method = method_of(self.param, self.kind)
        self._check()
        self.iter = 0
        self._losses: list[float] = []
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._executables: dict[str, Executable] = {}
        self._stop = self._snapshot_asked = False
        seed = self.param.random_seed if self.param.random_seed >= 0 else None
        message, phase_message = self._train_net()
        self.net = Net(phase_message, TRAIN, backend=None, seed=seed, allow_python_layers=allow_python_layers)
        self.test_nets = [
            Net(net, TEST, backend=self.net.backend, seed=seed, allow_python_layers=allow_python_layers)
            for net in self._test_nets(message)
        ]
        self._training = Training(self.net.engine, self.param, method)
        for weights in self.param.weights:
            for path in weights.split(","):
                self.net.copy_from(path)

    def _check(self) -> None:
        p = self.param
        if p.average_loss < 1 or p.iter_size < 1:
            raise ConfigError(
                f"solver: average_loss is {p.average_loss}, iter_size {p.iter_size}; expected numbers >= 1."
            )

    # -- nets

    def _read(self, path: str) -> Any:
        """A net's file, from the working directory or from the solver's folder."""
        return read_net(path if Path(path).is_file() or not (self._folder / path).is_file() else self._folder / path)

    def _train_net(self) -> tuple[Any, Any]:
        """What test nets may be made of too, and the train net, with the state in which layers are chosen."""
        p = self.param
        given = [name for name in ("net", "net_param", "train_net", "train_net_param") if p.HasField(name)]
        if len(given) != 1:
            raise ConfigError(
                f"solver: {', '.join(given) or 'no net'}; expected exactly one of net, net_param, train_net and "
                "train_net_param."
            )
        source = getattr(p, given[0])
        message = self._read(source) if isinstance(source, str) else source
        return message if given[0] in ("net", "net_param") else None, _in_state(message, p, "train_state")

    def _test_nets(self, common: Any) -> list[Any]:
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
        return [_with_state(net, state) for net, state in zip(nets, states, strict=True)]

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
        self._losses.clear()
        stop = self.iter + iters
        while self.iter < stop and not self._stop:
            if self._tests_now() and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
            for on_start, _ in self._callbacks:
                on_start()
            loss = self._iteration(last=self.iter + 1 == stop)
            self._losses = [*self._losses, loss][-self.param.average_loss :]
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
        engine, net = self.net.engine, self.net
        if self.param.iter_size == 1 and not any(ready for _, ready in self._callbacks):
            before = self._parameters() if last else None
            executable = self._executable("whole")
            executable.block.set(scalars)
            loss = net.runner.train(executable, Section.FORWARD, Section.BACKWARD, Section.UPDATE)
        else:
            self._clear_gradients()
            loss = 0.0
            executable = self._executable("accumulating")
            for _ in range(self.param.iter_size):
                loss += net.runner.train(executable, Section.FORWARD, Section.BACKWARD, Section.UPDATE)
            loss /= self.param.iter_size
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            before = self._parameters() if last else None
            self._run_update(scalars)
        engine.backend.store.changed()
        if before is not None:
            net.runner.show_updates(before)
        self.iter += 1
        self._shown_rate = rate
        return loss

    def _run_update(self, scalars: dict[str, float]) -> None:
        update = self._executable("updating")
        update.block.set(scalars)
        update.run(Section.UPDATE)

    def _executable(self, what: str) -> Executable:
        if what not in self._executables:
            training = self._training
            make = {"whole": lambda: training.whole(None), "accumulating": lambda: training.accumulating(None),
                    "updating": training.updating}[what]  # fmt: skip
            self._executables[what] = self.net.backend.compile(make())
        return self._executables[what]

    def _parameters(self) -> dict[str, Array]:
        store = self.net.backend.store
        return {p.key: store.read(p.key) for p in self.net.engine.learning()}

    def _clear_gradients(self) -> None:
        store = self.net.backend.store
        for parameter in self.net.engine.learning():
            key = self._training.state("gradient", parameter)
            if key in store:
                store.write(key, np.zeros_like(store.read(key)))

    def apply_update(self) -> None:
        """One update by the gradients that `net.params` have now: for passes that a script runs itself."""
        update = self._executable("updating")
        store = self.net.backend.store
        for parameter in self.net.engine.learning():
            store.write(self._training.state("gradient", parameter), self.net.runner.parameter_blob(parameter).diff)
        update.block.set(self._training.method.scalars(self._rate.at(self.iter), self.iter))
        update.run(Section.UPDATE)
        store.changed()
        self.iter += 1

    def solve(self, resume: str | Path | None = None) -> None:
        """Train until `max_iter`, from the beginning or from a solver's state."""
        if resume:
            self.restore(resume)
        logger().info("Solving %s", self.net.name)
        logger().info("Learning Rate Policy: %s", self.param.lr_policy)
        start = self.iter
        self.step(max(0, self.param.max_iter - self.iter))
        if self.param.snapshot_after_train and (not self._due(self.param.snapshot) or self.iter == start):
            self.snapshot()
        if self._stop:
            logger().info("Optimization stopped early.")
            return
        if self._due(self.param.display):
            logger().info("Iteration %d, loss = %g", self.iter, self.net.forward_loss())
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
        logger().info("Iteration %d, loss = %g", iteration, np.mean(self._losses))
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
            logger().info("Test loss: %g", loss / batches)
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

    def _path(self, ending: str) -> Path:
        prefix = Path(self.param.snapshot_prefix) if self.param.snapshot_prefix else self._default_prefix
        if prefix.is_dir():
            prefix = prefix / self._default_prefix.name
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
            for executable in self._executables.values():
                endings.callback(executable.close)


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


def get_solver(param_file: Any) -> Solver:
    """The solver of the type that the file says."""
    solver = Solver(param_file)
    solver.__class__ = {cls.kind: cls for cls in Solver.__subclasses__()}.get(solver.type, Solver)
    return solver


def _in_state(net: Any, param: Any, field: str) -> Any:
    return _with_state(net, getattr(param, field) if param.HasField(field) else None)


def _with_state(net: Any, state: Any) -> Any:
    """The net with a state of the solver's merged into its own."""
    merged = caffe_pb2.NetParameter()
    merged.CopyFrom(net)
    if state is not None:
        merged.state.MergeFrom(state)
    return merged
