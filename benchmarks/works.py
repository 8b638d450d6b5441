"""What is measured: nets with their batch sizes, on data and weights that every contestant is given alike."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from mocha import Layer

# numpy and mocha are loaded where they are needed: the number of threads is set before, see `machine.limit_threads`

Weights = dict[str, "np.ndarray"]
"""`<layer>/<parameter>` -> values, in Mocha's shapes, which are PyTorch's too."""

LEARNING_RATE, MOMENTUM, REGULARISATION = 1e-3, 0.9, 0.0005


@dataclasses.dataclass(frozen=True)
class Work:
    """A net of `mocha.models`.

    Attributes:
        name: on the command line.
        model: in `mocha.models`.
        shape: of one example.
        classes: number of scores.
        batch: examples in a training batch.
        batches: how many different ones there are.
    """

    name: str
    model: str
    shape: tuple[int, ...]
    classes: int
    batch: int
    batches: int

    @cached_property
    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Normally distributed data, float32, and labels, int64. Without meaning, and the same in each process."""
        import numpy as np

        rng = np.random.default_rng(1)
        count = self.batch * self.batches
        return rng.standard_normal((count, *self.shape), np.float32), rng.integers(0, self.classes, count)

    def layers(self, batch: int, *, dropout: bool = True) -> list[Layer]:
        """The net that trains. `dropout=False` leaves those layers out."""
        import numpy as np

        from mocha import DropoutLayer
        from mocha.models import find_model

        model = find_model(self.model)
        assert (model.shape, model.classes) == (self.shape, self.classes)
        data, labels = self.examples
        layers = model.training(data, labels.astype(np.float32), batch)
        return [layer for layer in layers if dropout or not isinstance(layer, DropoutLayer)]

    @property
    def scores(self) -> str:
        """The blob with the scores."""
        from mocha.models import find_model

        return find_model(self.model).scores

    @cached_property
    def weights(self) -> Weights:
        """Initial values of all parameters, of such a size that activations stay near 1; biases are not zero.

        Running variances lie around 1, and scales around what they start from.
        """
        import numpy as np

        from mocha import Net
        from mocha.backends import NumpyBackend

        rng = np.random.default_rng(2)
        weights = {}
        with NumpyBackend() as backend, Net("shapes", backend, self.layers(1)) as net:
            for layer, parameters in net.parameters_by_layer().items():
                for parameter in parameters:
                    shape = parameter.about.spec.shape
                    scale = 0.1 if len(shape) == 1 else (2 / np.prod(shape[1:])) ** 0.5
                    about, values = parameter.about, rng.standard_normal(shape, np.float32) * np.float32(scale)
                    if about.name in ("scale", "variance"):
                        values += about.initializer.values(shape, None).astype(np.float32)
                    weights[f"{layer}/{about.name}"] = values
        return weights


YARDSTICKS = ("torch", "onnxruntime", "openvino")
"""Packages to compare with."""

WORKS = {
    work.name: work
    for work in (
        Work("lenet", "lenet", (1, 28, 28), 10, 64, 8),
        Work("cifar", "cifar10-quick", (3, 32, 32), 10, 100, 8),
        Work("mlp", "mlp", (784,), 10, 100, 8),
        Work("caffenet", "caffenet", (3, 227, 227), 1000, 32, 2),
        Work("googlenet", "googlenet", (3, 224, 224), 1000, 16, 2),
        Work("resnet50", "resnet50", (3, 224, 224), 1000, 8, 2),
    )
}
