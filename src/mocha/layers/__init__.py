"""The layers that a net is declared with."""

from mocha.layers.base import Layer
from mocha.layers.computation import (
    ConcatLayer,
    DropoutLayer,
    ElementWiseFunctors,
    ElementWiseLayer,
    IdentityLayer,
    Pooling,
    PoolingLayer,
    ReshapeLayer,
    SoftmaxLayer,
)
from mocha.layers.data import AsyncHDF5DataLayer, DataLayer, HDF5DataLayer, MemoryDataLayer
from mocha.layers.loss import (
    BinaryCrossEntropyLossLayer,
    GaussianKLLossLayer,
    HingeLossLayer,
    LossLayer,
    MultinomialLogisticLossLayer,
    SoftlabelSoftmaxLossLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
)
from mocha.layers.measure import AccuracyLayer, BinaryAccuracyLayer
from mocha.layers.neurons import Neuron, Neurons
from mocha.layers.norm import LRNLayer, LRNMode
from mocha.layers.output import HDF5OutputLayer, MemoryOutputLayer, OutputLayer
from mocha.layers.trainable import ConvolutionLayer, InnerProductLayer, TrainableLayer
from mocha.layers.transport import WassersteinLossLayer

__all__ = [
    "AccuracyLayer", "AsyncHDF5DataLayer", "ConcatLayer", "ConvolutionLayer", "DataLayer", "DropoutLayer",
    "ElementWiseFunctors", "ElementWiseLayer", "HDF5OutputLayer", "MemoryOutputLayer", "OutputLayer", "HDF5DataLayer",
    "IdentityLayer", "InnerProductLayer", "LRNLayer",
    "LRNMode", "Layer", "LossLayer", "MemoryDataLayer", "Neuron", "Neurons", "Pooling", "PoolingLayer", "ReshapeLayer",
    "SoftmaxLayer", "SoftmaxLossLayer", "SquareLossLayer", "TrainableLayer",
    "BinaryAccuracyLayer", "BinaryCrossEntropyLossLayer", "GaussianKLLossLayer", "HingeLossLayer",
    "MultinomialLogisticLossLayer", "SoftlabelSoftmaxLossLayer", "WassersteinLossLayer",
]  # fmt: skip
