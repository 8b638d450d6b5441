"""A model: layers from the blob `data` to scores, and what one has to know to feed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mocha.layers import Layer, MemoryDataLayer, SoftmaxLossLayer
from mocha.ops import Array, Shape


@dataclasses.dataclass(frozen=True)
class Model:
    """Layers from the blob `data` to scores.

    Attributes:
        name: what commands call it.
        layers: makes the layers; their bottom is `data`, and the last top holds the scores.
        shape: of one example.
        classes: number of scores.
        batch: the batch size that it is usually trained with.
    """

    name: str
    layers: Callable[[], list[Layer]]
    shape: Shape
    classes: int
    batch: int

    @property
    def scores(self) -> str:
        """The blob with the scores, (N, classes)."""
        return [top for layer in self.layers() for top in layer.tops][-1]

    def training(self, data: Array, labels: Array, batch: int) -> list[Layer]:
        """The layers of a net that trains: data, the model, and the softmax loss.

        Args:
            data: (examples, *shape).
            labels: (examples), whole numbers from 0 to classes - 1.
            batch: examples in a batch.
        """
        return [
            MemoryDataLayer(name="data", data=[data, labels], batch_size=batch),
            *self.layers(),
            SoftmaxLossLayer(name="loss", bottoms=[self.scores, "label"]),
        ]

    def noise(self, examples: int, seed: int = 0) -> tuple[Array, Array]:
        """Data without meaning, to measure with: normally distributed float32 (examples, *shape), labels (examples)."""
        rng = np.random.default_rng(seed)
        data = rng.standard_normal((examples, *self.shape), np.float32)
        return data, rng.integers(0, self.classes, examples).astype(np.float32)
