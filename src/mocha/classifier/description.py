"""A classifier in a file: which net, which weights, and how images are prepared, in TOML beside the model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mocha.backends import AbstractBackend, DefaultBackend
from mocha.classifier.classifier import ImageClassifier
from mocha.classifier.nets import image_net, load_weights
from mocha.data.images import ChannelOrder, Fit, Size, checked_size
from mocha.errors import ConfigError, FormatError, did_you_mean
from mocha.net import Net

Makes = Callable[[AbstractBackend], Net]

_MOST_BYTES = 1 << 20
_KINDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "weights": (str,),
    "classes": (str, list),
    "blob": (str,),
    "softmax": (bool,),
    "size": (int, list),
    "resize": (int, list),
    "fit": (str,),
    "grey": (bool,),
    "channel_order": (str,),
    "mean": (str, int, float, list),
    "scale": (int, float),
    "oversample": (bool,),
}
"""Key of a description file -> what may stand there."""

_WORDS = {str: "a text", list: "a list", bool: "true or false", int: "a whole number", float: "a number"}


@dataclasses.dataclass(frozen=True)
class Description:
    """What makes a classifier. Paths are as the program's working directory has them.

    Args:
        model: the name of a built-in model, or the path of a Caffe net, ending in ``.prototxt``.
        weights: file of its parameters: a model file or a snapshot of Mocha's, or Caffe's ``.caffemodel`` or
            ``.caffemodel.h5``.
        classes: names of the classes, or a file with one a line; see `read_names`.
        blob: the blob of scores; see `ImageClassifier`.
        softmax: make probabilities of the scores; see `ImageClassifier`.
        size: (height, width) of what the net sees, or one number for both; None for what the model says.
        resize: size before the crop; this and what follows: see `Preparation`.
        fit: "stretch", "crop" or "pad".
        grey: look at images without their colours.
        channel_order: "rgb" or "bgr".
        mean: a file (see `read_mean`), a number, or one number a channel.
        scale: what is multiplied by.
        oversample: average over ten crops.
    """

    model: str = ""
    weights: str = ""
    classes: str | tuple[str, ...] = ()
    blob: str | None = None
    softmax: bool | None = None
    size: Size | None = None
    resize: Size | None = None
    fit: Fit = "stretch"
    grey: bool | None = None
    channel_order: ChannelOrder = "rgb"
    mean: str | float | tuple[float, ...] | None = None
    scale: float = 1.0
    oversample: bool = False

    def classifier(self, backend: AbstractBackend, *, net: Makes | None = None, batch: int = 1) -> ImageClassifier:
        """Make the net, load its weights, and get the classifier ready. Closing it closes its net.

        Args:
            backend: where the net runs.
            net: makes the net, in the place of `model`; it may bring its own weights.
            batch: how many images the net takes at once.

        Raises:
            ConfigError: no model, no weights, or a value that cannot be.
            FormatError: a file is missing, damaged, or does not fit.
            ShapeError: the mean or the size does not fit.
        """
        if net is None and not self.model:
            raise ConfigError("no model was named; give a .prototxt or the name of a built-in model.")
        if net is not None and self.size is not None:
            raise ConfigError("size cannot be changed of a net that a program makes; leave it out.")
        size = None if self.size is None else checked_size(self.size, "size")
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(net(backend) if net else image_net(self.model, backend, size=size, batch=batch))
            if net is None and not self.weights:
                raise ConfigError(f"model {self.model!r} has no weights; name the file of a trained net's.")
            if self.weights:
                load_weights(self.weights, made)
            classifier = ImageClassifier(
                made,
                self.blob,
                classes=self.classes,
                softmax=self.softmax,
                resize=self.resize,
                fit=self.fit,
                grey=self.grey,
                channel_order=self.channel_order,
                mean=self.mean,
                scale=self.scale,
                oversample=self.oversample,
            )
            stack.pop_all()
        return classifier.own(made.close)


def read_description(path: str | os.PathLike[str]) -> Description:
    """A description from a TOML file.

    Its keys are the arguments of `Description`, and paths in it are relative to its folder. Nothing in it is
    executed.

    Args:
        path: the file.

    Raises:
        FormatError: the file is missing, is no TOML, has a key that there is not, or a value of a wrong type.
    """
    place = Path(path)
    if not place.is_file():
        raise FormatError(f"{place}: there is no such file (working directory {Path.cwd()}). Check the path.")
    if place.stat().st_size > _MOST_BYTES:
        raise FormatError(f"{place}: {place.stat().st_size} bytes; expected a short description of a classifier.")
    try:
        given = tomllib.loads(place.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f'{place}: expected TOML, as in: model = "lenet" ({error}).') from error
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in _KINDS:
            raise FormatError(f"{place}: there is no key {key!r}. {did_you_mean(key, _KINDS)}")
        values[key] = _checked(place, key, value)
    if "model" not in values:
        raise FormatError(f'{place}: the key "model" is missing; give a .prototxt or the name of a built-in model.')
    for key in ("weights", "classes", "mean"):
        if isinstance(values.get(key), str):
            values[key] = str(place.parent / values[key])
    if values["model"].endswith(".prototxt"):
        values["model"] = str(place.parent / values["model"])
    return Description(**values)


def _checked(place: Path, key: str, value: Any) -> Any:
    kinds = _KINDS[key]
    right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    inner: tuple[type, ...] = {"classes": (str,), "mean": (int, float)}.get(key, (int,))
    if right and isinstance(value, list):
        right = all(isinstance(one, inner) and not isinstance(one, bool) for one in value)
    if right and key == "classes" and isinstance(value, list):
        right = all(one.isprintable() for one in value)  # nothing that would steer a terminal
    if not right:
        expected = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds))
        if list in kinds:
            expected += {"classes": " of texts", "mean": " of numbers"}.get(key, " [height, width]")
        raise FormatError(f"{place}: {key} is {value!r}; expected {expected}.")
    return tuple(value) if isinstance(value, list) else value


def load_classifier(
    path: str | os.PathLike[str], backend: AbstractBackend | None = None, *, batch: int = 1, **changes: Any
) -> ImageClassifier:
    """The classifier that a TOML file describes; see `read_description`.

    Args:
        path: the file.
        backend: where it runs; a new one, the best here, unless told, which is shut down when the classifier is closed.
        batch: how many images the net takes at once; more is faster for many.
        **changes: arguments of `Description` that take the place of the file's.

    Raises:
        FormatError: a file is missing, damaged, or does not fit.
        ConfigError, ShapeError: what the file says cannot be.
    """
    described = read_description(path)
    for name in changes:
        if name not in _KINDS:
            raise ConfigError(f"load_classifier: there is no {name!r}. {did_you_mean(name, _KINDS)}")
    described = dataclasses.replace(described, **changes)
    if backend is not None:
        return described.classifier(backend, batch=batch)
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(DefaultBackend())
        classifier = described.classifier(own, batch=batch)
        stack.pop_all()
    return classifier.own(own.shutdown)
