"""LeNet."""

from __future__ import annotations

from mocha.layers import ConvolutionLayer, InnerProductLayer, Layer, Neurons, PoolingLayer


def lenet() -> list[Layer]:
    """The net of Mocha's first tutorial, and Caffe's LeNet: 28x28 grey pixels to 10 scores in the blob `ip2`.

    (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998, with rectified
    units.)
    """
    return [
        ConvolutionLayer(name="conv1", n_filter=20, kernel=5, bottoms=["data"], tops=["conv"]),
        PoolingLayer(name="pool1", kernel=2, stride=2, bottoms=["conv"], tops=["pool"]),
        ConvolutionLayer(name="conv2", n_filter=50, kernel=5, bottoms=["pool"], tops=["conv2"]),
        PoolingLayer(name="pool2", kernel=2, stride=2, bottoms=["conv2"], tops=["pool2"]),
        InnerProductLayer(name="ip1", output_dim=500, neuron=Neurons.ReLU(), bottoms=["pool2"], tops=["ip1"]),
        InnerProductLayer(name="ip2", output_dim=10, bottoms=["ip1"], tops=["ip2"]),
    ]
