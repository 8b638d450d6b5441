"""A trained net that names what is on images."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.classifier.answers import Answers, Guess, Guesses
from mocha.classifier.preparation import ImageLike, Preparation, pixels_of
from mocha.classifier.scores import find_scores, is_probability
from mocha.data.images import ChannelOrder, Fit, Pixels, Size, fit_image
from mocha.data.names import read_names
from mocha.errors import ConfigError, MochaError, ShapeError
from mocha.net import Net, Predictor
from mocha.ops import Array, Softmax
from mocha.optional import optional

_CHUNK = 16
"""How many images are prepared at once, so that a thousand large ones do not fill the memory."""
_THUMBNAIL = 320
"""The longer side of the pictures in answers."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of an image: what the net sees, a small picture, and where it came from."""

    views: Array
    picture: Pixels
    source: str


class ImageClassifier:
    """A net that names what is on images. Needs Pillow: `pip install "mocha-dl[images]"`.

    The net may be any with one blob of images that its scores depend on: one that was trained here, a built-in model
    with loaded weights, or one of Caffe's by `mocha.caffe.mocha_net`. Images may have any size. What is done to them,
    and in which order, says `Preparation`; it has to be what was done in training.

    Args:
        net: the net, with its parameters.
        blob: the blob of scores, (N, classes); None for the softmax that ends the net, else what its softmax loss is
            computed from, else the last blob that no layer reads.
        classes: names of the classes, or a file with one a line (see `read_names`); none for their numbers.
        softmax: make probabilities of the scores; None for where the blob is not made by a softmax layer already.
        resize: size to bring images to before the middle is cut out, as 256 for a net of 227; see `Preparation`.
        fit: "stretch", "crop" or "pad": what happens to the proportions.
        grey: look at images without their colours; None for where the net has one channel.
        channel_order: "rgb" or "bgr".
        mean: what is subtracted from values of 0 to 255: a number, one a channel in the net's order, an image, or a
            file (see `read_mean`).
        scale: what the difference is multiplied by, as 1/256.
        oversample: average over ten crops of an image: corners, middle, and these mirrored.

    Attributes:
        net: the net.
        blob: the name of the blob of scores.
        classes: the names.
        softmax: whether probabilities are made of the scores.
        preparation: what is done to images.

    Raises:
        ConfigError: a value that cannot be, names that are not as many as scores, or several inputs.
        ShapeError: the input is no image, the scores are not one number a class, or the mean does not fit.
        StateError: there is no such blob.

    Examples:
        >>> layers = [
        ...     MemoryDataLayer(data=[np.zeros((4, 3, 8, 8), np.float32)], tops=["data"], batch_size=4),
        ...     InnerProductLayer(name="score", output_dim=2, bottoms=["data"], tops=["score"]),
        ... ]
        >>> with DefaultBackend() as backend, Net("tiny", backend, layers) as net:
        ...     net.params["score"]["weight"] = np.repeat([[0.001], [-0.001]], 192, axis=1)
        ...     classifier = ImageClassifier(net, classes=["bright", "dark"], mean=127.5, scale=1 / 127.5)
        ...     print(classifier.classify(np.full((20, 30, 3), 255, np.uint8)))
        image    rank  probability  class  name
        -------  ----  -----------  -----  ------
        image 0     1       0.5948      0  bright
                    2       0.4052      1  dark
    """

    def __init__(
        self,
        net: Net,
        blob: str | None = None,
        *,
        classes: Sequence[str] | str | os.PathLike[str] = (),
        softmax: bool | None = None,
        resize: Size | None = None,
        fit: Fit = "stretch",
        grey: bool | None = None,
        channel_order: ChannelOrder = "rgb",
        mean: npt.ArrayLike | str | os.PathLike[str] | None = None,
        scale: float = 1.0,
        oversample: bool = False,
    ) -> None:
        self.net = net
        self.blob = find_scores(net) if blob is None else blob
        self._predictor = Predictor(net, self.blob)
        if len(self._predictor.inputs) != 1:
            known = ", ".join(self._predictor.inputs) or "none"
            raise ConfigError(
                f"net {net.name!r}: blob {self.blob!r} depends on the data {known}; expected one blob of images."
            )
        data, scores = self._predictor.input_shapes[0], self._predictor.shape
        self.preparation = Preparation(
            data[1:],
            resize=resize,
            fit=fit,
            grey=grey,
            channel_order=channel_order,
            mean=mean,
            scale=scale,
            oversample=oversample,
        )
        if len(scores) < 2 or scores[0] != data[0] or any(n != 1 for n in scores[2:]):
            raise ShapeError(
                f"net {net.name!r}: blob {self.blob!r} has the shape {scores}; expected ({data[0]}, classes), one "
                "score for each class. Name another with `blob`."
            )
        self.softmax = not is_probability(net, self.blob) if softmax is None else softmax
        self.classes = self._named(classes, scores[1])
        self._chunk = max(_CHUNK, data[0])
        self._endings: list[Callable[[], object]] = []

    def _named(self, classes: Sequence[str] | str | os.PathLike[str], count: int) -> list[str]:
        """A name for each score."""
        origin = "classes"
        if isinstance(classes, (str, os.PathLike)):
            origin, classes = os.fspath(classes), read_names(classes)
        names = list(classes) or [str(i) for i in range(count)]
        if len(names) != count or not all(isinstance(name, str) for name in names):
            raise ConfigError(
                f"{origin}: {len(names)} names, but blob {self.blob!r} of net {self.net.name!r} has {count} scores; "
                "expected one name, a text, for each score."
            )
        return names

    def classify(self, images: ImageLike | Sequence[ImageLike], top: int = 5) -> Answers:
        """Name what is on images.

        Args:
            images: the path of a file; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of bytes, or of floats from
                0 to 1; a Pillow image; or a list of these.
            top: how many classes to tell for each, at most; > 0.

        Returns:
            one record an image.

        Raises:
            FormatError: a file is missing, damaged or no image.
            ShapeError, ConfigError: what is given is no image.
        """
        answers = []
        for answer in self.each(_listed(images), top):
            if isinstance(answer, MochaError):
                raise answer
            answers.append(answer)
        return Answers(answers)

    def each(self, images: Iterable[ImageLike], top: int = 5) -> Iterator[Guesses | MochaError]:
        """Name what is on images, one after the other: for more of them than the memory holds.

        Args:
            images: see `classify`. They are taken as they are needed, some at once.
            top: see `classify`.

        Returns:
            for each image, in their order, its record; or the error that says why it cannot be read or prepared.
        """
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise ConfigError(f"top is {top!r}; expected how many classes to tell, above 0.")
        optional("PIL.Image", "preparing images")
        return self._each(images, top)

    def _each(self, images: Iterable[ImageLike], top: int) -> Iterator[Guesses | MochaError]:
        for chunk in self._chunks(images):
            seen = [self._look(image) for image in chunk]
            views = [one.views for one in seen if isinstance(one, _Seen)]
            found = iter(self._probabilities_of(views)) if views else iter(())
            for one in seen:
                if isinstance(one, _Seen):
                    probabilities = next(found)
                    best = np.argsort(-probabilities, kind="stable")[:top]
                    ranked = tuple(Guess(self.classes[i], int(i), float(probabilities[i])) for i in best)
                    yield Guesses(ranked, probabilities, one.picture, one.source)
                else:
                    yield one

    def _look(self, image: ImageLike) -> _Seen | MochaError:
        """An image, prepared at once, so that no more of it is kept than is needed."""
        try:
            pixels = pixels_of(image)
            return _Seen(self.preparation(pixels), _thumbnail(pixels), _source(image))
        except MochaError as error:
            return error

    def probabilities(self, images: ImageLike | Sequence[ImageLike]) -> Array:
        """The probabilities of all classes, (images, classes); see `classify`. Scores where `softmax` is False."""
        parts = [self._probabilities_of([self.preparation(i) for i in c]) for c in self._chunks(_listed(images))]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)

    def prepare(self, images: ImageLike | Sequence[ImageLike]) -> Array:
        """What the net sees: (images, C, H, W); with `oversample` ten in the place of each. For a `Predictor`.

        Raises:
            FormatError, ShapeError, ConfigError: see `classify`.
        """
        views = [self.preparation(image) for image in _listed(images)]
        return np.concatenate(views) if views else np.empty((0, *self.preparation.shape), np.float32)

    def _probabilities_of(self, views: Sequence[Array]) -> Array:
        """One row an image, of the views of each."""
        scores = self._predictor(np.concatenate(views)).reshape(-1, len(self.classes))
        found = Softmax(axis=1).forward(scores.astype(np.float64)) if self.softmax else scores
        if not np.isfinite(found).all():
            raise MochaError(
                f"net {self.net.name!r}: blob {self.blob!r} is not finite for an image. Are the weights damaged, or "
                "the mean and the scale not those of the training?"
            )
        return np.asarray(found.reshape(len(views), -1, len(self.classes)).mean(axis=1))

    def _chunks(self, images: Iterable[ImageLike]) -> Iterator[list[ImageLike]]:
        left = iter(images)
        while chunk := list(itertools.islice(left, self._chunk)):
            yield chunk

    # -- its end

    def own(self, *endings: Callable[[], object]) -> ImageClassifier:
        """Call these when the classifier is closed, in this order."""
        self._endings.extend(endings)
        return self

    def close(self) -> None:
        """Give back what `load_classifier` made for it: its net and its backend. A net that was given stays open."""
        with contextlib.ExitStack() as stack:
            while self._endings:
                stack.callback(self._endings.pop())

    def __enter__(self) -> ImageClassifier:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        p = self.preparation
        size = "x".join(map(str, p.shape))
        order = f" {p.channel_order}" if p.shape[0] == 3 else ""
        via = f" cut out of {'x'.join(map(str, p.first_size))}" if p.first_size != p.size else ""
        then = " and softmax" if self.softmax else ""
        return (
            f"<image classifier of net {self.net.name!r}: {size}{order}{via} to blob {self.blob!r}{then}, "
            f"{len(self.classes)} classes>"
        )


def _listed(images: ImageLike | Sequence[ImageLike]) -> Sequence[ImageLike]:
    """One image or several as several."""
    if isinstance(images, (list, tuple)):
        return images
    return list(images) if isinstance(images, np.ndarray) and images.ndim == 4 else [images]


def _source(image: ImageLike) -> str:
    return Path(image).name if isinstance(image, (str, os.PathLike)) else ""


def _thumbnail(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    shrink = _THUMBNAIL / max(height, width)
    if shrink >= 1:
        return pixels
    return fit_image(pixels, (max(1, round(height * shrink)), max(1, round(width * shrink))))
