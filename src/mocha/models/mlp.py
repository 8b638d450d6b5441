"""A multilayer perceptron for MNIST, with dropout."""

from __future__ import annotations

from mocha.layers import DropoutLayer, InnerProductLayer, Layer, Neurons


def mlp() -> list[Layer]:
    """784-1200-1200-10 with rectified units: 784 numbers to 10 scores in the blob `out`.

    Dropout takes a fifth of the inputs and half of the hidden units. (Srivastava, Hinton, Krizhevsky, Sutskever and
    Salakhutdinov, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.)
    """
    return [
        DropoutLayer(name="drop0", ratio=0.2, bottoms=["data"]),
        InnerProductLayer(name="fc1", output_dim=1200, neuron=Neurons.ReLU(), bottoms=["data"], tops=["fc1"]),
        DropoutLayer(name="drop1", ratio=0.5, bottoms=["fc1"]),
        InnerProductLayer(name="fc2", output_dim=1200, neuron=Neurons.ReLU(), bottoms=["fc1"], tops=["fc2"]),
        DropoutLayer(name="drop2", ratio=0.5, bottoms=["fc2"]),
        InnerProductLayer(name="out", output_dim=10, bottoms=["fc2"], tops=["out"]),
    ]
