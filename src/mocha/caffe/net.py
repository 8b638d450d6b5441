"""Nets as pycaffe has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.backends import AbstractBackend
from mocha.caffe.blob import BlobVec, NetBlob
from mocha.caffe.blobs import fit_array
from mocha.caffe.definition import filtered, net_state, outputs_of, share_multipliers, with_splits, with_tops
from mocha.caffe.engine import Engine, Range
from mocha.caffe.files import file_is_hdf5
from mocha.caffe.layer_types.python import allowing
from mocha.caffe.layer_types.sources import Input, MemoryData
from mocha.caffe.mode import new_backend, random_seed
from mocha.caffe.nets import read_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.runner import Runner
from mocha.caffe.weights import read_weights, write_weights
from mocha.errors import ConfigError, FormatError, ShapeError, did_you_mean
from mocha.graph import Phase
from mocha.ops import Array
from mocha.parameters import Parameter

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


class MissingFile(FormatError, RuntimeError):
    """A file is not there. (pycaffe raises a RuntimeError.)"""


def existing(path: str | Path) -> Path:
    """The path of a file that is there.

    Raises:
        MissingFile: it is not.
    """
    if not Path(path).is_file():
        raise MissingFile(f"Could not open file {path}: there is no such file. Check the path.")
    return Path(path)


class LayerView:
    """A layer of a net: its type and its parameters."""

    def __init__(self, type: str, blobs: BlobVec) -> None:
        self.type = type
        self.blobs = blobs


class Net:
    """A net from its file.

    Args:
        network_file: a ``.prototxt``, or a `NetParameter`.
        phase: `caffe.TRAIN` or `caffe.TEST`. In pycaffe's old form the weights stand here and the phase behind them.
        level: of the state that the layers' rules look at.
        stages: of that state.
        weights: a ``.caffemodel`` or ``.caffemodel.h5``.
        backend: where it runs and who holds its parameters; a new one unless told.
        allow_python_layers: let the net run the Python code that its file names; None for what
            `caffe.allow_python_layers` or `MOCHA_ALLOW_PYTHON_LAYERS` say.

    Attributes:
        blobs: name -> blob, in the order in which layers make them.
        params: name of a layer that has some -> its parameters.
        layers: all layers, with `type` and `blobs`.
        inputs: names of the blobs that the user fills.
        outputs: names of the blobs that no layer uses, sorted.

    Raises:
        FormatError: the file is missing or damaged.
        ConfigError: a layer cannot be.
        ShapeError: shapes do not fit.
    """

    def __init__(
        self,
        network_file: Any,
        phase: Any = None,
        level: Any = 0,
        stages: Iterable[str] | None = None,
        weights: str | Path | None = None,
        *,
        backend: AbstractBackend | None = None,
        seed: int | None = None,
        allow_python_layers: bool | None = None,
    ) -> None:
        if isinstance(phase, (str, Path)):  # pycaffe's old form: file, weights, phase
            weights, phase, level = phase, level, 0
        if phase not in (TRAIN, TEST):
            raise ConfigError(f"Net: phase is {phase!r}; expected caffe.TRAIN or caffe.TEST.")
        if not isinstance(level, int):
            raise ConfigError(f"Net: level is {level!r}; expected a whole number.")
        if isinstance(stages, str):
            raise ConfigError(f"Net: stages is {stages!r}; expected a list of names.")
        message = network_file
        if isinstance(network_file, (str, Path)):
            message = read_net(existing(network_file))
        if not isinstance(message, caffe_pb2.NetParameter):
            raise ConfigError(
                f"Net: received {type(message).__name__}; expected the path of a file, or a NetParameter."
            )
        state = net_state(phase, level, stages or (), message.state if message.HasField("state") else None)
        with allowing(allow_python_layers):
            self._build(
                filtered(message, state),
                Phase.TRAIN if phase == TRAIN else Phase.TEST,
                backend,
                random_seed() if seed is None else seed,
            )
        if weights is not None:
            self.copy_from(weights)

    def _build(self, message: Any, phase: Phase, backend: AbstractBackend | None, seed: int | None) -> None:
        with_tops(message)
        message = with_splits(message)
        self.outputs = outputs_of(message)
        share_multipliers(message)
        self.phase = phase
        self._engine = Engine(message, phase, backend or new_backend(), seed=seed)
        self._engine.initialize()
        self._runner = Runner(self._engine)
        self.name = str(message.name)
        self._layer_names = [str(layer.about.name) for layer in self._engine.layers]
        self.layers = [
            LayerView(layer.kind, BlobVec(self._runner.parameter_blob(p) for p in group))
            for layer, group in zip(self._engine.layers, self._engine.parameters, strict=True)
        ]
        self.inputs = [top for layer in self._engine.layers if isinstance(layer, Input) for top in layer.tops]

    # -- what it is made of

    @property
    def layer_dict(self) -> OrderedDict[str, LayerView]:
        """Name -> layer."""
        return OrderedDict(zip(self._layer_names, self.layers, strict=True))

    @property
    def params(self) -> OrderedDict[str, BlobVec]:
        """Name of a layer that has parameters -> these."""
        return OrderedDict((name, layer.blobs) for name, layer in self.layer_dict.items() if layer.blobs)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Name of a layer -> its tops."""
        return OrderedDict(
            (name, list(layer.tops)) for name, layer in zip(self._layer_names, self._engine.layers, strict=True)
        )

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Name of a layer -> its bottoms."""
        return OrderedDict(
            (name, list(layer.bottoms)) for name, layer in zip(self._layer_names, self._engine.layers, strict=True)
        )

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Name of a blob -> what it counts in the objective."""
        return OrderedDict(self._engine.loss_weights)

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _inputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.outputs]

    @property
    def blobs(self) -> OrderedDict[str, NetBlob]:
        """Name -> blob, in the order in which layers make them."""
        return self._runner.blobs

    @property
    def backend(self) -> AbstractBackend:
        """Where it runs."""
        return self._engine.backend

    @property
    def engine(self) -> Engine:
        """The layers and their programs."""
        return self._engine

    @property
    def runner(self) -> Runner:
        """What runs them."""
        return self._runner

    def _index(self, layer: str) -> int:
        if layer not in self._layer_names:
            raise ConfigError(f"the net has no layer {layer!r}. {did_you_mean(layer, self._layer_names)}")
        return self._layer_names.index(layer)

    # -- running

    def clear_param_diffs(self) -> None:
        """Make the parameters' gradients 0: each backward adds to them."""
        self._runner.clear_diffs()

    def forward_loss(self) -> float:
        """Run all layers forward; gives the sum of the losses."""
        return self._runner.forward(self._runner.everything)

    def forward(
        self, blobs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, Array]:
        """Run layers forward.

        Args:
            blobs: names of further blobs to give back.
            start: name of the first layer; the net's first unless told.
            end: name of the last layer; the net's last unless told.
            **kwargs: name of an input -> array for it; all inputs or none.

        Returns:
            name -> data, of the net's outputs (of the tops of `end`), and of `blobs`.

        Raises:
            ConfigError: there is no such layer or input.
            ShapeError: an array does not fit.
        """
        part = self._range(start, end)
        names = [*(self.outputs if end is None else self._engine.layers[part.last].tops), *(blobs or ())]
        wanted = {name: self._blob(name) for name in names}
        self._fill(kwargs, self.inputs, "input", lambda name: self.blobs[name].data)
        self._runner.forward(part)
        return {name: blob.data for name, blob in wanted.items()}

    def backward(
        self, diffs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **kwargs: Any
    ) -> dict[str, Array]:
        """Run layers backward.

        Args:
            diffs: names of further blobs whose gradients to give back.
            start: name of the layer to begin with, the uppermost; the net's last unless told.
            end: name of the layer to end with; the net's first unless told.
            **kwargs: name of an output -> its gradient; all outputs or none.

        Returns:
            name -> gradient, of the net's inputs (of the bottoms of `end`), and of `diffs`.

        Raises:
            ConfigError: there is no such layer or output.
            ShapeError: an array does not fit.
        """
        part = self._range(end, start)
        names = [*(self.inputs if end is None else self._engine.layers[part.first].bottoms), *(diffs or ())]
        wanted = {name: self._blob(name) for name in names}
        tops = self.outputs if start is None else self._engine.layers[part.last].tops
        self._fill(kwargs, tops, "top", lambda name: self.blobs[name].diff)
        self._runner.backward(part)
        return {name: blob.diff for name, blob in wanted.items()}

    def _range(self, lowest: str | None, uppermost: str | None) -> Range:
        """The layers from one to another; None for the net's first and last."""
        first = 0 if lowest is None else self._index(lowest)
        last = len(self.layers) - 1 if uppermost is None else self._index(uppermost)
        if first > last and self.layers:
            raise ConfigError(f"layer {lowest!r} comes after {uppermost!r}; expected the other way round.")
        return Range(first, last)

    def _blob(self, name: str) -> NetBlob:
        if name not in self.blobs:
            raise ConfigError(f"the net has no blob {name!r}. {did_you_mean(name, self.blobs)}")
        return self.blobs[name]

    def _fill(self, arrays: Mapping[str, Any], names: Sequence[str], what: str, target: Callable[[str], Array]) -> None:
        if not arrays:
            return
        if set(arrays) != set(names):
            raise ConfigError(f"received arrays for {sorted(arrays)}; expected one for each {what}: {sorted(names)}.")
        self._runner.settle()
        checked = {}
        for name, given in arrays.items():
            array, into = np.asarray(given), target(name)
            if array.shape[:1] != into.shape[:1] or not _spreads(array.shape, into.shape):
                raise ShapeError(f"{what} {name!r}: received shape {array.shape}; expected {into.shape}.")
            checked[name] = array, into
        for array, into in checked.values():
            into[...] = array

    def forward_all(self, blobs: Sequence[str] | None = None, **kwargs: Any) -> dict[str, Array]:
        """Run any number of examples forward, in batches of the first input's size.

        Returns:
            name -> array with the results of all examples, of the outputs and of `blobs`.
        """
        collected: dict[str, list[Array]] = {}
        inputs = {name: np.asarray(array) for name, array in kwargs.items()}
        count = self._count(inputs)
        for batch in self._batches(inputs, count):
            for name, array in self.forward(blobs, None, None, **batch).items():
                collected.setdefault(name, []).append(np.array(array))
        return _joined(collected, count)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **kwargs: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run any number of examples forward and backward; arrays are for inputs, and for outputs' gradients.

        Returns:
            results and gradients of all examples, as `forward_all` gives them.
        """
        known = {*self.inputs, *self.outputs}
        if strangers := set(kwargs) - known:
            raise ConfigError(f"received arrays for {sorted(strangers)}; expected some of {sorted(known)}.")
        inputs = {name: np.asarray(kwargs[name]) for name in self.inputs if name in kwargs}
        outer = {name: np.asarray(kwargs[name]) for name in self.outputs if name in kwargs}
        values: dict[str, list[Array]] = {}
        slopes: dict[str, list[Array]] = {}
        count = self._count(inputs)
        if outer:
            self._count(outer)
        for forward, backward in zip(self._batches(inputs, count), self._batches(outer, count), strict=True):
            for name, array in self.forward(blobs, None, None, **forward).items():
                values.setdefault(name, []).append(np.array(array))
            for name, array in self.backward(diffs, None, None, **backward).items():
                slopes.setdefault(name, []).append(np.array(array))
        return _joined(values, count), _joined(slopes, count)

    def _count(self, arrays: Mapping[str, Array]) -> int:
        """How many examples arrays have."""
        counts = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
        if len(counts) != 1 or 0 in counts or not self.inputs or not self.blobs[self.inputs[0]].shape[:1]:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise ShapeError(f"received {shapes}; expected arrays of as many examples, at least 1, for {self.inputs}.")
        return counts.pop()

    def _batches(self, arrays: Mapping[str, Array], count: int) -> Iterable[dict[str, Array]]:
        size = max(1, self.blobs[self.inputs[0]].shape[0])
        for start in range(0, count, size):
            batch = {}
            for name, array in arrays.items():
                piece = array[start : start + size]
                missing = size - len(piece)
                batch[name] = (
                    np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), piece.dtype)]) if missing else piece
                )
            yield batch

    def reshape(self) -> None:
        """Have all blobs follow the new shapes of the inputs.

        Raises:
            ShapeError: a layer cannot follow; the shapes are as before then.
        """
        self._runner.settle()

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Give the MemoryData layer, which must be the first, its data.

        Args:
            data: (n, C, H, W), float32; n a multiple of the batch size.
            labels: n numbers, float32.

        Raises:
            ConfigError: the first layer is another one.
            ShapeError: the arrays do not fit it.
        """
        layer = self._engine.layers[0] if self._engine.layers else None
        if not isinstance(layer, MemoryData):
            raise ConfigError("set_input_arrays: the first layer is no MemoryData layer.")
        shape = self.blobs[layer.tops[0]].shape
        data, labels = np.asarray(data, np.float32), np.asarray(labels, np.float32)
        if data.shape[1:] != shape[1:] or len(data) % shape[0] or labels.size != len(data) or not len(data):
            raise ShapeError(
                f"set_input_arrays: data {data.shape} and labels {labels.shape}; expected (n, {shape[1:]}) and n "
                f"labels, n a multiple of {shape[0]}."
            )
        self._runner.memory = data, labels.reshape(-1), 0

    def before_forward(self, function: Callable[[int], Any]) -> None:
        """Have a function called with each layer's number before it runs forward."""
        self._runner.hooks.setdefault("before_forward", []).append(function)

    def after_forward(self, function: Callable[[int], Any]) -> None:
        """Have a function called with each layer's number after it ran forward."""
        self._runner.hooks.setdefault("after_forward", []).append(function)

    def before_backward(self, function: Callable[[int], Any]) -> None:
        """Have a function called with each layer's number before it runs backward."""
        self._runner.hooks.setdefault("before_backward", []).append(function)

    def after_backward(self, function: Callable[[int], Any]) -> None:
        """Have a function called with each layer's number after it ran backward."""
        self._runner.hooks.setdefault("after_backward", []).append(function)

    # -- files

    def copy_from(self, filename: str | Path) -> None:
        """Take the weights of layers of the same names from a file, binary or HDF5.

        Raises:
            FormatError: the file is missing or damaged.
            ShapeError: a layer of the file does not fit; nothing has been changed then.
        """
        planned: list[tuple[Parameter, Array]] = []
        hdf5 = file_is_hdf5(existing(filename))
        for layer, arrays in read_weights(filename).items():
            if layer not in self._layer_names:
                continue
            number = self._layer_names.index(layer)
            mine = self._engine.parameters[number]
            # an HDF5 file leaves out what belongs to an earlier layer
            owners = [*self._engine.layers[number].owners, *(None,) * len(mine)]
            given = [i < len(arrays) and arrays[i] is not None for i in range(len(mine))]
            if len(arrays) > len(mine) or not all(
                there or (hdf5 and owners[i] is not None) for i, there in enumerate(given)
            ):
                raise ShapeError(
                    f"{filename}: layer {layer!r} has {sum(a is not None for a in arrays)} arrays; the net's has "
                    f"{len(mine)}. Rename the "
                    "net's layer if it is meant to start afresh."
                )
            for i, (parameter, array) in enumerate(zip(mine, arrays, strict=False)):
                if array is not None:
                    where = f"{filename}: layer {layer!r}, blob {i}"
                    planned.append((parameter, fit_array(array, parameter.about.spec.shape, where)))
        for parameter, array in planned:
            self.backend.registry.assign(parameter, array)

    load_hdf5 = copy_from

    def _arrays(self) -> dict[str, list[Array | None]]:
        store = self.backend.store
        return {
            name: [store.read(p.key) for p in group]
            for name, group in zip(self._layer_names, self._engine.parameters, strict=True)
            if group
        }

    def _own(self, arrays: Mapping[str, Sequence[Array | None]]) -> dict[str, list[Array | None]]:
        """Arrays without those that belong to earlier layers: HDF5 files leave them out."""
        owners = {
            name: [*layer.owners, *(None,) * len(group)]
            for name, layer, group in zip(self._layer_names, self._engine.layers, self._engine.parameters, strict=True)
        }
        return {
            name: [array if owners[name][i] is None else None for i, array in enumerate(group)]
            for name, group in arrays.items()
        }

    def save(self, filename: str | Path) -> None:
        """Write definition and weights as a ``.caffemodel``."""
        write_weights(str(filename), self._arrays(), self._saved_message(), hdf5=False)

    def save_hdf5(self, filename: str | Path, write_diff: bool = False) -> None:
        """Write the weights as HDF5."""
        diffs: dict[str, list[Array | None]] | None = None
        if write_diff:
            diffs = self._own({name: [blob.diff for blob in blobs] for name, blobs in self.params.items()})
        write_weights(str(filename), self._own(self._arrays()), self._saved_message(), diffs, hdf5=True)

    def _saved_message(self) -> Any:
        message = caffe_pb2.NetParameter()
        message.CopyFrom(self._engine.message)
        return message

    def share_with(self, other: Net) -> None:
        """Take the parameters of another net's layers of the same names: both nets have the same ones from then on.

        Raises:
            ShapeError: the shapes differ; nothing has changed then.
        """
        if other.backend is self.backend:
            return
        self._runner.move(other.backend)
        for view, group in zip(self.layers, self._engine.parameters, strict=True):
            view.blobs[:] = [self._runner.parameter_blob(p) for p in group]

    def close(self) -> None:
        """Stop threads, close files, give memory back."""
        self._engine.close()


def _spreads(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether an array can be copied to one of another shape, by repeating it along axes of the size 1."""
    return len(given) <= len(wanted) and all(n in (1, m) for n, m in zip(given[::-1], wanted[::-1], strict=False))


def _joined(batches: Mapping[str, Sequence[Array]], count: int) -> dict[str, Array]:
    """The results of all batches behind each other, without those of the padding."""
    return {name: np.concatenate([np.atleast_1d(part) for part in parts])[:count] for name, parts in batches.items()}
